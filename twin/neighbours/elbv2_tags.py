"""Tags of load balancers, listeners, rules and target groups, as the ELBv2 API knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation
from twin.neighbours.common import tag_list, tag_map
from twin.neighbours.elbv2_model import Balancing, invalid

TAGS_PER_RESOURCE = 50
ARNS_PER_CALL = 20


class TagOperations(Balancing):
    """Operations on tags."""

    @operation("AddTags", ("ResourceArns", "Tags"))
    def add_tags(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        keys = [tag["Key"] for tag in params["Tags"]]
        if len(set(keys)) < len(keys):
            raise AwsError("DuplicateTagKeys", "A tag key was specified more than once")
        given = tag_map(params["Tags"])
        found = self._tagged(params["ResourceArns"])
        if any(len({**tags, **given}) > TAGS_PER_RESOURCE for tags in found):
            raise AwsError("TooManyTags", f"A resource can have at most {TAGS_PER_RESOURCE} tags")
        for tags in found:
            tags.update(given)
        return {}

    @operation("RemoveTags", ("ResourceArns", "TagKeys"))
    def remove_tags(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        for tags in self._tagged(params["ResourceArns"]):
            for key in params["TagKeys"]:
                tags.pop(key, None)
        return {}

    @operation("DescribeTags", ("ResourceArns",))
    def describe_tags(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        arns = params["ResourceArns"]
        return {
            "TagDescriptions": [
                {"ResourceArn": arn, "Tags": tag_list(tags)} for arn, tags in zip(arns, self._tagged(arns), strict=True)
            ]
        }

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The resource's tags; none for what does not exist. IAM's conditions on tags read them."""
        try:
            return self._tags(arn)
        except AwsError:
            return {}

    def _tagged(self, arns: Sequence[str]) -> list[dict[str, str]]:
        if not 1 <= len(arns) <= ARNS_PER_CALL:
            raise invalid(f"Between 1 and {ARNS_PER_CALL} resource ARNs can be specified, not {len(arns)}")
        return [self._tags(arn) for arn in arns]

    def _tags(self, arn: str) -> dict[str, str]:
        kind = arn.split(":", 5)[-1].partition("/")[0]
        if kind == "loadbalancer":
            return self.balancer(arn).tags
        if kind == "targetgroup":
            return self.group(arn).tags
        if kind == "listener":
            return self.listener(arn).tags
        if kind == "listener-rule":
            return self.rule(arn).tags
        raise Unmodelled(f"elbv2: tags of {arn!r} are not modelled")
