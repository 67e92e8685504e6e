"""Tasks of a capacity-provider strategy that wait in PROVISIONING until their provider has room.

Source: Amazon ECS Developer Guide, "Amazon ECS cluster auto scaling" (up to 500 tasks of a cluster in PROVISIONING).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.ecs import placement
from twin.ecs.model import Cluster, Task
from twin.ecs.placement import Request

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

MAX_PROVISIONING = 500


class Waiting:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[str, dict[str, Task]] = {}
        self._placing: set[str] = set()
        self._pauses: dict[str, float] = {}

    def may_wait(self, cluster: Cluster) -> bool:
        """Whether one more task of the cluster may wait."""
        return len(self._waiting.get(cluster.name, ())) < MAX_PROVISIONING

    def add(self, task: Task) -> None:
        """A task of a capacity-provider strategy waits in PROVISIONING until its provider has room."""
        self._waiting.setdefault(task.cluster.name, {})[task.arn] = task
        self._engine.events.task(task)
        self._retry_waiting(task.cluster)

    def of(self, cluster: Cluster) -> list[Task]:
        """The tasks in PROVISIONING that wait for capacity, oldest first."""
        tasks = self._waiting.get(cluster.name, {})
        return [task for task in tasks.values() if task.wanted and task.host is None]

    def place_soon(self, cluster: Cluster) -> None:
        """Room may have come up."""
        if self._waiting.get(cluster.name) and cluster.name not in self._placing:
            self._placing.add(cluster.name)
            engine = self._engine
            engine.later(engine.options.scheduling, lambda: self._place_waiting(cluster), f"ecs.place:{cluster.name}")

    def _place_waiting(self, cluster: Cluster) -> None:
        self._placing.discard(cluster.name)
        engine = self._engine
        left: dict[str, Task] = {}
        for task in self.of(cluster):
            request = self._request_of(task)
            running = engine.store.task_index("service", task.service.arn, "RUNNING") if task.service else ()
            pool = placement.candidates(engine.store.cluster_hosts[cluster.name], request, running)
            host = placement.choose(pool, engine.placement_rng)
            if host is None:
                left[task.arn] = task
            else:
                engine.lifecycle.place(task, host)
        self._waiting[cluster.name] = left
        if not left:
            self._pauses.pop(cluster.name, None)

    def _request_of(self, task: Task) -> Request:
        if task.service is not None:
            return placement.request_for_service(
                task.service, task.definition, task.capacity_provider, deployment=task.deployment
            )
        return Request(task.definition, task.group, task.constraints, task.strategies, provider=task.capacity_provider)

    def _retry_waiting(self, cluster: Cluster) -> None:
        if cluster.name in self._pauses:
            return
        options = self._engine.options
        self._pauses[cluster.name] = options.placement_retry

        def again() -> None:
            if self.of(cluster):
                self._place_waiting(cluster)
            pause = self._pauses.pop(cluster.name, None)
            if self.of(cluster) and pause is not None:
                self._pauses[cluster.name] = min(options.placement_retry_most, pause * 2)
                self._engine.background(self._pauses[cluster.name], again, f"ecs.place:{cluster.name}")

        self._engine.background(options.placement_retry, again, f"ecs.place:{cluster.name}")
