"""Close the work: claims, slots, waits; and word its outcome for programs and for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from caretaker.hosts.desk import Desk, find_plan, open_desk, the_policy
from caretaker.hosts.model import Plan
from caretaker.hosts.report import Ended, event_of, message_of, result_of
from caretaker.runtime import claims, journal, logging, slots, waits
from caretaker.runtime.journal import Outcome, Work
from caretaker.runtime.telling import cause_of


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Close everything that the work holds. Idempotent; the first outcome stays."""
    desk = open_desk(event)
    result: dict[str, Any] = event["result"]
    plan = find_plan(desk)
    outcome = cast(Outcome, result["outcome"])
    reason = str(result.get("reason") or cause_of(result.get("failure", {})))[:2000]
    slots.release(desk.table, desk.work.cluster, desk.name)
    waits.finish_all(desk.table, desk.name)
    due = next_attempt(desk, outcome, plan, bool(result.get("retry", True)))
    closed = claims.close(desk.table, desk.work, outcome, reason, desk.now, due)
    ended = Ended(
        work=closed.name,
        execution=event["execution"],
        cluster=closed.cluster,
        hosts=closed.hosts,
        mode=closed.mode,
        trigger=closed.trigger.text,
        outcome=closed.outcome or outcome,
        reason=closed.reason,
        left_behind=tuple(result.get("left_behind") or not_taken_back(desk, outcome)),
        deadline=closed.deadline,
        retry_at=closed.retry_at,
        plan=plan,
    )
    logging.count(f"Replacement{ended.outcome.capitalize()}")
    return {
        "result": result_of(ended),
        "event": event_of(ended),
        "message": message_of(ended, told_before=told_before(desk, ended)),
    }


def next_attempt(desk: Desk, outcome: Outcome, plan: Plan | None, retry: bool) -> datetime | None:
    """When to try again, None if that makes no sense: then a person is told so.

    Undone work is tried again with back-off. Blocked work is, when all that is in the way may pass by itself.
    """
    work = desk.work
    if not retry or outcome not in ("undone", "blocked"):
        return None
    pause = timedelta(seconds=the_policy(desk).retry_after)
    due = claims.retry_at(work.attempt, pause, desk.now, work.deadline)
    if outcome == "undone" or due is None:
        return due
    passes = plan.retry_at if plan else None
    later = max(passes, due) if passes else None
    return None if later and work.deadline and later >= work.deadline else later


def not_taken_back(desk: Desk, outcome: Outcome) -> list[str]:
    """Of work whose undo failed: the steps that are still done, and what stayed behind of the others."""
    if outcome != "failed":
        return []
    return [
        step.note if step.undone else f"step {step.kind} {step.key} was not taken back"
        for step in journal.steps(desk.table, desk.name)
        if (not step.undone and step.kind not in ("confirm", "desired")) or step.note
    ]


def told_before(desk: Desk, ended: Ended) -> bool:
    """Whether the attempt before ended in the same way for the same reason."""
    former = _former(desk)
    return former is not None and (former.outcome, former.reason) == (ended.outcome, ended.reason)


def _former(desk: Desk) -> Work | None:
    if desk.work.attempt < 2:
        return None
    base = desk.name.rsplit("-", 1)[0]
    return journal.find_work(desk.table, f"{base}-{desk.work.attempt - 1}")
