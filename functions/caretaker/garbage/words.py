"""Resources, references and readings in words that an operator can act on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from caretaker.garbage.model import Kind, Read, Reading, Reference, Resource

_MOST = 3
_RETRY = "the next observation reads it again"


def short(arn: str) -> str:
    """The part of an ARN that tells resources of one account and Region apart; other ids as they are."""
    return arn.split(":", 5)[5] if arn.startswith("arn:") and arn.count(":") >= 5 else arn


def name_in(arn: str) -> str:
    """The part of an ARN by which people know the resource, where its name was not read."""
    part = short(arn)
    for mark in (":policyName/", "log-group:", "alarm:"):
        if mark in part:
            return part.partition(mark)[2]
    kind, _, path = part.partition("/")
    if kind == "loadbalancer":
        return path.split("/")[-2]
    if kind == "targetgroup":
        return path.partition("/")[0]
    return path.rpartition("/")[2] if kind in ("listener", "listener-rule", "role", "certificate") else path or part


def named(arn: str, resources: Mapping[str, Resource]) -> str:
    """A resource's kind and name, or what is known of it."""
    resource = resources.get(arn)
    return _labelled(resource.kind, resource.name or short(arn)) if resource else short(arn)


def told(reference: Reference, resources: Mapping[str, Resource]) -> str:
    """Who refers, and how."""
    resource = resources.get(reference.source)
    name = (resource.name if resource else "") or short(reference.source)
    who = _labelled(reference.source_kind, name)
    if reference.part_of:
        who += f" (of {named(reference.part_of, resources)})"
    return f"{who} {reference.how.removeprefix(f'{name} ')}"


def _labelled(kind: Kind, name: str) -> str:
    return f"{kind} {bare(kind, name)}"


def bare(kind: str, name: str) -> str:
    """A name that does not repeat its kind: `7` of listener rule `rule 7`."""
    return name.removeprefix(kind.rpartition(" ")[2] + " ")


def several(items: Sequence[str]) -> str:
    """At most three of them, and how many more."""
    rest = len(items) - _MOST
    shown = "; ".join(items[:_MOST])
    return f"{shown}; and {rest} more" if rest > 0 else shown


def doubt(reading: Reading) -> str:
    """What was not read whole, and what to do about it."""
    of = f" of {short(reading.scope)}" if reading.scope else ""
    what = f"{reading.operation}{of}"
    why = f" ({reading.reason})" if reading.reason else ""
    if reading.status is Read.DENIED:
        return f"{what} was denied{why}: grant {reading.operation} to Caretaker's role"
    if reading.status is Read.TRUNCATED:
        return f"{what} was truncated{why}: {_RETRY}"
    if not reading.at:
        return f"{what}: {reading.reason}: {_RETRY}"
    return f"{what} failed{why}: {_RETRY}"


def strange_hosts(resource: Resource) -> list[str]:
    """Hosts that somebody has a listener rule answer for, beside those that ECS gives (ECS Developer Guide, Express
    Mode: `<id>.ecs.<region>.on.aws`)."""
    return [host for host in resource.facts.get("hosts", "").split() if not _OF_ECS.search(host.lower())]


_OF_ECS = re.compile(r"^[^*?.]+\.ecs\.[a-z0-9-]+\.on\.aws$")


def plural(count: int, kind: Kind | str) -> str:
    """`1 target group`, `2 target groups`, `2 web ACLs`, `3 policies`."""
    word = str(kind)
    if count == 1:
        return f"1 {word}"
    return f"{count} {word[:-1]}ies" if word.endswith("y") else f"{count} {word}s"
