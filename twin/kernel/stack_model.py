"""Stacks and what they own.

Source: CloudFormation API: Stack, StackResource.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(eq=False)
class Owned:
    """A resource of a stack.

    Attributes:
        physical_id: None until it is made.
        retained: the stack's deletion leaves it.
    """

    logical_id: str
    type: str
    at: datetime
    physical_id: str | None = None
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    retained: bool = False

    @property
    def there(self) -> bool:
        return self.physical_id is not None and self.status not in ("DELETE_COMPLETE", "DELETE_SKIPPED")

    def become(self, status: str, at: datetime, reason: str | None = None) -> None:
        self.status, self.at, self.reason = status, at, reason

    def shown(self, stack: Stack) -> dict[str, Any]:
        """CloudFormation API: StackResource."""
        shown: dict[str, Any] = {
            "StackName": stack.name,
            "StackId": stack.arn,
            "LogicalResourceId": self.logical_id,
            "ResourceType": self.type,
            "Timestamp": self.at,
            "ResourceStatus": self.status,
        }
        if self.physical_id is not None:
            shown["PhysicalResourceId"] = self.physical_id
        return {**shown, "ResourceStatusReason": self.reason} if self.reason else shown


@dataclass(eq=False)
class Stack:
    """A stack. `outputs`: of the deployed one."""

    name: str
    arn: str
    created: datetime
    status: str
    resources: list[Owned] = field(default_factory=list)
    reason: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """CloudFormation API: Stack."""
        shown: dict[str, Any] = {
            "StackId": self.arn,
            "StackName": self.name,
            "CreationTime": self.created,
            "StackStatus": self.status,
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()],
        }
        if self.tags:
            shown["Tags"] = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return {**shown, "StackStatusReason": self.reason} if self.reason else shown
