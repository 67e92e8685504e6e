"""Open a sweep: claim the next one of its VPC, or say why there is nothing to sweep."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from caretaker.garbage import dues
from caretaker.garbage.desk import opened
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.record import Records
from caretaker.garbage.sweep import Sweep
from caretaker.runtime import clock, logging
from caretaker.runtime.journal import Trigger


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What comes next: wait for ECS, or close where there is nothing to do.

    Raises:
        VpcBusy: another sweep of the VPC is open; run again.
    """
    _, records = opened(event["id"])
    now = clock.entered(event)
    known = records.find(event["id"])
    if known is not None:
        return _next(known)
    why_not = "" if event["trigger"]["kind"] == "request" else _nothing(records, event["vpc"])
    if why_not:
        logging.logger().info(f"no sweep: {why_not}")
        return {"next": "close", "outcome": "ignored", "reason": why_not}
    return _next(records.open(_sweep(event, now), now))


def _nothing(records: Records, vpc: str) -> str:
    """Why there is nothing to sweep; empty if there may be something."""
    entries = Ledger(records.table).entries(vpc)
    if not entries:
        return "the ledger knows no Express service of the VPC"
    if not any(dues.may_leave(entry) for entry in entries):
        return "its Express services live and use everything that the ledger knows of them"
    return ""


def _sweep(event: dict[str, Any], now: datetime) -> Sweep:
    trigger = Trigger(event["trigger"]["kind"], event["trigger"]["text"])
    notes = {"most": event["mode"]} if event.get("mode") else {}
    return Sweep(event["id"], event["vpc"], int(event["generation"]), now, trigger, notes=notes)


def _next(sweep: Sweep) -> dict[str, Any]:
    if not sweep.open:
        return {"next": "close", "outcome": sweep.outcome, "reason": sweep.reason}
    return {"next": "wait"}
