"""Which hosts to launch, from which group and zone, so that every task has a place: the least number found.

No host is launched where the tasks fit on hosts that stay. Otherwise new hosts are chosen one group and zone at a time
for the tasks that found no place, preferring those of the hosts that go, and the whole placement is simulated again
with them; at the end every host that turns out not to be needed is taken off the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from caretaker.placement.fit import LIKELY, ORDERS, Board, Outcome, check, simulate, weight, why_not
from caretaker.placement.model import Candidate, Item

FIRST_FIT = LIKELY[1]


@dataclass(frozen=True, slots=True)
class Offer:
    """A host that could be launched.

    Attributes:
        group: Auto Scaling group.
        zone: zone that the call names, "" where the group chooses.
        method: `LaunchInstances` or `SetDesiredCapacity`.
        instance_type: type that is expected.
        host: what the host would be like, its daemon tasks already taken off.
        reason: why here.
    """

    group: str
    zone: str
    method: str
    instance_type: str
    host: Candidate
    reason: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A host to launch: its name in the placement, the offer, the further offers that would do, and its tasks' keys."""

    name: str
    offer: Offer
    alternatives: tuple[Offer, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Hosts to launch and where every task goes.

    Attributes:
        launches: hosts to launch, none if the tasks fit on hosts that stay.
        placed: item key to host id or launch name, in the likeliest order of events.
        unplaced: item key to the reason why nothing takes it; not empty means that the batch cannot move.
        tight: whether the tasks fit in the likely orders of events but not in the unkind one.
        unhoused: what found no place with no launch at all, in words; why hosts are launched.
    """

    launches: tuple[Chosen, ...] = ()
    placed: Mapping[str, str] = field(default_factory=dict)
    unplaced: Mapping[str, str] = field(default_factory=dict)
    tight: bool = False
    unhoused: str = ""


def choose(
    items: Sequence[Item], board: Board, homes: Sequence[Sequence[Offer]], room: Mapping[str, int], most: int
) -> Choice:
    """Choose the hosts to launch.

    Args:
        items: tasks that need a place.
        board: hosts that stay.
        homes: per host that goes, the offers in the order of preference (its own group and zone first).
        room: per group, how many hosts it may still launch.
        most: how many hosts may be launched at all.
    """
    new: list[Offer] = []
    outcomes = check(board, items)
    first = outcomes[-1]
    while outcomes[-1].unplaced and not (_likely(outcomes) and len(new) >= len(homes)):
        more = _cover(outcomes[-1].unplaced, homes, new, room, most)
        if not more:
            break
        new += more
        outcomes = check(board.extended(_hosts(new)), items)
    if outcomes[-1].unplaced and not _likely(outcomes):
        return Choice(unplaced=_unplaced(outcomes[-1], homes), unhoused=_words(first))
    tight = bool(outcomes[-1].unplaced)
    new, outcomes = _trimmed(new, outcomes, board, items, tight)
    return Choice(_launches(new, outcomes[0], items, homes), outcomes[0].placed, {}, tight, _words(first))


def _likely(outcomes: Sequence[Outcome]) -> bool:
    """Whether the likely orders have a place for everything; more hosts than go are not launched for the unkind one."""
    return len(outcomes) > len(LIKELY)


def _unplaced(outcome: Outcome, homes: Sequence[Sequence[Offer]]) -> dict[str, str]:
    reasons: dict[Item, str] = {}
    found: dict[str, str] = {}
    for item in outcome.unplaced:
        kind = replace(item, key="")
        if kind not in reasons:
            new = [_why_not_new(kind, offer) for offer in _by_place([offer for home in homes for offer in home])]
            reasons[kind] = "; ".join([why_not(item, outcome.state), *dict.fromkeys(new)])
        found[item.key] = reasons[kind]
    return found


def _why_not_new(kind: Item, offer: Offer) -> str:
    reason = Board([]).unsuitable(kind, offer.host)
    return f"a new host of {offer.group}: {reason or 'would take it, but no more of them may be launched'}"


def _words(outcome: Outcome) -> str:
    if not outcome.unplaced:
        return ""
    item = outcome.unplaced[0]
    others = len(outcome.unplaced) - 1
    more = f" (and {others} more)" if others else ""
    return f"no room for a task of {item.group}{more} on the hosts that stay: {why_not(item, outcome.state)}"


def _name(place: int) -> str:
    return f"new-{place + 1}"


def _hosts(new: Sequence[Offer]) -> list[Candidate]:
    return [replace(offer.host, id=_name(place)) for place, offer in enumerate(new)]


def _cover(
    lacking: Sequence[Item], homes: Sequence[Sequence[Offer]], new: Sequence[Offer], room: Mapping[str, int], most: int
) -> list[Offer]:
    """Further hosts for the tasks that found no place: each time the one that takes the most of what is left."""
    left = sorted(lacking, key=lambda item: (tuple(-part for part in weight(item)), item.group, item.key))
    more: list[Offer] = []
    while left and len(new) + len(more) < most:
        best = _best(left, homes, [*new, *more], room)
        if best is None:
            break
        offer, taken = best
        more.append(offer)
        left = [item for item in left if item.key not in taken]
    return more


def _best(
    left: Sequence[Item], homes: Sequence[Sequence[Offer]], used: Sequence[Offer], room: Mapping[str, int]
) -> tuple[Offer, frozenset[str]] | None:
    """The first choice of a home whose first choice is not yet used, if it takes anything; then any other offer."""
    spent: dict[str, int] = {}
    for offer in used:
        spent[offer.group] = spent.get(offer.group, 0) + 1
    open_homes = [[offer for offer in home if spent.get(offer.group, 0) < room.get(offer.group, 0)] for home in homes]
    spare = list(used)
    firsts: list[Offer] = []
    for home in open_homes:
        if home and home[0] in spare:
            spare.remove(home[0])
        elif home:
            firsts.append(home[0])
    for offers in (firsts, [offer for home in open_homes for offer in home]):
        tried = [(offer, _taken(left, offer)) for offer in _by_place(offers)]
        useful = [pair for pair in tried if pair[1]]
        if useful:
            return max(useful, key=lambda pair: len(pair[1]))
    return None


def _by_place(offers: Sequence[Offer]) -> list[Offer]:
    """Each group and zone once."""
    found: dict[tuple[str, str], Offer] = {}
    for offer in offers:
        found.setdefault((offer.group, offer.zone), offer)
    return list(found.values())


def _taken(items: Sequence[Item], offer: Offer) -> frozenset[str]:
    return frozenset(simulate(Board([offer.host]), items, FIRST_FIT).placed)


def _trimmed(
    new: list[Offer], outcomes: list[Outcome], board: Board, items: Sequence[Item], tight: bool
) -> tuple[list[Offer], list[Outcome]]:
    """Take off every host without which the tasks still fit; a single one is needed, or it would not be there."""
    orders = LIKELY if tight else ORDERS
    place = len(new) - 1
    while place >= 0 and len(new) > 1:
        fewer = new[:place] + new[place + 1 :]
        tried = check(board.extended(_hosts(fewer)), items, orders)
        if not tried[-1].unplaced:
            new, outcomes = fewer, tried
        place -= 1
    return new, outcomes


def _launches(
    new: Sequence[Offer], outcome: Outcome, items: Sequence[Item], homes: Sequence[Sequence[Offer]]
) -> tuple[Chosen, ...]:
    by_key = {item.key: item for item in items}
    found: list[Chosen] = []
    for place, offer in enumerate(new):
        tasks = tuple(sorted(key for key, host in outcome.placed.items() if host == _name(place)))
        others = [other for other in _by_place(_home(offer, homes)) if _place(other) != _place(offer)]
        wanted = [by_key[key] for key in tasks]
        able = tuple(other for other in others if len(_taken(wanted, other)) == len(wanted))
        found.append(Chosen(_name(place), offer, able, tasks))
    return tuple(found)


def _place(offer: Offer) -> tuple[str, str]:
    return (offer.group, offer.zone)


def _home(offer: Offer, homes: Sequence[Sequence[Offer]]) -> Sequence[Offer]:
    """The preferences of the first host that goes whose list has this offer first, else in it at all."""
    for home in homes:
        if home and _place(home[0]) == _place(offer):
            return home
    return next((home for home in homes if any(_place(other) == _place(offer) for other in home)), ())
