"""Task sets: the deployments of services with the EXTERNAL controller.

Sources: ECS API: TaskSet, CreateTaskSet, UpdateTaskSet, UpdateServicePrimaryTaskSet, DeleteTaskSet; Amazon ECS
Developer Guide, "Deploy Amazon ECS services using a third-party controller".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from twin.ecs.deployment import Deployment, TaskSet
from twin.ecs.model import Service, Tags, Task, TaskDefinition
from twin.ecs.native import revisions
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

Shown = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What a task set is asked to be. `scale`: percent of the service's desired count."""

    definition: TaskDefinition
    scale: float
    load_balancers: Sequence[Mapping[str, Any]]
    network: Mapping[str, Any] | None
    launch_type: str | None
    capacity_strategy: Sequence[Mapping[str, Any]]
    external_id: str | None
    tags: Tags


class TaskSets:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, service: Service, wanted: Wanted, cause: Call) -> Deployment:
        """Add a task set; it is not the primary one."""
        engine = self._engine
        number = engine.new_number()
        revision = replace(
            revisions.make(engine, service, wanted.definition, number, alternate=False),
            load_balancers=tuple(dict(item) for item in wanted.load_balancers),
            targets=tuple(dict(item) for item in wanted.load_balancers),
            network=wanted.network,
            launch_type=wanted.launch_type,
            capacity_strategy=tuple(dict(item) for item in wanted.capacity_strategy),
        )
        primary = service.primary
        deployment = engine.deployments.new(service, revision, number, cause)
        deployment.status = "ACTIVE"
        deployment.rollout = "COMPLETED"
        deployment.deployment_status = "SUCCESSFUL"
        deployment.share = wanted.scale
        deployment.task_set = self.record(deployment, wanted.external_id, wanted.tags)
        # the newest after the primary one, as `deployments` has the primary one first
        service.deployments.remove(deployment)
        service.deployments.append(deployment)
        if primary is not None:
            primary.status = "PRIMARY"
        engine.scheduler.poke(service)
        return deployment

    def record(self, deployment: Deployment, external_id: str | None = None, tags: Tags | None = None) -> TaskSet:
        """What makes a deployment a task set."""
        path = f"{deployment.service.cluster.name}/{deployment.service.name}"
        arn = self._engine.kernel.arn("ecs", f"task-set/{path}/{deployment.id}")
        return TaskSet(arn, external_id, tags or {})

    def find(self, service: Service, reference: str) -> Deployment | None:
        """By id or ARN."""
        return next(
            (each for each in service.deployments if each.task_set and reference in (each.id, each.task_set.arn)), None
        )

    def scale(self, deployment: Deployment, percent: float, cause: Call) -> None:
        """UpdateTaskSet."""
        deployment.share = percent
        deployment.ended_by = cause
        deployment.blocked = None
        deployment.updated_at = self._engine.kernel.clock.now()
        self._engine.scheduler.poke(deployment.service)

    def make_primary(self, deployment: Deployment) -> None:
        """UpdateServicePrimaryTaskSet: the service shows the settings of this task set from now on."""
        service = deployment.service
        for each in service.deployments:
            if each.status == "PRIMARY":
                each.status = "ACTIVE"
        deployment.status = "PRIMARY"
        deployment.updated_at = self._engine.kernel.clock.now()
        service.deployments.remove(deployment)
        service.deployments.insert(0, deployment)
        service.load_balancers = [dict(item) for item in deployment.revision.load_balancers]
        service.launch_type = deployment.revision.launch_type
        service.capacity_strategy = [dict(item) for item in deployment.revision.capacity_strategy]
        service.completed = deployment.revision

    def delete(self, deployment: Deployment, cause: Call) -> None:
        """DeleteTaskSet: it is DRAINING until its last task has stopped."""
        assert deployment.task_set is not None
        deployment.task_set.deleted = True
        self.scale(deployment, 0.0, cause)


def shown(item: Deployment, at: datetime | None = None, *, tags: bool = False) -> Shown:
    """ECS API: TaskSet. `at`: when the stability status is looked at."""
    task_set, service, revision = item.task_set, item.service, item.revision
    assert task_set is not None
    mine = [task for task in service.tasks.values() if task.wanted and task.deployment is item]
    running = sum(task.last_status == "RUNNING" for task in mine)
    answer: Shown = {
        "id": item.id,
        "taskSetArn": task_set.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster.arn,
        "status": "DRAINING" if task_set.deleted else item.status,
        "taskDefinition": item.definition.arn,
        "computedDesiredCount": item.wanted,
        "pendingCount": len(mine) - running,
        "runningCount": running,
        "createdAt": item.created_at,
        "updatedAt": item.updated_at,
        "loadBalancers": [dict(balancer) for balancer in revision.load_balancers],
        "serviceRegistries": [],
        "scale": {"value": item.share, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE" if _steady(item, mine) else "STABILIZING",
        "stabilityStatusAt": at or item.updated_at,
        "tags": [{"key": key, "value": value} for key, value in task_set.tags.items()] if tags else [],
    }
    if task_set.external_id is not None:
        answer["externalId"] = task_set.external_id
    if revision.capacity_strategy:
        answer["capacityProviderStrategy"] = [dict(one) for one in revision.capacity_strategy]
    else:
        answer["launchType"] = revision.launch_type
    if revision.network:
        answer["networkConfiguration"] = {"awsvpcConfiguration": dict(revision.network["awsvpcConfiguration"])}
    return answer


def _steady(item: Deployment, tasks: list[Task]) -> bool:
    """ECS API: TaskSet, stabilityStatus."""
    if len(tasks) != item.wanted or any(task.last_status != "RUNNING" or not task.healthy for task in tasks):
        return False
    return not any(task.host is not None and task.host.status == "DRAINING" for task in tasks)
