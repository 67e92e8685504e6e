from __future__ import annotations

from datetime import datetime, timedelta

from caretaker.inbound import decide
from caretaker.inbound.model import Notice
from caretaker.runtime.claims import Claim, Status
from caretaker.runtime.journal import Trigger
from caretaker.runtime.policy import HostPolicy
from hypothesis import given
from hypothesis import strategies as st
from inbound_stage import CLUSTER, NOW

DAY = timedelta(days=1)


def notice(instance: str, key: str = "k", deadline: datetime | None = None, updated: datetime = NOW) -> Notice:
    return Notice(f"{key}/{instance}", instance, "health", f"{instance}: retired", updated, deadline)


def claim(status: Status, *keys: str, mode: str = "act") -> Claim:
    return Claim(
        "i-1",
        1,
        1,
        status,
        "work-1",
        CLUSTER,
        frozenset(keys),
        Trigger("health", "x"),
        mode=mode,
    )


def test_notices_about_one_host_are_one_request_with_the_nearest_deadline() -> None:
    (request,) = decide.merge([notice("i-1", "a", NOW + 3 * DAY), notice("i-1", "b", NOW + DAY), notice("i-1", "c")])
    assert request.keys == {"a/i-1", "b/i-1", "c/i-1"}
    assert request.deadline == NOW + DAY


def test_the_latest_copy_of_a_notice_counts() -> None:
    old = notice("i-1", "a", NOW + DAY, NOW)
    new = notice("i-1", "a", NOW + 2 * DAY, NOW + timedelta(hours=1))
    assert decide.merge([new, old])[0].deadline == decide.merge([old, new])[0].deadline == NOW + 2 * DAY


def test_what_a_request_leads_to() -> None:
    (request,) = decide.merge([notice("i-1", "a")])
    assert decide.step(request, None) == "claim"
    assert decide.step(request, claim("open", "a/i-1")) == "join"
    assert decide.step(request, claim("open", "b/i-1")) == "join"
    for status in ("replaced", "undone", "blocked", "ignored", "failed"):
        assert decide.step(request, claim(status, "a/i-1")) == "repeated"
        assert decide.step(request, claim(status, "b/i-1")) == "claim"
    assert decide.step(request, claim("planned", "a/i-1")) == "again"


def test_what_was_only_planned_is_done_once_policy_lets_it() -> None:
    (request,) = decide.merge([notice("i-1", "a")])
    found = {"i-1": claim("planned", "a/i-1", mode="observe")}
    assert decide.batches(CLUSTER, HostPolicy(mode="observe"), [request], found, NOW) == []
    (batch,) = decide.batches(CLUSTER, HostPolicy(mode="act"), [request], found, NOW)
    assert (batch.hosts[0].generation, batch.hosts[0].attempt) == (1, 2)


def test_work_starts_the_lead_before_its_deadline() -> None:
    policy = HostPolicy(lead=DAY)
    assert decide.start_at(NOW + 14 * DAY, policy, NOW) == NOW + 13 * DAY
    assert decide.start_at(NOW + timedelta(hours=1), policy, NOW) is None
    assert decide.start_at(NOW + 14 * DAY, HostPolicy(), NOW) is None
    assert decide.start_at(None, policy, NOW) is None


@given(
    hosts=st.lists(st.tuples(st.integers(0, 40), st.sampled_from([None, 1, 2])), max_size=40),
    budget=st.integers(1, 10),
)
def test_batches_hold_every_host_once_within_the_budget(hosts: list[tuple[int, int | None]], budget: int) -> None:
    notices = [notice(f"i-{n:02}", "a", NOW + days * DAY if days else None) for n, days in hosts]
    requests = decide.merge(notices)
    made = decide.batches(CLUSTER, HostPolicy(mode="act", budget=budget), requests, {}, NOW)
    placed = [host.instance for batch in made for host in batch.hosts]
    assert sorted(placed) == sorted({request.instance for request in requests})
    by_instance = {request.instance: request for request in requests}
    for batch in made:
        assert 1 <= len(batch.hosts) <= min(budget, decide.MAX_BATCH)
        assert {by_instance[host.instance].deadline for host in batch.hosts} == {batch.deadline}
        assert len(batch.trigger.text) <= 1000
    # The order in which notices come makes no difference.
    assert decide.batches(CLUSTER, HostPolicy(mode="act", budget=budget), decide.merge(notices[::-1]), {}, NOW) == made
