"""Task protection: UpdateTaskProtection, GetTaskProtection."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ecs_world import CLUSTER, START, World

from twin.ecs.model import Task
from twin.errors import AwsError


def protect(world: World, *tasks: Task, enabled: bool = True, **params: int) -> dict[str, list[dict[str, object]]]:
    return world.call(
        "UpdateTaskProtection", cluster=CLUSTER, tasks=[task.arn for task in tasks], protectionEnabled=enabled, **params
    )


def test_it_lasts_two_hours_unless_told_otherwise_and_expires() -> None:
    world = World()
    world.serve(desired=2)
    world.settle()
    one, two = world.wanted()
    answer = protect(world, one)
    assert answer["protectedTasks"][0]["expirationDate"] == START + timedelta(hours=2)
    protect(world, two, expiresInMinutes=1)
    world.run(61)
    shown = world.call("GetTaskProtection", cluster=CLUSTER, tasks=[one.arn, two.arn])["protectedTasks"]
    assert [item["protectionEnabled"] for item in shown] == [True, False]


def test_protected_tasks_are_spared_by_scale_in_until_it_expires() -> None:
    world = World()
    world.serve(desired=3)
    world.settle()
    kept = world.wanted()[0]
    protect(world, kept, expiresInMinutes=10)
    world.update(desiredCount=0)
    world.run()
    assert world.wanted() == [kept]
    world.run(601)
    assert world.wanted() == []


def test_protected_tasks_hold_a_deployment_up() -> None:
    world = World()
    service = world.serve(desired=2)
    world.settle()
    kept, other = world.wanted()
    protect(world, kept)
    world.update(forceNewDeployment=True)
    world.run()
    assert kept.wanted
    assert not other.wanted
    assert service.primary is not None
    assert service.primary.rollout == "IN_PROGRESS"
    protect(world, kept, enabled=False)
    world.run()
    assert service.primary.rollout == "COMPLETED"


@pytest.mark.parametrize("holds", [True, False])
def test_whether_it_holds_against_draining_is_the_worlds_choice(holds: bool) -> None:
    world = World(hosts=2, protection_holds_draining=holds)
    world.serve(desired=1)
    world.settle()
    (task,) = world.wanted()
    protect(world, task)
    world.drain(*world.hosts_of([task]))
    world.run()
    assert task.wanted is holds


def test_standalone_and_unknown_tasks_are_failures() -> None:
    world = World()
    job = world.define("job")
    world.settle()
    arn = world.call("RunTask", cluster=CLUSTER, taskDefinition=job)["tasks"][0]["taskArn"]
    unknown = arn[:-32] + "f" * 32
    answer = world.call("UpdateTaskProtection", cluster=CLUSTER, tasks=[arn, unknown], protectionEnabled=True)
    assert answer["protectedTasks"] == []
    assert sorted(str(one["reason"]) for one in answer["failures"]) == ["MISSING", "TASK_NOT_VALID"]


def test_a_deployment_that_protected_tasks_block_takes_no_more_of_them() -> None:
    world = World()
    world.serve(desired=3, percents=(100, 134))
    world.settle()
    one, two, _ = world.wanted()
    protect(world, one)
    world.update(forceNewDeployment=True)
    assert protect(world, two)["failures"] == [{"arn": two.arn, "reason": "DEPLOYMENT_BLOCKED"}]


def test_limits() -> None:
    world = World()
    world.serve(desired=1)
    world.settle()
    (task,) = world.wanted()
    for params in ({"expiresInMinutes": 0}, {"expiresInMinutes": 2881}):
        with pytest.raises(AwsError, match="InvalidParameterException"):
            protect(world, task, **params)
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call("UpdateTaskProtection", cluster=CLUSTER, tasks=["a"] * 11, protectionEnabled=True)
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call("GetTaskProtection", cluster=CLUSTER, tasks=["a"] * 101)
