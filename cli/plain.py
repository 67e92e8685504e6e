"""The rehearsal as plain lines, for logs and pipes: the important entries, each with its simulated time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cli.view import clock
from twin.kernel.kernel import Entry

QUIET = ("log", "task.", "call", "metric", "message", "instance.", "target", "service.")
"""Kinds of entries that are too many for a log."""


class PlainView:
    """A listener of the timeline."""

    def __init__(self, start: datetime, write: Callable[[str], None]) -> None:
        self._start = start
        self._write = write

    def __call__(self, entry: Entry) -> None:
        if important(entry.kind):
            elapsed = (entry.at - self._start).total_seconds()
            self._write(f"{clock(elapsed)}  {entry.text}")


def important(kind: str) -> bool:
    """Whether people want to see entries of this kind."""
    return not kind.startswith(QUIET)
