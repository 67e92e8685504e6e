"""PipeCD's analysis stage, strategy CANARY_PRIMARY: a Mann-Whitney test at alpha .05 at every interval.

Sources, repository pipe-cd/pipecd:
- pkg/app/piped/executor/analysis/metrics_analyzer.go (the same in pkg/app/pipedv1/plugin/analysis/executestage): every
  interval the points from one interval ago until now are queried for both variants and compared; the stage fails when
  more than failureLimit comparisons failed, and passes when its duration is over. No correction for repeated looks.
- its `compare`: no points in both is acceptable, no points in one is a failure (so is a canary that is too small to
  get a request in 5 minutes), all points equal is acceptable, and otherwise p <= 0.05 is a failure.
- .../analysis/mannwhitney/{mannwhitney,udist}.go: midranks; the exact distribution up to 25 points a side with ties (50
  without), and for "greater" p = 1 - CDF(U - 1). With ties U moves in halves, so that p also holds U - 1/2: kept.
- pkg/config/analysis.go: failureLimit 0 (the configuration reference says "Defaults to 1"; the code has no default, so
  0), skipOnNoData false; interval has no default.
- docs, user guide "Automated deployment analysis": the canary examples have `deviation: HIGH`, `interval: 5m`. Both are
  taken; the default deviation is EITHER, which also rolls back a canary that is better, or one whose minutes are mostly
  free of errors because it is small.
- .../analysisprovider/metrics/prometheus/prometheus.go: a point a minute.

Deviations:
- PipeCD has no CloudWatch provider; it is given the bad share of each minute, as such a provider would. The documented
  query is a rate over 5 minutes sampled each minute, whose points overlap and are no independent sample: separate
  minutes are its best case. A minute without requests is an absent point (Prometheus' 0/0 fails the whole query).
- The documentation recommends CANARY_BASELINE (a fresh copy of the old version); the feed's only other arm is the
  primary.
- The tick that falls on the end of the stage is a race in PipeCD; it counts here.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

from benchmarks.judge.feed import Calls, Feed, View
from benchmarks.judge.rivals.common import Bools, Floats, Ints, bad_share, last_look, promote_at_end

ALPHA = 0.05
INTERVAL = 5
"""Minutes between comparisons, and of the points that each compares."""
FAILURE_LIMIT = 0


@cache
def choices(n1: int, n2: int) -> Floats:
    """Every way in which n1 of n1 + n2 points can be the first sample: a column of zeros and ones each."""
    sets = list(combinations(range(n1 + n2), n1))
    columns = np.zeros((n1 + n2, len(sets)))
    columns[np.array(sets).T, np.arange(len(sets))] = 1.0
    return columns


def midranks(values: Floats) -> Floats:
    """Ranks from 1 within each row, equal values sharing the mean of their ranks."""
    below = values[:, :, None] > values[:, None, :]
    equal = values[:, :, None] == values[:, None, :]
    ranks: Floats = below.sum(axis=2) + (equal.sum(axis=2) + 1) / 2
    return ranks


def greater(first: Floats, second: Floats) -> Floats:
    """Exact one-sided p of each row, by PipeCD's formula: the chance of U > u - 1 over all relabelings."""
    ranks = midranks(np.concatenate([first, second], axis=1))
    sums = ranks @ choices(first.shape[1], second.shape[1])
    seen = ranks[:, : first.shape[1]].sum(axis=1)
    p: Floats = (sums > seen[:, None] - 1).mean(axis=1)
    return p


def deviates(first: Floats, second: Floats) -> Bools:
    """Whether the first sample of each row lies higher at ALPHA; never where all points are equal."""
    both = np.concatenate([first, second], axis=1)
    higher: Bools = (greater(first, second) <= ALPHA) & (both.max(axis=1) > both.min(axis=1))
    return higher


def fails(view: View) -> Bools:
    """Whether each run's comparison over the last interval fails; NaN points are absent."""
    last = slice(-INTERVAL, None)
    canary = bad_share(view.n_c[:, last], view.x_c[:, last])
    primary = bad_share(view.n_b[:, last], view.x_b[:, last])
    in_canary, in_primary = ~np.isnan(canary), ~np.isnan(primary)
    sizes = np.stack([in_canary.sum(axis=1), in_primary.sum(axis=1)], axis=1)
    failed: Bools = (sizes == 0).any(axis=1) & (sizes > 0).any(axis=1)
    for n1, n2 in np.unique(sizes[sizes.all(axis=1)], axis=0).tolist():
        rows = np.flatnonzero((sizes == (n1, n2)).all(axis=1))
        first = canary[rows][in_canary[rows]].reshape(-1, n1)
        second = primary[rows][in_primary[rows]].reshape(-1, n2)
        failed[rows] = deviates(first, second)
    return failed


def judge(feed: Feed) -> Calls:
    """Rolls back at the comparison that exceeds the failure limit, promotes at the end of the bake otherwise."""
    failures: Ints = np.zeros(feed.runs, dtype=np.int64)
    rollback: Ints = np.zeros(feed.runs, dtype=np.int64)
    for look in range(INTERVAL, last_look(feed) + 1, INTERVAL):
        failures += fails(feed.at(look))
        rollback[(rollback == 0) & (failures > FAILURE_LIMIT)] = look
    return promote_at_end(feed, rollback)
