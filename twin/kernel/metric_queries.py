"""Metric data queries: what GetMetricData answers and what alarms on metric math watch.

Source: CloudWatch API: MetricDataQuery, MetricStat, GetMetricData.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel import metric_math
from twin.kernel.metric_math import Series
from twin.kernel.metrics import MINUTE, Metric, MetricStore
from twin.kernel.statistics import statistic

_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")
_DAY = 86_400
MOST = 500
"""Queries of one GetMetricData."""


@dataclass(frozen=True)
class Query:
    """One MetricDataQuery. Either `metric`, `stat` and `period`, or `expression`."""

    id: str
    metric: Metric | None
    stat: str
    period: int
    expression: str
    label: str
    returned: bool

    @property
    def shown(self) -> str:
        """The label, or CloudWatch's own: the metric's name, an expression's id."""
        return self.label or (self.metric.name if self.metric else self.id)


def parse(given: Sequence[Mapping[str, Any]], most: int = MOST) -> list[Query]:
    """Checked queries. AwsError ValidationError as CloudWatch answers, Unmodelled for what the twin does not know."""
    if not given or len(given) > most:
        raise _invalid(f"The collection MetricDataQueries must have between 1 and {most} items, it has {len(given)}.")
    queries = [_query(item) for item in given]
    ids = [query.id for query in queries]
    for number, query in enumerate(queries):
        if query.id in ids[:number]:
            raise _invalid(f"The values for parameter id in MetricDataQueries are not unique: {query.id}")
    if not any(query.returned for query in queries):
        raise _invalid("At least one of the elements of MetricDataQueries must have ReturnData true.")
    return queries


def dimensions_of(given: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {item["Name"]: item["Value"] for item in given}


def _query(given: Mapping[str, Any]) -> Query:
    if "AccountId" in given:
        raise Unmodelled("cloudwatch: MetricDataQuery.AccountId")
    if not _ID.fullmatch(given["Id"]):
        raise _invalid(f"The value {given['Id']} for parameter MetricDataQueries.member.Id is no id.")
    if ("MetricStat" in given) == ("Expression" in given):
        raise _invalid(f"Exactly one of MetricStat and Expression must be given: {given['Id']}")
    if "${" in given.get("Label", ""):
        raise Unmodelled(f"cloudwatch: the dynamic label {given['Label']}")
    common = {"id": given["Id"], "label": given.get("Label", ""), "returned": given.get("ReturnData", True)}
    if "Expression" in given:
        if given["Expression"].lstrip().upper().startswith("SELECT"):
            raise Unmodelled("cloudwatch: Metrics Insights queries")
        return Query(metric=None, stat="", period=given.get("Period", 0), expression=given["Expression"], **common)
    stat = given["MetricStat"]
    if "Unit" in stat:
        raise Unmodelled("cloudwatch: MetricStat.Unit")
    if "Period" in given:
        raise _invalid(f"Period belongs into MetricStat: {given['Id']}")
    statistic(stat["Stat"])
    check_period(stat["Period"])
    name = stat["Metric"]
    metric = Metric.of(name["Namespace"], name["MetricName"], dimensions_of(name.get("Dimensions", ())))
    return Query(metric=metric, stat=stat["Stat"], period=stat["Period"], expression="", **common)


def check_period(period: int) -> None:
    """Periods of a minute and its multiples; shorter ones need metrics of high resolution."""
    if period in (1, 5, 10, 20, 30):
        raise Unmodelled(f"cloudwatch: a period of {period} s")
    if period < MINUTE or period % MINUTE:
        raise _invalid(f"The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}.")


def rounded_start(start: float, now: float) -> int:
    """StartTime as CloudWatch rounds it down: to a minute, five minutes (older than 15 days) or an hour (63)."""
    age = now - start
    step = MINUTE if age < 15 * _DAY else 300 if age < 63 * _DAY else 3_600
    return int(start // step) * step


def solve(store: MetricStore, queries: Sequence[Query], start: int, end: float) -> dict[str, Series]:
    """Every query's series over [start, end). AwsError for wrong expressions, and for a circle of them."""
    known = {query.id: query for query in queries}
    solved: dict[str, Series] = {query.id: series_of(store, query, start, end) for query in queries if query.metric}
    periods = {query.id: query.period for query in queries if query.metric}
    step = min(periods.values(), default=MINUTE)
    stamps = range(start, int(end) if end == int(end) else int(end) + 1, step)
    metrics = list(periods)
    waiting = [query for query in queries if not query.metric]
    while waiting:
        ready = [query for query in waiting if all(name in solved for name in _named(query, known))]
        if not ready:
            raise _invalid(f"Circular dependency between expressions: {', '.join(query.id for query in waiting)}")
        scope = metric_math.Scope(solved, metrics, periods, stamps)
        solved |= {query.id: metric_math.evaluate(query.expression, scope) for query in ready}
        waiting = [query for query in waiting if query not in ready]
    return solved


def _named(query: Query, known: Mapping[str, Query]) -> set[str]:
    return metric_math.names(query.expression) & set(known)


def series_of(store: MetricStore, query: Query, start: int, end: float) -> Series:
    """One metric's statistic, by the beginning of each period; periods are counted from `start`."""
    assert query.metric is not None
    compute = statistic(query.stat)
    made = {stamp: point.told(compute) for stamp, point in store.periods(query.metric, start, end, query.period)}
    return {stamp: value for stamp, value in made.items() if value is not None}


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
