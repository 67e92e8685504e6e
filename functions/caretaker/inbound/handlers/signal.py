"""InboundSignal: wakes executions that wait for a task, a host or a service."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from caretaker.aws import stepfunctions
from caretaker.aws.errors import AwsFailure
from caretaker.inbound.signals import keys
from caretaker.runtime import logging, waits
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table, table


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Fire the keys of a batch of events, each key once. Events that could not be dealt with come again."""
    settings = Settings.from_env()
    logging.bind()
    failed: list[str] = []
    waiting: dict[str, list[str]] = defaultdict(list)
    for record in event["Records"]:
        try:
            body = json.loads(record["body"])
        except ValueError as error:
            logging.logger().error(f"event: not JSON: {error}", extra={"message_id": record["messageId"]})
            failed.append(record["messageId"])
            continue
        for key in keys(body) if isinstance(body, dict) else []:
            waiting[key].append(record["messageId"])
    store = table(settings.table_name)
    for key in sorted(waiting):
        if not _fire(store, key):
            failed.extend(waiting[key])
    return {"batchItemFailures": [{"itemIdentifier": message} for message in sorted(set(failed))]}


def _fire(store: Table, key: str) -> bool:
    """Whether the key was fired. A failure is left to SQS, which delivers the event again."""
    try:
        done = waits.signal(store, key, stepfunctions.wake)
    except AwsFailure as error:
        logging.logger().error(f"signal {key}: {error}")
        return False
    if done.waiters:
        logging.logger().info("signal", extra={"key": key, "woken": done.woken, "stale": done.stale})
    return True
