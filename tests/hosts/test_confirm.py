"""The second look, after the launch and before the drain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from caretaker.hosts.model import Confirmation, Policy, Unknown
from caretaker.hosts.plan import confirm, make_plan

from tests.hosts.fleet import NOW, Fleet

ACT = Policy(mode="act")
LATER = NOW + timedelta(minutes=5)


def fleet(new: bool = False) -> Fleet:
    """Two hosts, the second full; `new` adds the one that was launched."""
    made = Fleet({"i-1": "a", "i-2": "a"} | ({"i-3": "a"} if new else {}), group_more={"DesiredCapacity": 3})
    made.daemon("logs").service("web", ["i-1"], percents=(50, 100))
    made.hosts["i-2"] = {"used": (2000, 7600)}
    return made


def look(after: Fleet, *, policy: Policy = ACT, new: tuple[str, ...] = ("i-3",), **more: Any) -> Confirmation:
    plan = make_plan(fleet().survey("i-1"), ACT, NOW)
    assert len(plan.launches) == 1
    return confirm(plan, replace(after.survey("i-1"), **more), new, LATER, policy)


def test_with_the_new_host_ready_and_nothing_changed_it_goes_on() -> None:
    answer = look(fleet(new=True))
    assert answer.decision == "go"
    assert answer.plan is not None
    assert [move.to for move in answer.plan.moves if move.service == "web"] == ["i-3"]
    assert [end.decrement for end in answer.plan.ends] == [True]
    assert len(answer.plan.launches) == 1
    assert "nothing changed" in answer.reason


def test_a_new_host_that_is_not_there_or_not_ready_is_waited_for() -> None:
    assert "has not registered" in look(fleet()).reason
    for more, words in (
        ({"agentConnected": False}, "is not connected"),
        ({"status": "REGISTERING"}, "is REGISTERING"),
    ):
        after = fleet(new=True)
        after.hosts["i-3"] = more
        answer = look(after)
        assert (answer.decision, words in answer.reason) == ("wait", True)


def test_a_daemon_that_does_not_run_yet_on_the_new_host_is_waited_for() -> None:
    after = fleet(new=True).change_task("logs-2", lastStatus="PENDING")
    answer = look(after)
    assert answer.decision == "wait"
    assert "daemon logs does not run on new host i-3 yet" in answer.reason


def test_a_daemon_that_does_not_belong_there_is_not_waited_for() -> None:
    after = fleet(new=True)
    after.tasks = [task for task in after.tasks if not task["taskArn"].endswith("logs-2")]
    after.services["logs"]["placementConstraints"] = [{"type": "memberOf", "expression": "attribute:kind == gpu"}]
    assert look(after).decision == "go"


def test_a_new_host_that_somebody_drains_stops_it() -> None:
    after = fleet(new=True)
    after.hosts["i-3"] = {"status": "DRAINING"}
    answer = look(after)
    assert answer.decision == "stop"
    assert "somebody else" in answer.reason


def test_an_old_host_that_somebody_drained_is_remembered() -> None:
    after = fleet(new=True)
    after.hosts["i-1"] = {"status": "DRAINING"}
    answer = look(after)
    assert answer.decision == "go"
    assert answer.plan is not None
    assert answer.plan.drained == ("i-1",)


def test_new_tasks_get_their_moves_and_changed_services_their_surges() -> None:
    after = fleet(new=True)
    after.task("web-9", "i-1", "service:web", "web").service("late", ["i-1"], percents=(100, 100))
    after.services["web"]["desiredCount"] = 2
    answer = look(after)
    assert answer.decision == "go"
    assert answer.plan is not None
    assert {surge.service: surge.maximum for surge in answer.plan.surges} == {"late": 200, "web": 200}
    assert {move.task.rsplit("/", 1)[-1] for move in answer.plan.moves} == {"logs-0", "web-0", "web-9", "late-0"}
    assert "service web now wants 2 tasks instead of 1" in answer.reason
    assert "task late-0 is new on i-1" in answer.reason


def test_tasks_that_left_meanwhile_are_out_of_the_plan() -> None:
    after = fleet(new=True)
    after.tasks = [task for task in after.tasks if not task["taskArn"].endswith("web-0")]
    answer = look(after)
    assert answer.plan is not None
    assert {move.service for move in answer.plan.moves} == {"logs"}
    assert answer.plan.surges == ()


def test_a_deployment_or_protection_that_began_is_waited_for() -> None:
    after = fleet(new=True)
    after.services["web"]["deployments"][0]["rolloutState"] = "IN_PROGRESS"
    assert look(after).decision == "wait"
    after = fleet(new=True)
    until = NOW + timedelta(minutes=20)
    after.protected["web-0"] = {"protectionEnabled": True, "expirationDate": until}
    answer = look(after)
    assert (answer.decision, answer.until) == ("wait", until)


def test_room_that_is_no_longer_there_stops_it() -> None:
    after = fleet(new=True)
    after.hosts["i-3"] = {"used": (2000, 7600)}
    answer = look(after)
    assert answer.decision == "stop"
    assert "finds no room" in answer.reason


def test_a_change_of_policy_to_observe_or_against_surges_stops_it() -> None:
    assert look(fleet(new=True), policy=Policy()).decision == "stop"
    assert look(fleet(new=True), policy=Policy(mode="act", surge=False)).decision == "stop"


def test_hosts_that_are_gone_stop_it() -> None:
    after = fleet(new=True)
    after.hosts["i-1"] = {"status": "INACTIVE"}
    answer = look(after)
    assert answer.decision == "stop"
    assert "gone" in answer.reason


def test_what_could_not_be_read_is_waited_for() -> None:
    after = fleet(new=True)
    after.unknown.append(Unknown("target_group", "tg-1", "AccessDenied"))
    assert look(after).decision == "wait"
