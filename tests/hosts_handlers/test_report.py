"""What programs and people are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from caretaker.hosts.model import Move, Obstacle, Plan
from caretaker.hosts.report import (
    MAX_DETAIL,
    MAX_LINES,
    MAX_TEXT,
    Ended,
    event_of,
    message_of,
    plan_summary,
    result_of,
)
from caretaker.runtime.telling import cause_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOVES = tuple(Move(f"arn:task/prod/{n}", "i-1", "scheduler", "ECS starts its successor first", "web") for n in range(3))
PLAN = Plan("arn:cluster/prod", NOW, ("i-1",), "go", "1 host", moves=MOVES)
ENDED = Ended(
    work="replace-host-0123456789abcdef-1",
    execution="arn:aws:states:eu-west-1:111122223333:execution:m:replace-host-0123456789abcdef-1",
    cluster="arn:aws:ecs:eu-west-1:111122223333:cluster/prod",
    hosts=("i-1", "i-2"),
    mode="act",
    trigger="EC2 retires i-1",
    outcome="undone",
    reason="DrainStuck: task 7 of service web is RUNNING",
    deadline=NOW,
    plan=PLAN,
)


@pytest.mark.parametrize("outcome", ["replaced", "undone", "blocked", "planned", "ignored", "failed"])
def test_the_event_names_the_outcome_and_every_task(outcome: str) -> None:
    event = event_of(replace(ENDED, outcome=outcome))
    assert event["detail_type"] == f"Host Replacement {outcome.capitalize()}"
    detail = event["detail"]
    assert {"work", "execution", "cluster", "hosts", "outcome", "reason", "plan", "left_behind"} <= set(detail)
    assert [line["task"] for line in detail["plan"]["tasks"]] == ["0", "1", "2"]


def test_a_large_plan_fits_into_an_event_and_says_what_is_left_out() -> None:
    moves = tuple(replace(MOVES[0], task=f"arn:task/prod/{number:032}", reason="x" * 200) for number in range(2000))
    detail = event_of(replace(ENDED, plan=replace(PLAN, moves=moves)))["detail"]
    assert len(json.dumps(detail)) <= MAX_DETAIL + 1000
    assert len(detail["plan"]["tasks"]) + detail["plan"]["tasks_omitted"] == 2000


def test_a_thousand_obstacles_fit_into_the_state_of_an_execution() -> None:
    """A state carries 256 KiB, and no catch takes what is larger."""
    obstacles = tuple(Obstacle("task", f"arn:task/prod/{n:032}", f"{n}: " + "é" * 1500) for n in range(1000))
    ended = replace(ENDED, outcome="blocked", left_behind=("y" * 900,) * 999, plan=replace(PLAN, obstacles=obstacles))
    event, message = event_of(ended), message_of(ended)
    assert message is not None
    assert len(json.dumps([event, message, result_of(ended)], ensure_ascii=False).encode()) < 200 * 1024
    assert event["detail"]["plan"]["obstacles_omitted"] == 1000 - MAX_LINES
    assert "and 950 more" in message["text"] or message["text"].endswith(" ...")
    assert len(message["text"].encode()) <= MAX_TEXT


def test_a_small_plan_leaves_nothing_out() -> None:
    assert plan_summary(PLAN)["tasks_omitted"] == 0


@pytest.mark.parametrize(("outcome", "told"), [("replaced", 0), ("planned", 0), ("ignored", 0), ("undone", 1)])
def test_people_are_told_of_what_needs_them(outcome: str, told: bool) -> None:
    assert bool(message_of(replace(ENDED, outcome=outcome))) is bool(told)


def test_a_message_says_what_why_what_stays_and_what_next() -> None:
    blocked = replace(PLAN, obstacles=(Obstacle("task", "a", "task 7 is pinned to i-1 by memberOf"),))
    message = message_of(
        replace(ENDED, outcome="blocked", plan=blocked, retry_at=NOW, left_behind=("service web keeps 100/150",))
    )
    assert message is not None
    for words in ("i-1, i-2", "EC2 retires i-1", "DrainStuck", "pinned", "100/150", "2026-03-01T12:00:00Z"):
        assert words in message["text"]


def test_a_subject_is_what_sns_takes() -> None:
    message = message_of(replace(ENDED, cluster="arn:aws:ecs:r:1:cluster/" + "ä" * 300))
    assert message is not None
    assert message["subject"].isascii()
    assert len(message["subject"]) < 100
    assert "\n" not in message["subject"]


def test_the_same_trouble_is_told_once_and_when_no_attempt_follows() -> None:
    assert message_of(replace(ENDED, retry_at=NOW), told_before=True) is None
    assert message_of(replace(ENDED, retry_at=NOW)) is not None
    assert message_of(ENDED, told_before=True) is not None


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ({"Error": "DrainStuck", "Cause": json.dumps({"errorMessage": "task 7", "errorType": "DrainStuck"})}, "task 7"),
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout"),
        ({"Error": "E", "Cause": "plain"}, "E: plain"),
        ({"Error": "E", "Cause": "[1]"}, "E: [1]"),
        ({}, "unknown error"),
    ],
)
def test_a_caught_error_is_told_in_its_own_words(failure: dict[str, str], words: str) -> None:
    assert words in cause_of(failure)
    assert "errorMessage" not in cause_of(failure)


def test_the_output_of_an_execution_is_small() -> None:
    result = result_of(ENDED)
    assert result["outcome"] == "undone"
    assert result["deadline"] == "2026-03-01T12:00:00Z"
    assert "plan" not in result
