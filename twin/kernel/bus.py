"""The event bus: rules, schedules, deliveries with retries and dead-letter queues, and its faults.

Source: EventBridge user guide ("Event bus concepts", "Retrying event delivery", "Using dead-letter queues", "Events in
scheduled rules"), PutEvents in the EventBridge API reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel import schedules
from twin.kernel.api import AWS_EVENTS, Api, Call, operation
from twin.kernel.clock import iso
from twin.kernel.foreign_rules import ForeignRule, ForeignRules
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.pattern import EventPattern, Fields, flatten
from twin.kernel.queues import Queues

FaultKind = Literal["lost", "doubled", "late", "reordered"]

_PRINCIPAL = "events.amazonaws.com"
_MAX_ENTRY = 262_144
_MAX_ENTRIES = 10
_FINAL_ERRORS = {
    "AccessDenied": "NO_PERMISSIONS",
    "AccessDeniedException": "NO_PERMISSIONS",
    "AWS.SimpleQueueService.NonExistentQueue": "RESOURCE_NOT_FOUND",
    "ResourceNotFoundException": "RESOURCE_NOT_FOUND",
    "StateMachineDoesNotExist": "RESOURCE_NOT_FOUND",
}
"""Errors that EventBridge does not retry, by code of the target's API, and what the dead letter calls them."""

_REQUIRED = ("id", "detail-type", "source", "account", "time", "region", "resources", "detail")


@dataclass(frozen=True)
class Target:
    """A rule's target.

    Attributes:
        arn: a queue, a function (alias) or a state machine (alias).
        role_arn: the role that EventBridge assumes; needed for state machines.
        dead_letter_arn: queue for events that could not be delivered.
        attempts: MaximumRetryAttempts (0 to 185).
        max_age: MaximumEventAgeInSeconds (60 to 86,400).
        input: constant text sent instead of the event.
    """

    id: str
    arn: str
    role_arn: str | None = None
    dead_letter_arn: str | None = None
    attempts: int = 185
    max_age: float = 86_400
    input: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.attempts <= 185 or not 60 <= self.max_age <= 86_400:
            raise WorldError(
                f"target {self.id}: RetryPolicy {self.attempts} attempts, {self.max_age:g} s out of bounds"
            )


@dataclass(frozen=True)
class Rule:
    name: str
    arn: str
    pattern: EventPattern | None
    schedule: schedules.Schedule | None
    targets: tuple[Target, ...]
    enabled: bool = True
    text: str = ""
    """The pattern as JSON or the schedule's expression, as the API shows it."""

    def matches(self, fields: Fields) -> bool:
        return self.pattern is not None and self.pattern.matches_fields(fields)


@dataclass
class EventFault:
    """What the world does to events on their way to the bus.

    Attributes:
        kind: `lost`; `doubled`: delivered again after `seconds`; `late`: by `seconds`; `reordered`: held until the next
            event of the kind has passed, but at most `seconds`.
        detail_type: struck events; None for all.
        probability: chance of each event to be struck.
        times: how many are struck; None is no limit.
        after, until: simulated seconds since the start between which it strikes.
    """

    kind: FaultKind
    detail_type: str | None = None
    probability: float = 1.0
    seconds: float = 60.0
    times: int | None = None
    after: float = 0.0
    until: float | None = None
    held: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def concerns(self, event: Mapping[str, Any], elapsed: float) -> bool:
        if elapsed < self.after or (self.until is not None and elapsed >= self.until):
            return False
        return self.detail_type in (None, event["detail-type"])


class EventBus(ForeignRules, Api):
    """The account's default event bus.

    Events of a world that is still being built belong to its past and are not delivered.

    Attributes:
        history: every event that reached the bus, in order, doubles included.
        faults: what happens to events before they reach it.
        latency: simulated seconds from put to the first delivery.
        listeners: told of every event that reached the bus, with the rules that it matched.
    """

    def __init__(self, kernel: Kernel, gateway: Gateway, queues: Queues | None = None, *, latency: float = 0.3) -> None:
        super().__init__()
        self.service = "events"
        self.kernel = kernel
        self.gateway = gateway
        self.queues = queues
        self.latency = latency
        self.history: list[dict[str, Any]] = []
        self.faults: list[EventFault] = []
        self.listeners: list[Callable[[Mapping[str, Any], list[Rule]], None]] = []
        self.foreign: dict[str, ForeignRule] = {}
        self._rules: dict[str, Rule] = {}
        self._ids = kernel.rng("events")
        self._chance = kernel.rng("event-faults")
        self._backoff = kernel.rng("event-retries")
        gateway.register(self)
        gateway.completed.append(self._parameter_changed)

    @property
    def published(self) -> list[dict[str, Any]]:
        """What Caretaker itself published."""
        return [event for event in self.history if event["source"] == "caretaker"]

    # --- rules -------------------------------------------------------------------------------------------------------
    def add(self, rule: Rule) -> None:
        """Create a rule. One with a schedule fires first when its rate has passed, or at its cron time."""
        if rule.name in self._rules:
            raise WorldError(f"rule {rule.name} exists twice")
        if not 1 <= len(rule.targets) <= 5:
            raise WorldError(f"rule {rule.name} has {len(rule.targets)} targets, not 1 to 5")
        self._rules[rule.name] = rule
        if rule.schedule is not None and rule.enabled:
            self._schedule(rule, rule.schedule, self.kernel.clock.now())

    @property
    def rules(self) -> list[Rule]:
        return list(self._rules.values())

    def _schedule(self, rule: Rule, schedule: schedules.Schedule, last: datetime) -> None:
        moment = schedule.after(last)
        elapsed = (moment - self.kernel.clock.start).total_seconds()
        name = f"schedule:{rule.name}"
        self.kernel.scheduler.call_at(elapsed, lambda: self._fire(rule, schedule, moment), name=name, background=True)

    def _fire(self, rule: Rule, schedule: schedules.Schedule, moment: datetime) -> None:
        self._schedule(rule, schedule, moment)
        event = self._envelope("aws.events", "Scheduled Event", {}, [rule.arn])
        self.kernel.note("schedule", rule.name, rule=rule.name)
        self._deliver(rule, event)

    # --- events ------------------------------------------------------------------------------------------------------
    def put(self, event: Mapping[str, Any]) -> None:
        """Put an event as AWS, a partner or a world's file has it: with its whole envelope."""
        missing = [name for name in _REQUIRED if name not in event]
        if missing:
            raise WorldError(f"event has no {missing[0]!r}")
        if not isinstance(event["detail"], Mapping) or not isinstance(event["resources"], list):
            raise WorldError(f"event {event['id']}: detail must be an object, resources a list")
        if self.kernel.settled:
            self._through_faults(json.loads(json.dumps(event)))

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
        """Put an event of an AWS service: id, time, region and account are filled in."""
        if self.kernel.settled:
            self.put(self._envelope(source, detail_type, detail, resources))

    def _envelope(
        self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]
    ) -> dict[str, Any]:
        return {
            "version": "0",
            "id": self._id(),
            "detail-type": detail_type,
            "source": source,
            "account": self.kernel.account,
            "time": iso(self.kernel.clock.now(), "seconds"),
            "region": self.kernel.region,
            "resources": resources,
            "detail": dict(detail),
        }

    def _id(self) -> str:
        digits = f"{self._ids.getrandbits(128):032x}"
        return "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))

    def _through_faults(self, event: dict[str, Any]) -> None:
        waiting = [fault.held for fault in self.faults if fault.held and fault.concerns(event, self._elapsed())]
        fault = self._struck(event)
        if fault is None or fault.kind == "doubled":
            self._arrive_after(self.latency, event)
        if fault is not None:
            self.kernel.note(f"event.{fault.kind}", f"{event['detail-type']} is {fault.kind}", event=event["id"])
            if fault.kind in ("late", "doubled"):
                self._arrive_after(self.latency + fault.seconds, event)
            elif fault.kind == "reordered":
                self._hold(fault, event)
        for release in waiting:
            release()

    def _struck(self, event: Mapping[str, Any]) -> EventFault | None:
        for fault in self.faults:
            able = fault.times != 0 and fault.held is None and fault.concerns(event, self._elapsed())
            if able and self._chance.random() < fault.probability:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _hold(self, fault: EventFault, event: dict[str, Any]) -> None:
        def release() -> None:
            if fault.held is release:
                fault.held = None
                timer.cancel()
                self._arrive_after(self.latency, event)

        timer = self.kernel.scheduler.call_later(fault.seconds, release, name="event:held")
        fault.held = release

    def _arrive_after(self, seconds: float, event: dict[str, Any]) -> None:
        self.kernel.scheduler.call_later(seconds, lambda: self._arrive(event), name=f"event:{event['detail-type']}")

    def _arrive(self, event: dict[str, Any]) -> None:
        self.history.append(event)
        fields = flatten(event)
        matched = [rule for rule in self._rules.values() if rule.enabled and rule.matches(fields)]
        if matched or not event["source"].startswith("aws."):
            text = f"{event['source']}: {event['detail-type']}"
            self.kernel.note("event.put", text, event=event["id"], rules=[rule.name for rule in matched])
        for listener in self.listeners:
            listener(event, matched)
        for rule in matched:
            self._deliver(rule, event)

    # --- delivery ----------------------------------------------------------------------------------------------------
    def _deliver(self, rule: Rule, event: Mapping[str, Any]) -> None:
        for target in rule.targets:
            delivery = _Delivery(self, rule, target, event, self._elapsed())
            self.kernel.scheduler.spawn(delivery.attempt, name=f"deliver:{rule.name}:{target.id}")

    def retry_delay(self, attempt: int) -> float:
        """Seconds before a retry. AWS: "exponential back off and jitter"; that 185 retries fill 24 h is all it says."""
        return float(min(2.0 ** (attempt - 1), 600.0) * (0.5 + self._backoff.random() / 2))

    def _elapsed(self) -> float:
        return self.kernel.clock.elapsed

    # --- API ---------------------------------------------------------------------------------------------------------
    @operation("PutEvents", ["Entries"])
    def put_events(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """EventBridge API: PutEvents. Entries succeed or fail one by one."""
        entries = params["Entries"]
        if not 1 <= len(entries) <= _MAX_ENTRIES:
            raise AwsError(
                "ValidationException",
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length "
                f"less than or equal to {_MAX_ENTRIES}",
            )
        if sum(_entry_size(entry) for entry in entries) > _MAX_ENTRY:
            raise AwsError("ValidationException", "Total size of the entries in the request is over the limit.")
        answers = [self._put_entry(entry) for entry in entries]
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    def _put_entry(self, entry: Mapping[str, Any]) -> dict[str, str]:
        extra = sorted(set(entry) - {"Source", "DetailType", "Detail", "Resources", "EventBusName", "Time"})
        if extra:
            raise Unmodelled(f"events:PutEvents: member {extra[0]} of an entry")
        bus = entry.get("EventBusName", "default")
        if bus not in ("default", self.kernel.arn("events", "event-bus/default")):
            raise Unmodelled(f"events:PutEvents: event bus {bus}")
        for name in ("Source", "DetailType", "Detail"):
            if not entry.get(name):
                text = f"Parameter {name} is not valid. Reason: {name} is a required argument."
                return {"ErrorCode": "InvalidArgument", "ErrorMessage": text}
        if entry["Source"].startswith("aws."):
            text = "Not authorized for the source."
            return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": text}
        detail = _parsed_object(entry["Detail"])
        if detail is None:
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        event = self._envelope(entry["Source"], entry["DetailType"], detail, list(entry.get("Resources", [])))
        if isinstance(entry.get("Time"), datetime):
            event["time"] = iso(entry["Time"], "seconds")
        self.put(event)
        return {"EventId": event["id"]}

    def _parameter_changed(self, call: Call, response: Mapping[str, Any]) -> None:
        """Parameter Store's change events. Source: Systems Manager user guide, "Parameter Store Change"."""
        if call.service != "ssm" or call.operation not in ("PutParameter", "DeleteParameter", "DeleteParameters"):
            return
        if call.operation == "PutParameter":
            names, kind = [call.params["Name"]], "Create" if response.get("Version") == 1 else "Update"
        else:
            names, kind = call.params.get("Names") or [call.params["Name"]], "Delete"
        for name in names:
            detail = {"operation": kind, "name": name, "type": call.params.get("Type", "String")}
            if "Description" in call.params:
                detail["description"] = call.params["Description"]
            arn = self.kernel.arn("ssm", f"parameter/{name.lstrip('/')}")
            self.emit("aws.ssm", "Parameter Store Change", detail, [arn])


@dataclass
class _Delivery:
    """One event on its way to one target."""

    bus: EventBus
    rule: Rule
    target: Target
    event: Mapping[str, Any]
    since: float
    retries: int = 0

    @property
    def body(self) -> str:
        return self.target.input or json.dumps(self.event, separators=(",", ":"))

    def attempt(self) -> None:
        try:
            self._send()
        except AwsError as error:
            self._failed(error)

    def _send(self) -> None:
        service = self.target.arn.split(":")[2]
        if service == "sqs":
            self._queues().send_from_service(_PRINCIPAL, self.rule.arn, self.target.arn, self.body)
        elif service == "lambda":
            self._invoke()
        elif service == "states":
            self._start_execution()
        else:
            raise Unmodelled(f"rule {self.rule.name}: a target of service {service}")

    def _queues(self) -> Queues:
        if self.bus.queues is None:
            raise RuntimeError("event bus: a rule delivers to a queue, but the queues were not given")
        return self.bus.queues

    def _invoke(self) -> None:
        iam = self.bus.gateway.iam
        denied = iam.service_denied(_PRINCIPAL, "lambda:InvokeFunction", self.target.arn, self.rule.arn)
        if denied:
            raise AwsError("AccessDeniedException", denied, 403)
        params = {"FunctionName": self.target.arn, "InvocationType": "Event", "Payload": self.body.encode()}
        self.bus.gateway.call("lambda", "Invoke", params, AWS_EVENTS)

    def _start_execution(self) -> None:
        machine = ":".join(self.target.arn.split(":")[:7])
        iam = self.bus.gateway.iam
        denied = iam.role_denied(self.target.role_arn or "", "states:StartExecution", machine, _PRINCIPAL)
        if denied:
            raise AwsError("AccessDeniedException", denied, 403)
        params = {"stateMachineArn": self.target.arn, "input": self.body}
        self.bus.gateway.call("stepfunctions", "StartExecution", params, AWS_EVENTS)

    def _failed(self, error: AwsError) -> None:
        final = _FINAL_ERRORS.get(error.code)
        if final is not None:
            self._give_up(final, error.message, None)
            return
        delay = self.bus.retry_delay(self.retries + 1)
        kernel = self.bus.kernel
        if self.retries >= self.target.attempts:
            self._give_up(error.code, error.message, "MaximumRetryAttempts")
        elif kernel.clock.elapsed + delay - self.since > self.target.max_age:
            self._give_up(error.code, error.message, "MaximumEventAgeInSeconds")
        else:
            self.retries += 1
            kernel.scheduler.call_later(delay, self.attempt, name=f"deliver:{self.rule.name}:{self.target.id}")

    def _give_up(self, code: str, message: str, exhausted: str | None) -> None:
        attributes = {
            "RULE_ARN": self.rule.arn,
            "TARGET_ARN": self.target.arn,
            "ERROR_CODE": code,
            "ERROR_MESSAGE": message,
            **({"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted else {}),
            "RETRY_ATTEMPTS": str(self.retries),
        }
        where = f"rule {self.rule.name}, target {self.target.id}: {code}: {message}"
        if self.target.dead_letter_arn is None:
            self.bus.kernel.note("event.dropped", where, event=self.event["id"], rule=self.rule.name)
            return
        typed = {name: {"StringValue": value, "DataType": "String"} for name, value in attributes.items()}
        try:
            self._queues().send_from_service(
                _PRINCIPAL, self.rule.arn, self.target.dead_letter_arn, json.dumps(self.event), typed
            )
        except AwsError as error:
            text = f"{where}; its dead-letter queue refused it: {error}"
            self.bus.kernel.note("event.dropped", text, event=self.event["id"], rule=self.rule.name)
        else:
            self.bus.kernel.note("event.dead", where, event=self.event["id"], rule=self.rule.name)


def _entry_size(entry: Mapping[str, Any]) -> int:
    """PutEvents: "Calculating PutEvents event entry size"."""
    size = sum(len(str(entry.get(name, "")).encode()) for name in ("Source", "DetailType", "Detail"))
    return (
        size + sum(len(resource.encode()) for resource in entry.get("Resources", ())) + (14 if "Time" in entry else 0)
    )


def _parsed_object(text: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None
