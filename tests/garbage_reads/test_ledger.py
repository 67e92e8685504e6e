"""The ledger: news in any order and repetition come to the same, and nothing that is known is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from caretaker.aws.errors import ConditionFailed
from caretaker.garbage import inventory
from caretaker.garbage.inventory import DEFINITIONS, REVISIONS, Entry, Inventory, Item
from caretaker.garbage.ledger import UNPLACED, Ledger, LedgerBusy
from caretaker.garbage.model import Identity, Kind, Life
from caretaker.runtime.clock import iso
from caretaker.runtime.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from reads_stage import Stage, staged

ARN = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"
START = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
OWNER = Identity(ARN, "2026-10-01T00:00:00.000Z")
AGAIN = Identity(ARN, "2026-10-05T00:00:00.000Z")
RULE, GROUP, CERTIFICATE = (
    Identity(f"arn:aws:elasticloadbalancing:us-east-1:123456789012:{name}") for name in ("rule", "group", "certificate")
)
VPC = "vpc-1"


def at(minute: int) -> str:
    return iso(START + timedelta(minutes=minute))


def inventory_of(
    minute: int, *resources: Identity, whole: bool = True, owner: Identity = OWNER, vpc: str = VPC
) -> Inventory:
    items = tuple(Item(each, Kind.RULE, revisions=(f"{ARN}/{minute}",)) for each in resources)
    return Inventory(owner, at(minute), Life.ALIVE, vpc, "role", items, whole)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    with staged(monkeypatch, Stage()) as stage:
        yield stage.store


# --- news are merged -------------------------------------------------------------------------------------------------

resources = st.sampled_from([RULE, GROUP, CERTIFICATE])
items = st.lists(
    st.builds(
        Item,
        resource=resources,
        kind=st.sampled_from([Kind.RULE, Kind.LOG_GROUP]),
        shared=st.booleans(),
        revisions=st.lists(st.sampled_from("abcd"), max_size=3).map(tuple),
        active=st.booleans(),
    ),
    max_size=3,
).map(tuple)
minutes = st.integers(0, 4).map(at)
inventories = st.builds(
    Inventory,
    owner=st.just(OWNER),
    at=minutes,
    life=st.sampled_from([Life.ALIVE, Life.DRAINING]),
    vpc=st.sampled_from(["", VPC]),
    role=st.just("role"),
    items=items,
    whole=st.booleans(),
    words=st.sampled_from(["", "x"]),
)
deaths = st.tuples(minutes, minutes)
doubts = minutes
news = st.lists(st.one_of(inventories, deaths, doubts), max_size=6)
News = Inventory | tuple[str, str] | str


def told(entry: Entry, each: News) -> Entry:
    if isinstance(each, Inventory):
        return inventory.add(entry, each)
    return inventory.doubt(entry, each, "gone?") if isinstance(each, str) else inventory.bury(entry, *each, "gone")


def after(*all_news: News) -> Entry:
    entry = Entry(OWNER)
    for each in all_news:
        entry = told(entry, each)
    return entry


@settings(max_examples=150, deadline=None)
@given(news, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(all_news: list[News], random: object) -> None:
    shuffled = [*all_news, *all_news[:3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert after(*shuffled) == after(*all_news)


@settings(max_examples=100, deadline=None)
@given(news, st.one_of(inventories, deaths, doubts))
def test_news_take_nothing_away(all_news: list[News], more: News) -> None:
    before, now = after(*all_news), after(*all_news, more)
    assert set(before.known) <= set(now.known)
    assert before.life is not Life.DEAD or now.life is Life.DEAD
    assert before.whole <= now.whole
    for identity, known in before.known.items():
        assert known.seen <= now.known[identity].seen
        assert set(known.revisions) <= set(now.known[identity].revisions)


def test_a_resource_that_a_whole_inventory_lacks_is_not_current_any_more() -> None:
    entry = after(inventory_of(1, RULE, GROUP), inventory_of(2, RULE))
    assert {claim.resource: claim.current for claim in entry.claims()} == {RULE: True, GROUP: False}


def test_a_partial_inventory_ages_nothing() -> None:
    entry = after(inventory_of(1, RULE, GROUP), inventory_of(2, RULE, whole=False))
    assert all(claim.current for claim in entry.claims())


def test_an_inventory_that_comes_late_brings_what_it_saw_and_makes_nothing_current() -> None:
    entry = after(inventory_of(5, RULE), inventory_of(1, GROUP))
    assert {claim.resource: claim.current for claim in entry.claims()} == {RULE: True, GROUP: False}
    assert entry.at == at(5)


def test_what_is_dead_stays_dead_since_the_earliest_time_that_was_told() -> None:
    entry = after((at(6), at(6)), (at(4), at(7)), inventory_of(9, RULE))
    assert (entry.life, entry.since) == (Life.DEAD, at(4))


def test_a_service_that_moved_is_of_every_vpc_in_which_it_was(store: Table) -> None:
    ledger = Ledger(store)
    ledger.record(inventory_of(1, RULE, vpc=""))
    assert ledger.vpcs() == []
    ledger.record(inventory_of(2, RULE, vpc="vpc-1"))
    ledger.record(inventory_of(3, GROUP, vpc="vpc-2"))
    assert ledger.vpcs() == ["vpc-1", "vpc-2"]
    assert [entry.vpc for vpc in ledger.vpcs() for entry in ledger.entries(vpc)] == ["vpc-2", "vpc-2"]
    assert ledger.entries("vpc-3") == []
    ledger.forget(OWNER)
    assert [ledger.entries(vpc) for vpc in ("vpc-1", "vpc-2")] == [[], []]


def test_task_definitions_are_bounded_and_the_latest_stay() -> None:
    made = tuple(Item(Identity(f"{ARN}:{number}"), Kind.TASK_DEFINITION) for number in range(DEFINITIONS + 7))
    one, other = (
        Inventory(OWNER, at(minute), Life.ALIVE, items=items) for minute, items in enumerate((made[::2], made))
    )
    entry = after(one, other)
    assert entry == after(other, one) == after(other, one, other)
    assert set(entry.known) == {each.resource for each in made[7:]}


def test_revisions_are_bounded_the_same_way_in_any_order() -> None:
    arns = [f"{ARN}/{number}" for number in range(REVISIONS + 20)]
    forth, back = Entry(OWNER), Entry(OWNER)
    for one, other in zip(arns, reversed(arns), strict=True):
        forth = inventory.add(
            forth, Inventory(OWNER, at(1), Life.ALIVE, items=(Item(RULE, Kind.RULE, revisions=(one,)),))
        )
        back = inventory.add(
            back, Inventory(OWNER, at(1), Life.ALIVE, items=(Item(RULE, Kind.RULE, revisions=(other,)),))
        )
    assert forth == back
    assert len(forth.known[RULE].revisions) == REVISIONS


# --- and stored ------------------------------------------------------------------------------------------------------


def test_what_is_stored_is_what_was_merged_in_every_order(store: Table) -> None:
    all_news = [inventory_of(1, RULE, GROUP), inventory_of(2, GROUP, whole=False), inventory_of(3, CERTIFICATE, RULE)]
    for number, order in enumerate(permutations(all_news)):
        owner = Identity(f"{ARN}{number}", OWNER.created)
        ledger = Ledger(store)
        for each in (*order, order[0]):
            ledger.record(replace(each, owner=owner))
        assert ledger.find(owner) == replace(after(*all_news), owner=owner)


def test_a_service_that_is_created_again_is_another_owner(store: Table) -> None:
    ledger = Ledger(store)
    ledger.record(inventory_of(1, RULE))
    ledger.bury(OWNER, at(2), START, "gone")
    ledger.record(inventory_of(3, RULE, owner=AGAIN))
    owners = ledger.owners(VPC)
    assert {identity: owner.life for identity, owner in owners.items()} == {OWNER: Life.DEAD, AGAIN: Life.ALIVE}
    assert [claim.owner for claim in ledger.claims(VPC)] == [OWNER, AGAIN]


def test_a_service_whose_vpc_is_not_known_is_looked_at_in_every_vpc_until_it_is(store: Table) -> None:
    ledger = Ledger(store)
    ledger.record(inventory_of(1, RULE, vpc=""))
    assert list(ledger.owners("vpc-other")) == [OWNER]
    ledger.record(inventory_of(2, RULE))
    assert not ledger.owners("vpc-other")
    assert list(ledger.owners(VPC)) == [OWNER]
    assert (ledger.vpcs(), ledger.vpc_of(ARN)) == ([VPC], VPC)
    assert not store.query(f"GARBAGE#{UNPLACED}")


def test_a_service_with_many_revisions_fits_into_its_item(store: Table) -> None:
    many = [Identity(f"arn:aws:ecs:us-east-1:123456789012:task-definition/shop-web:{n}") for n in range(5_000)]
    ledger = Ledger(store)
    ledger.record(inventory_of(1, *many))
    assert {claim.resource for claim in ledger.claims(VPC)} == set(many)


def test_who_writes_in_between_loses_nothing(store: Table) -> None:
    """Two writers read the same state; the second one merges with what the first one wrote."""

    class Late(Table):
        done = False

        def put(self, item: Mapping[str, Any], **given: Any) -> None:
            if item["pk"].startswith("EXPRESS#") and not Late.done:
                Late.done = True
                Ledger(store).record(inventory_of(1, GROUP))
            super().put(item, **given)

    Ledger(Late(store.name, store.client)).record(inventory_of(2, RULE))
    assert Ledger(store).find(OWNER) == after(inventory_of(1, GROUP), inventory_of(2, RULE))


def test_news_come_again_when_others_write_all_the_time(store: Table) -> None:
    class Busy(Table):
        def put(self, item: Mapping[str, Any], **given: Any) -> None:
            if item["pk"].startswith("EXPRESS#"):
                raise ConditionFailed("PutItem", "ConditionalCheckFailedException", "busy")
            super().put(item, **given)

    with pytest.raises(LedgerBusy):
        Ledger(Busy(store.name, store.client)).record(inventory_of(1, RULE))


def test_what_is_gone_can_be_forgotten(store: Table) -> None:
    ledger = Ledger(store)
    ledger.record(inventory_of(1, RULE, GROUP))
    ledger.forget(OWNER, [GROUP])
    assert [claim.resource for claim in ledger.claims(VPC)] == [RULE]
    ledger.forget(OWNER)
    assert (ledger.owners(VPC), store.query(f"EXPRESS#{ARN}")) == ({}, [])
