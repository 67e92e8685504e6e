"""Auto Scaling groups as data: members, activities, lifecycle hooks, and how the API shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twin.kernel.api import Call
from twin.neighbours.instances import Ec2Instance, Subnet

PROCESSES = (
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
)
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


@dataclass
class AutoScalingOptions:
    """A world's choices. Times in simulated seconds.

    Attributes:
        reaction: from a difference between desired and actual capacity until the group acts.
        health_check: from an instance's end until the group's health check has noticed.
        acts_before_event: a group replaces an instance this long before a scheduled event's date ("eventually replaces
            it as part of its health checks"); None: only when the instance no longer runs. Unverified.
        rebalance_after: from an imbalance of zones until the group begins to rebalance, and between tries.
        retry, retry_most: first and longest wait before a failed launch is tried again; it doubles.
        launch_instances_raises_desired: LaunchInstances adds the launched instances to the desired capacity. No
            document says so.
        launch_instances_respects_max: LaunchInstances refuses what would exceed the maximum. No document says so.
            Where it does not, the desired capacity rises to the maximum only.
        surplus_after: how long instances above the desired capacity that LaunchInstances made are left alone before
            the group scales in to its desired capacity. Unverified.
        repeated_terminate_decrements: terminating an instance that is terminating already, with decrement, lowers the
            desired capacity again. Unverified; AWS accepts such a call without error.
        evaluation: period of managed scaling's metric.
        scale_in_after: consecutive seconds below target before managed scaling scales in (15 one-minute datapoints).
        metric_delay: how old a datapoint of managed scaling's metric is when it is acted upon.
    """

    reaction: float = 5.0
    health_check: float = 60.0
    acts_before_event: float | None = None
    rebalance_after: float = 120.0
    retry: float = 60.0
    retry_most: float = 900.0
    launch_instances_raises_desired: bool = True
    launch_instances_respects_max: bool = True
    surplus_after: float = 120.0
    repeated_terminate_decrements: bool = True
    evaluation: float = 60.0
    scale_in_after: float = 900.0
    metric_delay: float = 60.0


@dataclass
class Activity:
    """A scaling activity. `status` is AWS's StatusCode."""

    activity_id: str
    number: int
    description: str
    cause: str
    start: datetime
    details: dict[str, str]
    status: str = "InProgress"
    end: datetime | None = None
    message: str = ""
    progress: int = 0

    def finish(self, status: str, at: datetime, message: str = "") -> None:
        self.status = status
        self.end = at
        self.message = message
        self.progress = 100


@dataclass
class LifecycleHook:
    """A lifecycle hook. Times in seconds."""

    name: str
    transition: str
    heartbeat: int = 3600
    default_result: str = "ABANDON"
    metadata: str | None = None

    @property
    def global_timeout(self) -> int:
        """API, LifecycleHook.GlobalTimeout: 48 hours or 100 times the heartbeat, whichever is smaller."""
        return min(172_800, 100 * self.heartbeat)


@dataclass
class LifecycleAction:
    """An instance waiting for a hook. `turn` rises with each heartbeat, so that an older timer is outdated."""

    token: str
    hook: LifecycleHook
    ends_at_most: float
    turn: int = 0


@dataclass
class Member:
    """An instance of a group.

    Attributes:
        template: id, name and version of the launch template it came from.
        cause: the API call because of which it leaves.
    """

    instance_id: str
    instance_type: str
    zone: str
    zone_id: str
    number: int
    template: dict[str, str]
    protected: bool
    activity: Activity
    image_id: str = ""
    lifecycle: str = "Pending"
    health: str = "Healthy"
    instance: Ec2Instance | None = None
    in_service_at: datetime | None = None
    actions: dict[str, LifecycleAction] = field(default_factory=dict)
    cause: Call | None = None
    after_actions: Callable[[str], None] | None = None

    @property
    def live(self) -> bool:
        """Counts towards the group's capacity."""
        return self.lifecycle.startswith("Pending") or self.lifecycle == "InService"

    @property
    def pending(self) -> bool:
        return self.lifecycle.startswith("Pending")

    def view(self) -> dict[str, Any]:
        return {
            "InstanceId": self.instance_id,
            "InstanceType": self.instance_type,
            "AvailabilityZone": self.zone,
            "AvailabilityZoneId": self.zone_id,
            "LifecycleState": self.lifecycle,
            "HealthStatus": self.health,
            "LaunchTemplate": dict(self.template),
            "ImageId": self.image_id,
            "ProtectedFromScaleIn": self.protected,
        }


@dataclass
class Kinds:
    """What a group may launch, and the split between On-Demand and Spot.

    `overrides` are types in order of priority (none: the launch template's own type); `base` and `percent` are
    OnDemandBaseCapacity and OnDemandPercentageAboveBaseCapacity.
    """

    template_id: str
    template_name: str
    version: str
    overrides: list[str]
    mixed: Mapping[str, Any] | None = None
    base: int = 0
    percent: int = 100

    @property
    def purchase_options(self) -> str:
        if self.mixed is None or self.percent == 100:
            return "on-demand"
        return "spot" if self.percent == 0 and self.base == 0 else "mixed"

    def specification(self) -> dict[str, str]:
        return {
            "LaunchTemplateId": self.template_id,
            "LaunchTemplateName": self.template_name,
            "Version": self.version,
        }


@dataclass
class Remembered:
    """A LaunchInstances call, for repeats with the same client token."""

    at: float
    params: Mapping[str, Any]
    response: Mapping[str, Any]


@dataclass
class Group:
    """An Auto Scaling group.

    Attributes:
        subnets: in the order of VPCZoneIdentifier.
        extra: instances above the desired capacity while zones are rebalanced.
        tolerated: instances above the desired capacity that LaunchInstances made and that may stay a while.
        why, why_call: what changed the desired capacity last: text for activities, and the call.
        unbalanced_by: the call that changed the balance of zones last.
        waking: a reconcile is already due.
        retry_delay: next wait before a failed launch is tried again; 0 while launches succeed.
    """

    name: str
    arn: str
    number: int
    created: datetime
    kinds: Kinds
    subnets: list[Subnet]
    minimum: int
    maximum: int
    desired: int
    cooldown: int = 300
    grace: int = 0
    new_protected: bool = False
    policies: list[str] = field(default_factory=lambda: ["Default"])
    tags: dict[str, tuple[str, bool]] = field(default_factory=dict)
    suspended: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, LifecycleHook] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    warm_pool: Mapping[str, Any] | None = None
    tokens: dict[str, Remembered] = field(default_factory=dict)
    extra: int = 0
    tolerated: int = 0
    why: str = ""
    why_call: Call | None = None
    unbalanced_by: Call | None = None
    balancing: str | None = None
    cooldown_until: float = 0.0
    waking: bool = False
    retrying: bool = False
    retry_delay: float = 0.0
    watching_balance: bool = False
    shrink_failed: bool = False
    deleted: bool = False
    delete_status: str | None = None

    @property
    def zones(self) -> list[str]:
        return list(dict.fromkeys(subnet.zone.name for subnet in self.subnets))

    @property
    def live(self) -> list[Member]:
        return [member for member in self.members.values() if member.live]

    @property
    def target(self) -> int:
        return self.desired + self.extra

    def per_zone(self) -> dict[str, int]:
        """Live instances of each zone of the group, and of zones that it has left."""
        counts = dict.fromkeys(self.zones, 0)
        for member in self.live:
            counts[member.zone] = counts.get(member.zone, 0) + 1
        return counts

    @property
    def unbalanced(self) -> bool:
        counts = self.per_zone()
        gone = any(zone not in self.zones for zone, count in counts.items() if count)
        return gone or (len(counts) > 1 and max(counts.values()) - min(counts.values()) > 1)

    def runs(self, process: str) -> bool:
        return process not in self.suspended

    def hooks_of(self, transition: str) -> Iterator[LifecycleHook]:
        return (hook for hook in self.hooks.values() if hook.transition == transition)


def group_view(group: Group, *, with_instances: bool) -> dict[str, Any]:
    """As DescribeAutoScalingGroups shows it, built anew."""
    shown: dict[str, Any] = {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "MinSize": group.minimum,
        "MaxSize": group.maximum,
        "DesiredCapacity": group.desired,
        "DefaultCooldown": group.cooldown,
        "AvailabilityZones": group.zones,
        "LoadBalancerNames": [],
        "TargetGroupARNs": [],
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": group.grace,
        "Instances": [member.view() for member in group.members.values()] if with_instances else [],
        "CreatedTime": group.created,
        "SuspendedProcesses": [
            {"ProcessName": name, "SuspensionReason": reason} for name, reason in sorted(group.suspended.items())
        ],
        "VPCZoneIdentifier": ",".join(subnet.subnet_id for subnet in group.subnets),
        "EnabledMetrics": [],
        "Tags": tags_view(group),
        "TerminationPolicies": list(group.policies),
        "NewInstancesProtectedFromScaleIn": group.new_protected,
        "CapacityRebalance": False,
        "TrafficSources": [],
    }
    if group.kinds.mixed is None:
        shown["LaunchTemplate"] = group.kinds.specification()
    else:
        shown["MixedInstancesPolicy"] = json.loads(json.dumps(group.kinds.mixed))
    if group.warm_pool is not None:
        shown["WarmPoolConfiguration"] = dict(group.warm_pool)
        shown["WarmPoolSize"] = 0
    if group.delete_status:
        shown["Status"] = group.delete_status
    return shown


def tags_view(group: Group) -> list[dict[str, Any]]:
    return [
        {
            "ResourceId": group.name,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": value,
            "PropagateAtLaunch": propagate,
        }
        for key, (value, propagate) in group.tags.items()
    ]


def activity_view(group: Group, activity: Activity) -> dict[str, Any]:
    """As DescribeScalingActivities shows it."""
    shown: dict[str, Any] = {
        "ActivityId": activity.activity_id,
        "AutoScalingGroupName": group.name,
        "Description": activity.description,
        "Cause": activity.cause[:1023],
        "StartTime": activity.start,
        "StatusCode": activity.status,
        "Progress": activity.progress,
        "Details": json.dumps(activity.details, separators=(",", ":")),
        "AutoScalingGroupARN": group.arn,
    }
    if activity.end:
        shown["EndTime"] = activity.end
    if activity.message:
        shown["StatusMessage"] = activity.message[:255]
    return shown


def hook_view(group: Group, hook: LifecycleHook) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "LifecycleHookName": hook.name,
        "AutoScalingGroupName": group.name,
        "LifecycleTransition": hook.transition,
        "HeartbeatTimeout": hook.heartbeat,
        "GlobalTimeout": hook.global_timeout,
        "DefaultResult": hook.default_result,
    }
    if hook.metadata:
        shown["NotificationMetadata"] = hook.metadata
    return shown
