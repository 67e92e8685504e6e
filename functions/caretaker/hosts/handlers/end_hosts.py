"""The point of no return: look a last time, write it down, and only then terminate the hosts."""

from __future__ import annotations

from typing import Any

from caretaker.hosts.desk import Desk, open_desk, still_wanted, the_plan
from caretaker.hosts.errors import HostsChanged
from caretaker.hosts.model import Plan
from caretaker.hosts.progress import tasks_left
from caretaker.hosts.steps import end
from caretaker.hosts.survey import look_at_batch
from caretaker.runtime import journal


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Terminate the hosts of the batch.

    Raises:
        HostsChanged: a host took tasks again, or is ACTIVE again; nothing was ended.
        WorkUndoing, WorkClosed: somebody has given the work up; nothing was ended.
        Withdrawn: the notice no longer holds; nothing was ended.
    """
    desk = open_desk(event)
    plan = the_plan(desk)
    if not desk.work.point_of_no_return:
        still_wanted(desk)
        last_look(desk, plan)
        journal.pass_return(desk.table, desk.name)
    for host in plan.ends:
        end(desk, host)
    return {"ended": [host.instance_id for host in plan.ends]}


def last_look(desk: Desk, plan: Plan) -> None:
    """Raise `HostsChanged` unless every host that is left is DRAINING and empty."""
    look = look_at_batch(plan, desk.now)
    for instance, host in look.hosts.items():
        if host.status not in ("DRAINING", "DEREGISTERING"):
            raise HostsChanged(f"host {instance} is {host.status} at the last look before its end")
    left = tasks_left(plan.batch, [move.task for move in plan.moves], look)
    if left:
        raise HostsChanged(f"not empty at the last look: {'; '.join(str(item) for item in left[:10])}")
