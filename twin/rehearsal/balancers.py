"""Builds the load balancers, listeners, rules and target groups that a world's services are reached through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twin.rehearsal.spec import LoadBalancer

LISTENERS = 40
"""Services behind one load balancer; AWS allows 50 listeners and 100 target groups."""
FIRST_PORT = 8_000
ApiCall = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Balanced:
    """What a service is reached through; all are ARNs.

    Attributes:
        alternate: the second target group, to which releases shift weight; None if the world gives it none.
        rule: the rule that forwards to them: the listener's default rule if the world gives no rule.
    """

    target_group: str
    alternate: str | None
    rule: str
    listener: str
    load_balancer: str


class Balancers:
    """Builds them through the AWS API.

    Args:
        call: (service, operation, **members) -> answer.
        subnets: by zone. One zone: network load balancers, which have no rules, weights and stickiness.
    """

    def __init__(self, call: ApiCall, subnets: Mapping[str, str], vpc_id: str) -> None:
        self._call = call
        self._subnets = subnets
        self._vpc_id = vpc_id
        self._balancers: list[str] = []
        self._shared: dict[str, tuple[str, str]] = {}
        self._services = 0

    def add(self, given: LoadBalancer, name: str, port: int, *, interfaces: bool) -> Balanced:
        """What service `name` is reached through on `port`; `interfaces`: its tasks have network interfaces."""
        if self._services % LISTENERS == 0:
            self._balancers.append(self._load_balancer())
        self._services += 1
        short = f"{name.replace('_', '-')[:24].rstrip('-')}-{self._services}"
        target_group = self._target_group(given, short, port, interfaces)
        alternate = self._target_group(given, f"{short}-b", port, interfaces) if given.alternate_target_group else None
        forward = _forward(given, target_group, alternate)
        if given.rule is None:
            balancer, listener = self._balancers[-1], self._listener(forward)
            rule = self._call("elbv2", "DescribeRules", ListenerArn=listener)["Rules"][-1]["RuleArn"]
        else:
            balancer, listener = self._listener_for_rules(given.listener)
            rule = self._rule(given, listener, forward)
        return Balanced(target_group, alternate, rule, listener, balancer)

    @property
    def _application(self) -> bool:
        return len(self._subnets) > 1

    @property
    def _protocol(self) -> str:
        return "HTTP" if self._application else "TCP"

    def _load_balancer(self) -> str:
        """An application load balancer, which needs two zones; in a world of one zone a network load balancer."""
        answer = self._call(
            "elbv2",
            "CreateLoadBalancer",
            Name=f"world-{len(self._balancers) + 1}",
            Type="application" if self._application else "network",
            Subnets=list(self._subnets.values()),
        )
        return str(answer["LoadBalancers"][0]["LoadBalancerArn"])

    def _target_group(self, given: LoadBalancer, name: str, port: int, interfaces: bool) -> str:
        group = self._call(
            "elbv2",
            "CreateTargetGroup",
            Name=name,
            Protocol=self._protocol,
            Port=port,
            VpcId=self._vpc_id,
            TargetType="ip" if interfaces else "instance",
            HealthCheckIntervalSeconds=given.health_check_interval,
            HealthyThresholdCount=given.healthy_threshold,
            UnhealthyThresholdCount=given.unhealthy_threshold,
            HealthCheckTimeoutSeconds=min(5, given.health_check_interval - 1),
        )["TargetGroups"][0]
        arn = str(group["TargetGroupArn"])
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(given.deregistration_delay)}
        self._call("elbv2", "ModifyTargetGroupAttributes", TargetGroupArn=arn, Attributes=[delay])
        return arn

    def _listener(self, action: Mapping[str, Any]) -> str:
        answer = self._call(
            "elbv2",
            "CreateListener",
            LoadBalancerArn=self._balancers[-1],
            Protocol=self._protocol,
            Port=FIRST_PORT + self._services,
            DefaultActions=[action],
        )
        return str(answer["Listeners"][0]["ListenerArn"])

    def _listener_for_rules(self, name: str | None) -> tuple[str, str]:
        """Load balancer and listener, which answers 404 but for its rules; the same for the same `name`."""
        if name in self._shared:
            return self._shared[name]
        nothing = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}
        found = self._balancers[-1], self._listener(nothing)
        if name is not None:
            self._shared[name] = found
        return found

    def _rule(self, given: LoadBalancer, listener: str, action: Mapping[str, Any]) -> str:
        assert given.rule is not None
        conditions = [
            {"Field": "host-header", "HostHeaderConfig": {"Values": list(given.rule.host_header)}},
            {"Field": "path-pattern", "PathPatternConfig": {"Values": list(given.rule.path_pattern)}},
        ]
        wanted = [given.rule.host_header, given.rule.path_pattern]
        answer = self._call(
            "elbv2",
            "CreateRule",
            ListenerArn=listener,
            Priority=given.rule.priority,
            Conditions=[condition for condition, values in zip(conditions, wanted, strict=True) if values],
            Actions=[action],
        )
        return str(answer["Rules"][0]["RuleArn"])


def _forward(given: LoadBalancer, target_group: str, alternate: str | None) -> dict[str, Any]:
    if alternate is None and given.stickiness is None:
        return {"Type": "forward", "TargetGroupArn": target_group}
    arns = [target_group, alternate] if alternate else [target_group]
    config: dict[str, Any] = {
        "TargetGroups": [
            {"TargetGroupArn": arn, "Weight": weight} for arn, weight in zip(arns, given.weights, strict=False)
        ]
    }
    if given.stickiness is not None:
        config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": round(given.stickiness)}
    return {"Type": "forward", "ForwardConfig": config}
