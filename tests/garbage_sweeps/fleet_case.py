"""Random fleets of Express services, what people put around them, who acts meanwhile, and what goes wrong.

A case is a seed: everything in it is drawn from that. It ends when everybody has acted, no fault holds any more, and
the patrol has come by so often that all there is to sweep must have been swept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from random import Random
from typing import Any, cast

import pytest
from caretaker.aws import clients
from caretaker.aws.errors import AwsFailure
from caretaker.garbage import calls
from caretaker.garbage.handlers import patrol, record_inventory
from caretaker.garbage.handlers.record_inventory import InventoryIncomplete
from caretaker.garbage.ledger import LedgerBusy

from tests.deployed import TABLE, defaults, environment
from tests.garbage_reads.reads_stage import CLUSTER, OPERATOR, PRIVATE, PUBLIC, ROLE, Stage
from tests.garbage_sweeps.direct import Direct
from tests.garbage_sweeps.sweep_machine import ARN, Context, SweepMachine
from twin.ecs.express.options import EVERYTHING, ExpressOptions
from twin.errors import AwsError
from twin.kernel.api import Call, Caller
from twin.kernel.clock import iso
from twin.kernel.gateway import ApiFault
from twin.kernel.parameters import Parameters
from twin.rehearsal.garbage_made import ingresses, made
from twin.rehearsal.garbage_truth import Truth

NAMES = ("web", "web-api", "web-2", "api", "shop")
CARETAKER = Caller("function", "GarbageSweep")
HOUR = 3600.0
ACTS = 2.5 * HOUR
"""Within so many seconds people act."""
PATROLS = 3
HEARD = ("AWS API Call via CloudTrail", "ECS Deployment State Change")
LOST = 0.15
"""The part of the events that never come."""
LAMBDA_TRIES = 3
"""An asynchronous invocation that fails is tried twice more, then dropped."""
POLICY = {"garbage": {"mode": "act", "grace": 900, "apart": 600}}
READS = (
    ("ecs", "DescribeServiceRevisions"),
    ("ecs", "DescribeExpressGatewayService"),
    ("ecs", "ListServices"),
    ("ecs", "DescribeServices"),
    ("ecs", "ListServiceDeployments"),
    ("elbv2", "DescribeRules"),
    ("elbv2", "DescribeListeners"),
    ("elbv2", "DescribeTargetGroups"),
    ("elbv2", "DescribeListenerCertificates"),
    ("elbv2", "DescribeTags"),
    ("ec2", "DescribeSecurityGroupRules"),
    ("ec2", "DescribeNetworkInterfaces"),
    ("cloudwatch", "DescribeAlarms"),
    ("acm", "DescribeCertificate"),
    ("application-autoscaling", "DescribeScheduledActions"),
    ("wafv2", "GetWebACLForResource"),
    ("route53", "ListResourceRecordSets"),
)
REFUSALS = ("ThrottlingException", "AccessDeniedException", "ServiceUnavailable")


@dataclass
class Taken:
    """A call that took something away, and who used it, in truth, at that moment."""

    call: Call
    users: tuple[str, ...]


@dataclass
class Case:
    """What became of one.

    Attributes:
        said: what was drawn, in order, for whoever looks into a failure.
        taken: what Caretaker took away.
        left: ARNs of what is garbage at the end, in truth, and could have been known.
        unheard: ARNs of what is garbage too, but nobody could know whose it was.
        outputs: of the sweeps.
        lost: ARNs of services of which an event never came, or came to nothing each time that Lambda tried.
        told: ARNs of what ECS had made for a service when an event's inventory of it was recorded to the end.
    """

    seed: int
    said: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unheard: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    @property
    def wrong(self) -> list[str]:
        """What was taken from somebody who used it."""
        took = [each for each in self.taken if each.call.error is None and each.users]
        return [f"{each.call.operation} {dict(each.call.params)}: {each.users[0]}" for each in took]

    def __str__(self) -> str:
        outcomes = [f"{name}: {out and (out['outcome'], out['reason'])}" for name, out in self.outputs.items()]
        return "\n".join(
            [
                f"seed {self.seed}",
                *self.said,
                *outcomes,
                *self.wrong,
                *(f"left: {arn}" for arn in self.left),
                *(f"left, and unheard of: {arn}" for arn in self.unheard),
            ]
        )


class Fleet(Stage):
    """A stage on which Caretaker's functions and machine work, and people act."""

    def __init__(self, dice: Random, case: Case) -> None:
        self.dice, self.case = dice, case
        self.everybody = dice.random() < 0.45  # leaves, and so does the load balancer's last service
        super().__init__(self._options())
        Parameters(self.kernel, self.gateway)
        self.gateway.validate_requests = False  # the worlds' clients do
        self.machine = SweepMachine(self.kernel)
        self.gateway.register(self.machine)
        self.kinds = dice.sample(sorted(OWN), 3)

    def _options(self) -> ExpressOptions:
        dice = self.dice
        kinds = list(EVERYTHING)
        often = {"load_balancer": 0.9} if self.everybody else {}
        leaves = tuple(kind for kind in kinds if dice.random() < often.get(kind, 0.6))
        late = tuple(kind for kind in kinds if kind not in leaves and dice.random() < 0.3)
        left = dice.choice(("swapped", "left"))
        self.case.said.append(f"leaves {', '.join(leaves)}; late {', '.join(late)}; default certificate {left}")
        return ExpressOptions(
            load_balancer=15.0,
            step=2.0,
            leaves=leaves,
            late=late,
            late_by=dice.choice((120.0, 600.0, 2400.0)),
            update_leaves=tuple(kind for kind in kinds if dice.random() < 0.4),
            default_certificate=cast(Any, left),
            delete_tries=2,
            retry=20.0,
        )

    # --- people ------------------------------------------------------------------------------------------------------
    def say(self, text: str) -> None:
        self.case.said.append(f"+{self.kernel.clock.elapsed:.0f}s {text}")

    def person(self, api: str, operation: str, **params: Any) -> Any:
        """Somebody's call; what AWS refuses, they let be."""
        try:
            return self.call(api, operation, OPERATOR, **params)
        except AwsError as error:
            self.say(f"{operation} was refused: {error.code}")
            return None

    def create(self, name: str) -> None:
        subnets = self.dice.choice((PUBLIC, PUBLIC, PRIVATE))
        self.say(f"create {name} in {subnets[0]}")
        self.person(
            "ecs",
            "CreateExpressGatewayService",
            infrastructureRoleArn=f"{ROLE}/infrastructure",
            executionRoleArn=f"{ROLE}/execution",
            primaryContainer={"image": "example.com/web:1"},
            cluster=CLUSTER,
            serviceName=name,
            networkConfiguration={"subnets": list(subnets)},
        )

    def remove(self, name: str) -> None:
        self.say(f"delete {name}")
        self.person("ecs", "DeleteExpressGatewayService", serviceArn=self.arn(name))

    def update(self, name: str) -> None:
        params: dict[str, Any] = {"primaryContainer": {"image": f"example.com/web:{self.dice.randrange(2, 9)}"}}
        if self.dice.random() < 0.3:
            params["networkConfiguration"] = {"subnets": list(self.dice.choice((PUBLIC, PRIVATE)))}
        self.say(f"update {name} {params}")
        self.person("ecs", "UpdateExpressGatewayService", serviceArn=self.arn(name), **params)

    # --- what people put around --------------------------------------------------------------------------------------
    def own(self, name: str) -> None:
        """Somebody puts something of theirs at a service's things."""
        kind = self.dice.choice(self.kinds)
        service = self.ecs.store.services.get(self.arn(name))
        if service is None or service.express is None or not service.express.balancer.ready:
            return
        self.say(f"own {kind} at {name}")
        OWN[kind](self, service.express)

    # --- Caretaker ---------------------------------------------------------------------------------------------------
    def watch(self) -> None:
        """CloudTrail's events bring inventories and sweeps, unless they are lost."""
        truth = Truth(cast(Any, self))
        self.kernel.calls.listeners.append(lambda call: self._about_to(truth, call))
        self.gateway.completed.append(lambda call, answer: self._completed(truth, call))
        self.truth = truth
        put = self.bus.put

        def heard(event: Any) -> Any:
            if event.get("detail-type") in HEARD:
                lost, change = self.dice.random() < LOST, calls.read(event)
                if change is not None and lost:
                    self.case.lost.add(change.service)
                elif change is not None:
                    self.kernel.scheduler.spawn(lambda: self._tell(event, change.service), name="record inventory")
            return put(event)

        self.bus.put = heard  # type: ignore[method-assign]

    def _tell(self, event: Mapping[str, Any], service: str) -> None:
        """As Lambda does asynchronously. Anything but what the function says that it may fail with ends the test."""
        for _ in range(LAMBDA_TRIES):
            before = self._made(service)
            try:
                record_inventory.handler(json.loads(json.dumps(event)), Context())
            except (AwsFailure, InventoryIncomplete, LedgerBusy) as error:
                self.say(f"the inventory failed: {error}")
                self.kernel.scheduler.sleep(60)
            else:
                self.case.told |= before & self._made(service)
                return
        self.case.lost.add(service)

    def _made(self, service: str) -> set[str]:
        """What ECS has made for a service that lives: its inventory has to name all of it."""
        living = self.ecs.store.services.get(service)
        if living is None or living.express is None or living.status != "ACTIVE":
            return set()
        shared = [one for at in ingresses(living) for one in (at.balancer.load_balancer, at.balancer.security_group)]
        return {str(one.arn) for one in (*shared, *(own for _, own in made(living))) if one.arn is not None}

    def _about_to(self, truth: Truth, call: Call) -> None:
        if call.caller == CARETAKER and truth.deletes(call):
            self.case.taken.append(Taken(call, truth.users(call)))

    def _completed(self, truth: Truth, call: Call) -> None:
        if call.operation == "CreateExpressGatewayService":
            truth.remember()

    def unheard(self, arn: str) -> bool:
        """Whether nobody could know whose a resource was: the event that tells of it was lost, no inventory was
        recorded after it was made, and its service died before the patrol came."""
        makers = {service.arn for service in (*self.truth.tenants(arn), *(one for one, _ in self.truth.makers(arn)))}
        known = {claim.resource.arn for vpc in self.ledger.vpcs() for claim in self.ledger.claims(vpc)}
        return arn not in known | self.case.told and bool(makers & self.case.lost)

    def patrol(self) -> bool:
        """The schedule comes; what fails comes again. False if it found nothing to sweep."""
        event = {"time": iso(self.now), "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
        for _ in range(20):
            try:
                begun = patrol.handler({**event, "time": iso(self.now)}, Context())["begun"]
            except (AwsFailure, patrol.NotAllPatrolled) as error:
                self.say(f"the patrol missed something: {error}")
                self.kernel.scheduler.sleep(600)
            else:
                return bool(begun)
        raise AssertionError("the patrol never came through")


def _rule(fleet: Fleet, express: Any) -> None:
    weights = fleet.dice.choice(((1, 0), (0, 1), (1, 1)))
    groups = [{"TargetGroupArn": g.arn, "Weight": w} for g, w in zip(express.target_groups, weights, strict=True)]
    fleet.person(
        "elbv2",
        "CreateRule",
        ListenerArn=express.balancer.listener.arn,
        Priority=fleet.dice.randrange(1000, 2000),
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/own"]}}],
        Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups if 0 in weights else groups[:1]}}],
    )


def _host(fleet: Fleet, express: Any) -> None:
    hosts = [express.endpoint, "shop.example.com"]
    condition = {"Field": "host-header", "HostHeaderConfig": {"Values": hosts}}
    fleet.person("elbv2", "ModifyRule", RuleArn=express.rule.arn, Conditions=[condition])


def _certificate(fleet: Fleet, express: Any) -> None:
    made = fleet.person("acm", "RequestCertificate", DomainName="own.example.com", ValidationMethod="DNS")
    fleet.kernel.scheduler.sleep(30)
    certificates = [{"CertificateArn": made["CertificateArn"]}]
    fleet.person(
        "elbv2", "AddListenerCertificates", ListenerArn=express.balancer.listener.arn, Certificates=certificates
    )


def _group_rule(fleet: Fleet, express: Any) -> None:
    group, balancer = express.security_group.arn.rpartition("/")[2], express.balancer.group_id
    theirs = fleet.person(
        "ec2", "CreateSecurityGroup", GroupName=f"own-{fleet.dice.random()}", Description="own", VpcId=fleet.vpc
    )
    target, source = fleet.dice.choice(
        ((theirs["GroupId"], group), (theirs["GroupId"], balancer), (balancer, theirs["GroupId"]))
    )
    pair = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": source}]}
    way = fleet.dice.choice(("Ingress", "Egress"))
    fleet.person("ec2", f"AuthorizeSecurityGroup{way}", GroupId=target, IpPermissions=[pair])


def _interface(fleet: Fleet, express: Any) -> None:
    group = fleet.dice.choice((express.security_group.arn.rpartition("/")[2], express.balancer.group_id))
    fleet.person("ec2", "CreateNetworkInterface", SubnetId=PUBLIC[0], Groups=[group], Description="own")


def _composite(fleet: Fleet, express: Any) -> None:
    name = str(express.alarm.arn).partition(":alarm:")[2]
    fleet.person("cloudwatch", "PutCompositeAlarm", AlarmName="own", AlarmRule=f'ALARM("{name}")')


def _scheduled(fleet: Fleet, express: Any) -> None:
    target = fleet.account.scaling.targets
    found = [one for one in target.values() if one.arn == express.scalable_target.arn]
    if found:
        fleet.person(
            "application-autoscaling",
            "PutScheduledAction",
            ServiceNamespace="ecs",
            ResourceId=found[0].resource_id,
            ScalableDimension="ecs:service:DesiredCount",
            ScheduledActionName="own",
            Schedule="rate(1 day)",
            ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 2},
        )


def _web_acl(fleet: Fleet, express: Any) -> None:
    made = fleet.person(
        "wafv2",
        "CreateWebACL",
        Name=f"own{fleet.dice.randrange(10**6)}",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "own"},
    )
    arn = express.balancer.load_balancer.arn
    fleet.person("wafv2", "AssociateWebACL", WebACLArn=made["Summary"]["ARN"], ResourceArn=arn)


def _record(fleet: Fleet, express: Any) -> None:
    balancer = fleet.elbv2.load_balancers.get(str(express.balancer.load_balancer.arn))
    if balancer is None:
        return
    zone = fleet.person("route53", "CreateHostedZone", Name="example.com", CallerReference=str(fleet.dice.random()))
    value = fleet.elbv2.dns_name(balancer)
    record = {"Name": "own.example.com", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": value}]}
    change = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    fleet.person("route53", "ChangeResourceRecordSets", HostedZoneId=zone["HostedZone"]["Id"], ChangeBatch=change)


def _listener(fleet: Fleet, express: Any) -> None:
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    arn = express.balancer.load_balancer.arn
    fleet.person("elbv2", "CreateListener", LoadBalancerArn=arn, Protocol="HTTP", Port=8080, DefaultActions=[answer])


def _keep(fleet: Fleet, express: Any) -> None:
    tags = [{"Key": "caretaker:keep", "Value": "yes"}]
    arn = fleet.dice.choice([express.rule.arn, express.target_groups[0].arn, express.balancer.load_balancer.arn])
    fleet.person("elbv2", "AddTags", ResourceArns=[arn], Tags=tags)


def _take_over(fleet: Fleet, express: Any) -> None:
    arn = fleet.dice.choice([express.rule.arn, express.target_groups[1].arn])
    fleet.person("elbv2", "RemoveTags", ResourceArns=[arn], TagKeys=["AmazonECSManaged"])


def _protect(fleet: Fleet, express: Any) -> None:
    attributes = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    arn = express.balancer.load_balancer.arn
    fleet.person("elbv2", "ModifyLoadBalancerAttributes", LoadBalancerArn=arn, Attributes=attributes)


OWN: Mapping[str, Callable[[Fleet, Any], None]] = {
    "rule": _rule,
    "host": _host,
    "certificate": _certificate,
    "group rule": _group_rule,
    "interface": _interface,
    "composite alarm": _composite,
    "scheduled action": _scheduled,
    "web acl": _web_acl,
    "record": _record,
    "listener": _listener,
    "keep": _keep,
    "taken over": _take_over,
    "protection": _protect,
}


# --- a case ----------------------------------------------------------------------------------------------------------
def run(seed: int, patch: pytest.MonkeyPatch, enough: Callable[[Case], bool] = lambda case: False) -> Case:
    """Play a case to its end, or until somebody has seen enough."""
    dice, case = Random(seed), Case(seed)
    fleet = Fleet(dice, case)
    with _staged(patch, fleet):
        for name in dice.sample(NAMES, dice.randint(1, 4)):
            fleet.create(name)
            fleet.run()
        fleet.kernel.settled = True
        fleet.watch()
        fleet.within(fleet.patrol)
        _plan_acts(fleet)
        _plan_faults(fleet)
        _until_quiet(fleet, ACTS)
        for _ in range(PATROLS):
            if enough(case) or not fleet.within(fleet.patrol):
                break
            _until_quiet(fleet, 1.5 * HOUR)
        garbage = fleet.truth.garbage()
        case.unheard = [arn for arn in garbage if fleet.unheard(arn)]
        case.left = [arn for arn in garbage if arn not in case.unheard]
        case.outputs = fleet.machine.outputs
    return case


def _until_quiet(fleet: Fleet, seconds: float) -> None:
    """At least so long, and until no sweep is open."""
    fleet.run(seconds)
    for _ in range(200):
        if not fleet.machine.open:
            return
        fleet.run(300.0)
    raise AssertionError(f"seed {fleet.case.seed}: a sweep does not end")


def _plan_acts(fleet: Fleet) -> None:
    """People put their own things around services first, mostly; then services come and go."""
    dice = fleet.dice
    acts: list[tuple[float, Callable[[], None]]] = []
    for name in NAMES:
        there = fleet.arn(name) in fleet.ecs.store.services
        for _ in range(dice.choice((1, 1, 2, 3) if there else (0, 0, 1))):
            acts.append((dice.uniform(0, dice.choice((0.3, 1.0)) * ACTS), partial(fleet.own, name)))
        if dice.random() < 0.25:
            acts.append((dice.uniform(0, ACTS), partial(fleet.update, name)))
        if dice.random() < 0.6 or (there and fleet.everybody):
            gone = dice.uniform(0.1 * ACTS, ACTS)
            acts.append((gone, partial(fleet.remove, name)))
            if dice.random() < 0.4 and not fleet.everybody:
                acts.append((gone + dice.uniform(60, HOUR), partial(fleet.create, name)))
        elif not there and dice.random() < 0.5:
            acts.append((dice.uniform(0, ACTS), partial(fleet.create, name)))
    scheduler = fleet.kernel.scheduler
    for at, act in acts:
        scheduler.call_later(at, partial(scheduler.spawn, act, name="somebody"), name="somebody")


def _plan_faults(fleet: Fleet) -> None:
    """Reads that fail to Caretaker for a while."""
    dice = fleet.dice
    for _ in range(dice.choice((0, 0, 1, 2))):
        service, operation = dice.choice(READS)
        code = dice.choice(REFUSALS)
        begin = dice.uniform(0, ACTS)
        end = begin + dice.uniform(60, HOUR)
        fleet.say(f"{service}:{operation} answers {code} from +{begin:.0f}s to +{end:.0f}s")
        elapsed = fleet.kernel.clock.elapsed
        fleet.gateway.api_faults.append(
            ApiFault(service, operation, code, "for a test", CARETAKER.name, None, elapsed + begin, elapsed + end)
        )


@contextmanager
def _staged(patch: pytest.MonkeyPatch, fleet: Fleet) -> Iterator[None]:
    with environment(patch, SWEEP_EXPRESS_ARN=ARN, POWERTOOLS_LOG_LEVEL="ERROR"):
        patch.setattr(clients, "client", lru_cache(lambda service: Direct(fleet.gateway, CARETAKER, service)))
        fleet.call("dynamodb", "CreateTable", **TABLE)
        fleet.call("ssm", "PutParameter", **defaults(POLICY))
        yield
