"""CloudWatch metrics and alarms, on the simulated clock.

Source: CloudWatch user guide ("Using Amazon CloudWatch alarms": evaluation periods, datapoints to alarm, missing data),
the metric pages of Lambda, SQS, Step Functions and EventBridge.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Api, Call, operation
from twin.kernel.bus import EventBus
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Entry, Kernel
from twin.kernel.queues import Queues
from twin.kernel.topics import Topics

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Dimensions = tuple[tuple[str, str], ...]

_PRINCIPAL = "cloudwatch.amazonaws.com"
_TICK = 60.0
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
_STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Sum": sum,
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "SampleCount": lambda values: float(len(values)),
}
_MISSING = ("missing", "notBreaching", "breaching", "ignore")
_EXECUTION_METRICS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}
_WAKING = ("message.dead", "event.dead", "execution.ended", "function.discarded")
"""Notes after which alarms are looked at once more even if the world falls quiet."""


@dataclass(frozen=True)
class Metric:
    namespace: str
    name: str
    dimensions: Dimensions

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
        return cls(namespace, name, tuple(sorted(dimensions.items())))


@dataclass
class Alarm:
    """A metric alarm. `state` is INSUFFICIENT_DATA until the first evaluation.

    Attributes:
        to_alarm: DatapointsToAlarm.
        missing: TreatMissingData.
        alarm_actions, ok_actions: topic ARNs.
    """

    name: str
    arn: str
    description: str
    metric: Metric
    statistic: str
    period: int
    periods: int
    to_alarm: int
    threshold: float
    comparison: str
    missing: str = "missing"
    alarm_actions: tuple[str, ...] = ()
    ok_actions: tuple[str, ...] = ()
    state: State = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    since: datetime | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("statistic", self.statistic, _STATISTICS),
            ("comparison", self.comparison, _COMPARE),
            ("TreatMissingData", self.missing, _MISSING),
        ):
            if value not in known:
                raise Unmodelled(f"alarm {self.name}: {what} {value}")
        if self.period % 60 or self.period < 60:
            raise Unmodelled(f"alarm {self.name}: a period of {self.period} s")


@dataclass
class _Series:
    """Datapoints of one metric in order of time."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, at: float, value: float) -> None:
        index = bisect_left(self.times, at)
        while index < len(self.times) and self.times[index] == at:
            index += 1
        self.times.insert(index, at)
        self.values.insert(index, value)

    def between(self, start: float, end: float) -> list[float]:
        return self.values[bisect_left(self.times, start) : bisect_left(self.times, end)]


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


class Alarms(Api):
    """Amazon CloudWatch: metrics that the twin's services and functions emit, and alarms on them.

    Alarms are evaluated at each full minute over closed minutes.

    Attributes:
        alarms: by name.
        history: every change of state: (alarm name, at, from, to).
    """

    def __init__(self, kernel: Kernel, gateway: Gateway, topics: Topics, queues: Queues, bus: EventBus) -> None:
        super().__init__()
        self.service = "cloudwatch"
        self.kernel = kernel
        self.gateway = gateway
        self.topics = topics
        self.queues = queues
        self.bus = bus
        self.alarms: dict[str, Alarm] = {}
        self.history: list[tuple[str, datetime, State, State]] = []
        self._series: dict[Metric, _Series] = {}
        self._awake = False
        gateway.register(self)
        kernel.listeners.append(self._noted)

    # --- metrics -----------------------------------------------------------------------------------------------------
    def put(self, namespace: str, name: str, dimensions: Mapping[str, str], value: float) -> None:
        """Add a datapoint at the present time; one that crosses an alarm's threshold keeps the world awake for it."""
        metric = Metric.of(namespace, name, dimensions)
        self._series.setdefault(metric, _Series()).add(self.kernel.clock.time(), value)
        watching = [alarm for alarm in self.alarms.values() if alarm.metric == metric]
        if any(_COMPARE[alarm.comparison](value, alarm.threshold) for alarm in watching):
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
        return sum(
            sum(series.values)
            for metric, series in self._series.items()
            if (metric.namespace, metric.name) == (namespace, name)
            and (dimensions is None or metric == Metric.of(namespace, name, dimensions))
        )

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
        watched = {alarm.metric for alarm in self.alarms.values() if alarm.metric.namespace == "AWS/SQS"}
        for queue in self.queues.all:
            for name, value in (
                ("ApproximateNumberOfMessagesVisible", float(len(queue.waiting))),
                ("ApproximateNumberOfMessagesNotVisible", float(len(queue.hidden))),
                ("ApproximateAgeOfOldestMessage", queue.oldest_age(now_ms)),
            ):
                metric = Metric.of("AWS/SQS", name, {"QueueName": queue.name})
                if metric in watched:
                    # The sample belongs to the minute that ends now.
                    self._series.setdefault(metric, _Series()).add(self.kernel.clock.time() - 0.001, value)

    # --- alarms ------------------------------------------------------------------------------------------------------
    def add(self, alarm: Alarm) -> None:
        if not self.alarms:
            self._tick_later()
        self.alarms[alarm.name] = alarm

    def _to_next_minute(self) -> float:
        return _TICK - math.fmod(self.kernel.clock.time(), _TICK)

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
        for alarm in self.alarms.values():
            state, reason = self._judge(alarm)
            if state != alarm.state:
                self._change(alarm, state, reason)

    def _datapoints(self, alarm: Alarm) -> list[float | None]:
        """One value per evaluation period, latest last; None where there is no data."""
        end = math.floor(self.kernel.clock.time() / 60) * 60
        series = self._series.get(alarm.metric, _Series())
        made: list[float | None] = []
        for index in range(alarm.periods, 0, -1):
            values = series.between(end - index * alarm.period, end - (index - 1) * alarm.period)
            made.append(_STATISTICS[alarm.statistic](values) if values else None)
        return made

    def _judge(self, alarm: Alarm) -> tuple[State, str]:
        points = self._datapoints(alarm)
        present = [point for point in points if point is not None]
        if not present and alarm.missing == "missing":
            return "INSUFFICIENT_DATA", "Insufficient Data: no datapoints were received"
        if not present and alarm.missing == "ignore":
            return alarm.state, alarm.reason
        compare = _COMPARE[alarm.comparison]
        breaching = sum(compare(point, alarm.threshold) for point in present)
        if alarm.missing == "breaching":
            breaching += len(points) - len(present)
        shown = ", ".join(f"{point:g}" for point in present) or "none"
        crossed = breaching >= alarm.to_alarm
        reason = (
            f"Threshold Crossed: {breaching} out of the last {len(points)} datapoints [{shown}] "
            f"{'was' if crossed else 'was not'} {alarm.comparison} ({alarm.threshold:g})"
        )
        return ("ALARM" if crossed else "OK"), reason

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
        for action in alarm.alarm_actions if state == "ALARM" else alarm.ok_actions if state == "OK" else ():
            self._act(alarm, action, state)

    def _act(self, alarm: Alarm, topic_arn: str, state: State) -> None:
        subject = f'{state}: "{alarm.name}" in {self.kernel.region}'[:100]
        try:
            self.topics.publish_from_service(_PRINCIPAL, alarm.arn, topic_arn, subject, alarm.reason)
        except AwsError as error:
            self.kernel.note("alarm.silent", f"{alarm.name}: action {topic_arn} failed: {error}", alarm=alarm.name)

    # --- API ---------------------------------------------------------------------------------------------------------
    @operation("DescribeAlarms", ["AlarmNames", "AlarmNamePrefix", "StateValue"])
    def describe_alarms(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """CloudWatch API: DescribeAlarms, metric alarms only."""
        names, prefix, state = params.get("AlarmNames"), params.get("AlarmNamePrefix", ""), params.get("StateValue")
        chosen = [
            alarm
            for name, alarm in sorted(self.alarms.items())
            if (names is None or name in names) and name.startswith(prefix) and state in (None, alarm.state)
        ]
        return {"MetricAlarms": [_described(alarm) for alarm in chosen], "CompositeAlarms": []}

    @operation("PutMetricData", ["Namespace", "MetricData"])
    def put_metric_data(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """CloudWatch API: PutMetricData, single values at the present time."""
        if params["Namespace"].startswith("AWS/"):
            raise AwsError("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.")
        for datum in params["MetricData"]:
            extra = sorted(set(datum) - {"MetricName", "Dimensions", "Value", "Unit"})
            if extra:
                raise Unmodelled(f"cloudwatch:PutMetricData: member {extra[0]} of a datum")
            dimensions = {item["Name"]: item["Value"] for item in datum.get("Dimensions", ())}
            self.put(params["Namespace"], datum["MetricName"], dimensions, float(datum["Value"]))
        return {}


def _state_detail(state: State, reason: str, at: datetime) -> dict[str, str]:
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return {"value": state, "reason": reason, "timestamp": f"{stamp}+0000"}


def _described(alarm: Alarm) -> dict[str, Any]:
    return {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmDescription": alarm.description,
        "ActionsEnabled": True,
        "OKActions": list(alarm.ok_actions),
        "AlarmActions": list(alarm.alarm_actions),
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "Namespace": alarm.metric.namespace,
        "MetricName": alarm.metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in alarm.metric.dimensions],
        "Statistic": alarm.statistic,
        "Period": alarm.period,
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": alarm.to_alarm,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison,
        "TreatMissingData": alarm.missing,
    }
