from datetime import UTC, datetime

import pytest

from twin.errors import Unmodelled, WorldError
from twin.kernel.schedules import parse

MONDAY = datetime(2026, 10, 5, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(1 minute)", "2026-10-05T12:01"),
        ("rate(6 hours)", "2026-10-05T18:00"),
        ("rate(2 days)", "2026-10-07T12:00"),
        ("cron(0 12 * * ? *)", "2026-10-06T12:00"),
        ("cron(15 12 ? * * *)", "2026-10-05T12:15"),
        ("cron(0/10 * * * ? *)", "2026-10-05T12:10"),
        ("cron(5,35 14 * * ? *)", "2026-10-05T14:05"),
        ("cron(15 10 ? * 6 *)", "2026-10-09T10:15"),
        ("cron(0 18 ? * MON-FRI *)", "2026-10-05T18:00"),
        ("cron(0 8 1 * ? *)", "2026-11-01T08:00"),
        ("cron(0 0 29 2 ? *)", "2028-02-29T00:00"),
        ("cron(0 8 1 JAN,JUN ? 2027)", "2027-01-01T08:00"),
    ],
)
def test_next_moment(expression: str, expected: str) -> None:
    assert parse(expression).after(MONDAY).strftime("%Y-%m-%dT%H:%M") == expected


@pytest.mark.parametrize(
    "expression",
    [
        "rate(5 minute)",
        "rate(1 minutes)",
        "rate(0 minutes)",
        "rate(5 weeks)",
        "every 5 minutes",
        "cron(0 12 * * *)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(60 12 * * ? *)",
        "cron(x 12 * * ? *)",
        "cron(30-10 12 * * ? *)",
    ],
)
def test_refused(expression: str) -> None:
    with pytest.raises(WorldError, match="schedule"):
        parse(expression)


@pytest.mark.parametrize("expression", ["cron(0 9 L * ? *)", "cron(0 9 ? * 3#2 *)", "cron(0 9 3W * ? *)"])
def test_not_modelled(expression: str) -> None:
    with pytest.raises(Unmodelled, match="wildcard"):
        parse(expression)


def test_a_moment_that_never_comes() -> None:
    with pytest.raises(WorldError, match="never fires"):
        parse("cron(0 8 30 2 ? *)").after(MONDAY)
