"""What the operators and functions of DynamoDB's expressions do with values; None is an attribute that is not there.

Source: DynamoDB Developer Guide, "Condition and filter expressions, operators, and functions" and "Using update
expressions".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twin.errors import AwsError
from twin.kernel.dynamodb.values import Value, added, invalid, kind_of, number, order, same, size


def wrong_operand(expression: str, what: str) -> AwsError:
    """An operand of a type that the operator or function does not take."""
    return invalid(f"Invalid {expression}Expression: Incorrect operand type for operator or function; operator: {what}")


def compare(sign: str, left: Value | None, right: Value | None) -> bool:
    if sign == "=":
        return same(left, right)
    if left is None or right is None:
        # Nothing compares with what is not there, but that it is not equal.
        return sign == "<>" and (left is None) != (right is None)
    if sign == "<>":
        return not same(left, right)
    if kind_of(left) != kind_of(right):
        return False
    mine, theirs = order(left), order(right)
    if mine is None or theirs is None:
        raise wrong_operand("Condition", f"{sign}, operand type: {kind_of(left)}")
    return bool({"<": mine < theirs, "<=": mine <= theirs, ">": mine > theirs, ">=": mine >= theirs}[sign])


def within(value: Value | None, choices: list[Value | None]) -> bool:
    return any(same(value, each) for each in choices)


def begins_with(value: Value | None, prefix: Value | None) -> bool:
    if value is None or prefix is None:
        return False
    if kind_of(prefix) not in ("S", "B"):
        raise wrong_operand("Condition", f"begins_with, operand type: {kind_of(prefix)}")
    return kind_of(value) == kind_of(prefix) and bool(order(value).startswith(order(prefix)))


def contains(value: Value | None, part: Value | None) -> bool:
    if value is None or part is None:
        return False
    kind, wanted = kind_of(value), kind_of(part)
    if kind == "L":
        return any(same(each, part) for each in value["L"])
    if kind in ("SS", "NS", "BS"):
        return wanted == kind[0] and part[wanted] in value[kind]
    return kind == wanted and kind in ("S", "B") and part[kind] in value[kind]


def size_of(value: Value | None) -> Value | None:
    if value is None:
        return None
    kind = kind_of(value)
    if kind in ("S", "B"):
        return {"N": str(size(value))}
    if kind in ("SS", "NS", "BS", "L", "M"):
        return {"N": str(len(value[kind]))}
    raise wrong_operand("Condition", "size")


TESTS: Mapping[str, tuple[int, Callable[..., bool]]] = {
    "attribute_exists": (1, lambda value: value is not None),
    "attribute_not_exists": (1, lambda value: value is None),
    "begins_with": (2, begins_with),
    "contains": (2, contains),
}


def either(first: Value | None, second: Value | None) -> Value | None:
    return second if first is None else first


def appended(first: Value | None, second: Value | None) -> Value:
    if first is None or second is None:
        raise invalid(LACKS)
    if kind_of(first) != "L" or kind_of(second) != "L":
        raise wrong_operand("Update", "list_append")
    return {"L": [*first["L"], *second["L"]]}


LACKS = "The provided expression refers to an attribute that does not exist in the item"
WRONG = "An operand in the update expression has an incorrect data type"


def total(left: Value | None, sign: str, right: Value | None) -> Value:
    assert left is not None and right is not None  # noqa: PT018 - `_present` has seen to it
    if kind_of(left) != "N" or kind_of(right) != "N":
        raise invalid(WRONG)
    other = number(right["N"])
    return {"N": added(number(left["N"]), other if sign == "+" else -other)}
