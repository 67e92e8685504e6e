"""Plans and the last look before each step, by example."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from caretaker.garbage.model import Kind, Life, Read
from caretaker.garbage.plan import Plan, Step, plan
from caretaker.garbage.standing import Keep
from caretaker.garbage.still import Halt, Stop, still
from caretaker.runtime.policy import GarbagePolicy
from garbage_fleet import KEEP, KEEP_NOTHING, T0, Fleet, Service, sharers

DEAD, ALIVE = Life.DEAD, Life.ALIVE
APART = timedelta(minutes=15)


def planned(fleet: Fleet, keep: Keep = KEEP, cap: int = 100) -> Plan:
    return plan(*fleet.judge_twice(keep), APART, cap)


def names(made: Plan) -> list[str]:
    return [step.action.partition(":")[2] for step in made.steps]


def step_of(made: Plan, action: str, target: str) -> Step:
    return next(each for each in made.steps if each.action.endswith(action) and each.target.arn == target)


def deleted_before(step: Step, made: Plan, fleet: Fleet) -> None:
    """What the plan deletes before the step is gone."""
    for each in made.steps[: made.steps.index(step)]:
        if each.deletes:
            fleet.remove(each.target.arn, *each.takes)


def looked(fleet: Fleet, step: Step, keep: Keep = KEEP) -> Stop | None:
    live = fleet.observe("live", T0 + timedelta(minutes=5))
    return still(step, live, keep, live.ended)


def test_one_sharers_things_go_leaf_first_and_shared_things_are_only_edited() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    made = planned(fleet)
    assert names(made) == [
        "DeleteRule",
        "RemoveListenerCertificates",
        "DeleteCertificate",
        "DeleteScalingPolicy",
        "DeleteAlarms",
        "DeleteTargetGroup",
        "DeleteTargetGroup",
        "DeregisterScalableTarget",
        "RevokeSecurityGroupEgress",
        "DeleteSecurityGroup",
    ]
    edits = [step for step in made.steps if not step.deletes]
    assert {step.resource.arn for step in edits} == {on.listener, on.group}
    assert {step.target.arn for step in edits} == {web.certificate, web.group}
    assert step_of(made, "DeleteScalingPolicy", web.policy).takes == tuple(sorted(web.alarms))
    assert made.steps[0].owners == (web.identity.arn,)


def test_the_load_balancer_goes_after_all_rules_and_its_group_after_it() -> None:
    fleet, on, (web, api) = sharers(DEAD, DEAD)
    made = planned(fleet)
    order = [step.target.arn for step in made.steps]
    assert order[-2:] == [on.arn, on.group]
    assert max(order.index(web.rule), order.index(api.rule)) < order.index(on.arn)
    assert on.listener in step_of(made, "DeleteLoadBalancer", on.arn).takes
    assert not made.waiting


def test_requests_are_complete() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    made = planned(fleet)
    params = {step.action.partition(":")[2]: step.params for step in made.steps}
    rule = next(r.source for r in fleet.references if r.part_of == on.group and r.target == web.group)
    scaled = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/default/web",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    assert params["DeleteRule"] == {"RuleArn": web.rule}
    assert params["DeleteScalingPolicy"] == {"PolicyName": "webCPU", **scaled}
    assert params["DeregisterScalableTarget"] == scaled
    assert params["DeleteAlarms"] == {"AlarmNames": ["default/web/RollbackAlarm"]}
    assert params["DeleteSecurityGroup"] == {"GroupId": web.group.rpartition("/")[2]}
    assert params["RevokeSecurityGroupEgress"] == {
        "GroupId": on.group.rpartition("/")[2],
        "SecurityGroupRuleIds": [rule],
    }
    assert params["RemoveListenerCertificates"] == {
        "ListenerArn": on.listener,
        "Certificates": [{"CertificateArn": web.certificate}],
    }


def test_data_goes_last_and_a_task_definition_is_deregistered_first() -> None:
    fleet, _, (web,) = sharers(DEAD)
    made = planned(fleet, KEEP_NOTHING)
    assert names(made)[-3:] == ["DeregisterTaskDefinition", "DeleteTaskDefinitions", "DeleteLogGroup"]
    fleet.fact(web.definition, status="INACTIVE")
    assert "DeregisterTaskDefinition" not in names(planned(fleet, KEEP_NOTHING))


def test_a_default_certificate_is_swapped_for_a_living_services_before_it_goes() -> None:
    fleet, on, (web, shop) = sharers(DEAD, ALIVE)
    fleet.refer(on.listener, Kind.LISTENER, web.certificate, "has it as default", via="default")
    made = planned(fleet)
    swap = step_of(made, "ModifyListener", web.certificate)
    assert swap.params == {"ListenerArn": on.listener, "Certificates": [{"CertificateArn": shop.certificate}]}
    order = [s.action.partition(":")[2] for s in made.steps if s.target.arn == web.certificate]
    assert order == ["ModifyListener", "RemoveListenerCertificates", "DeleteCertificate"]
    assert looked(fleet, swap) is None
    fleet.owners[shop.identity] = replace(fleet.owners[shop.identity], life=DEAD)
    assert "cannot take its place" in (looked(fleet, swap) or Stop(Halt.GONE, "")).reason


def test_a_default_certificate_of_a_listener_that_goes_too_waits_for_its_load_balancer() -> None:
    fleet, on, (web,) = sharers(DEAD)
    fleet.refer(on.listener, Kind.LISTENER, web.certificate, "has it as default", via="default")
    order = [step.target.arn for step in planned(fleet).steps]
    assert order.index(on.arn) < order.index(web.certificate)


def test_groups_of_the_dead_that_name_each_other_lose_their_rules_first() -> None:
    fleet, _, (web, api, _) = sharers(DEAD, DEAD, ALIVE)
    one, other = fleet.allow(web.group, api.group, "ingress"), fleet.allow(api.group, web.group, "ingress")
    made = planned(fleet)
    revoked = {step.params["SecurityGroupRuleIds"][0] for step in made.steps if "Ingress" in step.action}
    assert len(revoked & {one.source, other.source}) == 1
    assert not made.waiting


def test_two_observations_too_close_prove_nothing() -> None:
    fleet, _, _ = sharers(DEAD)
    first, second = fleet.judge(KEEP, "first", T0 - timedelta(minutes=10)), fleet.judge()
    made = plan(first, second, APART, 100)
    assert not made.steps
    assert set(made.waiting) == set(second.garbage)
    assert "0:09:00 apart" in made.waiting[min(made.waiting)]


def test_what_changed_between_the_observations_waits_with_everything_that_it_refers_to() -> None:
    fleet, on, (web,) = sharers(DEAD)
    first = fleet.judge(KEEP, "first", T0 - timedelta(minutes=20))
    fleet.fact(web.rule, hosts="we-0.ecs.eu-west-1.on.aws")
    made = plan(first, fleet.judge(), APART, 100)
    assert "it changed between the observations: hosts" in made.waiting[web.rule]
    assert {*web.groups, on.listener, on.arn, on.group} <= set(made.waiting)
    assert web.group not in made.waiting
    assert "has to wait" in made.waiting[web.groups[0]]


def test_what_elb_changes_by_itself_is_no_change() -> None:
    fleet, on, (web,) = sharers(DEAD)
    first = fleet.judge(KEEP, "first", T0 - timedelta(minutes=20))
    fleet.fact(on.arn, addresses="198.51.100.7")
    fleet.fact(web.groups[0], load_balancers="")
    assert not plan(first, fleet.judge(), APART, 100).waiting


def test_what_may_not_be_deleted_by_its_mode_waits() -> None:
    fleet, on, (web, api) = sharers(DEAD, DEAD)
    first, second = fleet.judge_twice()
    made = plan(first, second, APART, 100, lambda verdict: web.identity not in verdict.owners)
    assert set(web.own) - set(web.alarms) <= set(made.waiting)
    assert on.arn in made.waiting
    assert {api.rule, api.group} <= {step.target.arn for step in made.steps}


def test_observations_of_two_vpcs_and_a_senseless_cap_are_refused() -> None:
    fleet, _, _ = sharers(DEAD)
    first, second = fleet.judge_twice()
    first.graph.observation = replace(first.graph.observation, scope="vpc-other")
    with pytest.raises(ValueError, match="two VPCs"):
        plan(first, second, APART, 1)
    with pytest.raises(ValueError, match="cap: -1 is below 0"):
        plan(second, second, APART, -1)


# --- the last look ---------------------------------------------------------------------------------------------------


def ready(action: str, target: str = "rule") -> tuple[Fleet, Service, Step]:
    """A fleet in which everything before the step of this action is done."""
    fleet, _, (web, _) = sharers(DEAD, ALIVE)
    made = planned(fleet)
    step = next(each for each in made.steps if each.action.endswith(action))
    for each in made.steps[: made.steps.index(step)]:
        if each.deletes:
            fleet.remove(each.target.arn, *each.takes)
        elif "SecurityGroup" in each.action:
            gone = each.params["SecurityGroupRuleIds"]
            fleet.references = [r for r in fleet.references if r.source not in gone]
        else:
            fleet.references = [r for r in fleet.references if r.target != each.target.arn]
    assert looked(fleet, step) is None
    return fleet, web, step


def test_what_is_gone_is_done() -> None:
    fleet, web, step = ready("DeleteRule")
    fleet.remove(web.rule)
    assert (looked(fleet, step) or Stop(Halt.SKIP, "")).halt is Halt.GONE


@pytest.mark.parametrize(
    "action", ["DeleteRule", "DeleteTargetGroup", "DeregisterScalableTarget", "DeleteSecurityGroup"]
)
def test_what_cannot_be_looked_at_again_is_left(action: str) -> None:
    fleet, _, step = ready(action)
    for ask in step.again:
        fleet.bad = {(ask.operation, ask.scope): Read.DENIED}
        stop = looked(fleet, step)
        assert stop is not None
        assert stop.halt is Halt.SKIP
        assert f"grant {ask.operation}" in stop.reason


def test_what_changed_since_is_left() -> None:
    fleet, web, step = ready("DeleteRule")
    fleet.fact(web.rule, actions="redirect")
    assert "it changed since it was observed: actions" in (looked(fleet, step) or Stop(Halt.GONE, "")).reason
    fleet, web, step = ready("DeleteRule")
    fleet.tag(web.rule, caretaker__keep="")
    assert "its tags" in (looked(fleet, step) or Stop(Halt.GONE, "")).reason


def test_a_service_that_claims_it_since_keeps_it() -> None:
    fleet, web, step = ready("DeleteSecurityGroup")
    fleet.claim(fleet.owner("new", ALIVE), web.group)
    assert "service default/new lives" in (looked(fleet, step) or Stop(Halt.GONE, "")).reason


def test_an_own_reference_that_is_still_there_is_waited_for_and_a_new_one_is_not() -> None:
    fleet, _, _ = sharers(DEAD)
    made = planned(fleet)
    last = made.steps[-1]
    for each in made.steps[:-1]:
        if each.deletes:
            fleet.remove(each.target.arn, *each.takes)
    balancer = next(step for step in made.steps if step.action.endswith("DeleteLoadBalancer")).target.arn
    fleet.refer("eni-1", Kind.NETWORK_INTERFACE, last.target.arn, "is in it", part_of=balancer)
    assert (looked(fleet, last) or Stop(Halt.GONE, "")).halt is Halt.WAIT
    fleet.references.pop()
    # The load balancer is gone, so nothing tells any more whose the interface is; but it was there when it was planned.
    known = next(source for source in last.after if source.startswith("eni-"))
    fleet.refer(known, Kind.NETWORK_INTERFACE, last.target.arn, "is in it")
    assert (looked(fleet, last) or Stop(Halt.GONE, "")).halt is Halt.WAIT
    fleet.references.pop()
    fleet.refer("eni-2", Kind.NETWORK_INTERFACE, last.target.arn, "is in it")
    assert (looked(fleet, last) or Stop(Halt.GONE, "")).halt is Halt.SKIP


def test_acm_may_still_list_the_load_balancer_that_has_let_go_of_a_certificate() -> None:
    fleet, web, step = ready("DeleteCertificate")
    fleet.refer(web.balancer.arn, Kind.LOAD_BALANCER, web.certificate, "is in ACM's list of what uses it")
    assert (looked(fleet, step) or Stop(Halt.GONE, "")).halt is Halt.WAIT
    fleet.refer("arn:x:loadbalancer/app/other", Kind.LOAD_BALANCER, web.certificate, "is in ACM's list of what uses it")
    fleet.references.pop(-2)
    assert (looked(fleet, step) or Stop(Halt.GONE, "")).halt is Halt.SKIP


def test_elb_may_still_list_the_load_balancer_that_has_let_go_of_a_target_group() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    fleet.fact(web.groups[0], load_balancers=on.arn)
    step = step_of(planned(fleet), "DeleteTargetGroup", web.groups[0])
    fleet.remove(web.rule, web.rollback)
    assert looked(fleet, step) is None
    fleet.refer(on.arn, Kind.LOAD_BALANCER, web.groups[0], "is named by it as its load balancer")
    assert (looked(fleet, step) or Stop(Halt.GONE, "")).halt is Halt.WAIT


def test_a_new_tenants_rule_stops_the_load_balancers_deletion() -> None:
    fleet, on, _ = sharers(DEAD)
    made = planned(fleet)
    step = step_of(made, "DeleteLoadBalancer", on.arn)
    deleted_before(step, made, fleet)
    assert looked(fleet, step) is None
    fleet.rule(on)
    stop = looked(fleet, step)
    assert stop is not None
    assert stop.halt is Halt.SKIP
    assert "is a rule of it" in stop.reason


def test_a_new_tenant_without_a_rule_yet_stops_it_too() -> None:
    fleet, on, _ = sharers(DEAD)
    made = planned(fleet)
    step = step_of(made, "DeleteLoadBalancer", on.arn)
    deleted_before(step, made, fleet)
    fleet.owner("new", ALIVE)
    fleet.refer("revision/new/1", Kind.SERVICE_REVISION, on.arn, "the active revision has it (PROVISIONING)")
    assert (looked(fleet, step) or Stop(Halt.GONE, "")).halt is Halt.SKIP


def test_a_new_tenant_that_is_nowhere_yet_stops_the_load_balancer_but_not_its_group_once_it_is_gone() -> None:
    fleet, on, _ = sharers(DEAD)
    made = planned(fleet)
    for step in made.steps:
        if step.target.arn in (on.arn, on.group):
            fleet.owner("new", ALIVE)
            stop = looked(fleet, step)
            fleet.owners.popitem()
            assert (stop is not None) == (step.target.arn == on.arn)
        if step.deletes:
            fleet.remove(step.target.arn, *step.takes)


def test_a_second_egress_rule_stops_the_revocation() -> None:
    fleet, web, step = ready("RevokeSecurityGroupEgress")
    fleet.allow(step.resource.arn, web.group, "egress")
    assert "not known to be ECS's own" in (looked(fleet, step) or Stop(Halt.GONE, "")).reason


def test_a_task_in_the_group_stops_the_revocation() -> None:
    fleet, web, step = ready("RevokeSecurityGroupEgress")
    fleet.refer("eni-9", Kind.NETWORK_INTERFACE, web.group, "is in it: a task")
    assert (looked(fleet, step) or Stop(Halt.GONE, "")).halt is Halt.SKIP


def test_a_listener_that_somebody_keeps_since_is_not_edited() -> None:
    fleet, _, step = ready("RemoveListenerCertificates")
    fleet.tag(step.resource.arn, caretaker__keep="")
    assert "not known to be ECS's own" in (looked(fleet, step) or Stop(Halt.GONE, "")).reason


def test_the_policy_of_the_moment_counts() -> None:
    fleet, _web, step = ready("DeleteRule")
    long = Keep(GarbagePolicy(grace=timedelta(days=7)))
    assert "ECS may still delete this" in (looked(fleet, step, long) or Stop(Halt.GONE, "")).reason
