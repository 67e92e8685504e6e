import socket
import time as real_time
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.endpoint
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from kernel_stage import OPERATOR, START

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import WORLD, Api, Call, Caller, operation
from twin.kernel.gateway import ApiFault, Death, FunctionDied, Gateway
from twin.kernel.kernel import Kernel

FUNCTION = Caller("function", "Hello")


class Clusters(Api):
    """A service of the twin with one good and one misbehaving operation."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.service = "ecs"
        self.kernel = kernel
        self.seen: list[Call] = []

    @operation("DescribeClusters", ["clusters"])
    def describe(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self.seen.append(call)
        if "gone" in params.get("clusters", ()):
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        params.setdefault("clusters", []).append("changed by the handler")
        return {"clusters": [{"clusterName": "fleet"}], "failures": []}

    @operation("ListClusters")
    def list(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"clusterArns": "not a list", "surprise": 1}


class World:
    def __init__(self) -> None:
        self.kernel = Kernel(START, seed=1, region="eu-west-1", account="111122223333")
        self.gateway = Gateway(self.kernel)
        self.clusters = Clusters(self.kernel)
        self.gateway.register(self.clusters)

    def boto(self, caller: Caller, service: str = "ecs", **config: Any) -> Any:
        """A client as a function makes it: botocore's ordinary session, credentials of the caller."""
        key, secret = self.gateway.credentials(caller)
        return boto3.Session(region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key=secret).client(
            service, config=Config(**config)
        )

    def in_process(self, body: Any) -> list[Any]:
        made: list[Any] = []
        self.kernel.scheduler.spawn(lambda: made.append(body()), name="test")
        self.kernel.scheduler.run()
        return made


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("the network was reached")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(real_time, "sleep", refuse)
    made = World()
    with made.gateway.intercepted():
        yield made


def test_a_boto3_call_is_answered_and_recorded_with_its_caller(world: World) -> None:
    response = world.boto(FUNCTION).describe_clusters(clusters=["fleet"])
    assert response["clusters"] == [{"clusterName": "fleet"}]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 200
    [call] = world.kernel.calls
    assert (call.caller, call.service, call.operation) == (FUNCTION, "ecs", "DescribeClusters")
    assert call.params == {"clusters": ["fleet"]}, "the record does not share data with the handler"
    assert call.error is None
    assert call.at == START


def test_errors_are_botocores_own(world: World) -> None:
    client = world.boto(FUNCTION)
    with pytest.raises(client.exceptions.ClusterNotFoundException) as raised:
        client.describe_clusters(clusters=["gone"])
    assert raised.value.response["Error"] == {"Code": "ClusterNotFoundException", "Message": "Cluster not found."}
    assert world.kernel.calls[0].error == "ClusterNotFoundException"


def test_what_is_not_modelled_ends_loudly(world: World) -> None:
    client = world.boto(FUNCTION)
    with pytest.raises(Unmodelled, match="ecs:CreateCluster is not modelled"):
        client.create_cluster(clusterName="x")
    with pytest.raises(Unmodelled, match="include"):
        client.describe_clusters(clusters=["fleet"], include=["TAGS"])
    with pytest.raises(Unmodelled, match="s3:ListBuckets"):
        world.boto(FUNCTION, "s3").list_buckets()
    with pytest.raises(Unmodelled, match="dynamodb:ExportTable"):
        world.gateway.call("dynamodb", "ExportTableToPointInTime", {"TableArn": "a", "S3Bucket": "b"}, WORLD)


def test_callers_from_outside_of_the_world_are_refused(world: World) -> None:
    stranger = boto3.Session(region_name="eu-west-1", aws_access_key_id="AKIASTRANGER", aws_secret_access_key="x")
    with pytest.raises(Unmodelled, match="belongs to nobody"):
        stranger.client("ecs").list_clusters()
    key, secret = world.gateway.credentials(FUNCTION)
    elsewhere = boto3.Session(region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret)
    with pytest.raises(Unmodelled, match="us-east-1"):
        elsewhere.client("ecs").list_clusters()


def test_responses_that_aws_cannot_give_are_found(world: World) -> None:
    world.gateway.validate_responses = True
    with pytest.raises(Unmodelled, match=r"clusterArns: str instead of a list.*no such member"):
        world.boto(FUNCTION).list_clusters()


def test_calls_in_process_are_checked_as_an_sdk_does(world: World) -> None:
    with pytest.raises(AwsError, match=r"ParamValidationError.*clusters"):
        world.gateway.call("ecs", "DescribeClusters", {"clusters": "fleet"}, OPERATOR)
    with pytest.raises(AwsError, match="no operation Describe"):
        world.gateway.call("ecs", "Describe", {}, OPERATOR)
    cause = world.gateway.call("ecs", "DescribeClusters", {}, OPERATOR) and world.kernel.calls[-1]
    world.gateway.call("ecs", "DescribeClusters", {}, Caller("aws", "autoscaling"), cause=cause)
    assert world.kernel.calls[-1].origin.caller == OPERATOR


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_retries_happen_and_sleep_in_simulated_time(world: World, mode: str) -> None:
    world.kernel.settled = True
    world.gateway.api_faults.append(ApiFault("ecs", "DescribeClusters", "ThrottlingException", times=3))
    client = world.boto(FUNCTION, retries={"mode": mode, "max_attempts": 5})
    [response] = world.in_process(lambda: client.describe_clusters(clusters=["fleet"]))
    assert response["ResponseMetadata"]["RetryAttempts"] == 3
    assert [call.error for call in world.kernel.calls] == ["ThrottlingException"] * 3 + [None]
    assert 4 * world.gateway.latency < world.kernel.clock.elapsed < 30


def test_adaptive_retries_are_refused(world: World) -> None:
    with pytest.raises(Unmodelled, match="adaptive"):
        world.boto(FUNCTION, retries={"mode": "adaptive"})


def test_faults_strike_whom_and_when_the_world_says(world: World) -> None:
    gateway, kernel = world.gateway, world.kernel
    gateway.api_faults += [
        ApiFault("ecs", "*", "ServerException", caller="olga", times=1),
        ApiFault("ecs", "DescribeClusters", "AccessDeniedException", caller="Hello", times=None, after=10, until=20),
    ]

    def ask(caller: Caller) -> str:
        try:
            gateway.call("ecs", "DescribeClusters", {}, caller)
        except AwsError as error:
            return f"{error.code} {error.status}"
        return "ok"

    assert ask(OPERATOR) == "ok", "a world that is being built has no faults"
    kernel.settled = True
    assert [ask(OPERATOR), ask(OPERATOR)] == ["ServerException 500", "ok"]
    seen: list[str] = []
    for moment in (5, 12, 19, 25):
        kernel.scheduler.call_at(moment, lambda: seen.append(ask(FUNCTION)), name="ask")
    kernel.scheduler.run()
    assert seen == ["ok", "AccessDeniedException 400", "AccessDeniedException 400", "ok"]


def test_a_fault_without_a_name_spares_aws_and_the_world(world: World) -> None:
    world.kernel.settled = True
    world.gateway.api_faults.append(ApiFault("ecs", "*", "ServerException", times=None))
    for caller in (WORLD, Caller("aws", "autoscaling")):
        assert world.gateway.call("ecs", "DescribeClusters", {}, caller)
    with pytest.raises(AwsError):
        world.gateway.call("ecs", "DescribeClusters", {}, OPERATOR)


@pytest.mark.parametrize(("when", "acted"), [("before", 1), ("after", 2)])
def test_a_function_dies_around_its_nth_call(world: World, when: Any, acted: int) -> None:
    world.kernel.settled = True
    world.gateway.deaths.append(Death("Hello", "ecs", "DescribeClusters", when, nth=2))
    client = world.boto(FUNCTION)

    def body() -> str:
        client.describe_clusters()
        try:
            client.describe_clusters()
        except FunctionDied:
            return "died"
        return "lived"

    assert world.in_process(body) == ["died"]
    assert len(world.clusters.seen) == acted


def test_calls_of_functions_take_time_in_which_others_act(world: World) -> None:
    world.kernel.settled = True
    client, order = world.boto(FUNCTION), []

    def call(name: str) -> None:
        order.append(f"{name} asks")
        client.describe_clusters()
        order.append(f"{name} is answered")

    for name in ("one", "two"):
        world.kernel.scheduler.spawn(lambda name=name: call(name), name=name)
    world.kernel.scheduler.run()
    assert order == ["one asks", "two asks", "one is answered", "two is answered"]
    assert world.kernel.clock.elapsed == pytest.approx(world.gateway.latency)


def test_a_caller_with_a_role_needs_permission(world: World) -> None:
    role = "arn:aws:iam::111122223333:role/hello"
    caller = Caller("function", "Hello", role)
    trust = {"Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:*"}}
    made = world.gateway.iam.add_role(role, "hello", trust)
    client = world.boto(caller)
    with pytest.raises(ClientError) as raised:
        client.describe_clusters(clusters=["fleet"])
    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "because no identity-based policy allows the ecs:DescribeClusters action" in str(raised.value)
    grant = {"Effect": "Allow", "Action": "ecs:Describe*", "Resource": "arn:aws:ecs:eu-west-1:111122223333:cluster/f*"}
    world.gateway.iam.add_policy(made, {"Statement": [grant]}, "test")
    assert client.describe_clusters(clusters=["fleet"])["clusters"]
    with pytest.raises(ClientError):
        client.describe_clusters(clusters=["fleet", "other"])


def test_moto_serves_tables_and_parameters_in_simulated_time(world: World) -> None:
    keys = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}
    types = {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}
    table = {"TableName": "t", "BillingMode": "PAY_PER_REQUEST", **keys, **types}
    world.gateway.call("dynamodb", "CreateTable", table, WORLD)
    client = world.boto(FUNCTION, "dynamodb")
    client.put_item(TableName="t", Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(TableName="t", Item={"pk": {"S": "a"}}, ConditionExpression="attribute_not_exists(pk)")
    assert world.kernel.calls[-1].error == "ConditionalCheckFailedException"
    item = world.gateway.call("dynamodb", "GetItem", {"TableName": "t", "Key": {"pk": {"S": "a"}}}, WORLD)
    assert item == {"Item": {"pk": {"S": "a"}, "n": {"N": "1"}}}
    described = client.describe_table(TableName="t")["Table"]
    assert described["CreationDateTime"] == START
    assert described["TableArn"] == "arn:aws:dynamodb:eu-west-1:111122223333:table/t"
    world.gateway.call("ssm", "PutParameter", {"Name": "/a/b", "Value": "1", "Type": "String"}, WORLD)
    with pytest.raises(AwsError, match="ParameterNotFound"):
        world.gateway.call("ssm", "GetParameter", {"Name": "/a/c"}, WORLD)
    [found] = world.boto(FUNCTION, "ssm").get_parameters_by_path(Path="/a")["Parameters"]
    assert found["LastModifiedDate"] == START


def test_every_type_of_attribute_comes_back_from_a_table_as_it_was_put(world: World) -> None:
    keys = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}
    types = {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}
    world.gateway.call(
        "dynamodb", "CreateTable", {"TableName": "t", "BillingMode": "PAY_PER_REQUEST", **keys, **types}, WORLD
    )
    item = {
        "pk": {"S": "a"},
        "n": {"N": "1.5"},
        "yes": {"BOOL": True},
        "no": {"BOOL": False},
        "nothing": {"NULL": True},
        "bytes": {"B": b"\x00\xff"},
        "names": {"SS": ["x", "y"]},
        "map": {"M": {"list": {"L": [{"S": ""}, {"M": {}}, {"L": []}, {"N": "3"}]}, "blob": {"B": b"z"}}},
        "empty": {"M": {}},
    }
    client = world.boto(FUNCTION, "dynamodb")
    client.put_item(TableName="t", Item=item)
    assert client.get_item(TableName="t", Key={"pk": {"S": "a"}})["Item"] == item
    assert client.scan(TableName="t")["Items"] == [item]


def test_a_world_begins_empty_and_leaves_botocore_as_it_was() -> None:
    table = {
        "TableName": "t",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    }
    before = vars(botocore.endpoint.Endpoint)["_do_get_response"]
    for _ in range(2):
        world = World()
        with world.gateway.intercepted(), world.gateway.intercepted():
            world.gateway.call("dynamodb", "CreateTable", table, WORLD)
    assert vars(botocore.endpoint.Endpoint)["_do_get_response"] is before
    with pytest.raises(RuntimeError, match="intercepted"):
        world.gateway.call("dynamodb", "ListTables", {}, WORLD)


def test_two_worlds_cannot_be_entered_at_once() -> None:
    with (
        World().gateway.intercepted(),
        pytest.raises(RuntimeError, match="another world"),
        World().gateway.intercepted(),
    ):
        pass


def test_ids_that_botocore_makes_follow_the_seed() -> None:
    def token() -> str:
        world = World()
        with world.gateway.intercepted(), pytest.raises(Unmodelled):
            world.boto(FUNCTION).run_task(taskDefinition="t")
        return str(world.kernel.calls[0].params["clientToken"])

    assert token() == token()


def test_describing_a_hundred_tasks_is_quick(world: World) -> None:
    class Tasks(Api):
        @operation("DescribeTaskDefinition", ["taskDefinition"])
        def describe(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
            return {"taskDefinition": {"family": params["taskDefinition"]}, "tags": []}

        @operation("DescribeTasks", ["cluster", "tasks"])
        def tasks(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
            return {"tasks": [{"taskArn": arn} for arn in params["tasks"]], "failures": []}

    world.gateway._apis.clear()
    api = Tasks()
    api.service = "ecs"
    world.gateway.register(api)
    client = world.boto(FUNCTION)
    arns = [f"arn:aws:ecs:eu-west-1:111122223333:task/fleet/{number:032x}" for number in range(100)]
    best = 1.0
    for _ in range(20):
        began = real_time.perf_counter()
        client.describe_tasks(cluster="fleet", tasks=arns)
        best = min(best, real_time.perf_counter() - began)
    assert best < 0.005
