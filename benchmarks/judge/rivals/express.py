"""Amazon ECS Express Mode: 4xx + 5xx above 1 % for 2 datapoints in 3 minutes.

Source: Amazon ECS Developer Guide, "Updating an Amazon ECS Express Mode service", deployment behaviour: 5 % of the
traffic goes to the new revision; the alarm rolls back when the sum of 4xx and 5xx is above 1 % for 2 datapoints within
3 minutes; after 3 minutes of bake time 100 % is shifted; after 3 more minutes of bake time the old tasks stop. None of
it can be changed. How the alarm is evaluated: see alarms.py.

Deviations, all but the third in its favour:
- The alarm watches the canary's target group. The guide does not say which metric it watches; over the whole service a
  canary of 5 % would have to fail 20 times as often to be seen.
- An alarm that was in ALARM before the release is ignored by ECS; here it never was.
- The feed keeps the canary at its weight, so the second bake sees the canary's share of the requests rather than all.
- The guide does not say how the alarm treats missing data; notBreaching is taken.
"""

from __future__ import annotations

import numpy as np

from benchmarks.judge.feed import Calls, Feed
from benchmarks.judge.rivals.alarms import Alarm
from benchmarks.judge.rivals.common import first_alarm

RULE = Alarm(line=0.01, needed=2, periods=3)
BAKE = 3
"""Minutes at the canary's weight, and again at 100 %."""


def as_published(feed: Feed) -> Calls:
    """Three minutes at the canary's weight, then all traffic, then three minutes in which it can still roll back."""
    rollback = first_alarm(feed, range(1, min(2 * BAKE, feed.horizon) + 1), RULE.fires)
    shifted = (rollback == 0) | (rollback > BAKE)
    return Calls(rollback=rollback, full=np.where(shifted, BAKE, 0))


def kept_watching(feed: Feed) -> Calls:
    """The same alarm over the whole bake, at the canary's weight."""
    return RULE.judge(feed)
