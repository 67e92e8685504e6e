"""Which instance leaves when a group scales in: termination policies.

Source: Auto Scaling user guide, "Configure termination policies" and "Use instance scale-in protection".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from random import Random

from twin.neighbours.groups import Group, Member

POLICIES = ("ClosestToNextInstanceHour", "Default", "NewestInstance", "OldestInstance", "OldestLaunchTemplate")


def choose(group: Group, now: datetime, rng: Random, zones: Iterable[str] | None = None) -> Member | None:
    """The member that leaves next, None if none may.

    Zones come first whatever the policy: the one with the most instances that has an unprotected one. Protected
    instances are never chosen. Instances in service go before such that are only coming up.

    Args:
        zones: look in these only.
    """
    free = [member for member in group.live if not member.protected]
    if zones is not None:
        wanted = set(zones)
        free = [member for member in free if member.zone in wanted]
    serving = [member for member in free if member.lifecycle == "InService"]
    candidates = serving or free
    if not candidates:
        return None
    counts = group.per_zone()
    most = max(counts[member.zone] for member in candidates)
    candidates = [member for member in candidates if counts[member.zone] == most]
    for policy in group.policies:
        for step in _STEPS[policy]:
            candidates = step(candidates, now)
    return rng.choice(candidates)


def _oldest_template(members: list[Member], now: datetime) -> list[Member]:
    return _least(members, lambda one: int(one.template["Version"]))


def _next_hour(members: list[Member], now: datetime) -> list[Member]:
    return _least(members, lambda one: -(_age(one, now) % 3600))


def _oldest(members: list[Member], now: datetime) -> list[Member]:
    return _least(members, lambda one: -_age(one, now))


def _newest(members: list[Member], now: datetime) -> list[Member]:
    return _least(members, lambda one: _age(one, now))


def _age(member: Member, now: datetime) -> float:
    return (now - member.instance.launch_time).total_seconds() if member.instance else 0.0


def _least(members: list[Member], key: Callable[[Member], float]) -> list[Member]:
    least = min(key(one) for one in members)
    return [one for one in members if key(one) == least]


_STEPS: dict[str, tuple[Callable[[list[Member], datetime], list[Member]], ...]] = {
    "Default": (_oldest_template, _next_hour),
    "OldestLaunchTemplate": (_oldest_template,),
    "ClosestToNextInstanceHour": (_next_hour,),
    "OldestInstance": (_oldest,),
    "NewestInstance": (_newest,),
}
