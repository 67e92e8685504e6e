from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from caretaker.runtime import clock
from caretaker.runtime.clock import BadTime
from caretaker.runtime.settings import BadSettings, Settings
from hypothesis import given
from hypothesis import strategies as st

ENV = {
    "TABLE_NAME": "t",
    "POLICY_PATH": "/caretaker/policy/",
    "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:topic",
    "AWS_REGION": "us-east-1",
}
MOMENT = datetime(2026, 10, 5, 10, 0, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2026-10-05T10:00:12Z", "2026-10-05T10:00:12.000Z", "2026-10-05T12:00:12+02:00", "2026-10-05T10:00:12+0000"],
)
def test_iso_times_are_read_as_utc(text: str) -> None:
    assert clock.parse(text) == MOMENT
    assert clock.parse(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-10-05T10:00:12", "soon", "", None])
def test_what_is_no_time_is_named(text: str | None) -> None:
    with pytest.raises(BadTime, match=f"deadline: {text!r}"):
        clock.parse(text, "deadline")


@given(st.integers(0, 10**9), st.integers(-12, 12))
def test_text_order_is_time_order(seconds: int, hours: int) -> None:
    moment = (MOMENT + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=hours)))
    text = clock.iso(moment)
    assert text.endswith("Z")
    assert abs(clock.parse(text) - moment) < timedelta(milliseconds=1)
    assert (clock.iso(moment + timedelta(seconds=1)) > text) is True


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(BadTime):
        clock.iso(datetime(2026, 1, 1))  # noqa: DTZ001 - such a time is what is refused


def test_each_kind_of_invocation_brings_its_time() -> None:
    assert clock.entered({"now": "2026-10-05T10:00:12.000Z"}) == MOMENT
    assert clock.event_time({"time": "2026-10-05T10:00:12Z"}) == MOMENT
    stamp = int(MOMENT.timestamp() * 1000)
    attributes = {"SentTimestamp": str(stamp - 5000), "ApproximateFirstReceiveTimestamp": str(stamp)}
    assert clock.received({"attributes": attributes}) == MOMENT


def test_a_missing_time_is_named() -> None:
    with pytest.raises(BadTime, match="now: None"):
        clock.entered({})
    with pytest.raises(BadTime, match="time: None"):
        clock.event_time({})
    with pytest.raises(BadTime, match="attributes"):
        clock.received({"attributes": {}})


def test_settings_are_read_from_the_environment() -> None:
    settings = Settings.from_env(ENV)
    assert settings.policy_path == "/caretaker/policy"
    assert settings.cluster_names == "*"
    with pytest.raises(BadSettings, match="REPLACE_HOST_ARN"):
        settings.machine()
    assert Settings.from_env({**ENV, "REPLACE_HOST_ARN": "arn"}).machine() == "arn"


@pytest.mark.parametrize("name", sorted(ENV))
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(BadSettings, match=f"{name}: ''"):
        Settings.from_env({key: value for key, value in ENV.items() if key != name})
