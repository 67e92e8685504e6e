"""The ledger: what ECS made for which Express service, written down while ECS still tells it.

The inventory of a service dies with it; after that only tags and names are left, which prove nothing. Services are told
apart by ARN and creation time, so one that is created again under the same name is another owner.

    EXPRESS#<service arn> / SERVICE#<createdAt>                              the service
    EXPRESS#<service arn> / CLAIM#<createdAt>#<resource arn>#<its creation>  a resource of it
    GARBAGE#<vpc> / <service arn>#<createdAt>                                the services of a VPC; `-` while unknown
    LEDGER / <vpc>                                                           the VPCs

News are merged (`caretaker.garbage.inventory`) and written in one transaction, on the condition that nobody else wrote
in between, so that neither order nor repetition of events matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from caretaker.aws.errors import ConditionFailed, Conflict
from caretaker.aws.paging import batches
from caretaker.garbage import inventory
from caretaker.garbage.inventory import Entry, Inventory, Known
from caretaker.garbage.model import Claim, Identity, Kind, Life, Owner
from caretaker.runtime.clock import iso
from caretaker.runtime.table import Item, Key, Table, Write

UNPLACED = "-"
_TRIES = 8
# DynamoDB API: TransactWriteItems takes 100 actions; some are the service's own.
_CLAIMS = 90
# Stands for the time at which an inventory was last whole: most resources are in each, and none of their items changes.
_AS_WHOLE = "*"


class LedgerBusy(Exception):
    """Others write about the same service all the time; the news have to come again."""


@dataclass(frozen=True)
class Ledger:
    """The ledger in a table."""

    table: Table

    # --- writing -----------------------------------------------------------------------------------------------------

    def record(self, news: Inventory) -> Entry:
        """Add an inventory. Returns what is known of the service then.

        Raises:
            LedgerBusy: see there.
        """
        return self._change(news.owner, lambda entry: inventory.add(entry, news))

    def bury(self, owner: Identity, since: str, now: datetime, words: str) -> Entry:
        """Write that ECS says that the service is gone, since `since` (ISO 8601) at the latest.

        Raises:
            LedgerBusy: see there.
        """
        return self._change(owner, lambda entry: inventory.bury(entry, since, iso(now), words))

    def forget(self, owner: Identity, resources: Iterable[Identity] | None = None) -> None:
        """Forget claims on resources that are gone; without any named, the service and all of its claims.

        Only for a service that is dead: one that lives would be recorded again.
        """
        entry = self.find(owner)
        if entry is None:
            return
        if resources is not None:
            self.table.write_many(deletes=[_claim_key(owner, each) for each in resources if each in entry.known])
            return
        keys = [_claim_key(owner, each) for each in entry.known]
        self.table.write_many(deletes=[*keys, _place_key(entry)])
        self.table.delete(*_service_key(owner))

    def _change(self, owner: Identity, change: Callable[[Entry], Entry]) -> Entry:
        for _ in range(_TRIES):
            before, version = self._found(owner)
            after = change(before)
            if version and after == before:
                return after
            try:
                self._write(before, after, version)
            except (ConditionFailed, Conflict):
                continue  # somebody else wrote in between: merge with what stands there now
            return after
        raise LedgerBusy(f"{owner.arn}: others write about it at the same time")

    def _found(self, owner: Identity) -> tuple[Entry, int]:
        items = self.table.query(_pk(owner.arn))
        return next(
            ((entry, version) for entry, version in _entries(items) if entry.owner == owner),
            (Entry(owner), 0),
        )

    def _write(self, before: Entry, after: Entry, version: int) -> None:
        """All that has changed. More claims than one transaction takes come first: claims alone never mislead."""
        changed = [
            _claim_write(after, each)
            for identity, each in sorted(after.known.items())
            if identity not in before.known or _claim_item(after, each) != _claim_item(before, before.known[identity])
        ]
        parts = list(batches(changed, _CLAIMS)) or [[]]
        for part in parts[:-1]:
            version = self._transact(replace(after, whole=before.whole, at=before.at), part, version)
        self._transact(after, parts[-1], version)
        self._place(before, after)

    def _transact(self, entry: Entry, claims: Iterable[Write], version: int) -> int:
        condition = "#version = :version" if version else "attribute_not_exists(#pk)"
        item = {**_service_item(entry), "version": version + 1}
        values = {":version": version} if version else {}
        self.table.transact(
            [Write("Put", _service_key(entry.owner), item, condition=condition, values=values), *claims]
        )
        return version + 1

    def _place(self, before: Entry, after: Entry) -> None:
        """The index. Written after the entry: a function that dies in between comes again, and writes it then."""
        key, vpc = _place_key(after), after.vpc or UNPLACED
        self.table.put({"pk": key[0], "sk": key[1], "arn": after.owner.arn, "created": after.owner.created})
        self.table.put({"pk": "LEDGER", "sk": vpc})
        if after.vpc and _place_key(before) != key:
            self.table.delete(*_place_key(before))

    # --- reading -----------------------------------------------------------------------------------------------------

    def find(self, owner: Identity) -> Entry | None:
        """What is known of a service; None if nothing is."""
        return next((entry for entry in self.of_service(owner.arn) if entry.owner == owner), None)

    def of_service(self, arn: str) -> list[Entry]:
        """All services that had the ARN, the oldest first."""
        return [entry for entry, _ in _entries(self.table.query(_pk(arn)))]

    def entries(self, vpc: str) -> list[Entry]:
        """All services of a VPC, and those whose VPC is not known, in order."""
        places = [*self.table.query(f"GARBAGE#{vpc}"), *self.table.query(f"GARBAGE#{UNPLACED}")]
        wanted = {(item["arn"], item["created"]) for item in places}
        found = [entry for arn in sorted({arn for arn, _ in wanted}) for entry in self.of_service(arn)]
        return [entry for entry in found if (entry.owner.arn, entry.owner.created) in wanted]

    def owners(self, vpc: str) -> dict[Identity, Owner]:
        """The services of a VPC, and those whose VPC is not known."""
        return {entry.owner: entry.as_owner() for entry in self.entries(vpc)}

    def claims(self, vpc: str) -> tuple[Claim, ...]:
        """The claims of these services."""
        return tuple(claim for entry in self.entries(vpc) for claim in entry.claims())

    def vpc_of(self, arn: str) -> str:
        """Id of the VPC of the latest service of that ARN; empty if none is known."""
        return next((entry.vpc for entry in reversed(self.of_service(arn)) if entry.vpc), "")

    def vpcs(self) -> list[str]:
        """Ids of the VPCs that are known."""
        return [item["sk"] for item in self.table.query("LEDGER") if item["sk"] != UNPLACED]


# --- items -----------------------------------------------------------------------------------------------------------


def _pk(arn: str) -> str:
    return f"EXPRESS#{arn}"


def _service_key(owner: Identity) -> Key:
    return _pk(owner.arn), f"SERVICE#{owner.created}"


def _claim_key(owner: Identity, resource: Identity) -> Key:
    return _pk(owner.arn), f"CLAIM#{owner.created}#{resource.arn}#{resource.created}"


def _place_key(entry: Entry) -> Key:
    return f"GARBAGE#{entry.vpc or UNPLACED}", f"{entry.owner.arn}#{entry.owner.created}"


def _service_item(entry: Entry) -> dict[str, Any]:
    return {
        "arn": entry.owner.arn,
        "created": entry.owner.created,
        "life": entry.life.value,
        "words": entry.words,
        "at": entry.at,
        "since": entry.since,
        "whole": entry.whole,
        "vpc": entry.vpc,
        "role": entry.role,
        "placed": entry.placed,
    }


def _claim_item(entry: Entry, known: Known) -> dict[str, Any]:
    return {
        "owner": entry.owner.created,
        "arn": known.resource.arn,
        "created": known.resource.created,
        "kind": known.kind.value,
        "shared": known.shared,
        "revisions": list(known.revisions),
        "seen": _AS_WHOLE if known.seen == entry.whole else known.seen,
        "active": _AS_WHOLE if known.active == entry.whole else known.active,
    }


def _claim_write(entry: Entry, known: Known) -> Write:
    return Write("Put", _claim_key(entry.owner, known.resource), _claim_item(entry, known))


def _entries(items: list[Item]) -> Iterator[tuple[Entry, int]]:
    """The services in the items of one ARN, with the versions of their items."""
    for item in items:
        if not item["sk"].startswith("SERVICE#"):
            continue
        owner, whole = Identity(item["arn"], item["created"]), item["whole"]
        known = [_known(each, whole) for each in items if each["sk"].startswith(f"CLAIM#{owner.created}#")]
        entry = Entry(
            owner,
            Life(item["life"]),
            item["words"],
            item["at"],
            item["since"],
            whole,
            item["vpc"],
            item["role"],
            item["placed"],
            {each.resource: each for each in known},
        )
        yield entry, item["version"]


def _known(item: Item, whole: str) -> Known:
    return Known(
        Identity(item["arn"], item["created"]),
        Kind(item["kind"]),
        item["shared"],
        tuple(item["revisions"]),
        whole if item["seen"] == _AS_WHOLE else item["seen"],
        whole if item["active"] == _AS_WHOLE else item["active"],
    )
