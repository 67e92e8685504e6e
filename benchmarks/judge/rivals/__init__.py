"""The rival judges of canary releases, ported from their published rules; every module names its sources.

Words and code are ours: the rules are ported, no code is copied. All of a rival's looks read only what CloudWatch shows
at that look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.judge.feed import Calls, Feed
from benchmarks.judge.rivals import express, fixed, kayenta, pipecd
from benchmarks.judge.rivals.alarms import Alarm
from benchmarks.judge.rivals.common import HOUR

__all__ = ["HOUR", "RIVALS", "Rival"]


@dataclass(frozen=True)
class Rival:
    """A judge to compare with.

    name: short key. label: what a reader sees. source: where its rule is published.
    judge: gives, for every run of a feed, the look of the rollback and the look from which all traffic goes over.
    """

    name: str
    label: str
    source: str
    judge: Callable[[Feed], Calls]


EXPRESS_GUIDE = "Amazon ECS Developer Guide, Updating an Amazon ECS Express Mode service"
ALARM_GUIDE = "Amazon CloudWatch User Guide, Alarm evaluation; Configuring how alarms treat missing data"


def alarm_rival(line: float, needed: int, periods: int) -> Rival:
    """A CloudWatch alarm of `needed` out of `periods` minutes over the line (share, 0 to 1)."""
    percent = f"{100 * line:g}"
    return Rival(
        f"alarm_{needed}of{periods}_{percent}pct",
        f"CloudWatch alarm, {needed} of {periods} min above {percent} %",
        ALARM_GUIDE,
        Alarm(line, needed, periods).judge,
    )


RIVALS: tuple[Rival, ...] = (
    Rival("express", "Express Mode as published (3 min, then 100 %)", EXPRESS_GUIDE, express.as_published),
    Rival("express_watched", "Express Mode's alarm over the whole bake", EXPRESS_GUIDE, express.kept_watching),
    *(alarm_rival(line, needed, of) for line in (0.01, 0.05) for needed, of in ((1, 1), (2, 3), (3, 3))),
    Rival(
        "kayenta",
        "Kayenta (NetflixACAJudge), once after an hour",
        "spinnaker/spinnaker, kayenta/kayenta-judge and kayenta/kayenta-mannwhitney",
        kayenta.judge,
    ),
    Rival(
        "pipecd",
        "PipeCD, Mann-Whitney every 5 min",
        "pipe-cd/pipecd, pkg/app/piped/executor/analysis",
        pipecd.judge,
    ),
    Rival(
        "fixed",
        "Fixed-sample test (alpha .01) looked at each minute",
        "R. A. Fisher, exact test of a 2 x 2 table",
        fixed.judge,
    ),
)
