"""When a CloudWatch alarm changes its state: a plain function of the datapoints.

Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data" (evaluation range, premature
alarm state); its two tables of examples are a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
MISSING = ("missing", "notBreaching", "breaching", "ignore")


@dataclass(frozen=True)
class Rule:
    """What of an alarm decides. `periods` is EvaluationPeriods, `to_alarm` DatapointsToAlarm."""

    periods: int
    to_alarm: int
    threshold: float
    comparison: str
    missing: str = "missing"

    def crosses(self, value: float) -> bool:
        return COMPARE[self.comparison](value, self.threshold)


@dataclass(frozen=True)
class Verdict:
    """`state` None keeps the present one. `considered` are the real datapoints that decided, oldest first."""

    state: State | None
    breaching: int = 0
    considered: tuple[float, ...] = ()


def judge(rule: Rule, points: Sequence[float | None]) -> Verdict:
    """The verdict on the evaluation range: its datapoints, oldest first, None where there is no data."""
    recent = points[-rule.periods :]
    real = [(age, value) for age, value in enumerate(reversed(points), start=1) if value is not None]
    if not real:
        return Verdict(_of_nothing(rule.missing))
    if all(value is not None for value in recent) or len(real) >= rule.periods:
        return _counted(rule, [value for _, value in real[: rule.periods]], 0)
    return _with_gaps(rule, real)


def _of_nothing(missing: str) -> State | None:
    states: Mapping[str, State | None] = {"breaching": "ALARM", "notBreaching": "OK", "ignore": None}
    return states.get(missing, "INSUFFICIENT_DATA")


def _with_gaps(rule: Rule, real: Sequence[tuple[int, float]]) -> Verdict:
    """Fewer real datapoints in the whole range than the alarm evaluates: the gaps are filled as it was told to."""
    values = [value for _, value in real]
    filled = rule.periods - len(real)
    counted = _counted(rule, values, filled if rule.missing == "breaching" else 0)
    if counted.state == "ALARM" or rule.missing in ("breaching", "notBreaching"):
        return counted
    if not all(rule.crosses(value) for value in values):
        return counted
    premature = real[-1][0] >= rule.to_alarm
    if rule.missing == "ignore":
        return Verdict(None, counted.breaching, counted.considered)
    return Verdict("ALARM", counted.breaching, counted.considered) if premature else counted


def _counted(rule: Rule, values: Sequence[float], filled: int) -> Verdict:
    """`values` newest first."""
    breaching = sum(rule.crosses(value) for value in values) + filled
    return Verdict("ALARM" if breaching >= rule.to_alarm else "OK", breaching, tuple(reversed(values)))
