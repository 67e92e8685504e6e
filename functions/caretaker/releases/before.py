"""The time before as a control, where none runs beside: after 100 %, and in blue/green deployments.

This is weaker, and its verdicts say so: what would have changed anyway counts against the release. So its limits are
wider: a larger ratio is tolerated, and the burst factor also holds how much the past moved by itself.

Each minute of the release gets its own minutes of the past, spread over the whole of it; no past minute is used twice,
so that the sequential test stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from caretaker.releases.counting import index_of, pair
from caretaker.releases.dispersion import WINDOW, burst_factor, zone_scatter
from caretaker.releases.model import Arm, Minute, Rules, StreamName, StreamRule

BLOCK = 10
"""Minutes of the past that are compared with each other."""


def merged(arms: Sequence[Arm]) -> Arm:
    """The sum of several minutes of one target group; those that are not whole are left out."""
    whole = [arm for arm in arms if arm.whole]
    if not whole:
        return Arm()
    return Arm(
        requests=sum(arm.requests or 0 for arm in whole),
        good=sum(arm.good for arm in whole),
        errors_4xx=sum(arm.errors_4xx for arm in whole),
        errors_5xx=sum(arm.errors_5xx for arm in whole),
        timed=sum(arm.timed for arm in whole),
        slow=sum(arm.slow for arm in whole),
        connection_errors=sum(arm.connection_errors for arm in whole),
    )


def pasts(history: Sequence[Minute], started: datetime, stride: int) -> dict[int, list[Minute]]:
    """The past minutes that belong to each of the release's first `stride` minutes.

    It goes by their time and not by their number, so that a minute that is missing or late moves no other.
    """
    shared: dict[int, list[Minute]] = {}
    for old in history:
        shared.setdefault((-1 - index_of(old.start, started)) % stride, []).append(old)
    return shared


def beside_the_past(
    minutes: Sequence[Minute], history: Sequence[Minute], started: datetime, stride: int
) -> list[Minute]:
    """The release's minutes with the past as their baseline."""
    paired = []
    shared = pasts(history, started, stride)
    for minute in minutes:
        past = shared.get(index_of(minute.start, started), ())
        paired.append(replace(minute, baseline=merged([old.baseline for old in past]), weight=None))
    return paired


def drift_factor(history: Sequence[Minute], stream: StreamName) -> float:
    """How much more the stream's errors moved between blocks of `BLOCK` minutes than by chance; at least 1."""
    latest = history[-WINDOW:]
    counts = [pair(merged([m.baseline for m in latest[at : at + BLOCK]]), stream) for at in range(0, WINDOW, BLOCK)]
    return burst_factor(*zone_scatter([requests for requests, _ in counts], [errors for _, errors in counts]))


def widened(rules: Rules) -> Rules:
    """The rules for a comparison with the past."""

    def wider(rule: StreamRule) -> StreamRule:
        tolerated = rule.tolerated * rules.before_tolerated
        return replace(rule, tolerated=tolerated, bad=max(rule.bad, 2 * tolerated))

    return replace(rules, streams={name: wider(rule) for name, rule in rules.streams.items()})
