"""What the records of all work that is opened, changed and closed by its id have in common: releases and sweeps.

    <NOUN>#<id> / <NOUN>     the piece of work
    <NOUN>S / <id>           the index

A piece changes only while it is open, ends once, and its first outcome stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from caretaker.aws.errors import ConditionFailed
from caretaker.runtime.approval import Approval
from caretaker.runtime.clock import iso
from caretaker.runtime.index import Entry, Index
from caretaker.runtime.journal import Trigger
from caretaker.runtime.table import Item, Key, Table, Write


class Piece(Protocol):
    """A piece of work as plain data."""

    @property
    def id(self) -> str: ...

    @property
    def opened(self) -> datetime: ...

    @property
    def open(self) -> bool: ...

    @property
    def outcome(self) -> str | None: ...

    @property
    def reason(self) -> str: ...

    @property
    def approval(self) -> Approval | None: ...


P = TypeVar("P", bound=Piece)


@dataclass(frozen=True)
class Form(Generic[P]):
    """How one kind of work is kept.

    Attributes:
        noun: what it is called: `sweep`.
        of: the field that says what it works on: `vpc`.
        fields: names of its fields, all of which are kept.
        read: a piece out of its item.
        patience: how long the reaper waits before it questions a piece, from its opening and from each sign of life.
        missing: raised where there is none of an id.
        closed: raised where one has ended.
    """

    noun: str
    of: str
    fields: tuple[str, ...]
    read: Callable[[Item], P]
    patience: timedelta
    missing: type[Exception]
    closed: type[Exception]


def plain_value(value: Any) -> Any:
    """A field's value as the table holds it."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Approval):
        return value.plain()
    if isinstance(value, Trigger):
        return {"kind": value.kind, "text": value.text}
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Register(ABC, Generic[P]):
    """The work of one kind in a table."""

    table: Table

    @property
    @abstractmethod
    def form(self) -> Form[P]:
        """How it is kept."""

    @abstractmethod
    def _free(self, piece: P) -> None:
        """Give up what a piece that has ended has claimed. Idempotent."""

    @property
    def index(self) -> Index:
        """What the reaper looks at."""
        return Index(self.table, f"{self.form.noun.upper()}S", self.form.of)

    def _pk(self, name: str) -> str:
        return f"{self.form.noun.upper()}#{name}"

    def _key(self, name: str) -> Key:
        return self._pk(name), self.form.noun.upper()

    def _opened(self, piece: P, claim: Write, now: datetime) -> P | None:
        """Write a new piece with its claim and its entry in the index, all or nothing.

        Returns the piece as it stands, also where it was opened before; None where the claim does not hold.
        """
        found = self.find(piece.id)
        if found is not None:
            return found
        item = {name: plain_value(getattr(piece, name)) for name in self.form.fields}
        entry = Entry(piece.id, getattr(piece, self.form.of), "open", piece.opened, now + self.form.patience)
        writes = [
            Write("Put", self._key(piece.id), item, condition="attribute_not_exists(#pk)"),
            claim,
            self.index.opening(entry),
        ]
        try:
            self.table.transact(writes)
        except ConditionFailed:
            return self.find(piece.id)
        return piece

    def find(self, name: str) -> P | None:
        """The piece as it stands, None if there is none."""
        item = self.table.get(*self._key(name))
        return self.form.read(item) if item else None

    def get(self, name: str) -> P:
        """The piece as it stands. Raises the form's `missing`."""
        found = self.find(name)
        if found is None:
            raise self.form.missing(f"{self.form.noun}: {name!r} is not in the table")
        return found

    def update(self, name: str, /, *, when: Mapping[str, Any] | None = None, **fields: Any) -> P:
        """Set fields of an open piece, on the condition that the fields in `when` still are as given.

        Raises:
            Exception: the form's `closed`: it has ended.
            ConditionFailed: a field of `when` is not as given; nothing was written.
        """
        unknown = sorted((set(fields) | set(when or {})) - set(self.form.fields))
        if unknown:
            raise ValueError(f"{self.form.noun}: no field {', '.join(unknown)}")
        try:
            return self._set(name, fields, when or {})
        except ConditionFailed:
            found = self.get(name)
            if not found.open:
                raise self.form.closed(f"{name}: ended as {found.outcome}") from None
            raise

    def _ended(self, name: str, outcome: str, reason: str, now: datetime, **fields: Any) -> P:
        """Close a piece, set `fields` with it, and settle it. Idempotent; the first outcome stands."""
        given = {"status": "closed", "outcome": outcome, "reason": reason, "ended": now, **fields}
        try:
            closed = self._set(name, given, {})
        except ConditionFailed:
            closed = self.get(name)
        self.settle(closed, now)
        return closed

    def settle(self, ended: P, now: datetime) -> None:
        """Free what a piece that has ended has claimed. Idempotent.

        Its entry in the index becomes `closed` until the outcome was told (`Index.told`).
        """
        self._free(ended)
        self.index.closed(ended.id, now + self.form.patience)

    def _set(self, name: str, fields: Mapping[str, Any], when: Mapping[str, Any]) -> P:
        sets = ", ".join(f"#{field} = :{field}" for field in sorted(fields))
        holds = "".join(f" AND #{field} = :was_{field}" for field in sorted(when))
        values = {f":{field}": plain_value(value) for field, value in fields.items()}
        values |= {f":was_{field}": plain_value(value) for field, value in when.items()}
        item = self.table.update(
            *self._key(name),
            f"SET {sets}",
            condition=f"#status = :open{holds}",
            values={**values, ":open": "open"},
        )
        return self.form.read(item)

    def expire(self, piece: P) -> None:
        """Close the question that nobody answered, with its piece."""
        if not piece.open or piece.approval is None or piece.approval.answer is not None:
            return
        try:
            self.update(piece.id, approval=replace(piece.approval, answer="expired"))
        except self.form.closed:
            return

    # --- the index ---

    def all(self) -> list[P]:
        """The pieces of the index, newest first."""
        keys = [self._key(entry.id) for entry in self.index.entries()]
        found = [self.form.read(item) for item in self.table.get_many(keys).values()]
        return sorted(found, key=lambda piece: (piece.opened, piece.id), reverse=True)
