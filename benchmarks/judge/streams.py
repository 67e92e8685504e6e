"""Seeded traffic of a release with its faults, and what CloudWatch shows of it and when.

Requests are Poisson; the answers of each minute are thinned into good, 5xx and 4xx, so that counts and requests belong
together. The stream under test is 5xx: it has the cell's effect. 4xx and slow requests run beside it at the cell's base
rate in both arms, since the judge watches all three at once. The disturbances:

- independent: nothing of what follows.
- common-mode: both arms' rates swing by half every hour and are 3 to 20 times higher for one or two spells of 5 to 20
  minutes, up to 30 % of requests. Over a base of 0 a spell has a rate of 2 %.
- bursts: errors come 3 to 10 at a time, on one target, and so in one arm and one zone; each is a request more. An
  outage needs no bursts: every request fails as it comes.
- lag: every datapoint (metric, target group, minute) comes 0 to 4 minutes late, each on its own.
- missing: 5 % of the minutes of each target group are lost whole, and 3 % lose their 5xx alone, for good; the newest
  minute shows 30 to 100 % of its counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from caretaker.releases.dispersion import WINDOW
from caretaker.releases.model import Rules

from benchmarks.judge.cells import DEAD, Cell
from benchmarks.judge.feed import NEVER, Feed, Floats, Ints, Series

HORIZON = 72
"""Minutes of a run: an hour, and the fifth more that a judge may need over the sample that it announced."""
ZONES = 3
PAST = WINDOW + Rules().settle
BURST_SIZES = (3, 10)
BURST_MEAN = 6.5
BURST_VARIANCE = 5.25
LATEST = 4
SPELL_LIMIT = 0.3
STREAMS = ("5xx", "4xx", "slow")


@dataclass(frozen=True)
class Counts:
    """Requests and, by stream, bad requests, of one target group or zone; shape (runs, minutes, ...)."""

    requests: Floats
    errors: dict[str, Floats]

    def counted(self, stream: str) -> Floats:
        """The bad requests of a stream, or `good` ones."""
        return self.requests - self.errors["5xx"] - self.errors["4xx"] if stream == "good" else self.errors[stream]

    def total(self) -> Counts:
        """The sum over zones (the last axis)."""
        return Counts(self.requests.sum(-1), {name: count.sum(-1) for name, count in self.errors.items()})


@dataclass(frozen=True)
class Shown:
    """What of one target group is shown when.

    Attributes:
        requests: RequestCount.
        good: HTTPCode_Target_2XX_Count (no 3XX here).
        errors: by stream; `slow` comes with its own count of requests, `timed`, in one datapoint.
        timed: SampleCount of TargetResponseTime.
    """

    requests: Series
    good: Series
    errors: dict[str, Series]
    timed: Series


@dataclass(frozen=True)
class Runs:
    """Seeded runs of one cell.

    Attributes:
        canary, baseline: what CloudWatch shows.
        served: 5xx that users got from the new revision while it has the canary's share; shape (runs, minutes).
        served_full: the same if all traffic went to it.
        zones: the baseline by zone, over the past and the horizon; shape (runs, PAST + HORIZON, ZONES).
        asked: requests to the canary, answered or not.
    """

    cell: Cell
    canary: Shown
    baseline: Shown
    served: Floats
    served_full: Floats
    zones: Counts
    asked: Floats

    @property
    def feed(self) -> Feed:
        """The stream under test, for the rivals: each watches just that, at its best."""
        return Feed(
            len(self.served),
            HORIZON,
            self.canary.requests,
            self.canary.errors["5xx"],
            self.baseline.requests,
            self.baseline.errors["5xx"],
        )


def simulate(cell: Cell, runs: int, seed: int, part: int = 0) -> Runs:
    """Runs of a cell; the same arguments give the same streams."""
    rng = np.random.default_rng([seed, cell.seed, part])
    factor, floor = _common(rng, cell, runs)
    common = cell.base * factor + floor
    base = np.minimum(common, SPELL_LIMIT)
    # What the limit takes from one arm it takes from the other: the effect stays what the cell says.
    limited = SPELL_LIMIT / np.maximum(common, SPELL_LIMIT)
    rate = np.minimum((cell.rate * factor + floor) * limited, 1.0) if cell.rate < 1 else np.ones_like(base)
    arriving = cell.rpm * (1 - cell.share) / ZONES
    past = _answers(
        rng, cell, np.full((runs, PAST, ZONES), cell.rpm / ZONES), np.float64(cell.base), np.float64(cell.base)
    )
    present = _answers(rng, cell, np.full((runs, HORIZON, ZONES), arriving), base[..., None], base[..., None])
    canary = _answers(rng, cell, np.full((runs, HORIZON), cell.rpm * cell.share), rate, base)
    baseline = present.total()
    zones = Counts(
        np.concatenate([past.requests, present.requests], axis=1),
        {name: np.concatenate([past.errors[name], present.errors[name]], axis=1) for name in STREAMS},
    )
    served = canary.errors["5xx"]
    seen = (
        Counts(np.zeros_like(served), dict.fromkeys(STREAMS, np.zeros_like(served))) if cell.effect == DEAD else canary
    )
    return Runs(
        cell,
        _shown(rng, cell, seen),
        _shown(rng, cell, baseline),
        served,
        served + baseline.requests * rate,
        zones,
        canary.requests,
    )


def _common(rng: np.random.Generator, cell: Cell, runs: int) -> tuple[Floats, Floats]:
    """By what both arms' rates are multiplied in each minute, and what is added to them."""
    factor = np.ones((runs, HORIZON))
    floor = np.zeros((runs, HORIZON))
    if cell.disturbance != "common-mode":
        return factor, floor
    minute = np.arange(HORIZON)
    factor *= 1 + 0.5 * np.sin(2 * np.pi * (minute / 60 + rng.random((runs, 1))))
    for _ in range(2):
        start = rng.integers(0, HORIZON, (runs, 1))
        spell = (minute >= start) & (minute < start + rng.integers(5, 21, (runs, 1)))
        factor = np.where(spell, factor * rng.uniform(3, 20, (runs, 1)), factor)
        floor = np.where(spell & (cell.base == 0), 0.02, floor)
    return factor, floor


def _answers(rng: np.random.Generator, cell: Cell, arriving: Floats, rate_5xx: Floats, rate: Floats) -> Counts:
    """Requests and bad requests at these mean requests a minute; `rate` holds for 4xx and slow."""
    rate_4xx = np.minimum(rate, 1 - rate_5xx)
    outage = np.min(rate_5xx) >= 1
    errors_5xx = rng.poisson(arriving).astype(float) if outage else _errors(rng, cell, arriving * rate_5xx)
    errors_4xx = _errors(rng, cell, arriving * rate_4xx)
    good = rng.poisson(arriving * np.maximum(0.0, 1 - rate_5xx - rate_4xx)).astype(float)
    requests = good + errors_5xx + errors_4xx
    if cell.disturbance == "bursts":
        slow = np.minimum(_errors(rng, cell, arriving * np.broadcast_to(rate, arriving.shape)), requests)
    else:
        # Slow requests are some of the requests: counts of their own would scatter more than the requests allow.
        slow = rng.binomial(requests.astype(np.int64), np.broadcast_to(rate, requests.shape)).astype(float)
    return Counts(requests, {"5xx": errors_5xx, "4xx": errors_4xx, "slow": slow})


def _errors(rng: np.random.Generator, cell: Cell, mean: Floats) -> Floats:
    if cell.disturbance != "bursts":
        return rng.poisson(mean).astype(float)
    bursts = rng.poisson(mean / BURST_MEAN)
    return _sum_of_bursts(rng, bursts)


def _sum_of_bursts(rng: np.random.Generator, bursts: Ints) -> Floats:
    """The errors of so many bursts: each of 3 to 10, all sizes alike; the sum of many is as good as normal."""
    low, high = BURST_SIZES
    flat = bursts.ravel()
    errors = np.zeros(flat.shape)
    few = np.flatnonzero((flat > 0) & (flat < 30))
    if few.size:
        owners = np.repeat(few, flat[few])
        np.add.at(errors, owners, rng.integers(low, high + 1, owners.size))
    many = np.flatnonzero(flat >= 30)
    if many.size:
        spread = np.sqrt(BURST_VARIANCE * flat[many])
        errors[many] = np.rint(rng.normal(BURST_MEAN * flat[many], spread))
    return errors.reshape(bursts.shape)


def _shown(rng: np.random.Generator, cell: Cell, counts: Counts) -> Shown:
    shape = counts.requests.shape
    on_time = np.broadcast_to(np.arange(1, HORIZON + 1), shape)
    lost = np.zeros(shape, dtype=bool)
    lost_5xx = np.zeros(shape, dtype=bool)
    part = np.ones(shape)
    if cell.disturbance == "missing":
        lost = rng.random(shape) < 0.05
        lost_5xx = rng.random(shape) < 0.03
        part = rng.uniform(0.3, 1.0, shape)

    def arrival(gone: np.ndarray) -> Ints:
        late = rng.integers(0, LATEST + 1, shape) if cell.disturbance == "lag" else 0
        return np.where(gone, NEVER, on_time + late)

    def first(count: Floats) -> Floats:
        return rng.binomial(count.astype(np.int64), part).astype(float) if cell.disturbance == "missing" else count

    good = counts.requests - counts.errors["5xx"] - counts.errors["4xx"]
    early = {name: first(value) for name, value in (("good", good), *counts.errors.items())}
    early_requests = early["good"] + early["5xx"] + early["4xx"]
    timed = arrival(lost)
    return Shown(
        Series(counts.requests, arrival(lost), early_requests),
        Series(good, arrival(lost), early["good"]),
        {
            "5xx": Series(counts.errors["5xx"], arrival(lost | lost_5xx), early["5xx"]),
            "4xx": Series(counts.errors["4xx"], arrival(lost), early["4xx"]),
            "slow": Series(counts.errors["slow"], timed, np.minimum(early["slow"], early_requests)),
        },
        Series(counts.requests, timed, early_requests),
    )
