"""What the theory promises, by enumeration of everything that can happen: no simulation, and no tolerance but rounding.

Under the null no bet gains on average, however its capital is split, moved to later stretches or spread over streams.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import pytest
from caretaker.releases.checks import FAILING, TOO_FEW, TOO_MANY
from caretaker.releases.counting import Row, fold
from caretaker.releases.judge import judge
from caretaker.releases.model import Rules
from caretaker.releases.sample import RARER, RARER_SHARES, acquittal
from caretaker.releases.sequential import (
    LATE_EVERY,
    Bets,
    better_than,
    entering,
    log_capital,
    log_mixture,
    log_rarity,
    log_unspent,
    log_wealth,
    worse_than,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from release_cases import arm, case, gains, release

EXACT = settings(derandomize=True, deadline=None, max_examples=60)
ROUNDING = 1e-9
counts = st.integers(1, 5_000)
side_of_null = st.sampled_from([1.0, 0.9, 0.5, 0.1, 0.0])
bursts = st.sampled_from([1.0, 1.3, 2.0, 7.5])


@lru_cache(maxsize=100_000)
def binomial(count: int, total: int, rate: float) -> float:
    """The probability of `count` of `total`."""
    return math.comb(total, count) * rate**count * (1 - rate) ** (total - count)


def canary_part(rho: float, canary: float, baseline: float) -> float:
    """The canary's part of the errors where its rate is `rho` times the baseline's."""
    return rho * canary / (rho * canary + baseline)


def multiples(canary: float, errors: int, baseline: float, others: int, phi: float, bets: Bets) -> list[float]:
    """What one minute multiplies each bet by."""
    return [math.exp(gain) for gain in gains(bets, canary, errors, baseline, others, phi)]


def means(canary: int, baseline: int, total: int, rho: float, phi: float, bets: Bets) -> list[float]:
    """The mean of what a minute multiplies each bet by, given its errors in both arms together."""
    result = [0.0] * len(bets.logs)
    for errors in range(total + 1):
        chance = binomial(errors, total, canary_part(rho, canary, baseline))
        gained = multiples(canary, errors, baseline, total - errors, phi, bets)
        result = [mean + chance * gain for mean, gain in zip(result, gained, strict=True)]
    return result


@EXACT
@given(counts, counts, st.integers(0, 30), st.sampled_from([0.5, 1.0, 1.5, 2.0]), side_of_null, bursts)
def test_no_bet_against_a_canary_gains_on_average_while_it_is_tolerated(
    canary: int, baseline: int, total: int, null: float, part: float, phi: float
) -> None:
    gained = means(canary, baseline, total, null * part, phi, worse_than(null))
    assert max(gained) <= 1 + ROUNDING
    if part == phi == 1:
        assert gained == pytest.approx([1.0] * len(gained), abs=ROUNDING)


@EXACT
@given(counts, counts, st.integers(0, 30), st.sampled_from([2.0, 3.0, 10.0]), side_of_null, bursts)
def test_no_bet_for_a_canary_gains_on_average_while_it_is_bad(
    canary: int, baseline: int, total: int, bad: float, part: float, phi: float
) -> None:
    rho = bad / part if part else 1e9
    gained = means(canary, baseline, total, rho, phi, better_than(bad))
    assert max(gained) <= 1 + ROUNDING
    if part == phi == 1:
        assert gained == pytest.approx([1.0] * len(gained), abs=ROUNDING)


@EXACT
@given(st.floats(0.005, 0.5), st.integers(0, 60), st.sampled_from([1.0, 1.5, 4.0]), bursts)
def test_no_bet_on_the_share_of_requests_gains_on_average_within_its_limits(
    weight: float, total: int, beyond: float, phi: float
) -> None:
    for bets, rho in ((TOO_FEW, TOO_FEW.null * beyond), (TOO_MANY, TOO_MANY.null / beyond)):
        gained = [0.0] * len(bets.logs)
        for requests in range(total + 1):
            chance = binomial(requests, total, canary_part(rho, weight, 1 - weight))
            more = multiples(weight, requests, 1 - weight, total - requests, phi, bets)
            gained = [mean + chance * gain for mean, gain in zip(gained, more, strict=True)]
        assert max(gained) <= 1 + ROUNDING


@settings(EXACT, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.floats(0.01, 0.6), st.sampled_from([1.0, 1.5]), bursts)
def test_arms_of_few_requests_that_fail_often_are_safe_too(
    canary: int, baseline: int, rate: float, null: float, phi: float
) -> None:
    """Errors of a fixed number of requests are binomial in each arm, hypergeometric given their total."""
    for bets, rho in ((worse_than(null), null), (better_than(3.0), 3.0), (FAILING, FAILING.null)):
        canary_rate = min(1.0, rate * rho)
        gained = [0.0] * len(bets.logs)
        for errors, others in itertools.product(range(canary + 1), range(baseline + 1)):
            chance = binomial(errors, canary, canary_rate) * binomial(others, baseline, canary_rate / rho)
            more = multiples(canary, errors, baseline, others, phi, bets)
            gained = [mean + chance * gain for mean, gain in zip(gained, more, strict=True)]
        assert max(gained) <= 1 + ROUNDING


@EXACT
@given(st.integers(2, 24), st.integers(1, 24), st.integers(1, 20), bursts)
def test_given_the_total_of_equal_arms_the_hypergeometric_canary_gains_nothing(
    canary: int, baseline: int, total: int, phi: float
) -> None:
    total = min(total, canary + baseline)
    bets = worse_than(1.0)
    gained = [0.0] * len(bets.logs)
    for errors in range(max(0, total - baseline), min(canary, total) + 1):
        chance = math.comb(canary, errors) * math.comb(baseline, total - errors) / math.comb(canary + baseline, total)
        more = multiples(canary, errors, baseline, total - errors, phi, bets)
        gained = [mean + chance * gain for mean, gain in zip(gained, more, strict=True)]
    assert max(gained) <= 1 + ROUNDING


@EXACT
@given(st.integers(1, 400), st.floats(0.001, 0.4), st.sampled_from([1.0, 1.2, 2.0]), bursts)
def test_no_bet_on_a_low_rate_gains_on_average_while_the_rate_is_not_low(
    requests: int, ignorable: float, part: float, phi: float
) -> None:
    bets = [share * ignorable for share in RARER]
    means = [0.0] * len(bets)
    for errors in range(requests + 1):
        chance = binomial(errors, requests, ignorable * part)
        gained = log_rarity(requests, errors, 1 / phi, ignorable, bets)
        means = [mean + chance * math.exp(gain) for mean, gain in zip(means, gained, strict=True)]
    assert max(means) <= 1 + 1e-7
    if part == phi == 1:
        assert means == pytest.approx([1.0] * len(means), abs=1e-7)


@pytest.mark.parametrize("bets", [worse_than(1.0), worse_than(1.5), better_than(3.0), FAILING, TOO_FEW, TOO_MANY])
def test_shares_of_capital_sum_to_one(bets: Bets) -> None:
    assert sum(map(math.exp, bets.log_prior)) == pytest.approx(1.0)


@settings(EXACT, max_examples=30)
@given(st.integers(1, 300))
def test_what_is_bet_and_what_is_kept_sum_to_one_at_any_number_of_stretches(stretches: int) -> None:
    bet = sum(math.exp(log_capital(start)) for start in range(stretches))
    assert bet + math.exp(log_unspent(stretches)) == pytest.approx(1.0)
    prior = worse_than(1.0).log_prior
    assert log_wealth([[0.0] * len(prior)] * stretches, prior) == pytest.approx(0.0, abs=ROUNDING)


def outcomes(tree: Sequence[Row], rho: float) -> Iterator[tuple[float, list[Row]]]:
    """Everything that can happen in these minutes, given their errors in both arms together, and how likely it is."""
    totals = [int(row.canary_errors + row.baseline_errors) for row in tree]
    for errors in itertools.product(*(range(total + 1) for total in totals)):
        chance = 1.0
        rows = []
        for row, total, bad in zip(tree, totals, errors, strict=True):
            chance *= binomial(bad, total, canary_part(rho, row.canary_requests, row.baseline_requests))
            rows.append(row._replace(canary_errors=bad, baseline_errors=total - bad))
        yield chance, rows


minutes_of_a_tree = st.lists(
    st.builds(Row, st.integers(0, 35), counts, st.integers(0, 1), counts, st.integers(0, 2), st.just(1.0)),
    min_size=1,
    max_size=4,
    unique_by=lambda row: row.minute,
).map(lambda rows: sorted(rows, key=lambda row: row.minute))


@settings(EXACT, max_examples=25)
@given(minutes_of_a_tree, st.sampled_from([1.0, 1.5]), st.sampled_from([1.0, 0.5]), st.sampled_from([1.0, 3.0]))
def test_the_whole_wealth_gains_nothing_over_all_stretches_and_its_crossings_are_rare(
    tree: list[Row], null: float, part: float, phi: float
) -> None:
    bets = worse_than(null)
    tree = [row._replace(unit=1 / phi) for row in tree]
    looks = [LATE_EVERY * stretch for stretch in range(1, 5)]
    mean = dict.fromkeys(looks, 0.0)
    crossed = 0.0
    for chance, rows in outcomes(tree, null * part):
        wealths = []
        for look in looks:
            shown = [row for row in rows if row.minute < look]
            wealths.append(math.exp(log_wealth(fold(shown, bets, look), bets.log_prior)))
            mean[look] += chance * wealths[-1]
        crossed += chance * (max(wealths) >= 3.0)
    assert max(mean.values()) <= 1 + ROUNDING
    assert crossed <= 1 / 3
    if part == phi == 1:
        assert list(mean.values()) == pytest.approx([1.0] * len(looks), abs=ROUNDING)


@settings(EXACT, max_examples=25)
@given(minutes_of_a_tree, st.permutations(range(4)))
def test_late_minutes_count_the_same_in_whatever_order_they_come(tree: list[Row], order: list[int]) -> None:
    bets = worse_than(1.0)
    late = [tree[at] for at in order if at < len(tree)]
    assert log_wealth(fold(late, bets, 40), bets.log_prior) == pytest.approx(
        log_wealth(fold(tree, bets, 40), bets.log_prior), abs=ROUNDING
    )


@settings(EXACT, max_examples=25)
@given(minutes_of_a_tree, st.permutations(range(4)))
def test_the_wealth_gains_nothing_at_any_moment_while_minutes_come_in_out_of_order(
    tree: list[Row], order: list[int]
) -> None:
    bets = worse_than(1.0)
    arriving = [at for at in order if at < len(tree)]
    mean = [0.0] * (len(arriving) + 1)
    for chance, rows in outcomes(tree, 1.0):
        for known in range(len(arriving) + 1):
            shown = [rows[at] for at in arriving[:known]]
            mean[known] += chance * math.exp(log_wealth(fold(shown, bets, 40), bets.log_prior))
    assert mean == pytest.approx([1.0] * len(mean), abs=ROUNDING)


def test_a_bet_is_carried_through_the_stretches_beside_the_fresh_ones() -> None:
    carried = entering([0.5, -0.5], 3)
    fresh = math.exp(log_capital(3))
    assert [math.exp(one) for one in carried] == pytest.approx([math.exp(0.5) + fresh, math.exp(-0.5) + fresh])
    slow = [[0.3, -0.2], [1.0, -0.4], [-0.7, 0.9]]
    prior = [math.log(0.4), math.log(0.6)]
    wealth = math.exp(log_unspent(3))
    for start in range(3):
        gained = [sum(column) for column in zip(*slow[start:], strict=True)]
        wealth += math.exp(log_capital(start) + log_mixture(gained, prior))
    assert log_wealth(slow, prior) == pytest.approx(math.log(wealth))


def test_three_streams_that_fail_together_share_one_fair_line() -> None:
    """The same requests are slow, fail with 5xx and have 4xx beside them: dependence costs the common line nothing."""
    canary, baseline, rules = 40, 200, Rules()
    mean, streams, crossed = 0.0, 0.0, 0.0
    for errors in itertools.product(range(3), repeat=3):
        chance = math.prod(binomial(bad, 2, canary_part(1.0, canary, baseline)) for bad in errors)
        arms = [(arm(canary, bad, bad, bad), arm(baseline, 2 - bad, 2 - bad, 2 - bad)) for bad in errors]
        verdict = judge(case(release(arms)), rules)
        wealth = math.exp(verdict.log_against)
        mean += chance * wealth
        streams += chance * sum(rules.streams[one.name].capital * math.exp(one.log_against) for one in verdict.streams)
        crossed += chance * (wealth >= 4)
    assert streams == pytest.approx(sum(rule.capital for rule in rules.streams.values()), abs=ROUNDING)
    assert mean <= 1 + ROUNDING
    assert 0 < crossed <= 1 / 4


@settings(EXACT, max_examples=20)
@given(st.integers(10, 150), st.integers(10, 150), st.sampled_from([0.01, 0.05, 0.2]), st.sampled_from([1.0, 2.0]))
def test_a_bad_release_is_not_acquitted_on_average(canary: int, baseline: int, ignorable: float, phi: float) -> None:
    """Both ways to acquit have a mean of at most 1 on their null's boundary, and so has `acquittal`."""
    bets, mean = better_than(3.0), 0.0
    parts = [share * ignorable for share in RARER]
    most = round(ignorable * canary + 8 * math.sqrt(ignorable * canary) + 6)
    for errors in range(min(canary, most) + 1):
        for others in range(min(baseline, 12 + most // 3) + 1):
            chance = binomial(errors, canary, ignorable) * binomial(others, baseline, ignorable / 3)
            gained = gains(bets, canary, errors, baseline, others, phi)
            rare = log_rarity(canary, errors, 1 / phi, ignorable, parts)
            mean += chance * math.exp(acquittal(gained, bets.log_prior, rare))
    assert sum(RARER_SHARES) == pytest.approx(1.0)
    assert mean <= 1 + 1e-6
