"""What a driven release stands on, as AWS shows it now: task sets, target groups, and the weights between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws import cloudwatch, ecs, elbv2
from caretaker.aws.cloudwatch import Query
from caretaker.aws.errors import AwsFailure, Missing
from caretaker.releases import shift, tasksets, weights
from caretaker.releases.release import Release
from caretaker.releases.shift import Reading
from caretaker.releases.tasksets import Described, Forward, NotDrivable, Pair, TaskSet

# Metrics are looked for so far back: later than this none was ever seen to come.
_METRICS = timedelta(minutes=15)


class ServiceGone(Exception):
    """The service is not there any more, or no longer ACTIVE."""


@dataclass(frozen=True)
class Ground:
    """Where a release can take place.

    Attributes:
        pair: the two target groups and the rules between them.
        running: the primary task set as ECS describes it.
    """

    pair: Pair
    running: Described

    @property
    def task_definition(self) -> str:
        return str(self.running["taskDefinition"])


def survey(cluster: str, service: str, release: str = "") -> Ground:
    """The service's two sides.

    Args:
        release: id of a release whose own task set is not in its own way.

    Raises:
        NotDrivable: says what stands in the way.
        ServiceGone: nothing is there.
    """
    items = task_sets(cluster, service)
    running = tasksets.primary(items)
    group = tasksets.task_set(running).group
    others = [item for item in items if not release or item.get("externalId") != release]
    return Ground(tasksets.pair(group, forwards(group), others), running)


def task_sets(cluster: str, service: str) -> list[dict[str, Any]]:
    """Every task set of a service, as ECS describes it. Raises `ServiceGone`, `NotDrivable` with another controller."""
    found = ecs.describe_services(cluster, [service])
    if found.unreadable():
        raise AwsFailure("DescribeServices", found.unreadable()[0].reason, str(found.unreadable()[0]))
    if not found.items or found.items[0]["status"] != "ACTIVE":
        raise ServiceGone(f"{tasksets.short(service)} is {found.items[0]['status'] if found.items else 'gone'}")
    controller = found.items[0].get("deploymentController", {}).get("type", "ECS")
    if controller != "EXTERNAL":
        raise NotDrivable(f"its deployment controller is {controller}: Caretaker drives EXTERNAL ones only")
    try:
        answer = ecs.describe_task_sets(cluster, service)
    except Missing as error:
        raise ServiceGone(f"{tasksets.short(service)}: {error.message}") from None
    if answer.failures:
        raise AwsFailure("DescribeTaskSets", answer.failures[0].reason, str(answer.failures[0]))
    return answer.items


def own(release: Release) -> TaskSet | None:
    """The task set of a release; None if it has none (any more). Raises `ServiceGone`."""
    return tasksets.mine(task_sets(release.cluster, release.service), release.id)


def lacking(release: Release, one: TaskSet) -> list[str]:
    """What the release's task set lacks before it may get requests, in words."""
    try:
        health = elbv2.describe_target_health(release.canary_group)
    except Missing:
        return [f"target group {release.canary_group} is gone"]
    return tasksets.not_ready(one, health)


# --- weights ---------------------------------------------------------------------------------------------------------


def forwards(group: str) -> list[Forward]:
    """Every rule and default action of the group's load balancers that forwards to a target group.

    Raises:
        Missing: the target group is gone.
    """
    (found,) = elbv2.describe_target_groups([group])
    return [
        forward
        for balancer in sorted(found.get("LoadBalancerArns", []))
        for listener in elbv2.listeners_of(balancer)
        for forward in _of_listener(balancer, str(listener["ListenerArn"]))
        if group in forward.weights
    ]


def _of_listener(balancer: str, listener: str) -> list[Forward]:
    return [
        Forward(
            listener if rule.get("IsDefault") else str(rule["RuleArn"]),
            balancer,
            weights.weights_of(rule.get("Actions", ())),
        )
        for rule in elbv2.rules_of(listener)
    ]


def readings(release: Release) -> dict[str, Reading | None]:
    """The release's rules as they stand, by ARN; None for one that is gone."""
    return {rule: _reading(release, rule) for rule in release.rules}


def _reading(release: Release, rule: str) -> Reading | None:
    try:
        return shift.read([rule], release.canary_group, release.baseline_group)[0]
    except Missing:
        return None


def still_sent(group: str) -> list[str]:
    """Rules that send requests to a target group; none if the group is gone."""
    try:
        found = forwards(group)
    except Missing:
        return []
    return [forward.arn for forward in found if forward.gives(group)]


# --- who comes -------------------------------------------------------------------------------------------------------


def coming(balancer: str, group: str, other: str, since: datetime, now: datetime) -> int | None:
    """Requests of a target group in the newest closed minute after `since` whose metrics have arrived.

    CloudWatch has a count only where it is not zero. So a minute counts as arrived when the other group, which serves
    the rest, has its own; without any such minute nobody knows, which is None.
    """
    begin = max(since, now - _METRICS)
    start = begin.replace(second=0, microsecond=0)
    if start < begin:
        start += timedelta(minutes=1)
    end = now.replace(second=0, microsecond=0)
    if end <= start:
        return None
    queries = [_requests(balancer, each) for each in (group, other)]
    found = cloudwatch.get_metric_data(queries, start, end)
    leaving, serving = (found[query] for query in queries)
    # The newest one may still be partial: some nodes have reported, and others have not.
    arrived = sorted(serving)[:-1]
    if not arrived:
        return None
    return int(leaving.get(arrived[-1], 0)) + sum(int(leaving[at]) for at in leaving if at > arrived[-1])


def _requests(balancer: str, group: str) -> Query:
    dimensions = (
        ("LoadBalancer", balancer.partition(":loadbalancer/")[2]),
        ("TargetGroup", group.rpartition(":")[2]),
    )
    return Query("AWS/ApplicationELB", "RequestCount", dimensions, "Sum")
