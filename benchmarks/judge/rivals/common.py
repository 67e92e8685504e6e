"""What the ports of the rival judges share: the bad share of a minute, the watch over the looks, and the promotion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.feed import Calls, Feed, View

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

HOUR = 60
"""Minutes that a release bakes; a rival that has not rolled back by then promotes."""


def last_look(feed: Feed) -> int:
    """The look at which the bake ends: after an hour, or where a shorter feed ends."""
    return min(HOUR, feed.horizon)


def bad_share(requests: Floats, bad: Floats) -> Floats:
    """Bad requests per request of each minute (0 to 1), NaN where no requests are shown.

    CloudWatch leaves out a count of zero, so a missing error count next to requests is none.
    """
    share = np.full(requests.shape, np.nan)
    np.divide(np.nan_to_num(bad), requests, out=share, where=requests > 0)
    return share


def first_alarm(feed: Feed, looks: Iterable[int], alarm: Callable[[View], Bools]) -> Ints:
    """The first of the looks at which each run's alarm fires, 0 where it never does."""
    first = np.zeros(feed.runs, dtype=np.int64)
    for look in looks:
        first[(first == 0) & alarm(feed.at(look))] = look
    return first


def promote_at_end(feed: Feed, rollback: Ints) -> Calls:
    """Every run that was not rolled back gets all traffic when the bake ends."""
    return Calls(rollback=rollback, full=np.where(rollback == 0, last_look(feed), 0))
