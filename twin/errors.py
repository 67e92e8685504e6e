"""Errors of the twin.

BaseException
 └── Unmodelled        the twin was asked for something of AWS that it does not model; ends the run
Exception
 ├── AwsError          an error that AWS itself would answer; reaches callers as botocore's ClientError
 └── WorldError        a world file or template that the twin cannot build; one line, names field and value
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Unmodelled(BaseException):
    """Behaviour of AWS that the twin does not model.

    A BaseException, so that neither the product's `except Exception` nor the interpreter's can swallow it: a rehearsal
    that leaves the modelled world must end loudly, never look like success.
    """


class AwsError(Exception):
    """An error response of an AWS API.

    Args:
        code: error code on the wire, e.g. `ClusterNotFoundException`.
        message: AWS's message text.
        status: HTTP status.
        fields: further modelled members of the error shape.
    """

    def __init__(self, code: str, message: str, status: int = 400, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields: Mapping[str, Any] = fields or {}


class WorldError(Exception):
    """A world, event file or template that cannot be built. `str()` is one line that names the field and the value."""
