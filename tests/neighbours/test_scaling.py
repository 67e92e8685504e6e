"""Application Auto Scaling: what it keeps, what it takes with it, and target tracking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.neighbours.account_stage import Stage, refused
from twin.kernel.metrics import Metric, Sample

RESOURCE = "service/shop/web"
WHERE = {"ServiceNamespace": "ecs", "ResourceId": RESOURCE, "ScalableDimension": "ecs:service:DesiredCount"}
CPU = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
AAS = "application-autoscaling"


class Scaled:
    """Service `web` of two tasks, scaled between 1 and 10 at 60 % of CPU."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.stage.service(tasks=2)
        self.stage.settle()
        answer = self.aas("RegisterScalableTarget", MinCapacity=1, MaxCapacity=10, Tags={"AmazonECSManaged": "true"})
        self.target = answer["ScalableTargetARN"]
        self.policy()

    def aas(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.stage.call(AAS, operation, **{**WHERE, **params})

    def policy(self, name: str = "cpu", **settings: Any) -> dict[str, Any]:
        configuration = {"TargetValue": 60.0, **CPU, **settings}
        return self.aas("PutScalingPolicy", PolicyName=name, TargetTrackingScalingPolicyConfiguration=configuration)

    def load(self, percent: float, minutes: int) -> None:
        """Let the service use its CPU so for some minutes."""
        metric = Metric.of("AWS/ECS", "CPUUtilization", {"ClusterName": "shop", "ServiceName": "web"})
        for _ in range(minutes):
            self.stage.alarms.record(metric, self.stage.kernel.clock.time(), Sample.single(percent))
            self.stage.run(60)

    def alarms(self) -> list[str]:
        return sorted(self.stage.alarms.alarms)

    @property
    def desired(self) -> int:
        return self.stage.desired()


@pytest.fixture
def scaled() -> Scaled:
    return Scaled()


def test_it_scales_out_after_three_datapoints_in_proportion(scaled: Scaled) -> None:
    scaled.load(90.0, 2)
    assert scaled.desired == 2
    scaled.load(90.0, 2)
    assert scaled.desired == 3
    caller = next(one for one in reversed(scaled.stage.kernel.calls) if one.operation == "UpdateService").caller
    assert str(caller) == "aws:application-autoscaling"
    (activity, *_) = scaled.stage.call(AAS, "DescribeScalingActivities", ServiceNamespace="ecs")["ScalingActivities"]
    assert activity["Description"] == "Setting desired count to 3."
    assert "AlarmHigh" in activity["Cause"]


def test_it_scales_in_after_fifteen_datapoints(scaled: Scaled) -> None:
    scaled.load(20.0, 14)
    assert scaled.desired == 2
    scaled.load(20.0, 3)
    assert scaled.desired == 1


def test_it_stays_within_its_bounds(scaled: Scaled) -> None:
    scaled.aas("RegisterScalableTarget", MaxCapacity=3)
    scaled.load(100.0, 20)
    assert scaled.desired == 3


def test_no_data_is_no_reason_to_scale(scaled: Scaled) -> None:
    scaled.stage.run(30 * 60)
    assert scaled.desired == 2


def test_scaling_can_be_suspended_and_scale_in_disabled(scaled: Scaled) -> None:
    scaled.aas("RegisterScalableTarget", SuspendedState={"DynamicScalingOutSuspended": True})
    scaled.load(100.0, 6)
    assert scaled.desired == 2
    answer = scaled.policy(DisableScaleIn=True)
    assert [one["AlarmName"] for one in answer["Alarms"]] == scaled.alarms()
    scaled.load(10.0, 20)
    assert scaled.desired == 2


def test_a_policy_has_two_alarms_that_go_with_it(scaled: Scaled) -> None:
    (policy,) = scaled.stage.call(AAS, "DescribeScalingPolicies", ServiceNamespace="ecs")["ScalingPolicies"]
    names = sorted(one["AlarmName"] for one in policy["Alarms"])
    assert names == scaled.alarms()
    assert [name.startswith(f"TargetTracking-{RESOURCE}-Alarm") for name in names] == [True, True]
    scaled.aas("DeleteScalingPolicy", PolicyName="cpu")
    assert scaled.alarms() == []
    refused("ObjectNotFoundException", lambda: scaled.aas("DeleteScalingPolicy", PolicyName="cpu"))


def test_deregistering_takes_policies_alarms_and_scheduled_actions_with_it(scaled: Scaled) -> None:
    scaled.aas(
        "PutScheduledAction",
        ScheduledActionName="night",
        Schedule="cron(0 22 * * ? *)",
        ScalableTargetAction={"MinCapacity": 0, "MaxCapacity": 1},
    )
    scaled.aas("DeregisterScalableTarget")
    assert scaled.alarms() == []
    for operation, member in (
        ("DescribeScalableTargets", "ScalableTargets"),
        ("DescribeScalingPolicies", "ScalingPolicies"),
        ("DescribeScheduledActions", "ScheduledActions"),
    ):
        assert scaled.stage.call(AAS, operation, ServiceNamespace="ecs")[member] == []
    refused("ObjectNotFoundException", lambda: scaled.aas("DeregisterScalableTarget"))


def test_a_policys_alarm_that_a_composite_alarm_names_stays_behind(scaled: Scaled) -> None:
    high = next(name for name in scaled.alarms() if "AlarmHigh" in name)
    scaled.stage.call("cloudwatch", "PutCompositeAlarm", AlarmName="busy", AlarmRule=f'ALARM("{high}")')
    scaled.aas("DeregisterScalableTarget")
    assert scaled.alarms() == [high]


def test_a_scheduled_action_brings_the_service_within_its_bounds_at_its_time(scaled: Scaled) -> None:
    scaled.aas(
        "PutScheduledAction",
        ScheduledActionName="opening",
        Schedule="at(2026-03-01T13:00:00)",
        ScalableTargetAction={"MinCapacity": 5},
    )
    scaled.stage.run((datetime(2026, 3, 1, 13, 1, tzinfo=UTC) - scaled.stage.kernel.clock.now()).total_seconds())
    assert scaled.desired == 5
    (shown,) = scaled.stage.call(AAS, "DescribeScalableTargets", ServiceNamespace="ecs")["ScalableTargets"]
    assert (shown["MinCapacity"], shown["MaxCapacity"]) == (5, 10)


def test_a_target_needs_a_service_bounds_and_its_own_resource_id(scaled: Scaled) -> None:
    missing = {"ResourceId": "service/shop/none", "MinCapacity": 1, "MaxCapacity": 2}
    refused("ValidationException", lambda: scaled.aas("RegisterScalableTarget", **missing), "doesn't exist")
    refused("ValidationException", lambda: scaled.aas("RegisterScalableTarget", MinCapacity=9, MaxCapacity=2))
    refused("ValidationException", lambda: scaled.aas("RegisterScalableTarget", ResourceId="web"))
    refused("ValidationException", lambda: scaled.aas("RegisterScalableTarget", Tags={"a": "b"}), "TagResource")


def test_pages_have_at_most_ten_policies(scaled: Scaled) -> None:
    for number in range(11):
        scaled.policy(f"p{number}")
    pages = scaled.stage.call(AAS, "DescribeScalingPolicies", ServiceNamespace="ecs")
    rest = scaled.stage.call(AAS, "DescribeScalingPolicies", ServiceNamespace="ecs", NextToken=pages["NextToken"])
    assert [len(pages["ScalingPolicies"]), len(rest["ScalingPolicies"])] == [10, 2]
    refused(
        "ValidationException",
        lambda: scaled.stage.call(AAS, "DescribeScalingPolicies", ServiceNamespace="ecs", MaxResults=11),
    )


def test_requests_per_target_name_load_balancer_and_target_group(scaled: Scaled) -> None:
    label = "app/front/0123456789abcdef/targetgroup/web/0123456789abcdef"
    metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
    answer = scaled.policy("requests", PredefinedMetricSpecification=metric)
    name = answer["Alarms"][0]["AlarmName"]
    (shown,) = scaled.stage.call("cloudwatch", "DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    assert (shown["MetricName"], shown["Statistic"]) == ("RequestCountPerTarget", "Sum")
    bad = {**metric, "ResourceLabel": "front/web"}
    refused("ValidationException", lambda: scaled.policy("bad", PredefinedMetricSpecification=bad), "resource label")


def test_targets_have_tags(scaled: Scaled) -> None:
    def tags() -> dict[str, str]:
        return dict(scaled.stage.call(AAS, "ListTagsForResource", ResourceARN=scaled.target)["Tags"])

    assert tags() == {"AmazonECSManaged": "true"}
    scaled.stage.call(AAS, "UntagResource", ResourceARN=scaled.target, TagKeys=["AmazonECSManaged"])
    assert tags() == {}
