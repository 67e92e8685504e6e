"""Container instances: how they come and go, and what their agents do."""

from __future__ import annotations

import pytest
from ecs_world import CLUSTER, OPERATOR, World

from twin.ecs import AgentFault
from twin.errors import AwsError


def end(world: World, number: int) -> None:
    world.call("TerminateInstances", "ec2", caller=OPERATOR, InstanceIds=[world.instances[number].instance_id])


def test_a_new_host_registers_gets_its_daemon_and_says_so() -> None:
    world = World(hosts=1)
    daemon = world.serve("agent", None, schedulingStrategy="DAEMON")
    world.settle()
    world.add_host("b")
    world.run()
    host = world.host(1)
    assert (host.status, host.agent_connected, host.cpu) == ("ACTIVE", True, 2048)
    assert host.memory == 7761
    assert daemon.desired == 2
    assert world.healthy("agent") == 2
    events = world.bus.of("ECS Container Instance State Change", host.arn)
    assert [detail["version"] for detail in events] == list(range(1, len(events) + 1))
    assert events[0]["status"] == "ACTIVE"
    assert world.bus.of("ECS Service Action")[0]["eventName"] == "SERVICE_DESIRED_COUNT_UPDATED"


def test_a_terminated_instance_with_its_agent_connected_becomes_inactive_and_its_tasks_stopped() -> None:
    world = World()
    service = world.serve(desired=4, balanced=True)
    world.settle()
    host = world.host(0)
    tasks = list(host.tasks.values())
    end(world, 0)
    # the containers are gone at once, whatever ECS believes
    assert world.healthy() == 4 - len(tasks)
    assert world.shown()["runningCount"] == 4
    loss = world.ecs.losses[0]
    assert loss.cause is not None
    assert (loss.cause.operation, loss.cause.caller) == ("TerminateInstances", OPERATOR)
    world.run()
    assert host.status == "INACTIVE"
    assert all(task.last_status == "STOPPED" for task in tasks)
    assert all(task.stopped_reason == f"Host EC2 (instance {host.instance_id}) terminated." for task in tasks)
    assert world.healthy() == 4
    assert len(service.tasks) == 4
    listed = world.call("ListContainerInstances", cluster=CLUSTER)["containerInstanceArns"]
    assert host.arn not in listed


def test_a_terminated_instance_whose_agent_is_disconnected_stays_registered_and_its_tasks_never_stop() -> None:
    world = World(agent_faults=(AgentFault("disconnects", after=10.0),))
    world.serve(desired=2)
    world.settle()
    world.run(20)
    host = world.host(0)
    task = next(iter(host.tasks.values()))
    assert not host.agent_connected
    end(world, 0)
    world.run(7200)
    assert host.status == "ACTIVE"
    assert (task.last_status, task.wanted) == ("RUNNING", True)
    assert world.healthy() == 1


def test_a_stopped_instance_keeps_its_registration_when_it_is_terminated() -> None:
    world = World()
    world.serve(desired=2)
    world.settle()
    host = world.host(0)
    world.call("StopInstances", "ec2", caller=OPERATOR, InstanceIds=[host.instance_id])
    world.run()
    assert (host.status, host.agent_connected, dict(host.tasks)) == ("ACTIVE", False, {})
    assert world.healthy() == 2
    end(world, 0)
    world.run()
    assert host.status == "ACTIVE"


def test_tasks_of_a_disconnected_agent_report_nothing_until_it_is_back() -> None:
    world = World(hosts=2, agent_faults=(AgentFault("disconnects", after=10.0, seconds=1000.0),))
    world.serve(desired=2)
    world.settle()
    world.run(20)
    task = world.wanted()[0]
    world.call("StopTask", cluster=CLUSTER, task=task.arn)
    world.run(500)
    assert (task.last_status, task.desired_status) == ("RUNNING", "STOPPED")
    world.run(1000)
    assert task.last_status == "STOPPED"


def test_no_task_is_placed_on_a_host_whose_agent_is_away() -> None:
    fault = AgentFault("never_connects")
    world = World(hosts=0, agent_faults=(fault,)).settle()
    world.add_host("a")
    world.run()
    assert (world.host(0).status, world.host(0).agent_connected) == ("ACTIVE", False)
    service = world.serve(desired=1)
    world.run(30)
    assert not service.tasks
    failure = world.bus.of("ECS Service Action", service.arn)[-1]
    assert (failure["eventName"], failure["reason"]) == ("SERVICE_TASK_PLACEMENT_FAILURE", "AGENT")


def test_an_agent_that_never_registers_leaves_no_container_instance() -> None:
    world = World(hosts=0, agent_faults=(AgentFault("never_registers"),)).settle()
    world.add_host("a")
    world.run()
    assert world.call("ListContainerInstances", cluster=CLUSTER)["containerInstanceArns"] == []


def test_agents_flap_in_the_background_a_few_times_an_hour() -> None:
    world = World(hosts=1, agent_flaps_per_hour=3.0).settle()
    world.run()
    assert world.kernel.clock.elapsed == 0  # flaps keep no world busy
    world.run(6 * 3600)
    events = world.bus.of("ECS Container Instance State Change", world.host(0).arn)
    away = [detail for detail in events if not detail["agentConnected"]]
    assert 8 <= len(away) <= 30
    assert events[-1]["agentConnected"]


def test_deregistering_needs_force_while_tasks_run() -> None:
    world = World()
    world.serve(desired=4)
    world.settle()
    with pytest.raises(AwsError, match="Found running tasks"):
        world.call("DeregisterContainerInstance", cluster=CLUSTER, containerInstance=world.host(0).arn)


@pytest.mark.parametrize("stops", [True, False])
def test_what_force_does_to_the_tasks_is_the_worlds_choice(stops: bool) -> None:
    world = World(deregister_force_stops_tasks=stops)
    world.serve(desired=4, balanced=True)
    world.settle()
    host = world.host(0)
    arns = list(host.tasks)
    answer = world.call(
        "DeregisterContainerInstance", caller=OPERATOR, cluster=CLUSTER, containerInstance=host.arn, force=True
    )
    assert answer["containerInstance"]["status"] == "INACTIVE"
    world.run()
    assert world.healthy() == 4
    shown = world.call("DescribeTasks", cluster=CLUSTER, tasks=arns)
    if stops:
        assert [task["lastStatus"] for task in shown["tasks"]] == ["STOPPED"] * len(arns)
    else:
        assert [failure["reason"] for failure in shown["failures"]] == ["MISSING"] * len(arns)
    assert {loss.cause.operation for loss in world.ecs.losses if loss.cause} == {"DeregisterContainerInstance"}


def test_an_inactive_instance_can_still_be_described() -> None:
    world = World().settle()
    host = world.host(0)
    world.call("DeregisterContainerInstance", cluster=CLUSTER, containerInstance=host.arn)
    shown = world.call("DescribeContainerInstances", cluster=CLUSTER, containerInstances=[host.arn])
    assert shown["containerInstances"][0]["status"] == "INACTIVE"


def test_an_instance_belongs_to_the_capacity_provider_of_its_group() -> None:
    world = World(hosts=0)
    group = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/blue"
    world.call("CreateCapacityProvider", name="blue-cp", autoScalingGroupProvider={"autoScalingGroupArn": group})
    world.call(
        "PutClusterCapacityProviders",
        cluster=CLUSTER,
        capacityProviders=["blue-cp"],
        defaultCapacityProviderStrategy=[],
    )
    world.add_host("a", tags={"aws:autoscaling:groupName": "blue"})
    world.add_host("b")
    world.settle()
    assert [world.host(number).capacity_provider for number in (0, 1)] == ["blue-cp", None]


def test_managed_draining_waits_for_every_task_but_daemons() -> None:
    world = World(hosts=2)
    world.serve(desired=2)
    world.serve("agent", None, schedulingStrategy="DAEMON")
    world.settle()
    done: list[float] = []
    host = world.host(0)
    world.ecs.drain(host.instance_id, lambda: done.append(world.kernel.clock.elapsed))
    assert host.status == "DRAINING"
    world.run()
    assert len(done) == 1
    assert not host.tasks


def test_flaps_of_many_agents_keep_no_world_busy() -> None:
    world = World(hosts=50, agent_flaps_per_hour=60.0)
    world.serve(desired=2)
    world.serve("agent", None, schedulingStrategy="DAEMON")
    world.settle()
    world.drain(world.host(0))
    world.run()
    assert not world.host(0).tasks
    assert world.kernel.clock.elapsed < 600
