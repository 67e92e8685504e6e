"""Express services on shared load balancers, as observations of them: what AWS and the ledger would tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from caretaker.garbage.model import (
    Claim,
    Identity,
    Kind,
    Life,
    Observation,
    Owner,
    Read,
    Reading,
    Reference,
    Resource,
)
from caretaker.garbage.standing import Keep
from caretaker.garbage.verdict import Judgement
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import GarbagePolicy

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GONE = "2026-03-01T06:00:00.000Z"
VPC = "vpc-0a"
ALL = GarbagePolicy(certificates="delete", log_groups="delete", task_definitions="delete", clusters="delete")
KEEP = Keep(GarbagePolicy())
KEEP_NOTHING = Keep(ALL)
ELB = "elasticloadbalancing"
_ACCOUNT = "eu-west-1:111122223333"
_LB = f"arn:aws:{ELB}:{_ACCOUNT}"
MANAGED = {"AmazonECSManaged": "true"}
_CLUSTERS = [f"arn:aws:ecs:{_ACCOUNT}:cluster/{name}" for name in ("default", "other")]
_OF_ACCOUNT = (
    "ecs:ListTaskDefinitions",
    "ecs:DescribeTaskDefinition",
    f"{ELB}:DescribeLoadBalancers",
    f"{ELB}:DescribeTargetGroups",
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "cloudwatch:DescribeAlarms",
    "acm:ListCertificates",
    "events:ListEventBuses",
    "events:ListRules",
    "events:ListTargetsByRule",
    "scheduler:ListSchedules",
    "scheduler:GetSchedule",
)
_OF_VPC = ("SecurityGroups", "SecurityGroupRules", "NetworkInterfaces")
_OF_CLUSTER = ("ListServices", "DescribeServices", "ListTasks", "DescribeTasks", "ListContainerInstances")
_OF_GATEWAY = ("DescribeGateway", "DescribeGatewayResources", "ListGatewayRoutes", "DescribeGatewayRoute")
_OF_KIND = {
    Kind.LOAD_BALANCER: (
        f"{ELB}:DescribeListeners",
        f"{ELB}:DescribeLoadBalancerAttributes",
        "wafv2:GetWebACLForResource",
    ),
    Kind.LISTENER: (f"{ELB}:DescribeRules", f"{ELB}:DescribeListenerCertificates"),
    Kind.TARGET_GROUP: (f"{ELB}:DescribeTargetHealth",),
    Kind.CERTIFICATE: ("acm:DescribeCertificate",),
    Kind.LOG_GROUP: ("logs:DescribeLogGroups", "logs:DescribeSubscriptionFilters", "logs:DescribeMetricFilters"),
}


@dataclass(frozen=True)
class Balancer:
    """ARNs of a shared load balancer and what belongs to it."""

    arn: str
    listener: str
    group: str


@dataclass(frozen=True)
class Service:
    """ARNs of what ECS made for one service."""

    identity: Identity
    balancer: Balancer
    rule: str
    groups: tuple[str, str]
    certificate: str
    target: str
    policy: str
    alarms: tuple[str, str]
    rollback: str
    group: str
    logs: str
    definition: str

    @property
    def own(self) -> tuple[str, ...]:
        """Everything that is this service's alone and goes by the default policy."""
        one = (self.rule, *self.groups, self.certificate, self.target, self.policy)
        return (*one, *self.alarms, self.rollback, self.group)


class Fleet:
    """What there is in one VPC, and in `story` how it came to be so."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.references: list[Reference] = []
        self.claims: list[Claim] = []
        self.owners: dict[Identity, Owner] = {}
        self.bad: dict[tuple[str, str], Read] = {}
        self.unread: set[tuple[str, str]] = set()
        self.gateways: list[str] = []
        self.zones: list[str] = []
        self.number = 0
        self.story: list[str] = []

    def __repr__(self) -> str:
        lives = ", ".join(f"{i.arn.rpartition('/')[2]} {o.life}" for i, o in self.owners.items())
        return f"<{lives}: {'; '.join(self.story)}>"

    # --- building ----------------------------------------------------------------------------------------------------

    def hex(self, width: int = 16) -> str:
        self.number += 1
        return f"{self.number:0{width}x}"

    def add(self, arn: str, kind: Kind, *, vpc: str = "", name: str = "", created: str = "", **facts: str) -> str:
        tags = None if kind in (Kind.SCALING_POLICY, Kind.SCHEDULED_ACTION) else dict(MANAGED)
        if kind in (Kind.TASK_DEFINITION, Kind.CLUSTER):
            tags = {}
        self.resources[arn] = Resource(Identity(arn, created), kind, vpc, name, tags, facts)
        return arn

    def refer(self, source: str, kind: Kind, target: str, how: str, **more: str) -> Reference:
        reference = Reference(source, kind, target, how, **more)
        self.references.append(reference)
        return reference

    def balancer(self) -> Balancer:
        tail = f"app/ecs-express-gateway-alb-{self.hex(8)}/{self.hex()}"
        arn = self.add(
            f"{_LB}:loadbalancer/{tail}", Kind.LOAD_BALANCER, vpc=VPC, name=tail.split("/")[1], protected="false"
        )
        listener = f"{_LB}:listener/{tail}/{self.hex()}"
        facts = {"load_balancer": arn, "protocol": "HTTPS", "actions": "fixed-response"}
        self.add(listener, Kind.LISTENER, vpc=VPC, name="HTTPS:443", **facts)
        rule = {"listener": listener, "priority": "default", "default": "true", "actions": "fixed-response"}
        self.add(f"{listener.replace(':listener/', ':listener-rule/')}/{self.hex()}", Kind.RULE, vpc=VPC, **rule)
        group = self.security_group("alb-sg")
        self.refer(arn, Kind.LOAD_BALANCER, group, "is in it")
        for _ in range(2):
            self.refer(f"eni-{self.hex()}", Kind.NETWORK_INTERFACE, group, "is in it", part_of=arn)
        return Balancer(arn, listener, group)

    def security_group(self, name: str) -> str:
        group = f"sg-{self.hex()}"
        arn = f"arn:aws:ec2:{_ACCOUNT}:security-group/{group}"
        return self.add(arn, Kind.SECURITY_GROUP, vpc=VPC, name=name, group_id=group)

    def owner(self, name: str, life: Life, created: str = "2026-01-01T00:00:00.000Z", **more: object) -> Identity:
        identity = Identity(f"arn:aws:ecs:{_ACCOUNT}:service/default/{name}", created)
        since = GONE if life is Life.DEAD else ""
        self.owners[identity] = replace(Owner(identity, life, since), **more)  # type: ignore[arg-type]
        return identity

    def claim(self, owner: Identity, arn: str, *, shared: bool = False, current: bool = True) -> None:
        resource = self.resources[arn]
        self.claims.append(Claim(owner, resource.identity, resource.kind, shared, (), current, iso(T0)))

    def service(
        self, name: str, on: Balancer, life: Life = Life.ALIVE, created: str = "2026-01-01T00:00:00.000Z"
    ) -> Service:
        """An Express service with everything that it has; a living one has a task, too."""
        identity = self.owner(name, life, created)
        service = self._make(name, identity, on)
        self._connect(service)
        for arn in (*service.own, service.logs, service.definition):
            self.claim(identity, arn)
        for arn in (on.arn, on.listener, on.group):
            self.claim(identity, arn, shared=True)
        if life is not Life.DEAD:
            self.use(service)
        return service

    def _make(self, name: str, identity: Identity, on: Balancer) -> Service:
        rule = f"{on.listener.replace(':listener/', ':listener-rule/')}/{self.hex()}"
        host = f"{name}-{self.hex()}.ecs.eu-west-1.on.aws"
        facts = {"listener": on.listener, "priority": str(self.number), "default": "false", "actions": "forward"}
        self.add(rule, Kind.RULE, vpc=VPC, hosts=host, **facts)
        groups = [f"{_LB}:targetgroup/ecs-gateway-tg-{self.hex(17)}/{self.hex()}" for _ in range(2)]
        for arn in groups:
            self.add(arn, Kind.TARGET_GROUP, vpc=VPC, name=arn.split("/")[1], target_type="ip")
        certificate = f"arn:aws:acm:{_ACCOUNT}:certificate/{self.hex()}"
        self.add(certificate, Kind.CERTIFICATE, name=host, names=host)
        scaled = {"resource_id": f"service/default/{name}", "dimension": "ecs:service:DesiredCount"}
        tail = f"{self.hex()}:resource/ecs/service/default/{name}"
        target = f"arn:aws:application-autoscaling:{_ACCOUNT}:scalable-target/{self.hex()}"
        self.add(target, Kind.SCALABLE_TARGET, name=f"service/default/{name}", **scaled)
        policy = f"arn:aws:autoscaling:{_ACCOUNT}:scalingPolicy:{tail}:policyName/{name}CPU"
        self.add(policy, Kind.SCALING_POLICY, name=f"{name}CPU", policy_name=f"{name}CPU", **scaled)
        alarms = []
        for way in ("High", "Low"):
            title = f"TargetTracking-service/default/{name}-Alarm{way}-{self.hex()}"
            arn = f"arn:aws:cloudwatch:{_ACCOUNT}:alarm:{title}"
            alarms.append(self.add(arn, Kind.ALARM, name=title, metrics="1", policy=policy))
            self.resources[arn] = replace(self.resources[arn], tags={})
        title = f"default/{name}/RollbackAlarm"
        rollback = self.add(f"arn:aws:cloudwatch:{_ACCOUNT}:alarm:{title}", Kind.ALARM, name=title, metrics="4")
        group = self.security_group(f"default-{name}-{VPC}")
        logs = f"/aws/ecs/default/{name}-{self.hex(4)}"
        log_group = f"arn:aws:logs:{_ACCOUNT}:log-group:{logs}"
        self.add(log_group, Kind.LOG_GROUP, name=logs, created=identity.created, stored_bytes=str(10**9))
        definition = f"arn:aws:ecs:{_ACCOUNT}:task-definition/default-{name}:{self.hex(1)}"
        self.add(definition, Kind.TASK_DEFINITION, name=definition.split("/")[1], created=identity.created)
        return Service(
            identity, on, rule, (groups[0], groups[1]), certificate, target, policy, (alarms[0], alarms[1]), rollback,
            group, log_group, definition,
        )  # fmt: skip

    def _connect(self, it: Service) -> None:
        for group, weight in zip(it.groups, (100, 0), strict=True):
            self.refer(it.rule, Kind.RULE, group, f"forwards to it with weight {weight}", via="forward")
        self.refer(it.balancer.listener, Kind.LISTENER, it.certificate, "lists it", via="listed")
        self.refer(it.balancer.arn, Kind.LOAD_BALANCER, it.certificate, "is in ACM's list of what uses it")
        self.allow(it.balancer.group, it.group, "egress")
        self.allow(it.group, it.balancer.group, "ingress")
        for alarm in it.alarms:
            self.refer(it.policy, Kind.SCALING_POLICY, alarm, "is called by it")
            self.refer(alarm, Kind.ALARM, it.policy, "calls it as its action")
        for arn in (*it.groups, it.balancer.arn):
            self.refer(it.rollback, Kind.ALARM, arn, "watches its metric RequestCount")
        self.refer(it.definition, Kind.TASK_DEFINITION, it.logs, "writes its logs to it")

    def use(self, it: Service, *, moving: bool = False) -> None:
        """The service's active revision has all of it, and a task runs."""
        revision = it.identity.arn.replace(":service/", ":service-revision/") + "/1"
        shared = (it.balancer.arn, it.balancer.listener, it.balancer.group)
        for arn in (*it.own, it.logs, it.definition, *shared):
            self.refer(revision, Kind.SERVICE_REVISION, arn, "the active revision has it", owner=it.identity.arn)
        self.refer(f"eni-{self.hex()}", Kind.NETWORK_INTERFACE, it.group, "is in it: a task", owner=it.identity.arn)
        for group in it.groups[:1]:
            self.refer("10.0.0.7:8080", Kind.OTHER, group, "is registered with it as a target (healthy)")

    def allow(self, group: str, other: str, way: str) -> Reference:
        """A rule of a security group that names another."""
        how = f"{way} rule of {group.rpartition('/')[2]} names it"
        return self.refer(f"sgr-{self.hex()}", Kind.SECURITY_GROUP_RULE, other, how, part_of=group, via=way)

    def rule(self, on: Balancer, *groups: str, hosts: str = "www.example.com", actions: str = "forward") -> str:
        """A rule of a person's on the shared load balancer."""
        arn = f"{on.listener.replace(':listener/', ':listener-rule/')}/{self.hex()}"
        facts = {"listener": on.listener, "priority": str(self.number), "default": "false", "actions": actions}
        self.add(arn, Kind.RULE, vpc=VPC, name=f"rule {self.number}", hosts=hosts, **facts)
        self.resources[arn] = replace(self.resources[arn], tags={})
        for group in groups:
            self.refer(arn, Kind.RULE, group, "forwards to it with weight 0", via="forward")
        return arn

    def tag(self, arn: str, **tags: str) -> None:
        resource = self.resources[arn]
        self.resources[arn] = replace(
            resource, tags={**(resource.tags or {}), **{k.replace("__", ":"): v for k, v in tags.items()}}
        )

    def fact(self, arn: str, **facts: str) -> None:
        resource = self.resources[arn]
        self.resources[arn] = replace(resource, facts={**resource.facts, **facts})

    def untag(self, arn: str) -> None:
        self.resources[arn] = replace(self.resources[arn], tags={})

    def remove(self, *arns: str) -> None:
        """As if deleted by whomever: what it referred to is free."""
        gone = set(arns)
        for arn in arns:
            self.resources.pop(arn, None)
        self.references = [r for r in self.references if not gone & {r.source, r.target, r.part_of}]

    # --- observing ---------------------------------------------------------------------------------------------------

    def scopes(self) -> Iterator[tuple[str, str, int]]:
        """Every listing that an observation makes, and how many items it gives."""
        yield from ((operation, "", 1) for operation in _OF_ACCOUNT)
        yield "ecs:ListClusters", "", len(_CLUSTERS)
        yield "ecs:ListGateways", "", len(self.gateways)
        yield "route53:ListHostedZones", "", len(self.zones)
        yield from (("route53:ListResourceRecordSets", zone, 2) for zone in self.zones)
        yield from ((f"ec2:Describe{name}", VPC, 9) for name in _OF_VPC)
        yield from ((f"ecs:{name}", cluster, 3) for cluster in _CLUSTERS for name in _OF_CLUSTER)
        yield from ((f"ecs:{name}", gateway, 1) for gateway in self.gateways for name in _OF_GATEWAY)
        for arn in sorted({i.arn for i, o in self.owners.items() if o.life is not Life.DEAD}):
            yield "ecs:DescribeExpressGatewayService", arn, 1
            yield "ecs:DescribeServiceRevisions", arn, 1
            yield "ecs:ListServiceDeployments", arn, 0
        for arn, each in self.resources.items():
            yield "cloudformation:DescribeStackResources", arn, 0
            yield from ((operation, arn, 1) for operation in _OF_KIND.get(each.kind, ()))

    def observe(self, name: str = "second", began: datetime = T0, seconds: int = 60) -> Observation:
        """What an observation would give now."""
        at = iso(began)
        readings = []
        for operation, scope, items in self.scopes():
            status = self.bad.get((operation, scope), Read.WHOLE)
            if (operation, scope) not in self.unread:
                reason = "" if status is Read.WHOLE else f"not {status}"
                readings.append(Reading(operation, scope, status, at, items, reason))
        return Observation(
            id=name,
            began=began,
            ended=began + timedelta(seconds=seconds),
            scope=VPC,
            resources=dict(self.resources),
            references=tuple(dict.fromkeys(self.references)),
            readings=tuple(readings),
            owners=dict(self.owners),
            claims=tuple(self.claims),
        )

    def judge(self, keep: Keep = KEEP, name: str = "second", began: datetime = T0) -> Judgement:
        seen = self.observe(name, began)
        return Judgement(seen, keep, seen.ended)

    def judge_twice(self, keep: Keep = KEEP) -> tuple[Judgement, Judgement]:
        """Two observations of the same, twenty minutes apart."""
        return self.judge(keep, "first", T0 - timedelta(minutes=20)), self.judge(keep)


def sharers(*lives: Life) -> tuple[Fleet, Balancer, list[Service]]:
    """Services web, web-api, shop … on one load balancer."""
    fleet = Fleet()
    balancer = fleet.balancer()
    names = ("web", "web-api", "shop", "cart", "mail")
    made = [fleet.service(name, balancer, life) for name, life in zip(names, lives, strict=False)]
    return fleet, balancer, made
