"""What `caretaker sweep --watch` shows of a service at one moment, and what differs between two moments. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cli.product import GONE, Kind

DELETED = "deleted"
"""Status of what a sweep has deleted; what ECS itself has deleted, or a person, is `GONE`."""
UNJUDGED = "not judged yet"
VANISHED = (GONE, DELETED, "DELETED")
CALM = ("kept", "reported", "in use", "shared")
"""Verdicts with which a resource stays for a reason that is stated."""
_OTHERS = (Kind.ROLE, Kind.REPOSITORY, Kind.CLUSTER)
"""Kinds that ECS did not make for one service."""


@dataclass(frozen=True)
class Item:
    """A resource of the service.

    Attributes:
        status: as ECS tells it (PROVISIONING, ACTIVE, DEPROVISIONING, DELETED, FAILED), or once the service is gone the
            verdict, `GONE` or `DELETED`.
        reason: ECS's statusReason, or the verdict's reason.
        shared: ECS made it for all services of the VPC and scheme.
        holders: other services that have it by the ledger, as `cluster/name`.
    """

    arn: str
    kind: Kind
    name: str
    status: str
    reason: str = ""
    shared: bool = False
    holders: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        return not self.shared and self.kind not in _OTHERS

    @property
    def there(self) -> bool:
        return self.status not in VANISHED

    @property
    def label(self) -> str:
        """`listener rule 7`, where the name is `rule 7` already."""
        return f"{self.kind} {self.name.removeprefix(self.kind.value.rpartition(' ')[2] + ' ')}"


@dataclass(frozen=True)
class Snapshot:
    """A service and its resources at one moment.

    Attributes:
        service: `cluster/name`.
        status: ACTIVE, DRAINING or INACTIVE (also once ECS does not know it any more).
        created: ISO 8601; by this it is told from another one of its name.
        since: ISO 8601; since when it is known to be gone.
        vpc: its VPC; empty where the ledger does not know it.
        sweep: id of the sweep of the VPC that is open, or of the last one since the service is gone; empty without.
        standing: how that sweep stands, in words.
        judged: when the verdicts were made; empty before.
        notes: what whoever watches should know.
        over: nothing more is going to change.
    """

    service: str
    status: Literal["ACTIVE", "DRAINING", "INACTIVE"]
    created: str = ""
    since: str = ""
    vpc: str = ""
    items: tuple[Item, ...] = ()
    sweep: str = ""
    standing: str = ""
    judged: str = ""
    notes: tuple[str, ...] = ()
    over: bool = False

    @property
    def own(self) -> tuple[Item, ...]:
        """Its own resources, in order."""
        return tuple(each for each in self.items if each.own)

    @property
    def others(self) -> tuple[Item, ...]:
        """What it shares with others."""
        return tuple(each for each in self.items if not each.own)

    @property
    def remaining(self) -> tuple[Item, ...]:
        """Its own resources that are there."""
        return tuple(each for each in self.own if each.there)

    @property
    def unsettled(self) -> tuple[Item, ...]:
        """Those of them that stay without a reason that is stated: garbage, and what nobody could judge."""
        return tuple(each for each in self.remaining if each.status not in CALM)


def ended(snapshot: Snapshot, *, sweep_open: bool, swept: bool, grace_over: bool) -> bool:
    """Whether nothing more is going to change.

    Args:
        sweep_open: a sweep of the VPC is open, or is to follow.
        swept: a sweep of the VPC ended since the service is gone.
        grace_over: ECS is not waited for any more.
    """
    if snapshot.status != "INACTIVE" or not snapshot.judged or sweep_open:
        return False
    quiet = all(each.status in ("kept", "reported") for each in snapshot.remaining)
    return quiet or (swept and grace_over)


def changes(before: Snapshot | None, after: Snapshot) -> list[str]:
    """What has happened since, one line each; without a former snapshot everything that there is."""
    lines = []
    if before is None or before.status != after.status:
        since = f" since {after.since}" if after.status == "INACTIVE" and after.since else ""
        lines.append(f"{after.service}: {_step(before.status if before else '', after.status)}{since}")
    was = {each.arn: each for each in before.items} if before else {}
    lines += [line for each in after.items if (line := _change(was.get(each.arn), each))]
    kept = {each.arn for each in after.items}
    lines += [f"{each.label}: {each.status} → {GONE}" for arn, each in was.items() if arn not in kept and each.there]
    if after.standing and (before is None or (before.sweep, before.standing) != (after.sweep, after.standing)):
        lines.append(f"{after.sweep}: {after.standing}")
    lines += [note for note in after.notes if before is None or note not in before.notes]
    return lines


def _change(before: Item | None, after: Item) -> str:
    if before is not None and (before.status, before.holders) == (after.status, after.holders):
        same = before.reason == after.reason or after.status in CALM
        return "" if same or not after.there else _told(after, after.status)
    same_status = before is not None and before.status == after.status
    return _told(after, after.status if same_status else _step(before.status if before else "", after.status))


def _told(item: Item, status: str) -> str:
    reason = f": {item.reason}" if item.reason else ""
    return f"{item.label}: {status}{reason}{held(item)}"


def held(item: Item) -> str:
    """Who else has it, in words; empty for what is its own."""
    if not item.shared:
        return ""
    return f" (also {', '.join(item.holders)})" if item.holders else " (shared)"


def _step(before: str, after: str) -> str:
    return f"{before} → {after}" if before else after


def conclusion(snapshot: Snapshot) -> list[str]:
    """What remains of a service that is gone, and why."""
    remaining, others = snapshot.remaining, [each for each in snapshot.others if each.there]
    if not remaining:
        lines = [f"{snapshot.service}: nothing of its own remains"]
    else:
        lines = [f"{snapshot.service}: {len(remaining)} of its own remain:"]
        lines += [f"  {_told(each, each.status)}" for each in remaining]
    if others:
        lines += [f"{len(others)} that it shared or was given stay:", *(f"  {_told(e, e.status)}" for e in others)]
    if snapshot.unsettled and snapshot.standing:
        lines.append(f"{snapshot.sweep}: {snapshot.standing}")
    return lines


def exit_code(snapshot: Snapshot) -> int:
    """0: nothing of its own remains, or all that does is kept for a reason that is stated; 1: garbage or unknown."""
    return 1 if snapshot.status == "INACTIVE" and snapshot.unsettled else 0
