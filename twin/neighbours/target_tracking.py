"""Target tracking: how many tasks a service is given when the alarms of its policies say so.

Sources: Amazon ECS Developer Guide, "Use a target metric to scale Amazon ECS services" (alarms made and managed for the
policy; out proportionally and fast, in gradually; no scaling on insufficient data; of several policies the one with the
most capacity wins, and in only when all agree), "Troubleshooting service auto scaling" (no scale-in while a deployment
is in progress); Application Auto Scaling user guide, "Define cooldown periods". Three datapoints of a minute before it
scales out and fifteen before it scales in, and the size of a step in: observed, not documented.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twin.errors import AwsError
from twin.kernel import metric_queries
from twin.kernel.alarms import Alarm, Alarms
from twin.kernel.api import Caller
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.metric_queries import Query
from twin.kernel.metrics import MINUTE
from twin.neighbours.scaling_model import (
    IN_PERIODS,
    IN_SHARE,
    OUT_PERIODS,
    ScalableTarget,
    ScalingPolicy,
    watched,
)

CALLER = Caller("aws", "application-autoscaling")


@dataclass(frozen=True)
class Activity:
    """Something that scaling did, or could not do."""

    number: int
    resource_id: str
    description: str
    cause: str
    at: datetime
    status: str = "Successful"
    message: str = ""


class TargetTracking:
    """Makes the alarms of policies, and acts on them.

    Attributes:
        activities: newest last.
    """

    def __init__(self, kernel: Kernel, gateway: Gateway, alarms: Alarms) -> None:
        self._kernel = kernel
        self._gateway = gateway
        self._alarms = alarms
        self._policies: dict[str, ScalingPolicy] = {}
        self.activities: list[Activity] = []
        alarms.actors["autoscaling"] = self._alarmed

    # --- alarms ------------------------------------------------------------------------------------------------------
    def watch(self, policy: ScalingPolicy, new_name: Callable[[], str]) -> None:
        """Make the policy's alarms, or write them anew under their names."""
        metric, statistic = watched(policy.configuration, policy.target)
        stem = f"TargetTracking-{policy.target.resource_id}-Alarm"
        policy.high = policy.high or f"{stem}High-{new_name()}"
        self._put(policy, policy.high, metric, statistic, OUT_PERIODS, policy.value, "GreaterThanThreshold")
        if policy.scales_in:
            policy.low = policy.low or f"{stem}Low-{new_name()}"
            threshold = policy.value * IN_SHARE
            self._put(policy, policy.low, metric, statistic, IN_PERIODS, threshold, "LessThanThreshold")
        elif policy.low:
            self._delete([policy.low])
            policy.low = ""
        self._policies[policy.arn] = policy

    def _put(
        self,
        policy: ScalingPolicy,
        name: str,
        metric: Any,
        statistic: str,
        periods: int,
        threshold: float,
        comparison: str,
    ) -> None:
        self._alarms.add(
            Alarm(
                name=name,
                arn=self._kernel.arn("cloudwatch", f"alarm:{name}"),
                description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
                metric=metric,
                statistic=statistic,
                period=MINUTE,
                periods=periods,
                to_alarm=periods,
                threshold=threshold,
                comparison=comparison,
                alarm_actions=(policy.arn,),
            )
        )

    def forget(self, policy: ScalingPolicy) -> None:
        """The policy is deleted, and its alarms with it; one that somebody refers to stays, for AWS refuses that."""
        self._policies.pop(policy.arn, None)
        for name in policy.alarms:
            self._delete([name])

    def _delete(self, names: list[str]) -> None:
        try:
            self._gateway.call("cloudwatch", "DeleteAlarms", {"AlarmNames": names}, CALLER)
        except AwsError as error:
            self._kernel.note("scaling.alarm", f"alarm {names[0]} stays: {error.message}", alarm=names[0])

    # --- scaling -----------------------------------------------------------------------------------------------------
    def _alarmed(self, alarm: Alarm, action: str) -> None:
        """An alarm of a policy is in ALARM: called when it goes there, and each minute that it stays."""
        policy = self._policies.get(action)
        if policy is None or alarm.name not in policy.alarms:
            return  # a policy that is no more
        value = self._latest(alarm)
        if value is None:
            return
        service = self._service(policy.target)
        if service is None:
            return
        if alarm.name == policy.high:
            self._scale_out(policy, alarm, service, value)
        else:
            self._scale_in(policy, alarm, service, value)

    def _latest(self, alarm: Alarm) -> float | None:
        """The newest datapoint of the alarm's metric."""
        assert alarm.metric is not None  # policies follow single metrics
        end = math.floor(self._kernel.clock.time() / MINUTE) * MINUTE
        query = Query("m", alarm.metric, alarm.statistic, MINUTE, "", "", True)
        start = end - (alarm.periods + 2) * MINUTE
        series = metric_queries.series_of(self._alarms.store, query, start, end)
        return series[max(series)] if series else None

    def _service(self, target: ScalableTarget) -> dict[str, Any] | None:
        params = {"cluster": target.cluster, "services": [target.service]}
        found = self._gateway.call("ecs", "DescribeServices", params, CALLER)["services"]
        return found[0] if found and found[0]["status"] == "ACTIVE" else None

    def _scale_out(self, policy: ScalingPolicy, alarm: Alarm, service: dict[str, Any], value: float) -> None:
        """In proportion to the metric. During the cooldown what the activity before it added counts as part of the next
        one: only what goes beyond it is added (user guide, "Define cooldown periods")."""
        target, now = policy.target, self._kernel.clock.elapsed
        if target.suspended.get("DynamicScalingOutSuspended"):
            return
        cooling = target.last_out is not None and now - target.last_out < policy.cooldown("ScaleOutCooldown")
        before = target.last_out_from if cooling else service["desiredCount"]
        wanted = min(target.maximum, math.ceil(before * value / policy.value))
        if wanted <= service["desiredCount"]:
            return
        if self._set(target, wanted, f"monitor alarm {alarm.name} in state ALARM triggered policy {policy.name}"):
            target.last_out, target.last_out_from, target.last_in = now, before, None

    def _scale_in(self, policy: ScalingPolicy, alarm: Alarm, service: dict[str, Any], value: float) -> None:
        """Not below what the target needs, not while a deployment is in progress or the cooldown lasts, and only when
        every policy of the service that scales in agrees."""
        target, now = policy.target, self._kernel.clock.elapsed
        if target.suspended.get("DynamicScalingInSuspended") or len(service["deployments"]) > 1:
            return
        if target.last_in is not None and now - target.last_in < policy.cooldown("ScaleInCooldown"):
            return
        others = [one for one in target.policies.values() if one.scales_in and one is not policy]
        known = self._alarms.alarms
        if any(one.low not in known or known[one.low].state != "ALARM" for one in others):
            return
        wanted = max(target.minimum, math.ceil(service["desiredCount"] * value / policy.value))
        if wanted < service["desiredCount"] and self._set(
            target, wanted, f"monitor alarm {alarm.name} in state ALARM triggered policy {policy.name}"
        ):
            target.last_in = now

    def _set(self, target: ScalableTarget, wanted: int, cause: str) -> bool:
        params = {"cluster": target.cluster, "service": target.service, "desiredCount": wanted}
        status, message = "Successful", f"Successfully set desired count to {wanted}."
        try:
            self._gateway.call("ecs", "UpdateService", params, CALLER)
        except AwsError as error:
            status, message = "Failed", f"{error.code}: {error.message}"
        self.activities.append(
            Activity(
                len(self.activities) + 1,
                target.resource_id,
                f"Setting desired count to {wanted}.",
                cause,
                self._kernel.clock.now(),
                status,
                message,
            )
        )
        if self._kernel.settled:
            name = target.resource_id
            self._kernel.note("scaling", f"{name}: {message} ({cause})", resource=name, desired=wanted)
        return status == "Successful"

    def fit(self, target: ScalableTarget, cause: str) -> None:
        """Bring the service within the target's bounds, as a scheduled action does."""
        service = self._service(target)
        if service is None:
            return
        wanted = min(target.maximum, max(target.minimum, service["desiredCount"]))
        if wanted != service["desiredCount"]:
            self._set(target, wanted, cause)
