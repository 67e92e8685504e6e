"""What became of a sweep, in words: the outcome event, the messages to people. Plain functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from caretaker.garbage.proof import read, told
from caretaker.garbage.sweep import Act, Outcome, Sweep
from caretaker.runtime import telling
from caretaker.runtime.clock import iso

MAX_TEXT = 20_000
# SNS API: Publish takes 256 KB; the question does not go through a state.
MAX_QUESTION = 120_000
# EventBridge API: PutEvents takes 256 KB an entry, and a state's data is at most 256 KiB, the message to people among
# it. The acts themselves are items of their own, each whole.
MAX_LISTED = 100
MAX_LINE = 360
# DynamoDB: an item is at most 400 KB.
MAX_KEPT = 300
_WORDS = {
    "done": "deleted",
    "gone": "was gone already",
    "refused": "kept: AWS refused it",
    "skipped": "left",
    "intended": "not known whether it was deleted",
    "planned": "not deleted yet",
}


def outcome_of(acts: Sequence[Act], remains: Sequence[str], held: int) -> tuple[Outcome, str]:
    """Outcome and reason of a sweep that came to its acts' end.

    Args:
        remains: what stays, in words.
        held: how much of that should go and cannot now.
    """
    counts = Counter(act.status for act in acts)
    deleted, kept = counts["done"] + counts["gone"], counts["refused"] + counts["skipped"]
    open_ = counts["planned"] + counts["intended"]
    words = [f"{deleted} of {len(acts)} acts done"]
    if kept:
        first = next(act for act in acts if act.status in ("refused", "skipped"))
        words.append(f"{kept} left, the first because {first.reason}")
    if open_:
        words.append(f"{open_} not come to")
    if remains:
        words.append(f"{len(remains)} other things remain: {remains[0]}" + (" …" if len(remains) > 1 else ""))
    if kept or open_ or held:
        return "kept", "; ".join(words)
    return "swept", "; ".join(words)


def act_words(act: Act) -> str:
    """One act and what became of it."""
    words = f"{act.kind} {act.resource}: {_WORDS[act.status]}"
    if act.status == "done" and not act.action.partition(":")[2].startswith(("Delete", "Deregister")):
        words = f"{act.kind} {act.resource}: {act.why}"
    return brief(f"{words} ({act.reason})" if act.reason else words)


def act_line(act: Act) -> str:
    """One act that is planned."""
    return f"{act.action.partition(':')[2]} {act.kind} {act.resource}: {act.why}"


def brief(text: str) -> str:
    return text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 3]}..."


def unopened_result(given: Mapping[str, Any], outcome: str, reason: str) -> dict[str, Any]:
    """Output of an execution that never opened a sweep."""
    return {"id": given.get("id"), "vpc": given.get("vpc"), "outcome": outcome, "reason": reason}


def unopened_event(given: Mapping[str, Any], outcome: str, reason: str, execution: str) -> dict[str, Any]:
    """`detail_type` and `detail` of the outcome event of a sweep that a person asked for and that was never opened."""
    asked = {"trigger": given["trigger"]["text"], "execution": execution}
    return {
        "detail_type": f"Sweep {outcome.capitalize()}",
        "detail": {**unopened_result(given, outcome, reason), **asked},
    }


def result_of(sweep: Sweep, acts: Sequence[Act]) -> dict[str, Any]:
    """Output of the execution."""
    return {
        "id": sweep.id,
        "vpc": sweep.vpc,
        "mode": sweep.mode,
        "outcome": sweep.outcome,
        "reason": sweep.reason,
        "deletions": sum(1 for act in acts if act.status == "done"),
        "remains": len(sweep.remains),
    }


def event_of(sweep: Sweep, acts: Sequence[Act], execution: str) -> dict[str, Any]:
    """`detail_type` and `detail` of the outcome event: counts, deletions, what remains and why, savings."""
    detail = {
        **result_of(sweep, acts),
        "execution": execution,
        "trigger": sweep.trigger.text,
        "opened": iso(sweep.opened),
        "ended": iso(sweep.ended) if sweep.ended else None,
        "counts": dict(sweep.counts),
        "plan": listed(sweep.plan),
        "acts": [
            {
                "resource": act.resource,
                "kind": act.kind,
                "action": act.action,
                "status": act.status,
                "why": brief(act.why),
            }
            | ({"reason": brief(act.reason)} if act.reason else {})
            for act in acts[:MAX_LISTED]
        ],
        "remains": listed(sweep.remains),
        "savings": listed(sweep.savings),
    }
    return {"detail_type": f"Sweep {str(sweep.outcome).capitalize()}", "detail": detail}


def listed(lines: Iterable[str], most: int = MAX_LISTED) -> list[str]:
    """The first of the lines, each cut to its length, with a word on how many more there are."""
    found = list(lines)
    rest = len(found) - most
    return [brief(line) for line in found[:most]] + ([f"and {rest} more"] if rest > 0 else [])


def message_of(sweep: Sweep, acts: Sequence[Act]) -> dict[str, str] | None:
    """Subject and text for people; None for outcomes that need nobody.

    A plan under `observe` is an event alone: the patrol makes the same one every day.
    """
    refused = any(act.status == "refused" for act in acts)
    unanswered = sweep.approval is not None and sweep.approval.answer == "expired"
    if sweep.outcome != "failed" and not refused and not unanswered:
        return None
    lines = [
        f"What: sweep {sweep.id} of {sweep.vpc} ended as {sweep.outcome}.",
        f"Why: {sweep.reason}",
        "Done:",
        *(f"- {act_words(act)}" for act in acts),
        *(["- nothing"] if not acts else []),
        "Remains:",
        *(f"- {line}" for line in sweep.remains or ("nothing that Caretaker knows of",)),
        *(f"Saves: {line}" for line in sweep.savings),
        f"Next: {_NEXT[str(sweep.outcome)]}",
    ]
    return {
        "subject": telling.subject(f"Caretaker: {sweep.vpc}: sweep {sweep.outcome}"),
        "text": "\n".join(lines)[:MAX_TEXT],
    }


_NEXT = {
    "failed": "Nothing is deleted without proof; the patrol sweeps again. Look at why it failed.",
    "kept": "Look at what AWS refused; the next patrol tries again.",
    "swept": "Look at what AWS refused; the next patrol tries again.",
    "planned": "Nothing was deleted. Policy (`garbage`, `mode`) allows it with `act`, or asks with `approve`.",
    "ignored": "Nothing was deleted.",
}


def question_of(sweep: Sweep, acts: Sequence[Act], expires: datetime) -> dict[str, str]:
    """The message that asks a person: each planned act with its proof in words."""
    lines = [
        f"Sweep {sweep.id} of {sweep.vpc} waits for your answer until {iso(expires)}.",
        f"Answer with `caretaker approve {sweep.id}` or `caretaker reject {sweep.id}`.",
        "Without an answer nothing is deleted.",
        f"Why it was begun: {sweep.trigger.text}",
        *(f"Saves: {line}" for line in sweep.savings),
        f"It would do {len(acts)} acts, in this order. Each thing is looked at once more before, and stays if anybody "
        "uses it by then.",
        *(line for act in acts for line in _with_proof(act)),
        "Remains:",
        *(f"- {line}" for line in sweep.remains or ("nothing that Caretaker knows of",)),
    ]
    text = "\n".join(lines)[:MAX_QUESTION]
    return {"subject": telling.subject(f"Caretaker: {sweep.vpc}: may it be deleted?"), "text": text}


def _with_proof(act: Act) -> list[str]:
    """An act with its proof: both observations, who referred to it, whose it was."""
    return [f"{act.number}. {act_line(act)}", *(f"   {line}" for line in told(read(act.proof))[1:])]
