"""Elastic Load Balancing v2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from caretaker.aws import clients
from caretaker.aws.errors import call
from caretaker.aws.paging import batches, pages

# No document gives a limit of ARNs for DescribeTargetGroups; small batches are sure to pass.
_GROUPS = 20


def describe_target_groups(arns: Iterable[str]) -> list[dict[str, Any]]:
    """Target groups by ARN."""
    found: list[dict[str, Any]] = []
    for batch in batches(sorted(set(arns)), _GROUPS):
        found.extend(
            pages(
                clients.elbv2().describe_target_groups,
                "TargetGroups",
                token="Marker",
                out="NextMarker",
                TargetGroupArns=list(batch),
            )
        )
    return found


def target_group_attributes(arn: str) -> dict[str, str]:
    """Attributes of a target group, e.g. `deregistration_delay.timeout_seconds`."""
    answer = call(clients.elbv2().describe_target_group_attributes, TargetGroupArn=arn)
    return {entry["Key"]: entry["Value"] for entry in answer.get("Attributes", [])}


def describe_target_health(arn: str) -> list[dict[str, Any]]:
    """Health of every target that is registered with a target group, draining ones too."""
    answer = call(clients.elbv2().describe_target_health, TargetGroupArn=arn)
    return list(answer.get("TargetHealthDescriptions", []))
