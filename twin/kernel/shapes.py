"""Checks of values against the shapes of AWS's API models, as botocore ships them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from numbers import Real
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

_SCALARS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "character": str,
    "blob": (bytes, bytearray),
    "integer": int,
    "long": int,
    "float": Real,
    "double": Real,
    "boolean": bool,
    "timestamp": datetime,
}


def request_errors(shape: StructureShape | None, params: Mapping[str, Any]) -> str:
    """What botocore would refuse in a request, as its report; empty when the request is well formed."""
    if shape is None:
        return "" if not params else f"Unknown parameters in input: {', '.join(sorted(params))}"
    report: str = ParamValidator().validate(dict(params), shape).generate_report()
    return report


def response_errors(shape: StructureShape | None, response: Mapping[str, Any]) -> list[str]:
    """Each member of a response that AWS's model does not know, or that has another type or an unknown enum value."""
    if shape is None:
        return [f"{name}: the operation has no output" for name in response]
    return list(_structure(shape, response, ""))


def _structure(shape: StructureShape, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path or 'response'}: {type(value).__name__} instead of a structure"
        return
    for name, member in value.items():
        if name == "ResponseMetadata" and not path:
            continue
        below = f"{path}.{name}" if path else str(name)
        if name not in shape.members:
            yield f"{below}: {shape.name} has no such member"
        else:
            yield from _any(shape.members[name], member, below)


def _any(shape: Shape, value: object, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        if not getattr(shape, "is_document_type", False):
            yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{path}: {type(value).__name__} instead of a list"
            return
        for index, item in enumerate(value):
            yield from _any(shape.member, item, f"{path}[{index}]")
    elif isinstance(shape, MapShape):
        if not isinstance(value, Mapping):
            yield f"{path}: {type(value).__name__} instead of a map"
            return
        for key, item in value.items():
            yield from _any(shape.value, item, f"{path}[{key!r}]")
    else:
        yield from _scalar(shape, value, path)


def _scalar(shape: Shape, value: object, path: str) -> Iterator[str]:
    expected = _SCALARS[shape.type_name]
    wrong_bool = isinstance(value, bool) and shape.type_name != "boolean"
    if wrong_bool or not isinstance(value, expected):
        yield f"{path}: {type(value).__name__} instead of {shape.type_name}"
    elif isinstance(value, datetime) and value.tzinfo is None:
        yield f"{path}: a time without a zone"
    elif isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
