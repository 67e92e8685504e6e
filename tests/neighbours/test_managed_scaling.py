from __future__ import annotations

from typing import Any

from tests.neighbours.stage import MINUTE, Stage
from twin.neighbours.autoscaling import CapacityProvider
from twin.neighbours.managed_scaling import DRAINING_HOOK


def managed(desired: int = 3, group: dict[str, Any] | None = None, **provider: Any) -> Stage:
    stage = Stage()
    stage.create_group(DesiredCapacity=desired, **(group or {}))
    stage.ecs.busy = stage.in_service()
    stage.autoscaling.manage(CapacityProvider("capacity", "hosts", **provider), stage.ecs)
    stage.settle()
    return stage


def test_waiting_tasks_scale_out_by_what_they_need() -> None:
    stage = managed(3)
    stage.ecs.missing = 2
    stage.run(2.5 * MINUTE)
    assert stage.autoscaling.group("hosts").desired == 5
    stage.ecs.missing = 0
    stage.ecs.busy = stage.in_service()
    stage.run(10 * MINUTE)
    assert len(stage.in_service()) == 5


def test_steps_and_the_maximum_bound_scale_out() -> None:
    stage = managed(3, {"MaxSize": 4}, min_step=3)
    stage.ecs.missing = 1
    stage.run(3 * MINUTE)
    assert stage.autoscaling.group("hosts").desired == 4
    stage = managed(3, max_step=1)
    stage.ecs.missing = 4
    stage.run(2.5 * MINUTE)
    assert stage.autoscaling.group("hosts").desired == 4


def test_an_empty_host_is_scaled_in_after_fifteen_minutes_but_not_if_protected() -> None:
    stage = managed(3, protects=True, group={"NewInstancesProtectedFromScaleIn": True})
    kept = stage.in_service()[:2]
    stage.ecs.busy = kept
    stage.run(14 * MINUTE)
    assert len(stage.in_service()) == 3
    stage.run(6 * MINUTE)
    assert stage.in_service() == kept
    (_, cause) = stage.ecs.terminated[0]
    assert cause is None


def test_the_target_leaves_room() -> None:
    stage = managed(4, target=50)
    stage.run(4 * MINUTE)
    assert stage.autoscaling.group("hosts").desired == 8


def test_suspended_alarm_notification_stops_managed_scaling() -> None:
    stage = managed(3)
    stage.asg("SuspendProcesses", ScalingProcesses=["AlarmNotification"])
    stage.ecs.missing = 2
    stage.run(10 * MINUTE)
    assert stage.autoscaling.group("hosts").desired == 3


def test_managed_scaling_keeps_no_world_busy() -> None:
    stage = managed(3)
    assert not stage.kernel.scheduler.busy


def test_managed_draining_holds_a_leaving_host_until_it_is_empty() -> None:
    stage = managed(3, scaling=False, drains=True)
    (hook,) = stage.asg("DescribeLifecycleHooks")["LifecycleHooks"]
    assert (hook["LifecycleHookName"], hook["HeartbeatTimeout"], hook["DefaultResult"]) == (
        DRAINING_HOOK,
        3600,
        "CONTINUE",
    )
    stage.asg("SetDesiredCapacity", DesiredCapacity=2)
    stage.run(60)
    ((instance, done),) = stage.ecs.draining.items()
    assert stage.autoscaling.group("hosts").members[instance].lifecycle == "Terminating:Wait"
    done()
    stage.run_until_quiet()
    assert instance not in stage.autoscaling.group("hosts").members


def test_an_empty_group_starts_from_nothing_when_tasks_wait_and_not_before() -> None:
    stage = managed(0)
    stage.run(10 * MINUTE)
    assert stage.autoscaling.group("hosts").desired == 0
    stage.ecs.missing = 1
    stage.run(2.5 * MINUTE)
    assert stage.autoscaling.group("hosts").desired >= 1
