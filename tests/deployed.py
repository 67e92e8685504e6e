"""What the template deploys, for tests that call the product's functions without it: the table and the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from caretaker.aws import clients
from caretaker.runtime.table import table

from twin.kernel.api import Caller
from twin.kernel.gateway import Gateway

TABLE: dict[str, Any] = {
    "TableName": "caretaker",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
"""CreateTable's parameters."""

SETTINGS = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "TABLE_NAME": TABLE["TableName"],
    "POLICY_PATH": "/caretaker/policy",
    "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:caretaker",
    "POWERTOOLS_SERVICE_NAME": "caretaker",
    "POWERTOOLS_METRICS_NAMESPACE": "Caretaker",
}
"""The environment that all functions have."""
NOBODY = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""Credentials where nobody looks at them."""


@contextmanager
def environment(patch: pytest.MonkeyPatch, **more: str) -> Iterator[None]:
    """Within, this process is a function's, as fresh as after a cold start.

    Args:
        more: settings beside those that all functions have.
    """
    for name, value in {**SETTINGS, **more}.items():
        patch.setenv(name, value)
    forget()
    try:
        yield
    finally:
        forget()


def credentials(gateway: Gateway, caller: Caller) -> dict[str, str]:
    """Settings by which the gateway knows whose calls they are."""
    key, secret = gateway.credentials(caller)
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}


def defaults(policy: dict[str, Any]) -> dict[str, Any]:
    """PutParameter's parameters of the policy's defaults."""
    return {"Name": f"{SETTINGS['POLICY_PATH']}/defaults", "Value": json.dumps(policy), "Type": "String"}


def forget() -> None:
    """As fresh as after a cold start."""
    clients.forget()
    table.cache_clear()
