"""What the neighbours of ECS share: delays, pages, filters, ids, and what they ask of the other parts of the twin."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, Protocol, TypeVar

from twin.errors import AwsError, Unmodelled
from twin.kernel.kernel import Kernel

T = TypeVar("T")


class Bus(Protocol):
    """The event bus, as far as AWS services publish on it."""

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> object: ...


def after(kernel: Kernel, seconds: float, fn: Callable[[], object], *, name: str, background: bool = False) -> None:
    """Run `fn` in `seconds` simulated seconds; at once, in place, while the world is being built."""
    if kernel.settled:
        kernel.scheduler.call_later(seconds, fn, name=name, background=background)
    else:
        fn()


def emit(
    kernel: Kernel, bus: Bus, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]
) -> None:
    """Publish an event of AWS; what happens while the world is being built is nobody's news."""
    if kernel.settled:
        bus.emit(source, detail_type, detail, resources)


def hex_id(rng: Random, prefix: str, digits: int = 17) -> str:
    """An id as EC2 makes them: prefix and hexadecimal digits."""
    return f"{prefix}{rng.getrandbits(digits * 4):0{digits}x}"


def uuid(rng: Random) -> str:
    """36 characters in the form of a version 4 UUID, from the world's seed."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def page(
    items: Iterable[T], token: str | None, limit: int | None, number: Callable[[T], int], bad_token: AwsError
) -> tuple[list[T], str | None]:
    """One page of `items`, which come in rising order of `number`, and the token of the next one.

    The token names the last item shown, so items that come or go between two pages neither repeat nor hide others.
    `limit` None shows all.
    """
    last = _read_token(token, bad_token) if token else -1
    rest = [item for item in items if number(item) > last]
    if limit is None or len(rest) <= limit:
        return rest, None
    shown = rest[:limit]
    return shown, base64.b64encode(f"after:{number(shown[-1])}".encode()).decode()


def page_by_name(
    items: Iterable[T], token: str | None, limit: int, name: Callable[[T], str], bad_token: AwsError
) -> tuple[list[T], str | None]:
    """One page of `items`, which come in rising order of `name`, and the token of the next one, which names the last
    item shown."""
    rest = list(items)
    if token:
        try:
            last = base64.b64decode(token, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise bad_token from None
        rest = [item for item in rest if name(item) > last]
    shown = rest[:limit]
    if len(rest) <= limit:
        return shown, None
    return shown, base64.b64encode(name(shown[-1]).encode()).decode()


def _read_token(token: str, bad_token: AwsError) -> int:
    try:
        name, _, value = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise bad_token from None
    if name != "after" or not value.lstrip("-").isdigit():
        raise bad_token
    return int(value)


def matches(values: Iterable[str], patterns: Iterable[str]) -> bool:
    """Whether one of `values` fits one of an EC2 filter's `patterns` (`*` and `?` are wildcards, case counts)."""
    return matcher(patterns)(values)


def matcher(patterns: Iterable[str]) -> Callable[[Iterable[str]], bool]:
    """`matches` for patterns that many things are held against."""
    given = list(patterns)
    plain = {pattern for pattern in given if "*" not in pattern and "?" not in pattern}
    wild = [re.compile(fnmatch.translate(one.replace("[", "[[]"))) for one in given if one not in plain]
    return lambda values: any(value in plain or any(one.match(value) for one in wild) for value in values)


FilterValues = Callable[[T], Iterable[str]]


def filtered(
    items: Iterable[T],
    filters: Sequence[Mapping[str, Any]],
    known: Mapping[str, FilterValues[T]],
    tags: Callable[[T], Mapping[str, str]],
    operation: str,
) -> list[T]:
    """The items that meet every filter. `tag:<key>` and `tag-key` are known everywhere; others come in `known`.

    A filter that the twin does not model raises Unmodelled.
    """
    kept = list(items)
    for one in filters:
        values = _values_of(one["Name"], known, tags, operation)
        fits = matcher(one.get("Values", []))
        kept = [item for item in kept if fits(values(item))]
    return kept


def plain_values(filters: Sequence[Mapping[str, Any]], name: str) -> list[str] | None:
    """The values of the filter `name`, if it is given once and without wildcards: what an index can answer."""
    given = [one.get("Values", []) for one in filters if one["Name"] == name]
    if len(given) != 1 or any("*" in value or "?" in value for value in given[0]):
        return None
    return list(dict.fromkeys(given[0]))


def _values_of(
    name: str, known: Mapping[str, FilterValues[T]], tags: Callable[[T], Mapping[str, str]], operation: str
) -> FilterValues[T]:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda item: [tags(item)[key]] if key in tags(item) else []
    if name == "tag-key":
        return lambda item: tags(item).keys()
    if name not in known:
        raise Unmodelled(f"{operation}: filter {name!r} is not modelled")
    return known[name]


def only(value: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    """Raise Unmodelled for members of a nested structure that the twin does not model."""
    extra = sorted(set(value) - set(allowed))
    if extra:
        raise Unmodelled(f"{where}.{extra[0]}={value[extra[0]]!r} is not modelled")


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_map(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags}
