"""Worlds in which what Express Mode leaves behind is swept: each ends as it says, and shows what it is for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rehearsals import WORLDS, broken, law, mutations, rehearsed, shipped

from twin.ecs.express.options import EVERYTHING, Kind
from twin.rehearsal.express_spec import ExpressChoices
from twin.rehearsal.loading import load_world
from twin.rehearsal.report import Report, Sweep, TimelineEntry
from twin.rehearsal.spec import Options

QUICK = ["again", "last", "shared", "users_rule"]
NAMES = sorted(path.stem.removeprefix("sweep_") for path in WORLDS.glob("sweep_*.yaml"))


def world(name: str) -> Report:
    """The report of a world; those that are not quick only run among the long tests."""
    return shipped(f"sweep_{name}")


def swept(name: str) -> Sweep:
    """Its last sweep."""
    return world(name).sweeps[-1]


def deleted(sweep: Sweep) -> list[str]:
    return [f"{act.operation} {act.name}" for act in sweep.deleted]


def said(report: Report, kind: str) -> list[TimelineEntry]:
    return [entry for entry in report.timeline if entry.kind == kind]


def remains(sweep: Sweep, part: str) -> str:
    """The line of what remains that has a part."""
    return next(line for line in sweep.remains if part in line)


def _named(names: list[str]) -> list[object]:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in names]


@pytest.mark.parametrize("name", _named(NAMES))
def test_it_ends_as_it_says(name: str) -> None:
    report = world(name)
    assert (report.verdict, report.unexpected, broken(report)) == ("ok", [], [])


def test_the_last_of_a_load_balancer_takes_it_along_leaf_first() -> None:
    sweep = swept("last")
    operations = [act.operation for act in sweep.deleted]
    assert operations.index("DeleteRule") < operations.index("DeleteTargetGroup")
    assert operations.index("DeleteTargetGroup") < operations.index("DeleteLoadBalancer")
    assert operations.index("RevokeSecurityGroupEgress") < operations.index("DeleteSecurityGroup")
    assert operations[-1] == "DeleteSecurityGroup"
    assert any("load balancer" in line and "$16" in line for line in sweep.savings)
    assert law(world("last"), "all_garbage_gone").held is True


def test_one_of_three_saves_nothing_of_the_load_balancer() -> None:
    sweep = swept("shared")
    assert not any("LoadBalancer" in each for each in deleted(sweep))
    assert any("load balancer" in line and "$0.00" in line for line in sweep.savings)
    assert "service shop/api lives and has it" in remains(sweep, "load balancer")


def test_what_a_persons_rule_forwards_to_stays() -> None:
    sweep = swept("users_rule")
    assert "rule 900 forwards to it" in remains(sweep, "target group")
    assert sum("DeleteTargetGroup" in each for each in deleted(sweep)) == 1


def test_what_the_new_service_of_the_name_has_taken_over_stays() -> None:
    report = world("again")
    names = deleted(report.sweeps[-1])
    assert not any("Scal" in each or "SecurityGroup" in each for each in names)
    assert [service.healthy for service in report.services] == [1]


@pytest.mark.long
def test_data_is_lost_only_where_policy_says_so() -> None:
    data = {"DeleteLogGroup", "DeregisterTaskDefinition", "DeleteTaskDefinitions", "DeleteCluster"}
    assert data <= {act.operation for act in swept("data").deleted}
    assert not data & {act.operation for act in swept("last").deleted}
    assert not any("LogGroup" in each or "Task" in each for each in deleted(swept("last")))


@pytest.mark.long
@pytest.mark.parametrize("name", ["observe", "rejected", "expired"])
def test_without_leave_nothing_is_deleted(name: str) -> None:
    assert mutations(world(name)) == []
    assert world(name).sweeps[-1].deleted == []


@pytest.mark.long
def test_what_a_person_approves_is_deleted_after_the_answer() -> None:
    report = world("approved")
    approved, rejected = said(report, "actor.acted")[-1], said(report, "actor.refused")[0]
    assert "anna: caretaker approve" in approved.text
    assert "was approved before by anna" in rejected.text
    entered = [entry.at for entry in said(report, "state.entered") if "Delete next" in entry.text]
    assert approved.at < entered[0]
    assert law(report, "all_garbage_gone").held is True


@pytest.mark.long
def test_an_answer_after_the_question_has_expired_is_refused() -> None:
    (refused,) = said(world("expired"), "actor.refused")
    assert "the question has expired at" in refused.text


def groups(sweep: Sweep) -> set[str]:
    """Names of the target groups that it deleted."""
    return {act.name for act in sweep.deleted if act.operation == "DeleteTargetGroup"}


def when(report: Report, part: str) -> str:
    """The moment of the timeline's only line with a part."""
    (found,) = [entry.at for entry in report.timeline if part in entry.text]
    return found


@pytest.mark.long
def test_both_places_of_a_service_stay_while_its_deployment_is_in_flight() -> None:
    report = world("deploying")
    first, second = report.sweeps
    begun, ended = when(report, "web: deployment is IN_PROGRESS"), when(report, "web: deployment is SUCCESSFUL")
    observed = [entry.at for entry in said(report, "state.entered") if entry.text.endswith(": Observe")]
    assert begun < observed[0] < observed[2] < ended, "all that the first sweep saw was in flight"
    assert all(begun < act.at < ended for act in first.deleted)
    assert "shop-api-vpc-0123456789abcdef0" in {act.name for act in first.deleted}
    assert all(ended < act.at for act in second.deleted)
    assert (len(groups(first)), len(groups(second)), groups(first) & groups(second)) == (2, 2, set())
    assert second.deleted[0].operation == "DeleteRule"
    assert [(each.desired, each.healthy) for each in report.services if each.service == "web"] == [(1, 1)]


@pytest.mark.long
def test_the_place_that_a_service_is_rolled_back_from_stays_until_that_is_over() -> None:
    report = world("rolling_back")
    first, second = report.sweeps
    begun, ended = when(report, "web: deployment is ROLLBACK_IN_PROGRESS"), when(report, "is ROLLBACK_SUCCESSFUL")
    observed = [entry.at for entry in said(report, "state.entered") if entry.text.endswith(": Observe")]
    assert begun < observed[0] < ended, "the first look is at a rollback in flight"
    for name in groups(second):
        assert "the first observation says otherwise: in use" in remains(first, name)
    assert (len(groups(first)), len(groups(second)), groups(first) & groups(second)) == (2, 2, set())
    assert [act.operation for act in second.deleted][-2:] == ["DeleteLoadBalancer", "DeleteSecurityGroup"]
    assert [(each.desired, each.healthy) for each in report.services if each.service == "web"] == [(1, 1)]


@pytest.mark.long
def test_a_cap_leaves_the_rest_to_the_next_sweep() -> None:
    first, second = world("cap").sweeps
    removed = [act for act in first.deleted if act.operation.startswith(("Delete", "Deregister"))]
    assert len(removed) == 4
    assert (first.outcome, second.outcome) == ("kept", "swept")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "part", "why"),
    [
        ("denied", "target group", "denied"),
        ("gateway", "task definition", "policy"),
        ("network_balancer", "load balancer", "target group front"),
        ("opted_out", "target group", "caretaker:keep"),
        ("protected", "load balancer", "protected against deletion"),
        ("record", "load balancer", "shop.example.com"),
        ("stack", "security group", "stack"),
        ("taken_over", "security group", "AmazonECSManaged"),
        ("truncated", "target group", "was truncated"),
        ("users_certificate", "listener", "no Express service brought"),
        ("users_group_rule", "security group shop-web", "names it"),
        ("web_acl", "load balancer", "web ACL regional/webacl/shop/"),
    ],
)
def test_what_stays_says_why(name: str, part: str, why: str) -> None:
    assert why in remains(swept(name), part)


def _left(name: str, **options: object) -> Report:
    """The report of sweep_last with other leavings."""
    loaded = load_world(WORLDS / "sweep_last.yaml")
    choices = ExpressChoices.model_validate({"default_certificate": "left", **options})
    spec = loaded.spec.model_copy(update={"name": name, "options": Options(express=choices), "expect": None})
    return rehearsed(replace(loaded, spec=spec))


@pytest.mark.long
@pytest.mark.parametrize("kind", EVERYTHING)
def test_whatever_aws_leaves_goes(kind: Kind) -> None:
    """Reports of what deletion leaves behind disagree: each kind may be left alone, with what it holds."""
    report = _left(f"leaves {kind}", leaves=[kind])
    assert (report.verdict, report.unexpected, broken(report)) == ("ok", [], [])
    assert {sweep.outcome for sweep in report.sweeps} <= {"swept", "ignored"}


@pytest.mark.long
@pytest.mark.parametrize("kind", EVERYTHING)
def test_whatever_aws_deletes_late_goes_once(kind: Kind) -> None:
    """A load balancer's network interfaces outlive it by minutes and hold its security group, which the next day's
    patrol takes then."""
    report = _left(f"late {kind}", late=[kind], late_by=1490)
    assert broken(report) == []
    if kind == "load_balancer":
        assert [each.outcome for each in report.sweeps] == ["kept"]
        assert "network interface" in str(report.sweeps[0].reason)
    else:
        assert (report.verdict, report.unexpected) == ("ok", [])


@pytest.mark.long
@pytest.mark.parametrize("also", ["log_group", "task_definitions", "cluster"])
def test_whatever_aws_deletes_besides_is_missed_by_nobody(also: str) -> None:
    report = _left(f"also {also}", leaves=["security_group"], also_deletes=[also])
    assert (report.verdict, report.unexpected, broken(report)) == ("ok", [], [])
