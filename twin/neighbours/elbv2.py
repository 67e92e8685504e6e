"""Elastic Load Balancing version 2: load balancers, listeners, rules, target groups, targets.

Source: ELBv2 API reference. Traffic is not part of it; targets become healthy and drain as the API documents.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Api, Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import after, hex_id, only, page, tag_map
from twin.neighbours.ec2 import Ec2
from twin.neighbours.targets import (
    Elbv2Options,
    Probe,
    Target,
    TargetGroup,
    Targets,
    health_view,
    missing_view,
)

__all__ = ["Elbv2", "Elbv2Options", "LoadBalancer", "TargetGroup"]

_ATTRIBUTES: dict[str, str] = {
    "stickiness.enabled": "false",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
    "deregistration_delay.timeout_seconds": "300",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "stickiness.type": "lb_cookie",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "slow_start.duration_seconds": "0",
    "stickiness.app_cookie.duration_seconds": "86400",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "stickiness.app_cookie.cookie_name": "",
}
_CHANGEABLE = ("deregistration_delay.timeout_seconds", "stickiness.", "slow_start.", "load_balancing.algorithm.")
_SETTINGS = (
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "Matcher",
    "Port",
    "Protocol",
    "ProtocolVersion",
    "TargetType",
    "UnhealthyThresholdCount",
    "VpcId",
)
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,32}(?<!-)")
_BAD_MARKER = AwsError("ValidationError", "Marker is not valid")
N = TypeVar("N", "LoadBalancer", "Listener", "Rule", TargetGroup)


@dataclass
class LoadBalancer:
    """A load balancer; `zones` maps zone to subnet."""

    arn: str
    name: str
    number: int
    kind: str
    scheme: str
    vpc_id: str
    zones: dict[str, str]
    security_groups: list[str]
    created: datetime
    active: bool = False


@dataclass
class Listener:
    arn: str
    load_balancer: LoadBalancer
    number: int
    port: int
    protocol: str
    actions: list[dict[str, Any]]


@dataclass
class Rule:
    arn: str
    listener: Listener
    number: int
    priority: str
    conditions: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)


class Elbv2(Api):
    """The ELBv2 API, and `register`, `deregister`, `healthy`, `on_change`, `probe_changed` for ECS and Auto Scaling."""

    service = "elbv2"

    def __init__(self, kernel: Kernel, options: Elbv2Options | None = None, *, ec2: Ec2 | None = None) -> None:
        self.kernel = kernel
        self.options = options or Elbv2Options()
        self.ec2 = ec2
        self.load_balancers: dict[str, LoadBalancer] = {}
        self.listeners: dict[str, Listener] = {}
        self.rules: dict[str, Rule] = {}
        self.target_groups: dict[str, TargetGroup] = {}
        self._targets = Targets(kernel, self.options)
        self._ids = kernel.rng("elbv2/ids")

    # --- for ECS -----------------------------------------------------------------------------------------------------
    def register(self, target_group_arn: str, target_id: str, port: int, zone: str, probe: Probe) -> None:
        """Register a target; `probe` says whether a health check would succeed now."""
        self._targets.register(self.group(target_group_arn), target_id, port, zone, probe)

    def deregister(
        self, target_group_arn: str, target_id: str, port: int, on_done: Callable[[], None] | None = None
    ) -> None:
        """Drain a target for the deregistration delay; then it is gone and `on_done` is called, which it also is (at
        once) for a target that is not registered."""
        group = self.group(target_group_arn)
        target = group.targets.get((target_id, port))
        if target:
            self._targets.deregister(group, target, on_done)
        elif on_done:
            after(self.kernel, 0, on_done, name=f"deregister:{target_id}:{port}")

    def healthy(self, target_group_arn: str, target_id: str, port: int) -> bool:
        group = self.group(target_group_arn)
        target = group.targets.get((target_id, port))
        return target is not None and target.state == "healthy" and group.uses(target)

    def on_change(self, target_group_arn: str, target_id: str, port: int, callback: Callable[..., None]) -> None:
        """Call `callback(state)` when the target becomes `healthy` or `unhealthy`, and when a healthy one becomes
        `draining`, until it is gone."""
        self._targets.on_change((target_group_arn, target_id, port), callback)

    def probe_changed(self, target_group_arn: str, target_id: str, port: int) -> None:
        """Tell that the target's probe answers otherwise than before. A healthy target is not probed by itself."""
        group = self.group(target_group_arn)
        target = group.targets.get((target_id, port))
        if target:
            self._targets.probe_changed(group, target)

    def group(self, arn: str) -> TargetGroup:
        """The target group; AwsError TargetGroupNotFound if there is none."""
        found = self.target_groups.get(arn)
        if found is None:
            raise AwsError("TargetGroupNotFound", f"Target groups '{arn}' not found")
        return found

    # --- load balancers ----------------------------------------------------------------------------------------------
    @operation("CreateLoadBalancer", ("Name", "Subnets", "SecurityGroups", "Scheme", "Type", "IpAddressType", "Tags"))
    def create_load_balancer(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name, kind = params["Name"], params.get("Type", "application")
        _check_name(name, "Load balancer")
        if kind == "gateway":
            raise Unmodelled("elbv2: load balancers of Type 'gateway' are not modelled")
        zones, vpc_id = self._zones(params.get("Subnets", []), kind)
        same = next((one for one in self.load_balancers.values() if one.name == name), None)
        if same:
            if (same.kind, same.zones) != (kind, zones):
                raise AwsError(
                    "DuplicateLoadBalancerName",
                    f"A load balancer with the same name '{name}' exists, but with different settings",
                )
            return {"LoadBalancers": [self._load_balancer_view(same)]}
        short = {"application": "app", "network": "net"}[kind]
        balancer = LoadBalancer(
            arn=self._arn(f"loadbalancer/{short}/{name}/{hex_id(self._ids, '', 16)}"),
            name=name,
            number=len(self.load_balancers),
            kind=kind,
            scheme=params.get("Scheme", "internet-facing"),
            vpc_id=vpc_id,
            zones=zones,
            security_groups=list(params.get("SecurityGroups", [])),
            created=self.kernel.clock.now(),
        )
        self.load_balancers[balancer.arn] = balancer
        after(self.kernel, self.options.provisioning, lambda: setattr(balancer, "active", True), name=f"elb:{name}")
        return {"LoadBalancers": [self._load_balancer_view(balancer)]}

    def _zones(self, subnets: Sequence[str], kind: str) -> tuple[dict[str, str], str]:
        if self.ec2 is None:
            raise Unmodelled("elbv2: CreateLoadBalancer in a world without subnets (Elbv2 was built without ec2)")
        if not subnets:
            raise AwsError("ValidationError", "You must specify subnets")
        zones: dict[str, str] = {}
        for subnet_id in subnets:
            subnet = self.ec2.subnets.get(subnet_id)
            if subnet is None:
                raise AwsError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist")
            if subnet.zone.name in zones:
                raise AwsError(
                    "InvalidConfigurationRequest",
                    "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
                )
            zones[subnet.zone.name] = subnet_id
        if kind == "application" and len(zones) < 2:
            raise AwsError(
                "ValidationError", "At least two subnets in two different Availability Zones must be specified"
            )
        return zones, self.ec2.subnets[subnets[0]].vpc_id

    @operation("DescribeLoadBalancers", ("LoadBalancerArns", "Names", "Marker", "PageSize"))
    def describe_load_balancers(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = _chosen(
            self.load_balancers.values(),
            params,
            {"LoadBalancerArns": lambda one: one.arn, "Names": lambda one: one.name},
            "LoadBalancerNotFound",
            "Load balancers",
        )
        return _paged(found, params, "LoadBalancers", self._load_balancer_view)

    def _balancer(self, arn: str) -> LoadBalancer:
        found = self.load_balancers.get(arn)
        if found is None:
            raise AwsError("LoadBalancerNotFound", f"Load balancers '[{arn}]' not found")
        return found

    # --- target groups -----------------------------------------------------------------------------------------------
    @operation("CreateTargetGroup", ("Name", "Tags", *_SETTINGS))
    def create_target_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["Name"]
        _check_name(name, "Target group")
        settings = _group_settings(params)
        same = next((one for one in self.target_groups.values() if one.name == name), None)
        if same:
            if same.settings != settings:
                raise AwsError(
                    "DuplicateTargetGroupName",
                    f"A target group with the same name '{name}' exists, but with different settings",
                )
            return {"TargetGroups": [_group_view(same)]}
        arn = self._arn(f"targetgroup/{name}/{hex_id(self._ids, '', 16)}")
        group = TargetGroup(arn, name, len(self.target_groups), settings, dict(_ATTRIBUTES))
        group.tags = tag_map(params.get("Tags", []))
        self.target_groups[arn] = group
        return {"TargetGroups": [_group_view(group)]}

    @operation("DescribeTargetGroups", ("LoadBalancerArn", "TargetGroupArns", "Names", "Marker", "PageSize"))
    def describe_target_groups(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = _chosen(
            self.target_groups.values(),
            params,
            {"TargetGroupArns": lambda one: one.arn, "Names": lambda one: one.name},
            "TargetGroupNotFound",
            "Target groups",
        )
        if "LoadBalancerArn" in params:
            balancer = self._balancer(params["LoadBalancerArn"])
            found = [one for one in found if balancer.arn in one.load_balancers]
        return _paged(found, params, "TargetGroups", _group_view)

    @operation("DescribeTargetGroupAttributes", ("TargetGroupArn",))
    def describe_target_group_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"Attributes": _attributes_view(self.group(params["TargetGroupArn"]))}

    @operation("ModifyTargetGroupAttributes", ("TargetGroupArn", "Attributes"))
    def modify_target_group_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.group(params["TargetGroupArn"])
        for one in params["Attributes"]:
            _check_attribute(one["Key"], one.get("Value", ""))
        for one in params["Attributes"]:
            group.attributes[one["Key"]] = one.get("Value", "")
        return {"Attributes": _attributes_view(group)}

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

    # --- listeners and rules -----------------------------------------------------------------------------------------
    @operation("CreateListener", ("LoadBalancerArn", "Protocol", "Port", "DefaultActions", "Certificates", "SslPolicy"))
    def create_listener(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        balancer = self._balancer(params["LoadBalancerArn"])
        port, protocol = params["Port"], params["Protocol"]
        same = next((one for one in self.listeners.values() if (one.load_balancer, one.port) == (balancer, port)), None)
        if same and same.actions != params["DefaultActions"]:
            raise AwsError("DuplicateListener", "A listener already exists on this port for this load balancer")
        if same:
            return {"Listeners": [_listener_view(same)]}
        arn = balancer.arn.replace(":loadbalancer/", ":listener/") + "/" + hex_id(self._ids, "", 16)
        self._attach(balancer, params["DefaultActions"])
        listener = Listener(arn, balancer, len(self.listeners), port, protocol, params["DefaultActions"])
        self.listeners[arn] = listener
        self._add_rule(listener, "default", [], listener.actions)
        return {"Listeners": [_listener_view(listener)]}

    @operation("CreateRule", ("ListenerArn", "Conditions", "Priority", "Actions"))
    def create_rule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        listener = self._listener(params["ListenerArn"])
        priority = str(params["Priority"])
        if any(one.priority == priority and one.listener is listener for one in self.rules.values()):
            raise AwsError("PriorityInUse", f"Priority '{priority}' is currently in use")
        self._attach(listener.load_balancer, params["Actions"])
        return {"Rules": [_rule_view(self._add_rule(listener, priority, params["Conditions"], params["Actions"]))]}

    def _add_rule(
        self, listener: Listener, priority: str, conditions: list[dict[str, Any]], actions: list[dict[str, Any]]
    ) -> Rule:
        arn = listener.arn.replace(":listener/", ":listener-rule/") + "/" + hex_id(self._ids, "", 16)
        rule = Rule(arn, listener, len(self.rules), priority, conditions, actions)
        self.rules[arn] = rule
        return rule

    def _attach(self, balancer: LoadBalancer, actions: Iterable[Mapping[str, Any]]) -> None:
        """Let the load balancer use the target groups that `actions` forward to; checks of their targets begin."""
        groups = [self.group(arn) for action in actions for arn in _forwards_to(action)]
        for group in groups:
            if group.load_balancers and balancer.arn not in group.load_balancers:
                raise AwsError(
                    "TargetGroupAssociationLimit",
                    f"The following target groups cannot be associated with more than one load balancer: {group.arn}",
                )
        for group in groups:
            if balancer.arn not in group.load_balancers:
                group.load_balancers.append(balancer.arn)
                group.zones |= set(balancer.zones)
                for target in group.targets.values():
                    self._targets.start(group, target)

    def _listener(self, arn: str) -> Listener:
        found = self.listeners.get(arn)
        if found is None:
            raise AwsError("ListenerNotFound", f"Listeners '{arn}' not found")
        return found

    @operation("DescribeListeners", ("LoadBalancerArn", "ListenerArns", "Marker", "PageSize"))
    def describe_listeners(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if ("LoadBalancerArn" in params) == ("ListenerArns" in params):
            raise AwsError("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
        if "LoadBalancerArn" in params:
            balancer = self._balancer(params["LoadBalancerArn"])
            found = [one for one in self.listeners.values() if one.load_balancer is balancer]
        else:
            found = [self._listener(arn) for arn in params["ListenerArns"]]
        return _paged(found, params, "Listeners", _listener_view)

    @operation("DescribeRules", ("ListenerArn", "RuleArns", "Marker", "PageSize"))
    def describe_rules(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if ("ListenerArn" in params) == ("RuleArns" in params):
            raise AwsError("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
        if "ListenerArn" in params:
            listener = self._listener(params["ListenerArn"])
            found = [one for one in self.rules.values() if one.listener is listener]
        else:
            found = _chosen(self.rules.values(), params, {"RuleArns": lambda one: one.arn}, "RuleNotFound", "Rules")
        return _paged(found, params, "Rules", _rule_view)

    # --- views -------------------------------------------------------------------------------------------------------
    def _load_balancer_view(self, one: LoadBalancer) -> dict[str, Any]:
        digits = one.arn.rsplit("/", 1)[1]
        shown: dict[str, Any] = {
            "LoadBalancerArn": one.arn,
            "DNSName": f"{one.name}-{int(digits, 16) % 10**10}.{self.kernel.region}.elb.amazonaws.com",
            "CanonicalHostedZoneId": "Z35SXDOTRQ7X7K",
            "CreatedTime": one.created,
            "LoadBalancerName": one.name,
            "Scheme": one.scheme,
            "VpcId": one.vpc_id,
            "State": {"Code": "active" if one.active else "provisioning"},
            "Type": one.kind,
            "AvailabilityZones": [
                {"ZoneName": zone, "SubnetId": subnet, "LoadBalancerAddresses": []}
                for zone, subnet in one.zones.items()
            ],
            "IpAddressType": "ipv4",
        }
        if one.security_groups:
            shown["SecurityGroups"] = list(one.security_groups)
        return shown

    def _arn(self, resource: str) -> str:
        return self.kernel.arn("elasticloadbalancing", resource)


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise AwsError(
            "ValidationError",
            f"{what} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-), "
            "cannot begin or end with a hyphen, and cannot be longer than 32 characters",
        )


def _group_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a new target group with AWS's defaults (ELBv2 API: CreateTargetGroup)."""
    target_type = params.get("TargetType", "instance")
    if target_type not in ("instance", "ip"):
        raise Unmodelled(f"elbv2: CreateTargetGroup TargetType={target_type!r} is not modelled")
    for member in ("Protocol", "Port", "VpcId"):
        if member not in params:
            raise AwsError("ValidationError", f"A {member.lower()} must be specified")
    protocol = params["Protocol"]
    if protocol not in ("HTTP", "HTTPS", "TCP", "TLS"):
        raise Unmodelled(f"elbv2: CreateTargetGroup Protocol={protocol!r} is not modelled")
    web = protocol in ("HTTP", "HTTPS")
    check = params.get("HealthCheckProtocol", "HTTP" if web else "TCP")
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
    if settings["HealthCheckTimeoutSeconds"] >= settings["HealthCheckIntervalSeconds"]:
        raise AwsError("ValidationError", "Health check timeout must be smaller than the health check interval")
    return settings


def _check_attribute(key: str, value: str) -> None:
    if key not in _ATTRIBUTES:
        raise AwsError("ValidationError", f"Target group attribute key '{key}' is not recognized")
    if not key.startswith(_CHANGEABLE):
        raise Unmodelled(f"elbv2: target group attribute {key}={value!r} is not modelled")
    if key == "deregistration_delay.timeout_seconds" and not (value.isdigit() and int(value) <= 3600):
        raise AwsError("ValidationError", f"'{key}' must be a number between 0 and 3600")


def _targets_of(group: TargetGroup, wanted: Mapping[str, Any]) -> list[Target]:
    """The targets that a deregistration names; without a port, the one on the group's port."""
    found = group.targets.get((wanted["Id"], wanted.get("Port", group.settings["Port"])))
    return [found] if found else []


def _forwards_to(action: Mapping[str, Any]) -> list[str]:
    kind = action["Type"]
    if kind in ("fixed-response", "redirect"):
        return []
    if kind != "forward":
        raise Unmodelled(f"elbv2: action of Type {kind!r} is not modelled")
    several = [one["TargetGroupArn"] for one in action.get("ForwardConfig", {}).get("TargetGroups", [])]
    return several or [action["TargetGroupArn"]]


def _chosen(
    found: Iterable[N],
    params: Mapping[str, Any],
    by: Mapping[str, Callable[[N], str]],
    code: str,
    what: str,
) -> list[N]:
    """Those that the request names by ARN or name; all if it names none."""
    kept = list(found)
    for member, value in by.items():
        if member in params:
            known = {value(one) for one in kept}
            missing = [name for name in params[member] if name not in known]
            if missing:
                raise AwsError(code, f"{what} '{', '.join(missing)}' not found")
            kept = [one for one in kept if value(one) in params[member]]
    return kept


def _paged(
    found: Sequence[N], params: Mapping[str, Any], member: str, view: Callable[[N], dict[str, Any]]
) -> dict[str, Any]:
    """A page of at most 400 (ELBv2 API: PageSize)."""
    shown, marker = page(found, params.get("Marker"), params.get("PageSize", 400), lambda one: one.number, _BAD_MARKER)
    return {member: [view(one) for one in shown]} | ({"NextMarker": marker} if marker else {})


def _group_view(group: TargetGroup) -> dict[str, Any]:
    shown = copy.deepcopy(group.settings)
    shown |= {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "LoadBalancerArns": list(group.load_balancers),
        "IpAddressType": "ipv4",
    }
    return shown


def _attributes_view(group: TargetGroup) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in group.attributes.items()]


def _listener_view(listener: Listener) -> dict[str, Any]:
    return {
        "ListenerArn": listener.arn,
        "LoadBalancerArn": listener.load_balancer.arn,
        "Port": listener.port,
        "Protocol": listener.protocol,
        "DefaultActions": copy.deepcopy(listener.actions),
    }


def _rule_view(rule: Rule) -> dict[str, Any]:
    return {
        "RuleArn": rule.arn,
        "Priority": rule.priority,
        "Conditions": copy.deepcopy(rule.conditions),
        "Actions": copy.deepcopy(rule.actions),
        "IsDefault": rule.priority == "default",
    }
