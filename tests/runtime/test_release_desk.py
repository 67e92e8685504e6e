"""What a look notes of a native deployment's share."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import cast

from caretaker.releases.desk import Desk, begun_of, noted, whole_of
from caretaker.releases.next_step import Sight, State
from caretaker.releases.record import Records, Release
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table
from runtime_stage import NOW, after
from test_release_records import ID, RELEASE

GATED = replace(RELEASE, way="gate", weight=0.0)


def look(records: Records, now: datetime, state: State, share: float) -> Release:
    return noted(Desk(now, cast(Settings, None), records, records.get(ID)), Sight(state, share))


def test_each_share_is_a_phase_and_a_question_of_its_own(store: Table) -> None:
    records = Records(store)
    records.open(GATED, NOW)
    look(records, NOW, "before", 0.0)
    first = look(records, after(minutes=2, seconds=5), "beside", 0.25)
    assert begun_of(first, cast(datetime, first.started)) == [first.started] == [after(minutes=2)]
    records.update(ID, notes={**first.notes, "told": "then"})
    same = look(records, after(minutes=3, seconds=5), "beside", 0.25)
    assert (same.notes["told"], same.notes["begun"]) == ("then", first.notes["begun"])
    second = look(records, after(minutes=14, seconds=5), "beside", 0.5)
    assert "told" not in second.notes
    whole = look(records, after(minutes=30, seconds=5), "whole", 1.0)
    assert begun_of(whole, after(minutes=2)) == [after(minutes=2), after(minutes=15), after(minutes=31)]
    assert (whole_of(whole), whole.weight, whole.started) == (after(minutes=31), 1.0, after(minutes=2))


def test_a_watched_release_counts_all_that_was_seen_beside_together(store: Table) -> None:
    records = Records(store)
    records.open(replace(GATED, way="watch"), NOW)
    look(records, after(minutes=2), "beside", 0.25)
    later = look(records, after(minutes=9), "beside", 0.5)
    assert begun_of(later, after(minutes=2)) == [after(minutes=2)]


def test_a_decision_is_about_the_share_of_its_moment(store: Table) -> None:
    records = Records(store)
    records.open(GATED, NOW)
    look(records, after(minutes=2), "beside", 0.25)
    decided = records.decide(ID, "promote", "good")
    assert [decided.decided(share) for share in (0.25, 0.5, 1.0, None)] == ["promote", None, None, None]
    further = look(records, after(minutes=12), "beside", 0.5)
    assert further.decided(further.weight) is None
    held = records.decide(ID, "hold", "too little")
    assert [held.decided(share) for share in (0.25, 0.5)] == [None, "hold"]
    back = records.decide(ID, "roll_back", "5xx")
    assert {back.decided(share) for share in (None, 0.0, 0.25, 0.5, 1.0)} == {"roll_back"}
