"""CloudWatch alarms, and the metrics of the twin's own services, on the simulated clock.

The datapoints are in `MetricStore`, what decides is in `alarm_rules`, the API in `cloudwatch`.

Source: CloudWatch user guide ("Using Amazon CloudWatch alarms": evaluation periods, datapoints to alarm, missing data),
the metric pages of Lambda, SQS, Step Functions and EventBridge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from twin.errors import AwsError, Unmodelled
from twin.kernel import metric_queries
from twin.kernel.alarm_rules import COMPARE, MISSING, Rule, State, judge
from twin.kernel.bus import EventBus
from twin.kernel.kernel import Entry, Kernel
from twin.kernel.metric_queries import Query
from twin.kernel.metrics import MINUTE, Metric, MetricStore, Sample
from twin.kernel.queues import Queues
from twin.kernel.statistics import statistic
from twin.kernel.topics import Topics

__all__ = ["Alarm", "Alarms", "Metric"]

_PRINCIPAL = "cloudwatch.amazonaws.com"
_EXECUTION_METRICS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}
_WAKING = ("message.dead", "event.dead", "execution.ended", "function.discarded")
"""Notes after which alarms are looked at once more even if the world falls quiet."""


@dataclass
class Alarm:
    """A metric alarm. `state` is INSUFFICIENT_DATA until the first evaluation.

    Attributes:
        metric: what it watches; None with `queries`, of which the one that is returned is watched.
        to_alarm: DatapointsToAlarm.
        missing: TreatMissingData.
        alarm_actions, ok_actions, insufficient_actions: topic ARNs.
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


class Invocation(Protocol):
    """What of a function's run makes metrics."""

    function: str
    seconds: float
    error: str | None


class EmittedMetric(Protocol):
    """A value that a function wrote in embedded metric format."""

    @property
    def namespace(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> Mapping[str, str]: ...

    @property
    def value(self) -> float: ...


class FunctionMetrics(Protocol):
    """The part of the Lambda runtime from which metrics come."""

    @property
    def metrics(self) -> Sequence[EmittedMetric]: ...

    @property
    def finished(self) -> list[Callable[[Any], None]]: ...


@dataclass
class CloudWatchOptions:
    """A world's choices.

    Attributes:
        extra_datapoints: how many datapoints beyond EvaluationPeriods CloudWatch looks back for when some are missing
            (the user guide's examples say 2, its text that it depends on the alarm's period).
        listed_after: from a new metric's first datapoint until ListMetrics shows it, seconds ("up to 15 minutes").
    """

    extra_datapoints: int = 2
    listed_after: float = 900.0


class Alarms:
    """Alarms on what is in the `store`, and the metrics of the twin's services, which it puts there.

    Alarms are evaluated at each full minute over closed minutes, on the datapoints that have arrived by then.

    Attributes:
        store: every metric's datapoints.
        alarms: by name.
        history: every change of state: (alarm name, at, from, to).
    """

    def __init__(
        self, kernel: Kernel, topics: Topics, queues: Queues, bus: EventBus, options: CloudWatchOptions | None = None
    ) -> None:
        self.kernel = kernel
        self.topics = topics
        self.queues = queues
        self.bus = bus
        self.options = options or CloudWatchOptions()
        self.store = MetricStore(kernel.clock.time)
        self.alarms: dict[str, Alarm] = {}
        self.history: list[tuple[str, datetime, State, State]] = []
        self._awake = False
        self._ticking = False
        kernel.listeners.append(self._noted)

    # --- metrics -----------------------------------------------------------------------------------------------------
    def put(self, namespace: str, name: str, dimensions: Mapping[str, str], value: float) -> None:
        """Add a datapoint at the present time; one that crosses an alarm's threshold keeps the world awake for it."""
        self.record(Metric.of(namespace, name, dimensions), self.kernel.clock.time(), Sample.single(value))

    def record(self, metric: Metric, at: float, sample: Sample) -> None:
        """Add a set of values of the time `at` (epoch seconds)."""
        self.store.add(metric, at, sample)
        watching = [alarm for alarm in self.alarms.values() if metric in alarm.watched]
        if any(alarm.rule.crosses(sample.high) or alarm.rule.crosses(sample.low) for alarm in watching):
            self._wake()

    def watch(self, functions: FunctionMetrics, names: Mapping[str, str]) -> None:
        """Take in what functions write in embedded metric format, and Lambda's own metrics of their runs.

        `names` gives the function name (the metric's dimension) by logical id.
        """
        taken = 0

        def finished(invocation: Invocation) -> None:
            nonlocal taken
            written, taken = functions.metrics[taken:], len(functions.metrics)
            for metric in written:
                self.put(metric.namespace, metric.name, metric.dimensions, metric.value)
            dimensions = {"FunctionName": names.get(invocation.function, invocation.function)}
            self.put("AWS/Lambda", "Invocations", dimensions, 1)
            self.put("AWS/Lambda", "Errors", dimensions, 0 if invocation.error is None else 1)
            self.put("AWS/Lambda", "Duration", dimensions, invocation.seconds * 1000)

        functions.finished.append(finished)

    def total(self, namespace: str, name: str, dimensions: Mapping[str, str] | None = None) -> float:
        """Sum of all datapoints of a metric; over all dimensions when none are given."""
        return self.store.total(namespace, name, dimensions)

    def _noted(self, entry: Entry) -> None:
        if entry.kind == "execution.ended":
            self._execution_ended(entry.data)
        elif entry.kind in ("event.dead", "event.dropped"):
            name = "InvocationsSentToDlq" if entry.kind == "event.dead" else "FailedInvocations"
            self.put("AWS/Events", name, {"RuleName": str(entry.data.get("rule", ""))}, 1)
        if entry.kind in _WAKING:
            self._wake()

    def _execution_ended(self, data: Mapping[str, Any]) -> None:
        name, execution = _EXECUTION_METRICS.get(str(data.get("status"))), str(data.get("execution", ""))
        if name and execution.count(":") >= 7:
            machine = execution.replace(":execution:", ":stateMachine:", 1).rpartition(":")[0]
            self.put("AWS/States", name, {"StateMachineArn": machine}, 1)

    def _sample_queues(self) -> None:
        now_ms = round(self.kernel.clock.time() * 1000)
        watched = {metric for alarm in self.alarms.values() for metric in alarm.watched}
        for queue in self.queues.all:
            for name, value in (
                ("ApproximateNumberOfMessagesVisible", float(len(queue.waiting))),
                ("ApproximateNumberOfMessagesNotVisible", float(len(queue.hidden))),
                ("ApproximateAgeOfOldestMessage", queue.oldest_age(now_ms)),
            ):
                metric = Metric.of("AWS/SQS", name, {"QueueName": queue.name})
                if metric in watched:
                    # The sample belongs to the minute that ends now.
                    self.store.add(metric, self.kernel.clock.time() - 0.001, Sample.single(value))

    # --- alarms ------------------------------------------------------------------------------------------------------
    def add(self, alarm: Alarm) -> None:
        """Add an alarm or replace the one of that name, which keeps its state (CloudWatch API: PutMetricAlarm)."""
        before = self.alarms.get(alarm.name)
        if before is not None:
            alarm.state, alarm.reason, alarm.since = before.state, before.reason, before.since
        alarm.configured = self.kernel.clock.now()
        self.alarms[alarm.name] = alarm
        if not self._ticking:
            self._ticking = True
            self._tick_later()

    def remove(self, name: str) -> None:
        """Delete an alarm; one that is not there is no error."""
        self.alarms.pop(name, None)

    def set_state(self, name: str, state: State, reason: str) -> None:
        """Put an alarm into a state until it is next evaluated; actions are carried out (API: SetAlarmState)."""
        alarm = self.alarms[name]
        if state == alarm.state:
            alarm.reason = reason
        else:
            self._change(alarm, state, reason)

    def _to_next_minute(self) -> float:
        return MINUTE - math.fmod(self.kernel.clock.time(), MINUTE)

    def _tick_later(self) -> None:
        self.kernel.scheduler.call_later(self._to_next_minute(), self._tick, name="cloudwatch:minute", background=True)

    def _tick(self) -> None:
        self._tick_later()
        self.evaluate()

    def _wake(self) -> None:
        """Keep the world busy until the minute's datapoints have been judged."""
        if self._awake or not self.kernel.settled or not self.alarms:
            return
        self._awake = True
        delay = self._to_next_minute() + 1
        self.kernel.scheduler.call_later(delay, self._awakened, name="cloudwatch:evaluate")

    def _awakened(self) -> None:
        self._awake = False

    def evaluate(self) -> None:
        """Judge every alarm on the minutes that are closed."""
        if not self.kernel.settled:
            return
        self._sample_queues()
        for alarm in list(self.alarms.values()):
            state, reason = self._judge(alarm)
            if state != alarm.state:
                self._change(alarm, state, reason)

    def _datapoints(self, alarm: Alarm) -> list[float | None]:
        """One value per period of the evaluation range, latest last; None where there is no data."""
        end = math.floor(self.kernel.clock.time() / MINUTE) * MINUTE
        start = end - (alarm.periods + self.options.extra_datapoints) * alarm.period
        if alarm.metric is not None:
            query = Query("m", alarm.metric, alarm.statistic, alarm.period, "", "", True)
            series = metric_queries.series_of(self.store, query, start, end)
        else:
            solved = metric_queries.solve(self.store, alarm.queries, start, end)
            series = next(solved[query.id] for query in alarm.queries if query.returned)
        return [series.get(stamp) for stamp in range(start, end, alarm.period)]

    def _judge(self, alarm: Alarm) -> tuple[State, str]:
        verdict = judge(alarm.rule, self._datapoints(alarm))
        if verdict.state is None:
            return alarm.state, alarm.reason
        if verdict.state == "INSUFFICIENT_DATA":
            return verdict.state, "Insufficient Data: no datapoints were received"
        shown = ", ".join(f"{point:g}" for point in verdict.considered) or "none"
        reason = (
            f"Threshold Crossed: {verdict.breaching} out of the last {alarm.periods} datapoints [{shown}] "
            f"{'was' if verdict.state == 'ALARM' else 'was not'} {alarm.comparison} ({alarm.threshold:g})"
        )
        return verdict.state, reason

    def _change(self, alarm: Alarm, state: State, reason: str) -> None:
        before, now = alarm.state, self.kernel.clock.now()
        previous = _state_detail(before, alarm.reason, alarm.since or self.kernel.clock.start)
        alarm.state, alarm.reason, alarm.since = state, reason, now
        self.history.append((alarm.name, now, before, state))
        if state == "ALARM" or before == "ALARM":
            self.kernel.note("alarm", f"{alarm.name} is {state}: {reason}", alarm=alarm.name, state=state)
        detail = {
            "alarmName": alarm.name,
            "state": _state_detail(state, reason, now),
            "previousState": previous,
            "configuration": {"description": alarm.description},
        }
        self.bus.emit("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm.arn])
        actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}.get(state, alarm.insufficient_actions)
        for action in actions if alarm.actions_enabled else ():
            self._act(alarm, action, state)

    def _act(self, alarm: Alarm, topic_arn: str, state: State) -> None:
        subject = f'{state}: "{alarm.name}" in {self.kernel.region}'[:100]
        try:
            self.topics.publish_from_service(_PRINCIPAL, alarm.arn, topic_arn, subject, alarm.reason)
        except AwsError as error:
            self.kernel.note("alarm.silent", f"{alarm.name}: action {topic_arn} failed: {error}", alarm=alarm.name)


def _state_detail(state: State, reason: str, at: datetime) -> dict[str, str]:
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return {"value": state, "reason": reason, "timestamp": f"{stamp}+0000"}
