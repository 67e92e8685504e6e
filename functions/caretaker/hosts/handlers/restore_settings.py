"""Give back what was changed for the time of the replacement, wherever it is still as we set it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caretaker.hosts.desk import Desk, open_desk, the_plan
from caretaker.hosts.model import DAEMON, STOPPING, Group, Plan
from caretaker.hosts.progress import groups_short
from caretaker.hosts.steps import launched, raised
from caretaker.hosts.survey import groups_now
from caretaker.hosts.undo import SETTINGS
from caretaker.runtime import journal


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Restore surges, scale-in protection and AZRebalance; say what could not be."""
    desk = open_desk(event)
    plan = the_plan(desk)
    for step in reversed(desk.steps(*SETTINGS)):
        note = SETTINGS[step.kind](desk, step)
        journal.mark_undone(desk.table, step, note)
    return {"outcome": "replaced", "reason": reason(desk, plan), "left_behind": left_behind(desk, plan)}


def reason(desk: Desk, plan: Plan) -> str:
    """The result in one line."""
    moved = sum(1 for move in plan.moves if move.how not in (DAEMON, STOPPING))
    ended = ", ".join(end.instance_id for end in plan.ends)
    new = ", ".join(launched(desk)) or "none; the other hosts had room"
    tasks = f"{moved} task{'' if moved == 1 else 's'} had left"
    shrunk = sorted({end.group for end in plan.ends if end.shrink})
    smaller = f"; policy lets {', '.join(shrunk)} shrink" if shrunk else ""
    return f"ended {ended} after {tasks}; launched {new}{smaller}"


def left_behind(desk: Desk, plan: Plan) -> list[str]:
    """What is not as it was."""
    notes = [step.note for step in journal.steps(desk.table, desk.name) if step.note]
    groups = [group for _, group in sorted(groups_now(end.group for end in plan.ends).items())]
    return notes + not_lowered(desk, groups) + [str(item) for item in groups_short(groups)]


def not_lowered(desk: Desk, groups: Sequence[Group]) -> list[str]:
    """Groups that stay larger, since the end of a host was begun by somebody else and did not take our raise back."""
    more = raised(desk)
    for step in desk.steps("end"):
        if step.intent["decrement"] and not step.intent["shrink"] and (step.result or {}).get("decremented"):
            more[step.intent["group"]] = more.get(step.intent["group"], 0) - 1
    return [
        f"group {group.name} wants {group.desired} hosts, {more[group.name]} more than it would: a host was ended by "
        "somebody else or by EC2, without lowering that, or could not be ended with decrement, and another one came"
        for group in groups
        if more.get(group.name, 0) > 0
        and any(step.intent["group"] == group.name for step in desk.steps("end"))
        and not all((step.result or {}).get("decremented") for step in desk.steps("end"))
    ]
