"""How much more the errors of one target group scatter than independent requests would: the burst factor phi.

Errors come in bursts: one bad target, one client that retries. The stable target group shows how strong they are: in a
minute with N errors, independent ones fall on the zones in proportion to their requests, and the chi-square of the
zones over its degrees of freedom is 1 on average, whatever the error rate does. A burst that falls on one zone raises
it to the size of the burst. Weighing minutes by their errors estimates E[size^2] / E[size], the factor by which the
variance of a count of errors is larger than Poisson's. It is a calibration, no guarantee: bursts that the past has not
shown are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence

WINDOW = 180
"""Minutes of the stable target group that are looked at."""
PRIOR_ERRORS = 5.0
"""As many errors without bursts are taken to have been seen beforehand; so two errors by chance do not make a burst."""
UNSEEN = 7.5
"""The burst factor that a promise assumes where the past has no errors: that of bursts of 3 to 10."""
LARGEST = 25.0
"""A zone of the baseline that was out for minutes is no burst: it must not make the judge blind for three hours."""


def zone_scatter(requests: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """One minute's chi-square per degree of freedom times its errors, and its errors; zeros where it tells nothing.

    Args:
        requests: per zone.
        errors: per zone, in the same order.
    """
    total_requests = total_errors = squares = 0.0
    zones = 0
    for count, bad in zip(requests, errors):
        total_requests += count
        total_errors += bad
        if count > 0:
            zones += 1
            squares += bad * bad / count
    if total_errors < 2 or zones < 2:
        return 0.0, 0.0
    # sum((bad - expected) ** 2 / expected), multiplied out.
    chi_square = squares * total_requests / total_errors - total_errors
    return total_errors * chi_square / (zones - 1), total_errors


def burst_factor(scatter: float, errors: float) -> float:
    """Phi, from 1 to `LARGEST`, from the sums of `zone_scatter` over a window."""
    return min(LARGEST, max(1.0, (scatter + PRIOR_ERRORS) / (errors + PRIOR_ERRORS)))


def cautious_factor(scatter: float, errors: float) -> float:
    """Phi for a promise: where the past has few errors, they are taken to come in bursts of about `UNSEEN`."""
    return min(LARGEST, max(1.0, (scatter + PRIOR_ERRORS * UNSEEN) / (errors + PRIOR_ERRORS)))


def rolling_units(scatter: Sequence[float], errors: Sequence[float], first: int, settle: int) -> list[float]:
    """1/phi of every minute from index `first` on, from the `WINDOW` minutes that ended `settle` minutes before it.

    Only the past counts, and only what has arrived for sure: the minute's own errors must not choose the price at which
    they are judged.
    """
    units = []
    sum_scatter = 0.0
    sum_errors = 0.0
    for index in range(len(scatter)):
        if index >= first:
            units.append(1.0 / burst_factor(sum_scatter, sum_errors))
        if index - settle >= 0:
            sum_scatter += scatter[index - settle]
            sum_errors += errors[index - settle]
        if index - settle - WINDOW >= 0:
            sum_scatter -= scatter[index - settle - WINDOW]
            sum_errors -= errors[index - settle - WINDOW]
    return units
