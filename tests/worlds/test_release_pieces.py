"""What a world's expectation is held against: work on hosts and releases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from twin.rehearsal.evidence import Work
from twin.rehearsal.outcomes import pieces, unexpected
from twin.rehearsal.report import Release
from twin.rehearsal.spec import Expectation

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
HOST = Work("replace-host-1", "fleet", ("i-1",), "act", START, 1, outcome="replaced", reason="ended one host")
OF_A_RELEASE = Work("bake-release-1", "fleet", (), "act", START, 2, outcome="promoted", reason="fine")


def release(outcome: str | None = "promoted", **fields: Any) -> Release:
    base: dict[str, Any] = {
        "id": "bake-release-1",
        "service": "shop",
        "cluster": "fleet",
        "way": "watch",
        "mode": "act",
        "revision": "shop:2",
        "baseline": "shop:1",
        "outcome": outcome,
        "reason": "5xx 41 of 3,020",
        "started": "a",
        "ended": "b",
        "first_bad_at": None,
        "weights_zero_at": None,
        "seconds_to_zero": None,
        "canary_requests": 0,
        "users_errors": 0,
        "looks": 0,
        "evidence": [],
        "done": [],
    }
    return Release.model_validate({**base, **fields})


def wrong(expected: list[Expectation] | None, *releases: Release) -> list[str]:
    return unexpected(expected, pieces([HOST, OF_A_RELEASE], releases), {})


def test_a_release_counts_once_and_is_to_be_promoted() -> None:
    assert [piece.name for piece in pieces([HOST, OF_A_RELEASE], [release()])] == ["replace-host-1", "bake-release-1"]
    assert wrong(None, release()) == []
    assert wrong(None, release("planned", mode="observe")) == []
    [text] = wrong(None, release("rolled_back"))
    assert text == "bake-release-1 is rolled_back where promoted is expected: 5xx 41 of 3,020"
    assert "without outcome" in wrong(None, release(None))[0]


def test_what_turned_out_to_be_no_release_is_left_out() -> None:
    assert wrong(None, release("ignored")) == []
    assert wrong([Expectation(outcome="replaced")], release("ignored")) == []


@pytest.mark.parametrize(("words", "fits"), [("5XX 41", True), ("4xx", False)])
def test_a_list_names_hosts_before_releases(words: str, fits: bool) -> None:
    wishes = [Expectation(outcome="replaced"), Expectation(outcome="rolled_back", reason_contains=words)]
    assert (wrong(wishes, release("rolled_back")) == []) is fits
    assert wrong(wishes, release("rolled_back"), release("promoted")) == ["3 pieces of work where 2 are expected"]
