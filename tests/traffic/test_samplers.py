"""Counts have the moments and the shape that they should have."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest

from twin.traffic.latency import Answers, Latency
from twin.traffic.samplers import binomial, poisson, shared_out

DRAWS = 20_000


def moments(values: list[int]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / len(values)


@pytest.mark.parametrize("mean", [0.02, 0.7, 3.0, 9.9, 10.1, 40.0, 6_000.0])
def test_poisson_has_its_moments(mean: float) -> None:
    rng = Random(1)
    found, variance = moments([poisson(rng, mean) for _ in range(DRAWS)])
    assert found == pytest.approx(mean, abs=4 * math.sqrt(mean / DRAWS))
    assert variance == pytest.approx(mean, rel=0.05 + 4 / math.sqrt(DRAWS * mean))


@pytest.mark.parametrize(
    ("n", "p"), [(1, 0.5), (20, 0.3), (100, 0.02), (100, 0.5), (500, 0.97), (6_000, 0.005), (6_000, 0.4)]
)
def test_binomial_has_its_moments(n: int, p: float) -> None:
    rng = Random(2)
    found, variance = moments([binomial(rng, n, p) for _ in range(DRAWS)])
    assert found == pytest.approx(n * p, abs=4 * math.sqrt(n * p * (1 - p) / DRAWS))
    assert variance == pytest.approx(n * p * (1 - p), rel=0.05)


@pytest.mark.parametrize("mean", [4.0, 12.0])
def test_poisson_has_its_probabilities(mean: float) -> None:
    rng = Random(3)
    counts = Counter(poisson(rng, mean) for _ in range(DRAWS))
    for count in range(int(mean * 2)):
        expected = math.exp(-mean + count * math.log(mean) - math.lgamma(count + 1))
        assert counts[count] / DRAWS == pytest.approx(expected, abs=4 * math.sqrt(expected / DRAWS))


@pytest.mark.parametrize(("n", "p"), [(8, 0.3), (60, 0.4)])
def test_binomial_has_its_probabilities(n: int, p: float) -> None:
    rng = Random(4)
    counts = Counter(binomial(rng, n, p) for _ in range(DRAWS))
    for count in range(n + 1):
        expected = math.comb(n, count) * p**count * (1 - p) ** (n - count)
        assert counts[count] / DRAWS == pytest.approx(expected, abs=4 * math.sqrt(expected / DRAWS) + 2 / DRAWS)


def test_the_edges() -> None:
    rng = Random(5)
    assert [poisson(rng, mean) for mean in (0.0, -1.0)] == [0, 0]
    assert [binomial(rng, 7, p) for p in (-0.1, 0.0, 1.0, 1.2)] == [0, 0, 7, 7]
    assert binomial(rng, 0, 0.5) == 0


def test_things_shared_out_are_all_there() -> None:
    rng = Random(6)
    drawn = [shared_out(rng, 1_000, [1.0, 0.0, 3.0]) for _ in range(200)]
    assert all(sum(parts) == 1_000 and parts[1] == 0 for parts in drawn)
    assert sum(parts[0] for parts in drawn) / 200 == pytest.approx(250, abs=5)


@pytest.mark.parametrize("count", [30, 20_000])
def test_response_times_are_log_normal(count: int) -> None:
    answers = [Answers(count, Latency.of(0.1, 0.6), seed) for seed in range(40)]
    drawn = sorted((value, number) for each in answers for value, number in each.values().items())
    whole = sum(number for _, number in drawn)
    assert whole == pytest.approx(40 * count)

    def percentile(share: float) -> float:
        passed = 0.0
        for value, number in drawn:
            passed += number
            if passed >= share * whole:
                return value
        raise AssertionError

    assert percentile(0.5) == pytest.approx(0.1, rel=0.1)
    assert percentile(0.99) == pytest.approx(0.6, rel=0.35 if count == 30 else 0.05)


def test_response_times_follow_their_seed_and_are_drawn_once() -> None:
    one, other = (Answers(500, Latency.of(0.1, 0.5), 9) for _ in range(2))
    assert one.values() == other.values()
    assert one.values() is one.values()
