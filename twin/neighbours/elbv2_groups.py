"""Target groups and their targets, as the ELBv2 API knows them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation
from twin.neighbours.common import only, tag_map
from twin.neighbours.elbv2_attributes import TARGET_GROUP_ATTRIBUTES, attributes_view, set_target_group_attributes
from twin.neighbours.elbv2_model import Balancing, check_name, chosen, invalid, paged
from twin.neighbours.targets import Probe, Target, TargetGroup, health_view, missing_view

_CHECKS = (
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "Matcher",
    "UnhealthyThresholdCount",
)
_SETTINGS = (*_CHECKS, "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId")


class TargetGroupOperations(Balancing):
    """Operations on target groups and targets."""

    @operation("CreateTargetGroup", ("Name", "Tags", *_SETTINGS))
    def create_target_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["Name"]
        check_name(name, "Target group")
        settings = _group_settings(params)
        same = next((one for one in self.target_groups.values() if one.name == name), None)
        if same:
            if same.settings != settings:
                raise AwsError(
                    "DuplicateTargetGroupName",
                    f"A target group with the same name '{name}' exists, but with different settings",
                )
            return {"TargetGroups": [group_view(same)]}
        arn = self._arn(f"targetgroup/{name}/{self._hex()}")
        group = TargetGroup(arn, name, self._number(), settings, dict(TARGET_GROUP_ATTRIBUTES))
        group.tags = tag_map(params.get("Tags", []))
        self.target_groups[arn] = group
        return {"TargetGroups": [group_view(group)]}

    @operation("DescribeTargetGroups", ("LoadBalancerArn", "TargetGroupArns", "Names", "Marker", "PageSize"))
    def describe_target_groups(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = chosen(
            self.target_groups.values(),
            params,
            {"TargetGroupArns": lambda one: one.arn, "Names": lambda one: one.name},
            "TargetGroupNotFound",
            "Target groups",
        )
        if "LoadBalancerArn" in params:
            balancer = self.balancer(params["LoadBalancerArn"])
            found = [one for one in found if balancer.arn in one.load_balancers]
        return paged(found, params, "TargetGroups", group_view)

    @operation("ModifyTargetGroup", ("TargetGroupArn", *_CHECKS))
    def modify_target_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Changes health checks; counts that are under way go on with the old interval."""
        group = self.group(params["TargetGroupArn"])
        given = {key: params[key] for key in _CHECKS if key in params}
        if given.get("HealthCheckEnabled") is False:
            raise AwsError("InvalidConfigurationRequest", "Health checks can be disabled for lambda targets only")
        if (
            given.get("HealthCheckProtocol", group.settings["HealthCheckProtocol"])
            != (group.settings["HealthCheckProtocol"])
        ):
            raise Unmodelled("elbv2: ModifyTargetGroup to another HealthCheckProtocol is not modelled")
        settings = {**group.settings, **copy.deepcopy(given)}
        _check_times(settings)
        group.settings = settings
        return {"TargetGroups": [group_view(group)]}

    @operation("DeleteTargetGroup", ("TargetGroupArn",))
    def delete_target_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """ResourceInUse while any action refers to it, with weight 0 too. TargetGroupNotFound is no error of this
        operation in the API model: deleting again succeeds."""
        group = self.target_groups.get(params["TargetGroupArn"])
        if group is None:
            return {}
        if self.rules_to(group.arn):
            raise AwsError("ResourceInUse", f"Target group '{group.arn}' is currently in use by a listener or a rule")
        self._targets.drop(group)
        del self.target_groups[group.arn]
        return {}

    @operation("DescribeTargetGroupAttributes", ("TargetGroupArn",))
    def describe_target_group_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"Attributes": attributes_view(self.group(params["TargetGroupArn"]).attributes)}

    @operation("ModifyTargetGroupAttributes", ("TargetGroupArn", "Attributes"))
    def modify_target_group_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["TargetGroupArn"])
        set_target_group_attributes(group.attributes, params["Attributes"])
        return {"Attributes": attributes_view(group.attributes)}

    # --- targets -----------------------------------------------------------------------------------------------------
    @operation("RegisterTargets", ("TargetGroupArn", "Targets"))
    def register_targets(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["TargetGroupArn"])
        found = [
            (one["Id"], one.get("Port", group.settings["Port"]), self._placed(group, one)) for one in params["Targets"]
        ]
        for target_id, port, (zone, probe) in found:
            self._targets.register(group, target_id, port, zone, probe)
        return {}

    def _placed(self, group: TargetGroup, target: Mapping[str, Any]) -> tuple[str, Probe]:
        """Zone and probe of a target that is registered through the API."""
        only(target, {"Id", "Port", "AvailabilityZone"}, "elbv2: RegisterTargets.Targets")
        if group.settings["TargetType"] == "alb":
            return self._placed_balancer(group, target)
        if group.settings["TargetType"] == "ip":
            return target.get("AvailabilityZone", ""), lambda: True
        instance = self.ec2.instances.get(target["Id"]) if self.ec2 else None
        if instance is None:
            raise AwsError("InvalidTarget", f"The following targets are not valid instance IDs: '{target['Id']}'")
        if instance.state != "running":
            raise AwsError(
                "InvalidTarget",
                f"The following targets are not in a running state and cannot be registered: '{target['Id']}'",
            )
        return instance.zone, lambda: instance.state == "running"

    def _placed_balancer(self, group: TargetGroup, target: Mapping[str, Any]) -> tuple[str, Probe]:
        """An application load balancer as the one target of a network load balancer's group (NLB guide, "Use an
        Application Load Balancer as a target"): it must listen on the group's port."""
        arn, port = target["Id"], group.settings["Port"]
        balancer = self.load_balancers.get(arn)
        if balancer is None or balancer.kind != "application":
            raise AwsError("InvalidTarget", f"The following targets are not valid load balancers: '{arn}'")
        if group.targets and (arn, port) not in group.targets:
            raise AwsError("TooManyTargets", "A target group of type 'alb' can have one target")
        if target.get("Port", port) != port or port not in [one.port for one in self.listeners_of(arn)]:
            raise AwsError("InvalidTarget", f"The load balancer '{arn}' has no listener on port {port}")
        return "", lambda: arn in self.load_balancers

    @operation("DeregisterTargets", ("TargetGroupArn", "Targets"))
    def deregister_targets(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["TargetGroupArn"])
        for one in params["Targets"]:
            only(one, {"Id", "Port", "AvailabilityZone"}, "elbv2: DeregisterTargets.Targets")
            for target in _targets_of(group, one):
                self._targets.deregister(group, target, None)
        return {}

    @operation("DescribeTargetHealth", ("TargetGroupArn", "Targets"))
    def describe_target_health(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["TargetGroupArn"])
        if "Targets" not in params:
            return {"TargetHealthDescriptions": [health_view(group, one) for one in group.targets.values()]}
        views = []
        for one in params["Targets"]:
            port = one.get("Port", group.settings["Port"])
            target = group.targets.get((one["Id"], port))
            views.append(health_view(group, target) if target else missing_view(one["Id"], port))
        return {"TargetHealthDescriptions": views}


def group_view(group: TargetGroup) -> dict[str, Any]:
    shown = copy.deepcopy(group.settings)
    shown |= {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "LoadBalancerArns": list(group.load_balancers),
        "IpAddressType": "ipv4",
    }
    return shown


def _group_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a new target group with AWS's defaults (ELBv2 API: CreateTargetGroup)."""
    target_type = params.get("TargetType", "instance")
    if target_type not in ("instance", "ip", "alb"):
        raise Unmodelled(f"elbv2: CreateTargetGroup TargetType={target_type!r} is not modelled")
    for member in ("Protocol", "Port", "VpcId"):
        if member not in params:
            raise invalid(f"A {member.lower()} must be specified")
    protocol = params["Protocol"]
    if protocol not in ("HTTP", "HTTPS", "TCP", "TLS"):
        raise Unmodelled(f"elbv2: CreateTargetGroup Protocol={protocol!r} is not modelled")
    if target_type == "alb" and protocol != "TCP":
        raise invalid("Target groups of type 'alb' must have the protocol TCP")
    web = protocol in ("HTTP", "HTTPS")
    check = params.get("HealthCheckProtocol", "HTTP" if web or target_type == "alb" else "TCP")
    settings: dict[str, Any] = {
        "TargetType": target_type,
        "HealthCheckEnabled": True,
        "HealthCheckProtocol": check,
        "HealthCheckPort": "traffic-port",
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5 if web else 10,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
    }
    if web:
        settings["ProtocolVersion"] = "HTTP1"
    if check in ("HTTP", "HTTPS"):
        settings |= {"HealthCheckPath": "/", "Matcher": {"HttpCode": "200"}}
    settings |= {key: copy.deepcopy(params[key]) for key in _SETTINGS if key in params}
    _check_times(settings)
    return settings


def _check_times(settings: Mapping[str, Any]) -> None:
    if settings["HealthCheckTimeoutSeconds"] >= settings["HealthCheckIntervalSeconds"]:
        raise invalid("Health check timeout must be smaller than the health check interval")


def _targets_of(group: TargetGroup, wanted: Mapping[str, Any]) -> list[Target]:
    """The targets that a deregistration names; without a port, the one on the group's port."""
    found = group.targets.get((wanted["Id"], wanted.get("Port", group.settings["Port"])))
    return [found] if found else []
