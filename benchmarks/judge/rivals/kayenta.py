"""Kayenta's judge (NetflixACAJudge), once, after an hour of one-minute points.

Sources, repository spinnaker/spinnaker, folder kayenta (formerly spinnaker/kayenta):
- kayenta-judge/.../NetflixACAJudge.scala: tolerance 0.25, confidence level 0.98, effect size "meanRatio" with an
  allowed increase of 1.0, NaN strategy "remove", outliers kept, metric not critical.
- kayenta-judge/.../classifiers/metric/MannWhitneyClassifier.scala: High when the lower end of the interval for canary
  minus baseline is above 0.25 times the Hodges-Lehmann estimate's size, and the ratio of the means is at least the
  allowed increase (ignored where a mean is 0). Where both samples are constant a little noise is added: the larger
  constant is High.
- kayenta-mannwhitney/.../MannWhitney.scala: interval and estimate are roots of the normal deviate of the rank sum, with
  tie and continuity correction, as R's wilcox.test has them; the solver is in brent.py.
- kayenta-judge/.../scorers/WeightedSumScorer.scala and classifiers/score/ThresholdScoreClassifier.scala: the score is
  the share of metrics that pass, 0 when half of them have no data; pass at 95, marginal at 75, fail below (the
  thresholds of Kayenta's own examples). With one metric the score is 100 or 0, so marginal does not occur.
- docs/canary-config.md: direction "increase" is the setting for error metrics (the default is "either", which would
  also fail a canary that is better).
- Spinnaker's "Best practices for configuring canary": at least 50 points a metric.

Where most minutes of both arms are free of errors, the lower end and the estimate are the same step, at zero; the
solver puts both within 1e-4 of it, and that residue decides. This is kept: Kayenta's own ClassifierSuite ("High Metric
(Large Input)") rests on it, and issue 6278 shows such a lower end.

Deviations:
- Kayenta has no CloudWatch store; it is given 100 * errors / requests of each minute. In percent, since the solver's
  tolerance of 1e-4 is absolute and would blur rates given as a share.
- Best practice is a fresh baseline of the canary's size; the feed's baseline has the rest of the traffic, so that its
  minutes vary less than the canary's.
- One judgement over the whole lifetime (an interval of 60 minutes), as its documentation's minimum of points needs.
- Points that CloudWatch does not show yet at the hour are missing from the judgement; Kayenta has no delay by default.
- The source of the monorepo's BrentSolver was not to be had; brent.py follows the KayentaBrentSolver that it replaced,
  and gives the figures of issue 6278, which are from after the change.
- A shift that rounds two different rates of one arm to the same number is not a tie here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from benchmarks.judge.feed import Calls, Feed
from benchmarks.judge.rivals.brent import roots
from benchmarks.judge.rivals.common import Bools, Floats, Ints, bad_share, last_look, promote_at_end

TOLERANCE = 0.25
CONFIDENCE = 0.98
ALLOWED_INCREASE = 1.0
MARGINAL = 75.0
PASSED, FAILED = 100.0, 0.0
CHUNK = 500
"""Runs whose pairs of points are compared at once: a few megabytes, which stay in the cache."""


def count_true(pairs: Bools) -> Ints:
    """How many are true along the first axis (fewer than 65,536); far faster than a sum of booleans."""
    count: Ints = pairs.view(np.uint8).sum(axis=0, dtype=np.uint16).astype(np.int64)
    return count


def repeats(points: Floats) -> Ints:
    """How often each point's value occurs among its run's points; 0 for NaN."""
    parts = [points[:, i : i + CHUNK] for i in range(0, points.shape[1], CHUNK)]
    return np.concatenate([count_true(part[:, None] == part[None]) for part in parts], axis=1)


def tie_sum(occurrences: Ints) -> Floats:
    """Sum of t^3 - t over a run's groups of t equal points, got as the sum of t^2 - 1 over the points."""
    total: Floats = np.where(occurrences > 0, occurrences**2 - 1.0, 0.0).sum(axis=0)
    return total


@dataclass(frozen=True)
class Samples:
    """Points of each run's arms, one column a run, NaN where there is none; every run has at least one of each."""

    canary: Floats
    baseline: Floats

    @cached_property
    def sizes(self) -> tuple[Ints, Ints]:
        """Points of the canary and of the baseline in each run."""
        return count_true(~np.isnan(self.canary)), count_true(~np.isnan(self.baseline))

    @cached_property
    def own_repeats(self) -> tuple[Ints, Ints]:
        """How often each point's value occurs in its own arm."""
        return repeats(self.canary), repeats(self.baseline)

    @cached_property
    def own_ties(self) -> Floats:
        """Each run's tie sum where no canary point equals a baseline point."""
        in_canary, in_baseline = self.own_repeats
        return tie_sum(in_canary) + tie_sum(in_baseline)

    def deviate(self, runs: Ints, shift: Floats) -> Floats:
        """Standard normal deviate of the named runs' rank sums, the canary moved down by the shift."""
        deviates: Floats = np.empty(len(runs))
        for i in range(0, len(runs), CHUNK):
            deviates[i : i + CHUNK] = self._deviate(runs[i : i + CHUNK], shift[i : i + CHUNK])
        return deviates

    def _deviate(self, runs: Ints, shift: Floats) -> Floats:
        canary, baseline = self.canary[:, runs] - shift, self.baseline[:, runs]
        pairs = canary.shape[0] * baseline.shape[0]
        above = count_true((canary[:, None] > baseline[None]).reshape(pairs, -1))
        equal = canary[:, None] == baseline[None]
        level = count_true(equal.reshape(pairs, -1))
        n, m = (size[runs] for size in self.sizes)
        ties = self.own_ties[runs]
        shared = level > 0
        in_canary, in_baseline = (own[:, runs[shared]] for own in self.own_repeats)
        ties[shared] = tie_sum(in_canary + equal[:, :, shared].sum(axis=1))
        ties[shared] += tie_sum(in_baseline + equal[:, :, shared].sum(axis=0))
        excess = above + level / 2 - n * m / 2
        spread = np.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
        deviate: Floats = (excess - 0.5 * np.sign(excess)) / spread
        return deviate

    def bounds(self, confidence: float) -> tuple[Floats, Floats]:
        """Lower end of the interval of that confidence, and the Hodges-Lehmann estimate, in the points' unit."""
        every = np.arange(self.canary.shape[1])
        quantile = NormalDist().inv_cdf((1 + confidence) / 2)
        low = np.nanmin(self.canary, axis=0) - np.nanmax(self.baseline, axis=0)
        high = np.nanmax(self.canary, axis=0) - np.nanmin(self.baseline, axis=0)
        at_low, at_high = self.deviate(every, low), self.deviate(every, high)
        estimate = roots(low, high, at_low, at_high, self.deviate)
        lower = low.copy()
        wide = np.flatnonzero(at_low > quantile)  # in the others even the lowest shift is within the interval
        lower[wide] = roots(
            low[wide],
            high[wide],
            at_low[wide] - quantile,
            at_high[wide] - quantile,
            lambda runs, shift: self.deviate(wide[runs], shift) - quantile,
        )
        return lower, estimate


def compared(canary: Floats, baseline: Floats, confidence: float, tolerance: float) -> Bools:
    """Whether the canary's points lie High in each run (column) by the Mann-Whitney test and the effect size."""
    lower, estimate = Samples(canary, baseline).bounds(confidence)
    mean, usual = np.nanmean(canary, axis=0), np.nanmean(baseline, axis=0)
    unknown = (mean == 0) | (usual == 0)
    high: Bools = (lower > tolerance * np.abs(estimate)) & (unknown | (mean >= ALLOWED_INCREASE * usual))
    return high


def classified_high(
    canary: Floats, baseline: Floats, *, confidence: float = CONFIDENCE, tolerance: float = TOLERANCE
) -> Bools:
    """Whether each run's canary (rows of points) is High against its baseline; both have at least one point."""
    constant = np.nanmax(canary, axis=1) == np.nanmin(canary, axis=1)
    constant &= np.nanmax(baseline, axis=1) == np.nanmin(baseline, axis=1)
    high: Bools = constant & (np.nanmax(canary, axis=1) > np.nanmax(baseline, axis=1))
    high[~constant] = compared(canary[~constant].T, baseline[~constant].T, confidence, tolerance)
    return high


def scores(canary: Floats, baseline: Floats) -> Floats:
    """Kayenta's score (0 to 100) of each run; an arm without any point is NODATA, which fails a single metric."""
    known = np.logical_and(np.isfinite(canary).any(axis=1), np.isfinite(baseline).any(axis=1))
    score = np.full(len(canary), FAILED)
    score[known] = np.where(classified_high(canary[known], baseline[known]), FAILED, PASSED)
    return score


def judge(feed: Feed) -> Calls:
    """One judgement at the end of the hour: rolls back below marginal, promotes otherwise."""
    last = last_look(feed)
    view = feed.at(last)
    score = scores(100 * bad_share(view.n_c, view.x_c), 100 * bad_share(view.n_b, view.x_b))
    return promote_at_end(feed, np.where(score < MARGINAL, last, 0))
