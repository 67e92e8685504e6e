"""A small world with one service that is released natively next to its old tasks, under traffic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin.kernel.api import Caller
from twin.rehearsal.loading import LoadedWorld, world_of
from twin.world import World

ROOT = Path(__file__).resolve().parents[2]
REVISION = {
    "family": "shop",
    "networkMode": "bridge",
    "containerDefinitions": [
        {
            "name": "shop",
            "image": "example.com/shop:2",
            "memory": 256,
            "essential": True,
            "portMappings": [{"containerPort": 80, "hostPort": 0}],
        }
    ],
}
USUAL = {"errors_5xx": 0.005, "latency": {"median": 0.08, "p99": 0.4}}
CANARY = {"strategy": "CANARY", "canary_percent": 5, "canary_bake": "10m", "bake": "5m"}
DEPLOY_AT = 120.0
OPERATOR = Caller("operator", "olga")


def actor(at: str, call: str, **params: Any) -> dict[str, Any]:
    return {"at": at, "as": "pipeline", "call": call, "params": params}


REGISTER = actor("+1m", "ecs.RegisterTaskDefinition", **REVISION)
DEPLOY = actor("+2m", "ecs.UpdateService", cluster="fleet", service="shop", taskDefinition="shop:2")


def release_world(
    behaviour: Mapping[str, Any] | None = None, release: Mapping[str, Any] | None = None, **fields: Any
) -> LoadedWorld:
    """`behaviour`: of the second revision, beside the usual one."""
    service = {
        "name": "shop",
        "desired_count": 2,
        "ports": [{"container": 80}],
        "load_balancer": {
            "alternate_target_group": True,
            "deregistration_delay": 5,
            "rule": {"priority": 10, "path_pattern": ["/*"]},
        },
        "release": {**CANARY, **(release or {})},
    }
    behaviours = [USUAL] + ([{"task_definition": "shop:2", **behaviour}] if behaviour else [])
    data: dict[str, Any] = {
        "groups": [{"name": "hosts", "desired_capacity": 3}],
        "services": [service],
        "traffic": {"requests": [{"service": "shop", "per_minute": 1200}], "behaviours": behaviours},
        "actors": [REGISTER, DEPLOY],
    }
    return world_of({**data, **fields}, "release", ROOT / "events", "release")


def stop(world: World) -> None:
    """Roll the service's deployment back, as an operator."""
    ask = {"cluster": "fleet", "services": ["shop"]}
    shown = world.gateway.call("ecs", "DescribeServices", ask, OPERATOR)["services"][0]
    params = {"serviceDeploymentArn": shown["currentServiceDeployment"], "stopType": "ROLLBACK"}
    world.gateway.call("ecs", "StopServiceDeployment", params, OPERATOR)
