"""Traffic in a whole world: what revisions do shows in CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from twin.errors import WorldError
from twin.kernel.api import Caller
from twin.rehearsal.actors import Actors
from twin.rehearsal.loading import world_of
from twin.world import World

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
OPERATOR = Caller("operator", "olga")
CONTAINER = {
    "name": "web",
    "image": "example.com/web:2",
    "memory": 256,
    "essential": True,
    "portMappings": [{"containerPort": 80, "hostPort": 0}],
}


def spec(**fields: Any) -> Any:
    service = {
        "name": "web",
        "desired_count": 4,
        "ports": [{"container": 80}],
        "load_balancer": {"deregistration_delay": 10, "rule": {"priority": 10, "path_pattern": ["/web/*"]}},
    }
    data: dict[str, Any] = {
        "groups": [{"name": "hosts", "desired_capacity": 2, "max_size": 4}],
        "services": [service],
        "at_least": "20m",
        "traffic": {
            "history": "10m",
            "requests": [{"service": "web", "per_minute": 1200}],
            "behaviours": [
                {"errors_5xx": 0.01, "latency": {"median": 0.05, "p99": 0.2}},
                {"task_definition": "web:2", "errors_5xx": 0.5},
            ],
        },
        "actors": [
            {
                "at": "+5m",
                "call": "ecs.RegisterTaskDefinition",
                "params": {"family": "web", "networkMode": "bridge", "containerDefinitions": [CONTAINER]},
            },
            {
                "at": "+6m",
                "call": "ecs.UpdateService",
                "params": {"cluster": "fleet", "service": "web", "taskDefinition": "web:2"},
            },
        ],
    }
    return world_of({**data, **fields}, "traffic", Path(), "traffic").spec


def minute(at: datetime) -> int:
    return round((at - START).total_seconds() / 60)


def test_errors_follow_the_task_definition_that_is_behind_the_targets() -> None:
    with World(spec(), start=START, seed=1) as world:
        Actors(world)
        world.kernel.scheduler.call_later(1_200, lambda: None, name="at least")
        assert world.run(3_600)
        balanced = world.fleet.balanced["fleet/web"]
        dimensions = [
            {"Name": "LoadBalancer", "Value": balanced.load_balancer.partition(":loadbalancer/")[2]},
            {"Name": "TargetGroup", "Value": balanced.target_group.rpartition(":")[2]},
        ]
        names = {"requests": "RequestCount", "errors": "HTTPCode_Target_5XX_Count"}
        queries = [
            {
                "Id": identifier,
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": dimensions},
                    "Period": 60,
                    "Stat": "Sum",
                },
            }
            for identifier, name in names.items()
        ]
        found = world.gateway.client("cloudwatch", OPERATOR).get_metric_data(
            MetricDataQueries=queries, StartTime=START - timedelta(minutes=10), EndTime=START + timedelta(minutes=19)
        )
    series = {
        result["Id"]: dict(zip([minute(at) for at in result["Timestamps"]], result["Values"], strict=True))
        for result in found["MetricDataResults"]
    }
    assert set(series["requests"]) == set(range(-10, 19))
    assert sum(series["requests"].values()) == pytest.approx(29 * 1_200, rel=0.03)
    rates = {at: series["errors"].get(at, 0.0) / count for at, count in series["requests"].items()}
    assert max(rates[at] for at in range(-10, 5)) < 0.03
    assert min(rates[at] for at in range(12, 19)) > 0.45


def test_traffic_needs_an_application_load_balancer() -> None:
    service = {"name": "web", "ports": [{"container": 80}], "load_balancer": {}}
    world = World(spec(zones=["us-east-1a"], services=[service], actors=[]), start=START, seed=1)
    with pytest.raises(WorldError, match=r"traffic\.requests\[0\]\.service: fleet/web is behind no Application"):
        world.__enter__()


def test_a_world_without_traffic_has_no_such_metrics() -> None:
    with World(spec(traffic=None, actors=[]), start=START, seed=1) as world:
        world.kernel.scheduler.call_later(300, lambda: None, name="at least")
        world.run(600)
        assert not [metric for metric in world.alarms.store.known(1e12, 0) if metric.namespace == "AWS/ApplicationELB"]
