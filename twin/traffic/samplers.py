"""Random counts from the standard library's generator alone.

Counts are drawn exactly: small means by inversion, large ones by transformed rejection (Hörmann 1993: PTRS for Poisson,
BTRS for the binomial distribution).
"""

from __future__ import annotations

import math
from random import Random

_SMALL = 10.0
"""Below this mean inversion is faster, and the rejection methods are not valid."""


def poisson(rng: Random, mean: float) -> int:
    """A Poisson count; 0 for a mean of 0 or less."""
    if mean <= 0:
        return 0
    if mean < _SMALL:
        return _poisson_by_inversion(rng, mean)
    return _ptrs(rng, mean)


def _poisson_by_inversion(rng: Random, mean: float) -> int:
    left, count, term = rng.random(), 0, math.exp(-mean)
    while left > term and term > 0:
        left -= term
        count += 1
        term *= mean / count
    return count


def _ptrs(rng: Random, mean: float) -> int:
    root, log_mean = math.sqrt(mean), math.log(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    good = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = rng.random() - 0.5, 1.0 - rng.random()
        us = 0.5 - abs(u)
        if us <= 0:
            continue
        k = math.floor((2 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= good:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        if math.log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_mean - mean - math.lgamma(k + 1):
            return k


def binomial(rng: Random, n: int, p: float) -> int:
    """How many of `n` happen, each with probability `p` (taken as 0 below 0, as 1 above 1)."""
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - binomial(rng, n, 1 - p)
    if n * p < _SMALL:
        return _binomial_by_gaps(rng, n, p)
    return _btrs(rng, n, p)


def _binomial_by_gaps(rng: Random, n: int, p: float) -> int:
    """Jumps from one that happens to the next: as many draws as happen, and one."""
    logq = math.log1p(-p)
    count, position = 0, 0
    while True:
        position += int(math.log(1.0 - rng.random()) / logq) + 1
        if position > n:
            return count
        count += 1


def _btrs(rng: Random, n: int, p: float) -> int:
    spread = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    good = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    log_odds, mode = math.log(p / (1 - p)), math.floor((n + 1) * p)
    h = math.lgamma(mode + 1) + math.lgamma(n - mode + 1)
    while True:
        u, v = rng.random() - 0.5, 1.0 - rng.random()
        us = 0.5 - abs(u)
        if us <= 0:
            continue
        k = math.floor((2 * a / us + b) * u + c)
        if k < 0 or k > n:
            continue
        if us >= 0.07 and v <= good:
            return k
        accepted = h - math.lgamma(k + 1) - math.lgamma(n - k + 1) + (k - mode) * log_odds
        if math.log(v * alpha / (a / (us * us) + b)) <= accepted:
            return k


def shared_out(rng: Random, n: int, weights: list[float]) -> list[int]:
    """`n` things fallen into as many places as there are weights (a multinomial draw)."""
    left, total, made = n, math.fsum(weights), []
    for weight in weights:
        part = binomial(rng, left, weight / total) if total > 0 else 0
        made.append(part)
        left -= part
        total -= weight
    return made
