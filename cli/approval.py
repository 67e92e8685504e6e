"""`caretaker approve` and `caretaker reject`: the answer of a person to a release that waits for one.

The task token is answered first and the answer is written by the state that waited: a token that Step Functions takes
no more tells for certain that the question is over, whatever the table says.
"""

from __future__ import annotations

from typing import Literal

from cli.product import Approval, Release, TokenGone
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
        release = find(stack.records, given)
        approval = open_question(release)
        try:
            stack.answer(approval.token, {"answer": word, "by": by, "why": why})
        except TokenGone:
            raise WorldError(_gone(stack.records.get(release.id))) from None
    return release


def open_question(release: Release) -> Approval:
    """The approval that waits for an answer; WorldError says why there is none."""
    approval = release.approval
    if approval is None:
        state = f"it ended as {release.outcome}" if not release.open else f"its mode is {release.mode}"
        raise WorldError(f"{release.id} asks for no approval: {state}")
    if approval.answer == "expired":
        raise WorldError(f"{release.id}: the question has expired at {_at(approval)}; nothing was done")
    if approval.answer is not None:
        raise WorldError(f"{release.id} was {approval.answer} before{f' by {approval.by}' if approval.by else ''}")
    if not release.open:
        raise WorldError(f"{release.id} has ended as {release.outcome}: {release.reason}")
    return approval


def _gone(release: Release) -> str:
    """Why the token is taken no more, as the release stands now."""
    approval = release.approval
    if approval is not None and approval.answer not in (None, "expired"):
        return f"{release.id} was {approval.answer} before{f' by {approval.by}' if approval.by else ''}"
    when = f" (it expires at {_at(approval)})" if approval is not None else ""
    return f"{release.id} waits for an answer no longer{when}; nothing was done"


def _at(approval: Approval) -> str:
    return approval.expires.strftime("%Y-%m-%d %H:%MZ")
