"""Sweeps as the report shows them: what they took away as AWS saw it, the rest as Caretaker wrote it down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twin.rehearsal import report
from twin.rehearsal.garbage_observer import Taking
from twin.rehearsal.garbage_records import SweepRecords
from twin.rehearsal.laws import iso
from twin.rehearsal.leavings import name_of
from twin.rehearsal.stored import Item


def shown(records: SweepRecords, takings: Sequence[Taking]) -> list[report.Sweep]:
    """Every sweep that was opened, oldest first."""
    found = [(sweep, record) for sweep in records.ids if (record := records.find(sweep)) is not None]
    return [_shown(sweep, record, records.acts(sweep), takings) for sweep, record in found]


def _shown(sweep: str, record: Item, acts: Sequence[Item], takings: Sequence[Taking]) -> report.Sweep:
    return report.Sweep(
        id=sweep,
        vpc=str(record["vpc"]),
        mode=record.get("mode"),
        trigger=str(record["trigger"]["text"]),
        outcome=record.get("outcome"),
        reason=record.get("reason") or None,
        started=str(record["opened"]),
        ended=record.get("ended"),
        deleted=[_taken(taking, act) for taking in takings if taking.took and (act := _act(taking, acts)) is not None],
        remains=[str(line) for line in record.get("remains", ())],
        savings=[str(line) for line in record.get("savings", ())],
    )


def _act(taking: Taking, acts: Sequence[Item]) -> Item | None:
    """The act of a sweep in which a call was made."""
    call = taking.call
    same = (each for each in acts if each["params"] == call.params and each.get("first"))
    return next((each for each in same if str(each["action"]).endswith(f":{call.operation}")), None)


def _taken(taking: Taking, act: Item) -> report.Taken:
    given: dict[str, Any] = {"kind": str(act["kind"]), "resource": str(act["resource"])}
    at = iso(taking.call.at) or ""
    known = str(act["step"]["resource"]["name"]).removeprefix("rule ")
    return report.Taken(at=at, operation=taking.call.operation, name=known or name_of(given["resource"]), **given)
