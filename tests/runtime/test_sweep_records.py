from __future__ import annotations

from dataclasses import replace

import pytest
from caretaker.aws.errors import ConditionFailed
from caretaker.garbage.record import LEASE, LockBusy, LockLost, Records, SweepClosed, VpcBusy
from caretaker.garbage.sweep import Act, Sweep, sweep_id
from caretaker.runtime.approval import Approval
from caretaker.runtime.journal import Trigger
from caretaker.runtime.table import Table
from runtime_stage import NOW, after

VPC = "vpc-0a"
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/x/1/2/3"


@pytest.fixture
def records(store: Table) -> Records:
    return Records(store)


def sweep(generation: int = 1) -> Sweep:
    return Sweep(sweep_id(VPC, generation), VPC, generation, NOW, Trigger("deleted", "web was deleted"))


def act(number: int = 0, name: str = "3") -> Act:
    arn = ARN[:-1] + name
    return Act(
        number, "elasticloadbalancing:DeleteRule", arn, "listener rule", {"RuleArn": arn}, "nobody", {"of": "it"}
    )


def test_a_sweep_comes_back_as_it_was_written(records: Records) -> None:
    asked = Approval(NOW, after(hours=1), "token", keys=("a", "b"))
    given = replace(sweep(), observations=("1", "2"), remains=("x: shared",), counts={"garbage": 2}, approval=asked)
    assert records.open(given, NOW) == given
    assert records.get(given.id) == given
    assert records.all() == [given]


def test_a_vpc_has_one_open_sweep(records: Records) -> None:
    first, second = sweep(1), sweep(2)
    records.open(first, NOW)
    assert records.open(first, NOW) == first
    with pytest.raises(VpcBusy) as busy:
        records.open(second, NOW)
    assert busy.value.holder == first.id
    records.close(first.id, "swept", "done", NOW)
    assert records.open(second, NOW) == second
    assert records.ground(VPC).generation == 2
    assert records.ground(VPC).sweep == second.id


def test_a_generation_is_never_swept_twice(records: Records) -> None:
    records.open(sweep(2), NOW)
    records.close(sweep(2).id, "swept", "done", NOW)
    with pytest.raises(VpcBusy):
        records.open(sweep(1), NOW)


def test_the_first_outcome_stands_and_frees_the_vpc(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    records.lock(opened, "run-1", NOW)
    assert records.close(opened.id, "kept", "first", NOW).reason == "first"
    assert records.close(opened.id, "failed", "second", NOW).reason == "first"
    ground = records.ground(VPC)
    assert (ground.sweep, ground.holder, ground.lease) == ("", "", None)
    with pytest.raises(SweepClosed):
        records.update(opened.id, cap=3)


def test_what_is_asked_for_meanwhile_is_noted_on_the_open_sweep_alone(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    assert records.want(VPC, opened.id, "api was deleted")
    assert records.ground(VPC).again == "api was deleted"
    records.close(opened.id, "swept", "done", NOW)
    assert not records.want(VPC, opened.id, "late")
    records.open(sweep(2), NOW)
    assert records.ground(VPC).again == ""


def test_what_may_do_less_narrows_nothing_that_was_asked_for_before(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    assert records.want(VPC, opened.id, "olga asks", "observe")
    assert (records.ground(VPC).again, records.ground(VPC).again_mode) == ("olga asks", "observe")
    assert records.want(VPC, opened.id, "api was deleted")
    assert records.want(VPC, opened.id, "olga asks again", "observe")
    assert (records.ground(VPC).again, records.ground(VPC).again_mode) == ("api was deleted", None)
    records.close(opened.id, "swept", "done", NOW)
    assert not records.want(VPC, opened.id, "late", "observe")


def test_one_execution_holds_the_lock_until_its_lease_is_over(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    records.lock(opened, "run-1", NOW)
    with pytest.raises(LockBusy):
        records.lock(opened, "run-2", after(minutes=1))
    records.renew(opened, "run-1", after(minutes=10))
    with pytest.raises(LockBusy):
        records.lock(opened, "run-2", NOW + LEASE)
    late = after(minutes=11) + LEASE
    with pytest.raises(LockLost):
        records.renew(opened, "run-1", late)
    records.lock(opened, "run-2", late)
    with pytest.raises(LockLost):
        records.renew(opened, "run-1", late)


def test_an_execution_takes_over_the_lock_of_the_one_before_it_of_the_same_sweep(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    (planned,) = records.plan(opened.id, [act()])
    records.lock(opened, opened.id, NOW)
    records.lock(opened, f"{opened.id}-resume-1", after(minutes=1))
    with pytest.raises(LockLost):
        records.intend(opened, planned, opened.id, after(minutes=1))


def test_the_lock_is_only_for_the_vpcs_open_sweep(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    records.close(opened.id, "failed", "cut short", NOW)
    with pytest.raises(LockLost):
        records.lock(opened, "run-1", NOW)


def test_an_intent_is_written_only_under_the_lock(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    (planned,) = records.plan(opened.id, [act()])
    with pytest.raises(LockLost):
        records.intend(opened, planned, "run-1", NOW)
    assert records.acts(opened.id) == [planned]
    records.lock(opened, "run-1", NOW)
    begun = records.intend(opened, replace(planned, proof={"of": "now"}), "run-1", after(minutes=1))
    (stored,) = records.acts(opened.id)
    assert stored == begun
    assert (stored.status, stored.tries, stored.first, stored.proof) == (
        "intended",
        1,
        after(minutes=1),
        {"of": "now"},
    )
    with pytest.raises(LockLost):
        records.intend(opened, begun, "run-1", after(hours=3))


def test_what_is_over_stays_so(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    records.lock(opened, "run-1", NOW)
    (planned,) = records.plan(opened.id, [act()])
    begun = records.intend(opened, planned, "run-1", NOW)
    assert records.answered(opened.id, begun, status="done").status == "done"
    assert records.answered(opened.id, begun, status="refused", reason="late").status == "done"
    with pytest.raises(ConditionFailed):
        records.intend(opened, begun, "run-1", NOW)


def test_a_new_plan_forgets_what_was_only_planned(records: Records) -> None:
    opened = records.open(sweep(), NOW)
    records.lock(opened, "run-1", NOW)
    first, second, _ = records.plan(opened.id, [act(name="1"), act(name="2"), act(name="3")])
    records.answered(opened.id, records.intend(opened, first, "run-1", NOW), status="done")
    records.intend(opened, second, "run-1", NOW)
    records.plan(opened.id, [act(name="4")])
    assert [(each.number, each.resource[-1], each.status) for each in records.acts(opened.id)] == [
        (1, "1", "done"),
        (2, "2", "intended"),
        (3, "4", "planned"),
    ]


def test_changes_of_a_vpc_are_counted(records: Records) -> None:
    records.changed(VPC)
    records.changed(VPC)
    assert records.ground(VPC).changes == 2
