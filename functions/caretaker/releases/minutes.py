"""From CloudWatch's datapoints to the minutes that a release is judged on.

Nothing is made up here: a minute that is not over is left out, a count without a datapoint is 0 only because nothing is
claimed of it (`Arm.whole` proves it where the answers by status add up to the requests), and what is computed from
percentages is rounded to whole requests. Datapoints that come late simply are there the next time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from caretaker.releases.model import Arm, Minute, Zone

MINUTE = timedelta(minutes=1)
SPREADS = timedelta(seconds=30)
"""How long after a change of weights requests may still go by the old ones: balancers learn of it by and by. No
document says how long; a test that asks for half of the share bears some minutes more."""

Figure = Literal[
    "requests",
    "good_2xx",
    "good_3xx",
    "errors_4xx",
    "errors_5xx",
    "connection_errors",
    "timed",
    "slow_percent",
    "healthy",
    "unhealthy",
]


class Key(NamedTuple):
    """What a series of datapoints is about: `canary`, `baseline`, `balancer`, or a zone of the baseline; and which
    figure of it."""

    of: str
    figure: Figure


Series = Mapping[datetime, float]
Points = Mapping[Key, Series]


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of weights.

    Attributes:
        after, by: it happened between the two, which are the same where Caretaker changed them itself.
        weight: the canary's intended share from then on, 0 to 1; None where none is intended, or sessions are pinned.
    """

    after: datetime
    by: datetime
    weight: float | None


def floor(moment: datetime) -> datetime:
    """The full minute in which a moment lies."""
    return moment.replace(second=0, microsecond=0)


def minutes_of(
    points: Points,
    first: datetime,
    end: datetime,
    now: datetime,
    shifts: Sequence[Shift] = (),
    zones: Sequence[str] = (),
) -> tuple[Minute, ...]:
    """Every closed minute from `first` on, `end` excluded, in order; also those without a datapoint.

    Args:
        first, end: the span; minutes begin on full minutes.
        now: the time of the look: a minute that is not over by then is left out.
        shifts: the changes of weights, in order.
        zones: names of the zones whose figures are among `points`.
    """
    starts = _starts(floor(first), min(end, now - MINUTE + timedelta(microseconds=1)))
    return tuple(_minute(points, start, shifts, zones) for start in starts)


def _starts(first: datetime, end: datetime) -> Iterable[datetime]:
    while first < end:
        yield first
        first += MINUTE


def _minute(points: Points, start: datetime, shifts: Sequence[Shift], zones: Sequence[str]) -> Minute:
    baseline = arm_of(points, "baseline", start)
    return Minute(
        start=start,
        canary=arm_of(points, "canary", start),
        baseline=baseline,
        weight=weight_of(shifts, start),
        zones=_zones(points, baseline, zones, start),
        balancer_5xx=_count(points, "balancer", "errors_5xx", start),
    )


def arm_of(points: Points, of: str, start: datetime) -> Arm:
    """One target group in one minute."""
    timed = _count(points, of, "timed", start)
    return Arm(
        requests=_known(points, of, "requests", start),
        good=_count(points, of, "good_2xx", start) + _count(points, of, "good_3xx", start),
        errors_4xx=_count(points, of, "errors_4xx", start),
        errors_5xx=_count(points, of, "errors_5xx", start),
        timed=timed,
        slow=_slow(points, of, timed, start),
        connection_errors=_count(points, of, "connection_errors", start),
        healthy=_known(points, of, "healthy", start),
        unhealthy=_known(points, of, "unhealthy", start),
    )


def _value(points: Points, of: str, figure: Figure, start: datetime) -> float | None:
    return points.get(Key(of, figure), {}).get(start)


def _known(points: Points, of: str, figure: Figure, start: datetime) -> int | None:
    value = _value(points, of, figure, start)
    return None if value is None else round(value)


def _count(points: Points, of: str, figure: Figure, start: datetime) -> int:
    return _known(points, of, figure, start) or 0


def _slow(points: Points, of: str, timed: int, start: datetime) -> int:
    percent = _value(points, of, "slow_percent", start)
    return min(timed, round(timed * percent / 100)) if percent is not None else 0


def _zones(points: Points, whole: Arm, names: Sequence[str], start: datetime) -> tuple[Zone, ...]:
    """The baseline by zone. Only where the zones add up to the whole: a zone whose datapoint is late would look as if
    its errors had burst elsewhere."""
    zones = [_zone(points, name, start) for name in names]
    counted = [
        (sum(zone.requests for zone in zones), whole.requests or 0),
        (sum(zone.errors_5xx for zone in zones), whole.errors_5xx),
        (sum(zone.errors_4xx for zone in zones), whole.errors_4xx),
        (sum(zone.timed for zone in zones), whole.timed),
    ]
    if not zones or not whole.requests or any(parts != total for parts, total in counted):
        return ()
    return tuple(zones)


def _zone(points: Points, name: str, start: datetime) -> Zone:
    timed = _count(points, name, "timed", start)
    return Zone(
        requests=_count(points, name, "requests", start),
        errors_5xx=_count(points, name, "errors_5xx", start),
        errors_4xx=_count(points, name, "errors_4xx", start),
        timed=timed,
        slow=_slow(points, name, timed, start),
    )


def weight_of(shifts: Sequence[Shift], start: datetime) -> float | None:
    """The canary's intended share in the minute that begins at `start`; None where it changed in it or just before."""
    weight: float | None = None
    for shift in shifts:
        if shift.after >= start + MINUTE:
            break
        if shift.by + SPREADS > start:
            return None
        weight = shift.weight
    return weight


def slow_line(p99s: Series, counts: Series) -> float | None:
    """From when on an answer is slow: the median of several stretches' p99, by the answers in them; None without any.

    The median, so that one bad stretch of the past moves no line.
    """
    known = sorted((value, counts.get(start, 0.0)) for start, value in p99s.items() if counts.get(start, 0.0) > 0)
    half = sum(count for _, count in known) / 2
    passed = 0.0
    for value, count in known:
        passed += count
        if passed >= half:
            return value
    return None
