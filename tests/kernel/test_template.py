import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twin.errors import Unmodelled, WorldError
from twin.kernel.alarms import Alarms
from twin.kernel.api import WORLD, Api, Call, Caller, operation
from twin.kernel.bus import EventBus
from twin.kernel.functions import Functions
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.machines import Machines
from twin.kernel.queues import Queues
from twin.kernel.template import Deployment, deploy, load_yaml
from twin.kernel.topics import Topics

HERE = Path(__file__).parent
STACK = HERE / "stack" / "template.yaml"
PROJECT = HERE.parents[1]
OPERATOR = Caller("operator", "olga")


class Site:
    def __init__(self, code: Path) -> None:
        self.kernel = Kernel(datetime(2026, 10, 5, 12, tzinfo=UTC), seed=1, region="eu-west-1", account="111122223333")
        self.gateway = Gateway(self.kernel)
        self.functions = Functions(self.kernel, self.gateway, code)
        self.queues = Queues(self.kernel, self.gateway, self.functions)
        self.bus = EventBus(self.kernel, self.gateway, self.queues)
        self.topics = Topics(self.kernel, self.gateway)
        self.alarms = Alarms(self.kernel, self.topics, self.queues, self.bus)
        self.machines = Machines(self.kernel, self.gateway, self.bus)

    def deploy(self, template: Path, **parameters: Any) -> Deployment:
        deployment = deploy(
            template,
            parameters,
            kernel=self.kernel,
            gateway=self.gateway,
            functions=self.functions,
            machines=self.machines,
            bus=self.bus,
            queues=self.queues,
            topics=self.topics,
            alarms=self.alarms,
        )
        self.kernel.settled = True
        return deployment


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site(HERE / "stack" / "code")
    with made.gateway.intercepted():
        yield made


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, str], Path]:
    """A copy of the stack with one text replaced in its template."""

    def copy(before: str, after: str) -> Path:
        text = STACK.read_text(encoding="utf-8")
        assert before in text
        (tmp_path / "code").mkdir()
        flow = (STACK.parent / "flow.asl.yaml").read_text(encoding="utf-8")
        (tmp_path / "flow.asl.yaml").write_text(flow, encoding="utf-8")
        path = tmp_path / "template.yaml"
        path.write_text(text.replace(before, after), encoding="utf-8")
        return path

    return copy


class Ecs(Api):
    def __init__(self) -> None:
        super().__init__()
        self.service = "ecs"

    @operation("UpdateService", ["cluster", "service", "desiredCount"])
    def update(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"service": {"serviceName": params["service"]}}


# --- what is created -------------------------------------------------------------------------------------------------
def test_the_product_can_be_deployed() -> None:
    site = Site(PROJECT / "functions")
    with site.gateway.intercepted():
        deployment = site.deploy(PROJECT / "template.yaml")
    outputs = {"ReplaceHostArn", "BakeReleaseArn", "SweepExpressArn", "TableName", "TopicArn", "PolicyPath"}
    assert outputs <= set(deployment.outputs)
    assert len(deployment.of_type("AWS::StepFunctions::StateMachine")) == 3


def test_names_and_arns_are_found_again(site: Site) -> None:
    deployment = site.deploy(STACK)
    hello, flow = deployment.resources["Hello"], deployment.outputs["FlowArn"]
    assert deployment.logical(hello.ref) == "Hello"
    assert deployment.logical(f"{hello.arn}:live") == "Hello"
    assert deployment.logical(f"{flow}:1") == "Flow"
    assert deployment.logical(deployment.resources["Inbox"].ref) == "Inbox"
    assert deployment.logical("arn:aws:lambda:eu-west-1:111122223333:function:another") is None


def test_parameters_conditions_and_functions_of_cloudformation(site: Site) -> None:
    deployment = site.deploy(STACK, Mode="loud", Limit=120)
    assert "LoudQueue" in deployment.outputs
    environment = site.functions.spec(deployment.resources["Hello"].ref).environment
    assert environment == {"TABLE_NAME": deployment.resources["Things"].ref, "MODE": "LOUD"}
    value = site.gateway.call("ssm", "GetParameter", {"Name": "/stack/setting"}, WORLD)["Parameter"]["Value"]
    assert value == "loud-b"
    definition = json.loads(deployment.definitions["Flow"])
    assert definition["TimeoutSeconds"] == 120, "a number, not its text"
    arguments = definition["States"]["Say hello"]["Arguments"]
    assert arguments["FunctionName"] == deployment.outputs["HelloAlias"]


def test_without_the_condition_nothing_of_it_is_there(site: Site) -> None:
    deployment = site.deploy(STACK)
    assert "OnlyLoud" not in deployment.resources
    assert "LoudQueue" not in deployment.outputs


def test_the_table_is_the_one_that_was_described(site: Site) -> None:
    name = site.deploy(STACK).resources["Things"].ref
    expiry = site.gateway.call("dynamodb", "DescribeTimeToLive", {"TableName": name}, WORLD)
    assert expiry["TimeToLiveDescription"]["AttributeName"] == "expires"
    assert site.gateway.iam.names.partition_keys == {name: "pk"}


# --- what it does ----------------------------------------------------------------------------------------------------
def items(site: Site, deployment: Deployment) -> list[dict[str, Any]]:
    found = site.gateway.call("dynamodb", "Scan", {"TableName": deployment.resources["Things"].ref}, WORLD)["Items"]
    return [json.loads(item["body"]["S"])["detail"] for item in found]


def test_an_event_goes_through_rule_queue_and_function_into_the_table(site: Site) -> None:
    deployment = site.deploy(STACK)
    site.bus.emit("aws.health", "AWS Health Event", {"service": "EC2", "n": 1}, [])
    site.bus.emit("aws.health", "AWS Health Event", {"service": "RDS", "n": 2}, [])
    site.kernel.scheduler.run()
    assert [detail["n"] for detail in items(site, deployment)] == [1]
    [put] = [call for call in site.kernel.calls if call.operation == "PutItem"]
    assert (put.caller.kind, put.caller.name) == ("function", "Hello")
    assert put.caller.role_arn == deployment.resources["HelloRole"].arn


def test_the_machine_calls_the_function_that_the_template_names(site: Site) -> None:
    deployment = site.deploy(STACK)
    start = {"stateMachineArn": f"{deployment.outputs['FlowArn']}:live", "name": "one", "input": '{"a": 1}'}
    site.gateway.call("stepfunctions", "StartExecution", start, OPERATOR)
    site.kernel.scheduler.run()
    [execution] = site.machines.executions
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.output["Payload"]["hello"] == "quiet"


def test_a_function_may_do_what_its_role_allows_and_nothing_else(site: Site) -> None:
    deployment = site.deploy(STACK)
    site.gateway.register(Ecs())
    service = "arn:aws:ecs:eu-west-1:111122223333:service/fleet/web"
    site.gateway.iam.names.tag_sources["ecs"] = lambda arn: {"team": "blue"} if arn == service else {}
    for name in ("web", "db"):
        start = {"stateMachineArn": deployment.outputs["FlowArn"], "name": name, "input": json.dumps({"scale": name})}
        site.gateway.call("stepfunctions", "StartExecution", start, OPERATOR)
    site.kernel.scheduler.run()
    web, db = site.machines.executions
    assert web.status == "SUCCEEDED", web.cause
    assert db.status == "FAILED"
    assert "not authorized to perform: ecs:UpdateService" in str(db.cause)


def test_errors_of_a_function_are_its_metrics(site: Site) -> None:
    deployment = site.deploy(STACK)
    hello = deployment.resources["Hello"].ref
    invoke = {"FunctionName": hello, "Payload": json.dumps({"Records": [{}]}).encode()}
    site.kernel.scheduler.spawn(lambda: site.gateway.call("lambda", "Invoke", invoke, OPERATOR), name="invoke")
    site.kernel.scheduler.run()
    assert site.alarms.total("AWS/Lambda", "Errors", {"FunctionName": hello}) == 1


def test_a_scheduled_rule_invokes_its_function_with_its_input(site: Site) -> None:
    site.deploy(STACK)
    site.kernel.scheduler.call_at(3700, lambda: None, name="later")
    site.kernel.scheduler.run()
    assert [invocation.function for invocation in site.functions.invocations] == ["Hello"]


# --- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("AWS::SNS::Topic", "AWS::SNS::Platform", r"News of type AWS::SNS::Platform"),
        ("BatchSize: 5", "BatchSize: 5\n            FilterCriteria: {}", "FilterCriteria of HelloMail"),
        ("VisibilityTimeout: 120", "VisibilityTimeout: 120\n      FifoQueue: true", r"FifoQueue of Inbox \(AWS::SQS"),
        ("!Ref Things\n        MODE", "!ImportValue Things\n        MODE", "Fn::ImportValue"),
        ("!GetAtt Dead.QueueName", "!GetAtt Dead.Colour", "attribute Colour of Dead"),
        ("Outputs:\n", "Rules: {}\nOutputs:\n", "section Rules"),
        ("    Type: AWS::SNS::Topic", "    Type: AWS::SNS::Topic\n    CreationPolicy: {}", "CreationPolicy of News"),
        ("Statistic: Maximum", "Statistic: p90", "statistic p90"),
        ("[!Ref News]", '["arn:aws:lambda:eu-west-1:111122223333:function:x"]', "alarm action"),
        ("Condition: {StringEquals: {aws:ResourceTag/team: blue}}", "Condition: {Odd: {a: b}}", "operator Odd"),
    ],
)
def test_what_is_not_modelled(site: Site, changed: Any, before: str, after: str, words: str) -> None:
    path = changed(before, after)
    with pytest.raises(Unmodelled, match=words):
        site.deploy(path)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("VisibilityTimeout: 120", "VisibilityTimeout: 5", "visibility timeout 5 s is less"),
        ("VisibilityTimeout: 120", "VisibilityTimeout: 43201", "43201 is not between"),
        ("BatchSize: 5\n            MaximumBatchingWindowInSeconds: 2", "BatchSize: 50", "BatchSize 50 needs"),
        ("CodeUri: code", "CodeUri: nowhere", "CodeUri nowhere is not a directory"),
        ("DefinitionUri: flow", "DefinitionUri: flaw", "DefinitionUri flaw.asl.yaml is not a file"),
        ("        Limit: !Ref Limit\n", "", r"\${Limit} is not among"),
        ("        Limit: !Ref Limit\n", "        Limit: !Ref Limit\n        More: x\n", "More does not occur"),
        ("!Ref Mode, loud", "!Ref Mood, loud", "Mood is neither"),
        ("Condition: Loud\n", "Condition: Lout\n", "condition Lout does not exist"),
        ("[aws.health]", "aws.health", "Notices: EventPattern: source must be"),
        ("rate(1 hour)", "rate(1 hours)", "singular"),
        ("  Things:\n    Type", "  Things:\n    DependsOn: Hello\n    Type", "circular dependency"),
        ("!GetAtt Dead.Arn, maxR", '"arn:aws:sqs:eu-west-1:111122223333:x", maxR', "queue .* does not exist"),
        ("Handler: hello.handler", "Handler: hello.handler\n      Handler: again", r"line \d+: the key 'Handler'"),
        ("      Handler: hello.handler\n", "", "Hello"),
    ],
)
def test_what_cloudformation_would_refuse(site: Site, changed: Any, before: str, after: str, words: str) -> None:
    path = changed(before, after)
    with pytest.raises(WorldError, match=words) as raised:
        site.deploy(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"Mood": "x"}, "no parameter Mood"),
        ({"Mode": "silent"}, "Mode=silent is none of quiet, loud"),
        ({"Limit": 59}, "Limit=59 is not between 60"),
        ({"Limit": "much"}, "Limit=much is not a number"),
    ],
)
def test_bad_parameters(site: Site, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(WorldError, match=words):
        site.deploy(STACK, **parameters)


def test_a_template_that_is_not_there(site: Site, tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="No such file"):
        site.deploy(tmp_path / "none.yaml")


def test_short_forms_dates_and_substitutions_in_yaml() -> None:
    text = "{v: 2012-10-17, a: !GetAtt X.Arn, s: !Sub 'x${!y}', i: !If [A, 1, !Ref AWS::NoValue], on: yes}"
    assert load_yaml(text, "test") == {
        "v": "2012-10-17",
        "a": {"Fn::GetAtt": ["X", "Arn"]},
        "s": {"Fn::Sub": "x${!y}"},
        "i": {"Fn::If": ["A", 1, {"Ref": "AWS::NoValue"}]},
        True: True,
    }
