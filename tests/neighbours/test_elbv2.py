from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.neighbours.stage import Stage
from twin.errors import AwsError, Unmodelled
from twin.neighbours.elbv2 import Elbv2Options


class World:
    """A load balancer in two zones with one target group, `web`."""

    def __init__(self, options: Elbv2Options | None = None, *, listen: bool = True, **group: Any) -> None:
        self.stage = Stage(elbv2=options)
        balancer = self.call("CreateLoadBalancer", Name="front", Subnets=["subnet-0", "subnet-1"])
        self.balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"]
        self.group = self.create("web", **group)
        if listen:
            self.listen(80, self.group)
        self.up = True
        self.heard: list[str] = []

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.stage.call("elbv2", operation, **params)

    def create(self, name: str, **more: Any) -> str:
        given = {"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1", "TargetType": "ip", **more}
        arn: str = self.call("CreateTargetGroup", **given)["TargetGroups"][0]["TargetGroupArn"]
        return arn

    def listen(self, port: int, group: str) -> dict[str, Any]:
        actions = [{"Type": "forward", "TargetGroupArn": group}]
        return self.call(
            "CreateListener", LoadBalancerArn=self.balancer, Protocol="HTTP", Port=port, DefaultActions=actions
        )

    def register(
        self, address: str = "10.0.0.9", zone: str = "us-east-1a", probe: Callable[[], bool] | None = None
    ) -> None:
        self.stage.elbv2.register(self.group, address, 80, zone, probe or (lambda: self.up))
        self.stage.elbv2.on_change(self.group, address, 80, self.heard.append)

    def health(self, address: str = "10.0.0.9") -> tuple[str, str | None]:
        wanted = [{"Id": address, "Port": 80}]
        answer = self.call("DescribeTargetHealth", TargetGroupArn=self.group, Targets=wanted)
        health = answer["TargetHealthDescriptions"][0]["TargetHealth"]
        return health["State"], health.get("Reason")


def test_a_target_is_healthy_after_threshold_times_interval_with_one_timer() -> None:
    world = World()
    world.stage.settle()
    timers = len(world.stage.kernel.scheduler._timers)
    world.register()
    assert len(world.stage.kernel.scheduler._timers) == timers + 1
    assert world.health() == ("initial", "Elb.InitialHealthChecking")
    world.stage.run(149)
    assert world.health()[0] == "initial"
    world.stage.run(2)
    assert world.health() == ("healthy", None)
    assert world.heard == ["healthy"]
    assert not world.stage.kernel.scheduler._timers


def test_a_world_may_say_that_one_check_is_enough() -> None:
    world = World(Elbv2Options(initial_needs_threshold=False))
    world.stage.settle()
    world.register()
    world.stage.run(31)
    assert world.health()[0] == "healthy"


def test_targets_are_healthy_at_once_while_the_world_is_built() -> None:
    world = World()
    world.register()
    assert world.stage.elbv2.healthy(world.group, "10.0.0.9", 80)


def test_a_target_that_never_answers_becomes_unhealthy_and_keeps_no_world_busy() -> None:
    world = World()
    world.stage.settle()
    world.up = False
    world.register()
    world.stage.run(120)
    assert world.health() == ("unhealthy", "Target.FailedHealthChecks")
    assert not world.stage.kernel.scheduler.busy
    world.up = True
    world.stage.run(200)
    assert world.health()[0] == "healthy"


def test_a_healthy_target_fails_after_the_unhealthy_threshold_and_recovers() -> None:
    world = World()
    world.register()
    world.stage.settle()
    world.up = False
    world.stage.elbv2.probe_changed(world.group, "10.0.0.9", 80)
    world.stage.run(59)
    assert world.health()[0] == "healthy"
    world.stage.run(2)
    assert world.health()[0] == "unhealthy"
    world.up = True
    world.stage.elbv2.probe_changed(world.group, "10.0.0.9", 80)
    world.stage.run(149)
    assert world.health()[0] == "unhealthy"
    world.stage.run(2)
    assert world.health()[0] == "healthy"
    assert world.heard == ["healthy"] * 0 + ["unhealthy", "healthy"]


def test_a_short_failure_changes_nothing() -> None:
    world = World()
    world.register()
    world.stage.settle()
    world.up = False
    world.stage.elbv2.probe_changed(world.group, "10.0.0.9", 80)
    world.stage.run(30)
    world.up = True
    world.stage.run(300)
    assert world.health()[0] == "healthy"
    assert world.heard == []


def test_deregistration_drains_for_the_delay_and_then_the_target_is_gone() -> None:
    world = World()
    world.register()
    world.stage.settle()
    done: list[float] = []
    clock = world.stage.kernel.clock
    world.stage.elbv2.deregister(world.group, "10.0.0.9", 80, lambda: done.append(clock.elapsed))
    world.stage.elbv2.deregister(world.group, "10.0.0.9", 80, lambda: done.append(clock.elapsed))
    assert world.health() == ("draining", "Target.DeregistrationInProgress")
    assert not world.stage.elbv2.healthy(world.group, "10.0.0.9", 80)
    world.stage.run_until_quiet()
    assert done == [300, 300]
    assert world.health() == ("unused", "Target.NotRegistered")
    assert world.heard == ["draining"]


def test_the_delay_is_an_attribute_and_its_range_is_checked() -> None:
    world = World()
    world.register()
    world.stage.settle()
    key = "deregistration_delay.timeout_seconds"
    shown = world.call("DescribeTargetGroupAttributes", TargetGroupArn=world.group)["Attributes"]
    assert {"Key": key, "Value": "300"} in shown
    world.call("ModifyTargetGroupAttributes", TargetGroupArn=world.group, Attributes=[{"Key": key, "Value": "20"}])
    world.call("DeregisterTargets", TargetGroupArn=world.group, Targets=[{"Id": "10.0.0.9"}])
    world.stage.run(21)
    assert world.health()[0] == "unused"
    for bad in ({"Key": key, "Value": "3601"}, {"Key": "colour", "Value": "red"}):
        with pytest.raises(AwsError, match="ValidationError"):
            world.call("ModifyTargetGroupAttributes", TargetGroupArn=world.group, Attributes=[bad])
    cross_zone = {"Key": "load_balancing.cross_zone.enabled", "Value": "false"}
    with pytest.raises(Unmodelled, match="cross_zone"):
        world.call("ModifyTargetGroupAttributes", TargetGroupArn=world.group, Attributes=[cross_zone])


def test_a_group_that_no_load_balancer_uses_has_no_healthy_target() -> None:
    world = World(listen=False)
    world.register()
    assert world.health() == ("unused", "Target.NotInUse")
    world.stage.settle()
    world.listen(80, world.group)
    world.stage.run(151)
    assert world.health()[0] == "healthy"


def test_a_target_in_a_zone_without_load_balancer_is_unused() -> None:
    world = World()
    world.register(zone="us-east-1c")
    assert world.health() == ("unused", "Target.NotInUse")


def test_instances_must_run_to_be_registered() -> None:
    world = World(TargetType="instance")
    world.stage.create_group(DesiredCapacity=1)
    (instance,) = world.stage.in_service()
    world.call("RegisterTargets", TargetGroupArn=world.group, Targets=[{"Id": instance}])
    assert world.health(instance)[0] == "healthy"
    with pytest.raises(AwsError, match="InvalidTarget"):
        world.call("RegisterTargets", TargetGroupArn=world.group, Targets=[{"Id": "i-00000000000000000"}])


def test_target_groups_are_found_by_name_arn_and_load_balancer_and_paged() -> None:
    world = World()
    others = [world.create(f"other-{index}") for index in range(4)]
    names = world.call("DescribeTargetGroups", Names=["web"])["TargetGroups"]
    assert [one["TargetGroupArn"] for one in names] == [world.group]
    used = world.call("DescribeTargetGroups", LoadBalancerArn=world.balancer)["TargetGroups"]
    assert [one["LoadBalancerArns"] for one in used] == [[world.balancer]]
    first = world.call("DescribeTargetGroups", PageSize=3)
    rest = world.call("DescribeTargetGroups", PageSize=3, Marker=first["NextMarker"])
    arns = [one["TargetGroupArn"] for page in (first, rest) for one in page["TargetGroups"]]
    assert arns == [world.group, *others]
    assert "NextMarker" not in rest
    with pytest.raises(AwsError, match="TargetGroupNotFound"):
        world.call("DescribeTargetGroups", Names=["nobody"])
    with pytest.raises(AwsError, match="LoadBalancerNotFound"):
        world.call("DescribeLoadBalancers", Names=["nobody"])


def test_creating_again_with_the_same_settings_succeeds_and_with_others_fails() -> None:
    world = World()
    assert world.create("web") == world.group
    with pytest.raises(AwsError, match="DuplicateTargetGroupName"):
        world.create("web", HealthCheckIntervalSeconds=10)
    with pytest.raises(AwsError, match="DuplicateListener"):
        world.listen(80, world.create("other"))
    with pytest.raises(AwsError, match="two subnets"):
        world.call("CreateLoadBalancer", Name="one-legged", Subnets=["subnet-0"])


def test_rules_send_several_groups_through_one_listener() -> None:
    world = World()
    api = world.create("api")
    listener = world.call("DescribeListeners", LoadBalancerArn=world.balancer)["Listeners"][0]["ListenerArn"]
    rule = {
        "ListenerArn": listener,
        "Priority": 10,
        "Conditions": [{"Field": "path-pattern", "Values": ["/api/*"]}],
        "Actions": [{"Type": "forward", "TargetGroupArn": api}],
    }
    world.call("CreateRule", **rule)
    shown = world.call("DescribeRules", ListenerArn=listener)["Rules"]
    assert [one["Priority"] for one in shown] == ["10", "default"]
    with pytest.raises(AwsError, match="PriorityInUse"):
        world.call("CreateRule", **rule)
    assert world.stage.elbv2.group(api).load_balancers == [world.balancer]


def test_a_thousand_targets_cost_a_timer_each_until_healthy_and_none_after() -> None:
    world = World()
    world.stage.settle()
    for index in range(1000):
        world.register(f"10.0.{index // 250}.{index % 250}")
    assert len(world.stage.kernel.scheduler._timers) <= 1001
    world.stage.run(151)
    assert not world.stage.kernel.scheduler._timers
