"""How long one look takes: three streams, the mirror and every check over a day of minutes, as the function does it."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

import numpy as np
from caretaker.releases.dispersion import WINDOW
from caretaker.releases.judge import Case, judge
from caretaker.releases.model import Arm, Minute, Rules, Zone

DAY = 1_440
LIMIT = 0.1
"""Seconds that one look may take."""


def _arm(rng: np.random.Generator, requests: int) -> Arm:
    """Errors in every minute and every stream, so that no minute is cheap."""
    bad, refused, slow = (1 + int(rng.binomial(requests, rate)) for rate in (0.005, 0.02, 0.01))
    return Arm(requests, requests - bad - refused, refused, bad, requests, slow, healthy=2)


def _minute(rng: np.random.Generator, start: datetime) -> Minute:
    zones = [_arm(rng, int(rng.integers(250, 350))) for _ in range(3)]
    sums = [
        sum(getattr(z, f) for z in zones) for f in ("requests", "good", "errors_4xx", "errors_5xx", "timed", "slow")
    ]
    by_zone = tuple(Zone(z.requests or 0, z.errors_5xx, z.errors_4xx, z.timed, z.slow) for z in zones)
    return Minute(start, _arm(rng, int(rng.integers(40, 60))), Arm(*sums, healthy=4), 0.05, by_zone)


def day(seed: int = 1) -> Case:
    """A release of a day, looked at when it ends."""
    rng = np.random.default_rng(seed)
    started = datetime(2026, 1, 2, tzinfo=UTC)
    one = timedelta(minutes=1)
    past = [_minute(rng, started - (k + 1) * one) for k in reversed(range(WINDOW + Rules().settle))]
    return Case([_minute(rng, started + k * one) for k in range(DAY)], past, started, started + DAY * one)


def seconds(repeats: int = 15) -> Sequence[float]:
    """The time of each look, fastest first."""
    case = day()
    rules = Rules(patience=DAY)
    # The function has none of the benchmark's own objects, which the collector would walk through at every look.
    gc.collect()
    gc.freeze()
    times = []
    for _ in range(repeats):
        begun = perf_counter()
        judge(case, rules)
        times.append(perf_counter() - begun)
    return sorted(times)


def sentence() -> tuple[str, bool]:
    """The figure in words, and whether it is within `LIMIT`."""
    times = seconds()
    typical = median(times)
    milliseconds = (
        f"{1000 * typical:.0f} ms (median of {len(times)}, fastest {1000 * times[0]:.0f}, limit {1000 * LIMIT:.0f})"
    )
    words = f"one look with three streams, mirror and checks over {DAY:,} minutes: {milliseconds}"
    return words, typical <= LIMIT
