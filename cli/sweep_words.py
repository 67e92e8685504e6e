"""Sweeps in words: how one stands, and what became of past ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cli.product import Act, Sweep, bare, name_in

DONE = ("done", "gone")
"""Statuses of acts after which the thing is not there any more."""
_NOT = ("refused", "skipped")


def standing(sweep: Sweep, acts: Sequence[Act]) -> str:
    """How a sweep stands, or what became of it, in one line without its id."""
    if not sweep.open:
        ended = f" at {moment(sweep.ended)}" if sweep.ended else ""
        # What else remains is listed beside it.
        reason = sweep.reason.partition(" other things remain: ")[0]
        return f"{sweep.outcome}{ended}: {sweep.reason if reason == sweep.reason else f'{reason} other things remain'}"
    said = f"opened {moment(sweep.opened)}, {sweep.mode}"
    return f"{said}: {_doing(sweep, acts)}"


def _doing(sweep: Sweep, acts: Sequence[Act]) -> str:
    asked = sweep.approval
    if asked is not None and asked.answer is None:
        return f"{len(asked.keys)} acts wait for `caretaker approve` or `reject` until {moment(asked.expires)}"
    if acts and any(act.tries or act.over for act in acts):
        over = sum(1 for act in acts if act.status in DONE)
        left = [act for act in acts if act.status in _NOT]
        words = f"{over} of {len(acts)} acts done"
        words += f", {len(left)} left" if left else ""
        waiting = next((act for act in acts if act.status == "intended" and act.reason), None)
        return f"{words}; tries again {act_name(waiting)}: {waiting.reason}" if waiting else words
    if acts:
        return f"{len(acts)} acts planned, looks once more under the lock"
    if not sweep.observations:
        return "waits until ECS has finished and the grace is over"
    apart = f", {sweep.apart} s apart" if sweep.apart else ""
    return f"observation {len(sweep.observations)} of two{apart}" if len(sweep.observations) < 2 else "plans"


def acts_told(acts: Sequence[Act]) -> list[str]:
    """What was deleted and when, and why the rest was not."""
    return [f"{moment(act.at)}  {act_told(act)}" if act.at else act_told(act) for act in acts if act.over]


def act_told(act: Act) -> str:
    """One act that is over, and what became of it."""
    name = act_name(act)
    if act.status == "gone":
        return f"{name} was gone already"
    if act.status != "done":
        return f"{name} {'was refused' if act.status == 'refused' else 'was left'}: {act.reason}"
    if deletes(act):
        return f"{name} deleted"
    return f"{name} edited ({act.action.partition(':')[2]}): {act.why}"


def act_name(act: Act) -> str:
    """The resource that an act is about."""
    name = act.step["resource"]["name"] if act.step else ""
    return f"{act.kind} {bare(act.kind, name) or name_in(act.resource)}"


def deletes(act: Act) -> bool:
    """Whether it ends the resource that it names, and does not edit it."""
    return act.action.partition(":")[2].startswith(("Delete", "Deregister"))


def moment(at: datetime | None) -> str:
    """A time to the minute, in UTC."""
    return at.strftime("%Y-%m-%d %H:%MZ") if at else ""
