"""Close a sweep: free its VPC, and word for programs and people what was deleted, what remains and why."""

from __future__ import annotations

from typing import Any, cast

from caretaker.garbage.desk import opened
from caretaker.garbage.report import (
    event_of,
    message_of,
    outcome_of,
    result_of,
    unopened_event,
    unopened_result,
)
from caretaker.garbage.sweep import Act, Outcome, Sweep
from caretaker.runtime import clock, logging
from caretaker.runtime.telling import cause_of

MAX_REASON = 2_000


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Close the sweep. Idempotent; the first outcome stays."""
    _, records = opened(event["id"])
    result: dict[str, Any] = event["result"]
    sweep = records.find(event["id"])
    if sweep is None:
        return _unopened(event, result)
    acts = records.acts(sweep.id)
    outcome, reason = _outcome(result, sweep, acts)
    now = clock.entered(event)
    if sweep.open:
        records.expire(sweep)
        if why := _another(sweep, acts, outcome, event["execution"]):
            records.want(sweep.vpc, sweep.id, why, sweep.notes.get("most"))
        deleted = sum(1 for act in acts if act.status == "done")
        logging.count(f"Sweep{outcome.capitalize()}")
        if deleted:
            logging.count("SweepDeletion", deleted)
        sweep = records.close(sweep.id, outcome, reason, now, deletions=deleted)
    else:
        sweep = records.close(sweep.id, outcome, reason, now)
    return {
        "result": result_of(sweep, acts),
        "event": event_of(sweep, acts, event["execution"]),
        "message": message_of(sweep, acts),
    }


def _another(sweep: Sweep, acts: list[Act], outcome: Outcome, execution: str) -> str:
    """Why another sweep has to follow soon; empty if the patrol's is soon enough."""
    if sweep.notes.get("capped") and any(act.status == "done" for act in acts):
        return f"{sweep.id} came to policy's cap"
    if outcome == "kept" and execution.rpartition(":")[2] != sweep.id:
        # What the execution before deleted was still vanishing when this one observed.
        return f"{sweep.id} was cut short, and something remains"
    return ""


def _unopened(event: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """It never came to a sweep: nothing was claimed. Only a person who asked for one is told."""
    outcome = str(result.get("outcome") or "failed")
    reason = str(result.get("reason") or cause_of(result.get("failure") or {}))[:MAX_REASON]
    asked = event["input"]["trigger"]["kind"] == "request"
    told = unopened_event(event["input"], outcome, reason, event["execution"]) if asked or outcome == "failed" else None
    if outcome == "failed":
        logging.count("SweepFailed")
    return {"result": unopened_result(event["input"], outcome, reason), "event": told, "message": None}


def _outcome(result: dict[str, Any], sweep: Sweep, acts: list[Act]) -> tuple[Outcome, str]:
    """What the sweep came to: what the state before says, or what became of its acts."""
    if result.get("outcome"):
        reason = str(result.get("reason") or cause_of(result.get("failure") or {}))
        done = sum(1 for act in acts if act.status == "done")
        if result["outcome"] == "failed" and done:
            reason = f"{reason}; {done} acts had been done, each with its proof"
        return cast(Outcome, result["outcome"]), reason[:MAX_REASON]
    outcome, reason = outcome_of(acts, sweep.remains, int(sweep.notes.get("held", 0)))
    return outcome, reason[:MAX_REASON]
