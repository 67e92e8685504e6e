"""The record of releases: what is baked, what was seen, what was decided, and which revisions were turned down.

    RELEASE#<id> / RELEASE               the release
    RELEASE#<id> / LOOK#<number>         what each look at it came to
    SERVICE#<service ARN> / RELEASE      the claim: the open release of a service
    SERVICE#<service ARN> / REJECTED#<task definition ARN>   a revision that was rolled back
    RELEASES / <id>                      the index

A release's id is the name of its execution and derives from what is deployed, so that an event and a hook call of the
same deployment, however often they come, open one release. Every change of an open release is conditional on its being
open; a decision to roll back is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws.errors import ConditionFailed
from caretaker.releases.release import (
    FIELDS,
    Decision,
    Entry,
    Look,
    Mode,
    Outcome,
    Rejection,
    Release,
    Way,
    from_item,
    look_from,
    plain_value,
    release_id,
    to_item,
)
from caretaker.runtime.clock import iso, parse
from caretaker.runtime.table import Table, Write

__all__ = [
    "LEASE",
    "Decision",
    "Entry",
    "Look",
    "Mode",
    "Outcome",
    "Records",
    "Rejection",
    "Release",
    "ReleaseClosed",
    "ReleaseMissing",
    "ServiceBusy",
    "Way",
    "release_id",
]

_SK = "RELEASE"
_INDEX = "RELEASES"
# How long the reaper waits before it questions a release, from its opening and from each sign of life.
LEASE = timedelta(minutes=15)


class ReleaseMissing(Exception):
    """No such release in the table."""


class ReleaseClosed(Exception):
    """The release has ended; nothing may be done for it any more."""


class ServiceBusy(Exception):
    """Another release of the service is open. `.holder` is its id."""

    def __init__(self, service: str, holder: str) -> None:
        super().__init__(f"{service}: {holder} is not over")
        self.holder = holder


def _pk(release: str) -> str:
    return f"RELEASE#{release}"


def _service(service: str) -> str:
    return f"SERVICE#{service}"


@dataclass(frozen=True)
class Records:
    """The releases in a table."""

    table: Table

    # --- one release ---

    def open(self, release: Release, now: datetime, after: str = "") -> Release:
        """Write a new release, claim its service and enter it into the index, all or nothing.

        Opening it again returns the release as it stands.

        Args:
            after: the release whose deployment is over, and which gives the service up to this one.

        Raises:
            ServiceBusy: another release of the service is open; close it first, if its deployment is over.
        """
        found = self.find(release.id)
        if found is not None:
            return found
        entry = {"service": release.service, "kind": "open", "opened": iso(release.opened), "due": iso(now + LEASE)}
        writes = [
            Write("Put", (_pk(release.id), _SK), to_item(release), condition="attribute_not_exists(#pk)"),
            Write(
                "Put",
                (_service(release.service), _SK),
                {"release": release.id},
                condition="attribute_not_exists(#pk) OR #release IN (:none, :after)",
                values={":none": "", ":after": after},
            ),
            Write("Put", (_INDEX, release.id), entry),
        ]
        try:
            self.table.transact(writes)
        except ConditionFailed:
            found = self.find(release.id)
            if found is None:
                raise ServiceBusy(
                    release.service, self.holder(release.service) or "a release that just ended"
                ) from None
            return found
        return release

    def find(self, release: str) -> Release | None:
        """The release as it stands, None if there is none."""
        item = self.table.get(_pk(release), _SK)
        return from_item(item) if item else None

    def get(self, release: str) -> Release:
        """The release as it stands. Raises `ReleaseMissing`."""
        found = self.find(release)
        if found is None:
            raise ReleaseMissing(f"release: {release!r} is not in the table")
        return found

    def update(self, release: str, *, when: Mapping[str, Any] | None = None, **fields: Any) -> Release:
        """Set fields of an open release, on the condition that the fields in `when` still are as given.

        Raises:
            ReleaseClosed: it has ended.
            ConditionFailed: a field of `when` is not as given; nothing was written.
        """
        unknown = sorted((set(fields) | set(when or {})) - set(FIELDS))
        if unknown:
            raise ValueError(f"release: no field {', '.join(unknown)}")
        sets = ", ".join(f"#{name} = :{name}" for name in sorted(fields))
        holds = "".join(f" AND #{name} = :was_{name}" for name in sorted(when or {}))
        values = {f":{name}": plain_value(value) for name, value in fields.items()}
        values |= {f":was_{name}": plain_value(value) for name, value in (when or {}).items()}
        try:
            item = self.table.update(
                _pk(release),
                _SK,
                f"SET {sets}",
                condition=f"#status = :open{holds}",
                values={**values, ":open": "open"},
            )
        except ConditionFailed:
            found = self.get(release)
            if not found.open:
                raise ReleaseClosed(f"{release}: ended as {found.outcome}") from None
            raise
        return from_item(item)

    def decide(self, release: str, decision: Decision, reason: str) -> Release:
        """Write a decision on an open release, about the share that it has at that moment.

        A decision to roll back is final: it stands against any later one.
        """
        try:
            item = self.table.update(
                _pk(release),
                _SK,
                "SET #decision = :decision, #decision_reason = :reason, #decision_weight = #weight",
                condition="#status = :open AND #decision <> :roll_back",
                values={":decision": decision, ":reason": reason, ":open": "open", ":roll_back": "roll_back"},
            )
        except ConditionFailed:
            return self.get(release)
        return from_item(item)

    def did(self, release: str, words: str) -> Release:
        """Add to what was done, in words; the same words once."""
        found = self.get(release)
        if words in found.done:
            return found
        return self.update(release, done=(*found.done, words), when={"done": found.done})

    def close(self, release: str, outcome: Outcome, reason: str, now: datetime) -> Release:
        """Close a release and free its service. Idempotent; the first outcome stands.

        The entry in the index becomes `closed` until the outcome was told (`told`).
        """
        try:
            item = self.table.update(
                _pk(release),
                _SK,
                "SET #status = :closed, #outcome = :outcome, #reason = :reason, #ended = :now",
                condition="#status = :open",
                values={":closed": "closed", ":open": "open", ":outcome": outcome, ":reason": reason, ":now": iso(now)},
            )
            closed = from_item(item)
        except ConditionFailed:
            closed = self.get(release)
        self._free(closed)
        self._mark(closed.id, "closed", now + LEASE)
        return closed

    def _free(self, release: Release) -> None:
        try:
            self.table.update(
                _service(release.service),
                _SK,
                "SET #release = :none",
                condition="#release = :id",
                values={":none": "", ":id": release.id},
            )
        except ConditionFailed:
            return  # freed before, or another release holds it by now

    # --- looks ---

    def look(self, release: str, look: Look) -> None:
        """Write what a look came to; the same number again replaces it."""
        plain = {name: plain_value(getattr(look, name)) for name in Look.__dataclass_fields__}
        self.table.put({"pk": _pk(release), "sk": f"LOOK#{look.number:05}", **plain})

    def looks(self, release: str) -> list[Look]:
        """All looks, in order."""
        return [look_from(item) for item in self.table.query(_pk(release), "LOOK#")]

    # --- services ---

    def holder(self, service: str) -> str | None:
        """Id of the open release of a service, None if there is none."""
        item = self.table.get(_service(service), _SK)
        return (item["release"] or None) if item else None

    def reject(self, release: Release, reason: str, now: datetime) -> None:
        """Remember that the release's revision was rolled back. The first reason of a release stands."""
        item = {
            "pk": _service(release.service),
            "sk": f"REJECTED#{release.task_definition}",
            "at": iso(now),
            "id": release.id,
            "reason": reason,
        }
        try:
            self.table.put(item, condition="attribute_not_exists(#pk) OR #id <> :id", values={":id": release.id})
        except ConditionFailed:
            return  # written before, by this release

    def rejected(self, service: str, task_definition: str) -> Rejection | None:
        """The rejection of a revision, None if there is none. How long it counts is the caller's policy."""
        item = self.table.get(_service(service), f"REJECTED#{task_definition}")
        return Rejection(task_definition, parse(item["at"], "at"), item["id"], item["reason"]) if item else None

    # --- the index ---

    def all(self) -> list[Release]:
        """The releases of the index, newest first."""
        keys = [(_pk(entry.id), _SK) for entry in self.list()]
        found = [from_item(item) for item in self.table.get_many(keys).values()]
        return sorted(found, key=lambda release: (release.opened, release.id), reverse=True)

    def renew(self, release: str, due: datetime) -> None:
        """Put off the reaper's next question about an open release that was seen to be alive."""
        self._mark(release, "open", due, "open")

    def told(self, release: str, now: datetime) -> None:
        """Note that the outcome of a closed release was told."""
        self._mark(release, "past", now, "closed")

    def forget(self, release: str) -> None:
        """Take a past release off the index."""
        try:
            self.table.delete(_INDEX, release, condition="#kind = :past", values={":past": "past"})
        except ConditionFailed:
            return  # it is not past

    def _mark(self, release: str, kind: str, due: datetime, was: str = "open") -> None:
        try:
            self.table.update(
                _INDEX,
                release,
                "SET #kind = :kind, #due = :due",
                condition="#kind = :was",
                values={":kind": kind, ":due": iso(due), ":was": was},
            )
        except ConditionFailed:
            return  # it is further already, or forgotten

    def list(self) -> list[Entry]:
        """All entries of the index, by id."""
        return [
            Entry(item["sk"], item["service"], item["kind"], parse(item["opened"], "opened"), parse(item["due"], "due"))
            for item in self.table.query(_INDEX)
        ]
