"""Keep the groups' hands off old and new hosts while tasks move."""

from __future__ import annotations

from typing import Any

from caretaker.hosts.desk import managed_groups, open_desk, still_wanted, the_plan
from caretaker.hosts.steps import launched, protect, suspend_rebalance
from caretaker.hosts.survey import groups_now


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Protect from scale-in, and suspend AZRebalance where it runs; both journaled."""
    desk = open_desk(event)
    still_wanted(desk)
    plan = the_plan(desk)
    names = {end.group for end in plan.ends} | {step.intent["group"] for step in desk.steps("launch") if step.result}
    groups = [group for _, group in sorted(groups_now(names).items())]
    protect(desk, [*plan.batch, *launched(desk)], groups, managed_groups(desk))
    suspend_rebalance(desk, groups)
    return {
        "protected": sorted(step.key for step in desk.steps("protect")),
        "suspended": sorted(step.key for step in desk.steps("suspend_rebalance")),
    }
