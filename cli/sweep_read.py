"""Reads what `caretaker sweep --watch` shows: of ECS while it tells, of the ledger and an observation after that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cli.garbage import judged_now
from cli.product import (
    GONE,
    Act,
    Claim,
    Identity,
    Judgement,
    Ledger,
    LedgerEntry,
    Life,
    Sweep,
    Sweeps,
    iso,
    name_in,
    parse,
    short,
    unseen,
)
from cli.stack import Stack
from cli.sweep_snapshot import DELETED, UNJUDGED, Item, Snapshot, ended
from cli.sweep_told import Told, told
from cli.sweep_words import DONE, deletes, moment, standing
from twin.errors import WorldError

JUDGE_EVERY = timedelta(minutes=1)


@dataclass
class Reader:
    """Follows one service, told from others of its ARN by its creation.

    Attributes:
        wait: waits between two parts of an observation.
        created: ISO 8601; empty before the first look.
    """

    stack: Stack
    arn: str
    wait: Callable[[Any], None]
    created: str = ""
    _revisions: tuple[str, ...] = ()
    _known: dict[str, Item] = field(default_factory=dict)
    _judgement: Judgement | None = None
    _judged: datetime | None = None
    _since: str = ""

    def look(self, now: datetime) -> Snapshot:
        """The service as it is now.

        Raises:
            WorldError: neither ECS nor the ledger knows such a service.
            AwsFailure: ECS or the table could not be read.
        """
        ledger = Ledger(self.stack.table)
        entries = ledger.of_service(self.arn)
        found = told(self.arn, self._revisions or _revisions_of(entries))
        if not self.created:
            self.created = found.created if found else entries[-1].owner.created if entries else ""
        if not self.created:
            raise WorldError(f"{short_of(self.arn)}: neither ECS nor the ledger knows such an Express service")
        entry = next((each for each in entries if each.owner.created == self.created), None)
        around = ledger.entries(entry.vpc) if entry and entry.vpc else []
        if found is not None and found.created == self.created:
            return self._living(found, entry, around)
        return self._dead(entry, around, now)

    # --- while ECS tells ---------------------------------------------------------------------------------------------

    def _living(self, found: Told, entry: LedgerEntry | None, around: list[LedgerEntry]) -> Snapshot:
        self._revisions = found.revisions
        items = {each.arn: each for each in found.items}
        if found.status == "DRAINING":  # what ECS names no more was there before
            items = {arn: items.get(arn, replace(each, status=GONE)) for arn, each in (self._known | items).items()}
        self._known |= items
        vpc = entry.vpc if entry else ""
        notes = () if vpc else ("the ledger does not know it yet: what it leaves would never be proven garbage",)
        shown = self._held(items.values(), around)
        snapshot = Snapshot(short_of(self.arn), found.status, self.created, vpc=vpc, items=shown, notes=notes)
        return _with_sweep(snapshot, *self._latest(vpc))

    # --- after that --------------------------------------------------------------------------------------------------

    def _dead(self, entry: LedgerEntry | None, around: list[LedgerEntry], now: datetime) -> Snapshot:
        vpc = entry.vpc if entry else ""
        if vpc and (self._judged is None or now - self._judged >= JUDGE_EVERY):
            self._judgement = judged_now(self.stack, vpc, now, self.wait)
            self._judged = now
        since = self._gone_since(entry)
        sweep, acts = self._latest(vpc)
        snapshot = Snapshot(
            short_of(self.arn),
            "INACTIVE",
            self.created,
            since,
            vpc,
            self._held(self._left(entry, sweep, acts), around),
            judged=iso(self._judged) if self._judged else "",
            notes=self._remarks(entry, swept=sweep is not None),
        )
        snapshot = _with_sweep(snapshot, sweep, acts)
        return replace(snapshot, over=not vpc or self._over(snapshot, now))

    def _gone_since(self, entry: LedgerEntry | None) -> str:
        """The earliest that is known: until the ledger is told, each observation finds it gone anew."""
        found = [self._since, entry.since if entry else ""]
        if self._judgement is not None:
            owner = self._judgement.graph.observation.owners.get(Identity(self.arn, self.created))
            found.append(owner.since if owner is not None and owner.life is Life.DEAD else "")
        self._since = min(filter(None, found), default="")
        return self._since

    def _remarks(self, entry: LedgerEntry | None, *, swept: bool) -> tuple[str, ...]:
        if entry is None or not entry.vpc:
            return ("the ledger does not know it: what it has left is nobody's, and is never deleted",)
        remarks = []
        owner = self._judgement.graph.observation.owners.get(entry.owner) if self._judgement else None
        if owner is not None and owner.life not in (Life.DEAD, Life.DRAINING):
            remarks.append(f"the observation cannot tell that it is gone: {owner.words}")
        if not swept:
            begins = "one begins with CloudTrail's event or the daily patrol"
            asks = f"`caretaker sweep --vpc {entry.vpc}` asks for one now"
            remarks.append(f"{entry.vpc} has not been swept since it is gone: {begins}; {asks}")
        return tuple(remarks)

    def _left(self, entry: LedgerEntry | None, sweep: Sweep | None, acts: list[Act]) -> list[Item]:
        """What the ledger names for it, and what was known of it before, each with its verdict."""
        claims = {claim.resource.arn: claim for claim in (entry.claims() if entry else ())}
        named = {arn: Item(arn, each.kind, name_in(arn), UNJUDGED, shared=each.shared) for arn, each in claims.items()}
        items = {arn: self._verdict(each, claims.get(arn)) for arn, each in (named | self._known).items()}
        for act in acts:
            item = items.get(act.resource)
            if sweep is None or item is None or not deletes(act) or act.status not in DONE:
                continue
            if not item.there or (act.at and self._judged and act.at >= self._judged):
                items[act.resource] = replace(item, status=DELETED, reason=f"{moment(act.at)} by {sweep.id}")
        self._known |= items
        return sorted(items.values(), key=lambda each: (each.shared, each.kind, each.name))

    def _verdict(self, item: Item, claim: Claim | None) -> Item:
        """The item with the verdict on it; without one it is gone, or could not be seen."""
        judgement = self._judgement
        if judgement is None:
            return replace(item, status=UNJUDGED, reason="")
        verdict = judgement.verdicts.get(item.arn)
        if verdict is not None and (claim is None or verdict.resource.identity == claim.resource):
            name = verdict.resource.name or item.name
            return replace(item, name=name, status=str(verdict.word), reason=verdict.reason)
        # What the ledger has forgotten was seen to be gone by a sweep.
        words = unseen(claim, judgement.graph) if claim is not None else GONE
        return replace(item, status=GONE if words == GONE else "unknown", reason="" if words == GONE else words)

    def _over(self, snapshot: Snapshot, now: datetime) -> bool:
        if self._judgement is None or not self._since:
            return False
        ground = Sweeps(self.stack.table).ground(snapshot.vpc)
        grace = self._judgement.keep.of(self.arn).grace
        return ended(
            snapshot,
            sweep_open=bool(ground.sweep or ground.again),
            swept=bool(snapshot.sweep),
            grace_over=now > parse(self._since, "since") + grace,
        )

    # --- both --------------------------------------------------------------------------------------------------------

    def _held(self, items: Iterable[Item], around: list[LedgerEntry]) -> tuple[Item, ...]:
        """The items, the shared ones with who else has them."""
        others: dict[str, list[str]] = {}
        for entry in around:
            if entry.owner.arn != self.arn and entry.life is not Life.DEAD:
                for claim in entry.claims():
                    if claim.current:
                        others.setdefault(claim.resource.arn, []).append(short_of(entry.owner.arn))
        return tuple(
            replace(each, holders=tuple(sorted(others.get(each.arn, ())))) if each.shared else each for each in items
        )

    def _latest(self, vpc: str) -> tuple[Sweep | None, list[Act]]:
        """The open sweep of the VPC, or the last one that ended since the service is gone; and its acts."""
        sweeps = Sweeps(self.stack.table)
        open_ = sweeps.ground(vpc).sweep if vpc else ""
        found = sweeps.find(open_) if open_ else None
        if found is None and self._since:
            gone = parse(self._since, "since")
            past = [each for each in sweeps.all() if each.vpc == vpc and each.ended is not None and each.ended >= gone]
            found = past[0] if past else None
        return found, sweeps.acts(found.id) if found else []


def _with_sweep(snapshot: Snapshot, sweep: Sweep | None, acts: list[Act]) -> Snapshot:
    return replace(snapshot, sweep=sweep.id, standing=standing(sweep, acts)) if sweep is not None else snapshot


def _revisions_of(entries: list[LedgerEntry]) -> tuple[str, ...]:
    """The revisions that the latest service of an ARN had last."""
    current = [claim for entry in entries[-1:] for claim in entry.claims() if claim.current]
    return tuple(dict.fromkeys(revision for claim in current for revision in claim.revisions))


def short_of(arn: str) -> str:
    """`cluster/name` of a service's ARN."""
    return short(arn).removeprefix("service/")
