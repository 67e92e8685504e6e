"""What a world file may say of the account around the fleet: calls made before the start, gateways, stacks, VPCs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from twin.rehearsal.fields import Called, Name, Strict, pattern

ResultPath = Annotated[str, pattern(r"[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)*", "a path such as Rules.0.RuleArn")]


class Own(Called):
    """A call that somebody made before the start: a user's own rule, certificate, group, alarm, record …"""

    who: str = Field(default="somebody", alias="as")
    name: Name | None = None
    result: ResultPath | None = None

    @model_validator(mode="after")
    def _named(self) -> Own:
        if (self.name is None) != (self.result is None):
            raise ValueError("has either a name and the result that it stands for, or neither")
        return self


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
