"""What the operations share: limits, pages, tags, failures."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from twin.ecs.model import Tags
from twin.ecs.store import Index, Numbered
from twin.errors import AwsError, Unmodelled

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

Params = dict[str, Any]
T = TypeVar("T", bound=Numbered)
PAGE = 100


def invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


class Operations:
    """Base of the groups of operations; the Api sets the engine."""

    engine: Engine


def at_most(params: Params, member: str, limit: int, words: str) -> list[str]:
    """The members of a list of ids. Raises InvalidParameterException when it is empty or too long."""
    values: list[str] = params.get(member) or []
    if not values:
        raise invalid(f"{words} cannot be empty.")
    if len(values) > limit:
        raise invalid(f"{words} can have at most {limit} items.")
    return values


def only(params: Params, member: str, allowed: Sequence[object], where: str) -> None:
    """Raise `Unmodelled` for a value of a member that the twin does not know."""
    if member in params and params[member] not in allowed:
        raise Unmodelled(f"{where}: {member}={params[member]!r} is not modelled")


def missing(arn: str, reason: str = "MISSING") -> dict[str, str]:
    """ECS API: Failure; comes with HTTP 200."""
    return {"arn": arn, "reason": reason}


def tags_of(params: Params) -> Tags:
    tags = {item["key"]: item.get("value", "") for item in params.get("tags") or ()}
    if len(tags) > 50:
        raise invalid("Tags can have at most 50 items.")
    return tags


def page(
    index: Index[T], params: Params, show: Callable[[T], Any], keep: Callable[[T], bool] | None = None, size: int = PAGE
) -> tuple[list[Any], dict[str, str]]:
    """One page of an index, as API answers, and the `nextToken` member if there is more.

    `size` is the page size without maxResults. The token is opaque to callers: it holds the last number shown.
    """
    limit = int(params.get("maxResults", size))
    if not 1 <= limit <= PAGE:
        raise invalid("maxResults must be between 1 and 100.")
    last = _read_token(params.get("nextToken"))
    shown: list[Any] = []
    for item in index.after(last):
        if keep is not None and not keep(item):
            continue
        if len(shown) == limit:
            return shown, {"nextToken": _token(last)}
        shown.append(show(item))
        last = item.number
    return shown, {}


def _token(number: int) -> str:
    return urlsafe_b64encode(json.dumps({"v": 1, "after": number}).encode()).decode()


def _read_token(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(urlsafe_b64decode(token.encode()))["after"])
    except (Base64Error, ValueError, KeyError, TypeError):
        raise invalid("Invalid token.") from None


def included(params: Params, known: Iterable[str]) -> set[str]:
    """The `include` member. Raises InvalidParameterException for what the API does not know."""
    wanted = set(params.get("include") or ())
    if unknown := sorted(wanted - set(known)):
        raise invalid(f"Unknown include value '{unknown[0]}'.")
    return wanted
