"""Listings that are read page by page, one call at a time, by somebody who paces himself.

`paging.pages` reads a listing to its end in one go; an observation of a whole account may not: it would take all of an
API's calls a second from everybody else. So each listing says how it is paged, how many ids it takes, and the rate that
AWS documents for it, and `page` makes one call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from caretaker.aws import clients
from caretaker.aws.errors import call
from caretaker.aws.paging import Failure, failures

Token = dict[str, Any]
"""The members of the next page's request; empty after the last page."""


@dataclass(frozen=True)
class Rate:
    """A token bucket of AWS's, shared by the operations that count against it.

    Attributes:
        name: of the bucket.
        burst: calls that it holds.
        per_second: calls a second that are added.
        source: where AWS says so.
    """

    name: str
    burst: int
    per_second: float
    source: str


@dataclass(frozen=True)
class Listing:
    """An operation that lists or describes.

    Attributes:
        operation: as IAM and the observation name it, e.g. `elasticloadbalancing:DescribeRules`.
        service, method: client and its method, in botocore's words.
        keys: members of the answer that hold items.
        rate: the bucket that its calls are taken from.
        tokens: pairs of request and answer members that lead to the next page; none where there are no pages.
        fixed: members that each request has, e.g. the page size.
        batch: the member that takes ids, and how many at most; ("", 0) where it takes none.
    """

    operation: str
    service: str
    method: str
    keys: tuple[str, ...]
    rate: Rate
    tokens: tuple[tuple[str, str], ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    batch: tuple[str, int] = ("", 0)


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        answer: as AWS gave it, without the metadata of the response.
        items: of all keys together.
        next: the next page's token.
        failures: what AWS could not serve (ECS).
    """

    answer: Mapping[str, Any]
    items: list[Any]
    next: Token
    failures: list[Failure]


def page(listing: Listing, params: Mapping[str, Any], token: Mapping[str, Any]) -> Page:
    """Make one call: the page that `token` leads to, the first one without.

    Raises:
        AwsFailure: of the call.
    """
    method = getattr(clients.client(listing.service), listing.method)
    answer = call(method, **{**listing.fixed, **params, **token})
    items = [item for key in listing.keys for item in _items(answer.get(key))]
    following = {request: answer[out] for request, out in listing.tokens if answer.get(out)}
    return Page(answer, items, following, failures(answer) if isinstance(answer.get("failures"), list) else [])


def _items(found: Any) -> list[Any]:
    """The items of one member: a list's own, or the one object."""
    if found is None:
        return []
    return list(found) if isinstance(found, list) else [found]
