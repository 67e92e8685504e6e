"""The one DynamoDB table: items with a string key (pk, sk), plain Python values in and out.

Expressions are DynamoDB's own. Placeholders `#name` are filled with the attribute of that name by themselves, so that
no reserved word ever matters; pass `names` only where an attribute's name is data (a map key).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from caretaker.aws import clients
from caretaker.aws.errors import ConditionFailed, Throttled, call
from caretaker.aws.paging import batches

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
Key = tuple[str, str]

_PLACEHOLDER = re.compile(r"#([A-Za-z_]+)")
# DynamoDB API: BatchGetItem 100 keys, BatchWriteItem 25 requests a call.
_BATCH_GET = 100
_BATCH_WRITE = 25
# Unprocessed keys come back when the table throttles; botocore does not retry those.
_BATCH_TRIES = 8


def encode(value: Any) -> dict[str, Any]:
    """A plain value in DynamoDB's form. Sets hold strings only and may not be empty (DynamoDB has no empty set)."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, set | frozenset):
        return {"SS": sorted(value)}
    if isinstance(value, Mapping):
        return {"M": {key: encode(inner) for key, inner in value.items()}}
    if isinstance(value, Sequence):
        return {"L": [encode(inner) for inner in value]}
    raise TypeError(f"table: a {type(value).__name__} cannot be stored")


def decode(value: Mapping[str, Any]) -> Any:
    """The plain value of DynamoDB's form; numbers become int where they are whole."""
    ((kind, inner),) = value.items()
    if kind == "NULL":
        return None
    if kind == "N":
        return int(inner) if re.fullmatch(r"-?\d+", inner) else float(inner)
    if kind == "SS":
        return frozenset(inner)
    if kind == "M":
        return {key: decode(member) for key, member in inner.items()}
    if kind == "L":
        return [decode(member) for member in inner]
    if kind == "B":
        return bytes(inner)
    return inner


def encode_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: encode(value) for key, value in item.items()}


def decode_item(item: Mapping[str, Any]) -> Item:
    return {key: decode(value) for key, value in item.items()}


@dataclass(frozen=True)
class Write:
    """One action of a transaction: `kind` is Put, Update, Delete or ConditionCheck."""

    kind: str
    key: Key
    item: Mapping[str, Any] = field(default_factory=dict)
    update: str = ""
    condition: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table by name, reached through `client`."""

    name: str
    client: DynamoDBClient

    def get(self, pk: str, sk: str) -> Item | None:
        """The item as it stands now (consistent read), None if there is none."""
        answer = call(self.client.get_item, TableName=self.name, Key=_key(pk, sk), ConsistentRead=True)
        return decode_item(answer["Item"]) if answer.get("Item") else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """The items that exist of `keys`, by key (consistent reads)."""
        found: dict[Key, Item] = {}
        for batch in batches(sorted(set(keys)), _BATCH_GET):
            for raw in self._batch_get([_key(pk, sk) for pk, sk in batch]):
                item = decode_item(raw)
                found[item["pk"], item["sk"]] = item
        return found

    def _batch_get(self, keys: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for _ in range(_BATCH_TRIES):
            request = {self.name: {"Keys": keys, "ConsistentRead": True}}
            answer = call(self.client.batch_get_item, RequestItems=request)
            yield from answer.get("Responses", {}).get(self.name, [])
            keys = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if not keys:
                return
        raise Throttled("BatchGetItem", "UnprocessedKeys", f"{len(keys)} keys were not read in {_BATCH_TRIES} tries")

    def put(self, item: Mapping[str, Any], *, condition: str = "", values: Mapping[str, Any] | None = None) -> None:
        """Write a whole item. Raises `ConditionFailed` when `condition` does not hold."""
        call(
            self.client.put_item,
            TableName=self.name,
            Item=encode_item(item),
            **_expressions(condition=condition, values=values or {}),
        )

    def update(
        self,
        pk: str,
        sk: str,
        update: str,
        *,
        condition: str = "",
        values: Mapping[str, Any] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Item:
        """Change an item in place and return it as it stands after; `ConditionFailed.item` is what stood before."""
        answer = call(
            self.client.update_item,
            TableName=self.name,
            Key=_key(pk, sk),
            ReturnValues="ALL_NEW",
            **({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if condition else {}),
            **_expressions(update=update, condition=condition, values=values or {}, names=names or {}),
        )
        return decode_item(answer.get("Attributes", {}))

    def delete(self, pk: str, sk: str, *, condition: str = "", values: Mapping[str, Any] | None = None) -> None:
        """Delete an item; nothing happens if there is none."""
        call(
            self.client.delete_item,
            TableName=self.name,
            Key=_key(pk, sk),
            **_expressions(condition=condition, values=values or {}),
        )

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        """All items under `pk` whose sk begins with `prefix`, in order of sk, every page (consistent reads)."""
        condition = "#pk = :pk" + (" AND begins_with(#sk, :prefix)" if prefix else "")
        values = {":pk": pk, **({":prefix": prefix} if prefix else {})}
        params: dict[str, Any] = {
            "TableName": self.name,
            "ConsistentRead": True,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": _names(condition),
            "ExpressionAttributeValues": encode_item(values),
        }
        items: list[Item] = []
        while True:
            answer = call(self.client.query, **params)
            items.extend(decode_item(raw) for raw in answer.get("Items", []))
            if not answer.get("LastEvaluatedKey"):
                return items
            params["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def write_many(self, puts: Iterable[Mapping[str, Any]] = (), deletes: Iterable[Key] = ()) -> None:
        """Unconditional puts and deletes, batched. Not atomic."""
        requests: list[Any] = [{"PutRequest": {"Item": encode_item(item)}} for item in puts]
        requests += [{"DeleteRequest": {"Key": _key(pk, sk)}} for pk, sk in deletes]
        for batch in batches(requests, _BATCH_WRITE):
            self._batch_write(list(batch))

    def _batch_write(self, requests: list[Any]) -> None:
        for _ in range(_BATCH_TRIES):
            answer = call(self.client.batch_write_item, RequestItems={self.name: requests})
            requests = answer.get("UnprocessedItems", {}).get(self.name, [])
            if not requests:
                return
        raise Throttled(
            "BatchWriteItem", "UnprocessedItems", f"{len(requests)} items not written in {_BATCH_TRIES} tries"
        )

    def transact(self, writes: Sequence[Write]) -> None:
        """All writes or none (at most 100). Raises `ConditionFailed`; its `reasons` are in the order of `writes`."""
        call(self.client.transact_write_items, TransactItems=[self._action(write) for write in writes])

    def _action(self, write: Write) -> dict[str, Any]:
        expressions = _expressions(
            update=write.update, condition=write.condition, values=write.values, names=write.names
        )
        action: dict[str, Any] = {"TableName": self.name, **expressions}
        if write.kind == "Put":
            action["Item"] = encode_item({"pk": write.key[0], "sk": write.key[1], **write.item})
        else:
            action["Key"] = _key(*write.key)
        return {write.kind: action}


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _names(*expressions: str) -> dict[str, str]:
    return {f"#{name}": name for text in expressions for name in _PLACEHOLDER.findall(text)}


def _expressions(
    *, update: str = "", condition: str = "", values: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    filled = {**_names(update, condition), **(names or {})}
    parts = {
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": filled,
        "ExpressionAttributeValues": encode_item(values),
    }
    return {key: value for key, value in parts.items() if value}


def standing(error: ConditionFailed) -> Item | None:
    """The item that a conditional update met, if DynamoDB told it."""
    return decode_item(error.item) if error.item else None


@lru_cache(maxsize=4)
def table(name: str) -> Table:
    """The table of that name, made once per process."""
    return Table(name, clients.dynamodb())
