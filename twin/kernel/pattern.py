"""Event patterns, matched as EventBridge does.

Source of the rules: EventBridge user guide, "Comparison operators", and the README of aws/event-ruler, the library that
EventBridge runs. An event is flattened to (dotted name, value) fields; arrays are crushed out, so that a pattern sees
into arrays of objects; matches that come from different elements of one array do not count together
("array-consistent"). Where the guide and the library disagree (is 300 equal to 300.0?), the stricter holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Scalar = str | int | float | bool | None
Network = IPv4Network | IPv6Network
Membership = tuple[tuple[int, int], ...]
Test = Callable[[Scalar], bool]

_MAX_BRANCHES = 1000
_NUMERIC_LIMIT = 5.0e9
_RESERVED = frozenset(
    {"exactly", "prefix", "suffix", "numeric", "anything-but", "cidr", "exists", "equals-ignore-case", "wildcard"}
)
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class PatternError(ValueError):
    """An event pattern that EventBridge refuses (InvalidEventPatternException)."""


@dataclass(frozen=True)
class _Field:
    """A leaf of an event; `membership` says in which element of which array it stands."""

    value: Scalar
    membership: Membership


@dataclass(frozen=True)
class _Condition:
    """What one field of a pattern asks for: any of the tests, or absence."""

    tests: tuple[Test, ...]
    absence: bool


_Branch = Mapping[str, _Condition]
Fields = Mapping[str, list[_Field]]


@dataclass(frozen=True)
class EventPattern:
    """A compiled event pattern. Compare and print by `source`."""

    source: str

    @classmethod
    def compile(cls, pattern: str | Mapping[str, Any]) -> EventPattern:
        """Compile JSON text or its object form; `PatternError` names what is wrong and where."""
        compiled = cls(pattern if isinstance(pattern, str) else json.dumps(pattern))
        _ = compiled._branches
        return compiled

    @cached_property
    def _branches(self) -> tuple[_Branch, ...]:
        try:
            parsed = json.loads(self.source)
        except json.JSONDecodeError as error:
            raise PatternError(f"pattern is not JSON: {error}") from error
        branches = _object(parsed, "", [{}], within_or=False)
        if len(branches) > _MAX_BRANCHES:
            raise PatternError(f"$or makes {len(branches)} combinations, more than {_MAX_BRANCHES}")
        return tuple(branches)

    def matches(self, event: Mapping[str, Any]) -> bool:
        return self.matches_fields(flatten(event))

    def matches_fields(self, fields: Fields) -> bool:
        """As `matches`, for an event that was flattened before: many patterns are tried on one event."""
        return any(_branch_matches(branch, sorted(branch), (), fields) for branch in self._branches)


# --- events ----------------------------------------------------------------------------------------------------------
def _counter() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def flatten(event: Mapping[str, Any]) -> Fields:
    """The leaves of an event by dotted name."""
    fields: dict[str, list[_Field]] = {}
    _flatten(event, "", (), fields, _counter())
    return fields


def _flatten(
    value: Any, name: str, membership: Membership, fields: dict[str, list[_Field]], arrays: Iterator[int]
) -> None:
    if isinstance(value, Mapping):
        for key, member in value.items():
            _flatten(member, f"{name}.{key}" if name else str(key), membership, fields, arrays)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        array = next(arrays)
        for index, item in enumerate(value):
            nested = isinstance(item, Mapping | list | tuple)
            within = (*membership, (array, index)) if nested else membership
            _flatten(item, name, within, fields, arrays)
    else:
        fields.setdefault(name, []).append(_Field(value, membership))


def _joined(one: Membership, other: Membership) -> Membership | None:
    """Both memberships together, None when they stand in different elements of one array."""
    merged = dict(one)
    for array, index in other:
        if merged.setdefault(array, index) != index:
            return None
    return tuple(merged.items())


def _branch_matches(
    branch: _Branch, names: Sequence[str], membership: Membership, fields: Mapping[str, list[_Field]]
) -> bool:
    if not names:
        return True
    name, rest = names[0], names[1:]
    condition, present = branch[name], fields.get(name, ())
    consistent = [(field, _joined(membership, field.membership)) for field in present]
    if condition.absence and not any(joined is not None for _, joined in consistent):
        return _branch_matches(branch, rest, membership, fields)
    return any(
        _branch_matches(branch, rest, joined, fields)
        for field, joined in consistent
        if joined is not None and any(test(field.value) for test in condition.tests)
    )


# --- patterns --------------------------------------------------------------------------------------------------------
def _object(pattern: Any, name: str, branches: list[_Branch], *, within_or: bool) -> list[_Branch]:
    if not isinstance(pattern, Mapping):
        raise PatternError(f"{name or 'pattern'} must be an object, not {_show(pattern)}")
    if not pattern:
        raise PatternError(f"{name or 'pattern'}: empty objects are not allowed")
    for key, value in pattern.items():
        path = f"{name}.{key}" if name else key
        if key == "$or":
            branches = _or(value, name, branches)
        elif within_or and key in _RESERVED:
            raise PatternError(f"{path}: {key} is a reserved name within $or")
        elif isinstance(value, Mapping):
            branches = _object(value, path, branches, within_or=within_or)
        elif isinstance(value, list):
            condition = _values(value, path)
            branches = [{**branch, path: condition} for branch in branches]
        else:
            raise PatternError(f"{path} must be an object or an array, not {_show(value)}")
    return branches


def _or(alternatives: Any, name: str, branches: list[_Branch]) -> list[_Branch]:
    where = f"{name}.$or" if name else "$or"
    if not isinstance(alternatives, list) or len(alternatives) < 2:
        raise PatternError(f"{where} must be an array of at least 2 objects, not {_show(alternatives)}")
    made: list[_Branch] = []
    for alternative in alternatives:
        made += _object(alternative, name, branches, within_or=True)
        if len(made) > _MAX_BRANCHES:
            raise PatternError(f"{where} makes more than {_MAX_BRANCHES} combinations")
    return made


def _values(values: list[Any], path: str) -> _Condition:
    if not values:
        raise PatternError(f"{path}: empty arrays are not allowed")
    tests: list[Test] = []
    absence = False
    for value in values:
        if isinstance(value, Mapping):
            operator, operand = _only_member(value, path)
            if operator == "exists":
                wanted = _boolean(operand, path)
                absence = absence or not wanted
                tests += [_anything] if wanted else []
            else:
                tests.append(_operator(operator, operand, path))
        elif isinstance(value, list):
            raise PatternError(f"{path}: match value must be a string, number, true, false or null")
        else:
            tests.append(_exactly(value))
    return _Condition(tuple(tests), absence)


def _only_member(expression: Mapping[str, Any], path: str) -> tuple[str, Any]:
    if len(expression) != 1:
        raise PatternError(f"{path}: only one key is allowed in a match expression, not {_show(expression)}")
    return next(iter(expression.items()))


def _operator(operator: str, operand: Any, path: str) -> Test:
    where = f"{path}: {operator}"
    if operator in ("prefix", "suffix"):
        return _affix(operator, operand, where)
    if operator == "equals-ignore-case":
        return _ignore_case(_string(operand, where))
    if operator == "wildcard":
        return _wildcard(_string(operand, where), where)
    if operator == "numeric":
        return _numeric(operand, where)
    if operator == "cidr":
        return _cidr(_string(operand, where), where)
    if operator == "anything-but":
        return _anything_but(operand, where)
    raise PatternError(f"{path}: unrecognized match type {operator}")


def _anything(_value: Scalar) -> bool:
    return True


def _same(value: Scalar, wanted: Scalar) -> bool:
    return type(value) is type(wanted) and value == wanted


def _exactly(wanted: Scalar) -> Test:
    address = _address(wanted)
    if address is not None:
        return lambda value: _address(value) == address or _same(value, wanted)
    return lambda value: _same(value, wanted)


def _affix(operator: str, operand: Any, where: str) -> Test:
    folded = False
    if isinstance(operand, Mapping):
        inner, operand = _only_member(operand, where)
        if inner != "equals-ignore-case":
            raise PatternError(f"{where}: unrecognized match type {inner}")
        folded = True
    text = _string(operand, where)
    if folded:
        text = text.casefold()

    def test(value: Scalar) -> bool:
        if not isinstance(value, str):
            return False
        subject = value.casefold() if folded else value
        return subject.startswith(text) if operator == "prefix" else subject.endswith(text)

    return test


def _ignore_case(text: str) -> Test:
    folded = text.casefold()
    return lambda value: isinstance(value, str) and value.casefold() == folded


def _wildcard(text: str, where: str) -> Test:
    parts = _wildcard_parts(text, where)
    return lambda value: isinstance(value, str) and _wildcard_matches(parts, value)


def _wildcard_parts(text: str, where: str) -> list[str]:
    """The literal stretches between the wildcards of `text`, with escapes resolved."""
    parts, index, after_star = [""], 0, False
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
            if index == len(text) or text[index] not in "*\\":
                raise PatternError(f"{where}: invalid escape in {text!r}; only \\* and \\\\ are allowed")
            parts[-1] += text[index]
            after_star = False
        elif char == "*":
            if after_star:
                raise PatternError(f"{where}: consecutive wildcards in {text!r}")
            parts.append("")
            after_star = True
        else:
            parts[-1] += char
            after_star = False
        index += 1
    return parts


def _wildcard_matches(parts: list[str], value: str) -> bool:
    if len(parts) == 1:
        return value == parts[0]
    first, *middle, last = parts
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    position, end = len(first), len(value) - len(last)
    for part in middle:
        found = value.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _numeric(operand: Any, where: str) -> Test:
    if not isinstance(operand, list) or not operand or len(operand) % 2:
        raise PatternError(f"{where} must be an array of operators and numbers, not {_show(operand)}")
    pairs = list(zip(operand[::2], operand[1::2], strict=True))
    operators = [operator for operator, _ in pairs]
    for operator, bound in pairs:
        if operator not in _COMPARISONS:
            raise PatternError(f"{where}: unrecognized operator {_show(operator)}")
        if not _is_number(bound) or abs(bound) > _NUMERIC_LIMIT:
            raise PatternError(f"{where}: {_show(bound)} is no number between -5.0e9 and 5.0e9")
    _check_range(operators, pairs, where)

    def test(value: Scalar) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _NUMERIC_LIMIT:
            return False
        return all(_COMPARISONS[operator](value, bound) for operator, bound in pairs)

    return test


def _check_range(operators: list[Any], pairs: list[tuple[Any, Any]], where: str) -> None:
    """A comparison is one operator, or a lower bound followed by an upper one above it."""
    if len(pairs) == 1:
        return
    if len(pairs) > 2 or operators[0] not in (">", ">=") or operators[1] not in ("<", "<="):
        raise PatternError(f"{where}: a range is a lower bound followed by an upper bound")
    if not pairs[0][1] < pairs[1][1]:
        raise PatternError(f"{where}: the bottom of the range must be less than its top")


def _cidr(text: str, where: str) -> Test:
    try:
        network: Network = ip_network(text, strict=False)
    except ValueError as error:
        raise PatternError(f"{where}: malformed CIDR {text!r}") from error
    if "/" not in text:
        raise PatternError(f"{where}: malformed CIDR {text!r}, one '/' required")

    def test(value: Scalar) -> bool:
        address = _address(value)
        return address is not None and address.version == network.version and address in network

    return test


def _anything_but(operand: Any, where: str) -> Test:
    if isinstance(operand, Mapping):
        operator, inner = _only_member(operand, where)
        if operator not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise PatternError(f"{where}: unsupported {operator}")
        texts = inner if isinstance(inner, list) else [inner]
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise PatternError(f"{where}: {operator} needs non-empty strings, not {_show(inner)}")
        tests = [_operator(operator, text, where) for text in texts]
    else:
        values = operand if isinstance(operand, list) else [operand]
        kinds = {"number" if _is_number(value) else type(value).__name__ for value in values}
        if not values or len(kinds) != 1 or not kinds <= {"str", "number"}:
            raise PatternError(f"{where} needs strings only or numbers only, not {_show(operand)}")
        tests = [_anything_but_test(value) for value in values]
    return lambda value: not any(test(value) for test in tests)


def _anything_but_test(wanted: Scalar) -> Test:
    """Numbers are compared by value here: the stricter reading of what anything-but excludes."""
    if _is_number(wanted):
        return lambda value: _is_number(value) and value == wanted
    return lambda value: value == wanted


def _address(value: Any) -> IPv4Address | IPv6Address | None:
    if not isinstance(value, str):
        return None
    try:
        return ip_address(value)
    except ValueError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise PatternError(f"{where} must be a string, not {_show(value)}")
    return value


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise PatternError(f"{path}: exists must be true or false, not {_show(value)}")
    return value


def _show(value: Any) -> str:
    return json.dumps(value, default=str)
