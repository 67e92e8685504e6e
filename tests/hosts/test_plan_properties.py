"""Laws of the plan, over random fleets."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from typing import Any

from caretaker.hosts.model import Plan, Policy, Survey
from caretaker.hosts.plain import from_plain, to_plain
from caretaker.hosts.plan import confirm, explain, make_plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hosts.fleet import NOW, Fleet

ACT = Policy(mode="act")
PERCENTS = [(100, 200), (50, 100), (0, 100), (100, 100), (50, 200), (100, 150)]


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Fleet, list[str]]:
    count = draw(st.integers(1, 5))
    fleet = Fleet({f"i-{n}": draw(st.sampled_from("ab")) for n in range(count)})
    fleet.group_more["MaxSize"] = count + draw(st.integers(0, 3))
    names = list(fleet.zones)
    if draw(st.booleans()):
        fleet.daemon("logs")
    for n in range(draw(st.integers(0, 5))):
        fleet.service(
            f"s{n}",
            draw(st.lists(st.sampled_from(names), max_size=4)),
            cpu=draw(st.sampled_from([0, 128, 512])),
            memory=draw(st.sampled_from([256, 1024, 3000])),
            percents=draw(st.sampled_from(PERCENTS)),
            port=draw(st.sampled_from([0, 0, 8080])),
            desired=draw(st.integers(0, 5)),
            **draw(service_details()),
        )
    for n in range(draw(st.integers(0, 2))):
        fleet.task(f"job-{n}", draw(st.sampled_from(names)), "family:job", "job")
    for task in fleet.tasks:
        task.update(draw(st.sampled_from([{}, {}, {}, {"desiredStatus": "STOPPED"}, {"lastStatus": "PENDING"}])))
    batch = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return fleet, batch


def service_details() -> st.SearchStrategy[dict[str, Any]]:
    rolling = [{"id": "d", "status": "PRIMARY", "rolloutState": "IN_PROGRESS"}]
    choices: list[dict[str, Any]] = [
        {},
        {},
        {"placementConstraints": [{"type": "distinctInstance"}]},
        {"placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.availability-zone == a"}]},
        {"placementStrategy": [{"type": "binpack", "field": "memory"}]},
        {"deployments": rolling},
        {"deploymentController": {"type": "EXTERNAL"}},
    ]
    return st.sampled_from(choices)


policies = st.builds(
    Policy,
    mode=st.sampled_from(["act", "observe"]),
    surge=st.booleans(),
    standalone=st.sampled_from(["wait", "block"]),
    allow_shrink=st.booleans(),
)


@given(fleets(), policies)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_task_has_one_move_with_a_reason_that_names_it(made: tuple[Fleet, list[str]], policy: Policy) -> None:
    fleet, batch = made
    survey = fleet.survey(*batch)
    plan = make_plan(survey, policy, NOW)
    on_batch = {host.arn for host in survey.hosts if host.instance_id in batch}
    expected = sorted(task.arn for task in survey.tasks if task.host_arn in on_batch)
    assert sorted(move.task for move in plan.moves) == expected
    for move in plan.moves:
        assert move.task.rsplit("/", 1)[-1] in move.reason
        assert not move.service or f"service {move.service}" in move.reason
    blocked = [move for move in plan.moves if move.how == "blocked"]
    assert not blocked or plan.obstacles
    assert {"act": "blocked" if plan.obstacles else "go", "observe": "planned"}[policy.mode] == plan.decision
    assert explain(plan)


@given(fleets(), policies)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_nothing_is_placed_beyond_capacity(made: tuple[Fleet, list[str]], policy: Policy) -> None:
    fleet, batch = made
    survey = fleet.survey(*batch)
    plan = make_plan(survey, policy, NOW)
    if any(item.kind == "capacity" for item in plan.obstacles):
        assert plan.launches == ()
        return
    free = {host.instance_id: host.remaining for host in survey.hosts if host.instance_id not in batch}
    memory = {item.arn: item.containers[0].memory or 0 for item in survey.definitions}
    cpu = {item.arn: item.containers[0].cpu for item in survey.definitions}
    tasks = {task.arn: task for task in survey.tasks}
    daemons = [service.definition for service in survey.services if service.scheduling == "DAEMON"]
    for name in {move.to for move in plan.moves if move.to}:
        there = [tasks[move.task].definition for move in plan.moves if move.to == name]
        room_memory = free[name].memory if name in free else 7680 - sum(memory[item] for item in daemons)
        room_cpu = free[name].cpu if name in free else 2048 - sum(cpu[item] for item in daemons)
        assert sum(memory[item] for item in there) <= room_memory
        assert sum(cpu[item] for item in there) <= room_cpu or not sum(cpu[item] for item in there)
    moving = {move.task for move in plan.moves if move.how in ("scheduler", "surge", "restart")}
    assert {move.task for move in plan.moves if move.to} == moving
    (group,) = survey.groups
    assert len(plan.launches) <= group.maximum - group.desired


@given(fleets(), policies)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_hosts_end_with_decrement_only_against_a_launch_or_where_policy_lets_the_group_shrink(
    made: tuple[Fleet, list[str]], policy: Policy
) -> None:
    fleet, batch = made
    survey = fleet.survey(*batch)
    plan = make_plan(survey, policy, NOW)
    (group,) = survey.groups
    assert sorted(end.instance_id for end in plan.ends) == sorted(batch)
    against = [end for end in plan.ends if end.decrement and not end.shrink]
    shrinking = [end for end in plan.ends if end.shrink]
    assert len(against) == min(len(plan.launches), len(batch))
    assert not shrinking or policy.allow_shrink
    assert group.desired - len(shrinking) >= group.minimum


@given(fleets(), policies, st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_plan_is_the_same_whatever_the_order_of_the_survey(
    made: tuple[Fleet, list[str]], policy: Policy, rng: random.Random
) -> None:
    fleet, batch = made
    survey = fleet.survey(*batch)
    assert make_plan(_shuffled(survey, rng), policy, NOW) == make_plan(survey, policy, NOW)


def _shuffled(survey: Survey, rng: random.Random) -> Survey:
    def mixed(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(rng.sample(items, len(items)))

    return replace(
        survey,
        batch=mixed(survey.batch),
        hosts=mixed(survey.hosts),
        tasks=mixed(survey.tasks),
        services=mixed(survey.services),
        definitions=mixed(survey.definitions),
        groups=mixed(survey.groups),
        types=mixed(survey.types),
    )


@given(fleets(), policies)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_survey_and_plan_survive_json(made: tuple[Fleet, list[str]], policy: Policy) -> None:
    fleet, batch = made
    survey = fleet.survey(*batch)
    plan = make_plan(survey, policy, NOW)
    assert from_plain(Survey, json.loads(json.dumps(to_plain(survey)))) == survey
    assert from_plain(Plan, json.loads(json.dumps(to_plain(plan)))) == plan


@given(fleets())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_plan_that_goes_without_a_launch_is_confirmed_on_the_same_fleet(made: tuple[Fleet, list[str]]) -> None:
    fleet, batch = made
    survey = fleet.survey(*batch)
    plan = make_plan(survey, ACT, NOW)
    if plan.decision == "go" and not plan.launches:
        answer = confirm(plan, survey, (), NOW, ACT)
        assert answer.decision == "go"
        assert answer.plan is not None
        assert (answer.plan.moves, answer.plan.surges) == (plan.moves, plan.surges)


# --- speed -----------------------------------------------------------------------------------------------------------


def large(used: tuple[int, int]) -> Survey:
    """1,000 hosts in 3 zones, 10 of them go, with 20 tasks each, of 40 services with differing strategies."""
    fleet = Fleet({f"i-{n:04}": "abc"[n % 3] for n in range(1000)})
    fleet.group_more["MaxSize"] = 1100
    strategies = [
        [],
        [{"type": "binpack", "field": "memory"}],
        [{"type": "spread", "field": "attribute:ecs.availability-zone"}, {"type": "binpack", "field": "cpu"}],
        [{"type": "spread", "field": "instanceId"}],
    ]
    for n in range(40):
        on = [f"i-{(n + m) % 10:04}" for m in range(5)] + [f"i-{10 + (n * 5 + m):04}" for m in range(5)]
        constraints = [{"type": "distinctInstance"}] if n % 5 == 0 else []
        more = {"placementStrategy": strategies[n % 4], "placementConstraints": constraints}
        fleet.service(f"s{n:02}", on, cpu=64, memory=300, percents=PERCENTS[n % 6], **more)
    fleet.daemon("logs", cpu=16, memory=64)
    for n in range(10, 1000):
        fleet.hosts[f"i-{n:04}"] = {"used": used}
    return fleet.survey(*(f"i-{n:04}" for n in range(10)))


def test_a_thousand_hosts_and_two_hundred_tasks_are_planned_in_well_under_a_second() -> None:
    for used in ((100, 500), (1900, 7000), (2048, 7680)):
        survey = large(used)
        began = time.process_time()
        plan = make_plan(survey, ACT, NOW)
        took = time.process_time() - began
        assert plan.decision == "go"
        assert sum(bool(move.to) for move in plan.moves) == 200
        assert took < 1.0
