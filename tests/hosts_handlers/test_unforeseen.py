"""Cases that were found by rehearsing worlds which nobody had written the code for."""

from __future__ import annotations

from typing import Any

import pytest
from small_world import DORA, OLD, SMALL, Run, ask, in_group, rehearse, small, when

from twin.errors import WorldError
from twin.world import World

IDS = [OLD, "i-0a1b2c3d4e5f60002", "i-0a1b2c3d4e5f60003"]


def three_hosts(**changes: Any) -> list[dict[str, Any]]:
    """Two hosts in the zone of the one that goes: one more there leaves the zones uneven."""
    return in_group(desired_capacity=3, max_size=5, instances=IDS, **changes)


def as_before(run: Run) -> None:
    assert run.outcomes == ["undone"], run.reason
    assert run.broken == []
    assert run.left == []
    assert run.group["SuspendedProcesses"] == []


def test_zones_are_not_rebalanced_while_a_launched_host_is_not_ready() -> None:
    """AZRebalance would end a host that nobody drained, as soon as the launch leaves the zones uneven."""
    services = [{**item, "desired_count": 6} if item["name"] == "web" else item for item in SMALL["services"]]
    run = rehearse(small(groups=three_hosts(), services=services, faults=[{"kind": "agent_never_connects"}]))
    as_before(run)
    assert set(run.hosts) == set(IDS)
    assert run.group["DesiredCapacity"] == 3


def test_a_launch_that_keeps_failing_leaves_no_trace() -> None:
    """The group starts one host after the other in place of ours, and none comes up."""
    run = rehearse(small(faults=[{"kind": "launch_fails"}]))
    as_before(run)
    assert run.group["DesiredCapacity"] == 2


def test_the_host_that_the_group_starts_in_place_of_a_failed_launch_is_taken() -> None:
    run = rehearse(small(faults=[{"kind": "launch_fails", "times": 1}]))
    assert run.outcomes == ["replaced"], run.reason
    assert run.broken == []
    assert run.group["DesiredCapacity"] == 2
    assert len(run.hosts) == 2


def test_a_task_without_a_place_is_named_with_its_service() -> None:
    pinned = {**SMALL["services"][1], "constraints": [{"type": "memberOf", "expression": f"ec2InstanceId == {OLD}"}]}
    run = rehearse(small(services=[SMALL["services"][0], {**pinned, "desired_count": 2, "load_balancer": None}]))
    assert run.outcomes == ["blocked"]
    assert "of service web" in run.reason
    assert f"memberOf ec2InstanceId == {OLD}" in run.reason


def test_a_host_is_not_counted_on_before_its_launching_hooks_have_let_it_go() -> None:
    """It has registered with ECS long before; a hook that nobody answers has its group end it."""
    hook = {"name": "bake", "transition": "launching", "heartbeat_timeout": "5m", "default_result": "ABANDON"}
    run = rehearse(small(groups=in_group(lifecycle_hooks=[hook])))
    as_before(run)
    assert "Pending:Wait" in run.reason
    assert run.group["DesiredCapacity"] == 2


def test_zones_stay_suspended_for_as_long_as_a_launched_host_cannot_be_taken_back() -> None:
    """Else the group would end another host in its place."""
    denied = {"kind": "api_error", "service": "ecs", "operation": "UpdateContainerInstancesState", "times": None}
    services = [{**item, "desired_count": 6} if item["name"] == "web" else item for item in SMALL["services"]]
    faults = [{**denied, "code": "AccessDeniedException"}]
    run = rehearse(small(groups=three_hosts(), services=services, faults=faults))
    assert run.outcomes == ["failed"]
    assert set(IDS) <= set(run.hosts)
    assert any("suspend_rebalance" in line for line in run.report.executions[0].left_behind)


def stop(world: World) -> object:
    """Somebody stops the execution; a time-out ends it in the same way, and is tried again."""
    (running,) = [each for each in world.machines.executions if each.status == "RUNNING"]
    return ask(world, "stepfunctions", "StopExecution", {"executionArn": running.arn}, DORA)


def test_a_surplus_host_leaves_the_zones_even() -> None:
    """Two hosts in one zone and one in the other: what is launched must not have the group end a host, if it stays."""
    services = [{**item, "desired_count": 6} if item["name"] == "web" else item for item in SMALL["services"]]
    run = rehearse(small(groups=three_hosts(), services=services, at_least="20m"), when("Wait for tasks", stop, 45))
    assert run.outcomes == ["undone", "undone"]
    assert run.broken == []
    assert "stays as surplus" in run.report.executions[-1].left_behind[0]
    assert set(IDS) < set(run.hosts)


def test_the_next_attempt_gives_the_group_its_size_back() -> None:
    """The host that the attempt before had to leave takes the tasks; the old one ends with decrement."""
    run = rehearse(small(parameters={"ExecutionTimeout": 180}, at_least="40m"))
    assert run.outcomes == ["undone", "undone", "replaced"], run.reason
    assert run.broken == []
    assert run.group["DesiredCapacity"] == 2
    assert len(run.hosts) == 2


def test_policy_may_let_a_group_shrink() -> None:
    services = [{**service, "cpu": 64, "memory": 128} for service in SMALL["services"]]
    policy = {"defaults": {"hosts": {"mode": "act", "allow_shrink": True}}}
    run = rehearse(small(services=services, policy=policy, groups=in_group(min_size=1)))
    assert run.outcomes == ["replaced"]
    assert run.broken == []
    assert run.group["DesiredCapacity"] == 1
    assert "shrink" in run.reason


def test_an_agent_may_be_away_from_the_start() -> None:
    """The fleet is built first; then the host's agent goes, and its work has to wait."""
    run = rehearse(small(faults=[{"kind": "agent_disconnects", "instance": OLD}]))
    assert run.outcomes == ["blocked"]
    assert "disconnected" in run.reason
    assert run.broken == []


def test_an_agent_that_flaps_blocks_nothing() -> None:
    """It is away several times an hour in normal life, and back within seconds."""
    run = rehearse(small(faults=[{"kind": "agent_disconnects", "instance": OLD, "until": "20s"}]))
    assert run.outcomes == ["replaced"], run.reason
    assert run.broken == []


def test_work_whose_end_no_event_told_is_found_by_the_sweep() -> None:
    run = rehearse(small(faults=[{"kind": "event_lost", "after": 30}]), when("Wait for tasks", stop, 20))
    assert run.outcomes == ["undone", "undone"]
    assert run.broken == []


def test_a_group_that_stays_larger_is_reported() -> None:
    """Somebody ends the old host without decrement meanwhile: its group starts another one beside the launched one."""

    def terminate(world: World) -> object:
        params = {"InstanceId": OLD, "ShouldDecrementDesiredCapacity": False}
        return ask(world, "autoscaling", "TerminateInstanceInAutoScalingGroup", params, DORA)

    run = rehearse(small(), when("Wait for tasks", terminate, 1))
    assert run.outcomes == ["replaced"]
    assert "1 more than it would" in run.report.executions[0].left_behind[0]


def test_what_the_twin_does_not_model_is_told_with_its_place_in_the_world() -> None:
    with pytest.raises(WorldError, match=r"groups\[0\].*m5\.nope"):
        rehearse(small(groups=in_group(instance_type="m5.nope")))
