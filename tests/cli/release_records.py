"""A world without traffic in whose table releases stand, as record.py writes them; and a command that reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.product import Look, Records, Release, Table
from twin.kernel.api import Caller
from twin.rehearsal.spec import Group, WorldSpec
from twin.world import World

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
OPERATOR = Caller("operator", "ann")
LINE = math.log(100)
ARN = "arn:aws:ecs:us-east-1:123456789012"


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def release(name: str = "shop", digest: str = "0123456789abcdef", cluster: str = "fleet") -> Release:
    from caretaker.runtime.journal import Trigger

    return Release(
        id=f"bake-release-{digest}-1",
        way="gate",
        mode="act",
        cluster=f"{ARN}:cluster/{cluster}",
        service=f"{ARN}:service/{cluster}/{name}",
        deployment=f"{ARN}:service-deployment/{cluster}/{name}/one",
        revision=f"{ARN}:service-revision/{cluster}/{name}/2",
        task_definition=f"{ARN}:task-definition/{name}:2",
        baseline_task_definition=f"{ARN}:task-definition/{name}:1",
        opened=START,
        trigger=Trigger("hook", "ECS asks before production traffic"),
        started=after(2),
        weight=0.05,
    )


def look(number: int, log_against: float, action: str = "continue", errors: int = 3) -> Look:
    stream = {"canary_errors": errors, "canary_requests": 60 * number, "baseline_errors": 22}
    stream |= {"baseline_requests": 1140 * number, "log_against": log_against, "log_for": 0.5}
    return Look(
        number=number,
        at=after(2 + number),
        action=action,
        reason="5xx: 3 times is not ruled out",
        log_against=log_against,
        counts={"5xx": stream},
        weight=0.05,
        line=LINE,
        needs=("5xx: that takes about 980 canary requests, 260 more (5 min at this rate)",),
    )


@contextmanager
def world(monkeypatch: pytest.MonkeyPatch, *releases: Release, looks: int = 0) -> Iterator[tuple[World, Records]]:
    """Within, boto3 talks to a world in whose table the releases stand, each with so many looks."""
    spec = WorldSpec(groups=[Group(name="none", desired_capacity=0)])
    with World(spec, start=START, seed=1) as made:
        key, secret = made.gateway.credentials(OPERATOR)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        table = Table(str(made.deployment.outputs["TableName"]), made.gateway.client("dynamodb", OPERATOR))
        records = Records(table)
        for each in releases:
            records.open(replace(each, status="open", outcome=None, reason="", ended=None), START)
            for number in range(1, looks + 1):
                records.look(each.id, look(number, 0.3 * number))
            if each.outcome is not None:
                records.close(each.id, each.outcome, each.reason, after(20))
        yield made, records
