from __future__ import annotations

import pytest
from caretaker.runtime import slots
from caretaker.runtime.slots import SlotBusy
from caretaker.runtime.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime_stage import CLUSTER, clear


def test_slots_are_taken_and_given_back(store: Table) -> None:
    slots.take(store, CLUSTER, "one", 2, budget=3)
    with pytest.raises(SlotBusy, match=r"2 of 3 slots wanted, held by one \(2\)"):
        slots.take(store, CLUSTER, "two", 2, budget=3)
    slots.take(store, CLUSTER, "three", 1, budget=3)
    slots.release(store, CLUSTER, "one")
    slots.take(store, CLUSTER, "two", 2, budget=3)
    assert slots.holders(store, CLUSTER) == {"two": 2, "three": 1}


def test_taking_and_giving_back_twice_is_no_change(store: Table) -> None:
    slots.take(store, CLUSTER, "one", 1, budget=1)
    slots.take(store, CLUSTER, "one", 1, budget=1)
    slots.release(store, CLUSTER, "one")
    slots.release(store, CLUSTER, "one")
    slots.release(store, CLUSTER, "never")
    slots.take(store, CLUSTER, "two", 1, budget=1)
    assert slots.holders(store, CLUSTER) == {"two": 1}


def test_clusters_do_not_share_slots(store: Table) -> None:
    slots.take(store, CLUSTER, "one", 1, budget=1)
    slots.take(store, CLUSTER + "2", "two", 1, budget=1)
    assert slots.holders(store, CLUSTER + "3") is None


def test_work_larger_than_a_lowered_budget_goes_alone(store: Table) -> None:
    slots.take(store, CLUSTER, "small", 1, budget=4)
    with pytest.raises(SlotBusy):
        slots.take(store, CLUSTER, "large", 3, budget=2)
    slots.release(store, CLUSTER, "small")
    slots.take(store, CLUSTER, "large", 3, budget=2)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    budget=st.integers(1, 4),
    acts=st.lists(
        st.tuples(st.sampled_from(["take", "release"]), st.sampled_from("abcd"), st.integers(1, 4)), max_size=15
    ),
)
def test_the_budget_is_never_exceeded(store: Table, budget: int, acts: list[tuple[str, str, int]]) -> None:
    clear(store)
    for kind, work, hosts in acts:
        if kind == "release":
            slots.release(store, CLUSTER, work)
        else:
            try:
                slots.take(store, CLUSTER, work, hosts, budget)
            except SlotBusy:
                assert slots.holders(store, CLUSTER)
        held = slots.holders(store, CLUSTER) or {}
        assert sum(held.values()) <= budget or len(held) == 1
