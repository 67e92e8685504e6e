"""`caretaker approve` and `caretaker reject`: the answer of a person to a release or a sweep that waits for one.

The answer is written down first, on the condition that nobody has answered meanwhile; then the task token is answered,
which tells for certain whether the execution still waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cli.product import (
    Approval,
    ConditionFailed,
    Records,
    Release,
    ReleaseClosed,
    Sweep,
    SweepClosed,
    Sweeps,
    TokenGone,
)
from cli.releases import find
from cli.stack import Stack, in_one_line
from twin.errors import WorldError

Answer = Literal["approved", "rejected"]
Asker = Release | Sweep
"""What may ask a person."""


Update = Callable[..., Asker]
"""Sets fields of an asker that has not ended: `Records.update`."""


@dataclass(frozen=True)
class Answered:
    """What was answered: its id, and the service or VPC that it is about."""

    id: str
    of: str


def answer(stack: Stack, given: str, word: Answer, by: str, why: str = "") -> Answered:
    """Answer the question of a release or a sweep, by its id or a part of it that no other has.

    Raises:
        WorldError: there is no such release or sweep, it asks nothing, its question was answered, or has expired.
    """
    signed = f"{by} ({why})" if why else by
    with in_one_line():
        sweep = find_sweep(Sweeps(stack.table), given)
        if sweep is not None:
            _answer(stack, Sweeps(stack.table).update, sweep, word, signed, {"answer": word, "by": by, "why": why})
            return Answered(sweep.id, sweep.vpc)
        release = find(stack.records, given)
        if held(release):
            _decide(stack.records, release, word, signed)
        else:
            _answer(stack, stack.records.update, release, word, signed, {"answer": word, "by": by, "why": why})
        return Answered(release.id, release.name)


def find_sweep(sweeps: Sweeps, given: str) -> Sweep | None:
    """The sweep of an id, or of a part of one; None if it is none's. Of several, the one that asks is meant.

    Raises:
        WorldError: it may be any of several.
    """
    exact = sweeps.find(given)
    if exact is not None:
        return exact
    found = [sweeps.get(entry.id) for entry in sweeps.index.entries() if given in entry.id]
    asking = [each for each in found if each.open and _asks(each)]
    return _only(asking or found, given)


def _only(found: Sequence[Sweep], given: str) -> Sweep | None:
    if len(found) > 1:
        ids = [each.id for each in found]
        raise WorldError(f"{given} may be any of {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")
    return found[0] if found else None


def _answer(stack: Stack, update: Update, asker: Asker, word: Answer, by: str, output: dict[str, str]) -> None:
    """Write the answer down, then give it to the execution that waits."""
    approval = open_question(asker, word)
    if approval.answer is None:
        _write(update, asker, approval, word, by)
    try:
        stack.answer(approval.token, output)
    except TokenGone:
        raise WorldError(_gone(update, asker, approval)) from None


def held(release: Release) -> bool:
    """Whether the gate holds the release's deployment because nothing could be told: a person may decide it."""
    holds = release.way == "gate" and release.decided(release.weight) == "hold"
    return release.open and holds and not _asks(release)


def _asks(asker: Asker) -> bool:
    return asker.approval is not None and asker.approval.answer is None


def _decide(records: Records, release: Release, word: Answer, by: str) -> None:
    """Write a person's decision, which the gate answers ECS with at its next call."""
    decision: Literal["promote", "roll_back"] = "promote" if word == "approved" else "roll_back"
    reason = f"{word} by {by}: {release.decision_reason}"
    found = records.decide(release.id, decision, reason)
    if found.decision_reason != reason:
        raise WorldError(_faster(release))


def open_question(asker: Asker, word: Answer) -> Approval:
    """The approval that waits for an answer; WorldError says why there is none.

    One that has this very answer may wait still, if whoever gave it was interrupted; its token tells.
    """
    approval = asker.approval
    if approval is None:
        state = f"its mode is {asker.mode}" if asker.open else f"it ended as {asker.outcome}"
        raise WorldError(f"{asker.id} asks for no approval: {state}")
    if approval.answer == "expired":
        raise WorldError(f"{asker.id}: the question has expired at {_at(approval)}; nothing was done")
    if approval.answer is not None and (approval.answer != word or not asker.open):
        raise WorldError(_before(asker, approval))
    if not asker.open:
        raise WorldError(f"{asker.id} has ended as {asker.outcome}: {asker.reason}")
    return approval


def _write(update: Update, asker: Asker, approval: Approval, word: Answer, by: str) -> None:
    try:
        update(asker.id, approval=replace(approval, answer=word, by=by), when={"approval": approval})
    except (ReleaseClosed, SweepClosed, ConditionFailed):
        raise WorldError(_faster(asker)) from None


def _faster(asker: Asker) -> str:
    look = f"; look at `caretaker releases {asker.id}`" if isinstance(asker, Release) else ""
    return f"{asker.id}: somebody was faster{look}"


def _gone(update: Update, asker: Asker, approval: Approval) -> str:
    """Why the token is taken no more. An answer that came too late does not stay in the record."""
    if approval.answer is not None:
        return _before(asker, approval)
    try:
        update(asker.id, approval=replace(approval, answer="expired"))
    except (ReleaseClosed, SweepClosed):
        return f"{asker.id} ended before the answer came; nothing was done because of it"
    return f"{asker.id} waits for an answer no longer; nothing was done because of this one"


def _before(asker: Asker, approval: Approval) -> str:
    return f"{asker.id} was {approval.answer} before{f' by {approval.by}' if approval.by else ''}"


def _at(approval: Approval) -> str:
    return approval.expires.strftime("%Y-%m-%d %H:%MZ")
