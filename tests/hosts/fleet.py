"""Fleets for tests of the pure core: small, built through the same API-shaped dicts that AWS answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from caretaker.hosts.model import (
    Definition,
    Group,
    Host,
    InstanceType,
    Service,
    Survey,
    Task,
    Unknown,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ARN = "arn:aws:ecs:eu-west-1:111122223333"
TYPE = "m5.large"
CPU, MEMORY = 2048, 7680


def host_data(instance: str, zone: str = "a", **more: Any) -> dict[str, Any]:
    """A member of DescribeContainerInstances' answer."""
    cpu, memory = more.pop("cpu", CPU), more.pop("memory", MEMORY)
    used_cpu, used_memory = more.pop("used", (0, 0))
    ports = more.pop("ports", [])
    attributes = {
        "ecs.availability-zone": zone,
        "ecs.instance-type": more.pop("type", TYPE),
        "com.amazonaws.ecs.capability.docker-remote-api.1.18": None,
        **more.pop("attributes", {}),
    }

    def resources(cpu: int, memory: int, *ports: int) -> list[dict[str, Any]]:
        return [
            {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22", "2376", *map(str, ports)]},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
        ]

    return {
        "containerInstanceArn": f"{ARN}:container-instance/prod/{instance.removeprefix('i-')}",
        "ec2InstanceId": instance,
        "status": "ACTIVE",
        "agentConnected": True,
        "registeredResources": resources(cpu, memory),
        "remainingResources": resources(cpu - used_cpu, memory - used_memory, *ports),
        "attributes": [
            {"name": name, **({"value": value} if value is not None else {})} for name, value in attributes.items()
        ],
        "runningTasksCount": 0,
        "pendingTasksCount": 0,
        **more,
    }


def definition_data(family: str, cpu: int = 256, memory: int = 512, **more: Any) -> dict[str, Any]:
    """The `taskDefinition` of DescribeTaskDefinition's answer, with one container."""
    container = {"name": "main", "cpu": cpu, "memory": memory, "essential": True, **more.pop("container", {})}
    return {
        "taskDefinitionArn": f"{ARN}:task-definition/{family}:1",
        "networkMode": "bridge",
        "containerDefinitions": [container],
        **more,
    }


def service_data(name: str, desired: int = 2, percents: tuple[int, int] = (100, 200), **more: Any) -> dict[str, Any]:
    """A member of DescribeServices' answer, in steady state."""
    family = more.pop("family", name)
    configuration = {
        "minimumHealthyPercent": percents[0],
        "maximumPercent": percents[1],
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        **more.pop("configuration", {}),
    }
    arn = f"{ARN}:task-definition/{family}:1"
    return {
        "serviceArn": f"{ARN}:service/prod/{name}",
        "serviceName": name,
        "status": "ACTIVE",
        "desiredCount": desired,
        "runningCount": desired,
        "pendingCount": 0,
        "schedulingStrategy": "REPLICA",
        "taskDefinition": arn,
        "deploymentConfiguration": configuration,
        "deployments": [
            {"id": f"ecs-svc/{name}", "status": "PRIMARY", "rolloutState": "COMPLETED", "taskDefinition": arn}
        ],
        **more,
    }


def task_data(name: str, instance: str, group: str, family: str, **more: Any) -> dict[str, Any]:
    """A member of DescribeTasks' answer."""
    return {
        "taskArn": f"{ARN}:task/prod/{name}",
        "taskDefinitionArn": f"{ARN}:task-definition/{family}:1",
        "containerInstanceArn": f"{ARN}:container-instance/prod/{instance.removeprefix('i-')}",
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "group": group,
        **more,
    }


def group_data(name: str, instances: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """A member of DescribeAutoScalingGroups' answer; `instances` maps instance id to zone."""
    kind = more.pop("type", TYPE)
    return {
        "AutoScalingGroupName": name,
        "MinSize": 1,
        "MaxSize": len(instances) + 2,
        "DesiredCapacity": len(instances),
        "AvailabilityZones": sorted(set(instances.values())) or ["a"],
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"},
        "SuspendedProcesses": [],
        "Instances": [
            {
                "InstanceId": instance,
                "AvailabilityZone": zone,
                "InstanceType": kind,
                "LifecycleState": "InService",
                "HealthStatus": "Healthy",
                "ProtectedFromScaleIn": False,
            }
            for instance, zone in instances.items()
        ],
        **more,
    }


M5 = InstanceType(TYPE, 2, 8192, 3)


@dataclass
class Fleet:
    """A cluster under construction: hosts in one group, services with tasks on them. `survey()` observes it."""

    zones: Mapping[str, str]
    group: str = "shop-a"
    group_more: dict[str, Any] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: dict[str, tuple[int, int]] = field(default_factory=dict)
    ports: dict[str, list[int]] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    protected: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    unknown: list[Unknown] = field(default_factory=list)

    def service(
        self,
        name: str,
        on: Sequence[str] = (),
        *,
        cpu: int = 256,
        memory: int = 512,
        definition: Mapping[str, Any] | None = None,
        port: int = 0,
        **more: Any,
    ) -> Fleet:
        """A service with one task on each host named in `on` (which may repeat)."""
        container = {"portMappings": [{"containerPort": port, "hostPort": port}]} if port else {}
        self.definitions[name] = definition_data(name, cpu, memory, container=container, **(definition or {}))
        self.services[name] = service_data(name, more.pop("desired", len(on)), **more)
        for number, instance in enumerate(on):
            self.task(f"{name}-{number}", instance, f"service:{name}", name)
            self.use(instance, cpu, memory)
            if port:
                self.ports.setdefault(instance, []).append(port)
        return self

    def daemon(self, name: str, cpu: int = 128, memory: int = 256, **more: Any) -> Fleet:
        """A daemon service with a task on every host."""
        more = {"schedulingStrategy": "DAEMON", "percents": (0, 100), **more}
        return self.service(name, tuple(self.zones), cpu=cpu, memory=memory, **more)

    def task(self, name: str, instance: str, group: str, family: str, **more: Any) -> Fleet:
        """One more task."""
        self.definitions.setdefault(family, definition_data(family))
        self.tasks.append(task_data(name, instance, group, family, **more))
        return self

    def use(self, instance: str, cpu: int, memory: int) -> Fleet:
        """Resources that are taken on a host."""
        before = self.used.get(instance, (0, 0))
        self.used[instance] = (before[0] + cpu, before[1] + memory)
        return self

    def change_task(self, name: str, **more: Any) -> Fleet:
        """Change members of a task."""
        for task in self.tasks:
            if task["taskArn"].endswith(f"/{name}"):
                task.update(more)
        return self

    def survey(self, *batch: str, **more: Any) -> Survey:
        """Observe the fleet."""
        hosts = []
        for instance, zone in self.zones.items():
            on = [task for task in self.tasks if task["containerInstanceArn"].endswith(instance.removeprefix("i-"))]
            data = {
                "used": self.used.get(instance, (0, 0)),
                "ports": self.ports.get(instance, []),
                "runningTasksCount": len(on),
                **self.hosts.get(instance, {}),
            }
            hosts.append(Host.from_ecs(host_data(instance, zone, **data)))
        own = Group.from_autoscaling(group_data(self.group, self.zones, **self.group_more))
        survey = Survey(
            cluster=f"{ARN}:cluster/prod",
            at=NOW,
            batch=tuple(batch),
            hosts=tuple(hosts),
            tasks=tuple(self._task(item) for item in self.tasks),
            services=tuple(Service.from_ecs(item) for item in self.services.values()),
            definitions=tuple(Definition.from_ecs(item) for item in self.definitions.values()),
            groups=(own, *(Group.from_autoscaling(item) for item in self.groups)),
            types=(M5,),
            unknown=tuple(self.unknown),
        )
        return replace(survey, **more)

    def _task(self, data: dict[str, Any]) -> Task:
        name = data["taskArn"].rsplit("/", 1)[-1]
        known = name not in self.protected or self.protected[name] is not None
        return Task.from_ecs(data, self.protected.get(name), protection_known=known)
