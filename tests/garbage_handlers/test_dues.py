from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from caretaker.garbage import dues
from caretaker.garbage.inventory import Entry, Known
from caretaker.garbage.model import Claim, Identity, Kind, Life, Read, Reading
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import GarbagePolicy
from sweep_cases import API, NOW, WEB, after, resource, seen

POLICY = {WEB.arn: GarbagePolicy(grace=timedelta(minutes=15))}


def entry(life: Life, kind: Kind = Kind.RULE, since: datetime | None = None, active: str = "b") -> Entry:
    known = Known(Identity(f"arn:{kind}"), kind, seen="b", active=active)
    told = iso(since) if since else ""
    return Entry(WEB, life, since=told, whole="b", known={known.resource: known})


@pytest.mark.parametrize(
    ("given", "may"),
    [
        (entry(Life.ALIVE), False),
        (entry(Life.ALIVE, active="a"), True),
        (entry(Life.DRAINING), True),
        (entry(Life.UNKNOWN), True),
        (entry(Life.DEAD), True),
        (entry(Life.DEAD, Kind.ROLE), False),
        (entry(Life.DEAD, Kind.LOG_GROUP), False),
    ],
)
def test_what_may_have_left_something(given: Entry, may: bool) -> None:
    assert dues.may_leave(given) is may


def test_what_policy_lets_go_is_a_reason_for_a_sweep() -> None:
    assert dues.may_leave(entry(Life.DEAD, Kind.LOG_GROUP), [Kind.LOG_GROUP])


def claim(owner: Identity, name: str, *, shared: bool = False) -> Claim:
    return Claim(owner, Identity(f"arn:{name}"), Kind.LISTENER if shared else Kind.RULE, shared)


def test_the_ledger_forgets_what_is_gone_and_what_the_living_share() -> None:
    claims = (claim(WEB, "gone"), claim(WEB, "there"), claim(WEB, "l", shared=True), claim(API, "l", shared=True))
    resources = {f"arn:{name}": resource(Kind.RULE, name) for name in ("there", "l")}
    observation = replace(seen(web=Life.DEAD, api=Life.ALIVE), claims=claims, resources=resources)
    assert dues.settled(observation, {WEB}, shared=True) == {WEB: [Identity("arn:gone"), Identity("arn:l")]}
    assert dues.settled(observation, {WEB, API}, shared=False) == {WEB: [Identity("arn:gone")]}
    assert dues.settled(observation, {API}, shared=True) == {}
    both = replace(observation, owners=seen(web=Life.DEAD, api=Life.DEAD).owners)
    assert dues.settled(both, {WEB}, shared=True) == {WEB: [Identity("arn:gone")]}
    doubtful = replace(observation, readings=(Reading("x:Y", "", Read.DENIED, ""),))
    assert dues.settled(doubtful, {WEB, API}, shared=True) == {}


def test_ecs_is_waited_for_while_it_deletes() -> None:
    pause = dues.pause([entry(Life.DRAINING)], POLICY, NOW, NOW)
    assert 60 <= pause.seconds <= 180
    assert "ECS is deleting shop/web" in pause.words


def test_the_grace_is_waited_for_to_its_end() -> None:
    pause = dues.pause([entry(Life.DEAD, since=NOW)], POLICY, NOW, after(minutes=5))
    assert 600 < pause.seconds <= 605
    assert dues.pause([entry(Life.DEAD, since=NOW)], POLICY, NOW, after(minutes=16)).seconds == 0


def test_living_services_are_not_waited_for() -> None:
    assert dues.pause([entry(Life.ALIVE, active="a")], POLICY, NOW, NOW).seconds == 0


def test_a_service_that_never_ends_is_not_waited_for_for_ever() -> None:
    late = NOW + dues.LONGEST + POLICY[WEB.arn].grace
    assert dues.pause([entry(Life.DRAINING)], POLICY, NOW, late).seconds == 0


def test_the_longest_wait_is_looked_at_in_between() -> None:
    month = {WEB.arn: GarbagePolicy(grace=timedelta(days=10))}
    assert dues.pause([entry(Life.DEAD, since=NOW)], month, NOW, NOW).seconds == 3600
