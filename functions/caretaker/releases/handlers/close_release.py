"""Close a release: remember a rejected revision, free its service, and word the outcome for programs and people."""

from __future__ import annotations

from typing import Any, cast

from caretaker.releases.desk import opened
from caretaker.releases.record import Outcome
from caretaker.releases.report import event_of, message_of, refused_event, result_of, unopened_result
from caretaker.runtime import clock, logging
from caretaker.runtime.telling import cause_of

MAX_REASON = 2_000


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Close the release. Idempotent; the first outcome stays."""
    _, records = opened(event["id"])
    result: dict[str, Any] = event["result"]
    outcome = cast(Outcome, result.get("outcome") or "failed")
    reason = str(result.get("reason") or cause_of(result.get("failure") or {}))[:MAX_REASON]
    release = records.find(event["id"])
    if release is None:
        # It never came to a release: nothing was claimed. Only who asked for one is told.
        asked = event["input"]["way"] == "drive"
        refused = refused_event(event["input"], outcome, reason, event["execution"]) if asked else None
        return {"result": unopened_result(event["input"], outcome, reason), "event": refused, "message": None}
    now = clock.entered(event)
    if outcome == "rolled_back" and release.open and result.get("reject", True):
        records.reject(release, reason, now)
    records.expire(release)
    closed = records.close(release.id, outcome, reason, now)
    logging.count(f"Release{''.join(part.capitalize() for part in (closed.outcome or outcome).split('_'))}")
    return {
        "result": result_of(closed),
        "event": event_of(closed, event["execution"]),
        "message": message_of(closed),
    }
