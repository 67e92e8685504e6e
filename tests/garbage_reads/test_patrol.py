"""The patrol finds what no event told, and goes on where it had to stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from caretaker.garbage import requests
from caretaker.garbage.handlers import patrol
from caretaker.garbage.handlers.patrol import NotAllPatrolled
from caretaker.garbage.model import Life
from caretaker.runtime.clock import iso
from reads_stage import Stage, staged

from twin.ecs.express.options import ExpressOptions

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    names = {"POLICY_PATH": "/p", "TOPIC_ARN": "t", "SWEEP_EXPRESS_ARN": "arn:aws:states:m", "CLUSTER_NAMES": "*"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    with staged(monkeypatch, Stage(ExpressOptions(load_balancer=15.0, leaves=("rule", "target_groups")))) as found:
        yield found.up(*NAMES)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """VPCs whose sweep was asked for; the machine is tested with the machine."""
    found: list[str] = []

    def begin(records: object, machine: str, vpc: str, wish: object) -> str:
        found.append(vpc)
        return "begun"

    monkeypatch.setattr(requests, "begin", begin)
    return found


class Hurried:
    """Lambda's context, with time for so many services."""

    def __init__(self, services: int) -> None:
        self._left = services

    def get_remaining_time_in_millis(self) -> int:
        self._left -= 1
        return 900_000 if self._left >= 0 else 90_000


def patrolled(stage: Stage, time: str, services: int) -> dict[str, Any]:
    found: dict[str, Any] = stage.within(lambda: patrol.handler({"time": time}, Hurried(services)))
    return found


def recorded(stage: Stage) -> list[str]:
    return [entry.owner.arn.rpartition("/")[2] for entry in stage.ledger.entries(stage.vpc)]


def test_a_patrol_without_time_asks_for_sweeps_and_goes_on_when_it_is_run_again(stage: Stage, asked: list[str]) -> None:
    stage.record("e")
    stage.delete("e")
    stage.run()
    stage.record("e")
    due = iso(stage.now)
    with pytest.raises(NotAllPatrolled, match="no time was left for 2 services"):
        patrolled(stage, due, 2)
    assert recorded(stage) == ["a", "b", "e"]
    assert asked == [stage.vpc]
    assert patrolled(stage, due, 2) == {"begun": {stage.vpc: "begun"}}
    assert recorded(stage) == ["a", "b", "c", "d", "e"]


def test_the_next_days_patrol_begins_with_what_was_not_looked_at(stage: Stage, asked: list[str]) -> None:
    with pytest.raises(NotAllPatrolled):
        patrolled(stage, iso(stage.now), 3)
    stage.run(86_400)
    with pytest.raises(NotAllPatrolled):
        patrolled(stage, iso(stage.now), 2)
    assert recorded(stage) == list(NAMES)


def test_what_the_ledger_knows_is_looked_at_though_no_service_can_be_listed(stage: Stage, asked: list[str]) -> None:
    stage.record("a")
    stage.delete("a")
    stage.run()
    stage.run(60)
    stage.fail("ecs", "ListClusters", "AccessDeniedException")
    with pytest.raises(NotAllPatrolled, match="could not be listed: ListClusters: AccessDeniedException"):
        patrolled(stage, iso(stage.now), 9)
    assert [entry.life for entry in stage.ledger.entries(stage.vpc)] == [Life.UNKNOWN]  # the sweep finds out since when
    assert asked == [stage.vpc]


def test_what_could_not_be_read_is_told_and_read_again(stage: Stage, asked: list[str]) -> None:
    due = iso(stage.now)
    stage.fail("ecs", "DescribeServiceRevisions", "ServiceUnavailable")
    with pytest.raises(NotAllPatrolled, match=r"shop/a: ACTIVE.*not read: DescribeServiceRevisions"):
        patrolled(stage, due, 9)
    stage.gateway.api_faults.clear()
    patrolled(stage, due, 9)
    assert {bool(entry.whole) for entry in stage.ledger.entries(stage.vpc)} == {True}
