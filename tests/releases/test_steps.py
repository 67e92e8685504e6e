"""Shares, whose weights stand, and the order of the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from caretaker.releases.model import Rules
from caretaker.releases.steps import (
    QUIET,
    Back,
    Leaving,
    back,
    following,
    free,
    raised,
    standing,
    step_rules,
    told,
)
from hypothesis import given, settings
from hypothesis import strategies as st

STEPS = (0.05, 0.25, 1.0)
SESSIONS = timedelta(minutes=30)
NOW = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
shares = st.sampled_from((None, 0.0, 0.05, 0.25, 0.5, 1.0))


@pytest.mark.parametrize(
    ("share", "after", "more"), [(0.0, 0.05, 0.05), (0.05, 0.25, 0.25), (0.0501, 0.25, 0.25), (0.25, 1.0, None)]
)
def test_the_next_share(share: float, after: float, more: float | None) -> None:
    assert following(STEPS, share) == after
    assert raised(STEPS, share) == more


def test_after_the_last_share_there_is_none() -> None:
    assert following(STEPS, 1.0) is None
    assert raised(STEPS, 1.0) is None


def test_all_steps_together_convict_good_releases_no_more_often_than_one() -> None:
    rules = Rules(alpha=0.03)
    assert step_rules(rules, STEPS).alpha * len(STEPS) == pytest.approx(rules.alpha)
    assert step_rules(rules, STEPS).streams == rules.streams


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ({"a": 0.0, "b": 0.0}, "before"),
        ({"a": 0.05, "b": 0.0}, "between"),
        ({"a": 0.05, "b": 0.05}, "after"),
        ({"a": 0.05, "b": 0.3}, "theirs"),
        ({"a": 0.05, "b": None}, "theirs"),
        ({}, "theirs"),
    ],
)
def test_whose_weights_stand(read: dict[str, float | None], found: str) -> None:
    assert standing(read, 0.0, 0.05) == found


def test_shares_are_told_once_where_all_rules_agree() -> None:
    assert told({"rule/a": 0.05, "rule/b": 0.05}) == "5.0%"
    assert told({"rule/a": 0.05, "rule/b": None}) == "a: 5.0%, b: does not forward to both target groups"
    assert told({}) == "no rule forwards to the two target groups"


# --- the way back ----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), shares), st.booleans(), st.booleans(), st.booleans())
def test_tasks_never_go_while_a_rule_sends_them_requests(
    read: dict[str, float | None], force: bool, tasks: bool, primary: bool
) -> None:
    step = back(Back(read, (0.0, 0.05), force=force, tasks=tasks, primary=primary))
    serves = any(share for share in read.values())
    if step in ("tasks", "nothing"):
        assert not serves
        assert not primary
    if step == "weights":
        assert serves


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), shares, min_size=1), st.booleans())
def test_the_weights_of_others_are_overwritten_only_where_policy_says_so(
    read: dict[str, float | None], force: bool
) -> None:
    theirs = any(share not in (None, 0.0, 0.05) for share in read.values())
    step = back(Back(read, (0.0, 0.05), force=force))
    assert (step == "leave") == (theirs and not force)


def test_what_has_become_the_primary_task_set_stays() -> None:
    assert back(Back({"a": 1.0}, (1.0,), force=True, primary=True)) == "leave"


def test_weights_that_others_took_back_leave_only_the_tasks_to_end() -> None:
    assert back(Back({"a": 0.0}, (0.25,))) == "tasks"
    assert back(Back({"a": None}, (0.25,), tasks=False)) == "nothing"


# --- sessions --------------------------------------------------------------------------------------------------------


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_tasks_stay_until_the_balancer_has_learned_of_the_weights() -> None:
    assert free(Leaving(NOW, sticky=False), after(149), SESSIONS)[0] is False
    assert free(Leaving(NOW, sticky=False), NOW + QUIET, SESSIONS)[0] is True


def test_pinned_sessions_are_waited_for_up_to_the_limit() -> None:
    assert free(Leaving(NOW, sticky=True, requests=12), after(600), SESSIONS) == (
        False,
        "requests of pinned sessions: 12 in the newest minute",
    )
    assert free(Leaving(NOW, sticky=True, requests=0), after(600), SESSIONS)[0] is True
    done, why = free(Leaving(NOW, sticky=True, requests=12), NOW + SESSIONS, SESSIONS)
    assert done
    assert "not waited for longer than 1800 s" in why


def test_no_data_is_no_proof_that_nobody_comes() -> None:
    assert free(Leaving(NOW, sticky=True, requests=None), after(600), SESSIONS)[0] is False
