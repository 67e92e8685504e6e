"""Gated deployments, as the worlds in worlds/release_gate_*.yaml have them: what ECS was told, and what followed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from rehearsals import ran

from twin.rehearsal.report import Report

PRE, SHIFT, POST = "PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"


@dataclass(frozen=True)
class Told:
    """One answer that ECS minded. `at`: simulated seconds."""

    at: float
    stage: str
    status: str
    going_back: bool


@dataclass(frozen=True)
class Run:
    """A world that has ended.

    Attributes:
        weights: (simulated seconds, percent of production traffic for the new revision) as ECS wrote it.
        status: of the last service deployment.
        decided: simulated seconds at which the machine first began to roll back; 0 if it never did.
        messages: to people, in order.
        started: executions of bake_release.
    """

    report: Report
    told: tuple[Told, ...]
    weights: tuple[tuple[float, float], ...]
    status: str
    decided: float
    messages: tuple[str, ...]
    started: int

    def steps(self) -> list[float]:
        return [percent for _, percent in self.weights]

    def answers(self, stage: str) -> list[str]:
        return [one.status for one in self.told if one.stage == stage]


def run(name: str) -> Run:
    world = ran(f"release_gate_{name}")
    told, weights, status, decided = [], [], "", 0.0
    for entry in world.entries:
        at = (entry.at - world.start).total_seconds()
        if entry.kind == "release.hook":
            told.append(Told(at, entry.data["stage"], entry.data["status"], entry.data["rollback"]))
        if entry.kind == "release.weights" and "production" in entry.data:
            weights.append((at, entry.data["production"]))
        if entry.kind == "state.entered" and entry.data["state"] == "Roll back":
            decided = decided or at
        if entry.kind == "release.status":
            status = entry.data["status"]
    started = [one for one in world.report.executions if one.machine == "BakeRelease"]
    return Run(world.report, tuple(told), tuple(weights), status, decided, world.messages, len(started))


def test_a_bad_revision_never_gets_past_the_first_step() -> None:
    bad = run("bad")
    assert bad.report.verdict == "ok", bad.report.unexpected
    assert bad.steps() == [5, 0]
    assert bad.answers(PRE)[0] == "SUCCEEDED"
    assert set(bad.answers(PRE)[1:]) <= {"IN_PROGRESS", "FAILED"}
    assert bad.status == "ROLLBACK_SUCCESSFUL"


@pytest.mark.parametrize("name", ["bad", "silent"])
def test_a_verdict_waits_for_no_call_of_the_hook(name: str) -> None:
    """ECS asks every 30 s, and only at its stages; its deployment is stopped at once."""
    back = run(name)
    assert back.report.verdict == "ok", back.report.unexpected
    assert back.steps()[-1] == 0
    assert 0 <= back.weights[-1][0] - back.decided < 15


def test_a_rollback_by_somebody_is_let_through_and_starts_nothing() -> None:
    """ECS calls the hooks of the shifts again, with the new revision as target and weight 0."""
    back = run("rollback")
    assert back.report.verdict == "ok", back.report.unexpected
    again = [one for one in back.told if one.going_back]
    assert [one.stage for one in again] == [SHIFT, "TEST_TRAFFIC_SHIFT"]
    assert {one.status for one in again} == {"SUCCEEDED"}
    assert back.steps() == [5, 0]
    assert back.status == "ROLLBACK_SUCCESSFUL"
    assert [one.outcome for one in back.report.executions if one.outcome != "ignored"] == ["rolled_back"]


@pytest.mark.parametrize(
    ("name", "steps"), [("good", [5, 100]), ("linear", [25, 50, 75, 100]), ("calls", [5, 100]), ("extended", [5, 100])]
)
def test_a_good_revision_waits_for_evidence_and_goes(name: str, steps: list[float]) -> None:
    good = run(name)
    assert good.report.verdict == "ok", good.report.unexpected
    assert good.steps() == steps
    first, second = good.weights[0][0], good.weights[1][0]
    held = [one for one in good.told if one.stage == PRE and first < one.at < second]
    assert [one.status for one in held[:-1]] == ["IN_PROGRESS"] * (len(held) - 1)
    assert len(held) > 1
    assert good.answers(POST)[-1] == "SUCCEEDED"
    assert set(good.answers(POST)[:-1]) == {"IN_PROGRESS"}
    assert good.status == "SUCCESSFUL"
    assert [one.outcome for one in good.report.executions if one.outcome != "ignored"] == ["promoted"]


def test_each_step_is_judged_on_its_own_minutes() -> None:
    """What was seen at 25 % opens no later step: each is held for a bake of its own, the last one too."""
    linear = run("linear")
    begun = [at for at, _ in linear.weights]
    bakes = [later - at for at, later in pairwise(begun)]
    assert min(bakes) >= 10 * 60
    post = [one for one in linear.told if one.stage == POST]
    assert post[-1].status == "SUCCEEDED"
    assert {one.status for one in post[:-1]} == {"IN_PROGRESS"}
    assert post[-1].at - begun[-1] >= 10 * 60


def test_doubt_goes_back_where_policy_says_so() -> None:
    doubt = run("doubt")
    assert doubt.report.verdict == "ok", doubt.report.unexpected
    assert (doubt.steps(), doubt.status) == ([5, 0], "ROLLBACK_SUCCESSFUL")


def test_trouble_holds_the_deployment_until_it_is_over() -> None:
    trouble = run("trouble")
    assert trouble.report.verdict == "ok", trouble.report.unexpected
    during = [one for one in trouble.told if 420 < one.at < 960]
    assert {(one.stage, one.status) for one in during} == {(PRE, "IN_PROGRESS")}
    assert trouble.steps() == [5, 100]


def test_trouble_without_end_ends_by_policy_at_the_limit_and_promotes_nothing() -> None:
    limit = run("limit")
    assert limit.report.verdict == "ok", limit.report.unexpected
    assert limit.steps() == [5, 0]
    asked = [one for one in limit.told if one.stage == PRE][1:]
    assert asked[-1].status == "FAILED"
    assert asked[-1].at - asked[0].at == pytest.approx(600, abs=60)


def test_too_little_traffic_is_told_with_the_missing_sample_and_promotes_nothing() -> None:
    little = run("little")
    assert little.report.verdict == "ok", little.report.unexpected
    assert little.steps() == [5, 0]
    assert set(little.answers(PRE)[1:]) == {"IN_PROGRESS"}
    assert "canary requests" in little.messages[0]
    assert "no verdict yet" in little.messages[0] or "cannot be told" in little.messages[0]


def test_under_observe_nobody_is_held_up() -> None:
    observed = run("observe")
    assert observed.report.verdict == "ok", observed.report.unexpected
    assert {one.status for one in observed.told} == {"SUCCEEDED"}
    assert observed.steps() == [5, 100]
    assert observed.status == "SUCCESSFUL"
