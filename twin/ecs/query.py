"""The cluster query language, by which ListContainerInstances filters and `memberOf` constraints choose instances.

Source: Amazon ECS Developer Guide, "Create expressions to define container instances" (cluster query language).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from twin.errors import AwsError, Unmodelled

if TYPE_CHECKING:
    from twin.ecs.model import Host

Expression = Callable[["Host"], bool]
MAX_LENGTH = 2000

_TOKEN = re.compile(
    r"\s*(?:(?P<symbol>&&|\|\||==|!=|>=|<=|=~|!~|>|<|\(|\)|\[|\]|,|!)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\""
    r"|(?P<word>[^\s()\[\],&|!=<>'\"]+))"
)
_OPERATORS = {
    "==": "equals",
    "!=": "not_equals",
    ">": "greater_than",
    ">=": "greater_than_equal",
    "<": "less_than",
    "<=": "less_than_equal",
    "=~": "matches",
    "!~": "not_matches",
}
_WORDS = {*_OPERATORS.values(), "in", "not_in", "exists", "not_exists"}
_ORDERED = {"equals", "not_equals", "greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_STRINGS = {"equals", "not_equals", "in", "not_in", "matches", "not_matches"}
_SUBJECTS = {
    "agentConnected": _STRINGS,
    "agentVersion": _ORDERED,
    "ec2InstanceId": _STRINGS,
    "registeredAt": _ORDERED,
    "runningTasksCount": _ORDERED,
}
AGENT_VERSION = "1.88.0"


@dataclass(frozen=True)
class _Token:
    text: str
    literal: bool


def _refuse(expression: str, why: str) -> AwsError:
    return AwsError("InvalidParameterException", f"Invalid expression '{expression}': {why}.")


def _tokens(expression: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    text = expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match or match.end() == position:
            raise _refuse(expression, f"unexpected character at {position}")
        position = match.end()
        symbol = match.group("symbol")
        if symbol:
            found.append(_Token(symbol, False))
        else:
            quoted = match.group("single") if match.group("single") is not None else match.group("double")
            word = match.group("word")
            found.append(_Token(quoted if quoted is not None else word, quoted is not None))
    return found


class _Parser:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = _tokens(expression)
        self.position = 0

    def parse(self) -> Expression:
        result = self.disjunction()
        if self.position != len(self.tokens):
            raise self.error(f"unexpected '{self.tokens[self.position].text}'")
        return result

    def error(self, why: str) -> AwsError:
        return _refuse(self.expression, why)

    def peek(self, ahead: int = 0) -> str | None:
        index = self.position + ahead
        if index >= len(self.tokens) or self.tokens[index].literal:
            return None
        return self.tokens[index].text

    def take(self) -> _Token:
        if self.position >= len(self.tokens):
            raise self.error("it ends too early")
        self.position += 1
        return self.tokens[self.position - 1]

    def accept(self, *texts: str) -> bool:
        if self.peek() in texts:
            self.position += 1
            return True
        return False

    def disjunction(self) -> Expression:
        parts = [self.conjunction()]
        while self.accept("or", "||"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda host: any(part(host) for part in parts)

    def conjunction(self) -> Expression:
        parts = [self.negation()]
        while self.accept("and", "&&"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else lambda host: all(part(host) for part in parts)

    def negation(self) -> Expression:
        if self.accept("not", "!"):
            inner = self.negation()
            return lambda host: not inner(host)
        if self.accept("("):
            inner = self.disjunction()
            if not self.accept(")"):
                raise self.error("a parenthesis is not closed")
            return inner
        return self.comparison()

    def comparison(self) -> Expression:
        subject = self.take().text
        operator = self.operator()
        self.check(subject, operator)
        values = _values(subject)
        if operator in ("exists", "not_exists"):
            wanted = operator == "exists"
            return lambda host: bool(values(host)) is wanted
        return _compare(subject, operator, values, self.arguments(operator))

    def operator(self) -> str:
        token = self.take()
        if token.text == "!" and self.peek() in ("in", "exists"):
            return f"not_{self.take().text}"
        name = _OPERATORS.get(token.text, token.text)
        if token.literal or name not in _WORDS:
            raise self.error(f"'{token.text}' is not an operator")
        return name

    def check(self, subject: str, operator: str) -> None:
        if subject.startswith("attribute:") and len(subject) > len("attribute:"):
            return
        if subject == "task:group":
            return
        allowed = _SUBJECTS.get(subject)
        if allowed is None:
            raise self.error(f"'{subject}' is not a subject")
        if operator not in allowed:
            raise self.error(f"operator {operator} is not valid for {subject}")

    def arguments(self, operator: str) -> list[str]:
        if operator not in ("in", "not_in"):
            return [self.take().text]
        if not self.accept("["):
            raise self.error(f"{operator} needs a list")
        found = [self.take().text]
        while self.accept(","):
            found.append(self.take().text)
        if not self.accept("]"):
            raise self.error("a list is not closed")
        return found


def _values(subject: str) -> Callable[[Host], list[str]]:
    """The values of a subject on an instance; several for `task:group`, none where an attribute is missing."""
    if subject.startswith("attribute:"):
        name = subject.removeprefix("attribute:")
        return lambda host: [host.attributes[name] or ""] if name in host.attributes else []
    readers: dict[str, Callable[[Host], list[str]]] = {
        "task:group": lambda host: sorted(host.group_counts),
        "agentConnected": lambda host: ["true" if host.agent_connected else "false"],
        "agentVersion": lambda host: [AGENT_VERSION],
        "ec2InstanceId": lambda host: [host.instance_id],
        "registeredAt": lambda host: [host.registered_at.isoformat()],
        "runningTasksCount": lambda host: [str(sum(task.wanted for task in host.tasks.values()))],
    }
    return readers[subject]


def _compare(subject: str, operator: str, values: Callable[[Host], list[str]], arguments: list[str]) -> Expression:
    if operator.startswith("not_"):
        positive = _compare(subject, operator.removeprefix("not_"), values, arguments)
        return lambda host: not positive(host)
    if operator == "matches":
        pattern = _pattern(arguments[0])
        return lambda host: any(pattern.fullmatch(value) for value in values(host))
    if operator in ("equals", "in") and subject not in ("agentVersion", "registeredAt", "runningTasksCount"):
        wanted = frozenset(arguments)
        return lambda host: any(value in wanted for value in values(host))
    key = _key(subject)
    bound = key(arguments[0])
    tests: dict[str, Callable[[object], bool]] = {
        "equals": lambda value: value == bound,
        "greater_than": lambda value: value > bound,  # type: ignore[operator]
        "greater_than_equal": lambda value: value >= bound,  # type: ignore[operator]
        "less_than": lambda value: value < bound,  # type: ignore[operator]
        "less_than_equal": lambda value: value <= bound,  # type: ignore[operator]
    }
    test = tests[operator]
    return lambda host: any(test(key(value)) for value in values(host))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise Unmodelled(f"ecs: regular expression {text!r} in a cluster query: {error}") from error


def _key(subject: str) -> Callable[[str], object]:
    if subject == "agentVersion":
        return lambda text: tuple(_number(part) for part in text.split("."))
    if subject == "registeredAt":
        return _date
    return _number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AwsError("InvalidParameterException", f"'{text}' is not a number.") from None


def _date(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise AwsError("InvalidParameterException", f"'{text}' is not a date.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@lru_cache(maxsize=4096)
def compile_expression(expression: str) -> Expression:
    """A test of one instance. Raises InvalidParameterException for what is not in the language."""
    if len(expression) > MAX_LENGTH:
        raise AwsError("InvalidParameterException", "Expression can have a maximum length of 2000 characters.")
    return _Parser(expression).parse()
