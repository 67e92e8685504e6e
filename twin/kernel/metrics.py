"""CloudWatch's datapoints: one store for what services, functions and simulated traffic report.

The twin keeps standard resolution: everything that falls into one minute is one point. A report may become visible
later than it was made; a reader sees at each moment what had arrived by then, as CloudWatch's callers do.

Source: CloudWatch user guide ("CloudWatch concepts": namespaces, dimensions, resolution, statistics).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

Dimensions = tuple[tuple[str, str], ...]
MINUTE = 60


@dataclass(frozen=True)
class Metric:
    namespace: str
    name: str
    dimensions: Dimensions

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
        return cls(namespace, name, tuple(sorted(dimensions.items())))


class Spread(Protocol):
    """Many values of which only the number is known until somebody asks for more."""

    @property
    def count(self) -> float: ...

    def values(self) -> Mapping[float, float]:
        """How often each value came: the same answer at each call."""
        ...


@dataclass(frozen=True)
class Sample:
    """A set of values of one metric, reported at once (CloudWatch API: StatisticSet)."""

    count: float
    total: float
    low: float
    high: float

    @classmethod
    def single(cls, value: float) -> Sample:
        return cls(1.0, value, value, value)

    @classmethod
    def ones(cls, count: int) -> Sample:
        """`count` requests, each of which counts as 1."""
        return cls(float(count), float(count), 1.0, 1.0)


class Point:
    """What one metric's reports of one stretch of time amount to.

    `exact` is false when a set of several different values came as a statistic set: then no percentile is known
    (CloudWatch user guide, "Percentiles": not for sets unless the count is 1 or minimum and maximum are equal).
    """

    __slots__ = ("_count", "_exact", "_high", "_low", "_spreads", "_told", "_total", "_values")

    def __init__(self) -> None:
        self._count = self._total = 0.0
        self._low, self._high = float("inf"), float("-inf")
        self._values: dict[float, float] = {}
        self._spreads: list[Spread] = []
        self._exact = True
        self._told: dict[Hashable, float | None] = {}

    def add(self, report: Sample | Spread) -> None:
        self._told.clear()
        if not isinstance(report, Sample):
            self._spreads.append(report)
            return
        self._count += report.count
        self._total += report.total
        self._low, self._high = min(self._low, report.low), max(self._high, report.high)
        if report.low == report.high:
            self._values[report.low] = self._values.get(report.low, 0.0) + report.count
        else:
            self._exact = False

    def absorb(self, other: Point) -> None:
        """Add all of `other`."""
        self._told.clear()
        other._draw()
        self._draw()
        self._count += other._count
        self._total += other._total
        self._low, self._high = min(self._low, other._low), max(self._high, other._high)
        self._exact = self._exact and other._exact
        for value, count in other._values.items():
            self._values[value] = self._values.get(value, 0.0) + count

    def _draw(self) -> None:
        """Let the spreads show their values."""
        if not self._spreads:
            return
        spreads, self._spreads = self._spreads, []
        for spread in spreads:
            for value, count in spread.values().items():
                self._values[value] = self._values.get(value, 0.0) + count
                self._count += count
                self._total += value * count
                self._low, self._high = min(self._low, value), max(self._high, value)

    def told(self, statistic: Callable[[Point], float | None]) -> float | None:
        """What a statistic tells of this point. Kept until more comes: the same hours are asked for again and again."""
        if statistic not in self._told:
            self._told[statistic] = statistic(self)
        return self._told[statistic]

    @property
    def count(self) -> float:
        return self._count + sum(spread.count for spread in self._spreads)

    @property
    def total(self) -> float:
        self._draw()
        return self._total

    @property
    def low(self) -> float:
        self._draw()
        return self._low

    @property
    def high(self) -> float:
        self._draw()
        return self._high

    @property
    def values(self) -> Mapping[float, float] | None:
        """How often each value came; None when that is not known."""
        self._draw()
        return self._values if self._exact else None


class _Series:
    """One metric's points by minute."""

    __slots__ = ("first_seen", "minutes", "points")

    def __init__(self, first_seen: float) -> None:
        self.first_seen = first_seen
        self.minutes: list[int] = []
        self.points: dict[int, Point] = {}

    def add(self, minute: int, report: Sample | Spread) -> None:
        point = self.points.get(minute)
        if point is None:
            point = self.points[minute] = Point()
            if self.minutes and minute < self.minutes[-1]:
                insort(self.minutes, minute)
            else:
                self.minutes.append(minute)
        point.add(report)

    def between(self, start: float, end: float) -> Iterator[tuple[int, Point]]:
        for index in range(bisect_left(self.minutes, start), bisect_left(self.minutes, end)):
            minute = self.minutes[index]
            yield minute, self.points[minute]


Report = tuple[Metric, Sample | Spread]


class MetricStore:
    """Every metric's datapoints. Times are epoch seconds; `now` tells the present one."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._series: dict[Metric, _Series] = {}
        self._under_way: list[tuple[float, int, int, list[Report]]] = []
        self._sequence = 0

    # --- writing -----------------------------------------------------------------------------------------------------
    def add(self, metric: Metric, at: float, report: Sample | Spread) -> None:
        """Add a report of the time `at` that is visible at once."""
        self._one(metric).add(_minute(at), report)

    def send(self, at: float, reports: list[Report], visible: float) -> None:
        """Send reports of the time `at` that arrive, all together, at the time `visible`."""
        if visible <= self._now():
            self._arrive(_minute(at), reports, visible)
            return
        self._sequence += 1
        heapq.heappush(self._under_way, (visible, self._sequence, _minute(at), reports))

    def _one(self, metric: Metric, seen: float | None = None) -> _Series:
        series = self._series.get(metric)
        if series is None:
            series = self._series[metric] = _Series(self._now() if seen is None else seen)
        return series

    def _arrive(self, minute: int, reports: Iterable[Report], seen: float) -> None:
        for metric, report in reports:
            self._one(metric, seen).add(minute, report)

    def _catch_up(self) -> None:
        now = self._now()
        while self._under_way and self._under_way[0][0] <= now:
            visible, _, minute, reports = heapq.heappop(self._under_way)
            self._arrive(minute, reports, visible)

    # --- reading -----------------------------------------------------------------------------------------------------
    def minutes(self, metric: Metric, start: float, end: float) -> list[tuple[int, Point]]:
        """The points that are visible now, by the minute in which they begin; oldest first, `end` excluded."""
        self._catch_up()
        series = self._series.get(metric)
        return list(series.between(start, end)) if series else []

    def point(self, metric: Metric, start: float, end: float) -> Point | None:
        """All that is visible of the time from `start` to `end`; None if nothing is."""
        found = self.minutes(metric, start, end)
        if len(found) == 1:
            return found[0][1]
        return _together(point for _, point in found) if found else None

    def periods(self, metric: Metric, start: float, end: float, period: int) -> list[tuple[int, Point]]:
        """The points of each period that has data, by its beginning; periods are counted from `start`."""
        found = self.minutes(metric, start, end)
        if period == MINUTE:
            return found
        grouped: dict[int, list[Point]] = {}
        for minute, point in found:
            grouped.setdefault(int(start + (minute - start) // period * period), []).append(point)
        return [(begin, points[0] if len(points) == 1 else _together(points)) for begin, points in grouped.items()]

    def known(self, before: float, since: float) -> list[Metric]:
        """Metrics first seen no later than `before` that have a point since `since`, in order of first sight."""
        self._catch_up()
        return [
            metric
            for metric, series in self._series.items()
            if series.first_seen <= before and series.minutes and series.minutes[-1] >= since
        ]

    def total(self, namespace: str, name: str, dimensions: Mapping[str, str] | None = None) -> float:
        """Sum of everything that came for a metric; over all dimensions when none are given."""
        self._catch_up()
        wanted = None if dimensions is None else Metric.of(namespace, name, dimensions)
        return sum(
            sum(point.total for point in series.points.values())
            for metric, series in self._series.items()
            if (metric.namespace, metric.name) == (namespace, name) and wanted in (None, metric)
        )


def _minute(at: float) -> int:
    return int(at // MINUTE) * MINUTE


def _together(points: Iterable[Point]) -> Point:
    whole = Point()
    for point in points:
        whole.absorb(point)
    return whole
