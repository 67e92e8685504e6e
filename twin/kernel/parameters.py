"""SSM Parameter Store, as far as plain parameters go.

A store of the twin's own: moto's brings moto's whole EC2 with it, which takes longer to load than a replacement to run.
Source: Systems Manager API reference (PutParameter, GetParameter, GetParameters, GetParametersByPath,
DeleteParameter, DeleteParameters).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Api, Call, operation
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel

_NAME = re.compile(r"/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_DEEPEST = 15
_LARGEST = 4_096
_BATCH = 10
_TYPES = ("String", "StringList")


@dataclass(frozen=True)
class Parameter:
    name: str
    value: str
    type: str
    version: int
    modified: datetime


class Parameters(Api):
    """The parameters of the account and region, standard tier, not encrypted."""

    def __init__(self, kernel: Kernel, gateway: Gateway) -> None:
        super().__init__()
        self.service = "ssm"
        self.kernel = kernel
        self._parameters: dict[str, Parameter] = {}
        gateway.register(self)

    @operation("PutParameter", ["Name", "Value", "Type", "Overwrite", "Description", "Tier", "DataType"])
    def put_parameter(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name, value = params["Name"], params["Value"]
        known = self._parameters.get(name)
        if known is not None and not params.get("Overwrite", False):
            advice = "To overwrite this value, set the overwrite option in the request to true."
            raise AwsError("ParameterAlreadyExists", f"The parameter already exists. {advice}")
        kind = params.get("Type") or (known.type if known else None)
        if kind is None:
            raise AwsError("ValidationException", "A parameter type is required when you create a parameter.")
        _check(name, value, kind, params)
        version = known.version + 1 if known else 1
        self._parameters[name] = Parameter(name, value, kind, version, self.kernel.clock.now())
        return {"Version": version, "Tier": "Standard"}

    @operation("GetParameter", ["Name", "WithDecryption"])
    def get_parameter(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = self._parameters.get(_plain(params["Name"]))
        if found is None:
            raise AwsError("ParameterNotFound", "")
        return {"Parameter": self._view(found)}

    @operation("GetParameters", ["Names", "WithDecryption"])
    def get_parameters(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        names = _batch(params["Names"])
        return {
            "Parameters": [self._view(self._parameters[name]) for name in sorted(names) if name in self._parameters],
            "InvalidParameters": sorted(name for name in names if name not in self._parameters),
        }

    @operation("GetParametersByPath", ["Path", "Recursive", "MaxResults", "NextToken", "WithDecryption"])
    def get_parameters_by_path(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        prefix = params["Path"].rstrip("/") + "/"
        below = sorted(name for name in self._parameters if name.startswith(prefix))
        names = [name for name in below if params.get("Recursive") or "/" not in name[len(prefix) :]]
        token = params.get("NextToken", "")
        rest = [name for name in names if name > token]
        page = rest[: params.get("MaxResults", _BATCH)]
        answer: dict[str, Any] = {"Parameters": [self._view(self._parameters[name]) for name in page]}
        return answer | ({"NextToken": page[-1]} if len(page) < len(rest) else {})

    @operation("DeleteParameter", ["Name"])
    def delete_parameter(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if self._parameters.pop(_plain(params["Name"]), None) is None:
            raise AwsError("ParameterNotFound", "")
        return {}

    @operation("DeleteParameters", ["Names"])
    def delete_parameters(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        names = _batch(params["Names"])
        deleted = sorted(name for name in names if self._parameters.pop(name, None) is not None)
        return {"DeletedParameters": deleted, "InvalidParameters": sorted(names - set(deleted))}

    def _view(self, parameter: Parameter) -> dict[str, Any]:
        return {
            "Name": parameter.name,
            "Type": parameter.type,
            "Value": parameter.value,
            "Version": parameter.version,
            "LastModifiedDate": parameter.modified,
            "ARN": self.kernel.arn("ssm", f"parameter/{parameter.name.lstrip('/')}"),
            "DataType": "text",
        }


def _check(name: str, value: str, kind: str, params: dict[str, Any]) -> None:
    """Raise as Parameter Store does for what it refuses, and Unmodelled for what the twin has not."""
    if kind not in _TYPES or params.get("Tier", "Standard") != "Standard" or params.get("DataType", "text") != "text":
        raise Unmodelled(f"ssm:PutParameter: {name}: only standard parameters of type {' or '.join(_TYPES)}")
    _check_name(name)
    if name.count("/") > _DEEPEST:
        raise AwsError("HierarchyLevelLimitExceededException", f"A hierarchy has at most {_DEEPEST} levels.")
    if len(value.encode()) > _LARGEST:
        text = f"Standard tier parameters support a maximum parameter value of {_LARGEST} characters."
        raise AwsError("ValidationException", text)


def _plain(name: str) -> str:
    if name.startswith("arn:") or ":" in name:
        raise Unmodelled(f"ssm: parameter {name!r}: ARNs, versions and labels in place of a name")
    _check_name(name)
    return name


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or ("/" in name and not name.startswith("/")):
        raise AwsError("ValidationException", f"Parameter name: {name!r} is not allowed.")


def _batch(names: Iterable[str]) -> set[str]:
    wanted = {_plain(name) for name in names}
    if not 1 <= len(wanted) <= _BATCH:
        raise AwsError("ValidationException", f"Member must have length less than or equal to {_BATCH}")
    return wanted
