"""What the ledger knows of one service, and how news of it are added. Plain data and functions.

News come in any order and more than once, so adding them is commutative and idempotent: of every fact the newest counts
or the union, and `dead` is for good. What a read did not show ages nothing unless the read was whole, and nothing is
ever forgotten by news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from caretaker.garbage.model import Claim, Identity, Kind, Life, Owner

# Revisions that a claim remembers; a resource that lives for years is in more than an item can hold.
REVISIONS = 60
# Task definitions that the ledger knows of one service: those of each release stay, and an item holds 400 KB. What is
# older is nobody's then, and stays.
DEFINITIONS = 5_000


@dataclass(frozen=True)
class Item:
    """A resource in an inventory.

    Attributes:
        resource: ARN, with creation time where ARNs of the kind are given again (log groups).
        shared: of all services of the VPC and scheme.
        revisions: ARNs of the revisions that have it.
        active: one of these was active or in flight.
    """

    resource: Identity
    kind: Kind
    shared: bool = False
    revisions: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True)
class Inventory:
    """What ECS said of a service at one time.

    Attributes:
        owner: the service's ARN and `createdAt`.
        at: ISO 8601; when it was read.
        life: ALIVE or DRAINING; UNKNOWN where an event alone tells of it.
        vpc: id of its VPC; empty where that is not known.
        role: ARN of its infrastructure role.
        items: its resources.
        whole: everything was read, and the service was ACTIVE: what is not among `items` is not its any more.
        words: what could not be read, in AWS's words.
        also: ids of further VPCs in which it is: an update may move it to another one.
    """

    owner: Identity
    at: str
    life: Life
    vpc: str = ""
    role: str = ""
    items: tuple[Item, ...] = ()
    whole: bool = True
    words: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """A resource as the ledger knows it.

    Attributes:
        seen: when an inventory last had it.
        active: when one of its revisions was last active or in flight; empty if never.
    """

    resource: Identity
    kind: Kind
    shared: bool = False
    revisions: tuple[str, ...] = ()
    seen: str = ""
    active: str = ""


@dataclass(frozen=True)
class Entry:
    """A service as the ledger knows it.

    Attributes:
        life, words, at: the newest that was said, and when.
        since: since when it is known to be dead.
        whole: when an inventory of it was last whole.
        vpc, role: by the newest inventory that knew them, read at `placed`.
        known: its resources.
        vpcs: ids of all VPCs in which it ever was, in order: what it left may lie in any of them.
    """

    owner: Identity
    life: Life = Life.UNKNOWN
    words: str = ""
    at: str = ""
    since: str = ""
    whole: str = ""
    vpc: str = ""
    role: str = ""
    placed: str = ""
    known: Mapping[Identity, Known] = field(default_factory=dict)
    vpcs: tuple[str, ...] = ()

    def as_owner(self) -> Owner:
        return Owner(self.owner, self.life, self.since, words=self.words)

    def claims(self) -> tuple[Claim, ...]:
        """Its resources as claims, in order."""
        return tuple(
            Claim(self.owner, each.resource, each.kind, each.shared, each.revisions, self.current(each), each.seen)
            for _, each in sorted(self.known.items())
        )

    def current(self, known: Known) -> bool:
        """Whether the resource was its when a whole inventory was last read, or was first seen later."""
        return bool(known.active) and known.active >= self.whole


def add(entry: Entry, news: Inventory) -> Entry:
    """The entry with an inventory. In whatever order inventories are added, the same entry comes out."""
    known = dict(entry.known)
    for item in news.items:
        known[item.resource] = _with(known.get(item.resource), item, news.at)
    entry = replace(entry, known=_bounded(known), whole=max(entry.whole, news.at) if news.whole else entry.whole)
    entry = replace(entry, vpcs=tuple(sorted({*entry.vpcs, news.vpc, *news.also} - {""})))
    if news.vpc and (news.at, news.vpc) > (entry.placed, entry.vpc):
        entry = replace(entry, vpc=news.vpc, role=news.role, placed=news.at)
    return _told(entry, news.life, news.at, news.words)


def _bounded(known: Mapping[Identity, Known]) -> Mapping[Identity, Known]:
    """Without the earliest task definitions, the same ones in whatever order news came."""
    definitions = [key for key, each in known.items() if each.kind is Kind.TASK_DEFINITION]
    earliest = sorted(definitions, key=lambda key: (len(key.arn), key.arn))[:-DEFINITIONS]
    dropped = frozenset(earliest)
    return {key: each for key, each in known.items() if key not in dropped} if dropped else known


def bury(entry: Entry, since: str, at: str, words: str) -> Entry:
    """The entry of a service that ECS says is gone, since `since` at the latest. It never comes back: a service that
    is created again under its name is another one."""
    earliest = min(filter(None, (entry.since, since)), default=since)
    return replace(_told(entry, Life.DEAD, at, words), since=earliest)


def doubt(entry: Entry, at: str, words: str) -> Entry:
    """The entry of a service that seems to be gone, told by somebody who does not know the time well enough."""
    return _told(entry, Life.UNKNOWN, at, words)


def _told(entry: Entry, life: Life, at: str, words: str) -> Entry:
    """The newest word on its life; of two of one time the later in life's order, and a death stands."""
    if (_RANK[life] == _DEAD, at, _RANK[life], words) <= (
        _RANK[entry.life] == _DEAD,
        entry.at,
        _RANK[entry.life],
        entry.words,
    ):
        return entry
    return replace(entry, life=life, at=at, words=words)


_RANK = {Life.UNKNOWN: 0, Life.ALIVE: 1, Life.DRAINING: 2, Life.DEAD: 3}
_DEAD = _RANK[Life.DEAD]


def _with(known: Known | None, item: Item, at: str) -> Known:
    before = known or Known(item.resource, item.kind)
    active = max(before.active, at) if item.active else before.active
    return replace(
        before,
        kind=max(before.kind, item.kind),
        shared=before.shared or item.shared,
        revisions=_latest((*before.revisions, *item.revisions)),
        seen=max(before.seen, at),
        active=active,
    )


def _latest(revisions: Iterable[str]) -> tuple[str, ...]:
    """At most `REVISIONS` of them, the same ones in whatever order they came: those with the highest numbers."""
    ordered = sorted(set(revisions), key=lambda arn: (len(arn), arn))
    return tuple(ordered[-REVISIONS:])
