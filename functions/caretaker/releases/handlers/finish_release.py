"""Finish a release that was promoted: what its way still has to do, and nothing where ECS does it all."""

from __future__ import annotations

from typing import Any

from caretaker.releases import drive
from caretaker.releases.desk import open_desk


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A native deployment has ended by itself; its outcome is passed on."""
    desk = open_desk(event)
    if not desk.release.open:
        return {"next": "close", "outcome": desk.release.outcome, "reason": desk.release.reason}
    if desk.release.way == "drive":
        return drive.finish(desk, str(event.get("reason", "")))
    return {"next": "close", "outcome": event.get("outcome") or "promoted", "reason": event.get("reason", "")}
