"""The life of a task: states, times, events, health."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ecs_world import CLUSTER, OPERATOR, World

from twin.ecs import Behaviour, TaskFault
from twin.ecs.model import Task


def first(world: World, name: str = "web") -> Task:
    return next(iter(world.service(name).tasks.values()))


def test_a_balanced_task_goes_through_every_state_and_each_is_an_event_with_the_next_version() -> None:
    world = World().settle()
    world.serve(desired=1, balanced=True, percents=(0, 200))
    world.run()
    task = first(world)
    world.update(desiredCount=0)
    world.run()
    assert world.statuses(task.arn) == [
        ("PROVISIONING", "RUNNING"),
        ("PENDING", "RUNNING"),
        ("ACTIVATING", "RUNNING"),
        ("RUNNING", "RUNNING"),
        ("RUNNING", "STOPPED"),
        ("DEACTIVATING", "STOPPED"),
        ("STOPPING", "STOPPED"),
        ("DEPROVISIONING", "STOPPED"),
        ("STOPPED", "STOPPED"),
    ]
    events = world.bus.of("ECS Task State Change", task.arn)
    assert [detail["version"] for detail in events] == list(range(1, 10))
    assert events[-1]["stopCode"] == "ServiceSchedulerInitiated"
    assert events[-1]["containers"][0]["exitCode"] == 0


def test_the_deregistration_delay_passes_while_deactivating() -> None:
    world = World().settle()
    world.serve(desired=1, balanced=True)
    world.run()
    task = first(world)
    world.update(desiredCount=0)
    world.run(31)
    assert task.last_status == "DEACTIVATING"
    world.run(3)
    assert task.last_status == "STOPPING"


@pytest.mark.parametrize(("stop_seconds", "waited", "exit_code"), [(5.0, 5.0, 0), (50.0, 20.0, 137)])
def test_sigkill_after_the_stop_timeout(stop_seconds: float, waited: float, exit_code: int) -> None:
    world = World(stop_seconds=stop_seconds)
    world.serve(desired=1, definition=world.define("slow", container={"stopTimeout": 20}))
    world.settle()
    task = first(world)
    world.update(desiredCount=0)
    world.run()
    assert task.stopping_at is not None
    assert task.execution_stopped_at is not None
    # 1 s until the scheduler acts is before stoppingAt, 1 s until the agent has the order after it
    assert (task.execution_stopped_at - task.stopping_at).total_seconds() == 1 + waited
    assert task.exit_code == exit_code


def test_the_first_pull_on_a_host_is_slow_and_the_next_fast() -> None:
    world = World(hosts=1).settle()
    world.serve(desired=1)
    world.run()
    old = first(world)
    world.update(desiredCount=2)
    world.run()
    new = list(world.service().tasks.values())[1]
    pulls = []
    for task in (old, new):
        assert task.pull_started_at is not None
        assert task.pull_stopped_at is not None
        pulls.append((task.pull_stopped_at - task.pull_started_at).total_seconds())
    assert pulls == [25, 2]


def test_without_any_check_a_task_is_healthy_after_40_seconds_of_running() -> None:
    world = World().settle()
    world.serve(desired=1)
    world.run(35)
    task = first(world)
    assert task.last_status == "RUNNING"
    assert world.healthy() == 0
    world.run(40)
    assert world.healthy() == 1


def test_a_container_health_check_decides_instead_of_40_seconds() -> None:
    world = World().settle()
    check = {"command": ["CMD", "true"], "interval": 10}
    world.serve(desired=1, definition=world.define("checked", container={"healthCheck": check}))
    world.run(33)
    task = first(world)
    assert (task.last_status, world.healthy()) == ("RUNNING", 0)
    world.run(10)
    assert world.healthy() == 1
    assert world.call("DescribeTasks", cluster=CLUSTER, tasks=[task.arn])["tasks"][0]["healthStatus"] == "HEALTHY"


def test_with_a_load_balancer_the_target_and_the_check_must_both_be_healthy() -> None:
    world = World().settle()
    check = {"command": ["CMD", "true"], "interval": 60}
    definition = world.define("checked", container={"healthCheck": check})
    world.serve(desired=1, definition=definition, balanced=True)
    world.run(60)  # the target is healthy after 20 s of checks
    task = first(world)
    target = task.targets[0]
    assert world.elbv2.healthy(target.group_arn, target.target_id, target.port)
    assert world.healthy() == 0
    world.run(60)
    assert world.healthy() == 1


def test_tasks_that_stop_vanish_from_the_default_list_and_the_counts_while_they_still_run() -> None:
    world = World(hosts=1)
    world.serve(desired=1, balanced=True)
    world.settle()
    task = first(world)
    world.update(desiredCount=0)
    world.run(5)
    assert task.last_status == "DEACTIVATING"
    assert world.call("ListTasks", cluster=CLUSTER)["taskArns"] == []
    assert world.call("ListTasks", cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"] == [task.arn]
    host = world.call("DescribeContainerInstances", cluster=CLUSTER, containerInstances=[world.host(0).arn])
    assert host["containerInstances"][0]["runningTasksCount"] == 0
    assert world.shown()["runningCount"] == 0


def test_stopped_tasks_can_be_listed_and_described_for_an_hour() -> None:
    world = World()
    world.serve(desired=1)
    world.settle()
    task = first(world)
    world.update(desiredCount=0)
    world.run()
    world.run(3500)
    assert world.call("ListTasks", cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"] == [task.arn]
    world.run(200)
    assert world.call("ListTasks", cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"] == []
    answer = world.call("DescribeTasks", cluster=CLUSTER, tasks=[task.arn])
    assert answer["failures"] == [{"arn": task.arn, "reason": "MISSING"}]


def test_stop_task_is_user_initiated_and_its_loss_names_the_caller() -> None:
    world = World()
    world.serve(desired=2)
    world.settle()
    task = first(world)
    world.call("StopTask", caller=OPERATOR, cluster=CLUSTER, task=task.arn, reason="because")
    world.run()
    assert (task.stop_code, task.stopped_reason) == ("UserInitiated", "because")
    assert world.ecs.losses[0].cause is not None
    assert world.ecs.losses[0].cause.caller == OPERATOR
    assert world.healthy() == 2


def test_a_task_that_cannot_be_pulled_stops_as_failed_to_start_and_is_tried_again() -> None:
    world = World(task_faults=(TaskFault("start_fails", service="web", times=1),)).settle()
    world.serve(desired=1)
    world.run(60)
    failed = world.call("ListTasks", cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"]
    shown = world.call("DescribeTasks", cluster=CLUSTER, tasks=failed)["tasks"][0]
    assert shown["stopCode"] == "TaskFailedToStart"
    assert shown["containers"][0]["reason"].startswith("CannotPullContainerError")
    world.run(200)
    assert world.healthy() == 1


def test_starts_that_keep_failing_are_tried_ever_more_rarely_and_keep_no_world_busy() -> None:
    world = World(task_faults=(TaskFault("start_fails"),)).settle()
    service = world.serve(desired=1)
    world.run()
    assert world.kernel.clock.elapsed < 60
    world.run(3600)
    stopped = world.call("ListTasks", cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"]
    assert 5 <= len(stopped) <= 9
    assert "SERVICE_TASK_START_IMPAIRED" in world.bus.names(service.arn)


@pytest.mark.parametrize("balanced", [True, False])
def test_a_replacement_that_never_gets_healthy_costs_no_healthy_task(balanced: bool) -> None:
    world = World(task_faults=(TaskFault("never_healthy", service="web"),))
    world.serve(desired=2, percents=(100, 200), balanced=balanced)
    world.settle()
    world.drain(world.host(0))
    world.run(1800)
    assert world.lowest() == 2
    assert any(task.host is world.host(0) for task in world.wanted())


def test_an_unhealthy_task_that_served_is_replaced_by_starting_first() -> None:
    world = World()
    service = world.serve(desired=2, percents=(100, 200), balanced=True)
    world.settle()
    sick = first(world)
    sick.crashes = True
    target = sick.targets[0]
    world.elbv2.probe_changed(target.group_arn, target.target_id, target.port)
    world.run(25)
    assert sick.failing
    assert sick.wanted
    assert len(service.tasks) == 3
    world.run()
    assert not sick.wanted
    assert sick.stopped_reason is not None
    assert "health checks" in sick.stopped_reason
    assert world.healthy() == 2
    assert world.ecs.losses[0].cause is None


def test_an_unhealthy_task_is_stopped_first_where_there_is_no_room() -> None:
    world = World()
    service = world.serve(desired=2, percents=(50, 100), balanced=True)
    world.settle()
    sick = first(world)
    sick.crashes = True
    target = sick.targets[0]
    world.elbv2.probe_changed(target.group_arn, target.target_id, target.port)
    world.run(25)
    assert not sick.wanted
    world.run()
    assert len(service.tasks) == 2
    assert world.healthy() == 2


def test_the_grace_period_ignores_unhealthy_checks_after_the_start() -> None:
    world = World(task_faults=(TaskFault("never_healthy", until=100.0),)).settle()
    world.serve(desired=1, balanced=True, healthCheckGracePeriodSeconds=600)
    world.run(300)
    task = first(world)
    assert task.wanted
    assert world.healthy() == 0
    world.run(400)
    assert not task.wanted


def test_events_look_like_the_sample() -> None:
    """Every member of the documented example of a stopped task is there, and the same kind of value."""
    world = World().settle()
    world.serve(desired=1, balanced=True)
    world.run()
    task = first(world)
    world.update(desiredCount=0)
    world.run()
    detail = world.bus.of("ECS Task State Change", task.arn)[-1]
    sample = json.loads((Path(__file__).parent / "task_stopped_sample.json").read_text())
    assert set(sample) <= set(detail)
    assert {name: type(value) for name, value in sample.items()} == {name: type(detail[name]) for name in sample}
    json.dumps(detail)


def test_an_application_has_its_own_times_and_a_job_ends_by_itself() -> None:
    behaviours = {"job": Behaviour(start=10.0, stop=3.0, run_for=100.0)}
    world = World(hosts=1, behaviours=behaviours).settle()
    world.define("job")
    arn = world.call("RunTask", cluster=CLUSTER, taskDefinition="job")["tasks"][0]["taskArn"]
    world.run(300)
    task = world.call("DescribeTasks", cluster=CLUSTER, tasks=[arn])["tasks"][0]
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "EssentialContainerExited")
    assert (task["stoppingAt"] - task["startedAt"]).total_seconds() == 100
    assert (task["startedAt"] - task["pullStoppedAt"]).total_seconds() == 11  # ACTIVATING takes one of them
    assert task["containers"][0]["exitCode"] == 0
