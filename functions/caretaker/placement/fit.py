"""Would ECS find a place for these tasks? A simulation of its placement on plain data.

ECS places a service's task on an instance that meets its cpu, memory, ports, GPUs, network interfaces, attributes and
constraints; among those the strategies choose, and without any, the zone and then the instance with the fewest tasks of
the service (ECS developer guide: "How Amazon ECS places tasks"). In which order tasks arrive, and which of two equal
instances is taken, is AWS's secret. So an answer counts only if it holds in several `ORDERS`, unkind ones among them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from caretaker.placement.expression import Facts, parse
from caretaker.placement.model import Candidate, Item, Strategy

ZONE = "ecs.availability-zone"
DEFAULT_STRATEGIES = (Strategy("spread", f"attribute:{ZONE}"), Strategy("spread", "instanceId"))
Leaving = Mapping[str, Mapping[str, int]]
Key = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """One order of events that ECS might follow.

    Attributes:
        name: for people.
        strategies: whether hosts are chosen by the tasks' strategies (else the first that fits).
        size: 1 places small tasks first, -1 large ones, 0 service by service.
        tie: 1 takes the fuller of two equal hosts, -1 the emptier.
        leaving: whether tasks on their way out still count for spread over zones.
    """

    name: str
    strategies: bool = True
    size: int = 0
    tie: int = 1
    leaving: bool = False


LIKELY = (Order("ECS's strategies, service by service"), Order("first-fit-decreasing", strategies=False, size=-1))
UNKIND = (Order("ECS's strategies, smallest task first, emptiest host first", size=1, tie=-1, leaving=True),)
ORDERS = LIKELY + UNKIND


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where each task went (item key to candidate id), and which found no place."""

    order: Order
    placed: Mapping[str, str]
    unplaced: tuple[Item, ...]
    state: State


class Board:
    """Candidates, and which kinds of task each of them could take were it empty.

    Args:
        candidates: hosts that may take tasks.
        known_groups: task groups of which every task on these hosts is known.
        leaving: per task group, per zone: tasks that run now on hosts that are to go.
    """

    def __init__(
        self,
        candidates: Iterable[Candidate],
        known_groups: frozenset[str] = frozenset(),
        leaving: Leaving | None = None,
        base: Board | None = None,
    ) -> None:
        self.base = base
        own = sorted(candidates, key=lambda item: item.id)
        self.hosts: list[Candidate] = (base.hosts if base else []) + own
        self.known_groups = known_groups
        self.leaving: Leaving = leaving or {}
        self._suitable: dict[Item, tuple[int, ...]] = {}
        self.where: dict[str, list[int]] = {}
        for at, host in enumerate(self.hosts):
            for group in host.groups:
                self.where.setdefault(group, []).append(at)

    def extended(self, more: Iterable[Candidate]) -> Board:
        """This board with further hosts; what is known of the present ones is kept."""
        return Board(more, self.known_groups, self.leaving, base=self)

    def suitable(self, kind: Item) -> tuple[int, ...]:
        """Indexes of the hosts that nothing lasting (attributes, constraints, zone, size) keeps such a task from."""
        if kind not in self._suitable:
            known = self.base.suitable(kind) if self.base else ()
            start = len(self.base.hosts) if self.base else 0
            new = (at for at in range(start, len(self.hosts)) if not self.unsuitable(kind, self.hosts[at]))
            self._suitable[kind] = known + tuple(new)
        return self._suitable[kind]

    def unsuitable(self, kind: Item, host: Candidate) -> str:
        """Why nothing can ever make this host take this kind of task, "" if it may."""
        if kind.provider and kind.provider != host.provider:
            return f"not of capacity provider {kind.provider}"
        for name, value in kind.requires:
            present = host.attributes.get(name)
            if present is None or (value and present != value):
                return f"no attribute {name}" + (f"={value}" if value else "")
        for zone in host.zones or (host.zone,):
            if reason := self._wrong_place(kind, host, zone):
                return reason
        if kind.eni and host.enis is None:
            return "its limit of network interfaces is not known"
        return _too_small(kind, host)

    def _wrong_place(self, kind: Item, host: Candidate, zone: str) -> str:
        if kind.zones is not None and zone not in kind.zones:
            return f"zone {zone or 'unknown'} is none of its subnets'"
        for constraint in kind.constraints:
            if constraint.type == "distinctInstance":
                if host.groups.get(kind.group):
                    return "distinctInstance: a task of the service runs there"
                continue
            if constraint.type != "memberOf":
                return f"constraint {constraint.type} is not modelled"
            expression = parse(constraint.expression)
            if expression.dynamic and not expression.problem:
                continue
            if expression.ask(self.facts(host, zone)) is not True:
                return expression.problem or f"memberOf {constraint.expression}"
        return ""

    def facts(self, host: Candidate, zone: str, groups: Iterable[str] = ()) -> Facts:
        """What expressions may ask of a host."""
        attributes = {**host.attributes, ZONE: zone} if zone else host.attributes
        exists = host.id.startswith("i-")
        return Facts(attributes, host.id if exists else "", frozenset(groups), self.known_groups, not exists)


def _too_small(kind: Item, host: Candidate) -> str:
    free = host.free
    if kind.cpu > free.cpu:
        return f"cpu: needs {kind.cpu}, {free.cpu} free"
    if kind.memory > free.memory:
        return f"memory: needs {kind.memory} MiB, {free.memory} free"
    if kind.gpus > len(free.gpus):
        return f"GPU: needs {kind.gpus}, {len(free.gpus)} free"
    if kind.eni and (host.enis or 0) < 1:
        return "no network interface free"
    taken = sorted((set(kind.tcp_ports) & set(free.tcp_ports)) | (set(kind.udp_ports) & set(free.udp_ports)))
    return f"host port {taken[0]} is taken" if taken else ""


class State:
    """What remains of every host while tasks are being placed."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.cpu = [host.free.cpu for host in board.hosts]
        self.memory = [host.free.memory for host in board.hosts]
        self.gpus = [len(host.free.gpus) for host in board.hosts]
        self.enis = [host.enis or 0 for host in board.hosts]
        self.ports: dict[int, set[tuple[str, int]]] = {}
        self.added: dict[str, dict[int, int]] = {}

    def count(self, group: str, at: int) -> int:
        """Tasks of a group on a host, those placed by now included."""
        added = self.added.get(group)
        return self.board.hosts[at].groups.get(group, 0) + (added.get(at, 0) if added else 0)

    def where(self, group: str) -> list[int]:
        """Indexes of the hosts that have tasks of a group, those placed by now included."""
        return sorted({*self.board.where.get(group, ()), *self.added.get(group, ())})

    def refusal(self, kind: Item, at: int) -> str:
        """Why a host that is suitable cannot take one more task of this kind now, "" if it can."""
        if kind.cpu > self.cpu[at]:
            return f"cpu: needs {kind.cpu}, {self.cpu[at]} free"
        if kind.memory > self.memory[at]:
            return f"memory: needs {kind.memory} MiB, {self.memory[at]} free"
        if kind.gpus > self.gpus[at]:
            return f"GPU: needs {kind.gpus}, {self.gpus[at]} free"
        if kind.eni and self.enis[at] < 1:
            return "no network interface free"
        taken = self.ports.get(at)
        if taken and (both := sorted(taken & ports_of(kind))):
            return f"host port {both[0][1]} is taken"
        return self._company(kind, at)

    def _company(self, kind: Item, at: int) -> str:
        for constraint in kind.constraints:
            if constraint.type == "distinctInstance":
                if self.count(kind.group, at):
                    return "distinctInstance: a task of the service runs there"
            elif (expression := parse(constraint.expression)).dynamic:
                host = self.board.hosts[at]
                groups = set(host.groups) | {group for group, where in self.added.items() if at in where}
                if not all(
                    expression.ask(self.board.facts(host, zone, groups)) is True for zone in host.zones or (host.zone,)
                ):
                    return f"memberOf {constraint.expression}"
        return ""

    def put(self, kind: Item, at: int) -> None:
        """Place one task."""
        self.cpu[at] -= kind.cpu
        self.memory[at] -= kind.memory
        self.gpus[at] -= kind.gpus
        self.enis[at] -= kind.eni
        if kind.tcp_ports or kind.udp_ports:
            self.ports.setdefault(at, set()).update(ports_of(kind))
        where = self.added.setdefault(kind.group, {})
        where[at] = where.get(at, 0) + 1


def ports_of(item: Item) -> set[tuple[str, int]]:
    """Fixed host ports of a task, with their protocol."""
    return {("tcp", port) for port in item.tcp_ports} | {("udp", port) for port in item.udp_ports}


def weight(item: Item) -> tuple[int, int, int, int]:
    """Size of a task for ordering: GPUs first, then the larger of cpu and memory on a scale of 2 MiB a CPU unit."""
    return (item.gpus, max(item.cpu * 2, item.memory), item.cpu, item.memory)


def kind_of(item: Item) -> Item:
    """The item without its key: tasks of one service are of one kind."""
    return replace(item, key="")


class _Queue:
    """Hosts in the order in which ECS would choose them for one kind of task.

    Hosts are kept in one heap per value of the attribute spreads (zone …), since within such a bucket only a host that
    took a task changes its rank. A placement pushes the host's new rank to every queue; outdated entries are dropped
    when they surface. A host that has no room is dropped for good: room only shrinks.
    """

    def __init__(self, kind: Item, state: State, order: Order) -> None:
        self.kind, self.state, self.order = kind, state, order
        self.hosts = state.board.hosts
        self.strategies = (kind.strategies or DEFAULT_STRATEGIES) if order.strategies else ()
        self.fields = tuple(
            item.field.removeprefix("attribute:") for item in self.strategies if _spreads_attribute(item)
        )
        self.parts = tuple(_rank_part(item) for item in self.strategies if _ranks_hosts(item))
        self.there = {at: self.hosts[at].groups[kind.group] for at in state.board.where.get(kind.group, ())}
        self.suitable = frozenset(state.board.suitable(kind))
        self.dynamic = any(item.type == "memberOf" and parse(item.expression).dynamic for item in kind.constraints)
        self.dropped: set[int] = set()
        self.counts = self._counts()
        self.heaps: dict[tuple[str, ...], list[tuple[Key, int]]] = {}
        for at in sorted(self.suitable):
            self.heaps.setdefault(self.bucket(at), []).append((self.rank(at), at))
        for heap in self.heaps.values():
            heapq.heapify(heap)

    def _counts(self) -> list[dict[str, int]]:
        """Per attribute that is spread over: tasks of the group by value."""
        found: list[dict[str, int]] = [{} for _ in self.fields]
        for place, name in enumerate(self.fields):
            if self.order.leaving and name == ZONE:
                found[place].update(self.state.board.leaving.get(self.kind.group, {}))
        if self.fields:
            for at in self.state.where(self.kind.group):
                self._add(found, at, self.state.count(self.kind.group, at))
        return found

    def _add(self, counts: list[dict[str, int]], at: int, number: int) -> None:
        if number:
            for value, by_value in zip(self.bucket(at), counts, strict=True):
                by_value[value] = by_value.get(value, 0) + number

    def bucket(self, at: int) -> tuple[str, ...]:
        """Values of the attributes that tasks are spread over."""
        host = self.hosts[at]
        if self.fields == (ZONE,):
            return (host.zone,)
        return tuple(host.zone if name == ZONE else host.attributes.get(name, "") for name in self.fields)

    def rank(self, at: int) -> Key:
        """Rank of a host within its bucket; the least is chosen."""
        own: list[float] = []
        for part in self.parts:
            if part == "count":
                own.append(self.there.get(at, 0) + self.state.added.get(self.kind.group, {}).get(at, 0))
            else:
                own.append(self.state.cpu[at] if part == "cpu" else self.state.memory[at])
        if self.order.strategies:
            own.append(self.order.tie * self.hosts[at].free.memory)
        return tuple(own)

    def _whole(self, bucket: tuple[str, ...], rank: Key) -> Key:
        """Rank over all buckets: the strategies in their order."""
        places, inner = iter(zip(bucket, self.counts, strict=True)), iter(rank)
        whole: list[float] = []
        for item in self.strategies:
            if _spreads_attribute(item):
                value, by_value = next(places)
                whole.append(by_value.get(value, 0))
            elif _ranks_hosts(item):
                whole.append(next(inner))
        return (*whole, *inner)

    def best(self) -> int | None:
        """The host that ECS would choose now, None if none can take the task."""
        if self.dynamic:
            return self._scan()
        choice: tuple[Key, int] | None = None
        for bucket in sorted(self.heaps):
            top = self._top(self.heaps[bucket])
            if top is not None:
                offer = (self._whole(bucket, top[0]), top[1])
                choice = offer if choice is None else min(choice, offer)
        return None if choice is None else choice[1]

    def _top(self, heap: list[tuple[Key, int]]) -> tuple[Key, int] | None:
        while heap:
            rank, at = heap[0]
            if at in self.dropped or rank != self.rank(at):
                heapq.heappop(heap)
            elif self.state.refusal(self.kind, at):
                self.dropped.add(at)
                heapq.heappop(heap)
            else:
                return heap[0]
        return None

    def _scan(self) -> int | None:
        """For constraints on the company: a host that refused may accept later, so look at all of them each time."""
        able = (at for at in sorted(self.suitable) if not self.state.refusal(self.kind, at))
        return min(able, key=lambda at: (self._whole(self.bucket(at), self.rank(at)), at), default=None)

    def changed(self, kind: Item, at: int) -> None:
        """A task of some kind was placed on a host."""
        if kind.group == self.kind.group:
            self._add(self.counts, at, 1)
        if at in self.suitable and at not in self.dropped and not self.dynamic:
            heapq.heappush(self.heaps[self.bucket(at)], (self.rank(at), at))


def _spreads_attribute(item: Strategy) -> bool:
    return item.type == "spread" and item.field.startswith("attribute:")


def _ranks_hosts(item: Strategy) -> bool:
    """Whether a strategy tells apart hosts that agree in every attribute that is spread over."""
    return item.type == "binpack" or (item.type == "spread" and not _spreads_attribute(item))


def _rank_part(item: Strategy) -> str:
    if item.type == "spread":
        return "count"
    return "cpu" if item.field.lower() == "cpu" else "memory"


def simulate(board: Board, items: Sequence[Item], order: Order) -> Outcome:
    """Place the tasks one after the other in the given order; deterministic whatever the order of `items`."""
    state = State(board)
    kinds = {item.key: kind_of(item) for item in items}
    queues: dict[Item, _Queue] = {}
    placed: dict[str, str] = {}
    unplaced: list[Item] = []
    for item in _arranged(items, order):
        kind = kinds[item.key]
        if kind not in queues:
            queues[kind] = _Queue(kind, state, order)
        at = queues[kind].best()
        if at is None:
            unplaced.append(item)
            continue
        state.put(kind, at)
        placed[item.key] = board.hosts[at].id
        for queue in queues.values():
            queue.changed(kind, at)
    return Outcome(order, placed, tuple(unplaced), state)


def _arranged(items: Sequence[Item], order: Order) -> list[Item]:
    if order.size == 0:
        return sorted(items, key=lambda item: (item.group, item.key))
    return sorted(items, key=lambda item: (tuple(order.size * part for part in weight(item)), item.group, item.key))


def check(board: Board, items: Sequence[Item], orders: Sequence[Order] = ORDERS) -> list[Outcome]:
    """Outcomes in every order; stops at the first that leaves a task without a place, which is then the last one."""
    outcomes: list[Outcome] = []
    for order in orders:
        outcomes.append(simulate(board, items, order))
        if outcomes[-1].unplaced:
            break
    return outcomes


def why_not(item: Item, state: State) -> str:
    """Why no host takes a task, in words: the reasons with the number of hosts that they hold for."""
    board = state.board
    if not board.hosts:
        return "there is no host that stays"
    kind = kind_of(item)
    reasons: dict[str, int] = {}
    for at, host in enumerate(board.hosts):
        reason = board.unsuitable(kind, host) or state.refusal(kind, at)
        if reason:
            reasons[_general(reason)] = reasons.get(_general(reason), 0) + 1
    ranked = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    words = [f"{count} host{'s' if count > 1 else ''}: {reason}" for reason, count in ranked[:4]]
    return "; ".join(words) + f" (a host has at most {max(state.cpu)} CPU units and {max(state.memory)} MiB free)"


def _general(reason: str) -> str:
    """The reason without the figures of one host, so that hosts can be counted."""
    return reason.split(", ")[0] if reason.startswith(("cpu:", "memory:", "GPU:")) else reason
