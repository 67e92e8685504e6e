"""Random fleets, random faults, and random acts of others: the laws hold for every seed.

`make test` tries a few seeds; `pytest -m long tests/worlds/test_chaos.py` tries many. One seed alone:
`CHAOS_SEEDS=17 pytest -m long tests/worlds/test_chaos.py`.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from crash_stage import OLD, OTHER, Stage

PERCENTS = [(100, 200), (50, 100), (0, 100), (100, 100), (50, 200), (100, 150), (75, 125), (0, 200)]
FUNCTIONS = {
    "HostsPlanReplacement": ("dynamodb", "PutItem"),
    "HostsLaunchCapacity": ("autoscaling", "LaunchInstances"),
    "HostsConfirmPlan": ("ecs", "DescribeTasks"),
    "HostsProtectHosts": ("autoscaling", "SetInstanceProtection"),
    "HostsRaiseSurge": ("ecs", "UpdateService"),
    "HostsDrainHosts": ("ecs", "UpdateContainerInstancesState"),
    "HostsWaitForTasks": ("*", "*"),
    "HostsEndHosts": ("autoscaling", "TerminateInstanceInAutoScalingGroup"),
    "HostsRestoreSettings": ("*", "*"),
    "HostsReleaseHosts": ("dynamodb", "UpdateItem"),
    "InboundIntake": ("*", "*"),
    "InboundSignal": ("*", "*"),
}
READS = ("DescribeTasks", "ListTasks", "DescribeServices", "DescribeContainerInstances", "UpdateService")
STATES = ("Wait for hosts", "Confirm plan", "Raise surge", "Drain hosts", "Wait for tasks", "End hosts", "Wait for end")


def world(seed: int) -> dict[str, Any]:
    """A small fleet under a notice for one of its hosts, and what happens to it."""
    dice = random.Random(seed)
    hosts = dice.randint(2, 4)
    services = [_service(dice, number) for number in range(dice.randint(1, 3))]
    minimum = dice.randint(0, hosts)
    group = {
        "name": "hosts",
        "desired_capacity": hosts,
        "min_size": minimum,
        "max_size": hosts + dice.choice([0, 1, 2, 2]),
        "instances": [OLD, OTHER],
        "suspended_processes": dice.choice([[], [], ["AZRebalance"]]),
        "protected_from_scale_in": dice.random() < 0.2,
    }
    if dice.random() < 0.3:
        services.append({"name": "agent", "scheduling_strategy": "DAEMON", "cpu": 64, "memory": 64})
    return {
        "cluster": "chaos",
        "seed": seed,
        "zones": ["us-east-1a", "us-east-1b"][: dice.randint(1, 2)],
        "policy": {"defaults": {"hosts": {"mode": "act", "drain_timeout": 1800}}},
        "groups": [group],
        "services": services,
        "options": {
            "autoscaling": {
                "launch_instances_raises_desired": dice.random() < 0.5,
                "launch_instances_respects_max": dice.random() < 0.5,
                "repeated_terminate_decrements": dice.random() < 0.5,
            }
        },
        "maintenance": [{"instance": OLD, "code": "instance-retirement", "not_before": "2026-10-19T14:00:00Z"}],
        "faults": [_fault(dice) for _ in range(dice.randint(0, 4))],
        "actors": [_actor(dice, services) for _ in range(dice.randint(0, 3))],
        "events": [{"file": "../../events/health-ec2-retirement.json"}],
    }


def _service(dice: random.Random, number: int) -> dict[str, Any]:
    minimum, maximum = dice.choice(PERCENTS)
    found: dict[str, Any] = {
        "name": f"app-{number}",
        "desired_count": dice.choice([1, 2, 2, 3]),
        "minimum_healthy_percent": minimum,
        "maximum_percent": maximum,
        "cpu": dice.choice([128, 256, 400]),
        "memory": dice.choice([256, 512]),
        "stop_seconds": dice.choice([2, 20]),
    }
    kind = dice.choice(["balancer", "check", "none"])
    if kind == "balancer":
        found["ports"] = [{"container": 8080}]
        found["load_balancer"] = {"deregistration_delay": dice.choice([0, 30, 120]), "healthy_threshold": 2}
    elif kind == "check":
        found["health_check"] = {"interval": 10, "retries": 2}
    rule = dice.random()
    if rule < 0.15 and found["desired_count"] <= 2:
        found["constraints"] = [{"type": "distinctInstance"}]
    elif rule < 0.3:
        found["strategies"] = [{"type": "binpack", "field": "memory"}]
    return found


def _fault(dice: random.Random) -> dict[str, Any]:
    kind = dice.choice(["lost", "doubled", "late", "reordered", "throttled", "dies", "dies"])
    if kind == "throttled":
        error = {"service": "ecs", "operation": dice.choice(READS), "times": dice.randint(1, 12)}
        return {"kind": "api_error", "after": dice.randint(0, 300), **error}
    if kind == "dies":
        name = dice.choice(sorted(FUNCTIONS))
        service, operation = FUNCTIONS[name]
        when = dice.choice(["before", "after"])
        call = {"service": service, "operation": operation, "nth": dice.randint(1, 3)}
        return {"kind": "function_dies", "function": name, "when": when, **call}
    # What starts the work is durable; all else may get lost.
    types = ["ECS Task State Change", "ECS Container Instance State Change", "Step Functions Execution Status Change"]
    more = {} if kind == "lost" else {"delay": dice.choice([5, 60, 200])}
    return {
        "kind": f"event_{kind}",
        "detail_type": dice.choice(types),
        "probability": dice.choice([0.3, 1.0]),
        **more,
    }


def _actor(dice: random.Random, services: list[dict[str, Any]]) -> dict[str, Any]:
    name = dice.choice([each["name"] for each in services if each.get("scheduling_strategy") != "DAEMON"])
    service = {"cluster": "chaos", "service": name}
    # Never what Caretaker itself sets: that somebody sets the same once more is no change, which nobody could tell.
    minimum, maximum = dice.choice([(90, 190), (60, 140), (30, 210)])
    percents = {"minimumHealthyPercent": minimum, "maximumPercent": maximum}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("ecs.UpdateService", {**service, "desiredCount": dice.randint(0, 4)}),
        ("ecs.UpdateService", {**service, "deploymentConfiguration": percents}),
        ("ecs.UpdateService", {**service, "forceNewDeployment": True}),
        ("ecs.StopTask", {"cluster": "chaos", "task": f"{{task:{name}:1}}"}),
        ("ecs.UpdateContainerInstancesState", _host("ACTIVE")),
        ("autoscaling.SuspendProcesses", {"AutoScalingGroupName": "hosts", "ScalingProcesses": ["AZRebalance"]}),
        # Not fewer: until ECS has noticed that a host is gone it counts its tasks as healthy, and stops others for it.
        ("autoscaling.SetDesiredCapacity", {"AutoScalingGroupName": "hosts", "DesiredCapacity": dice.randint(4, 6)}),
        ("stepfunctions.StopExecution", {"executionArn": "{execution}"}),
        ("stepfunctions.StopExecution", {"executionArn": "{execution}"}),
    ]
    call, params = dice.choice(calls)
    if dice.random() < 0.1:
        # Somebody drains the host before we do. After us it would be no change, which nobody could ever tell.
        drain = {"at": f"+{dice.randint(0, 4)}s", "as": "dora", "call": "ecs.UpdateContainerInstancesState"}
        return {**drain, "params": _host("DRAINING")}
    when = {"machine": "ReplaceHost", "state": dice.choice(STATES), "after": dice.choice([0, 1, 30])}
    return {"when": when, "as": "dora", "call": call, "params": params}


def _host(status: str) -> dict[str, Any]:
    return {"cluster": "chaos", "containerInstances": [f"{{host:{OLD}}}"], "status": status}


def broken(seed: int) -> list[str]:
    """What does not hold at the end of a seed's run."""
    return list(Stage(world(seed), alone=False).explore()[0].broken)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_laws_hold_in_a_random_world(seed: int) -> None:
    assert broken(seed) == []


def seeds() -> list[int]:
    given = os.environ.get("CHAOS_SEEDS")
    return [int(text) for text in given.split(",")] if given else list(range(100, 160))


@pytest.mark.long
@pytest.mark.parametrize("seed", seeds())
def test_the_laws_hold_in_many_random_worlds(seed: int) -> None:
    assert broken(seed) == []
