"""KeyConditionExpression: one partition, and a range of sort keys.

Source: DynamoDB Developer Guide, "Key condition expressions for the Query operation".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from twin.errors import AwsError, Unmodelled
from twin.kernel.dynamodb.expressions import Scope
from twin.kernel.dynamodb.values import invalid

_NAME, _VALUE = r"(#?[A-Za-z_][A-Za-z0-9_]*|#[A-Za-z0-9_]+)", r"(:[A-Za-z0-9_]+)"
_EQUAL = re.compile(rf"{_NAME}\s*=\s*{_VALUE}")
_COMPARED = re.compile(rf"{_NAME}\s*(<=|>=|<|>|=)\s*{_VALUE}")
_BEGINS = re.compile(rf"begins_with\s*\(\s*{_NAME}\s*,\s*{_VALUE}\s*\)")
_BETWEEN = re.compile(rf"{_NAME}\s+BETWEEN\s+{_VALUE}\s+AND\s+{_VALUE}", re.IGNORECASE)
_AND = re.compile(r"\s+AND\s+", re.IGNORECASE)


@dataclass(frozen=True)
class KeyRange:
    """
    Attributes:
        partition: the partition key.
        low, high: bounds of the sort key's bytes; None is without end.
        holds: whether a sort key within the bounds is meant.
    """

    partition: str
    low: bytes = b""
    high: bytes | None = None
    holds: Callable[[str], bool] = lambda sort: True


def range_of(text: str, scope: Scope, partition: str, sort: str | None) -> KeyRange:
    """What an expression asks for.

    Raises:
        AwsError: ValidationException where it does not name the key.
        Unmodelled: forms that DynamoDB knows and the twin does not.
    """
    first, *rest = _AND.split(text.strip(), maxsplit=1)
    match = _EQUAL.fullmatch(first.strip())
    if match is None:
        raise Unmodelled(f"dynamodb: KeyConditionExpression={text!r} is not modelled")
    name, value = match.groups()
    if scope.path((name,)) != (partition,):
        raise _not_the_key(partition)
    whole = KeyRange(_text(scope, value))
    return _narrowed(whole, rest[0].strip(), scope, sort) if rest else whole


def _narrowed(whole: KeyRange, text: str, scope: Scope, sort: str | None) -> KeyRange:
    if match := _BEGINS.fullmatch(text):
        prefix = _text(scope, match[2])
        _check(scope, match[1], sort)
        return KeyRange(whole.partition, prefix.encode(), None, lambda each: each.startswith(prefix))
    if match := _BETWEEN.fullmatch(text):
        _check(scope, match[1], sort)
        return KeyRange(whole.partition, _text(scope, match[2]).encode(), _text(scope, match[3]).encode())
    match = _COMPARED.fullmatch(text)
    if match is None:
        raise Unmodelled(f"dynamodb: KeyConditionExpression={text!r} is not modelled")
    _check(scope, match[1], sort)
    bound = _text(scope, match[3]).encode()
    low = bound if match[2] in ("=", ">", ">=") else b""
    high = bound if match[2] in ("=", "<", "<=") else None
    strict = match[2] in ("<", ">")
    return KeyRange(whole.partition, low, high, lambda each: not strict or each.encode() != bound)


def _check(scope: Scope, name: str, sort: str | None) -> None:
    if sort is None or scope.path((name,)) != (sort,):
        raise _not_the_key(sort or name)


def _not_the_key(name: str) -> AwsError:
    return invalid(f"Query condition missed key schema element: {name}")


def _text(scope: Scope, name: str) -> str:
    value = scope.value(name)
    if "S" not in value:
        raise invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
    return str(value["S"])
