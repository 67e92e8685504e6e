"""How an Express service is watched and scaled: its rollback alarm, its scalable target and its policy.

Sources: Amazon ECS Developer Guide, "Resources created by Amazon ECS Express Mode services"; Application Auto Scaling
API: RegisterScalableTarget, PutScalingPolicy (both write over what is there), DeregisterScalableTarget; ECS API:
ManagedApplicationAutoScalingPolicy (names of the metrics). Which target group a policy by requests names while two take
turns is not documented: the one that the newest revision is in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.ecs.express.alarm import alarm
from twin.ecs.express.calls import Calls, Job
from twin.ecs.express.model import TAG_LIST, TAGS, Managed, Scaling
from twin.ecs.model import Service

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_TARGET = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
_NAMES = {
    "AVERAGE_CPU": ("AverageCPU", "ECSServiceAverageCPUUtilization"),
    "AVERAGE_MEMORY": ("AverageMemory", "ECSServiceAverageMemoryUtilization"),
    "REQUEST_COUNT_PER_TARGET": ("RequestCountPerTarget", "ALBRequestCountPerTarget"),
}


class Scalings:
    def __init__(self, engine: Engine, calls: Calls) -> None:
        self._engine = engine
        self._calls = calls

    # --- the rollback alarm ------------------------------------------------------------------------------------------
    def make_alarm(self, job: Job) -> None:
        express, name = job.express, alarm_name(job.service)
        groups = [str(group.arn) for group in express.target_groups]
        how = self._engine.options.express.alarm
        members = alarm(name, str(express.balancer.load_balancer.arn), groups, how)
        self._calls("cloudwatch", "PutMetricAlarm", job, **members, Tags=TAG_LIST)
        express.alarm.arn = self._calls.arn("cloudwatch", f"alarm:{name}")

    def delete_alarm(self, managed: Managed, job: Job) -> None:
        arn = str(managed.arn)
        names = [arn.partition(":alarm:")[2]]
        self._calls.on_tagged(arn, "cloudwatch", "DeleteAlarms", job, AlarmNames=names)

    # --- Application Auto Scaling ------------------------------------------------------------------------------------
    def put(self, job: Job, group: str) -> None:
        """Register the service, or write over what is registered, which may be what a former one of its name left.
        `group`: ARN of the target group with the tasks."""
        express, resource = job.express, _resource(job.service)
        scaling = express.settings.scaling
        known = self._calls(
            "application-autoscaling", "DescribeScalableTargets", job, ServiceNamespace="ecs", ResourceIds=[resource]
        )["ScalableTargets"]
        answer = self._calls(
            "application-autoscaling",
            "RegisterScalableTarget",
            job,
            **_TARGET,
            ResourceId=resource,
            MinCapacity=scaling.minimum,
            MaxCapacity=scaling.maximum,
            Tags=None if known else dict(TAGS),
        )
        express.scalable_target.arn = answer["ScalableTargetARN"]
        express.scalable_target.facts |= {"minCapacity": scaling.minimum, "maxCapacity": scaling.maximum}
        self._put_policy(job, group)

    def _put_policy(self, job: Job, group: str) -> None:
        express = job.express
        scaling = express.settings.scaling
        metric: dict[str, Any] = {"PredefinedMetricType": _NAMES[scaling.metric][1]}
        if scaling.metric == "REQUEST_COUNT_PER_TARGET":
            balancer = str(express.balancer.load_balancer.arn).partition(":loadbalancer/")[2]
            metric["ResourceLabel"] = f"{balancer}/{group.rpartition(':')[2]}"
        answer = self._calls(
            "application-autoscaling",
            "PutScalingPolicy",
            job,
            **_TARGET,
            PolicyName=policy_name(job.service, scaling),
            ResourceId=_resource(job.service),
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": float(scaling.target),
                "PredefinedMetricSpecification": metric,
            },
        )
        express.policy.arn = answer["PolicyARN"]
        express.policy.facts |= policy_facts(scaling)

    def delete_policy(self, managed: Managed, job: Job) -> None:
        name = str(managed.arn).rpartition(":policyName/")[2]
        where = {"PolicyName": name, "ResourceId": _resource(job.service), **_TARGET}
        self._calls("application-autoscaling", "DeleteScalingPolicy", job, **where)

    def deregister(self, managed: Managed, job: Job) -> None:
        where = {"ResourceId": _resource(job.service), **_TARGET}
        self._calls.on_tagged(str(managed.arn), "application-autoscaling", "DeregisterScalableTarget", job, **where)


def policy_facts(scaling: Scaling) -> dict[str, Any]:
    """What ManagedApplicationAutoScalingPolicy shows of a policy."""
    return {
        "policyType": "TargetTrackingScaling",
        "targetValue": float(scaling.target),
        "metric": _NAMES[scaling.metric][1],
    }


def alarm_name(service: Service) -> str:
    return f"{service.cluster.name}/{service.name}/RollbackAlarm"


def policy_name(service: Service, scaling: Scaling) -> str:
    return service.name + _NAMES[scaling.metric][0]


def _resource(service: Service) -> str:
    return f"service/{service.cluster.name}/{service.name}"
