"""Wait until ECS has deleted what it deletes itself, and the grace after that is over."""

from __future__ import annotations

from typing import Any

from caretaker.aws.errors import AwsFailure, Throttled, Unavailable
from caretaker.garbage import dues, inventories
from caretaker.garbage.desk import Desk, open_desk, policies_of
from caretaker.garbage.inventory import Entry
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.model import Life
from caretaker.garbage.modes import RANK
from caretaker.runtime import logging

# Services that one invocation meets: each is a handful of calls.
FEW = 50


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Observe, or wait some seconds and look again. Services that are not known to live are looked at anew."""
    desk = open_desk(event)
    ledger = Ledger(desk.records.table)
    for entry in ledger.entries(desk.sweep.vpc):
        if entry.life in (Life.DRAINING, Life.UNKNOWN):
            _look(ledger, entry, desk)
    entries = ledger.entries(desk.sweep.vpc)
    policies = policies_of(desk.settings, desk.records, {entry.owner.arn for entry in entries})
    pause = dues.pause(entries, policies, desk.sweep.opened, desk.now)
    if pause.seconds:
        logging.logger().info(f"waits {pause.seconds} s: {pause.words}")
        return {"next": "wait", "seconds": pause.seconds}
    if _met(ledger, desk):
        return {"next": "wait", "seconds": 1}
    return _observe(desk)


def _met(ledger: Ledger, desk: Desk) -> bool:
    """Record services that the ledger has never met, a few at a time: those that were there before Caretaker, and those
    whose events were lost. Whether there may be more.

    What a living service has may take the place of what a dead one left, as its certificate on a listener.
    """
    known = {entry.owner.arn for vpc in ledger.vpcs() for entry in ledger.entries(vpc)}
    strangers = [arn for arn in inventories.services() if arn not in known]
    met = [_meet(ledger, arn, desk) for arn in strangers[:FEW]]
    return any(met) and len(strangers) > FEW


def _meet(ledger: Ledger, arn: str, desk: Desk) -> bool:
    try:
        recorded = inventories.record(ledger, arn, desk.now)
    except (Throttled, Unavailable):
        raise
    except AwsFailure as error:
        logging.logger().warning(f"{arn} could not be read: {error}")
        return False
    logging.logger().info(f"{arn}: {recorded.words}")
    return True


def _look(ledger: Ledger, entry: Entry, desk: Desk) -> None:
    try:
        recorded = inventories.record(ledger, entry.owner.arn, desk.now, thorough=False)
    except (Throttled, Unavailable):
        raise
    except AwsFailure as error:
        # What cannot be read is in use; the observation says so of each resource.
        logging.logger().warning(f"{entry.owner.arn} could not be read: {error}")
        return
    logging.logger().info(f"{entry.owner.arn}: {recorded.words}")


def _observe(desk: Desk) -> dict[str, Any]:
    """Begin with the first observation. What is deleted from here on is another sweep's, unless this one sees it."""
    if _covers(desk):
        desk.records.want(desk.sweep.vpc, desk.sweep.id, "")
    number = len(desk.sweep.observations) + 1
    desk.records.update(desk.sweep.id, notes={**desk.sweep.notes, "first": number, "looks": 0})
    return {"next": "observe", "number": number, "stage": "plan"}


def _covers(desk: Desk) -> bool:
    """Whether this sweep may do all that the following one was asked for: one that may only observe deletes nothing."""
    most = desk.sweep.notes.get("most")
    if not most:
        return True
    asked = desk.records.ground(desk.sweep.vpc).again_mode
    return asked is not None and RANK[asked] <= RANK[most]
