"""Planned steps as acts in the record, and what to do with them: plain functions of plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from caretaker.garbage import plain
from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Kind
from caretaker.garbage.plan import Ask, Step
from caretaker.garbage.sweep import Act, Status, sealed

# Load balancers' network interfaces and draining targets vanish within minutes; ACM and Auto Scaling lag less. What is
# in the way for longer than this is kept, and the next patrol tries again.
PATIENCE = timedelta(minutes=45)
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=5)
# What AWS deletes whoever uses it, with everything in it: only by a whole observation that began after the acts before.
WHOLE = frozenset({Kind.LOAD_BALANCER, Kind.CLUSTER})


def plain_step(step: Step) -> dict[str, Any]:
    """A step as JSON."""
    return {
        "action": step.action,
        "params": dict(step.params),
        "resource": plain.resource(step.resource),
        "target": plain.resource(step.target),
        "why": step.why,
        "owners": list(step.owners),
        "deletes": step.deletes,
        "takes": list(step.takes),
        "after": list(step.after),
        "beside": list(step.beside),
        "again": [[ask.operation, ask.scope] for ask in step.again],
    }


def step_from(data: Mapping[str, Any]) -> Step:
    """The step of its JSON."""
    return Step(
        action=data["action"],
        params=data["params"],
        resource=plain.resource_from(data["resource"]),
        target=plain.resource_from(data["target"]),
        why=data["why"],
        owners=tuple(data["owners"]),
        deletes=data["deletes"],
        takes=tuple(data["takes"]),
        after=tuple(data["after"]),
        beside=tuple(data["beside"]),
        again=tuple(Ask(operation, scope) for operation, scope in data["again"]),
    )


def act_of(step: Step, proof: Mapping[str, Any]) -> Act:
    """A step as an act that is not numbered yet."""
    return Act(
        number=0,
        action=step.action,
        resource=step.resource.arn,
        kind=step.kind.value,
        params=step.params,
        why=step.why,
        proof=sealed(proof),
        step=plain_step(step),
        created=step.resource.identity.created,
    )


def settled(act: Act, graph: Graph) -> tuple[Status, str]:
    """What became of an intent whose call got no answer, by an observation after it: status and reason."""
    if there(step_from(act.step), graph):
        return "skipped", "its call got no answer, and it is there still: planned anew if nobody uses it"
    return "done", "its call got no answer, and it is not there any more"


def there(step: Step, graph: Graph) -> bool:
    """Whether what a step takes away is there: the resource, or the reference to it in a shared thing."""
    if step.target.arn not in graph.resources:
        return False
    if step.deletes or step.resource.arn == step.target.arn:
        return True
    return any(graph.holder_of(each) == step.resource.arn for each in graph.referrers_of(step.target.arn))


# --- which one is next -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """What is to be done now.

    Attributes:
        act: the act whose turn it is; None if none is due.
        seconds: until one is due, where none is; 0 if nothing is left.
    """

    act: Act | None = None
    seconds: int = 0

    @property
    def over(self) -> bool:
        return self.act is None and not self.seconds


def turn(acts: Sequence[Act], now: datetime, tried: Iterable[int] = ()) -> Turn:
    """The next act that is due. What has no guard of AWS's against use waits until all before it is over.

    Args:
        tried: numbers of those that had their turn in this invocation.
    """
    open_ = [act for act in acts if not act.over]
    had = set(tried)
    waits: list[datetime] = []
    for place, act in enumerate(open_):
        if place and Kind(act.kind) in WHOLE:
            break
        if act.due is not None and act.due > now:
            waits.append(act.due)
        elif act.number not in had:
            return Turn(act)
    if not open_:
        return Turn()
    soonest = min(waits, default=now + _FIRST_PAUSE)
    return Turn(None, max(1, round((soonest - now).total_seconds())))


def pause(tries: int) -> timedelta:
    """How long to wait after so many tries."""
    doubled = 1 << min(max(tries - 1, 0), 10)
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * doubled)


def too_late(act: Act, now: datetime) -> bool:
    """Whether what is in the way has been waited for long enough."""
    return act.first is not None and now - act.first >= PATIENCE
