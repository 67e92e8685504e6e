"""What proves that nobody uses a log group, a task definition or a cluster; and what runs only now and then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from caretaker.aws.listing import Page
from caretaker.garbage import conclude
from caretaker.garbage.looks import LOOKS
from caretaker.garbage.model import Kind, Observation, Read, Reference
from caretaker.garbage.sheet import Sheet, Task
from reads_stage import CLUSTER, LEAVING, OPERATOR, ROLE, Stage, into, staged, statuses


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """`web` is gone; its log group, its task definition and its cluster are there, and others use them."""
    with pytest.MonkeyPatch.context() as patch:
        stage = Stage(LEAVING)
        with staged(patch, stage):
            stage.up("web")
            stage.record("web")
            stage.delete("web")
            stage.run(4_000)
            stage.record("web")
            yield stage


@pytest.fixture(scope="module")
def claimed(stage: Stage) -> dict[Kind, str]:
    return {claim.kind: claim.resource.arn for claim in stage.ledger.claims(stage.vpc)}


def told(seen: Observation, arn: str) -> list[tuple[str, str]]:
    return [(each.source.rpartition("/")[2], each.how) for each in into(seen, arn)]


def test_nobody_else_reads_every_task_definition(stage: Stage, claimed: dict[Kind, str]) -> None:
    seen = stage.observe()
    assert not statuses(seen, "ecs:ListTaskDefinitions")
    assert claimed[Kind.TASK_DEFINITION] in seen.resources
    assert seen.resources[claimed[Kind.TASK_DEFINITION]].tags is None


def test_who_writes_to_a_log_group(stage: Stage, claimed: dict[Kind, str]) -> None:
    name = claimed[Kind.LOG_GROUP].partition(":log-group:")[2]
    options = {"awslogs-group": name, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "x"}
    stage.call(
        "ecs",
        "RegisterTaskDefinition",
        OPERATOR,
        family="job",
        executionRoleArn=f"{ROLE}/execution",
        containerDefinitions=[
            {
                "name": "job",
                "image": "job:1",
                "memory": 128,
                "logConfiguration": {"logDriver": "awslogs", "options": options},
            }
        ],
    )
    seen = stage.observe(deep=True)
    assert ("job:1", "writes its logs to it") in told(seen, claimed[Kind.LOG_GROUP])
    assert ("job:1", "has it as execution role") in told(seen, f"{ROLE}/execution")
    for operation in ("ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition"):
        assert statuses(seen, operation) == {"": Read.WHOLE}
    (group,) = [claim for claim in seen.claims if claim.kind is Kind.LOG_GROUP]
    assert seen.resources[group.resource.arn].identity == group.resource


def test_a_log_group_that_is_made_again_is_another_one(stage: Stage, claimed: dict[Kind, str]) -> None:
    name = claimed[Kind.LOG_GROUP].partition(":log-group:")[2]
    stage.call("logs", "DeleteLogGroup", OPERATOR, logGroupName=name)
    assert claimed[Kind.LOG_GROUP] not in stage.observe().resources
    stage.call("logs", "CreateLogGroup", OPERATOR, logGroupName=name)
    seen = stage.observe()
    (group,) = [claim for claim in seen.claims if claim.kind is Kind.LOG_GROUP]
    assert seen.resources[group.resource.arn].identity != group.resource


def test_what_is_scheduled(stage: Stage, claimed: dict[Kind, str]) -> None:
    definition, cluster = claimed[Kind.TASK_DEFINITION], stage.kernel.arn("ecs", f"cluster/{CLUSTER}")
    (group,) = [
        c.resource.arn for c in stage.ledger.claims(stage.vpc) if c.kind is Kind.SECURITY_GROUP and not c.shared
    ]
    network = {"awsvpcConfiguration": {"Subnets": ["subnet-a"], "SecurityGroups": [group.rpartition("/")[2]]}}
    # A rule that names no revision runs the newest one.
    family = {"TaskDefinitionArn": definition.rpartition(":")[0], "NetworkConfiguration": network}
    exact = {"TaskDefinitionArn": definition, "NetworkConfiguration": network}
    target = {"Id": "1", "Arn": cluster, "RoleArn": f"{ROLE}/events"}
    stage.call("events", "PutRule", OPERATOR, Name="nightly", ScheduleExpression="rate(1 day)", State="DISABLED")
    stage.call("events", "PutTargets", OPERATOR, Rule="nightly", Targets=[{**target, "EcsParameters": family}])
    stage.call(
        "scheduler",
        "CreateSchedule",
        OPERATOR,
        Name="hourly",
        ScheduleExpression="rate(1 hour)",
        State="DISABLED",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": cluster, "RoleArn": f"{ROLE}/events", "EcsParameters": exact},
    )
    seen = stage.observe(deep=True)
    for arn, how in ((definition, "runs tasks of it"), (cluster, "runs tasks in it")):
        assert {("nightly", how), ("hourly", how)} <= set(told(seen, arn))
    # Security groups are looked after whatever policy says of task definitions.
    assert {("nightly", "runs tasks in it"), ("hourly", "runs tasks in it")} <= set(told(stage.observe(), group))
    for operation in ("events:ListTargetsByRule", "scheduler:GetSchedule"):
        assert statuses(seen, operation) == {"": Read.WHOLE}


def test_a_task_definition_that_was_deregistered_is_still_there(stage: Stage, claimed: dict[Kind, str]) -> None:
    definition = claimed[Kind.TASK_DEFINITION]
    stage.call("ecs", "DeregisterTaskDefinition", OPERATOR, taskDefinition=definition)
    seen = stage.observe(deep=True)
    assert seen.resources[definition].facts["status"] == "INACTIVE"
    assert statuses(seen, "cloudformation:DescribeStackResources")[definition] is Read.WHOLE


def test_what_is_in_a_cluster(stage: Stage) -> None:
    cluster = stage.kernel.arn("ecs", f"cluster/{CLUSTER}")
    seen = stage.observe(deep=True)
    assert statuses(seen, "ecs:ListContainerInstances") == {cluster: Read.WHOLE}
    assert seen.resources[cluster].tags == {}


def test_a_load_balancer_behind_another_one() -> None:
    """A network load balancer's target group may hold an Application Load Balancer; the twin has none of these."""
    sheet = Sheet("vpc-1", "2026-10-05T12:00:00.000Z", "2026-10-05T12:00:00.000Z")
    stem = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
    group, balancer = f"{stem}:targetgroup/front/1", f"{stem}:loadbalancer/app/shared/2"
    item = {"TargetGroupArn": group, "TargetGroupName": "front", "TargetType": "alb", "VpcId": "vpc-1"}
    LOOKS["target groups"].take(sheet, Task("target groups"), Page({}, [item], {}, []))
    (asked,) = sheet.tasks
    assert (asked.look, asked.scopes) == ("target health", (group,))
    health = {"Target": {"Id": balancer, "Port": 80}, "TargetHealth": {"State": "healthy"}}
    LOOKS["target health"].take(sheet, asked, Page({}, [health], {}, []))
    references = [each for each in sheet.references if each.target == balancer]
    assert references == [Reference(group, Kind.TARGET_GROUP, balancer, "has it as its target")]


def test_a_load_balancer_that_no_rule_explains() -> None:
    """A target group names its load balancers itself: one to which no rule that was read leads is a referrer too."""
    sheet = Sheet("vpc-1", "2026-10-05T12:00:00.000Z", "2026-10-05T12:00:00.000Z")
    item = {
        "TargetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/1",
        "TargetGroupName": "x",
        "VpcId": "vpc-1",
        "LoadBalancerArns": ["arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/y/2"],
    }
    LOOKS["target groups"].take(sheet, Task("target groups"), Page({}, [item], {}, []))
    at = datetime(2026, 10, 5, 12, tzinfo=UTC)
    assert conclude.observation(sheet, "no balancers were read", at, at).references == ()
    sheet.note("elasticloadbalancing:DescribeLoadBalancers", [""], Read.WHOLE)
    (found,) = conclude.observation(sheet, "one", at, at).references
    assert (found.source, found.source_kind) == (item["LoadBalancerArns"][0], Kind.LOAD_BALANCER)
    assert "no rule that was read" in found.how
