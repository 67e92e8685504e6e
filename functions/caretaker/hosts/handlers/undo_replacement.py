"""Take back what was done for a replacement, newest first, before its point of no return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caretaker.aws.errors import AwsFailure
from caretaker.hosts.desk import Desk, open_desk
from caretaker.hosts.errors import ReplacementError, UndoIncomplete
from caretaker.hosts.report import cause_of
from caretaker.hosts.undo import SETTINGS, NotYet, give_up_launch, undrain
from caretaker.runtime import journal, logging, surges
from caretaker.runtime.journal import Step

LATER = (AwsFailure, NotYet, ReplacementError, surges.SurgeBusy)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Undo every step of the journal. A step that fails does not stop the others.

    Raises:
        UndoIncomplete: a step could not be taken back yet; the machine runs the function again.
        WorkPassedReturn: a host's end has begun: the work is finished instead.
    """
    desk = open_desk(event)
    try:
        journal.begin_undo(desk.table, desk.name)
    except journal.WorkClosed:
        return _ended_before(desk)
    failed: list[str] = []
    for step in reversed(desk.steps()):
        try:
            note = take_back(desk, step, int(event.get("tries", 0)))
        except LATER as error:
            logging.logger().warning(f"step {step.seq} {step.kind} {step.key} is not undone: {error}")
            failed.append(f"{step.kind} {step.key}: {error}")
        else:
            journal.mark_undone(desk.table, step, note)
    if failed:
        raise UndoIncomplete("; ".join(failed))
    return result(desk, event.get("failure", {}))


def take_back(desk: Desk, step: Step, tries: int) -> str:
    """Undo one step; words for what stays behind."""
    if step.kind in SETTINGS:
        return SETTINGS[step.kind](desk, step)
    if step.kind == "drain":
        return undrain(desk, step)
    if step.kind == "launch":
        return give_up_launch(desk, step, tries)
    return ""  # `desired` goes with its launches; `confirm` changed nothing


def result(desk: Desk, failure: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome. A notice that was withdrawn before anything was done is ignored; all else is undone."""
    steps = journal.steps(desk.table, desk.name)
    error = str(failure.get("Error", ""))
    return {
        "outcome": "ignored" if error == "Withdrawn" and not steps else "undone",
        "reason": cause_of(failure),
        "left_behind": [step.note for step in steps if step.note],
        # A person who stops an execution wants it stopped; a withdrawn notice needs no further attempt.
        "retry": error not in ("Withdrawn", "ExecutionAborted"),
    }


def _ended_before(desk: Desk) -> dict[str, Any]:
    """The work was closed by another execution; its outcome stands."""
    return {"outcome": desk.work.outcome, "reason": desk.work.reason, "left_behind": [], "retry": False}
