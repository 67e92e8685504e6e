"""The rehearsal as plain lines, for logs and pipes: the important entries, each with its simulated time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cli.view import clock
from twin.kernel.kernel import Entry

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


class PlainView:
    """A listener of the timeline."""

    def __init__(self, start: datetime, write: Callable[[str], None]) -> None:
        self._start = start
        self._write = write
        self._repeats = Repeats()

    def __call__(self, entry: Entry) -> None:
        if important(entry) and not self._repeats.again(entry):
            elapsed = (entry.at - self._start).total_seconds()
            self._write(f"{clock(elapsed)}  {entry.text}")


class Repeats:
    """Knows the state that each execution is in: waits enter theirs again whenever they look again."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def again(self, entry: Entry) -> bool:
        """Whether the entry is an execution entering the state that it is in already."""
        if entry.kind != "state.entered":
            return False
        execution, state = str(entry.data["execution"]), str(entry.data["state"])
        before, self._states[execution] = self._states.get(execution), state
        return before == state


def important(entry: Entry) -> bool:
    """Whether people want to see an entry."""
    kind = f"{entry.kind}:{entry.text}" if entry.kind == "event.put" else entry.kind
    return not kind.startswith(QUIET)
