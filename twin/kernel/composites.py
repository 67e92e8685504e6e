"""Composite alarms: their rules, read and evaluated.

Source: CloudWatch API: PutCompositeAlarm (AlarmRule: ALARM, OK and INSUFFICIENT_DATA of an alarm's name or ARN, TRUE,
FALSE, AND, OR, NOT, parentheses; at most 100 alarms in a rule).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from twin.errors import AwsError
from twin.kernel.alarm_rules import State

CHILDREN = 100
_TOKEN = re.compile(
    r'\s*(?:(?P<word>AND|OR|NOT|TRUE|FALSE|ALARM|OK|INSUFFICIENT_DATA)\b|(?P<mark>[()])|"(?P<quoted>[^"]+)"'
    r"|(?P<name>[^\s()\"]+))",
    re.IGNORECASE,
)
Truth = Callable[[Mapping[str, State]], bool]


@dataclass
class Composite:
    """A composite alarm.

    Attributes:
        rule: as it was given.
        children: names of the alarms in the rule.
        truth: from the states of alarms by name, whether the rule holds.
        alarm_actions, ok_actions, insufficient_actions: topic ARNs.
        since, configured: when the state last changed, and when the alarm was last put.
    """

    name: str
    arn: str
    description: str
    rule: str
    children: tuple[str, ...]
    truth: Truth
    alarm_actions: tuple[str, ...] = ()
    ok_actions: tuple[str, ...] = ()
    insufficient_actions: tuple[str, ...] = ()
    actions_enabled: bool = True
    state: State = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    since: datetime | None = None
    configured: datetime | None = None
    tags: dict[str, str] = field(default_factory=dict)


def parse(rule: str) -> tuple[Truth, tuple[str, ...]]:
    """What a rule says, and the alarms that it names. AwsError ValidationError for what is no rule."""
    reader = _Reader(rule)
    truth = reader.either()
    if reader.left:
        raise _invalid(rule)
    if len(set(reader.names)) > CHILDREN:
        raise AwsError("ValidationError", f"AlarmRule can have at most {CHILDREN} alarms.")
    return truth, tuple(dict.fromkeys(reader.names))


class _Reader:
    """Recursive descent: OR binds less than AND, AND less than NOT."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._tokens = list(_tokens(rule))
        self.names: list[str] = []

    @property
    def left(self) -> bool:
        return bool(self._tokens)

    def _next(self) -> tuple[str, str]:
        if not self._tokens:
            raise _invalid(self._rule)
        return self._tokens.pop(0)

    def _takes(self, kind: str, text: str) -> bool:
        if self._tokens and self._tokens[0] == (kind, text):
            self._tokens.pop(0)
            return True
        return False

    def either(self) -> Truth:
        parts = [self._both()]
        while self._takes("word", "OR"):
            parts.append(self._both())
        return lambda states: any(part(states) for part in parts)

    def _both(self) -> Truth:
        parts = [self._one()]
        while self._takes("word", "AND"):
            parts.append(self._one())
        return lambda states: all(part(states) for part in parts)

    def _one(self) -> Truth:
        kind, text = self._next()
        if (kind, text) == ("word", "NOT"):
            inner = self._one()
            return lambda states: not inner(states)
        if (kind, text) == ("mark", "("):
            inner = self.either()
            self._close()
            return inner
        if kind == "word" and text in ("TRUE", "FALSE"):
            return lambda _states: text == "TRUE"
        if kind != "word" or text not in ("ALARM", "OK", "INSUFFICIENT_DATA") or not self._takes("mark", "("):
            raise _invalid(self._rule)
        name_kind, name = self._next()
        if name_kind != "name":
            raise _invalid(self._rule)
        self._close()
        plain = name.partition(":alarm:")[2] if name.startswith("arn:") else name
        self.names.append(plain)
        return lambda states: states.get(plain) == text

    def _close(self) -> None:
        if not self._takes("mark", ")"):
            raise _invalid(self._rule)


def _tokens(rule: str) -> Iterator[tuple[str, str]]:
    place = 0
    while rule[place:].strip():
        found = _TOKEN.match(rule, place)
        if found is None:
            raise _invalid(rule)
        place = found.end()
        if found["word"]:
            yield "word", found["word"].upper()
        elif found["mark"]:
            yield "mark", found["mark"]
        else:
            yield "name", found["quoted"] or found["name"]


def _invalid(rule: str) -> AwsError:
    return AwsError("ValidationError", f"AlarmRule is not valid: {rule}")
