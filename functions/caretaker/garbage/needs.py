"""Which readings could have shown a referrer, for each kind of resource.

A resource is only ever garbage when each of these readings is whole: a referrer that was not looked for is no referrer
that is not there. A reading that was never made counts as one that failed.

The table is as wide as AWS lets things refer to each other and no wider: a target group can only be named by rules of
listeners of load balancers in its own VPC, but by a revision of any service. What no reading of AWS shows at all (a
program that calls RunTask, a launch template of another account) is listed in the operating guide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Kind, Life, Read, Reading, Resource


class Scope(StrEnum):
    """How the scope of a reading relates to the resource that it could have shown a referrer of."""

    ACCOUNT = "all of the account"
    ITSELF = "the resource"
    VPC = "its VPC"
    BALANCERS = "each load balancer of its VPC"
    LISTENERS = "each listener of its VPC"
    OWN_LISTENERS = "each of its own listeners"
    ITS_LISTENER = "its listener"
    ITS_BALANCER = "its load balancer"
    NAMING_LISTENERS = "each listener that names it"
    BALANCER_TARGETS = "each target group whose targets are load balancers"
    SERVICES = "each Express service that is not known to be dead, and any other service that was asked about"
    EACH = "each item of another reading"


@dataclass(frozen=True)
class Need:
    """One operation that must have been read.

    Attributes:
        operation: e.g. `elasticloadbalancing:DescribeRules`.
        scope: for what.
        each: for `Scope.EACH`: the operation, read for all of the account, for each item of which this one is needed.
        after: the operation on the same scope without whose items there is nothing to ask for.
        again: it is read again right before the deletion: it shows the resource itself, or a use that AWS would not
            refuse to break.
    """

    operation: str
    scope: Scope
    each: str = ""
    after: str = ""
    again: bool = False

    @property
    def words(self) -> str:
        return f"{self.operation} for {self.scope}"


def _each(parent: str, *operations: str) -> tuple[Need, ...]:
    return tuple(Need(operation, Scope.EACH, each=parent) for operation in operations)


def _all(*operations: str) -> tuple[Need, ...]:
    return tuple(Need(operation, Scope.ACCOUNT) for operation in operations)


_ELB = "elasticloadbalancing"
_SERVICES: tuple[Need, ...] = (
    *_all("ecs:ListClusters"),
    *_each("ecs:ListClusters", "ecs:ListServices"),
    Need("ecs:DescribeServices", Scope.EACH, each="ecs:ListClusters", after="ecs:ListServices"),
    Need("ecs:DescribeExpressGatewayService", Scope.SERVICES),
    Need("ecs:DescribeServiceRevisions", Scope.SERVICES),
    Need("ecs:ListServiceDeployments", Scope.SERVICES),
    Need("ecs:DescribeServiceDeployments", Scope.SERVICES, after="ecs:ListServiceDeployments"),
)
_TASKS: tuple[Need, ...] = (
    *_each("ecs:ListClusters", "ecs:ListTasks"),
    Need("ecs:DescribeTasks", Scope.EACH, each="ecs:ListClusters", after="ecs:ListTasks"),
)
_GATEWAYS: tuple[Need, ...] = (
    *_all("ecs:ListGateways"),
    *_each("ecs:ListGateways", "ecs:DescribeGateway", "ecs:DescribeGatewayResources", "ecs:ListGatewayRoutes"),
    Need("ecs:DescribeGatewayRoute", Scope.EACH, each="ecs:ListGateways", after="ecs:ListGatewayRoutes"),
)
_STACKS = (Need("cloudformation:DescribeStackResources", Scope.ITSELF),)
_SCALING_AGAIN: tuple[Need, ...] = tuple(
    Need(operation, Scope.ACCOUNT, again=True)
    for operation in (
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "application-autoscaling:DescribeScheduledActions",
        "cloudwatch:DescribeAlarms",
    )
)
# What runs tasks now and then: its task definition, cluster and security groups show nowhere else in between.
_SCHEDULES: tuple[Need, ...] = _all(
    "events:ListEventBuses",
    "events:ListRules",
    "events:ListTargetsByRule",
    "scheduler:ListSchedules",
    "scheduler:GetSchedule",
)
# What looks at the metrics of a load balancer or target group: it goes blind without them.
_METRICS: tuple[Need, ...] = _all("cloudwatch:DescribeAlarms", "application-autoscaling:DescribeScalingPolicies")
# Whatever the inventory of an Express service, an ordinary service or a gateway can name.
_ECS = (*_SERVICES, *_GATEWAYS, *_STACKS)

NEEDS: dict[Kind, tuple[Need, ...]] = {
    Kind.RULE: (
        *_ECS,
        Need(f"{_ELB}:DescribeRules", Scope.ITS_LISTENER, again=True),
    ),
    Kind.TARGET_GROUP: (
        *_ECS,
        *_METRICS,
        *_all(f"{_ELB}:DescribeLoadBalancers"),
        Need(f"{_ELB}:DescribeTargetGroups", Scope.ACCOUNT, again=True),
        Need(f"{_ELB}:DescribeListeners", Scope.BALANCERS),
        Need(f"{_ELB}:DescribeRules", Scope.LISTENERS),
        Need(f"{_ELB}:DescribeTargetHealth", Scope.ITSELF, again=True),
    ),
    Kind.CERTIFICATE: (
        *_ECS,
        *_all(f"{_ELB}:DescribeLoadBalancers", "acm:ListCertificates"),
        Need(f"{_ELB}:DescribeListeners", Scope.BALANCERS),
        Need(f"{_ELB}:DescribeListenerCertificates", Scope.LISTENERS),
        Need(f"{_ELB}:DescribeRules", Scope.NAMING_LISTENERS),
        Need(f"{_ELB}:DescribeListenerCertificates", Scope.NAMING_LISTENERS, again=True),
        Need("acm:DescribeCertificate", Scope.ITSELF, again=True),
    ),
    Kind.SCALABLE_TARGET: (*_ECS, *_SCALING_AGAIN),
    Kind.SCALING_POLICY: (*_ECS, *_SCALING_AGAIN),
    Kind.ALARM: (*_ECS, *_SCALING_AGAIN),
    Kind.SECURITY_GROUP: (
        *_ECS,
        *_TASKS,
        *_SCHEDULES,
        *_all(f"{_ELB}:DescribeLoadBalancers"),
        Need("ec2:DescribeSecurityGroups", Scope.VPC, again=True),
        Need("ec2:DescribeSecurityGroupRules", Scope.VPC, again=True),
        Need("ec2:DescribeNetworkInterfaces", Scope.VPC, again=True),
    ),
    Kind.LISTENER: (
        *_ECS,
        Need(f"{_ELB}:DescribeListeners", Scope.ITS_BALANCER, again=True),
        Need(f"{_ELB}:DescribeRules", Scope.ITSELF, again=True),
    ),
    Kind.LOAD_BALANCER: (
        *(Need(n.operation, n.scope, n.each, n.after, again=n not in _STACKS) for n in _ECS),
        *_METRICS,
        *_all(f"{_ELB}:DescribeTargetGroups"),
        Need(f"{_ELB}:DescribeTargetHealth", Scope.BALANCER_TARGETS),
        Need(f"{_ELB}:DescribeLoadBalancers", Scope.ACCOUNT, again=True),
        Need(f"{_ELB}:DescribeListeners", Scope.ITSELF, again=True),
        Need(f"{_ELB}:DescribeRules", Scope.OWN_LISTENERS, again=True),
        Need(f"{_ELB}:DescribeLoadBalancerAttributes", Scope.ITSELF, again=True),
        Need("wafv2:GetWebACLForResource", Scope.ITSELF, again=True),
        *_all("route53:ListHostedZones"),
        *_each("route53:ListHostedZones", "route53:ListResourceRecordSets"),
    ),
    Kind.LOG_GROUP: (
        *_ECS,
        *_TASKS,
        # Any active task definition can write to it.
        *_all("ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition"),
        Need("logs:DescribeLogGroups", Scope.ITSELF, again=True),
        Need("logs:DescribeSubscriptionFilters", Scope.ITSELF, again=True),
        Need("logs:DescribeMetricFilters", Scope.ITSELF, again=True),
    ),
    Kind.TASK_DEFINITION: (
        *_ECS,
        *_TASKS,
        # Scheduled tasks run from a rule of an event bus or from EventBridge Scheduler.
        *_all("events:ListEventBuses", "events:ListRules", "events:ListTargetsByRule"),
        *_all("scheduler:ListSchedules", "scheduler:GetSchedule"),
    ),
    Kind.CLUSTER: (
        *_ECS,
        *_TASKS,
        *_SCHEDULES,
        Need("ecs:ListServices", Scope.ITSELF, again=True),
        Need("ecs:ListTasks", Scope.ITSELF, again=True),
        Need("ecs:ListContainerInstances", Scope.ITSELF, again=True),
    ),
}
"""What must be whole before a resource of the kind can be garbage. Kinds without an entry are never deleted."""

TAGS: dict[Kind, str] = {
    Kind.RULE: f"{_ELB}:DescribeTags",
    Kind.TARGET_GROUP: f"{_ELB}:DescribeTags",
    Kind.LISTENER: f"{_ELB}:DescribeTags",
    Kind.LOAD_BALANCER: f"{_ELB}:DescribeTags",
    Kind.CERTIFICATE: "acm:ListTagsForCertificate",
    Kind.SECURITY_GROUP: "ec2:DescribeSecurityGroups",
    Kind.ALARM: "cloudwatch:ListTagsForResource",
    Kind.SCALABLE_TARGET: "application-autoscaling:ListTagsForResource",
    Kind.LOG_GROUP: "logs:ListTagsForResource",
    Kind.TASK_DEFINITION: "ecs:ListTagsForResource",
    Kind.CLUSTER: "ecs:ListTagsForResource",
}
"""What tells the tags of a kind. Scaling policies have none."""

MISSING = "was not read"
# Needs of these scopes ask for the same readings for every resource of a kind and VPC.
_COMMON = (
    Scope.ACCOUNT,
    Scope.VPC,
    Scope.BALANCERS,
    Scope.LISTENERS,
    Scope.BALANCER_TARGETS,
    Scope.SERVICES,
    Scope.EACH,
)
WITHOUT: dict[str, tuple[str, ...]] = {
    f"{_ELB}:DescribeRules": ("TCP", "UDP", "TCP_UDP", "TLS", "QUIC", "TCP_QUIC", "GENEVE"),
    f"{_ELB}:DescribeListenerCertificates": ("HTTP", "TCP", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC", "GENEVE"),
}
"""Protocols of listeners that have no rules but their default action, or no certificates (ELB API: CreateListener)."""


class Readings:
    """The readings of an observation, asked for what is missing. All of a kind and VPC share most of the work."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made: dict[tuple[str, str], list[Reading]] = defaultdict(list)
        self._scopes: dict[str, list[str]] = defaultdict(list)
        for reading in graph.observation.readings:
            if (reading.operation, reading.scope) not in self._made:
                self._scopes[reading.operation].append(reading.scope)
            self._made[reading.operation, reading.scope].append(reading)
        self._common: dict[tuple[Kind, str], tuple[Reading, ...]] = {}
        owners = graph.observation.owners.items()
        self._services = {owner.arn for owner, it in owners if it.life is not Life.DEAD}
        self._dead = {owner.arn for owner, _ in owners} - self._services

    def doubts(self, resource: Resource) -> tuple[Reading, ...]:
        """The readings that could have shown a referrer of the resource and are not whole; one that was never made is
        given as a failed one. Empty for what is never deleted by itself: default rules, and kinds without needs."""
        if resource.kind is Kind.RULE and resource.facts.get("default") == "true":
            return ()
        key = resource.kind, resource.vpc
        needs = NEEDS.get(resource.kind, ())
        if key not in self._common:
            common = (need for need in needs if need.scope in _COMMON)
            self._common[key] = tuple(doubt for need in common for doubt in self.lacking(need, resource))
        if self._graph.whole_of(resource.arn) != resource.arn:
            # Application Auto Scaling made the alarm and deletes it: no stack owns it, and its tags are nobody's duty.
            return self._common[key]
        own = tuple(doubt for need in needs if need.scope not in _COMMON for doubt in self.lacking(need, resource))
        own += tuple(self._untold(resource))
        return own + self._common[key] if own else self._common[key]

    def _untold(self, resource: Resource) -> Iterator[Reading]:
        """Tags and protection that nothing told."""
        operation = TAGS.get(resource.kind)
        if operation and resource.tags is None:
            yield self._worst(operation, resource, "its tags were not read")
        if resource.kind is Kind.LOAD_BALANCER and resource.facts.get("protected") not in ("true", "false"):
            yield self._worst(f"{_ELB}:DescribeLoadBalancerAttributes", resource, "its protection was not read")

    def _worst(self, operation: str, resource: Resource, reason: str) -> Reading:
        made = self._made.get((operation, resource.arn), ())
        failed = (each for each in made if each.status is not Read.WHOLE)
        return next(failed, Reading(operation, resource.arn, Read.FAILED, "", reason=reason))

    def used(self, resource: Resource) -> tuple[Reading, ...]:
        """The readings on which a verdict about the resource rests, whole or not."""
        needs = NEEDS.get(resource.kind, ())
        asked = ((need.operation, scope) for need in needs for scope in self.scopes(need, resource))
        return tuple(dict.fromkeys(reading for key in asked for reading in self._found(*key)))

    def lacking(self, need: Need, resource: Resource) -> Iterator[Reading]:
        """What is not whole of one need of the resource."""
        scopes = self.scopes(need, resource)
        for scope in scopes:
            yield from self._not_whole(need.operation, scope)
        if need.scope is Scope.EACH and not need.after:
            yield from self._too_few(need, scopes)

    def scopes(self, need: Need, resource: Resource) -> tuple[str, ...]:
        """For what the operation must have been read."""
        found = _SCOPES[need.scope](self, need, resource)
        if need.after:
            return tuple(scope for scope in found if self._gave(need.after, scope))
        return tuple(found)

    def whole(self, operation: str, scope: str) -> bool:
        return not any(True for _ in self._not_whole(operation, scope))

    def _not_whole(self, operation: str, scope: str) -> Iterator[Reading]:
        made = self._found(operation, scope)
        if not made:
            yield Reading(operation, scope, Read.FAILED, "", reason=MISSING)
        for reading in made:
            if reading.status is not Read.WHOLE:
                yield reading

    def _found(self, operation: str, scope: str) -> list[Reading]:
        """The readings of a scope. What was read for the whole account was read for a VPC."""
        made = self._made.get((operation, scope), [])
        return self._made.get((operation, ""), []) if not made and scope.startswith("vpc-") else made

    def _too_few(self, need: Need, scopes: tuple[str, ...]) -> Iterator[Reading]:
        expected = self._gave(need.each, "")
        if len(scopes) < expected:
            reason = f"{need.each} gave {expected} items, and only {len(scopes)} of them were asked about"
            yield Reading(need.operation, "", Read.FAILED, "", reason=reason)

    def _gave(self, operation: str, scope: str) -> int:
        return max((reading.items for reading in self._made.get((operation, scope), ())), default=0)

    # --- scopes ------------------------------------------------------------------------------------------------------

    def _account(self, need: Need, resource: Resource) -> Iterable[str]:
        return ("",)

    def _itself(self, need: Need, resource: Resource) -> Iterable[str]:
        return (resource.arn,)

    def _vpc(self, need: Need, resource: Resource) -> Iterable[str]:
        return (resource.vpc,)

    def _balancers(self, need: Need, resource: Resource) -> Iterable[str]:
        return self._graph.balancers_of(resource.vpc).balancers

    def _listeners(self, need: Need, resource: Resource) -> Iterable[str]:
        return self._that_have(need, self._graph.balancers_of(resource.vpc).listeners)

    def _own_listeners(self, need: Need, resource: Resource) -> Iterable[str]:
        return self._that_have(need, self._graph.listeners_of.get(resource.arn, ()))

    def _that_have(self, need: Need, listeners: Iterable[str]) -> list[str]:
        """Those listeners that can have what is asked for: rules, or certificates."""
        without = WITHOUT.get(need.operation, ())
        return [arn for arn in listeners if self._graph.resources[arn].facts.get("protocol") not in without]

    def _its_listener(self, need: Need, resource: Resource) -> Iterable[str]:
        return (resource.facts["listener"],)

    def _its_balancer(self, need: Need, resource: Resource) -> Iterable[str]:
        return (resource.facts["load_balancer"],)

    def _naming_listeners(self, need: Need, resource: Resource) -> Iterable[str]:
        named = self._graph.referrers_of(resource.arn)
        return sorted({each.source for each in named if each.source_kind is Kind.LISTENER})

    def _balancer_targets(self, need: Need, resource: Resource) -> Iterable[str]:
        return self._graph.balancer_targets

    def _living(self, need: Need, resource: Resource) -> Iterable[str]:
        """Express services, and whichever other service was asked about: one that is being deployed."""
        return sorted(self._services | (set(self._scopes.get(need.operation, ())) - self._dead))

    def _every(self, need: Need, resource: Resource) -> Iterable[str]:
        return self._scopes.get(need.after or need.operation, ())


_SCOPES: dict[Scope, Callable[[Readings, Need, Resource], Iterable[str]]] = {
    Scope.ACCOUNT: Readings._account,
    Scope.ITSELF: Readings._itself,
    Scope.VPC: Readings._vpc,
    Scope.BALANCERS: Readings._balancers,
    Scope.LISTENERS: Readings._listeners,
    Scope.OWN_LISTENERS: Readings._own_listeners,
    Scope.ITS_LISTENER: Readings._its_listener,
    Scope.ITS_BALANCER: Readings._its_balancer,
    Scope.NAMING_LISTENERS: Readings._naming_listeners,
    Scope.BALANCER_TARGETS: Readings._balancer_targets,
    Scope.SERVICES: Readings._living,
    Scope.EACH: Readings._every,
}
