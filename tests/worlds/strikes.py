"""What can go wrong with a world while it runs: at each moment of interest the stage forks, and it goes wrong there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from crash_stage import Ended, Stage, Strike, failures

from tests.points import Choice, Point, watch
from twin.kernel.api import Caller
from twin.kernel.functions import Invocation
from twin.kernel.kernel import Entry
from twin.world import World

OPERATOR = Caller("operator", "dora")


def at_calls(strike: Callable[[Stage, Point], bool]) -> Strike:
    """Ask `strike` just before and just after each call of a function; when it says True, the function dies there."""

    def arm(stage: Stage) -> None:
        watch(stage.world.gateway.deaths, lambda point: strike(stage, point))

    return arm


def deaths(choose: Choice) -> Strike:
    """The function dies once, at each chosen call; whoever invoked it may invoke it again."""
    return at_calls(lambda stage, point: choose(point) and stage.fork(f"dies: {point}"))


def last_calls(stage: Stage) -> frozenset[Point]:
    """The last call of each invocation in the plain run of a stage, as seen just after it."""
    last: dict[int, Point] = {}
    found: set[Point] = set()

    def arm(stage: Stage) -> None:
        scheduler = stage.world.kernel.scheduler

        def called(point: Point) -> None:
            if point.when == "after":
                last[id(scheduler.current)] = point

        def finished(invocation: Invocation) -> None:
            point = last.pop(id(scheduler.current), None)
            if point is not None:
                found.add(point)

        at_calls(lambda _stage, point: bool(called(point)))(stage)
        stage.world.functions.finished.append(finished)

    stage.strikes = (arm,)
    stage.explore()
    return frozenset(found)


@dataclass(frozen=True)
class Series:
    """Runs of one kind of stage.

    Attributes:
        after: simulated seconds that each goes on after it became quiet.
    """

    stage: type[Stage]
    after: float

    def explored(self, document: dict[str, Any], *strikes: Strike, template: Path | None = None) -> list[Ended]:
        """The plain run's end and that of each fork, whatever is broken."""
        results = self.stage(document, *strikes, after=self.after, template=template).explore()
        print(f"{len(results) - 1} moments")
        return results

    def held(self, document: dict[str, Any], *strikes: Strike, template: Path | None = None) -> list[Ended]:
        """The same, where nothing may be broken."""
        results = self.explored(document, *strikes, template=template)
        assert failures(results) == []
        return results

    def every_moment(self, document: dict[str, Any], choose: Choice, template: Path | None = None) -> Strike:
        """Die once, just before and just after each chosen call.

        What a function that dies just after a call leaves behind is what it leaves just before its next call. So the
        moment after a call is only tried where it is the last one of its invocation.
        """
        last = last_calls(self.stage(document, after=self.after, template=template))
        return deaths(lambda point: choose(point) and (point.when == "before" or point in last))


def deaths_for_good(choose: Choice) -> Strike:
    """The function dies at the chosen call, and then each time that it makes such a call."""

    def strike(stage: Stage, point: Point) -> bool:
        if stage.child:
            return stage.label == f"dies for good: {point.function} {point.when} {point.service}:{point.operation}"
        name = f"dies for good: {point.function} {point.when} {point.service}:{point.operation}"
        return choose(point) and point.nth == 1 and stage.fork(name)

    return at_calls(strike)


def stops_at_calls(choose: Choice, hang: float = 0.0) -> Strike:
    """The execution is stopped just before or after each chosen call; the function runs on, as Lambda lets it.

    Args:
        hang: simulated seconds for which the call hangs (a slow answer, or retries of the SDK); the function then goes
            on in the middle of whatever the clean-up has done meanwhile.
    """

    def strike(stage: Stage, point: Point) -> bool:
        words = f"stopped at: {point}" + (f", which takes {hang:g} s" if hang else "")
        if choose(point) and stage.fork(words):
            end_executions(stage.world, "stopped")
            stage.world.gateway.sleep(hang)
        return False

    return at_calls(strike)


def ends_at_states(how: Literal["stopped", "timed out"], delay: float = 0.0, only: str = "") -> Strike:
    """The execution ends without a catch, `delay` seconds after it entered each state (or that one), each time."""

    def arm(stage: Stage) -> None:
        seen: Counter[str] = Counter()

        def listen(entry: Entry) -> None:
            if entry.kind != "state.entered" or stage.child:
                return
            state = str(entry.data["state"])
            seen[state] += 1
            label = f"{how} {delay:g} s after entering {state} {seen[state]}"
            if only in ("", state) and stage.fork(label):
                world = stage.world
                world.kernel.scheduler.call_later(delay, lambda: end_executions(world, how), name="strike")

        stage.world.kernel.listeners.append(listen)

    return arm


def end_executions(world: World, how: Literal["stopped", "timed out"]) -> None:
    """End what runs: an operator stops it, or its TimeoutSeconds is over."""
    for execution in [each for each in world.machines.executions if each.status == "RUNNING"]:
        if how == "stopped":
            params = {"executionArn": execution.arn, "error": "Stopped", "cause": "somebody had enough"}
            world.gateway.call("stepfunctions", "StopExecution", params, OPERATOR)
        else:
            execution._time_out()
