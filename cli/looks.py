"""Looks at a release as lines of the log: what was seen, in place of the states that were passed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cli.frame import Line
from cli.product import to_one
from twin.kernel.kernel import Entry
from twin.rehearsal.bakes import LOOKING, MACHINE, release_of
from twin.rehearsal.rehearsal import Rehearsal
from twin.rehearsal.release_records import ReleaseRecords

KIND = "look"
_AFTER_LOOK = "Decide"
LOOP = (LOOKING, _AFTER_LOOK, "Wait")
"""The states that a release passes at every look."""


class Looks:
    """Collects the looks that have been made; `take` reads them. To be asked between two jumps of the clock."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal
        self._waiting: list[tuple[datetime, str]] = []
        self._told: dict[str, int] = {}
        rehearsal.world.kernel.listeners.append(self._noted)

    def _noted(self, entry: Entry) -> None:
        if entry.kind == "state.entered" and entry.data["machine"] == MACHINE and entry.data["state"] == _AFTER_LOOK:
            self._waiting.append((entry.at, str(entry.data["execution"])))

    def take(self) -> list[Line]:
        """A line for each look since the last time."""
        waiting, self._waiting = self._waiting, []
        return [line for at, execution in waiting if (line := self._line(at, execution)) is not None]

    def _line(self, at: datetime, execution: str) -> Line | None:
        world = self._rehearsal.world
        found = next((each for each in world.machines.executions if each.arn == execution), None)
        release = release_of(found) if found is not None else ""
        look = ReleaseRecords(world).last_look(release)
        if look is None or self._told.get(release) == look["number"]:
            return None
        self._told[release] = int(look["number"])
        name = str(found.input.get("service", "")).rpartition("/")[2] if found is not None else ""
        return Line((at - self._rehearsal.start).total_seconds(), KIND, words(name, look))


def in_order(lines: Iterable[Line]) -> list[Line]:
    """By time; a look goes before what followed from it at the same moment."""
    return sorted(lines, key=lambda line: (line.at, line.kind != KIND))


def words(service: str, look: Mapping[str, Any]) -> str:
    """ "web: look 5 at 5 %: continue, evidence 16.3 to 1 of 200 to 1; 5xx 11 of 928 against 62 of 20,202"."""
    text = f"{service}: look {look['number']} at {100 * float(look['weight']):.3g} %: {look['action']}"
    if not any(int(stream["canary_requests"]) for stream in look["counts"].values()):
        return f"{text}, no request of it is known yet"
    text += f", evidence {to_one(float(look['log_against']))} of {to_one(float(look['line']))}"
    return "; ".join([text, *(counted(name, stream) for name, stream in look["counts"].items())])


def counted(name: str, stream: Mapping[str, Any]) -> str:
    """Errors of requests of the new revision and of the running one."""
    mine = f"{int(stream['canary_errors']):,} of {int(stream['canary_requests']):,}"
    return f"{name} {mine} against {int(stream['baseline_errors']):,} of {int(stream['baseline_requests']):,}"
