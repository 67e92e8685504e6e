"""The judge's findings in words that an operator can act on."""

from __future__ import annotations

import math

from caretaker.releases.model import Basis, StreamFinding


def odds(canary_errors: int, canary_requests: int, baseline_errors: int, baseline_requests: int) -> float | None:
    """The odds that an error is the canary's over the odds that a request is; None if neither arm tells."""
    if not canary_requests or not baseline_requests or not canary_errors + baseline_errors:
        return None
    if not baseline_errors:
        return math.inf
    return (canary_errors / baseline_errors) / (canary_requests / baseline_requests)


def times(ratio: float | None) -> str:
    """ "35 times the odds" and what to say where no ratio can be told."""
    if ratio is None:
        return "no errors in either"
    if math.isinf(ratio):
        return "errors in the canary alone"
    return f"{ratio:.0f} times the odds" if ratio >= 9.95 else f"{ratio:.2g} times the odds"


def against(
    name: str,
    canary_errors: int,
    canary_requests: int,
    baseline_errors: int,
    baseline_requests: int,
    ratio: float | None,
    basis: Basis,
) -> str:
    """ "5xx 41 of 3,020 against 22 of 57,400: 35 times the odds"."""
    before = " in the time before" if basis == "before" else ""
    if not canary_requests:
        return f"{name}: no minute yet in which both the canary and its control{before} had requests"
    canary = f"{canary_errors:,} of {canary_requests:,}"
    return f"{name} {canary} against {baseline_errors:,} of {baseline_requests:,}{before}: {times(ratio)}"


def to_one(log_evidence: float) -> str:
    """Evidence as betting odds: "4,100 to 1"."""
    if log_evidence > math.log(1e9):
        return "over 1,000,000,000 to 1"
    return (
        f"{math.exp(log_evidence):,.3g} to 1" if log_evidence < math.log(100) else f"{math.exp(log_evidence):,.0f} to 1"
    )


def convicted(strongest: str, look: int, log_against: float, line: float, basis: Basis) -> str:
    """Why a release is rolled back."""
    weaker = "; weaker, since nothing ran beside it" if basis == "before" else ""
    return f"{strongest}, after {look} min (evidence {to_one(log_against)}, the line is {to_one(line)}{weaker})"


def doubt(finding: StreamFinding, bad: float, missing: tuple[float | None, float]) -> str:
    """Why a stream does not allow a promotion yet, and what it would take."""
    need, per_minute = missing
    start = f"{finding.words}; {bad:g} times is not ruled out"
    if need is None or per_minute <= 0:
        return f"{start}, and cannot be without requests in both"
    more = max(0.0, need - finding.canary_requests)
    if more == 0:
        return f"{start} yet, though {need:,.0f} canary requests usually suffice"
    minutes = more / per_minute
    span = f"{math.ceil(minutes)} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"{start}: that takes about {need:,.0f} canary requests, {more:,.0f} more ({span} at this rate)"
