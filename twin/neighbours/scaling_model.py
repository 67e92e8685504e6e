"""Application Auto Scaling's scalable targets, policies and scheduled actions: as they stand and as the API shows them.

Source: Application Auto Scaling API (ScalableTarget, ScalingPolicy, TargetTrackingScalingPolicyConfiguration,
PredefinedMetricSpecification, ScheduledAction); Application Auto Scaling user guide, "Quotas", "Define cooldown
periods" (300 s for ECS services).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.metrics import Metric
from twin.neighbours.common import only

DIMENSION = "ecs:service:DesiredCount"
COOLDOWN = 300
OUT_PERIODS = 3
IN_PERIODS = 15
IN_SHARE = 0.9
"""The low alarm's threshold, as a share of the target: observed, not documented."""
_SERVICE_METRICS = {
    "ECSServiceAverageCPUUtilization": "CPUUtilization",
    "ECSServiceAverageMemoryUtilization": "MemoryUtilization",
}
_PER_TARGET = "ALBRequestCountPerTarget"
_STATISTICS = {"Average", "Minimum", "Maximum", "SampleCount", "Sum"}


@dataclass
class ScalableTarget:
    """A service that is scaled; `number` is its place in the order of registration.

    Attributes:
        last_out, last_in: simulated seconds of its last scaling activities, None if there was none.
        last_out_from: the desired count before the last one that scaled out.
    """

    arn: str
    number: int
    resource_id: str
    minimum: int
    maximum: int
    created: datetime
    role_arn: str
    suspended: dict[str, bool] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    policies: dict[str, ScalingPolicy] = field(default_factory=dict)
    actions: dict[str, ScheduledAction] = field(default_factory=dict)
    last_out: float | None = None
    last_out_from: int = 0
    last_in: float | None = None

    @property
    def cluster(self) -> str:
        return self.resource_id.split("/")[1]

    @property
    def service(self) -> str:
        return self.resource_id.split("/")[2]

    def view(self) -> dict[str, Any]:
        names = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
        return {
            "ServiceNamespace": "ecs",
            "ResourceId": self.resource_id,
            "ScalableDimension": DIMENSION,
            "MinCapacity": self.minimum,
            "MaxCapacity": self.maximum,
            "RoleARN": self.role_arn,
            "CreationTime": self.created,
            "SuspendedState": {name: self.suspended.get(name, False) for name in names},
            "ScalableTargetARN": self.arn,
        }


@dataclass
class ScalingPolicy:
    """A target tracking policy, and the names of its two alarms (high, and low unless it does not scale in)."""

    arn: str
    number: int
    name: str
    target: ScalableTarget
    configuration: dict[str, Any]
    created: datetime
    high: str = ""
    low: str = ""

    @property
    def value(self) -> float:
        return float(self.configuration["TargetValue"])

    @property
    def scales_in(self) -> bool:
        return not self.configuration.get("DisableScaleIn", False)

    @property
    def alarms(self) -> list[str]:
        return [name for name in (self.high, self.low) if name]

    def cooldown(self, member: str) -> float:
        return float(self.configuration.get(member, COOLDOWN))

    def view(self, alarm_arn: str) -> dict[str, Any]:
        """`alarm_arn`: ARNs of alarms, but for their names."""
        return {
            "PolicyARN": self.arn,
            "PolicyName": self.name,
            "ServiceNamespace": "ecs",
            "ResourceId": self.target.resource_id,
            "ScalableDimension": DIMENSION,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": deepcopy(self.configuration),
            "Alarms": [{"AlarmName": name, "AlarmARN": alarm_arn + name} for name in self.alarms],
            "CreationTime": self.created,
        }


@dataclass
class ScheduledAction:
    """A scheduled action: as the API shows it, and its place in the order of creation."""

    number: int
    shown: dict[str, Any]


def watched(configuration: Mapping[str, Any], target: ScalableTarget) -> tuple[Metric, str]:
    """The metric that a policy follows, and its statistic.

    Raises:
        AwsError: ValidationException for a specification that is none.
        Unmodelled: for metrics that the twin does not know.
    """
    where = "application-autoscaling: TargetTrackingScalingPolicyConfiguration"
    only(
        configuration,
        {
            "TargetValue",
            "PredefinedMetricSpecification",
            "CustomizedMetricSpecification",
            "ScaleOutCooldown",
            "ScaleInCooldown",
            "DisableScaleIn",
        },
        where,
    )
    predefined = configuration.get("PredefinedMetricSpecification")
    customized = configuration.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        raise invalid("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification is needed.")
    if predefined is not None:
        return _predefined(predefined, target)
    assert customized is not None
    only(customized, {"MetricName", "Namespace", "Dimensions", "Statistic", "Unit"}, f"{where}.Customized")
    if customized.get("Statistic") not in _STATISTICS:
        raise invalid("CustomizedMetricSpecification must have a Statistic.")
    dimensions = {one["Name"]: one["Value"] for one in customized.get("Dimensions", [])}
    metric = Metric.of(customized["Namespace"], customized["MetricName"], dimensions)
    return metric, customized["Statistic"]


def _predefined(given: Mapping[str, Any], target: ScalableTarget) -> tuple[Metric, str]:
    kind, label = given["PredefinedMetricType"], given.get("ResourceLabel")
    if kind in _SERVICE_METRICS:
        if label:
            raise invalid(f"ResourceLabel must not be specified for the metric type {kind}.")
        dimensions = {"ClusterName": target.cluster, "ServiceName": target.service}
        return Metric.of("AWS/ECS", _SERVICE_METRICS[kind], dimensions), "Average"
    if kind != _PER_TARGET:
        raise Unmodelled(f"application-autoscaling: PredefinedMetricType {kind!r} is not modelled")
    balancer, separator, group = str(label or "").partition("/targetgroup/")
    if not separator or not balancer.startswith("app/") or balancer.count("/") != 2 or group.count("/") != 1:
        raise invalid(
            f"Invalid resource label '{label}': it must be app/<load-balancer-name>/<load-balancer-id>/targetgroup/"
            "<target-group-name>/<target-group-id>."
        )
    dimensions = {"LoadBalancer": balancer, "TargetGroup": f"targetgroup/{group}"}
    return Metric.of("AWS/ApplicationELB", "RequestCountPerTarget", dimensions), "Sum"


def invalid(text: str) -> AwsError:
    return AwsError("ValidationException", text)
