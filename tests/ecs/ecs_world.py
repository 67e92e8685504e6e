"""A small world for tests of ECS: real kernel, gateway, EC2 and ELBv2, and a bus that remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from twin.ecs import Ecs, EcsOptions
from twin.ecs.model import Host, Service, Task
from twin.kernel.api import WORLD, Caller
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.neighbours.ec2 import Ec2, Launch
from twin.neighbours.elbv2 import Elbv2, Elbv2Options
from twin.neighbours.instances import Ec2Instance

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPERATOR = Caller("operator", "olga")
DRAINER = Caller("operator", "drainer")
CLUSTER = "shop"


class Bus:
    """Remembers every event."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any], list[str]]] = []

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
        assert source == "aws.ecs" or source.startswith("aws.")
        self.events.append((detail_type, detail, resources))

    def of(self, detail_type: str, resource: str | None = None) -> list[Mapping[str, Any]]:
        return [
            detail
            for kind, detail, resources in self.events
            if kind == detail_type and resource in (None, resources[0])
        ]

    def names(self, resource: str) -> list[str]:
        return [detail["eventName"] for _, detail, resources in self.events if resources[0] == resource]


class World:
    """One cluster in zones a and b (and c); `hosts` instances, `build` what services and tasks run on them.

    Until `settle` everything takes no time; after it the world's clock runs.
    """

    def __init__(
        self, hosts: int = 4, zones: str = "ab", kind: str = "m5.large", seed: int = 1, **options: Any
    ) -> None:
        self.kernel = Kernel(START, seed=seed, region="us-east-1", account="123456789012")
        self.gateway = Gateway(self.kernel)
        self.gateway.validate_responses = True
        self.bus = Bus()
        self.ec2 = Ec2(self.kernel, self.bus)
        self.elbv2 = Elbv2(self.kernel, Elbv2Options())
        self.elbv2.ec2 = self.ec2
        options = {"agent_flaps_per_hour": 0.0, **options}
        self.ecs = Ecs(self.kernel, self.bus, self.elbv2, EcsOptions(**options), self.gateway)
        self.ec2.ecs = self.ecs
        for api in (self.ecs, self.ec2, self.elbv2):
            self.gateway.register(api)
        self.zones = zones
        for zone in zones:
            self.ec2.add_subnet(f"subnet-{zone}", f"us-east-1{zone}")
        self.call("CreateCluster", clusterName=CLUSTER)
        self.instances: list[Ec2Instance] = []
        for number in range(hosts):
            self.add_host(zones[number % len(zones)], kind)
        self.run()

    # --- doing -------------------------------------------------------------------------------------------------------
    def call(self, operation: str, api: str = "ecs", /, caller: Caller = WORLD, **params: Any) -> dict[str, Any]:
        return self.gateway.call(api, operation, params, caller)

    def run(self, seconds: float | None = None) -> None:
        """Run until quiet, or for `seconds`."""
        until = None if seconds is None else self.kernel.clock.elapsed + seconds
        self.kernel.scheduler.run(until)
        if until is not None and self.kernel.clock.elapsed < until:
            # quiet before that: background timers may still be due
            self.kernel.scheduler.call_at(until, lambda: None, name="test")
            self.kernel.scheduler.run(until)

    def settle(self) -> World:
        self.run()
        self.kernel.settled = True
        return self

    def add_host(self, zone: str, kind: str = "m5.large", **launch: Any) -> Ec2Instance:
        data = launch.pop("user_data", "") + f"\nECS_CLUSTER={CLUSTER}"
        instance = self.ec2.launch(Launch(kind, f"subnet-{zone}", user_data=data, **launch))
        self.instances.append(instance)
        return instance

    def define(self, family: str, *, cpu: int = 128, memory: int = 256, port: int = 80, **more: Any) -> str:
        """A task definition of one container, with a dynamic host port unless told otherwise."""
        container = {
            "name": "app",
            "image": f"{family}:1",
            "cpu": cpu,
            "memory": memory,
            "portMappings": [{"containerPort": port}],
            **more.pop("container", {}),
        }
        answer = self.call("RegisterTaskDefinition", family=family, containerDefinitions=[container], **more)
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def target_group(self, name: str, delay: int = 30, interval: int = 10) -> str:
        group = self.call(
            "CreateTargetGroup",
            "elbv2",
            Name=name,
            Protocol="HTTP",
            Port=80,
            VpcId="vpc-0123456789abcdef0",
            HealthCheckIntervalSeconds=interval,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]
        balancer = self.call(
            "CreateLoadBalancer", "elbv2", Name=name, Subnets=[f"subnet-{zone}" for zone in self.zones]
        )["LoadBalancers"][0]["LoadBalancerArn"]
        action = [{"Type": "forward", "TargetGroupArn": group}]
        self.call("CreateListener", "elbv2", LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=action)
        attribute = {"Key": "deregistration_delay.timeout_seconds", "Value": str(delay)}
        self.call("ModifyTargetGroupAttributes", "elbv2", TargetGroupArn=group, Attributes=[attribute])
        return str(group)

    def serve(
        self,
        name: str = "web",
        desired: int | None = 2,
        percents: tuple[int, int] | None = None,
        balanced: bool = False,
        definition: str | None = None,
        **params: Any,
    ) -> Service:
        """Create a service, and let it come up."""
        definition = definition or self.define(name)
        if percents:
            minimum, maximum = percents
            given = params.setdefault("deploymentConfiguration", {})
            given.update({"minimumHealthyPercent": minimum, "maximumPercent": maximum})
        if desired is not None:
            params["desiredCount"] = desired
        if balanced:
            group = self.target_group(name)
            params["loadBalancers"] = [{"targetGroupArn": group, "containerName": "app", "containerPort": 80}]
        self.call("CreateService", cluster=CLUSTER, serviceName=name, taskDefinition=definition, **params)
        if not self.kernel.settled:
            self.run()
        return self.service(name)

    def drain(self, *hosts: Host, caller: Caller = DRAINER) -> dict[str, Any]:
        return self.call(
            "UpdateContainerInstancesState",
            caller=caller,
            cluster=CLUSTER,
            containerInstances=[host.arn for host in hosts],
            status="DRAINING",
        )

    def activate(self, *hosts: Host) -> dict[str, Any]:
        return self.call(
            "UpdateContainerInstancesState",
            caller=DRAINER,
            cluster=CLUSTER,
            containerInstances=[host.arn for host in hosts],
            status="ACTIVE",
        )

    def update(self, name: str = "web", caller: Caller = OPERATOR, **params: Any) -> dict[str, Any]:
        return self.call("UpdateService", caller=caller, cluster=CLUSTER, service=name, **params)

    # --- looking -----------------------------------------------------------------------------------------------------
    def service(self, name: str = "web") -> Service:
        return self.ecs.store.services[self.kernel.arn("ecs", f"service/{CLUSTER}/{name}")]

    def shown(self, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = self.call("DescribeServices", cluster=CLUSTER, services=[name])["services"][0]
        return found

    def host(self, instance: Ec2Instance | int) -> Host:
        chosen = self.instances[instance] if isinstance(instance, int) else instance
        return self.ecs.store.hosts_by_instance[chosen.instance_id]

    def hosts_of(self, tasks: Iterable[Task]) -> list[Host]:
        return [task.host for task in tasks if task.host is not None]

    def wanted(self, name: str = "web") -> list[Task]:
        return [task for task in self.service(name).tasks.values() if task.wanted]

    def healthy(self, name: str = "web") -> int:
        return self.ecs.healthy_count(self.service(name).arn)

    def lowest(self, name: str = "web") -> int:
        """The lowest healthy count since the world settled."""
        arn = self.service(name).arn
        counts = [loss.healthy_after for loss in self.ecs.losses if loss.service_arn == arn]
        return min([self.healthy(name), *counts])

    def statuses(self, task_arn: str) -> list[tuple[str, str]]:
        """(lastStatus, desiredStatus) of a task as its events told them."""
        events = self.bus.of("ECS Task State Change", task_arn)
        return [(detail["lastStatus"], detail["desiredStatus"]) for detail in events]
