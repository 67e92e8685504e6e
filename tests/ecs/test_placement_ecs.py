"""Placement: what fits, what is preferred, and what is said when nothing fits."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ecs_world import CLUSTER, START, World

from twin.ecs.model import Host
from twin.ecs.query import compile_expression
from twin.errors import AwsError

SPREAD_ZONE = {"type": "spread", "field": "attribute:ecs.availability-zone"}


def per_host(world: World, name: str = "web") -> list[int]:
    counts = Counter(host.instance_id for host in world.hosts_of(world.wanted(name)))
    return [counts[instance.instance_id] for instance in world.instances]


def failure(world: World, name: str = "web") -> dict[str, Any]:
    arn = world.service(name).arn
    found = [one for one in world.bus.of("ECS Service Action", arn) if "reason" in one]
    return dict(found[-1])


def test_by_default_zones_first_and_then_the_host_with_the_fewest() -> None:
    world = World(hosts=5, zones="ab")  # three hosts in a, two in b
    world.serve(desired=6)
    assert per_host(world) == [1, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ([{"type": "binpack", "field": "memory"}], [4, 0, 0, 0]),
        ([{"type": "spread", "field": "host"}], [1, 1, 1, 1]),
        ([SPREAD_ZONE, {"type": "binpack", "field": "cpu"}], [2, 2, 0, 0]),
        ([{"type": "spread", "field": "attribute:rack"}], [2, 0, 2, 0]),
    ],
)
def test_strategies(strategy: list[dict[str, str]], expected: list[int]) -> None:
    world = World(hosts=0)
    for zone, rack in (("a", "r1"), ("b", "r1"), ("a", "r2"), ("b", "r2")):
        world.add_host(zone, user_data=f'ECS_INSTANCE_ATTRIBUTES={{"rack": "{rack}"}}')
    world.run()
    world.serve(desired=4, placementStrategy=strategy)
    if strategy[0].get("field") == "attribute:rack":
        counts = per_host(world)
        assert (counts[0] + counts[1], counts[2] + counts[3]) == (2, 2)
    else:
        assert per_host(world) == expected


def test_random_placement_follows_the_seed() -> None:
    counts = []
    for seed in (1, 1, 2):
        world = World(hosts=8, seed=seed)
        world.serve(desired=8, placementStrategy=[{"type": "random"}])
        counts.append(per_host(world))
    assert counts[0] == counts[1] != counts[2]


def test_distinct_instance() -> None:
    world = World(hosts=3)
    world.serve(desired=3, placementConstraints=[{"type": "distinctInstance"}])
    assert per_host(world) == [1, 1, 1]
    world.settle()
    world.update(desiredCount=4)
    world.run()
    assert failure(world)["reason"] == "DistinctInstance placement constraint unsatisfied."
    world.add_host("a")
    world.run()
    assert per_host(world) == [1, 1, 1, 1]


def test_member_of_follows_put_attributes() -> None:
    world = World(hosts=2).settle()
    constraint = {"type": "memberOf", "expression": "attribute:stack == prod"}
    world.serve(desired=1, placementConstraints=[constraint])
    world.run()
    assert failure(world)["reason"] == "MemberOf placement constraint unsatisfied."
    attribute = {"name": "stack", "value": "prod", "targetId": world.host(1).arn, "targetType": "container-instance"}
    world.call("PutAttributes", cluster=CLUSTER, attributes=[attribute])
    world.run()
    assert per_host(world) == [0, 1]


def test_a_cordon_by_attribute_keeps_a_host_free_without_draining_it() -> None:
    world = World(hosts=2)
    cordon = {"name": "cordon", "value": "yes", "targetId": world.host(0).arn}
    world.call("PutAttributes", cluster=CLUSTER, attributes=[cordon])
    constraint = {"type": "memberOf", "expression": "attribute:cordon != yes"}
    world.serve(desired=4, placementConstraints=[constraint])
    assert per_host(world) == [0, 4]


@pytest.mark.parametrize(
    ("reason", "define"),
    [
        ("RESOURCE:CPU", {"cpu": 1500}),
        ("RESOURCE:MEMORY", {"memory": 5000}),
        ("RESOURCE:PORTS", {"container": {"portMappings": [{"containerPort": 80, "hostPort": 8080}]}}),
        ("RESOURCE:GPU", {"container": {"resourceRequirements": [{"type": "GPU", "value": "1"}]}}),
    ],
)
def test_the_event_names_the_resource_that_lacks(reason: str, define: dict[str, Any]) -> None:
    world = World(hosts=1, kind="g4dn.xlarge" if reason.endswith("GPU") else "m5.large")
    definition = world.define("big", **define)
    world.serve(desired=1, definition=definition)
    assert world.healthy() == 0 or len(world.wanted()) == 1
    world.settle()
    world.update(desiredCount=2)
    world.run()
    assert len(world.wanted()) == 1
    assert failure(world)["reason"] == reason
    assert failure(world)["containerInstanceArns"] == [world.host(0).arn]
    assert world.kernel.clock.elapsed < 10  # tries go on in the background
    world.add_host("b", kind="g4dn.xlarge" if reason.endswith("GPU") else "m5.large")
    world.run()
    assert len(world.wanted()) == 2


def test_awsvpc_tasks_take_a_network_interface_each() -> None:
    world = World(hosts=1)  # m5.large has three, one of them the host's own
    definition = world.define("eni", networkMode="awsvpc")
    network = {"awsvpcConfiguration": {"subnets": ["subnet-a"], "securityGroups": ["sg-1"]}}
    world.settle()
    world.serve(desired=3, definition=definition, networkConfiguration=network)
    world.run()
    assert len(world.wanted()) == 2
    assert failure(world)["reason"] == "RESOURCE:ENI"
    shown = world.call("DescribeTasks", cluster=CLUSTER, tasks=[world.wanted()[0].arn])["tasks"][0]
    assert shown["attachments"][0]["type"] == "ElasticNetworkInterface"
    assert shown["containers"][0]["networkInterfaces"][0]["privateIpv4Address"].count(".") == 3


def test_without_any_host_the_message_says_so() -> None:
    world = World(hosts=0).settle()
    world.serve(desired=1)
    world.run()
    assert "No Container Instances were found" in world.shown()["events"][0]["message"]


def test_run_task_tells_each_hosts_reason_and_starts_nothing() -> None:
    world = World(hosts=2)
    definition = world.define("big", cpu=4000)
    world.settle()
    answer = world.call("RunTask", cluster=CLUSTER, taskDefinition=definition)
    assert answer["tasks"] == []
    assert {one["reason"] for one in answer["failures"]} == {"RESOURCE:CPU"}
    assert len(answer["failures"]) == 2


def provider(world: World) -> None:
    group = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/blue"
    world.call("CreateCapacityProvider", name="blue", autoScalingGroupProvider={"autoScalingGroupArn": group})
    strategy = [{"capacityProvider": "blue", "weight": 1}]
    world.call(
        "PutClusterCapacityProviders",
        cluster=CLUSTER,
        capacityProviders=["blue"],
        defaultCapacityProviderStrategy=strategy,
    )


def test_tasks_of_a_capacity_provider_wait_in_provisioning() -> None:
    world = World(hosts=1)  # not of the provider's group
    provider(world)
    world.settle()
    world.serve(desired=3, definition=world.define("half", cpu=900))
    job = world.call("RunTask", cluster=CLUSTER, taskDefinition=world.define("job"))
    world.run()
    assert [task.last_status for task in world.wanted()] == ["PROVISIONING"] * 3
    assert job["tasks"][0]["lastStatus"] == "PROVISIONING"
    assert world.bus.of("ECS Service Action") == []
    assert world.ecs.instances_missing("blue") == 1
    world.add_host("a", tags={"aws:autoscaling:groupName": "blue"})
    world.run()
    assert world.ecs.occupied("blue") == [world.instances[1].instance_id]
    assert [task.last_status for task in world.wanted()] == ["RUNNING", "RUNNING", "PROVISIONING"]
    assert world.ecs.instances_missing("blue") == 1
    world.add_host("a", tags={"aws:autoscaling:groupName": "blue"})
    world.run()
    assert world.healthy() == 3
    assert world.ecs.instances_missing("blue") == 0


def test_base_and_weight_of_a_strategy() -> None:
    world = World(hosts=0)
    for name in ("blue", "green"):
        group = f"arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/{name}"
        world.call("CreateCapacityProvider", name=name, autoScalingGroupProvider={"autoScalingGroupArn": group})
    strategy = [{"capacityProvider": "blue", "weight": 1, "base": 2}, {"capacityProvider": "green", "weight": 3}]
    world.call(
        "PutClusterCapacityProviders",
        cluster=CLUSTER,
        capacityProviders=["blue", "green"],
        defaultCapacityProviderStrategy=[],
    )
    world.serve(desired=6, capacityProviderStrategy=strategy)
    assert Counter(task.capacity_provider for task in world.wanted()) == {"blue": 3, "green": 3}


def test_zones_are_evened_out_by_starting_first_in_steady_state() -> None:
    world = World(hosts=2)
    service = world.serve(desired=4, percents=(100, 200))
    world.settle()
    world.drain(world.host(1))
    world.run()
    assert {task.zone for task in world.wanted()} == {"us-east-1a"}
    world.activate(world.host(1))
    world.update(desiredCount=4)
    world.run(600)
    assert Counter(task.zone for task in world.wanted()) == {"us-east-1a": 2, "us-east-1b": 2}
    assert world.lowest() == 4
    assert world.bus.names(service.arn).count("SERVICE_REBALANCING_STARTED") == 2


@pytest.mark.parametrize(
    "params",
    [
        {"availabilityZoneRebalancing": "DISABLED"},
        {"percents": (50, 100)},
        {"placementStrategy": [{"type": "binpack", "field": "cpu"}]},
    ],
)
def test_zones_are_left_alone_for_other_services(params: dict[str, Any]) -> None:
    world = World(hosts=2)
    world.serve(desired=4, **params)
    world.settle()
    assert world.shown()["availabilityZoneRebalancing"] == "DISABLED"
    world.drain(world.host(1))
    world.run()
    world.activate(world.host(1))
    world.run(3600)
    assert {task.zone for task in world.wanted()} == {"us-east-1a"}


HOST = cast(
    Host,
    SimpleNamespace(
        attributes={"ecs.instance-type": "g2.large", "ecs.availability-zone": "us-east-1a", "flag": None},
        group_counts={"service:production": 1},
        agent_connected=True,
        instance_id="i-abcd1234",
        tasks={"one": SimpleNamespace(wanted=True)},
        registered_at=START,
    ),
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("attribute:ecs.instance-type == t2.small", False),
        ("attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", True),
        ("attribute:ecs.availability-zone !in [us-east-1a, us-east-1b]", False),
        ("attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d", True),
        ("task:group == service:production", True),
        ("not(task:group == database)", True),
        ("runningTasksCount == 1", True),
        ("runningTasksCount > 1", False),
        ("agentVersion < 1.14.5", False),
        ("agentVersion >= 1.9.0", True),
        ("registeredAt < 2018-02-13", False),
        ("registeredAt >= 2026-03-01T12:00:00Z", True),
        ("ec2InstanceId in ['i-abcd1234', 'i-wxyx7890']", True),
        ("agentConnected == true", True),
        ("attribute:flag exists", True),
        ("attribute:other !exists", True),
        ("attribute:other not_exists && (attribute:a == b || agentConnected == true)", True),
        ("!(agentConnected == true)", False),
        ("attribute:other != yes", True),
    ],
)
def test_cluster_query_language(expression: str, expected: bool) -> None:
    assert compile_expression(expression)(HOST) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "agentConnected",
        "agentConnected > 1",
        "unknown == 1",
        "attribute:a ~ b",
        "(agentConnected == true",
        "a in b",
    ],
)
def test_expressions_outside_of_the_language_are_refused(expression: str) -> None:
    with pytest.raises(AwsError, match="InvalidParameterException"):
        compile_expression(expression)
