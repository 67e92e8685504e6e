"""The kernel's shared state: clock, scheduler, seeded randomness, the record of calls, the timeline."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twin.kernel.api import Call
from twin.kernel.clock import Clock
from twin.kernel.scheduler import Scheduler


@dataclass(frozen=True)
class Entry:
    """Something that happened in the world, for people: shown live and kept in order.

    Attributes:
        kind: short dotted name, e.g. `task.running`, `host.draining`, `execution.started`, `event.put`, `alarm`.
        text: one line.
        data: ids, for programs.
    """

    at: datetime
    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


class CallLog(list[Call]):
    """The record of API calls, which tells its listeners of each call before it takes effect."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Callable[[Call], None]] = []

    def append(self, call: Call) -> None:
        super().append(call)
        for listener in self.listeners:
            listener(call)


class Kernel:
    """What every part of a world shares.

    Args:
        start: simulated start (aware).
        seed: every random choice of the world derives from it.
        region, account: of the simulated account; account has 12 digits.
    """

    def __init__(self, start: datetime, *, seed: int, region: str, account: str) -> None:
        self.clock = Clock(start)
        self.scheduler = Scheduler(self.clock)
        self.seed = seed
        self.region = region
        self.account = account
        self.calls = CallLog()
        self.timeline: list[Entry] = []
        self.listeners: list[Callable[[Entry], None]] = []
        self.settled = False
        """False while the world is being built: every delay counts as zero, nothing is random, no fault strikes."""

    def rng(self, stream: str) -> random.Random:
        """A generator of its own for each named use, so that a new draw in one place moves no other."""
        return random.Random(f"{self.seed}/{stream}")

    def delay(self, seconds: float) -> float:
        """`seconds` once the world is built, 0 while it is being built."""
        return seconds if self.settled else 0.0

    def note(self, kind: str, text: str, **data: Any) -> None:
        """Add to the timeline and tell the listeners."""
        entry = Entry(self.clock.now(), kind, text, data)
        self.timeline.append(entry)
        for listener in self.listeners:
            listener(entry)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"
