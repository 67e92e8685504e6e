"""Wait for the moment at which the work starts; its notice may become more urgent, or be withdrawn, until then."""

from __future__ import annotations

from typing import Any

from caretaker.aws import stepfunctions
from caretaker.aws.errors import TokenGone
from caretaker.hosts.desk import Desk, open_desk, still_wanted
from caretaker.runtime import clock, logging, waits

STATE = "Wait for start"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Register for changes of the work itself; answer at once when a more urgent notice came in.

    The state's own time-out is the regular start.
    """
    desk = open_desk(event)
    still_wanted(desk)
    start = desk.work.start_at or desk.now
    waits.register(desk.table, desk.name, STATE, event["token"], {waits.work_key(desk.name)}, start)
    desk = open_desk(event)
    still_wanted(desk)
    if not hastened(desk):
        return {"waiting": True}
    waits.finish(desk.table, desk.name, STATE)
    try:
        stepfunctions.succeed(event["token"], {"hastened": True})
    except TokenGone:
        logging.logger().info("the state waits with another token by now")
    return {"waiting": False}


def hastened(desk: Desk) -> bool:
    """Whether the deadline is earlier than when the work was claimed: then the owner's lead has begun, or will soon."""
    given = clock.optional(desk.claimed_input().get("deadline"), "deadline")
    now = desk.work.deadline
    return now is not None and (given is None or now < given)
