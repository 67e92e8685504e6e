"""What follows from a look: plain functions of plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from caretaker.releases.model import Action, Verdict
from caretaker.releases.release import Outcome, Release
from caretaker.runtime.policy import ReleasePolicy

State = Literal["before", "beside", "whole", "promoted", "going_back", "rolled_back", "replaced", "gone"]
Next = Literal["wait", "roll_back", "ask", "tell", "shift", "close"]

# Metrics of a minute come a little after its end.
AFTER_MINUTE = 5
SHORTEST = 20
SOON = 30
PATIENT_AFTER = timedelta(hours=1)
PATIENT = 300


@dataclass(frozen=True)
class Sight:
    """How far a release is.

    Attributes:
        state: `before` the canary has traffic, `beside` the baseline, with the `whole` traffic, or how it ended.
        weight: the share that the canary is meant to have, 0 to 1.
        reason: AWS's words, if it gave any.
    """

    state: State
    weight: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Step:
    """What the machine does next.

    Attributes:
        next: wait and look again, roll back, ask a person whether to, tell a person and look again, shift, close.
        reason: why, for people.
        outcome: with `close`.
        seconds: with `wait` and `tell`: until the next look.
    """

    next: Next
    reason: str = ""
    outcome: Outcome | None = None
    seconds: int = 60


def pause(release: Release, sight: Sight, now: datetime) -> int:
    """Seconds until the next look: shortly after the next full minute; more rarely after an hour."""
    if sight.state == "before":
        return SOON
    if release.started is not None and now - release.started >= PATIENT_AFTER:
        return PATIENT
    left = 60 - now.second + AFTER_MINUTE
    return left if left >= SHORTEST else left + 60


def after(release: Release, sight: Sight, verdict: Verdict | None, policy: ReleasePolicy, now: datetime) -> Step:
    """What follows from one look.

    Args:
        verdict: None while the canary has had no traffic.
    """
    seconds = pause(release, sight, now)
    ended = _ended(release, sight, verdict)
    if ended is not None:
        return ended
    if release.decision == "roll_back":
        return Step("roll_back", release.decision_reason)
    if verdict is None:
        return Step("wait", "the canary has no traffic yet", seconds=seconds)
    if verdict.action is Action.ROLL_BACK:
        return convicted(release, verdict.reason)
    if verdict.action is Action.INCONCLUSIVE:
        return _inconclusive(release, verdict, policy, seconds)
    if verdict.action is Action.PROMOTE and release.way == "drive":
        return Step("shift", verdict.reason)
    return Step("wait", verdict.reason, seconds=seconds)


def convicted(release: Release, reason: str) -> Step:
    """What follows from evidence against a release: act, ask, or only say so."""
    if release.mode == "observe":
        return Step("close", f"would be rolled back: {reason}", "planned")
    answer = release.approval.answer if release.approval else None
    if release.mode == "approve" and answer != "approved":
        return Step("ask", reason) if answer is None else unapproved(release, reason)
    return Step("roll_back", reason)


def unapproved(release: Release, reason: str) -> Step:
    """What follows from a question that was answered with no, or not at all."""
    answer = release.approval.answer if release.approval else None
    by = f" by {release.approval.by}" if release.approval and release.approval.by else ""
    words = f"rejected{by}" if answer == "rejected" else "nobody answered in time"
    return Step("close", f"nothing was done: {words}: {reason}", "planned")


def _inconclusive(release: Release, verdict: Verdict, policy: ReleasePolicy, seconds: int) -> Step:
    if policy.on_inconclusive == "roll_back":
        return convicted(release, f"inconclusive, and policy says to roll back then: {verdict.reason}")
    if release.way == "drive" and policy.on_inconclusive == "raise":
        return Step("shift", verdict.reason)
    told = bool(release.notes.get("told"))
    return Step("wait" if told else "tell", verdict.reason, seconds=seconds)


def _ended(release: Release, sight: Sight, verdict: Verdict | None) -> Step | None:
    """What follows from a deployment that is over; None while it is not."""
    if sight.state == "gone":
        return Step("close", "the service or its deployment is gone", "ignored")
    if sight.state == "replaced":
        return Step("close", f"the deployment was stopped: {sight.reason}", "ignored")
    if sight.state in ("going_back", "rolled_back"):
        if release.decision == "roll_back":
            return Step("roll_back", release.decision_reason)
        if sight.state == "going_back":
            return Step("wait", f"ECS rolls it back by itself: {sight.reason}", seconds=SOON)
        return Step("close", f"ECS rolled it back by itself: {sight.reason}", "rolled_back")
    if sight.state != "promoted":
        return None
    return _promoted(release, verdict)


def _promoted(release: Release, verdict: Verdict | None) -> Step:
    """The deployment ended well, as ECS sees it."""
    if verdict is None:
        outcome: Outcome = "inconclusive"
        words = "the deployment ended before the canary was seen to have any traffic"
    elif verdict.action is Action.ROLL_BACK:
        outcome, words = (
            "inconclusive",
            f"the evidence against it came after its deployment had ended: {verdict.reason}",
        )
    elif verdict.action is Action.PROMOTE:
        outcome, words = "promoted", verdict.reason
    else:
        needs = "; ".join(need for need in verdict.needs if need != verdict.reason)
        outcome = "inconclusive"
        words = f"the deployment ended before enough was seen: {verdict.reason}" + (f"; {needs}" if needs else "")
    if release.mode == "observe":
        return Step("close", f"would be {outcome}: {words}", "planned")
    return Step("close", words, outcome)
