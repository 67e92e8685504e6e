"""Time for functions: it arrives with the event and is never read from a clock.

Three kinds of invocation bring it:
- a state machine passes `"now": $states.context.State.EnteredTime` (`entered`);
- a schedule's or rule's event carries `time` (`event_time`);
- a queue's record carries when SQS sent and first handed out the message (`received`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any


class BadTime(ValueError):
    """A time that cannot be read. `str()` names the field and the value."""


def parse(text: str, field: str = "time") -> datetime:
    """An aware UTC datetime from ISO 8601 text. Text without a zone is refused, never guessed."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise BadTime(f"{field}: {text!r} is not an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise BadTime(f"{field}: {text!r} has no time zone")
    return moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601 text in UTC with `Z`, in whole milliseconds: what state machines and people read."""
    if moment.tzinfo is None:
        raise BadTime(f"time: {moment!r} has no time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def optional(text: str | None, field: str = "time") -> datetime | None:
    """Like `parse`, for fields that may be null."""
    return None if text is None else parse(text, field)


def entered(payload: Mapping[str, Any]) -> datetime:
    """When the state that invokes the function was entered.

    A retried state keeps the time of its first entry, so this is never later than now and can be earlier by the
    retries' back-off.
    """
    now = payload.get("now")
    if not isinstance(now, str):
        raise BadTime(f"now: {now!r} is not a time; the state machine passes the entered time of its state")
    return parse(now, "now")


def event_time(event: Mapping[str, Any]) -> datetime:
    """When an EventBridge event, a scheduled one too, was made."""
    time = event.get("time")
    if not isinstance(time, str):
        raise BadTime(f"time: {time!r} is not a time")
    return parse(time)


def received(record: Mapping[str, Any]) -> datetime:
    """When SQS first handed out a message: the latest moment known to be past that the record tells.

    No attribute of a record tells the time of this very receipt: `SentTimestamp` is when the message came in, which may
    be hours ago after an outage, and `ApproximateFirstReceiveTimestamp` stays the same on each redelivery, so it may be
    too early by (receives - 1) visibility time-outs. Both are lower bounds of now, and the later one is the better. A
    lower bound is safe for what intake does with it: a start or lease that is a few minutes early is looked at again,
    against the state machine's own time, before anything is done.
    """
    attributes = record.get("attributes", {})
    stamps = [attributes.get(name) for name in ("ApproximateFirstReceiveTimestamp", "SentTimestamp")]
    known = [int(stamp) for stamp in stamps if stamp is not None and str(stamp).isdigit()]
    if not known:
        raise BadTime(f"attributes: {sorted(attributes)} of the message hold no time stamp")
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=max(known))
