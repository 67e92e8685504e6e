"""Limits, pages, errors, tags, rates; through boto3 clients and in process."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import CLUSTER, OPERATOR, World

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Caller

FUNCTION = Caller("function", "HostsPlanReplacement")


def all_pages(world: World, operation: str, member: str, **params: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while True:
        answer = world.call(operation, cluster=CLUSTER, **params, **token)
        pages.append(answer[member])
        if "nextToken" not in answer:
            return pages
        token = {"nextToken": answer["nextToken"]}


def full_world(tasks: int = 230) -> World:
    world = World(hosts=10, kind="m5.4xlarge")
    world.serve(desired=tasks, definition=world.define("small", cpu=16, memory=32))
    return world.settle()


def test_list_tasks_gives_pages_of_100_or_fewer() -> None:
    world = full_world()
    pages = all_pages(world, "ListTasks", "taskArns")
    assert [len(page) for page in pages] == [100, 100, 30]
    assert len({arn for page in pages for arn in page}) == 230
    assert [len(page) for page in all_pages(world, "ListTasks", "taskArns", maxResults=99)] == [99, 99, 32]
    for wrong in (0, 101):
        with pytest.raises(AwsError, match="InvalidParameterException"):
            world.call("ListTasks", cluster=CLUSTER, maxResults=wrong)
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call("ListTasks", cluster=CLUSTER, nextToken="rubbish")


def test_list_tasks_filters() -> None:
    world = World(hosts=2)
    web = world.serve("web", 4)
    world.serve("api", 2, definition=world.define("api"))
    job = world.define("job")
    world.call("RunTask", cluster=CLUSTER, taskDefinition=job, startedBy="me", count=3)
    world.settle()
    host = world.host(0)

    def count(**filters: str) -> int:
        return sum(len(page) for page in all_pages(world, "ListTasks", "taskArns", **filters))

    assert count() == 9
    assert count(serviceName="web") == count(serviceName=web.arn) == 4
    assert count(family="job") == count(startedBy="me") == 3
    assert count(containerInstance=host.arn) == count(containerInstance=host.id) == len(host.tasks)
    assert count(containerInstance=host.arn, serviceName="api") == 1
    assert count(containerInstance=host.arn, family="web") == 2
    assert count(desiredStatus="PENDING") == 0
    assert count(desiredStatus="STOPPED") == 0
    with pytest.raises(AwsError, match="ServiceNotFoundException"):
        count(serviceName="none")
    with pytest.raises(AwsError, match="InvalidParameterException"):
        count(startedBy="me", family="job")


def test_a_page_that_begins_after_a_task_that_has_gone_loses_and_repeats_nothing() -> None:
    world = full_world(150)
    first = world.call("ListTasks", cluster=CLUSTER)
    for arn in first["taskArns"][:60]:
        world.call("StopTask", cluster=CLUSTER, task=arn)
    second = world.call("ListTasks", cluster=CLUSTER, nextToken=first["nextToken"])
    assert len(second["taskArns"]) == 50
    assert not set(first["taskArns"]) & set(second["taskArns"])


def test_other_lists_have_their_own_page_sizes() -> None:
    world = World(hosts=3)
    for number in range(12):
        world.serve(f"s{number}", 0)
    assert [len(page) for page in all_pages(world, "ListServices", "serviceArns")] == [10, 2]
    assert [len(page) for page in all_pages(world, "ListServices", "serviceArns", maxResults=100)] == [12]
    daemons = all_pages(world, "ListServices", "serviceArns", schedulingStrategy="DAEMON")
    assert daemons == [[]]
    assert [len(page) for page in all_pages(world, "ListContainerInstances", "containerInstanceArns")] == [3]


@pytest.mark.parametrize(
    ("operation", "member", "limit"),
    [
        ("DescribeTasks", "tasks", 100),
        ("DescribeContainerInstances", "containerInstances", 100),
        ("DescribeServices", "services", 10),
    ],
)
def test_describe_calls_are_limited_and_name_what_is_missing(operation: str, member: str, limit: int) -> None:
    world = World(hosts=1)
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call(operation, cluster=CLUSTER, **{member: ["a"] * (limit + 1)})
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call(operation, cluster=CLUSTER, **{member: []})
    answer = world.call(operation, cluster=CLUSTER, **{member: ["a", "b"]})
    assert answer[member] == []
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING", "MISSING"]
    with pytest.raises(AwsError, match="ClusterNotFoundException"):
        world.call(operation, cluster="none", **{member: ["a"]})


def test_list_container_instances_filters_by_status_and_query() -> None:
    world = World(hosts=4).settle()
    world.drain(world.host(0))
    draining = all_pages(world, "ListContainerInstances", "containerInstanceArns", status="DRAINING")
    assert draining == [[world.host(0).arn]]
    query = "attribute:ecs.availability-zone == us-east-1b"
    zone_b = all_pages(world, "ListContainerInstances", "containerInstanceArns", filter=query)
    assert zone_b == [[world.host(1).arn, world.host(3).arn]]


def test_resources_are_given_back_when_tasks_stop() -> None:
    world = World(hosts=1)
    definition = world.define("web", container={"portMappings": [{"containerPort": 80, "hostPort": 8080}]})
    world.serve(desired=1, definition=definition)
    world.settle()

    def shown() -> dict[str, Any]:
        answer = world.call("DescribeContainerInstances", cluster=CLUSTER, containerInstances=[world.host(0).arn])
        found: dict[str, Any] = answer["containerInstances"][0]
        return found

    before = shown()
    left = {item["name"]: item for item in before["remainingResources"]}
    assert left["CPU"]["integerValue"] == 2048 - 128
    assert "8080" in left["PORTS"]["stringSetValue"]
    world.update(desiredCount=0)
    world.run()
    after = shown()
    left = {item["name"]: item for item in after["remainingResources"]}
    whole = {item["name"]: item for item in after["registeredResources"]}
    assert left == whole
    assert after["version"] > before["version"]


def test_tags_of_every_kind_of_resource() -> None:
    world = World(hosts=1)
    service = world.serve(desired=1)
    (task,) = world.wanted()
    arns = [service.arn, task.arn, world.host(0).arn, service.cluster.arn, task.definition.arn]
    for arn in arns:
        world.call("TagResource", resourceArn=arn, tags=[{"key": "team", "value": "shop"}])
        tags = world.call("ListTagsForResource", resourceArn=arn)["tags"]
        assert tags == [{"key": "team", "value": "shop"}]
        world.call("UntagResource", resourceArn=arn, tagKeys=["team"])
        assert world.call("ListTagsForResource", resourceArn=arn)["tags"] == []
    with pytest.raises(AwsError, match="InvalidParameterException"):
        world.call("ListTagsForResource", resourceArn=service.arn + "x")


def test_attributes_are_put_listed_and_limited() -> None:
    world = World(hosts=2)
    host = world.host(0)
    many = [{"name": f"n{number}", "value": "v", "targetId": host.arn} for number in range(11)]
    world.call("PutAttributes", cluster=CLUSTER, attributes=many[:10])
    with pytest.raises(AwsError, match="AttributeLimitExceededException"):
        world.call("PutAttributes", cluster=CLUSTER, attributes=many[10:])
    with pytest.raises(AwsError, match="TargetNotFoundException"):
        world.call("PutAttributes", cluster=CLUSTER, attributes=[{"name": "a", "targetId": "none"}])
    listed = world.call(
        "ListAttributes", cluster=CLUSTER, targetType="container-instance", attributeName="ecs.availability-zone"
    )
    assert [item["value"] for item in listed["attributes"]] == ["us-east-1a", "us-east-1b"]
    world.call("DeleteAttributes", cluster=CLUSTER, attributes=[{"name": "n0", "targetId": host.arn}])
    assert "n0" not in host.attributes


def test_task_definitions_have_revisions_and_defaults() -> None:
    world = World(hosts=0)
    world.define("web")
    second = world.define("web", cpu=10)
    assert second.endswith(":2")
    shown = world.call("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]
    assert (shown["revision"], shown["networkMode"], shown["status"]) == (2, "bridge", "ACTIVE")
    assert world.call("DescribeTaskDefinition", taskDefinition="web:1")["taskDefinition"]["revision"] == 1
    with pytest.raises(AwsError, match="ClientException"):
        world.call("DescribeTaskDefinition", taskDefinition="none")
    with pytest.raises(AwsError, match="ClientException"):
        world.call("RegisterTaskDefinition", family="f", containerDefinitions=[{"name": "a", "image": "b"}])


def test_run_task_is_idempotent_by_token() -> None:
    world = World(hosts=1)
    world.define("job")
    first = world.call("RunTask", cluster=CLUSTER, taskDefinition="job", clientToken="t")
    again = world.call("RunTask", cluster=CLUSTER, taskDefinition="job", clientToken="t")
    assert first["tasks"][0]["taskArn"] == again["tasks"][0]["taskArn"]
    with pytest.raises(AwsError, match="ConflictException"):
        world.call("RunTask", cluster=CLUSTER, taskDefinition="job", clientToken="t", count=2)


def test_rates_are_enforced_for_the_account_and_refill_with_time() -> None:
    world = World(hosts=1)
    world.serve(desired=1)
    world.settle()
    other = Caller("operator", "other")
    for number in range(100):
        world.call("ListTasks", caller=OPERATOR if number % 2 else other, cluster=CLUSTER)
    with pytest.raises(AwsError) as error:
        world.call("DescribeTasks", caller=OPERATOR, cluster=CLUSTER, tasks=["a"])
    assert error.value.code == "ThrottlingException"
    world.call("DescribeServices", caller=OPERATOR, cluster=CLUSTER, services=["web"])
    world.run(1)
    for _ in range(20):
        world.call("ListTasks", caller=OPERATOR, cluster=CLUSTER)
    with pytest.raises(AwsError, match="ThrottlingException"):
        world.call("ListTasks", caller=OPERATOR, cluster=CLUSTER)


def test_what_is_not_modelled_fails_loudly() -> None:
    world = World(hosts=1)
    world.define("web")
    for operation, params in (
        ("StartTask", {"containerInstances": ["a"], "taskDefinition": "web"}),
        ("RunTask", {"taskDefinition": "web", "cluster": CLUSTER, "launchType": "FARGATE"}),
        ("RunTask", {"taskDefinition": "web", "cluster": CLUSTER, "enableExecuteCommand": True}),
        ("CreateService", {"serviceName": "s", "desiredCount": 1, "taskDefinition": "web", "platformVersion": "1"}),
    ):
        with pytest.raises(Unmodelled):
            world.call(operation, **params)


def test_through_boto3_clients_the_answers_have_aws_shapes_and_errors() -> None:
    world = World(hosts=2)
    world.serve(desired=3, balanced=True)
    world.settle()
    with world.gateway.intercepted():
        client = world.gateway.client("ecs", OPERATOR)
        arns = client.list_tasks(cluster=CLUSTER, serviceName="web")["taskArns"]
        tasks = client.describe_tasks(cluster=CLUSTER, tasks=arns, include=["TAGS"])["tasks"]
        assert {task["lastStatus"] for task in tasks} == {"RUNNING"}
        assert isinstance(tasks[0]["createdAt"], datetime)
        hosts = client.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
        shown = client.describe_container_instances(
            cluster=CLUSTER, containerInstances=hosts, include=["TAGS", "CONTAINER_INSTANCE_HEALTH"]
        )["containerInstances"]
        assert [host["healthStatus"]["overallStatus"] for host in shown] == ["OK", "OK"]
        client.update_container_instances_state(cluster=CLUSTER, containerInstances=hosts[:1], status="DRAINING")
        client.update_service(
            cluster=CLUSTER,
            service="web",
            deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 150},
        )
        assert client.describe_services(cluster=CLUSTER, services=["web"])["services"][0]["desiredCount"] == 3
        assert client.describe_clusters(clusters=[CLUSTER])["clusters"][0]["registeredContainerInstancesCount"] == 2
        assert client.list_clusters()["clusterArns"] == [world.service().cluster.arn]
        with pytest.raises(ClientError) as error:
            client.describe_tasks(cluster="none", tasks=arns)
        assert error.value.response["Error"]["Code"] == "ClusterNotFoundException"
    assert world.kernel.calls[-1].caller == OPERATOR
    world.run()
    assert world.lowest() == 3


def test_handlers_share_no_state_with_their_answers() -> None:
    world = World(hosts=1)
    world.serve(desired=1)
    (task,) = world.wanted()
    shown = world.call("DescribeTasks", cluster=CLUSTER, tasks=[task.arn])["tasks"][0]
    shown["containers"][0]["name"] = "spoiled"
    shown["overrides"]["x"] = 1
    definition = world.call("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]
    definition["containerDefinitions"][0]["name"] = "spoiled"
    definition["containerDefinitions"][0]["portMappings"].append({})
    service = world.shown()
    service["deploymentConfiguration"]["deploymentCircuitBreaker"]["enable"] = True
    again = world.call("DescribeTasks", cluster=CLUSTER, tasks=[task.arn])["tasks"][0]
    assert again["containers"][0]["name"] == "app"
    assert again["overrides"] == {}
    assert (
        len(
            world.call("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]["containerDefinitions"][0][
                "portMappings"
            ]
        )
        == 1
    )
    assert world.shown()["deploymentConfiguration"]["deploymentCircuitBreaker"]["enable"] is False


def test_the_same_seed_gives_the_same_timeline() -> None:
    def story(seed: int) -> list[tuple[Any, ...]]:
        world = World(seed=seed, agent_flaps_per_hour=20.0)
        world.serve(desired=5, balanced=True)
        world.serve("agent", None, schedulingStrategy="DAEMON")
        world.settle()
        world.drain(world.host(0))
        world.run(3600)
        return [(entry.at, entry.kind, entry.text) for entry in world.kernel.timeline]

    assert story(1) == story(1)
    assert story(1) != story(2)
