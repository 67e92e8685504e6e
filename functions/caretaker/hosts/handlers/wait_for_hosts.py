"""Wait until every launched host is truly ready: registered, ACTIVE, agent connected, daemon tasks running."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from caretaker.aws import autoscaling
from caretaker.hosts.desk import Desk, managed_groups, open_desk, still_wanted, the_policy, wait
from caretaker.hosts.errors import HostsNotReady
from caretaker.hosts.model import Group, Obstacle
from caretaker.hosts.plan import why_not_ready
from caretaker.hosts.progress import Left, Look
from caretaker.hosts.steps import adopt, awaited, launched, protect
from caretaker.hosts.survey import groups_now, look_at_hosts, new_hosts
from caretaker.hosts.view import View
from caretaker.runtime.clock import iso, parse

STATE = "Wait for hosts"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer the state's token when all are ready, else wait for their events.

    Raises:
        HostsNotReady: `ready_timeout` has passed; names each host and what it lacks.
        Withdrawn: the notice no longer holds.
    """
    desk = open_desk(event)
    still_wanted(desk)
    managed = managed_groups(desk)

    def look() -> list[Left]:
        return _left(desk, managed)

    def too_late(left: Sequence[Left]) -> Exception | None:
        begun = min(parse(step.intent["at"]) for step in desk.steps("launch"))
        limit = begun + timedelta(seconds=the_policy(desk).ready_timeout)
        if desk.now < limit:
            return None
        why = "; ".join([*(str(item) for item in left), *_failed_launches(desk)])
        return HostsNotReady(f"not ready by {iso(limit)}: {why}")

    return wait(desk, STATE, event, look, too_late, {"ready": True})


def _left(desk: Desk, managed: frozenset[str]) -> list[Left]:
    """What is not ready yet. Also protects the new hosts as soon as their groups have them in service."""
    adopt(desk)
    names = launched(desk)
    left = [Left(group, f"group {group} has launched no host yet") for group in awaited(desk)]
    if not names:
        return left
    groups = sorted({step.intent["group"] for step in desk.steps("launch")})
    found = groups_now(groups)
    protect(desk, names, list(found.values()), managed)
    look = look_at_hosts(desk.work.cluster, names, desk.now)
    view = View(new_hosts(desk.work.cluster, look))
    lacks = [(name, item) for name in names for item in why_not_ready(view, name)]
    return left + [_worded(name, item, look) for name, item in lacks] + _held_up(found.values(), names)


def _held_up(groups: Iterable[Group], names: Sequence[str]) -> list[Left]:
    """Hosts that their group has not in service yet: a launching lifecycle hook may still have them ended."""
    return [
        Left(member.instance_id, f"group {group.name} has new host {member.instance_id} in {member.lifecycle}")
        for group in groups
        for member in group.members
        if member.instance_id in names and member.lifecycle.startswith("Pending")
    ]


def _worded(name: str, obstacle: Obstacle, look: Look) -> Left:
    if name not in look.hosts:
        return Left(name, f"{obstacle.reason} (EC2 instance: {look.instances.get(name, 'not known')})")
    # A daemon that is missing is told of by its task on the host's container instance.
    return Left(name if obstacle.kind == "host" else look.hosts[name].arn, obstacle.reason)


def _failed_launches(desk: Desk) -> list[str]:
    """What groups say of launches that failed, where a host is still missing."""
    found = []
    for group in sorted(set(awaited(desk))):
        for activity in autoscaling.describe_activities(group, 5):
            if activity.get("StatusCode") == "Failed":
                found.append(f"group {group}: {activity.get('StatusMessage', '')}")
                break
    return found
