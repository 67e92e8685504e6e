"""A service that nobody answers for any more, told apart from one that nobody asks.

Requests that no target answers are in no target group's figures: they are the load balancer's own 5xx, which CloudWatch
has per load balancer only, and which a neighbour behind the same load balancer may cause. While the running revision
serves beside the canary, the canary's share shows that it is silent. Afterwards this does: the service's answers are
gone, and in the same minutes the load balancer has about as many 5xx of its own more than it ever had. A service
without traffic has no such 5xx, and a neighbour's trouble takes no answers away from this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from caretaker.releases.before import BLOCK
from caretaker.releases.model import Arm, Check, Minute

SILENT = 0.1
"""The part of the usual answers below which a service counts as silent."""
ACCOUNTED = 0.5
"""The part of the missing answers that the load balancer's own 5xx must make up."""
ENOUGH = 30
"""Answers that must be missing: fewer may stay out by chance."""


def silence(minutes: Sequence[Minute], history: Sequence[Minute], fatal: int) -> Check:
    """Whether nobody answers the service's requests: the latest minutes whose metrics have arrived.

    Args:
        minutes: those that have settled, with the arms that ran in them.
        fatal: minutes in a row that convict.
    """
    usual = min(_blocks([answered(minute) for minute in history]), default=0.0)
    own = max(_blocks([minute.balancer_5xx for minute in history]), default=0.0)
    silent = _latest(minutes, usual)
    missing, rise = usual * len(silent), sum(minute.balancer_5xx for minute in silent) - own * len(silent)
    if len(silent) < fatal or missing < ENOUGH or rise < ACCOUNTED * missing:
        return Check("silence", "none", "its targets answer, or nobody asks them")
    words = (
        f"for {len(silent)} minutes its targets have answered {sum(map(answered, silent)):,} requests where at least "
        f"{missing:,.0f} are usual, while the load balancer answered {rise:,.0f} more than usual with a 5xx of its own"
    )
    return Check("silence", "convict", words)


def answered(minute: Minute) -> int:
    """Requests that a target of either revision answered."""
    return sum(_answers(arm) for arm in (minute.canary, minute.baseline))


def _answers(arm: Arm) -> int:
    return arm.good + arm.errors_4xx + arm.errors_5xx


def _blocks(counts: Sequence[float]) -> list[float]:
    """The mean of every `BLOCK` minutes: what a quiet stretch, or a bad one, of the past was like."""
    return [fmean(counts[at : at + BLOCK]) for at in range(0, len(counts) - BLOCK + 1, BLOCK)]


def _latest(minutes: Sequence[Minute], usual: float) -> list[Minute]:
    """The minutes at the end in which hardly anything was answered."""
    found: list[Minute] = []
    for minute in reversed(minutes):
        if answered(minute) >= SILENT * usual:
            break
        found.append(minute)
    return found
