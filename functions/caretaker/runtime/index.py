"""The index of one kind of work: what the reaper looks at, and what a person may list.

    <name> / <id>    kind, opened, due, and what it works on, under an attribute of its own name

An entry is `open` with its work, `closed` from its end until the outcome was told, and `past` from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from caretaker.aws.errors import ConditionFailed
from caretaker.runtime.clock import iso, parse
from caretaker.runtime.table import Table, Write

Kind = Literal["open", "closed", "past"]
_ASKED: tuple[Kind, ...] = ("open", "closed")


@dataclass(frozen=True)
class Entry:
    """An entry of the index.

    Attributes:
        of: what it works on: the service (ARN) of a release, the VPC of a sweep.
        kind: `open`, `closed` (its outcome may not have been told yet) or `past`.
        due: before this the reaper does not question it.
    """

    id: str
    of: str
    kind: Kind
    opened: datetime
    due: datetime


@dataclass(frozen=True)
class Index:
    """The entries of one kind of work.

    Attributes:
        name: its partition: `SWEEPS`.
        of: attribute that says what the work is done on: `vpc`.
    """

    table: Table
    name: str
    of: str

    def opening(self, entry: Entry) -> Write:
        """The write that enters new work, for the transaction that opens it."""
        item = {self.of: entry.of, "kind": entry.kind, "opened": iso(entry.opened), "due": iso(entry.due)}
        return Write("Put", (self.name, entry.id), item)

    def alive(self, name: str, due: datetime) -> None:
        """Put off the reaper's next question about open work that was seen to be alive."""
        self._mark(name, "open", due, "open")

    def put_off(self, name: str, due: datetime) -> None:
        """Put off the reaper's next question about work that is open, or closed and not told."""
        for kind in _ASKED:
            self._mark(name, kind, due, kind)

    def closed(self, name: str, due: datetime) -> None:
        """Note that open work has ended; until `due` its outcome is being told."""
        self._mark(name, "closed", due, "open")

    def told(self, name: str, now: datetime) -> None:
        """Note that the outcome of closed work was told."""
        self._mark(name, "past", now, "closed")

    def forget(self, name: str) -> None:
        """Take past work off the index; its record stays."""
        try:
            self.table.delete(self.name, name, condition="#kind = :past", values={":past": "past"})
        except ConditionFailed:
            return  # it is not past

    def _mark(self, name: str, kind: Kind, due: datetime, was: Kind) -> None:
        try:
            self.table.update(
                self.name,
                name,
                "SET #kind = :kind, #due = :due",
                condition="#kind = :was",
                values={":kind": kind, ":due": iso(due), ":was": was},
            )
        except ConditionFailed:
            return  # it is further already, or forgotten

    def entries(self) -> list[Entry]:
        """All entries, by id."""
        return [
            Entry(item["sk"], item[self.of], item["kind"], parse(item["opened"], "opened"), parse(item["due"], "due"))
            for item in self.table.query(self.name)
        ]
