"""DRAINING, as UpdateContainerInstancesState documents it."""

from __future__ import annotations

import pytest
from ecs_world import CLUSTER, DRAINER, World

from twin.errors import AwsError


def drained(world: World, number: int = 0) -> None:
    world.settle()
    world.drain(world.host(number))
    world.run()


@pytest.mark.parametrize(("percents", "desired"), [((100, 200), 1), ((100, 200), 5), ((100, 150), 2), ((100, 150), 5)])
def test_minimum_100_with_room_starts_first_and_loses_nothing(percents: tuple[int, int], desired: int) -> None:
    world = World()
    service = world.serve(desired=desired, percents=percents, balanced=True)
    drained(world)
    assert not [task for task in service.tasks.values() if task.host is world.host(0)]
    assert world.lowest() == desired
    assert world.healthy() == desired


@pytest.mark.parametrize(("percents", "desired"), [((100, 100), 2), ((100, 150), 1), ((100, 100), 5)])
def test_no_room_to_start_and_none_to_stop_never_ends(percents: tuple[int, int], desired: int) -> None:
    world = World()
    service = world.serve(desired=desired, percents=percents)
    before = set(service.tasks)
    drained(world)
    world.run(7200)
    assert set(service.tasks) == before
    assert world.ecs.losses == []


@pytest.mark.parametrize(
    ("percents", "desired", "lowest"), [((50, 100), 2, 1), ((0, 100), 1, 0), ((50, 200), 2, 1), ((0, 200), 1, 0)]
)
def test_a_minimum_below_100_stops_first(percents: tuple[int, int], desired: int, lowest: int) -> None:
    world = World(hosts=2)
    world.serve(desired=desired, percents=percents, balanced=True)
    drained(world)
    assert world.lowest() == lowest
    assert world.healthy() == desired
    assert not world.host(0).tasks


def test_a_minimum_that_rounds_up_to_desired_cannot_stop_first() -> None:
    # ceil(2 x 75 %) = 2
    world = World(hosts=2)
    service = world.serve(desired=2, percents=(75, 100))
    drained(world)
    assert service.lower_limit == 2
    assert any(task.host is world.host(0) for task in service.tasks.values())


def test_with_maximum_100_the_replacement_waits_until_the_old_task_has_stopped() -> None:
    world = World(hosts=2)
    service = world.serve(desired=1, percents=(0, 100), balanced=True)
    old = next(iter(service.tasks.values()))
    world.settle()
    assert old.host is not None
    world.drain(old.host)
    world.run(20)
    assert old.last_status == "DEACTIVATING"
    assert list(service.tasks.values()) == [old]
    world.run()
    new = next(iter(service.tasks.values()))
    assert old.stopped_at is not None
    assert new.created_at >= old.stopped_at


def test_pending_service_tasks_are_stopped_at_once_and_standalone_ones_left_alone() -> None:
    world = World(hosts=1)
    job = world.define("job")
    world.settle()
    world.serve(desired=1)
    world.call("RunTask", cluster=CLUSTER, taskDefinition=job, caller=DRAINER)
    world.run(5)
    host = world.host(0)
    service_task = world.wanted()[0]
    assert service_task.last_status == "PENDING"
    world.drain(host)
    world.run(2)
    assert service_task.desired_status == "STOPPED"
    world.run(300)
    standalone = [task for task in host.tasks.values() if task.service is None]
    assert [(task.last_status, task.desired_status) for task in standalone] == [("RUNNING", "RUNNING")]


def test_nothing_new_is_placed_on_a_draining_host() -> None:
    world = World(hosts=2).settle()
    world.drain(world.host(0))
    world.serve(desired=6)
    world.run()
    assert {host.number for host in world.hosts_of(world.wanted())} == {world.host(1).number}


def test_daemon_tasks_stop_last_and_their_desired_count_follows() -> None:
    world = World(hosts=2)
    world.serve(desired=2, balanced=True)
    daemon = world.serve("agent", None, schedulingStrategy="DAEMON")
    assert daemon.desired == 2
    world.settle()
    host = world.host(0)
    own = [task for task in host.tasks.values() if task.service is daemon]
    others = [task for task in host.tasks.values() if task.service is not daemon]
    world.drain(host)
    world.run(3)
    assert daemon.desired == 1
    assert own[0].wanted
    world.run()
    assert own[0].stopping_at is not None
    assert all(task.stopped_at is not None and own[0].stopping_at >= task.stopped_at for task in others)
    assert not host.tasks


def test_a_daemon_task_does_not_wait_for_standalone_tasks() -> None:
    world = World(hosts=1)
    daemon = world.serve("agent", None, schedulingStrategy="DAEMON")
    world.call("RunTask", cluster=CLUSTER, taskDefinition=world.define("job"))
    drained(world)
    assert not daemon.tasks
    assert len(world.host(0).tasks) == 1


def test_at_most_ten_instances_a_call() -> None:
    world = World(hosts=11).settle()
    hosts = [world.host(number) for number in range(11)]
    with pytest.raises(AwsError) as error:
        world.drain(*hosts)
    assert error.value.code == "InvalidParameterException"
    assert len(world.drain(*hosts[:10])["containerInstances"]) == 10


def test_unknown_and_inactive_instances_are_failures_beside_the_successes() -> None:
    world = World(hosts=2).settle()
    gone = world.host(1)
    world.call("DeregisterContainerInstance", cluster=CLUSTER, containerInstance=gone.arn)
    answer = world.call(
        "UpdateContainerInstancesState",
        cluster=CLUSTER,
        containerInstances=[world.host(0).id, gone.arn, "f" * 32],
        status="DRAINING",
    )
    assert [one["status"] for one in answer["containerInstances"]] == ["DRAINING"]
    assert sorted(failure["reason"] for failure in answer["failures"]) == ["INACTIVE", "MISSING"]


@pytest.mark.parametrize("refused", [False, True])
def test_draining_twice_is_the_worlds_choice(refused: bool) -> None:
    world = World(redrain_refused=refused).settle()
    world.drain(world.host(0))
    if refused:
        with pytest.raises(AwsError, match="InvalidParameterException"):
            world.drain(world.host(0))
    else:
        assert world.drain(world.host(0))["failures"] == []


def test_only_active_and_draining_can_be_asked_for() -> None:
    world = World(hosts=1).settle()
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call(
            "UpdateContainerInstancesState",
            cluster=CLUSTER,
            containerInstances=[world.host(0).arn],
            status="DEREGISTERING",
        )


def test_reactivating_moves_nothing_back_and_ends_the_surplus() -> None:
    world = World(hosts=2)
    service = world.serve(desired=2, percents=(100, 200), balanced=True, availabilityZoneRebalancing="DISABLED")
    world.settle()
    host = world.host(0)
    world.drain(host)
    world.run(20)
    assert len(service.tasks) == 3
    world.activate(host)
    world.run()
    assert len(service.tasks) == 2
    assert host.status == "ACTIVE"
    assert world.ecs.losses == []  # the replacement was not healthy yet: it is the one to go


def test_losses_name_the_drain_call_and_its_caller() -> None:
    world = World(hosts=2)
    service = world.serve(desired=2, percents=(50, 100))
    changes: list[tuple[int, object]] = []
    world.ecs.health_listeners.append(lambda change: changes.append((change.healthy, change.cause)))
    drained(world)
    loss = world.ecs.losses[0]
    assert (loss.healthy_before, loss.healthy_after, loss.service_arn) == (2, 1, service.arn)
    assert loss.cause is not None
    assert (loss.cause.operation, loss.cause.caller) == ("UpdateContainerInstancesState", DRAINER)
    assert "operator:drainer" in loss.text
    assert changes == [(1, loss.cause), (2, None)]


@pytest.mark.parametrize("counts", [True, False])
def test_whether_stopping_tasks_count_to_the_maximum_is_the_worlds_choice(counts: bool) -> None:
    world = World(hosts=2, stopping_counts_to_maximum=counts)
    service = world.serve(desired=1, percents=(0, 100), balanced=True)
    world.settle()
    world.drain(*world.hosts_of(world.wanted()))
    world.run(20)
    assert len(service.tasks) == (1 if counts else 2)
