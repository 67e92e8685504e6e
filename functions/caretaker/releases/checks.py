"""What is looked at beside the three streams.

Good answers, refused connections, answers that do not add up and the share of requests are sequential tests like the
streams, and put their evidence into the same capital. Targets that never get healthy, tasks that stop, and a service
that nobody answers for any more (`silence`) are plain facts. The balancer's own 5xx cannot be told apart by target
group (CloudWatch has them per load balancer only): by themselves they stand in the way of a promotion and nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from caretaker.releases.before import pasts
from caretaker.releases.counting import SMALL_GAP, Row, fold, index_of, is_settled, totals, units, zones_known
from caretaker.releases.dispersion import UNSEEN
from caretaker.releases.model import Arm, Basis, Check, Minute, Rules, Signs
from caretaker.releases.sequential import Bets, log_mixture, log_wealth, spread, worse_than
from caretaker.releases.silence import silence

ANY_WORSE = worse_than(1.0)
FAILING = spread(0.9, (0.03,), (1.0,))
TOO_FEW = spread(0.5, (0.02, 0.15), (0.7, 0.3))
TOO_MANY = spread(2.0, (4.0,), (1.0,))
BALANCER_WORSE = worse_than(2.0)
MANY_LEFT_OUT = 0.1
MINUTE_CAP = 4.0
"""Canary requests that a minute without a datapoint counts as at most: one lost datapoint is no dead canary."""

REFUSALS_CAP = 2.0
"""Refused connections that one minute counts as at most."""


def _evidence(rows: Sequence[Row], bets: Bets, minutes: int) -> float:
    return log_wealth(fold(rows, bets, minutes), bets.log_prior)


@dataclass(frozen=True, slots=True)
class Span:
    """When the release started, when this look is and after how many closed minutes, and when metrics have arrived."""

    started: datetime
    now: datetime
    look: int
    settle: int


def success(minutes: Sequence[Minute], span: Span, unit: Sequence[float]) -> Check:
    """Whether the canary answers at least nine tenths as many of its requests well as the baseline.

    Where errors are common or come in bursts, many of them prove little; that nothing is answered well proves much.
    Requests without any answer by status count as not answered well, once the metrics have arrived: AWS's pages differ
    on whether RequestCount holds requests that no target answered.
    """
    rows = []
    for minute in minutes:
        canary, baseline = minute.canary, minute.baseline
        if not canary.requests or not baseline.requests:
            continue
        index = index_of(minute.start, span.started)
        one = unit[index]
        # A count of good answers that is there is known, whether or not the other statuses have come yet.
        if not (canary.whole and (baseline.whole or baseline.good)):
            if not is_settled(minute, span.now, span.settle):
                continue
            one = min(one, MINUTE_CAP / canary.requests)
        good, usual = min(canary.good, canary.requests), min(baseline.good, baseline.requests)
        rows.append(Row(index, canary.requests, good, baseline.requests, usual, one))
    well, asked = sum(row.canary_errors for row in rows), sum(row.canary_requests for row in rows)
    usual_well, usual_asked = sum(row.baseline_errors for row in rows), sum(row.baseline_requests for row in rows)
    words = f"answered well {well:,.0f} of {asked:,.0f} against {usual_well:,.0f} of {usual_asked:,.0f}"
    return Check("success", "evidence", words, _evidence(rows, FAILING, span.look))


def connections(minutes: Sequence[Minute], started: datetime, look: int) -> Check:
    """Refused connections of the canary's targets against the baseline's (TargetConnectionErrorCount)."""
    rows = []
    for minute in minutes:
        canary, baseline = minute.canary, minute.baseline
        tried = (canary.requests or 0) + canary.connection_errors
        usual = (baseline.requests or 0) + baseline.connection_errors
        if tried and usual:
            refused = canary.connection_errors + baseline.connection_errors
            # One target that restarts refuses many at once. The total is what the test conditions on, so it may set
            # the price: a minute counts as at most so many independent refusals.
            unit = min(1.0, REFUSALS_CAP / refused) if refused else 1.0
            index = index_of(minute.start, started)
            rows.append(Row(index, tried, canary.connection_errors, usual, baseline.connection_errors, unit))
    canary_refused = int(sum(row.canary_errors for row in rows))
    tried = int(sum(row.canary_requests for row in rows))
    usual_refused = int(sum(row.baseline_errors for row in rows))
    usual = int(sum(row.baseline_requests for row in rows))
    words = f"connections refused {canary_refused:,} of {tried:,} against {usual_refused:,} of {usual:,}"
    return Check("connections", "evidence", words, _evidence(rows, ANY_WORSE, look))


def accounts(
    minutes: Sequence[Minute], started: datetime, shared: Mapping[int, Sequence[Minute]] | None = None
) -> Check:
    """Minutes that are left out because an arm's answers do not add up: with too many of them, nothing is known.

    Args:
        shared: the past minutes of each minute (`before.pasts`) where these are the control. Their sum, which is the
            baseline then, has been made of those that add up, and says nothing of the others.
    """
    asked = canary = baseline = left_out = 0
    for m in minutes:
        control = [m.baseline] if shared is None else [o.baseline for o in shared.get(index_of(m.start, started), ())]
        known = [arm for arm in control if arm.requests]
        if m.canary.requests and known:
            asked += 1
            open_canary, open_baseline = not accounted(m.canary), not any(accounted(arm) for arm in known)
            canary += open_canary
            baseline += open_baseline
            left_out += open_canary or open_baseline
    words = (
        f"{left_out} of {asked} minutes left out, since answers by status do not add up to requests "
        f"(canary {canary}, baseline {baseline})"
    )
    return Check("accounts", "hold" if left_out > max(2, MANY_LEFT_OUT * asked) else "none", words)


def seen(minutes: Sequence[Minute], span: Span, bake: int) -> Check:
    """Whether the latest settled minutes, as many as a bake has, were seen as those before: silence is no health."""
    known = [m for m in minutes if comparable(m)]
    settled = span.look - span.settle
    if settled <= bake:
        return Check("seen", "none", "too early to tell whether the metrics go on")
    recent = sum(m.canary.requests or 0 for m in known if index_of(m.start, span.started) >= settled - bake)
    usual = sum(m.canary.requests or 0 for m in known) * bake / settled
    words = f"{recent:,} canary requests with a control in the last {bake} settled minutes, {usual:,.0f} are usual"
    return Check("seen", "hold" if not recent or recent < usual / 4 else "none", words)


def bursts(minutes: Iterable[Minute]) -> Check:
    """Whether the burst factor could be read from the baseline's zones."""
    if zones_known(minutes):
        return Check("bursts", "none", "how errors come in bursts is read from the baseline's Availability Zones")
    return Check("bursts", "none", f"no two Availability Zones seen: errors count as if in bursts of {UNSEEN:g}")


def comparable(minute: Minute) -> bool:
    """Whether both arms had requests of which nearly all answers are accounted for."""
    return accounted(minute.canary) and accounted(minute.baseline)


def accounted(arm: Arm) -> bool:
    """Whether an arm had requests, and nearly all of them an answer by status."""
    return bool(arm.requests) and 0 <= arm.gap <= SMALL_GAP * (arm.requests or 0)


def share(minutes: Sequence[Minute], started: datetime, look: int, line: float) -> Check:
    """The canary's share of requests against its weight: a dead canary shows no error, but no requests either."""
    rows = []
    intended = 0.0
    for m in minutes:
        canary, baseline = m.canary.requests or 0, m.baseline.requests or 0
        if m.weight is not None and 0 < m.weight < 1 and canary + baseline:
            expected = m.weight * (canary + baseline)
            unit = min(1.0, MINUTE_CAP / expected)
            rows.append(Row(index_of(m.start, started), m.weight, canary, 1 - m.weight, baseline, unit))
            intended += expected
    got = sum(row.canary_errors for row in rows)
    every = got + sum(row.baseline_errors for row in rows)
    words = "share of requests not known yet"
    if every:
        words = (
            f"share of requests {got / every:.2%} where the weights say {intended / every:.2%} "
            f"({got:,.0f} of {every:,.0f})"
        )
    few = _evidence(rows, TOO_FEW, look)
    many = log_mixture(totals(fold(rows, TOO_MANY, look)), TOO_MANY.log_prior)
    return Check("share", "hold" if many >= line else "evidence", words, few)


def unhealthy(minutes: Sequence[Minute], fatal: int) -> Check:
    """Whether the canary's targets pass their health checks: the latest minutes in which that was known."""
    known = [m.canary for m in minutes if m.canary.healthy is not None or m.canary.unhealthy]
    dead = 0
    for arm in reversed(known):
        if arm.healthy or not arm.unhealthy:
            break
        dead += 1
    if dead >= fatal:
        return Check("unhealthy", "convict", f"no healthy target in the canary's target group for {dead} minutes")
    if known and known[-1].unhealthy:
        count = known[-1].unhealthy
        return Check(
            "unhealthy",
            "hold",
            f"{count} unhealthy {'target' if count == 1 else 'targets'} in the canary's target group",
        )
    return Check("unhealthy", "none", "no unhealthy target in the canary's target group")


def stopped_tasks(signs: Signs, fatal: int) -> Check:
    """Tasks of the new revision that stopped by themselves."""
    count = signs.stopped_tasks
    why = f": {'; '.join(signs.stopped_why)}" if signs.stopped_why else ""
    words = f"{count} {'task' if count == 1 else 'tasks'} of the new revision stopped{why}"
    if count >= fatal:
        return Check("stopped tasks", "convict", words)
    return Check("stopped tasks", "hold" if count else "none", words)


def balancer(minutes: Sequence[Minute], history: Sequence[Minute], started: datetime, look: int, rules: Rules) -> Check:
    """The load balancer's own 5xx against the time before, as a guard; minutes have the baseline that ran in them."""
    rows = []
    shared = pasts(history, started, rules.patience)
    for m in minutes:
        index = index_of(m.start, started)
        past = shared.get(index, ())
        asked = _asked(m)
        usual = sum(_asked(old) for old in past)
        if asked and usual:
            rows.append(Row(index, asked, m.balancer_5xx, usual, sum(old.balancer_5xx for old in past)))
    now = int(sum(row.canary_errors for row in rows))
    before = int(sum(row.baseline_errors for row in rows))
    words = (
        f"the load balancer's own 5xx {now:,} of {sum(row.canary_requests for row in rows):,.0f} requests against "
        f"{before:,} of {sum(row.baseline_requests for row in rows):,.0f} before"
    )
    rises = _evidence(rows, BALANCER_WORSE, look) >= -math.log(rules.alpha)
    return Check("balancer 5xx", "hold" if rises else "none", words)


def _asked(minute: Minute) -> int:
    return (minute.canary.requests or 0) + (minute.baseline.requests or 0) + minute.balancer_5xx


def all_checks(
    minutes: Sequence[Minute],
    history: Sequence[Minute],
    started: datetime,
    now: datetime,
    look: int,
    rules: Rules,
    signs: Signs,
    basis: Basis,
    served: Sequence[Minute],
) -> tuple[Check, ...]:
    """Every side check; those that read the absence of a datapoint only read minutes whose metrics have arrived.

    Args:
        served: `minutes` as they were, where these have the past as their baseline; else the same.
    """
    settled, served = ([one for one in every if is_settled(one, now, rules.settle)] for every in (minutes, served))
    unit = units(minutes, history, "good", started, rules.settle, max(look, 1))
    alone = (silence(served, history, rules.fatal_unhealthy),) if basis == "before" else ()
    return (
        *alone,
        success(minutes, Span(started, now, look, rules.settle), unit),
        connections(settled, started, look),
        seen(settled, Span(started, now, look, rules.settle), rules.bake),
        bursts((*history, *minutes)),
        accounts(settled, started, pasts(history, started, rules.patience) if basis == "before" else None),
        share(settled, started, look, -math.log(rules.alpha)),
        unhealthy(minutes, rules.fatal_unhealthy),
        stopped_tasks(signs, rules.fatal_stops),
        balancer(served, history, started, look, rules),
    )
