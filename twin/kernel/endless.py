"""Listings that do not end, a fault of worlds: each page has a token, which leads to the same page again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session

from twin.errors import Unmodelled
from twin.kernel.api import Call

TOKEN = "once-more"


@dataclass(frozen=True)
class Endless:
    """
    Attributes:
        service, operation: botocore's names of a listing.
        request, response: the members of the token.
        function: name of the function that is struck; None strikes everybody but AWS itself.
        after, until: simulated seconds since the start between which it strikes.
    """

    service: str
    operation: str
    request: str
    response: str
    function: str | None = None
    after: float = 0.0
    until: float | None = None

    def strikes(self, call: Call, elapsed: float) -> bool:
        during = elapsed >= self.after and (self.until is None or elapsed < self.until)
        who = call.caller.kind != "aws" if self.function is None else call.caller.name == self.function
        return during and who and (self.service, self.operation) == (call.service, call.operation)

    def asked(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The request without the fault's own token."""
        return {name: value for name, value in params.items() if (name, value) != (self.request, TOKEN)}

    def answered(self, response: Mapping[str, Any]) -> dict[str, Any]:
        return {**response, self.response: TOKEN}


def endless(
    service: str, operation: str, *, function: str | None = None, after: float = 0.0, until: float | None = None
) -> Endless:
    """The fault, with the token's members as botocore knows them. Unmodelled for what has no pages."""
    session = botocore.session.Session()
    model = session.get_service_model(service)
    try:
        pages = session.get_paginator_model(service).get_paginator(operation)
    except ValueError:
        raise Unmodelled(f"{service}:{operation} has no pages") from None
    if operation not in model.operation_names or not isinstance(pages["output_token"], str):
        raise Unmodelled(f"{service}:{operation}: its pages have more than one token")
    return Endless(service, operation, pages["input_token"], pages["output_token"], function, after, until)
