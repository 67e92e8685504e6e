"""Follows the sweeps of a running rehearsal: resources as the twin has them, waits as the record tells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cli.frame import LeavingRow, ThingRow
from twin.kernel.kernel import Entry
from twin.rehearsal.garbage_records import MACHINE, SweepRecords
from twin.rehearsal.leavings import Leaving, Leavings, Thing
from twin.rehearsal.rehearsal import Rehearsal

_CHANGES = ("state.entered", "execution.ended")
_EVERY = 30.0
"""Simulated seconds after which the twin is looked at again although nothing of a sweep has changed."""


class WatchSweeps:
    """Looks at the twin and reads the record only when something may have changed."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._world = rehearsal.world
        self._records = SweepRecords(rehearsal.world)
        self._leavings = Leavings(rehearsal.world, rehearsal.garbage.truth)
        self._rows: tuple[LeavingRow, ...] = ()
        self._stale = False
        self._looked = 0.0
        rehearsal.world.kernel.listeners.append(self._noted)

    def _noted(self, entry: Entry) -> None:
        if entry.kind in _CHANGES and entry.data.get("machine") == MACHINE:
            self._stale = True

    def rows(self) -> tuple[LeavingRow, ...]:
        """Services that are deleted or have left something, in the order of their making."""
        elapsed = self._world.kernel.clock.elapsed
        if self._stale or elapsed - self._looked >= _EVERY:
            self._stale, self._looked = False, elapsed
            found = self._leavings.seen()
            why = Why(self._waits(), self._stays()) if found else Why({}, [])
            words = self._words() if found else {}
            self._rows = tuple(_row(each, why, words.get(each.vpc, "")) for each in found)
        return self._rows

    def _waits(self) -> dict[str, str]:
        """Why the last sweep of a VPC has not done its act on a resource, by ARN."""
        found: dict[str, str] = {}
        for sweep in self._records.ids:
            for act in self._records.acts(sweep):
                if act["status"] in ("planned", "skipped", "refused"):
                    found[str(act["resource"])] = str(act.get("reason") or "planned")
        return found

    def _stays(self) -> list[str]:
        """What remains and why, in the words of the sweeps."""
        records = (self._records.find(sweep) for sweep in self._records.ids)
        return [str(line) for record in records if record is not None for line in record.get("remains", ())]

    def _words(self) -> dict[str, str]:
        """How the last sweep of each VPC stands, by its id."""
        found: dict[str, str] = {}
        for sweep in self._records.ids:
            record = self._records.find(sweep)
            if record is not None and record.get("outcome") != "ignored":
                outcome = record.get("outcome")
                found[str(record["vpc"])] = str(outcome) if outcome else f"a sweep is open ({record.get('mode')})"
        return found


@dataclass(frozen=True)
class Why:
    """Why things are left, as the record has it.

    Attributes:
        waits: by ARN.
        stays: lines that begin with kind and name.
    """

    waits: dict[str, str]
    stays: list[str]

    def of(self, thing: Thing) -> str:
        begin = f"{thing.kind} {thing.name} of "
        line = next((each for each in reversed(self.stays) if each.startswith(begin)), "")
        return self.waits.get(thing.arn, "") or line.removeprefix(begin).partition(": ")[2]


def _row(leaving: Leaving, why: Why, sweep: str) -> LeavingRow:
    return LeavingRow(
        service=leaving.service,
        life=leaving.life,
        sweep=sweep,
        things=tuple(_thing(each, why) for each in _once(leaving.things)),
    )


def _once(things: Sequence[Thing]) -> list[Thing]:
    """Without the second ingress on the same load balancer."""
    return list({(each.arn or f"{each.kind} {each.name}"): each for each in things}.values())


def _thing(thing: Thing, why: Why) -> ThingRow:
    reason = thing.reason
    if thing.status == "left":
        reason = thing.reason or why.of(thing)
    return ThingRow(thing.kind, thing.name, thing.status, reason, thing.shared, thing.holders if thing.shared else ())
