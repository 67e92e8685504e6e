"""The phases of a release that are judged apart, and what their verdicts come to together.

While both revisions serve, the running one is the control. Once the new one has all the traffic nothing runs beside it,
and the control is the time before. Both phases are judged at every look: late metrics of the first may still convict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from caretaker.releases.judge import Case, judge
from caretaker.releases.model import Action, Minute, Rules, Signs, Verdict
from caretaker.runtime.clock import iso

_MAX_WORDS = 600
_WEIGHT = {Action.ROLL_BACK: 3, Action.PROMOTE: 2, Action.INCONCLUSIVE: 1, Action.CONTINUE: 0}


def cases(
    minutes: Sequence[Minute],
    history: Sequence[Minute],
    started: datetime,
    whole: datetime | None,
    now: datetime,
    signs: Signs,
) -> list[Case]:
    """One case for each phase that has begun.

    Args:
        started: the first minute in which the canary had traffic.
        whole: the first minute in which it had all of it; None before.
    """
    if whole is None:
        return [Case(minutes, history, started, now, signs, "beside")]
    beside = [minute for minute in minutes if minute.start < whole]
    after = [minute for minute in minutes if minute.start >= whole]
    made = [Case(after, [*history, *beside], whole, now, signs, "before")]
    if whole > started:
        # No minute of it is added any more, but what comes late still counts, and some checks wait for it.
        made.insert(0, Case(beside, history, started, now, signs, "beside"))
    return made


def judged(found: Sequence[Case], rules: Rules, phases: int) -> Verdict:
    """The verdict of all phases together: what convicts counts, then what acquits, then the latest.

    Args:
        phases: how many there will be in all; each gets its part of the chance to convict a good release.
    """
    each = [judge(case, replace(rules, alpha=rules.alpha / max(1, phases))) for case in found]
    return max(reversed(each), key=lambda verdict: _WEIGHT[verdict.action])


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
