"""`caretaker approve` and `caretaker reject`: the answer of a person to a release that waits for one.

The answer is written down first, on the condition that nobody has answered meanwhile; then the task token is answered,
which tells for certain whether the execution still waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from cli.product import Approval, ConditionFailed, Records, Release, ReleaseClosed, TokenGone
from cli.releases import find
from cli.stack import Stack, in_one_line
from twin.errors import WorldError

Answer = Literal["approved", "rejected"]


def answer(stack: Stack, given: str, word: Answer, by: str, why: str = "") -> Release:
    """Answer the question of a release. Returns the release as it stood.

    Raises:
        WorldError: there is no such release, it asks nothing, its question was answered, or has expired.
    """
    with in_one_line():
        records = stack.records
        release = find(records, given)
        if held(release):
            return _decide(records, release, word, f"{by} ({why})" if why else by)
        approval = open_question(release, word)
        if approval.answer is None:
            _write(records, release, approval, word, f"{by} ({why})" if why else by)
        try:
            stack.answer(approval.token, {"answer": word, "by": by, "why": why})
        except TokenGone:
            raise WorldError(_gone(records, release, approval)) from None
    return release


def held(release: Release) -> bool:
    """Whether the gate holds the release's deployment because nothing could be told: a person may decide it."""
    holds = release.way == "gate" and release.decided(release.weight) == "hold"
    return release.open and holds and not _asks(release)


def _asks(release: Release) -> bool:
    return release.approval is not None and release.approval.answer is None


def _decide(records: Records, release: Release, word: Answer, by: str) -> Release:
    """Write a person's decision, which the gate answers ECS with at its next call."""
    decision: Literal["promote", "roll_back"] = "promote" if word == "approved" else "roll_back"
    reason = f"{word} by {by}: {release.decision_reason}"
    found = records.decide(release.id, decision, reason)
    if found.decision_reason != reason:
        raise WorldError(f"{release.id}: somebody was faster; look at `caretaker releases {release.id}`")
    return found


def open_question(release: Release, word: Answer) -> Approval:
    """The approval that waits for an answer; WorldError says why there is none.

    One that has this very answer may wait still, if whoever gave it was interrupted; its token tells.
    """
    approval = release.approval
    if approval is None:
        state = f"its mode is {release.mode}" if release.open else f"it ended as {release.outcome}"
        raise WorldError(f"{release.id} asks for no approval: {state}")
    if approval.answer == "expired":
        raise WorldError(f"{release.id}: the question has expired at {_at(approval)}; nothing was done")
    if approval.answer is not None and (approval.answer != word or not release.open):
        raise WorldError(_before(release, approval))
    if not release.open:
        raise WorldError(f"{release.id} has ended as {release.outcome}: {release.reason}")
    return approval


def _write(records: Records, release: Release, approval: Approval, word: Answer, by: str) -> None:
    try:
        records.update(release.id, approval=replace(approval, answer=word, by=by), when={"approval": approval})
    except (ReleaseClosed, ConditionFailed):
        raise WorldError(f"{release.id}: somebody was faster; look at `caretaker releases {release.id}`") from None


def _gone(records: Records, release: Release, approval: Approval) -> str:
    """Why the token is taken no more. An answer that came too late does not stay in the record."""
    if approval.answer is not None:
        return _before(release, approval)
    try:
        records.update(release.id, approval=replace(approval, answer="expired"))
    except ReleaseClosed:
        return f"{release.id} ended before the answer came; nothing was done because of it"
    return f"{release.id} waits for an answer no longer; nothing was done because of this one"


def _before(release: Release, approval: Approval) -> str:
    return f"{release.id} was {approval.answer} before{f' by {approval.by}' if approval.by else ''}"


def _at(approval: Approval) -> str:
    return approval.expires.strftime("%Y-%m-%d %H:%MZ")
