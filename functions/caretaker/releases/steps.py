"""The steps of a release whose weights Caretaker shifts itself: the next share, whose weights stand, what goes first.

Each step is judged on its own minutes, since a larger share is another load: what a task does at a twentieth of its
load says little of what it does at a quarter. So that good releases are rolled back no more often in all than
`Rules.alpha` says, each step gets its part of it (the chances of several tests sum up at most).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from caretaker.releases.model import Rules
from caretaker.releases.weights import NEAR, same

WHOLE = 1.0
QUIET = timedelta(seconds=150)
"""How long a target group has had no weight before its tasks stop, at least: balancers learn of weights by and by, and
a function of an execution that was stopped may run on for its time-out of 120 seconds and still write weights."""


def following(steps: Sequence[float], share: float) -> float | None:
    """The share after `share`; None after the last.

    Args:
        steps: shares of the policy, 0 to 1, rising; the last is 1.
    """
    return next((step for step in steps if step > share + NEAR), None)


def raised(steps: Sequence[float], share: float) -> float | None:
    """The share that gives more evidence: the next one that still leaves the baseline requests to compare with."""
    higher = following(steps, share)
    return higher if higher is not None and higher < WHOLE - NEAR else None


def step_rules(rules: Rules, steps: Sequence[float]) -> Rules:
    """The rules by which one of the steps is judged."""
    return replace(rules, alpha=rules.alpha / max(1, len(steps)))


# --- whose weights are they? -----------------------------------------------------------------------------------------

Standing = Literal["before", "after", "between", "theirs"]


def standing(shares: Mapping[str, float | None], was: float, to: float) -> Standing:
    """What the rules say while Caretaker shifts from `was` to `to`, one rule after another.

    Args:
        shares: the canary's share by rule as it was read; None: the rule does not forward to the two target groups.

    Returns:
        `before`: nothing is written yet; `after`: all of it; `between`: some rules (a function died between two
        writes); `theirs`: somebody else has set them.
    """
    seen = list(shares.values())
    if not seen or any(share is None or not (same(share, was) or same(share, to)) for share in seen):
        return "theirs"
    written = [share is not None and same(share, to) for share in seen]
    if all(written):
        return "after"
    return "between" if any(written) else "before"


def told(shares: Mapping[str, float | None]) -> str:
    """The shares that were read, in words."""
    if not shares:
        return "no rule forwards to the two target groups"
    words = {rule: "does not forward to both target groups" if s is None else f"{s:.1%}" for rule, s in shares.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return ", ".join(f"{rule.rpartition('/')[2]}: {text}" for rule, text in sorted(words.items()))


# --- the way back ----------------------------------------------------------------------------------------------------

Undo = Literal["weights", "leave", "tasks", "nothing"]


@dataclass(frozen=True)
class Back:
    """What a rollback sees. The order is: weights, reading back, sessions, tasks.

    Attributes:
        shares: the canary's share by rule, as read now.
        ours: shares that Caretaker has set or was about to set.
        force: whether policy takes back the weights of others too.
        tasks: whether the new task set still is there.
        primary: whether it is the service's primary one by now: somebody, or Caretaker itself, has promoted it.
    """

    shares: Mapping[str, float | None]
    ours: Sequence[float]
    force: bool = False
    tasks: bool = True
    primary: bool = False

    @property
    def at_baseline(self) -> bool:
        """Whether no rule gives the canary anything; rules that do not know it give it nothing."""
        return all(share is None or same(share, 0.0) for share in self.shares.values())

    @property
    def theirs(self) -> bool:
        """Whether a rule gives the canary a share that Caretaker never set."""
        return any(
            share is not None and not same(share, 0.0) and not any(same(share, own) for own in self.ours)
            for share in self.shares.values()
        )


def back(view: Back) -> Undo:
    """What a rollback does next about weights, and whether tasks may go.

    Returns:
        `weights`: write the canary's weight to 0 and read it back; `leave`: somebody else has set the weights, or made
        the new task set the primary one, and what serves requests stays; `tasks`: the tasks may be ended as soon as
        nobody comes to them (`free`); `nothing`: all is done.
    """
    if view.primary or (view.theirs and not view.force):
        return "leave"
    if not view.at_baseline:
        return "weights"
    return "tasks" if view.tasks else "nothing"


@dataclass(frozen=True)
class Leaving:
    """A target group that has no weight any more, and whose tasks are to stop.

    Attributes:
        since: when its weight became 0.
        sticky: whether a rule holds sessions to their target group.
        requests: its requests in the newest minute whose metrics have arrived and that began after `since`; None if
            there is no such minute yet.
    """

    since: datetime
    sticky: bool
    requests: int | None = None


def free(leaving: Leaving, now: datetime, limit: timedelta) -> tuple[bool, str]:
    """Whether the tasks behind a target group may stop, and why, in words.

    Args:
        limit: how long pinned sessions are waited for, at most: each request may renew its cookie, so some never end.
    """
    waited = now - leaving.since
    if waited < QUIET:
        return False, f"weight 0 for {waited.total_seconds():.0f} s of {QUIET.total_seconds():.0f} s"
    if not leaving.sticky:
        return True, "nothing is held to it"
    if leaving.requests == 0:
        return True, "its last sessions have ended"
    seen = "not known yet" if leaving.requests is None else f"{leaving.requests:,} in the newest minute"
    if waited >= limit:
        return True, f"requests of pinned sessions: {seen}; not waited for longer than {limit.total_seconds():.0f} s"
    return False, f"requests of pinned sessions: {seen}"
