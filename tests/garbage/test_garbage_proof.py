"""The record of a deletion proves it alone; what is wrong with one is found by what it says, not only by its digest."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from caretaker.garbage import proof
from caretaker.garbage.check import check
from caretaker.garbage.model import Kind, Life
from caretaker.garbage.plan import plan
from garbage_fleet import ELB, Fleet, Service, sharers

APART = timedelta(minutes=15)
Record = dict[str, Any]


def record_of(action: str) -> tuple[Record, Fleet, Service]:
    fleet, _, (web, _) = sharers(Life.DEAD, Life.ALIVE)
    first, second = fleet.judge_twice()
    step = next(each for each in plan(first, second, APART, 99).steps if each.action.endswith(action))
    return json.loads(json.dumps(proof.prove(step, first, second, APART).plain())), fleet, web


def renewed(record: Record) -> Record:
    return {**record, "digest": proof.digest(record)}


def each_of(record: Record, member: str) -> list[Any]:
    return [*record["first"][member], *record["second"][member]]


def alive(record: Record) -> None:
    for owner in record["second"]["owners"]:
        owner["life"] = "alive"


def just_dead(record: Record) -> None:
    for owner in each_of(record, "owners"):
        if owner["life"] == "dead":
            owner["since"] = record["second"]["began"]


def no_claim(record: Record) -> None:
    record["second"]["claims"] = []


def earlier(record: Record) -> None:
    for claim in record["first"]["claims"]:
        claim["resource"][1] = "2024-01-01T00:00:00.000Z"


def referrer(record: Record) -> None:
    target = record["act"]["target"]
    record["second"]["references"].append(["eni-1", "network interface", target, "is in it", "", "", ""])


def of_something_unknown(record: Record) -> None:
    target = record["act"]["target"]
    record["first"]["references"].append(["arn:x", "listener rule", target, "forwards to it", "", "", "forward"])


def unread(record: Record) -> None:
    record["first"]["readings"] = [r for r in record["first"]["readings"] if r[0] != "ecs:ListGateways"]


def denied(record: Record) -> None:
    for reading in record["second"]["readings"]:
        reading[2] = "denied"


def one_cluster(record: Record) -> None:
    readings = record["second"]["readings"]
    readings.remove(next(each for each in readings if each[0] == "ecs:ListServices"))


def one_service(record: Record) -> None:
    readings = record["second"]["readings"]
    readings.remove(next(each for each in readings if each[0] == "ecs:DescribeServiceRevisions"))


def together(record: Record) -> None:
    record["second"]["began"] = record["first"]["ended"]


def the_same(record: Record) -> None:
    record["second"]["id"] = record["first"]["id"]


def elsewhere(record: Record) -> None:
    record["second"]["scope"] = "vpc-other"


def kept(record: Record) -> None:
    for resource in each_of(record, "resources"):
        if resource["identity"][0] == record["act"]["target"]:
            resource["tags"]["caretaker:keep"] = ""


def taken_over(record: Record) -> None:
    for resource in each_of(record, "resources"):
        if resource["identity"][0] == record["act"]["target"]:
            resource["tags"] = {}


def untold(record: Record) -> None:
    for resource in each_of(record, "resources"):
        if resource["identity"][0] == record["act"]["target"]:
            resource["tags"] = None


def changed(record: Record) -> None:
    for resource in record["first"]["resources"]:
        resource["facts"]["more"] = "x"


def other_act(record: Record) -> None:
    record["act"]["action"] = f"{ELB}:DeleteLoadBalancer"


def other_params(record: Record) -> None:
    record["act"]["params"] = dict.fromkeys(record["act"]["params"], "x")


def other_target(record: Record) -> None:
    record["act"]["target"] = "arn:other"


def more_taken(record: Record) -> None:
    record["act"]["takes"] = ["arn:other"]


def policy_keeps(record: Record) -> None:
    for policy in record["policies"].values():
        policy["keep"] = True


def judged_early(record: Record) -> None:
    record["second"]["judged"] = record["second"]["began"]


CHANGES = [
    (alive, "which lives"),
    (just_dead, "which is gone since"),
    (no_claim, "no claim names it"),
    (earlier, "no claim names it"),
    (referrer, "network interface eni-1 refers to"),
    (of_something_unknown, "listener rule arn:x refers to"),
    (unread, "ecs:ListGateways of the account was not read whole"),
    (denied, "was not read whole"),
    (one_cluster, "ecs:ListServices was read for 1 items, ecs:ListClusters gave more"),
    (one_service, "ecs:DescribeServiceRevisions of arn:aws:ecs"),
    (together, "15:00 is wanted"),
    (the_same, "both observations are first"),
    (elsewhere, "are two VPCs"),
    (kept, "has the tag caretaker:keep"),
    (taken_over, "is not managed by ECS any more"),
    (untold, "its tags were not read"),
    (changed, "changed between the observations"),
    (other_act, "is not what the record proves"),
    (other_params, "is not what the record proves"),
    (other_target, "was not observed twice"),
    (more_taken, "does not go with"),
    (policy_keeps, "policy keeps what"),
    (judged_early, "ended"),
]


@pytest.mark.parametrize("action", ["DeleteRule", "DeleteTargetGroup", "DeleteSecurityGroup", "DeleteCertificate"])
@pytest.mark.parametrize(("change", "say"), CHANGES, ids=lambda each: getattr(each, "__name__", ""))
def test_what_the_record_does_not_prove_is_said(action: str, change: Callable[[Record], None], say: str) -> None:
    record, _, _ = record_of(action)
    assert check(record) == []
    change(record)
    complaints = check(renewed(record))
    assert any(say in each for each in complaints), complaints
    assert not any(each.startswith("digest") for each in complaints)


def test_a_changed_record_is_known_by_its_digest() -> None:
    record, _, _ = record_of("DeleteRule")
    record["act"]["why"] = "because"
    assert check(record) == ["digest: the record was changed after it was made"]


@pytest.mark.parametrize("record", [{}, {"version": 2}, {"version": 1, "act": None}, {"version": 1, "act": {}}])
def test_what_is_no_record_is_said(record: Record) -> None:
    (complaint,) = check(record)
    assert complaint.startswith("the record cannot be read: ")


@pytest.mark.parametrize("member", ["first", "second", "apart", "policies", "act", "digest"])
def test_a_member_that_is_missing_is_found(member: str) -> None:
    record, _, _ = record_of("DeleteRule")
    assert check({name: value for name, value in record.items() if name != member})


def test_a_record_without_what_it_needs_is_said_to_be_so() -> None:
    record, _, _ = record_of("DeleteRule")
    for resource in each_of(record, "resources"):
        resource["facts"] = {"default": "true"}
    assert any("is not complete: listener rule" in each for each in check(renewed(record)))


def test_what_is_never_deleted_by_itself_has_no_proof() -> None:
    record, _, _ = record_of("DeleteTargetGroup")
    for resource in each_of(record, "resources"):
        if resource["identity"][0] == record["act"]["target"]:
            resource["kind"] = "task"
    assert any("a task is never deleted by a call of its own" in each for each in check(renewed(record)))


def test_a_removed_reference_is_proven_as_well_and_only_that_one() -> None:
    for action, params in (
        ("RevokeSecurityGroupEgress", {"GroupId": "sg-1", "SecurityGroupRuleIds": ["sgr-1"]}),
        ("RemoveListenerCertificates", {"ListenerArn": "x", "Certificates": []}),
    ):
        record, _, _ = record_of(action)
        assert check(record) == []
        record["act"]["params"] = params
        assert any("is not what the record proves" in each for each in check(renewed(record)))


def test_an_unmanaged_shared_group_is_no_place_to_revoke_from() -> None:
    record, _, web = record_of("RevokeSecurityGroupEgress")
    for resource in each_of(record, "resources"):
        if resource["identity"][0] == web.balancer.group:
            resource["tags"] = {}
    assert any(f"{web.balancer.group} is not managed by ECS" in each for each in check(renewed(record)))


def test_the_proof_of_a_load_balancer_holds_all_that_went_before() -> None:
    fleet, on, (_web, api) = sharers(Life.DEAD, Life.DEAD)
    first, second = fleet.judge_twice()
    step = next(s for s in plan(first, second, APART, 99).steps if s.target.arn == on.arn)
    record = json.loads(json.dumps(proof.prove(step, first, second, APART).plain()))
    assert check(record) == []
    broken = copy.deepcopy(record)
    for owner in broken["second"]["owners"]:
        if owner["identity"][0] == api.identity.arn:
            owner["life"] = "alive"
    complaints = check(renewed(broken))
    assert any(api.rule in each and "which lives" in each for each in complaints)


def test_a_proof_is_told_to_people() -> None:
    record, _, web = record_of("DeleteTargetGroup")
    lines = proof.told(proof.read(record))
    assert lines[0].startswith("elasticloadbalancing:DeleteTargetGroup target group ecs-gateway-tg")
    assert any("referrer, gone before it: listener rule" in line for line in lines)
    assert any(line.startswith(f"claimed by {web.identity.arn}") for line in lines)
    record, _, web = record_of("DeleteRule")
    assert "referrers: none" in proof.told(proof.read(record))


def test_a_proof_fits_an_item_of_the_table_however_many_services_there_are() -> None:
    fleet, on, _ = sharers(Life.DEAD)
    for number in range(500):
        owner = fleet.owner(f"service-{number}", Life.ALIVE).arn
        fleet.refer(f"{owner}/1", Kind.SERVICE_REVISION, "arn:x:loadbalancer/app/other", "has it", owner=owner)
    first, second = fleet.judge_twice()
    step = next(s for s in plan(first, second, APART, 99).steps if s.target.arn == on.arn)
    text = json.dumps(proof.prove(step, first, second, APART).plain(), sort_keys=True, separators=(",", ":"))
    assert len(zlib.compress(text.encode(), 6)) < 100_000
    assert [r for r in fleet.references if r.source_kind is Kind.LOAD_BALANCER]
