"""Set percents with which ECS starts a successor before it stops a task, where it could do otherwise."""

from __future__ import annotations

from typing import Any

from caretaker.hosts.desk import open_desk, still_wanted, the_plan
from caretaker.hosts.steps import raise_surge


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Raise the plan's services one by one, each under its lease.

    Raises:
        ServiceChanged: somebody changed a service since the plan was made.
        Withdrawn: the notice no longer holds.
    """
    desk = open_desk(event)
    still_wanted(desk)
    surges = the_plan(desk).surges
    for surge in surges:
        raise_surge(desk, surge)
    return {"raised": [surge.service for surge in surges[:50]], "count": len(surges)}
