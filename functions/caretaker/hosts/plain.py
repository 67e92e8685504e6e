"""Frozen dataclasses to and from plain JSON data, without pydantic (import time counts in Lambda).

Knows what the models use: str, int, float, bool, datetime, `X | None`, `tuple[X, ...]`, `tuple[X, Y]`,
`Mapping[str, X]`, `Any` and other dataclasses. Fields that equal their default are left out, so that blobs stay small.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, Union, cast

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """JSON data of a model object: dicts with sorted keys, lists, ISO 8601 strings."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((item, getattr(value, item.name)) for item in fields(value))
        return {item.name: to_plain(held) for item, held in pairs if not _is_default(item, held)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): to_plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], data: Mapping[str, Any]) -> T:
    """Model object of `kind` from what `to_plain` gave.

    Raises:
        ValueError: for a field that the model does not have or that is missing.
    """
    return cast(T, _reader(cast(Any, kind))(data))


def _is_default(item: Field[Any], held: Any) -> bool:
    if item.default is not MISSING:
        return bool(held == item.default)
    return item.default_factory is not MISSING and bool(held == item.default_factory())


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    if is_dataclass(kind):
        return _dataclass_reader(cast(type, kind))
    if kind is datetime:
        return datetime.fromisoformat
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        (present,) = (item for item in inner if item is not type(None))
        read_present = _reader(present)
        return lambda value: None if value is None else read_present(value)
    if origin is tuple:
        return _tuple_reader(inner)
    if origin is not None and issubclass(origin, Mapping):
        read_value = _reader(inner[1])
        return lambda value: {key: read_value(item) for key, item in value.items()}
    return lambda value: value


def _tuple_reader(inner: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        read_item = _reader(inner[0])
        return lambda value: tuple(read_item(item) for item in value)
    readers = tuple(_reader(item) for item in inner)
    return lambda value: tuple(read(item) for read, item in zip(readers, value, strict=True))


def _dataclass_reader(kind: type) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    readers: dict[str, Callable[[Any], Any]] = {}

    def read(data: Any) -> Any:
        if not readers:
            readers.update({item.name: _reader(hints[item.name]) for item in fields(kind)})
        unknown = sorted(set(data) - set(readers))
        if unknown:
            raise ValueError(f"{kind.__name__} has no field {unknown[0]!r}")
        try:
            return kind(**{name: readers[name](value) for name, value in data.items()})
        except TypeError as error:
            raise ValueError(f"{kind.__name__}: {error}") from error

    return read
