"""Application Auto Scaling for ECS services: targets, target tracking policies, scheduled actions.

Sources: Application Auto Scaling API reference; Application Auto Scaling user guide, "Quotas" (3,000 scalable targets
of ECS, 50 policies and 200 scheduled actions a target). Deregistering asks nobody whether the target is in use, and
takes policies, their alarms and scheduled actions with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel import schedules
from twin.kernel.alarms import Alarms
from twin.kernel.api import Api, Call, operation
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.neighbours.common import hex_id, page, uuid
from twin.neighbours.scaling_model import (
    DIMENSION,
    ScalableTarget,
    ScalingPolicy,
    ScheduledAction,
    invalid,
    watched,
)
from twin.neighbours.target_tracking import CALLER, TargetTracking

TARGETS = 3_000
POLICIES_PER_TARGET = 50
ACTIONS_PER_TARGET = 200
TAGS_PER_TARGET = 50
_WHERE = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_BAD_TOKEN = AwsError("InvalidNextTokenException", "The NextToken is not valid.")


class ApplicationAutoScaling(Api):
    """The API's operations, for service namespace `ecs`.

    Attributes:
        targets: by resource id (`service/<cluster>/<service>`), oldest first.
        tracking: what acts on the policies' alarms.
    """

    service = "application-autoscaling"

    def __init__(self, kernel: Kernel, gateway: Gateway, alarms: Alarms) -> None:
        self.kernel = kernel
        self.gateway = gateway
        self.targets: dict[str, ScalableTarget] = {}
        self.tracking = TargetTracking(kernel, gateway, alarms)
        self._by_arn: dict[str, ScalableTarget] = {}
        self._ids: Random = kernel.rng("application-autoscaling/ids")
        self._made = 0

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The scalable target's tags; none for what does not exist. IAM's conditions on tags read them."""
        found = self._by_arn.get(arn)
        return found.tags if found else {}

    def arn_of(self, resource_id: str) -> str | None:
        """ARN of the resource's scalable target; None if there is none."""
        found = self.targets.get(resource_id)
        return found.arn if found else None

    # --- targets -----------------------------------------------------------------------------------------------------
    @operation("RegisterScalableTarget", (*_WHERE, "MinCapacity", "MaxCapacity", "RoleARN", "SuspendedState", "Tags"))
    def register_scalable_target(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """A new target, or other values for what is given; tags only for a new one."""
        resource_id = _resource(params)
        target = self.targets.get(resource_id)
        minimum = params.get("MinCapacity", target.minimum if target else None)
        maximum = params.get("MaxCapacity", target.maximum if target else None)
        if minimum is None or maximum is None:
            raise invalid("MinCapacity and MaxCapacity are required when registering a new scalable target.")
        if not 0 <= minimum <= maximum:
            raise invalid(f"Minimum capacity {minimum} must be between 0 and the maximum capacity {maximum}.")
        if target is None:
            target = self._register(resource_id, params)
        elif "Tags" in params:
            raise invalid("Tags cannot be added to an existing scalable target. Use TagResource.")
        target.minimum, target.maximum = minimum, maximum
        target.suspended |= params.get("SuspendedState", {})
        return {"ScalableTargetARN": target.arn}

    def _register(self, resource_id: str, params: Mapping[str, Any]) -> ScalableTarget:
        _, cluster, service = resource_id.split("/")
        try:
            found = self.gateway.call("ecs", "DescribeServices", {"cluster": cluster, "services": [service]}, CALLER)
        except AwsError as error:
            raise invalid(f"ECS service doesn't exist: {resource_id} ({error.code})") from error
        if not found["services"] or found["services"][0]["status"] == "INACTIVE":
            raise invalid(f"ECS service doesn't exist: {resource_id}")
        if len(self.targets) >= TARGETS:
            raise AwsError("LimitExceededException", f"The account has {TARGETS} scalable targets, which is the limit.")
        tags = dict(params.get("Tags", {}))
        _check_tags(tags)
        role = "aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling"
        self._made += 1
        target = ScalableTarget(
            self.kernel.arn("application-autoscaling", f"scalable-target/{hex_id(self._ids, '', 36)}"),
            self._made,
            resource_id,
            0,
            0,
            self.kernel.clock.now(),
            params.get("RoleARN", f"arn:aws:iam::{self.kernel.account}:role/{role}_ECSService"),
            tags=tags,
        )
        self.targets[resource_id] = self._by_arn[target.arn] = target
        return target

    @operation(
        "DescribeScalableTargets", ("ServiceNamespace", "ResourceIds", "ScalableDimension", "MaxResults", "NextToken")
    )
    def describe_scalable_targets(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """At most 50 a page."""
        if "ScalableDimension" in params and not params.get("ResourceIds"):
            raise invalid("If you specify a scalable dimension, you must also specify a resource ID.")
        wanted = params.get("ResourceIds")
        found = [one for one in self._of(params) if not wanted or one.resource_id in wanted]
        return _page(found, params, 50, "ScalableTargets", lambda one: one.number, lambda one: one.view())

    @operation("DeregisterScalableTarget", _WHERE)
    def deregister_scalable_target(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        target = self._target(params)
        for policy in target.policies.values():
            self.tracking.forget(policy)
        target.policies.clear()
        target.actions.clear()
        del self.targets[target.resource_id], self._by_arn[target.arn]
        return {}

    def _of(self, params: Mapping[str, Any]) -> list[ScalableTarget]:
        """The targets of a service namespace: the twin has those of ECS."""
        if params.get("ScalableDimension", DIMENSION) != DIMENSION:
            return []
        return list(self.targets.values()) if params["ServiceNamespace"] == "ecs" else []

    def _target(self, params: Mapping[str, Any]) -> ScalableTarget:
        found = self.targets.get(_resource(params))
        if found is None:
            raise AwsError(
                "ObjectNotFoundException",
                f"No scalable target found for service namespace: ecs, resource ID: {params['ResourceId']}, scalable "
                f"dimension: {DIMENSION}",
            )
        return found

    # --- policies ----------------------------------------------------------------------------------------------------
    @operation("PutScalingPolicy", (*_WHERE, "PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration"))
    def put_scaling_policy(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """A new policy with its alarms, or another configuration of the one of that name."""
        target, name = self._target(params), params["PolicyName"]
        if params.get("PolicyType", "TargetTrackingScaling") != "TargetTrackingScaling":
            raise Unmodelled(f"application-autoscaling: PolicyType {params['PolicyType']!r} is not modelled")
        configuration = params.get("TargetTrackingScalingPolicyConfiguration")
        if configuration is None:
            raise invalid("TargetTrackingScalingPolicyConfiguration is required for target tracking policies.")
        watched(configuration, target)
        policy = target.policies.get(name)
        if policy is None:
            if len(target.policies) >= POLICIES_PER_TARGET:
                raise AwsError("LimitExceededException", f"A target can have at most {POLICIES_PER_TARGET} policies.")
            self._made += 1
            path = f"{uuid(self._ids)}:resource/ecs/{target.resource_id}:policyName/{name}"
            arn = self.kernel.arn("autoscaling", f"scalingPolicy:{path}")
            policy = ScalingPolicy(arn, self._made, name, target, configuration, self.kernel.clock.now())
            target.policies[name] = policy
        policy.configuration = configuration
        self.tracking.watch(policy, lambda: uuid(self._ids))
        return {"PolicyARN": policy.arn, "Alarms": policy.view(self._alarm_arn)["Alarms"]}

    @property
    def _alarm_arn(self) -> str:
        return self.kernel.arn("cloudwatch", "alarm:")

    @operation(
        "DescribeScalingPolicies",
        ("PolicyNames", "ServiceNamespace", "ResourceId", "ScalableDimension", "MaxResults", "NextToken"),
    )
    def describe_scaling_policies(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """At most 10 a page."""
        if "ScalableDimension" in params and "ResourceId" not in params:
            raise invalid("If you specify a scalable dimension, you must also specify a resource ID.")
        names = params.get("PolicyNames")
        found = [
            policy
            for target in self._of(params)
            if params.get("ResourceId") in (None, target.resource_id)
            for policy in target.policies.values()
            if not names or policy.name in names or policy.arn in names
        ]
        found.sort(key=lambda one: one.number)
        view = lambda one: one.view(self._alarm_arn)  # noqa: E731
        return _page(found, params, 10, "ScalingPolicies", lambda one: one.number, view)

    @operation("DeleteScalingPolicy", (*_WHERE, "PolicyName"))
    def delete_scaling_policy(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """With its alarms."""
        name = params["PolicyName"]
        target = self.targets.get(_resource(params))
        policy = target.policies.pop(name, None) if target else None
        if policy is None:
            raise AwsError(
                "ObjectNotFoundException",
                f"No scaling policy found for service namespace: ecs, resource ID: {params['ResourceId']}, scalable "
                f"dimension: {DIMENSION}, policy name: {name}",
            )
        self.tracking.forget(policy)
        return {}

    @operation(
        "DescribeScalingActivities",
        ("ServiceNamespace", "ResourceId", "ScalableDimension", "MaxResults", "NextToken"),
    )
    def describe_scaling_activities(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Newest first, at most 50 a page."""
        newest = len(self.tracking.activities) + 1
        found = [
            one
            for one in reversed(self.tracking.activities)
            if params.get("ResourceId") in (None, one.resource_id) and params["ServiceNamespace"] == "ecs"
        ]
        return _page(found, params, 50, "ScalingActivities", lambda one: newest - one.number, _activity_view)

    # --- scheduled actions -------------------------------------------------------------------------------------------
    @operation(
        "PutScheduledAction",
        (*_WHERE, "Schedule", "ScheduledActionName", "StartTime", "EndTime", "ScalableTargetAction", "Timezone"),
    )
    def put_scheduled_action(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        target, name = self._target(params), params["ScheduledActionName"]
        if params.get("Timezone", "UTC") not in ("UTC", "Etc/UTC"):
            raise Unmodelled(f"application-autoscaling: a scheduled action's Timezone {params['Timezone']!r}")
        former = target.actions.get(name)
        if former is None and len(target.actions) >= ACTIONS_PER_TARGET:
            raise AwsError("LimitExceededException", f"A target can have at most {ACTIONS_PER_TARGET} actions.")
        if former is None and not ("Schedule" in params and params.get("ScalableTargetAction")):
            raise invalid("A new scheduled action needs a Schedule and a ScalableTargetAction.")
        self._made += 1
        path = f"{uuid(self._ids)}:resource/ecs/{target.resource_id}:scheduledActionName/{name}"
        made = {
            "ScheduledActionARN": self.kernel.arn("autoscaling", f"scheduledAction:{path}"),
            "CreationTime": self.kernel.clock.now(),
        }
        action = ScheduledAction(
            former.number if former else self._made, {**(former.shown if former else made), **params}
        )
        next_time = _next_time(action.shown, self.kernel.clock.now())
        target.actions[name] = action
        self._arm(target, action, next_time)
        return {}

    def _arm(self, target: ScalableTarget, action: ScheduledAction, moment: datetime | None) -> None:
        """Run the action at its time, as long as it stands; none for one whose times are over."""
        if moment is None:
            return
        due = (moment - self.kernel.clock.start).total_seconds()
        name = f"scheduled-action:{action.shown['ScheduledActionName']}"
        self.kernel.scheduler.call_at(due, lambda: self._run(target, action), name=name, background=True)

    def _run(self, target: ScalableTarget, action: ScheduledAction) -> None:
        shown = action.shown
        if target.actions.get(shown["ScheduledActionName"]) is not action:
            return
        if not target.suspended.get("ScheduledScalingSuspended"):
            bounds = shown["ScalableTargetAction"]
            target.minimum = bounds.get("MinCapacity", target.minimum)
            target.maximum = bounds.get("MaxCapacity", target.maximum)
            self.tracking.fit(target, f"scheduled action name {shown['ScheduledActionName']} was triggered")
        if not shown["Schedule"].startswith("at("):
            self._arm(target, action, _next_time(shown, self.kernel.clock.now()))

    @operation(
        "DescribeScheduledActions",
        ("ScheduledActionNames", "ServiceNamespace", "ResourceId", "ScalableDimension", "MaxResults", "NextToken"),
    )
    def describe_scheduled_actions(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """At most 50 a page."""
        names = params.get("ScheduledActionNames")
        found = [
            action
            for target in self._of(params)
            if params.get("ResourceId") in (None, target.resource_id)
            for name, action in target.actions.items()
            if not names or name in names
        ]
        found.sort(key=lambda one: one.number)
        return _page(found, params, 50, "ScheduledActions", lambda one: one.number, lambda one: dict(one.shown))

    @operation("DeleteScheduledAction", (*_WHERE, "ScheduledActionName"))
    def delete_scheduled_action(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        target = self.targets.get(_resource(params))
        if target is None or target.actions.pop(params["ScheduledActionName"], None) is None:
            raise AwsError("ObjectNotFoundException", f"No scheduled action {params['ScheduledActionName']} found")
        return {}

    # --- tags --------------------------------------------------------------------------------------------------------
    @operation("ListTagsForResource", ("ResourceARN",))
    def list_tags_for_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"Tags": dict(self._tagged(params["ResourceARN"]).tags)}

    @operation("TagResource", ("ResourceARN", "Tags"))
    def tag_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        target = self._tagged(params["ResourceARN"])
        tags = {**target.tags, **params["Tags"]}
        _check_tags(tags)
        target.tags = tags
        return {}

    @operation("UntagResource", ("ResourceARN", "TagKeys"))
    def untag_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        target = self._tagged(params["ResourceARN"])
        for key in params["TagKeys"]:
            target.tags.pop(key, None)
        return {}

    def _tagged(self, arn: str) -> ScalableTarget:
        found = self._by_arn.get(arn)
        if found is None:
            raise AwsError("ResourceNotFoundException", f"The resource {arn} doesn't exist.")
        return found


def _resource(params: Mapping[str, Any]) -> str:
    """The resource id of a request, which must be an ECS service's."""
    if params["ServiceNamespace"] != "ecs":
        raise Unmodelled(f"application-autoscaling: ServiceNamespace {params['ServiceNamespace']!r} is not modelled")
    resource_id = str(params["ResourceId"])
    if params["ScalableDimension"] != DIMENSION:
        raise invalid(f"Unsupported service namespace, resource type or scalable dimension: {resource_id}")
    if resource_id.split("/")[0] != "service" or resource_id.count("/") != 2:
        raise invalid(f"Resource ID must be of the form service/<cluster>/<service>, not {resource_id}")
    return resource_id


def _next_time(shown: Mapping[str, Any], now: datetime) -> datetime | None:
    """When a scheduled action runs next; None for never. AwsError for a schedule that is none."""
    schedule = shown["Schedule"]
    if schedule.startswith("at(") and schedule.endswith(")"):
        try:
            moment = datetime.fromisoformat(schedule[3:-1]).replace(tzinfo=now.tzinfo)
        except ValueError:
            raise invalid(f"Schedule {schedule} is not a valid time.") from None
        return moment if moment > now else None
    start = shown.get("StartTime")
    since = max(now, start - timedelta(minutes=1)) if start else now
    try:
        moment = schedules.parse(schedule).after(since)
    except WorldError as error:
        raise invalid(str(error)) from None
    end = shown.get("EndTime")
    return None if end and moment > end else moment


def _page(
    found: list[Any],
    params: Mapping[str, Any],
    most: int,
    member: str,
    number: Callable[[Any], int],
    view: Callable[[Any], dict[str, Any]],
) -> dict[str, Any]:
    size = params.get("MaxResults", most)
    if not 1 <= size <= most:
        raise invalid(f"MaxResults must be between 1 and {most}, not {size}")
    shown, token = page(found, params.get("NextToken"), size, number, _BAD_TOKEN)
    return {member: [view(one) for one in shown]} | ({"NextToken": token} if token else {})


def _activity_view(one: Any) -> dict[str, Any]:
    return {
        "ActivityId": f"{one.number:08x}-0000-4000-a000-000000000000",
        "ServiceNamespace": "ecs",
        "ResourceId": one.resource_id,
        "ScalableDimension": DIMENSION,
        "Description": one.description,
        "Cause": one.cause,
        "StartTime": one.at,
        "EndTime": one.at,
        "StatusCode": one.status,
        "StatusMessage": one.message,
    }


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_PER_TARGET:
        raise AwsError("TooManyTagsException", f"A scalable target can have at most {TAGS_PER_TARGET} tags.")
