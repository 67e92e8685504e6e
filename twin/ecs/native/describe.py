"""How service deployments are shown.

Sources: ECS API: ServiceDeployment, ServiceDeploymentBrief, ServiceRevisionSummary, Rollback,
ServiceDeploymentCircuitBreaker, ServiceDeploymentAlarms, DeploymentLifecycleHookDetail.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from twin.ecs.deployment import Deployment
from twin.ecs.model import Service
from twin.ecs.native import revisions

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

Shown = dict[str, Any]


def configuration(service: Service) -> Shown:
    """ECS API: DeploymentConfiguration, of a service."""
    shown: Shown = {"maximumPercent": service.maximum, "minimumHealthyPercent": service.minimum}
    if service.controller == "ECS":
        off = {"enable": False, "rollback": False}
        defaults = {"deploymentCircuitBreaker": off, "strategy": "ROLLING", "bakeTimeInMinutes": 0}
        shown |= deepcopy(defaults | service.configuration)
    return shown


def brief(each: Deployment) -> Shown:
    """ECS API: ServiceDeploymentBrief."""
    shown: Shown = {
        "serviceDeploymentArn": each.arn,
        "serviceArn": each.service.arn,
        "clusterArn": each.service.cluster.arn,
        "createdAt": each.created_at,
        "targetServiceRevisionArn": each.revision.arn,
        "status": each.deployment_status,
    }
    if each.started_at is not None:
        shown["startedAt"] = each.started_at
    if each.finished_at is not None:
        shown["finishedAt"] = each.finished_at
    if each.reason:
        shown["statusReason"] = each.reason
    return shown


def full(each: Deployment, engine: Engine) -> Shown:
    """ECS API: ServiceDeployment."""
    shown = brief(each)
    del shown["targetServiceRevisionArn"]
    shown |= deepcopy(each.record) if each.record else revision_summaries(each)
    shown["updatedAt"] = each.updated_at
    shown["deploymentConfiguration"] = deepcopy(dict(each.configuration))
    shown["deploymentCircuitBreaker"] = _breaker(each, engine)
    if each.stopped_at is not None:
        shown["stoppedAt"] = each.stopped_at
    if each.rollback is not None:
        shown["rollback"] = {
            "reason": each.rollback.reason,
            "startedAt": each.rollback.started_at,
            "serviceRevisionArn": each.rollback.revision.arn,
        }
    if each.alarms is not None:
        shown["alarms"] = each.alarms.shown()
    if each.release is not None:
        if each.release.stage is not None:
            shown["lifecycleStage"] = each.release.stage
        if each.release.hooks:
            shown["lifecycleHookDetails"] = [hook.shown() for hook in each.release.hooks]
    return shown


def revision_summaries(each: Deployment) -> Shown:
    """sourceServiceRevisions and targetServiceRevision, as they are now."""
    service, release = each.service, each.release
    target = revisions.summary(service, each.revision, _requested(each))
    sources = [revisions.summary(service, one, _requested_of(service, one.arn)) for one in each.sources]
    if release is not None:
        for item in (target, *sources):
            item["requestedProductionTrafficWeight"] = release.production.get(item["arn"], 0.0)
            item["requestedTestTrafficWeight"] = release.test.get(item["arn"], 0.0)
    return {"sourceServiceRevisions": sources, "targetServiceRevision": target}


def _requested(each: Deployment) -> int:
    if each.native:
        return each.wanted if each in each.service.deployments else 0
    return each.service.desired if each.status == "PRIMARY" else 0


def _requested_of(service: Service, arn: str) -> int:
    """How many tasks a revision is to have beside the one that is being deployed."""
    found = [one for one in service.deployments if one.revision.arn == arn]
    if service.side_by_side:
        return sum(one.wanted for one in found)
    return sum(task.wanted for task in service.tasks.values() if task.deployment in found)


def _breaker(each: Deployment, engine: Engine) -> Shown:
    settings = each.configuration.get("deploymentCircuitBreaker") or {}
    native = each.native and not engine.options.breaker_watches_native
    if not settings.get("enable") or native:
        return {"status": "DISABLED", "failureCount": each.failures, "threshold": 0}
    status = "MONITORING_COMPLETE" if each.ended else "MONITORING"
    if each.rollback is not None and "circuit breaker" in each.rollback.reason:
        status = "TRIGGERED"
    threshold = int(engine.deployments.threshold(each.service))
    return {"status": status, "failureCount": each.failures, "threshold": threshold}
