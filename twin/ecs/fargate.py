"""Tasks of launch type FARGATE: each has a machine of its own, which no API shows.

Sources: Amazon ECS Developer Guide, "Architect for AWS Fargate for Amazon ECS" (task CPU and memory, platform
versions; `awsvpc` only; no placement strategies or constraints; tasks are spread over Availability Zones), "Amazon ECS
task definition differences for Fargate".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twin.ecs import placement
from twin.ecs.deployment import Deployment
from twin.ecs.model import Cluster, Host, Service, Task, TaskDefinition
from twin.ecs.neighbours import Subnet
from twin.errors import Unmodelled
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

PLATFORM = {"platformVersion": "1.4.0", "platformFamily": "Linux"}
MEMORY: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16_384 + 1, 1024)),
    4096: tuple(range(8192, 30_720 + 1, 1024)),
    8192: tuple(range(16_384, 61_440 + 1, 4096)),
    16_384: tuple(range(32_768, 122_880 + 1, 8192)),
}
"""MiB of memory that a task may have, by its CPU units."""


@dataclass(frozen=True)
class MicroVm:
    """What a Fargate task runs on, in the words of an EC2 instance."""

    subnet: Subnet
    architecture: str
    instance_id: str = "fargate"
    instance_type: str = "fargate"
    image_id: str = "fargate"
    vcpus: int = 0
    memory_mib: int = 0
    gpus: int = 0
    network_interfaces: int = 1
    group_name: str | None = None
    ecs_attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    end_cause: Call | None = None

    @property
    def zone(self) -> str:
        return self.subnet.zone.name

    @property
    def subnet_id(self) -> str:
        return self.subnet.subnet_id


class Fargate:
    """Starts tasks without container instances. There always is capacity."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self, service: Service, deployment: Deployment, count: int) -> None:
        """Start `count` tasks of a deployment in its subnets, spread over their zones."""
        engine = self._engine
        request = placement.request_for_service(service, deployment.definition, deployment=deployment)
        subnets = self._subnets(deployment.revision.network or {})
        used = Counter(task.host.subnet_id for task in service.tasks.values() if task.host and task.wanted)
        started: list[Task] = []
        for _ in range(count):
            subnet = min(subnets, key=lambda one: used[one.subnet_id])
            used[subnet.subnet_id] += 1
            task = engine.scheduler.new_task(
                service.cluster,
                request,
                provider=None,
                started_by=deployment.id,
                service=service,
                deployment=deployment,
            )
            engine.lifecycle.place(task, self._machine(service.cluster, deployment.definition, subnet))
            started.append(task)
        deployment.blocked = None
        ids = " ".join(f"(task {task.id})" for task in started)
        engine.events.message(service, f"has started {len(started)} tasks: {ids}.")

    def _subnets(self, network: Mapping[str, Any]) -> list[Subnet]:
        if self._engine.network is None:
            raise Unmodelled("ecs: launch type FARGATE in a world whose ECS knows no subnets")
        known = self._engine.network.subnets
        return [known[name] for name in network["awsvpcConfiguration"]["subnets"]]

    def _machine(self, cluster: Cluster, definition: TaskDefinition, subnet: Subnet) -> Host:
        engine, now = self._engine, self._engine.kernel.clock.now()
        architecture = definition.architecture or "x86_64"
        demand = definition.demand
        return Host(
            number=engine.store.next_number(),
            arn=engine.kernel.arn("ecs", f"container-instance/{cluster.name}/fargate"),
            cluster=cluster,
            machine=MicroVm(subnet, architecture),
            instance_id="fargate",
            zone=subnet.zone.name,
            subnet_id=subnet.subnet_id,
            capacity_provider=None,
            attributes={"ecs.cpu-architecture": architecture},
            cpu=demand.cpu,
            memory=demand.memory,
            gpus=(),
            enis=1,
            registered_at=now,
            updated_at=now,
            free_cpu=demand.cpu,
            free_memory=demand.memory,
            free_enis=1,
            fargate=True,
        )
