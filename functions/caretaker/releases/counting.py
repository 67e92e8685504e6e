"""From minutes to the rows that a stream is judged on.

A minute counts for 5xx and 4xx once both arms are whole: their counts by status add up to their requests. That is the
proof that a missing error count is a zero; a minute without it waits, and is left out for good if it never comes. The
slow requests and their number come in one datapoint and need no such proof. Minutes without requests tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from caretaker.releases.dispersion import UNSEEN, WINDOW, rolling_units, zone_scatter
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


SMALL_GAP = 0.05
"""The part of an arm's requests in a minute that may lack an answer by status; with more the minute is left out."""


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
    return arm.requests or 0, errors_of(arm, stream)


def errors_of(arm: Arm, stream: Counted) -> int:
    """What an arm has of the answers that a stream counts."""
    if stream == "5xx":
        return arm.errors_5xx
    return arm.errors_4xx if stream == "4xx" else arm.good


def units(
    minutes: Sequence[Minute], history: Sequence[Minute], stream: Counted, started: datetime, settle: int, until: int
) -> list[float]:
    """1/phi of the stream for each minute of the release up to index `until` (exclusive), from the baseline's zones.

    Where no two zones were ever seen, errors are taken to come in bursts of `UNSEEN`.
    """
    if not zones_known((*history, *minutes)):
        return [1 / UNSEEN] * until
    first = WINDOW + settle
    scatter = [0.0] * (first + until)
    errors = [0.0] * (first + until)
    for minute in (*history, *minutes):
        at = first + index_of(minute.start, started)
        if 0 <= at < len(scatter):
            scatter[at], errors[at] = minute_scatter(minute, stream)
    return rolling_units(scatter, errors, first, settle)


def zones_known(minutes: Iterable[Minute]) -> bool:
    """Whether any minute shows the baseline in two zones, so that it can be told how its errors scatter."""
    return any(sum(zone.requests > 0 for zone in minute.zones) >= 2 for minute in minutes)


def minute_scatter(minute: Minute, stream: Counted) -> tuple[float, float]:
    """`zone_scatter` of the baseline's zones in one minute."""
    of, bad = ZONE_COUNTS[stream]
    return zone_scatter([getattr(zone, of) for zone in minute.zones], [getattr(zone, bad) for zone in minute.zones])


@dataclass(frozen=True, slots=True)
class Bound:
    """What becomes of minutes that have settled and still hold a few requests without an answer by status.

    Such a request may have been bad or not. Each side of the judge takes it as the other side would: `against` counts
    it as an error of the baseline and not of the canary, `in favour` as an error of the canary and not of the baseline.
    So the evidence is never more than it would be if all were known.

    Attributes:
        side: whose evidence is made.
        now: the time of the look.
        settle: minutes after which metrics have arrived.
    """

    side: Literal["against", "in favour"]
    now: datetime
    settle: int

    def rows(self, minutes: Iterable[Minute], stream: Counted, started: datetime, unit: Sequence[float]) -> list[Row]:
        """The rows of the minutes among `minutes`, all of them with a gap, that are settled and within the bound."""
        found = [self._row(minute, stream, started, unit) for minute in minutes] if stream != "slow" else []
        return [row for row in found if row is not None]

    def _row(self, minute: Minute, stream: Counted, started: datetime, unit: Sequence[float]) -> Row | None:
        canary, baseline = minute.canary, minute.baseline
        if not (canary.requests and baseline.requests and is_settled(minute, self.now, self.settle)):
            return None
        if not all(0 <= arm.gap <= SMALL_GAP * (arm.requests or 0) for arm in (canary, baseline)):
            return None
        of_canary, of_baseline = (canary.gap, 0) if self.side == "in favour" else (0, baseline.gap)
        index = index_of(minute.start, started)
        canary_errors = errors_of(canary, stream) + of_canary
        return Row(
            index,
            canary.requests,
            canary_errors,
            baseline.requests,
            errors_of(baseline, stream) + of_baseline,
            unit[index],
        )


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
