"""Policy documents in SSM parameters: read, checked, and the last good one kept.

    <path>/defaults                            for every cluster
    <path>/clusters/<cluster name>             for one cluster
    <path>/services/<cluster name>/<name>      for one service or family of standalone tasks: `surge`, `standalone`

A later document overrides an earlier one field by field. A document that cannot be used is refused: the last good one
stays in force; where there never was one, its hosts are only observed, since the refused document may have said just
that. A missing document says nothing. Policy is read anew in every invocation: nobody should have to wait for a cache
to see an off switch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caretaker.aws import ssm
from caretaker.runtime import logging
from caretaker.runtime.policy import HostPolicy, Mode, Standalone, overlay, overlay_service
from caretaker.runtime.table import Item, Table

_PK = "POLICY"
_DAY = 86_400
# SSM API, PutParameter: what a part of a parameter's path may be made of. It refuses a whole read for one other name.
_PART = re.compile(r"[A-Za-z0-9_.-]+")

Seconds = Annotated[int, Field(strict=True, ge=0, le=365 * _DAY)]
Timeout = Annotated[int, Field(strict=True, ge=60, le=2 * _DAY)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class HostFields(_Strict):
    """`hosts` of the defaults and of a cluster; every field may be left out. See `HostPolicy` for their meaning."""

    mode: Mode = "observe"
    lead: Seconds | None = None
    budget: Annotated[int, Field(strict=True, ge=1, le=10)] = 1
    surge: bool = True
    standalone: Standalone = "wait"
    ready_timeout: Timeout = 900
    drain_timeout: Timeout = 3600
    retry_after: Timeout = 900
    allow_shrink: bool = False


class ServiceFields(_Strict):
    """`hosts` of a service."""

    surge: bool = True
    standalone: Standalone = "wait"


class Document(_Strict):
    """A document of the defaults or of a cluster."""

    hosts: HostFields = HostFields()


class ServiceDocument(_Strict):
    """A document of a service."""

    hosts: ServiceFields = ServiceFields()


class BadPolicy(ValueError):
    """A document that is refused. `str()` is one line that names the parameter, the field and the value."""


@dataclass(frozen=True)
class Refusal:
    """A refused document.

    Attributes:
        name: the parameter.
        reason: one line: field, value, what is wrong.
        in_force: what holds instead, in words.
    """

    name: str
    reason: str
    in_force: str


@dataclass(frozen=True)
class Loaded:
    """The policy of a cluster, and what was refused on the way."""

    hosts: HostPolicy
    refused: tuple[Refusal, ...] = ()


def names_of(path: str, cluster: str, services: Iterable[str] = ()) -> list[str]:
    """Parameter names for a cluster (its name, not its ARN) and services of it, in the order in which they apply.

    A name that no parameter can have, as the group of a standalone task may be, has no policy of its own.
    """
    own = [f"{path}/services/{cluster}/{service}" for service in sorted(set(services)) if _PART.fullmatch(service)]
    return [f"{path}/defaults", f"{path}/clusters/{cluster}", *own]


def is_policy(path: str, name: str) -> bool:
    """Whether a parameter name is one of those that policy is read from."""
    parts = name.removeprefix(f"{path}/").split("/")
    if not name.startswith(f"{path}/"):
        return False
    return parts == ["defaults"] or (len(parts), parts[0]) in ((2, "clusters"), (3, "services"))


def check(path: str, name: str, text: str) -> dict[str, Any]:
    """The fields that a document sets, checked. Raises `BadPolicy`."""
    model = ServiceDocument if name.startswith(f"{path}/services/") else Document
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise BadPolicy(f"{name}: not JSON: {error}") from None
    try:
        document: BaseModel = model.model_validate(raw)
    except ValidationError as error:
        raise BadPolicy(f"{name}: {_first(error)}") from None
    hosts: BaseModel = document.hosts  # type: ignore[attr-defined]
    return hosts.model_dump(exclude_unset=True)


def _first(error: ValidationError) -> str:
    """The first problem in one line, with field and value, and how many more there are."""
    problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"]) or "document"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {first['input']!r}: {first['msg']}{more}"


def load(table: Table, path: str, cluster: str, services: Iterable[str] = ()) -> Loaded:
    """The policy in force for a cluster (its name) and its services.

    Refused documents are logged and counted (metric `PolicyRefused`). New good ones become the last good ones.

    Raises:
        AwsFailure: a parameter or the table could not be read; then nothing is known, and nothing may be done.
    """
    names = names_of(path, cluster, services)
    texts = ssm.get_parameters(names)
    kept = table.get_many((_PK, name) for name in texts)
    policy = HostPolicy()
    refused: list[Refusal] = []
    for name in names:
        if name not in texts:
            continue
        fields, refusal = _in_force(table, path, name, texts[name], kept.get((_PK, name)))
        policy = _apply(policy, path, name, fields)
        if refusal:
            refused.append(refusal)
    return Loaded(policy, tuple(refused))


def _apply(policy: HostPolicy, path: str, name: str, fields: Mapping[str, Any]) -> HostPolicy:
    if name.startswith(f"{path}/services/"):
        return overlay_service(policy, name.rsplit("/", 1)[-1], fields)
    return overlay(policy, fields)


def _in_force(
    table: Table, path: str, name: str, text: str, kept: Item | None
) -> tuple[Mapping[str, Any], Refusal | None]:
    """The fields that hold for one parameter, and its refusal if the present text is not used."""
    try:
        fields = check(path, name, text)
    except BadPolicy as error:
        return _instead(path, name, str(error), kept)
    if kept is None or kept["text"] != text:
        keep(table, name, text)
    return fields, None


def _instead(path: str, name: str, reason: str, kept: Item | None) -> tuple[Mapping[str, Any], Refusal]:
    if kept is not None:
        try:
            fields: Mapping[str, Any] = check(path, name, kept["text"])
        except BadPolicy:
            kept = None  # good for a former version of Caretaker, not for this one
        else:
            refusal = Refusal(name, reason, "the last good document stays in force")
    if kept is None:
        service = name.startswith(f"{path}/services/")
        fields = {"surge": False} if service else {"mode": "observe"}
        words = "no good document before it: percents are not raised" if service else "no good one before it: observe"
        refusal = Refusal(name, reason, words)
    refuse(refusal)
    return fields, refusal


def keep(table: Table, name: str, text: str) -> None:
    """Write a good document as the last good one."""
    table.put({"pk": _PK, "sk": name, "text": text})


def forget(table: Table, name: str) -> None:
    """Forget the last good document of a parameter that was deleted by its owner."""
    table.delete(_PK, name)


def last_good(table: Table, name: str) -> str | None:
    """The last good document of a parameter."""
    item = table.get(_PK, name)
    return str(item["text"]) if item else None


def refuse(refusal: Refusal) -> None:
    """Say that a document is refused: one log line, one count."""
    logging.logger().error(f"policy refused: {refusal.reason}; {refusal.in_force}", extra={"parameter": refusal.name})
    logging.count("PolicyRefused")
