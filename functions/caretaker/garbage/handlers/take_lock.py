"""Take the lock of the VPC: from here on the sweep may delete, as long as the lock is its own."""

from __future__ import annotations

from typing import Any

from caretaker.garbage import judging
from caretaker.garbage.desk import open_desk


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lock the VPC, and remember the counter of its changes before it is observed for the last time.

    Raises:
        LockBusy: another execution holds it; run again.
        LockLost: another sweep is the VPC's open one.
    """
    desk = open_desk(event)
    ground = desk.records.lock(desk.sweep, event["execution"], desk.now)
    return judging.next_look(desk, ground, "confirm")
