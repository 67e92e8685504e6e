"""The compiled judge of the benchmark against the judge itself: the same runs, look by look, datapoint by datapoint."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from caretaker.releases.judge import Case, expected_traffic, judge
from caretaker.releases.model import Action, Arm, Minute, Verdict, Zone
from caretaker.releases.sample import announce

from benchmarks.judge.cells import DISTURBANCES, Cell, Disturbance
from benchmarks.judge.ours import HOUR, RULES, Judged, judge_runs
from benchmarks.judge.streams import HORIZON, PAST, Runs, Shown, simulate

# The judge is compiled anew in each process: one of them runs all of this.
pytestmark = pytest.mark.xdist_group("compiled judge")
STARTED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RUNS = 2
EFFECTS = {"none": (300, 0.02, 0.25), "3x": (1_200, 0.005, 0.05), "outage": (60, 0.005, 0.05), "dead": (60, 0.1, 0.05)}
MATRIX = [
    Cell(rpm, base, effect, share, disturbance)
    for disturbance in DISTURBANCES
    for effect, (rpm, base, share) in EFFECTS.items()
]
GOOD = [Cell(6_000, 0.005, "none", 0.05, disturbance) for disturbance in DISTURBANCES]
QUIET = [
    Cell(20, 0.0, "none", 0.01, "missing"),
    Cell(6_000, 0.0, "none", 0.25, "lag"),
    Cell(300, 0.1, "5x", 0.01, "lag"),
]


def zones_of(runs: Runs, run: int, at: int) -> tuple[Zone, ...]:
    counts = runs.zones
    return tuple(
        Zone(
            int(counts.requests[run, at, zone]),
            int(counts.errors["5xx"][run, at, zone]),
            int(counts.errors["4xx"][run, at, zone]),
            int(counts.requests[run, at, zone]),
            int(counts.errors["slow"][run, at, zone]),
        )
        for zone in range(counts.requests.shape[2])
    )


def past_of(runs: Runs, run: int) -> list[Minute]:
    """The time before the release; all of it has arrived."""
    past = []
    for at in range(PAST):
        zones = zones_of(runs, run, at)
        requests = sum(zone.requests for zone in zones)
        bad, refused = sum(zone.errors_5xx for zone in zones), sum(zone.errors_4xx for zone in zones)
        slow = sum(zone.slow for zone in zones)
        baseline = Arm(requests, requests - bad - refused, refused, bad, requests, slow)
        past.append(Minute(STARTED - (PAST - at) * MINUTE, Arm(), baseline, zones=zones))
    return past


def arms_of(shown: Shown, run: int, look: int) -> list[Arm]:
    """What is shown of one target group at a look."""
    names = ("requests", "good", "4xx", "5xx", "timed", "slow")
    series = (shown.requests, shown.good, shown.errors["4xx"], shown.errors["5xx"], shown.timed, shown.errors["slow"])
    rows = dict(zip(names, (one.at(look)[run] for one in series), strict=True))
    arms = []
    for at in range(look):
        requests, *others = (float(rows[name][at]) for name in names)
        counts = [0 if math.isnan(count) else int(count) for count in others]
        arms.append(Arm(None if math.isnan(requests) else int(requests), *counts))
    return arms


def case_at(runs: Runs, run: int, look: int, past: list[Minute]) -> Case:
    """What CloudWatch shows of a run at a look."""
    arms = zip(arms_of(runs.canary, run, look), arms_of(runs.baseline, run, look), strict=True)
    minutes = [
        Minute(STARTED + at * MINUTE, canary, baseline, runs.cell.share, zones_of(runs, run, PAST + at))
        for at, (canary, baseline) in enumerate(arms)
    ]
    return Case(minutes, past, STARTED, STARTED + look * MINUTE)


def looks_of(run: int) -> list[int]:
    """Every fourth look, others for each run, those around a new stretch, and the last."""
    return sorted({*range(1 + 2 * run % 4, HOUR, 4), 10, 11, 12, 20, 21, HOUR})


def compare(runs: Runs, judged: Judged, run: int, looks: list[int]) -> Verdict:
    past = past_of(runs, run)
    for look in looks:
        verdict = judge(case_at(runs, run, look, past), RULES)
        assert judged.against[run, look - 1] == pytest.approx(verdict.log_against, rel=1e-6, abs=1e-6), (run, look)
    return verdict


@pytest.mark.parametrize("cell", MATRIX, ids=lambda cell: cell.name)
def test_the_compiled_judge_is_the_judge_at_every_look(cell: Cell) -> None:
    runs = simulate(cell, RUNS, seed=3)
    judged = judge_runs(runs)
    assert np.ptp(judged.against[:, :HOUR], axis=1).min() > 0.1
    for run in range(RUNS):
        last = compare(runs, judged, run, looks_of(run))
        rolled_back = judged.against[run, HOUR - 1] >= -math.log(RULES.alpha)
        assert (last.action is Action.ROLL_BACK) == rolled_back
        assert (last.action is Action.PROMOTE) == (judged.promoted[run] and not rolled_back)


@pytest.mark.parametrize("cell", [*GOOD, *QUIET], ids=lambda cell: cell.name)
def test_the_compiled_judge_promotes_what_the_judge_promotes(cell: Cell) -> None:
    runs = simulate(cell, 5, seed=4)
    judged = judge_runs(runs)
    for run in range(5):
        last = compare(runs, judged, run, [HOUR])
        assert (last.action is Action.PROMOTE) == bool(judged.promoted[run])
    if cell in GOOD:
        assert judged.promoted.sum() >= (1 if cell.disturbance == "bursts" else 3)


def test_a_run_is_rolled_back_at_the_first_look_over_the_line_and_at_no_later_one() -> None:
    runs = simulate(Cell(1_200, 0.005, "5x", 0.05, "lag"), 40, seed=5)
    judged = judge_runs(runs)
    calls = judged.calls(0.01)
    assert (calls.rollback > 0).sum() >= 35
    for run in np.flatnonzero(calls.rollback):
        look = calls.rollback[run]
        assert judged.against[run, look - 1] >= math.log(100) > judged.against[run, : look - 1].max(initial=-1.0)
        assert calls.full[run] == 0
    for strict, lax in itertools.pairwise((1e-4, 0.01, 0.2)):
        later, sooner = judged.calls(strict).rollback, judged.calls(lax).rollback
        assert np.all((later == 0) | ((sooner > 0) & (sooner <= later)))


@pytest.mark.parametrize("disturbance", ["independent", "bursts"])
def test_what_is_announced_is_what_the_function_announces_for_that_past(disturbance: Disturbance) -> None:
    cell = Cell(1_200, 0.02, "3x", 0.05, disturbance)
    runs = simulate(cell, 5, seed=6)
    announced = judge_runs(runs).announced
    for run in range(5):
        expected = expected_traffic(past_of(runs, run), RULES, 0.05)
        need = next(
            n for n in announce(expected, RULES, (3.0,)) if n.stream == "5xx" and n.finding.startswith("3 times")
        )
        assert need.canary_requests == pytest.approx(announced[run], rel=0.03)  # the benchmark rounds the base rate
        assert (expected.phi["5xx"] > 3) == (disturbance == "bursts")


def test_nothing_is_announced_for_a_good_release() -> None:
    runs = simulate(GOOD[0], 2, seed=7)
    judged = judge_runs(runs)
    assert np.isnan(judged.announced).all()
    assert np.all(np.diff(judged.seen) >= 0)
    assert judged.seen[:, -1] == pytest.approx(runs.asked.sum(1))
    assert judged.against.shape == (2, HORIZON)
