"""Each needed reading by itself: what it makes unknown when it fails, and that nothing else does."""

from __future__ import annotations

import pytest
from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Kind, Life, Read, Word
from caretaker.garbage.needs import NEEDS, TAGS, Readings
from caretaker.garbage.verdict import JUDGED
from garbage_fleet import ELB, KEEP_NOTHING, VPC, Fleet, sharers

K = Kind
CLUSTER = "arn:aws:ecs:eu-west-1:111122223333:cluster/default"
OF_SERVICES = (K.SECURITY_GROUP, K.LOG_GROUP, K.TASK_DEFINITION)
SCALING = (K.SCALABLE_TARGET, K.SCALING_POLICY, K.ALARM)
EVERYTHING = tuple(kind for kind in NEEDS if kind is not K.CLUSTER)


def fleet_of_one() -> Fleet:
    fleet, _, _ = sharers(Life.DEAD)
    fleet.gateways, fleet.zones = ["gw-1"], ["zone-1"]
    return fleet


def unknown_kinds(fleet: Fleet) -> set[Kind]:
    judged = fleet.judge(KEEP_NOTHING)
    doubted = (v.resource for v in judged.verdicts.values() if v.doubts)
    return {each.kind for each in doubted if each.facts.get("default") != "true"}


@pytest.mark.parametrize(
    ("operation", "scope", "kinds"),
    [
        ("ecs:ListClusters", "", EVERYTHING),
        ("ecs:ListServices", CLUSTER, EVERYTHING),
        ("ecs:DescribeServices", CLUSTER, EVERYTHING),
        ("ecs:ListTasks", CLUSTER, OF_SERVICES),
        ("ecs:DescribeTasks", CLUSTER, OF_SERVICES),
        ("ecs:ListGateways", "", EVERYTHING),
        ("ecs:DescribeGateway", "gw-1", EVERYTHING),
        ("ecs:DescribeGatewayResources", "gw-1", EVERYTHING),
        ("ecs:ListGatewayRoutes", "gw-1", EVERYTHING),
        ("ecs:DescribeGatewayRoute", "gw-1", EVERYTHING),
        ("ecs:ListTaskDefinitions", "", (K.LOG_GROUP,)),
        ("ecs:DescribeTaskDefinition", "", (K.LOG_GROUP,)),
        ("events:ListEventBuses", "", (K.TASK_DEFINITION, K.SECURITY_GROUP)),
        ("events:ListRules", "", (K.TASK_DEFINITION, K.SECURITY_GROUP)),
        ("events:ListTargetsByRule", "", (K.TASK_DEFINITION, K.SECURITY_GROUP)),
        ("scheduler:ListSchedules", "", (K.TASK_DEFINITION, K.SECURITY_GROUP)),
        ("scheduler:GetSchedule", "", (K.TASK_DEFINITION, K.SECURITY_GROUP)),
        (f"{ELB}:DescribeLoadBalancers", "", (K.TARGET_GROUP, K.CERTIFICATE, K.SECURITY_GROUP, K.LOAD_BALANCER)),
        (f"{ELB}:DescribeTargetGroups", "", (K.TARGET_GROUP, K.LOAD_BALANCER)),
        ("acm:ListCertificates", "", (K.CERTIFICATE,)),
        ("ec2:DescribeSecurityGroups", VPC, (K.SECURITY_GROUP,)),
        ("ec2:DescribeSecurityGroupRules", VPC, (K.SECURITY_GROUP,)),
        ("ec2:DescribeNetworkInterfaces", VPC, (K.SECURITY_GROUP,)),
        ("cloudwatch:DescribeAlarms", "", (*SCALING, K.TARGET_GROUP, K.LOAD_BALANCER)),
        ("application-autoscaling:DescribeScalableTargets", "", SCALING),
        ("application-autoscaling:DescribeScalingPolicies", "", (*SCALING, K.TARGET_GROUP, K.LOAD_BALANCER)),
        ("application-autoscaling:DescribeScheduledActions", "", SCALING),
        ("route53:ListHostedZones", "", (K.LOAD_BALANCER,)),
        ("route53:ListResourceRecordSets", "zone-1", (K.LOAD_BALANCER,)),
    ],
)
@pytest.mark.parametrize("status", [Read.DENIED, Read.TRUNCATED, None])
def test_a_reading_makes_unknown_what_it_could_have_shown(operation, scope, kinds, status) -> None:  # type: ignore[no-untyped-def]
    fleet = fleet_of_one()
    if status is None:
        fleet.unread.add((operation, scope))
    else:
        fleet.bad[operation, scope] = status
    assert unknown_kinds(fleet) == set(kinds)


@pytest.mark.parametrize(
    ("kind", "operation", "also"),
    [
        (K.LISTENER, f"{ELB}:DescribeRules", (K.RULE, K.TARGET_GROUP, K.CERTIFICATE, K.LOAD_BALANCER)),
        (K.LISTENER, f"{ELB}:DescribeListenerCertificates", (K.CERTIFICATE,)),
        (K.LOAD_BALANCER, f"{ELB}:DescribeListeners", (K.LISTENER, K.TARGET_GROUP, K.CERTIFICATE)),
        (K.LOAD_BALANCER, f"{ELB}:DescribeLoadBalancerAttributes", ()),
        (K.LOAD_BALANCER, "wafv2:GetWebACLForResource", ()),
        (K.TARGET_GROUP, f"{ELB}:DescribeTargetHealth", ()),
        (K.CERTIFICATE, "acm:DescribeCertificate", ()),
        (K.LOG_GROUP, "logs:DescribeLogGroups", ()),
        (K.LOG_GROUP, "logs:DescribeSubscriptionFilters", ()),
        (K.LOG_GROUP, "logs:DescribeMetricFilters", ()),
    ],
)
def test_a_reading_of_one_resource_makes_it_unknown(kind: Kind, operation: str, also: tuple[Kind, ...]) -> None:
    fleet = fleet_of_one()
    arn = next(arn for arn, each in fleet.resources.items() if each.kind is kind)
    fleet.bad[operation, arn] = Read.FAILED
    own = {kind} if operation != f"{ELB}:DescribeListenerCertificates" else set()
    assert unknown_kinds(fleet) == own | set(also)


@pytest.mark.parametrize("kind", EVERYTHING)
def test_a_stack_that_was_not_looked_for_makes_the_resource_unknown(kind: Kind) -> None:
    fleet = fleet_of_one()
    found = (a for a, r in fleet.resources.items() if r.kind is kind and r.facts.get("default") != "true")
    fleet.bad["cloudformation:DescribeStackResources", next(found)] = Read.DENIED
    assert kind in unknown_kinds(fleet) or kind is K.ALARM


@pytest.mark.parametrize(
    "operation",
    ["ecs:DescribeExpressGatewayService", "ecs:DescribeServiceRevisions", "ecs:ListServiceDeployments"],
)
@pytest.mark.parametrize("life", [Life.ALIVE, Life.DRAINING, Life.UNKNOWN])
def test_any_service_that_may_live_has_to_be_read(operation: str, life: Life) -> None:
    fleet = fleet_of_one()
    other = fleet.owner("other", life)
    fleet.refer("revision/1", K.SERVICE_REVISION, "arn:x:loadbalancer/app/other", "has it", owner=other.arn)
    assert not unknown_kinds(fleet)
    fleet.unread.add((operation, other.arn))
    assert unknown_kinds(fleet) == set(EVERYTHING)


def test_deployments_in_flight_have_to_be_described() -> None:
    fleet = fleet_of_one()
    other = fleet.owner("other", Life.ALIVE)
    fleet.refer("revision/1", K.SERVICE_REVISION, "arn:x:loadbalancer/app/other", "has it", owner=other.arn)
    scopes = list(fleet.scopes())
    deployed = [(o, s, 1 if (o, s) == ("ecs:ListServiceDeployments", other.arn) else n) for o, s, n in scopes]
    fleet.scopes = lambda: iter(deployed)  # type: ignore[method-assign]
    assert unknown_kinds(fleet) == set(EVERYTHING)


def test_deployments_of_an_ordinary_service_that_could_not_be_read_may_use_anything() -> None:
    fleet = fleet_of_one()
    ordinary = "arn:aws:ecs:eu-west-1:111122223333:service/default/ordinary"
    scopes = [*fleet.scopes(), ("ecs:ListServiceDeployments", ordinary, 0)]
    fleet.scopes = lambda: iter(scopes)  # type: ignore[method-assign]
    assert not unknown_kinds(fleet)
    fleet.bad["ecs:ListServiceDeployments", ordinary] = Read.DENIED
    assert unknown_kinds(fleet) == set(EVERYTHING)


def test_listeners_without_rules_or_certificates_need_none_read() -> None:
    fleet, on, _ = sharers(Life.DEAD)
    for protocol, operations in (
        ("HTTP", [f"{ELB}:DescribeListenerCertificates"]),
        ("TCP", [f"{ELB}:DescribeListenerCertificates", f"{ELB}:DescribeRules"]),
    ):
        other = f"{on.listener}{protocol}"
        facts = {"load_balancer": on.arn, "protocol": protocol, "actions": "forward"}
        fleet.add(other, K.LISTENER, vpc=VPC, **facts)
        fleet.unread |= {(operation, other) for operation in operations}
    judged = fleet.judge(KEEP_NOTHING)
    assert not [arn for arn, v in judged.verdicts.items() if v.doubts and v.resource.kind is not K.LISTENER]


def test_a_reading_of_the_whole_account_does_for_a_vpc() -> None:
    fleet, _, (web,) = sharers(Life.DEAD)
    scopes = [(o, "" if s == VPC else s, n) for o, s, n in fleet.scopes()]
    fleet.scopes = lambda: iter(scopes)  # type: ignore[method-assign]
    assert fleet.judge().verdicts[web.group].word is Word.GARBAGE


def test_target_groups_whose_targets_are_load_balancers_need_their_targets_read() -> None:
    fleet, on, _ = sharers(Life.DEAD)
    arn = fleet.add("arn:their-target-group", K.TARGET_GROUP, vpc=VPC, target_type="alb")
    assert on.arn in fleet.judge().garbage
    fleet.bad[f"{ELB}:DescribeTargetHealth", arn] = Read.FAILED
    assert on.arn not in fleet.judge().garbage


def test_what_rests_on_a_reading_can_be_told() -> None:
    fleet, _, (web,) = sharers(Life.DEAD)
    graph = Graph(fleet.observe())
    used = Readings(graph).used(graph.resources[web.rule])
    assert {each.operation for each in used} == {need.operation for need in NEEDS[K.RULE] if not need.after} - {
        "ecs:DescribeExpressGatewayService",
        "ecs:DescribeServiceRevisions",
        "ecs:ListServiceDeployments",
        *(f"ecs:{name}" for name in ("DescribeGateway", "DescribeGatewayResources", "ListGatewayRoutes")),
    } | {"ecs:DescribeServices"}


def test_every_kind_that_can_be_deleted_has_needs_and_a_way_to_tell_its_tags() -> None:
    assert set(NEEDS) == JUDGED - {K.ROLE, K.REPOSITORY}
    assert set(TAGS) == set(NEEDS) - {K.SCALING_POLICY}
