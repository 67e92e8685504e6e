"""Gathers, while a world runs, what the laws of garbage are judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.kernel.api import Call
from twin.rehearsal.evidence import OWN_SERVICES, mutating
from twin.rehearsal.garbage_truth import Truth

if TYPE_CHECKING:
    from twin.world import World

OURS = "Garbage"
"""Logical ids of the functions that sweep begin so."""


@dataclass(frozen=True)
class Taking:
    """A call by which Caretaker takes something away.

    Attributes:
        users: why that is no garbage, at the moment of the call; empty if it is.
    """

    call: Call
    users: tuple[str, ...]

    @property
    def took(self) -> bool:
        """AWS's own guards did not refuse it. Known once the call is over."""
        return self.call.error is None


class GarbageObserver:
    """Watches a settled world from its start on.

    Attributes:
        truth: who uses what.
        takings: calls by which Caretaker takes something away, in order.
        strange: its other calls that may change what is not its own.
    """

    def __init__(self, world: World) -> None:
        self.truth = Truth(world)
        self.takings: list[Taking] = []
        self.strange: list[Call] = []
        world.kernel.calls.listeners.append(self._about_to)
        world.gateway.completed.append(self._completed)

    def _about_to(self, call: Call) -> None:
        if call.caller.kind != "function" or not call.caller.name.startswith(OURS):
            return
        if self.truth.deletes(call):
            self.takings.append(Taking(call, self.truth.users(call)))
        elif mutating(call) and call.service not in OWN_SERVICES:
            self.strange.append(call)

    def _completed(self, call: Call, response: Mapping[str, Any]) -> None:
        if call.service == "ecs" and call.operation == "CreateExpressGatewayService":
            self.truth.remember()
