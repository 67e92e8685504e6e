"""Availability Zone rebalancing: an uneven spread is evened out by starting one task more first.

Source: Amazon ECS Developer Guide, "Balancing an Amazon ECS service across Availability Zones".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twin.ecs import placement
from twin.ecs.model import Cluster, Service
from twin.ecs.placement import Request
from twin.ecs.pools import pools_of

if TYPE_CHECKING:
    from twin.ecs.engine import Engine


class Zones:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def look(self, service: Service) -> None:
        """A service in steady state is looked at after a while if its spread is uneven."""
        if service.rebalance_check is None and self.uneven(service):
            name = f"ecs.rebalance:{service.name}"
            wait = self._engine.options.rebalance_after
            service.rebalance_check = self._engine.background(wait, lambda: self.check(service), name)

    def check(self, service: Service) -> None:
        """Begin to even out the spread of a service that is in steady state and still uneven."""
        service.rebalance_check = None
        zone = self.uneven(service)
        if not service.steady or zone is None:
            return
        service.rebalance_zone = zone
        service.excess_by = None
        self._engine.events.action(service, "SERVICE_REBALANCING_STARTED")
        self._engine.events.message(service, "is not AZ balanced. AZ Rebalancing in progress.")
        self._engine.scheduler.poke(service)

    def rebalance(self, service: Service) -> None:
        """Once the extra task of a rebalancing is healthy it is one too many, and the fullest zone loses one."""
        if service.rebalance_zone is None:
            return
        view = self._engine.scheduler.sort(pools_of(service)[0])
        several = service.side_by_side and len(service.deployments) > 1
        if view.leaving or len(view.keepers) < service.desired or several:
            service.rebalance_zone = None  # there is other work now; the spread is looked at again in steady state
        elif len(view.keepers) > service.desired and all(task.healthy for task in view.keepers):
            service.rebalance_zone = None
            self._engine.events.action(service, "SERVICE_REBALANCING_COMPLETED")
            self._engine.events.message(service, "is AZ balanced.")

    def uneven(self, service: Service) -> str | None:
        """The zone that lacks tasks, if the spread is uneven and ECS evens it out for this service."""
        spread = service.strategies[:1] in ((), (("spread", placement.ZONE),))
        if service.az_rebalancing != "ENABLED" or service.strategy != "REPLICA" or not spread:
            return None
        if service.primary is None or service.upper_limit <= service.desired or service.controller != "ECS":
            return None
        if any("ecs.availability-zone" in (item.expression or "") for item in service.constraints):
            return None
        request = placement.request_for_service(service, service.primary.definition)
        counts = dict.fromkeys(self._zones(service.cluster, request), 0)
        for task in service.tasks.values():
            if task.zone in counts:
                counts[task.zone] += 1
        if len(counts) < 2 or max(counts.values()) - min(counts.values()) < 2:
            return None
        return min(sorted(counts), key=lambda zone: counts[zone])

    def _zones(self, cluster: Cluster, request: Request) -> Iterable[str]:
        hosts = self._engine.store.cluster_hosts[cluster.name]
        meets = (host for host in hosts if host.may_take_tasks and not placement.meets_constraints(host, request))
        return sorted({host.zone for host in meets})
