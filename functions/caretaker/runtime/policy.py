"""Policy as plain data: what an owner allows. Reading and checking documents is `policy_source`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

Mode = Literal["observe", "act"]
Standalone = Literal["wait", "block"]


@dataclass(frozen=True)
class ServicePolicy:
    """What holds for one service.

    Attributes:
        surge: whether its percents may be raised while its tasks move.
        standalone: what to do about tasks that belong to no service: wait for their end, or block the work.
    """

    surge: bool = True
    standalone: Standalone = "wait"


@dataclass(frozen=True)
class HostPolicy:
    """What holds for the hosts of one cluster.

    Attributes:
        mode: `observe` plans and reports, `act` replaces.
        lead: how long before the notice's date the work starts; None means at once.
        budget: hosts of the cluster at work at once, 1 to 10.
        surge: whether a service's percents may be raised while its tasks move.
        standalone: tasks that belong to no service: wait for their end, or block.
        ready_timeout: how long a launched host may take to become ready.
        drain_timeout: how long the hosts may take to drain.
        retry_after: pause before the next attempt; doubled each time.
        allow_shrink: whether a group may end with fewer hosts than before.
        services: service name to what holds for it, where it has a policy of its own.
    """

    mode: Mode = "observe"
    lead: timedelta | None = None
    budget: int = 1
    surge: bool = True
    standalone: Standalone = "wait"
    ready_timeout: timedelta = timedelta(seconds=900)
    drain_timeout: timedelta = timedelta(seconds=3600)
    retry_after: timedelta = timedelta(seconds=900)
    allow_shrink: bool = False
    services: Mapping[str, ServicePolicy] = field(default_factory=dict)

    def service(self, name: str) -> ServicePolicy:
        """What holds for a service of the cluster."""
        return self.services.get(name, ServicePolicy(self.surge, self.standalone))


_DURATIONS = frozenset({"lead", "ready_timeout", "drain_timeout", "retry_after"})


def overlay(policy: HostPolicy, fields: Mapping[str, Any]) -> HostPolicy:
    """`policy` with the given fields of a checked document in place of its own; durations are in seconds."""
    changed: dict[str, Any] = {
        name: timedelta(seconds=value) if name in _DURATIONS and value is not None else value
        for name, value in fields.items()
    }
    return replace(policy, **changed)


def overlay_service(policy: HostPolicy, name: str, fields: Mapping[str, Any]) -> HostPolicy:
    """`policy` with a service's own document in force for that service."""
    services = {**policy.services, name: replace(policy.service(name), **fields)}
    return replace(policy, services=services)
