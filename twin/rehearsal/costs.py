"""What a run would have cost on AWS, roughly: us-east-1, x86_64, without free tiers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twin.kernel.api import Call

TRANSITION = 0.025 / 1_000
REQUEST = 0.20 / 1_000_000
GB_SECOND = 0.0000166667
WRITE = 0.625 / 1_000_000
READ = 0.125 / 1_000_000
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})


def cost_usd(transitions: int, invocations: Iterable[tuple[int, int]], calls: Iterable[Call]) -> float:
    """Dollars for state transitions, invocations given as (billed milliseconds, memory in MB), and DynamoDB."""
    total = transitions * TRANSITION
    for billed, memory in invocations:
        total += REQUEST + billed / 1_000 * memory / 1_024 * GB_SECOND
    total += sum(_table_cost(call) for call in calls if call.service == "dynamodb")
    return round(total, 6)


def _table_cost(call: Call) -> float:
    price = WRITE if call.operation in _WRITES else READ
    if call.operation.startswith("Transact"):
        return 2 * len(call.params.get("TransactItems", ())) * price
    return _items(call.params.get("RequestItems")) * price


def _items(requests: Any) -> int:
    """Items of a batch; 1 for calls that are none."""
    if not isinstance(requests, dict):
        return 1
    return sum(len(each) if isinstance(each, list) else len(each.get("Keys", ())) for each in requests.values()) or 1
