"""Compare what was observed under the lock with the plan: only what is garbage and unchanged there too is deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from caretaker.garbage import acts, judging, modes
from caretaker.garbage.desk import Desk, open_desk
from caretaker.garbage.plan import Plan, plan
from caretaker.garbage.proof import prove
from caretaker.garbage.sweep import Act
from caretaker.garbage.verdict import Judgement
from caretaker.runtime import logging
from caretaker.runtime.policy import SweepMode


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Delete, observe once more, or close where nothing of the plan holds any more.

    Raises:
        LockLost: another execution holds the lock.
    """
    desk = judging.noted(open_desk(event), int(event["number"]))
    ground = desk.records.renew(desk.sweep, event["execution"], desk.now)
    if not judging.unchanged(desk, int(event["number"]), ground):
        return judging.look_again(desk, ground)
    seen = judging.load(desk, int(event["number"]))
    before = judging.load(desk, int(desk.sweep.notes["first"]))
    policies = judging.policies(desk, [seen])
    first, third = (judging.judged(each, policies, at) for each, at in ((before, before.ended), (seen, desk.now)))
    planned = {act.key: act for act in desk.records.acts(desk.sweep.id) if act.status == "planned"}
    apart, allowed = timedelta(seconds=desk.sweep.apart), modes.allowing(_least(desk), policies)
    made = plan(first, third, apart, desk.sweep.cap, allowed)
    kept = [acts.act_of(step, prove(step, first, third, apart).plain()) for step in made.steps]
    kept = [_going_on(act, planned[act.key]) for act in kept if act.key in planned]
    _write(desk, planned, kept, made, third)
    return {"next": "delete", "number": int(event["number"])} if kept else {"next": "close"}


def _going_on(act: Act, before: Act) -> Act:
    """The act with what was tried of it already: its patience does not begin anew."""
    return replace(act, tries=before.tries, first=before.first, due=before.due, reason=before.reason)


def _least(desk: Desk) -> SweepMode:
    """What policy has to allow by now: with a person's approval, less."""
    given = desk.sweep.approval
    return "approve" if given is not None and given.answer == "approved" else "act"


def _write(desk: Desk, planned: dict[str, Act], kept: list[Act], made: Plan, third: Judgement) -> None:
    """What holds is planned anew, with the proof of the observation under the lock; the rest is skipped, and why."""
    verdicts = third.verdicts
    holds = {act.key for act in kept}
    for key, act in planned.items():
        if key not in holds:
            step = acts.step_from(act.step)
            target = step.target.arn
            given = verdicts.get(target) if acts.there(step, third.graph) else None
            if given is None:
                status, reason = "gone", "it is not there any more"
            else:
                status, reason = "skipped", made.waiting.get(target) or f"{given.word}: {given.reason}"
            desk.records.answered(desk.sweep.id, act, status=status, reason=reason)
    desk.records.plan(desk.sweep.id, kept)
    targets = [acts.step_from(act.step).target.arn for act in kept]
    desk.records.update(desk.sweep.id, **judging.told(desk, third, made.waiting, targets))
    logging.logger().info(f"{len(kept)} of {len(planned)} planned acts hold under the lock")
