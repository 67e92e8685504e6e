"""A native deployment as ECS shows it: its two revisions, their target groups, and how far its traffic has shifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from caretaker.aws import ecs, elbv2
from caretaker.aws.errors import AwsFailure, Missing, Unsupported
from caretaker.releases import express, weights

# ECS API: ServiceDeploymentStatus.
OVER = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
GOING_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
UNDER_WAY = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")


@dataclass(frozen=True)
class Native:
    """A service deployment.

    Attributes:
        arn, cluster, service: ARNs.
        status: as ECS names it.
        reason: ECS's words for it.
        strategy: ROLLING, BLUE_GREEN, LINEAR or CANARY.
        target: ARN of the revision that is deployed.
        sources: ARNs of the revisions that ran before, the one with the most traffic first: a deployment that was
            stopped leaves its own among them. Empty for a service's first deployment.
        weight: the share of production traffic that ECS asked for the target revision, 0 to 1.
        first_share: the share that the target revision gets first, 0 to 1.
        hooks: ARNs of the functions that ECS calls.
    """

    arn: str
    cluster: str
    service: str
    status: str
    reason: str
    strategy: str
    target: str
    sources: tuple[str, ...]
    weight: float
    first_share: float
    hooks: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        return self.status in OVER

    @property
    def going_back(self) -> bool:
        return self.status in GOING_BACK


@dataclass(frozen=True)
class Side:
    """What a revision is reached through; empty text where there is nothing."""

    revision: str
    task_definition: str
    group: str
    rules: tuple[str, ...]


def newest(cluster: str, service: str) -> Native | None:
    """The service's newest deployment that is under way; None if there is none, or none of ECS's own kind.

    Raises:
        AwsFailure: nothing is known.
    """
    try:
        found = ecs.list_service_deployments(cluster, service, statuses=UNDER_WAY)
    except (Missing, Unsupported):
        return None  # the service is gone, or its deployment controller is another
    if not found:
        return None
    latest = max(found, key=lambda item: item["createdAt"])
    return describe(latest["serviceDeploymentArn"])


def describe(arn: str) -> Native | None:
    """A service deployment as it stands; None if ECS does not know it (any more).

    Raises:
        AwsFailure: nothing is known.
    """
    found = ecs.describe_service_deployments([arn])
    if found.unreadable():
        raise AwsFailure("DescribeServiceDeployments", found.unreadable()[0].reason, str(found.unreadable()[0]))
    return _native(found.items[0]) if found.items else None


def _native(item: Mapping[str, Any]) -> Native:
    configuration = item.get("deploymentConfiguration", {})
    target = item.get("targetServiceRevision", {})
    return Native(
        arn=item["serviceDeploymentArn"],
        cluster=item["clusterArn"],
        service=item["serviceArn"],
        status=item["status"],
        reason=item.get("statusReason", ""),
        strategy=configuration.get("strategy", "ROLLING"),
        target=target.get("arn", ""),
        sources=tuple(source["arn"] for source in sorted(item.get("sourceServiceRevisions", []), key=_weight)),
        weight=float(target.get("requestedProductionTrafficWeight") or 0) / 100,
        first_share=_first_share(configuration),
        hooks=tuple(
            hook["hookTargetArn"] for hook in configuration.get("lifecycleHooks", ()) if "hookTargetArn" in hook
        ),
    )


def _weight(revision: Mapping[str, Any]) -> float:
    """For sorting: the most traffic first."""
    return -float(revision.get("requestedProductionTrafficWeight") or 0)


def _first_share(configuration: Mapping[str, Any]) -> float:
    """ECS API: CanaryConfiguration (default 5.0), LinearConfiguration (default 10.0)."""
    strategy = configuration.get("strategy")
    if strategy == "CANARY":
        return float(configuration.get("canaryConfiguration", {}).get("canaryPercent", 5.0)) / 100
    if strategy == "LINEAR":
        return float(configuration.get("linearConfiguration", {}).get("stepPercent", 10.0)) / 100
    return 1.0


def both(found: Native) -> tuple[Side, Side]:
    """What the new revision and the running one are reached through.

    Raises:
        AwsFailure: a revision, or an Express service's rule, could not be read.
    """
    items = _revisions([found.target, found.sources[0]])
    canary, baseline = (_side(items[arn]) for arn in (found.target, found.sources[0]))
    way = express.ingress(items[found.target])
    if way is None or canary.group or baseline.group:
        return canary, baseline
    groups = _told_apart(way, found.weight)
    return replace(canary, group=groups[0], rules=(way.rule,)), replace(baseline, group=groups[1], rules=(way.rule,))


def _told_apart(way: express.Ingress, asked: float) -> tuple[str, str]:
    """Target groups of the new revision and of the running one; empty texts where nobody can tell."""
    (rule,) = elbv2.describe_rules([way.rule])
    return express.told_apart(way, weights.weights_of(rule.get("Actions", ())), asked) or ("", "")


def _revisions(revisions: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    found = ecs.describe_service_revisions(revisions)
    if found.failures:
        raise AwsFailure("DescribeServiceRevisions", found.failures[0].reason, str(found.failures[0]))
    return {item["serviceRevisionArn"]: item for item in found.items}


def _side(item: Mapping[str, Any]) -> Side:
    resolved = item.get("resolvedConfiguration", {}).get("loadBalancers", [])
    named = [balancer.get("advancedConfiguration", {}) for balancer in item.get("loadBalancers", [])]
    rules = [entry["productionListenerRule"] for entry in [*resolved, *named] if "productionListenerRule" in entry]
    group = resolved[0]["targetGroupArn"] if resolved else ""
    return Side(item["serviceRevisionArn"], item["taskDefinition"], group, tuple(dict.fromkeys(rules)))


def balancer_of(group: str) -> str:
    """ARN of the load balancer that forwards to a target group; empty if none does."""
    (found,) = elbv2.describe_target_groups([group])
    balancers: list[str] = found.get("LoadBalancerArns", [])
    return balancers[0] if balancers else ""
