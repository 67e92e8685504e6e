"""What waits wait for: laws of the pure looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from caretaker.hosts.health import healthy_tasks, passes
from caretaker.hosts.model import Balancer, Baseline, Container, Definition, Host, Member, Plan, Service, Target, Task
from caretaker.hosts.model import Group as AsGroup
from caretaker.hosts.progress import (
    SILENT_STOP,
    Look,
    goals_of,
    groups_short,
    not_ended,
    services_short,
    tasks_left,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD = Host("i-old", "arn:host/old", status="DRAINING")
WEB = Service("arn:service/web", "web", desired=2)
PLAIN = Definition("arn:web:1", containers=(Container("main"),))
CHECKED = Definition("arn:web:2", containers=(Container("main", health_check=True),))
STATUSES = ("PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED")


def task(name: str, host: str = "arn:host/old", **more: object) -> Task:
    fields = {"definition": PLAIN.arn, "group": "service:web", "started_at": NOW - timedelta(hours=1), **more}
    return Task(f"arn:task/{name}", host_arn=host, **fields)


def look(*tasks: Task, **more: object) -> Look:
    fields = {"hosts": {"i-old": OLD}, "instances": {"i-old": "running"}, "services": (WEB,), **more}
    return Look(NOW, tasks=tasks, definitions={PLAIN.arn: PLAIN, CHECKED.arn: CHECKED}, **fields)


@pytest.mark.parametrize("status", STATUSES[:-1])
@pytest.mark.parametrize("desired", ["RUNNING", "STOPPED"])
def test_a_task_is_left_until_it_is_stopped_whatever_is_desired(status: str, desired: str) -> None:
    one = task("a", last_status=status, desired_status=desired)
    assert [left.id for left in tasks_left(["i-old"], [one.arn], look(one))] == [one.arn]
    assert not tasks_left(["i-old"], [one.arn], look(replace(one, last_status="STOPPED")))


def test_a_task_that_was_not_surveyed_counts_too() -> None:
    assert len(tasks_left(["i-old"], [], look(task("new")))) == 1


def test_a_successor_elsewhere_does_not() -> None:
    assert not tasks_left(["i-old"], [], look(task("new", "arn:host/other")))


@pytest.mark.parametrize(("state", "left"), [("running", 1), ("terminated", 0), ("stopped", 0), ("shutting-down", 1)])
def test_tasks_end_with_their_instance(state: str, left: int) -> None:
    assert len(tasks_left(["i-old"], [], look(task("a"), instances={"i-old": state}))) == left


@pytest.mark.parametrize(
    ("connected", "stopping", "ago", "left"),
    [
        (False, True, SILENT_STOP, 0),
        (False, True, SILENT_STOP - timedelta(seconds=1), 1),
        (False, False, SILENT_STOP, 1),
        (True, True, SILENT_STOP, 1),
    ],
)
def test_a_silent_host_is_believed_only_after_the_longest_regular_end(
    connected: bool, stopping: bool, ago: timedelta, left: int
) -> None:
    one = task("a", desired_status="STOPPED" if stopping else "RUNNING")
    seen = look(one, hosts={"i-old": replace(OLD, agent_connected=connected)}, stopping_at={one.arn: NOW - ago})
    assert len(tasks_left(["i-old"], [one.arn], seen)) == left


@pytest.mark.parametrize(("connected", "left"), [(True, 1), (False, 0)])
def test_a_daemon_ends_with_its_silent_host(connected: bool, left: int) -> None:
    seen = look(task("a"), hosts={"i-old": replace(OLD, agent_connected=connected)}, daemons=frozenset({"web"}))
    assert len(tasks_left(["i-old"], [], seen)) == left


def test_why_a_task_is_left_names_service_event_protection_or_owner() -> None:
    events = {"web": "(service web) was unable to place a task because no container instance met all requirements"}
    words = {
        "unable to place": look(task("a"), events=events),
        "protected until 2026-03-01T13:00": look(task("a", protected=True, protected_until=NOW + timedelta(hours=1))),
        "standalone": look(task("a", group="family:batch")),
        "told to stop": look(task("a", desired_status="STOPPED")),
        "agent is disconnected": look(
            task("a", desired_status="STOPPED"), hosts={"i-old": replace(OLD, agent_connected=False)}
        ),
    }
    for wanted, seen in words.items():
        (left,) = tasks_left(["i-old"], [], seen)
        assert wanted in left.reason
        assert "task a" in left.reason


def test_a_service_is_held_to_what_it_had_and_never_to_more_than_it_wants() -> None:
    goals = {WEB.arn: 2}
    one, two = task("b", "arn:host/x"), task("c", "arn:host/x")
    assert not services_short(goals, look(one, two))
    (left,) = services_short(goals, look(one))
    assert "1 healthy tasks of 2" in left.reason
    assert not services_short(goals, look(one, services=(replace(WEB, desired=1),)))
    assert not services_short({}, look())


def test_goals_are_at_most_what_was_desired() -> None:
    baselines = (Baseline("s1", "a", 3, 5), Baseline("s2", "b", 3, 2), Baseline("s3", "c", 3, None))
    plan = Plan("c", NOW, ("i-old",), "go", "", baselines=baselines)
    assert goals_of(plan) == {"s1": 3, "s2": 2, "s3": 3}


@given(passing=st.integers(0, 6), healthy=st.integers(0, 6), draining=st.integers(0, 6), ports=st.integers(1, 2))
def test_health_is_never_more_than_any_witness_says(passing: int, healthy: int, draining: int, ports: int) -> None:
    service = replace(WEB, balancers=tuple(Balancer("tg", "main", 80 + port) for port in range(ports)))
    tasks = [task(str(number)) for number in range(passing)]
    targets = [Target("tg", f"t{number}", 1, "healthy") for number in range(healthy)]
    targets += [Target("tg", f"d{number}", 1, "draining") for number in range(draining)]
    assert healthy_tasks(service, tasks, {PLAIN.arn: PLAIN}, targets, NOW) == min(passing, healthy // ports)


@pytest.mark.parametrize(
    ("one", "definition", "balanced", "expected"),
    [
        (task("a", started_at=NOW - timedelta(seconds=40)), PLAIN, False, True),
        (task("a", started_at=NOW - timedelta(seconds=39)), PLAIN, False, False),
        (task("a", started_at=None), PLAIN, False, False),
        (task("a", started_at=NOW), PLAIN, True, True),
        (task("a"), CHECKED, True, False),
        (task("a", health="HEALTHY"), CHECKED, False, True),
        (task("a", health="UNHEALTHY"), PLAIN, True, False),
        (task("a"), None, True, False),
        (task("a", last_status="DEACTIVATING"), PLAIN, True, False),
        (task("a", desired_status="STOPPED"), PLAIN, True, False),
    ],
)
def test_what_passes(one: Task, definition: Definition | None, balanced: bool, expected: bool) -> None:
    assert passes(one, definition, balanced, NOW) is expected


def test_ended_means_terminated_and_forgotten() -> None:
    hosts = {"i-old": OLD}
    assert "is running" in not_ended(["i-old"], Look(NOW, instances={"i-old": "running"}))[0].reason
    seen = Look(NOW, hosts=hosts, instances={"i-old": "terminated"})
    assert "still registered" in not_ended(["i-old"], seen)[0].reason
    assert not not_ended(["i-old"], Look(NOW, instances={"i-old": "terminated"}))
    assert not not_ended(["i-old"], Look(NOW)), "EC2 forgets terminated instances after a while"


def test_a_group_is_short_of_hosts_in_service() -> None:
    members = (Member("i-1", "a"), Member("i-2", "a", lifecycle="Pending"))
    group = AsGroup("g", 1, 3, 2, members)
    assert "1 of 2" in groups_short([group])[0].reason
    assert not groups_short([replace(group, desired=1)])
