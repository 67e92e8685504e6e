"""What became of a release, in words: the outcome event, the messages to people. Plain functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from caretaker.releases.phases import evidence_words
from caretaker.releases.release import Release
from caretaker.runtime.clock import iso
from caretaker.runtime.telling import subject

MAX_TEXT = 20_000
_TOLD = frozenset({"rolled_back", "inconclusive", "failed"})
_NEXT = {
    "rolled_back": "The former revision serves. The same revision is baked again if somebody deploys it again.",
    "inconclusive": "The new revision serves. Watch it, or roll it back yourself.",
    "failed": "Look at the service: nobody judges this release any more.",
    "planned": "Nothing was changed.",
}


def unopened_result(given: Mapping[str, Any], outcome: str, reason: str) -> dict[str, Any]:
    """Output of an execution that never opened a release."""
    return {"id": given.get("id"), "service": given.get("service"), "outcome": outcome, "reason": reason}


def refused_event(given: Mapping[str, Any], outcome: str, reason: str, execution: str) -> dict[str, Any]:
    """`detail_type` and `detail` of the outcome event of a release that was asked for and never opened."""
    words = " ".join(part.capitalize() for part in outcome.split("_"))
    asked = {"trigger": given["trigger"]["text"], "task_definition": given["revision"], "execution": execution}
    return {"detail_type": f"Release {words}", "detail": {**unopened_result(given, outcome, reason), **asked}}


def result_of(release: Release) -> dict[str, Any]:
    """Output of the execution."""
    return {
        "id": release.id,
        "way": release.way,
        "mode": release.mode,
        "cluster": release.cluster,
        "service": release.service,
        "outcome": release.outcome,
        "reason": release.reason,
        "done": list(release.done),
    }


def event_of(release: Release, execution: str) -> dict[str, Any]:
    """`detail_type` and `detail` of the outcome event: service, revision, verdict, evidence, and what was done."""
    words = " ".join(part.capitalize() for part in str(release.outcome).split("_"))
    detail = {
        **result_of(release),
        "execution": execution,
        "trigger": release.trigger.text,
        "deployment": release.deployment,
        "revision": release.revision,
        "task_definition": release.task_definition,
        "baseline_revision": release.baseline_revision,
        "baseline_task_definition": release.baseline_task_definition,
        "opened": iso(release.opened),
        "started": iso(release.started) if release.started else None,
        "ended": iso(release.ended) if release.ended else None,
        "weight": release.weight,
        "looks": release.looks,
        "verdict": release.verdict.get("action"),
        "evidence": dict(release.verdict),
        "plan": list(release.notes.get("plan", ())),
    }
    return {"detail_type": f"Release {words}", "detail": detail}


def message_of(release: Release) -> dict[str, str] | None:
    """Subject and text for people; None for outcomes that need nobody."""
    would = release.outcome == "planned" and release.reason.startswith("would be rolled back")
    if release.outcome not in _TOLD and not would:
        return None
    outcome = str(release.outcome).replace("_", " ")
    lines = [
        f"What: release {release.id} of {release.service} ended as {outcome}.",
        f"New: {release.revision} ({release.task_definition})",
        f"Before: {release.baseline_revision} ({release.baseline_task_definition})",
        f"Why: {release.reason}",
        "Evidence:",
        *(f"- {line}" for line in evidence_words(release.verdict)),
        "Done:",
        *(f"- {line}" for line in release.done or ("nothing",)),
        f"Next: {_NEXT[str(release.outcome)]}",
    ]
    return {"subject": subject(f"Caretaker: {release.name}: release {outcome}"), "text": "\n".join(lines)[:MAX_TEXT]}


def question_of(release: Release, reason: str, expires: datetime) -> dict[str, str]:
    """The message that asks a person."""
    lines = [
        f"Release {release.id} of {release.service} waits for your answer until {iso(expires)}.",
        *(str(line) for line in release.notes.get("plan", ())),
        f"Why it asks: {reason}",
        *(f"- {line}" for line in evidence_words(release.verdict)),
        f"Answer with `caretaker approve {release.id}` or `caretaker reject {release.id}`.",
        "Without an answer nothing is done.",
    ]
    return {"subject": subject(f"Caretaker: {release.name}: may it be done?"), "text": "\n".join(lines)[:MAX_TEXT]}
