"""The phase beside the running revision and the one after it, judged apart and together."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from caretaker.releases import phases
from caretaker.releases.model import Action, Arm, Minute, Rules, Signs

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
RULES = Rules(bake=1)


def arm(requests: int, errors: int) -> Arm:
    return Arm(requests, requests - errors, 0, errors, requests, 0, healthy=2, unhealthy=0)


def minutes(count: int, canary: tuple[int, int], baseline: tuple[int, int], begin: int = 0) -> list[Minute]:
    return [Minute(START + timedelta(minutes=begin + n), arm(*canary), arm(*baseline), None) for n in range(count)]


HISTORY = minutes(185, (0, 0), (2000, 10), -185)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def test_a_release_has_one_phase_until_it_has_all_traffic() -> None:
    beside = minutes(5, (100, 0), (1900, 10))
    (only,) = phases.cases(beside, HISTORY, START, None, at(5), Signs())
    assert (only.basis, only.started, len(only.minutes)) == ("beside", START, 5)
    first, second = phases.cases([*beside, *minutes(3, (2000, 10), (0, 0), 5)], HISTORY, START, at(5), at(8), Signs())
    assert (first.basis, len(first.minutes), first.now) == ("beside", 5, at(8))
    assert (second.basis, second.started, len(second.minutes), len(second.history)) == ("before", at(5), 3, 190)


def test_all_at_once_has_only_the_time_before() -> None:
    (only,) = phases.cases(minutes(3, (2000, 10), (0, 0)), HISTORY, START, START, at(3), Signs())
    assert only.basis == "before"


def test_either_phase_convicts_whatever_the_other_says() -> None:
    bad_beside = [*minutes(10, (500, 100), (1900, 10)), *minutes(10, (2000, 10), (0, 0), 10)]
    bad_after = [*minutes(10, (500, 2), (1900, 10)), *minutes(10, (2000, 400), (0, 0), 10)]
    for seen, basis in ((bad_beside, "beside"), (bad_after, "before")):
        verdict = phases.judged(phases.cases(seen, HISTORY, START, at(10), at(20), Signs()), RULES, 2)
        assert (verdict.action, verdict.basis) == (Action.ROLL_BACK, basis)


def test_a_summary_is_plain_and_says_what_is_missing() -> None:
    verdict = phases.judged(phases.cases(minutes(2, (3, 0), (50, 0)), HISTORY, START, None, at(2), Signs()), RULES, 2)
    found = json.loads(json.dumps(phases.summary(verdict, at(2))))
    assert found["action"] == "continue"
    assert set(found["streams"]) == {"5xx", "4xx", "slow"}
    assert any("still needed" in line for line in phases.evidence_words(found))


def test_numbers_that_no_json_holds_are_bounded() -> None:
    assert phases.finite(float("inf")) == 1e6
    assert phases.finite(float("-inf")) == -1e6
    assert phases.finite(float("nan")) == 0.0
