"""The judge of a release: one look at everything that is known, and a verdict with its reasons.

It keeps nothing between looks: every look is computed from the whole history, so late and corrected metrics count.
The false-rollback rate of its statistical part is at most `Rules.alpha` at any number of looks (see `sequential`), and
a release that is bad in a stream is promoted with a probability of at most `Rules.alpha_promote`. What is neither is
`continue`, and after `Rules.patience` minutes `inconclusive`: no data is not health.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from caretaker.releases.before import beside_the_past, drift_factor, widened
from caretaker.releases.checks import all_checks
from caretaker.releases.counting import MINUTE, Bound, fold, minute_scatter, pair, rows_of, totals, units
from caretaker.releases.dispersion import cautious_factor
from caretaker.releases.model import (
    Action,
    Basis,
    Check,
    Minute,
    Rules,
    Signs,
    StreamFinding,
    StreamName,
    StreamRule,
    Verdict,
)
from caretaker.releases.sample import RARER, Traffic, acquittal, low_rate, requests_to_acquit
from caretaker.releases.sequential import better_than, log_rarity, log_sum, log_wealth, worse_than
from caretaker.releases.words import against, convicted, doubt, odds

NO_SIGNS = Signs()


@dataclass(frozen=True, slots=True)
class Case:
    """All that one look reads.

    Attributes:
        minutes: the release's closed minutes, in order, from `started` on.
        history: the minutes before it, in order; what their canary had counts among the balancer's requests alone. The
            burst factor reads the last `WINDOW + Rules.settle` of them, a comparison with the time before all of them.
        started: when the canary first got traffic, on a full minute.
        now: the time of the look.
        signs: what is seen beside the metrics.
        basis: what the control is.
    """

    minutes: Sequence[Minute]
    history: Sequence[Minute]
    started: datetime
    now: datetime
    signs: Signs = NO_SIGNS
    basis: Basis = "beside"

    def __post_init__(self) -> None:
        """ValueError names what is out of order."""
        if self.started.tzinfo is None or self.now.tzinfo is None:
            raise ValueError(f"started and now must have a time zone, not {self.started} and {self.now}")
        for name, minutes in (("history", self.history), ("minutes", self.minutes)):
            for earlier, later in itertools.pairwise(minutes):
                if later.start - earlier.start < MINUTE:
                    raise ValueError(f"{name}: {later.start.isoformat()} comes after {earlier.start.isoformat()}")
        if self.history and self.history[-1].start >= self.started:
            raise ValueError(f"history: {self.history[-1].start.isoformat()} is not before {self.started.isoformat()}")
        if self.minutes and self.minutes[0].start < self.started:
            raise ValueError(f"minutes: {self.minutes[0].start.isoformat()} is before {self.started.isoformat()}")
        if self.minutes and self.minutes[-1].start + MINUTE > self.now:
            raise ValueError(f"minutes: {self.minutes[-1].start.isoformat()} is not over at {self.now.isoformat()}")

    @property
    def look(self) -> int:
        """Closed minutes since the start."""
        return max(0, (self.now - self.started) // timedelta(minutes=1))


def judge(case: Case, rules: Rules) -> Verdict:
    """One look at a release.

    A case whose basis is `before` is compared with its history, under wider limits (`before.widened`).
    """
    served = case.minutes
    if case.basis == "before":
        rules = widened(rules)
        past = beside_the_past(case.minutes, case.history, case.started, rules.patience)
        case = replace(case, minutes=past)
    findings = tuple(_stream(case, rules, name, rule) for name, rule in rules.streams.items())
    span = (case.started, case.now, case.look)
    checks = all_checks(case.minutes, case.history, *span, rules, case.signs, case.basis, served)
    log_against = _common_wealth(rules, findings, checks)
    action, reason, needs = _decide(case, rules, findings, checks, log_against)
    return Verdict(
        action=action,
        reason=reason,
        look=case.look,
        used=sum(1 for m in case.minutes if all(pair(arm, "5xx")[0] for arm in (m.canary, m.baseline))),
        log_against=log_against,
        line=-math.log(rules.alpha),
        basis=case.basis,
        streams=findings,
        checks=checks,
        needs=needs,
    )


def _stream(case: Case, rules: Rules, name: StreamName, rule: StreamRule) -> StreamFinding:
    unit = units(case.minutes, case.history, name, case.started, rules.settle, max(case.look, 1))
    if case.basis == "before":
        drift = 1 / drift_factor(case.history, name)
        unit = [min(one, drift) for one in unit]
    known = rows_of(case.minutes, name, case.started, unit)
    gaps = [minute for minute in case.minutes if minute.canary.gap or minute.baseline.gap]
    rows, cautious = (
        [row for row in (*known, *bound.rows(gaps, name, case.started, unit)) if row.minute >= rule.warm_up]
        for bound in (Bound("against", case.now, rules.settle), Bound("in favour", case.now, rules.settle))
    )
    worse, better = worse_than(rule.tolerated), better_than(rule.bad)
    canary_requests, canary_errors = int(sum(row[1] for row in rows)), int(sum(row[2] for row in rows))
    baseline_requests, baseline_errors = int(sum(row[3] for row in rows)), int(sum(row[4] for row in rows))
    good = sum((row.canary_requests - row.canary_errors) * row.unit for row in cautious)
    bad = sum(row.canary_errors * row.unit for row in cautious)
    rare = log_rarity(good + bad, bad, 1.0, rule.ignorable, [part * rule.ignorable for part in RARER])
    ratio = odds(canary_errors, canary_requests, baseline_errors, baseline_requests)
    return StreamFinding(
        name=name,
        canary_errors=canary_errors,
        canary_requests=canary_requests,
        baseline_errors=baseline_errors,
        baseline_requests=baseline_requests,
        ratio=ratio,
        log_against=log_wealth(fold(rows, worse, case.look), worse.log_prior),
        log_for=acquittal(totals(fold(cautious, better, case.look)), better.log_prior, rare),
        phi=1 / unit[-1],
        words=against(name, canary_errors, canary_requests, baseline_errors, baseline_requests, ratio, case.basis),
    )


def _parts(rules: Rules, findings: Sequence[StreamFinding], checks: Sequence[Check]) -> list[tuple[float, float, str]]:
    """Part of the capital, log of what became of it, and words, of everything that holds capital."""
    capital = {
        "success": rules.capital_success,
        "connections": rules.capital_connections,
        "share": rules.capital_share,
    }
    parts = [(rules.streams[finding.name].capital, finding.log_against, finding.words) for finding in findings]
    parts += [(capital[check.name], check.log_against, check.words) for check in checks if check.name in capital]
    return parts


def _strongest(rules: Rules, findings: Sequence[StreamFinding], checks: Sequence[Check]) -> str:
    """The words of what brought the most into the common wealth."""
    parts = [(math.log(part) + grown, words) for part, grown, words in _parts(rules, findings, checks) if part > 0]
    return max(parts)[1]


def _common_wealth(rules: Rules, findings: Sequence[StreamFinding], checks: Sequence[Check]) -> float:
    """Log of the capital of all streams and checks together: the mean of their wealths, by their parts."""
    terms = [math.log(part) + grown for part, grown, _ in _parts(rules, findings, checks) if part > 0]
    idle = 1 - rules.committed
    return log_sum([*terms, math.log(idle)] if idle > 1e-9 else terms)


def _decide(
    case: Case, rules: Rules, findings: Sequence[StreamFinding], checks: Sequence[Check], log_against: float
) -> tuple[Action, str, tuple[str, ...]]:
    line = -math.log(rules.alpha)
    for check in checks:
        if check.effect == "convict":
            return Action.ROLL_BACK, f"{check.words}, after {case.look} min", ()
    if log_against >= line:
        strongest = _strongest(rules, findings, checks)
        return Action.ROLL_BACK, convicted(strongest, case.look, log_against, line, case.basis), ()
    doubts = _doubts(case, rules, findings, checks, log_against)
    if case.look < rules.bake:
        return Action.CONTINUE, f"{rules.bake - case.look} of {rules.bake} minutes of bake to go", doubts
    if not doubts:
        return Action.PROMOTE, _cleared(rules, findings, case), ()
    if case.look >= rules.patience:
        return Action.INCONCLUSIVE, f"not enough evidence after {case.look} minutes: {doubts[0]}", doubts
    return Action.CONTINUE, doubts[0], doubts


def _doubts(
    case: Case, rules: Rules, findings: Sequence[StreamFinding], checks: Sequence[Check], log_against: float
) -> tuple[str, ...]:
    """Everything that stands in the way of a promotion, in words."""
    doubts = [check.words for check in checks if check.effect == "hold"]
    if log_against >= -math.log(rules.alpha) / 2:
        doubts.append(f"under suspicion: {_strongest(rules, findings, checks)}")
    for finding in findings:
        if finding.log_for < -math.log(rules.alpha_promote):
            doubts.append(doubt(finding, rules.streams[finding.name].bad, _missing(case, rules, finding)))
    return tuple(doubts)


def _missing(case: Case, rules: Rules, finding: StreamFinding) -> tuple[float | None, float]:
    """The canary requests that a promotion of this stream takes at the rates seen so far, and those in a minute."""
    rule = rules.streams[finding.name]
    requests = finding.canary_requests + finding.baseline_requests
    share = finding.canary_requests / requests if requests else 0.0
    if not 0 < share < 1:
        return None, 0.0
    base = finding.baseline_errors / finding.baseline_requests
    need = requests_to_acquit(base, share, finding.phi, -math.log(rules.alpha_promote), rule)
    return need, finding.canary_requests / max(case.look, 1)


def _cleared(rules: Rules, findings: Sequence[StreamFinding], case: Case) -> str:
    bad = ", ".join(f"{finding.words}" for finding in findings)
    ruled_out = "; ".join(f"{name} {rule.bad:g} times" for name, rule in rules.streams.items())
    return f"ruled out: {ruled_out}. {bad}, after {case.look} min"


def expected_traffic(history: Sequence[Minute], rules: Rules, share: float) -> Traffic:
    """What a release's traffic will be like if it goes on as in the minutes before it; for `sample.announce`."""
    rates: dict[StreamName, float] = {}
    low: dict[StreamName, float] = {}
    phi: dict[StreamName, float] = {}
    for name in rules.streams:
        counts = [pair(minute.baseline, name) for minute in history]
        requests, errors = sum(count for count, _ in counts), sum(bad for _, bad in counts)
        scatter = [minute_scatter(minute, name) for minute in history]
        phi[name] = cautious_factor(sum(part for part, _ in scatter), sum(part for _, part in scatter))
        rates[name] = errors / requests if requests else 0.0
        low[name] = low_rate(errors, requests, phi[name])
    asked = [minute.baseline.requests or 0 for minute in history]
    return Traffic(sum(asked) / len(asked) if asked else 0.0, share, rates, phi, low)
