"""The sample that is announced: whether it suffices in the real test, and what it depends on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from caretaker.releases.counting import Row, fold
from caretaker.releases.model import Rules, StreamRule
from caretaker.releases.sample import (
    Need,
    Traffic,
    announce,
    log_for,
    poisson_cdf,
    requests_to_acquit,
    requests_to_convict,
)
from caretaker.releases.sequential import better_than, log_wealth, worse_than
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

RULES = Rules()
LINE = -math.log(RULES.alpha * RULES.streams["5xx"].capital)
RUNS = 150
ONLY = StreamRule(0.5)


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.integers(-1, 400), st.floats(0.01, 2_000))
def test_poisson_probabilities_are_those_of_the_books(count: int, mean: float) -> None:
    assert poisson_cdf(count, mean) == pytest.approx(stats.poisson.cdf(count, mean), abs=1e-9 if mean <= 200 else 2e-4)


@pytest.mark.parametrize("mean", [150.0, 250.0, 1e4, 1e6])
def test_poisson_probabilities_hold_far_from_the_mean(mean: float) -> None:
    for z in (-4, -2, -0.5, 0, 0.5, 2, 4):
        count = int(mean + z * math.sqrt(mean))
        assert poisson_cdf(count, mean) == pytest.approx(stats.poisson.cdf(count, mean), abs=2e-4)


def found_within(base: float, ratio: float, share: float, requests: float, minutes: int) -> float:
    """How often the real test convicts by the time the canary has had so many requests, looked at every minute."""
    rng = np.random.default_rng(5)
    bets, canary = worse_than(1.0), requests / minutes
    baseline = canary * (1 - share) / share
    found = 0
    for _ in range(RUNS):
        x_c, x_b = rng.poisson(canary * base * ratio, minutes), rng.poisson(baseline * base, minutes)
        rows = [
            Row(at, canary, float(bad), baseline, float(others))
            for at, (bad, others) in enumerate(zip(x_c, x_b, strict=True))
        ]
        looks = range(5, minutes + 1, 5)
        found += any(log_wealth(fold(rows[:look], bets, look), bets.log_prior) >= LINE for look in looks)
    return found / RUNS


@pytest.mark.parametrize(
    ("base", "ratio", "share"), [(0.005, 3.0, 0.05), (0.005, 1.5, 0.25), (0.1, 2.0, 0.01), (0.001, 20.0, 0.05)]
)
def test_the_announced_sample_finds_what_it_says_in_nine_of_ten_releases(
    base: float, ratio: float, share: float
) -> None:
    need = requests_to_convict(base, ratio, share, 1.0, LINE)
    assert need is not None
    assert found_within(base, ratio, share, 1.2 * need, 40) >= 0.9
    assert found_within(base, ratio, share, 0.4 * need, 40) < 0.9


def test_a_good_release_is_acquitted_by_its_announced_sample() -> None:
    rng = np.random.default_rng(6)
    for base, share in ((0.005, 0.05), (0.02, 0.25), (0.0002, 0.05)):
        need = requests_to_acquit(base, share, 1.0, -math.log(0.01), ONLY)
        assert need is not None
        acquitted = {1.2: 0, 0.4: 0}
        for part in acquitted:
            mean = part * need * base
            for _ in range(RUNS):
                errors, others = float(rng.poisson(mean)), float(rng.poisson(mean * (1 - share) / share))
                grown = log_for(part * need, errors, share, others, better_than(ONLY.bad), ONLY.ignorable)
                acquitted[part] += grown >= -math.log(0.01)
        assert acquitted[1.2] >= 0.85 * RUNS > acquitted[0.4]


def test_a_smaller_effect_takes_more() -> None:
    needs = [requests_to_convict(0.005, ratio, 0.05, 1.0, LINE) for ratio in (1.5, 2.0, 3.0, 5.0, 20.0, math.inf)]
    known = [need for need in needs if need is not None]
    assert len(known) == len(needs)
    assert known == sorted(known, reverse=True)
    assert known[0] > 10 * known[2]


@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.sampled_from([0.001, 0.005, 0.02]), st.sampled_from([2.0, 3.0, 5.0]), st.floats(1.1, 9.0))
def test_bursts_and_rarer_errors_take_as_many_times_more(base: float, ratio: float, factor: float) -> None:
    usual = requests_to_convict(base, ratio, 0.05, 1.0, LINE)
    assert usual is not None
    assert requests_to_convict(base, ratio, 0.05, factor, LINE) == pytest.approx(factor * usual)
    assert requests_to_convict(base / factor, ratio, 0.05, 1.0, LINE) == pytest.approx(factor * usual)


def test_a_stricter_line_and_a_larger_tolerance_take_more_and_what_is_tolerated_is_never_found() -> None:
    usual = requests_to_convict(0.005, 3.0, 0.05, 1.0, LINE)
    strict = requests_to_convict(0.005, 3.0, 0.05, 1.0, LINE + 5)
    tolerant = requests_to_convict(0.005, 3.0, 0.05, 1.0, LINE, tolerated=2.0)
    assert usual is not None
    assert strict is not None
    assert tolerant is not None
    assert tolerant > strict > usual
    assert requests_to_convict(0.005, 1.5, 0.05, 1.0, LINE, tolerated=1.5) is None
    assert requests_to_convict(0.005, 1.0, 0.05, 1.0, LINE) is None


@pytest.mark.parametrize("base", [0.0, 0.005])
def test_an_outage_takes_a_handful_of_requests(base: float) -> None:
    need = requests_to_convict(base, math.inf, 0.05, 1.0, LINE)
    assert need is not None
    assert 2 <= need <= 12


def test_what_is_announced_is_said_in_requests_and_in_time() -> None:
    needs = announce(Traffic(1_200, 0.05, {"5xx": 0.005}, {}), RULES)
    words = [need.words for need in needs]
    assert [need.finding for need in needs if need.stream == "5xx"] == [
        "2 times the baseline's 0.500%", "3 times the baseline's 0.500%", "5 times the baseline's 0.500%", "an outage",
        "a promotion",
    ]  # fmt: skip
    third = next(need for need in needs if need.finding.startswith("3 times"))
    assert third.canary_requests is not None
    assert third.minutes is not None
    assert third.minutes == pytest.approx(third.canary_requests / 60)
    assert third.words == (
        f"5xx: 3 times the baseline's 0.500% takes {third.canary_requests:,.0f} canary requests "
        f"({math.ceil(third.minutes)} min)"
    )
    assert [need.finding for need in needs if need.stream == "4xx"] == ["an outage", "a promotion"]
    assert all(one.startswith(("5xx: ", "4xx: ", "slow: ")) for one in words)


@pytest.mark.parametrize(
    ("minutes", "span"), [(0.2, "1 min"), (89.0, "89 min"), (90.0, "1.5 h"), (71 * 60.0, "71.0 h"), (7_200.0, "5 days")]
)
def test_spans_are_said_as_people_say_them(minutes: float, span: str) -> None:
    words = Need("5xx", "an outage", 900.0, minutes).words
    assert words == f"5xx: an outage takes 900 canary requests ({span})"


def test_without_traffic_nothing_can_be_told() -> None:
    assert Need("slow", "a promotion", None, None).words == "slow: a promotion cannot be told at this share"
    for need in announce(Traffic(0.0, 0.05, {"5xx": 0.005}, {}), RULES):
        assert need.minutes is None
        assert need.words.endswith(" canary requests (without traffic so far)")
