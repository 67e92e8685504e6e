"""DynamoDB's expressions: conditions and updates, parsed once for each text.

Source: DynamoDB Developer Guide, "Condition and filter expressions, operators, and functions" and "Using update
expressions". Every operand of an update is what it was before the update.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from twin.kernel.dynamodb.operands import LACKS, TESTS, appended, compare, either, size_of, total, within
from twin.kernel.dynamodb.values import Item, Value, invalid

Path = tuple[str | int, ...]
"""Names (or placeholders of names) and list indices."""

_TOKEN = re.compile(
    r"\s*(?:(#?[A-Za-z_][A-Za-z0-9_\-]*|#[A-Za-z0-9_]+)|(:[A-Za-z0-9_]+)|(<>|<=|>=|[=<>(),.\[\]+\-])|(\d+))"
)
_WORDS = {"AND", "OR", "NOT", "IN", "BETWEEN", "SET", "REMOVE", "ADD", "DELETE"}


@dataclass
class Scope:
    """Names and values of one request, and which of them were used."""

    names: Mapping[str, str]
    values: Mapping[str, Value]
    used: set[str] = field(default_factory=set)

    def path(self, path: Path) -> Path:
        return tuple(self._name(part) if isinstance(part, str) else part for part in path)

    def _name(self, part: str) -> str:
        if not part.startswith("#"):
            return part
        if part not in self.names:
            raise invalid(
                f"Invalid expression: An expression attribute name used in the document path is not defined; "
                f"attribute name: {part}"
            )
        self.used.add(part)
        return self.names[part]

    def value(self, name: str) -> Value:
        if name not in self.values:
            raise invalid(
                "Invalid expression: An expression attribute value used in expression is not defined; "
                f"attribute value: {name}"
            )
        self.used.add(name)
        return self.values[name]


Operand = Callable[[Scope, Item], Value | None]
Condition = Callable[[Scope, Item], bool]


# --- paths -----------------------------------------------------------------------------------------------------------
def found(item: Item, path: Path) -> Value | None:
    """The value at a path; None where there is none."""
    value: Any = {"M": item}
    for part in path:
        inner = value.get("M" if isinstance(part, str) else "L")
        if inner is None:
            return None
        value = inner.get(part) if isinstance(part, str) else next(iter(inner[part : part + 1]), None)
        if value is None:
            return None
    return dict(value)


# --- parsing ---------------------------------------------------------------------------------------------------------
class _Parser:
    """Recursive descent over one expression."""

    def __init__(self, text: str, what: str) -> None:
        self._what = what
        self._tokens = list(_tokens(text, what))
        self._at = 0

    # tokens
    def peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def word(self) -> str:
        """The next token as a keyword, which are case-insensitive."""
        return self.peek().upper() if self.peek().upper() in _WORDS else ""

    def next(self) -> str:
        token = self.peek()
        if not token:
            raise self.error("<EOF>")
        self._at += 1
        return token

    def expect(self, token: str) -> None:
        if self.next().upper() != token:
            self._at -= 1
            raise self.error(self.peek())

    def error(self, token: str) -> Exception:
        return invalid(f'Invalid {self._what}: Syntax error; token: "{token}", near: "{token}"')

    def end(self) -> None:
        if self.peek():
            raise self.error(self.peek())

    # conditions
    def condition(self) -> Condition:
        parts = [self._conjunction()]
        while self.word() == "OR":
            self.next()
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else lambda scope, item: _any(parts, scope, item)

    def _conjunction(self) -> Condition:
        parts = [self._negation()]
        while self.word() == "AND":
            self.next()
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else lambda scope, item: _all(parts, scope, item)

    def _negation(self) -> Condition:
        if self.word() == "NOT":
            self.next()
            inner = self._negation()
            return lambda scope, item: not inner(scope, item)
        if self.peek() == "(":
            self.next()
            inner = self.condition()
            self.expect(")")
            return inner
        if self.peek(1) == "(" and self.peek() in TESTS:
            return self._test()
        return self._comparison()

    def _test(self) -> Condition:
        name, arguments = self._call()
        test = TESTS[name]
        if len(arguments) != test[0]:
            raise invalid(
                f"Invalid {self._what}: Incorrect number of operands for operator or function; operator or function: "
                f"{name}, number of operands: {len(arguments)}"
            )
        return lambda scope, item: test[1](*[argument(scope, item) for argument in arguments])

    def _call(self) -> tuple[str, list[Operand]]:
        name = self.next()
        self.expect("(")
        arguments = [self.operand()]
        while self.peek() == ",":
            self.next()
            arguments.append(self.operand())
        self.expect(")")
        return name, arguments

    def _comparison(self) -> Condition:
        left = self.operand()
        if self.word() == "BETWEEN":
            self.next()
            low = self.operand()
            self.expect("AND")
            high = self.operand()
            return lambda scope, item: (
                compare(">=", left(scope, item), low(scope, item)) & compare("<=", left(scope, item), high(scope, item))
            )
        if self.word() == "IN":
            self.next()
            self.expect("(")
            choices = [self.operand()]
            while self.peek() == ",":
                self.next()
                choices.append(self.operand())
            self.expect(")")
            return lambda scope, item: within(left(scope, item), [one(scope, item) for one in choices])
        sign = self.next()
        if sign not in ("=", "<>", "<", "<=", ">", ">="):
            raise self.error(sign)
        right = self.operand()
        return lambda scope, item: compare(sign, left(scope, item), right(scope, item))

    # operands
    def operand(self) -> Operand:
        if self.peek().startswith(":"):
            name = self.next()
            return lambda scope, item: scope.value(name)
        if self.peek(1) == "(":
            return self._function()
        path = self.path()
        return lambda scope, item: found(item, scope.path(path))

    def _function(self) -> Operand:
        name = self.peek()
        if name not in ("size", "if_not_exists", "list_append"):
            raise invalid(f"Invalid {self._what}: Invalid function name; function: {name}")
        _, arguments = self._call()
        if name == "size":
            (of,) = arguments
            return lambda scope, item: size_of(of(scope, item))
        first, second = arguments
        if name == "if_not_exists":
            # Both are evaluated, so that both count as used.
            return lambda scope, item: either(first(scope, item), second(scope, item))
        return lambda scope, item: appended(first(scope, item), second(scope, item))

    def path(self) -> Path:
        parts: list[str | int] = [self._name()]
        while self.peek() in (".", "["):
            if self.next() == ".":
                parts.append(self._name())
            else:
                parts.append(int(self.next()))
                self.expect("]")
        return tuple(parts)

    def _name(self) -> str:
        name = self.next()
        if not re.match(r"[#A-Za-z_]", name):
            raise self.error(name)
        return name

    # updates
    def update(self) -> list[Clause]:
        clauses: list[Clause] = []
        seen: set[str] = set()
        while self.peek():
            word = self.word()
            if word not in ("SET", "REMOVE", "ADD", "DELETE"):
                raise self.error(self.peek())
            if word in seen:
                raise invalid(
                    f'Invalid UpdateExpression: The "{word}" section can only be used once in an update expression;'
                )
            seen.add(word)
            self.next()
            clauses.append(self._clause(word))
            while self.peek() == ",":
                self.next()
                clauses.append(self._clause(word))
        return clauses

    def _clause(self, word: str) -> Clause:
        path = self.path()
        if word == "REMOVE":
            return Clause("REMOVE", path)
        if word == "SET":
            self.expect("=")
            return Clause("SET", path, self._sum())
        return Clause("ADD" if word == "ADD" else "DELETE", path, self.operand())

    def _sum(self) -> Operand:
        left = _present(self.operand())
        if self.peek() not in ("+", "-"):
            return left
        sign = self.next()
        right = _present(self.operand())
        return lambda scope, item: total(left(scope, item), sign, right(scope, item))


def _tokens(text: str, what: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise invalid(f'Invalid {what}: Syntax error; token: "{text[at:].strip()[:1]}", near: "{text[at:][:10]}"')
        at = match.end()
        yield next(group for group in match.groups() if group is not None)


def _any(parts: list[Condition], scope: Scope, item: Item) -> bool:
    """Every part is evaluated, so that each name and value counts as used."""
    each = [part(scope, item) for part in parts]
    return any(each)


def _all(parts: list[Condition], scope: Scope, item: Item) -> bool:
    each = [part(scope, item) for part in parts]
    return all(each)


def _present(operand: Operand) -> Operand:
    def value(scope: Scope, item: Item) -> Value:
        given = operand(scope, item)
        if given is None:
            raise invalid(LACKS)
        return given

    return value


@dataclass(frozen=True)
class Clause:
    """One action of an update."""

    word: Literal["SET", "REMOVE", "ADD", "DELETE"]
    path: Path
    operand: Operand | None = None


@lru_cache(maxsize=2_000)
def condition_of(text: str) -> Condition:
    """A parsed ConditionExpression. ValidationException for one that is none."""
    parser = _Parser(text, "ConditionExpression")
    parsed = parser.condition()
    parser.end()
    return parsed


@lru_cache(maxsize=2_000)
def update_of(text: str) -> tuple[Clause, ...]:
    """A parsed UpdateExpression. ValidationException for one that is none."""
    parser = _Parser(text, "UpdateExpression")
    return tuple(parser.update())


def check_used(scope: Scope, expressions: bool) -> None:
    """Names and values that no expression uses are refused."""
    for what, given in (("Names", scope.names), ("Values", scope.values)):
        unused = sorted(set(given) - scope.used)
        if given and not expressions:
            raise invalid(f"ExpressionAttribute{what} can only be specified when using expressions")
        if unused:
            raise invalid(
                f"Value provided in ExpressionAttribute{what} unused in expressions: keys: {{{', '.join(unused)}}}"
            )
