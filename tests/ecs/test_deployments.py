"""Rolling deployments, scaling, and which members of UpdateService start a deployment."""

from __future__ import annotations

import pytest
from ecs_world import CLUSTER, OPERATOR, World

from twin.ecs import TaskFault
from twin.errors import AwsError, Unmodelled

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


def deployments(world: World) -> list[dict[str, object]]:
    found: list[dict[str, object]] = world.call("ListServiceDeployments", cluster=CLUSTER, service="web")[
        "serviceDeployments"
    ]
    return found


def test_a_change_of_percents_alone_starts_no_deployment_and_moves_no_task() -> None:
    world = World()
    service = world.serve(desired=2, percents=(50, 100))
    world.settle()
    before = set(service.tasks)
    world.update(deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 200})
    world.run()
    assert set(service.tasks) == before
    assert len(deployments(world)) == 1
    assert world.shown()["deploymentConfiguration"]["maximumPercent"] == 200
    assert world.bus.of("ECS Deployment State Change") == []


@pytest.mark.parametrize(("resets", "maximum"), [(True, 200), (False, 150)])
def test_members_left_out_of_the_configuration_are_the_worlds_choice(resets: bool, maximum: int) -> None:
    world = World(partial_configuration_resets=resets)
    world.serve(percents=(50, 150))
    world.settle()
    world.update(deploymentConfiguration={"minimumHealthyPercent": 75})
    assert world.shown()["deploymentConfiguration"]["maximumPercent"] == maximum


@pytest.mark.parametrize("change", ["force", "definition"])
def test_a_deployment_replaces_every_task_within_the_limits(change: str) -> None:
    world = World()
    service = world.serve(desired=4, percents=(100, 150), balanced=True)
    new = world.define("web", cpu=256)
    world.settle()
    before = set(service.tasks)
    if change == "force":
        world.update(forceNewDeployment=True)
    else:
        world.update(taskDefinition="web")
    assert [one["status"] for one in world.shown()["deployments"]] == ["PRIMARY", "ACTIVE"]
    world.run()
    assert not before & set(service.tasks)
    assert world.lowest() == 4
    assert service.primary is not None
    assert service.primary.rollout == "COMPLETED"
    assert (service.primary.definition.arn == new) is (change == "definition")
    states = [one["eventName"] for one in world.bus.of("ECS Deployment State Change")]
    assert states == ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"]
    assert [one["status"] for one in deployments(world)] == ["SUCCESSFUL", "SUCCESSFUL"]
    assert world.ecs.losses
    assert all(loss.cause is not None and loss.cause.operation == "UpdateService" for loss in world.ecs.losses)


def test_the_same_task_definition_is_no_deployment() -> None:
    world = World()
    service = world.serve()
    world.settle()
    world.update(taskDefinition="web:1")
    world.run()
    assert len(service.history) == 1


def test_the_circuit_breaker_fails_a_deployment_and_rolls_back() -> None:
    world = World(task_faults=(TaskFault("start_fails", family="bad"),))
    service = world.serve(desired=2, deploymentConfiguration=BREAKER)
    world.define("bad")
    world.settle()
    world.update(taskDefinition="bad")
    world.run(900)
    assert world.lowest() == 2
    assert service.primary is not None
    assert service.primary.definition.family == "web"
    assert service.primary.rollout == "COMPLETED"
    assert [one["status"] for one in deployments(world)] == ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]
    states = [one["eventName"] for one in world.bus.of("ECS Deployment State Change")]
    assert states == [
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "SERVICE_DEPLOYMENT_FAILED",
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "SERVICE_DEPLOYMENT_COMPLETED",
    ]


def test_a_failed_deployment_without_rollback_leaves_the_old_tasks_alone() -> None:
    world = World(task_faults=(TaskFault("start_fails", family="bad"),))
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    service = world.serve(desired=2, deploymentConfiguration=breaker)
    old = set(service.tasks)
    world.define("bad")
    world.settle()
    world.update(taskDefinition="bad")
    world.run(900)
    assert set(service.tasks) == old
    assert [one["rolloutState"] for one in world.shown()["deployments"]] == ["FAILED", "COMPLETED"]


def test_a_second_deployment_supersedes_the_one_in_progress() -> None:
    world = World()
    world.serve(desired=2)
    world.settle()
    world.update(forceNewDeployment=True)
    world.run(5)
    world.update(forceNewDeployment=True)
    world.run()
    assert [one["status"] for one in deployments(world)] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]
    in_progress = world.call("ListServiceDeployments", cluster=CLUSTER, service="web", status=["IN_PROGRESS"])
    assert in_progress["serviceDeployments"] == []


def test_desired_count_up_and_down() -> None:
    world = World()
    service = world.serve(desired=2)
    world.settle()
    world.update(desiredCount=5)
    world.run()
    assert world.healthy() == 5
    world.update(desiredCount=1)
    world.run()
    assert world.healthy() == 1
    assert len(service.history) == 1
    assert world.ecs.losses[-1].cause is not None
    assert world.ecs.losses[-1].cause.caller == OPERATOR


def test_scale_in_takes_from_the_fullest_zone_and_host() -> None:
    world = World(hosts=3, zones="ab")  # a, b, a
    world.serve(desired=4, availabilityZoneRebalancing="DISABLED")
    world.settle()
    counts = {zone: sum(task.zone == f"us-east-1{zone}" for task in world.wanted()) for zone in "ab"}
    assert counts == {"a": 2, "b": 2}
    world.drain(world.host(1))
    world.run()
    world.activate(world.host(1))
    world.update(desiredCount=5)
    world.run()
    world.update(desiredCount=3)
    world.run()
    assert sorted(task.zone or "" for task in world.wanted()) == ["us-east-1a", "us-east-1a", "us-east-1b"]


def test_delete_needs_force_or_no_tasks_and_ends_inactive() -> None:
    world = World()
    service = world.serve(desired=1)
    world.settle()
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call("DeleteService", cluster=CLUSTER, service="web")
    world.call("DeleteService", cluster=CLUSTER, service="web", force=True)
    assert world.shown()["status"] == "DRAINING"
    world.run()
    assert world.shown()["status"] == "INACTIVE"
    assert not service.tasks
    assert world.call("ListServices", cluster=CLUSTER)["serviceArns"] == []
    with pytest.raises(AwsError, match="ServiceNotActiveException"):
        world.update(desiredCount=1)


@pytest.mark.parametrize("controller", ["CODE_DEPLOY", "EXTERNAL"])
def test_other_controllers_drain_by_the_defaults_and_refuse_percents(controller: str) -> None:
    world = World()
    service = world.serve(desired=2, deploymentController={"type": controller})
    world.settle()
    shown = world.shown()
    assert (service.minimum, service.maximum) == (100, 200)
    assert shown["deployments"] == []
    assert shown["taskSets"][0]["runningCount"] == 2
    for params in (
        {"deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 200}},
        {"forceNewDeployment": True},
        {"taskDefinition": "web"},
    ):
        with pytest.raises(AwsError, match="InvalidParameterException"):
            world.update(**params)
    world.drain(world.host(0))
    world.run()
    assert world.lowest() == 2
    world.update(desiredCount=3)
    world.run()
    assert world.healthy() == 3


def test_an_external_service_gets_tasks_only_from_the_builder_of_a_world() -> None:
    world = World()
    definition = world.define("web")
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call(
            "CreateService",
            caller=OPERATOR,
            cluster=CLUSTER,
            serviceName="web",
            desiredCount=1,
            taskDefinition=definition,
            deploymentController={"type": "EXTERNAL"},
        )


@pytest.mark.parametrize(
    "params",
    [
        {"deploymentConfiguration": {"minimumHealthyPercent": 101}},
        {"deploymentConfiguration": {"minimumHealthyPercent": -1}},
        {"deploymentConfiguration": {"maximumPercent": 99}},
        {
            "deploymentConfiguration": {"minimumHealthyPercent": 50},
            "placementConstraints": [{"type": "memberOf", "expression": "nonsense"}],
        },
        {"healthCheckGracePeriodSeconds": 7, "capacityProviderStrategy": [{"capacityProvider": "x", "weight": 1}]},
        {"desiredCount": -1},
        {"desiredCount": 5001},
        {"placementStrategy": [{"type": "spread", "field": "instanceId"}] * 6},
        {"placementConstraints": [{"type": "distinctInstance", "expression": "agentConnected == true"}]},
        {"placementConstraints": [{"type": "memberOf"}]},
        {"placementConstraints": [{"type": "memberOf", "expression": "nonsense"}]},
        {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a"]}}},
    ],
)
def test_invalid_updates_are_refused_and_change_nothing(params: dict[str, object]) -> None:
    world = World()
    world.serve()
    world.settle()
    before = world.shown()
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.update(**params)
    assert world.shown() == before


def test_both_percents_at_100_are_the_worlds_choice() -> None:
    world = World(both_percents_100_refused=True)
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.serve(percents=(100, 100))


@pytest.mark.parametrize(
    "configuration",
    [
        {"earlySuccessCriteria": {"enable": True, "healthyPercent": 100, "sourceServiceRevisionCleanup": "DEFERRED"}},
        {"lifecycleHooks": [{"hookTargetArn": "a", "roleArn": "b", "lifecycleStages": ["PRE_SCALE_UP"]}]},
    ],
)
def test_deployments_that_are_not_modelled_fail_loudly(configuration: dict[str, object]) -> None:
    world = World()
    world.serve()
    with pytest.raises(Unmodelled):
        world.update(deploymentConfiguration=configuration)


def test_a_service_of_an_unknown_name_and_a_cluster_of_an_unknown_name() -> None:
    world = World()
    with pytest.raises(AwsError, match="ServiceNotFoundException"):
        world.update("none", desiredCount=1)
    with pytest.raises(AwsError, match="ClusterNotFoundException"):
        world.call("UpdateService", cluster="none", service="web", desiredCount=1)
