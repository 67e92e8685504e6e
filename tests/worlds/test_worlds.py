"""The worlds in worlds/: each ends as it says, every law held, and shows what it is there to show."""

from __future__ import annotations

import json

import pytest
from rehearsals import OLD, WORLDS, broken, law, mutations, outcomes, rehearsed, shipped

from twin.rehearsal.loading import load_world
from twin.rehearsal.rehearsal import to_json

UNDONE = ["no_capacity", "never_healthy", "agent_never_connects", "stopped_in_drain", "timed_out"]
SHOWN = {"default", "observe", "percents", "percents_blocked", "somebody_scales", "somebody_deploys", "somebody_edits"}
SWEEPS = {path.stem for path in WORLDS.glob("sweep_*.yaml")}
"""test_sweep_worlds.py runs these."""
OTHERS = sorted({path.stem for path in WORLDS.glob("*.yaml")} - SHOWN - SWEEPS - set(UNDONE) - {"hundred_hosts"})

_CASES = ("4xx", "alarm_firing", "deleted", "late", "reset", "shared", "slow", "sticky", "two")
ALIKE = {f"release_gate_{case}" for case in _CASES}
"""Cases that `watch` has as well, and that the gate tells in the same way: the quick checks run those of `watch`."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in ALIKE else name for name in OTHERS]
)
def test_it_ends_as_it_says(name: str) -> None:
    report = shipped(name)
    assert (report.verdict, report.unexpected, broken(report)) == ("ok", [], [])


def test_the_default_world_replaces_one_host() -> None:
    report = shipped("default")
    assert (report.verdict, outcomes(report)) == ("ok", ["replaced"])
    assert [(host.instance, host.fate) for host in report.hosts if host.fate == "ended"] == [(OLD, "ended")]
    assert [host.fate for host in report.hosts].count("launched") == 1
    held = {each.name: each.held for each in report.laws}
    assert held["golden_rule"]
    assert held["host_empty"]
    assert held["restore"]
    assert 30 * 60 <= report.simulated_seconds <= 45 * 60
    assert all(service.lowest_healthy >= service.desired for service in report.services)
    assert sum(service.tasks_moved for service in report.services) == 10
    assert [event["detail-type"] for event in report.events] == ["Host Replacement Replaced"]
    assert report.dead_letters == {}


def test_observing_plans_task_by_task_and_changes_nothing() -> None:
    report = shipped("observe")
    assert (report.verdict, outcomes(report)) == ("ok", ["planned"])
    assert law(report, "observe_changes_nothing").held is True
    assert mutations(report) == []
    (plan,) = report.plans
    assert len(plan.moves) == 11
    assert all(move.reason for move in plan.moves)
    assert any("launch a m5.large from shop-hosts" in step for step in plan.steps)


@pytest.mark.parametrize("name", UNDONE)
def test_an_undo_leaves_all_as_before_and_says_why(name: str) -> None:
    report = shipped(name)
    assert (report.verdict, report.unexpected, broken(report)) == ("ok", [], [])
    assert law(report, "undo").held is True
    assert report.executions[0].outcome == "undone"
    assert report.executions[0].reason
    assert OLD not in [host.instance for host in report.hosts if host.fate == "ended"]


def test_what_has_no_catch_of_its_own_is_undone_by_the_reaper() -> None:
    for name, status in (("stopped_in_drain", "ABORTED"), ("timed_out", "TIMED_OUT")):
        report = shipped(name)
        first, second = report.executions[:2]
        assert (first.status, second.status, second.outcome) == (status, "SUCCEEDED", "undone")
        assert second.work == first.work


@pytest.mark.parametrize("name", ["somebody_scales", "somebody_deploys", "somebody_edits"])
def test_nothing_of_somebody_elses_is_undone(name: str) -> None:
    report = shipped(name)
    assert (report.verdict, outcomes(report), broken(report)) == ("ok", ["replaced"], [])
    if name != "somebody_deploys":
        assert law(report, "nobody_elses_acts").held is True
    assert any(entry.kind == "actor.acted" for entry in report.timeline)


def test_every_pair_of_percents_moves_without_loss() -> None:
    report = shipped("percents")
    assert (report.verdict, outcomes(report), broken(report)) == ("ok", ["replaced"], [])
    services = [service for service in report.services if service.scheduling_strategy == "REPLICA"]
    assert len(services) == 18
    assert all(service.lowest_healthy == service.desired for service in services)
    assert sum(service.tasks_moved for service in services) >= 18


def test_without_leave_to_raise_percents_nothing_is_touched() -> None:
    report = shipped("percents_blocked")
    assert (report.verdict, outcomes(report), mutations(report)) == ("ok", ["blocked"], [])
    assert "m100-x100" in (report.executions[0].reason or "")


def test_a_hundred_hosts_and_a_thousand_tasks() -> None:
    report = shipped("hundred_hosts")
    assert (report.verdict, outcomes(report)) == ("ok", ["replaced"])
    assert sum(service.healthy for service in report.services) >= 1_000


def test_the_same_seed_gives_the_same_bytes_and_another_differs() -> None:
    observe = load_world(WORLDS / "observe.yaml")
    first, again, other = (to_json(rehearsed(observe, seed=seed)) for seed in (3, 3, 4))
    assert first == again
    assert json.loads(other) | {"seed": 3} != json.loads(first)
