"""What ends a release before its time."""

from __future__ import annotations

from typing import Literal

from twin.kernel.api import Call

Ending = Literal["rollback", "failed", "superseded", "deleted"]


class Interrupted(Exception):
    """The release cannot go on as it was going.

    Attributes:
        by: who demands it, in the words of the rollback's event.
        cause: the call behind it, if there is one.
    """

    def __init__(self, ending: Ending, reason: str, by: str = "", cause: Call | None = None) -> None:
        super().__init__(reason)
        self.ending = ending
        self.reason = reason
        self.by = by
        self.cause = cause
