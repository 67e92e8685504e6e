"""Which services of the ledger may have left something, and how long ECS is waited for. Plain functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from caretaker.garbage.inventory import Entry
from caretaker.garbage.model import Identity, Kind, Life, Observation, Read
from caretaker.garbage.standing import short
from caretaker.runtime.clock import parse
from caretaker.runtime.policy import GarbagePolicy

# A service that ECS cannot delete stays DRAINING until somebody helps it; the sweep goes on without it.
LONGEST = timedelta(hours=6)
_LOOK = timedelta(minutes=2)
_MOST = timedelta(hours=1)
# What policy keeps unless it says otherwise, and what is only ever reported: no reason for a sweep.
_QUIET = frozenset({Kind.ROLE, Kind.REPOSITORY, Kind.TASK_DEFINITION, Kind.LOG_GROUP, Kind.CLUSTER})
# Kinds of which every observation of a VPC lists all.
_LISTED = frozenset(
    {
        Kind.RULE,
        Kind.TARGET_GROUP,
        Kind.CERTIFICATE,
        Kind.SCALABLE_TARGET,
        Kind.SCALING_POLICY,
        Kind.ALARM,
        Kind.SECURITY_GROUP,
        Kind.LISTENER,
        Kind.LOAD_BALANCER,
    }
)


def may_leave(entry: Entry, loud: Iterable[Kind] = ()) -> bool:
    """Whether the service may have left something: it does not live for certain, or an update retired something.

    Args:
        loud: kinds that policy lets go, which count too.
    """
    quiet = _QUIET - frozenset(loud)
    kinds = {claim.kind for claim in entry.claims() if entry.life is not Life.ALIVE or not claim.current}
    return entry.life in (Life.DRAINING, Life.UNKNOWN) or bool(kinds - quiet)


def settled(seen: Observation, placed: Collection[Identity], *, shared: bool) -> dict[Identity, list[Identity]]:
    """Resources that the ledger need not know any more, by service that left them: those that are gone, and shared ones
    that a living service has as well.

    Only an observation of which every reading is whole tells that something is gone.

    Args:
        placed: services that are known to lie in the observed VPC; what others have may lie elsewhere.
        shared: take off the shared ones too; not while the sweep has still to tell who shares them.
    """
    if any(reading.status is not Read.WHOLE for reading in seen.readings):
        return {}
    owners = seen.owners
    living = {
        claim.resource
        for claim in seen.claims
        if claim.current and (owner := owners.get(claim.owner)) is not None and owner.life is Life.ALIVE
    }
    found: dict[Identity, list[Identity]] = {}
    for claim in seen.claims:
        owner = owners.get(claim.owner)
        if owner is None or owner.life is not Life.DEAD or claim.owner not in placed or claim.kind not in _LISTED:
            continue
        if claim.resource.arn not in seen.resources or (shared and claim.shared and claim.resource in living):
            found.setdefault(claim.owner, []).append(claim.resource)
    return found


@dataclass(frozen=True)
class Pause:
    """How long to wait for ECS.

    Attributes:
        seconds: 0 if there is nothing to wait for.
        words: what is waited for.
    """

    seconds: int
    words: str = ""


def pause(entries: Iterable[Entry], policies: Mapping[str, GarbagePolicy], opened: datetime, now: datetime) -> Pause:
    """How long to wait: for services that ECS is still deleting, and for the grace of those that it has deleted."""
    waits: list[tuple[datetime, str]] = []
    for entry in entries:
        grace = policies.get(entry.owner.arn, GarbagePolicy()).grace
        if now - opened >= LONGEST + grace:
            continue
        if entry.life is Life.DRAINING:
            # Most deletions take minutes; one that has taken an hour is looked at every ten.
            waits.append((now + max(_LOOK, (now - opened) / 6), f"ECS is deleting {short(entry.owner.arn)}"))
        elif entry.life is Life.DEAD and entry.since and may_leave(entry):
            # A little more than the grace, which counts as over only when it has passed.
            until = parse(entry.since, "since") + grace + timedelta(seconds=1)
            if until > now:
                waits.append((until, f"the grace of {short(entry.owner.arn)} is not over"))
    if not waits:
        return Pause(0)
    until, words = min(waits)
    return Pause(max(1, min(round((until - now).total_seconds()) + 1, round(_MOST.total_seconds()))), words)
