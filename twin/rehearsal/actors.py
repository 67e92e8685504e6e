"""Somebody else: one call each, at a time or when an execution enters or leaves a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.errors import AwsError, WorldError
from twin.kernel.api import Caller
from twin.kernel.kernel import Entry
from twin.rehearsal.apimodel import check_operation, check_params
from twin.rehearsal.events import moment_of
from twin.rehearsal.placeholders import Placeholders, standing_in
from twin.rehearsal.reading import brief, nearest
from twin.rehearsal.spec import Actor, WorldSpec

if TYPE_CHECKING:
    from twin.world import World


def check(spec: WorldSpec, where: str) -> None:
    """Whether every actor's call exists and takes such parameters; WorldError otherwise."""
    for index, actor in enumerate(spec.actors):
        check_operation(actor.service, actor.operation, f"{where}: actors[{index}].call")
        check_params(actor.service, actor.operation, standing_in(actor.params), f"{where}: actors[{index}].params")


class Actors:
    """The actors of one world; they live as long as it runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._execution: str | None = None
        self._placeholders = Placeholders(world, lambda: self._execution)
        self._states: dict[str, tuple[str, str]] = {}
        self._seen: dict[tuple[int, str], int] = {}
        self._waiting = [(index, actor) for index, actor in enumerate(world.spec.actors) if actor.when]
        _check_states(world)
        for index, actor in enumerate(world.spec.actors):
            if actor.at is not None:
                self._plan(index, actor)
        world.kernel.listeners.append(self._noted)

    def _plan(self, index: int, actor: Actor) -> None:
        delay, moment = moment_of(actor.at)
        clock = self._world.kernel.clock
        at = delay if moment is None else (moment - clock.start).total_seconds()
        if at < 0:
            raise WorldError(f"actors[{index}].at: {brief(actor.at)} is before the start")
        self._later(at, index, actor)

    def _later(self, seconds: float, index: int, actor: Actor) -> None:
        self._world.kernel.scheduler.call_later(
            seconds, lambda: self._act(index, actor), name=f"actor:{index}:{actor.name}"
        )

    # --- states ------------------------------------------------------------------------------------------------------
    def _noted(self, entry: Entry) -> None:
        if entry.kind not in ("state.entered", "execution.ended"):
            return
        execution, machine = str(entry.data["execution"]), str(entry.data["machine"])
        left = self._states.pop(execution, None)
        self._execution = execution
        if left is not None and left[1] != entry.data.get("state"):
            self._passed("left", *left)
        if entry.kind == "state.entered":
            state = str(entry.data["state"])
            self._states[execution] = (machine, state)
            if left is None or left[1] != state:
                self._passed("entered", machine, state)

    def _passed(self, edge: str, machine: str, state: str) -> None:
        for index, actor in list(self._waiting):
            when = actor.when
            if when is None or (when.edge, when.machine, when.state) != (edge, machine, state):
                continue
            seen = self._seen[index, edge] = self._seen.get((index, edge), 0) + 1
            if seen == when.nth:
                self._waiting.remove((index, actor))
                self._later(when.after, index, actor)

    # --- acting ------------------------------------------------------------------------------------------------------
    def _act(self, index: int, actor: Actor) -> None:
        world = self._world
        params = self._placeholders.filled(actor.params, f"actors[{index}].params")
        text = f"{actor.name}: {actor.service}:{actor.operation}"
        caller = Caller("operator", actor.name)
        try:
            world.gateway.call(actor.service, actor.operation, params, caller)
        except AwsError as error:
            world.kernel.note("actor.refused", f"{text} is refused: {error.code}: {error.message}", actor=index)
        else:
            world.kernel.note("actor.acted", f"{text} {_words(params)}".rstrip(), actor=index)


def _check_states(world: World) -> None:
    """Whether the states that actors wait for exist in the deployed machines."""
    states = {logical_id: world.state_names(logical_id) for logical_id in world.deployment.definitions}
    for index, actor in enumerate(world.spec.actors):
        when = actor.when
        if when is None:
            continue
        if when.machine not in states:
            known = nearest(when.machine, sorted(states))
            raise WorldError(f"actors[{index}].when.machine: {brief(when.machine)} is no machine{known}")
        if when.state not in states[when.machine]:
            known = nearest(when.state, states[when.machine])
            raise WorldError(f"actors[{index}].when.state: {brief(when.state)} is no state of {when.machine}{known}")


def _words(params: Any) -> str:
    return ", ".join(f"{name} {brief(value)}" for name, value in params.items() if name != "cluster")
