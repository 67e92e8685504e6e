"""How Express services and their managed resources are shown.

Sources: ECS API: ECSExpressGatewayService, UpdatedExpressGatewayService, ExpressGatewayServiceConfiguration,
ECSManagedResources and what it holds.
"""

from __future__ import annotations

from typing import Any

from twin.ecs.deployment import Revision
from twin.ecs.express.model import Express, Settings
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
    if express.first is not None:
        return [express.first[1]]
    found = {one.revision.arn: one.revision for one in each.deployments}
    return list(found.values()) if each.status == "ACTIVE" else []


def configuration(revision: Revision, express: Express) -> Shown:
    """ECS API: ExpressGatewayServiceConfiguration."""
    settings = express.by_revision.get(revision.arn, express.settings)
    workload = workload_of(revision.definition)
    return {
        "serviceRevisionArn": revision.arn,
        "taskDefinitionArn": revision.definition.arn,
        **workload,
        "networkConfiguration": {
            "securityGroups": _groups(settings, express),
            "subnets": list(settings.subnets),
        },
        "healthCheckPath": settings.health_check_path,
        "scalingTarget": settings.scaling.shown(),
        "ingressPaths": [_path(express)],
        "createdAt": revision.created_at,
    }


def _groups(settings: Settings, express: Express) -> list[str]:
    own = express.security_group.arn
    return [*settings.given_groups, *([own.rpartition("/")[2]] if own else [])]


def _path(express: Express) -> Shown:
    return {"accessType": "PUBLIC" if express.public else "PRIVATE", "endpoint": express.endpoint}


def managed_resources(express: Express) -> Shown:
    """ECS API: ECSManagedResources."""
    balancer = express.balancer
    return {
        "ingressPaths": [
            {
                **_path(express),
                "loadBalancer": {**balancer.load_balancer.shown(), "scheme": balancer.scheme},
                "loadBalancerSecurityGroups": [balancer.security_group.shown()],
                "certificate": express.certificate.shown(),
                "listener": balancer.listener.shown(),
                "rule": express.rule.shown(),
                "targetGroups": [group.shown() for group in express.target_groups],
            }
        ],
        "autoScaling": {
            "scalableTarget": express.scalable_target.shown(),
            "applicationAutoScalingPolicies": [express.policy.shown()],
        },
        "metricAlarms": [express.alarm.shown()],
        "serviceSecurityGroups": [express.security_group.shown()],
        "logGroups": [express.log_group.shown()],
    }
