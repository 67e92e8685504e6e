"""Amazon EC2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from caretaker.aws import clients, rates
from caretaker.aws.errors import Missing, call
from caretaker.aws.listing import Listing
from caretaker.aws.paging import batched_pages, batches, pages

# EC2 API reference: DescribeInstanceTypes takes at most 100; AWS advises small batches of ids for the others too.
_IDS = 100
_NEXT = (("NextToken", "NextToken"),)
_PAGE = {"MaxResults": 1000}

DESCRIBE_SECURITY_GROUPS = Listing(
    "ec2:DescribeSecurityGroups", "ec2", "describe_security_groups", ("SecurityGroups",), rates.EC2, _NEXT, _PAGE
)
DESCRIBE_SECURITY_GROUP_RULES = Listing(
    "ec2:DescribeSecurityGroupRules",
    "ec2",
    "describe_security_group_rules",
    ("SecurityGroupRules",),
    rates.EC2,
    _NEXT,
    _PAGE,
)
# Interfaces that AWS services manage may be hidden from a listing that does not ask for them (EC2 API:
# IncludeManagedResources).
DESCRIBE_NETWORK_INTERFACES = Listing(
    "ec2:DescribeNetworkInterfaces",
    "ec2",
    "describe_network_interfaces",
    ("NetworkInterfaces",),
    rates.EC2,
    _NEXT,
    {**_PAGE, "IncludeManagedResources": True},
)


def describe_instances(instance_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Instances by id; one that EC2 no longer knows is absent.

    EC2 refuses a whole batch for one unknown id (`InvalidInstanceID.NotFound`), so a refused batch is halved until the
    unknown one stands alone.
    """
    found: list[dict[str, Any]] = []
    for batch in batches(sorted(set(instance_ids)), _IDS):
        found.extend(_known(list(batch)))
    return found


def _known(instance_ids: list[str]) -> list[dict[str, Any]]:
    try:
        reservations = pages(
            clients.ec2().describe_instances, "Reservations", token="NextToken", InstanceIds=instance_ids
        )
    except Missing:
        if len(instance_ids) == 1:
            return []
        middle = len(instance_ids) // 2
        return _known(instance_ids[:middle]) + _known(instance_ids[middle:])
    return [instance for reservation in reservations for instance in reservation.get("Instances", [])]


def describe_instance_types(names: Iterable[str]) -> list[dict[str, Any]]:
    """Instance types by name."""
    return batched_pages(clients.ec2().describe_instance_types, "InstanceTypes", names, _IDS, "InstanceTypes")


def describe_subnets(subnet_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Subnets by id."""
    return batched_pages(clients.ec2().describe_subnets, "SubnetIds", subnet_ids, _IDS, "Subnets")


def vpcs_of_tagged_groups(tag: str, value: str) -> list[str]:
    """Ids of the VPCs in which a security group has the tag."""
    filters: list[dict[str, Any]] = [{"Name": f"tag:{tag}", "Values": [value]}]
    groups = pages(clients.ec2().describe_security_groups, "SecurityGroups", token="NextToken", Filters=filters)
    return sorted({str(group["VpcId"]) for group in groups if group.get("VpcId")})


def describe_launch_template(template_id: str, version: str) -> dict[str, Any]:
    """Data of one version of a launch template; `version` is a number, `$Default` or `$Latest`."""
    answer = call(clients.ec2().describe_launch_template_versions, LaunchTemplateId=template_id, Versions=[version])
    versions = answer.get("LaunchTemplateVersions", [])
    if not versions:
        raise Missing("DescribeLaunchTemplateVersions", "NotFound", f"{template_id} has no version {version}")
    return dict(versions[0].get("LaunchTemplateData", {}))


def terminate_instances(instance_ids: Iterable[str]) -> list[dict[str, Any]]:
    """End instances that belong to no group. Returns their state changes."""
    found: list[dict[str, Any]] = []
    for batch in batches(sorted(set(instance_ids)), _IDS):
        answer = call(clients.ec2().terminate_instances, InstanceIds=list(batch))
        found.extend(answer.get("TerminatingInstances", []))
    return found
