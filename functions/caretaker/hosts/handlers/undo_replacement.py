"""Take back what was done for a replacement, newest first, before its point of no return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caretaker.aws.errors import AwsFailure
from caretaker.hosts.desk import Desk, open_desk
from caretaker.hosts.errors import ReplacementError, UndoIncomplete
from caretaker.hosts.undo import SETTINGS, NotYet, give_up_launch, settle, undrain
from caretaker.runtime import journal, logging, surges
from caretaker.runtime.journal import Step
from caretaker.runtime.telling import cause_of

LATER = (AwsFailure, NotYet, ReplacementError, surges.SurgeBusy)
# An execution that is stopped or timed out leaves its function running, for 300 seconds at most (template.yaml). After
# so many runs of the undo, at the intervals of the state's Retry, it has ended.
SILENT = 5


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Undo every step of the journal. A step that fails does not stop the others.

    A step whose act may be under way this very moment is left for a later run: its effect could come after its undo.

    Raises:
        UndoIncomplete: a step could not be taken back yet; the machine runs the function again.
        WorkPassedReturn: a host's end has begun: the work is finished instead.
    """
    desk = open_desk(event)
    try:
        work = journal.begin_undo(desk.table, desk.name, event["execution"])
    except journal.WorkClosed:
        return _ended_before(desk)
    failed: list[str] = []
    steps = desk.steps()
    late = under_way(desk, event, work.undoing, steps)
    waiting: list[Step] = []
    for step in reversed(steps):
        if words := late.get(step.seq) or held(step, waiting):
            failed.append(f"{step.kind} {step.key}: {words}")
            waiting.append(step)
            continue
        try:
            note = take_back(desk, step, int(event.get("tries", 0)))
        except LATER as error:
            logging.logger().warning(f"step {step.seq} {step.kind} {step.key} is not undone: {error}")
            failed.append(f"{step.kind} {step.key}: {error}")
            waiting.append(step)
        else:
            journal.mark_undone(desk.table, step, note)
    if failed:
        raise UndoIncomplete("; ".join(failed))
    return result(desk, event.get("failure", {}))


def held(step: Step, waiting: Sequence[Step]) -> str:
    """Why a step may not be taken back before those that are waiting still; "" if it may."""
    if step.kind == "surge" and any(other.kind == "drain" for other in waiting):
        return "its tasks' hosts still drain, and with its own percents ECS could stop them before it starts others"
    groups = {other.intent["group"] for other in waiting if other.kind == "launch"}
    if step.kind == "suspend_rebalance" and step.intent["group"] in groups:
        return "the host that was launched there goes first, or the group would end another one"
    return ""


def under_way(desk: Desk, event: Mapping[str, Any], undoing: str, steps: Sequence[Step]) -> dict[int, str]:
    """Steps that may still be acted on, by number, and by whom: a function of the execution that the reaper follows.

    Once the undo has begun no further step is (`journal.begin`), so only those without a result can be under way; or
    all of them, when that execution was undoing them. A launch waits with what is under way, since the group's size
    goes with it.
    """
    if event["execution"] == desk.name or int(event.get("tries", 0)) >= SILENT:
        return {}
    if undoing != event["execution"]:
        return {step.seq: f"{undoing} may still be undoing it" for step in steps}
    late = {step.seq for step in steps if step.result is None and step.kind != "confirm"}
    if late:
        late |= {step.seq for step in steps if step.kind in ("launch", "desired")}
    return dict.fromkeys(late, "a function of the execution that ended may still be doing it")


def take_back(desk: Desk, step: Step, tries: int) -> str:
    """Undo one step; words for what stays behind."""
    if step.kind == "surge":
        settle(desk, step, tries)
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
    """The work was closed by another execution; its outcome stands, and is told once more."""
    left = [step.note for step in journal.steps(desk.table, desk.name) if step.note]
    return {"outcome": desk.work.outcome, "reason": desk.work.reason, "left_behind": left, "retry": False}
