"""What a world's groups, services and tasks are in the words of the APIs that make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin.rehearsal.spec import CapacityProvider, Demand, Group, Service


def template_of(group: Group) -> dict[str, Any]:
    template = {"LaunchTemplateName": f"{group.name}-template", "Version": "$Latest"}
    if not group.instance_types:
        return {"LaunchTemplate": template}
    overrides = [{"InstanceType": kind} for kind in group.instance_types]
    policy = {"LaunchTemplate": {"LaunchTemplateSpecification": template, "Overrides": overrides}}
    return {"MixedInstancesPolicy": policy}


def provider_of(provider: CapacityProvider, group_arn: str) -> dict[str, Any]:
    scaling: dict[str, Any] = {"status": "ENABLED" if provider.managed_scaling else "DISABLED"}
    if provider.managed_scaling:
        scaling |= {
            "targetCapacity": provider.target_capacity,
            "minimumScalingStepSize": provider.minimum_step,
            "maximumScalingStepSize": provider.maximum_step,
            "instanceWarmupPeriod": int(provider.instance_warmup),
        }
    return {
        "autoScalingGroupArn": group_arn,
        "managedScaling": scaling,
        "managedTerminationProtection": switch(provider.managed_termination_protection),
        "managedDraining": switch(provider.managed_draining),
    }


def switch(on: bool) -> str:
    return "ENABLED" if on else "DISABLED"


def balanced_port(service: Service) -> int:
    given = service.load_balancer.port if service.load_balancer else None
    return given or (service.ports[0].container if service.ports else 80)


def percents(service: Service) -> dict[str, Any]:
    values: dict[str, Any] = {
        "minimumHealthyPercent": service.minimum_healthy_percent,
        "maximumPercent": service.maximum_percent,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True} if service.circuit_breaker else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def rebalancing(service: Service) -> str | None:
    return None if service.daemon else switch(service.availability_zone_rebalancing)


def constraints(demand: Demand) -> list[dict[str, Any]]:
    return [{"type": c.type} | ({"expression": c.expression} if c.expression else {}) for c in demand.constraints]


def strategies(demand: Demand) -> list[dict[str, Any]]:
    return [{"type": s.type} | ({"field": s.field} if s.field else {}) for s in demand.strategies]


def shares(service: Service) -> list[dict[str, Any]]:
    return [
        {"capacityProvider": share.capacity_provider, "base": share.base, "weight": share.weight}
        for share in service.capacity_provider_strategy
    ]


def container(demand: Demand, name: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": demand.image or f"example.com/{name.lower()}:1",
        "cpu": demand.cpu,
        "memory": demand.memory,
        "essential": True,
        "portMappings": [_port(demand, number) for number in range(len(_ports(demand)))],
    }
    if demand.gpu:
        container["resourceRequirements"] = [{"type": "GPU", "value": str(demand.gpu)}]
    if demand.stop_timeout is not None:
        container["stopTimeout"] = demand.stop_timeout
    check = getattr(demand, "health_check", None)
    if check is not None:
        container["healthCheck"] = {
            "command": ["CMD-SHELL", "exit 0"],
            "interval": check.interval,
            "timeout": 5,
            "retries": check.retries,
            "startPeriod": check.start_period,
        }
    return container


def _ports(demand: Demand) -> list[Mapping[str, Any]]:
    given = [{"container": p.container, "host": p.host, "protocol": p.protocol} for p in demand.ports]
    if not given and isinstance(demand, Service) and demand.load_balancer:
        given = [{"container": balanced_port(demand), "host": 0, "protocol": "tcp"}]
    return list(given)


def _port(demand: Demand, number: int) -> dict[str, Any]:
    port = _ports(demand)[number]
    mapping: dict[str, Any] = {"containerPort": port["container"], "protocol": port["protocol"]}
    if demand.network_mode == "bridge":
        mapping["hostPort"] = port["host"]
    return mapping
