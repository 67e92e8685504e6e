"""What is looked at beside the three streams.

Refused connections, answers that do not add up and the share of requests are sequential tests like the streams, and put
their evidence into the same capital. Targets that never get healthy and tasks that stop are plain facts. The balancer's
own 5xx cannot be told apart by target group (CloudWatch has them per load balancer only): they stand in the way of a
promotion and nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from caretaker.releases.before import past_of
from caretaker.releases.counting import Row, fold, index_of, is_settled, totals
from caretaker.releases.model import Arm, Check, Minute, Rules, Signs
from caretaker.releases.sequential import Bets, log_mixture, log_wealth, spread, worse_than

ANY_WORSE = worse_than(1.0)
TOO_FEW = spread(0.5, (0.02, 0.1, 0.25), (0.5, 0.3, 0.2))
TOO_MANY = spread(2.0, (3.0, 5.0, 10.0), (0.4, 0.3, 0.3))
BALANCER_WORSE = worse_than(2.0)
MANY_LEFT_OUT = 0.2


def _evidence(rows: Sequence[Row], bets: Bets, minutes: int) -> float:
    return log_wealth(fold(rows, bets, minutes), bets.log_prior)


def connections(minutes: Sequence[Minute], started: datetime, look: int) -> Check:
    """Refused connections of the canary's targets against the baseline's (TargetConnectionErrorCount)."""
    rows = []
    for minute in minutes:
        canary, baseline = minute.canary, minute.baseline
        tried = (canary.requests or 0) + canary.connection_errors
        usual = (baseline.requests or 0) + baseline.connection_errors
        if tried and usual:
            index = index_of(minute.start, started)
            rows.append(Row(index, tried, canary.connection_errors, usual, baseline.connection_errors))
    refused = int(sum(row.canary_errors for row in rows))
    tried = int(sum(row.canary_requests for row in rows))
    usual_refused = int(sum(row.baseline_errors for row in rows))
    usual = int(sum(row.baseline_requests for row in rows))
    words = f"connections refused {refused:,} of {tried:,} against {usual_refused:,} of {usual:,}"
    return Check("connections", "evidence", words, _evidence(rows, ANY_WORSE, look))


def accounts(minutes: Sequence[Minute], started: datetime, look: int) -> Check:
    """Minutes in which the canary's answers do not add up to its requests, against the baseline's."""

    def open_account(arm: Arm) -> bool:
        return arm.requests is not None and not arm.whole

    rows = [
        Row(index_of(m.start, started), 1, open_account(m.canary), 1, open_account(m.baseline))
        for m in minutes
        if m.canary.requests and m.baseline.requests
    ]
    canary = int(sum(row.canary_errors for row in rows))
    baseline = int(sum(row.baseline_errors for row in rows))
    left_out = sum(1 for row in rows if row.canary_errors or row.baseline_errors)
    words = (
        f"{left_out} of {len(rows)} minutes left out, since answers by status do not add up to requests "
        f"(canary {canary}, baseline {baseline})"
    )
    too_many = left_out > max(2, MANY_LEFT_OUT * len(rows))
    return Check("accounts", "hold" if too_many else "evidence", words, _evidence(rows, ANY_WORSE, look))


def share(minutes: Sequence[Minute], started: datetime, look: int, line: float) -> Check:
    """The canary's share of requests against its weight: a dead canary shows no error, but no requests either."""
    rows = []
    intended = 0.0
    for m in minutes:
        canary, baseline = m.canary.requests or 0, m.baseline.requests or 0
        if m.weight is not None and 0 < m.weight < 1 and canary + baseline:
            rows.append(Row(index_of(m.start, started), m.weight, canary, 1 - m.weight, baseline))
            intended += m.weight * (canary + baseline)
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
    """The load balancer's own 5xx against the time before, as a guard."""
    rows = []
    for m in minutes:
        index = index_of(m.start, started)
        past = past_of(index, history, rules.patience)
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
) -> tuple[Check, ...]:
    """Every side check; those that read the absence of a datapoint only read minutes whose metrics have arrived."""
    settled = [minute for minute in minutes if is_settled(minute, now, rules.settle)]
    return (
        connections(settled, started, look),
        accounts(settled, started, look),
        share(settled, started, look, -math.log(rules.alpha)),
        unhealthy(minutes, rules.fatal_unhealthy),
        stopped_tasks(signs, rules.fatal_stops),
        balancer(settled, history, started, look, rules),
    )
