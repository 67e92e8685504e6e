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

from datetime import datetime, timedelta

from caretaker.aws.errors import ConditionFailed
from caretaker.releases.release import (
    FIELDS,
    Decision,
    Look,
    Mode,
    Outcome,
    Rejection,
    Release,
    Way,
    from_item,
    look_from,
    release_id,
)
from caretaker.runtime.clock import iso, parse
from caretaker.runtime.register import Form, Register, plain_value
from caretaker.runtime.table import Write

__all__ = [
    "LEASE",
    "Decision",
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


def _service(service: str) -> str:
    return f"SERVICE#{service}"


_FORM = Form("release", "service", FIELDS, from_item, LEASE, ReleaseMissing, ReleaseClosed)


class Records(Register[Release]):
    """The releases in a table."""

    @property
    def form(self) -> Form[Release]:
        return _FORM

    # --- one release ---

    def open(self, release: Release, now: datetime, after: str = "") -> Release:
        """Write a new release, claim its service and enter it into the index, all or nothing.

        Opening it again returns the release as it stands.

        Args:
            after: the release whose deployment is over, and which gives the service up to this one.

        Raises:
            ServiceBusy: another release of the service is open; close it first, if its deployment is over.
        """
        claim = Write(
            "Put",
            (_service(release.service), _SK),
            {"release": release.id},
            condition="attribute_not_exists(#pk) OR #release IN (:none, :after)",
            values={":none": "", ":after": after},
        )
        opened = self._opened(release, claim, now)
        if opened is None:
            raise ServiceBusy(release.service, self.holder(release.service) or "a release that just ended")
        return opened

    def decide(self, release: str, decision: Decision, reason: str) -> Release:
        """Write a decision on an open release, about the share that it has at that moment.

        A decision to roll back is final: it stands against any later one.
        """
        try:
            item = self.table.update(
                *self._key(release),
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
        """Close a release and free its service. Idempotent; the first outcome stands."""
        return self._ended(release, outcome, reason, now)

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
        self.table.put({"pk": self._pk(release), "sk": f"LOOK#{look.number:05}", **plain})

    def looks(self, release: str) -> list[Look]:
        """All looks, in order."""
        return [look_from(item) for item in self.table.query(self._pk(release), "LOOK#")]

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
