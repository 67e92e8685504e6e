"""Somebody else: one call or answer each, at a time or when an execution enters or leaves a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from twin.errors import AwsError, WorldError
from twin.kernel.api import Caller
from twin.kernel.kernel import Entry
from twin.rehearsal.actor_spec import Actor, Answer, Person
from twin.rehearsal.apimodel import check_operation, check_params
from twin.rehearsal.events import moment_of
from twin.rehearsal.placeholders import Placeholders, standing_in
from twin.rehearsal.reading import brief, nearest
from twin.rehearsal.spec import WorldSpec

if TYPE_CHECKING:
    from twin.world import World


class Answering(Protocol):
    """Answers what Caretaker asks in a world, as `caretaker approve` and `caretaker reject` do."""

    def __call__(self, world: World, to: str, word: Literal["approve", "reject"], by: str, why: str) -> str:
        """Give the answer. Returns the id of what was answered.

        Args:
            to: the id of a release or a sweep, or a part of it.

        Raises:
            WorldError: nothing asks, or takes this answer any more.
        """


def check(spec: WorldSpec, where: str) -> None:
    """Whether every actor's call exists and takes such parameters; WorldError otherwise."""
    for index, actor in enumerate(spec.actors):
        check_operation(actor.service, actor.operation, f"{where}: actors[{index}].call")
        check_params(actor.service, actor.operation, standing_in(actor.params), f"{where}: actors[{index}].params")


class Actors:
    """Who acts and who answers in one world; they live as long as it runs.

    Args:
        answering: what a world with answers needs.
    """

    def __init__(self, world: World, answering: Answering | None = None) -> None:
        self._world = world
        self._answering = answering
        self._execution: str | None = None
        self._placeholders = Placeholders(world, lambda: self._execution)
        self._states: dict[str, tuple[str, str]] = {}
        self._seen: dict[tuple[str, str], int] = {}
        people = dict(_people(world.spec))
        self._waiting = [(where, person) for where, person in people.items() if person.when]
        _check_states(world, people)
        if world.spec.answers and answering is None:
            raise WorldError("answers: nobody gives answers here: rehearse it with the command")
        for where, person in people.items():
            if person.at is not None:
                self._plan(where, person)
        world.kernel.listeners.append(self._noted)

    def _plan(self, where: str, person: Person) -> None:
        delay, moment = moment_of(person.at)
        clock = self._world.kernel.clock
        at = delay if moment is None else (moment - clock.start).total_seconds()
        if at < 0:
            raise WorldError(f"{where}.at: {brief(person.at)} is before the start")
        self._later(at, where, person)

    def _later(self, seconds: float, where: str, person: Person) -> None:
        self._world.kernel.scheduler.call_later(
            seconds, lambda: self._act(where, person), name=f"{where}:{person.name}"
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
        for where, person in list(self._waiting):
            when = person.when
            if when is None or (when.edge, when.machine, when.state) != (edge, machine, state):
                continue
            seen = self._seen[where, edge] = self._seen.get((where, edge), 0) + 1
            if seen == when.nth:
                self._waiting.remove((where, person))
                self._later(when.after, where, person)

    # --- acting ------------------------------------------------------------------------------------------------------
    def _act(self, where: str, person: Person) -> None:
        if isinstance(person, Actor):
            self._call(where, person)
        elif isinstance(person, Answer):
            self._answer(where, person)

    def _call(self, where: str, actor: Actor) -> None:
        world = self._world
        params = self._placeholders.filled(actor.params, f"{where}.params")
        text = f"{actor.name}: {actor.service}:{actor.operation}"
        caller = Caller("operator", actor.name)
        try:
            world.gateway.call(actor.service, actor.operation, params, caller)
        except AwsError as error:
            world.kernel.note("actor.refused", f"{text} is refused: {error.code}: {error.message}", actor=where)
        else:
            world.kernel.note("actor.acted", f"{text} {_words(params)}".rstrip(), actor=where)

    def _answer(self, where: str, given: Answer) -> None:
        assert self._answering is not None, "looked at before the start"
        note, text = self._world.kernel.note, f"{given.name}: caretaker {given.answer} {given.to}"
        try:
            answered = self._answering(self._world, given.to, given.answer, given.name, given.why)
        except WorldError as error:
            note("actor.refused", f"{text} is refused: {error}", actor=where)
        else:
            note("actor.acted", f"{text}: {answered}{f', {given.why}' if given.why else ''}", actor=where)


def _people(spec: WorldSpec) -> Iterator[tuple[str, Person]]:
    """Everybody, with where they stand in the world."""
    yield from ((f"actors[{index}]", each) for index, each in enumerate(spec.actors))
    yield from ((f"answers[{index}]", each) for index, each in enumerate(spec.answers))


def _check_states(world: World, people: Mapping[str, Person]) -> None:
    """Whether the states that somebody waits for exist in the deployed machines."""
    states = {logical_id: world.state_names(logical_id) for logical_id in world.deployment.definitions}
    for where, person in people.items():
        when = person.when
        if when is None:
            continue
        if when.machine not in states:
            known = nearest(when.machine, sorted(states))
            raise WorldError(f"{where}.when.machine: {brief(when.machine)} is no machine{known}")
        if when.state not in states[when.machine]:
            known = nearest(when.state, states[when.machine])
            raise WorldError(f"{where}.when.state: {brief(when.state)} is no state of {when.machine}{known}")


def _words(params: Any) -> str:
    return ", ".join(f"{name} {brief(value)}" for name, value in params.items() if name != "cluster")
