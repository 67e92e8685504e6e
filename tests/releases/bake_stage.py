"""A balancer with traffic in the twin, and a release between its two target groups, seen through real boto3 clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from caretaker.aws import clients
from caretaker.releases.evidence import Evidence, collect, plain_shifts
from caretaker.releases.judge import Case, judge
from caretaker.releases.model import Rules, Signs, Verdict
from caretaker.releases.release import Release
from caretaker.runtime.clock import iso
from caretaker.runtime.journal import Trigger

from tests.traffic.traffic_stage import OPERATOR, START, ZONES, Stage
from twin.kernel.gateway import Gateway
from twin.traffic.model import Behaviour, TrafficOptions

HISTORY = 190 * 60.0
GOOD = (Behaviour(errors_5xx=0.005, errors_4xx=0.02, redirects=0.05),)
__all__ = ["GOOD", "OPERATOR", "START", "ZONES", "Bake", "as_operator", "bake"]


class Bake:
    """Blue serves; green is the canary. Traffic has run for three hours before the stage's time 0."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.weight = 0.0
        self.started: datetime | None = None
        self.changed: datetime | None = None
        self.notes: dict[str, Any] = {}
        self.looked: dict[str, Any] = {}

    @property
    def now(self) -> datetime:
        return self.stage.kernel.clock.now()

    def shift(self, share: int) -> None:
        """Give green so many percent, as Caretaker notes it."""
        self.stage.weigh(100 - share, share)
        self.weight, self.changed = share / 100, self.now
        if self.started is None:
            self.started = self.now.replace(second=0, microsecond=0)

    def run(self, minutes: float) -> None:
        self.stage.run(minutes * 60)

    @property
    def release(self) -> Release:
        return Release(
            id="bake-release-0123456789abcdef-1",
            way="drive",
            mode="act",
            cluster="arn:aws:ecs:eu-west-1:111122223333:cluster/shop",
            service="arn:aws:ecs:eu-west-1:111122223333:service/shop/web",
            deployment="ecs-svc/1",
            revision="",
            task_definition="web:2",
            opened=START,
            trigger=Trigger("test", "a test"),
            balancer=self.stage.balancer,
            rules=(self.stage.listener,),
            canary_group=self.stage.green,
            baseline_group=self.stage.blue,
            started=self.started,
            weight=self.weight,
            weights_changed=self.changed,
            notes=self.notes,
            verdict=self.looked,
        )

    def collect(self, **how: Any) -> Evidence:
        return collect(self.release, self.now, **how)

    def look(self) -> Verdict:
        """The verdict of a look now, which is noted as the record does."""
        found = self.collect()
        verdict = self.judge()
        self.notes, self.looked = {"shifts": plain_shifts(found.shifts)}, {"at": iso(self.now)}
        return verdict

    def weights(self) -> list[float | None]:
        """The intended share by minute."""
        return [minute.weight for minute in self.collect().minutes]

    def judge(self, rules: Rules | None = None, **how: Any) -> Verdict:
        """The verdict on what is known now."""
        found = self.collect(**how)
        assert self.started is not None
        return judge(Case(found.minutes, found.history, self.started, self.now, Signs(), "beside"), rules or Rules())


@contextmanager
def as_operator(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> Iterator[None]:
    """Within, the product's own clients of this process call with an operator's credentials."""
    key, secret = gateway.credentials(OPERATOR)
    region = gateway.kernel.region
    for name, value in {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    clients.forget()
    try:
        yield
    finally:
        clients.forget()


@contextmanager
def bake(
    monkeypatch: pytest.MonkeyPatch,
    *behaviours: Behaviour,
    per_minute: float = 3_000.0,
    options: TrafficOptions | None = None,
    propagation: float = 0.0,
    seed: int = 1,
) -> Iterator[Bake]:
    """Within, boto3's calls of this process go to the twin. Behaviours come on top of `GOOD`."""
    stage = Stage(seed, propagation=propagation)
    with as_operator(monkeypatch, stage.gateway), stage.gateway.intercepted():
        stage.run(120)  # targets are healthy
        stage.traffic(per_minute, *GOOD, *behaviours, options=options or TrafficOptions(), history=HISTORY)
        stage.run(60)
        yield Bake(stage)


def minutes_until(now: datetime, started: datetime) -> Sequence[datetime]:
    """The closed minutes since `started`."""
    return [started + timedelta(minutes=n) for n in range((now - started) // timedelta(minutes=1))]
