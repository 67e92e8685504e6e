"""Cases that have gone wrong elsewhere, each by its name: what must stay, and in which words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from caretaker.garbage.graph import BadFact
from caretaker.garbage.model import Kind, Life, Read, Word
from caretaker.garbage.standing import Keep
from caretaker.garbage.verdict import Judgement
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import GarbagePolicy
from garbage_fleet import KEEP_NOTHING, T0, VPC, Fleet, sharers

DEAD, ALIVE, DRAINING, UNKNOWN = Life.DEAD, Life.ALIVE, Life.DRAINING, Life.UNKNOWN


def words(judged: Judgement, *arns: str) -> list[Word]:
    return [judged.verdicts[arn].word for arn in arns]


def reason(judged: Judgement, arn: str) -> str:
    return judged.verdicts[arn].reason


def test_one_of_three_sharers_dead_its_own_things_go_and_shared_ones_only_lose_the_reference() -> None:
    fleet, on, (web, api, shop) = sharers(ALIVE, DEAD, ALIVE)
    judged = fleet.judge()
    assert set(judged.garbage) == set(api.own) - set(api.alarms)
    assert set(words(judged, *api.alarms)) == {Word.GARBAGE}
    assert set(words(judged, on.arn, on.listener, on.group)) == {Word.SHARED}
    assert "service default/web lives" in reason(judged, on.arn)
    assert "service default/shop lives" in reason(judged, on.arn)
    assert judged.verdicts[on.listener].detach == (api.certificate,)
    (rule,) = judged.verdicts[on.group].detach
    assert [r.target for r in fleet.references if r.source == rule] == [api.group]
    assert not {arn for other in (web, shop) for arn in other.own} & judged.garbage


def test_the_last_sharer_takes_the_load_balancer_and_its_security_group_along() -> None:
    fleet, on, _ = sharers(DEAD, DEAD)
    assert {on.arn, on.listener, on.group} <= fleet.judge().garbage


@pytest.mark.parametrize(("life", "say"), [(DRAINING, "is draining"), (UNKNOWN, "may live")])
def test_who_drains_or_may_live_keeps_everything(life: Life, say: str) -> None:
    fleet, _, (web,) = sharers(life)
    fleet.references = [each for each in fleet.references if each.source_kind is not Kind.SERVICE_REVISION]
    judged = fleet.judge()
    assert not judged.garbage
    assert say in reason(judged, web.rule)


def test_a_dead_service_has_its_grace_and_the_reason_tells_how_long() -> None:
    fleet, _, (web,) = sharers(DEAD)
    fleet.owners[web.identity] = replace(fleet.owners[web.identity], since=iso(T0 - timedelta(minutes=39)))
    judged = fleet.judge()
    assert not judged.garbage
    assert "2026-03-01T12:21:00.000Z (0:20:00 left)" in reason(judged, web.rule)


def test_a_denied_reading_makes_unknown_what_it_could_have_shown_and_says_what_to_grant() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    fleet.bad["elasticloadbalancing:DescribeRules", on.listener] = Read.DENIED
    judged = fleet.judge()
    assert set(words(judged, web.rule, *web.groups, web.certificate)) == {Word.UNKNOWN}
    assert "grant elasticloadbalancing:DescribeRules to Caretaker's role" in reason(judged, web.groups[0])
    assert [each.status for each in judged.verdicts[web.groups[0]].doubts] == [Read.DENIED]
    # A rule names no security group, no alarm and no scaling policy.
    assert set(words(judged, web.group, web.rollback, web.policy, web.target)) == {Word.GARBAGE}


def test_a_denied_reading_of_another_listener_of_the_vpc_leaves_rules_elsewhere_alone() -> None:
    fleet, _, (web,) = sharers(DEAD)
    other = fleet.balancer()
    fleet.bad["elasticloadbalancing:DescribeRules", other.listener] = Read.TRUNCATED
    judged = fleet.judge()
    assert words(judged, web.rule, web.certificate, *web.groups) == [Word.GARBAGE, Word.GARBAGE, *[Word.UNKNOWN] * 2]


def test_a_cluster_that_was_listed_and_not_asked_about_makes_everything_unknown() -> None:
    fleet, _, (web,) = sharers(DEAD)
    fleet.unread.add(("ecs:ListServices", "arn:aws:ecs:eu-west-1:111122223333:cluster/other"))
    judged = fleet.judge()
    assert not judged.garbage
    assert "ecs:ListClusters gave 2 items, and only 1 of them were asked about" in reason(judged, web.rule)


def test_a_gateway_that_was_not_read_keeps_the_load_balancer() -> None:
    fleet, on, _ = sharers(DEAD)
    fleet.gateways = ["gw-1"]
    fleet.bad["ecs:DescribeGatewayResources", "gw-1"] = Read.FAILED
    assert words(fleet.judge(), on.arn) == [Word.UNKNOWN]


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (Kind.GATEWAY_ROUTE, "routes through it"),
        (Kind.WEB_ACL, "protects it"),
        (Kind.RECORD_SET, "is an alias of it"),
        (Kind.SERVICE, "registers its tasks with it"),
    ],
)
def test_anything_else_that_refers_to_the_load_balancer_holds_it_and_its_group(kind: Kind, how: str) -> None:
    fleet, on, _ = sharers(DEAD)
    fleet.refer("theirs", kind, on.arn, how)
    judged = fleet.judge()
    assert words(judged, on.arn, on.listener, on.group) == [Word.SHARED] * 3
    assert f"{kind} theirs {how}" in reason(judged, on.arn)


def test_a_persons_rule_holds_the_load_balancer_and_the_target_group_it_names_with_weight_0() -> None:
    fleet, on, (web,) = sharers(DEAD)
    rule = fleet.rule(on, web.groups[1])
    judged = fleet.judge()
    assert words(judged, on.arn, web.groups[1], web.groups[0]) == [Word.SHARED, Word.IN_USE, Word.GARBAGE]
    assert words(judged, rule) == [Word.UNKNOWN]
    assert "with weight 0" in reason(judged, web.groups[1])
    assert web.rule in judged.garbage
    for held in (on.arn, on.listener, on.group):
        assert fleet.resources[rule].name in reason(judged, held)


def test_a_persons_rule_for_the_dead_services_host_holds_its_certificate() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    fleet.rule(on, hosts=f"www.example.com {fleet.resources[web.certificate].facts['names']}")
    judged = fleet.judge()
    assert words(judged, web.certificate) == [Word.IN_USE]
    assert "asks in its host header for a domain of it" in reason(judged, web.certificate)


def test_a_rule_that_somebody_gave_other_work_is_in_use_though_its_service_is_dead() -> None:
    fleet, _, (web, shop) = sharers(DEAD, ALIVE)
    fleet.refer(web.rule, Kind.RULE, shop.groups[0], "forwards to it", via="forward")
    assert words(fleet.judge(), web.rule) == [Word.IN_USE]
    fleet, _on, (web, shop) = sharers(DEAD, ALIVE)
    fleet.fact(web.rule, actions="redirect")
    assert "its actions are redirect" in reason(fleet.judge(), web.rule)
    fleet, _on, (web, shop) = sharers(DEAD, ALIVE)
    own = fleet.resources[web.rule].facts["hosts"]
    fleet.fact(web.rule, hosts=f"{own} shop.example.com")
    assert "it answers for shop.example.com" in reason(fleet.judge(), web.rule)


def test_a_default_action_that_works_for_somebody_holds_the_load_balancer() -> None:
    fleet, on, _ = sharers(DEAD)
    fleet.fact(on.listener, actions="redirect")
    judged = fleet.judge()
    assert words(judged, on.arn, on.listener) == [Word.SHARED] * 2
    assert "is a listener of it, which stays: its actions are redirect" in reason(judged, on.arn)


def test_a_persons_security_group_that_names_the_services_group_holds_it() -> None:
    fleet, _, (web, _) = sharers(DEAD, ALIVE)
    mine = fleet.security_group("mine")
    fleet.allow(mine, web.group, "ingress")
    assert words(fleet.judge(), web.group) == [Word.IN_USE]


def test_two_egress_rules_to_the_dead_group_are_not_revoked_since_one_is_a_persons() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    fleet.allow(on.group, web.group, "egress")
    judged = fleet.judge()
    assert words(judged, web.group) == [Word.IN_USE]
    assert not judged.verdicts[on.group].detach


def test_an_ingress_rule_of_the_shared_group_is_a_persons_and_never_revoked() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    fleet.allow(on.group, web.group, "ingress")
    judged = fleet.judge()
    assert words(judged, web.group) == [Word.IN_USE]
    assert not judged.verdicts[on.group].detach


def test_a_shared_thing_that_somebody_took_over_from_ecs_is_not_edited() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    fleet.untag(on.group)
    fleet.untag(on.listener)
    judged = fleet.judge()
    assert words(judged, web.group, web.certificate) == [Word.IN_USE] * 2
    assert not judged.verdicts[on.group].detach + judged.verdicts[on.listener].detach


@pytest.mark.parametrize("tag", ["caretaker:keep", "aws:cloudformation:stack-id"])
def test_a_shared_thing_that_somebody_keeps_is_not_edited_either(tag: str) -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    fleet.tag(on.group, **{tag: "x"})
    fleet.tag(on.arn, **{tag: "x"})
    assert words(fleet.judge(), web.group, web.certificate) == [Word.IN_USE] * 2


def test_a_task_that_still_runs_holds_the_security_group() -> None:
    fleet, _, (web, _) = sharers(DEAD, ALIVE)
    fleet.refer("eni-1", Kind.NETWORK_INTERFACE, web.group, "is in it: a task")
    assert words(fleet.judge(), web.group) == [Word.IN_USE]


def test_a_target_that_is_still_registered_holds_the_target_group() -> None:
    fleet, _, (web, _) = sharers(DEAD, ALIVE)
    fleet.refer("10.0.0.9:80", Kind.OTHER, web.groups[0], "is registered with it as a target (draining)")
    assert words(fleet.judge(), *web.groups) == [Word.IN_USE, Word.GARBAGE]


def test_names_that_begin_alike_prove_nothing() -> None:
    fleet, _, (web, api) = sharers(DEAD, ALIVE)
    assert not set(api.own) & fleet.judge().garbage
    fleet, _, (web, api) = sharers(ALIVE, DEAD)
    assert not set(web.own) & fleet.judge().garbage


def test_what_no_ledger_entry_names_is_nobodys_to_delete() -> None:
    fleet, _, (web,) = sharers(DEAD)
    fleet.claims = [each for each in fleet.claims if each.resource.arn != web.group]
    judged = fleet.judge()
    assert words(judged, web.group) == [Word.UNKNOWN]
    assert "nobody knows whose it is" in reason(judged, web.group)


def test_a_resource_created_again_under_the_name_is_another_one() -> None:
    fleet, _, (web,) = sharers(DEAD)
    group = fleet.resources[web.logs]
    later = replace(group, identity=replace(group.identity, created="2026-02-20T00:00:00.000Z"))
    fleet.resources[web.logs] = later
    judged = fleet.judge(KEEP_NOTHING)
    assert words(judged, web.logs) == [Word.UNKNOWN]
    assert "created at 2026-01-01T00:00:00.000Z, not this one" in reason(judged, web.logs)


def test_a_service_created_again_keeps_what_is_addressed_by_its_name() -> None:
    fleet, _on, (web,) = sharers(DEAD)
    fleet.owner("web", ALIVE, "2026-02-02T00:00:00.000Z")
    judged = fleet.judge()
    assert words(judged, web.target, web.policy) == [Word.IN_USE] * 2
    assert "a service of the same name was created again" in reason(judged, web.target)
    assert {web.rule, web.group} <= judged.garbage


def test_a_service_that_is_being_created_again_may_take_anything_over() -> None:
    fleet, _on, (web,) = sharers(DEAD)
    fleet.owner("web", ALIVE, "2026-02-02T00:00:00.000Z", moving=True)
    assert not fleet.judge().garbage & set(web.own)


def test_a_service_without_a_load_balancer_yet_may_be_placed_on_any_that_is_there() -> None:
    fleet, on, (web,) = sharers(DEAD)
    new = fleet.owner("new", ALIVE)
    judged = fleet.judge()
    assert words(judged, on.arn, on.listener, on.group) == [Word.UNKNOWN] * 3
    assert "default/new may live and has no load balancer yet" in reason(judged, on.arn)
    assert {web.rule, web.group} <= judged.garbage
    other = fleet.balancer()
    fleet.refer("revision/1", Kind.SERVICE_REVISION, other.arn, "the active revision has it", owner=new.arn)
    assert on.arn in fleet.judge().garbage


def test_what_an_update_left_goes_and_what_a_rollback_may_want_stays() -> None:
    fleet, _on, (web,) = sharers(ALIVE)
    old = fleet.security_group("old")
    fleet.claim(web.identity, old, current=False)
    assert old in fleet.judge().garbage
    fleet.owners[web.identity] = replace(fleet.owners[web.identity], moving=True)
    judged = fleet.judge()
    assert words(judged, old) == [Word.IN_USE]
    assert "deployment or rollback" in reason(judged, old)


def test_a_revision_in_flight_holds_what_the_ledger_takes_for_retired() -> None:
    fleet, _on, (web,) = sharers(ALIVE)
    old = fleet.security_group("old")
    fleet.claim(web.identity, old, current=False)
    fleet.refer("revision/2", Kind.SERVICE_REVISION, old, "a revision of a deployment in flight has it")
    assert words(fleet.judge(), old) == [Word.IN_USE]


def test_a_default_certificate_goes_only_where_another_living_services_takes_its_place() -> None:
    fleet, on, (web, _) = sharers(DEAD, ALIVE)
    fleet.refer(on.listener, Kind.LISTENER, web.certificate, "has it as default", via="default")
    assert web.certificate in fleet.judge().garbage
    fleet, on, (web,) = sharers(DEAD)
    fleet.rule(on)
    fleet.refer(on.listener, Kind.LISTENER, web.certificate, "has it as default", via="default")
    assert words(fleet.judge(), web.certificate) == [Word.IN_USE]


def test_acms_own_list_holds_a_certificate_that_no_listener_that_was_read_names() -> None:
    fleet, _, (web, _) = sharers(DEAD, ALIVE)
    fleet.refer("arn:aws:elasticloadbalancing:x:y:loadbalancer/app/z", Kind.LOAD_BALANCER, web.certificate, "uses it")
    assert words(fleet.judge(), web.certificate) == [Word.IN_USE]


@pytest.mark.parametrize(
    ("change", "say"),
    [
        (lambda f, on: f.tag(on.arn, caretaker__keep=""), "has the tag caretaker:keep"),
        (lambda f, on: f.tag(on.arn, **{"aws:cloudformation:stack-id": "s"}), "belongs to the stack s"),
        (lambda f, on: f.fact(on.arn, protected="true"), "protected against deletion"),
        (lambda f, on: f.untag(on.arn), "taken it over from ECS"),
    ],
)
def test_what_somebody_keeps_is_kept_with_what_it_refers_to(change, say: str) -> None:  # type: ignore[no-untyped-def]
    fleet, on, _ = sharers(DEAD)
    change(fleet, on)
    judged = fleet.judge()
    assert words(judged, on.arn, on.listener, on.group) == [Word.KEPT] * 3
    assert say in reason(judged, on.arn)
    assert say in reason(judged, on.group)


def test_a_keep_tag_on_the_scalable_target_keeps_its_policies() -> None:
    fleet, _, (web,) = sharers(DEAD)
    fleet.tag(web.target, caretaker__keep="")
    assert words(fleet.judge(), web.policy, web.target) == [Word.KEPT] * 2


def test_a_persons_scheduled_action_holds_the_scalable_target_that_would_take_it_along() -> None:
    fleet, _, (web,) = sharers(DEAD)
    facts = dict(fleet.resources[web.target].facts)
    fleet.add("arn:scheduled", Kind.SCHEDULED_ACTION, name="nightly", **facts)
    judged = fleet.judge()
    assert words(judged, web.target) == [Word.IN_USE]
    assert "scheduled action nightly" in reason(judged, web.target)


def test_tags_or_a_protection_that_were_not_read_are_doubts() -> None:
    fleet, on, (web,) = sharers(DEAD)
    fleet.resources[web.groups[0]] = replace(fleet.resources[web.groups[0]], tags=None)
    fleet.fact(on.arn, protected="")
    judged = fleet.judge()
    assert "its tags were not read" in reason(judged, web.groups[0])
    assert "its protection was not read" in reason(judged, on.arn)


def test_data_is_only_deleted_where_policy_says_so() -> None:
    fleet, _, (web,) = sharers(DEAD)
    judged = fleet.judge()
    assert words(judged, web.logs, web.definition) == [Word.KEPT] * 2
    assert "policy garbage.log_groups is `keep`" in reason(judged, web.logs)
    assert {web.logs, web.definition} <= fleet.judge(KEEP_NOTHING).garbage


def test_a_task_definition_that_stays_holds_the_log_group_it_writes_to() -> None:
    fleet, _, (web,) = sharers(DEAD)
    judged = fleet.judge(Keep(GarbagePolicy(log_groups="delete")))
    assert words(judged, web.logs) == [Word.KEPT]
    assert "writes its logs to it, which stays: policy garbage.task_definitions is `keep`" in reason(judged, web.logs)


def test_the_policy_of_a_service_keeps_all_of_it() -> None:
    fleet, on, (web, api) = sharers(DEAD, DEAD)
    judged = fleet.judge(Keep(services={web.identity.arn: GarbagePolicy(keep=True)}))
    assert not set(web.own) & judged.garbage
    assert {api.rule, api.group} <= judged.garbage
    assert words(judged, on.arn) == [Word.KEPT]


def test_roles_and_repositories_are_only_reported() -> None:
    fleet, _, (web,) = sharers(DEAD)
    for kind in (Kind.ROLE, Kind.REPOSITORY):
        fleet.claim(web.identity, fleet.add(f"arn:{kind}", kind))
    judged = fleet.judge()
    assert words(judged, "arn:role", "arn:repository") == [Word.REPORTED] * 2
    assert "never deletes" in reason(judged, "arn:role")


def test_a_rule_that_lies_nowhere_is_an_error_that_names_it() -> None:
    fleet = Fleet()
    fleet.add("arn:rule", Kind.RULE, vpc=VPC, actions="forward")
    with pytest.raises(BadFact, match="listener rule arn:rule: the fact `listener` is missing"):
        fleet.judge()
