"""The phase beside the running revision and the one after it, judged apart and together."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from caretaker.releases import phases
from caretaker.releases.model import Action, Arm, Minute, Rules, Signs
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
RULES = Rules(bake=1)


def arm(requests: int, errors: int) -> Arm:
    return Arm(requests, requests - errors, 0, errors, requests, 0, healthy=2, unhealthy=0)


def minutes(count: int, canary: tuple[int, int], baseline: tuple[int, int], begin: int = 0) -> list[Minute]:
    return [Minute(START + timedelta(minutes=begin + n), arm(*canary), arm(*baseline), None) for n in range(count)]


HISTORY = minutes(185, (0, 0), (12_000, 60), -185)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def test_a_release_has_one_phase_until_it_has_all_traffic() -> None:
    beside = minutes(5, (100, 0), (1900, 10))
    (only,) = phases.cases(beside, HISTORY, [START], None, at(5), Signs())
    assert (only.basis, only.started, len(only.minutes)) == ("beside", START, 5)
    first, second = phases.cases([*beside, *minutes(3, (2000, 10), (0, 0), 5)], HISTORY, [START], at(5), at(8), Signs())
    assert (first.basis, len(first.minutes), first.now) == ("beside", 5, at(8))
    assert (second.basis, second.started, len(second.minutes), len(second.history)) == ("before", at(5), 3, 190)


def test_all_at_once_has_only_the_time_before() -> None:
    (only,) = phases.cases(minutes(3, (2000, 10), (0, 0)), HISTORY, [START], START, at(3), Signs())
    assert only.basis == "before"


def test_either_phase_convicts_whatever_the_other_says() -> None:
    bad_beside = [*minutes(10, (500, 100), (11_500, 58)), *minutes(10, (12_000, 60), (0, 0), 10)]
    bad_after = [*minutes(10, (500, 2), (11_500, 58)), *minutes(10, (12_000, 2400), (0, 0), 10)]
    for seen, basis in ((bad_beside, "beside"), (bad_after, "before")):
        verdict = phases.judged(phases.cases(seen, HISTORY, [START], at(10), at(20), Signs()), RULES, 2)
        assert (verdict.action, verdict.basis) == (Action.ROLL_BACK, basis)


# What each phase may come to by itself: (canary, baseline) in each minute of the time beside, and of that after.
BESIDE = {
    Action.PROMOTE: ((2500, 12), (9500, 48)),
    Action.CONTINUE: ((3, 0), (12_000, 60)),
    Action.ROLL_BACK: ((2500, 500), (9500, 48)),
}
AFTER = {
    Action.PROMOTE: (12_000, 60),
    Action.CONTINUE: (3, 0),
    Action.ROLL_BACK: (12_000, 2400),
}
BAKED = Rules(bake=10)


def together(first: Action, second: Action, minute: int, *, watched: bool, rules: Rules = BAKED) -> Action:
    """The verdict of 20 minutes beside and those after until `minute`, all traffic being the canary's from 20 on."""
    seen = [*minutes(20, *BESIDE[first]), *minutes(minute - 20, AFTER[second], (0, 0), 20)]
    found = phases.cases(seen, HISTORY, [START], at(20), at(minute), Signs())
    return phases.judged(found, rules, 2, watched=watched).action


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("second", list(AFTER))
@pytest.mark.parametrize("first", list(BESIDE))
@pytest.mark.parametrize("minute", [25, 35, 80])
def test_any_phase_convicts_and_only_the_one_that_runs_acquits(
    first: Action, second: Action, minute: int, watched: bool
) -> None:
    found = together(first, second, minute, watched=watched)
    baked, patient = minute >= 30, minute >= 80
    if Action.ROLL_BACK in (first, second):
        assert found is Action.ROLL_BACK
    elif not baked:
        assert found is Action.CONTINUE
    elif second is Action.PROMOTE:
        assert found is Action.PROMOTE
    elif patient:
        assert found is Action.INCONCLUSIVE, "an old acquittal hides no doubt of the phase that runs"
    else:
        # Nobody waits for a release that is only watched: it was acquitted, and its bake went by with nothing said.
        assert found is (Action.PROMOTE if watched and first is Action.PROMOTE else Action.CONTINUE)


@given(st.sampled_from(list(BESIDE)), st.integers(0, 3000), st.integers(0, 40), st.integers(21, 60), st.booleans())
@settings(max_examples=60, deadline=None)
def test_before_the_running_phase_had_its_bake_nothing_is_promoted(
    first: Action, requests: int, errors: int, minute: int, watched: bool
) -> None:
    seen = [*minutes(20, *BESIDE[first]), *minutes(minute - 20, (requests, min(errors, requests)), (0, 0), 20)]
    found = phases.cases(seen, HISTORY, [START], at(20), at(minute), Signs())
    together = phases.judged(found, BAKED, 2, watched=watched)
    ended = [replace(found[0], now=min(at(minute), at(25))), found[1]]
    alone = [phases.judged([case], BAKED, 2).action for case in ended]
    assert (together.action is Action.ROLL_BACK) == (Action.ROLL_BACK in alone)
    if together.action is Action.PROMOTE:
        assert minute >= 30
        assert requests > 0
        assert alone[1] is Action.PROMOTE or (watched and alone[0] is Action.PROMOTE)


def test_a_silent_canary_is_not_promoted_by_what_it_was_beside() -> None:
    seen = [*minutes(20, *BESIDE[Action.PROMOTE]), *(Minute(at(n), Arm(), Arm()) for n in range(20, 50))]
    for watched in (True, False):
        found = phases.cases(seen, HISTORY, [START], at(20), at(50), Signs())
        assert phases.judged(found, BAKED, 2, watched=watched).action is not Action.PROMOTE


def test_a_bake_that_is_longer_than_the_past_suffices_for_stays_acquitted_while_requests_come() -> None:
    rules = Rules(bake=10, patience=30)
    assert together(Action.PROMOTE, Action.PROMOTE, 120, watched=True, rules=rules) is Action.PROMOTE
    silent = [
        *minutes(20, *BESIDE[Action.PROMOTE]),
        *minutes(60, AFTER[Action.PROMOTE], (0, 0), 20),
        *(Minute(at(n), Arm(), Arm()) for n in range(80, 120)),
    ]
    found = phases.cases(silent, HISTORY, [START], at(20), at(120), Signs())
    assert phases.judged(found, rules, 2, watched=True).action is Action.INCONCLUSIVE


def test_each_step_that_is_decided_about_is_judged_on_its_own_minutes() -> None:
    """Good at a quarter of the traffic, bad at half of it."""
    good, bad = ((3000, 15), (9000, 45)), ((6000, 240), (6000, 30))
    steps = [START, at(20)]
    seen = [*minutes(20, *good), *minutes(5, *good, 20)]
    later = phases.cases(seen, HISTORY, steps, None, at(25), Signs())
    assert [(case.basis, case.started, len(case.minutes)) for case in later] == [
        ("beside", START, 20),
        ("beside", at(20), 5),
    ]
    assert phases.judged(later[:1], BAKED, 4).action is Action.PROMOTE
    assert phases.judged(later, BAKED, 4).action is Action.CONTINUE
    turned = phases.cases([*seen, *minutes(5, *bad, 25)], HISTORY, steps, None, at(30), Signs())
    assert phases.judged(turned, BAKED, 4).action is Action.ROLL_BACK
    whole = phases.cases(
        [*seen, *minutes(15, (12_000, 60), (0, 0), 25)], HISTORY, [*steps, at(25)], at(25), at(40), Signs()
    )
    assert [case.basis for case in whole] == ["beside", "beside", "before"]


def test_a_summary_is_plain_and_says_what_is_missing() -> None:
    verdict = phases.judged(phases.cases(minutes(2, (3, 0), (50, 0)), HISTORY, [START], None, at(2), Signs()), RULES, 2)
    found = json.loads(json.dumps(phases.summary(verdict, at(2))))
    assert found["action"] == "continue"
    assert set(found["streams"]) == {"5xx", "4xx", "slow"}
    assert any("still needed" in line for line in phases.evidence_words(found))


def test_numbers_that_no_json_holds_are_bounded() -> None:
    assert phases.finite(float("inf")) == 1e6
    assert phases.finite(float("-inf")) == -1e6
    assert phases.finite(float("nan")) == 0.0
