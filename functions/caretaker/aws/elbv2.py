"""Elastic Load Balancing v2."""

from __future__ import annotations

from typing import Any

from caretaker.aws import clients
from caretaker.aws.errors import call


def describe_target_health(arn: str) -> list[dict[str, Any]]:
    """Health of every target that is registered with a target group, draining ones too."""
    answer = call(clients.elbv2().describe_target_health, TargetGroupArn=arn)
    return list(answer.get("TargetHealthDescriptions", []))
