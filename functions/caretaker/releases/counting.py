"""From minutes to the rows that a stream is judged on.

A minute counts for 5xx and 4xx once both arms are whole: their counts by status add up to their requests. That is the
proof that a missing error count is a zero; a minute without it waits, and is left out for good if it never comes. The
slow requests and their number come in one datapoint and need no such proof. Minutes without requests tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from caretaker.releases.dispersion import WINDOW, rolling_units, zone_scatter
from caretaker.releases.model import Arm, Minute, StreamName, Zone
from caretaker.releases.sequential import LATE_EVERY, Bets, gains

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Row:
    """One minute of one comparison.

    Attributes:
        index: minutes since the start of the release.
        unit: 1/phi, what one error counts.
    """

    index: int
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


def pair(arm: Arm, stream: StreamName) -> tuple[int, int]:
    """Requests and bad requests of one arm; (0, 0) where they are not known for sure."""
    if stream == "slow":
        return arm.timed, arm.slow
    if not arm.whole:
        return 0, 0
    return arm.requests or 0, arm.errors_5xx if stream == "5xx" else arm.errors_4xx


def zone_pair(zone: Zone, stream: StreamName) -> tuple[int, int]:
    """Requests and bad requests of one zone."""
    if stream == "slow":
        return zone.timed, zone.slow
    return zone.requests, zone.errors_5xx if stream == "5xx" else zone.errors_4xx


def units(
    minutes: Sequence[Minute], history: Sequence[Minute], stream: StreamName, started: datetime, settle: int, until: int
) -> list[float]:
    """1/phi of the stream for each minute of the release up to index `until` (exclusive), from the baseline's zones."""
    first = WINDOW + settle
    scatter = [0.0] * (first + until)
    errors = [0.0] * (first + until)
    for minute in (*history, *minutes):
        at = first + index_of(minute.start, started)
        if 0 <= at < len(scatter) and minute.zones:
            pairs = [zone_pair(zone, stream) for zone in minute.zones]
            scatter[at], errors[at] = zone_scatter([count for count, _ in pairs], [bad for _, bad in pairs])
    return rolling_units(scatter, errors, first, settle)


def rows_of(minutes: Iterable[Minute], stream: StreamName, started: datetime, unit: Sequence[float]) -> list[Row]:
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
    gained = [[0.0] * len(bets.logs) for _ in range((max(minutes, 1) - 1) // LATE_EVERY + 1)]
    for row in rows:
        if row.canary_errors or row.baseline_errors:
            stretch = row.index // LATE_EVERY
            gain = gains(
                row.canary_requests,
                row.canary_errors,
                row.baseline_requests,
                row.baseline_errors,
                row.unit,
                bets.null,
                bets.logs,
                bets.excess,
            )
            gained[stretch] = [before + more for before, more in zip(gained[stretch], gain, strict=True)]
    return gained


def totals(gained: Sequence[Sequence[float]]) -> list[float]:
    """What each bet gained in all."""
    return [sum(column) for column in zip(*gained, strict=True)]
