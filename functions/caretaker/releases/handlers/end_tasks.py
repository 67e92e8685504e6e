"""End the tasks of the side that gets no requests any more: the new ones after a rollback, else the old ones."""

from __future__ import annotations

from typing import Any

from caretaker.releases import drive_back
from caretaker.releases.desk import open_desk


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Delete the task set as soon as nobody comes to it. Run again until it answers `close`."""
    desk = open_desk(event)
    if not desk.release.open:
        return {"next": "close", "outcome": desk.release.outcome, "reason": desk.release.reason}
    ended = drive_back.end_new(desk) if event["side"] == "new" else drive_back.end_old(desk)
    told: dict[str, Any] = {name: event[name] for name in ("side", "outcome", "reason", "reject") if name in event}
    if not ended["done"]:
        return {"next": "wait", "seconds": ended["seconds"], **told}
    if ended["left"]:
        told["reason"] = f"{told['reason']}; {ended['left']}"
    return {"next": "close", **told}
