"""The calls of functions as moments at which they may die."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from twin.kernel.api import Caller
from twin.kernel.gateway import Death

READS = ("Describe", "List", "Get", "Query", "BatchGet")


@dataclass(frozen=True)
class Point:
    """A call of a function: its nth of that operation."""

    function: str
    service: str
    operation: str
    nth: int
    when: Literal["before", "after"]

    @property
    def changes(self) -> bool:
        """Whether the call changes anything: a death before or after a mere look leaves the same behind."""
        return not self.operation.startswith(READS)

    def __str__(self) -> str:
        return f"{self.function} {self.when} {self.service}:{self.operation} {self.nth}"


Choice = Callable[[Point], bool]


@dataclass
class Watch(Death):
    """Sees every call of every function from now on; the function dies where `strike` says so."""

    function: str = "*"
    service: str = "*"
    operation: str = "*"
    when: Literal["before", "after"] = "before"
    strike: Choice = field(default=lambda point: False, compare=False)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter, compare=False)

    def concerns(self, caller: Caller, service: str, operation: str) -> bool:
        key = (caller.name, service, operation)
        self.counts[key] += 1
        dies = self.strike(Point(*key, self.counts[key], self.when))
        if dies:
            self.nth = self.seen + 1
        return dies


def watch(deaths: list[Death], strike: Choice) -> None:
    """Ask `strike` just before and just after each call.

    Args:
        deaths: the gateway's.
    """
    deaths += [Watch(when="before", strike=strike), Watch(when="after", strike=strike)]
