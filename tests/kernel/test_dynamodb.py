"""The twin's DynamoDB answers as moto's does, write for write; and where moto is kinder than AWS, as AWS documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import WORLD, Call
from twin.kernel.dynamodb.api import DynamoDb
from twin.kernel.kernel import Kernel

START = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
TABLE = {
    "TableName": "t",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
Given = dict[str, Any]


class Ours:
    """The twin's own, called as the gateway calls it."""

    def __init__(self) -> None:
        self._api = DynamoDb(Kernel(START, seed=1, region="us-east-1", account="123456789012"))
        self._handlers = self._api.handlers()

    def __call__(self, operation: str, **params: Any) -> Given:
        mark, handler = self._handlers[operation]
        assert set(params) <= mark.accepts
        return handler(params, Call(1, START, WORLD, "dynamodb", operation, params))

    def outcome(self, operation: str, **params: Any) -> Any:
        try:
            return _plain(self(operation, **params))
        except AwsError as error:
            return error.code, [each["Code"] for each in error.fields.get("CancellationReasons", ())]


class Motos:
    """moto's, by a client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def outcome(self, operation: str, **params: Any) -> Any:
        try:
            answer = self._client._make_api_call(operation, params)
        except ClientError as error:
            reasons = error.response.get("CancellationReasons", ())
            return error.response["Error"]["Code"], [each["Code"] for each in reasons]
        answer.pop("ResponseMetadata")
        return _plain(answer)


def _plain(answer: Any) -> Any:
    """In a form in which what says the same is the same."""
    if isinstance(answer, dict):
        if len(answer) == 1:
            ((kind, inner),) = answer.items()
            if kind == "N":
                return {"N": str(Decimal(inner).normalize())}
            if kind in ("SS", "NS"):
                return {kind: sorted(inner)}
        return {name: _plain(each) for name, each in answer.items() if name not in ("ConsumedCapacity",)}
    return [_plain(each) for each in answer] if isinstance(answer, list) else answer


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ours, Motos]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with mock_aws():
        yield Ours(), Motos(boto3.Session().client("dynamodb", region_name="us-east-1"))


# --- as moto does ----------------------------------------------------------------------------------------------------
keys = st.builds(
    lambda p, s: {"pk": {"S": p}, "sk": {"S": s}}, st.sampled_from("ab"), st.sampled_from(["1", "1a", "2"])
)
texts, numbers = st.sampled_from(["", "x", "xy", "y"]), st.sampled_from(["0", "1", "2.5", "-3", "10"])
# No BOOL: for moto, as for Python, true equals the number 1.
scalars = st.one_of(
    st.builds(lambda text: {"S": text}, texts),
    st.builds(lambda number: {"N": number}, numbers),
    st.just({"NULL": True}),
)
compared = st.one_of(st.builds(lambda text: {"S": text}, texts), st.builds(lambda number: {"N": number}, numbers))
sets = st.builds(lambda found: {"SS": sorted(found)}, st.sets(st.sampled_from("uvw"), min_size=1))
values = st.one_of(
    scalars,
    sets,
    st.builds(lambda found: {"M": found}, st.dictionaries(st.sampled_from("mn"), scalars, max_size=2)),
    st.builds(lambda found: {"L": found}, st.lists(scalars, max_size=2)),
)
attributes = st.sampled_from(["a", "b", "c"])
items = st.builds(lambda key, rest: {**key, **rest}, keys, st.dictionaries(attributes, values, max_size=3))
TESTS = (
    "attribute_exists(#x)",
    "attribute_not_exists(#x)",
    "attribute_not_exists(#pk) OR #x = :v",
    "#x = :v",
    "#x <> :v",
    "#x IN (:v, :w)",
    "NOT (#x = :v AND #y = :w)",
    "#x = :v OR (#y = :w AND attribute_exists(#x))",
    "attribute_exists(#x.#m) AND #x.#m = :v",
)
UPDATES = (
    "SET #x = :v",
    "SET #x = :v, #y = if_not_exists(#y, :w)",
    "SET #x = if_not_exists(#x, :v) REMOVE #y",
    "REMOVE #x, #y",
    "SET #x = #y",
    "SET #x.#m = :v",
    "REMOVE #x.#m",
    "SET #x = #x + :n",
    "SET #x = :n - #y",
    "ADD #x :n",
    "ADD #x :s",
    "DELETE #x :s",
)


def _filled(expressions: dict[str, str], draw: Any) -> Given:
    """The names and values that expressions use, and no others."""
    text = " ".join(expressions.values())
    names = {"#x": draw(attributes), "#m": "m", "#pk": "pk"}
    names["#y"] = draw(st.sampled_from(sorted({"a", "b", "c"} - {names["#x"]})))
    # For moto an attribute that is not there equals NULL; for AWS it equals nothing (tested below).
    given = {":v": draw(compared), ":w": draw(compared), ":n": {"N": draw(numbers)}, ":s": draw(sets)}
    used_names = {name: value for name, value in names.items() if name in text}
    used = {name: value for name, value in given.items() if name in text}
    found: Given = dict(expressions)
    if used_names:
        found["ExpressionAttributeNames"] = used_names
    if used:
        found["ExpressionAttributeValues"] = used
    return found


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Given]:
    kind = draw(
        st.sampled_from(["PutItem", "UpdateItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "TransactWriteItems"])
    )
    if kind == "Query":
        start = draw(st.sampled_from(["", " AND begins_with(#sk, :s)", " AND #sk > :s"]))
        names = {"#pk": "pk"} | ({"#sk": "sk"} if start else {})
        given = {":pk": {"S": draw(st.sampled_from("ab"))}} | ({":s": {"S": "1"}} if start else {})
        ways = {"ScanIndexForward": draw(st.booleans()), "ExpressionAttributeNames": names}
        return kind, {"KeyConditionExpression": f"#pk = :pk{start}", "ExpressionAttributeValues": given, **ways}
    if kind == "TransactWriteItems":
        actions = [_action(draw) for _ in range(draw(st.integers(1, 3)))]
        return kind, {"TransactItems": actions}
    return kind, _single(draw, kind)


def _single(draw: st.DrawFn, kind: str) -> Given:
    target: Given = {"Item": draw(items)} if kind == "PutItem" else {"Key": draw(keys)}
    if kind == "GetItem":
        return target
    expressions = {"UpdateExpression": draw(st.sampled_from(UPDATES))} if kind == "UpdateItem" else {}
    if draw(st.booleans()):
        expressions["ConditionExpression"] = draw(st.sampled_from(TESTS))
    returned = {"ReturnValues": "ALL_NEW"} if kind == "UpdateItem" else {"ReturnValues": "ALL_OLD"}
    return {**target, **_filled(expressions, draw), **returned}


def _action(draw: st.DrawFn) -> Given:
    kind = draw(st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"]))
    request = _single(draw, {"Put": "PutItem", "Update": "UpdateItem"}.get(kind, "DeleteItem"))
    request.pop("ReturnValues")
    if kind == "ConditionCheck" and "ConditionExpression" not in request:
        request = {"Key": request["Key"], **_filled({"ConditionExpression": TESTS[0]}, draw)}
    return {kind: {"TableName": "t", **request}}


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(requests(), min_size=5, max_size=25))
def test_the_same_requests_have_the_same_answers(both: tuple[Ours, Motos], made: list[tuple[str, Given]]) -> None:
    _, motos = both
    ours = Ours()
    motos.outcome("DeleteTable", TableName="t")
    ours.outcome("CreateTable", **TABLE)
    motos.outcome("CreateTable", **TABLE)
    for operation, params in made:
        named = params if operation == "TransactWriteItems" else {"TableName": "t", **params}
        if _into_no_map(ours, operation, params):
            assert isinstance(ours.outcome(operation, **named), tuple), json.dumps([operation, params])
            continue
        mine, theirs = ours.outcome(operation, **named), motos.outcome(operation, **named)
        assert _comparable(mine) == _comparable(theirs), json.dumps([operation, params])


def _into_no_map(ours: Ours, operation: str, params: Given) -> bool:
    """Whether it updates a key of what is no map: DynamoDB refuses the path, moto does nothing or breaks."""
    if operation == "TransactWriteItems":
        return any(
            _into_no_map(ours, kind, each) for action in params["TransactItems"] for kind, each in action.items()
        )
    if params.get("UpdateExpression") not in ("SET #x.#m = :v", "REMOVE #x.#m"):
        return False
    item = ours("GetItem", TableName="t", Key=params["Key"]).get("Item", {})
    return not item.get(params["ExpressionAttributeNames"]["#x"], {"M": {}}).keys() <= {"M"}


def _comparable(outcome: Any) -> Any:
    """moto gives out what batches and pages would say, too."""
    if isinstance(outcome, dict):
        return {name: each for name, each in outcome.items() if each not in ({}, [])}
    return outcome


# --- as AWS documents it ---------------------------------------------------------------------------------------------
KEY = {"pk": {"S": "a"}, "sk": {"S": "1"}}


@pytest.fixture
def ours() -> Ours:
    made = Ours()
    made("CreateTable", **TABLE)
    return made


def refused(ours: Ours, operation: str, **params: Any) -> str:
    with pytest.raises(AwsError) as error:
        ours(operation, TableName="t", **params)
    assert error.value.code == "ValidationException"
    return error.value.message


def test_what_is_not_there_equals_nothing_and_is_unequal_to_everything(ours: Ours) -> None:
    ours("PutItem", TableName="t", Item=KEY)
    null = {"ExpressionAttributeValues": {":none": {"NULL": True}}}
    with pytest.raises(AwsError, match="ConditionalCheckFailed"):
        ours("DeleteItem", TableName="t", Key=KEY, ConditionExpression="gone = :none", **null)
    ours("DeleteItem", TableName="t", Key=KEY, ConditionExpression="gone <> :none", **null)
    assert ours("GetItem", TableName="t", Key=KEY) == {}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"UpdateExpression": "SET sk = :v", "ExpressionAttributeValues": {":v": {"S": "2"}}}, "part of the key"),
        ({"UpdateExpression": "SET a = b"}, "does not exist in the item"),
        ({"UpdateExpression": "SET a.b = :v", "ExpressionAttributeValues": {":v": {"S": "2"}}}, "document path"),
        (
            {"UpdateExpression": "SET a = :v, a = :v", "ExpressionAttributeValues": {":v": {"S": "2"}}},
            "paths overlap",
        ),
        ({"UpdateExpression": "SET a = :v"}, "value used in expression is not defined; attribute value: :v"),
        ({"UpdateExpression": "SET #a = a"}, "not defined; attribute name: #a"),
        ({"UpdateExpression": "REMOVE a", "ExpressionAttributeValues": {":v": {"S": "2"}}}, "unused in expressions"),
        ({"UpdateExpression": "ADD a :v", "ExpressionAttributeValues": {":v": {"S": "2"}}}, "operand type: S"),
        ({"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": {"SS": []}}}, "may not be empty"),
        ({"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": {"N": "1" * 39}}}, "38 significant"),
        ({"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": {"N": "one"}}}, "numeric value: one"),
        ({"UpdateExpression": "SET a = ", "ConditionExpression": "attribute_exists(a)"}, "Syntax error"),
        (
            {"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": {"S": "x" * 410_000}}},
            "maximum allowed size",
        ),
    ],
)
def test_updates_that_are_refused_change_nothing(ours: Ours, params: Given, words: str) -> None:
    assert words in refused(ours, "UpdateItem", Key=KEY, **params)
    assert ours("GetItem", TableName="t", Key=KEY) == {}


def test_keys_are_those_of_the_table(ours: Ours) -> None:
    assert "does not match the schema" in refused(ours, "GetItem", Key={"pk": {"S": "a"}})
    assert "Missing the key sk" in refused(ours, "PutItem", Item={"pk": {"S": "a"}})
    assert "empty string value. Key: sk" in refused(ours, "PutItem", Item={"pk": {"S": "a"}, "sk": {"S": ""}})
    assert "expected: S actual: N" in refused(ours, "PutItem", Item={"pk": {"S": "a"}, "sk": {"N": "1"}})


def test_a_failed_condition_tells_the_item_where_that_is_asked_for(ours: Ours) -> None:
    ours("PutItem", TableName="t", Item={**KEY, "a": {"N": "1"}})
    asked = {"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    with pytest.raises(AwsError) as error:
        ours("PutItem", TableName="t", Item=KEY, **asked)
    assert error.value.fields["Item"] == {**KEY, "a": {"N": "1"}}


def test_a_transaction_is_all_or_nothing_and_touches_an_item_once(ours: Ours) -> None:
    other = {"pk": {"S": "b"}, "sk": {"S": "1"}}
    puts = [{"Put": {"TableName": "t", "Item": item}} for item in (KEY, other)]
    puts[1]["Put"]["ConditionExpression"] = "attribute_exists(pk)"
    with pytest.raises(AwsError, match="ConditionalCheckFailed") as error:
        ours("TransactWriteItems", TransactItems=puts)
    assert [each["Code"] for each in error.value.fields["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert ours("GetItem", TableName="t", Key=KEY) == {}
    with pytest.raises(AwsError, match="multiple operations on one item"):
        ours("TransactWriteItems", TransactItems=[puts[0], puts[0]])


def test_a_transaction_that_is_sent_again_is_done_once(ours: Ours) -> None:
    raised = {"TableName": "t", "Key": KEY, "UpdateExpression": "ADD n :one"}
    items = [{"Update": {**raised, "ExpressionAttributeValues": {":one": {"N": "1"}}}}]
    for _ in range(2):
        ours("TransactWriteItems", TransactItems=items, ClientRequestToken="t1")
    assert ours("GetItem", TableName="t", Key=KEY)["Item"]["n"] == {"N": "1"}
    other = [{"Delete": {"TableName": "t", "Key": KEY}}]
    with pytest.raises(AwsError, match="IdempotentParameterMismatch"):
        ours("TransactWriteItems", TransactItems=other, ClientRequestToken="t1")


def test_pages_end_at_a_megabyte_and_at_the_limit(ours: Ours) -> None:
    for number in range(5):
        item = {"pk": {"S": "a"}, "sk": {"S": str(number)}, "a": {"S": "x" * 300_000}}
        ours("PutItem", TableName="t", Item=item)
    asked = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "a"}}}
    first = ours("Query", TableName="t", **asked)
    assert (first["Count"], first["LastEvaluatedKey"]["sk"]) == (4, {"S": "3"})
    rest = ours("Query", TableName="t", ExclusiveStartKey=first["LastEvaluatedKey"], **asked)
    assert [each["sk"]["S"] for each in rest["Items"]] == ["4"]
    assert "LastEvaluatedKey" not in rest
    back = ours("Query", TableName="t", ScanIndexForward=False, Limit=2, **asked)
    assert [each["sk"]["S"] for each in back["Items"]] == ["4", "3"]
    found = ours("Scan", TableName="t", Limit=2)
    assert ours("Scan", TableName="t", ExclusiveStartKey=found["LastEvaluatedKey"])["Count"] == 3


def test_batches_have_limits_and_no_doubles(ours: Ours) -> None:
    puts = [{"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": str(number)}}}} for number in range(26)]
    with pytest.raises(AwsError, match="Too many items"):
        ours("BatchWriteItem", RequestItems={"t": puts})
    with pytest.raises(AwsError, match="duplicates"):
        ours("BatchWriteItem", RequestItems={"t": [puts[0], puts[0]]})
    ours("BatchWriteItem", RequestItems={"t": puts[:3]})
    keys = [put["PutRequest"]["Item"] for put in puts[:4]]
    assert len(ours("BatchGetItem", RequestItems={"t": {"Keys": keys}})["Responses"]["t"]) == 3
    with pytest.raises(AwsError, match="duplicates"):
        ours("BatchGetItem", RequestItems={"t": {"Keys": [keys[0], keys[0]]}})


def test_what_is_not_modelled_says_so(ours: Ours) -> None:
    with pytest.raises(Unmodelled, match="KeyConditionExpression"):
        ours("Query", TableName="t", KeyConditionExpression="sk = :a OR pk = :a", ExpressionAttributeValues={})
    with pytest.raises(Unmodelled, match="ReturnValues"):
        ours("UpdateItem", TableName="t", Key=KEY, ReturnValues="UPDATED_NEW")
    with pytest.raises(Unmodelled, match="BillingMode"):
        ours("CreateTable", **{**TABLE, "TableName": "u", "BillingMode": "PROVISIONED"})
    with pytest.raises(AwsError, match="ResourceNotFound"):
        ours("GetItem", TableName="u", Key=KEY)


def test_the_caller_and_the_table_share_nothing(ours: Ours) -> None:
    ours("PutItem", TableName="t", Item={**KEY, "a": {"L": [{"S": "x"}]}})
    shown = ours("GetItem", TableName="t", Key=KEY)["Item"]
    shown["a"]["L"].append({"S": "y"})
    assert ours("GetItem", TableName="t", Key=KEY)["Item"]["a"] == {"L": [{"S": "x"}]}
