"""The answer of a person to a sweep that waits for one: the same two commands as for a release.

The answer is written down first, on the condition that nobody has answered meanwhile; then the task token is answered,
which tells for certain whether the execution still waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from cli.product import ConditionFailed, Sweep, SweepApproval, SweepClosed, Sweeps, TokenGone
from cli.stack import Stack, in_one_line
from twin.errors import WorldError

Answer = Literal["approved", "rejected"]


def find(stack: Stack, given: str) -> Sweep | None:
    """The sweep of an id, or of a part of one that is the only one; None if there is none.

    Raises:
        WorldError: several may be meant.
    """
    with in_one_line():
        sweeps = Sweeps(stack.table)
        exact = sweeps.find(given)
        if exact is not None:
            return exact
        ids = [entry.id for entry in sweeps.list() if given in entry.id]
        waiting = [sweep.id for id_ in ids if (sweep := sweeps.get(id_)).open and sweep.approval is not None]
        ids = waiting or ids
        if len(ids) > 1:
            raise WorldError(f"{given} may be any of {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")
        return sweeps.get(ids[0]) if ids else None


def answer(stack: Stack, sweep: Sweep, word: Answer, by: str, why: str = "") -> None:
    """Answer the question of a sweep.

    Raises:
        WorldError: it asks nothing, its question was answered, or has expired.
    """
    with in_one_line():
        sweeps = Sweeps(stack.table)
        approval = _question(sweep, word)
        if approval.answer is None:
            _write(sweeps, sweep, replace(approval, answer=word, by=f"{by} ({why})" if why else by))
        try:
            stack.answer(approval.token, {"answer": word, "by": by, "why": why})
        except TokenGone:
            raise WorldError(f"{sweep.id} waits for an answer no longer; nothing was deleted because of it") from None


def _question(sweep: Sweep, word: Answer) -> SweepApproval:
    """The question that waits; one that has this very answer may wait still, if whoever gave it was interrupted."""
    approval = sweep.approval
    if approval is None:
        state = f"its mode is {sweep.mode}" if sweep.open else f"it ended as {sweep.outcome}"
        raise WorldError(f"{sweep.id} asks for no approval: {state}")
    if approval.answer is not None and (approval.answer != word or not sweep.open):
        raise WorldError(f"{sweep.id} was {approval.answer} before{f' by {approval.by}' if approval.by else ''}")
    if not sweep.open:
        raise WorldError(f"{sweep.id} has ended as {sweep.outcome}: {sweep.reason}")
    return approval


def _write(sweeps: Sweeps, sweep: Sweep, approval: SweepApproval) -> None:
    try:
        sweeps.update(sweep.id, approval=approval, when={"approval": sweep.approval})
    except (SweepClosed, ConditionFailed):
        raise WorldError(f"{sweep.id}: somebody was faster; look at the sweep again") from None
