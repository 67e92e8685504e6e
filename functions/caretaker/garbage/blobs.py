"""Large JSON documents in the table, compressed and in pieces that fit into its items.

<pk> / <name>#<piece>         one document
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


def put(table: Table, pk: str, name: str, document: Any, ttl: int | None = None) -> None:
    """Store a document, in place of the former one of that name.

    Args:
        ttl: when DynamoDB may forget it, in seconds of Unix time; None for never.
    """
    _write(table, pk, name, _compressed(document), ttl)


def keep(table: Table, pk: str, name: str, document: Any, ttl: int | None = None) -> str:
    """Store a document beside all others, and return the name by which it is found: `name` with a digest of it. So two
    who write at the same time do not spoil what the other has written."""
    data = _compressed(document)
    own = f"{name}-{_digest(data)}"
    _write(table, pk, own, data, ttl)
    return own


def kept(table: Table, pk: str, name: str, names: Collection[str]) -> dict[str, Any]:
    """The documents that `keep` stored under one name, those of the names that it gave; without those that are not
    there. Raises `BlobBroken` if one is not whole."""
    pieces: dict[str, list[Item]] = {}
    for item in table.query(pk, f"{name}-"):
        pieces.setdefault(item["sk"].rpartition("#")[0], []).append(item)
    return {own: joined(f"{pk} {own}", pieces[own]) for own in dict.fromkeys(names) if own in pieces}


def _compressed(document: Any) -> bytes:
    # Level 1: a seventh larger than level 9, and several times as fast; large ones are written again and again.
    return zlib.compress(json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), 1)


def _write(table: Table, pk: str, name: str, data: bytes, ttl: int | None) -> None:
    digest, count = _digest(data), max(1, -(-len(data) // _PIECE))
    for number in range(count):
        piece = data[number * _PIECE : (number + 1) * _PIECE]
        item: Item = {"pk": pk, "sk": f"{name}#{number:03}", "of": count, "digest": digest, "data": piece}
        table.put(item if ttl is None else {**item, "ttl": ttl})


def get(table: Table, pk: str, name: str) -> Any | None:
    """The document, None if there is none. Raises `BlobBroken` if it is not whole."""
    return joined(f"{pk} {name}", table.query(pk, f"{name}#"))


def joined(what: str, items: list[Item]) -> Any | None:
    """The document whose pieces these are, in order; a longer, former one may have left pieces behind."""
    if not items:
        return None
    first = items[0]
    pieces = [item["data"] for item in items[: first["of"]] if item["digest"] == first["digest"]]
    data = b"".join(pieces)
    if len(pieces) != first["of"] or _digest(data) != first["digest"]:
        raise BlobBroken(f"{what}: {len(pieces)} of {first['of']} pieces; write it again")
    return json.loads(zlib.decompress(data))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
