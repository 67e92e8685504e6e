"""Policy documents in SSM parameters: read, checked, and the last good one kept.

    <path>/defaults                            for every cluster
    <path>/clusters/<cluster name>             for one cluster
    <path>/services/<cluster name>/<name>      for one service (or the hosts' section of a family of standalone tasks)

A later document overrides an earlier one field by field. A document that cannot be used is refused: the last good one
stays in force; where there never was one, its hosts, releases and garbage are only observed, since the refused document
may have said just that. A missing document says nothing. Policy is read anew in every invocation: nobody should have to
wait for a cache to see an off switch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from caretaker.aws import ssm
from caretaker.runtime import logging
from caretaker.runtime.policy import (
    GarbagePolicies,
    HostPolicy,
    ReleasePolicies,
    overlay,
    overlay_releases,
    overlay_service,
)
from caretaker.runtime.policy_fields import BadPolicy, Fields, check
from caretaker.runtime.table import Item, Table

__all__ = ["BadPolicy", "Loaded", "Refusal", "check", "load"]

_PK = "POLICY"
# SSM API, PutParameter: what a part of a parameter's path may be made of. It refuses a whole read for one other name.
_PART = re.compile(r"[A-Za-z0-9_.-]+")
_OBSERVE: Mapping[str, Any] = {"mode": "observe"}


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

    hosts: HostPolicy = field(default_factory=HostPolicy)
    releases: ReleasePolicies = field(default_factory=ReleasePolicies)
    refused: tuple[Refusal, ...] = ()
    garbage: GarbagePolicies = field(default_factory=GarbagePolicies)


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


def load(table: Table, path: str, cluster: str, services: Iterable[str] = ()) -> Loaded:
    """The policy in force for a cluster (its name) and its services.

    Refused documents are logged and counted (metric `PolicyRefused`). New good ones become the last good ones.

    Raises:
        AwsFailure: a parameter or the table could not be read; then nothing is known, and nothing may be done.
    """
    names = names_of(path, cluster, services)
    texts = ssm.get_parameters(names)
    kept = table.get_many((_PK, name) for name in texts)
    loaded = Loaded()
    for name in names:
        if name not in texts:
            continue
        fields, refusal = _in_force(table, path, name, texts[name], kept.get((_PK, name)))
        service = name.rsplit("/", 1)[-1] if name.startswith(f"{path}/services/") else None
        releases, unfit = _releases(loaded.releases, name, service, fields["releases"])
        loaded = Loaded(
            overlay_service(loaded.hosts, service, fields["hosts"])
            if service
            else overlay(loaded.hosts, fields["hosts"]),
            releases,
            (*loaded.refused, *(found for found in (refusal, unfit) if found)),
            loaded.garbage.having(service, overlay(loaded.garbage.service(service), fields["garbage"])),
        )
    return loaded


def _releases(
    policies: ReleasePolicies, name: str, service: str | None, fields: Mapping[str, Any]
) -> tuple[ReleasePolicies, Refusal | None]:
    """The releases' policies with one more document in force, and its refusal if it contradicts an earlier one."""
    before, refusal = policies.service(service), None
    try:
        after = overlay_releases(before, fields)
    except ValueError as error:
        after = overlay_releases(before, _OBSERVE)
        refusal = Refusal(name, f"{name}: releases.{error}", "its releases are only observed, by the earlier documents")
        refuse(refusal)
    return policies.having(service, after), refusal


def _in_force(table: Table, path: str, name: str, text: str, kept: Item | None) -> tuple[Fields, Refusal | None]:
    """The fields that hold for one parameter, and its refusal if the present text is not used."""
    try:
        fields = check(path, name, text)
    except BadPolicy as error:
        return _instead(path, name, str(error), kept)
    if kept is None or kept["text"] != text:
        keep(table, name, text)
    return fields, None


def _instead(path: str, name: str, reason: str, kept: Item | None) -> tuple[Fields, Refusal]:
    if kept is not None:
        try:
            fields = check(path, name, kept["text"])
        except BadPolicy:
            kept = None  # good for a former version of Caretaker, not for this one
        else:
            refusal = Refusal(name, reason, "the last good document stays in force")
    if kept is None:
        service = name.startswith(f"{path}/services/")
        fields = {
            "hosts": {"surge": False} if service else dict(_OBSERVE),
            "releases": dict(_OBSERVE),
            "garbage": dict(_OBSERVE),
        }
        words = "no good one before it: observe" + (", and percents are not raised" if service else "")
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
