"""The Amazon EC2 Auto Scaling API.

Source: Auto Scaling API reference. Error texts that the reference does not give are those that AWS is known to answer.
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Api, Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import Bus, filtered, only, page
from twin.neighbours.ec2 import Ec2
from twin.neighbours.fleet import Fleet, group_arn
from twin.neighbours.groups import (
    PROCESSES,
    AutoScalingOptions,
    Group,
    Kinds,
    Member,
    activity_view,
    group_view,
    tags_view,
)
from twin.neighbours.instance_types import instance_type
from twin.neighbours.instances import Subnet
from twin.neighbours.lifecycle_operations import LifecycleOperations
from twin.neighbours.managed_scaling import CapacityDemand, CapacityProvider, ManagedScaling
from twin.neighbours.scale_in import POLICIES
from twin.neighbours.synchronous import LaunchInstancesOperation

__all__ = ["AutoScaling", "AutoScalingOptions", "CapacityDemand", "CapacityProvider"]

_BAD_TOKEN = AwsError("InvalidNextToken", "The token is not valid")
_SIZES = ("MinSize", "MaxSize", "DesiredCapacity")
_SETTINGS = (
    "AvailabilityZones",
    "CapacityRebalance",
    "DefaultCooldown",
    "HealthCheckGracePeriod",
    "HealthCheckType",
    "LaunchTemplate",
    "MixedInstancesPolicy",
    "NewInstancesProtectedFromScaleIn",
    "TerminationPolicies",
    "VPCZoneIdentifier",
    *_SIZES,
)


class AutoScaling(LifecycleOperations, LaunchInstancesOperation, Api):
    """The API, and for worlds and reports: `instance_ids`, `launched`, `ended`, `fleet`; for ECS: `manage`."""

    service = "autoscaling"

    def __init__(self, kernel: Kernel, bus: Bus, ec2: Ec2, options: AutoScalingOptions | None = None) -> None:
        self.kernel = kernel
        self.ec2 = ec2
        self.options = options or AutoScalingOptions()
        self.fleet = Fleet(kernel, bus, ec2, self.options)
        self._managed = ManagedScaling(kernel, self.fleet, self.options)

    @property
    def instance_ids(self) -> dict[str, deque[str]]:
        """Ids that a world wants a group's next launches to get, in order."""
        return self.fleet.instance_ids

    @property
    def launched(self) -> Counter[str]:
        return self.fleet.launched

    @property
    def ended(self) -> Counter[str]:
        return self.fleet.ended

    def manage(self, provider: CapacityProvider, demand: CapacityDemand) -> None:
        """Put a group under the managed scaling, draining or termination protection of an ECS capacity provider."""
        self._managed.add(self.group(provider.group_name), provider, demand)

    def group(self, name_or_arn: str) -> Group:
        """The group; AwsError as Auto Scaling answers if there is none."""
        return self.fleet.group(name_or_arn)

    # --- groups ------------------------------------------------------------------------------------------------------
    @operation("CreateAutoScalingGroup", ("AutoScalingGroupName", "LifecycleHookSpecificationList", "Tags", *_SETTINGS))
    def create_auto_scaling_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["AutoScalingGroupName"]
        if name in self.fleet.groups:
            raise AwsError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        minimum, maximum = params["MinSize"], params["MaxSize"]
        desired = params.get("DesiredCapacity", minimum)
        _check_sizes(minimum, maximum, desired)
        group = Group(
            name=name,
            arn=group_arn(self.fleet, name),
            number=self.fleet.next_number(),
            created=self.kernel.clock.now(),
            kinds=self._kinds(params),
            subnets=self._subnets(params),
            minimum=minimum,
            maximum=maximum,
            desired=0,
        )
        self._configure(group, params)
        group.tags = {
            tag["Key"]: (tag.get("Value", ""), bool(tag.get("PropagateAtLaunch", False)))
            for tag in params.get("Tags", [])
        }
        for hook in params.get("LifecycleHookSpecificationList", []):
            self.put_hook(group, hook)
        self.fleet.groups[name] = group
        text = "a user request created an AutoScalingGroup"
        self.fleet.set_desired(group, desired, text, call)
        return {}

    @operation("UpdateAutoScalingGroup", ("AutoScalingGroupName", *_SETTINGS))
    def update_auto_scaling_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["AutoScalingGroupName"])
        minimum = params.get("MinSize", group.minimum)
        maximum = params.get("MaxSize", group.maximum)
        # API reference: a new minimum above, or a new maximum below, the present size moves the desired capacity,
        # unless that is given too.
        desired = params.get("DesiredCapacity", max(minimum, min(maximum, group.desired)))
        _check_sizes(minimum, maximum, desired)
        if "LaunchTemplate" in params or "MixedInstancesPolicy" in params:
            group.kinds = self._kinds(params)
        if "VPCZoneIdentifier" in params:
            group.subnets = self._subnets(params)
        self._configure(group, params)
        group.minimum, group.maximum = minimum, maximum
        text = (
            f"a user request update of AutoScalingGroup constraints to min: {minimum}, max: {maximum}, "
            f"desired: {desired}"
        )
        self.fleet.set_desired(group, desired, text, call)
        self.fleet.wake(group)
        return {}

    @operation("DeleteAutoScalingGroup", ("AutoScalingGroupName", "ForceDelete"))
    def delete_auto_scaling_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["AutoScalingGroupName"])
        if not params.get("ForceDelete", False):
            if group.members:
                raise AwsError(
                    "ResourceInUse",
                    "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance "
                    "request(s) still in the group.",
                )
            group.deleted = True
            del self.fleet.groups[group.name]
            return {}
        group.delete_status = "Delete in progress"
        group.minimum = group.desired = 0
        for member in list(group.members.values()):
            cause = f"At {self.fleet.at()} a user request force deleted the group."
            self.fleet.terminate(group, member, cause, call, hooks=False)
        if not group.members:
            group.deleted = True
            self.fleet.groups.pop(group.name, None)
        return {}

    def _configure(self, group: Group, params: Mapping[str, Any]) -> None:
        if params.get("HealthCheckType", "EC2") != "EC2":
            raise Unmodelled(f"autoscaling: HealthCheckType={params['HealthCheckType']!r} is not modelled")
        if set(params.get("AvailabilityZones", group.zones)) != set(group.zones):
            raise _invalid("The availability zones of the specified subnets and the Auto Scaling group do not match")
        if params.get("CapacityRebalance", False):
            raise Unmodelled("autoscaling: CapacityRebalance=True is not modelled")
        unknown = sorted(set(params.get("TerminationPolicies", [])) - set(POLICIES))
        if unknown:
            raise Unmodelled(f"autoscaling: termination policy {unknown[0]!r} is not modelled")
        group.cooldown = params.get("DefaultCooldown", group.cooldown)
        group.grace = params.get("HealthCheckGracePeriod", group.grace)
        group.new_protected = params.get("NewInstancesProtectedFromScaleIn", group.new_protected)
        group.policies = list(params.get("TerminationPolicies", group.policies))

    def _subnets(self, params: Mapping[str, Any]) -> list[Subnet]:
        if not params.get("VPCZoneIdentifier"):
            raise Unmodelled("autoscaling: a group without VPCZoneIdentifier (default VPC) is not modelled")
        ids = [one.strip() for one in params["VPCZoneIdentifier"].split(",")]
        for subnet_id in ids:
            if subnet_id not in self.ec2.subnets:
                raise _invalid(f"The subnet ID '{subnet_id}' does not exist")
        return [self.ec2.subnets[subnet_id] for subnet_id in ids]

    def _kinds(self, params: Mapping[str, Any]) -> Kinds:
        """What the group launches, from its launch template or mixed instances policy."""
        mixed = params.get("MixedInstancesPolicy")
        if (mixed is None) == ("LaunchTemplate" not in params):
            raise _invalid(
                "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
                "MixedInstancesPolicy parameter."
            )
        if mixed is None:
            return self._of_template(params["LaunchTemplate"], [])
        only(mixed, {"LaunchTemplate", "InstancesDistribution"}, "autoscaling: MixedInstancesPolicy")
        template = mixed["LaunchTemplate"]
        overrides = template.get("Overrides", [])
        for one in overrides:
            only(one, {"InstanceType"}, "autoscaling: MixedInstancesPolicy.LaunchTemplate.Overrides")
        kinds = self._of_template(template["LaunchTemplateSpecification"], [one["InstanceType"] for one in overrides])
        share = mixed.get("InstancesDistribution", {})
        known = {"OnDemandAllocationStrategy", "OnDemandBaseCapacity", "OnDemandPercentageAboveBaseCapacity"}
        only(share, known, "autoscaling: MixedInstancesPolicy.InstancesDistribution")
        if share.get("OnDemandAllocationStrategy", "prioritized") != "prioritized":
            raise Unmodelled("autoscaling: OnDemandAllocationStrategy other than 'prioritized' is not modelled")
        kinds.mixed = copy.deepcopy(mixed)
        kinds.base = share.get("OnDemandBaseCapacity", 0)
        kinds.percent = share.get("OnDemandPercentageAboveBaseCapacity", 100)
        return kinds

    def _of_template(self, specification: Mapping[str, Any], overrides: Sequence[str]) -> Kinds:
        try:
            template = self.ec2.template(specification.get("LaunchTemplateId"), specification.get("LaunchTemplateName"))
            version = template.version(specification.get("Version"))
        except AwsError as error:
            raise _invalid(f"You must use a valid fully-formed launch template. {error.message}") from error
        types = list(overrides) or [version.data.get("InstanceType", "")]
        if not types[0]:
            raise _invalid(
                "You must use a valid fully-formed launch template. The request must contain the parameter InstanceType"
            )
        if "ImageId" not in version.data:
            raise _invalid(
                "You must use a valid fully-formed launch template. The request must contain the parameter ImageId"
            )
        for kind in types:
            instance_type(kind)
        return Kinds(template.template_id, template.name, specification.get("Version", "$Default"), list(overrides))

    # --- size --------------------------------------------------------------------------------------------------------
    @operation("SetDesiredCapacity", ("AutoScalingGroupName", "DesiredCapacity", "HonorCooldown"))
    def set_desired_capacity(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["AutoScalingGroupName"])
        desired = params["DesiredCapacity"]
        text = "New SetDesiredCapacity value {} is {} value {} for the AutoScalingGroup."
        if desired > group.maximum:
            raise _invalid(text.format(desired, "above max", group.maximum))
        if desired < group.minimum:
            raise _invalid(text.format(desired, "below min", group.minimum))
        if params.get("HonorCooldown", False):
            _check_cooldown(group, self.kernel.clock.elapsed)
        self.fleet.set_desired(group, desired, "a user request explicitly set group desired capacity", call)
        return {}

    @operation(
        "TerminateInstanceInAutoScalingGroup",
        ("InstanceId", "InstanceIds", "AutoScalingGroupName", "ShouldDecrementDesiredCapacity"),
    )
    def terminate_instance(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        decrement = params["ShouldDecrementDesiredCapacity"]
        if ("InstanceId" in params) == ("InstanceIds" in params):
            raise _invalid("Either InstanceId or InstanceIds must be specified, and not both")
        if "InstanceId" in params:
            group, member = self._managed_instance(params["InstanceId"], params.get("AutoScalingGroupName"))
            return {"Activity": self._terminate(group, [member], decrement, call)[0]}
        if "AutoScalingGroupName" not in params:
            raise _invalid("AutoScalingGroupName is required when InstanceIds is specified")
        ids = list(dict.fromkeys(params["InstanceIds"]))
        if not 1 <= len(ids) <= 100:
            raise _invalid(f"InstanceIds must name between 1 and 100 instances, not {len(ids)}")
        group = self.group(params["AutoScalingGroupName"])
        members = [self._managed_instance(one, group.name)[1] for one in ids]
        return {"Activities": self._terminate(group, members, decrement, call)}

    def _managed_instance(self, instance_id: str, group_name: str | None) -> tuple[Group, Member]:
        known = self.fleet.member(instance_id)
        if known is None or group_name not in (None, known[0].name):
            raise _invalid(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
        return known

    def _terminate(self, group: Group, members: list[Member], decrement: bool, call: Call) -> list[dict[str, Any]]:
        counted = [one for one in members if one.live or self.options.repeated_terminate_decrements]
        if decrement and group.desired - len(counted) < group.minimum:
            raise _invalid(
                f"Currently, desiredSize equals minSize ({group.minimum}). Terminating instance without replacement "
                "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or "
                "lower group's min size."
                if group.desired == group.minimum
                else f"Currently, desiredSize is {group.desired} and minSize is {group.minimum}. Terminating "
                f"{len(counted)} instances without replacement will violate group's min size constraint."
            )
        if decrement:
            self._decrement(group, len(counted), call)
        group.unbalanced_by = call
        return [activity_view(group, self._end(group, member, decrement, call)) for member in members]

    def _decrement(self, group: Group, count: int, call: Call) -> None:
        text = "a user request to terminate an instance and decrement the desired capacity was received"
        self.fleet.set_desired(group, group.desired - count, text, call)

    def _end(self, group: Group, member: Member, decrement: bool, call: Call) -> Any:
        if not member.live:
            return member.activity
        now, size = self.fleet.at(), len(group.live)
        shrinking = f", shrinking the capacity from {size} to {size - 1}" if decrement else ""
        cause = (
            f"At {now} instance {member.instance_id} was taken out of service in response to a user request{shrinking}."
        )
        activity = self.fleet.terminate(group, member, cause, call)
        self.fleet.wake(group)
        return activity

    # --- instances ---------------------------------------------------------------------------------------------------
    @operation("SetInstanceProtection", ("InstanceIds", "AutoScalingGroupName", "ProtectedFromScaleIn"))
    def set_instance_protection(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["AutoScalingGroupName"])
        ids = params["InstanceIds"]
        if len(ids) > 50:
            raise AwsError("LimitExceeded", f"At most 50 instance IDs can be given in one call, not {len(ids)}")
        for instance_id in ids:
            member = group.members.get(instance_id)
            if member is None:
                raise _invalid(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
            if member.lifecycle != "InService":
                raise _invalid(f"The instance {instance_id} is not in InService or EnteringStandby or Standby.")
        for instance_id in ids:
            group.members[instance_id].protected = params["ProtectedFromScaleIn"]
        self.fleet.protection_changed(group)
        return {}

    @operation("SetInstanceHealth", ("InstanceId", "HealthStatus", "ShouldRespectGracePeriod"))
    def set_instance_health(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group, member = self._managed_instance(params["InstanceId"], None)
        status = params["HealthStatus"]
        if status not in ("Healthy", "Unhealthy"):
            raise _invalid(f"Valid instance health states are: [Healthy, Unhealthy], not {status}.")
        if status == "Healthy":
            member.health = status
        elif not (params.get("ShouldRespectGracePeriod", True) and self._in_grace(group, member)):
            if member.instance:
                member.instance.end_cause = call
            self.fleet.mark_unhealthy(group, member)
        return {}

    def _in_grace(self, group: Group, member: Member) -> bool:
        since = member.in_service_at
        return since is None or (self.kernel.clock.now() - since).total_seconds() < group.grace

    # --- processes ---------------------------------------------------------------------------------------------------
    @operation("SuspendProcesses", ("AutoScalingGroupName", "ScalingProcesses"))
    def suspend_processes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["AutoScalingGroupName"])
        for process in _processes(params):
            group.suspended.setdefault(process, f"User suspended at {self.fleet.at()}")
        return {}

    @operation("ResumeProcesses", ("AutoScalingGroupName", "ScalingProcesses"))
    def resume_processes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["AutoScalingGroupName"])
        for process in _processes(params):
            group.suspended.pop(process, None)
        self.fleet.check_all(group)
        self.fleet.wake(group)
        return {}

    # --- describing --------------------------------------------------------------------------------------------------
    @operation(
        "DescribeAutoScalingGroups", ("AutoScalingGroupNames", "IncludeInstances", "NextToken", "MaxRecords", "Filters")
    )
    def describe_auto_scaling_groups(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        names = params.get("AutoScalingGroupNames")
        limit = _records(params, 50, 100)
        if names and len(names) > limit:
            raise _invalid(f"At most {limit} Auto Scaling group names can be specified, not {len(names)}")
        found: Iterable[Group] = self.fleet.groups.values()
        if names:
            found = [one for one in found if one.name in names]
        known: dict[str, Callable[[Group], Iterable[str]]] = {
            "tag-value": lambda one: [value for value, _ in one.tags.values()]
        }
        filters = params.get("Filters", [])
        found = filtered(
            found,
            filters,
            known,
            lambda one: {key: value for key, (value, _) in one.tags.items()},
            "autoscaling:DescribeAutoScalingGroups",
        )
        shown, token = page(found, params.get("NextToken"), limit, lambda one: one.number, _BAD_TOKEN)
        with_instances = params.get("IncludeInstances", True)
        views = [group_view(one, with_instances=with_instances) for one in shown]
        return {"AutoScalingGroups": views} | ({"NextToken": token} if token else {})

    @operation("DescribeAutoScalingInstances", ("InstanceIds", "NextToken", "MaxRecords"))
    def describe_auto_scaling_instances(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        wanted = params.get("InstanceIds")
        if wanted and len(wanted) > 50:
            raise _invalid(f"At most 50 instance IDs can be specified, not {len(wanted)}")
        if wanted:
            known = [self.fleet.member(one) for one in dict.fromkeys(wanted)]
            pairs = [one for one in known if one is not None]
        else:
            pairs = [(group, member) for group in self.fleet.groups.values() for member in group.members.values()]
        pairs.sort(key=lambda pair: pair[1].number)
        limit = _records(params, 50, 50)
        shown, token = page(pairs, params.get("NextToken"), limit, lambda pair: pair[1].number, _BAD_TOKEN)
        views = [{**member.view(), "AutoScalingGroupName": group.name} for group, member in shown]
        return {"AutoScalingInstances": views} | ({"NextToken": token} if token else {})

    @operation("DescribeScalingActivities", ("ActivityIds", "AutoScalingGroupName", "MaxRecords", "NextToken"))
    def describe_scaling_activities(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        groups = list(self.fleet.groups.values())
        if "AutoScalingGroupName" in params:
            groups = [self.group(params["AutoScalingGroupName"])]
        found = [(group, one) for group in groups for one in group.activities]
        if params.get("ActivityIds"):
            found = [pair for pair in found if pair[1].activity_id in params["ActivityIds"]]
        found.sort(key=lambda pair: (pair[1].end is not None, -pair[1].number))
        limit = _records(params, 100, 100)
        shown, token = page(list(enumerate(found)), params.get("NextToken"), limit, lambda one: one[0], _BAD_TOKEN)
        return {"Activities": [activity_view(*pair) for _, pair in shown]} | ({"NextToken": token} if token else {})

    # --- tags, warm pool ---------------------------------------------------------------------------------------------
    @operation("CreateOrUpdateTags", ("Tags",))
    def create_or_update_tags(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        for tag in params["Tags"]:
            group = self.group(tag["ResourceId"])
            group.tags[tag["Key"]] = (tag.get("Value", ""), bool(tag.get("PropagateAtLaunch", False)))
        return {}

    @operation("DeleteTags", ("Tags",))
    def delete_tags(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        for tag in params["Tags"]:
            self.group(tag["ResourceId"]).tags.pop(tag["Key"], None)
        return {}

    @operation("DescribeTags", ("Filters", "NextToken", "MaxRecords"))
    def describe_tags(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = [tag for group in self.fleet.groups.values() for tag in tags_view(group)]
        names = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}
        for one in params.get("Filters", []):
            if one["Name"] not in names:
                raise Unmodelled(f"autoscaling:DescribeTags: filter {one['Name']!r} is not modelled")
            found = [tag for tag in found if tag[names[one["Name"]]] in one["Values"]]
        limit = _records(params, 50, 100)
        shown, token = page(list(enumerate(found)), params.get("NextToken"), limit, lambda one: one[0], _BAD_TOKEN)
        return {"Tags": [tag for _, tag in shown]} | ({"NextToken": token} if token else {})

    @operation("PutWarmPool", ("AutoScalingGroupName", "MaxGroupPreparedCapacity", "MinSize"))
    def put_warm_pool(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """A warm pool that stays empty: enough to be recognised. One that would hold instances is not modelled."""
        group = self.group(params["AutoScalingGroupName"])
        prepared = params.get("MaxGroupPreparedCapacity", group.maximum)
        if params.get("MinSize", 0) > 0 or not 0 <= prepared <= group.minimum:
            raise Unmodelled(
                f"autoscaling: a warm pool with instances (MinSize={params.get('MinSize', 0)}, "
                f"MaxGroupPreparedCapacity={prepared}) is not modelled"
            )
        group.warm_pool = {"MinSize": 0, "MaxGroupPreparedCapacity": prepared, "PoolState": "Stopped"}
        return {}


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def _check_sizes(minimum: int, maximum: int, desired: int) -> None:
    if minimum < 0 or maximum < 0:
        raise _invalid(f"Min size {minimum} and max size {maximum} must not be negative")
    if maximum < minimum:
        raise _invalid(f"Max bound, {maximum}, must be greater than or equal to min bound, {minimum}")
    if not minimum <= desired <= maximum:
        raise _invalid(
            f"Desired capacity:{desired} must be between the specified min size:{minimum} and max size:{maximum}"
        )


def _check_cooldown(group: Group, elapsed: float) -> None:
    going_on = next((one for one in reversed(group.activities) if one.end is None), None)
    last = going_on or (group.activities[-1] if group.activities and elapsed < group.cooldown_until else None)
    if last:
        raise AwsError(
            "ScalingActivityInProgress", f"Scaling activity {last.activity_id} is in progress and blocks this action"
        )


def _processes(params: Mapping[str, Any]) -> Sequence[str]:
    wanted: Sequence[str] = params.get("ScalingProcesses") or PROCESSES
    for process in wanted:
        if process not in PROCESSES:
            raise _invalid(f"{process} is not a valid Process Type. Valid Process Types are: {', '.join(PROCESSES)}")
    return wanted


def _records(params: Mapping[str, Any], default: int, most: int) -> int:
    limit: int = params.get("MaxRecords", default)
    if not 1 <= limit <= most:
        raise _invalid(f"MaxRecords must be between 1 and {most}, not {limit}")
    return limit
