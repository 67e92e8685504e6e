"""The deployed stack's table and waiting executions, as the product's own code reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError

from cli.account import Account
from cli.product import AwsFailure, Records, Settings, Table, call
from twin.errors import WorldError


@contextmanager
def in_one_line() -> Iterator[None]:
    """Within, what AWS refuses, and what keeps it from being reached, is a WorldError for the person."""
    try:
        yield
    except AwsFailure as error:
        raise WorldError(str(error)) from None
    except BotoCoreError as error:
        raise WorldError(f"AWS: {error}") from None


class Stack:
    """A deployed stack of Caretaker's.

    Args:
        name: of the CloudFormation stack.
        endpoint_url: where the APIs are, if not at AWS.
        account: in which it is, if not in that of the caller's own credentials.
    """

    def __init__(self, name: str, endpoint_url: str | None = None, account: Account | None = None) -> None:
        self.name = name
        self.endpoint_url = endpoint_url
        self._account = account or Account(endpoint_url)

    @cached_property
    def settings(self) -> Settings:
        """What the template tells its functions. WorldError if there is no such stack, or it is not Caretaker's."""
        outputs = self._account.outputs(self.name)
        missing = [name for name in ("TableName", "PolicyPath", "TopicArn", "ClusterNames") if not outputs.get(name)]
        if missing:
            raise WorldError(f"stack {self.name} has no output {missing[0]}: it is not Caretaker")
        table, path, topic, clusters = (
            outputs[name] for name in ("TableName", "PolicyPath", "TopicArn", "ClusterNames")
        )
        return Settings(table, path, topic, region="", cluster_names=clusters)

    @cached_property
    def table(self) -> Table:
        """The deployed table. WorldError as `settings`."""
        return Table(self.settings.table_name, self._account.client("dynamodb"))

    @property
    def records(self) -> Records:
        """The record of releases. WorldError as `settings`."""
        return Records(self.table)

    def answer(self, token: str, output: Mapping[str, Any]) -> None:
        """Answer a task token. TokenGone when its task waits no longer."""
        text = json.dumps(output, sort_keys=True)
        call(self._account.client("stepfunctions").send_task_success, taskToken=token, output=text)

    def put(self, source: str, kind: str, detail: Mapping[str, Any]) -> None:
        """Put an event on the account's default bus. WorldError where EventBridge does not take it."""
        entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail, sort_keys=True)}
        answer = call(self._account.client("events").put_events, Entries=[entry])
        for failed in answer["Entries"]:
            if failed.get("ErrorCode"):
                raise WorldError(f"PutEvents: {failed['ErrorCode']}: {failed.get('ErrorMessage', '')}")
