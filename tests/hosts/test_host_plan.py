"""The plan of a batch: where its tasks go, what is launched for them, how the hosts end, and why."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from caretaker.hosts.model import Plan, Policy, Unknown
from caretaker.hosts.plan import explain, make_plan, summarise

from tests.hosts.fleet import NOW, Fleet, definition_data, group_data

ACT = Policy(mode="act")
FOUR = {"i-1": "a", "i-2": "a", "i-3": "b", "i-4": "b"}


def plan_of(fleet: Fleet, *batch: str, policy: Policy = ACT, **more: Any) -> Plan:
    return make_plan(fleet.survey(*(batch or ("i-1",)), **more), policy, NOW)


def full(fleet: Fleet, *instances: str) -> Fleet:
    """Leave next to nothing on these hosts."""
    for instance in instances:
        fleet.hosts.setdefault(instance, {})["used"] = (2000, 7600)
    return fleet


# --- room ------------------------------------------------------------------------------------------------------------


def test_with_room_on_the_hosts_that_stay_nothing_is_launched_and_the_group_replaces_the_host() -> None:
    plan = plan_of(Fleet(FOUR).service("web", ["i-1", "i-2"]))
    assert (plan.decision, plan.launches) == ("go", ())
    (end,) = plan.ends
    assert (end.group, end.decrement) == ("shop-a", False)
    assert "by itself" in end.reason
    assert plan.moves[0].to in ("i-2", "i-3", "i-4")


def test_without_room_one_host_is_launched_in_the_group_and_zone_of_the_old_one() -> None:
    fleet = full(Fleet(FOUR).daemon("logs").service("web", ["i-3", "i-3"]), "i-1", "i-2", "i-4")
    plan = plan_of(fleet, "i-3")
    (launch,) = plan.launches
    assert (launch.option.group, launch.option.zone, launch.option.method) == ("shop-a", "b", "LaunchInstances")
    assert [option.zone for option in launch.alternatives] == ["a"]
    assert launch.tasks == 2
    assert "service:web" in launch.reason
    assert {move.to for move in plan.moves if move.service == "web"} == {"new-1"}
    assert [(end.instance_id, end.decrement) for end in plan.ends] == [("i-3", True)]


def test_a_new_host_is_as_large_as_its_like_less_its_daemons() -> None:
    fleet = Fleet({"i-1": "a"}).daemon("logs", cpu=128, memory=256)
    fleet.service("web", ["i-1"], memory=7680 - 256)
    assert plan_of(fleet).decision == "go"
    fleet = Fleet({"i-1": "a"}).daemon("logs", cpu=128, memory=256).service("web", ["i-1"], memory=7680 - 255)
    plan = plan_of(fleet)
    assert plan.decision == "blocked"
    assert "memory: needs 7425 MiB" in plan.reason


def test_a_daemon_that_does_not_belong_on_the_group_takes_nothing() -> None:
    only_gpu = [{"type": "memberOf", "expression": "attribute:kind == gpu"}]
    fleet = Fleet({"i-1": "a"}).daemon("logs", memory=256, placementConstraints=only_gpu)
    fleet.service("web", ["i-1"], memory=7680)
    assert plan_of(fleet).decision == "go"


def test_two_hosts_are_planned_together_so_that_no_task_hops_between_them() -> None:
    fleet = full(Fleet(FOUR).service("web", ["i-1", "i-2"], memory=3000), "i-3", "i-4")
    plan = plan_of(fleet, "i-1", "i-2")
    assert {move.to for move in plan.moves} <= {"new-1", "new-2"}
    assert len(plan.launches) == 1
    assert [end.decrement for end in plan.ends] == [True, False]


def test_a_group_at_its_maximum_is_refused_with_the_number_that_would_help() -> None:
    fleet = full(Fleet(FOUR, group_more={"MaxSize": 4}).service("web", ["i-1"]), "i-2", "i-3", "i-4")
    plan = plan_of(fleet)
    assert plan.decision == "blocked"
    assert "group shop-a is at its maximum of 4: raise MaxSize to 5" in plan.reason
    assert plan.moves[0].how == "blocked"
    assert plan.launches == ()


def test_another_group_of_the_cluster_takes_over_where_the_own_cannot() -> None:
    fleet = full(Fleet(FOUR, group_more={"MaxSize": 4}).service("web", ["i-1"]), "i-2", "i-3", "i-4")
    fleet.groups.append(group_data("shop-b", {}, AvailabilityZones=["a", "b"], type="m5.large", MaxSize=3))
    # A group without hosts tells its type by its template only.
    survey = fleet.survey("i-1")
    own, other = survey.groups
    survey = replace(survey, groups=(own, replace(other, instance_types=("m5.large",))))
    plan = make_plan(survey, ACT, NOW)
    (launch,) = plan.launches
    assert (launch.option.group, launch.option.zone) == ("shop-b", "a")
    assert [end.decrement for end in plan.ends] == [False]
    assert any("shop-a is at its maximum" in words for words in plan.refused)


def test_a_group_of_unknown_type_is_refused() -> None:
    fleet = full(Fleet({"i-1": "a"}).service("web", ["i-1"]))
    plan = plan_of(fleet, types=())
    assert plan.decision == "blocked"
    assert "whose size could not be read" in plan.reason


def test_a_warm_pool_or_a_mixed_policy_is_launched_by_desired_capacity_where_the_group_chooses_the_zone() -> None:
    mixed = {"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"InstanceType": "m5.large"}]}}}
    for more in ({"WarmPoolConfiguration": {"MinSize": 0}}, mixed, {"LaunchTemplate": None}):
        fleet = full(Fleet(FOUR, group_more=more).service("web", ["i-1"]), "i-2", "i-3", "i-4")
        (launch,) = plan_of(fleet).launches
        assert (launch.option.method, launch.option.zone) == ("SetDesiredCapacity", "")


def test_a_task_bound_to_one_zone_cannot_count_on_a_group_that_chooses_the_zone() -> None:
    only_a = [{"type": "memberOf", "expression": "attribute:ecs.availability-zone == a"}]
    fleet = Fleet(FOUR, group_more={"WarmPoolConfiguration": {"MinSize": 0}})
    full(fleet.service("web", ["i-1"], placementConstraints=only_a), "i-2", "i-3", "i-4")
    assert plan_of(fleet).decision == "blocked"


def test_the_zones_of_an_awsvpc_service_bind_its_new_host() -> None:
    network = {"awsvpcConfiguration": {"subnets": ["subnet-b"]}}
    fleet = Fleet(FOUR).service("web", ["i-3"], definition={"networkMode": "awsvpc"}, networkConfiguration=network)
    full(fleet, "i-1", "i-2", "i-4")
    plan = plan_of(fleet, "i-3", subnet_zones={"subnet-b": "b"})
    (launch,) = plan.launches
    assert launch.option.zone == "b"
    assert launch.alternatives == ()
    assert plan_of(fleet, "i-3").decision == "blocked"


def test_a_custom_attribute_that_all_hosts_of_the_group_have_is_expected_of_a_new_one() -> None:
    stack = [{"type": "memberOf", "expression": "attribute:stack == prod"}]
    fleet = full(Fleet(FOUR).service("web", ["i-1"], placementConstraints=stack), "i-2", "i-3", "i-4")
    for instance in FOUR:
        fleet.hosts.setdefault(instance, {})["attributes"] = {"stack": "prod"}
    assert len(plan_of(fleet).launches) == 1
    fleet.hosts["i-4"]["attributes"] = {"stack": "test"}
    plan = plan_of(fleet)
    assert plan.decision == "blocked"
    assert "memberOf attribute:stack == prod" in plan.reason


def test_a_constraint_that_is_not_understood_blocks_in_words() -> None:
    odd = [{"type": "memberOf", "expression": "agentVersion >= 1.80.0"}]
    plan = plan_of(Fleet(FOUR).service("web", ["i-1"], placementConstraints=odd))
    assert plan.decision == "blocked"
    assert "which Caretaker does not model" in plan.reason


def test_hosts_that_cannot_be_counted_on_take_nothing_and_are_named() -> None:
    fleet = Fleet(FOUR).service("web", ["i-1"])
    fleet.hosts["i-2"] = {"agentConnected": False}
    fleet.hosts["i-3"] = {"status": "DRAINING"}
    plan = plan_of(fleet)
    assert plan.moves[0].to == "i-4"
    assert any("i-2 is not counted on: its agent is disconnected" in note for note in plan.notes)


def test_room_is_left_to_other_work_in_the_cluster() -> None:
    survey = Fleet(FOUR).service("web", ["i-1"]).survey("i-1")
    hosts = tuple(replace(host, claimed_by="other-1" if host.instance_id == "i-2" else "") for host in survey.hosts)
    plan = make_plan(replace(survey, hosts=hosts), ACT, NOW)
    assert [launch.name for launch in plan.launches] == ["new-1"]
    assert any("other-1" in note for note in plan.notes)


def test_a_fixed_port_needs_a_host_where_it_is_free() -> None:
    fleet = Fleet(FOUR).service("web", ["i-1", "i-2", "i-3", "i-4"], port=8080)
    plan = plan_of(fleet)
    (launch,) = plan.launches
    assert "host port 8080 is taken" in launch.reason


# --- hosts -----------------------------------------------------------------------------------------------------------


def test_hosts_that_are_gone_leave_nothing_to_do() -> None:
    fleet = Fleet(FOUR)
    fleet.hosts["i-1"] = {"status": "INACTIVE"}
    assert plan_of(fleet).decision == "nothing"
    assert plan_of(fleet, "i-9").decision == "nothing"


def test_a_host_that_could_not_be_read_may_be_one_of_the_batch() -> None:
    fleet = Fleet(FOUR)
    fleet.unknown.append(Unknown("host", "arn:aws:ecs:x:y:container-instance/prod/abc", "MISSING"))
    plan = plan_of(fleet, "i-9")
    assert plan.decision == "blocked"
    assert plan.retry_at is not None
    assert plan_of(fleet, "i-1").decision == "go"


def test_a_host_without_a_group_or_on_its_way_out_is_left_alone() -> None:
    survey = Fleet(FOUR).survey("i-1")
    assert "in no Auto Scaling group" in make_plan(replace(survey, groups=()), ACT, NOW).reason
    (group,) = survey.groups
    leaving = tuple(
        replace(member, lifecycle="Terminating:Wait") if member.instance_id == "i-1" else member
        for member in group.members
    )
    plan = make_plan(replace(survey, groups=(replace(group, members=leaving),)), ACT, NOW)
    assert "Terminating:Wait" in plan.reason
    assert plan.retry_at is None


def test_a_disconnected_agent_is_tried_again_later() -> None:
    fleet = Fleet(FOUR)
    fleet.hosts["i-1"] = {"agentConnected": False}
    plan = plan_of(fleet)
    assert plan.decision == "blocked"
    assert plan.retry_at == NOW + timedelta(seconds=900)


def test_no_retry_is_announced_beyond_the_deadline() -> None:
    fleet = Fleet(FOUR)
    fleet.hosts["i-1"] = {"agentConnected": False}
    assert plan_of(fleet, deadline=NOW + timedelta(seconds=600)).retry_at is None


def test_a_host_that_somebody_else_drains_is_remembered() -> None:
    fleet = Fleet(FOUR).service("web", ["i-1"])
    fleet.hosts["i-1"] = {"status": "DRAINING"}
    plan = plan_of(fleet)
    assert (plan.decision, plan.drained) == ("go", ("i-1",))


def test_a_group_that_cannot_launch_blocks_unless_policy_lets_it_shrink() -> None:
    more = {"SuspendedProcesses": [{"ProcessName": "Launch"}], "MinSize": 3}
    fleet = Fleet(FOUR, group_more=more)
    plan = plan_of(fleet)
    assert plan.decision == "blocked"
    assert "process Launch suspended" in plan.reason
    assert "allow_shrink" in plan.reason
    shrinking = Policy(mode="act", allow_shrink=True)
    (end,) = plan_of(fleet, policy=shrinking).ends
    assert (end.decrement, end.shrink) == (True, True)
    both = plan_of(fleet, "i-1", "i-2", policy=shrinking)
    assert [end.shrink for end in both.ends] == [True, False]
    assert both.decision == "blocked"


# --- modes and words -------------------------------------------------------------------------------------------------


def test_observe_plans_and_says_what_would_block() -> None:
    fleet = Fleet(FOUR).service("web", ["i-1"], percents=(100, 100))
    plan = plan_of(fleet, policy=Policy(surge=False))
    assert plan.decision == "planned"
    assert "it would be blocked" in plan.reason
    assert plan_of(fleet, policy=Policy()).decision == "planned"


def test_the_reason_of_a_blocked_plan_names_everything_that_is_in_the_way() -> None:
    fleet = Fleet(FOUR).service("web", ["i-1", "i-1"], percents=(100, 100)).service("api", ["i-1"], percents=(0, 100))
    fleet.task("job", "i-1", "family:job", "job")
    plan = plan_of(fleet, policy=Policy(mode="act", surge=False, standalone="block"))
    assert plan.reason.startswith("task api-0 of service api: desired 1")
    assert plan.reason.endswith("; also in the way: task job, service web")


def test_every_task_gets_a_line_that_names_it_its_service_and_why() -> None:
    fleet = Fleet(FOUR).daemon("logs").service("web", ["i-1", "i-2"], percents=(50, 100))
    lines = explain(plan_of(fleet))
    (line,) = [line for line in lines if "web-0" in line]
    assert line.startswith("i-1 surge -> i-")
    assert "service web" in line
    assert "maximumPercent from 100 to 150" in line
    assert lines[0].startswith("go: 1 host, 1 daemon, 1 surge")


def test_the_summary_stays_small_whatever_the_plan() -> None:
    fleet = Fleet({f"i-{n}": "a" for n in range(30)})
    for n in range(200):
        fleet.service(f"service-with-a-long-name-{n}", [f"i-{n % 10}"], percents=(100, 100), cpu=1, memory=1)
    blocked = plan_of(fleet, *(f"i-{n}" for n in range(10)), policy=Policy(mode="act", surge=False))
    going = plan_of(fleet, *(f"i-{n}" for n in range(10)))
    for plan in (blocked, going):
        assert len(json.dumps(summarise(plan))) < 10_000
    assert summarise(going)["tasks"] == {"surge": 200}


def test_baselines_are_what_the_golden_rule_is_held_against() -> None:
    survey = Fleet(FOUR).daemon("logs").service("web", ["i-1", "i-2"]).survey("i-1")
    services = tuple(replace(item, healthy=5) for item in survey.services)
    (baseline,) = make_plan(replace(survey, services=services), ACT, NOW).baselines
    assert (baseline.service, baseline.desired, baseline.healthy) == ("web", 2, 2)


def test_the_definition_that_counts_is_the_one_that_new_tasks_use() -> None:
    fleet = full(Fleet(FOUR).service("web", ["i-1"], memory=100), "i-2", "i-3", "i-4")
    grown = definition_data("web", memory=9000)
    fleet.definitions["web-2"] = {**grown, "taskDefinitionArn": grown["taskDefinitionArn"].replace(":1", ":2")}
    fleet.services["web"]["taskDefinition"] = fleet.definitions["web-2"]["taskDefinitionArn"]
    plan = plan_of(fleet)
    assert "memory: needs 9000 MiB" in plan.reason
