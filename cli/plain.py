"""The rehearsal as plain lines, for logs and pipes: the important entries, each with its simulated time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from cli.frame import Line
from cli.looks import LOOP, in_order
from cli.view import clock
from twin.kernel.kernel import Entry
from twin.rehearsal.bakes import MACHINE
from twin.rehearsal.garbage_records import MACHINE as SWEEPS

QUIET = (
    "event.put:aws.ecs",
    "event.put:aws.states",
    "instance.",
    "log",
    "message.sent",
    "metric",
    "schedule",
    "service.",
    "target",
    "task.",
)
"""Kinds of entries (of `event.put` with its source) that are too many for people."""


SWEEP_LOOP = (
    "Anything to tell?",
    "Begin",
    "Confirmed?",
    "Decide",
    "ECS ready?",
    "Let others ask",
    "More to delete?",
    "Observed?",
    "Tell somebody?",
    "Wait a while",
    "Wait to delete",
)
"""States of a sweep that only lead to others, or come again and again."""


class PlainView:
    """A listener of the timeline. What it has heard is written at each `flush`."""

    def __init__(self, start: datetime, write: Callable[[str], None]) -> None:
        self._start = start
        self._write = write
        self._repeats = Repeats()
        self._held: list[Line] = []

    def __call__(self, entry: Entry) -> None:
        if important(entry) and not self._repeats.again(entry):
            self._held.append(Line((entry.at - self._start).total_seconds(), entry.kind, entry.text))

    def flush(self, looks: Iterable[Line] = ()) -> None:
        """Write all that has come, and the looks at releases in their places."""
        held, self._held = self._held, []
        for line in in_order([*held, *looks]):
            self._write(f"{clock(line.at)}  {line.text}")


class Repeats:
    """Knows what each execution and each deployment did last: waits, and calls of hooks, come again and again."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def again(self, entry: Entry) -> bool:
        """Whether an execution enters the state that it is in already, or a hook gives the same answer again."""
        if entry.kind == "state.entered":
            of, what = str(entry.data["execution"]), str(entry.data["state"])
        elif entry.kind == "release.hook":
            of, what = f"hook of {entry.text.partition(':')[0]}", entry.text
        else:
            return False
        before, self._last[of] = self._last.get(of), what
        return before == what


def important(entry: Entry) -> bool:
    """Whether people want to see an entry."""
    if entry.kind == "state.entered" and entry.data.get("machine") == MACHINE and entry.data["state"] in LOOP:
        return False
    if entry.kind == "state.entered" and entry.data.get("machine") == SWEEPS and entry.data["state"] in SWEEP_LOOP:
        return False
    kind = f"{entry.kind}:{entry.text}" if entry.kind == "event.put" else entry.kind
    return not kind.startswith(QUIET)
