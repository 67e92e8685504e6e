"""Service revisions: made when a deployment starts, never changed.

Sources: ECS API: ServiceRevision, ServiceRevisionLoadBalancer; Amazon ECS Developer Guide, "Amazon ECS service
revisions" (created with a service and with every update that starts a deployment; a rollback makes none).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from twin.ecs.deployment import Revision
from twin.ecs.model import Service, TaskDefinition

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

Shown = dict[str, Any]


def make(engine: Engine, service: Service, definition: TaskDefinition, number: str, *, alternate: bool) -> Revision:
    """The revision that a service has now. `alternate`: its tasks go to the alternate target groups."""
    path = f"{service.cluster.name}/{service.name}"
    network = service.raw.get("networkConfiguration")
    return Revision(
        arn=engine.kernel.arn("ecs", f"service-revision/{path}/{number}"),
        service_arn=service.arn,
        cluster_arn=service.cluster.arn,
        definition=definition,
        launch_type=service.launch_type,
        capacity_strategy=tuple(dict(item) for item in service.capacity_strategy),
        load_balancers=tuple(deepcopy(service.load_balancers)),
        targets=tuple(_target(item, alternate) for item in service.load_balancers),
        network=deepcopy(network),
        created_at=engine.kernel.clock.now(),
    )


def _target(balancer: Mapping[str, Any], alternate: bool) -> Shown:
    group = balancer["targetGroupArn"]
    if alternate:
        group = balancer["advancedConfiguration"]["alternateTargetGroupArn"]
    names = ("containerName", "containerPort")
    return {"targetGroupArn": group, **{name: balancer[name] for name in names if name in balancer}}


def groups(revision: Revision) -> list[str]:
    """The target groups of a revision's tasks, one for each load balancer."""
    return [str(target["targetGroupArn"]) for target in revision.targets]


def uses_alternate(service: Service, serving: Revision | None, first: bool) -> bool:
    """Whether the next revision's tasks go to the alternate target groups: those in which `serving` is not."""
    if not service.load_balancers:
        return False
    if serving is None:
        return first
    return groups(serving)[:1] == [service.load_balancers[0]["targetGroupArn"]]


def shown(revision: Revision) -> Shown:
    """ECS API: ServiceRevision."""
    containers = revision.definition.raw["containerDefinitions"]
    answer: Shown = {
        "serviceRevisionArn": revision.arn,
        "serviceArn": revision.service_arn,
        "clusterArn": revision.cluster_arn,
        "taskDefinition": revision.definition.arn,
        "loadBalancers": deepcopy(list(revision.load_balancers)),
        "containerImages": [{"containerName": item["name"], "image": item["image"]} for item in containers],
        "guardDutyEnabled": False,
        "createdAt": revision.created_at,
    }
    if revision.capacity_strategy:
        answer["capacityProviderStrategy"] = [dict(item) for item in revision.capacity_strategy]
    else:
        answer["launchType"] = revision.launch_type
    if revision.network:
        answer["networkConfiguration"] = deepcopy(dict(revision.network))
    if revision.targets:
        answer["resolvedConfiguration"] = {"loadBalancers": list(_resolved(revision))}
    return answer


def _resolved(revision: Revision) -> Iterable[Shown]:
    for balancer, target in zip(revision.load_balancers, revision.targets, strict=True):
        item: Shown = {"targetGroupArn": target["targetGroupArn"]}
        rule = (balancer.get("advancedConfiguration") or {}).get("productionListenerRule")
        yield {**item, "productionListenerRule": rule} if rule else item


def find(service: Service, arn: str) -> Revision | None:
    """A revision of the service by ARN."""
    found = (each.revision for each in [*service.history, *service.deployments] if each.revision.arn == arn)
    return next(found, None)


def summary(service: Service, revision: Revision, requested: int) -> Shown:
    """ECS API: ServiceRevisionSummary, without the weights."""
    tasks = [task for task in service.tasks.values() if task.wanted and task.deployment is not None]
    mine = [task for task in tasks if task.deployment is not None and task.deployment.revision.arn == revision.arn]
    running = sum(task.last_status == "RUNNING" for task in mine)
    return {
        "arn": revision.arn,
        "requestedTaskCount": requested,
        "runningTaskCount": running,
        "pendingTaskCount": len(mine) - running,
    }
