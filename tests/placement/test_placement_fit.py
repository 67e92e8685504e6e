"""Placement as ECS does it: never beyond capacity, spread or packed as asked, the same whatever the input's order."""

from __future__ import annotations

import random

import pytest
from caretaker.placement.fit import ORDERS, Board, Order, check, simulate, why_not
from caretaker.placement.model import Candidate, Constraint, Item, Resources, Strategy
from hypothesis import given
from hypothesis import strategies as st

ZONE = "ecs.availability-zone"
LIKELIEST = ORDERS[0]


def host(name: str, zone: str = "a", cpu: int = 2048, memory: int = 4096, **more: object) -> Candidate:
    ports = more.pop("ports", ())
    gpus = more.pop("gpus", ())
    attributes = {ZONE: zone, **more.pop("attributes", {})}
    free = Resources(cpu, memory, ports, (), gpus)
    return Candidate(name, zone, "m5.large", free=free, attributes=attributes, **more)


def item(key: str, group: str = "service:web", cpu: int = 256, memory: int = 512, **more: object) -> Item:
    return Item(key, group, cpu, memory, **more)


def places(board: Board, *items: Item, order: Order = LIKELIEST) -> dict[str, str]:
    return dict(simulate(board, items, order).placed)


def test_without_a_strategy_the_zone_and_then_the_host_with_the_fewest_tasks_is_taken() -> None:
    board = Board([host("i-1", "a", groups={"service:web": 1}), host("i-2", "a"), host("i-3", "b")])
    assert places(board, item("t1")) == {"t1": "i-3"}
    assert set(places(board, item("t1"), item("t2"), item("t3")).values()) == {"i-2", "i-3"}


def test_other_services_do_not_count_for_spread() -> None:
    board = Board([host("i-1", "a", groups={"service:other": 9}), host("i-2", "b", groups={"service:web": 1})])
    assert places(board, item("t1")) == {"t1": "i-1"}


def test_binpack_takes_the_host_with_the_least_left_that_still_fits() -> None:
    board = Board([host("i-1", memory=4096), host("i-2", memory=1024), host("i-3", memory=256)])
    packed = item("t1", strategies=(Strategy("binpack", "memory"),))
    assert places(board, packed) == {"t1": "i-2"}


def test_binpack_goes_on_with_the_host_that_it_began() -> None:
    board = Board([host("i-1", memory=2048), host("i-2", memory=2000)])
    tasks = [item(f"t{n}", strategies=(Strategy("binpack", "memory"),)) for n in range(4)]
    assert sorted(places(board, *tasks).values()) == ["i-1", "i-2", "i-2", "i-2"]


def test_strategies_apply_in_their_order() -> None:
    board = Board([host("i-1", "a", memory=2048), host("i-2", "a", memory=1024), host("i-3", "b", memory=4096)])
    strategies = (Strategy("spread", f"attribute:{ZONE}"), Strategy("binpack", "memory"))
    placed = places(board, *(item(f"t{n}", strategies=strategies) for n in range(2)))
    assert sorted(placed.values()) == ["i-2", "i-3"]


def test_distinct_instance_counts_tasks_that_are_there_and_those_placed() -> None:
    board = Board([host("i-1", groups={"service:web": 1}), host("i-2"), host("i-3")])
    tasks = [item(f"t{n}", constraints=(Constraint("distinctInstance"),)) for n in range(3)]
    outcome = simulate(board, tasks, LIKELIEST)
    assert sorted(outcome.placed.values()) == ["i-2", "i-3"]
    assert "distinctInstance" in why_not(outcome.unplaced[0], outcome.state)


def test_a_fixed_port_is_taken_once_a_host() -> None:
    board = Board([host("i-1", ports=(80,)), host("i-2")])
    outcome = simulate(board, [item("t1", tcp_ports=(80,)), item("t2", tcp_ports=(80,))], LIKELIEST)
    assert dict(outcome.placed) == {"t1": "i-2"}
    assert "host port 80 is taken" in why_not(outcome.unplaced[0], outcome.state)


def test_gpus_and_interfaces_run_out() -> None:
    board = Board([host("i-1", gpus=("g0",), enis=1)])
    assert len(places(board, item("t1", gpus=1), item("t2", gpus=1))) == 1
    assert len(places(board, item("t1", eni=True), item("t2", eni=True))) == 1
    assert places(Board([host("i-1")]), item("t1", eni=True)) == {}


def test_zones_of_the_subnets_bind_and_so_do_providers_and_required_attributes() -> None:
    board = Board([host("i-1", "a", provider="od"), host("i-2", "b", provider="spot", attributes={"cap": ""})])
    assert places(board, item("t1", zones=("b",))) == {"t1": "i-2"}
    assert places(board, item("t1", zones=())) == {}
    assert places(board, item("t1", provider="od")) == {"t1": "i-1"}
    assert places(board, item("t1", requires=(("cap", ""),))) == {"t1": "i-2"}
    assert places(board, item("t1", requires=(("cap", "2"),))) == {}


def test_a_host_whose_zone_is_open_must_suit_in_each_of_its_zones() -> None:
    board = Board([host("new-1", "a", zones=("a", "b"))])
    only_a = Constraint("memberOf", f"attribute:{ZONE} == a")
    either = Constraint("memberOf", f"attribute:{ZONE} in [a, b]")
    assert places(board, item("t1", constraints=(only_a,))) == {}
    assert places(board, item("t1", constraints=(either,))) == {"t1": "new-1"}


def test_company_is_looked_at_as_tasks_are_placed() -> None:
    board = Board([host("i-1"), host("i-2")], known_groups=frozenset({"service:web", "service:db"}))
    alone = Constraint("memberOf", "not(task:group == service:db)")
    tasks = [item("a", "service:db"), item("b", "service:web", constraints=(alone,))]
    placed = places(board, *tasks)
    assert placed["a"] != placed["b"]
    beside = Constraint("memberOf", "task:group == service:db")
    assert len(set(places(board, tasks[0], item("b", constraints=(beside,))).values())) == 1


def test_a_constraint_that_is_not_understood_takes_no_host_and_says_so() -> None:
    board = Board([host("i-1"), host("i-2")])
    outcome = simulate(board, [item("t", constraints=(Constraint("memberOf", "runningTasksCount < 5"),))], LIKELIEST)
    assert "2 hosts" in why_not(outcome.unplaced[0], outcome.state)
    assert "does not model" in why_not(outcome.unplaced[0], outcome.state)


def test_the_reason_names_what_lacks_and_how_much_there_is() -> None:
    board = Board([host("i-1", memory=100), host("i-2", cpu=10)])
    outcome = simulate(board, [item("t")], LIKELIEST)
    words = why_not(outcome.unplaced[0], outcome.state)
    assert "memory: needs 512 MiB" in words
    assert "cpu: needs 256" in words
    assert "at most 2048 CPU units and 4096 MiB free" in words


def test_an_order_that_leaves_a_task_without_a_place_is_found() -> None:
    # Two small tasks spread over both hosts leave no host whole for the large one; first-fit-decreasing hides that.
    board = Board([host("i-1", memory=1000), host("i-2", memory=1000)])
    tasks = [
        item("s1", "service:a", memory=400),
        item("s2", "service:a", memory=400),
        item("l", "service:b", memory=800),
    ]
    decreasing = next(order for order in ORDERS if order.size < 0)
    assert len(places(board, *tasks, order=decreasing)) == 3
    assert check(board, tasks)[-1].unplaced


# --- properties ------------------------------------------------------------------------------------------------------

STRATEGIES = (
    (),
    (Strategy("spread", f"attribute:{ZONE}"), Strategy("spread", "instanceId")),
    (Strategy("spread", "instanceId"),),
    (Strategy("binpack", "memory"),),
    (Strategy("binpack", "cpu"),),
    (Strategy("spread", f"attribute:{ZONE}"), Strategy("binpack", "memory")),
    (Strategy("binpack", "memory"), Strategy("spread", f"attribute:{ZONE}")),
    (Strategy("spread", "attribute:rack"), Strategy("random")),
    (Strategy("random"),),
)


@st.composite
def boards(draw: st.DrawFn) -> list[Candidate]:
    return [
        Candidate(
            f"i-{number}",
            zone := draw(st.sampled_from("abc")),
            free=Resources(
                draw(st.integers(0, 1024)),
                draw(st.integers(0, 1024)),
                draw(st.sampled_from([(), (80,)])),
                (),
                draw(st.sampled_from([(), ("g0", "g1")])),
            ),
            enis=draw(st.sampled_from([None, 0, 2])),
            attributes={ZONE: zone, "rack": draw(st.sampled_from("xy"))},
            groups=draw(st.sampled_from([{}, {"service:0": 1}, {"service:1": 2}])),
        )
        for number in range(draw(st.integers(0, 6)))
    ]


@st.composite
def workloads(draw: st.DrawFn) -> list[Item]:
    kinds = [
        Item(
            "",
            f"service:{number}",
            draw(st.integers(0, 512)),
            draw(st.integers(1, 512)),
            draw(st.sampled_from([(), (80,)])),
            gpus=draw(st.sampled_from([0, 0, 1])),
            eni=draw(st.booleans()),
            constraints=draw(
                st.sampled_from(
                    [
                        (),
                        (Constraint("distinctInstance"),),
                        (Constraint("memberOf", "attribute:rack == x"),),
                        (Constraint("memberOf", "not(task:group == service:0)"),),
                    ]
                )
            ),
            strategies=draw(st.sampled_from(STRATEGIES)),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=12))
    return [Item(f"t{n}", **{f: getattr(kind, f) for f in _FIELDS}) for n, kind in enumerate(chosen)]


_FIELDS = tuple(name for name in Item.__dataclass_fields__ if name != "key")
KNOWN = frozenset(f"service:{number}" for number in range(4))


@given(boards(), workloads(), st.sampled_from(ORDERS))
def test_nothing_is_placed_beyond_capacity_or_against_a_constraint(
    hosts: list[Candidate], items: list[Item], order: Order
) -> None:
    outcome = simulate(Board(hosts, KNOWN), items, order)
    assert sorted([*outcome.placed, *(left.key for left in outcome.unplaced)]) == sorted(task.key for task in items)
    by_id = {candidate.id: candidate for candidate in hosts}
    for name, candidate in by_id.items():
        there = [task for task in items if outcome.placed.get(task.key) == name]
        assert sum(task.cpu for task in there) <= candidate.free.cpu or not there
        assert sum(task.memory for task in there) <= candidate.free.memory or not there
        assert sum(task.gpus for task in there) <= len(candidate.free.gpus)
        assert sum(task.eni for task in there) <= (candidate.enis or 0)
        ports = [port for task in there for port in task.tcp_ports]
        assert len(ports) == len(set(ports))
        assert not set(ports) & set(candidate.free.tcp_ports)
        for task in there:
            kinds = {constraint.type for constraint in task.constraints}
            if "distinctInstance" in kinds:
                assert not candidate.groups.get(task.group)
                assert sum(other.group == task.group for other in there) == 1
            if any("rack" in constraint.expression for constraint in task.constraints):
                assert candidate.attributes["rack"] == "x"


@given(boards(), workloads(), st.sampled_from(ORDERS), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    hosts: list[Candidate], items: list[Item], order: Order, rng: random.Random
) -> None:
    shuffled_hosts, shuffled_items = rng.sample(hosts, len(hosts)), rng.sample(items, len(items))
    assert places(Board(hosts, KNOWN), *items, order=order) == places(
        Board(shuffled_hosts, KNOWN), *shuffled_items, order=order
    )


@given(boards(), workloads(), st.sampled_from(ORDERS))
def test_a_task_is_left_out_only_if_no_host_takes_it_in_the_end(
    hosts: list[Candidate], items: list[Item], order: Order
) -> None:
    board = Board(hosts, KNOWN)
    outcome = simulate(board, items, order)
    for left in outcome.unplaced:
        kind = Item("", **{name: getattr(left, name) for name in _FIELDS})
        for at in board.suitable(kind):
            assert outcome.state.refusal(kind, at)


@given(boards(), workloads(), st.sampled_from([order for order in ORDERS if order.strategies]))
def test_the_queues_choose_what_a_look_at_every_host_would(
    hosts: list[Candidate], items: list[Item], order: Order
) -> None:
    """The heaps are an optimisation: a plain scan for the least rank gives the same placement."""
    board = Board(hosts, KNOWN)
    assert places(board, *items, order=order) == _by_scan(board, items, order)


def _by_scan(board: Board, items: list[Item], order: Order) -> dict[str, str]:
    from caretaker.placement import fit

    state, placed, queues = fit.State(board), {}, {}
    for task in fit._arranged(items, order):
        kind = fit.kind_of(task)
        queue = queues.setdefault(kind, fit._Queue(kind, state, order))
        at = queue._scan()
        if at is not None:
            state.put(kind, at)
            placed[task.key] = board.hosts[at].id
            for other in queues.values():
                other.changed(kind, at)
    return placed


@pytest.mark.parametrize("order", ORDERS)
def test_extending_a_board_is_the_same_as_building_it_whole(order: Order) -> None:
    hosts = [host("i-1", "a", memory=600), host("i-2", "b", memory=600)]
    more = [host("new-1", "a")]
    tasks = [item(f"t{n}") for n in range(5)]
    assert places(Board(hosts).extended(more), *tasks, order=order) == places(Board(hosts + more), *tasks, order=order)
