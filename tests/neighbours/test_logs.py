"""Log groups, their filters, tags, and what holds their deletion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.neighbours.account_stage import Stage, refused

NAME = "/aws/ecs/shop/web-1a2b"


@pytest.fixture
def stage() -> Stage:
    stage = Stage().settle()
    stage.call("logs", "CreateLogGroup", logGroupName=NAME, tags={"AmazonECSManaged": "true"})
    return stage


def names(stage: Stage, **params: Any) -> list[str]:
    return [one["logGroupName"] for one in stage.call("logs", "DescribeLogGroups", **params)["logGroups"]]


def test_a_log_group_is_shown_with_both_its_arns_and_what_it_holds(stage: Stage) -> None:
    stage.account.logs.store(NAME, 4_096)
    (shown,) = stage.call("logs", "DescribeLogGroups")["logGroups"]
    assert shown["arn"] == shown["logGroupArn"] + ":*"
    assert shown["storedBytes"] == 4_096
    refused("ResourceAlreadyExistsException", lambda: stage.call("logs", "CreateLogGroup", logGroupName=NAME))


def test_a_name_that_another_begins_with_is_found_with_it_by_prefix(stage: Stage) -> None:
    stage.call("logs", "CreateLogGroup", logGroupName=NAME + "-api")
    assert names(stage, logGroupNamePrefix=NAME) == [NAME, NAME + "-api"]
    assert names(stage, logGroupNamePattern="-api") == [NAME + "-api"]
    assert names(stage, logGroupIdentifiers=[stage.account.logs.arn(NAME)]) == [NAME]
    both = {"logGroupNamePrefix": "/aws", "logGroupNamePattern": "web"}
    refused("InvalidParameterException", lambda: names(stage, **both))


def test_pages_have_at_most_50_groups(stage: Stage) -> None:
    for number in range(60):
        stage.call("logs", "CreateLogGroup", logGroupName=f"g{number:02d}")
    first = stage.call("logs", "DescribeLogGroups")
    rest = stage.call("logs", "DescribeLogGroups", nextToken=first["nextToken"])
    assert [len(first["logGroups"]), len(rest["logGroups"])] == [50, 11]


def test_deletion_asks_nobody_but_deletion_protection(stage: Stage) -> None:
    put = {"filterName": "f", "filterPattern": "", "destinationArn": "arn:aws:lambda:us-east-1:1:function:f"}
    stage.call("logs", "PutSubscriptionFilter", logGroupName=NAME, **put)
    protect = {"logGroupIdentifier": NAME, "deletionProtectionEnabled": True}
    stage.call("logs", "PutLogGroupDeletionProtection", **protect)
    refused("ValidationException", lambda: stage.call("logs", "DeleteLogGroup", logGroupName=NAME))
    stage.call("logs", "PutLogGroupDeletionProtection", **{**protect, "deletionProtectionEnabled": False})
    stage.call("logs", "DeleteLogGroup", logGroupName=NAME)
    refused("ResourceNotFoundException", lambda: stage.call("logs", "DeleteLogGroup", logGroupName=NAME))


def test_a_group_has_two_subscription_filters(stage: Stage) -> None:
    def put(name: str) -> None:
        destination = "arn:aws:lambda:us-east-1:1:function:f"
        given = {"filterName": name, "filterPattern": "", "destinationArn": destination}
        stage.call("logs", "PutSubscriptionFilter", logGroupName=NAME, **given)

    put("a")
    put("b")
    put("a")  # writes over the first
    refused("LimitExceededException", lambda: put("c"))
    found = stage.call("logs", "DescribeSubscriptionFilters", logGroupName=NAME)["subscriptionFilters"]
    assert [one["filterName"] for one in found] == ["a", "b"]


def test_metric_filters_are_found_by_group_and_by_metric(stage: Stage) -> None:
    metric = {"metricName": "Errors", "metricNamespace": "Shop", "metricValue": "1"}
    given = {"filterName": "errors", "filterPattern": "ERROR", "metricTransformations": [metric]}
    stage.call("logs", "PutMetricFilter", logGroupName=NAME, **given)
    for params in ({"logGroupName": NAME}, {"metricName": "Errors", "metricNamespace": "Shop"}):
        found = stage.call("logs", "DescribeMetricFilters", **params)["metricFilters"]
        assert [one["filterName"] for one in found] == ["errors"]
    refused("ResourceNotFoundException", lambda: stage.call("logs", "DescribeMetricFilters", logGroupName="none"))


def test_tags_go_by_the_arn_without_the_star(stage: Stage) -> None:
    arn = stage.account.logs.arn(NAME)
    assert stage.call("logs", "ListTagsForResource", resourceArn=arn)["tags"] == {"AmazonECSManaged": "true"}
    refused("InvalidParameterException", lambda: stage.call("logs", "ListTagsForResource", resourceArn=arn + ":*"))
    stage.call("logs", "UntagResource", resourceArn=arn, tagKeys=["AmazonECSManaged"])
    assert stage.call("logs", "ListTagsForResource", resourceArn=arn)["tags"] == {}
