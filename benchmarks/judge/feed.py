"""What a judge sees of a release: CloudWatch's datapoints as they arrive, late, partial or never."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
NEVER = 10_000
"""The look at which a lost datapoint arrives."""


@dataclass(frozen=True)
class View:
    """What CloudWatch shows at one look: arrays of shape (runs, look), NaN where no datapoint is visible.

    Attributes:
        n_c, x_c: requests and bad requests of the canary's target group, minute by minute.
        n_b, x_b: the same of the baseline's.
    """

    n_c: Floats
    x_c: Floats
    n_b: Floats
    x_b: Floats


@dataclass(frozen=True)
class Calls:
    """What a judge did in each run.

    Attributes:
        rollback: the look at which it rolled back; 0 is never.
        full: the look from which all traffic went to the new revision; 0 is never.
    """

    rollback: Ints
    full: Ints


@dataclass(frozen=True)
class Series:
    """One metric of one target group over the horizon; arrays of shape (runs, minutes).

    Attributes:
        final: its value in the end.
        arrival: the look at which it is there (a look is at the end of each minute, counted from 1).
        first: its value at the first look, if that is only a part of it; else the same as `final`.
    """

    final: Floats
    arrival: Ints
    first: Floats

    def at(self, look: int) -> Floats:
        """What is shown at a look; CloudWatch has no datapoint for a zero."""
        shown = self.final[:, :look].copy()
        shown[:, look - 1] = self.first[:, look - 1]
        shown[(self.arrival[:, :look] > look) | (shown == 0)] = np.nan
        return shown


@dataclass(frozen=True)
class Feed:
    """The stream under test as every rival sees it."""

    runs: int
    horizon: int
    requests_c: Series
    errors_c: Series
    requests_b: Series
    errors_b: Series

    def at(self, look: int) -> View:
        """What CloudWatch shows at the end of minute `look` (1 to horizon)."""
        return View(*(s.at(look) for s in (self.requests_c, self.errors_c, self.requests_b, self.errors_b)))
