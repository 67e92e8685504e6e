"""CloudWatch's statistics of a point: SampleCount to trimmed means.

Source: CloudWatch user guide "CloudWatch statistics definitions" (percentiles; percentile rank and trimmed statistics
exclude their lower bound and include the upper one). Modelled: SampleCount, Sum, Average, Minimum, Maximum, pNN, IQM,
and PR, TC, TM, TS with bounds by value or by percentage, and their short forms tcNN, tmNN, tsNN.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from twin.errors import AwsError, Unmodelled
from twin.kernel.metrics import Point

Statistic = Callable[[Point], float | None]
"""The value, or None where the point does not tell it."""

BASIC: Mapping[str, Statistic] = {
    "SampleCount": lambda point: point.count,
    "Sum": lambda point: point.total,
    "Average": lambda point: point.total / point.count if point.count else None,
    "Minimum": lambda point: point.low,
    "Maximum": lambda point: point.high,
}
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
_SHORT = re.compile(r"(tc|tm|ts|wm)(\d{1,2}(?:\.\d{1,10})?|100)")
_BOUNDS = re.compile(r"(PR|TC|TM|TS|WM)\((?:(\d+(?:\.\d+)?)(%?))?:(?:(\d+(?:\.\d+)?)(%?))?\)")
_EPSILON = 1e-9


@lru_cache(maxsize=256)
def statistic(name: str) -> Statistic:
    """The statistic of that name. AwsError for a name that CloudWatch refuses, Unmodelled for one that it knows."""
    if name in BASIC:
        return BASIC[name]
    if match := _PERCENTILE.fullmatch(name):
        percent = float(match[1])
        return lambda point: _percentile(point, percent)
    if match := _SHORT.fullmatch(name):
        return _bounded(match[1].upper(), name, 0.0, float(match[2]), True)
    if name in ("IQM", "iqm"):
        return _bounded("TM", name, 25.0, 75.0, True)
    if match := _BOUNDS.fullmatch(name):
        return _of_bounds(name, match)
    raise AwsError("ValidationError", f"The value {name} for parameter Stat is not supported.")


def _of_bounds(name: str, match: re.Match[str]) -> Statistic:
    kind, low, low_unit, high, high_unit = match.groups()
    if low is None and high is None:
        raise AwsError("ValidationError", f"The value {name} for parameter Stat is not supported.")
    units = {unit for number, unit in ((low, low_unit), (high, high_unit)) if number is not None}
    if len(units) > 1 or (kind == "PR" and units == {"%"}):
        raise AwsError("ValidationError", f"The value {name} for parameter Stat is not supported.")
    percent = units == {"%"}
    least = float(low) if low is not None else (0.0 if percent else None)
    most = float(high) if high is not None else (100.0 if percent else None)
    return _bounded(kind, name, least, most, percent)


def _bounded(kind: str, name: str, least: float | None, most: float | None, percent: bool) -> Statistic:
    if kind == "WM":
        raise Unmodelled(f"cloudwatch: the statistic {name} (winsorized mean)")

    def compute(point: Point) -> float | None:
        values = point.values
        if not values or (min(values) < 0 and kind != "PR"):
            return None
        kept = _by_rank(values, least or 0.0, most or 0.0) if percent else _by_value(values, least, most)
        count = sum(weight for _, weight in kept)
        total = sum(value * weight for value, weight in kept)
        if kind == "PR":
            return 100.0 * count / sum(values.values())
        if kind == "TM":
            return total / count if count else None
        return count if kind == "TC" else total

    return compute


def _by_value(values: Mapping[float, float], least: float | None, most: float | None) -> list[tuple[float, float]]:
    return [
        (value, weight)
        for value, weight in values.items()
        if (least is None or value > least) and (most is None or value <= most)
    ]


def _by_rank(values: Mapping[float, float], least: float, most: float) -> list[tuple[float, float]]:
    """The values between two percentages of rank; one that straddles a bound is kept in part."""
    whole = sum(values.values())
    low, high, passed = whole * least / 100, whole * most / 100, 0.0
    kept: list[tuple[float, float]] = []
    for value in sorted(values):
        weight = values[value]
        part = min(passed + weight, high) - max(passed, low)
        if part > _EPSILON:
            kept.append((value, part))
        passed += weight
    return kept


def _percentile(point: Point, percent: float) -> float | None:
    values = point.values
    if not values or min(values) < 0:
        return None
    wanted, passed = sum(values.values()) * percent / 100, 0.0
    for value in sorted(values):
        passed += values[value]
        if passed >= wanted - _EPSILON:
            return value
    return point.high
