import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from twin.errors import Unmodelled, WorldError
from twin.kernel import actions, asks, asks_ecs, asks_watching, policies
from twin.kernel.api import Caller
from twin.kernel.iam import Iam
from twin.kernel.policies import Request

ACCOUNT, REGION = "111122223333", "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
CALLER = Caller("function", "Worker", ROLE)
ECS = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
TRUST = {
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ]
}


def iam(*statements: dict[str, Any]) -> Iam:
    made = Iam(REGION, ACCOUNT)
    role = made.add_role(ROLE, "worker", TRUST)
    made.add_policy(role, {"Statement": list(statements)}, "test")
    return made


def allow(action: str | list[str], resource: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}


def may(service: Iam, name: str, operation: str, /, **params: Any) -> bool:
    return service.authorize(CALLER, name, operation, params) is None


# --- statements ------------------------------------------------------------------------------------------------------
def test_nothing_is_allowed_without_a_statement() -> None:
    denied = iam().authorize(CALLER, "ecs", "ListClusters", {})
    assert denied == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/worker/Worker is not authorized to perform: ecs:ListClusters "
        "on resource: * because no identity-based policy allows the ecs:ListClusters action"
    )


def test_a_deny_wins() -> None:
    service = iam(allow("ecs:*"), {"Effect": "Deny", "Action": "ecs:UpdateService", "Resource": f"{ECS}:service/*/db"})
    assert may(service, "ecs", "UpdateService", cluster="fleet", service="web")
    denied = service.authorize(CALLER, "ecs", "UpdateService", {"cluster": "fleet", "service": "db"})
    assert denied is not None
    assert denied.endswith("with an explicit deny in an identity-based policy")


def test_not_action_and_not_resource() -> None:
    service = iam({"Effect": "Allow", "NotAction": "ecs:Update*", "NotResource": f"{ECS}:cluster/secret"})
    assert may(service, "ecs", "DescribeClusters", clusters=["fleet"])
    assert not may(service, "ecs", "DescribeClusters", clusters=["secret"])
    assert not may(service, "ecs", "UpdateService", service="web")


def test_actions_are_compared_without_case_and_resources_with() -> None:
    service = iam(allow("ECS:describeclusters", f"{ECS}:cluster/Fleet"))
    assert may(service, "ecs", "DescribeClusters", clusters=["Fleet"])
    assert not may(service, "ecs", "DescribeClusters", clusters=["fleet"])


def test_every_resource_of_a_call_must_be_allowed() -> None:
    service = iam(allow("ecs:DescribeTasks", f"{ECS}:task/fleet/*"))
    own, other = f"{ECS}:task/fleet/1", f"{ECS}:task/other/1"
    assert may(service, "ecs", "DescribeTasks", cluster="fleet", tasks=[own, "2"])
    assert not may(service, "ecs", "DescribeTasks", cluster="fleet", tasks=[own, other])


def test_an_action_without_resource_types_needs_the_star() -> None:
    assert not may(iam(allow("ecs:ListClusters", f"{ECS}:cluster/*")), "ecs", "ListClusters")
    assert may(iam(allow("ecs:ListClusters")), "ecs", "ListClusters")


# --- conditions ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("operator", "wanted", "value", "holds"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", "a", None, False),
        ("StringEqualsIfExists", "a", None, True),
        ("StringEqualsIgnoreCase", "a", "A", True),
        ("StringNotEquals", "a", "b", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", "a", None, True),
        ("StringLike", "a*c?", "abbcd", True),
        ("StringNotLike", "a*", "abc", False),
        ("ArnLike", "arn:aws:ecs:*:*:cluster/f*", "arn:aws:ecs:r:a:cluster/fleet", True),
        ("ArnLike", "arn:aws:ecs:*:cluster/f*", "arn:aws:ecs:r:a:cluster/fleet", False),
        ("ArnEquals", "arn:aws:ecs:r:a:cluster/fleet", "arn:aws:ecs:r:a:cluster/fleet", True),
        ("ArnNotLike", "arn:aws:ecs:r:a:cluster/*", "arn:aws:ecs:r:a:cluster/fleet", False),
        ("Bool", "true", "true", True),
        ("NumericLessThan", "5", "4", True),
        ("NumericGreaterThanEquals", "5", "4", False),
        ("Null", "true", None, True),
        ("Null", "false", None, False),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "b"), True),
        ("ForAllValues:StringEquals", "a", ("a", "b"), False),
        ("ForAllValues:StringEquals", "a", None, True),
        ("ForAnyValue:StringEquals", "a", ("a", "b"), True),
        ("ForAnyValue:StringEquals", "c", ("a", "b"), False),
        ("ForAnyValue:StringEquals", "a", None, False),
    ],
)
def test_condition_operators(operator: str, wanted: Any, value: Any, holds: bool) -> None:
    values = (value,) if isinstance(value, str) else value
    request = Request("a:B", "*", {} if values is None else {"a:key": values}, absent=frozenset({"a:key"}))
    statements = policies.parse({"Statement": allow("a:B", **{operator: {"a:Key": wanted}})}, "test")
    assert (policies.identity_verdict(statements, request) == "allow") is holds


def test_the_cluster_of_an_ecs_call_is_a_condition_key() -> None:
    cluster = {"ecs:cluster": f"{ECS}:cluster/fleet*"}
    service = iam(allow(["ecs:ListTasks", "ecs:UpdateService", "ecs:ListServices"], ArnLike=cluster))
    for operation, params in (("ListTasks", {}), ("UpdateService", {"service": "web"}), ("ListServices", {})):
        assert may(service, "ecs", operation, cluster="fleet-1", **params)
        assert may(service, "ecs", operation, cluster=f"{ECS}:cluster/fleet-1", **params)
        assert not may(service, "ecs", operation, cluster="other", **params)
        assert not may(service, "ecs", operation, **params), "the default cluster is another one"


def test_tags_are_asked_of_whoever_knows_them() -> None:
    service = iam(allow("ecs:UpdateService", StringEquals={"aws:ResourceTag/team": "blue"}))
    with pytest.raises(Unmodelled, match="aws:ResourceTag/team"):
        may(service, "ecs", "UpdateService", cluster="fleet", service="web")
    tags = {f"{ECS}:service/fleet/web": {"team": "blue"}}
    service.names.tag_sources["ecs"] = lambda arn: tags.get(arn, {})
    assert may(service, "ecs", "UpdateService", cluster="fleet", service="web")
    assert not may(service, "ecs", "UpdateService", cluster="fleet", service="db")


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("GetItem", {"TableName": "t", "Key": {"pk": {"S": "HOST#1"}, "sk": {"S": "x"}}}),
        ("PutItem", {"TableName": "t", "Item": {"pk": {"S": "HOST#1"}}}),
        ("TransactWriteItems", {"TransactItems": [{"Update": {"TableName": "t", "Key": {"pk": {"S": "HOST#1"}}}}]}),
        (
            "Query",
            {
                "TableName": "t",
                "KeyConditionExpression": "#k = :k AND begins_with(sk, :s)",
                "ExpressionAttributeNames": {"#k": "pk"},
                "ExpressionAttributeValues": {":k": {"S": "HOST#1"}, ":s": {"S": "x"}},
            },
        ),
    ],
)
def test_leading_keys_of_a_table(operation: str, params: dict[str, Any]) -> None:
    keys = {"dynamodb:LeadingKeys": "HOST#*"}
    granted = allow("dynamodb:*", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t", **{"ForAllValues:StringLike": keys})
    service = iam(granted)
    service.names.partition_keys["t"] = "pk"
    assert may(service, "dynamodb", operation, **params)
    other = json.loads(json.dumps(params).replace("HOST#1", "WORK#1"))
    assert not may(service, "dynamodb", operation, **other)
    elsewhere = json.loads(json.dumps(params).replace('"t"', '"u"'))
    assert not may(service, "dynamodb", operation, **elsewhere)


def test_events_are_granted_by_source() -> None:
    service = iam(allow("events:PutEvents", StringEquals={"events:source": "caretaker"}))
    entry = {"Source": "caretaker", "DetailType": "t", "Detail": "{}"}
    assert may(service, "events", "PutEvents", Entries=[entry])
    assert not may(service, "events", "PutEvents", Entries=[entry, {**entry, "Source": "other"}])


def test_an_alias_of_a_state_machine_is_authorized_by_the_machine() -> None:
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:flow"
    service = iam(allow("states:StartExecution", machine))
    assert may(service, "stepfunctions", "StartExecution", stateMachineArn=f"{machine}:live")
    by_alias = iam(allow("states:StartExecution", machine, StringEquals={"states:StateMachineQualifier": "live"}))
    assert may(by_alias, "stepfunctions", "StartExecution", stateMachineArn=f"{machine}:live")
    assert not may(by_alias, "stepfunctions", "StartExecution", stateMachineArn=machine)


def test_a_function_is_authorized_as_it_is_named() -> None:
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:hello"
    service = iam(allow("lambda:InvokeFunction", f"{function}:*"))
    assert may(service, "lambda", "Invoke", FunctionName=f"{function}:live")
    assert may(service, "lambda", "Invoke", FunctionName="hello", Qualifier="1")
    assert not may(service, "lambda", "Invoke", FunctionName="hello")


def test_launching_needs_three_permissions() -> None:
    group = allow("autoscaling:LaunchInstances", "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/blue")
    params = {"AutoScalingGroupName": "blue", "RequestedCapacity": 1, "ClientToken": "x"}
    assert not may(iam(group), "autoscaling", "LaunchInstances", **params)
    assert not may(iam(group, allow("ec2:CreateFleet")), "autoscaling", "LaunchInstances", **params)
    service = iam(group, allow("ec2:CreateFleet"), allow("ec2:DescribeLaunchTemplateVersions"))
    assert may(service, "autoscaling", "LaunchInstances", **params)
    assert not may(service, "autoscaling", "LaunchInstances", **{**params, "AutoScalingGroupName": "red"})


def test_an_instance_is_ended_in_its_own_group() -> None:
    arn = "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/blue"
    service = iam(allow("autoscaling:TerminateInstanceInAutoScalingGroup", arn))
    service.names.group_of_instance = {"i-1": "blue", "i-2": "red"}.get
    assert may(service, "autoscaling", "TerminateInstanceInAutoScalingGroup", InstanceId="i-1")
    assert not may(service, "autoscaling", "TerminateInstanceInAutoScalingGroup", InstanceId="i-2")


@pytest.mark.parametrize(
    "name", ["/caretaker/policy/defaults", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/caretaker/p"]
)
def test_parameters(name: str) -> None:
    service = iam(allow("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/caretaker/*"))
    assert may(service, "ssm", "GetParameters", Names=[name])
    assert not may(service, "ssm", "GetParameters", Names=[name, "/other"])


def test_alarms_are_authorized_by_their_names_and_metrics_are_not() -> None:
    mine = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:mine*"
    service = iam(
        allow(["cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"], mine), allow("cloudwatch:GetMetricData")
    )
    assert may(service, "cloudwatch", "DescribeAlarms", AlarmNames=["mine-1", "mine-2"])
    assert not may(service, "cloudwatch", "DescribeAlarms", AlarmNames=["mine-1", "yours"])
    assert not may(service, "cloudwatch", "DescribeAlarms")
    assert may(service, "cloudwatch", "PutMetricAlarm", AlarmName="mine")
    assert not may(service, "cloudwatch", "DeleteAlarms", AlarmNames=["mine"])
    assert may(service, "cloudwatch", "GetMetricData", MetricDataQueries=[])
    assert not may(service, "cloudwatch", "ListMetrics")


# --- what is not understood ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "statement",
    [
        allow("ecs:*", DateGreaterThan={"aws:CurrentTime": "2026-01-01T00:00:00Z"}),
        allow("ecs:*", **{"ForSomeValues:StringEquals": {"a": "b"}}),
        allow("s3:*", "arn:aws:s3:::home/${aws:username}"),
        {"Effect": "Perhaps", "Action": "ecs:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "ecs:*", "Resource": "*", "NotPrincipal": "*"},
        {"Effect": "Allow", "Resource": "*"},
    ],
)
def test_policies_that_are_not_understood_are_refused(statement: dict[str, Any]) -> None:
    with pytest.raises(Unmodelled, match="test"):
        iam(statement)


def test_a_condition_key_that_is_not_known_is_refused_when_it_matters() -> None:
    service = iam(allow("ecs:ListTasks", StringEquals={"aws:PrincipalTag/team": "blue"}))
    assert not may(service, "ecs", "ListClusters")
    with pytest.raises(Unmodelled, match="aws:PrincipalTag/team for ecs:ListTasks"):
        may(service, "ecs", "ListTasks")


def test_a_call_whose_permissions_are_not_known_is_refused() -> None:
    with pytest.raises(Unmodelled, match="authorization of ecs:RunTask"):
        may(iam(allow("*")), "ecs", "RunTask", taskDefinition="t")


# --- roles and services ----------------------------------------------------------------------------------------------
def test_managed_policies_that_the_twin_holds() -> None:
    service = iam()
    role = service.roles[ROLE]
    service.add_managed_policy(role, "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole")
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    assert service.role_denied(ROLE, "sqs:ReceiveMessage", queue, "lambda.amazonaws.com") is None
    assert service.role_denied(ROLE, "sqs:SendMessage", queue, "lambda.amazonaws.com")
    with pytest.raises(Unmodelled, match="AdministratorAccess"):
        service.add_managed_policy(role, "arn:aws:iam::aws:policy/AdministratorAccess")


def test_a_role_must_trust_the_service() -> None:
    service = iam()
    service.require_trust(ROLE, "lambda.amazonaws.com", "function")
    with pytest.raises(WorldError, match=r"states\.amazonaws\.com"):
        service.require_trust(ROLE, "states.amazonaws.com", "machine")
    with pytest.raises(WorldError, match="does not exist"):
        service.require_trust(ROLE + "x", "lambda.amazonaws.com", "function")
    assert service.role_denied(ROLE, "a:B", "*", "states.amazonaws.com")


def test_resource_policies_name_service_and_source() -> None:
    service, queue = iam(), f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/one"

    def denied(principal: str = "events.amazonaws.com", source: str = rule) -> bool:
        return service.service_denied(principal, "sqs:SendMessage", queue, source) is not None

    assert denied()
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "x.amazonaws.com"]},
        "Action": "SQS:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}, "StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    service.add_resource_policy(queue, {"Statement": statement}, "q")
    assert not denied()
    assert denied(source=rule + "x")
    assert denied(principal="sns.amazonaws.com")


# --- the table of actions against published data ---------------------------------------------------------------------
def test_resource_types_agree_with_the_published_action_tables() -> None:
    """cfn-lint ships AWS's list of actions and their resource types."""
    package = find_spec("cfnlint")  # found, not imported: the import takes seconds
    assert package is not None
    assert package.origin is not None
    data = Path(package.origin).parent / "data" / "AdditionalSpecs" / "Policies.json"
    published = json.loads(data.read_text(encoding="utf-8"))
    wrong: list[str] = []
    for (service, operation), derive in actions.TABLE.items():
        prefix = actions.PREFIXES.get(service, service)
        action = {"Invoke": "InvokeFunction"}.get(operation, operation)
        if operation.startswith("Transact"):
            continue  # judged as its single operations
        types = set(published[prefix]["Actions"][action.lower()].get("Resources", ()))
        types.discard("dataset")  # of CloudWatch: new and optional
        if action == "DescribeLogGroups":
            types.add("log-group")  # the Service Authorization Reference has it, this copy does not
        unscoped = derive in (asks.unscoped, asks_ecs._ecs_unscoped, asks_watching._put_metric_data)
        if bool(types) == unscoped:
            wrong.append(f"{prefix}:{action} {types}")
    assert not wrong


def test_a_condition_on_tags_is_held_against_the_scalable_target_of_the_service() -> None:
    service = iam()
    target = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/1"
    service.names.target_of_resource = {"service/shop/web": target}.get
    service.names.tag_sources["application-autoscaling"] = lambda arn: {"kind": "express"} if arn == target else {}
    role = service.roles[ROLE]
    allowed = {
        "Effect": "Allow",
        "Action": "application-autoscaling:DeregisterScalableTarget",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/kind": "express"}},
    }
    service.add_policy(role, {"Statement": allowed}, "test")

    def denied(name: str) -> bool:
        where = {"ServiceNamespace": "ecs", "ResourceId": f"service/shop/{name}"}
        call = ("application-autoscaling", "DeregisterScalableTarget", {**where, "ScalableDimension": "ecs"})
        return service.authorize(Caller("function", "f", ROLE), *call) is not None

    assert not denied("web")
    assert denied("api")
