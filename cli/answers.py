"""Answers of people in a rehearsed world, given with the code of `caretaker approve` and `caretaker reject`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from cli.account import Account
from cli.approval import answer
from cli.stack import Stack
from twin.kernel.api import Caller

if TYPE_CHECKING:
    from twin.world import World

_WORDS: dict[Literal["approve", "reject"], Literal["approved", "rejected"]] = {
    "approve": "approved",
    "reject": "rejected",
}


@dataclass(frozen=True)
class _InWorld(Account):
    """The account of a world, as one of its people sees it."""

    world: World | None = None
    caller: Caller = Caller("operator", "somebody")

    def client(self, service: str) -> Any:
        assert self.world is not None
        return self.world.gateway.client(cast(Any, service), self.caller)


def answering(world: World, to: str, word: Literal["approve", "reject"], by: str, why: str) -> str:
    """What `Rehearsal` needs for a world with answers. See `twin.rehearsal.actors.Answering`."""
    account = _InWorld(None, world, Caller("operator", by))
    return answer(Stack("caretaker", account=account), to, _WORDS[word], by, why).id
