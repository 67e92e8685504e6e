"""EventBridge's schedule expressions: when a rule fires next.

Source: EventBridge user guide, "Cron and rate expressions". All times are UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from twin.errors import Unmodelled, WorldError

_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_HORIZON = timedelta(days=366 * 5)


@dataclass(frozen=True)
class Rate:
    """Every `seconds`, counted from the rule's creation."""

    seconds: int

    def after(self, moment: datetime) -> datetime:
        return moment + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Cron:
    """The moments whose minute, hour, month and day are among those given; `by_weekday` says which day field counts."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]
    by_weekday: bool

    def after(self, moment: datetime) -> datetime:
        candidate = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        limit = moment + _HORIZON
        while candidate < limit:
            if not self._day(candidate):
                candidate = candidate.replace(hour=0, minute=0) + timedelta(days=1)
            elif candidate.hour not in self.hours:
                candidate = candidate.replace(minute=0) + timedelta(hours=1)
            elif candidate.minute not in self.minutes:
                candidate += timedelta(minutes=1)
            else:
                return candidate
        raise WorldError(f"cron expression never fires after {moment.isoformat()}")

    def _day(self, moment: datetime) -> bool:
        if moment.year not in self.years or moment.month not in self.months:
            return False
        if self.by_weekday:
            return moment.isoweekday() % 7 + 1 in self.weekdays
        return moment.day in self.days


Schedule = Rate | Cron


def parse(expression: str) -> Schedule:
    """`rate(5 minutes)` or `cron(0 12 * * ? *)`; `WorldError` for what EventBridge refuses."""
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", expression)
    if rate:
        count, unit, plural = int(rate[1]), rate[2], rate[3]
        if count < 1 or (count == 1) == bool(plural):
            raise WorldError(f"schedule {expression!r}: a value of 1 takes the singular, others the plural")
        return Rate(count * _UNITS[unit])
    cron = re.fullmatch(r"cron\((.+)\)", expression)
    fields = cron[1].split() if cron else []
    if len(fields) != 6:
        raise WorldError(f"schedule {expression!r} is neither rate(value unit) nor cron() with six fields")
    return _cron(fields, expression)


def _cron(fields: list[str], expression: str) -> Cron:
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise WorldError(f"schedule {expression!r}: exactly one of day-of-month and day-of-week must be ?")
    return Cron(
        minutes=_values(minute, 0, 59, (), expression),
        hours=_values(hour, 0, 23, (), expression),
        days=_values("*" if day == "?" else day, 1, 31, (), expression),
        months=_values(month, 1, 12, _MONTHS, expression),
        weekdays=_values("*" if weekday == "?" else weekday, 1, 7, _DAYS, expression),
        years=_values(year, 1970, 2199, (), expression),
        by_weekday=day == "?",
    )


def _values(text: str, low: int, high: int, names: tuple[str, ...], expression: str) -> frozenset[int]:
    chosen: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if any(char in span for char in "LW#"):
            raise Unmodelled(f"schedule {expression!r}: wildcard in {part!r}")
        first, last = _span(span, low, high, names, expression, bool(step))
        if not low <= first <= last <= high or (step and not step.isdigit()):
            raise WorldError(f"schedule {expression!r}: {part!r} is out of bounds")
        chosen.update(range(first, last + 1, int(step or 1)))
    return frozenset(chosen)


def _span(span: str, low: int, high: int, names: tuple[str, ...], expression: str, stepped: bool) -> tuple[int, int]:
    if span == "*":
        return low, high
    first, dash, last = span.partition("-")
    start = _number(first, names, low, expression)
    if dash:
        return start, _number(last, names, low, expression)
    return start, high if stepped else start


def _number(text: str, names: tuple[str, ...], low: int, expression: str) -> int:
    if text.upper() in names:
        return names.index(text.upper()) + low
    if not text.isdigit():
        raise WorldError(f"schedule {expression!r}: {text!r} is not a number")
    return int(text)
