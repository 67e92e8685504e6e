"""Gathers, while a world runs, what the laws of releases are judged on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from twin.kernel.api import Call
from twin.kernel.kernel import Entry
from twin.rehearsal.bakes import LOOKING, MACHINE
from twin.rehearsal.exposures import Exposures

if TYPE_CHECKING:
    from twin.world import World

OURS = "Releases"
"""Logical ids of the functions that work on releases begin so."""


def of_releases(call: Call | None) -> bool:
    """Whether a function or machine of releases made the call, or AWS made it because of theirs."""
    while call is not None:
        caller = call.caller
        if caller.kind == "function" and caller.name.startswith(OURS):
            return True
        if caller.kind == "machine" and caller.name == MACHINE:
            return True
        call = call.cause
    return False


@dataclass(frozen=True)
class TaskEnd:
    """A task that was told to stop because of Caretaker's work on a release.

    Attributes:
        weight: the highest weight that a rule gave to its target groups at that moment.
    """

    at: datetime
    task: str
    service: str
    weight: int
    cause: Call


@dataclass(frozen=True)
class Turn:
    """A native deployment changed its status; `back`: it goes, or has gone, back."""

    at: datetime
    service: str
    deployment: str
    status: str

    @property
    def back(self) -> bool:
        return self.status.startswith("ROLLBACK_")


@dataclass(frozen=True)
class Move:
    """An execution of the machine entered a state, after so many API calls."""

    number: int
    execution: str
    state: str


class ReleaseObserver:
    """Watches a settled world from its start on.

    Attributes:
        exposures: what users met of new revisions.
        ends: tasks that stopped because of Caretaker's work on releases.
        turns: statuses of native deployments, in order.
        looked: ARNs of the executions that came to look at a release.
        moves: states that executions of the machine entered, in order.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.exposures = Exposures(world)
        self.ends: list[TaskEnd] = []
        self.turns: list[Turn] = []
        self.looked: set[str] = set()
        self.moves: list[Move] = []
        self._writers: dict[str, str] = {}
        world.kernel.listeners.append(self._noted)

    def _noted(self, entry: Entry) -> None:
        if entry.kind == "task.stopping":
            self._stopping(entry)
        elif entry.kind == "release.status":
            service, deployment = str(entry.data["service"]), str(entry.data["deployment"])
            self.turns.append(Turn(entry.at, service, deployment, str(entry.data["status"])))
        elif entry.kind == "rule.weights":
            self._writers[str(entry.data["rule"])] = str(entry.data["origin"])
        elif entry.kind == "state.entered" and entry.data["machine"] == MACHINE:
            execution, state = str(entry.data["execution"]), str(entry.data["state"])
            self.moves.append(Move(len(self._world.kernel.calls), execution, state))
            if state == LOOKING:
                self.looked.add(execution)

    def written_by_others(self) -> frozenset[str]:
        """Rules whose weights a person, or somebody's pipeline, wrote last. What ECS writes is nobody else's act."""
        return frozenset(rule for rule, origin in self._writers.items() if origin.startswith("operator:"))

    def _stopping(self, entry: Entry) -> None:
        task = self._world.ecs.store.tasks[str(entry.data["task"])]
        if task.cause is None or not of_releases(task.cause) or task.deployment is None or task.service is None:
            return
        groups = [str(target["targetGroupArn"]) for target in task.deployment.revision.targets]
        weight = max((self._weight(group) for group in groups), default=0)
        self.ends.append(TaskEnd(entry.at, task.arn, task.service.arn, weight, task.cause))

    def _weight(self, group: str) -> int:
        """The highest weight that a rule gives to a target group now."""
        rules = self._world.elbv2.rules_to(group) if group in self._world.elbv2.target_groups else ()
        return max((rule.course.routing.weights.get(group, 0) for rule in rules), default=0)
