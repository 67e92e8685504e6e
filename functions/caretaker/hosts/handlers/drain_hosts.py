"""Set the hosts of the batch to DRAINING, all at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from caretaker.hosts.desk import open_desk, still_wanted, the_plan, the_policy
from caretaker.hosts.steps import drain
from caretaker.hosts.survey import hosts_now
from caretaker.runtime.clock import iso


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Drain those that are ACTIVE; those that somebody else drains already are left as they are.

    Returns what was drained, and `until`: when the time for it is over.

    Raises:
        HostsChanged: a host is neither ACTIVE nor DRAINING.
        Withdrawn: the notice no longer holds.
    """
    desk = open_desk(event)
    still_wanted(desk)
    drained = drain(desk, hosts_now(desk.work.cluster, the_plan(desk).batch))
    return {**drained, "until": iso(desk.now + timedelta(seconds=the_policy(desk).drain_timeout))}
