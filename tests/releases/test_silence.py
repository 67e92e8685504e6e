"""A service that nobody answers for is convicted after 100 %; one that nobody asks is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from caretaker.releases.judge import Case, judge
from caretaker.releases.model import Action, Minute, Rules
from hypothesis import given
from hypothesis import strategies as st

from tests.releases.release_cases import MINUTE, PAST, SILENT, STARTED, arm, minute

RULES = Rules(bake=1)


def past(requests: int, own: int = 0) -> list[Minute]:
    served = [minute(index, SILENT, arm(requests, requests // 200)) for index in range(-PAST, 0)]
    return [replace(one, balancer_5xx=own) for one in served]


def whole(answered: Sequence[int], own: Sequence[int]) -> list[Minute]:
    """Minutes after 100 %: what the canary answered, and the balancer's own 5xx."""
    made = []
    for index, (requests, fails) in enumerate(zip(answered, own, strict=True)):
        canary = arm(requests, requests // 200) if requests else SILENT
        made.append(replace(minute(index, canary, SILENT), balancer_5xx=fails))
    return made


def action(minutes: list[Minute], history: list[Minute], look: int | None = None) -> Action:
    return verdict(minutes, history, look)[0]


def verdict(minutes: list[Minute], history: list[Minute], look: int | None = None) -> tuple[Action, str]:
    now = STARTED + (len(minutes) if look is None else look) * MINUTE
    found = judge(Case(minutes, history, STARTED, now, basis="before"), RULES)
    return found.action, found.reason


@pytest.mark.parametrize("rpm", [12, 300, 60_000])
def test_a_service_that_nobody_answers_for_is_convicted_three_settled_minutes_on(rpm: int) -> None:
    history = past(rpm, own=rpm // 100)
    looks = 1
    while action(whole([0] * looks, [rpm] * looks), history) is not Action.ROLL_BACK:
        looks += 1
        assert looks < 20
    assert looks == 3 + RULES.settle
    words = verdict(whole([0] * looks, [rpm] * looks), history)[1]
    assert "its targets have answered 0 requests" in words
    assert "a 5xx of its own" in words


def test_it_is_found_too_when_it_dies_later() -> None:
    history = past(300)
    dies = whole([300] * 20 + [0] * 8, [0] * 20 + [290] * 8)
    assert action(dies, history) is Action.ROLL_BACK
    assert action(dies[:27], history) is not Action.ROLL_BACK


@pytest.mark.parametrize(
    ("answered", "own", "usual", "usual_own"),
    [
        (0, 0, 300, 0),  # nobody asks: night, or a client that has stopped
        (0, 5, 300, 5),  # the balancer's ordinary 5xx are no requests of ours
        (0, 100, 300, 0),  # a neighbour's trouble, smaller than what is missing
        (300, 300, 300, 0),  # a neighbour's trouble while we answer
        (100, 200, 300, 0),  # a part is answered: the streams and the guard have their say
        (0, 3, 3, 0),  # too few to tell, in three minutes
        (0, 300, 0, 0),  # it never had any
        (0, 300, 300, 300),  # the neighbour was in trouble before
    ],
)
def test_silence_alone_and_a_neighbours_trouble_alone_convict_nobody(
    answered: int, own: int, usual: int, usual_own: int
) -> None:
    minutes = whole([answered] * 8, [own] * 8)
    assert action(minutes, past(usual, usual_own)) not in (Action.ROLL_BACK, Action.PROMOTE)


def test_a_service_that_is_quiet_every_hour_is_compared_with_its_quiet_time() -> None:
    history = [
        replace(one, baseline=SILENT if index % 60 < 20 else one.baseline) for index, one in enumerate(past(300))
    ]
    assert action(whole([0] * 9, [300] * 9), history) is not Action.ROLL_BACK


@given(st.lists(st.integers(0, 400), min_size=1, max_size=30))
def test_without_5xx_of_the_balancer_no_pattern_of_traffic_convicts(answered: list[int]) -> None:
    """Good answers only: whether they are many, few or none is the users' affair."""
    good = [replace(minute(index, arm(count) if count else SILENT, SILENT)) for index, count in enumerate(answered)]
    history = [minute(index, SILENT, arm(300)) for index in range(-PAST, 0)]
    assert action(good, history) is not Action.ROLL_BACK


def test_beside_the_running_revision_the_share_is_what_tells() -> None:
    minutes = [replace(minute(index, SILENT, arm(300)), balancer_5xx=300) for index in range(9)]
    found = judge(Case(minutes, past(300), STARTED, STARTED + 9 * MINUTE), RULES)
    assert not any(check.name == "silence" for check in found.checks)


def test_metrics_that_are_late_are_no_silence() -> None:
    late = whole([300] * 8, [0] * 8) + whole([0] * 13, [0] * 8 + [300] * 5)[8:]
    assert action(late, past(300), 13) is not Action.ROLL_BACK
