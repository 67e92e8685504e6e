"""Clients that hand a call to the twin's gateway without botocore in between, which is most of a call's cost.

Requests are not checked against AWS's model here, and throttled calls are not tried again: worlds do both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError

from twin.errors import AwsError
from twin.kernel.api import Caller
from twin.kernel.gateway import Gateway


class Direct:
    """A client of one service: `client.describe_rules(ListenerArn=…)`."""

    def __init__(self, gateway: Gateway, caller: Caller, service: str) -> None:
        self._gateway, self._caller, self._service = gateway, caller, service

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        operation = _operations(self._service)[method]

        def call(**params: Any) -> dict[str, Any]:
            try:
                return self._gateway.call(self._service, operation, params, self._caller)
            except AwsError as error:
                told = {"Code": error.code, "Message": error.message}
                metadata = {"HTTPStatusCode": error.status}
                raise ClientError(
                    {**error.fields, "Error": told, "ResponseMetadata": metadata},  # type: ignore[typeddict-item]
                    operation,
                ) from None

        call.__name__ = method
        return call


@lru_cache(maxsize=64)
def _operations(service: str) -> dict[str, str]:
    names = botocore.session.get_session().get_service_model(service).operation_names
    return {xform_name(name): name for name in names}
