"""A fixed-sample test that is looked at every minute: what a team writes that has read about significance once.

Source: the one-sided comparison of two proportions at alpha .01 (Fisher, Statistical Methods for Research Workers,
1934), run again at each look on all counts so far, without a correction for the looks.

Fisher's exact test, at all sizes: a canary of 5 % has a handful of errors in its first minutes, where the z test's real
level is several times alpha, and that would blame the looks for what the approximation does. Exact is the test's best
case; where counts are large the two agree.

Chosen: only minutes in which both arms show requests are counted, so that a late datapoint of one arm does not compare
different times.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from benchmarks.judge.feed import Calls, Feed, View
from benchmarks.judge.rivals.common import Bools, Floats, first_alarm, last_look, promote_at_end

ALPHA = 0.01


@cache
def log_factorials(bits: int) -> Floats:
    """Natural logarithms of 0! up to (2^bits - 1)!."""
    numbers = np.arange(2**bits, dtype=np.float64)
    return np.cumsum(np.log(np.maximum(numbers, 1)))


def log_choose(items: Floats, chosen: Floats) -> Floats:
    """Natural logarithm of the number of ways to choose; whole numbers."""
    table = log_factorials(int(items.max(initial=1)).bit_length())
    some, all_items = chosen.astype(np.int64), items.astype(np.int64)
    ways: Floats = table[all_items] - table[some] - table[all_items - some]
    return ways


def significant(n_c: Floats, x_c: Floats, n_b: Floats, x_b: Floats, alpha: float) -> Bools:
    """Whether P(X >= x_c) <= alpha when the x_c + x_b bad requests fall on the n_c + n_b requests at random.

    The terms of that hypergeometric tail are added until what is left, at most a geometric series, decides no more. A
    canary with no more than its share of the bad requests is never significant, for any usual alpha (up to .1).
    """
    verdict: Bools = np.zeros(len(n_c), dtype=np.bool_)
    bad = x_c + x_b
    rows = np.flatnonzero(x_c * n_b > x_b * n_c)
    k = x_c[rows]
    term = np.exp(log_choose(n_c, x_c) + log_choose(n_b, x_b) - log_choose(n_c + n_b, bad))[rows]
    tail = term
    while rows.size:
        ratio = (bad[rows] - k) * (n_c[rows] - k) / ((k + 1) * (n_b[rows] - bad[rows] + k + 1))
        term = term * ratio
        rest = np.divide(term, 1 - ratio, out=np.full(len(rows), np.inf), where=ratio < 1)
        verdict[rows[tail + rest <= alpha]] = True
        going = (tail <= alpha) & (tail + rest > alpha)
        rows, k, term, tail = rows[going], k[going] + 1, term[going], (tail + term)[going]
    return verdict


def rejects(view: View) -> Bools:
    """Whether each run's canary is worse than its baseline at ALPHA, on all minutes so far."""
    both = (view.n_c > 0) & (view.n_b > 0)
    n_c, x_c, n_b, x_b = (
        np.sum(counts, axis=1, where=both & ~np.isnan(counts)) for counts in (view.n_c, view.x_c, view.n_b, view.x_b)
    )
    return significant(n_c, x_c, n_b, x_b, ALPHA)


def judge(feed: Feed) -> Calls:
    """Rolls back at the first look that rejects, promotes at the end of the bake otherwise."""
    return promote_at_end(feed, first_alarm(feed, range(1, last_look(feed) + 1), rejects))
