from __future__ import annotations

from dataclasses import replace

import pytest
from caretaker.aws.errors import ConditionFailed
from caretaker.releases import record
from caretaker.releases.record import Look, Records, Release, ReleaseClosed, ReleaseMissing, ServiceBusy
from caretaker.runtime.approval import Approval
from caretaker.runtime.journal import Trigger
from caretaker.runtime.table import Table
from runtime_stage import CLUSTER, NOW, after, clear, kill_points

SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"
DEPLOYMENT = "arn:aws:ecs:us-east-1:123456789012:service-deployment/shop/web/one"
REVISION = "arn:aws:ecs:us-east-1:123456789012:service-revision/shop/web/2"
TASK = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:2"
ID = record.release_id(DEPLOYMENT, REVISION)
RELEASE = Release(
    id=ID,
    way="watch",
    mode="act",
    cluster=CLUSTER,
    service=SERVICE,
    deployment=DEPLOYMENT,
    revision=REVISION,
    task_definition=TASK,
    opened=NOW,
    trigger=Trigger("deployment", "ECS deploys it"),
    rules=("arn:rule/1",),
    weight=0.05,
)


def test_a_release_comes_back_as_it_was_written(store: Table) -> None:
    records = Records(store)
    full = replace(
        RELEASE,
        started=after(minutes=2),
        weights_changed=after(minutes=2),
        approval=Approval(NOW, after(hours=1), "token", "approved", "ann"),
        verdict={"log_against": 1.5},
        done=("stopped the deployment",),
    )
    assert records.open(full, NOW) == full
    assert records.get(ID) == full
    assert records.holder(SERVICE) == ID
    assert records.all() == [full]


def test_ids_derive_from_what_is_deployed() -> None:
    assert record.release_id(DEPLOYMENT, REVISION) == ID
    assert len(record.release_id(DEPLOYMENT, REVISION, 2)) <= 80
    assert len({ID, record.release_id(DEPLOYMENT, REVISION, 2), record.release_id(DEPLOYMENT, "another")}) == 3


def test_a_service_has_one_open_release(store: Table) -> None:
    records = Records(store)
    records.open(RELEASE, NOW)
    second = replace(RELEASE, id=record.release_id("another", REVISION))
    with pytest.raises(ServiceBusy) as busy:
        records.open(second, NOW)
    assert busy.value.holder == ID
    records.close(ID, "promoted", "no trouble", after(minutes=20))
    assert records.open(second, NOW).id == second.id
    assert records.holder(SERVICE) == second.id
    # Closing the first again does not free what the second holds.
    records.close(ID, "failed", "", NOW)
    assert records.holder(SERVICE) == second.id
    assert records.get(ID).outcome == "promoted"


def test_opening_again_changes_nothing(store: Table) -> None:
    records = Records(store)
    records.open(RELEASE, NOW)
    moved = records.update(ID, weight=0.25)
    assert records.open(RELEASE, after(minutes=5)) == moved


def test_only_open_releases_change(store: Table) -> None:
    records = Records(store)
    with pytest.raises(ReleaseMissing):
        records.update(ID, weight=1.0)
    records.open(RELEASE, NOW)
    with pytest.raises(ConditionFailed):
        records.update(ID, weight=1.0, when={"weight": 0.25})
    with pytest.raises(ValueError, match="no field colour"):
        records.update(ID, colour="red")
    assert records.update(ID, weight=0.25, when={"weight": 0.05}).weight == 0.25
    records.close(ID, "inconclusive", "too little traffic", NOW)
    with pytest.raises(ReleaseClosed):
        records.update(ID, weight=1.0)
    assert records.decide(ID, "promote", "late").decision is None


def test_a_decision_to_roll_back_is_final(store: Table) -> None:
    records = Records(store)
    records.open(RELEASE, NOW)
    assert records.decide(ID, "hold", "wait").decision == "hold"
    assert records.decide(ID, "promote", "good").decision == "promote"
    assert records.decide(ID, "roll_back", "5xx").decision == "roll_back"
    assert (records.decide(ID, "promote", "good").decision, records.get(ID).decision_reason) == ("roll_back", "5xx")


def test_looks_are_kept_in_order_and_a_repeated_one_once(store: Table) -> None:
    records = Records(store)
    records.open(RELEASE, NOW)
    counts = {"5xx": {"canary_errors": 3, "canary_requests": 100}}
    looks = [Look(n, after(minutes=n), "continue", "more is needed", 0.5, counts, 0.05, needs=("x",)) for n in (1, 2)]
    for look in [*looks, looks[0]]:
        records.look(ID, look)
    assert records.looks(ID) == looks


def test_rejected_revisions_are_remembered(store: Table) -> None:
    records = Records(store)
    assert records.rejected(SERVICE, TASK) is None
    records.reject(RELEASE, "5xx", NOW)
    records.reject(RELEASE, "5xx once more", after(minutes=1))
    found = records.rejected(SERVICE, TASK)
    assert found is not None
    assert (found.at, found.reason, found.release) == (NOW, "5xx", ID)
    records.reject(replace(RELEASE, id="another"), "4xx", after(days=1))
    again = records.rejected(SERVICE, TASK)
    assert again is not None
    assert again.reason == "4xx"


def test_the_index_follows_a_release_to_its_end(store: Table) -> None:
    records = Records(store)
    records.open(RELEASE, NOW)
    assert [(entry.kind, entry.due) for entry in records.index.entries()] == [("open", NOW + record.LEASE)]
    records.index.alive(ID, after(hours=1))
    assert records.index.entries()[0].due == after(hours=1)
    records.index.told(ID, NOW)
    assert records.index.entries()[0].kind == "open"
    records.close(ID, "promoted", "", NOW)
    records.index.alive(ID, after(hours=2))
    assert records.index.entries()[0].kind == "closed"
    records.index.forget(ID)
    records.index.told(ID, NOW)
    assert records.index.entries()[0].kind == "past"
    records.index.forget(ID)
    assert records.index.entries() == []


def test_opening_and_closing_survive_a_death_anywhere(store: Table) -> None:
    def through(table: Table) -> None:
        records = Records(table)
        records.open(RELEASE, NOW)
        records.decide(ID, "roll_back", "5xx")
        records.did(ID, "stopped it")
        records.close(ID, "rolled_back", "5xx", NOW)
        records.index.told(ID, NOW)

    for point in kill_points(store, through):
        through(store)
        found = Records(store).get(ID)
        assert (found.outcome, found.done, found.decision) == ("rolled_back", ("stopped it",), "roll_back"), point
        assert Records(store).holder(SERVICE) is None, point
        assert [entry.kind for entry in Records(store).index.entries()] == ["past"], point
        clear(store)
