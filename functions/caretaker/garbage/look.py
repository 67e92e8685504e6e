"""A look: one listing of AWS's, and what it tells of resources and of who refers to whom.

Every look has the same shape, so that the observation can pace, page, split and repeat them without knowing them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from caretaker.aws.errors import AwsFailure
from caretaker.aws.listing import Listing, Page
from caretaker.garbage.sheet import Sheet, Task
from caretaker.runtime.clock import iso

Take = Callable[[Sheet, Task, Page], None]


@dataclass(frozen=True)
class Look:
    """
    Attributes:
        listing: what is called.
        take: puts what a page tells on the sheet, with the reads that follow from it.
        missing_is_none: AWS's `Missing` is an answer, whole and empty: what was asked about is gone.
        none: whether an error means that there is nothing, by AWS's words.
        skips: reasons in `failures` that tell nothing that matters.
    """

    listing: Listing
    take: Take
    missing_is_none: bool = False
    none: Callable[[AwsFailure], bool] = lambda error: False
    skips: tuple[str, ...] = ()


def batched(
    look: str, listing: Listing, values: Iterable[str], scopes: Mapping[str, str] | str = "", **params: Any
) -> Iterator[Task]:
    """Tasks that ask for `values`, as many at a time as the listing takes.

    Args:
        scopes: of the readings, by value; or the one scope of all.
    """
    member, size = listing.batch
    wanted = list(dict.fromkeys(values))
    for start in range(0, len(wanted), size):
        part = wanted[start : start + size]
        of = (scopes,) if isinstance(scopes, str) else tuple(dict.fromkeys(scopes[value] for value in part))
        yield Task(look, of, {**params, member: part})


def tags_of(items: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    """AWS's list of tags; ECS writes its members in small letters."""
    found = {}
    for each in items or ():
        key = each.get("Key", each.get("key"))
        if key is not None:
            found[str(key)] = str(each.get("Value", each.get("value", "")))
    return found


def when(moment: Any) -> str:
    """A time as AWS's API gives it, as text; empty where it gives none."""
    return iso(moment) if isinstance(moment, datetime) else ""


def words(values: Iterable[Any]) -> str:
    """A list as a fact: texts in order, each once, separated by spaces."""
    return " ".join(sorted({str(value) for value in values}))


def yes(value: object) -> str:
    """A yes or no as a fact."""
    return "true" if value else "false"
