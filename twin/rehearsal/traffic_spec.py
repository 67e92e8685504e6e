"""The traffic section of a world file, and what it chooses about metrics. docs/worlds.md describes the fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from twin.rehearsal.fields import Between, Name, Positive, Probability, Seconds, Strict, pattern

Factor = Annotated[float, Field(ge=0, le=10_000)]


def _time_of_day(value: object) -> float:
    """Seconds after midnight."""
    hours, colon, minutes = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (colon and hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
        raise ValueError('is not a time of day: give hours and minutes in quotes, such as "14:00"')
    return int(hours) * 3_600.0 + int(minutes) * 60.0


class DailySpec(Strict):
    swing: Probability
    peak: Annotated[float, BeforeValidator(_time_of_day)] = 14 * 3_600.0


class RequestsSpec(Strict):
    """Requests to one service: to the rule that forwards to its target group when the world starts."""

    service: Name
    cluster: Name | None = None
    per_minute: Annotated[float, Field(ge=0, le=1_000_000)]
    daily: DailySpec | None = None


class LatencySpec(Strict):
    median: Positive
    p99: Positive

    @model_validator(mode="after")
    def _ordered(self) -> LatencySpec:
        if self.p99 <= self.median:
            raise ValueError(f"has a p99 {self.p99:g} that is not above the median {self.median:g}")
        return self


class BehaviourSpec(Between):
    """How the tasks of a task definition answer; a later entry goes before an earlier one, field by field."""

    task_definition: Annotated[
        str, pattern(r"\*|[A-Za-z0-9_-]{1,255}(?::[1-9]\d*)?", 'a family, family:revision or "*"')
    ] = "*"
    errors_5xx: Probability | None = None
    errors_4xx: Probability | None = None
    redirects: Probability | None = None
    latency: LatencySpec | None = None
    burst: Annotated[list[Annotated[int, Field(ge=1, le=1_000)]], Field(min_length=2, max_length=2)] | None = None
    dead: Literal["no", "refuses", "times_out"] | None = None
    limit: Annotated[float, Field(gt=0, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> BehaviourSpec:
        if self.burst and self.burst[0] > self.burst[1]:
            raise ValueError(f"has a burst of at least {self.burst[0]} and at most {self.burst[1]}")
        if (self.errors_5xx or 0) + (self.errors_4xx or 0) > 1:
            raise ValueError("has errors_5xx and errors_4xx that are more than 1 together")
        return self


class TroubleSpec(Between):
    errors: Factor = 1.0
    latency: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    requests: Factor = 1.0


class TrafficSpec(Strict):
    requests: Annotated[list[RequestsSpec], Field(min_length=1)]
    history: Annotated[Seconds, Field(le=14 * 86_400)] = 10_800.0
    behaviours: list[BehaviourSpec] = []
    trouble: list[TroubleSpec] = []


class TrafficChoices(Strict):
    """How metrics of load balancers come, and what AWS's documents leave open about them: `TrafficOptions`."""

    lag: Seconds | None = None
    lag_jitter: Seconds | None = None
    zone_of_target: bool | None = None
    count_unanswered: bool | None = None
    report_zeros: bool | None = None
    fail_open_to_initial: bool | None = None


class CloudWatchChoices(Strict):
    """The same for CloudWatch: `CloudWatchOptions`."""

    extra_datapoints: Annotated[int, Field(ge=0, le=10)] | None = None
    listed_after: Seconds | None = None
