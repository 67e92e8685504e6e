"""Alarms on what load balancers report, made and seen through the API."""

from __future__ import annotations

from typing import Any

import pytest
from traffic_stage import Stage

from twin.errors import AwsError, Unmodelled
from twin.kernel.alarm_rules import Rule, judge
from twin.traffic.model import Behaviour, TrafficOptions

POINTS = {"0": 0.0, "X": 1.0, "-": None}


@pytest.mark.parametrize(
    ("to_alarm", "points", "missing", "ignored", "breaching", "not_breaching"),
    [
        (3, "0-X-X", "OK", "OK", "OK", "OK"),
        (3, "0----", "OK", "OK", "OK", "OK"),
        (3, "-----", "INSUFFICIENT_DATA", None, "ALARM", "OK"),
        (3, "0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (3, "--X--", "ALARM", None, "ALARM", "OK"),
        (2, "0-X-X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (2, "00X0X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (2, "0-X--", "OK", "OK", "ALARM", "OK"),
        (2, "----0", "OK", "OK", "ALARM", "OK"),
        (2, "---X-", "ALARM", None, "ALARM", "OK"),
        # "Avoiding premature transitions to alarm state": not before the breaching datapoint is old enough
        (3, "----X", "OK", None, "ALARM", "OK"),
        (3, "---X-", "OK", None, "ALARM", "OK"),
    ],
)
def test_the_user_guides_tables(
    to_alarm: int, points: str, missing: str, ignored: str | None, breaching: str, not_breaching: str
) -> None:
    """Three evaluation periods, an evaluation range of five, latest last; None keeps the present state."""
    expected = {"missing": missing, "ignore": ignored, "breaching": breaching, "notBreaching": not_breaching}
    for treatment, state in expected.items():
        rule = Rule(3, to_alarm, 0.5, "GreaterThanThreshold", treatment)
        assert judge(rule, [POINTS[point] for point in points]).state == state, treatment


def alarm(stage: Stage, *, group: str | None = None, name: str = "HTTPCode_Target_5XX_Count", **params: Any) -> None:
    dimensions = [{"Name": key, "Value": value} for key, value in stage.dimensions(group).items()]
    watched = {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": dimensions, "Period": 60}
    if "Metrics" in params:
        watched = {}
    given = {
        "AlarmName": "errors",
        **watched,
        "EvaluationPeriods": 1,
        "Threshold": 50.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **params,
    }
    if watched and "ExtendedStatistic" not in given:
        given.setdefault("Statistic", "Sum")
    stage.call("cloudwatch", "PutMetricAlarm", **given)


def state(stage: Stage) -> str:
    [shown] = stage.call("cloudwatch", "DescribeAlarms", AlarmNames=["errors"])["MetricAlarms"]
    return str(shown["StateValue"])


def history(stage: Stage) -> list[tuple[float, str]]:
    start = stage.kernel.clock.start
    return [((moment - start).total_seconds(), after) for _, moment, _, after in stage.alarms.history]


def test_an_alarm_on_a_target_group_rings_when_its_errors_have_arrived() -> None:
    stage = Stage()
    stage.traffic(6_000, Behaviour(errors_5xx=0.05, after=300), options=TrafficOptions(lag=10, lag_jitter=0))
    alarm(stage, group=stage.blue)
    stage.run(600)
    # The bad minute ends at 360 s; at that moment only its first half has arrived, which is enough here.
    assert history(stage) == [(60, "OK"), (360, "ALARM")]


def test_a_late_metric_makes_a_late_alarm() -> None:
    stage = Stage()
    stage.traffic(6_000, Behaviour(errors_5xx=0.05, after=300), options=TrafficOptions(lag=240, lag_jitter=0))
    # With a range of three minutes this alarm never sees what comes four minutes late; one of five periods does.
    alarm(stage, group=stage.blue, EvaluationPeriods=5, DatapointsToAlarm=1)
    stage.run(900)
    assert history(stage) == [(60, "OK"), (600, "ALARM")]


def test_an_alarm_can_be_blind_to_metrics_that_come_too_late() -> None:
    stage = Stage()
    stage.traffic(6_000, Behaviour(errors_5xx=0.05, after=300), options=TrafficOptions(lag=240, lag_jitter=0))
    alarm(stage, group=stage.blue)
    stage.run(1_800)
    assert history(stage) == [(60, "OK")]


def test_an_alarm_on_a_ratio_as_express_mode_has_it() -> None:
    """4xx + 5xx above 1 % of the requests, 2 datapoints in 3 minutes."""
    stage = Stage()
    stage.traffic(6_000, Behaviour(errors_5xx=0.004, errors_4xx=0.002), Behaviour(errors_5xx=0.02, after=600))
    queries = [
        {**stage.query("HTTPCode_Target_5XX_Count", stage.blue, identifier="m5"), "ReturnData": False},
        {**stage.query("HTTPCode_Target_4XX_Count", stage.blue, identifier="m4"), "ReturnData": False},
        {**stage.query("RequestCount", stage.blue, identifier="all"), "ReturnData": False},
        {"Id": "rate", "Expression": "100 * (FILL(m5, 0) + FILL(m4, 0)) / all", "ReturnData": True},
    ]
    alarm(stage, Metrics=queries, Threshold=1.0, EvaluationPeriods=3, DatapointsToAlarm=2)
    stage.run(900)
    assert history(stage) == [(60, "OK"), (720, "ALARM")]
    [shown] = stage.call("cloudwatch", "DescribeAlarms")["MetricAlarms"]
    assert [query["Id"] for query in shown["Metrics"]] == ["m5", "m4", "all", "rate"]
    assert shown["Metrics"][3]["Expression"] == queries[3]["Expression"]


def test_an_alarm_on_a_percentile() -> None:
    stage = Stage()
    slow = Behaviour(median=0.4, p99=2.0, after=300)
    stage.traffic(600, Behaviour(median=0.1, p99=0.5), slow)
    alarm(stage, group=stage.blue, name="TargetResponseTime", ExtendedStatistic="p90", Threshold=0.5)
    stage.run(600)
    assert history(stage) == [(60, "OK"), (360, "ALARM")]


def test_no_data_is_no_health_unless_the_alarm_says_so() -> None:
    stage = Stage()
    stage.weigh(90, 10)
    stage.traffic(1_000, Behaviour(task_definition="web:2", dead="refuses"))
    alarm(stage, group=stage.green, TreatMissingData="missing")
    stage.run(300)
    assert state(stage) == "INSUFFICIENT_DATA"


def test_changes_of_state_tell_people_and_the_bus() -> None:
    stage = Stage()
    topic = stage.topics.add("news")
    seen: list[Any] = []
    stage.bus.listeners.append(lambda event, rules: seen.append(event))
    stage.traffic(6_000, Behaviour(errors_5xx=0.05))
    alarm(stage, group=stage.blue, AlarmActions=[topic.arn], OKActions=[topic.arn])
    stage.run(120)
    assert [message.subject for message in stage.topics.messages] == ['ALARM: "errors" in eu-west-1']
    assert [event["detail"]["state"]["value"] for event in seen] == ["ALARM"]
    assert seen[0]["detail-type"] == "CloudWatch Alarm State Change"


def test_actions_can_be_switched_off() -> None:
    stage = Stage()
    topic = stage.topics.add("news")
    stage.traffic(6_000, Behaviour(errors_5xx=0.05))
    alarm(stage, group=stage.blue, AlarmActions=[topic.arn], ActionsEnabled=False)
    stage.run(120)
    assert state(stage) == "ALARM"
    assert not stage.topics.messages


def test_a_state_that_is_set_holds_until_the_next_evaluation() -> None:
    stage = Stage()
    stage.traffic(600)
    alarm(stage, group=stage.blue)
    stage.run(90)
    stage.call("cloudwatch", "SetAlarmState", AlarmName="errors", StateValue="ALARM", StateReason="drill")
    assert state(stage) == "ALARM"
    stage.run(60)
    assert state(stage) == "OK"
    with pytest.raises(AwsError, match="ResourceNotFound"):
        stage.call("cloudwatch", "SetAlarmState", AlarmName="none", StateValue="OK", StateReason="x")


def test_an_overwritten_alarm_keeps_its_state_and_a_deleted_one_is_gone() -> None:
    stage = Stage()
    stage.traffic(6_000, Behaviour(errors_5xx=0.05))
    alarm(stage, group=stage.blue)
    stage.run(120)
    alarm(stage, group=stage.blue, Threshold=1e6)
    assert state(stage) == "ALARM"
    stage.run(60)
    assert state(stage) == "OK"
    stage.call("cloudwatch", "DeleteAlarms", AlarmNames=["errors", "never"])
    assert stage.call("cloudwatch", "DescribeAlarms")["MetricAlarms"] == []


def test_alarms_are_described_in_pages() -> None:
    stage = Stage()
    for number in range(60):
        alarm(stage, group=stage.blue, AlarmName=f"a{number:02d}")
    first = stage.call("cloudwatch", "DescribeAlarms", AlarmNamePrefix="a")
    second = stage.call("cloudwatch", "DescribeAlarms", AlarmNamePrefix="a", NextToken=first["NextToken"])
    names = [shown["AlarmName"] for answer in (first, second) for shown in answer["MetricAlarms"]]
    assert (len(first["MetricAlarms"]), names) == (50, [f"a{number:02d}" for number in range(60)])
    assert "NextToken" not in second
    assert stage.call("cloudwatch", "DescribeAlarms", AlarmTypes=["CompositeAlarm"])["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm"),
        ({"EvaluationPeriods": 1_441}, "more than a day"),
        ({"Statistic": "Sum", "ExtendedStatistic": "p99"}, "Exactly one"),
        ({"Statistic": "p99"}, "Statistic must be"),
        ({"Period": 61}, "multiple of 60"),
        ({"Metrics": [{"Id": "m", "Expression": "1"}]}, "at least one metric"),
    ],
)
def test_alarms_that_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        alarm(Stage(), **params)


@pytest.mark.parametrize(
    "params",
    [
        {"ComparisonOperator": "LessThanLowerOrGreaterThanUpperThreshold"},
        {"AlarmActions": ["arn:aws:automate:eu-west-1:ec2:reboot"]},
        {"EvaluateLowSampleCountPercentile": "ignore"},
        {"Period": 10},
    ],
)
def test_alarms_that_are_not_modelled(params: dict[str, Any]) -> None:
    with pytest.raises(Unmodelled):
        alarm(Stage(), **params)
