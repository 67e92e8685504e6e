"""From minutes to the rows that a stream is judged on.

A minute counts for 5xx and 4xx once both arms are whole: their counts by status add up to their requests. That is the
proof that a missing error count is a zero; a minute without it waits, and is left out for good if it never comes. The
slow requests and their number come in one datapoint and need no such proof. Minutes without requests tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from caretaker.releases.dispersion import WINDOW, rolling_units, zone_scatter
from caretaker.releases.model import Arm, Minute, StreamName
from caretaker.releases.sequential import LATE_EVERY, Bets, earned, null_price, paid

MINUTE = timedelta(minutes=1)
Counted = StreamName | Literal["good"]
ZONE_COUNTS: dict[Counted, tuple[str, str]] = {
    "5xx": ("requests", "errors_5xx"),
    "4xx": ("requests", "errors_4xx"),
    "slow": ("timed", "slow"),
    "good": ("requests", "good"),
}
"""The fields of `Zone` that hold the requests, and those of them that are counted."""


class Row(NamedTuple):
    """One minute of one comparison.

    Attributes:
        minute: minutes since the start of the release.
        unit: 1/phi, what one error counts.
    """

    minute: int
    canary_requests: float
    canary_errors: float
    baseline_requests: float
    baseline_errors: float
    unit: float = 1.0


def index_of(start: datetime, started: datetime) -> int:
    """Whole minutes from the release's start to `start`."""
    return (start - started) // MINUTE


def is_settled(minute: Minute, now: datetime, settle: int) -> bool:
    """Whether all metrics of the minute have had time to arrive."""
    return now - minute.start >= (1 + settle) * MINUTE


def pair(arm: Arm, stream: Counted) -> tuple[int, int]:
    """Requests of one arm and those that are counted; (0, 0) where they are not known for sure."""
    if stream == "slow":
        return arm.timed, arm.slow
    if not arm.whole:
        return 0, 0
    requests = arm.requests or 0
    if stream == "5xx":
        return requests, arm.errors_5xx
    return requests, arm.errors_4xx if stream == "4xx" else arm.good


def units(
    minutes: Sequence[Minute], history: Sequence[Minute], stream: Counted, started: datetime, settle: int, until: int
) -> list[float]:
    """1/phi of the stream for each minute of the release up to index `until` (exclusive), from the baseline's zones."""
    first = WINDOW + settle
    scatter = [0.0] * (first + until)
    errors = [0.0] * (first + until)
    for minute in (*history, *minutes):
        at = first + index_of(minute.start, started)
        if 0 <= at < len(scatter):
            scatter[at], errors[at] = minute_scatter(minute, stream)
    return rolling_units(scatter, errors, first, settle)


def minute_scatter(minute: Minute, stream: Counted) -> tuple[float, float]:
    """`zone_scatter` of the baseline's zones in one minute."""
    of, bad = ZONE_COUNTS[stream]
    return zone_scatter([getattr(zone, of) for zone in minute.zones], [getattr(zone, bad) for zone in minute.zones])


def rows_of(minutes: Iterable[Minute], stream: Counted, started: datetime, unit: Sequence[float]) -> list[Row]:
    """The rows of one stream: minutes in which both arms had requests and are known for sure."""
    rows = []
    for minute in minutes:
        canary_requests, canary_errors = pair(minute.canary, stream)
        baseline_requests, baseline_errors = pair(minute.baseline, stream)
        if canary_requests and baseline_requests:
            index = index_of(minute.start, started)
            rows.append(Row(index, canary_requests, canary_errors, baseline_requests, baseline_errors, unit[index]))
    return rows


def fold(rows: Iterable[Row], bets: Bets, minutes: int) -> list[list[float]]:
    """What each bet gained in each stretch of `LATE_EVERY` of the first `minutes` (logarithms), for `log_wealth`."""
    stretches = (max(minutes, 1) - 1) // LATE_EVERY + 1
    left = [[0.0] * len(bets.logs) for _ in range(stretches)]
    hits = [0.0] * stretches
    refund = [0.0] * stretches
    for minute, canary_requests, canary_errors, baseline_requests, baseline_errors, unit in rows:
        if canary_errors or baseline_errors:
            stretch = minute // LATE_EVERY
            errors = (canary_errors + baseline_errors) * unit
            left[stretch] = paid(left[stretch], canary_requests, baseline_requests, errors, bets.excess)
            hits[stretch] += canary_errors * unit
            if bets.null != 1:
                refund[stretch] += null_price(canary_requests, baseline_requests, errors, bets.null)
    return [earned(*stretch, bets.logs) for stretch in zip(left, hits, refund, strict=True)]


def totals(gained: Sequence[Sequence[float]]) -> list[float]:
    """What each bet gained in all."""
    return [sum(column) for column in zip(*gained, strict=True)]
