"""Wait until the hosts are terminated, ECS has forgotten them, and their groups are back at their size."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from caretaker.hosts.desk import Desk, open_desk, the_plan, the_policy, wait
from caretaker.hosts.model import Plan
from caretaker.hosts.progress import Left, groups_short, not_ended
from caretaker.hosts.steps import forget
from caretaker.hosts.survey import groups_now, look_at_hosts
from caretaker.runtime.clock import parse

STATE = "Wait for end"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer the state's token when all is done. There is no way back from here, so it never gives up."""
    desk = open_desk(event)
    plan = the_plan(desk)
    return wait(desk, STATE, event, lambda: left_to_end(desk, plan), lambda left: None, {"ended": True})


def left_to_end(desk: Desk, plan: Plan) -> list[Left]:
    """Hosts that are not gone yet; then groups that lack a host, for as long as a host may take to come."""
    names = [end.instance_id for end in plan.ends]
    look = look_at_hosts(desk.work.cluster, names, desk.now)
    for instance, host in sorted(look.hosts.items()):
        if look.instances.get(instance, "terminated") == "terminated" and not host.agent_connected:
            forget(desk, host)
    left = list(not_ended(names, look))
    if left or desk.now >= patience_ends(desk):
        return left
    return list(groups_short([group for _, group in sorted(groups_now(end.group for end in plan.ends).items())]))


def patience_ends(desk: Desk) -> Any:
    """Until when a group that starts a host in place of an ended one is waited for."""
    ended = [parse(step.intent["at"]) for step in desk.steps("end")]
    return max(ended, default=desk.now) + timedelta(seconds=the_policy(desk).ready_timeout)
