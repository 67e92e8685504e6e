"""Gathers for the functions of a sweep what a judgement needs: observations, and what their owners' policies say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from caretaker.garbage import modes, observe, savings
from caretaker.garbage.desk import Desk, policies_of
from caretaker.garbage.model import Observation, Word
from caretaker.garbage.modes import RANK
from caretaker.garbage.report import MAX_KEPT, listed
from caretaker.garbage.standing import Keep
from caretaker.garbage.sweep import Ground
from caretaker.garbage.unowned import unowned
from caretaker.garbage.verdict import Judgement
from caretaker.runtime import logging
from caretaker.runtime.policy import GarbagePolicy

# A VPC that changes faster than it can be observed is left to the next patrol.
MAX_LOOKS = 10
# As the plan words it.
CAP = "policy garbage.cap"
NOT_NOW = "it is not in this sweep's plan; the next one looks at it"


def noted(desk: Desk, number: int) -> Desk:
    """The desk with an observation entered into the sweep's list."""
    name = observe.name_of(desk.sweep.id, number)
    if name in desk.sweep.observations:
        return desk
    sweep = desk.records.update(desk.sweep.id, observations=(*desk.sweep.observations, name))
    return replace(desk, sweep=sweep)


def load(desk: Desk, number: int) -> Observation:
    """One of the sweep's observations."""
    return observe.load(desk.records.table, observe.name_of(desk.sweep.id, number))


def policies(desk: Desk, seen: Iterable[Observation]) -> dict[str, GarbagePolicy]:
    """What holds for every service that claims something in the observations, as the documents are now; by ARN."""
    services = {owner.arn for each in seen for owner in each.owners}
    services |= {claim.owner.arn for each in seen for claim in each.claims}
    return policies_for(desk, services)


def policies_for(desk: Desk, services: Iterable[str]) -> dict[str, GarbagePolicy]:
    """What holds for services by ARN, as the documents are now; who asked for less than policy allows gets less."""
    found = policies_of(desk.settings, desk.records, services)
    return {arn: _bounded(policy, desk) for arn, policy in found.items()}


def _bounded(policy: GarbagePolicy, desk: Desk) -> GarbagePolicy:
    """The policy with a mode not above the one that the sweep was asked for."""
    most = desk.sweep.notes.get("most")
    return replace(policy, mode=most) if most and RANK[most] < RANK[policy.mode] else policy


def look_again(desk: Desk, ground: Ground) -> dict[str, Any]:
    """Something was created, updated or deleted in the VPC: observe it once more under the lock."""
    looks = int(desk.sweep.notes.get("looks", 0)) + 1
    if looks > MAX_LOOKS:
        reason = f"the VPC changed {MAX_LOOKS} times while it was observed; the next patrol sweeps it"
        return {"next": "close", "outcome": "kept", "reason": reason}
    logging.logger().info("something has changed in the VPC; it is observed once more")
    return next_look(desk, ground, "confirm", looks=looks)


def next_look(desk: Desk, ground: Ground, stage: str, **notes: Any) -> dict[str, Any]:
    """Observe under the lock: what the machine goes on with. The VPC's counter of changes is written down for this very
    observation, so that a function that dies here and is run again says the same again."""
    number = len(desk.sweep.observations) + 1
    changes = {**desk.sweep.notes.get("changes", {}), str(number): ground.changes}
    desk.records.update(desk.sweep.id, notes={**desk.sweep.notes, **notes, "changes": changes})
    return {"next": "observe", "number": number, "stage": stage}


def unchanged(desk: Desk, number: int, ground: Ground) -> bool:
    """Whether no call or deployment of an Express service in the VPC was told of since before that observation."""
    changes: Mapping[str, int] = desk.sweep.notes.get("changes", {})
    return changes.get(str(number)) == ground.changes


def told(desk: Desk, judgement: Judgement, waiting: Mapping[str, str], targets: Iterable[str]) -> dict[str, Any]:
    """Fields of the sweep: what remains and why, what is saved.

    Args:
        waiting: why garbage is not deleted now, by ARN.
        targets: ARNs of the garbage that is.
    """
    verdicts, seen = judgement.verdicts, judgement.graph.observation
    chosen = set(targets)
    taken = chosen | {part for arn in chosen for part in judgement.graph.parts_of.get(arn, ())}
    taken |= {each for arn in chosen for each in judgement.graph.listeners_of.get(arn, ())}
    stays = dict.fromkeys(sorted(judgement.garbage - taken), NOT_NOW) | dict(waiting)
    stays = {arn: why for arn, why in stays.items() if arn in verdicts and arn not in taken}
    held = modes.holding(verdicts, seen, stays)
    capped = bool(desk.sweep.notes.get("capped")) or any(CAP in why for why in waiting.values())
    dead = modes.left_by_the_dead(seen)
    priced = [
        e for arn, e in verdicts.items() if arn in chosen or (e.word is not Word.GARBAGE and dead & set(e.owners))
    ]
    remaining = modes.remaining(verdicts, seen, stays)
    nobodys = [
        f"{each.resource.kind} {each.resource.name}: {each.reason}" for each in unowned(judgement.graph, verdicts)
    ]
    return {
        "counts": modes.counts(verdicts),
        # The first line becomes the reason of a sweep: what stays although it should go.
        "remains": tuple(listed([*remaining, *nobodys] if held else [*nobodys, *remaining], MAX_KEPT)),
        "savings": tuple(listed(savings.told(savings.monthly(priced)))),
        "notes": {**desk.sweep.notes, "held": held + len(nobodys), "capped": capped},
    }


def judged(seen: Observation, policies_: Mapping[str, GarbagePolicy], now: datetime) -> Judgement:
    """The observation, judged. A service without a policy of its own document is observed."""
    return Judgement(seen, Keep(services=policies_), now)
