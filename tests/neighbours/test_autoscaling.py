from __future__ import annotations

import json
from collections import deque
from datetime import timedelta
from typing import Any

import pytest

from tests.neighbours.stage import MINUTE, START, Stage
from twin.errors import AwsError, Unmodelled
from twin.neighbours.autoscaling import AutoScalingOptions
from twin.neighbours.ec2 import CapacityFault, Ec2Options, LaunchFault


def settled(
    desired: int = 4, *, options: AutoScalingOptions | None = None, ec2: Ec2Options | None = None, **group: Any
) -> Stage:
    stage = Stage(autoscaling=options, ec2=ec2)
    stage.create_group(DesiredCapacity=desired, **group)
    stage.settle()
    return stage


def activities(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.asg("DescribeScalingActivities")["Activities"]
    return found


def terminate(stage: Stage, instance: str, decrement: bool) -> dict[str, Any]:
    return stage.call(
        "autoscaling",
        "TerminateInstanceInAutoScalingGroup",
        InstanceId=instance,
        ShouldDecrementDesiredCapacity=decrement,
    )


def described(stage: Stage) -> dict[str, Any]:
    answer = stage.call("autoscaling", "DescribeAutoScalingGroups", AutoScalingGroupNames=["hosts"])
    group: dict[str, Any] = answer["AutoScalingGroups"][0]
    return group


# --- building, size --------------------------------------------------------------------------------------------------
def test_a_new_group_is_balanced_over_its_zones_and_up_at_once_while_building() -> None:
    stage = Stage()
    stage.autoscaling.instance_ids["hosts"] = deque(["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2"])
    stage.create_group(DesiredCapacity=5)
    assert stage.zones() == ["us-east-1a"] * 3 + ["us-east-1b"] * 2
    assert stage.in_service()[:2] == ["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2"]
    assert len(stage.ecs.booted) == 5
    assert not stage.autoscaling.launched


def test_instances_carry_the_groups_and_templates_tags_and_user_data() -> None:
    stage = Stage()
    tags = [{"Key": "team", "Value": "core", "PropagateAtLaunch": True}, {"Key": "secret", "Value": "x"}]
    stage.create_group(DesiredCapacity=1, Tags=tags)
    (instance,) = stage.ec2.instances.values()
    assert instance.tags["team"] == "core"
    assert "secret" not in instance.tags
    assert instance.group_name == "hosts"
    assert instance.cluster_name == "main"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"MinSize": 3, "MaxSize": 2}, "Max bound, 2, must be greater than or equal to min bound, 3"),
        ({"DesiredCapacity": 11}, "Desired capacity:11 must be between the specified min size:0 and max size:10"),
        ({"VPCZoneIdentifier": "subnet-9"}, "subnet-9"),
        ({"LaunchTemplate": {"LaunchTemplateName": "nobody"}}, "valid fully-formed launch template"),
    ],
)
def test_a_bad_group_is_refused(params: dict[str, Any], text: str) -> None:
    with pytest.raises(AwsError, match="ValidationError") as error:
        Stage().create_group(**params)
    assert text in error.value.message


def test_set_desired_capacity_scales_out_with_activity_cause_and_event() -> None:
    stage = settled(2)
    stage.asg("SetDesiredCapacity", DesiredCapacity=3)
    stage.run_until_quiet()
    assert len(stage.in_service()) == 3
    newest = activities(stage)[0]
    assert newest["StatusCode"] == "Successful"
    assert newest["Cause"].startswith(
        "At 2026-03-01T12:00:00Z a user request explicitly set group desired capacity changing the desired capacity "
        "from 2 to 3.  At 2026-03-01T12:00:05Z an instance was started in response to a difference between desired and "
        "actual capacity, increasing the capacity from 2 to 3."
    )
    assert json.loads(newest["Details"])["Availability Zone"] in ("us-east-1a", "us-east-1b")
    (event,) = stage.bus.of("EC2 Instance Launch Successful")
    assert event["EC2InstanceId"] == stage.in_service()[-1]
    assert (event["StatusCode"], event["Origin"], event["Destination"]) == ("InProgress", "EC2", "AutoScalingGroup")
    assert stage.autoscaling.launched["hosts"] == 1


def test_desired_capacity_stays_within_minimum_and_maximum() -> None:
    stage = settled(2, MinSize=1, MaxSize=3)
    with pytest.raises(AwsError) as above:
        stage.asg("SetDesiredCapacity", DesiredCapacity=4)
    assert above.value.message == "New SetDesiredCapacity value 4 is above max value 3 for the AutoScalingGroup."
    with pytest.raises(AwsError) as below:
        stage.asg("SetDesiredCapacity", DesiredCapacity=0)
    assert below.value.message == "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup."


def test_a_new_minimum_or_maximum_moves_the_desired_capacity() -> None:
    stage = settled(2)
    stage.asg("UpdateAutoScalingGroup", MinSize=3)
    assert described(stage)["DesiredCapacity"] == 3
    stage.asg("UpdateAutoScalingGroup", MinSize=0, MaxSize=1)
    assert described(stage)["DesiredCapacity"] == 1
    stage.run_until_quiet()
    assert len(stage.in_service()) == 1


def test_honor_cooldown_refuses_while_an_activity_runs_and_for_the_cooldown_after() -> None:
    stage = settled(2)
    stage.asg("SetDesiredCapacity", DesiredCapacity=3, HonorCooldown=True)
    stage.run(10)
    for wait in (0, 60):
        stage.run(wait)
        with pytest.raises(AwsError, match="ScalingActivityInProgress"):
            stage.asg("SetDesiredCapacity", DesiredCapacity=4, HonorCooldown=True)
    stage.run(300)
    stage.asg("SetDesiredCapacity", DesiredCapacity=4, HonorCooldown=True)


def test_unknown_groups_are_errors_to_write_and_absent_to_read() -> None:
    stage = settled()
    with pytest.raises(AwsError, match="AutoScalingGroup name not found"):
        stage.asg("SetDesiredCapacity", AutoScalingGroupName="nobody", DesiredCapacity=1)
    answer = stage.call("autoscaling", "DescribeAutoScalingGroups", AutoScalingGroupNames=["nobody"])
    assert answer["AutoScalingGroups"] == []


# --- scale-in --------------------------------------------------------------------------------------------------------
def test_scale_in_takes_from_the_fullest_zone_and_the_oldest_template_first() -> None:
    stage = settled(3)
    stage.call(
        "ec2", "CreateLaunchTemplateVersion", LaunchTemplateName="hosts", SourceVersion="1", LaunchTemplateData={}
    )
    stage.asg("SetDesiredCapacity", DesiredCapacity=5)
    stage.run_until_quiet()
    group = stage.autoscaling.group("hosts")
    assert stage.zones().count("us-east-1a") == 3
    old = {one.instance_id for one in group.live if one.zone == "us-east-1a" and one.template["Version"] == "1"}
    stage.asg("SetDesiredCapacity", DesiredCapacity=4)
    stage.run_until_quiet()
    (gone,) = [event["EC2InstanceId"] for event in stage.bus.of("EC2 Instance Terminate Successful")]
    assert gone in old
    (told, cause) = stage.ecs.terminated[0]
    assert told == gone
    assert cause is not None
    assert cause.operation == "SetDesiredCapacity"


def test_protected_instances_are_skipped_and_the_group_says_when_all_are() -> None:
    stage = settled(3)
    ids = stage.in_service()
    stage.asg("SetInstanceProtection", InstanceIds=ids[:2], ProtectedFromScaleIn=True)
    stage.asg("SetDesiredCapacity", DesiredCapacity=1)
    stage.run_until_quiet()
    assert sorted(stage.in_service()) == sorted(ids[:2])
    failed = next(one for one in activities(stage) if one["StatusCode"] == "Failed")
    assert "all remaining instances are protected" in failed["StatusMessage"]
    stage.asg("SetInstanceProtection", InstanceIds=ids[:1], ProtectedFromScaleIn=False)
    stage.run_until_quiet()
    assert stage.in_service() == ids[1:2]


def test_set_instance_protection_refuses_strangers_pending_ones_and_more_than_fifty() -> None:
    stage = settled(1)
    stage.asg("SetDesiredCapacity", DesiredCapacity=2)
    stage.run(6)
    (pending,) = [one for one in stage.autoscaling.group("hosts").live if one.pending]
    for ids, text in (
        ([pending.instance_id], "is not in InService or EnteringStandby or Standby"),
        (["i-00000000000000000"], "is not part of Auto Scaling group hosts"),
        (["i-00000000000000000"] * 51, "50"),
    ):
        with pytest.raises(AwsError, match=text):
            stage.asg("SetInstanceProtection", InstanceIds=ids, ProtectedFromScaleIn=True)


# --- TerminateInstanceInAutoScalingGroup -----------------------------------------------------------------------------
def test_terminate_with_decrement_shrinks_the_group() -> None:
    stage = settled(3)
    instance = stage.in_service()[0]
    activity = terminate(stage, instance, True)["Activity"]
    assert activity["StatusCode"] == "InProgress"
    assert "in response to a user request, shrinking the capacity from 3 to 2." in activity["Cause"]
    stage.run_until_quiet()
    assert described(stage)["DesiredCapacity"] == 2
    assert len(stage.in_service()) == 2
    assert (stage.autoscaling.ended["hosts"], stage.autoscaling.launched["hosts"]) == (1, 0)
    assert [str(cause) for _, cause in stage.ecs.terminated] == [
        "autoscaling:TerminateInstanceInAutoScalingGroup by operator:olga"
    ]


def test_terminate_without_decrement_launches_one_in_its_place() -> None:
    stage = settled(3)
    instance = stage.in_service()[0]
    terminate(stage, instance, False)
    stage.run_until_quiet()
    assert described(stage)["DesiredCapacity"] == 3
    assert len(stage.in_service()) == 3
    assert instance not in stage.in_service()


def test_terminate_with_decrement_fails_at_the_minimum() -> None:
    stage = settled(2, MinSize=2)
    with pytest.raises(AwsError) as error:
        terminate(stage, stage.in_service()[0], True)
    assert error.value.message == (
        "Currently, desiredSize equals minSize (2). Terminating instance without replacement will violate group's min "
        "size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
    )
    assert len(stage.in_service()) == 2


def test_several_instances_are_terminated_in_one_call() -> None:
    stage = settled(4)
    ids = stage.in_service()[:2]
    answer = stage.asg("TerminateInstanceInAutoScalingGroup", InstanceIds=ids, ShouldDecrementDesiredCapacity=True)
    assert len(answer["Activities"]) == 2
    assert "Activity" not in answer
    stage.run_until_quiet()
    assert described(stage)["DesiredCapacity"] == 2
    with pytest.raises(AwsError, match="No managed instance found"):
        terminate(stage, ids[0], True)


@pytest.mark.parametrize(("decrements", "left"), [(True, 2), (False, 3)])
def test_a_repeated_terminate_may_decrement_twice(decrements: bool, left: int) -> None:
    stage = settled(4, options=AutoScalingOptions(repeated_terminate_decrements=decrements))
    instance = stage.in_service()[0]
    first = terminate(stage, instance, True)["Activity"]["ActivityId"]
    assert terminate(stage, instance, True)["Activity"]["ActivityId"] == first
    assert described(stage)["DesiredCapacity"] == left


# --- LaunchInstances -------------------------------------------------------------------------------------------------
def launch(stage: Stage, count: int = 1, token: str = "t-1", **more: Any) -> dict[str, Any]:
    where = {} if "SubnetIds" in more or "AvailabilityZoneIds" in more else {"AvailabilityZones": ["us-east-1b"]}
    return stage.asg("LaunchInstances", RequestedCapacity=count, ClientToken=token, **{**where, **more})


def test_launch_instances_answers_ids_of_pending_instances_in_the_zone() -> None:
    stage = settled(2)
    answer = launch(stage, 2)
    (collection,) = answer["Instances"]
    assert (collection["AvailabilityZone"], collection["InstanceType"]) == ("us-east-1b", "m5.large")
    members = stage.autoscaling.group("hosts").members
    assert {members[one].lifecycle for one in collection["InstanceIds"]} == {"Pending"}
    assert answer["Errors"] == []
    stage.run(40)
    assert set(collection["InstanceIds"]) <= set(stage.in_service())
    assert described(stage)["DesiredCapacity"] == 4


def test_launch_instances_is_idempotent_by_token_for_a_day() -> None:
    stage = settled(2)
    first = launch(stage)
    assert launch(stage) == first
    with pytest.raises(AwsError, match="IdempotentParameterMismatch"):
        launch(stage, 2)
    stage.run_until_quiet()
    assert len(stage.in_service()) == 3
    stage.run(24 * 3600)
    assert launch(stage)["Instances"] != first["Instances"]


def test_launch_instances_succeeds_in_part_and_says_why_not_all() -> None:
    fault = CapacityFault(zone="us-east-1b", left=1)
    stage = settled(2, ec2=Ec2Options(no_capacity=[fault]))
    answer = launch(stage, 3)
    assert [len(one["InstanceIds"]) for one in answer["Instances"]] == [1]
    (error,) = answer["Errors"]
    assert (error["ErrorCode"], error["AvailabilityZone"]) == ("InsufficientInstanceCapacity", "us-east-1b")
    assert described(stage)["DesiredCapacity"] == 3


def test_launch_instances_may_go_on_trying_with_the_group() -> None:
    stage = settled(2, ec2=Ec2Options(no_capacity=[CapacityFault(zone="us-east-1b")]))
    launch(stage, 1, RetryStrategy="retry-with-group-configuration")
    assert described(stage)["DesiredCapacity"] == 3
    stage.run_until_quiet()
    assert stage.zones().count("us-east-1a") == 2


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"AvailabilityZones": ["us-east-1c"]}, "not part of the Auto Scaling group"),
        ({"AvailabilityZones": ["us-east-1a"], "SubnetIds": ["subnet-1"]}, "not part of the Auto Scaling group"),
        ({"SubnetIds": ["subnet-2"]}, "not part of the Auto Scaling group"),
        ({"AvailabilityZones": ["us-east-1a"], "AvailabilityZoneIds": ["use1-az1"]}, "cannot specify both"),
        ({"AvailabilityZones": []}, "must be specified"),
        ({"RequestedCapacity": 101}, "between 1 and 100"),
    ],
)
def test_launch_instances_checks_where(more: dict[str, Any], text: str) -> None:
    stage = settled(2, MaxSize=500)
    given = {"RequestedCapacity": 1, "ClientToken": "t", "AvailabilityZones": ["us-east-1a"]}
    if "SubnetIds" in more and "AvailabilityZones" not in more:
        del given["AvailabilityZones"]
    with pytest.raises(AwsError, match=text):
        stage.asg("LaunchInstances", **{**given, **more})


def test_launch_instances_does_not_support_warm_pools_and_mixed_purchases() -> None:
    stage = settled(2)
    stage.asg("PutWarmPool", MaxGroupPreparedCapacity=0)
    with pytest.raises(AwsError, match="UnsupportedOperation"):
        launch(stage)
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "hosts"},
            "Overrides": [{"InstanceType": "m5.large"}, {"InstanceType": "m5a.large"}],
        },
        "InstancesDistribution": {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 50},
    }
    mixed = settled(4, MixedInstancesPolicy=policy)
    markets = sorted(one.market for one in mixed.ec2.instances.values())
    assert markets == ["on-demand", "on-demand", "on-demand", "spot"]
    with pytest.raises(AwsError, match="UnsupportedOperation"):
        launch(mixed)


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("respects", [True, False])
def test_a_world_chooses_what_launch_instances_does_to_desired_and_maximum(raises: bool, respects: bool) -> None:
    options = AutoScalingOptions(launch_instances_raises_desired=raises, launch_instances_respects_max=respects)
    stage = settled(2, MaxSize=2, options=options)
    if respects:
        with pytest.raises(AwsError, match="max size 2"):
            launch(stage)
        return
    launch(stage)
    assert described(stage)["DesiredCapacity"] == 2
    stage.run(60)
    assert len(stage.in_service()) == 3
    stage.run_until_quiet()
    assert len(stage.in_service()) == 2


def test_instances_that_launch_instances_made_may_stay_if_the_desired_capacity_follows() -> None:
    stage = settled(2, options=AutoScalingOptions(launch_instances_raises_desired=False))
    launch(stage)
    assert described(stage)["DesiredCapacity"] == 2
    stage.asg("SetDesiredCapacity", DesiredCapacity=3)
    stage.run_until_quiet()
    assert len(stage.in_service()) == 3
    assert not stage.ecs.terminated


def test_a_launched_instance_may_still_fail() -> None:
    stage = settled(2, ec2=Ec2Options(launch_faults=[LaunchFault(times=1)]))
    failing = launch(stage)["Instances"][0]["InstanceIds"][0]
    stage.run(30)
    assert failing not in stage.autoscaling.group("hosts").members
    cancelled = next(one for one in activities(stage) if one["StatusCode"] == "Cancelled")
    assert "became unhealthy while waiting" in cancelled["StatusMessage"]
    assert stage.bus.of("EC2 Instance Launch Unsuccessful")
    stage.run(10 * MINUTE)
    assert len(stage.in_service()) == 3


# --- capacity --------------------------------------------------------------------------------------------------------
def test_without_capacity_in_one_zone_the_group_launches_in_another_and_balances_when_it_can() -> None:
    stage = settled(2, ec2=Ec2Options(no_capacity=[CapacityFault(zone="us-east-1b", until=30 * MINUTE)]))
    stage.asg("SetDesiredCapacity", DesiredCapacity=5)
    stage.run_until_quiet()
    assert stage.zones() == ["us-east-1a"] * 4 + ["us-east-1b"]
    (failed, *_) = stage.bus.of("EC2 Instance Launch Unsuccessful")
    assert failed["EC2InstanceId"] == ""
    assert failed["StatusMessage"].startswith("We currently do not have sufficient m5.large capacity")
    stage.run(60 * MINUTE)
    assert stage.zones() == ["us-east-1a"] * 3 + ["us-east-1b"] * 2


def test_without_capacity_anywhere_the_group_tries_again_by_itself_in_the_background() -> None:
    stage = settled(2, ec2=Ec2Options(no_capacity=[CapacityFault(until=20 * MINUTE)]))
    stage.asg("SetDesiredCapacity", DesiredCapacity=3)
    stage.run_until_quiet()
    assert stage.kernel.clock.elapsed < 60
    assert len(stage.in_service()) == 2
    stage.run(20 * MINUTE)
    tries = len(stage.bus.of("EC2 Instance Launch Unsuccessful"))
    assert 4 <= tries <= 12
    stage.run(20 * MINUTE)
    assert len(stage.in_service()) == 3


def test_the_next_type_is_taken_when_the_first_has_no_capacity() -> None:
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "hosts"},
            "Overrides": [{"InstanceType": "m5.large"}, {"InstanceType": "m5a.large"}],
        }
    }
    faults = [CapacityFault(instance_type="m5.large")]
    stage = settled(2, ec2=Ec2Options(no_capacity=faults), MixedInstancesPolicy=policy)
    assert launch(stage)["Instances"][0]["InstanceType"] == "m5a.large"


# --- health ----------------------------------------------------------------------------------------------------------
def test_an_instance_that_ends_is_replaced() -> None:
    stage = settled(2)
    instance = stage.in_service()[0]
    stage.call("ec2", "TerminateInstances", InstanceIds=[instance])
    stage.run_until_quiet()
    assert len(stage.in_service()) == 2
    causes = [one["Cause"] for one in activities(stage)[:2]]
    assert any("launched in response to an unhealthy instance" in cause for cause in causes)
    assert any("EC2 health check indicating it has been terminated or stopped" in cause for cause in causes)
    assert [str(cause) for _, cause in stage.ecs.terminated] == ["ec2:TerminateInstances by operator:olga"]


def test_a_retired_instance_is_stopped_then_replaced() -> None:
    stage = settled(2)
    instance = stage.in_service()[0]
    stage.ec2.schedule_event(instance, "instance-retirement", START + timedelta(minutes=10))
    stage.run(20 * MINUTE)
    assert stage.ecs.stopped == [instance]
    assert instance not in stage.in_service()
    assert len(stage.in_service()) == 2


def test_a_world_may_let_the_group_act_before_a_scheduled_event() -> None:
    stage = settled(2, options=AutoScalingOptions(acts_before_event=20 * MINUTE))
    instance = stage.in_service()[0]
    stage.ec2.schedule_event(instance, "instance-retirement", START + timedelta(hours=1))
    stage.run(45 * MINUTE)
    assert instance not in stage.in_service()
    assert len(stage.in_service()) == 2


@pytest.mark.parametrize("process", ["HealthCheck", "ReplaceUnhealthy", "Terminate"])
def test_suspended_processes_leave_a_dead_instance_until_they_are_resumed(process: str) -> None:
    stage = settled(2)
    instance = stage.in_service()[0]
    stage.asg("SuspendProcesses", ScalingProcesses=[process])
    stage.call("ec2", "TerminateInstances", InstanceIds=[instance])
    stage.run(10 * MINUTE)
    assert instance in stage.autoscaling.group("hosts").members
    (shown,) = described(stage)["SuspendedProcesses"]
    assert shown == {"ProcessName": process, "SuspensionReason": "User suspended at 2026-03-01T12:00:00Z"}
    stage.asg("ResumeProcesses", ScalingProcesses=[process])
    stage.run_until_quiet()
    assert instance not in stage.autoscaling.group("hosts").members
    assert len(stage.in_service()) == 2


def test_suspended_launch_and_terminate_hold_the_size() -> None:
    stage = settled(2)
    stage.asg("SuspendProcesses")
    stage.asg("SetDesiredCapacity", DesiredCapacity=3)
    stage.run_until_quiet()
    assert len(stage.in_service()) == 2
    stage.asg("SetDesiredCapacity", DesiredCapacity=1)
    stage.run_until_quiet()
    assert len(stage.in_service()) == 2
    stage.asg("ResumeProcesses")
    stage.run_until_quiet()
    assert len(stage.in_service()) == 1
    with pytest.raises(AwsError, match="ValidationError"):
        stage.asg("SuspendProcesses", ScalingProcesses=["Sleep"])


def test_set_instance_health_replaces_and_names_the_call() -> None:
    stage = settled(2)
    instance = stage.in_service()[0]
    stage.call("autoscaling", "SetInstanceHealth", InstanceId=instance, HealthStatus="Unhealthy")
    stage.run_until_quiet()
    assert instance not in stage.in_service()
    (_, cause) = stage.ecs.terminated[0]
    assert cause is not None
    assert cause.operation == "SetInstanceHealth"


# --- zones -----------------------------------------------------------------------------------------------------------
def unbalance(stage: Stage) -> None:
    """Take both instances of zone b away, with decrement: a has 2, b has 0."""
    for one in [one for one in stage.autoscaling.group("hosts").live if one.zone == "us-east-1b"]:
        terminate(stage, one.instance_id, True)
    stage.run(60)


def test_decrementing_sets_off_rebalancing_which_launches_first_and_blames_the_call() -> None:
    stage = settled(4, MaxSize=4)
    unbalance(stage)
    assert stage.zones() == ["us-east-1a"] * 2
    before = len(stage.bus.events)
    stage.run(10 * MINUTE)
    assert stage.zones() == ["us-east-1a", "us-east-1b"]
    order = [kind for kind, _, _ in stage.bus.events[before:] if kind.endswith("Successful")]
    assert order[-2:] == ["EC2 Instance Launch Successful", "EC2 Instance Terminate Successful"]
    assert [cause.operation for _, cause in stage.ecs.terminated if cause] == [
        "TerminateInstanceInAutoScalingGroup"
    ] * 3
    assert any("aid in balancing" in one["Cause"] for one in activities(stage))


@pytest.mark.parametrize("how", ["suspended", "protected"])
def test_rebalancing_can_be_suspended_and_spares_protected_instances(how: str) -> None:
    stage = settled(4)
    if how == "suspended":
        stage.asg("SuspendProcesses", ScalingProcesses=["AZRebalance"])
    else:
        stage.asg("SetInstanceProtection", InstanceIds=stage.in_service(), ProtectedFromScaleIn=True)
    unbalance(stage)
    stage.run(30 * MINUTE)
    assert stage.zones() == ["us-east-1a"] * 2


# --- hooks -----------------------------------------------------------------------------------------------------------
def hooked(transition: str, **more: Any) -> Stage:
    stage = settled(2)
    stage.asg("PutLifecycleHook", LifecycleHookName="h", LifecycleTransition=transition, **more)
    return stage


def test_a_launch_hook_holds_an_instance_until_it_is_completed() -> None:
    stage = hooked("autoscaling:EC2_INSTANCE_LAUNCHING", NotificationMetadata="m")
    stage.asg("SetDesiredCapacity", DesiredCapacity=3)
    stage.run(60)
    (event,) = stage.bus.of("EC2 Instance-launch Lifecycle Action")
    instance = event["EC2InstanceId"]
    assert stage.autoscaling.group("hosts").members[instance].lifecycle == "Pending:Wait"
    assert (event["NotificationMetadata"], len(event["LifecycleActionToken"])) == ("m", 36)
    token = event["LifecycleActionToken"]
    stage.asg(
        "CompleteLifecycleAction", LifecycleHookName="h", LifecycleActionToken=token, LifecycleActionResult="CONTINUE"
    )
    assert instance in stage.in_service()
    with pytest.raises(AwsError, match=f"No active Lifecycle Action found with token {token}"):
        stage.asg("RecordLifecycleActionHeartbeat", LifecycleHookName="h", LifecycleActionToken=token)


def test_an_abandoned_launch_ends_the_instance_and_is_tried_again() -> None:
    stage = hooked("autoscaling:EC2_INSTANCE_LAUNCHING", HeartbeatTimeout=30)
    stage.asg("SetDesiredCapacity", DesiredCapacity=3)
    stage.run(5 * MINUTE)
    assert len(stage.bus.of("EC2 Instance-launch Lifecycle Action")) >= 2
    assert len(stage.in_service()) == 2
    assert len(stage.ecs.terminated) >= 1


def test_a_termination_hook_holds_and_its_heartbeat_is_extended() -> None:
    stage = hooked("autoscaling:EC2_INSTANCE_TERMINATING", HeartbeatTimeout=60, DefaultResult="CONTINUE")
    instance = stage.in_service()[0]
    terminate(stage, instance, True)
    assert stage.autoscaling.group("hosts").members[instance].lifecycle == "Terminating:Wait"
    stage.run(50)
    stage.asg("RecordLifecycleActionHeartbeat", LifecycleHookName="h", InstanceId=instance)
    stage.run(50)
    assert stage.ec2.instances[instance].state == "running"
    stage.run(15)
    assert stage.ec2.instances[instance].state == "shutting-down"
    stage.run_until_quiet()
    assert len(stage.in_service()) == 1


def test_abandon_ends_the_wait_of_all_hooks_and_continue_only_one() -> None:
    for result, state in (("CONTINUE", "running"), ("ABANDON", "shutting-down")):
        stage = hooked("autoscaling:EC2_INSTANCE_TERMINATING")
        second = {"LifecycleHookName": "k", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
        stage.asg("PutLifecycleHook", **second)
        instance = stage.in_service()[0]
        terminate(stage, instance, True)
        assert len(stage.bus.of("EC2 Instance-terminate Lifecycle Action")) == 2
        stage.asg("CompleteLifecycleAction", LifecycleHookName="h", InstanceId=instance, LifecycleActionResult=result)
        assert stage.ec2.instances[instance].state == state


def test_hooks_are_described_changed_and_deleted() -> None:
    stage = hooked("autoscaling:EC2_INSTANCE_TERMINATING", HeartbeatTimeout=30)
    stage.asg("PutLifecycleHook", LifecycleHookName="h", DefaultResult="CONTINUE")
    (hook,) = stage.asg("DescribeLifecycleHooks")["LifecycleHooks"]
    assert (hook["HeartbeatTimeout"], hook["GlobalTimeout"], hook["DefaultResult"]) == (30, 3000, "CONTINUE")
    for bad in ({"HeartbeatTimeout": 29}, {"DefaultResult": "MAYBE"}, {"LifecycleHookName": "new"}):
        with pytest.raises(AwsError, match="ValidationError"):
            stage.asg("PutLifecycleHook", **{"LifecycleHookName": "h", **bad})
    instance = stage.in_service()[0]
    terminate(stage, instance, True)
    stage.asg("DeleteLifecycleHook", LifecycleHookName="h")
    assert stage.ec2.instances[instance].state == "shutting-down"


# --- describing, deleting --------------------------------------------------------------------------------------------
def test_describing_is_paged_within_awss_limits() -> None:
    stage = Stage()
    stage.create_group(DesiredCapacity=60, MaxSize=100)
    first = stage.call("autoscaling", "DescribeAutoScalingInstances")
    rest = stage.call("autoscaling", "DescribeAutoScalingInstances", NextToken=first["NextToken"])
    assert [len(page["AutoScalingInstances"]) for page in (first, rest)] == [50, 10]
    assert len(stage.asg("DescribeScalingActivities", MaxRecords=30)["Activities"]) == 30
    for operation, most in (("DescribeAutoScalingInstances", 50), ("DescribeAutoScalingGroups", 100)):
        with pytest.raises(AwsError, match="ValidationError"):
            stage.call("autoscaling", operation, MaxRecords=most + 1)
    bare = stage.call("autoscaling", "DescribeAutoScalingGroups", IncludeInstances=False)["AutoScalingGroups"]
    assert bare[0]["Instances"] == []


def test_groups_are_found_by_tag() -> None:
    stage = Stage()
    stage.create_group(Tags=[{"Key": "team", "Value": "core"}])
    for values, count in ((["core"], 1), (["other"], 0)):
        filters = [{"Name": "tag:team", "Values": values}]
        found = stage.call("autoscaling", "DescribeAutoScalingGroups", Filters=filters)["AutoScalingGroups"]
        assert len(found) == count


def test_a_group_with_instances_is_deleted_only_by_force() -> None:
    stage = settled(2)
    with pytest.raises(AwsError, match="ResourceInUse"):
        stage.asg("DeleteAutoScalingGroup")
    stage.asg("DeleteAutoScalingGroup", ForceDelete=True)
    stage.run_until_quiet()
    assert stage.call("autoscaling", "DescribeAutoScalingGroups")["AutoScalingGroups"] == []
    assert {one.state for one in stage.ec2.instances.values()} == {"terminated"}


def test_what_is_not_modelled_is_loud() -> None:
    stage = settled(1)
    with pytest.raises(Unmodelled, match="DetachInstances"):
        stage.asg("DetachInstances", InstanceIds=stage.in_service(), ShouldDecrementDesiredCapacity=True)
    with pytest.raises(Unmodelled, match="MaxInstanceLifetime"):
        stage.asg("UpdateAutoScalingGroup", MaxInstanceLifetime=86400)
    with pytest.raises(Unmodelled, match="HealthCheckType"):
        stage.asg("UpdateAutoScalingGroup", HealthCheckType="ELB")
    with pytest.raises(Unmodelled, match="CapacityRebalance"):
        stage.asg("UpdateAutoScalingGroup", CapacityRebalance=True)
    with pytest.raises(Unmodelled, match="warm pool"):
        stage.asg("PutWarmPool", MinSize=1)
