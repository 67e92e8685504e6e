"""Items of the deployed table in plain Python values, read as the builder of the world reads: no law or count minds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twin.kernel.api import WORLD

if TYPE_CHECKING:
    from twin.world import World

Item = dict[str, Any]


class Stored:
    """The table of a world's stack."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._table = str(world.deployment.outputs["TableName"])

    def get(self, pk: str, sk: str) -> Item | None:
        """The item; None if there is none."""
        params = {"TableName": self._table, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}}
        answer = self._world.gateway.call("dynamodb", "GetItem", params, WORLD)
        return _plain_item(answer["Item"]) if answer.get("Item") else None

    def query(self, pk: str, begins: str) -> list[Item]:
        """Every item whose sort key begins so, in order."""
        params = self._asked(pk, begins)
        found: list[Item] = []
        while True:
            answer = self._world.gateway.call("dynamodb", "Query", params, WORLD)
            found += [_plain_item(item) for item in answer.get("Items", ())]
            if not answer.get("LastEvaluatedKey"):
                return found
            params["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def last(self, pk: str, begins: str) -> Item | None:
        """The last item whose sort key begins so; None if there is none."""
        params = {**self._asked(pk, begins), "ScanIndexForward": False, "Limit": 1}
        found = self._world.gateway.call("dynamodb", "Query", params, WORLD).get("Items", ())
        return _plain_item(found[0]) if found else None

    def _asked(self, pk: str, begins: str) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :begins)",
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":begins": {"S": begins}},
        }


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
