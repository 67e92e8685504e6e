"""What Auto Scaling asks of ECS on behalf of capacity providers: managed scaling, protection and draining.

Source: Amazon ECS Developer Guide, "Amazon ECS cluster auto scaling", "Managed instance draining".
"""

from __future__ import annotations

from collections.abc import Callable

from twin.ecs.engine import Engine
from twin.ecs.model import Demand, Host


class Demands:
    engine: Engine

    def occupied(self, provider_name: str) -> list[str]:
        """Ids of the provider's EC2 instances that run or start a task which is not a daemon's."""
        return [host.instance_id for host in self._hosts(provider_name) if _busy(host)]

    def instances_missing(self, provider_name: str) -> int:
        """How many instances, beyond those there are, the provider's tasks that wait in PROVISIONING need.

        First fit on instances like the provider's newest one; 1 for tasks that wait while there is none to go by.
        """
        waiting = [
            task.definition.demand
            for cluster in self.engine.store.clusters.values()
            for task in self.engine.scheduler.waiting.of(cluster)
            if task.capacity_provider == provider_name
        ]
        if not waiting:
            return 0
        hosts = self._hosts(provider_name)
        return _first_fit(waiting, hosts[-1]) if hosts else 1

    def drain(self, instance_id: str, done: Callable[[], None]) -> None:
        """Managed draining: DRAINING now; `done` is called once no task but daemons' is left on the instance."""
        host = self.engine.store.hosts_by_instance.get(instance_id)
        if host is None or host.status == "INACTIVE":
            self.engine.later(0.0, done, f"ecs.drained:{instance_id}")
            return
        self.engine.hosts.drain(host, None)
        self.engine.hosts.when_empty(host, done)

    def _hosts(self, provider_name: str) -> list[Host]:
        return [
            host
            for index in self.engine.store.cluster_hosts.values()
            for host in index
            if host.capacity_provider == provider_name and host.status != "INACTIVE"
        ]


def _busy(host: Host) -> bool:
    return any(task.service is None or task.service.strategy == "REPLICA" for task in host.tasks.values())


def _first_fit(demands: list[Demand], like: Host) -> int:
    free: list[tuple[int, int]] = []
    for demand in demands:
        for number, (cpu, memory) in enumerate(free):
            if demand.cpu <= cpu and demand.memory <= memory:
                free[number] = (cpu - demand.cpu, memory - demand.memory)
                break
        else:
            free.append((like.cpu - demand.cpu, like.memory - demand.memory))
    return len(free)
