"""The account that a command works on: boto3 clients, the deployed stack, and what AWS refuses in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from twin.errors import WorldError

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=20)


@dataclass(frozen=True)
class Account:
    """AWS as the caller's own credentials and Region show it.

    Attributes:
        endpoint_url: where the APIs are, if not at AWS: a twin that is served.
    """

    endpoint_url: str | None = None

    def call(self, service: str, method: str, /, **request: Any) -> dict[str, Any]:
        """Make one API call. Raises WorldError (one line for the person) where AWS refuses or cannot be reached."""
        client = self.client(service)
        try:
            answer: dict[str, Any] = getattr(client, method)(**request)
        except ClientError as error:
            detail = error.response.get("Error", {})
            raise WorldError(f"{error.operation_name}: {detail.get('Code')}: {detail.get('Message')}") from None
        except BotoCoreError as error:
            raise WorldError(f"AWS: {error}") from None
        return answer

    def client(self, service: str) -> Any:
        """A client of one of AWS's services, with the credentials of now. WorldError where no Region is set."""
        try:
            return boto3.Session().client(cast(Any, service), endpoint_url=self.endpoint_url, config=_CONFIG)
        except BotoCoreError as error:
            raise WorldError(f"AWS: {error}") from None

    def outputs(self, stack: str) -> dict[str, str]:
        """The outputs of the stack in which Caretaker is deployed."""
        stacks = self.call("cloudformation", "describe_stacks", StackName=stack)["Stacks"]
        return {item["OutputKey"]: item["OutputValue"] for item in stacks[0].get("Outputs", [])}
