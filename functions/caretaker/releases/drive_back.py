"""The way back of a driven release, and the end of the side that gets no requests any more.

Weights first, read back, then the sessions that are held to the side, then its tasks. Each function may be run again
at any time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from caretaker.aws import ecs
from caretaker.aws.errors import Missing
from caretaker.releases import ground, shift, steps, tasksets
from caretaker.releases.desk import Desk
from caretaker.releases.drive import LONG, intended, limit, note, shares, told, without
from caretaker.releases.release import Release
from caretaker.releases.shift import NoHealthyTarget
from caretaker.releases.tasksets import TaskSet
from caretaker.runtime import logging
from caretaker.runtime.clock import iso, parse
from caretaker.runtime.telling import cause_of


def go_back(desk: Desk, event: Mapping[str, Any]) -> dict[str, Any]:
    """What the state "Roll back" does with a driven release, and what comes next.

    Args:
        event: `reason` of a decision, with its `outcome` where that is not "rolled_back"; or the `failure` of a state,
            which takes a release back too: nobody would judge it any more.

    Returns:
        `next`: `end` the `side` of the new tasks; `finish` what has been promoted already; or `close`.
    """
    release = desk.release
    if release.decision == "promote":
        return {"next": "finish", "outcome": "promoted", "reason": release.decision_reason}
    failure = event.get("failure") or {}
    reason = str(event.get("reason") or release.decision_reason or cause_of(failure))
    desk = replace(desk, release=desk.records.decide(release.id, "roll_back", reason))
    done = roll_back(desk, force=release.notes.get("on_inconclusive") == "roll_back")
    outcome = event.get("outcome") or "rolled_back"
    if done["outcome"] != "rolled_back":
        why = reason if done["reason"] in reason else f"{reason}; {done['reason']}"
        return {"next": "close", "outcome": done["outcome"], "reason": f"{why}; weights and tasks stay as they are"}
    if not release.notes.get("asked") or failure.get("Error") == "ServiceGone":
        # Nothing was done, or nothing is there any more whose tasks could be ended.
        return {"next": "close", "outcome": "ignored", "reason": reason}
    # Only what its own tasks or requests have shown speaks against a revision.
    guilty = outcome == "rolled_back" and failure.get("Error", "TasksNotReady") == "TasksNotReady"
    return {"next": "end", "side": "new", "outcome": outcome, "reason": reason, "reject": guilty}


def roll_back(desk: Desk, *, force: bool) -> dict[str, Any]:
    """Take the weights back and read them back. Tasks are ended afterwards (`end`).

    Args:
        force: whether weights that somebody else has set are taken back as well.

    Returns:
        `outcome` (rolled_back; inconclusive where somebody else's weights stay) and `reason`.
    """
    release = desk.release
    seen = shares(release)
    view = _back(release, seen, force=force)
    step = steps.back(view)
    if step == "leave":
        words = "the new task set is the primary one by now" if view.primary else told(intended(release), seen)
        return {"outcome": "inconclusive", "reason": words}
    if step == "weights":
        try:
            _take_back(release, seen)
        except NoHealthyTarget as error:
            words = f"the running tasks are not healthy ({error})"
            return {"outcome": "inconclusive", "reason": words}
        desk.records.did(release.id, f"took the weights back to the running tasks at {iso(desk.now)}")
    notes = without(release.notes, "shifting") | {"zero": iso(desk.now)}
    desk.records.update(release.id, weight=0.0, weights_changed=desk.now, notes=notes)
    return {"outcome": "rolled_back", "reason": ""}


def _back(release: Release, seen: Mapping[str, float | None], *, force: bool) -> steps.Back:
    try:
        one = ground.own(release)
    except (ground.ServiceGone, tasksets.NotDrivable):
        one = None
    return steps.Back(
        shares=seen,
        ours=[float(share) for share in release.notes.get("gave", ())],
        force=force,
        tasks=one is not None and not one.leaving,
        primary=one is not None and one.primary,
    )


def _take_back(release: Release, seen: Mapping[str, float | None]) -> None:
    """Give the running tasks all requests of every rule that knows the two target groups; read them back.

    Raises:
        NoHealthyTarget: the running tasks are not healthy, and the new ones are.
    """
    rules = [rule for rule, share in seen.items() if share is not None]
    if not rules:
        return
    # Where neither side has a healthy target nothing is lost by going back.
    ill = not shift.health(release.canary_group).healthy
    shift.shift(rules, release.canary_group, release.baseline_group, was=0.0, to=0.0, force=True, ill=ill)


# --- the end of a side -----------------------------------------------------------------------------------------------


def end_new(desk: Desk) -> dict[str, Any]:
    """After a rollback: delete the new task set as soon as nobody comes to it.

    Returns:
        `done`, or `seconds` until the next look.
    """
    release = desk.release
    seen = shares(release)
    step = steps.back(_back(release, seen, force=False))
    if step == "leave":
        return {"done": True, "left": f"the new tasks stay: {told(0.0, seen)}"}
    if step == "weights":
        # A function of an execution that was stopped has still written them.
        _take_back(release, seen)
        desk = note(desk, zero=iso(desk.now))
    return _end(desk, release.canary_group, release.baseline_group, new=True)


def end_old(desk: Desk) -> dict[str, Any]:
    """After a promotion: delete the old task set as soon as nobody comes to it. It stays if a rule still needs it."""
    release = desk.release
    desk = desk if "zero" in release.notes else note(desk, zero=iso(desk.now))
    release = desk.release
    one = ground.own(release)
    lacks = ground.lacking(release, one) if one else ["its task set is gone"]
    if lacks:
        since = parse(str(release.notes.get("zero") or iso(desk.now)), "zero")
        if desk.now - since >= limit(release, "ready"):
            return {"done": True, "left": f"the old task set stays, since of the new one {'; '.join(lacks)}"}
        return {"done": False, "seconds": LONG, "why": "; ".join(lacks)}
    return _end(desk, release.baseline_group, release.canary_group, new=False)


def _end(desk: Desk, group: str, other: str, *, new: bool) -> dict[str, Any]:
    release = desk.release
    since = parse(str(release.notes.get("zero") or iso(desk.now)), "zero")
    try:
        items = ground.task_sets(release.cluster, release.service)
    except (ground.ServiceGone, tasksets.NotDrivable) as error:
        return {"done": True, "left": str(error)}
    found = [one for one in map(tasksets.task_set, items) if _leaves(one, release, group, new=new)]
    if found and (needed := ground.still_sent(group)):
        rules = ", ".join(tasksets.short(rule) for rule in needed)
        return {"done": True, "left": f"task set {found[0].id} stays: rule {rules} sends requests to it"}
    leaving = _leaving(release, group, other, since, desk.now)
    done, why = steps.free(leaving, desk.now, limit(release, "session"))
    logging.logger().info("a side ends", extra={"group": group, "done": done, "why": why})
    if not done:
        left = math.ceil((steps.QUIET - (desk.now - since)).total_seconds())
        return {"done": False, "seconds": left if left > 0 else LONG, "why": why}
    for one in found:
        _delete(desk, one)
    return {"done": True, "left": ""}


def _leaves(one: TaskSet, release: Release, group: str, *, new: bool) -> bool:
    """Whether a task set is the one to delete: never the primary one, never one that is neither side of the release."""
    if one.primary or one.leaving:
        return False
    if new:
        return one.external_id == release.id
    return one.group == group and one.task_definition == release.baseline_task_definition


def _leaving(release: Release, group: str, other: str, since: datetime, now: datetime) -> steps.Leaving:
    sticky = shift.sticky([one for one in ground.readings(release).values() if one])
    requests = ground.coming(release.balancer, group, other, since, now) if sticky else None
    return steps.Leaving(since, sticky, requests)


def _delete(desk: Desk, one: TaskSet) -> None:
    try:
        ecs.delete_task_set(desk.release.cluster, desk.release.service, one.arn, force=True)
    except Missing:
        logging.logger().info(f"task set {one.id} is gone already")
    desk.records.did(desk.release.id, f"deleted task set {one.id} ({tasksets.short(one.task_definition)})")
