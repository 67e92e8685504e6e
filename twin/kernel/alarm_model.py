"""Metric alarms as they stand.

Source: CloudWatch API: MetricAlarm; CloudWatch user guide, "Using Amazon CloudWatch alarms".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from twin.errors import Unmodelled
from twin.kernel.alarm_rules import COMPARE, MISSING, Rule, State
from twin.kernel.metric_queries import Query
from twin.kernel.metrics import MINUTE, Metric
from twin.kernel.statistics import statistic


@dataclass
class Alarm:
    """A metric alarm. `state` is INSUFFICIENT_DATA until the first evaluation.

    Attributes:
        metric: what it watches; None with `queries`, of which the one that is returned is watched.
        to_alarm: DatapointsToAlarm.
        missing: TreatMissingData.
        alarm_actions, ok_actions, insufficient_actions: ARNs of topics; those of ALARM also of scaling policies.
        since, configured: when the state last changed, and when the alarm was last put; None if never.
    """

    name: str
    arn: str
    description: str
    metric: Metric | None
    statistic: str
    period: int
    periods: int
    to_alarm: int
    threshold: float
    comparison: str
    missing: str = "missing"
    alarm_actions: tuple[str, ...] = ()
    ok_actions: tuple[str, ...] = ()
    insufficient_actions: tuple[str, ...] = ()
    actions_enabled: bool = True
    queries: tuple[Query, ...] = ()
    state: State = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    since: datetime | None = None
    configured: datetime | None = None
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, value, known in (
            ("comparison", self.comparison, COMPARE),
            ("TreatMissingData", self.missing, MISSING),
        ):
            if value not in known:
                raise Unmodelled(f"alarm {self.name}: {what} {value}")
        if not self.queries:
            statistic(self.statistic)
        if self.period % MINUTE or self.period < MINUTE:
            raise Unmodelled(f"alarm {self.name}: a period of {self.period} s")
        if any(query.metric and query.period != self.period for query in self.queries):
            raise Unmodelled(f"alarm {self.name}: metrics of several periods")

    @property
    def rule(self) -> Rule:
        return Rule(self.periods, self.to_alarm, self.threshold, self.comparison, self.missing)

    @property
    def watched(self) -> list[Metric]:
        return [self.metric] if self.metric else [query.metric for query in self.queries if query.metric]
