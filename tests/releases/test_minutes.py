"""From datapoints to minutes: what holds for any datapoints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from caretaker.releases.minutes import Figure, Key, Shift, arm_of, minutes_of, slow_line, weight_of
from hypothesis import given
from hypothesis import strategies as st

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COUNTED: tuple[Figure, ...] = ("requests", "good_2xx", "good_3xx", "errors_4xx", "errors_5xx", "timed", "slow_percent")
Points = dict[Key, dict[datetime, float]]


def at(minute: float) -> datetime:
    return START + minute * MINUTE


counts = st.integers(0, 50).map(float)
series = st.dictionaries(st.integers(-3, 12).map(at), counts, max_size=10)
points_ = st.dictionaries(
    st.builds(Key, st.sampled_from(["canary", "baseline", "balancer", "a", "b"]), st.sampled_from(COUNTED)), series
)


@given(points_, st.integers(0, 6), st.integers(0, 12), st.floats(0, 12))
def test_every_closed_minute_once_and_no_open_one(points: Points, first: int, end: int, now: float) -> None:
    found = minutes_of(points, at(first), at(end), at(now), (), ["a", "b"])
    wanted = [at(minute) for minute in range(first, end) if at(minute) + MINUTE <= at(now)]
    assert [minute.start for minute in found] == wanted


@given(points_, points_)
def test_what_comes_late_changes_only_its_own_minutes(points: Points, late: Points) -> None:
    merged = {key: {**points.get(key, {}), **late.get(key, {})} for key in {*points, *late}}
    touched = {start for found in late.values() for start in found}
    before = minutes_of(points, at(0), at(10), at(10), (), ["a", "b"])
    after = minutes_of(merged, at(0), at(10), at(10), (), ["a", "b"])
    for old, new in zip(before, after, strict=True):
        assert old == new or old.start in touched


@given(points_)
def test_nothing_is_known_that_no_datapoint_says(points: Points) -> None:
    for minute in minutes_of(points, at(0), at(10), at(10), (), ["a", "b"]):
        for of, arm in (("canary", minute.canary), ("baseline", minute.baseline)):
            requests = points.get(Key(of, "requests"), {}).get(minute.start)
            assert arm.requests == requests
            assert arm.healthy is None
            assert 0 <= arm.slow <= arm.timed or arm.timed == 0
            answers = sum(
                points.get(Key(of, figure), {}).get(minute.start, 0.0)
                for figure in ("good_2xx", "good_3xx", "errors_4xx", "errors_5xx")
            )
            assert arm.whole is (requests is not None and answers == requests)
        if minute.zones:
            assert sum(zone.requests for zone in minute.zones) == minute.baseline.requests
            assert sum(zone.errors_5xx for zone in minute.zones) == minute.baseline.errors_5xx


def figures(of: str, **values: float) -> Points:
    return {Key(of, name): {START: value} for name, value in values.items()}  # type: ignore[arg-type]


def test_a_missing_count_is_a_zero_only_when_the_answers_add_up() -> None:
    whole = arm_of(figures("canary", requests=100, good_2xx=97, good_3xx=3), "canary", START)
    assert whole.whole
    assert (whole.errors_5xx, whole.good) == (0, 100)
    assert not arm_of(figures("canary", requests=100, good_2xx=97), "canary", START).whole
    assert not arm_of({}, "canary", START).whole
    assert arm_of(figures("canary", requests=0), "canary", START).whole


@pytest.mark.parametrize(
    ("timed", "percent", "slow"), [(200, 1.5, 3), (3, 33.333333, 1), (7, 100, 7), (7, 0, 0), (1_000, 0.06, 1)]
)
def test_percentages_become_whole_requests(timed: float, percent: float, slow: int) -> None:
    assert arm_of(figures("canary", timed=timed, slow_percent=percent), "canary", START).slow == slow


def test_a_zone_that_is_late_hides_all_of_them() -> None:
    points = {
        **figures("baseline", requests=30, good_2xx=28, errors_5xx=2, timed=30),
        **figures("a", requests=10, errors_5xx=2, timed=10),
    }
    assert minutes_of(points, at(0), at(1), at(1), (), ["a", "b"])[0].zones == ()
    points |= figures("b", requests=20, timed=20)
    zones = minutes_of(points, at(0), at(1), at(1), (), ["a", "b"])[0].zones
    assert [(zone.requests, zone.errors_5xx) for zone in zones] == [(10, 2), (20, 0)]


@pytest.mark.parametrize(
    ("shifts", "expected"),
    [
        ([], [None] * 6),
        ([Shift(at(-5), at(-5), 0.1)], [0.1] * 6),
        ([Shift(at(0.5), at(0.5), 0.1)], [None, 0.1, 0.1, 0.1, 0.1, 0.1]),
        ([Shift(at(0.6), at(0.6), 0.1)], [None, None, 0.1, 0.1, 0.1, 0.1]),
        ([Shift(at(-5), at(-5), 0.1), Shift(at(2), at(2), 0.2)], [0.1, 0.1, None, 0.2, 0.2, 0.2]),
        ([Shift(at(-5), at(-5), 0.1), Shift(at(1.5), at(3.2), 0.2)], [0.1, None, None, None, 0.2, 0.2]),
        ([Shift(at(-5), at(-5), 0.1), Shift(at(3), at(3), None)], [0.1, 0.1, 0.1, None, None, None]),
    ],
)
def test_weights_by_minute(shifts: list[Shift], expected: list[float | None]) -> None:
    assert [weight_of(shifts, at(minute)) for minute in range(6)] == expected


def test_the_line_of_slow_answers_is_moved_by_no_bad_stretch() -> None:
    p99s = {at(5 * n): 0.5 for n in range(9)} | {at(45): 30.0, at(50): 0.01}
    counts = dict.fromkeys(p99s, 100.0) | {at(50): 0.0}
    assert slow_line(p99s, counts) == 0.5
    assert slow_line({}, {}) is None
    assert slow_line({at(0): 1.0}, {}) is None
