"""AWS WAF, as far as web ACLs protect load balancers. No request is inspected.

Source: AWS WAFV2 API (CreateWebACL, AssociateWebACL, GetWebACLForResource, DeleteWebACL …): a resource has at most one
web ACL; one that is associated cannot be deleted; the association goes with the load balancer.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Api, Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import tag_map, uuid

_SETTINGS = ("DefaultAction", "Description", "Rules", "VisibilityConfig")


@dataclass
class WebAcl:
    """A web ACL of this Region, and the ARNs of the resources that it protects."""

    arn: str
    acl_id: str
    name: str
    lock: str
    settings: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    resources: dict[str, None] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        return {"Name": self.name, "Id": self.acl_id, "ARN": self.arn, "Capacity": 0, **deepcopy(self.settings)}

    def summary(self) -> dict[str, Any]:
        return {"Name": self.name, "Id": self.acl_id, "ARN": self.arn, "LockToken": self.lock}


class WafV2(Api):
    """The API's operations on web ACLs of scope REGIONAL.

    Args:
        exists: whether the application load balancer of an ARN exists.

    Attributes:
        acls: by ARN.
    """

    service = "wafv2"

    def __init__(self, kernel: Kernel, exists: Callable[[str], bool]) -> None:
        self.kernel = kernel
        self.acls: dict[str, WebAcl] = {}
        self._exists = exists
        self._by_resource: dict[str, WebAcl] = {}
        self._ids: Random = kernel.rng("wafv2/ids")

    @operation("CreateWebACL", ("Name", "Scope", "Tags", *_SETTINGS))
    def create_web_acl(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        _regional(params)
        if any(one.name == params["Name"] for one in self.acls.values()):
            raise AwsError("WAFDuplicateItemException", f"A web ACL of the name {params['Name']} exists already.")
        acl_id = uuid(self._ids)
        arn = self.kernel.arn("wafv2", f"regional/webacl/{params['Name']}/{acl_id}")
        settings = {member: params[member] for member in _SETTINGS if member in params}
        made = WebAcl(arn, acl_id, params["Name"], uuid(self._ids), settings, tag_map(params.get("Tags", [])))
        self.acls[arn] = made
        return {"Summary": made.summary()}

    @operation("ListWebACLs", ("Scope",))
    def list_web_acls(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        _regional(params)
        return {"WebACLs": [one.summary() for one in self.acls.values()]}

    @operation("AssociateWebACL", ("WebACLArn", "ResourceArn"))
    def associate_web_acl(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """The web ACL takes the place of the one that the resource had."""
        acl, resource = self._acl(params["WebACLArn"]), params["ResourceArn"]
        self._check_resource(resource)
        self._part(resource)
        acl.resources[resource] = None
        self._by_resource[resource] = acl
        return {}

    @operation("DisassociateWebACL", ("ResourceArn",))
    def disassociate_web_acl(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self._check_resource(params["ResourceArn"])
        self._part(params["ResourceArn"])
        return {}

    @operation("GetWebACLForResource", ("ResourceArn",))
    def get_web_acl_for_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Without WebACL for a resource that has none."""
        self._check_resource(params["ResourceArn"])
        found = self._by_resource.get(params["ResourceArn"])
        return {"WebACL": found.view()} if found else {}

    @operation("ListResourcesForWebACL", ("WebACLArn", "ResourceType"))
    def list_resources_for_web_acl(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Application load balancers, as without ResourceType."""
        if params.get("ResourceType", "APPLICATION_LOAD_BALANCER") != "APPLICATION_LOAD_BALANCER":
            raise Unmodelled(f"wafv2:ListResourcesForWebACL: ResourceType {params['ResourceType']!r} is not modelled")
        return {"ResourceArns": self._protected(self._acl(params["WebACLArn"]))}

    @operation("DeleteWebACL", ("Name", "Scope", "Id", "LockToken"))
    def delete_web_acl(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        _regional(params)
        arn = self.kernel.arn("wafv2", f"regional/webacl/{params['Name']}/{params['Id']}")
        acl = self._acl(arn)
        if acl.lock != params["LockToken"]:
            raise AwsError("WAFOptimisticLockException", "The lock token is not the present one.")
        if self._protected(acl):
            raise AwsError("WAFAssociatedItemException", f"The web ACL {acl.name} is associated with a resource.")
        del self.acls[arn]
        return {}

    def _protected(self, acl: WebAcl) -> list[str]:
        """The resources of a web ACL; those that are no more have lost it."""
        for resource in [one for one in acl.resources if not self._exists(one)]:
            self._part(resource)
        return list(acl.resources)

    def _part(self, resource: str) -> None:
        former = self._by_resource.pop(resource, None)
        if former:
            former.resources.pop(resource, None)

    def _acl(self, arn: str) -> WebAcl:
        found = self.acls.get(arn)
        if found is None:
            raise _nonexistent()
        return found

    def _check_resource(self, arn: str) -> None:
        if ":loadbalancer/app/" not in arn:
            raise Unmodelled(f"wafv2: resource {arn!r} is not modelled")
        if not self._exists(arn):
            self._part(arn)
            raise _nonexistent()


def _regional(params: dict[str, Any]) -> None:
    if params["Scope"] != "REGIONAL":
        raise Unmodelled(f"wafv2: Scope {params['Scope']!r} is not modelled")


def _nonexistent() -> AwsError:
    text = "AWS WAF couldn't perform the operation because your resource doesn't exist."
    return AwsError("WAFNonexistentItemException", text)
