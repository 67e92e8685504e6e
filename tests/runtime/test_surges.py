from __future__ import annotations

import pytest
from caretaker.runtime import surges
from caretaker.runtime.surges import SurgeBusy
from caretaker.runtime.table import Table

SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"
BEFORE = {"minimumHealthyPercent": 100, "maximumPercent": 100, "alarms": {"enable": False}}
WANTED = {**BEFORE, "maximumPercent": 125}
WIDER = {**BEFORE, "maximumPercent": 200}


def test_the_first_holder_writes_the_originals_down(store: Table) -> None:
    first = surges.join(store, SERVICE, "one", BEFORE, WANTED)
    assert (first.original, first.set, first.holders) == (BEFORE, WANTED, {"one"})
    # A later holder finds the service as the first one set it; the originals stay those of the first.
    second = surges.join(store, SERVICE, "two", WANTED, WIDER)
    assert (second.original, second.set, second.holders) == (BEFORE, WANTED, {"one", "two"})


def test_only_the_last_holder_restores(store: Table) -> None:
    surges.join(store, SERVICE, "one", BEFORE, WANTED)
    surges.join(store, SERVICE, "two", WANTED, WANTED)
    assert surges.begin_restore(store, SERVICE, "one") is None
    assert surges.begin_restore(store, SERVICE, "one") is None
    last = surges.begin_restore(store, SERVICE, "two")
    assert last is not None
    assert last.original == BEFORE
    # Run again after a death between the two halves.
    assert surges.begin_restore(store, SERVICE, "two") == last
    surges.end_restore(store, SERVICE, "two")
    surges.end_restore(store, SERVICE, "two")
    assert surges.find(store, SERVICE) is None


def test_nobody_joins_while_the_last_holder_restores(store: Table) -> None:
    surges.join(store, SERVICE, "one", BEFORE, WANTED)
    surges.begin_restore(store, SERVICE, "one")
    with pytest.raises(SurgeBusy):
        surges.join(store, SERVICE, "two", BEFORE, WANTED)
    surges.end_restore(store, SERVICE, "one")
    assert surges.join(store, SERVICE, "two", BEFORE, WANTED).holders == {"two"}


def test_joining_again_is_no_change(store: Table) -> None:
    surges.join(store, SERVICE, "one", BEFORE, WANTED)
    again = surges.join(store, SERVICE, "one", WANTED, WIDER)
    assert (again.original, again.set, again.holders) == (BEFORE, WANTED, {"one"})


def test_a_lease_is_widened_only_from_what_it_was(store: Table) -> None:
    surges.join(store, SERVICE, "one", BEFORE, WANTED)
    assert surges.widen(store, SERVICE, WANTED, WIDER).set == WIDER
    with pytest.raises(SurgeBusy):
        surges.widen(store, SERVICE, WANTED, WIDER)


def test_who_holds_nothing_restores_nothing(store: Table) -> None:
    assert surges.begin_restore(store, SERVICE, "one") is None
    surges.join(store, SERVICE, "one", BEFORE, WANTED)
    assert surges.begin_restore(store, SERVICE, "two") is None
