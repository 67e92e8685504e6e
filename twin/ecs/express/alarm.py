"""The alarm by which Express Mode rolls back.

Source: Amazon ECS Developer Guide, "Updating an Amazon ECS Express Mode service": rollback when 4xx and 5xx exceed 1 %
of the requests for 2 datapoints in 3 minutes. Its metrics are those of both target groups on the shared load balancer;
what expression they are in is the world's choice (`ExpressOptions.alarm`).
"""

from __future__ import annotations

from typing import Any, Literal

PERCENT = 1.0
METRICS = {"requests": "RequestCount", "c4xx": "HTTPCode_Target_4XX_Count", "c5xx": "HTTPCode_Target_5XX_Count"}
EXPRESSIONS = {
    "sum": "100 * (FILL(c4xx0, 0) + FILL(c4xx1, 0) + FILL(c5xx0, 0) + FILL(c5xx1, 0))"
    " / (FILL(requests0, 0) + FILL(requests1, 0))",
    "worst": "MAX([FILL(rate0, 0), FILL(rate1, 0)])",
}


def alarm(name: str, load_balancer: str, groups: list[str], how: Literal["sum", "worst"]) -> dict[str, Any]:
    """The members of PutMetricAlarm. `load_balancer`, `groups`: ARNs."""
    queries = [
        _metric(f"{identifier}{number}", metric, load_balancer, group)
        for number, group in enumerate(groups)
        for identifier, metric in METRICS.items()
    ]
    if how == "worst":
        queries += [
            _expression(f"rate{number}", f"100 * (FILL(c4xx{number}, 0) + FILL(c5xx{number}, 0)) / requests{number}")
            for number in range(len(groups))
        ]
    return {
        "AlarmName": name,
        "AlarmDescription": "Rolls back deployments of an Amazon ECS Express Mode service",
        "Metrics": [*queries, {**_expression("errors", EXPRESSIONS[how]), "ReturnData": True}],
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": PERCENT,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def _metric(identifier: str, name: str, load_balancer: str, group: str) -> dict[str, Any]:
    dimensions = [
        {"Name": "LoadBalancer", "Value": load_balancer.partition(":loadbalancer/")[2]},
        {"Name": "TargetGroup", "Value": group.rpartition(":")[2]},
    ]
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": dimensions}
    return {"Id": identifier, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False}


def _expression(identifier: str, expression: str) -> dict[str, Any]:
    return {"Id": identifier, "Expression": expression, "ReturnData": False}
