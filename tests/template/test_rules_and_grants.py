"""Rules against their sample events, and every grant against the rules of least privilege."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_state_machines import ROOT, template

from twin.kernel.pattern import EventPattern

EVENTS = ROOT / "events"
# What a rule's pattern refers to, as the samples name it.
REFERENCES = {
    "ReplaceHost": "arn:aws:states:us-east-1:123456789012:stateMachine:caretaker-ReplaceHost",
    "BakeRelease": "arn:aws:states:us-east-1:123456789012:stateMachine:caretaker-BakeRelease",
    "SweepExpress": "arn:aws:states:us-east-1:123456789012:stateMachine:caretaker-SweepExpress",
    "${PolicyPath}/": "/caretaker/policy/",
}
# Actions that AWS gives neither resource types nor conditions that could narrow them (Service Authorization Reference),
# and those whose resource is a condition on the cluster.
ANYWHERE = re.compile(
    r"(autoscaling|ec2|elasticloadbalancing|application-autoscaling):Describe\w+"
    r"|ecs:(ListClusters|DescribeTaskDefinition|ListTaskDefinitions|DeregisterTaskDefinition)"
    # What lists the services of every cluster, and gateways, whose resource types are not documented yet.
    r"|ecs:(ListServices|(List|Describe)Gateway\w*)"
    r"|acm:ListCertificates|route53:ListHostedZones|events:List(EventBuses|Rules)|scheduler:ListSchedules"
    r"|states:SendTask(Success|Failure)"
    r"|cloudwatch:(GetMetricData|DescribeAlarms)"
    r"|ec2:CreateFleet"
)
Statement = dict[str, Any]


def resources(kind: str) -> dict[str, dict[str, Any]]:
    return {name: item["Properties"] for name, item in template()["Resources"].items() if item["Type"] == kind}


def filled(value: Any) -> Any:
    """A pattern with its references filled in."""
    if isinstance(value, dict):
        if set(value) <= {"Ref", "Sub"} and value:
            return REFERENCES[next(iter(value.values()))]
        return {key: filled(inner) for key, inner in value.items()}
    return [filled(inner) for inner in value] if isinstance(value, list) else value


RULES = resources("AWS::Events::Rule")
PATTERNS = {
    name: EventPattern.compile(filled(rule["EventPattern"])) for name, rule in RULES.items() if "EventPattern" in rule
}


def rows() -> dict[str, list[str]]:
    """The rules that events/README.md names for each sample, by file name."""
    found: dict[str, list[str]] = {}
    first = ""
    for line in (EVENTS / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 3:
            continue
        for name in re.findall(r"`(…?[\w-]*…?-?[\w-]+\.json)`", cells[0]):
            full = name
            if name.startswith("…"):
                last = name.removeprefix("…")
                full = next(
                    path.name for path in EVENTS.glob("*.json") if path.name.endswith(last) and path.name[:6] == first
                )
            first = full[:6]
            found[full] = sorted(cells[1].split(", "))
    return found


SAMPLES = rows()


def test_every_sample_is_listed_with_its_rule() -> None:
    assert sorted(SAMPLES) == sorted(path.name for path in EVENTS.glob("*.json"))
    assert {rule for rules in SAMPLES.values() for rule in rules} == set(RULES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_sample_matches_its_own_rules_and_no_other(name: str) -> None:
    event = json.loads((EVENTS / name).read_text())
    matched = sorted(rule for rule, pattern in PATTERNS.items() if pattern.matches(event))
    assert matched == [rule for rule in SAMPLES[name] if rule in PATTERNS]


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_loses_nothing_silently(name: str) -> None:
    for target in RULES[name]["Targets"]:
        assert target["DeadLetterConfig"]["Arn"], "no dead-letter queue"
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] >= 60


def test_the_bus_may_write_to_every_queue_that_rules_name() -> None:
    allowed: dict[str, set[str]] = {}
    for policy in resources("AWS::SQS::QueuePolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            queue = statement["Resource"]["GetAtt"].removesuffix(".Arn")
            sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            allowed.setdefault(queue, set()).update(item["GetAtt"].removesuffix(".Arn") for item in sources)
    wanted: dict[str, set[str]] = {}
    for name, rule in RULES.items():
        for target in rule["Targets"]:
            for arn in (target["Arn"], target["DeadLetterConfig"]["Arn"]):
                if "GetAtt" in arn:
                    wanted.setdefault(arn["GetAtt"].removesuffix(".Arn"), set()).add(name)
    assert allowed == wanted


def test_every_source_queue_has_its_dead_letters_and_patience() -> None:
    queues = resources("AWS::SQS::Queue")
    functions = resources("AWS::Serverless::Function")
    for mapping in resources("AWS::Lambda::EventSourceMapping").values():
        queue = queues[mapping["EventSourceArn"]["GetAtt"].removesuffix(".Arn")]
        function = functions[mapping["FunctionName"]["Ref"].removesuffix(".Alias")]
        assert queue["RedrivePolicy"]["maxReceiveCount"] >= 3
        assert queue["RedrivePolicy"]["deadLetterTargetArn"]["GetAtt"].removesuffix(".Arn") in queues
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_every_dead_letter_queue_has_an_alarm() -> None:
    watched = {
        dimension["Value"]["GetAtt"].removesuffix(".QueueName")
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "QueueName"
    }
    assert watched == {name for name in resources("AWS::SQS::Queue") if name.endswith("DeadLetterQueue")}


def test_what_a_rule_invokes_by_itself_has_dead_letters_of_its_own() -> None:
    functions = resources("AWS::Serverless::Function")
    invoked = {
        target["Arn"]["Ref"].removesuffix(".Alias")
        for rule in RULES.values()
        for target in rule["Targets"]
        if "Ref" in target["Arn"]
    }
    assert invoked
    for name in invoked:
        assert functions[name]["DeadLetterQueue"]["Type"] == "SQS"
    grants = resources("AWS::Lambda::Permission").values()
    permitted = {item["FunctionName"]["Ref"].removesuffix(".Alias") for item in grants}
    assert permitted == invoked


def test_nothing_reserves_concurrency() -> None:
    assert "ReservedConcurrentExecutions" not in (ROOT / "template.yaml").read_text()


# --- grants ----------------------------------------------------------------------------------------------------------


def statements() -> Iterator[tuple[str, Statement]]:
    """Every statement of a role, with the resource that holds it."""
    for kind in ("AWS::Serverless::Function", "AWS::Serverless::StateMachine"):
        for name, properties in resources(kind).items():
            for policy in properties.get("Policies", []):
                for statement in policy["Statement"]:
                    yield name, statement
    for name, properties in resources("AWS::IAM::Policy").items():
        for statement in properties["PolicyDocument"]["Statement"]:
            yield name, statement


GRANTS = [pytest.param(statement, id=f"{name}-{statement.get('Sid')}") for name, statement in statements()]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("statement", GRANTS)
def test_a_grant_names_actions_and_resources(statement: Statement) -> None:
    assert statement["Effect"] == "Allow"
    assert statement["Sid"]
    assert not [action for action in listed(statement["Action"]) if "*" in action]
    if "*" in listed(statement["Resource"]) and "ecs:cluster" not in str(statement.get("Condition")):
        assert [action for action in listed(statement["Action"]) if not ANYWHERE.fullmatch(action)] == []


def test_every_grant_has_a_sentence_that_says_why() -> None:
    lines = Path(ROOT / "template.yaml").read_text().splitlines()
    bare = [
        f"line {number + 1}: {line.strip()}"
        for number, line in enumerate(lines)
        if line.strip().startswith("- Sid:") and not lines[number - 1].strip().startswith("#")
    ]
    assert bare == []


def test_each_function_has_a_role_of_its_own() -> None:
    assert not [name for name, item in resources("AWS::Serverless::Function").items() if "Role" in item]


def test_a_change_of_a_parameter_makes_versions_of_the_functions_that_use_it() -> None:
    """SAM hashes the environment's text, in which a parameter is a reference that never changes; CloudFormation makes
    another version where its Description changes. Without that the alias keeps the parameter's former value."""
    parameters = ("PolicyPath", "ClusterNames")
    roles = {role["Ref"].removesuffix("Role") for role in resources("AWS::IAM::Policy")["ReadPolicy"]["Roles"]}
    for name, item in template()["Resources"].items():
        if item["Type"] != "AWS::Serverless::Function":
            continue
        own = json.dumps(item["Properties"].get("Environment", {}))
        used = {parameter for parameter in parameters if f'"{parameter}"' in own}
        used |= {"PolicyPath"} if name in roles else set()
        described = json.dumps(item["Properties"].get("VersionDescription", ""))
        assert {parameter for parameter in parameters if f"${{{parameter}}}" in described} == used, name
        assert ("UpdateReplacePolicy" in item) == bool(used), f"{name}: executions run on with the former version"
