"""SSM parameters."""

from __future__ import annotations

from collections.abc import Iterable

from caretaker.aws import clients
from caretaker.aws.errors import call
from caretaker.aws.paging import batches, pages

# SSM API: GetParameters takes at most 10 names.
_NAMES = 10


def get_parameters(names: Iterable[str]) -> dict[str, str]:
    """Values of the parameters that exist, by name. Plain text only: policy is no secret and is not decrypted."""
    found: dict[str, str] = {}
    for batch in batches(sorted(set(names)), _NAMES):
        answer = call(clients.ssm().get_parameters, Names=list(batch), WithDecryption=False)
        found.update({entry["Name"]: entry["Value"] for entry in answer.get("Parameters", [])})
    return found


def get_by_path(path: str) -> dict[str, str]:
    """Values of all parameters below a path, every page, by name."""
    method = clients.ssm().get_parameters_by_path
    found = pages(method, "Parameters", "NextToken", Path=path, Recursive=True, WithDecryption=False)
    return {entry["Name"]: entry["Value"] for entry in found}
