"""Take as many slots as hosts out of the cluster's budget."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from caretaker.hosts.desk import load_policy, open_desk, still_wanted
from caretaker.hosts.errors import NoSlot
from caretaker.runtime import slots
from caretaker.runtime.clock import iso

# Work that found no slot for this long ends as undone, and is tried again later or brought before a person.
PATIENCE = timedelta(days=1)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take the slots.

    Raises:
        SlotBusy: other work holds them; the machine waits and asks again.
        NoSlot: the deadline is here, or a day has passed.
        Withdrawn: the notice no longer holds.
    """
    desk = open_desk(event)
    still_wanted(desk)
    work, policy = desk.work, load_policy(desk)
    try:
        slots.take(desk.table, work.cluster, work.name, len(work.hosts), policy.budget)
    except slots.SlotBusy as error:
        since = max(work.started, work.start_at or work.started)
        if work.deadline is not None and desk.now >= work.deadline:
            raise NoSlot(f"no slot came free before the deadline {iso(work.deadline)}: {error}") from error
        if desk.now - since >= PATIENCE:
            raise NoSlot(f"no slot came free in {PATIENCE.days} day: {error}") from error
        raise
    return {"slots": len(work.hosts)}
