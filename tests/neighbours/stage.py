"""A stage for tests of EC2, Auto Scaling and ELBv2: a kernel, the services, and stand-ins for the bus and ECS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from twin.kernel.api import Call, Caller
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.neighbours.autoscaling import AutoScaling, AutoScalingOptions
from twin.neighbours.ec2 import Ec2, Ec2Options
from twin.neighbours.elbv2 import Elbv2, Elbv2Options
from twin.neighbours.groups import Group
from twin.neighbours.instances import Ec2Instance

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPERATOR = Caller("operator", "olga")
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
MINUTE = 60.0


class Bus:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any], list[str]]] = []

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
        self.events.append((detail_type, detail, resources))

    def of(self, detail_type: str) -> list[Mapping[str, Any]]:
        return [detail for kind, detail, _ in self.events if kind == detail_type]


class Ecs:
    """Remembers what EC2 tells it, and plays the part of ECS for managed scaling."""

    def __init__(self) -> None:
        self.booted: list[tuple[str, str]] = []
        self.stopped: list[str] = []
        self.terminated: list[tuple[str, Call | None]] = []
        self.busy: list[str] = []
        self.missing = 0
        self.draining: dict[str, Callable[[], None]] = {}

    def host_booted(self, instance: Ec2Instance, cluster_name: str) -> None:
        self.booted.append((instance.instance_id, cluster_name))

    def instance_stopped(self, instance_id: str) -> None:
        self.stopped.append(instance_id)

    def instance_terminated(self, instance_id: str, cause: Call | None) -> None:
        self.terminated.append((instance_id, cause))

    def occupied(self, provider_name: str) -> Sequence[str]:
        return self.busy

    def instances_missing(self, provider_name: str) -> int:
        return self.missing

    def drain(self, instance_id: str, done: Callable[[], None]) -> None:
        self.draining[instance_id] = done


class Stage:
    """Three zones, one subnet each; `settle()` ends the building of the world."""

    def __init__(
        self,
        seed: int = 1,
        ec2: Ec2Options | None = None,
        autoscaling: AutoScalingOptions | None = None,
        elbv2: Elbv2Options | None = None,
        *,
        validate: bool = True,
    ) -> None:
        self.kernel = Kernel(START, seed=seed, region="us-east-1", account="123456789012")
        self.gateway = Gateway(self.kernel)
        self.gateway.validate_requests = self.gateway.validate_responses = validate
        self.bus = Bus()
        self.ecs = Ecs()
        self.ec2 = Ec2(self.kernel, self.bus, ec2)
        self.ec2.ecs = self.ecs
        self.autoscaling = AutoScaling(self.kernel, self.bus, self.ec2, autoscaling)
        self.elbv2 = Elbv2(self.kernel, elbv2, ec2=self.ec2)
        for api in (self.ec2, self.autoscaling, self.elbv2):
            self.gateway.register(api)
        for index, zone in enumerate(ZONES):
            self.ec2.add_subnet(f"subnet-{index}", zone)
        self.call("ec2", "CreateLaunchTemplate", LaunchTemplateName="hosts", LaunchTemplateData=template())

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return self.gateway.call(service, operation, params, OPERATOR)

    def asg(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.call("autoscaling", operation, **{"AutoScalingGroupName": "hosts", **params})

    def create_group(self, *, subnets: int = 2, **params: Any) -> Group:
        given: dict[str, Any] = {
            "MinSize": 0,
            "MaxSize": 10,
            "VPCZoneIdentifier": ",".join(f"subnet-{index}" for index in range(subnets)),
            **params,
        }
        if "MixedInstancesPolicy" not in given:
            given.setdefault("LaunchTemplate", {"LaunchTemplateName": "hosts", "Version": "$Latest"})
        self.asg("CreateAutoScalingGroup", **given)
        return self.autoscaling.group("hosts")

    def settle(self) -> None:
        self.kernel.settled = True

    def run(self, seconds: float) -> None:
        """Let simulated time pass, background work included."""
        scheduler = self.kernel.scheduler
        until = self.kernel.clock.elapsed + seconds
        scheduler.call_at(until, lambda: None, name="tick")
        scheduler.run(until)

    def run_until_quiet(self) -> None:
        assert self.kernel.scheduler.run(self.kernel.clock.elapsed + 48 * 3600)

    def in_service(self) -> list[str]:
        return [one.instance_id for one in self.autoscaling.group("hosts").live if one.lifecycle == "InService"]

    def zones(self) -> list[str]:
        return sorted(one.zone for one in self.autoscaling.group("hosts").live)


def template(**data: Any) -> dict[str, Any]:
    """Launch template data of a host of cluster `main`."""
    user_data = "IyEvYmluL2Jhc2gKZWNobyBFQ1NfQ0xVU1RFUj1tYWluID4+IC9ldGMvZWNzL2Vjcy5jb25maWcK"
    return {"ImageId": "ami-0aaaaaaaaaaaaaaa1", "InstanceType": "m5.large", "UserData": user_data, **data}
