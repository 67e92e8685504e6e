"""Follows the releases of a running rehearsal: weights as the twin has them, looks as Caretaker writes them down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cli.frame import ReleaseRow
from twin.kernel.kernel import Entry
from twin.rehearsal.bakes import MACHINE, Bake, bakes
from twin.rehearsal.rehearsal import Rehearsal

_CHANGES = ("state.entered", "execution.ended", "rule.weights")


class WatchReleases:
    """Reads the record only when something of a release has changed."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal
        self._rows: tuple[ReleaseRow, ...] = ()
        self._stale = False
        rehearsal.world.kernel.listeners.append(self._noted)

    def _noted(self, entry: Entry) -> None:
        if entry.kind in _CHANGES and entry.data.get("machine", MACHINE) == MACHINE:
            self._stale = True

    def rows(self) -> tuple[ReleaseRow, ...]:
        """Releases that were opened, oldest first."""
        if self._stale:
            self._stale = False
            seen = self._rehearsal.releases
            found = bakes(self._rehearsal.world, seen.exposures.seen, seen.looked)
            self._rows = tuple(_row(bake) for bake in found if bake.record is not None)
        return self._rows


def _row(bake: Bake) -> ReleaseRow:
    looks = bake.looks
    last: Mapping[str, Any] = looks[-1] if looks else {}
    times = [datetime.fromisoformat(str(look["at"])) for look in looks]
    return ReleaseRow(
        name=bake.id,
        service=bake.service.rpartition("/")[2],
        way=bake.way,
        share=bake.exposure.share if bake.exposure is not None else None,
        counts=tuple(_counted(name, stream) for name, stream in last.get("counts", {}).items()),
        points=tuple(
            ((at - times[0]).total_seconds() / 60, float(look["log_against"]))
            for at, look in zip(times, looks, strict=True)
        ),
        line=float(last.get("line", 0.0)),
        word=bake.outcome or str(last.get("action", "no look yet")),
        running=bake.ended is None,
        need=str(next(iter(last.get("needs") or ()), "")),
    )


def _counted(name: str, stream: Mapping[str, Any]) -> tuple[str, str, str]:
    mine = f"{int(stream['canary_errors']):,} of {int(stream['canary_requests']):,}"
    return name, mine, f"{int(stream['baseline_errors']):,} of {int(stream['baseline_requests']):,}"
