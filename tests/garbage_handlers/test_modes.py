from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from caretaker.garbage import modes
from caretaker.garbage.model import Claim, Kind, Life, Word
from caretaker.runtime.policy import GarbagePolicy
from sweep_cases import API, WEB, resource, seen, verdict

POLICIES = {WEB.arn: GarbagePolicy(mode="act"), API.arn: GarbagePolicy(mode="observe", cap=3, apart=timedelta(hours=1))}


def test_what_two_services_left_is_done_as_the_more_careful_one_allows() -> None:
    assert modes.mode_of(verdict(Word.GARBAGE, Kind.RULE, WEB), POLICIES) == "act"
    assert modes.mode_of(verdict(Word.GARBAGE, Kind.LOAD_BALANCER, WEB, API), POLICIES) == "observe"


def test_a_service_without_a_policy_allows_nothing() -> None:
    assert modes.mode_of(verdict(Word.GARBAGE, Kind.RULE, WEB), {}) == "observe"
    assert not modes.allowing("approve", {})(verdict(Word.GARBAGE))


def test_a_vpc_of_many_clusters_goes_by_the_most_careful_figures() -> None:
    assert modes.cap(POLICIES.values()) == 3
    assert modes.apart(POLICIES.values()) == timedelta(hours=1)
    assert modes.cap([]) == GarbagePolicy().cap


def test_only_what_the_dead_left_remains() -> None:
    given = {
        "1": verdict(Word.IN_USE, Kind.RULE, WEB),
        "2": verdict(Word.IN_USE, Kind.RULE, API),
        "3": verdict(Word.GARBAGE, Kind.RULE, WEB),
    }
    lines = modes.remaining(given, seen(web=Life.DEAD, api=Life.ALIVE), {})
    assert lines == ["listener rule 1 of shop/web: in use: because"]


def test_what_an_update_left_and_somebody_holds_remains_too() -> None:
    old, new = resource(Kind.SECURITY_GROUP, "old"), resource(Kind.SECURITY_GROUP, "new")
    claims = (Claim(API, old.identity, old.kind, current=False), Claim(API, new.identity, new.kind))
    given = {each.arn: verdict(Word.IN_USE, each.kind, API, name=each.name) for each in (old, new)}
    observation = replace(seen(api=Life.ALIVE), claims=claims)
    assert modes.remaining(given, observation, {}) == ["security group old of shop/api: in use: because"]
    assert modes.holding(given, observation, {}) == 1


def test_what_each_release_of_a_living_service_retires_and_policy_keeps_is_no_news() -> None:
    kinds = (Kind.TASK_DEFINITION, Kind.LOG_GROUP, Kind.ROLE)
    given = {
        resource(kind).arn: verdict(Word.REPORTED if kind is Kind.ROLE else Word.KEPT, kind, API) for kind in kinds
    }
    claims = tuple(Claim(API, resource(kind).identity, kind, current=False) for kind in kinds)
    assert modes.remaining(given, replace(seen(api=Life.ALIVE), claims=claims), {}) == []
    assert len(modes.remaining(given, replace(seen(api=Life.DEAD), claims=claims), {})) == 3


def test_what_the_living_have_or_policy_keeps_does_not_keep_a_sweep_from_its_end() -> None:
    claim = Claim(API, resource(Kind.LISTENER).identity, Kind.LISTENER, shared=True)
    observation = replace(seen(web=Life.DEAD, api=Life.ALIVE), claims=(claim,))
    for word, kind, held in (
        (Word.SHARED, Kind.LISTENER, 0),
        (Word.KEPT, Kind.LOG_GROUP, 0),
        (Word.IN_USE, Kind.ROLE, 0),
        (Word.REPORTED, Kind.REPOSITORY, 0),
        (Word.SHARED, Kind.LOAD_BALANCER, 1),
        (Word.KEPT, Kind.LOAD_BALANCER, 1),
        (Word.UNKNOWN, Kind.SECURITY_GROUP, 1),
        (Word.IN_USE, Kind.TARGET_GROUP, 1),
    ):
        given = {resource(kind).arn: verdict(word, kind)}
        assert modes.holding(given, observation, {}) == held, (word, kind)


def test_garbage_that_has_to_wait_is_told_with_its_reason() -> None:
    given = {"1": verdict(Word.GARBAGE)}
    lines = modes.remaining(given, seen(web=Life.DEAD), {"1": "the cap"})
    assert lines == ["listener rule 1 of shop/web: garbage, not to be deleted now: the cap"]
    assert modes.holding(given, seen(web=Life.DEAD), {"1": "the cap"}) == 1
