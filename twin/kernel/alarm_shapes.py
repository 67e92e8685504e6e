"""Alarms as CloudWatch's API writes them.

Source: CloudWatch API: PutMetricAlarm, MetricAlarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel import composites, metric_queries
from twin.kernel.alarms import Alarm
from twin.kernel.composites import Composite
from twin.kernel.metric_queries import Query
from twin.kernel.metrics import Metric
from twin.kernel.statistics import BASIC

MEMBERS = (
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
    "Tags",
)
"""Members of PutMetricAlarm that the twin takes."""
COMPOSITE_MEMBERS = (
    "AlarmName",
    "AlarmDescription",
    "AlarmRule",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "Tags",
)
"""Members of PutCompositeAlarm that the twin takes."""
_MOST_QUERIES = 10
_SINGLE = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period")


def alarm_of(params: Mapping[str, Any], arn: str) -> Alarm:
    """The alarm that a PutMetricAlarm asks for.

    Raises AwsError ValidationError as CloudWatch does, Unmodelled for what the twin does not know.
    """
    if "Threshold" not in params:
        raise Unmodelled("cloudwatch:PutMetricAlarm: an alarm without Threshold (anomaly detection)")
    if params.get("EvaluateLowSampleCountPercentile", "evaluate") != "evaluate":
        raise Unmodelled("cloudwatch:PutMetricAlarm: EvaluateLowSampleCountPercentile ignore")
    metric, statistic, period, queries = _watched(params)
    periods = params["EvaluationPeriods"]
    to_alarm = params.get("DatapointsToAlarm", periods)
    if to_alarm > periods:
        raise _invalid("DatapointsToAlarm must be no greater than EvaluationPeriods.")
    if periods * period > (7 if period >= 3_600 else 1) * 86_400:
        raise _invalid("Metrics cannot be checked across more than a day (EvaluationPeriods * Period).")
    return Alarm(
        name=params["AlarmName"],
        arn=arn,
        description=params.get("AlarmDescription", ""),
        metric=metric,
        statistic=statistic,
        period=period,
        periods=periods,
        to_alarm=to_alarm,
        threshold=params["Threshold"],
        comparison=params["ComparisonOperator"],
        missing=params.get("TreatMissingData", "missing"),
        alarm_actions=_topics(params, "AlarmActions"),
        ok_actions=_topics(params, "OKActions"),
        insufficient_actions=_topics(params, "InsufficientDataActions"),
        actions_enabled=params.get("ActionsEnabled", True),
        queries=queries,
        tags={tag["Key"]: tag["Value"] for tag in params.get("Tags", ())},
    )


def composite_of(params: Mapping[str, Any], arn: str) -> Composite:
    """The alarm that a PutCompositeAlarm asks for. AwsError ValidationError for a rule that is none."""
    truth, children = composites.parse(params["AlarmRule"])
    return Composite(
        name=params["AlarmName"],
        arn=arn,
        description=params.get("AlarmDescription", ""),
        rule=params["AlarmRule"],
        children=children,
        truth=truth,
        alarm_actions=_topics(params, "AlarmActions"),
        ok_actions=_topics(params, "OKActions"),
        insufficient_actions=_topics(params, "InsufficientDataActions"),
        actions_enabled=params.get("ActionsEnabled", True),
        tags={tag["Key"]: tag["Value"] for tag in params.get("Tags", ())},
    )


def _watched(params: Mapping[str, Any]) -> tuple[Metric | None, str, int, tuple[Query, ...]]:
    """Metric, statistic, period, or the queries of metric math."""
    if "Metrics" in params:
        given = sorted(set(_SINGLE) & set(params))
        if given:
            raise _invalid(f"{given[0]} must not be set together with Metrics.")
        queries = tuple(metric_queries.parse(params["Metrics"], _MOST_QUERIES))
        if sum(query.returned for query in queries) != 1:
            raise _invalid("Exactly one of the Metrics must have ReturnData true.")
        periods = [query.period for query in queries if query.metric]
        if not periods:
            raise _invalid("Metrics must contain at least one metric.")
        return None, "", periods[0], queries
    for name in ("MetricName", "Namespace", "Period"):
        if name not in params:
            raise _invalid(f"{name} must be specified.")
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        raise _invalid("Exactly one of Statistic and ExtendedStatistic must be specified.")
    if params.get("Statistic", "Sum") not in BASIC:
        raise _invalid(f"Statistic must be one of {', '.join(BASIC)}.")
    metric_queries.check_period(params["Period"])
    dimensions = metric_queries.dimensions_of(params.get("Dimensions", ()))
    metric = Metric.of(params["Namespace"], params["MetricName"], dimensions)
    return metric, params.get("Statistic") or params["ExtendedStatistic"], params["Period"], ()


def _topics(params: Mapping[str, Any], member: str) -> tuple[str, ...]:
    actions = tuple(params.get(member, ()))
    for action in actions:
        if action.split(":")[2:3] != ["sns"]:
            raise Unmodelled(f"cloudwatch:PutMetricAlarm: {member} {action}")
    return actions


def dimensions(metric: Metric) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in metric.dimensions]


def view(alarm: Alarm) -> dict[str, Any]:
    """As DescribeAlarms shows it (CloudWatch API: MetricAlarm)."""
    shown = _common_view(alarm) | {
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": alarm.to_alarm,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison,
        "TreatMissingData": alarm.missing,
    }
    return shown | _watched_view(alarm)


def composite_view(alarm: Composite) -> dict[str, Any]:
    """As DescribeAlarms shows it (CloudWatch API: CompositeAlarm)."""
    return _common_view(alarm) | {"AlarmRule": alarm.rule}


def _common_view(alarm: Alarm | Composite) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmDescription": alarm.description,
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": list(alarm.ok_actions),
        "AlarmActions": list(alarm.alarm_actions),
        "InsufficientDataActions": list(alarm.insufficient_actions),
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
    }
    if alarm.configured is not None:
        shown["AlarmConfigurationUpdatedTimestamp"] = alarm.configured
        shown["StateUpdatedTimestamp"] = alarm.since or alarm.configured
        shown["StateTransitionedTimestamp"] = alarm.since or alarm.configured
    return shown


def _watched_view(alarm: Alarm) -> dict[str, Any]:
    if alarm.metric is None:
        return {"Metrics": [_query_view(query) for query in alarm.queries]}
    kind = "Statistic" if alarm.statistic in BASIC else "ExtendedStatistic"
    return {
        "Namespace": alarm.metric.namespace,
        "MetricName": alarm.metric.name,
        "Dimensions": dimensions(alarm.metric),
        kind: alarm.statistic,
        "Period": alarm.period,
    }


def _query_view(query: Query) -> dict[str, Any]:
    shown: dict[str, Any] = {"Id": query.id, "ReturnData": query.returned}
    if query.label:
        shown["Label"] = query.label
    if query.metric is None:
        return shown | {"Expression": query.expression} | ({"Period": query.period} if query.period else {})
    metric = {
        "Namespace": query.metric.namespace,
        "MetricName": query.metric.name,
        "Dimensions": dimensions(query.metric),
    }
    return shown | {"MetricStat": {"Metric": metric, "Period": query.period, "Stat": query.stat}}


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
