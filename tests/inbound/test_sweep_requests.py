"""Somebody asks for a sweep: the event, and the execution that follows from it."""

from __future__ import annotations

import json

import pytest
from caretaker.garbage.inventory import Inventory
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.model import Identity, Life
from caretaker.garbage.record import Records
from caretaker.garbage.sweep import Sweep, sweep_id
from caretaker.inbound import registry
from caretaker.inbound.model import BadEvent, Nothing, Place, Reading, SweepAsked
from caretaker.runtime.journal import Trigger
from inbound_stage import MACHINE, NOW, Stage, changed, sample

VPC = "vpc-0a1b2c3d4e5f60001"
WEB = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_EXPRESS_ARN", MACHINE)


def read(event: dict[str, object]) -> list[Reading]:
    return registry.read_event(json.dumps(event), Place("us-east-1"), NOW)


def test_a_request_names_a_vpc_or_a_service() -> None:
    event = sample("sweep-requested")
    assert read(event) == [SweepAsked(VPC, "", f"platform.team asks for a sweep of {VPC}")]
    for given in ("shop/web", WEB):
        (asked,) = read(changed(event, detail={"vpc": None, "service": given, "mode": "observe"}))
        assert asked == SweepAsked("", WEB, f"platform.team asks for a sweep of {WEB}", "observe")


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({"vpc": None}, "names a vpc or a service"),
        ({"service": "shop/web"}, "names a vpc or a service"),
        ({"vpc": "default"}, r"detail\.vpc: 'default'"),
        ({"vpc": None, "service": "web"}, r"detail\.service: 'web'"),
        ({"mode": "delete"}, r"detail\.mode: 'delete'"),
    ],
)
def test_a_bad_request_is_one_line_with_field_and_value(detail: dict[str, str | None], words: str) -> None:
    with pytest.raises(BadEvent, match=words) as error:
        read(changed(sample("sweep-requested"), detail=detail))
    assert "\n" not in str(error.value)


def test_aws_asks_for_no_sweeps() -> None:
    (nothing,) = read(changed(sample("sweep-requested"), source="aws.ecs"))
    assert isinstance(nothing, Nothing)


def test_a_request_starts_the_vpcs_next_sweep_once(stage: Stage) -> None:
    event = sample("sweep-requested")
    assert stage.intake(event, event) == []
    assert stage.intake(event) == []
    ((name, text),) = stage.machine.inputs.items()
    assert name == sweep_id(VPC, 1)
    given = json.loads(text)
    assert (given["vpc"], given["generation"], given["entry"]) == (VPC, 1, "sweep")
    assert given["trigger"]["kind"] == "request"


def test_a_request_for_a_service_is_for_its_vpc(stage: Stage) -> None:
    event = changed(sample("sweep-requested"), detail={"vpc": None, "service": "shop/web"})
    assert stage.intake(event) == []
    assert stage.machine.inputs == {}, "the ledger does not know it"
    Ledger(stage.table).record(Inventory(Identity(WEB, "2026-10-01"), "2026-10-02", Life.ALIVE, vpc=VPC))
    assert stage.intake(event) == []
    assert list(stage.machine.inputs) == [sweep_id(VPC, 1)]


def test_a_request_during_a_sweep_is_noted_for_after_it(stage: Stage) -> None:
    records = Records(stage.table)
    records.open(Sweep(sweep_id(VPC, 1), VPC, 1, NOW, Trigger("deleted", "x")), NOW)
    assert stage.intake(sample("sweep-requested")) == []
    assert stage.machine.inputs == {}
    assert "platform.team" in records.ground(VPC).again


def test_a_request_that_could_not_be_started_comes_again(stage: Stage) -> None:
    stage.machine.broken = True
    assert stage.intake(sample("sweep-requested")) == ["m1"]
