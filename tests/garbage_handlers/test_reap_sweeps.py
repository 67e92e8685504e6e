"""The reaper of sweeps, on the table in moto and executions in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from caretaker.aws import sns, stepfunctions
from caretaker.aws.errors import Throttled
from caretaker.garbage.desk import Desk
from caretaker.garbage.handlers import reap_sweeps, wait_for_ecs
from caretaker.garbage.record import PATIENCE, Records
from caretaker.garbage.sweep import Sweep, sweep_id
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import SweepMode
from caretaker.runtime.reaper import MAX_RECOVERIES, NotAllReaped
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table
from moto import mock_aws
from sweep_cases import NOW, VPC, after, sweep

from tests.deployed import NOBODY, TABLE, environment

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:sweep:live"


@dataclass
class Yard:
    """Sweeps and executions.

    Attributes:
        statuses: of executions, by name.
        inputs: of those that were started.
        told: subjects of messages to people.
        throttled: executions that Step Functions does not tell of.
    """

    records: Records
    statuses: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    throttled: set[str] = field(default_factory=set)

    def start(self, machine: str, name: str, text: str) -> bool:
        assert machine == MACHINE
        if name in self.statuses:
            return False
        self.statuses[name] = "RUNNING"
        self.inputs[name] = json.loads(text)
        return True

    def describe(self, machine: str, name: str) -> dict[str, Any] | None:
        if name in self.throttled:
            raise Throttled("DescribeExecution", "ThrottlingException", "Rate exceeded")
        status = self.statuses.get(name)
        return {"name": name, "status": status} if status else None

    def ended(self, name: str, status: str = "ABORTED", given: Sweep | None = None) -> list[str]:
        """The event of an execution that ended."""
        self.statuses[name] = status
        opened = given or sweep()
        text = json.dumps(
            {"id": name, "vpc": VPC, "trigger": {"kind": opened.trigger.kind, "text": opened.trigger.text}}
        )
        detail = {"executionArn": f"arn:{name}", "name": name, "status": status, "input": text}
        return self._reap({"time": iso(NOW), "detail": detail})

    def schedule(self, **delta: float) -> list[str]:
        return self._reap({"time": iso(after(**delta)), "detail": {}})

    def _reap(self, event: dict[str, Any]) -> list[str]:
        done: list[str] = reap_sweeps.handler(event, None)["done"]
        return done


@pytest.fixture
def yard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    with environment(monkeypatch, **NOBODY, SWEEP_EXPRESS_ARN=MACHINE), mock_aws():
        boto3.client("dynamodb").create_table(**TABLE)
        made = Yard(Records(table("caretaker")))
        monkeypatch.setattr(stepfunctions, "start", made.start)
        monkeypatch.setattr(stepfunctions, "describe", made.describe)
        monkeypatch.setattr(sns, "publish", lambda topic, subject, text: made.told.append(subject))
        yield made


def test_a_sweep_that_was_cut_short_is_gone_on_with_once(yard: Yard) -> None:
    opened = yard.records.open(sweep(), NOW)
    yard.ended(opened.id)
    yard.ended(opened.id)
    assert list(yard.inputs) == [f"{opened.id}-resume-1"]
    given = yard.inputs[f"{opened.id}-resume-1"]
    assert (given["id"], given["entry"], given["vpc"], given["generation"]) == (opened.id, "resume", VPC, 1)


def test_one_that_was_cut_short_again_is_gone_on_with_again(yard: Yard) -> None:
    opened = yard.records.open(sweep(), NOW)
    yard.ended(opened.id)
    yard.ended(f"{opened.id}-resume-1", "TIMED_OUT")
    assert list(yard.inputs) == [f"{opened.id}-resume-1", f"{opened.id}-resume-2"]


def test_one_that_cannot_be_looked_after_does_not_keep_the_others_waiting(yard: Yard) -> None:
    one, other = (yard.records.open(replace(sweep(), id=sweep_id(vpc, 1), vpc=vpc), NOW) for vpc in ("vpc-1", "vpc-2"))
    for day, (stuck, free) in enumerate(((one, other), (other, one)), start=1):
        yard.throttled = {stuck.id}
        yard.inputs.clear()
        yard.statuses = {}
        with pytest.raises(NotAllReaped, match=f"{stuck.id}: DescribeExecution: ThrottlingException"):
            yard.schedule(days=day)
        assert list(yard.inputs) == [f"{free.id}-resume-1"]


def test_a_running_sweep_is_left_alone(yard: Yard) -> None:
    opened = yard.records.open(sweep(), NOW)
    yard.statuses[opened.id] = "RUNNING"
    assert yard.schedule() == []
    assert yard.schedule(seconds=PATIENCE.total_seconds()) == [f"{opened.id}: {opened.id} is running"]
    assert yard.inputs == {}


def test_a_lost_event_is_made_up_for(yard: Yard) -> None:
    opened = yard.records.open(sweep(), NOW)
    yard.statuses[opened.id] = "FAILED"
    yard.schedule(seconds=PATIENCE.total_seconds())
    assert list(yard.inputs) == [f"{opened.id}-resume-1"]


def test_what_nobody_can_end_is_a_persons(yard: Yard) -> None:
    opened = yard.records.open(sweep(), NOW)
    yard.statuses = {opened.id: "FAILED", **{f"{opened.id}-resume-{n}": "FAILED" for n in range(1, MAX_RECOVERIES + 1)}}
    yard.ended(opened.id, "FAILED")
    assert len(yard.told) == 1
    assert yard.inputs == {}


@pytest.mark.parametrize("over", [False, True])
def test_a_person_is_reminded_once_a_day(yard: Yard, over: bool) -> None:
    opened = yard.records.open(sweep(), NOW)
    if over:  # it has ended, and no execution could tell
        yard.records.close(opened.id, "kept", "something stays", NOW)
    yard.statuses = {opened.id: "FAILED", **{f"{opened.id}-resume-{n}": "FAILED" for n in range(1, MAX_RECOVERIES + 1)}}
    for quarters in range(24 * 4 + 3):
        yard.schedule(minutes=15 * (quarters + 4))
    assert len(yard.told) == 2


def test_one_that_never_opened_is_begun_anew_under_another_name(yard: Yard) -> None:
    name = sweep_id(VPC, 1)
    yard.ended(name)
    assert list(yard.inputs) == [sweep_id(VPC, 1, 2)]
    assert yard.inputs[sweep_id(VPC, 1, 2)]["entry"] == "sweep"


def test_the_sweep_that_was_asked_for_meanwhile_follows(yard: Yard) -> None:
    opened = yard.records.open(sweep(), NOW)
    yard.statuses[opened.id] = "RUNNING"
    yard.records.want(VPC, opened.id, "api was deleted")
    yard.schedule()
    assert yard.inputs == {}
    yard.records.close(opened.id, "swept", "done", NOW)
    yard.statuses[opened.id] = "SUCCEEDED"
    yard.schedule(minutes=15)
    assert list(yard.inputs) == [sweep_id(VPC, 2)]
    assert yard.inputs[sweep_id(VPC, 2)]["trigger"] == {"kind": "again", "text": "api was deleted"}


def test_what_follows_may_do_no_more_than_was_asked_for(yard: Yard) -> None:
    opened = yard.records.open(sweep(), NOW)
    yard.records.want(VPC, opened.id, "olga asks", "observe")
    yard.records.close(opened.id, "swept", "done", NOW)
    yard.statuses[opened.id] = "SUCCEEDED"
    yard.schedule(minutes=15)
    assert yard.inputs[sweep_id(VPC, 2)]["mode"] == "observe"


@pytest.mark.parametrize(
    ("most", "asked", "follows"),
    [(None, None, False), ("observe", None, True), ("observe", "observe", False), ("observe", "approve", True)],
)
def test_a_sweep_that_may_do_less_than_was_asked_for_meanwhile_is_followed(
    yard: Yard, most: SweepMode | None, asked: SweepMode | None, follows: bool
) -> None:
    opened = yard.records.open(sweep(notes={"most": most} if most else {}), NOW)
    yard.records.want(VPC, opened.id, "api was deleted", asked)
    wait_for_ecs._observe(Desk(NOW, Settings.from_env(), yard.records, opened))
    assert bool(yard.records.ground(VPC).again) is follows


def test_a_past_sweep_leaves_the_index_and_keeps_its_record(yard: Yard) -> None:
    opened = yard.records.open(sweep(), NOW)
    yard.records.close(opened.id, "swept", "done", NOW)
    yard.statuses[opened.id] = "SUCCEEDED"
    yard.schedule(hours=1)
    assert [entry.kind for entry in yard.records.index.entries()] == ["past"]
    yard.schedule(days=91)
    assert yard.records.index.entries() == []
    assert yard.records.get(opened.id).outcome == "swept"
