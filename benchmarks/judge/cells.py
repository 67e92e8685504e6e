"""The grid: traffic, base rate, effect, share of requests and disturbance."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace
from typing import Literal

Disturbance = Literal["independent", "common-mode", "bursts", "lag", "missing"]
DISTURBANCES: tuple[Disturbance, ...] = ("independent", "common-mode", "bursts", "lag", "missing")
REQUESTS = (20.0, 1_200.0, 60_000.0)
BASES = (0.0, 0.001, 0.005, 0.02, 0.1)
RATIOS = ("1.5x", "2x", "3x", "5x", "20x")
RATES = ("0.1%", "0.5%", "1%", "5%", "20%")
SHARES = (0.01, 0.05, 0.25)
NULL, OUTAGE, DEAD = "none", "outage", "dead"


@dataclass(frozen=True)
class Cell:
    """One case of the grid.

    Attributes:
        rpm: requests per minute of both arms together.
        base: the baseline's rate of bad requests, 0 to 1.
        effect: `none`; a ratio to the base rate such as `3x`; an absolute rate such as `5%`; `outage`, where every
            canary request fails with a 5xx; `dead`, where the canary's targets answer nothing and nothing is shown.
        share: the canary's share of requests, 0 to 1.
        disturbance: what makes the streams unlike independent requests that are seen at once (see `streams`).
    """

    rpm: float
    base: float
    effect: str
    share: float
    disturbance: Disturbance

    def __post_init__(self) -> None:
        """ValueError names the field that is out of range."""
        if self.disturbance not in DISTURBANCES:
            raise ValueError(f"disturbance must be one of {', '.join(DISTURBANCES)}, not {self.disturbance!r}")
        if not 0 < self.rpm <= 1e6:
            raise ValueError(f"rpm must be above 0 and at most 1,000,000, not {self.rpm:g}")
        if not 0 <= self.base < 1:
            raise ValueError(f"base must be from 0 to below 1, not {self.base:g}")
        if not 0 < self.share < 1:
            raise ValueError(f"share must be between 0 and 1, not {self.share:g}")
        if not self.is_null and not self.base < self.rate <= 1:
            raise ValueError(f"effect {self.effect!r} is not above the base rate {self.base:g}, or above every request")

    @property
    def rate(self) -> float:
        """The canary's rate of bad requests, 0 to 1."""
        if self.effect == NULL:
            return self.base
        if self.effect in (OUTAGE, DEAD):
            return 1.0
        try:
            if self.effect.endswith("x"):
                rate = self.base * float(self.effect[:-1])
                return 1.0 if rate > 1 else rate  # not min(): what is not a number must stay so, to be refused
            if self.effect.endswith("%"):
                return float(self.effect[:-1]) / 100
        except ValueError:
            pass
        raise ValueError(f"effect must be none, outage, dead, a ratio (3x) or a rate (5%), not {self.effect!r}")

    @property
    def null(self) -> Cell:
        """The same case with a good release."""
        return replace(self, effect=NULL)

    @property
    def is_null(self) -> bool:
        """Whether the release is good."""
        return self.effect == NULL

    @property
    def is_bad(self) -> bool:
        """Whether a promotion of it is a mistake by the judge's own default rules: three times the base, and 0.25 %."""
        return not self.is_null and self.rate >= max(3 * self.base - 1e-12, 0.0025)

    @property
    def name(self) -> str:
        """For tables."""
        share = f"{100 * self.share:g}%"
        return f"{self.rpm:g} rpm, base {self.base:.3%}, {self.effect}, share {share}, {self.disturbance}"

    @property
    def seed(self) -> int:
        """A number of its own for each cell, so that a cell's streams do not depend on which others are run."""
        return zlib.crc32(self.name.encode())


def effects(base: float) -> tuple[str, ...]:
    """The effects that make sense over a base rate."""
    if base == 0:
        return (NULL, *RATES, OUTAGE, DEAD)
    below = tuple(ratio for ratio in RATIOS if base * float(ratio[:-1]) < 1)
    return (NULL, *below, OUTAGE, DEAD)


def full_grid() -> list[Cell]:
    """Every cell."""
    return [
        Cell(rpm, base, effect, share, disturbance)
        for rpm, base, share, disturbance in itertools.product(REQUESTS, BASES, SHARES, DISTURBANCES)
        for effect in effects(base)
    ]


def quick_grid() -> list[Cell]:
    """A part of the grid that touches every value of every side at least once."""
    corners: tuple[tuple[float, float, float, Disturbance], ...] = (
        (20, 0.1, 0.25, "independent"),
        (1_200, 0.0, 0.05, "independent"),
        (1_200, 0.1, 0.05, "lag"),
        (1_200, 0.005, 0.05, "independent"),
        (1_200, 0.001, 0.25, "bursts"),
        (1_200, 0.02, 0.01, "missing"),
        (1_200, 0.005, 0.05, "lag"),
        (1_200, 0.02, 0.05, "common-mode"),
        (60_000, 0.005, 0.05, "independent"),
        (60_000, 0.02, 0.25, "bursts"),
        (60_000, 0.001, 0.01, "independent"),
    )
    return [
        Cell(rpm, base, effect, share, disturbance)
        for rpm, base, share, disturbance in corners
        for effect in effects(base)
    ]
