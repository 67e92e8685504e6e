"""Look at a release: how far it is, what its traffic shows, and what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from caretaker.releases import desk as desks
from caretaker.releases import drive, drive_next, evidence, next_step, phases
from caretaker.releases.desk import Desk, open_desk
from caretaker.releases.model import Action, Verdict
from caretaker.releases.next_step import Step
from caretaker.releases.record import LEASE, Look, Release
from caretaker.runtime import logging
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import ReleasePolicy


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One look, written to the record. Everything is computed from the whole history each time."""
    desk = open_desk(event)
    if not desk.release.open:
        return {"next": "close", "outcome": desk.release.outcome, "reason": desk.release.reason}
    policy = desk.policy()
    driven = desk.release.way == "drive"
    seen = drive.sight(desk) if driven else desks.sight(desk.release)
    release = desk.release if driven else desks.noted(desk, seen)
    verdict = judged(desk, release, policy)
    if verdict is not None:
        release = written(desk, release, verdict)
    step = next_step.after(release, seen, verdict, policy, desk.now)
    share: float | None = None
    if driven:
        step, share = drive_next.after(release, step, verdict, policy, desk.now)
    _decided(desk, release, step, verdict)
    desk.records.index.alive(release.id, desk.now + LEASE)
    return {**answer(release, step, policy), "share": share}


def judged(desk: Desk, release: Release, policy: ReleasePolicy) -> Verdict | None:
    """The verdict on what is known by now; None before the canary was meant to have traffic."""
    if release.started is None or desk.now <= release.started:
        return None
    # The line of slow answers is drawn once, from the time before the release.
    line = policy.slow_over or release.notes.get("slow_over")
    known = evidence.collect(release, desk.now, line, by_zone=policy.by_zone)
    notes = {**release.notes, "shifts": evidence.plain_shifts(known.shifts)}
    if known.slow_over is not None:
        notes["slow_over"] = known.slow_over
    if notes != release.notes:
        desk.records.update(release.id, notes=notes)
    signs, whole = desks.signs(release), desks.whole_of(release)
    begun = desks.begun_of(release, release.started)
    found = phases.cases(known.minutes, known.history, begun, whole, desk.now, signs)
    rules = desks.rules_for(release, policy)
    verdict = phases.judged(found, rules, _phases(release), watched=release.way == "watch")
    if not known.doubt:
        return verdict
    return replace(verdict, needs=(*verdict.needs, f"the share of requests, which is not judged: {known.doubt}"))


def _phases(release: Release) -> int:
    """How many phases are judged apart; each step of a release whose weights are ours is one."""
    if release.way == "drive":
        return len(drive_next.shares_of(release))
    return int(release.notes["phases"])


def written(desk: Desk, release: Release, verdict: Verdict) -> Release:
    """The look in the record."""
    number = release.looks + 1
    desk.records.look(
        release.id,
        Look(
            number=number,
            at=desk.now,
            action=verdict.action.value,
            reason=verdict.reason,
            log_against=phases.finite(verdict.log_against),
            counts=phases.counts(verdict),
            weight=release.weight,
            line=phases.finite(verdict.line),
            needs=verdict.needs,
        ),
    )
    return desk.records.update(release.id, looks=number, verdict=phases.summary(verdict, desk.now))


def _decided(desk: Desk, release: Release, step: Step, verdict: Verdict | None) -> None:
    """What the gate's hook reads: nothing goes on without evidence for it. A rollback is written before its act."""
    if step.next == "tell":
        desk.records.update(release.id, notes={**release.notes, "told": iso(desk.now)})
    if release.way == "drive" and step.outcome == "promoted":
        desk.records.decide(release.id, "promote", step.reason)
    if release.way != "gate" or verdict is None or step.next == "close":
        return
    if verdict.action is Action.PROMOTE:
        desk.records.decide(release.id, "promote", verdict.reason)
    elif verdict.action is Action.INCONCLUSIVE and release.decided(release.weight) is None:
        desk.records.decide(release.id, "hold", verdict.reason)


def answer(release: Release, step: Step, policy: ReleasePolicy) -> dict[str, Any]:
    """What the machine is told."""
    logging.logger().info(f"{step.next}: {step.reason}", extra={"weight": release.weight, "looks": release.looks})
    return {
        "next": step.next,
        "reason": step.reason,
        "outcome": step.outcome,
        "seconds": step.seconds,
        "expires": int(policy.approval_expires.total_seconds()),
        "message": doubt(release, step) if step.next == "tell" else None,
    }


def doubt(release: Release, step: Step) -> dict[str, str]:
    """The message about a release that cannot be decided, while it goes on."""
    needs = "\n".join(f"- {need}" for need in release.verdict.get("needs", ()))
    text = (
        f"Release {release.id} of {release.service}: {release.task_definition} cannot be told from "
        f"{release.baseline_task_definition} yet.\nWhy: {step.reason}\nStill needed:\n{needs or '- more traffic'}\n"
        "Caretaker goes on looking. Promote it or roll it back yourself, or let it go on."
    )
    return {"subject": f"Caretaker: {release.name}: no verdict yet"[:99], "text": text}
