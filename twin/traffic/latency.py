"""How long a target takes to answer: log-normal, drawn only when somebody asks for more than the number of answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from random import Random
from statistics import NormalDist

from twin.traffic.samplers import binomial

_NORMAL = NormalDist()
_P99 = _NORMAL.inv_cdf(0.99)
_FACTOR = math.log(1.1)
"""Width of a bucket: 10 %, as the CloudWatch agent's own value distribution has it."""
_FINE = 4
"""Values that stand for one bucket, so that percentiles do not move in steps of 10 %."""
_REACH = 4.5
"""Standard deviations on either side that are modelled."""
_FEW = 40


@dataclass(frozen=True)
class Latency:
    """A log-normal distribution. `median` in seconds; `sigma` is the standard deviation of the logarithm."""

    median: float
    sigma: float

    @classmethod
    def of(cls, median: float, p99: float) -> Latency:
        return cls(median, math.log(p99 / median) / _P99)

    @property
    def p99(self) -> float:
        return self.median * math.exp(self.sigma * _P99)

    def times(self, factor: float) -> Latency:
        return self if factor == 1 else Latency(self.median * factor, self.sigma)


@lru_cache(maxsize=256)
def _buckets(latency: Latency) -> tuple[tuple[int, float], ...]:
    """(number of the bucket, its probability given that no earlier one was hit)."""
    mean, sigma = math.log(latency.median), max(latency.sigma, 1e-6)
    first = math.floor((mean - _REACH * sigma) / _FACTOR)
    last = math.floor((mean + _REACH * sigma) / _FACTOR)
    edges = [0.0, *(_NORMAL.cdf((k * _FACTOR - mean) / sigma) for k in range(first + 1, last + 1)), 1.0]
    made = []
    for number, (low, high) in enumerate(pairwise(edges), start=first):
        left = 1.0 - low
        made.append((number, (high - low) / left if left > 0 else 1.0))
    return tuple(made)


@dataclass
class Answers:
    """The response times of `count` answers (a `twin.kernel.metrics.Spread`). Values follow from `seed` alone."""

    count: float
    latency: Latency
    seed: int
    _drawn: Mapping[float, float] | None = field(default=None, repr=False)

    def values(self) -> Mapping[float, float]:
        if self._drawn is None:
            rng = Random(self.seed)
            self._drawn = self._few(rng) if self.count <= _FEW else self._many(rng)
        return self._drawn

    def _few(self, rng: Random) -> dict[float, float]:
        drawn: dict[float, float] = {}
        for _ in range(int(self.count)):
            value = self.latency.median * math.exp(self.latency.sigma * rng.gauss(0.0, 1.0))
            drawn[value] = drawn.get(value, 0.0) + 1.0
        return drawn

    def _many(self, rng: Random) -> dict[float, float]:
        drawn: dict[float, float] = {}
        left = int(self.count)
        for number, probability in _buckets(self.latency):
            if not left:
                break
            hit = binomial(rng, left, probability)
            left -= hit
            if hit:
                for step in range(_FINE):
                    drawn[math.exp((number + (step + 0.5) / _FINE) * _FACTOR)] = hit / _FINE
        return drawn
