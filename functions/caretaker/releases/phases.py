"""The phases of a release that are judged apart, and what their verdicts come to together.

While both revisions serve, the running one is the control. Once the new one has all the traffic nothing runs beside it,
and the control is the time before. Where Caretaker decides over each step of the weights, each is a phase: a larger
share is another load. All phases are judged at every look: late metrics of an earlier one may still convict. What
acquits is the phase that runs now: an earlier one knows nothing of the present share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from caretaker.releases.checks import Span, seen
from caretaker.releases.judge import Case, judge
from caretaker.releases.model import Action, Basis, Minute, Rules, Signs, Verdict
from caretaker.runtime.clock import iso

_MAX_WORDS = 600


def cases(
    minutes: Sequence[Minute],
    history: Sequence[Minute],
    begun: Sequence[datetime],
    whole: datetime | None,
    now: datetime,
    signs: Signs,
) -> list[Case]:
    """One case for each phase that has begun, in order.

    No minute is added to a phase that is over, but what comes late still counts, and some checks wait for it.

    Args:
        begun: the first minute of each phase, in order; that of the first is the first in which the canary had traffic.
        whole: the first minute in which it had all of it; None before.
    """
    firsts = [*begun, *([whole] if whole is not None and whole > begun[-1] else ())]
    made = []
    for number, first in enumerate(firsts):
        last = firsts[number + 1] if number + 1 < len(firsts) else None
        own = [minute for minute in minutes if first <= minute.start and (last is None or minute.start < last)]
        past = [*history, *(minute for minute in minutes if minute.start < first)]
        basis: Basis = "before" if whole is not None and first >= whole else "beside"
        made.append(Case(own, past, first, now, signs, basis))
    return made


def judged(found: Sequence[Case], rules: Rules, phases: int, *, watched: bool = False) -> Verdict:
    """The verdict of all phases together: what convicts in any of them counts; else what is known of the one that runs.

    Args:
        phases: how many there will be in all; each gets its part of the chance to convict a good release.
        watched: nobody waits for the verdict, so that a phase may be over before it can be acquitted by itself.
    """
    own = replace(rules, alpha=rules.alpha / max(1, phases))
    each = [judge(case, own) for case in _ended(found, timedelta(minutes=rules.settle))]
    convicted = [verdict for verdict in each if verdict.action is Action.ROLL_BACK]
    if convicted:
        return convicted[-1]
    *earlier, latest = each
    if latest.basis != "before" or latest.action is Action.PROMOTE or latest.log_against >= latest.line / 2:
        return latest
    return _used_up(found[-1], own, latest) or (_carried(earlier, own, latest) if watched else None) or latest


def _ended(found: Sequence[Case], settle: timedelta) -> list[Case]:
    """The phases, those that are over as of the time when their metrics had arrived: no minute is missing after it."""
    over = [replace(one, now=min(one.now, later.started + settle)) for one, later in pairwise(found)]
    return [*over, found[-1]]


def _used_up(case: Case, rules: Rules, latest: Verdict) -> Verdict | None:
    """Each minute of the past is compared with once (`before`): what was acquitted until it was used up stays so, as
    long as the canary goes on to have its requests. None if it was not acquitted."""
    settled = timedelta(minutes=rules.patience + rules.settle)
    if case.now <= case.started + settled:
        return None
    end = case.started + timedelta(minutes=rules.patience)
    minutes = [minute for minute in case.minutes if minute.start < end]
    until = judge(replace(case, minutes=minutes, now=case.started + settled), rules)
    alone = [replace(minute, baseline=minute.canary) for minute in case.minutes]
    goes_on = seen(alone, Span(case.started, case.now, case.look, rules.settle), rules.bake).effect == "none"
    if until.action is not Action.PROMOTE or not goes_on:
        return None
    return replace(latest, action=Action.PROMOTE, reason=f"{until.reason}; nothing against it since", needs=())


def _carried(earlier: Sequence[Verdict], rules: Rules, latest: Verdict) -> Verdict | None:
    """A release that was acquitted beside the running revision, and against which its time with all the traffic says
    nothing although it was seen for as long as a bake. None if that is not so."""
    acquitted = bool(earlier) and all(verdict.action is Action.PROMOTE for verdict in earlier)
    seen_whole = latest.used >= rules.bake and not any(check.effect == "hold" for check in latest.checks)
    if not acquitted or not seen_whole or latest.action is Action.INCONCLUSIVE:
        return None
    words = f"{earlier[-1].reason}; with all the traffic, nothing against it in {latest.used} minutes"
    return replace(latest, action=Action.PROMOTE, reason=words, needs=())


def counts(verdict: Verdict) -> dict[str, Any]:
    """What each stream counted, for the record."""
    return {
        finding.name: {
            "canary_errors": finding.canary_errors,
            "canary_requests": finding.canary_requests,
            "baseline_errors": finding.baseline_errors,
            "baseline_requests": finding.baseline_requests,
            "log_against": finite(finding.log_against),
            "log_for": finite(finding.log_for),
        }
        for finding in verdict.streams
    }


def summary(verdict: Verdict, at: datetime) -> dict[str, Any]:
    """The verdict as plain data, small enough for a state and an event."""
    return {
        "at": iso(at),
        "action": verdict.action.value,
        "reason": verdict.reason[:_MAX_WORDS],
        "basis": verdict.basis,
        "look": verdict.look,
        "used": verdict.used,
        "log_against": finite(verdict.log_against),
        "line": finite(verdict.line),
        "streams": counts(verdict),
        "words": [finding.words[:_MAX_WORDS] for finding in verdict.streams],
        "checks": [f"{check.name}: {check.words}"[:_MAX_WORDS] for check in verdict.checks if check.effect != "none"],
        "needs": [need[:_MAX_WORDS] for need in verdict.needs],
    }


def evidence_words(found: Mapping[str, Any]) -> list[str]:
    """A summary in lines for people."""
    lines = [str(found["reason"])] if found.get("reason") else []
    lines += [str(line) for line in found.get("words", ())]
    lines += [str(line) for line in found.get("checks", ())]
    return lines + [f"still needed: {need}" for need in found.get("needs", ())]


def finite(value: float) -> float:
    """A number that JSON and DynamoDB can hold."""
    return round(max(-1e6, min(1e6, value)), 6) if not math.isnan(value) else 0.0
