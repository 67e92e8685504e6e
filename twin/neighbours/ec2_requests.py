"""What the operations of the EC2 API share: pages, tags that come with a request, ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from twin.errors import AwsError
from twin.neighbours.common import tag_map

BAD_TOKEN = AwsError("InvalidParameterValue", "Unable to parse pagination token")
_MALFORMED = {
    "sg": "InvalidGroupId.Malformed",
    "sgr": "InvalidSecurityGroupRuleId.Malformed",
    "eni": "InvalidNetworkInterfaceID.Malformed",
}


def limit(params: Mapping[str, Any], with_ids: str | None) -> int | None:
    """MaxResults, 5 to 1000; None shows everything. `with_ids` names the member of ids if the request has one with
    which MaxResults cannot be combined."""
    most: int | None = params.get("MaxResults")
    if most is None:
        return None
    if with_ids and params.get(with_ids):
        raise AwsError(
            "InvalidParameterCombination", f"The parameter {with_ids} cannot be used with the parameter MaxResults"
        )
    if not 5 <= most <= 1000:
        bound = "greater than 5" if most < 5 else "smaller than 1000"
        raise AwsError(
            "InvalidParameterValue",
            f"Value ( {most} ) for parameter maxResults is invalid. Expecting a value {bound}.",
        )
    return most


def given_tags(params: Mapping[str, Any], resource_type: str) -> dict[str, str]:
    """The tags of a request's TagSpecifications; all of them must be for `resource_type`."""
    tags: dict[str, str] = {}
    for spec in params.get("TagSpecifications", []):
        if spec.get("ResourceType") != resource_type:
            raise AwsError(
                "InvalidParameterValue",
                f"'{spec.get('ResourceType')}' is not a valid taggable resource type for this operation.",
            )
        tags |= tag_map(spec.get("Tags", []))
    return tags


def check_id(value: str, prefix: str) -> None:
    """The error that EC2 answers to what cannot be an id of this kind."""
    if not re.fullmatch(rf"{prefix}-[0-9A-Za-z-]+", value):
        raise AwsError(_MALFORMED[prefix], f'Invalid id: "{value}" (expecting "{prefix}-...")')
