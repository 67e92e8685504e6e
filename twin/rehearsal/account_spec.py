"""What a world file may say of the account around the fleet: calls made before the start, gateways, stacks, VPCs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from twin.rehearsal.fields import Name, Strict, pattern

ResultPath = Annotated[str, pattern(r"[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)*", "a path such as Rules.0.RuleArn")]


class Own(Strict):
    """A call that somebody made before the start: a user's own rule, certificate, group, alarm, record …"""

    who: str = Field(default="somebody", alias="as")
    call: Annotated[str, pattern(r"[a-z0-9-]+\.[A-Za-z0-9]+", "service.Operation, such as elbv2.CreateRule")]
    params: dict[str, Any] = Field(default_factory=dict)
    name: Name | None = None
    result: ResultPath | None = None

    @model_validator(mode="after")
    def _named(self) -> Own:
        if (self.name is None) != (self.result is None):
            raise ValueError("has either a name and the result that it stands for, or neither")
        return self

    @property
    def service(self) -> str:
        return self.call.partition(".")[0]

    @property
    def operation(self) -> str:
        return self.call.partition(".")[2]


class Gateway(Strict):
    """An ECS gateway, and the services that are reached through it."""

    name: Name
    services: Annotated[list[Name], Field(min_length=1)]
    deletion_protection: bool = True


class StackResource(Strict):
    """A resource that a stack owns though it did not make it."""

    logical_id: Name
    type: Annotated[str, pattern(r"AWS::[A-Za-z0-9]+::[A-Za-z0-9]+", "a type such as AWS::Logs::LogGroup")]
    id: str


class Stack(Strict):
    """A CloudFormation stack: Express services that it makes, and resources that it owns besides."""

    name: Name
    services: list[Name] = Field(default_factory=list)
    resources: list[StackResource] = Field(default_factory=list)

    @model_validator(mode="after")
    def _something(self) -> Stack:
        if not self.services and not self.resources:
            raise ValueError("owns nothing: give services, resources or both")
        return self
