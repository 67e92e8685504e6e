"""Composite alarms: their rules, what they hold, and tags of alarms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.neighbours.account_stage import Stage, refused


@pytest.fixture
def stage() -> Stage:
    stage = Stage().settle()
    for name in ("high", "low"):
        metric(stage, name)
    return stage


def metric(stage: Stage, name: str, **more: Any) -> None:
    stage.call(
        "cloudwatch",
        "PutMetricAlarm",
        AlarmName=name,
        Namespace="Shop",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        **more,
    )


def composite(stage: Stage, rule: str, name: str = "both") -> None:
    stage.call("cloudwatch", "PutCompositeAlarm", AlarmName=name, AlarmRule=rule)


def delete(stage: Stage, *names: str) -> None:
    stage.call("cloudwatch", "DeleteAlarms", AlarmNames=list(names))


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ("ALARM(high)", "ALARM"),
        ('ALARM("high") AND ALARM("low")', "OK"),
        ("ALARM(high) OR ALARM(low)", "ALARM"),
        ("NOT (ALARM(high) AND OK(low))", "OK"),
        ("INSUFFICIENT_DATA(low) OR FALSE", "OK"),
        ("TRUE", "ALARM"),
        ("ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:high)", "ALARM"),
    ],
)
def test_rules(stage: Stage, rule: str, state: str) -> None:
    composite(stage, rule)
    for name, value in (("high", "ALARM"), ("low", "OK")):
        stage.call("cloudwatch", "SetAlarmState", AlarmName=name, StateValue=value, StateReason="test")
    (shown,) = stage.call("cloudwatch", "DescribeAlarms", AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert (shown["AlarmRule"], shown["StateValue"]) == (rule, state)


@pytest.mark.parametrize("rule", ["", "ALARM", "ALARM(high", "high", "ALARM(high) ALARM(low)", "NOT"])
def test_what_is_no_rule_is_refused(stage: Stage, rule: str) -> None:
    refused("ValidationError" if rule else "ParamValidationError", lambda: composite(stage, rule))


def test_the_alarms_of_a_rule_must_exist(stage: Stage) -> None:
    refused("ValidationError", lambda: composite(stage, "ALARM(none)"), "do not exist")


def test_an_alarm_that_a_composite_alarm_names_is_not_deleted_nor_any_other_of_the_request(stage: Stage) -> None:
    composite(stage, "ALARM(high)")
    refused("ValidationError", lambda: delete(stage, "low", "high"), "Cannot delete high as there are composite")
    assert sorted(stage.alarms.alarms) == ["high", "low"]
    composite(stage, "FALSE")  # the rule written over, it holds nothing more
    delete(stage, "low", "high", "never there")
    assert stage.alarms.alarms == {}


def test_one_composite_alarm_is_deleted_at_a_time(stage: Stage) -> None:
    composite(stage, "TRUE", "first")
    composite(stage, "TRUE", "second")
    refused("ValidationError", lambda: delete(stage, "first", "second"))
    delete(stage, "first")
    assert list(stage.alarms.composites) == ["second"]


def test_composite_alarms_are_described_only_to_who_asks_for_them(stage: Stage) -> None:
    composite(stage, "ALARM(high)")
    usual = stage.call("cloudwatch", "DescribeAlarms")
    assert (len(usual["MetricAlarms"]), usual["CompositeAlarms"]) == (2, [])
    both = stage.call("cloudwatch", "DescribeAlarms", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert (len(both["MetricAlarms"]), len(both["CompositeAlarms"])) == (2, 1)


def test_tags_of_an_alarm_are_its_first_ones_until_they_are_changed(stage: Stage) -> None:
    metric(stage, "tagged", Tags=[{"Key": "AmazonECSManaged", "Value": "true"}])
    metric(stage, "tagged", Tags=[{"Key": "later", "Value": "x"}])
    arn = stage.alarms.alarms["tagged"].arn

    def tags() -> list[str]:
        return [tag["Key"] for tag in stage.call("cloudwatch", "ListTagsForResource", ResourceARN=arn)["Tags"]]

    assert tags() == ["AmazonECSManaged"]
    stage.call("cloudwatch", "UntagResource", ResourceARN=arn, TagKeys=["AmazonECSManaged"])
    assert tags() == []
