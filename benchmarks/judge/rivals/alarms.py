"""The usual CloudWatch alarms: M of N one-minute datapoints of the canary's bad share over a static line.

Source: Amazon CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data"
(awsdocs/amazon-cloudwatch-user-guide, doc_source/AlarmThatSendsEmail.md). The rule as ported:

- an alarm is evaluated every minute on its *evaluation range*, which holds more datapoints than Evaluation Periods (N);
- the N most recent datapoints that exist in the range are evaluated, so an older real datapoint stands in for a
  missing one; only where fewer than N exist are the missing ones filled in, here as notBreaching;
- ALARM when at least Datapoints to Alarm (M) of them are over the line (GreaterThanThreshold).

ECS rolls the release back when the alarm goes into ALARM (Amazon ECS Developer Guide, "How CloudWatch alarms detect
Amazon ECS deployment failures").

Chosen, where the guide is silent:
- The size of the evaluation range. Its examples retrieve 5 datapoints for N = 3; N + 2 is taken for every N.
- The metric is 100 * FILL(errors, 0) / RequestCount of the canary's target group: a minute with requests and no error
  count is 0, a minute without requests is missing.
- ECS sees the state at the look itself; the seconds that it takes to poll the alarm are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.judge.feed import Calls, Feed, View
from benchmarks.judge.rivals.common import Bools, bad_share, first_alarm, last_look, promote_at_end

SPARE = 2
"""Datapoints that CloudWatch retrieves beyond Evaluation Periods."""


@dataclass(frozen=True)
class Alarm:
    """One alarm on the canary's bad share.

    line: share of bad requests (0 to 1) above which a datapoint breaches.
    needed: Datapoints to Alarm, M.
    periods: Evaluation Periods, N, in minutes.
    """

    line: float
    needed: int
    periods: int

    def fires(self, view: View) -> Bools:
        """Whether each run's alarm is in ALARM, by what CloudWatch shows."""
        in_range = slice(-(self.periods + SPARE), None)
        share = bad_share(view.n_c[:, in_range], view.x_c[:, in_range])
        exists = ~np.isnan(share)
        age = np.cumsum(exists[:, ::-1], axis=1)[:, ::-1]
        breaches = exists & (age <= self.periods) & (share > self.line)
        fires: Bools = breaches.sum(axis=1) >= self.needed
        return fires

    def judge(self, feed: Feed) -> Calls:
        """The alarm watches the whole bake; it rolls back when it fires, and promotes at the end otherwise."""
        return promote_at_end(feed, first_alarm(feed, range(1, last_look(feed) + 1), self.fires))
