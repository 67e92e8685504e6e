"""Caretaker's record of releases, read out of the deployed table: what it says that it saw and decided.

For views, for the report, and for the one law that asks whether a promotion has a record of evidence. Read as the
builder of the world reads, whose calls no law and no count minds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twin.kernel.api import WORLD

if TYPE_CHECKING:
    from twin.world import World

Item = dict[str, Any]


class ReleaseRecords:
    """The releases in the table of a world's stack."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._table = str(world.deployment.outputs["TableName"])

    def find(self, release: str) -> Item | None:
        """The record of a release; None if none was opened."""
        params = {"TableName": self._table, "Key": {"pk": {"S": f"RELEASE#{release}"}, "sk": {"S": "RELEASE"}}}
        answer = self._world.gateway.call("dynamodb", "GetItem", params, WORLD)
        return _plain_item(answer["Item"]) if answer.get("Item") else None

    def looks(self, release: str) -> list[Item]:
        """Every look at a release, in order."""
        params: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :look)",
            "ExpressionAttributeValues": {":pk": {"S": f"RELEASE#{release}"}, ":look": {"S": "LOOK#"}},
        }
        found: list[Item] = []
        while True:
            answer = self._world.gateway.call("dynamodb", "Query", params, WORLD)
            found += [_plain_item(item) for item in answer.get("Items", ())]
            if not answer.get("LastEvaluatedKey"):
                return found
            params["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def last_look(self, release: str) -> Item | None:
        """The newest look at a release; None before the first."""
        params: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :look)",
            "ExpressionAttributeValues": {":pk": {"S": f"RELEASE#{release}"}, ":look": {"S": "LOOK#"}},
            "ScanIndexForward": False,
            "Limit": 1,
        }
        found = self._world.gateway.call("dynamodb", "Query", params, WORLD).get("Items", ())
        return _plain_item(found[0]) if found else None


def _plain_item(item: Mapping[str, Any]) -> Item:
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Mapping[str, Any]) -> Any:
    """The plain value of DynamoDB's form."""
    ((kind, inner),) = value.items()
    if kind == "NULL":
        return None
    if kind == "N":
        return float(inner) if any(letter in inner for letter in ".eE") else int(inner)
    if kind == "M":
        return _plain_item(inner)
    if kind == "L":
        return [_plain(each) for each in inner]
    return inner
