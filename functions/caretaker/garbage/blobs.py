"""Large JSON documents in the table, compressed and in pieces that fit into its items.

<pk> / <name>-<digest>#<piece>         one document
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Collection
from typing import Any

from caretaker.runtime.table import Item, Table

# DynamoDB's limit is 400 KB an item, names included.
_PIECE = 350_000


class BlobBroken(Exception):
    """A stored document is incomplete: its writing was cut short."""


def keep(table: Table, pk: str, name: str, document: Any, ttl: int) -> str:
    """Store a document beside all others, and return the name by which it is found: `name` with a digest of it. So two
    who write at the same time do not spoil what the other has written.

    Args:
        ttl: when DynamoDB may forget it, in seconds of Unix time.
    """
    # Level 1: a seventh larger than level 9, and several times as fast.
    data = zlib.compress(json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), 1)
    digest, count = _digest(data), max(1, -(-len(data) // _PIECE))
    own = f"{name}-{digest}"
    for number in range(count):
        piece = data[number * _PIECE : (number + 1) * _PIECE]
        table.put({"pk": pk, "sk": f"{own}#{number:03}", "of": count, "digest": digest, "data": piece, "ttl": ttl})
    return own


def kept(table: Table, pk: str, name: str, names: Collection[str]) -> dict[str, Any]:
    """The documents that `keep` stored under one name, those of the names that it gave; without those that are not
    there. Raises `BlobBroken` if one is not whole."""
    pieces: dict[str, list[Item]] = {}
    for item in table.query(pk, f"{name}-"):
        pieces.setdefault(item["sk"].rpartition("#")[0], []).append(item)
    return {own: _joined(f"{pk} {own}", pieces[own]) for own in dict.fromkeys(names) if own in pieces}


def _joined(what: str, items: list[Item]) -> Any:
    """The document whose pieces these are, in order."""
    first = items[0]
    data = b"".join(item["data"] for item in items)
    if len(items) != first["of"] or _digest(data) != first["digest"]:
        raise BlobBroken(f"{what}: {len(items)} of {first['of']} pieces; write it again")
    return json.loads(zlib.decompress(data))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
