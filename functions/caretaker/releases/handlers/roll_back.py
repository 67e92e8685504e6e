"""Roll a release back: traffic first, tasks last, and read back what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caretaker.aws import ecs
from caretaker.aws.errors import Conflict, Invalid, Missing
from caretaker.releases import desk as desks
from caretaker.releases import drive_back
from caretaker.releases.desk import Desk, open_desk
from caretaker.releases.native import describe
from caretaker.runtime import logging
from caretaker.runtime.telling import cause_of

AGAIN = 15


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Go back, or see how far going back is. Run again until it answers `close`.

    Without a decision against the release (an error of Caretaker's own) a deployment that ECS leads is left to ECS.
    """
    desk = open_desk(event)
    if not desk.release.open:
        return {"next": "close", "outcome": desk.release.outcome, "reason": desk.release.reason}
    if desk.release.way == "drive":
        return drive_back.go_back(desk, event)
    failure = event.get("failure")
    if failure is None and event.get("reason"):
        decided = desk.records.decide(desk.release.id, "roll_back", str(event["reason"]))
        desk = Desk(desk.now, desk.settings, desk.records, decided)
    if desk.release.decision != "roll_back":
        return _left(failure or {})
    return native_back(desk)


def _left(failure: Mapping[str, Any]) -> dict[str, Any]:
    words = f"nobody judges it any more, and ECS goes on with it: {cause_of(failure)}"
    return {"next": "close", "outcome": "failed", "reason": words}


def native_back(desk: Desk) -> dict[str, Any]:
    """Stop the service deployment, unless it goes back already; ECS moves the weights before it stops tasks."""
    release = desk.release
    seen = desks.sight(release)
    if seen.state == "gone":
        return _close("ignored", "the service was deleted while its release was rolled back")
    if seen.state == "promoted":
        return _close("failed", f"it could not be rolled back, its deployment had ended: {release.decision_reason}")
    if seen.state == "replaced":
        return _close("ignored", f"a newer deployment took its place: {seen.reason}")
    if seen.state == "rolled_back":
        return _ended(desk)
    if seen.state != "going_back":
        stop(desk)
    return {"next": "wait", "seconds": AGAIN}


def stop(desk: Desk) -> None:
    """Stop the deployment with a rollback. One that ended in between is found out by the next look."""
    release = desk.release
    try:
        ecs.stop_service_deployment(release.deployment)
    except (Conflict, Missing, Invalid) as error:
        logging.logger().warning(f"{release.deployment} could not be stopped: {error}")
        return
    desk.records.did(release.id, f"StopServiceDeployment(ROLLBACK) of {release.deployment}")


def _ended(desk: Desk) -> dict[str, Any]:
    found = describe(desk.release.deployment)
    if found is not None and found.status == "ROLLBACK_FAILED":
        return _close("failed", f"ECS could not roll it back: {found.reason}; {desk.release.decision_reason}")
    return _close("rolled_back", desk.release.decision_reason)


def _close(outcome: str, reason: str) -> dict[str, Any]:
    return {"next": "close", "outcome": outcome, "reason": reason}
