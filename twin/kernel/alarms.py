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

from twin.errors import AwsError
from twin.kernel import metric_queries
from twin.kernel.alarm_model import Alarm
from twin.kernel.alarm_rules import State, judge
from twin.kernel.bus import EventBus
from twin.kernel.composites import Composite
from twin.kernel.kernel import Entry, Kernel
from twin.kernel.metric_queries import Query
from twin.kernel.metrics import MINUTE, Metric, MetricStore, Sample
from twin.kernel.queues import Queues
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
        composites: composite alarms by name.
        actors: by service of the action's ARN (`autoscaling`), what carries out actions that are no topic's: called
            with the alarm and the ARN when it goes into ALARM and each minute that it stays there.
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
        self.composites: dict[str, Composite] = {}
        self.actors: dict[str, Callable[[Alarm, str], object]] = {}
        self.history: list[tuple[str, datetime, State, State]] = []
        self._watchers: dict[Metric, dict[str, Alarm]] = {}
        self._parents: dict[str, dict[str, None]] = {}
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
        watching = self._watchers.get(metric, {}).values()
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
        for queue in self.queues.all:
            for name, value in (
                ("ApproximateNumberOfMessagesVisible", float(len(queue.waiting))),
                ("ApproximateNumberOfMessagesNotVisible", float(len(queue.hidden))),
                ("ApproximateAgeOfOldestMessage", queue.oldest_age(now_ms)),
            ):
                metric = Metric.of("AWS/SQS", name, {"QueueName": queue.name})
                if self._watchers.get(metric):
                    # The sample belongs to the minute that ends now.
                    self.store.add(metric, self.kernel.clock.time() - 0.001, Sample.single(value))

    # --- alarms ------------------------------------------------------------------------------------------------------
    def add(self, alarm: Alarm) -> None:
        """Add an alarm or replace the one of that name, which keeps its state (CloudWatch API: PutMetricAlarm)."""
        before = self.alarms.get(alarm.name)
        if before is not None:
            alarm.state, alarm.reason, alarm.since = before.state, before.reason, before.since
            alarm.tags = before.tags
            self.remove(alarm.name)
        for metric in alarm.watched:
            self._watchers.setdefault(metric, {})[alarm.name] = alarm
        alarm.configured = self.kernel.clock.now()
        self.alarms[alarm.name] = alarm
        if not self._ticking:
            self._ticking = True
            self._tick_later()

    def remove(self, name: str) -> None:
        """Delete an alarm, composite or not; one that is not there is no error."""
        alarm, composite = self.alarms.pop(name, None), self.composites.pop(name, None)
        for metric in alarm.watched if alarm else ():
            self._watchers[metric].pop(name, None)
        for child in composite.children if composite else ():
            self._parents[child].pop(name, None)

    def add_composite(self, alarm: Composite) -> None:
        """Add a composite alarm or replace the one of that name, which keeps its state."""
        before = self.composites.get(alarm.name)
        if before is not None:
            alarm.state, alarm.reason, alarm.since, alarm.tags = before.state, before.reason, before.since, before.tags
            self.remove(alarm.name)
        for child in alarm.children:
            self._parents.setdefault(child, {})[alarm.name] = None
        alarm.configured = self.kernel.clock.now()
        self.composites[alarm.name] = alarm

    def parents(self, name: str) -> list[str]:
        """Names of the composite alarms whose rules name the alarm."""
        return list(self._parents.get(name, ()))

    def set_state(self, name: str, state: State, reason: str) -> None:
        """Put an alarm into a state until it is next evaluated; actions are carried out (API: SetAlarmState)."""
        alarm = self.alarms.get(name) or self.composites[name]
        if state == alarm.state:
            alarm.reason = reason
        else:
            self._change(alarm, state, reason)
        self._judge_composites()

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
            elif state == "ALARM" and alarm.actions_enabled:
                self._act_again(alarm)
        self._judge_composites()

    def _judge_composites(self) -> None:
        """Until nothing changes any more: rules name composite alarms too. A cycle is given up."""
        for _ in range(len(self.composites)):
            states = {name: one.state for name, one in self.alarms.items()}
            states |= {name: one.state for name, one in self.composites.items()}
            changes = [
                (one, state) for one in self.composites.values() if (state := _of_rule(one, states)) != one.state
            ]
            for one, state in changes:
                self._change(one, state, f"{one.rule} is {'true' if state == 'ALARM' else 'false'}")
            if not changes:
                return

    def _act_again(self, alarm: Alarm) -> None:
        """Scaling goes on for each period in ALARM (CloudWatch user guide, "Alarm actions"); messages do not."""
        for action in alarm.alarm_actions:
            if action.split(":")[2] in self.actors:
                self._act(alarm, action, "ALARM")

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

    def _change(self, alarm: Alarm | Composite, state: State, reason: str) -> None:
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

    def _act(self, alarm: Alarm | Composite, action: str, state: State) -> None:
        actor = self.actors.get(action.split(":")[2])
        if actor is not None and isinstance(alarm, Alarm):
            actor(alarm, action)
        else:
            self._publish(alarm, action, state)

    def _publish(self, alarm: Alarm | Composite, topic_arn: str, state: State) -> None:
        subject = f'{state}: "{alarm.name}" in {self.kernel.region}'[:100]
        try:
            self.topics.publish_from_service(_PRINCIPAL, alarm.arn, topic_arn, subject, alarm.reason)
        except AwsError as error:
            self.kernel.note("alarm.silent", f"{alarm.name}: action {topic_arn} failed: {error}", alarm=alarm.name)


def _of_rule(alarm: Composite, states: Mapping[str, State]) -> State:
    return "ALARM" if alarm.truth(states) else "OK"


def _state_detail(state: State, reason: str, at: datetime) -> dict[str, str]:
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return {"value": state, "reason": reason, "timestamp": f"{stamp}+0000"}
