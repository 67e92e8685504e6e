"""The laws of garbage: each can fail; and the judge sees every kind of user in the twin's own state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rehearsals import WORLDS

from twin.kernel.api import Call, Caller
from twin.rehearsal import garbage_laws
from twin.rehearsal.actors import Actors
from twin.rehearsal.garbage_laws import GarbageEvidence
from twin.rehearsal.garbage_observer import Taking
from twin.rehearsal.garbage_truth import Truth
from twin.rehearsal.loading import load_world
from twin.rehearsal.placeholders import Placeholders
from twin.rehearsal.report import Law
from twin.world import World

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
SWEEPER = Caller("function", "GarbageDeleteNext")
ANNA = Caller("operator", "anna")


def call(operation: str = "DeleteRule", service: str = "elbv2", error: str | None = None, **params: Any) -> Call:
    return Call(1, START, SWEEPER, service, operation, params or {"RuleArn": "rule"}, error=error)


def act(of: Call, minutes: float = -1, **proof: Any) -> dict[str, Any]:
    first = (of.at + timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    given = proof or {"first": {"id": "1"}, "second": {"id": "2"}}
    return {"action": f"x:{of.operation}", "params": dict(of.params), "first": first, "proof": given}


def judged(name: str, **fields: Any) -> Law:
    given: dict[str, Any] = {"takings": [], "strange": [], "acts": [], "outcomes": [], "left": [], **fields}
    return next(law for law in garbage_laws.judge(GarbageEvidence(**given)) if law.name == name)


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({}, None),
        ({"takings": [Taking(call(), ())]}, True),
        ({"takings": [Taking(call(), ("rule 5 forwards to it",))]}, False),
        ({"takings": [Taking(call(error="ResourceInUse"), ("rule 5 forwards to it",))]}, None),
        ({"strange": [call("ModifyRule")]}, False),
    ],
)
def test_nothing_in_use_is_deleted(fields: dict[str, Any], held: bool | None) -> None:
    assert judged("nothing_in_use_deleted", **fields).held is held


@pytest.mark.parametrize(
    ("acts", "held"),
    [
        ([act(call())], True),
        ([], False),
        ([act(call(), minutes=1)], False),
        ([act(call(), first={"id": "1"})], False),
        ([act(call(RuleArn="another"))], False),
    ],
)
def test_every_deletion_is_proven_before_it_is_made(acts: list[dict[str, Any]], held: bool) -> None:
    assert judged("every_deletion_proven", takings=[Taking(call(), ())], acts=acts).held is held


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({"outcomes": ["swept"]}, True),
        ({"outcomes": ["swept"], "left": ["arn"]}, False),
        ({"outcomes": ["kept"], "left": ["arn"]}, None),
        ({"outcomes": []}, None),
    ],
)
def test_all_garbage_is_gone(fields: dict[str, Any], held: bool | None) -> None:
    assert judged("all_garbage_gone", **fields).held is held


# --- who uses what ---------------------------------------------------------------------------------------------------
@pytest.fixture
def dead() -> Iterator[tuple[World, Truth]]:
    """A world whose one Express service is deleted, and has left everything; nobody sweeps it."""
    spec = load_world(WORLDS / "sweep_last.yaml").spec
    with World(spec, start=START, seed=1) as world:
        truth = Truth(world)
        Actors(world)
        world.kernel.scheduler.call_later(1500, lambda: None, name="at least")
        world.run(1500)
        yield world, truth


def users(dead: tuple[World, Truth], operation: str, **params: Any) -> tuple[str, ...]:
    world, truth = dead
    service, _, name = operation.partition(".")
    filled = Placeholders(world).filled(params, "params")
    return truth.users(Call(1, world.kernel.clock.now(), SWEEPER, service, name, filled))


def do(dead: tuple[World, Truth], operation: str, **params: Any) -> Any:
    world = dead[0]
    service, _, name = operation.partition(".")
    return world.gateway.call(service, name, Placeholders(world).filled(params, "params"), ANNA)


BALANCER = {"LoadBalancerArn": "{load_balancer:web}"}
GROUP = {"GroupId": "{security_group:web}"}
KEEP = [{"Key": "caretaker:keep", "Value": ""}]
SCHEDULE = {
    "Name": "nightly",
    "ScheduleExpression": "rate(1 day)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "State": "DISABLED",
    "Target": {
        "Arn": "arn:aws:ecs:us-east-1:123456789012:cluster/shop",
        "RoleArn": "arn:aws:iam::123456789012:role/nightly",
        "EcsParameters": {
            "TaskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/shop-web",
            "NetworkConfiguration": {
                "awsvpcConfiguration": {
                    "Subnets": ["{subnet:us-east-1a}"],
                    "SecurityGroups": ["{security_group:web}"],
                }
            },
        },
    },
}


def test_what_the_dead_left_is_garbage(dead: tuple[World, Truth]) -> None:
    assert users(dead, "elbv2.DeleteRule", RuleArn="{rule:web}") == ()
    assert users(dead, "cloudwatch.DeleteAlarms", AlarmNames=["{alarm:web}"]) == ()
    assert "is there" in users(dead, "elbv2.DeleteLoadBalancer", **BALANCER)[0]
    assert "forwards to it" in users(dead, "elbv2.DeleteTargetGroup", TargetGroupArn="{target_group:web}")[0]


@pytest.mark.parametrize(
    ("operation", "params", "deletion", "target", "words"),
    [
        (
            "elbv2.ModifyLoadBalancerAttributes",
            {**BALANCER, "Attributes": [{"Key": "deletion_protection.enabled", "Value": "true"}]},
            "elbv2.DeleteLoadBalancer",
            BALANCER,
            "protected",
        ),
        (
            "elbv2.AddTags",
            {"ResourceArns": ["{alternate_target_group:web}"], "Tags": KEEP},
            "elbv2.DeleteTargetGroup",
            {"TargetGroupArn": "{alternate_target_group:web}"},
            "caretaker:keep",
        ),
        (
            "ec2.DeleteTags",
            {"Resources": ["{security_group:web}"], "Tags": [{"Key": "AmazonECSManaged"}]},
            "ec2.DeleteSecurityGroup",
            GROUP,
            "took the tag",
        ),
        (
            "scheduler.CreateSchedule",
            SCHEDULE,
            "ecs.DeleteTaskDefinitions",
            {"taskDefinitions": ["shop-web:1"]},
            "schedule nightly",
        ),
        (
            "elbv2.CreateRule",
            {
                "ListenerArn": "{listener:web}",
                "Priority": 900,
                "Conditions": [{"Field": "host-header", "HostHeaderConfig": {"Values": ["shop.example.com"]}}],
                "Actions": [{"Type": "forward", "TargetGroupArn": "{alternate_target_group:web}"}],
            },
            "elbv2.DeleteLoadBalancer",
            BALANCER,
            "rule 900",
        ),
    ],
)
def test_who_uses_it_is_seen(
    dead: tuple[World, Truth],
    operation: str,
    params: dict[str, Any],
    deletion: str,
    target: dict[str, Any],
    words: str,
) -> None:
    assert not any(words in each for each in users(dead, deletion, **target))
    do(dead, operation, **params)
    assert any(words in each for each in users(dead, deletion, **target))


def test_what_leads_to_a_load_balancer_is_seen(dead: tuple[World, Truth]) -> None:
    visible = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "shop"}
    acl = do(
        dead, "wafv2.CreateWebACL", Name="shop", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visible
    )
    do(dead, "wafv2.AssociateWebACL", WebACLArn=acl["Summary"]["ARN"], ResourceArn="{load_balancer:web}")
    zone = do(dead, "route53.CreateHostedZone", Name="example.com.", CallerReference="shop")["HostedZone"]["Id"]
    record = {"Name": "shop.example.com.", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "{dns_name:web}"}]}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    do(dead, "route53.ChangeResourceRecordSets", HostedZoneId=zone, ChangeBatch=changes)
    theirs = do(dead, "acm.RequestCertificate", DomainName="shop.example.com", ValidationMethod="DNS")["CertificateArn"]
    dead[0].kernel.scheduler.call_later(30, lambda: None, name="issued")
    dead[0].run(dead[0].kernel.clock.elapsed + 30)
    listed = [{"CertificateArn": theirs}]
    do(dead, "elbv2.AddListenerCertificates", ListenerArn="{listener:web}", Certificates=listed)
    told = " ".join(users(dead, "elbv2.DeleteLoadBalancer", **BALANCER))
    for words in ("web ACL shop", "record set", theirs):
        assert words in told


def test_a_group_that_a_rule_names_is_seen(dead: tuple[World, Truth]) -> None:
    group = do(dead, "ec2.CreateSecurityGroup", GroupName="database", Description="x", VpcId="{vpc:default}")["GroupId"]
    pair = {"GroupId": "{security_group:web}"}
    permission = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [pair]}
    do(dead, "ec2.AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[permission])
    do(dead, "scheduler.CreateSchedule", **SCHEDULE)
    told = " ".join(users(dead, "ec2.DeleteSecurityGroup", **GROUP))
    assert f"of {group} names it" in told
    assert "schedule nightly" in told
