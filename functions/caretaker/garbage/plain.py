"""What is read and known of garbage, as JSON and back: in blobs of the table, in the record, on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caretaker.garbage.model import (
    Claim,
    Identity,
    Kind,
    Life,
    Observation,
    Owner,
    Read,
    Reading,
    Reference,
    Resource,
)
from caretaker.runtime.clock import iso, parse

Json = dict[str, Any]


_KINDS = {str(kind): kind for kind in Kind}


def identity(each: Identity) -> list[str]:
    return [each.arn, each.created]


def identity_from(data: list[str]) -> Identity:
    return Identity(data[0], data[1])


def resource(each: Resource) -> Json:
    return {
        "identity": identity(each.identity),
        "kind": str(each.kind),
        "vpc": each.vpc,
        "name": each.name,
        "tags": None if each.tags is None else dict(each.tags),
        "facts": dict(each.facts),
    }


def resource_from(data: Mapping[str, Any]) -> Resource:
    return Resource(
        identity_from(data["identity"]), _KINDS[data["kind"]], data["vpc"], data["name"], data["tags"], data["facts"]
    )


def reference(each: Reference) -> list[str]:
    return [each.source, str(each.source_kind), each.target, each.how, each.owner, each.part_of, each.via]


def reference_from(data: list[str]) -> Reference:
    source, kind, target, how, owner, part_of, via = data
    return Reference(source, _KINDS[kind], target, how, owner, part_of, via)


def reading(each: Reading) -> Json:
    return {
        "operation": each.operation,
        "scope": each.scope,
        "status": each.status.value,
        "at": each.at,
        "items": each.items,
        "reason": each.reason,
    }


def reading_from(data: Mapping[str, Any]) -> Reading:
    return Reading(data["operation"], data["scope"], Read(data["status"]), data["at"], data["items"], data["reason"])


def owner(each: Owner) -> Json:
    return {
        "identity": identity(each.identity),
        "life": each.life.value,
        "since": each.since,
        "moving": each.moving,
        "words": each.words,
    }


def owner_from(data: Mapping[str, Any]) -> Owner:
    return Owner(identity_from(data["identity"]), Life(data["life"]), data["since"], data["moving"], data["words"])


def claim(each: Claim) -> Json:
    return {
        "owner": identity(each.owner),
        "resource": identity(each.resource),
        "kind": str(each.kind),
        "shared": each.shared,
        "revisions": list(each.revisions),
        "current": each.current,
        "seen": each.seen,
    }


def claim_from(data: Mapping[str, Any]) -> Claim:
    return Claim(
        identity_from(data["owner"]),
        identity_from(data["resource"]),
        _KINDS[data["kind"]],
        data["shared"],
        tuple(data["revisions"]),
        data["current"],
        data["seen"],
    )


def observation(each: Observation) -> Json:
    return {
        "id": each.id,
        "began": iso(each.began),
        "ended": iso(each.ended),
        "scope": each.scope,
        "resources": [resource(each.resources[arn]) for arn in sorted(each.resources)],
        "references": [reference(one) for one in each.references],
        "readings": [reading(one) for one in each.readings],
        "owners": [owner(each.owners[key]) for key in sorted(each.owners)],
        "claims": [claim(one) for one in each.claims],
    }


def observation_from(data: Mapping[str, Any]) -> Observation:
    resources = [resource_from(one) for one in data["resources"]]
    owners = [owner_from(one) for one in data["owners"]]
    return Observation(
        id=data["id"],
        began=parse(data["began"], "began"),
        ended=parse(data["ended"], "ended"),
        scope=data["scope"],
        resources={one.arn: one for one in resources},
        references=tuple(reference_from(one) for one in data["references"]),
        readings=tuple(reading_from(one) for one in data["readings"]),
        owners={one.identity: one for one in owners},
        claims=tuple(claim_from(one) for one in data["claims"]),
    )
