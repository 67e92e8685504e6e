"""What API calls of data, messages, functions and machines must be allowed.

Source: Service Authorization Reference, pages of DynamoDB, Systems Manager, EventBridge, EventBridge Scheduler, SNS,
SQS, Lambda, Step Functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from twin.kernel.asks import Ask, Derive, Names, Params, arn_in, unscoped
from twin.kernel.policies import Values


def _table_arn(name: str, names: Names) -> str:
    return names.named("dynamodb", "table", name)


def _leading(table: str, key: Mapping[str, Any] | None, names: Names) -> Mapping[str, Values]:
    """`dynamodb:LeadingKeys`: the partition key that an item operation touches."""
    attribute = names.partition_keys.get(table.rpartition("/")[2])
    value = (key or {}).get(attribute) if attribute else None
    return {} if value is None else {"dynamodb:leadingkeys": (str(next(iter(value.values()))),)}


def _dynamodb_item(member: str) -> Derive:
    def derive(params: Params, names: Names) -> Iterable[Ask]:
        table = params["TableName"]
        yield Ask(_table_arn(table, names), keys=_leading(table, params[member], names))

    return derive


_EQUALITY = re.compile(r"^\s*\(?\s*(#?\w+)\s*=\s*(:\w+)")


def _dynamodb_query(params: Params, names: Names) -> Iterable[Ask]:
    table, index = params["TableName"], params.get("IndexName")
    arn = _table_arn(table, names)
    found = _EQUALITY.match(params.get("KeyConditionExpression", ""))
    keys: Mapping[str, Values] = {}
    if found and not index:
        name = params.get("ExpressionAttributeNames", {}).get(found[1], found[1])
        keys = _leading(table, {name: params.get("ExpressionAttributeValues", {}).get(found[2])}, names)
    yield Ask(f"{arn}/index/{index}" if index else arn, keys=keys)


def _dynamodb_table(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(_table_arn(params["TableName"], names))]


def _dynamodb_batch(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(_table_arn(table, names)) for table in sorted(params["RequestItems"])]


_TRANSACTED = {
    "Put": ("dynamodb:PutItem", "Item"),
    "Update": ("dynamodb:UpdateItem", "Key"),
    "Delete": ("dynamodb:DeleteItem", "Key"),
    "ConditionCheck": ("dynamodb:ConditionCheckItem", "Key"),
    "Get": ("dynamodb:GetItem", "Key"),
}


def _dynamodb_transaction(params: Params, names: Names) -> Iterable[Ask]:
    for item in params["TransactItems"]:
        for kind, request in item.items():
            action, member = _TRANSACTED[kind]
            table = request["TableName"]
            yield Ask(_table_arn(table, names), action=action, keys=_leading(table, request[member], names))


def _parameters(member: str) -> Derive:
    def derive(params: Params, names: Names) -> Iterable[Ask]:
        given = params[member]
        for name in given if isinstance(given, list) else [given]:
            plain = name if name.startswith("arn:") else names.arn("ssm", f"parameter/{name.lstrip('/').rstrip('/')}")
            yield Ask(plain, absent=frozenset({"ssm:recursive", "ssm:overwrite"}))

    return derive


def _put_events(params: Params, names: Names) -> Iterable[Ask]:
    for entry in params["Entries"]:
        keys = {"events:source": (entry.get("Source", ""),), "events:detail-type": (entry.get("DetailType", ""),)}
        bus = entry.get("EventBusName", "default")
        yield Ask(names.named("events", "event-bus", bus), keys=keys, absent=frozenset({"events:eventbusinvocation"}))


def _publish(params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask(params.get("TopicArn") or params.get("TargetArn") or "*")]


def _queue(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(names.arn("sqs", params["QueueUrl"].rpartition("/")[2]))]


def _function(params: Params, names: Names) -> Iterable[Ask]:
    name = params["FunctionName"]
    arn = name if name.startswith("arn:") else names.arn("lambda", f"function:{name}")
    qualifier = params.get("Qualifier")
    yield Ask(f"{arn}:{qualifier}" if qualifier else arn, action="lambda:InvokeFunction")


def _state_machine(params: Params, _names: Names) -> Iterable[Ask]:
    """Versions and aliases are authorized by the machine's own ARN; their name is a condition key."""
    parts = params["stateMachineArn"].split(":")
    keys = {"states:statemachinequalifier": (parts[7],)} if len(parts) > 7 else {}
    yield Ask(":".join(parts[:7]), keys=keys, absent=frozenset({"states:statemachinequalifier"}))


TABLE: Mapping[str, Mapping[str, Derive]] = {
    "dynamodb": {
        "GetItem": _dynamodb_item("Key"),
        "PutItem": _dynamodb_item("Item"),
        "UpdateItem": _dynamodb_item("Key"),
        "DeleteItem": _dynamodb_item("Key"),
        "Query": _dynamodb_query,
        "Scan": _dynamodb_table,
        "DescribeTable": _dynamodb_table,
        "BatchGetItem": _dynamodb_batch,
        "BatchWriteItem": _dynamodb_batch,
        "TransactGetItems": _dynamodb_transaction,
        "TransactWriteItems": _dynamodb_transaction,
    },
    "ssm": {
        "GetParameter": _parameters("Name"),
        "GetParameters": _parameters("Names"),
        "GetParametersByPath": _parameters("Path"),
        "PutParameter": _parameters("Name"),
        "DeleteParameter": _parameters("Name"),
    },
    "events": {
        "PutEvents": _put_events,
        "ListEventBuses": unscoped,
        "ListRules": unscoped,
        "ListTargetsByRule": lambda params, names: [Ask(names.arn("events", f"rule/{params['Rule']}"))],
    },
    "sns": {"Publish": _publish},
    "sqs": dict.fromkeys(
        ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage", "SendMessage"], _queue
    ),
    "lambda": {"Invoke": _function},
    "stepfunctions": {
        "StartExecution": _state_machine,
        "DescribeStateMachine": _state_machine,
        "ListExecutions": _state_machine,
        "DescribeExecution": arn_in("executionArn"),
        "GetExecutionHistory": arn_in("executionArn"),
        "StopExecution": arn_in("executionArn"),
        "SendTaskSuccess": unscoped,
        "SendTaskFailure": unscoped,
        "SendTaskHeartbeat": unscoped,
    },
    "scheduler": {
        "ListSchedules": unscoped,
        "GetSchedule": lambda params, names: [
            Ask(names.arn("scheduler", f"schedule/{params.get('GroupName', 'default')}/{params['Name']}"))
        ],
    },
}
