"""The ledger: what ECS made for which Express service, written down while ECS still tells it.

The inventory of a service dies with it; after that only tags and names are left, which prove nothing. Services are told
apart by ARN and creation time, so one that is created again under the same name is another owner.

    EXPRESS#<service arn> / SERVICE#<createdAt>       the service, with its claims on resources (compressed)
    GARBAGE#<vpc> / <service arn>#<createdAt>         the services of a VPC, of now or before; `-` while none is known
    LEDGER / <vpc>                                    the VPCs

All that is known of a service is one item: news are merged with it (`caretaker.garbage.inventory`) and written on the
condition that nobody else wrote in between, so that neither order nor repetition of events matters.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from caretaker.aws.errors import ConditionFailed
from caretaker.garbage import inventory
from caretaker.garbage.inventory import Entry, Inventory, Known
from caretaker.garbage.model import Claim, Identity, Kind, Life, Owner
from caretaker.runtime.clock import iso
from caretaker.runtime.table import Item, Key, Table

UNPLACED = "-"
_TRIES = 8


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

    def doubt(self, owner: Identity, now: datetime, words: str) -> Entry:
        """Write that the service seems to be gone, since nobody knows when: whoever reads next has to find out.

        Raises:
            LedgerBusy: see there.
        """
        return self._change(owner, lambda entry: inventory.doubt(entry, iso(now), words))

    def forget(self, owner: Identity, resources: Iterable[Identity] | None = None) -> None:
        """Forget claims on resources that are gone; without any named, the service and all of its claims.

        Only for a service that is dead: one that lives would be recorded again.

        Raises:
            LedgerBusy: see there.
        """
        entry = self.find(owner)
        if entry is None:
            return
        if resources is None:
            self.table.delete(*_service_key(owner))
            for key in _place_keys(entry):
                self.table.delete(*key)
            return
        gone = set(resources)
        self._change(
            owner,
            lambda found: replace(found, known={key: each for key, each in found.known.items() if key not in gone}),
        )

    def _change(self, owner: Identity, change: Callable[[Entry], Entry]) -> Entry:
        for _ in range(_TRIES):
            item = self.table.get(*_service_key(owner))
            before, version = (_entry(item), item["version"]) if item else (Entry(owner), 0)
            after = change(before)
            if version and after == before:
                return after
            try:
                self._write(before, after, version)
            except ConditionFailed:
                continue  # somebody else wrote in between: merge with what stands there now
            return after
        raise LedgerBusy(f"{owner.arn}: others write about it at the same time")

    def _write(self, before: Entry, after: Entry, version: int) -> None:
        """The index first: an entry of it that leads to nothing misleads nobody, a service that it lacks is lost."""
        were = _place_keys(before) if version else []
        owner = after.owner
        for vpc, key in zip(_places(after), _place_keys(after), strict=True):
            if key not in were:
                self.table.put({"pk": key[0], "sk": key[1], "arn": owner.arn, "created": owner.created})
                self.table.put({"pk": "LEDGER", "sk": vpc})
        condition = "#version = :version" if version else "attribute_not_exists(#pk)"
        values = {":version": version} if version else None
        self.table.put({**_item(after), "version": version + 1}, condition=condition, values=values)
        for key in were:
            if key not in _place_keys(after):
                self.table.delete(*key)

    # --- reading -----------------------------------------------------------------------------------------------------

    def find(self, owner: Identity) -> Entry | None:
        """What is known of a service; None if nothing is."""
        item = self.table.get(*_service_key(owner))
        return _entry(item) if item else None

    def of_service(self, arn: str) -> list[Entry]:
        """All services that had the ARN, the oldest first."""
        return [_entry(item) for item in self.table.query(_pk(arn), "SERVICE#")]

    def entries(self, vpc: str) -> list[Entry]:
        """All services of a VPC, and those whose VPC is not known, in order."""
        places = [*self.table.query(f"GARBAGE#{vpc}"), *self.table.query(f"GARBAGE#{UNPLACED}")]
        found = self.table.get_many(_service_key(Identity(item["arn"], item["created"])) for item in places)
        return [_entry(found[key]) for key in sorted(found)]

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


def _places(entry: Entry) -> tuple[str, ...]:
    return entry.vpcs or (UNPLACED,)


def _place_keys(entry: Entry) -> list[Key]:
    return [(f"GARBAGE#{vpc}", f"{entry.owner.arn}#{entry.owner.created}") for vpc in _places(entry)]


def _item(entry: Entry) -> dict[str, Any]:
    pk, sk = _service_key(entry.owner)
    known = [_plain(each) for _, each in sorted(entry.known.items())]
    return {
        "pk": pk,
        "sk": sk,
        "arn": entry.owner.arn,
        "created": entry.owner.created,
        "life": entry.life.value,
        "words": entry.words,
        "at": entry.at,
        "since": entry.since,
        "whole": entry.whole,
        "vpc": entry.vpc,
        "vpcs": list(entry.vpcs),
        "role": entry.role,
        "placed": entry.placed,
        "known": zlib.compress(json.dumps(known, sort_keys=True, separators=(",", ":")).encode(), 6),
    }


def _entry(item: Item) -> Entry:
    known = [_known(each) for each in json.loads(zlib.decompress(item["known"]))]
    return Entry(
        Identity(item["arn"], item["created"]),
        Life(item["life"]),
        item["words"],
        item["at"],
        item["since"],
        item["whole"],
        item["vpc"],
        item["role"],
        item["placed"],
        {each.resource: each for each in known},
        tuple(item["vpcs"]),
    )


def _plain(known: Known) -> dict[str, Any]:
    return {
        "arn": known.resource.arn,
        "created": known.resource.created,
        "kind": known.kind.value,
        "shared": known.shared,
        "revisions": list(known.revisions),
        "seen": known.seen,
        "active": known.active,
    }


def _known(data: Mapping[str, Any]) -> Known:
    return Known(
        Identity(data["arn"], data["created"]),
        Kind(data["kind"]),
        data["shared"],
        tuple(data["revisions"]),
        data["seen"],
        data["active"],
    )
