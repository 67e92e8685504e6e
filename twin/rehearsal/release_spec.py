"""What a world file may say of native releases: how a service is released, its hooks, and what ECS leaves open."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from twin.ecs.native.settings import HookStage
from twin.rehearsal.fields import Between, Count, Name, Positive, Seconds, Strict


class ReleaseHook(Strict):
    """A lifecycle hook: a function and its role (logical ids of the template), or neither for a pause."""

    stages: Annotated[list[HookStage], Field(min_length=1)]
    function: Name | None = None
    role: Name | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    timeout: Seconds = 86_400.0
    timeout_action: Literal["ROLLBACK", "CONTINUE"] = "ROLLBACK"

    @model_validator(mode="after")
    def _whole(self) -> ReleaseHook:
        if (self.function is None) != (self.role is None):
            raise ValueError("needs both function and role, or neither for a pause")
        _minutes(self, "timeout")
        return self


class Release(Strict):
    """How ECS releases a service next to its old tasks."""

    strategy: Literal["BLUE_GREEN", "LINEAR", "CANARY"]
    canary_percent: Annotated[float, Field(ge=0.1, le=100)] = 5.0
    canary_bake: Seconds = 600.0
    step_percent: Annotated[float, Field(ge=3, le=100)] = 10.0
    step_bake: Seconds = 360.0
    bake: Seconds = 300.0
    alarms: list[str] = Field(default_factory=list)
    alarms_roll_back: bool = True
    hooks: list[ReleaseHook] = Field(default_factory=list)

    @model_validator(mode="after")
    def _whole_minutes(self) -> Release:
        _minutes(self, "canary_bake", "step_bake", "bake")
        return self


def _minutes(model: Strict, *names: str) -> None:
    for name in names:
        if getattr(model, name) % 60:
            raise ValueError(f"has {name} {getattr(model, name):g} s: ECS counts whole minutes")


class HookCallFault(Between):
    kind: Literal["hook_late", "hook_doubled"]
    service: Name | None = None
    stage: HookStage | None = None
    delay: Seconds = 60.0
    times: Annotated[int, Field(ge=1)] | None = None


class ReleaseChoices(Strict):
    """Delays and choices of native releases; what is left out keeps `EcsOptions`'s default."""

    stage_seconds: Seconds | None = None
    rollback_seconds: Seconds | None = None
    shift_tries: Annotated[Count, Field(ge=1)] | None = None
    shift_retry: Seconds | None = None
    shift_hooks: Literal["after", "before"] | None = None
    rollback_hooks: Literal["always", "shifted"] | None = None
    rollback_hook_failure: Literal["fails", "ignored"] | None = None
    hook_id_per_call: bool | None = None
    alarm_poll: Positive | None = None
    alarm_bake: Seconds | None = None
    alarm_rollback_sends_failed: bool | None = None
    breaker_watches_native: bool | None = None
    first_in_alternate: bool | None = None
