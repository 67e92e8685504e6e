"""Take as many slots as hosts out of the cluster's budget."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from caretaker.hosts.desk import Desk, load_policy, open_desk, still_wanted
from caretaker.hosts.errors import NoSlot
from caretaker.runtime import journal, slots
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
        still_open(desk)
    except slots.SlotBusy as error:
        since = max(work.started, work.start_at or work.started)
        if work.deadline is not None and desk.now >= work.deadline:
            raise NoSlot(f"no slot came free before the deadline {iso(work.deadline)}: {error}") from error
        if desk.now - since >= PATIENCE:
            raise NoSlot(f"no slot came free in {PATIENCE.days} day: {error}") from error
        raise
    return {"slots": len(work.hosts)}


def still_open(desk: Desk) -> None:
    """Give the slots back if the work was given up meanwhile: its execution may have been stopped, and its slots freed,
    while this function was about to take them.

    Raises:
        WorkClosed, WorkUndoing: it was.
    """
    work = journal.get_work(desk.table, desk.name)
    if work.status == "closed" or work.undoing:
        slots.release(desk.table, work.cluster, work.name)
        if work.undoing:
            raise journal.WorkUndoing(f"{work.name}: {work.undoing} undoes it")
        raise journal.WorkClosed(f"{work.name}: ended as {work.outcome}")
