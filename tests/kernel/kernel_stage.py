"""A small account for tests of the kernel: gateway, bus, queues, topics, alarms; stand-ins for the Lambda runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from twin.errors import AwsError
from twin.kernel.alarms import Alarms
from twin.kernel.api import Api, Call, Caller, operation
from twin.kernel.bus import EventBus, Rule, Target
from twin.kernel.cloudwatch import CloudWatch
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.pattern import EventPattern
from twin.kernel.queues import Queue, Queues
from twin.kernel.topics import Topics

START = datetime(2026, 10, 5, 12, 0, 0, tzinfo=UTC)
ACCOUNT = "111122223333"
FUNCTION = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:worker"
OPERATOR = Caller("operator", "olga")


@dataclass(frozen=True)
class Result:
    payload: Any = None
    error: Any = None


@dataclass
class Invoked:
    at: float
    payload: dict[str, Any]

    @property
    def bodies(self) -> list[str]:
        return [record["body"] for record in self.payload["Records"]]


@dataclass
class Workers:
    """Stands in for the Lambda runtime where only its answers matter."""

    kernel: Kernel
    answer: Callable[[dict[str, Any]], Result] = lambda payload: Result()
    seconds: float = 0.0
    invoked: list[Invoked] = field(default_factory=list)

    def invoke(self, name_or_arn: str, payload: dict[str, Any], caller: Caller) -> Result:
        self.invoked.append(Invoked(self.kernel.clock.elapsed, payload))
        result = self.answer(payload)
        if self.seconds:
            self.kernel.scheduler.sleep(self.seconds)
        return result


class LambdaFront(Api):
    """The Invoke operation, which fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.service = "lambda"
        self.events: list[Any] = []
        self.errors: list[AwsError] = []

    @operation("Invoke", ["FunctionName", "InvocationType", "Payload"])
    def invoke(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if self.errors:
            raise self.errors.pop(0)
        self.events.append(json.loads(params["Payload"]))
        return {"StatusCode": 202}


class Account:
    def __init__(self, *, seed: int = 1) -> None:
        self.kernel = Kernel(START, seed=seed, region="eu-west-1", account=ACCOUNT)
        self.gateway = Gateway(self.kernel)
        self.gateway.validate_responses = True
        self.workers = Workers(self.kernel)
        self.queues = Queues(self.kernel, self.gateway, self.workers)
        self.bus = EventBus(self.kernel, self.gateway, self.queues)
        self.topics = Topics(self.kernel, self.gateway)
        self.alarms = Alarms(self.kernel, self.topics, self.queues, self.bus)
        self.gateway.register(CloudWatch(self.alarms))
        self.functions = LambdaFront()
        self.gateway.register(self.functions)

    def settle(self) -> Account:
        self.kernel.settled = True
        return self

    def run(self, until: float | None = None) -> bool:
        return self.kernel.scheduler.run(until)

    def open_queue(self, name: str, rule: str | None = None, **settings: Any) -> Queue:
        """A queue to which EventBridge may send, for one rule or for all."""
        queue = self.queues.add(name, **settings)
        condition = {"ArnEquals": {"aws:SourceArn": self.rule_arn(rule)}} if rule else {}
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue.arn,
            "Condition": condition,
        }
        self.gateway.iam.add_resource_policy(queue.arn, {"Statement": [statement]}, name)
        return queue

    def rule_arn(self, name: str) -> str:
        return self.kernel.arn("events", f"rule/{name}")

    def add_rule(self, name: str, pattern: Any, *targets: Target, **more: Any) -> Rule:
        rule = Rule(
            name, self.rule_arn(name), EventPattern.compile(pattern) if pattern else None, None, targets, **more
        )
        self.bus.add(rule)
        return rule

    def allow_invoke(self, rule: str, function: str = FUNCTION) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": function,
            "Condition": {"ArnLike": {"AWS:SourceArn": self.rule_arn(rule)}},
        }
        self.gateway.iam.add_resource_policy(function, {"Statement": [statement]}, rule)

    def notes(self, kind: str) -> list[str]:
        return [entry.text for entry in self.kernel.timeline if entry.kind == kind]


def bodies(queue: Queue) -> list[Any]:
    return [json.loads(message.body) for message in queue.waiting]
