"""Every list call is paged to its end, every batch call is cut to its documented limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from caretaker.aws.errors import AwsFailure, call

T = TypeVar("T")

# More pages than any account can fill; a service that never ends its listing must not hold a function for ever.
MAX_PAGES = 1_000


@dataclass(frozen=True)
class Failure:
    """One entry of a `failures` list, which ECS answers with HTTP 200.

    Attributes:
        arn: ARN or id that the call could not serve.
        reason: AWS's reason, e.g. `MISSING`.
        detail: AWS's detail text, often empty.
    """

    arn: str
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.arn}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Found:
    """What a batch of calls answered: the items, and what AWS could not serve."""

    items: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """ARNs that AWS says do not exist."""
        return [failure.arn for failure in self.failures if failure.reason == "MISSING"]

    def unreadable(self) -> list[Failure]:
        """Failures other than MISSING: nothing is known about these."""
        return [failure for failure in self.failures if failure.reason != "MISSING"]


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in order, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def pages(
    method: Callable[..., Any], key: str, token: str = "nextToken", out: str | None = None, **params: Any
) -> list[Any]:
    """All items of a list call.

    Args:
        method: method of a boto3 client.
        key: member of the response that holds the items.
        token: request member for the next page; also the response member unless `out` names another.
        params: the request.

    Raises:
        AwsFailure: of the call; also when the listing repeats a token or does not end.
    """
    items: list[Any] = []
    given: str | None = None
    for _ in range(MAX_PAGES):
        answer = call(method, **params, **({token: given} if given else {}))
        items.extend(answer.get(key, []))
        following = answer.get(out or token)
        if not following:
            return items
        if following == given:
            break
        given = following
    name = str(getattr(method, "__name__", "list"))
    raise AwsFailure(name, "EndlessListing", f"the listing of {key} did not end after {len(items)} items")


def batched_pages(
    method: Callable[..., Any], argument: str, values: Iterable[str], size: int, key: str, **params: Any
) -> list[Any]:
    """All items of a list call that takes ids or names: each once, in order, `size` a call, every page.

    EC2's and Auto Scaling's way: the token is `NextToken`, and there is no `failures` list.
    """
    found: list[Any] = []
    for batch in batches(sorted(set(values)), size):
        request: dict[str, Any] = {argument: list(batch), **params}
        found.extend(pages(method, key, "NextToken", **request))
    return found


def gather(
    method: Callable[..., Any], argument: str, values: Iterable[str], size: int, key: str, **params: Any
) -> Found:
    """A describe call over any number of ids, `size` a call; items and `failures` of all calls together."""
    found = Found()
    for batch in batches(list(values), size):
        answer = call(method, **{argument: list(batch)}, **params)
        found.items.extend(answer.get(key, []))
        found.failures.extend(failures(answer))
    return found


def failures(answer: dict[str, Any]) -> list[Failure]:
    """The `failures` of an ECS response."""
    return [
        Failure(entry.get("arn", ""), entry.get("reason", "UNKNOWN"), entry.get("detail", ""))
        for entry in answer.get("failures", [])
    ]
