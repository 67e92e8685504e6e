"""How each task can leave its host, or exactly why not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from caretaker.hosts.model import Move, Plan, Policy, Service, ServicePolicy, Unknown
from caretaker.hosts.plan import make_plan
from caretaker.hosts.preflight import least_maximum, lower_limit, starts_first, upper_limit, way_of
from hypothesis import given
from hypothesis import strategies as st

from tests.hosts.fleet import NOW, Fleet, service_data

ACT = Policy(mode="act")


def plan_of(fleet: Fleet, *batch: str, policy: Policy = ACT, **more: Any) -> Plan:
    return make_plan(fleet.survey(*(batch or ("i-1",)), **more), policy, NOW)


def move_of(plan: Plan, task: str) -> Move:
    (found,) = [move for move in plan.moves if move.task.endswith(f"/{task}")]
    return found


def three() -> Fleet:
    return Fleet({"i-1": "a", "i-2": "a", "i-3": "b"})


# --- percents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("desired", "minimum", "maximum", "how", "values"),
    [
        (1, 100, 200, "scheduler", None),
        (2, 100, 200, "scheduler", None),
        (5, 100, 200, "scheduler", None),
        # With one task wanted, half of it rounds up to the whole: nothing may stop first. The room is what lacks.
        (1, 50, 100, "surge", (100, 200)),
        (2, 50, 100, "surge", (100, 150)),
        (5, 50, 100, "surge", (100, 120)),
        (1, 0, 100, "surge", (100, 200)),
        (2, 0, 100, "surge", (100, 150)),
        (5, 0, 100, "surge", (100, 120)),
        (1, 100, 100, "surge", (100, 200)),
        (2, 100, 100, "surge", (100, 150)),
        (5, 100, 100, "surge", (100, 120)),
        (1, 50, 200, "scheduler", None),
        (2, 50, 200, "surge", (100, 200)),
        (5, 50, 200, "surge", (100, 200)),
        (1, 100, 150, "surge", (100, 200)),
        (2, 100, 150, "scheduler", None),
        (5, 100, 150, "scheduler", None),
    ],
)
def test_the_matrix_of_percents(
    desired: int, minimum: int, maximum: int, how: str, values: tuple[int, int] | None
) -> None:
    service = Service.from_ecs(service_data("web", desired, (minimum, maximum)))
    way = way_of(service, 1, ACT)
    assert way.how == how
    assert (None if way.surge is None else (way.surge.minimum, way.surge.maximum)) == values
    refused = way_of(service, 1, Policy(mode="act", surge=False))
    assert refused.how == ("scheduler" if how == "scheduler" else "blocked")


def test_hooks_whose_roles_would_have_to_be_passed_on_forbid_a_surge() -> None:
    """UpdateService takes the whole deployment configuration, and ECS asks for iam:PassRole on the roles in it."""
    data = service_data("web", 2, (50, 100))
    data["deploymentConfiguration"]["lifecycleHooks"] = [{"hookTargetArn": "arn:f", "roleArn": "arn:r"}]
    way = way_of(Service.from_ecs(data), 1, ACT)
    assert way.how == "blocked"
    assert "lifecycle hooks" in way.words


@given(
    st.integers(1, 200), st.integers(0, 100), st.integers(100, 400), st.integers(1, 200), st.booleans(), st.booleans()
)
def test_every_service_starts_first_or_is_blocked_in_words(
    desired: int, minimum: int, maximum: int, to_move: int, may_surge: bool, external: bool
) -> None:
    controller = {"deploymentController": {"type": "EXTERNAL"}} if external else {}
    service = Service.from_ecs(service_data("web", desired, (minimum, maximum), **controller))
    way = way_of(service, to_move, Policy(mode="act", surge=may_surge))
    low, high = service.percents
    if way.how == "scheduler":
        assert starts_first(desired, low, high)
    elif way.how == "surge":
        assert may_surge
        assert way.surge is not None
        assert starts_first(desired, way.surge.minimum, way.surge.maximum)
        assert way.surge.minimum >= minimum
        assert way.surge.maximum >= maximum
        assert upper_limit(desired, way.surge.maximum) >= desired + min(to_move, desired)
        assert way.surge.original == service.configuration
        kept = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
        assert way.surge.configuration == {
            "minimumHealthyPercent": way.surge.minimum,
            "maximumPercent": way.surge.maximum,
            **kept,
        }
    else:
        assert way.how == "blocked"
        assert not may_surge
        assert f"desired {desired}" in way.words
        assert "set minimumHealthyPercent to 100 and maximumPercent to" in way.words


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_the_least_maximum_gives_room_and_one_less_does_not(desired: int, extra: int) -> None:
    percent = least_maximum(desired, extra)
    assert upper_limit(desired, percent) >= desired + extra
    assert upper_limit(desired, percent - 1) < desired + extra


def test_limits_round_as_ecs_does() -> None:
    assert (lower_limit(5, 50), upper_limit(5, 150), lower_limit(3, 34), upper_limit(1, 150)) == (3, 7, 2, 1)


def test_two_tasks_of_five_get_room_to_move_at_once() -> None:
    fleet = three().service("web", ["i-1", "i-1", "i-2", "i-2", "i-3"], percents=(50, 100))
    plan = plan_of(fleet)
    assert [(surge.service, surge.minimum, surge.maximum) for surge in plan.surges] == [("web", 100, 140)]
    assert move_of(plan, "web-0").how == "surge"
    assert "maximumPercent from 100 to 140" in move_of(plan, "web-0").reason


def test_a_service_may_refuse_the_surge_for_itself() -> None:
    fleet = three().service("web", ["i-1"], percents=(100, 100)).service("api", ["i-1"], percents=(100, 100))
    plan = plan_of(fleet, policy=Policy(mode="act", services={"web": ServicePolicy(surge=False)}))
    assert (move_of(plan, "web-0").how, move_of(plan, "api-0").how) == ("blocked", "surge")
    assert plan.decision == "blocked"
    for words in ("task web-0", "service web", "maximumPercent 100", "maximumPercent to 200", "hosts.surge is false"):
        assert words in move_of(plan, "web-0").reason


def test_a_service_whose_surge_is_held_by_other_work_is_judged_by_its_owners_values() -> None:
    data = service_data("web", 2, (100, 200))
    owners = {"minimumHealthyPercent": 50, "maximumPercent": 100}
    service = Service.from_ecs(data, original=owners, surge_holders=["replace-host-1"])
    way = way_of(service, 1, ACT)
    assert way.how == "surge"
    assert way.surge is not None
    assert (way.surge.maximum, dict(way.surge.original)) == (200, owners)
    assert "replace-host-1" in way.surge.reason


@pytest.mark.parametrize("kind", ["EXTERNAL", "CODE_DEPLOY"])
def test_other_controllers_drain_by_the_defaults(kind: str) -> None:
    fleet = three().service("web", ["i-1"], percents=(0, 100), deploymentController={"type": kind}, deployments=[])
    move = move_of(plan_of(fleet), "web-0")
    assert move.how == "scheduler"
    assert kind in move.reason


def test_a_strategy_that_is_not_rolling_takes_no_surge() -> None:
    fleet = three().service("web", ["i-1"], percents=(100, 100), configuration={"strategy": "BLUE_GREEN"})
    move = move_of(plan_of(fleet), "web-0")
    assert move.how == "blocked"
    assert "BLUE_GREEN" in move.reason


# --- services in other states ----------------------------------------------------------------------------------------


def deploying(state: str) -> dict[str, Any]:
    return {"deployments": [{"id": "ecs-svc/9", "status": "PRIMARY", "rolloutState": state, "taskDefinition": "x"}]}


def test_a_deployment_in_progress_blocks_for_now() -> None:
    plan = plan_of(three().service("web", ["i-1"], **deploying("IN_PROGRESS")))
    assert move_of(plan, "web-0").how == "blocked"
    assert "ecs-svc/9" in plan.reason
    assert plan.retry_at == NOW + timedelta(seconds=ACT.retry_after)


def test_a_failed_deployment_blocks_for_good() -> None:
    plan = plan_of(three().service("web", ["i-1"], **deploying("FAILED")))
    assert plan.decision == "blocked"
    assert plan.retry_at is None
    assert "FAILED" in plan.reason


def test_a_service_that_could_not_be_read_blocks() -> None:
    fleet = three().service("web", ["i-1"])
    del fleet.services["web"]
    fleet.unknown.append(Unknown("service", "arn:aws:ecs:x:y:service/prod/web", "AccessDenied"))
    plan = plan_of(fleet)
    assert move_of(plan, "web-0").how == "blocked"
    assert "AccessDenied" in move_of(plan, "web-0").reason


def test_a_task_that_could_not_be_read_blocks_and_is_in_the_plan_once() -> None:
    fleet = three()
    fleet.unknown.append(Unknown("task", "arn:task/prod/t9", "MISSING"))
    plan = plan_of(fleet)
    assert plan.decision == "blocked"
    assert [move.how for move in plan.moves] == ["blocked"]


def test_a_definition_that_could_not_be_read_blocks_its_task() -> None:
    fleet = three().service("web", ["i-1"])
    del fleet.definitions["web"]
    assert move_of(plan_of(fleet), "web-0").how == "blocked"


@pytest.mark.parametrize("more", [{"desired": 0}, {"status": "DRAINING", "desired": 1}])
def test_a_service_that_wants_no_tasks_is_waited_for(more: dict[str, Any]) -> None:
    plan = plan_of(three().service("web", ["i-1"], **more))
    assert move_of(plan, "web-0").how == "wait"
    assert plan.decision == "go"


def test_a_daemon_follows_its_host() -> None:
    plan = plan_of(three().daemon("logs"))
    assert move_of(plan, "logs-0").how == "daemon"
    assert plan.surges == ()


# --- tasks in other states -------------------------------------------------------------------------------------------


def test_tasks_on_their_way_out_are_only_waited_for() -> None:
    fleet = three().service("web", ["i-1", "i-1"], percents=(50, 100))
    fleet.change_task("web-0", desiredStatus="STOPPED", lastStatus="DEACTIVATING")
    plan = plan_of(fleet)
    assert move_of(plan, "web-0").how == "stopping"
    assert plan.surges[0].maximum == 150


def test_a_pending_task_is_restarted_elsewhere_and_needs_no_surge() -> None:
    fleet = three().service("web", ["i-1"], percents=(100, 100)).change_task("web-0", lastStatus="PENDING")
    plan = plan_of(fleet)
    assert move_of(plan, "web-0").how == "restart"
    assert move_of(plan, "web-0").to
    assert plan.surges == ()


def test_an_activating_task_moves_like_one_that_runs() -> None:
    fleet = three().service("web", ["i-1"], percents=(100, 100)).change_task("web-0", lastStatus="ACTIVATING")
    assert move_of(plan_of(fleet), "web-0").how == "surge"


def test_standalone_tasks_follow_policy() -> None:
    fleet = three().task("job", "i-1", "family:job", "job")
    waiting = plan_of(fleet)
    assert (waiting.decision, move_of(waiting, "job").how) == ("go", "wait")
    assert "3600 s" in move_of(waiting, "job").reason
    blocked = plan_of(fleet, policy=Policy(mode="act", standalone="block"))
    assert (blocked.decision, move_of(blocked, "job").how) == ("blocked", "blocked")


def protect(fleet: Fleet, task: str, hours: float) -> Fleet:
    fleet.protected[task] = {"protectionEnabled": True, "expirationDate": NOW + timedelta(hours=hours)}
    return fleet


def test_a_protected_task_holds_the_drain_until_it_ends() -> None:
    plan = plan_of(protect(three().service("web", ["i-1"]), "web-0", 1))
    assert move_of(plan, "web-0").how == "wait"
    assert plan.decision == "blocked"
    assert plan.retry_at == move_of(plan, "web-0").until == NOW + timedelta(hours=1)


def test_a_protection_beyond_the_deadline_blocks_for_good() -> None:
    fleet = protect(three().service("web", ["i-1"]), "web-0", 5)
    plan = plan_of(fleet, deadline=NOW + timedelta(hours=4))
    assert move_of(plan, "web-0").how == "blocked"
    assert plan.retry_at is None
    assert "UpdateTaskProtection" in plan.reason


def test_a_protection_that_could_not_be_read_blocks() -> None:
    fleet = three().service("web", ["i-1"])
    fleet.protected["web-0"] = None
    assert move_of(plan_of(fleet), "web-0").how == "blocked"


# --- volumes ---------------------------------------------------------------------------------------------------------


def test_a_docker_volume_of_a_foreign_driver_blocks() -> None:
    volumes = [{"name": "data", "dockerVolumeConfiguration": {"driver": "rexray/ebs", "scope": "shared"}}]
    plan = plan_of(three().service("db", ["i-1"], definition={"volumes": volumes}))
    assert move_of(plan, "db-0").how == "blocked"
    assert "rexray/ebs" in plan.reason


def test_host_paths_and_ebs_volumes_of_the_service_are_noted_only() -> None:
    volumes = [{"name": "logs", "host": {"sourcePath": "/var/log"}}, {"name": "disk", "configuredAtLaunch": True}]
    plan = plan_of(three().service("db", ["i-1"], definition={"volumes": volumes}))
    assert plan.decision == "go"
    assert any("/var/log" in note for note in plan.notes)
    assert any("EBS volume disk" in note for note in plan.notes)
