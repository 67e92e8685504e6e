"""A DynamoDB table for tests, and a client that dies at a chosen call."""

from __future__ import annotations

import logging as std_logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from caretaker.runtime import logging
from caretaker.runtime.journal import Trigger
from caretaker.runtime.table import Table, table
from moto import mock_aws

from tests.deployed import NOBODY, TABLE, environment

REGION = "us-east-1"
NOW = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/shop"
TRIGGER = Trigger("health", "i-1: its hardware is retired")
H1, H2, H3 = (f"i-0a1b2c3d4e5f6000{n}" for n in (1, 2, 3))


def after(**delta: float) -> datetime:
    return NOW + timedelta(**delta)


def forget_logger() -> None:
    """Its successor writes to the present stdout."""
    logging.logger.cache_clear()
    known = std_logging.getLogger("caretaker")
    known.handlers.clear()
    for mark in ("init", "powertools_handler"):
        vars(known).pop(mark, None)


@contextmanager
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The table as the template makes it, in moto."""
    forget_logger()
    with environment(monkeypatch, **NOBODY), mock_aws():
        boto3.client("dynamodb").create_table(**TABLE)
        yield table(TABLE["TableName"])
    forget_logger()


class DiedError(BaseException):
    """The function's process is gone."""


class Dying:
    """A client that dies just before or just after its n-th call (counted from 1)."""

    def __init__(self, client: Any, nth: int, when: str) -> None:
        self._client, self._nth, self._when, self.calls = client, nth, when, 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def called(**params: Any) -> Any:
            self.calls += 1
            if self.calls == self._nth and self._when == "before":
                raise DiedError
            answer = method(**params)
            if self.calls == self._nth:
                raise DiedError
            return answer

        return called


def kill_points(store: Table, act: Callable[[Table], object], limit: int = 60) -> Iterator[tuple[int, str]]:
    """Run `act` once for each kill point, dying there; ends when `act` makes no more calls than that.

    The caller prepares a fresh state before it takes the next point.
    """
    for nth in range(1, limit):
        for when in ("before", "after"):
            dying = Dying(store.client, nth, when)
            try:
                act(Table(store.name, dying))
            except DiedError:
                yield nth, when
            else:
                return


def clear(store: Table) -> None:
    """Empty the table."""
    keys = [(item["pk"]["S"], item["sk"]["S"]) for item in store.client.scan(TableName=store.name)["Items"]]
    store.write_many(deletes=keys)
