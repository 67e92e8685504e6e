"""Task definitions: what RegisterTaskDefinition takes, and what it means for placement.

Source: ECS API: RegisterTaskDefinition, TaskDefinition, ContainerDefinition, HealthCheck, PortMapping. Demand on EC2:
task-level cpu and memory if given, else the sum over the containers of cpu, and of memoryReservation or else memory.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from twin.ecs.fargate import MEMORY
from twin.ecs.model import Demand, HealthCheck, PortMapping, TaskDefinition
from twin.ecs.placement import parse_constraints
from twin.errors import AwsError, Unmodelled

STOP_TIMEOUT = 30.0
_ARCHITECTURES = {"X86_64": "x86_64", "ARM64": "arm64"}
_MODES = ("bridge", "host", "awsvpc", "none")


def refuse(message: str) -> AwsError:
    return AwsError("ClientException", message)


def parse(arn: str, revision: int, params: dict[str, Any], now: datetime) -> TaskDefinition:
    """A new revision from a request. Raises ClientException as AWS does, Unmodelled for what the twin lacks."""
    containers = params.get("containerDefinitions") or []
    if not containers:
        raise refuse("Container list cannot be empty.")
    mode = params.get("networkMode", "bridge")
    if mode not in _MODES:
        raise refuse(f"Invalid network mode '{mode}'.")
    fargate = "FARGATE" in params.get("requiresCompatibilities", ())
    if fargate:
        _check_fargate(params, containers, mode)
    demand = _demand(params, containers, mode)
    runtime = params.get("runtimePlatform", {})
    if runtime.get("operatingSystemFamily", "LINUX") != "LINUX":
        raise Unmodelled("ecs:RegisterTaskDefinition: only operatingSystemFamily LINUX is modelled")
    raw = {name: value for name, value in params.items() if name != "tags"}
    raw.setdefault("volumes", [])
    raw.setdefault("placementConstraints", [])
    raw["networkMode"] = mode
    raw["containerDefinitions"] = [
        {
            "cpu": 0,
            "essential": True,
            "portMappings": [],
            "environment": [],
            "mountPoints": [],
            "volumesFrom": [],
            **one,
        }
        for one in containers
    ]
    raw["compatibilities"] = ["EC2", "FARGATE"] if fargate else ["EC2"]
    essential = [item for item in containers if item.get("essential", True)]
    if not essential:
        raise refuse("At least one container in the task definition must be marked as essential.")
    return TaskDefinition(
        arn=arn,
        family=params["family"],
        revision=revision,
        raw=raw,
        demand=demand,
        ports=_ports(containers, mode),
        constraints=parse_constraints(params.get("placementConstraints", ())),
        images=tuple(item["image"] for item in containers),
        health_checks=tuple(_check(item["healthCheck"]) for item in essential if item.get("healthCheck")),
        stop_timeout=max(float(item.get("stopTimeout", STOP_TIMEOUT)) for item in containers),
        network_mode=mode,
        architecture=_ARCHITECTURES.get(runtime.get("cpuArchitecture", "")),
        registered_at=now,
        tags={item["key"]: item.get("value", "") for item in params.get("tags", ())},
    )


def _check_fargate(params: dict[str, Any], containers: list[dict[str, Any]], mode: str) -> None:
    """Developer Guide, "Amazon ECS task definition differences for Fargate"."""
    if mode != "awsvpc":
        raise refuse("When using Fargate, networkMode must be awsvpc.")
    if not params.get("cpu") or not params.get("memory"):
        raise refuse("Fargate requires that 'cpu' is defined at the task level.")
    cpu, memory = _units("cpu", params["cpu"]), _units("memory", params["memory"])
    if memory not in MEMORY.get(cpu, ()):
        raise refuse("No Fargate configuration exists for given values.")
    if params.get("placementConstraints") or any(item.get("resourceRequirements") for item in containers):
        raise refuse("Fargate tasks have neither placementConstraints nor resourceRequirements.")


def _demand(params: dict[str, Any], containers: list[dict[str, Any]], mode: str) -> Demand:
    cpu = _units("cpu", params["cpu"]) if params.get("cpu") else sum(int(item.get("cpu", 0)) for item in containers)
    if params.get("memory"):
        memory = _units("memory", params["memory"])
    else:
        memory = sum(_container_memory(item) for item in containers)
    gpus = sum(
        int(need["value"])
        for item in containers
        for need in item.get("resourceRequirements", ())
        if need["type"] == "GPU"
    )
    if any(need["type"] != "GPU" for item in containers for need in item.get("resourceRequirements", ())):
        raise Unmodelled("ecs:RegisterTaskDefinition: resourceRequirements other than GPU are not modelled")
    fixed = tuple(
        (mapping.protocol, mapping.host_port) for mapping in _ports(containers, mode) if _takes_host_port(mapping, mode)
    )
    if len(set(fixed)) != len(fixed):
        raise refuse("The same host port is mapped twice.")
    return Demand(cpu, memory, gpus, mode == "awsvpc", fixed)


def _units(name: str, text: object) -> int:
    words = str(text).strip().lower().split()
    number = words[0].removesuffix("gb").removesuffix("vcpu")
    factor = 1024 if words[0] != number or words[1:] in (["gb"], ["vcpu"]) else 1
    try:
        return int(float(number) * factor)
    except ValueError:
        raise refuse(f"Invalid '{name}' setting for task.") from None


def _container_memory(item: dict[str, Any]) -> int:
    memory = item.get("memoryReservation") or item.get("memory")
    if not memory:
        raise refuse(
            f"Invalid setting for container '{item.get('name')}'. At least one of 'memory' or 'memoryReservation' "
            "must be specified."
        )
    return int(memory)


def _ports(containers: list[dict[str, Any]], mode: str) -> tuple[PortMapping, ...]:
    found: list[PortMapping] = []
    for item in containers:
        for mapping in item.get("portMappings", ()):
            if "containerPortRange" in mapping:
                raise Unmodelled("ecs:RegisterTaskDefinition: containerPortRange is not modelled")
            container_port = int(mapping["containerPort"])
            host_port = int(mapping.get("hostPort", 0))
            if mode in ("host", "awsvpc"):
                if host_port not in (0, container_port):
                    raise refuse("When networkMode=awsvpc or host, the host ports and container ports must match.")
                host_port = container_port
            found.append(PortMapping(item["name"], container_port, host_port, mapping.get("protocol", "tcp")))
    return tuple(found)


def _takes_host_port(mapping: PortMapping, mode: str) -> bool:
    return mode in ("bridge", "host") and mapping.host_port > 0


def _check(item: dict[str, Any]) -> HealthCheck:
    return HealthCheck(
        interval=float(item.get("interval", 30)),
        timeout=float(item.get("timeout", 5)),
        retries=int(item.get("retries", 3)),
        start_period=float(item.get("startPeriod", 0)),
    )
