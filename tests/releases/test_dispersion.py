"""The burst factor: what it is on average, and what it is allowed to know."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from caretaker.releases.counting import units
from caretaker.releases.dispersion import LARGEST, PRIOR_ERRORS, WINDOW, burst_factor, rolling_units, zone_scatter
from caretaker.releases.model import Minute, Zone
from hypothesis import given, settings
from hypothesis import strategies as st
from release_cases import STARTED, arm, history, minute, zoned

SETTLE = 5
REQUESTS = (500, 800, 650)
exact = settings(derandomize=True, deadline=None, max_examples=50)


def errors_of(rng: random.Random, sizes: range, each_minute: int) -> list[float]:
    """One minute's errors by zone: so many bursts of these sizes, each on one zone."""
    errors = [0.0] * len(REQUESTS)
    for _ in range(each_minute):
        zone = rng.choices(range(len(REQUESTS)), REQUESTS)[0]
        errors[zone] += rng.choice(sizes)
    return errors


def mean_factor(sizes: range, each_minute: int, seed: int, windows: int = 20) -> float:
    """Scatter over errors, over many windows."""
    rng = random.Random(seed)
    seen = [zone_scatter(REQUESTS, errors_of(rng, sizes, each_minute)) for _ in range(windows * WINDOW)]
    return sum(scatter for scatter, _ in seen) / sum(errors for _, errors in seen)


@pytest.mark.parametrize("each_minute", [2, 4, 15])
def test_independent_errors_have_a_factor_of_one(each_minute: int) -> None:
    assert mean_factor(range(1, 2), each_minute, seed=1) == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize(("sizes", "each_minute"), [(range(3, 11), 1), (range(3, 11), 4), (range(5, 6), 2)])
def test_bursts_have_the_factor_by_which_their_count_varies_more(sizes: range, each_minute: int) -> None:
    expected = sum(size**2 for size in sizes) / sum(sizes)
    assert mean_factor(sizes, each_minute, seed=2) == pytest.approx(expected, rel=0.12)


@exact
@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 40)), min_size=1, max_size=5))
def test_a_minute_says_nothing_or_something_positive(zones: list[tuple[int, int]]) -> None:
    requests = [float(count) for count, _ in zones]
    errors = [float(bad) if count else 0.0 for count, bad in zones]
    scatter, weight = zone_scatter(requests, errors)
    assert scatter >= -1e-6 * (1 + weight) ** 2
    tells = sum(errors) >= 2 and sum(count > 0 for count in requests) >= 2
    assert weight == (sum(errors) if tells else 0.0)


def test_one_burst_on_one_of_equal_zones_counts_its_size() -> None:
    assert zone_scatter([300, 300, 300], [7, 0, 0]) == pytest.approx((49.0, 7.0))
    assert zone_scatter([300, 300], [7, 0]) == pytest.approx((49.0, 7.0))


def test_a_factor_is_at_least_one_and_needs_more_than_two_errors() -> None:
    assert burst_factor(0.0, 0.0) == burst_factor(0.0, 500.0) == 1.0
    assert burst_factor(4.0, 2.0) < 1.5
    assert burst_factor(7_000.0, 1_000.0) == pytest.approx((7_000 + PRIOR_ERRORS) / (1_000 + PRIOR_ERRORS))


def window_of(at: int, first: int, length: int) -> set[int]:
    """The minutes of the past on which the unit of minute `at` depends."""
    quiet = [1.0] * length
    reference = rolling_units(quiet, quiet, first, SETTLE)
    seen = set()
    for index in range(length):
        scatter = list(quiet)
        scatter[index] = 10_000.0
        if rolling_units(scatter, quiet, first, SETTLE)[at - first] != reference[at - first]:
            seen.add(index)
    return seen


@pytest.mark.parametrize("at", [WINDOW + SETTLE, WINDOW + SETTLE + 1, WINDOW + SETTLE + 40])
def test_a_minute_is_judged_by_a_window_that_ended_before_its_metrics_could_be_late(at: int) -> None:
    assert window_of(at, WINDOW + SETTLE, WINDOW + SETTLE + 41) == set(range(at - SETTLE - WINDOW, at - SETTLE))


BURST = (Zone(700, 60, 60, 700, 60), Zone(700, 0, 0, 700, 0))
EVEN = (Zone(700, 5, 5, 700, 5), Zone(700, 5, 5, 700, 5))


def units_with_burst(at: int) -> list[float]:
    """The units of the release's first 20 minutes; minute `at` has a burst."""
    past = zoned(history([arm(1_400, 10, 10, 10)] * (WINDOW + SETTLE)), EVEN)
    present = zoned([minute(index, arm(70), arm(1_400, 10, 10, 10)) for index in range(20)], EVEN)
    every: list[Minute] = [replace(m, zones=BURST) if m.start == minute(at, arm(0), arm(0)).start else m
                           for m in (*past, *present)]  # fmt: skip
    before, during = every[: len(past)], every[len(past) :]
    return units(during, before, "slow", STARTED, SETTLE, 20)


@pytest.mark.parametrize("at", [0, 7, 14])
def test_a_burst_changes_the_price_of_later_minutes_only(at: int) -> None:
    unit = units_with_burst(at)
    assert unit[: at + SETTLE + 1] == [1.0] * (at + SETTLE + 1)
    assert all(one < 1.0 for one in unit[at + SETTLE + 1 :])


def test_a_burst_of_the_past_is_forgotten_after_the_window() -> None:
    oldest = -(WINDOW + SETTLE)
    assert units_with_burst(oldest)[0] < 1.0 == units_with_burst(oldest)[1]
    assert all(one < 1.0 for one in units_with_burst(-1)[SETTLE:])
    assert units_with_burst(-1)[SETTLE - 1] == 1.0


@pytest.mark.parametrize("stream", ["5xx", "4xx", "slow"])
def test_each_stream_has_its_own_factor(stream: str) -> None:
    bursts = {"5xx": (60, 0, 0), "4xx": (0, 60, 0), "slow": (0, 0, 60)}
    bad, refused, slow = bursts[stream]
    zones = (Zone(700, bad, refused, 700, slow), Zone(700, 0, 0, 700, 0))
    past = zoned(history([arm(1_400, bad, refused, slow)] * 30), zones)
    factors = {name: 1 / units((), past, name, STARTED, SETTLE, 1)[0] for name in ("5xx", "4xx", "slow")}
    assert factors.pop(stream) == LARGEST
    assert list(factors.values()) == [1.0, 1.0]


def test_a_zone_that_was_out_does_not_make_the_judge_blind() -> None:
    out = zoned(history([arm(9_000, 3_000)] * 10), (Zone(3_000, 3_000, 0), Zone(3_000), Zone(3_000)))
    unit = units((), out, "5xx", STARTED, SETTLE, 1)[0]
    assert 1 / unit == LARGEST
