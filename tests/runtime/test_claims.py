from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from caretaker.runtime import claims, journal
from caretaker.runtime.claims import Claim, ClaimLost, Wanted
from caretaker.runtime.journal import Work
from caretaker.runtime.policy import Mode
from caretaker.runtime.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime_stage import CLUSTER, H1, H2, H3, NOW, TRIGGER, after, clear, kill_points


def take(
    store: Table,
    instances: Iterable[str],
    notices: Iterable[str] = ("n1",),
    *,
    deadline: datetime | None = None,
    start_at: datetime | None = None,
    mode: Mode = "act",
) -> Work:
    found = claims.find(store, instances)
    wanted = [Wanted(name, frozenset(notices), found.get(name)) for name in instances]
    return claims.take(
        store, wanted, cluster=CLUSTER, mode=mode, trigger=TRIGGER, deadline=deadline, start_at=start_at, now=NOW
    )


def claim_of(store: Table, instance: str) -> Claim:
    return claims.find(store, [instance])[instance]


def test_a_claim_opens_its_work_and_the_index(store: Table) -> None:
    work = take(store, [H2, H1], deadline=after(days=1))
    assert work.hosts == (H1, H2)
    assert work.name.startswith("replace-host-")
    assert work.name.endswith("-1")
    assert len(f"{work.name}-finish-99") <= 80
    for instance in (H1, H2):
        claim = claim_of(store, instance)
        assert (claim.generation, claim.attempt, claim.status, claim.work) == (1, 1, "open", work.name)
        assert claim.deadline == after(days=1)
    assert journal.get_work(store, work.name) == work
    assert [(entry.work, entry.kind) for entry in journal.open_work(store)] == [(work.name, "open")]


def test_the_same_hosts_and_generation_give_the_same_name() -> None:
    assert journal.work_name([(H1, 1), (H2, 1)], 1) == journal.work_name([(H2, 1), (H1, 1)], 1)
    names = {journal.work_name(hosts, n) for hosts in ([(H1, 1)], [(H1, 2)], [(H1, 1), (H2, 1)]) for n in (1, 2)}
    assert len(names) == 6


def test_an_open_claim_is_not_taken_again(store: Table) -> None:
    first = take(store, [H1])
    found = claim_of(store, H1)
    with pytest.raises(ClaimLost):
        claims.take(
            store,
            [Wanted(H1, frozenset({"n2"}), found)],
            cluster=CLUSTER,
            mode="act",
            trigger=TRIGGER,
            deadline=None,
            start_at=None,
            now=NOW,
        )
    assert claim_of(store, H1).work == first.name


def test_a_batch_is_claimed_whole_or_not_at_all(store: Table) -> None:
    stale = [Wanted(name, frozenset({"n1"})) for name in (H1, H2, H3)]
    take(store, [H2])
    with pytest.raises(ClaimLost):
        claims.take(store, stale, cluster=CLUSTER, mode="act", trigger=TRIGGER, deadline=None, start_at=None, now=NOW)
    assert sorted(claims.find(store, [H1, H2, H3])) == [H2]
    assert len(journal.open_work(store)) == 1


def test_the_generation_rises_with_a_new_notice_on_closed_work_only(store: Table) -> None:
    work = take(store, [H1], ["n1"])
    claims.close(store, work, "blocked", "a task cannot move", NOW)
    again = take(store, [H1], ["n1"])
    assert (claim_of(store, H1).generation, again.attempt) == (1, 2)
    claims.close(store, again, "blocked", "still", NOW)
    new = take(store, [H1], ["n2"])
    claim = claim_of(store, H1)
    assert (claim.generation, new.attempt) == (2, 1)
    assert claim.notices == {"n1", "n2"}
    assert claim.standing == {"n2"}


def test_closing_is_idempotent_and_keeps_the_first_outcome(store: Table) -> None:
    work = take(store, [H1, H2])
    claims.close(store, work, "undone", "no capacity", NOW, after(minutes=15))
    closed = claims.close(store, work, "replaced", "late", NOW)
    assert (closed.status, closed.outcome, closed.reason) == ("closed", "undone", "no capacity")
    assert claim_of(store, H1).status == claim_of(store, H2).status == "undone"
    assert [(entry.kind, entry.due) for entry in journal.open_work(store)] == [("retry", after(minutes=15))]


def test_closing_leaves_alone_what_another_work_has_claimed(store: Table) -> None:
    first = take(store, [H1])
    claims.close(store, first, "undone", "", NOW)
    second = take(store, [H1], ["n2"])
    claims.close(store, first, "failed", "", NOW)
    assert claim_of(store, H1).status == "open"
    assert claim_of(store, H1).work == second.name


def test_closing_without_retry_leaves_an_outcome_to_be_told(store: Table) -> None:
    claims.close(store, take(store, [H1]), "replaced", "", NOW)
    assert [entry.kind for entry in journal.open_work(store)] == ["closed"]


def test_the_next_attempt_has_the_same_generation_and_another_name(store: Table) -> None:
    work = take(store, [H1, H2], deadline=after(days=3))
    former = claims.close(store, work, "undone", "no capacity", NOW, after(minutes=15))
    following = claims.next_attempt(store, former, "act", after(minutes=16))
    assert following is not None
    assert (following.attempt, following.hosts, following.deadline) == (2, (H1, H2), after(days=3))
    assert following.name == work.name[:-1] + "2"
    assert claim_of(store, H1).generation == 1
    assert [(entry.work, entry.kind) for entry in journal.open_work(store)] == [(following.name, "open")]


def test_an_attempt_that_ended_before_its_start_does_not_bring_the_start_forward(store: Table) -> None:
    """An execution's time-out, or a failure of "Wait for start", weeks before the owner's lead."""
    work = take(store, [H1], deadline=after(days=60), start_at=after(days=53))
    former = claims.close(store, work, "undone", "timed out", after(days=30), after(days=30, minutes=15))
    following = claims.next_attempt(store, former, "act", after(days=30, minutes=16))
    assert following is not None
    assert following.start_at == after(days=53)
    again = claims.close(store, following, "undone", "no capacity", after(days=54), after(days=54, minutes=15))
    third = claims.next_attempt(store, again, "act", after(days=54, minutes=16))
    assert third is not None
    assert third.start_at is None


def test_a_more_urgent_notice_brings_the_start_of_the_next_attempt_forward(store: Table) -> None:
    work = take(store, [H1], deadline=after(days=60), start_at=after(days=53))
    claims.join(store, claim_of(store, H1), frozenset({"n2"}), after(days=2))
    former = claims.close(store, journal.get_work(store, work.name), "undone", "", NOW, after(minutes=15))
    following = claims.next_attempt(store, former, "act", after(minutes=16))
    assert following is not None
    assert following.start_at is None


def test_the_next_attempt_leaves_out_hosts_that_another_notice_took_on(store: Table) -> None:
    former = claims.close(store, take(store, [H1, H2]), "undone", "", NOW, after(minutes=15))
    taken = take(store, [H1], ["n2"])
    following = claims.next_attempt(store, former, "act", after(minutes=16))
    assert following is not None
    assert following.hosts == (H2,)
    assert following.name not in (former.name, taken.name)
    assert claim_of(store, H1).work == taken.name


def test_there_is_no_next_attempt_when_no_host_is_left(store: Table) -> None:
    former = claims.close(store, take(store, [H1]), "undone", "", NOW, after(minutes=15))
    taken = take(store, [H1], ["n2"])
    assert claims.next_attempt(store, former, "act", after(minutes=16)) is None
    assert [entry.work for entry in journal.open_work(store)] == [taken.name]


def test_a_death_within_the_next_attempt_is_made_up_for(store: Table) -> None:
    """Whatever call the reaper dies at, running it again leaves one open attempt with the same name."""
    expected = journal.work_name([(H1, 1)], 2)

    def prepare() -> None:
        clear(store)
        claims.close(store, take(store, [H1]), "undone", "", NOW, after(minutes=15))

    def act(table: Table) -> None:
        claims.next_attempt(table, journal.get_work(store, journal.work_name([(H1, 1)], 1)), "act", NOW)

    prepare()
    points = 0
    for _ in kill_points(store, act):
        points += 1
        act(store)
        assert claim_of(store, H1).work == expected
        assert [(entry.work, entry.kind) for entry in journal.open_work(store)] == [(expected, "open")]
        prepare()
    assert points >= 5


def test_a_more_urgent_notice_lowers_the_deadline_of_claim_and_work(store: Table) -> None:
    work = take(store, [H1], deadline=after(days=14))
    claim = claim_of(store, H1)
    assert claims.join(store, claim, frozenset({"n2"}), after(days=1))
    assert claim_of(store, H1).deadline == journal.get_work(store, work.name).deadline == after(days=1)
    assert not claims.join(store, claim_of(store, H1), frozenset({"n3"}), after(days=5))
    assert claim_of(store, H1).deadline == after(days=1)
    assert claim_of(store, H1).notices == {"n1", "n2", "n3"}
    assert journal.get_work(store, work.name).input == work.input


def test_work_without_a_deadline_gets_one(store: Table) -> None:
    work = take(store, [H1])
    assert claims.join(store, claim_of(store, H1), frozenset({"n2"}), after(days=1))
    assert journal.get_work(store, work.name).deadline == after(days=1)


def test_joining_closed_work_is_lost(store: Table) -> None:
    work = take(store, [H1])
    claim = claim_of(store, H1)
    claims.close(store, work, "replaced", "", NOW)
    with pytest.raises(ClaimLost):
        claims.join(store, claim, frozenset({"n2"}), None)


def test_work_is_withdrawn_when_no_host_has_a_notice_left(store: Table) -> None:
    work = take(store, [H1, H2], ["n1"])
    claims.join(store, claim_of(store, H1), frozenset({"n2"}), None)
    assert not claims.leave(store, claim_of(store, H1), "n1", "closed")
    assert not claims.leave(store, claim_of(store, H2), "n1", "closed")
    assert claims.leave(store, claim_of(store, H1), "n2", "closed by AWS")
    assert journal.get_work(store, work.name).withdrawn == "closed by AWS"


def test_withdrawn_hosts_get_no_further_attempt(store: Table) -> None:
    work = take(store, [H1])
    claims.leave(store, claim_of(store, H1), "n1", "closed")
    former = claims.close(store, work, "undone", "", NOW, after(minutes=15))
    assert claims.next_attempt(store, former, "act", after(minutes=16)) is None
    assert journal.open_work(store) == []


def test_holders_names_open_work_only(store: Table) -> None:
    first = take(store, [H1])
    claims.close(store, take(store, [H2]), "replaced", "", NOW)
    assert claims.holders(store, [H1, H2, H3]) == {H1: first.name}


@given(
    attempt=st.integers(1, 40),
    pause=st.integers(60, 7200),
    left=st.none() | st.integers(-1000, 10**6),
)
def test_attempts_back_off_until_the_deadline(attempt: int, pause: int, left: int | None) -> None:
    deadline = None if left is None else NOW + timedelta(seconds=left)
    due = claims.retry_at(attempt, timedelta(seconds=pause), NOW, deadline)
    if deadline is None:
        assert (due is None) == (attempt >= claims.MAX_ATTEMPTS)
    if due is not None:
        assert due >= NOW + min(timedelta(seconds=pause), claims.MAX_BACKOFF)
        assert due <= NOW + claims.MAX_BACKOFF
        assert deadline is None or due < deadline


class Model:
    """What must hold of one host's claims, whatever happens in whatever order."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.generation = 0
        self.seen: set[str] = set()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.tuples(st.sampled_from(["notice", "close", "retry"]), st.sampled_from(["a", "b", "c"])), max_size=12
    )
)
def test_generations_and_names_over_any_history(store: Table, events: list[tuple[str, str]]) -> None:
    clear(store)
    model = Model()
    for kind, notice in events:
        claim = claims.find(store, [H1]).get(H1)
        if kind == "notice" and (claim is None or (not claim.open and notice not in claim.notices)):
            work = take(store, [H1], [notice])
            assert work.name not in model.names
            model.names.add(work.name)
            assert claim_of(store, H1).generation == model.generation + 1
            model.generation += 1
        elif kind == "close" and claim is not None and claim.open:
            claims.close(store, journal.get_work(store, claim.work), "undone", "", NOW, after(minutes=15))
        elif kind == "retry" and claim is not None and not claim.open:
            following = claims.next_attempt(store, journal.get_work(store, claim.work), "act", NOW)
            assert following is not None
            assert following.name not in model.names
            model.names.add(following.name)
            assert claim_of(store, H1).generation == model.generation
        open_names = [entry.work for entry in journal.open_work(store) if entry.kind == "open"]
        assert len(open_names) <= 1
