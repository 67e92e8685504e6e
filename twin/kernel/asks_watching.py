"""What API calls of metrics, logs, scaling, stacks, roles and images must be allowed.

Source: Service Authorization Reference, pages of CloudWatch, CloudWatch Logs, Application Auto Scaling,
CloudFormation, IAM, ECR.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twin.kernel.asks import Ask, Derive, Names, Params, arn_in, unscoped


def _put_metric_data(params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask("*", keys={"cloudwatch:namespace": (params["Namespace"],)})]


def _alarms(member: str) -> Derive:
    """The alarms that are named; all of them when none is."""

    def derive(params: Params, names: Names) -> Iterable[Ask]:
        given = params.get(member) or "*"
        for name in given if isinstance(given, list) else [given]:
            yield Ask(names.arn("cloudwatch", f"alarm:{name}"))

    return derive


def _describe_alarms(params: Params, names: Names) -> Iterable[Ask]:
    """Composite alarms are told to those only whose permission covers everything (CloudWatch API: DescribeAlarms)."""
    if set(params.get("AlarmTypes") or ()) - {"MetricAlarm"}:
        return [Ask("*")]
    return _alarms("AlarmNames")(params, names)


def _put_alarm(params: Params, names: Names) -> Iterable[Ask]:
    actions = [
        action
        for member in ("AlarmActions", "OKActions", "InsufficientDataActions")
        for action in params.get(member, [])
    ]
    yield Ask(
        names.arn("cloudwatch", f"alarm:{params['AlarmName']}"),
        keys={"cloudwatch:alarmactions": tuple(actions)} if actions else {},
        absent=frozenset({"cloudwatch:alarmactions"}),
    )


def _log_group(member: str) -> Derive:
    """The group that is named; all of them where none has to be."""

    def derive(params: Params, names: Names) -> Iterable[Ask]:
        given = str(params.get(member, "*"))
        name = given.partition(":log-group:")[2].removesuffix(":*") or given
        yield Ask(names.arn("logs", f"log-group:{name}"))

    return derive


def _stack(params: Params, names: Names) -> Iterable[Ask]:
    """The stack by name or id. By a resource's physical id any stack may be the one: a grant on all covers that."""
    return [Ask(names.named("cloudformation", "stack", f"{params.get('StackName', '*')}/*"))]


def _scalable_target(params: Params, names: Names) -> Iterable[Ask]:
    """The target by its ARN, or by the resource that it scales; one that is not registered yet has no id."""
    arn = params.get("ResourceARN") or names.target_of_resource(params.get("ResourceId", ""))
    arn = arn or names.arn("application-autoscaling", "scalable-target/*")
    known = {"service-namespace": "ServiceNamespace", "scalable-dimension": "ScalableDimension"}
    keys = {f"application-autoscaling:{key}": (params[member],) for key, member in known.items() if params.get(member)}
    return [Ask(arn, keys=keys, absent=frozenset(f"application-autoscaling:{key}" for key in known))]


TABLE: Mapping[str, Mapping[str, Derive]] = {
    "cloudwatch": {
        "PutMetricData": _put_metric_data,
        **dict.fromkeys(["GetMetricData", "GetMetricStatistics", "ListMetrics"], unscoped),
        "PutMetricAlarm": _put_alarm,
        "PutCompositeAlarm": _put_alarm,
        **dict.fromkeys(["ListTagsForResource", "TagResource", "UntagResource"], arn_in("ResourceARN")),
        "DescribeAlarms": _describe_alarms,
        "DeleteAlarms": _alarms("AlarmNames"),
        "SetAlarmState": _alarms("AlarmName"),
    },
    "logs": {
        **dict.fromkeys(
            [
                "CreateLogGroup",
                "DeleteLogGroup",
                "DeleteMetricFilter",
                "DeleteRetentionPolicy",
                "DeleteSubscriptionFilter",
                "DescribeMetricFilters",
                "DescribeSubscriptionFilters",
                "PutMetricFilter",
                "PutRetentionPolicy",
                "PutSubscriptionFilter",
            ],
            _log_group("logGroupName"),
        ),
        **dict.fromkeys(
            ["ListTagsForResource", "TagResource", "UntagResource"],
            _log_group("resourceArn"),
        ),
        # Its resource type is the log group (Service Authorization Reference, Amazon CloudWatch Logs).
        "DescribeLogGroups": _log_group("logGroupName"),
    },
    "application-autoscaling": {
        **dict.fromkeys(
            [
                "DeleteScalingPolicy",
                "DeleteScheduledAction",
                "DeregisterScalableTarget",
                "ListTagsForResource",
                "PutScalingPolicy",
                "PutScheduledAction",
                "RegisterScalableTarget",
                "TagResource",
                "UntagResource",
            ],
            _scalable_target,
        ),
        **dict.fromkeys(
            [
                "DescribeScalableTargets",
                "DescribeScalingActivities",
                "DescribeScalingPolicies",
                "DescribeScheduledActions",
            ],
            unscoped,
        ),
    },
    "cloudformation": {
        "DescribeStackResources": _stack,
        "DescribeStacks": _stack,
    },
    "iam": {
        "ListRoles": unscoped,
        "GetRole": lambda params, names: [Ask(f"arn:aws:iam::{names.account}:role/{params['RoleName']}")],
    },
    "ecr": {
        "DescribeRepositories": lambda params, names: [
            Ask(names.arn("ecr", f"repository/{name}")) for name in params.get("repositoryNames") or ["*"]
        ],
    },
}
