"""The DynamoDB API on tables with a partition key, and perhaps a sort key, of strings.

Source: DynamoDB API: GetItem, PutItem, UpdateItem, DeleteItem, Query, Scan, BatchGetItem, BatchWriteItem,
TransactWriteItems, CreateTable, DescribeTable, UpdateTimeToLive with their limits; Developer Guide, "Read consistency"
(the twin's reads all see the last write). Items whose time to live is over stay, as they may for days on AWS.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Api, Call, operation
from twin.kernel.dynamodb.expressions import Scope, check_used, condition_of, found, update_of
from twin.kernel.dynamodb.keys import KeyRange, range_of
from twin.kernel.dynamodb.updates import updated
from twin.kernel.dynamodb.values import MOST, Item, checked, invalid, item_size
from twin.kernel.kernel import Kernel

Params = Mapping[str, Any]
PAGE = 1024 * 1024
_GET_MANY, _WRITE_MANY, _TRANSACT = 100, 25, 100
_EXPRESSIONS = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")
_TOKEN_LIFE = 600.0
"""Seconds for which a transaction's token is known."""
_FAILED = "The conditional request failed"


@dataclass
class Table:
    """A table: its items by partition and sort key; without a sort key that is the empty text."""

    name: str
    arn: str
    created: Any
    definition: dict[str, Any]
    partition: str
    sort: str | None
    items: dict[str, dict[str, Item]] = field(default_factory=dict)
    orders: dict[str, list[tuple[bytes, str]]] = field(default_factory=dict)
    ttl: dict[str, Any] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.partition,) if self.sort is None else (self.partition, self.sort)

    def key(self, given: Params) -> tuple[str, str]:
        """The key in a request or item. ValidationException for one that is none."""
        return self._text(given, self.partition), "" if self.sort is None else self._text(given, self.sort)

    def exact(self, given: Params) -> tuple[str, str]:
        """The same of a request's Key, which holds nothing else."""
        if set(given) != set(self.keys):
            raise invalid("The provided key element does not match the schema")
        return self.key(given)

    def _text(self, given: Params, name: str) -> str:
        value = given.get(name)
        if value is None:
            raise invalid(f"One or more parameter values were invalid: Missing the key {name} in the item")
        if "S" not in value:
            kind = next(iter(value))
            raise invalid(
                f"One or more parameter values were invalid: Type mismatch for key {name} expected: S actual: {kind}"
            )
        if not value["S"]:
            raise invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty string value. Key: {name}"
            )
        return str(value["S"])

    def get(self, key: tuple[str, str]) -> Item | None:
        return self.items.get(key[0], {}).get(key[1])

    def put(self, key: tuple[str, str], item: Item) -> None:
        partition = self.items.setdefault(key[0], {})
        if key[1] not in partition:
            insort(self.orders.setdefault(key[0], []), (key[1].encode(), key[1]))
        partition[key[1]] = item

    def remove(self, key: tuple[str, str]) -> None:
        partition = self.items.get(key[0], {})
        if partition.pop(key[1], None) is not None:
            order = self.orders[key[0]]
            del order[bisect_left(order, (key[1].encode(), key[1]))]


@dataclass(frozen=True)
class Change:
    """A write that was checked: what is there before, and after; None for no item."""

    table: Table
    key: tuple[str, str]
    before: Item | None
    after: Item | None

    def apply(self) -> None:
        if self.after is None:
            self.table.remove(self.key)
        else:
            self.table.put(self.key, self.after)


class ConditionalCheckFailed(AwsError):
    """Carries the item that the condition did not hold for."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("ConditionalCheckFailedException", _FAILED, fields={"Item": item} if item else {})


class DynamoDb(Api):
    """
    Attributes:
        tables: by name.
    """

    service = "dynamodb"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.tables: dict[str, Table] = {}
        self._tokens: dict[str, tuple[float, Any]] = {}

    # --- tables ------------------------------------------------------------------------------------------------------
    @operation("CreateTable", ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema"))
    def create_table(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["TableName"]
        if name in self.tables:
            raise AwsError("ResourceInUseException", f"Table already exists: {name}")
        if params.get("BillingMode") != "PAY_PER_REQUEST":
            raise _unmodelled("BillingMode", params.get("BillingMode", "PROVISIONED"))
        kinds = {each["AttributeName"]: each["AttributeType"] for each in params["AttributeDefinitions"]}
        keys = {each["KeyType"]: each["AttributeName"] for each in params["KeySchema"]}
        if set(kinds) != set(keys.values()):
            text = "Number of attributes in KeySchema does not exactly match number of attributes defined"
            raise invalid(f"One or more parameter values were invalid: {text} in AttributeDefinitions")
        if set(kinds.values()) != {"S"}:
            raise _unmodelled("AttributeDefinitions", params["AttributeDefinitions"])
        arn = self.kernel.arn("dynamodb", f"table/{name}")
        definition = {key: params[key] for key in ("AttributeDefinitions", "KeySchema")}
        made = Table(name, arn, self.kernel.clock.now(), definition, keys["HASH"], keys.get("RANGE"))
        self.tables[name] = made
        return {"TableDescription": self._shown(made)}

    @operation("DescribeTable", ("TableName",))
    def describe_table(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"Table": self._shown(self._table(params))}

    @operation("UpdateTimeToLive", ("TableName", "TimeToLiveSpecification"))
    def update_time_to_live(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(params)
        table.ttl = dict(params["TimeToLiveSpecification"])
        return {"TimeToLiveSpecification": dict(table.ttl)}

    def _shown(self, table: Table) -> dict[str, Any]:
        every = [item for partition in table.items.values() for item in partition.values()]
        return {
            "TableName": table.name,
            "TableArn": table.arn,
            "TableStatus": "ACTIVE",
            "CreationDateTime": table.created,
            "ItemCount": len(every),
            "TableSizeBytes": sum(map(item_size, every)),
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            **deepcopy(table.definition),
        }

    def _table(self, params: Params) -> Table:
        """By name or ARN."""
        name = str(params["TableName"]).rpartition("/")[2]
        if name not in self.tables:
            raise AwsError("ResourceNotFoundException", "Requested resource not found")
        return self.tables[name]

    # --- one item ----------------------------------------------------------------------------------------------------
    @operation("GetItem", ("TableName", "Key", "ConsistentRead"))
    def get_item(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(params)
        item = table.get(table.exact(params["Key"]))
        return {"Item": deepcopy(item)} if item is not None else {}

    @operation("PutItem", ("TableName", "Item", "ReturnValues", "ReturnValuesOnConditionCheckFailure", *_EXPRESSIONS))
    def put_item(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        change = self._put(params)
        change.apply()
        return _returned(params, change, ("NONE", "ALL_OLD"))

    @operation("DeleteItem", ("TableName", "Key", "ReturnValues", "ReturnValuesOnConditionCheckFailure", *_EXPRESSIONS))
    def delete_item(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        change = self._delete(params)
        change.apply()
        return _returned(params, change, ("NONE", "ALL_OLD"))

    @operation(
        "UpdateItem",
        ("TableName", "Key", "UpdateExpression", "ReturnValues", "ReturnValuesOnConditionCheckFailure", *_EXPRESSIONS),
    )
    def update_item(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        change = self._update(params)
        change.apply()
        return _returned(params, change, ("NONE", "ALL_OLD", "ALL_NEW"))

    def _put(self, params: Params) -> Change:
        table = self._table(params)
        item = {name: checked(value) for name, value in params["Item"].items()}
        key = table.key(item)
        _check_size(item)
        return self._changed(table, key, params, item)

    def _delete(self, params: Params) -> Change:
        table = self._table(params)
        return self._changed(table, table.exact(params["Key"]), params, None)

    def _check(self, params: Params) -> Change:
        table = self._table(params)
        key = table.exact(params["Key"])
        return self._changed(table, key, params, table.get(key))

    def _changed(self, table: Table, key: tuple[str, str], params: Params, after: Item | None) -> Change:
        scope = _scope(params)
        before = table.get(key)
        _hold(params, scope, before)
        check_used(scope, "ConditionExpression" in params)
        return Change(table, key, before, after)

    def _update(self, params: Params) -> Change:
        table = self._table(params)
        key = table.exact(params["Key"])
        scope, before = _scope(params), table.get(key)
        holds = _holds(params, scope, before)
        base: Item = before if before is not None else dict(params["Key"])
        after: Item = deepcopy(base)
        clauses = update_of(params["UpdateExpression"]) if "UpdateExpression" in params else ()
        try:
            after = updated(clauses, scope, base, table.keys)
        except AwsError:
            # A condition that does not hold is told before an operand that is not there.
            if holds:
                raise
        if not holds:
            raise ConditionalCheckFailed(_told(params, before))
        check_used(scope, "UpdateExpression" in params or "ConditionExpression" in params)
        _check_size(after)
        return Change(table, key, before, after)

    # --- many --------------------------------------------------------------------------------------------------------
    @operation("BatchGetItem", ("RequestItems",))
    def batch_get_item(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        asked = params["RequestItems"]
        if sum(len(each["Keys"]) for each in asked.values()) > _GET_MANY:
            raise invalid("Too many items requested for the BatchGetItem call")
        responses: dict[str, list[Item]] = {}
        for name, each in asked.items():
            if extra := sorted(set(each) - {"Keys", "ConsistentRead"}):
                raise _unmodelled(f"RequestItems.{extra[0]}", each[extra[0]])
            table = self._table({"TableName": name})
            keys = [table.exact(key) for key in each["Keys"]]
            if len(set(keys)) != len(keys):
                raise invalid("Provided list of item keys contains duplicates")
            items = [item for key in keys if (item := table.get(key)) is not None]
            responses[name] = deepcopy(items)
        return {"Responses": responses, "UnprocessedKeys": {}}

    @operation("BatchWriteItem", ("RequestItems",))
    def batch_write_item(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        asked = params["RequestItems"]
        if sum(map(len, asked.values())) > _WRITE_MANY:
            raise invalid("Too many items requested for the BatchWriteItem call")
        changes = [self._batched(name, each) for name, requests in asked.items() for each in requests]
        _check_distinct(changes, "Provided list of item keys contains duplicates")
        for change in changes:
            change.apply()
        return {"UnprocessedItems": {}}

    def _batched(self, table: str, request: Params) -> Change:
        if "PutRequest" in request:
            return self._put({"TableName": table, "Item": request["PutRequest"]["Item"]})
        return self._delete({"TableName": table, "Key": request["DeleteRequest"]["Key"]})

    @operation("TransactWriteItems", ("TransactItems", "ClientRequestToken"))
    def transact_write_items(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """All or nothing; the reasons of a cancelled one are in the order of its items."""
        actions = params["TransactItems"]
        if self._again(params):
            return {}
        if len(actions) > _TRANSACT:
            raise invalid(f"Member must have length less than or equal to {_TRANSACT}")
        self._check_targets(actions)
        checks = {"Put": self._put, "Update": self._update, "Delete": self._delete, "ConditionCheck": self._check}
        changes: list[Change] = []
        reasons: list[dict[str, Any]] = []
        for action in actions:
            ((kind, request),) = action.items()
            try:
                changes.append(checks[kind](request))
                reasons.append({"Code": "None"})
            except ConditionalCheckFailed as error:
                reasons.append({"Code": "ConditionalCheckFailed", "Message": _FAILED, **error.fields})
        codes = [reason["Code"] for reason in reasons]
        if set(codes) != {"None"}:
            text = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
            raise AwsError("TransactionCanceledException", text, fields={"CancellationReasons": reasons})
        for change in changes:
            change.apply()
        if "ClientRequestToken" in params:
            self._tokens[params["ClientRequestToken"]] = (self.kernel.clock.elapsed + _TOKEN_LIFE, actions)
        return {}

    def _again(self, params: Params) -> bool:
        """Whether a transaction is one that succeeded before, sent again (clients do, with their token)."""
        until, actions = self._tokens.get(params.get("ClientRequestToken", ""), (0.0, None))
        if actions is None or until <= self.kernel.clock.elapsed:
            return False
        if actions != params["TransactItems"]:
            text = "Request parameters do not match the parameters of the transaction with the same client token"
            raise AwsError("IdempotentParameterMismatchException", text)
        return True

    def _check_targets(self, actions: Iterable[Params]) -> None:
        seen = set()
        for action in actions:
            ((kind, request),) = action.items()
            table = self._table(request)
            key = (table.name, *table.key(request["Item"] if kind == "Put" else request["Key"]))
            if key in seen:
                raise invalid("Transaction request cannot include multiple operations on one item")
            seen.add(key)

    # --- listing -----------------------------------------------------------------------------------------------------
    @operation(
        "Query",
        (
            "TableName",
            "KeyConditionExpression",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "ConsistentRead",
            "ScanIndexForward",
            "Limit",
            "ExclusiveStartKey",
        ),
    )
    def query(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(params)
        scope = _scope(params)
        wanted = range_of(params["KeyConditionExpression"], scope, table.partition, table.sort)
        check_used(scope, expressions=True)
        keys = [(wanted.partition, sort) for sort in _sorts(table, wanted)]
        if not params.get("ScanIndexForward", True):
            keys.reverse()
        if "ExclusiveStartKey" in params:
            start = table.exact(params["ExclusiveStartKey"])
            forward = params.get("ScanIndexForward", True)
            keys = [key for key in keys if (key[1].encode() > start[1].encode()) == forward and key != start]
        return _page(table, keys, params.get("Limit"))

    @operation("Scan", ("TableName", "ConsistentRead", "Limit", "ExclusiveStartKey"))
    def scan(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """In an order of its own, which says nothing."""
        table = self._table(params)
        keys = [(partition, sort) for partition in table.orders for _, sort in table.orders[partition]]
        if "ExclusiveStartKey" in params:
            keys = keys[keys.index(table.exact(params["ExclusiveStartKey"])) + 1 :]
        return _page(table, keys, params.get("Limit"))


# --- pieces ----------------------------------------------------------------------------------------------------------
def _unmodelled(member: str, value: object) -> Unmodelled:
    return Unmodelled(f"dynamodb: {member}={value!r} is not modelled")


def _scope(params: Params) -> Scope:
    return Scope(params.get("ExpressionAttributeNames", {}), params.get("ExpressionAttributeValues", {}))


def _holds(params: Params, scope: Scope, item: Item | None) -> bool:
    text = params.get("ConditionExpression")
    return text is None or condition_of(text)(scope, item or {})


def _hold(params: Params, scope: Scope, item: Item | None) -> None:
    if not _holds(params, scope, item):
        raise ConditionalCheckFailed(_told(params, item))


def _told(params: Params, item: Item | None) -> Item | None:
    return deepcopy(item) if params.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else None


def _returned(params: Params, change: Change, known: tuple[str, ...]) -> dict[str, Any]:
    wanted = params.get("ReturnValues", "NONE")
    if wanted not in known:
        raise _unmodelled("ReturnValues", wanted)
    shown = {"NONE": None, "ALL_OLD": change.before, "ALL_NEW": change.after}[wanted]
    return {"Attributes": deepcopy(shown)} if shown else {}


def _check_size(item: Item) -> None:
    if item_size(item) > MOST:
        raise invalid("Item size has exceeded the maximum allowed size")


def _check_distinct(changes: Iterable[Change], text: str) -> None:
    keys = [(change.table.name, change.key) for change in changes]
    if len(set(keys)) != len(keys):
        raise invalid(text)


def _sorts(table: Table, wanted: KeyRange) -> list[str]:
    """Sort keys of a partition within a range, in order (of their UTF-8 bytes)."""
    order = table.orders.get(wanted.partition, [])
    low = bisect_left(order, (wanted.low, ""))
    high = len(order) if wanted.high is None else bisect_right(order, (wanted.high, "\U0010ffff"))
    return [sort for _, sort in order[low:high] if wanted.holds(sort)]


def _page(table: Table, keys: list[tuple[str, str]], limit: int | None) -> dict[str, Any]:
    """Up to `limit` items, and 1 MB."""
    items: list[Item] = []
    weight = 0
    for place, key in enumerate(keys):
        item = table.get(key)
        assert item is not None
        items.append(deepcopy(item))
        weight += item_size(item)
        full = len(items) == limit or weight >= PAGE
        if full and (place + 1 < len(keys) or len(items) == limit):
            last = {name: dict(found(item, (name,)) or {}) for name in table.keys}
            return {"Items": items, "Count": len(items), "ScannedCount": len(items), "LastEvaluatedKey": last}
    return {"Items": items, "Count": len(items), "ScannedCount": len(items)}
