"""Task sets of services with the EXTERNAL controller."""

from __future__ import annotations

from typing import Any

import pytest
from native_stage import CLUSTER, OPERATOR, Release

from twin.errors import AwsError, Unmodelled


class External(Release):
    """`web` with an EXTERNAL controller: tasks come from task sets only."""

    def up_external(self, desired: int = 4) -> External:
        for family in ("web", "next"):
            self.define(family)
        self.call(
            "CreateService",
            caller=OPERATOR,
            cluster=CLUSTER,
            serviceName="web",
            desiredCount=desired,
            deploymentController={"type": "EXTERNAL"},
        )
        self.settle()
        return self

    def ask(self, operation: str, **params: Any) -> dict[str, Any]:
        answer = self.call(operation, caller=OPERATOR, cluster=CLUSTER, service="web", **params)
        found: dict[str, Any] = answer.get("taskSet", answer)
        return found

    def create(self, family: str = "web", scale: float = 100.0, group: int | None = 0, **more: Any) -> dict[str, Any]:
        if group is not None:
            item = {"targetGroupArn": self.groups[group], "containerName": "app", "containerPort": 80}
            more["loadBalancers"] = [item]
        return self.ask("CreateTaskSet", taskDefinition=family, scale={"value": scale, "unit": "PERCENT"}, **more)

    def sets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("DescribeTaskSets")["taskSets"]
        return found


def test_a_task_set_runs_its_share_of_the_desired_count_rounded_up() -> None:
    world = External().up_external(desired=5)
    made = world.create(scale=30.0)
    assert (made["status"], made["computedDesiredCount"], made["stabilityStatus"]) == ("ACTIVE", 2, "STABILIZING")
    assert made["taskSetArn"] == world.kernel.arn("ecs", f"task-set/{CLUSTER}/web/{made['id']}")
    world.run()
    (shown,) = world.sets()
    assert (shown["runningCount"], shown["pendingCount"], shown["stabilityStatus"]) == (2, 0, "STEADY_STATE")
    assert shown["scale"] == {"value": 30.0, "unit": "PERCENT"}
    assert world.healthy() == 2
    assert {task.started_by for task in world.wanted()} == {made["id"]}


def test_two_sets_run_beside_each_other_in_their_own_target_groups() -> None:
    world = External().up_external(desired=2)
    blue, green = world.create("web", group=0), world.create("next", group=1)
    world.run()
    tasks = world.groups_of_tasks()
    assert tasks == {blue["taskDefinition"]: [world.groups[0]], green["taskDefinition"]: [world.groups[1]]}
    for task in world.wanted():
        for target in task.targets:
            assert world.ecs.task_definition_of_target(*target.key) == task.definition.arn
            arns = {blue["taskDefinition"]: blue["taskSetArn"], green["taskDefinition"]: green["taskSetArn"]}
            assert world.ecs.revision_of_target(*target.key) == arns[task.definition.arn]


def test_scaling_a_set_leaves_the_other_alone_and_names_its_cause() -> None:
    world = External().up_external(desired=4)
    blue, green = world.create("web", group=0), world.create("next", scale=25.0, group=1)
    world.run()
    assert [one["runningCount"] for one in world.sets()] == [4, 1]
    scaled = world.ask("UpdateTaskSet", taskSet=green["id"], scale={"value": 100.0, "unit": "PERCENT"})
    assert (scaled["computedDesiredCount"], scaled["stabilityStatus"]) == (4, "STABILIZING")
    world.run()
    assert [one["runningCount"] for one in world.sets()] == [4, 4]
    world.ask("UpdateTaskSet", taskSet=blue["taskSetArn"], scale={"value": 0.0, "unit": "PERCENT"})
    world.run()
    assert [one["runningCount"] for one in world.sets()] == [0, 4]
    assert {loss.cause.operation for loss in world.ecs.losses if loss.cause} == {"UpdateTaskSet"}


def test_the_desired_count_of_the_service_scales_every_set() -> None:
    world = External().up_external(desired=2)
    world.create("web", group=0)
    world.create("next", scale=50.0, group=1)
    world.run()
    world.update(desiredCount=4)
    world.run()
    assert [one["runningCount"] for one in world.sets()] == [4, 2]


def test_the_primary_set_is_what_the_service_shows() -> None:
    world = External().up_external(desired=2)
    blue, green = world.create("web", group=0), world.create("next", group=1)
    assert "taskDefinition" not in world.shown()
    assert world.ask("UpdateServicePrimaryTaskSet", primaryTaskSet=blue["id"])["status"] == "PRIMARY"
    assert world.shown()["taskDefinition"] == blue["taskDefinition"]
    world.ask("UpdateServicePrimaryTaskSet", primaryTaskSet=green["taskSetArn"])
    shown = world.shown()
    assert shown["taskDefinition"] == green["taskDefinition"]
    assert shown["loadBalancers"][0]["targetGroupArn"] == world.groups[1]
    assert [(one["id"], one["status"]) for one in shown["taskSets"]] == [
        (green["id"], "PRIMARY"),
        (blue["id"], "ACTIVE"),
    ]


def test_a_set_above_zero_is_deleted_by_force_only_and_drains() -> None:
    world = External().up_external(desired=2)
    made = world.create()
    world.run()
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.ask("DeleteTaskSet", taskSet=made["id"])
    assert world.ask("DeleteTaskSet", taskSet=made["id"], force=True)["status"] == "DRAINING"
    world.run(10)
    assert [one["status"] for one in world.sets()] == ["DRAINING"]
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.ask("UpdateTaskSet", taskSet=made["id"], scale={"value": 100.0, "unit": "PERCENT"})
    world.run()
    assert world.sets() == []
    assert world.service().tasks == {}


def test_a_set_at_zero_is_deleted_without_force() -> None:
    world = External().up_external()
    made = world.create(scale=0.0)
    world.ask("DeleteTaskSet", taskSet=made["id"])
    world.run()
    assert world.sets() == []
    with pytest.raises(AwsError, match="TaskSetNotFoundException"):
        world.ask("DeleteTaskSet", taskSet=made["id"])


def test_draining_a_host_replaces_the_tasks_of_each_set_by_the_default_percents() -> None:
    world = External(hosts=6).up_external(desired=2)
    world.create("web", group=0)
    world.create("next", group=1)
    world.run()
    world.drain(world.host(0), world.host(1))
    world.run(3)
    assert "STABILIZING" in [one["stabilityStatus"] for one in world.sets()]
    world.run()
    assert [one["runningCount"] for one in world.sets()] == [2, 2]
    assert world.lowest() == 4


def test_a_deleted_service_ends_with_its_sets() -> None:
    world = External().up_external(desired=2)
    world.create()
    world.run()
    world.call("DeleteService", cluster=CLUSTER, service="web", force=True)
    world.run()
    assert world.shown()["status"] == "INACTIVE"
    with pytest.raises(AwsError, match="ServiceNotActiveException"):
        world.create()


def test_the_same_client_token_makes_one_set() -> None:
    world = External().up_external()
    one, other = world.create(clientToken="a"), world.create(clientToken="a")
    assert one["id"] == other["id"]
    assert len(world.sets()) == 1
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.create(clientToken="a", scale=50.0)


def test_sets_are_described_by_id_or_arn_with_failures_and_tags() -> None:
    world = External().up_external()
    made = world.create(externalId="release-7", tags=[{"key": "a", "value": "b"}])
    world.create("next", group=1)
    with world.gateway.intercepted():
        client = world.gateway.client("ecs", OPERATOR)
        answer = client.describe_task_sets(
            cluster=CLUSTER, service="web", taskSets=[made["taskSetArn"], "ecs-svc/1"], include=["TAGS"]
        )
    assert [one["id"] for one in answer["taskSets"]] == [made["id"]]
    assert answer["taskSets"][0]["externalId"] == "release-7"
    assert answer["taskSets"][0]["tags"] == [{"key": "a", "value": "b"}]
    missing = world.kernel.arn("ecs", f"task-set/{CLUSTER}/web/ecs-svc/1")
    assert answer["failures"] == [{"arn": missing, "reason": "MISSING"}]


def test_at_most_five_sets() -> None:
    world = External().up_external(desired=0)
    for _ in range(5):
        world.create()
    with pytest.raises(AwsError, match="LimitExceededException"):
        world.create()


def test_what_the_api_refuses() -> None:
    world = External().up_external()
    world.serve("rolling")
    with pytest.raises(AwsError, match="EXTERNAL"):
        world.call("DescribeTaskSets", cluster=CLUSTER, service="rolling")
    with pytest.raises(AwsError, match="scale"):
        world.create(scale=100.5)
    item = {"targetGroupArn": world.groups[0], "containerName": "app", "containerPort": 81}
    with pytest.raises(AwsError, match="container port"):
        world.create(group=None, loadBalancers=[item])
    with pytest.raises(Unmodelled, match="scale"):
        world.ask("CreateTaskSet", taskDefinition="web")
    with pytest.raises(AwsError, match="UnsupportedFeatureException"):
        world.call("ListServiceDeployments", cluster=CLUSTER, service="web")
