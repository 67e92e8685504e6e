"""Answers of people in a rehearsed world, given with the code of `caretaker approve` and `caretaker reject`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

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


class _InWorld(Account):
    """The account of a world, as one of its people sees it."""

    def __init__(self, world: World, person: Caller) -> None:
        super().__init__()
        self._world, self._person = world, person

    def client(self, service: str) -> Any:
        return self._world.gateway.client(service, self._person)


def answering(world: World, to: str, word: Literal["approve", "reject"], by: str, why: str) -> str:
    """What `Rehearsal` needs for a world with answers. See `twin.rehearsal.actors.Answering`."""
    stack = Stack("caretaker", account=_InWorld(world, Caller("operator", by)))
    return answer(stack, to, _WORDS[word], by, why).id
