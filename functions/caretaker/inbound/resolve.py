"""Finds the cluster of an instance: a notice names EC2 instances, and ECS has no index from them to clusters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from caretaker.aws import ecs
from caretaker.aws.errors import AwsFailure, Missing


@dataclass(frozen=True)
class Membership:
    """A container instance.

    Attributes:
        instance: EC2 instance id.
        cluster: cluster ARN.
        arn: container instance ARN.
    """

    instance: str
    cluster: str
    arn: str


def cluster_name(arn: str) -> str:
    """Name of a cluster by its ARN."""
    return arn.rsplit("/", 1)[-1]


def find(instances: Iterable[str], names: str = "*") -> dict[str, Membership]:
    """The clusters of those instances that are registered in one, among clusters whose name fits `names`.

    Raises:
        AwsFailure: something could not be read. An instance that was not found is then unknown, not without a cluster.
    """
    wanted = sorted(set(instances))
    found: dict[str, Membership] = {}
    for cluster in sorted(ecs.list_clusters()):
        left = [instance for instance in wanted if instance not in found]
        if not left:
            break
        if fnmatchcase(cluster_name(cluster), names):
            found.update(_members(cluster, left))
    return found


def _members(cluster: str, instances: list[str]) -> dict[str, Membership]:
    try:
        answer = ecs.find_container_instances(cluster, instances)
    except Missing:
        return {}  # the cluster was deleted since the listing
    unreadable = answer.unreadable()
    if unreadable:
        raise AwsFailure("DescribeContainerInstances", unreadable[0].reason, f"{cluster}: {unreadable[0]}")
    return {
        item["ec2InstanceId"]: Membership(item["ec2InstanceId"], cluster, item["containerInstanceArn"])
        for item in answer.items
    }
