"""The kinds of values that world files are made of: names, moments, lengths of time. Everything is strict."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from twin.rehearsal.durations import seconds


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def pattern(expression: str, meaning: str) -> AfterValidator:
    compiled = re.compile(expression)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"is not {meaning}")
        return value

    return AfterValidator(check)


def _moment(value: object) -> str:
    """`+5m` and plain lengths mean: after the start; an ISO date with a zone means that moment."""
    if isinstance(value, str) and not value.startswith("+"):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return f"+{seconds(value)}"
        if moment.tzinfo is None:
            raise ValueError("has no time zone: end it in Z")
        return value
    return f"+{seconds(value[1:] if isinstance(value, str) else value)}"


def _iso(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is not an ISO 8601 moment such as 2026-10-05T10:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("has no time zone: end it in Z")
    return value


Seconds = Annotated[float, BeforeValidator(seconds)]
Positive = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
Moment = Annotated[str, BeforeValidator(_moment)]
IsoMoment = Annotated[str, AfterValidator(_iso)]
Name = Annotated[str, pattern(r"[A-Za-z][A-Za-z0-9_-]{0,99}", "a name (letters, digits, - and _, a letter first)")]
InstanceId = Annotated[str, pattern(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})", "an instance id (i- and 17 hex digits)")]
Zone = Annotated[str, pattern(r"[a-z]{2}(?:-[a-z]+)+-\d[a-z]", "an availability zone such as us-east-1a")]
Count = Annotated[int, Field(ge=0, le=20_000)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Called(Strict):
    """A call of an AWS API that somebody makes."""

    call: Annotated[str, pattern(r"[a-z0-9-]+\.[A-Za-z0-9]+", "service.Operation, such as ecs.UpdateService")]
    params: dict[str, Any] = Field(default_factory=dict)

    @property
    def service(self) -> str:
        return self.call.partition(".")[0]

    @property
    def operation(self) -> str:
        return self.call.partition(".")[2]


class Between(Strict):
    """When something is in force: simulated seconds after the start."""

    after: Seconds = 0.0
    until: Seconds | None = None
