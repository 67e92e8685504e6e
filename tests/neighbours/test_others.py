"""Web ACLs, hosted zones, EventBridge's rules and schedules, roles and repositories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.neighbours.account_stage import Stage, refused
from tests.neighbours.stage import OPERATOR
from twin.errors import Unmodelled


@pytest.fixture
def stage() -> Stage:
    return Stage().settle()


# --- web ACLs --------------------------------------------------------------------------------------------------------
def acl(stage: Stage, name: str = "shield") -> str:
    visible = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": name}
    made = stage.call(
        "wafv2", "CreateWebACL", Name=name, Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visible
    )
    return str(made["Summary"]["ARN"])


def protecting(stage: Stage, balancer: str) -> str | None:
    stage.run(1)  # one a second
    found = stage.call("wafv2", "GetWebACLForResource", ResourceArn=balancer)
    return found["WebACL"]["ARN"] if "WebACL" in found else None


def test_a_resource_has_one_web_acl_and_the_answer_for_one_without_is_empty(stage: Stage) -> None:
    balancer, first, second = stage.balancer(), acl(stage), acl(stage, "other")
    assert protecting(stage, balancer) is None
    for one in (first, second):
        stage.call("wafv2", "AssociateWebACL", WebACLArn=one, ResourceArn=balancer)
        assert protecting(stage, balancer) == one


def test_the_association_goes_with_the_load_balancer(stage: Stage) -> None:
    balancer, mine = stage.balancer(), acl(stage)
    stage.call("wafv2", "AssociateWebACL", WebACLArn=mine, ResourceArn=balancer)
    (shown,) = stage.call("wafv2", "ListWebACLs", Scope="REGIONAL")["WebACLs"]
    where = {"Name": "shield", "Scope": "REGIONAL", "Id": shown["Id"], "LockToken": shown["LockToken"]}
    refused("WAFAssociatedItemException", lambda: stage.call("wafv2", "DeleteWebACL", **where))
    stage.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=balancer)
    refused("WAFNonexistentItemException", lambda: protecting(stage, balancer))
    stage.call("wafv2", "DeleteWebACL", **where)


# --- hosted zones ----------------------------------------------------------------------------------------------------
def zone(stage: Stage, name: str = "example.com") -> str:
    stage.run(1)  # five requests a second
    return str(stage.call("route53", "CreateHostedZone", Name=name, CallerReference=name)["HostedZone"]["Id"])


def alias(name: str, target: str) -> dict[str, Any]:
    where = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": target, "EvaluateTargetHealth": True}
    return {"Name": name, "Type": "A", "AliasTarget": where}


def change(stage: Stage, zone_id: str, action: str, record: dict[str, Any]) -> None:
    stage.run(1)
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    stage.call("route53", "ChangeResourceRecordSets", HostedZoneId=zone_id, ChangeBatch=batch)


def test_an_alias_is_kept_in_lower_case_and_absolute(stage: Stage) -> None:
    mine = zone(stage)
    change(stage, mine, "CREATE", alias("Shop.example.com", "dualstack.Front-1.us-east-1.elb.amazonaws.com"))
    found = stage.call("route53", "ListResourceRecordSets", HostedZoneId=mine)["ResourceRecordSets"]
    assert [(one["Name"], one["Type"]) for one in found] == [
        ("example.com.", "NS"),
        ("example.com.", "SOA"),
        ("shop.example.com.", "A"),
    ]
    assert found[2]["AliasTarget"]["DNSName"] == "dualstack.front-1.us-east-1.elb.amazonaws.com."


def test_records_come_sorted_by_reversed_labels_and_in_pages(stage: Stage) -> None:
    mine = zone(stage)
    for name in ("b.example.com", "a.b.example.com", "a.example.com"):
        record = {"Name": name, "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "x.org"}]}
        change(stage, mine, "UPSERT", record)
    first = stage.call("route53", "ListResourceRecordSets", HostedZoneId=mine, MaxItems="3")
    assert [one["Name"] for one in first["ResourceRecordSets"]][2:] == ["a.example.com."]
    assert first["IsTruncated"]
    start = {"StartRecordName": first["NextRecordName"], "StartRecordType": first["NextRecordType"]}
    rest = stage.call("route53", "ListResourceRecordSets", HostedZoneId=mine, **start)
    assert [one["Name"] for one in rest["ResourceRecordSets"]] == ["b.example.com.", "a.b.example.com."]
    assert not rest["IsTruncated"]


def test_a_change_that_does_not_fit_changes_nothing(stage: Stage) -> None:
    mine, record = zone(stage), alias("shop.example.com", "front.elb.amazonaws.com")
    refused("InvalidChangeBatch", lambda: change(stage, mine, "DELETE", record), "not found")
    change(stage, mine, "CREATE", record)
    refused("InvalidChangeBatch", lambda: change(stage, mine, "CREATE", record), "already exists")
    elsewhere = alias("x.org", "y.elb.amazonaws.com")
    refused("InvalidChangeBatch", lambda: change(stage, mine, "CREATE", elsewhere), "not permitted")
    change(stage, mine, "DELETE", record)


def test_zones_are_listed_in_pages(stage: Stage) -> None:
    zones = [zone(stage, f"z{number}.com") for number in range(3)]
    first = stage.call("route53", "ListHostedZones", MaxItems="2")
    rest = stage.call("route53", "ListHostedZones", Marker=first["NextMarker"])
    assert [one["Id"] for page in (first, rest) for one in page["HostedZones"]] == zones


def test_route_53_takes_five_requests_a_second(stage: Stage) -> None:
    for _ in range(5):
        stage.call("route53", "ListHostedZones")
    refused("Throttling", lambda: stage.call("route53", "ListHostedZones"))


@pytest.fixture
def clients(stage: Stage) -> Iterator[Stage]:
    with stage.gateway.intercepted():
        yield stage


def test_services_without_regions_answer_boto3(clients: Stage) -> None:
    zone(clients)
    client: Any = clients.gateway.client("route53", OPERATOR)
    (shown,) = client.list_hosted_zones()["HostedZones"]
    assert shown["Name"] == "example.com."
    arn = clients.account.iam.add_role("infrastructure")
    client = clients.gateway.client("iam", OPERATOR)
    assert client.get_role(RoleName="infrastructure")["Role"]["Arn"] == arn


def test_a_schedule_that_is_created_again_by_the_same_token_is_the_same(stage: Stage) -> None:
    target = {"Arn": "arn:aws:ecs:us-east-1:1:cluster/shop", "RoleArn": "arn:aws:iam::1:role/r"}
    given = {"ScheduleExpression": "rate(1 day)", "State": "DISABLED", "Target": target}

    def create(token: str) -> str:
        window = {"Mode": "OFF"}
        params = {"Name": "daily", "FlexibleTimeWindow": window, "ClientToken": token, **given}
        return str(stage.call("scheduler", "CreateSchedule", **params)["ScheduleArn"])

    assert create("a") == create("a")
    refused("ConflictException", lambda: create("b"))


# --- rules, schedules ------------------------------------------------------------------------------------------------
def test_somebodys_rule_and_schedule_are_shown_with_their_targets(stage: Stage) -> None:
    definition = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1"
    ecs = {"TaskDefinitionArn": definition, "LaunchType": "FARGATE"}
    stage.call("events", "PutRule", Name="nightly", ScheduleExpression="cron(0 22 * * ? *)", State="DISABLED")
    target = {"Id": "1", "Arn": "arn:aws:ecs:us-east-1:1:cluster/shop", "RoleArn": "arn:aws:iam::1:role/r"}
    stage.call("events", "PutTargets", Rule="nightly", Targets=[{**target, "EcsParameters": ecs}])
    assert [one["Name"] for one in stage.call("events", "ListRules")["Rules"]] == ["nightly"]
    (shown,) = stage.call("events", "ListTargetsByRule", Rule="nightly")["Targets"]
    assert shown["EcsParameters"]["TaskDefinitionArn"] == definition
    refused("ResourceNotFoundException", lambda: stage.call("events", "ListTargetsByRule", Rule="none"))
    made = {"Arn": target["Arn"], "RoleArn": target["RoleArn"], "EcsParameters": ecs}
    window = {"Mode": "OFF"}
    stage.call(
        "scheduler",
        "CreateSchedule",
        Name="daily",
        ScheduleExpression="rate(1 day)",
        State="DISABLED",
        Target=made,
        FlexibleTimeWindow=window,
    )
    (listed,) = stage.call("scheduler", "ListSchedules")["Schedules"]
    assert listed["Target"] == {"Arn": target["Arn"]}
    shown = stage.call("scheduler", "GetSchedule", Name="daily")
    assert shown["Target"]["EcsParameters"]["TaskDefinitionArn"] == definition


def test_a_run_that_reaches_an_enabled_schedule_of_no_template_ends(stage: Stage) -> None:
    stage.call("events", "PutRule", Name="hourly", ScheduleExpression="rate(1 hour)")
    with pytest.raises(Unmodelled, match="rule hourly"):
        stage.run(3_601)
    with pytest.raises(Unmodelled, match="pattern"):
        stage.call("events", "PutRule", Name="other", EventPattern="{}")


# --- roles and repositories ------------------------------------------------------------------------------------------
def test_roles_and_repositories_are_shown(stage: Stage) -> None:
    arn = stage.account.iam.add_role("infrastructure", {"team": "shop"})
    assert stage.call("iam", "GetRole", RoleName="infrastructure")["Role"]["Arn"] == arn
    assert [one["RoleName"] for one in stage.call("iam", "ListRoles")["Roles"]] == ["infrastructure"]
    refused("NoSuchEntity", lambda: stage.call("iam", "GetRole", RoleName="none"))
    stage.call("ecr", "CreateRepository", repositoryName="shop/web")
    (shown,) = stage.call("ecr", "DescribeRepositories")["repositories"]
    assert shown["repositoryUri"] == "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web"
    missing = ["none"]
    refused("RepositoryNotFoundException", lambda: stage.call("ecr", "DescribeRepositories", repositoryNames=missing))
