"""The question to a person that work waits for, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from caretaker.aws import stepfunctions
from caretaker.aws.errors import TokenGone
from caretaker.runtime import logging
from caretaker.runtime.clock import iso, parse

Answer = Literal["approved", "rejected", "expired"]
TOKEN_ANSWER = "answer"


@dataclass(frozen=True)
class Approval:
    """The question to a person.

    Attributes:
        asked: when it was asked.
        expires: when it lapses, and nothing is done.
        token: task token of the state that waits for the answer.
        answer: approved, rejected or expired; None while it is open.
        by: who answered.
        keys: what was asked about, one by one (of a sweep: `Act.key` of each); empty where it was the whole.
    """

    asked: datetime
    expires: datetime
    token: str
    answer: Answer | None = None
    by: str = ""
    keys: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As it is kept in the table."""
        return {
            "asked": iso(self.asked),
            "expires": iso(self.expires),
            "token": self.token,
            "answer": self.answer,
            "by": self.by,
            **({"keys": list(self.keys)} if self.keys else {}),
        }


def approval_from(plain: Mapping[str, Any] | None) -> Approval | None:
    """The question as the table keeps it; None if none was asked."""
    if not plain:
        return None
    return Approval(
        parse(plain["asked"], "asked"),
        parse(plain["expires"], "expires"),
        plain["token"],
        plain.get("answer"),
        plain.get("by", ""),
        tuple(plain.get("keys", ())),
    )


def answered(token: str, answer: Answer) -> dict[str, Any]:
    """Let a state that has just begun to wait go on with the answer that was given before; what the function returns.

    Args:
        token: the task token of the state.
    """
    try:
        stepfunctions.succeed(token, {TOKEN_ANSWER: answer})
    except TokenGone:
        logging.logger().info("the state waits with another token by now")
    return {"waiting": False}
