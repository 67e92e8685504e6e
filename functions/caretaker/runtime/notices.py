"""Notices that were closed, so that an older copy that comes late does not begin work: events come out of order.

NOTICE#<key> / CLOSED    updated: when its sender closed it
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from caretaker.runtime.clock import iso, parse
from caretaker.runtime.table import Table

_SK = "CLOSED"
# Far longer than any event lives in EventBridge (24 hours) and in the queue (14 days).
_KEEP = timedelta(days=60)


def close(table: Table, key: str, updated: datetime) -> None:
    """Remember that the notice was closed at `updated`."""
    ttl = int((updated + _KEEP).timestamp())
    table.put({"pk": f"NOTICE#{key}", "sk": _SK, "updated": iso(updated), "ttl": ttl})


def closed(table: Table, keys: Iterable[str]) -> dict[str, datetime]:
    """Those of the notices that were closed, and when."""
    found = table.get_many((f"NOTICE#{key}", _SK) for key in keys)
    return {pk.removeprefix("NOTICE#"): parse(item["updated"], "updated") for (pk, _), item in found.items()}
