"""The CloudWatch API: what goes in and what comes out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from traffic_stage import OPERATOR, START, Stage

from twin.errors import AwsError, Unmodelled
from twin.traffic.model import Behaviour

NAMES = [{"Name": "service", "Value": "web"}]


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.kernel.settled = True
    return made


def put(stage: Stage, values: dict[int, float | list[float]], name: str = "Errors") -> None:
    """Values by minute since the start, also of the past."""
    data: list[dict[str, Any]] = []
    for minute, value in values.items():
        datum = {"MetricName": name, "Dimensions": NAMES, "Timestamp": START + timedelta(minutes=minute, seconds=30)}
        data.append({**datum, **({"Values": value} if isinstance(value, list) else {"Value": value})})
    stage.call("cloudwatch", "PutMetricData", Namespace="App", MetricData=data)


def asked(
    identifier: str = "m", name: str = "Errors", stat: str = "Sum", period: int = 60, **more: Any
) -> dict[str, Any]:
    metric = {"Namespace": "App", "MetricName": name, "Dimensions": NAMES}
    return {"Id": identifier, "MetricStat": {"Metric": metric, "Stat": stat, "Period": period}, **more}


def computed(expression: str, identifier: str = "e", **more: Any) -> dict[str, Any]:
    return {"Id": identifier, "Expression": expression, **more}


def get(stage: Stage, *queries: dict[str, Any], first: int = 0, last: int = 10, **more: Any) -> dict[str, Any]:
    times = {"StartTime": START + timedelta(minutes=first), "EndTime": START + timedelta(minutes=last)}
    return stage.call("cloudwatch", "GetMetricData", MetricDataQueries=list(queries), **{**times, **more})


def series(stage: Stage, *queries: dict[str, Any], **more: Any) -> dict[int, float]:
    """The last result, by minute since the start."""
    result = get(stage, *queries, **more)["MetricDataResults"][-1]
    minutes = [round((stamp - START).total_seconds() / 60) for stamp in result["Timestamps"]]
    return dict(zip(minutes, result["Values"], strict=True))


# --- GetMetricData ---------------------------------------------------------------------------------------------------
def test_a_boto3_client_reads_the_traffic() -> None:
    stage = Stage()
    stage.traffic(600, Behaviour(errors_5xx=0.05))
    stage.run(300)
    with stage.gateway.intercepted():
        client = stage.gateway.client("cloudwatch", OPERATOR)
        queries = [
            stage.query("RequestCount", stage.blue, identifier="requests"),
            stage.query("HTTPCode_Target_5XX_Count", stage.blue, identifier="errors"),
            stage.query("TargetResponseTime", stage.blue, stat="PR(:0.2)", identifier="quick"),
            {"Id": "rate", "Expression": "100 * errors / requests"},
        ]
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries,
            StartTime=START,
            EndTime=START + timedelta(minutes=5),
            ScanBy="TimestampAscending",
            PaginationConfig={"PageSize": 7},
        )
        found: dict[str, list[float]] = {}
        for page in pages:
            for result in page["MetricDataResults"]:
                found.setdefault(result["Id"], []).extend(result["Values"])
        listed = client.list_metrics(Namespace="AWS/ApplicationELB")
        points = client.get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName="RequestCount",
            Dimensions=[{"Name": k, "Value": v} for k, v in stage.dimensions(stage.blue).items()],
            StartTime=START,
            EndTime=START + timedelta(minutes=5),
            Period=300,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
    assert sum(found["requests"]) == pytest.approx(3_000, abs=220)
    assert [rate * count / 100 for rate, count in zip(found["rate"], found["requests"], strict=True)] == pytest.approx(
        found["errors"]
    )
    assert all(70 < share < 90 for share in found["quick"])
    assert listed["Metrics"] == []  # a quarter of an hour old at least
    assert [(p["Sum"], p["SampleCount"]) for p in points] == [(sum(found["requests"]),) * 2]


def test_times_may_be_text_or_numbers(stage: Stage) -> None:
    put(stage, {-2: 2, -1: 3})
    with stage.gateway.intercepted():
        client = stage.gateway.client("cloudwatch", OPERATOR)
        client.put_metric_data(Namespace="App", MetricData=[{"MetricName": "Errors", "Dimensions": NAMES, "Value": 4}])
        times = {"StartTime": "2026-10-05T11:58:00Z", "EndTime": START.timestamp() + 60}
        [result] = client.get_metric_data(MetricDataQueries=[asked()], **times)["MetricDataResults"]
    assert result["Values"] == [4, 3, 2]


def test_the_newest_comes_first_unless_asked_otherwise(stage: Stage) -> None:
    put(stage, {-3: 1, -2: 2, -1: 3})
    span = {"first": -10, "last": 0}
    assert list(series(stage, asked(), **span).values()) == [3, 2, 1]
    assert list(series(stage, asked(), **span, ScanBy="TimestampAscending").values()) == [1, 2, 3]


def test_the_start_is_included_and_the_end_is_not(stage: Stage) -> None:
    put(stage, {-3: 1, -2: 2, -1: 3})
    assert set(series(stage, asked(), first=-3, last=-1)) == {-3, -2}
    assert set(series(stage, asked(), StartTime=START - timedelta(seconds=150), last=0)) == {-3, -2, -1}


def test_longer_periods_gather_minutes(stage: Stage) -> None:
    put(stage, {-10: 1, -8: 2, -5: 4})
    assert series(stage, asked(period=300), first=-10, last=0) == {-5: 4, -10: 3}
    assert series(stage, asked(period=300, stat="Maximum"), first=-10, last=0) == {-5: 4, -10: 2}


def test_pages(stage: Stage) -> None:
    put(stage, {minute: float(-minute) for minute in range(-5, 0)})
    put(stage, {-1: 7.0}, "Other")
    queries, span = [asked("a"), asked("b", "Other"), asked("c", "None")], {"first": -10, "last": 0}
    first = get(stage, *queries, **span, MaxDatapoints=3)
    shown = [(r["Id"], r["Values"], r["StatusCode"]) for r in first["MetricDataResults"]]
    assert shown == [("a", [1, 2, 3], "PartialData"), ("c", [], "Complete")]
    second = get(stage, *queries, **span, MaxDatapoints=3, NextToken=first["NextToken"])
    assert [(r["Id"], r["Values"], r["StatusCode"]) for r in second["MetricDataResults"]] == [
        ("a", [4, 5], "Complete"),
        ("b", [7], "Complete"),
    ]
    assert "NextToken" not in second
    with pytest.raises(AwsError, match="InvalidNextToken"):
        get(stage, *queries, **span, MaxDatapoints=3, NextToken="page-9")
    with pytest.raises(AwsError, match="InvalidNextToken"):
        get(stage, *queries[:1], **span, MaxDatapoints=3, NextToken=first["NextToken"])


@pytest.mark.parametrize(
    ("queries", "more", "words"),
    [
        ([], {}, "between 1 and 500"),
        ([asked(f"m{number}") for number in range(501)], {}, "between 1 and 500"),
        ([asked(), asked()], {}, "not unique"),
        ([asked("M")], {}, "MetricDataQueries.member.Id"),
        ([asked(ReturnData=False)], {}, "ReturnData"),
        ([{"Id": "x"}], {}, "Exactly one"),
        ([asked(period=90)], {}, "multiple of 60"),
        ([asked(stat="Median")], {}, "parameter Stat"),
        ([asked(stat="PR(10%:90%)")], {}, "parameter Stat"),
        ([asked()], {"last": 0}, "StartTime must be less"),
        ([asked()], {"MaxDatapoints": 200_000}, "MaxDatapoints"),
        ([asked(), computed("m +")], {}, "too early"),
        ([asked(), computed("(m")], {}, r"\) is missing"),
        ([asked(), computed("m m")], {}, "unexpected m"),
        ([asked(), computed("n / m")], {}, "n is no id"),
        ([asked(), computed("SUM(m)")], {}, "not a scalar"),
        ([asked(), computed("TOTAL(m)")], {}, "no function"),
        ([asked(), computed("a+m", "b"), computed("b+m", "a")], {}, "Circular"),
    ],
)
def test_requests_that_are_refused(stage: Stage, queries: list[Any], more: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        get(stage, *queries, **more)


@pytest.mark.parametrize(
    "queries",
    [
        [asked(period=10)],
        [asked(stat="WM(10%:90%)")],
        [asked(Label="${AVG}")],
        [computed("SELECT AVG(Errors) FROM App")],
        [asked(), computed("ANOMALY_DETECTION_BAND(m)")],
        [asked(), asked("n"), computed("[m, n]")],
        [asked(period=7_200)],
    ],
)
def test_what_is_not_modelled_ends_the_run(stage: Stage, queries: list[Any]) -> None:
    with pytest.raises(Unmodelled):
        get(stage, *queries, first=1)


# --- statistics ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("SampleCount", 10),
        ("Sum", 55),
        ("Average", 5.5),
        ("Minimum", 1),
        ("Maximum", 10),
        ("p50", 5),
        ("p99", 10),
        ("p0", 1),
        ("p100", 10),
        ("PR(:3)", 30),
        ("PR(3:)", 70),
        ("PR(3:5)", 20),
        ("TC(2:8)", 6),
        ("TS(2:8)", 33),
        ("TM(2:8)", 5.5),
        ("TM(10%:90%)", 5.5),
        ("tm90", 5),
        ("tc90", 9),
        ("TS(80%:)", 19),
        ("IQM", 5.5),
    ],
)
def test_statistics(stage: Stage, stat: str, expected: float) -> None:
    put(stage, {-1: [float(value) for value in range(1, 11)]})
    assert series(stage, asked(stat=stat), first=-5)[-1] == pytest.approx(expected)


def test_a_statistic_set_has_no_percentiles(stage: Stage) -> None:
    sets = {"SampleCount": 4, "Sum": 20, "Minimum": 2, "Maximum": 8}
    datum = {"MetricName": "Errors", "Dimensions": NAMES, "StatisticValues": sets}
    stage.call("cloudwatch", "PutMetricData", Namespace="App", MetricData=[datum])
    assert series(stage, asked(stat="Average")) == {0: 5}
    assert series(stage, asked(stat="p90")) == {}


# --- metric math -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", {-4: 5, -3: 2, -2: 4, -1: 9}),
        ("a - b", {-4: -3, -3: 2, -2: -4, -1: 1}),
        ("100 * a / b", {-4: 25, -2: 0, -1: 125}),
        ("-a ^ 2", {-4: -1, -3: -4, -1: -25}),
        ("(a + b) * 2", {-4: 10, -3: 4, -2: 8, -1: 18}),
        ("a > 1", {-4: 0, -3: 1, -1: 1}),
        ("a > 1 AND b > 1", {-4: 0, -3: 0, -2: 0, -1: 1}),
        ("a >= 2 || b >= 4", {-4: 1, -3: 1, -2: 1, -1: 1}),
        ("FILL(a, 0)", {-5: 0, -4: 1, -3: 2, -2: 0, -1: 5}),
        ("FILL(a, b)", {-4: 1, -3: 2, -2: 4, -1: 5}),
        ("SUM([a, b])", {-4: 5, -3: 2, -2: 4, -1: 9}),
        ("SUM(METRICS())", {-4: 5, -3: 2, -2: 4, -1: 9}),
        ('SUM(METRICS("b"))', {-4: 4, -2: 4, -1: 4}),
        ("a / SUM(a)", {-4: 0.125, -3: 0.25, -1: 0.625}),
        ("MAX([a, b]) - MIN([a, b])", {-4: 3, -3: 2, -2: 4, -1: 1}),
        ("AVG([a, b])", {-4: 2.5, -3: 1, -2: 2, -1: 4.5}),
        ("a / PERIOD(a)", {-4: 1 / 60, -3: 2 / 60, -1: 5 / 60}),
        ("a * METRIC_COUNT(METRICS())", {-4: 2, -3: 4, -1: 10}),
        ("IF(a > 1, a, b)", {-4: 4, -3: 2, -1: 5}),
        ("IF(a > 1, 1)", {-3: 1, -1: 1}),
        ("IF(b, a, 9)", {-4: 1, -2: 0, -1: 5}),
        ("CEIL(a / 2) + FLOOR(b / 3) + ABS(-a)", {-4: 3, -3: 3, -2: 1, -1: 9}),
    ],
)
def test_expressions(stage: Stage, expression: str, expected: dict[int, float]) -> None:
    """Missing values count as 0, a division by zero drops the datapoint (user guide, metric math)."""
    put(stage, {-4: 1, -3: 2, -1: 5}, "A")
    put(stage, {-4: 4, -2: 4, -1: 4}, "B")
    queries = [asked("a", "A"), asked("b", "B"), computed(expression)]
    assert series(stage, *queries, first=-5, last=0) == pytest.approx(expected)


def test_expressions_of_expressions(stage: Stage) -> None:
    put(stage, {-1: 6})
    queries = [computed("half + 1", "more"), computed("m / 2", "half", ReturnData=False), asked(ReturnData=False)]
    assert series(stage, *queries, first=-5) == {-1: 4}


# --- other operations ------------------------------------------------------------------------------------------------
def test_metrics_are_listed_a_quarter_of_an_hour_later() -> None:
    stage = Stage()
    stage.traffic(60)
    stage.run(800)
    assert stage.call("cloudwatch", "ListMetrics", Namespace="AWS/ApplicationELB")["Metrics"] == []
    stage.run(200)

    def listed(**params: Any) -> list[Any]:
        return stage.call("cloudwatch", "ListMetrics", Namespace="AWS/ApplicationELB", **params)["Metrics"]

    group = {"Name": "TargetGroup", "Value": stage.dimensions(stage.blue)["TargetGroup"]}
    found = listed(MetricName="RequestCount", Dimensions=[group])
    assert len(found) == 3  # the group, and each of its zones
    assert len(listed(MetricName="RequestCount")) == 6
    assert len(listed(MetricName="RequestCount", Dimensions=[{"Name": "TargetGroup"}])) == 3
    assert listed(MetricName="Nothing") == []


@pytest.mark.parametrize(
    ("datum", "words"),
    [
        ({"Value": 1.0, "Values": [1.0]}, "Exactly one"),
        ({}, "Exactly one"),
        ({"Values": [1.0, 2.0], "Counts": [1.0]}, "same length"),
        ({"Value": 1.0, "Timestamp": START - timedelta(days=15)}, "Timestamp"),
        ({"Value": 1.0, "Timestamp": START + timedelta(hours=3)}, "Timestamp"),
    ],
)
def test_data_that_are_refused(stage: Stage, datum: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        stage.call("cloudwatch", "PutMetricData", Namespace="App", MetricData=[{"MetricName": "x", **datum}])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"Statistics": ["Sum"], "ExtendedStatistics": ["p99"]}, "Either"),
        ({"Statistics": ["Sum"], "StartTime": START - timedelta(days=2)}, "exceeds the limit of 1440"),
    ],
)
def test_statistics_that_are_refused(stage: Stage, params: dict[str, Any], words: str) -> None:
    common = {"Namespace": "App", "MetricName": "Errors", "Period": 60, "StartTime": START - timedelta(hours=1)}
    with pytest.raises(AwsError, match=words):
        stage.call("cloudwatch", "GetMetricStatistics", **{**common, "EndTime": START, **params})


def test_extended_statistics(stage: Stage) -> None:
    put(stage, {-1: [1.0, 2.0, 3.0]})
    times = {"StartTime": START - timedelta(hours=1), "EndTime": START, "Period": 60}
    common = {"Namespace": "App", "MetricName": "Errors", "Dimensions": NAMES, **times}
    answer = stage.call("cloudwatch", "GetMetricStatistics", ExtendedStatistics=["p50", "p100"], **common)
    assert [point["ExtendedStatistics"] for point in answer["Datapoints"]] == [{"p50": 2.0, "p100": 3.0}]
