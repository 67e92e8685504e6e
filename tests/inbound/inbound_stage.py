"""Intake's surroundings: the table in moto, clusters and a state machine in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from caretaker.aws import ecs, stepfunctions
from caretaker.aws.errors import AwsFailure, TokenGone
from caretaker.aws.paging import Found
from caretaker.inbound.handlers import intake
from caretaker.runtime import claims, journal
from caretaker.runtime.claims import Claim
from caretaker.runtime.table import Table, table
from moto import mock_aws

from tests.deployed import NOBODY, TABLE, environment

EVENTS = Path(__file__).resolve().parents[2] / "events"
REGION = "us-east-1"
CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/shop"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:replace:live"
NOW = datetime(2026, 10, 5, 10, 0, 20, tzinfo=UTC)
H1, H2, H3, H4 = (f"i-0a1b2c3d4e5f6000{n}" for n in (1, 2, 3, 4))


def sample(name: str) -> dict[str, Any]:
    """A sample event by its file's name."""
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return loaded


def changed(event: Mapping[str, Any], /, *, detail: Mapping[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A copy of an event with other members; None leaves a member out."""
    copy = json.loads(json.dumps({**event, **members}))
    copy["detail"] = {**event["detail"], **(detail or {})}
    copy["detail"] = {key: value for key, value in copy["detail"].items() if value is not None}
    return {key: value for key, value in copy.items() if value is not None}


def records(*events: Any, now: datetime = NOW) -> dict[str, Any]:
    """What Lambda receives from the queue."""
    stamp = str(int(now.timestamp() * 1000))
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": event if isinstance(event, str) else json.dumps(event),
                "attributes": {"SentTimestamp": stamp, "ApproximateFirstReceiveTimestamp": stamp},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:intake",
                "awsRegion": REGION,
            }
            for number, event in enumerate(events, 1)
        ]
    }


@dataclass
class Machine:
    """Executions by name, with Step Functions' rules for names."""

    inputs: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    woken: list[str] = field(default_factory=list)
    broken: bool = False

    def start(self, machine: str, name: str, text: str) -> bool:
        assert machine == MACHINE
        if self.broken:
            raise AwsFailure("StartExecution", "Broken", "words")
        if name in self.closed:
            return False
        assert self.inputs.setdefault(name, text) == text, "an execution runs under this name with another input"
        return True

    def wake(self, token: str) -> None:
        if token not in self.tokens:
            raise TokenGone("SendTaskFailure", "TaskDoesNotExist", "words")
        self.tokens.remove(token)
        self.woken.append(token)


@dataclass
class Stage:
    """Everything that intake meets."""

    table: Table
    machine: Machine
    clusters: dict[str, list[str]]
    unreadable: set[str] = field(default_factory=set)

    def intake(self, *events: Any, now: datetime = NOW) -> list[str]:
        """Deliver events as one batch; returns the ids of messages that come again (`m1`, …)."""
        answer = intake.handler(records(*events, now=now), None)
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]

    def policy(self, name: str = "defaults", **hosts: Any) -> None:
        boto3.client("ssm").put_parameter(
            Name=f"/caretaker/policy/{name}", Value=json.dumps({"hosts": hosts}), Type="String", Overwrite=True
        )

    def claim(self, instance: str) -> Claim | None:
        return claims.find(self.table, [instance]).get(instance)

    def close(self, work: str, outcome: journal.Outcome, retry: timedelta | None = None) -> None:
        self.machine.closed.add(work)
        item = journal.get_work(self.table, work)
        claims.close(self.table, item, outcome, "words", NOW, NOW + retry if retry else None)

    # --- in place of caretaker.aws.ecs --------------------------------------------------------------------------------

    def list_clusters(self) -> list[str]:
        return sorted(self.clusters)

    def find_container_instances(self, cluster: str, instances: list[str]) -> Found:
        if cluster in self.unreadable:
            raise AwsFailure("ListContainerInstances", "AccessDeniedException", "words")
        here = [name for name in instances if name in self.clusters[cluster]]
        return Found([{"ec2InstanceId": name, "containerInstanceArn": f"arn/{name}"} for name in here])


@contextmanager
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with environment(monkeypatch, **NOBODY, REPLACE_HOST_ARN=MACHINE), mock_aws():
        boto3.client("dynamodb").create_table(**TABLE)
        machine = Machine()
        made = Stage(table("caretaker"), machine, {CLUSTER: [H1, H2, H3, H4]})
        monkeypatch.setattr(ecs, "list_clusters", made.list_clusters)
        monkeypatch.setattr(ecs, "find_container_instances", made.find_container_instances)
        monkeypatch.setattr(stepfunctions, "start", machine.start)
        monkeypatch.setattr(stepfunctions, "wake", machine.wake)
        yield made
