"""Launch the hosts that the plan needs, and see what became of the groups' desired capacity."""

from __future__ import annotations

from typing import Any

from caretaker.hosts.desk import open_desk, still_wanted, the_plan
from caretaker.hosts.steps import awaited, launch, launched, raised, settle_desired


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Ask for each host in the plan's places, in their order.

    Raises:
        InsufficientCapacity: no place gave a host.
        Withdrawn: the notice no longer holds.
    """
    desk = open_desk(event)
    still_wanted(desk)
    for wanted in the_plan(desk).launches:
        launch(desk, wanted)
    settle_desired(desk)
    return {"launched": launched(desk), "awaited": awaited(desk), "raised": raised(desk)}
