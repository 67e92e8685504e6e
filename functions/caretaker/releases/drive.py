"""The way forward of a driven release: tasks, weights, the primary task set. Each function may be run again any time.

What is to be done is decided in `steps` and `tasksets`; here it is gathered, written down before it is done, done, and
read back. The notes of a driven release (`Release.notes`):

    asked      when CreateTaskSet was first about to be called
    shifting   {from, to}: weights that are being written; absent while none are
    gave       every share that was ever about to be written
    whole      the first minute in which the canary had all the traffic
    zero       when the weight of the side that leaves was first seen to be 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from caretaker.aws import ecs
from caretaker.releases import ground, shift, steps, tasksets
from caretaker.releases.desk import Desk
from caretaker.releases.drive_next import shares_of
from caretaker.releases.next_step import Sight
from caretaker.releases.record import ReleaseClosed
from caretaker.releases.release import Release
from caretaker.releases.shift import WeightsChanged
from caretaker.releases.tasksets import TaskSet
from caretaker.releases.weights import same
from caretaker.runtime import logging
from caretaker.runtime.clock import iso, parse

SHORT, LONG = 20, 60
"""Seconds between two looks at tasks that start, and at sessions that end."""
SOON = timedelta(minutes=5)
"""When tasks usually are healthy; after that they are looked at more rarely."""
SPREAD = timedelta(seconds=80)
"""The first full minute that ends so long after a change of weights has been under them as a whole, or nearly."""


class TasksNotReady(Exception):
    """The new tasks cannot take requests: they did not get healthy in time, or somebody has taken them away."""


class Withdrawn(Exception):
    """It is decided that the release goes back: nothing may be done for it any more."""


def _go_on(release: Release) -> None:
    if not release.open:
        raise ReleaseClosed(f"{release.id}: ended as {release.outcome}")
    if release.decision == "roll_back":
        raise Withdrawn(f"{release.id}: {release.decision_reason}")


def limit(release: Release, what: Literal["ready", "session"]) -> timedelta:
    """How long policy waited for such a thing when the release was opened."""
    return timedelta(seconds=float(release.notes[f"{what}_limit"]))


def note(desk: Desk, **notes: Any) -> Desk:
    """Write notes, on the condition that nobody has decided or noted anything meanwhile; None takes one off."""
    release = desk.release
    merged = {name: value for name, value in {**release.notes, **notes}.items() if value is not None}
    if merged == release.notes:
        return desk
    when = {"notes": release.notes, "decision": release.decision}
    return replace(desk, release=desk.records.update(release.id, when=when, notes=merged))


# --- the way forward -------------------------------------------------------------------------------------------------


def start(desk: Desk) -> dict[str, Any]:
    """Create the task set in the idle target group at full scale, and see what it lacks.

    Returns:
        `next`: `shift` with the `share` that it gets first, or `wait` with `seconds` until the next look.

    Raises:
        TasksNotReady: it took too long; names what is lacking.
        NotDrivable, ServiceGone: the ground is not as it was.
    """
    release = desk.release
    _go_on(release)
    one = ground.own(release)
    if one is None:
        if release.deployment:
            raise TasksNotReady(f"task set {tasksets.short(release.deployment)} is gone: somebody has deleted it")
        desk, one = _create(desk)
    lacks = ground.lacking(release, one)
    if not lacks:
        return {"next": "shift", "share": steps.following(shares_of(desk.release), 0.0)}
    since = parse(str(desk.release.notes["asked"]), "asked")
    if desk.now - since >= limit(release, "ready") or one.leaving:
        raise TasksNotReady(f"not ready after {(desk.now - since).total_seconds():.0f} s: {'; '.join(lacks)}")
    logging.logger().info("tasks start", extra={"lacks": lacks})
    return {"next": "wait", "seconds": SHORT if desk.now - since < SOON else LONG}


def _create(desk: Desk) -> tuple[Desk, TaskSet]:
    release = desk.release
    found = ground.survey(release.cluster, release.service, release.id)
    if (found.pair.baseline, found.pair.canary) != (release.baseline_group, release.canary_group):
        raise tasksets.NotDrivable("the running tasks are in another target group than when the release was opened")
    desk = note(desk, asked=release.notes.get("asked") or iso(desk.now))
    request = tasksets.request(found.running, release.canary_group, release.id)
    made = ecs.create_task_set(release.cluster, release.service, release.task_definition, release.id, **request)
    one = tasksets.task_set(made)
    desk.records.update(release.id, deployment=one.arn)
    text = f"created task set {one.id} with {tasksets.short(release.task_definition)} at 100 % of the tasks"
    return replace(desk, release=desk.records.did(release.id, text)), one


def shift_to(desk: Desk, share: float) -> dict[str, Any]:
    """Give the new tasks `share` of the requests; the weights are read before and after.

    Raises:
        WeightsChanged: they are not those that Caretaker has set.
        TasksNotReady: the new tasks are not all healthy.
    """
    release = desk.release
    _go_on(release)
    one = ground.own(release)
    lacks = ground.lacking(release, one) if one else [f"task set {tasksets.short(release.deployment)} is gone"]
    if lacks:
        raise TasksNotReady("; ".join(lacks))
    before = intended(release)
    seen = shares(release)
    if steps.standing(seen, before, share) == "theirs":
        raise theirs(release, before, seen)
    if "shifting" not in release.notes and same(release.weight, share):
        return {"share": share}
    desk = note(desk, shifting={"from": before, "to": share}, gave=[*release.notes.get("gave", ()), share])
    shift.shift(release.rules, release.canary_group, release.baseline_group, was=before, to=share)
    _shifted(desk, share)
    return {"share": share}


def _shifted(desk: Desk, share: float) -> None:
    """Write down weights that stand. The first minute that is whole under them is the first that is judged by them."""
    release = desk.release
    begin = (desk.now + SPREAD).replace(second=0, microsecond=0)
    notes = without(without(release.notes, "shifting"), "told")  # another share is another question
    if same(share, steps.WHOLE):
        notes["whole"] = iso(begin)
    when = {"notes": release.notes, "decision": release.decision}
    desk.records.update(release.id, when=when, weight=share, weights_changed=desk.now, started=begin, notes=notes)
    desk.records.did(release.id, f"shifted {share:.1%} of the requests to the new tasks at {iso(desk.now)}")


def without(notes: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in notes.items() if key != name}


def sight(desk: Desk) -> Sight:
    """How far the release is. Its weights must be the ones that Caretaker has set.

    Raises:
        WeightsChanged, TasksNotReady, ServiceGone: it cannot go on.
    """
    release = desk.release
    one = ground.own(release)
    if one is None or one.leaving:
        raise TasksNotReady(f"task set {tasksets.short(release.deployment)} is gone: somebody has deleted it")
    seen = shares(release)
    if steps.standing(seen, release.weight, release.weight) == "theirs":
        raise theirs(release, release.weight, seen)
    if same(release.weight, steps.WHOLE):
        return Sight("whole", release.weight)
    return Sight("beside" if release.weight > 0 else "before", release.weight)


def finish(desk: Desk, reason: str) -> dict[str, Any]:
    """What the state "Finish release" does, and what comes next: `end` the `side` of the old tasks, or `close`."""
    try:
        done = promote(desk)
    except (WeightsChanged, TasksNotReady, ground.ServiceGone) as error:
        return {"next": "close", "outcome": "inconclusive", "reason": f"{reason}; not made the primary one: {error}"}
    desk.records.did(desk.release.id, done)
    return {"next": "end", "side": "old", "outcome": "promoted", "reason": reason}


def promote(desk: Desk) -> str:
    """Make the new task set the primary one: from now on the release goes forward only. Words for what was done.

    Raises:
        WeightsChanged: not all requests go to it.
    """
    release = desk.release
    _go_on(release)
    one = ground.own(release)
    if one is None:
        raise TasksNotReady(f"task set {tasksets.short(release.deployment)} is gone: somebody has deleted it")
    if not one.primary:
        seen = shares(release)
        if steps.standing(seen, steps.WHOLE, steps.WHOLE) == "theirs":
            raise theirs(release, steps.WHOLE, seen)
        ecs.update_primary_task_set(release.cluster, release.service, one.arn)
    return f"made task set {one.id} the primary one"


# --- weights ---------------------------------------------------------------------------------------------------------


def shares(release: Release) -> dict[str, float | None]:
    """The canary's share by rule, as the rules say now; None where a rule does not forward to the two groups alone."""
    return {rule: one.share if one else None for rule, one in ground.readings(release).items()}


def intended(release: Release) -> float:
    """The share that stood before the shift that is under way, if there is one."""
    shifting = release.notes.get("shifting") or {}
    return float(shifting.get("from", release.weight))


def told(share: float, seen: Mapping[str, float | None]) -> str:
    return f"somebody else set the weights: the new tasks have {steps.told(seen)} where Caretaker gave them {share:.1%}"


def theirs(release: Release, share: float, seen: Mapping[str, float | None]) -> WeightsChanged:
    return WeightsChanged(told(share, seen), [one for one in ground.readings(release).values() if one])
