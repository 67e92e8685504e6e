"""EC2 instances as data, and how the EC2 API shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from twin.kernel.api import Call
from twin.neighbours.common import tag_list
from twin.neighbours.instance_types import InstanceType, instance_type

State = Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]
STATE_CODES: dict[str, int] = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
EventCode = Literal["instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop"]
COMPLETED_VISIBLE = timedelta(days=7)
"""EC2 API, DescribeInstanceStatus: a completed event "can still be described for up to a week"."""
_CLUSTER = re.compile(r"ECS_CLUSTER=[\"']?([A-Za-z0-9_-]+)|^\s*cluster\s*=\s*\"([A-Za-z0-9_-]+)\"", re.MULTILINE)
_ATTRIBUTES = re.compile(r"ECS_INSTANCE_ATTRIBUTES=['\"]?(\{[^}]*\})")
CLUSTER_TAG = "ECS_CLUSTER"
GROUP_TAG = "aws:autoscaling:groupName"


@dataclass(frozen=True)
class Zone:
    name: str
    zone_id: str


@dataclass
class Subnet:
    """A subnet.

    Attributes:
        next_ip: counts the addresses handed out; AWS keeps the first four to itself.
        public: its route table leads to an internet gateway, and instances get public addresses.
        default: it is its zone's default subnet.
    """

    subnet_id: str
    zone: Zone
    vpc_id: str
    network: str
    number: int
    next_ip: int = 4
    public: bool = False
    default: bool = False

    def take_ip(self) -> str:
        """The next free address of 65,531; addresses are not used again."""
        address = self.next_ip
        self.next_ip += 1
        return f"{self.network}.{address // 256}.{address % 256}"


@dataclass
class ScheduledEvent:
    """A scheduled event of an instance, as DescribeInstanceStatus shows it."""

    event_id: str
    code: EventCode
    description: str
    not_before: datetime
    not_after: datetime | None = None
    deadline: datetime | None = None
    completed: datetime | None = None
    """Also when it was canceled because the instance is gone or has moved."""

    def view(self) -> dict[str, Any]:
        prefix = "[Completed] " if self.completed else ""
        shown: dict[str, Any] = {
            "InstanceEventId": self.event_id,
            "Code": self.code,
            "Description": prefix + self.description,
            "NotBefore": self.not_before,
        }
        if self.not_after:
            shown["NotAfter"] = self.not_after
        if self.deadline:
            shown["NotBeforeDeadline"] = self.deadline
        return shown


@dataclass
class Ec2Instance:
    """An instance.

    Attributes:
        number: place in the order of launch.
        root_device: an EBS-backed instance is stopped by its retirement, one on instance store is terminated.
        user_data: decoded.
        end_cause: the API call that stopped or ended it; None when AWS did of its own.
        terminated: when it reached `terminated`; it is described for about an hour longer.
    """

    instance_id: str
    number: int
    instance_type: str
    subnet: Subnet
    image_id: str
    launch_time: datetime
    private_ip: str
    state: State = "pending"
    tags: dict[str, str] = field(default_factory=dict)
    user_data: str = ""
    market: str = "on-demand"
    root_device: Literal["ebs", "instance-store"] = "ebs"
    template: Mapping[str, Any] = field(default_factory=dict)
    termination_protected: bool = False
    reservation_id: str = ""
    events: list[ScheduledEvent] = field(default_factory=list)
    end_cause: Call | None = None
    state_reason: tuple[str, str] | None = None
    transition_reason: str = ""
    terminated: datetime | None = None
    interface_id: str = ""

    @property
    def zone(self) -> str:
        return self.subnet.zone.name

    @property
    def zone_id(self) -> str:
        return self.subnet.zone.zone_id

    @property
    def subnet_id(self) -> str:
        return self.subnet.subnet_id

    @property
    def vpc_id(self) -> str:
        return self.subnet.vpc_id

    @property
    def spec(self) -> InstanceType:
        return instance_type(self.instance_type)

    @property
    def vcpus(self) -> int:
        return self.spec.vcpus

    @property
    def memory_mib(self) -> int:
        return self.spec.memory_mib

    @property
    def gpus(self) -> int:
        return self.spec.gpus

    @property
    def network_interfaces(self) -> int:
        return self.spec.enis

    @property
    def architecture(self) -> str:
        return self.spec.architecture

    @property
    def group_name(self) -> str | None:
        """The Auto Scaling group that launched it, from the tag that Auto Scaling sets."""
        return self.tags.get(GROUP_TAG)

    @property
    def ecs_attributes(self) -> Mapping[str, str]:
        """Custom attributes that the agent registers: `ECS_INSTANCE_ATTRIBUTES={…}` in the user data."""
        found = _ATTRIBUTES.search(self.user_data)
        return {str(key): str(value) for key, value in json.loads(found.group(1)).items()} if found else {}

    @property
    def alive(self) -> bool:
        return self.state in ("pending", "running")

    @property
    def cluster_name(self) -> str | None:
        """The ECS cluster that its agent joins: tag ECS_CLUSTER, else user data; None for a host of no cluster."""
        if CLUSTER_TAG in self.tags:
            return self.tags[CLUSTER_TAG]
        found = _CLUSTER.search(self.user_data)
        return (found.group(1) or found.group(2)) if found else None


class EcsHook(Protocol):
    """What EC2 tells ECS."""

    def host_booted(self, instance: Ec2Instance, cluster_name: str) -> None:
        """The operating system is up and the agent starts."""

    def instance_stopped(self, instance_id: str) -> None:
        """The instance is stopping: its containers end, the agent disconnects."""

    def instance_terminated(self, instance_id: str, cause: Call | None) -> None:
        """The instance is shutting down: its containers end now."""


def instance_view(instance: Ec2Instance) -> dict[str, Any]:
    """As DescribeInstances shows it, built anew (EC2 API: Instance)."""
    shown: dict[str, Any] = {
        "InstanceId": instance.instance_id,
        "ImageId": instance.image_id,
        "State": state_view(instance.state),
        "PrivateDnsName": f"ip-{instance.private_ip.replace('.', '-')}.ec2.internal",
        "PublicDnsName": "",
        "StateTransitionReason": instance.transition_reason,
        "AmiLaunchIndex": 0,
        "ProductCodes": [],
        "InstanceType": instance.instance_type,
        "LaunchTime": instance.launch_time,
        "Placement": {
            "AvailabilityZone": instance.zone,
            "AvailabilityZoneId": instance.zone_id,
            "GroupName": "",
            "Tenancy": "default",
        },
        "Monitoring": {"State": "disabled"},
        "Architecture": instance.spec.architecture,
        "BlockDeviceMappings": [],
        "ClientToken": "",
        "EbsOptimized": False,
        "EnaSupport": True,
        "Hypervisor": "xen",
        "NetworkInterfaces": [],
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": instance.root_device,
        "SecurityGroups": [],
        "SourceDestCheck": True,
        "Tags": tag_list(instance.tags),
        "VirtualizationType": "hvm",
    }
    if instance.state != "terminated":
        shown["SubnetId"] = instance.subnet_id
        shown["VpcId"] = instance.vpc_id
        shown["PrivateIpAddress"] = instance.private_ip
    else:
        shown["PrivateDnsName"] = ""
    if instance.market == "spot":
        shown["InstanceLifecycle"] = "spot"
    if instance.state_reason:
        shown["StateReason"] = {"Code": instance.state_reason[0], "Message": instance.state_reason[1]}
    return shown


def state_view(state: str) -> dict[str, Any]:
    return {"Code": STATE_CODES[state], "Name": state}


def status_view(instance: Ec2Instance, now: datetime, initializing: timedelta) -> dict[str, Any]:
    """As DescribeInstanceStatus shows it."""
    if instance.state == "running":
        ready = now - instance.launch_time >= initializing
        status, passed = ("ok", "passed") if ready else ("initializing", "initializing")
        details = [{"Name": "reachability", "Status": passed}]
    else:
        status, details = "not-applicable", []
    shown: dict[str, Any] = {
        "AvailabilityZone": instance.zone,
        "AvailabilityZoneId": instance.zone_id,
        "InstanceId": instance.instance_id,
        "InstanceState": state_view(instance.state),
        "InstanceStatus": {"Status": status, "Details": details},
        "SystemStatus": {"Status": status, "Details": [dict(one) for one in details]},
    }
    events = [event.view() for event in visible_events(instance, now)]
    if events:
        shown["Events"] = events
    return shown


def visible_events(instance: Ec2Instance, now: datetime) -> list[ScheduledEvent]:
    return [one for one in instance.events if one.completed is None or now - one.completed <= COMPLETED_VISIBLE]
