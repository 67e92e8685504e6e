from __future__ import annotations

import json
import random

import pytest
from caretaker.runtime import claims, journal
from caretaker.runtime.claims import Wanted
from caretaker.runtime.journal import BlobBroken, Work, WorkClosed, WorkMissing, WorkPassedReturn, WorkUndoing
from caretaker.runtime.table import Table
from runtime_stage import CLUSTER, H1, NOW, TRIGGER, after


@pytest.fixture
def work(store: Table) -> Work:
    return claims.take(
        store,
        [Wanted(H1, frozenset({"n1"}))],
        cluster=CLUSTER,
        mode="act",
        trigger=TRIGGER,
        deadline=after(days=1),
        start_at=None,
        now=NOW,
    )


def test_the_input_of_an_execution_says_what_the_machine_needs(work: Work) -> None:
    assert json.loads(work.input) == {
        "work": work.name,
        "entry": "replace",
        "cluster": CLUSTER,
        "hosts": [H1],
        "mode": "act",
        "start_at": None,
        "deadline": "2026-10-06T10:00:00.000Z",
        "trigger": {"kind": "health", "text": TRIGGER.text},
    }
    assert json.loads(journal.execution_input(work, "undo"))["entry"] == "undo"


def test_unknown_work_is_named(store: Table) -> None:
    with pytest.raises(WorkMissing, match="'nope'"):
        journal.get_work(store, "nope")


def test_a_step_is_found_as_it_was_begun(store: Table, work: Work) -> None:
    first = journal.begin(store, work.name, "protect", {"was": False}, key=H1)
    again = journal.begin(store, work.name, "protect", {"was": True}, key=H1)
    assert again == first
    other = journal.begin(store, work.name, "protect", {"was": False}, key="i-2")
    assert (first.seq, other.seq) == (1, 2)
    journal.complete(store, first, {"done": [H1]})
    found = journal.steps(store, work.name)
    assert [(step.seq, step.key, step.result) for step in found] == [(1, H1, {"done": [H1]}), (2, "i-2", None)]


def test_an_undone_step_may_be_begun_again(store: Table, work: Work) -> None:
    first = journal.begin(store, work.name, "surge", {}, key="web")
    journal.mark_undone(store, first)
    assert journal.begin(store, work.name, "surge", {}, key="web").seq == 2


def test_nothing_is_begun_once_the_undo_has(store: Table, work: Work) -> None:
    journal.begin_undo(store, work.name, "first")
    journal.begin_undo(store, work.name, "first")
    with pytest.raises(WorkUndoing):
        journal.begin(store, work.name, "drain", {})
    with pytest.raises(WorkUndoing):
        journal.pass_return(store, work.name)


def test_nothing_is_undone_past_the_return(store: Table, work: Work) -> None:
    journal.pass_return(store, work.name)
    journal.pass_return(store, work.name)
    with pytest.raises(WorkPassedReturn):
        journal.begin_undo(store, work.name, "first")
    assert journal.get_work(store, work.name).point_of_no_return
    journal.begin(store, work.name, "end", {}, key=H1)


def test_nothing_is_done_for_closed_work(store: Table, work: Work) -> None:
    claims.close(store, work, "undone", "", NOW)
    with pytest.raises(WorkClosed, match="undone"):
        journal.begin(store, work.name, "drain", {})
    with pytest.raises(WorkClosed):
        journal.pass_return(store, work.name)
    with pytest.raises(WorkClosed):
        journal.begin_undo(store, work.name, "first")
    assert not journal.hasten(store, work.name, after(hours=1))
    assert not journal.withdraw(store, work.name, "closed")


def test_a_lease_is_renewed_while_the_work_is_open(store: Table, work: Work) -> None:
    journal.renew(store, work.name, after(hours=1))
    assert [entry.due for entry in journal.open_work(store)] == [after(hours=1)]
    claims.close(store, work, "undone", "", NOW, after(minutes=15))
    journal.renew(store, work.name, after(hours=2))
    assert [entry.due for entry in journal.open_work(store)] == [after(minutes=15)]


def test_closed_work_stays_in_the_index_until_its_outcome_is_told(store: Table, work: Work) -> None:
    journal.told(store, work.name)
    assert [entry.kind for entry in journal.open_work(store)] == ["open"]
    claims.close(store, work, "replaced", "", NOW)
    assert [(entry.kind, entry.due) for entry in journal.open_work(store)] == [("closed", after(minutes=10))]
    journal.told(store, work.name)
    journal.told(store, work.name)
    assert journal.open_work(store) == []


def test_the_first_execution_that_undoes_stands(store: Table, work: Work) -> None:
    assert journal.begin_undo(store, work.name, "first").undoing == "first"
    assert journal.begin_undo(store, work.name, "second").undoing == "first"


def test_a_retry_is_dropped_only_while_it_is_one(store: Table, work: Work) -> None:
    journal.drop_retry(store, work.name)
    assert len(journal.open_work(store)) == 1
    claims.close(store, work, "undone", "", NOW, after(minutes=15))
    journal.drop_retry(store, work.name)
    assert journal.open_work(store) == []


def test_documents_of_any_size_come_back(store: Table, work: Work) -> None:
    assert journal.get_blob(store, work.name, "PLAN") is None
    noise = random.Random(1)
    large = {"text": "".join(chr(noise.randrange(32, 127)) for _ in range(1_200_000)), "ü": [1, None]}
    journal.put_blob(store, work.name, "PLAN", large)
    journal.put_blob(store, work.name, "SURVEY", {"n": 1})
    assert journal.get_blob(store, work.name, "PLAN") == large
    # A shorter document takes its place, whatever pieces of the former one are left.
    journal.put_blob(store, work.name, "PLAN", {"n": 2})
    assert journal.get_blob(store, work.name, "PLAN") == {"n": 2}
    assert journal.get_blob(store, work.name, "SURVEY") == {"n": 1}


def test_a_document_that_was_cut_short_is_refused(store: Table, work: Work) -> None:
    noise = random.Random(2)
    large = ["".join(chr(noise.randrange(32, 127)) for _ in range(900_000))]
    journal.put_blob(store, work.name, "PLAN", large)
    store.delete(f"WORK#{work.name}", "PLAN#001")
    with pytest.raises(BlobBroken, match="pieces"):
        journal.get_blob(store, work.name, "PLAN")
