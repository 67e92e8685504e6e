"""Say what nobody uses: after one observation, whether there is anything at all; after two, what is to be deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caretaker.garbage import acts, dues, judging, modes
from caretaker.garbage.desk import Desk, open_desk
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.plan import Plan, plan
from caretaker.garbage.proof import prove
from caretaker.garbage.report import MAX_KEPT, act_line, listed
from caretaker.garbage.sweep import Act
from caretaker.garbage.unowned import unowned
from caretaker.garbage.verdict import Judgement
from caretaker.runtime import logging
from caretaker.runtime.policy import GarbagePolicy, SweepMode

Policies = Mapping[str, GarbagePolicy]


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What follows from the observations so far: wait for the second one, ask, take the lock, or close."""
    desk = judging.noted(open_desk(event), int(event["number"]))
    number, first = int(event["number"]), int(desk.sweep.notes["first"])
    seen = judging.load(desk, number)
    policies = judging.policies(desk, [seen])
    judged = judging.judged(seen, policies, desk.now)
    if number == first:
        _settle(desk, judged, last=not judged.garbage)
        _forget(desk, judged)
        return _after_one(desk, judged, policies)
    _settle(desk, judged, last=True)
    before = judging.load(desk, first)
    return _after_two(desk, judging.judged(before, policies, before.ended), judged, policies)


def _settle(desk: Desk, judged: Judgement, *, last: bool) -> None:
    """Intents of an execution that was cut short: done, or given back.

    Args:
        last: what is there still is given back. Before, the call may yet be on its way: the function of an execution
            that was stopped runs on.
    """
    for act in desk.records.acts(desk.sweep.id):
        if act.status == "intended":
            status, reason = acts.settled(act, judged.graph)
            if status == "skipped" and not last:
                continue
            desk.records.answered(desk.sweep.id, act, status=status, reason=reason)


def _forget(desk: Desk, judged: Judgement) -> None:
    """Take off the ledger what is gone, so that a VPC in which nothing is left is not swept again and again."""
    ledger = Ledger(desk.records.table)
    placed = {entry.owner for entry in ledger.entries(desk.sweep.vpc) if entry.vpcs == (desk.sweep.vpc,)}
    for owner, gone in dues.settled(judged.graph.observation, placed, shared=not judged.garbage).items():
        ledger.forget(owner, gone)
        logging.logger().info(f"{owner.arn}: {len(gone)} resources are gone, or another service's")


def _after_one(desk: Desk, judged: Judgement, policies: Policies) -> dict[str, Any]:
    if judged.garbage:
        return {
            "next": "wait",
            "seconds": round(_apart(judged, policies)),
            "number": int(desk.sweep.notes["first"]) + 1,
            "stage": "plan",
        }
    _write(desk, judged, Plan(), "observe", [])
    return _nothing(desk, judged, {})


def _apart(judged: Judgement, policies: Policies) -> float:
    return modes.apart(_own(judged, policies)).total_seconds()


def _own(judged: Judgement, policies: Policies) -> list[GarbagePolicy]:
    """The policies of the services whose garbage it is."""
    owners = {owner.arn for arn in judged.garbage for owner in judged.graph.owners_of(arn)}
    return [policies[arn] for arn in sorted(owners) if arn in policies]


def _nothing(desk: Desk, judged: Judgement, waiting: Mapping[str, str]) -> dict[str, Any]:
    held = modes.holding(judged.verdicts, judged.graph.observation, waiting)
    held += len(unowned(judged.graph, judged.verdicts))
    over = any(act.status in ("done", "gone") for act in desk.records.acts(desk.sweep.id))
    if held:
        reason = f"nothing can be deleted now, and {held} things stay: {_first(desk)}"
        return {"next": "close", "outcome": "kept", "reason": reason}
    if over:
        return {"next": "close"}
    return {"next": "close", "outcome": "ignored", "reason": "nothing is left behind that could be deleted"}


def _first(desk: Desk) -> str:
    remains = desk.records.get(desk.sweep.id).remains
    return remains[0] if remains else "see what remains"


def _after_two(desk: Desk, first: Judgement, second: Judgement, policies: Policies) -> dict[str, Any]:
    own = _own(second, policies)
    apart, cap = modes.apart(own), modes.cap(own)
    mode, made = _plan(first, second, policies, desk)
    planned = [acts.act_of(step, prove(step, first, second, apart).plain()) for step in made.steps]
    _write(desk, second, made, mode, planned)
    desk.records.update(desk.sweep.id, apart=round(apart.total_seconds()), cap=cap)
    logging.logger().info(f"{len(planned)} acts planned, {len(made.waiting)} have to wait; {mode}")
    if not planned:
        return _nothing(desk, second, made.waiting)
    reason = f"{len(planned)} acts are planned"
    if mode == "observe":
        return {"next": "close", "outcome": "planned", "reason": f"{reason}, and policy says observe"}
    if mode == "act" or _approved(desk, planned):
        return {"next": "lock"}
    expires = round(modes.approval_expires(own).total_seconds())
    return {"next": "ask", "reason": f"{reason}, and policy says approve", "expires": expires}


def _plan(first: Judgement, second: Judgement, policies: Policies, desk: Desk) -> tuple[SweepMode, Plan]:
    """What may be done, with the mode by which it may; where nothing may, what could be."""
    own = _own(second, policies)
    apart, cap = modes.apart(own), modes.cap(own)
    allowed = plan(first, second, apart, cap, modes.allowing("approve", policies))
    if not allowed.steps:
        return "observe", plan(first, second, apart, cap)
    given = second.verdicts
    asked = any(modes.mode_of(given[step.target.arn], policies) == "approve" for step in allowed.steps)
    return ("approve" if asked else "act"), allowed


def _approved(desk: Desk, planned: list[Act]) -> bool:
    """Whether a person has allowed all of it already, in an execution that was cut short."""
    given = desk.sweep.approval
    return given is not None and given.answer == "approved" and {act.key for act in planned} <= set(given.keys)


def _write(desk: Desk, judged: Judgement, made: Plan, mode: SweepMode, planned: list[Act]) -> None:
    """The plan, before anything of it is done."""
    desk.records.plan(desk.sweep.id, planned)
    desk.records.update(
        desk.sweep.id,
        mode=mode,
        plan=tuple(listed((act_line(act) for act in planned), MAX_KEPT)),
        **judging.told(desk, judged, made.waiting, [step.target.arn for step in made.steps]),
    )
