"""Give back what was changed for the time of the replacement, wherever it is still as we set it."""

from __future__ import annotations

from typing import Any

from caretaker.hosts.desk import Desk, open_desk, the_plan
from caretaker.hosts.model import DAEMON, STOPPING, Plan
from caretaker.hosts.progress import groups_short
from caretaker.hosts.steps import launched
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
    return f"ended {ended} after {moved} tasks had left; launched {new}"


def left_behind(desk: Desk, plan: Plan) -> list[str]:
    """What is not as it was."""
    notes = [step.note for step in journal.steps(desk.table, desk.name) if step.note]
    groups = [group for _, group in sorted(groups_now(end.group for end in plan.ends).items())]
    return notes + [str(item) for item in groups_short(groups)]
