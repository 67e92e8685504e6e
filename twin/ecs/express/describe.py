"""How Express services and their managed resources are shown.

Sources: ECS API: ECSExpressGatewayService, UpdatedExpressGatewayService, ExpressGatewayServiceConfiguration,
ECSManagedResources and what it holds.
"""

from __future__ import annotations

from typing import Any

from twin.ecs.deployment import Revision
from twin.ecs.express.model import Express, Ingress, Settings, group_id
from twin.ecs.express.requests import workload_of
from twin.ecs.model import Service
from twin.ecs.render import tag_list

Shown = dict[str, Any]


def service(each: Service, express: Express, *, tags: bool = False) -> Shown:
    """ECS API: ECSExpressGatewayService."""
    shown: Shown = {
        "cluster": each.cluster.name,
        "serviceName": each.name,
        "serviceArn": each.arn,
        "infrastructureRoleArn": express.infrastructure_role,
        "status": {"statusCode": each.status},
        "activeConfigurations": [configuration(revision, express) for revision in _active(each, express)],
        "createdAt": each.created_at,
        "updatedAt": express.updated_at,
    }
    if each.history and not each.history[-1].ended:
        shown["currentDeployment"] = each.history[-1].arn
    return {**shown, "tags": tag_list(each.tags)} if tags else shown


def updated(each: Service, express: Express, target: Revision) -> Shown:
    """ECS API: UpdatedExpressGatewayService."""
    return {
        "serviceArn": each.arn,
        "cluster": each.cluster.name,
        "serviceName": each.name,
        "status": {"statusCode": each.status},
        "targetConfiguration": configuration(target, express),
        "createdAt": each.created_at,
        "updatedAt": express.updated_at,
    }


def _active(each: Service, express: Express) -> list[Revision]:
    if each.status != "ACTIVE":
        return []
    found = {one.revision.arn: one.revision for one in each.deployments}
    if express.pending is not None:
        found = {express.pending.revision.arn: express.pending.revision, **found}
    return list(found.values())


def configuration(revision: Revision, express: Express) -> Shown:
    """ECS API: ExpressGatewayServiceConfiguration."""
    settings, ingress = of_revision(revision.arn, express)
    workload = workload_of(revision.definition)
    return {
        "serviceRevisionArn": revision.arn,
        "taskDefinitionArn": revision.definition.arn,
        **workload,
        "networkConfiguration": {
            "securityGroups": _groups(settings, ingress),
            "subnets": list(settings.subnets),
        },
        "healthCheckPath": settings.health_check_path,
        "scalingTarget": settings.scaling.shown(),
        "ingressPaths": [_path(express, ingress)],
        "createdAt": revision.created_at,
    }


def of_revision(arn: str, express: Express) -> tuple[Settings, Ingress]:
    """What a revision has; one that UpdateService made has what the service has."""
    return express.by_revision.get(arn, express.settings), express.ingresses.get(arn, express.ingress)


def _groups(settings: Settings, ingress: Ingress) -> list[str]:
    made = settings.own_group and ingress.security_group.arn is not None
    return [*settings.given_groups, *([group_id(ingress.security_group)] if made else [])]


def _path(express: Express, ingress: Ingress) -> Shown:
    public = ingress.balancer.scheme == "internet-facing"
    return {"accessType": "PUBLIC" if public else "PRIVATE", "endpoint": express.endpoint}


def managed_resources(express: Express, revision_arn: str) -> Shown:
    """ECS API: ECSManagedResources, of a revision."""
    settings, ingress = of_revision(revision_arn, express)
    balancer = ingress.balancer
    return {
        "ingressPaths": [
            {
                **_path(express, ingress),
                "loadBalancer": {**balancer.load_balancer.shown(), "scheme": balancer.scheme},
                "loadBalancerSecurityGroups": [balancer.security_group.shown()],
                "certificate": express.certificate.shown(),
                "listener": balancer.listener.shown(),
                "rule": ingress.rule.shown(),
                "targetGroups": [group.shown() for group in ingress.target_groups],
            }
        ],
        "autoScaling": {
            "scalableTarget": express.scalable_target.shown(),
            "applicationAutoScalingPolicies": [express.policy.shown()],
        },
        "metricAlarms": [express.alarm.shown()],
        "serviceSecurityGroups": [ingress.security_group.shown()] if settings.own_group else [],
        "logGroups": [express.log_group.shown()] if express.own_log_group else [],
    }
