"""Attribute values on the wire: checked, compared, measured.

Sources: DynamoDB API: AttributeValue; Developer Guide, "Supported data types and naming rules", "Item sizes and
formats" (400 KB an item, 38 digits a number), "Condition and filter expressions" (values of different types are never
equal).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from twin.errors import AwsError

Value = Mapping[str, Any]
Item = dict[str, Any]

MOST = 400 * 1024
DIGITS = 38
_CONTEXT = Context(prec=DIGITS, Emin=-130, Emax=125)
SETS = ("SS", "NS", "BS")


def invalid(text: str) -> AwsError:
    return AwsError("ValidationException", text)


def kind_of(value: Value) -> str:
    """Its type: S, N, B, BOOL, NULL, M, L, SS, NS or BS."""
    return next(iter(value))


def checked(value: Value) -> dict[str, Any]:
    """A copy in the form in which DynamoDB keeps it. ValidationException for what it does not take."""
    if len(value) != 1:
        raise invalid(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the datatypes"
        )
    ((kind, inner),) = value.items()
    if kind == "N":
        return {"N": number_text(inner)}
    if kind == "M":
        return {"M": {name: checked(each) for name, each in inner.items()}}
    if kind == "L":
        return {"L": [checked(each) for each in inner]}
    if kind in SETS:
        return {kind: _set(kind, inner)}
    return {kind: inner}


def _set(kind: str, members: list[Any]) -> list[Any]:
    if not members:
        raise invalid("One or more parameter values were invalid: An string set  may not be empty")
    kept = [number_text(each) if kind == "NS" else each for each in members]
    if len(set(kept)) != len(kept):
        shown = ", ".join(map(str, kept))
        raise invalid(f"One or more parameter values were invalid: Input collection [{shown}] contains duplicates.")
    return kept


def number(text: str) -> Decimal:
    """A number of the wire. ValidationException for what is none, or has more than 38 digits."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}") from None
    if not found.is_finite():
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}")
    if len("".join(map(str, found.as_tuple().digits)).strip("0")) > DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    return found


def number_text(text: str | Decimal) -> str:
    """A number as DynamoDB gives it out: no exponent, no zeros that say nothing."""
    found = number(str(text))
    plain = f"{found:f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("", "-0") else plain


def added(one: Decimal, other: Decimal) -> str:
    return number_text(_CONTEXT.add(one, other))


def same(one: Value | None, other: Value | None) -> bool:
    """Whether two values are equal, in type too."""
    if one is None or other is None:
        return False
    kind = kind_of(one)
    if kind != kind_of(other):
        return False
    mine, theirs = one[kind], other[kind]
    if kind == "N":
        return bool(Decimal(mine) == Decimal(theirs))
    if kind in SETS:
        return set(mine) == set(theirs)
    if kind == "L":
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    if kind == "M":
        return bool(mine.keys() == theirs.keys()) and all(same(mine[name], theirs[name]) for name in mine)
    return bool(mine == theirs)


def order(value: Value) -> Any:
    """What values of one type are ordered by; None for types that have no order."""
    kind = kind_of(value)
    if kind == "N":
        return Decimal(value["N"])
    if kind == "S":
        return value["S"].encode()
    return bytes(value["B"]) if kind == "B" else None


def size(value: Value) -> int:
    """Bytes of a value, about as DynamoDB counts them."""
    ((kind, inner),) = value.items()
    if kind == "S":
        return len(inner.encode())
    if kind == "B":
        return len(inner)
    if kind == "N":
        return len(str(inner).lstrip("-").replace(".", "")) // 2 + 2
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + size(each) for name, each in inner.items())
    if kind == "L":
        return 3 + sum(1 + size(each) for each in inner)
    if kind in SETS:
        return sum(size({kind[0]: each}) for each in inner)
    return 1


def item_size(item: Mapping[str, Value]) -> int:
    """Bytes of an item, names included."""
    return sum(len(name.encode()) + size(value) for name, value in item.items())
