"""EC2 launch templates: versions, defaults, and what an instance takes from them."""

from __future__ import annotations

import base64
import binascii
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import filtered, hex_id, only, page, tag_list, tag_map

# What changes nothing that the twin shows is kept and described; what would (instance requirements, placement, several
# interfaces) is left out, and so raises Unmodelled.
_DATA_MEMBERS = frozenset(
    {
        "BlockDeviceMappings",
        "DisableApiTermination",
        "EbsOptimized",
        "IamInstanceProfile",
        "ImageId",
        "InstanceMarketOptions",
        "InstanceType",
        "KeyName",
        "MetadataOptions",
        "Monitoring",
        "SecurityGroupIds",
        "TagSpecifications",
        "UserData",
    }
)
_BAD_TOKEN = AwsError("InvalidNextToken", "The token is not valid.")


@dataclass(frozen=True)
class TemplateVersion:
    number: int
    data: Mapping[str, Any]
    description: str | None
    created: datetime

    @property
    def user_data(self) -> str:
        """Decoded."""
        return base64.b64decode(self.data.get("UserData", "")).decode("utf-8", "replace")

    @property
    def market(self) -> str:
        return str(self.data.get("InstanceMarketOptions", {}).get("MarketType", "on-demand"))

    def instance_tags(self) -> dict[str, str]:
        specs = self.data.get("TagSpecifications", [])
        return {key: value for spec in specs if spec["ResourceType"] == "instance" for key, value in _tags(spec)}


def _tags(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    return list(tag_map(spec.get("Tags", [])).items())


@dataclass
class LaunchTemplate:
    """A launch template. `number` is its place in the order of creation."""

    template_id: str
    name: str
    created: datetime
    number: int
    tags: dict[str, str] = field(default_factory=dict)
    versions: list[TemplateVersion] = field(default_factory=list)
    default_version: int = 1

    def version(self, wanted: str | None) -> TemplateVersion:
        """The version named by number, `$Latest` or `$Default` (also when None); AwsError if there is none."""
        if wanted in (None, "", "$Default"):
            return self.versions[self.default_version - 1]
        if wanted == "$Latest":
            return self.versions[-1]
        number = int(wanted) if str(wanted).isdigit() else 0
        if not 1 <= number <= len(self.versions):
            raise AwsError(
                "InvalidLaunchTemplateId.VersionNotFound",
                f"Could not find the specified version {wanted} for the launch template with ID {self.template_id}.",
            )
        return self.versions[number - 1]


class LaunchTemplateOperations:
    """The launch-template operations of the EC2 API (EC2 API: CreateLaunchTemplate and its siblings)."""

    kernel: Kernel
    _ids: Random
    templates: dict[str, LaunchTemplate]

    def template(self, template_id: str | None, name: str | None) -> LaunchTemplate:
        """The template of that id or name; AwsError as EC2 answers if there is none."""
        for template in self.templates.values():
            if template_id == template.template_id or (template_id is None and name == template.name):
                return template
        if template_id is not None:
            raise AwsError(
                "InvalidLaunchTemplateId.NotFound",
                f"The specified launch template, with template ID {template_id}, does not exist.",
            )
        raise AwsError(
            "InvalidLaunchTemplateName.NotFoundException",
            f"The specified launch template, with template name {name}, does not exist.",
        )

    @operation(
        "CreateLaunchTemplate",
        ("LaunchTemplateName", "LaunchTemplateData", "VersionDescription", "TagSpecifications", "ClientToken"),
    )
    def create_launch_template(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["LaunchTemplateName"]
        if any(template.name == name for template in self.templates.values()):
            raise AwsError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
        data = _checked(params["LaunchTemplateData"])
        now = self.kernel.clock.now()
        tags = dict(pair for spec in params.get("TagSpecifications", []) for pair in _tags(spec))
        template = LaunchTemplate(hex_id(self._ids, "lt-"), name, now, len(self.templates), tags)
        template.versions.append(TemplateVersion(1, data, params.get("VersionDescription"), now))
        self.templates[template.template_id] = template
        return {"LaunchTemplate": self._template_view(template)}

    @operation(
        "CreateLaunchTemplateVersion",
        ("LaunchTemplateId", "LaunchTemplateName", "SourceVersion", "VersionDescription", "LaunchTemplateData"),
    )
    def create_launch_template_version(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        template = self.template(params.get("LaunchTemplateId"), params.get("LaunchTemplateName"))
        data = _checked(params["LaunchTemplateData"])
        if "SourceVersion" in params:
            data = {**template.version(params["SourceVersion"]).data, **data}
        number = len(template.versions) + 1
        version = TemplateVersion(number, data, params.get("VersionDescription"), self.kernel.clock.now())
        template.versions.append(version)
        return {"LaunchTemplateVersion": self._version_view(template, version)}

    @operation("ModifyLaunchTemplate", ("LaunchTemplateId", "LaunchTemplateName", "DefaultVersion"))
    def modify_launch_template(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        template = self.template(params.get("LaunchTemplateId"), params.get("LaunchTemplateName"))
        template.default_version = template.version(params.get("DefaultVersion")).number
        return {"LaunchTemplate": self._template_view(template)}

    @operation(
        "DescribeLaunchTemplates",
        ("LaunchTemplateIds", "LaunchTemplateNames", "Filters", "MaxResults", "NextToken"),
    )
    def describe_launch_templates(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = list(self.templates.values())
        if "LaunchTemplateIds" in params:
            found = [self.template(one, None) for one in params["LaunchTemplateIds"]]
        if "LaunchTemplateNames" in params:
            found = [self.template(None, one) for one in params["LaunchTemplateNames"]]
        known = {"launch-template-name": lambda template: [template.name]}
        found = filtered(found, params.get("Filters", []), known, lambda one: one.tags, "ec2:DescribeLaunchTemplates")
        found.sort(key=lambda one: one.number)
        shown, token = page(
            found, params.get("NextToken"), params.get("MaxResults", 200), lambda one: one.number, _BAD_TOKEN
        )
        answer: dict[str, Any] = {"LaunchTemplates": [self._template_view(template) for template in shown]}
        return answer | ({"NextToken": token} if token else {})

    @operation(
        "DescribeLaunchTemplateVersions",
        ("LaunchTemplateId", "LaunchTemplateName", "Versions", "MaxResults", "NextToken"),
    )
    def describe_launch_template_versions(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if "LaunchTemplateId" not in params and "LaunchTemplateName" not in params:
            found = self._versions_of_all(params.get("Versions", []))
        else:
            template = self.template(params.get("LaunchTemplateId"), params.get("LaunchTemplateName"))
            wanted = params.get("Versions")
            versions = [template.version(one) for one in wanted] if wanted else template.versions[::-1]
            found = [(template, version) for version in versions]
        numbered = list(enumerate(found))
        shown, token = page(
            numbered, params.get("NextToken"), params.get("MaxResults", 200), lambda one: one[0], _BAD_TOKEN
        )
        answer: dict[str, Any] = {"LaunchTemplateVersions": [self._version_view(*pair) for _, pair in shown]}
        return answer | ({"NextToken": token} if token else {})

    def _versions_of_all(self, wanted: list[str]) -> list[tuple[LaunchTemplate, TemplateVersion]]:
        if not wanted or not set(wanted) <= {"$Latest", "$Default"}:
            raise AwsError(
                "MissingParameter",
                "When no launch template is specified, versions must be $Latest, $Default or both.",
            )
        return [(one, one.version(name)) for one in self.templates.values() for name in wanted]

    def _template_view(self, template: LaunchTemplate) -> dict[str, Any]:
        return {
            "LaunchTemplateId": template.template_id,
            "LaunchTemplateName": template.name,
            "CreateTime": template.created,
            "CreatedBy": f"arn:aws:iam::{self.kernel.account}:root",
            "DefaultVersionNumber": template.default_version,
            "LatestVersionNumber": len(template.versions),
            "Tags": tag_list(template.tags),
        }

    def _version_view(self, template: LaunchTemplate, version: TemplateVersion) -> dict[str, Any]:
        described = {"VersionDescription": version.description} if version.description else {}
        return {
            "LaunchTemplateId": template.template_id,
            "LaunchTemplateName": template.name,
            "VersionNumber": version.number,
            "CreateTime": version.created,
            "CreatedBy": f"arn:aws:iam::{self.kernel.account}:root",
            "DefaultVersion": version.number == template.default_version,
            "LaunchTemplateData": copy.deepcopy(dict(version.data)),
        } | described


def _checked(data: Mapping[str, Any]) -> dict[str, Any]:
    only(data, _DATA_MEMBERS, "ec2: LaunchTemplateData")
    only(data.get("InstanceMarketOptions", {}), {"MarketType"}, "ec2: LaunchTemplateData.InstanceMarketOptions")
    if str(data.get("ImageId", "")).startswith("resolve:"):
        raise Unmodelled(f"ec2: LaunchTemplateData.ImageId={data['ImageId']!r} is not modelled")
    if "UserData" in data:
        try:
            base64.b64decode(data["UserData"], validate=True)
        except (binascii.Error, ValueError):
            raise AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    return copy.deepcopy(dict(data))
