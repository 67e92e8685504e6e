"""Amazon EC2 Auto Scaling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from caretaker.aws import clients
from caretaker.aws.errors import call
from caretaker.aws.paging import batched_pages, batches

# Auto Scaling API reference, the limit of each operation's list.
_GROUP_NAMES = 50
_INSTANCE_IDS = 50
_PROTECT_IDS = 50
_PAGE = 100


def describe_groups(names: Iterable[str]) -> list[dict[str, Any]]:
    """Groups by name, with their instances. A name that does not exist is simply absent."""
    return batched_pages(
        clients.autoscaling().describe_auto_scaling_groups,
        "AutoScalingGroupNames",
        names,
        _GROUP_NAMES,
        "AutoScalingGroups",
        MaxRecords=_PAGE,
    )


def describe_instances(instance_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Instances as their groups see them; one that belongs to no group is absent."""
    return batched_pages(
        clients.autoscaling().describe_auto_scaling_instances,
        "InstanceIds",
        instance_ids,
        _INSTANCE_IDS,
        "AutoScalingInstances",
    )


def describe_activities(group: str, limit: int = 100) -> list[dict[str, Any]]:
    """The latest scaling activities of a group, newest first, at most 100."""
    answer = call(
        clients.autoscaling().describe_scaling_activities, AutoScalingGroupName=group, MaxRecords=min(limit, _PAGE)
    )
    return list(answer.get("Activities", []))


def launch_instances(
    group: str,
    count: int,
    token: str,
    *,
    zone: str | None = None,
    subnet: str | None = None,
    retry: str = "none",
) -> dict[str, Any]:
    """Launch instances into a group, in one zone or subnet, and learn their ids at once.

    The same `token` launches nothing twice. May partly succeed: read `Instances` and `Errors` of the answer, and the
    group itself, since no document says whether the desired capacity rises (Auto Scaling API: LaunchInstances).

    Args:
        count: units of the group's capacity (hosts, unless its instance types are weighted).
        token: client token, at most 64 characters.
        retry: `none`, or `retry-with-group-configuration` to let the group try on by itself.
    """
    place: dict[str, Any] = {}
    if subnet:
        place = {"SubnetIds": [subnet]}
    elif zone:
        place = {"AvailabilityZones": [zone]}
    return call(
        clients.autoscaling().launch_instances,
        AutoScalingGroupName=group,
        RequestedCapacity=count,
        ClientToken=token,
        RetryStrategy=retry,
        **place,
    )


def set_desired_capacity(group: str, desired: int) -> None:
    """Set a group's desired capacity. Absolute, without token: read the group before and after."""
    call(
        clients.autoscaling().set_desired_capacity,
        AutoScalingGroupName=group,
        DesiredCapacity=desired,
        HonorCooldown=False,
    )


def terminate_instance(instance_id: str, *, decrement: bool) -> dict[str, Any]:
    """Request the end of one instance of a group, with or without lowering its size. Returns the activity."""
    answer = call(
        clients.autoscaling().terminate_instance_in_auto_scaling_group,
        InstanceId=instance_id,
        ShouldDecrementDesiredCapacity=decrement,
    )
    return dict(answer.get("Activity", {}))


def set_instance_protection(group: str, instance_ids: Iterable[str], *, protected: bool) -> None:
    """Set or clear protection of instances from scale-in."""
    for batch in batches(sorted(set(instance_ids)), _PROTECT_IDS):
        call(
            clients.autoscaling().set_instance_protection,
            AutoScalingGroupName=group,
            InstanceIds=list(batch),
            ProtectedFromScaleIn=protected,
        )


def suspend_processes(group: str, processes: Sequence[str]) -> None:
    """Suspend processes of a group, e.g. `AZRebalance`. Read `SuspendedProcesses` before: only what ran is resumed."""
    call(clients.autoscaling().suspend_processes, AutoScalingGroupName=group, ScalingProcesses=list(processes))


def resume_processes(group: str, processes: Sequence[str]) -> None:
    """Resume processes of a group."""
    call(clients.autoscaling().resume_processes, AutoScalingGroupName=group, ScalingProcesses=list(processes))
