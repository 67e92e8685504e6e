"""What follows from a look at a driven release: plain functions of plain data."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from caretaker.releases import steps
from caretaker.releases.model import Action, Verdict
from caretaker.releases.next_step import Step
from caretaker.releases.release import Release
from caretaker.runtime.clock import iso, optional
from caretaker.runtime.policy import ReleasePolicy


def shares_of(release: Release) -> tuple[float, ...]:
    """The steps as shares, as policy had them when the release was opened."""
    return tuple(float(step) / 100 for step in release.notes["steps"])


def after(
    release: Release, step: Step, verdict: Verdict | None, policy: ReleasePolicy, now: datetime
) -> tuple[Step, float | None]:
    """The next step of a release whose weights are ours, and the share that it gets where they shift.

    After the last share a promotion closes it. Where evidence stays out, and no larger share would bring it, a person
    is told; when nobody has decided for as long as approvals are waited for, the weights go back: they are never left
    in between.
    """
    if step.next == "shift":
        promoted = verdict is not None and verdict.action is Action.PROMOTE
        choose = steps.following if promoted else steps.raised
        share = choose(shares_of(release), release.weight)
        if share is not None:
            return step, share
        if promoted:
            return Step("close", step.reason, "promoted"), None
        step = replace(step, next="wait" if release.notes.get("told") else "tell")
    told = optional(release.notes.get("told"), "told")
    doubtful = verdict is not None and verdict.action is Action.INCONCLUSIVE
    if step.next == "wait" and doubtful and told is not None and now - told >= policy.approval_expires:
        words = f"inconclusive, and nobody has decided since {iso(told)}: {step.reason}"
        return Step("roll_back", words, "inconclusive"), None
    return step, None
