"""Amazon ECS, as the other parts of the twin see it.

    ecs = Ecs(kernel, bus, elbv2, EcsOptions())
    gateway.register(ecs)

The operations are in `twin/ecs/operations/`, what happens behind them in the modules that `Engine` ties together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twin.ecs.demand import Demands
from twin.ecs.engine import Engine
from twin.ecs.express.operations import ExpressOperations
from twin.ecs.gateways.operations import GatewayOperations
from twin.ecs.model import HealthChange, Loss, Task
from twin.ecs.neighbours import Bus, Ec2Instance, LoadBalancing
from twin.ecs.operations.instances import InstanceOperations
from twin.ecs.operations.removal import RemovalOperations
from twin.ecs.operations.tagging import TagOperations
from twin.ecs.operations.task_sets import TaskSetOperations
from twin.ecs.options import EcsOptions
from twin.ecs.store import Store
from twin.kernel.api import Api, Call, Operation
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel

Handler = Callable[[dict[str, Any], Call], dict[str, Any]]


class Ecs(
    TaskSetOperations,
    ExpressOperations,
    GatewayOperations,
    InstanceOperations,
    TagOperations,
    RemovalOperations,
    Demands,
    Api,
):
    """The ECS API of the account, and its service scheduler, agents and clusters.

    Attributes:
        engine: everything behind the API.
        health_listeners: told of every change of a service's count of healthy tasks.
        losses: every fall of such a count since the world was built, with the API call that caused it.
    """

    service = "ecs"

    def __init__(
        self,
        kernel: Kernel,
        bus: Bus,
        elbv2: LoadBalancing,
        options: EcsOptions | None = None,
        gateway: Gateway | None = None,
    ) -> None:
        """`gateway`: by which ECS calls listener rules, hooks and alarms; only native releases and alarms need it."""
        self.engine = Engine(kernel, bus, elbv2, options or EcsOptions(), gateway)

    def handlers(self) -> dict[str, tuple[Operation, Handler]]:
        """The operations by name; each takes its token from the account's rate first."""
        return {name: (mark, self._throttled(handler)) for name, (mark, handler) in super().handlers().items()}

    def _throttled(self, handler: Handler) -> Handler:
        if not self.options.throttle:
            return handler

        def handle(params: dict[str, Any], call: Call) -> dict[str, Any]:
            self.engine.throttle.check(call)
            return handler(params, call)

        return handle

    # --- for worlds, laws and displays -------------------------------------------------------------------------------
    @property
    def store(self) -> Store:
        return self.engine.store

    @property
    def options(self) -> EcsOptions:
        return self.engine.options

    @property
    def losses(self) -> list[Loss]:
        return self.engine.health.losses

    @property
    def health_listeners(self) -> list[Callable[[HealthChange], None]]:
        return self.engine.health.listeners

    def healthy_count(self, service_arn: str) -> int:
        """The service's tasks that truly serve now: RUNNING, healthy, not being stopped, on an instance that lives."""
        return self.engine.store.services[service_arn].healthy

    def task_of_target(self, target_group_arn: str, target_id: str, port: int) -> Task | None:
        """The task behind a target, from its registration until its deregistration delay has passed."""
        return self.engine.targets.get((target_group_arn, target_id, port))

    def revision_of_target(self, target_group_arn: str, target_id: str, port: int) -> str | None:
        """ARN of the service revision (of an EXTERNAL service: of the task set) whose task is behind a target."""
        task = self.task_of_target(target_group_arn, target_id, port)
        if task is None or task.deployment is None:
            return None
        task_set = task.deployment.task_set
        return task_set.arn if task_set is not None else task.deployment.revision.arn

    def task_definition_of_target(self, target_group_arn: str, target_id: str, port: int) -> str | None:
        """ARN of the task definition of the task behind a target."""
        task = self.task_of_target(target_group_arn, target_id, port)
        return task.definition.arn if task is not None else None

    # --- called by EC2 -----------------------------------------------------------------------------------------------
    def host_booted(self, instance: Ec2Instance, cluster_name: str) -> None:
        """An instance is up; its agent joins the cluster after a while."""
        self.engine.hosts.booted(instance, cluster_name)

    def instance_stopped(self, instance_id: str) -> None:
        """EC2 stops an instance: its containers end now."""
        self.engine.hosts.instance_stopped(instance_id)

    def instance_terminated(self, instance_id: str, cause: Call | None) -> None:
        """EC2 ends an instance: its containers end now. `cause`: the call that ended it."""
        self.engine.hosts.instance_terminated(instance_id, cause)
