"""Mistakes that sweepers have made, each to be planted into the product.

They are planted where the ledger's claims are given out, where it is told how it stands with a service, and where an
observation is put together: every look goes through these, the last one before a call too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from caretaker.garbage import again, conclude
from caretaker.garbage.inventory import Entry
from caretaker.garbage.model import Claim, Identity, Kind, Life, Observation, Owner, Read, Reference
from caretaker.garbage.sheet import Sheet

MANAGED, KEEP = "AmazonECSManaged", "caretaker:keep"
Owners = dict[Identity, Owner]


@dataclass(frozen=True)
class Mistake:
    """What is told wrong: each function gets what is right.

    Attributes:
        text: what somebody believed.
        owners, claims, seen: instead of the services, of an entry's claims, of the observation.
        blind: the last look at a load balancer's rules sees none.
    """

    text: str
    owners: Callable[[Owners], Owners] = lambda owners: owners
    claims: Callable[[Entry, tuple[Claim, ...]], tuple[Claim, ...]] = lambda entry, claims: claims
    seen: Callable[[Observation], Observation] = lambda seen: seen
    blind: bool = False


def plant(patch: pytest.MonkeyPatch, mistake: Mistake) -> None:
    """Make the product make the mistake. Whoever takes a service for dead takes what it refers to for unused, too."""
    owners, observation, claims = conclude.owners, conclude.observation, Entry.claims

    def seen(sheet: Sheet, *given: Any) -> Observation:
        before, after = owners(sheet), mistake.owners(owners(sheet))
        buried = {key.arn for key in after if key in before and after[key].life is not before[key].life}
        found = observation(sheet, *given)
        kept = tuple(each for each in found.references if not _of(each, buried))
        return mistake.seen(replace(found, references=kept))

    patch.setattr(conclude, "owners", lambda sheet: mistake.owners(owners(sheet)))
    patch.setattr(conclude, "observation", seen)
    patch.setattr(Entry, "claims", lambda entry: mistake.claims(entry, claims(entry)))
    if mistake.blind:
        patch.setattr(again, "balancer", lambda resource, vpc, now: Sheet(vpc, "", ""))


def _of(reference: Reference, services: set[str]) -> bool:
    """Whether a reference is that of one of the services."""
    revisions = tuple(arn.replace(":service/", ":service-revision/") + "/" for arn in services)
    return (
        reference.owner in services or reference.source in services or reference.source.startswith(revisions or ("-",))
    )


# --- services --------------------------------------------------------------------------------------------------------
def names_are_identities(owners: Owners) -> Owners:
    dead = {owner.identity.arn for owner in owners.values() if owner.life is Life.DEAD}
    return {key: _buried(each, key.arn in dead) for key, each in owners.items()}


def prefixes_are_names(owners: Owners) -> Owners:
    dead = [owner.identity.arn for owner in owners.values() if owner.life is Life.DEAD]
    return {key: _buried(each, any(key.arn.startswith(arn) for arn in dead)) for key, each in owners.items()}


def age_is_death(owners: Owners) -> Owners:
    return {key: _buried(each, True) for key, each in owners.items()}


def unknown_is_dead(owners: Owners) -> Owners:
    return {key: _buried(each, each.life is Life.UNKNOWN) for key, each in owners.items()}


def _buried(owner: Owner, dead: bool) -> Owner:
    return replace(owner, life=Life.DEAD, since="2000-01-01T00:00:00Z", moving=False) if dead else owner


# --- claims ----------------------------------------------------------------------------------------------------------
def retired(kind: Kind) -> Callable[[Entry, tuple[Claim, ...]], tuple[Claim, ...]]:
    """Resources of the kind are taken for those of an earlier revision."""
    return lambda entry, claims: tuple(replace(c, current=False) if c.kind is kind else c for c in claims)


def the_dead_own_what_was_shared(entry: Entry, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
    return claims if entry.life is Life.DEAD else tuple(each for each in claims if not each.shared)


# --- what is seen ----------------------------------------------------------------------------------------------------
def unread_is_nothing(seen: Observation) -> Observation:
    return replace(seen, readings=tuple(replace(each, status=Read.WHOLE) for each in seen.readings))


def rules_hold_no_balancer(seen: Observation) -> Observation:
    shared = {claim.resource.arn for claim in seen.claims if claim.shared}
    rules = {arn for arn, each in seen.resources.items() if each.kind is Kind.RULE and each.facts["default"] != "true"}
    kept = {arn: each for arn, each in seen.resources.items() if arn not in rules}
    references = [each for each in seen.references if each.source not in rules and each.target not in {*rules, *shared}]
    return replace(seen, resources=kept, references=tuple(references))


def keep_says_nothing(seen: Observation) -> Observation:
    return _with_tags(seen, lambda tags: {name: value for name, value in tags.items() if name != KEEP})


def taken_over_is_ecs_still(seen: Observation) -> Observation:
    return _with_tags(seen, lambda tags: {**tags, MANAGED: "true"})


def hosts_are_the_endpoint(seen: Observation) -> Observation:
    rules = {
        arn: replace(each, facts={**each.facts, "hosts": each.facts.get("hosts", "").partition(" ")[0]})
        for arn, each in seen.resources.items()
        if each.kind is Kind.RULE
    }
    return replace(seen, resources={**seen.resources, **rules})


def listeners_of_people_go_along(seen: Observation) -> Observation:
    own = _of_people(seen, Kind.LISTENER)
    return _cut(seen, own | {arn for arn, each in seen.resources.items() if each.facts.get("listener") in own})


def nobody_needs(kind: Kind) -> Callable[[Observation], Observation]:
    """Whoever refers to these does not count."""

    def seen_without(seen: Observation) -> Observation:
        those = {arn for arn, each in seen.resources.items() if each.kind is kind}
        return replace(seen, references=tuple(each for each in seen.references if each.target not in those))

    return seen_without


def _of_people(seen: Observation, kind: Kind) -> set[str]:
    claimed = {claim.resource.arn for claim in seen.claims}
    return {arn for arn, each in seen.resources.items() if each.kind is kind and arn not in claimed}


def _cut(seen: Observation, own: set[str]) -> Observation:
    """Without these, and without what they refer to or is referred to."""
    kept = {arn: each for arn, each in seen.resources.items() if arn not in own}
    references = tuple(each for each in seen.references if each.source not in own and each.target not in own)
    return replace(seen, resources=kept, references=references)


def _with_tags(seen: Observation, change: Callable[[Mapping[str, str]], Mapping[str, Any]]) -> Observation:
    resources = {
        arn: each if each.tags is None else replace(each, tags=dict(change(each.tags)))
        for arn, each in seen.resources.items()
    }
    return replace(seen, resources=resources)


MISTAKES: Mapping[str, Mistake] = {
    "age is death": Mistake("what is old is left behind", owners=age_is_death),
    "names are identities": Mistake("what has the name of a dead service is left behind", owners=names_are_identities),
    "prefixes are names": Mistake("`web-api` is of `web`", owners=prefixes_are_names),
    "unread is nothing": Mistake("a read that failed has found nobody", owners=unknown_is_dead, seen=unread_is_nothing),
    "rules are of the revision": Mistake(
        "what an update did not make anew is left", claims=retired(Kind.RULE), seen=nobody_needs(Kind.RULE)
    ),
    "alarms are of the revision": Mistake(
        "what an update did not make anew is left", claims=retired(Kind.ALARM), seen=nobody_needs(Kind.ALARM)
    ),
    "the dead own what was shared": Mistake(
        "a load balancer goes with the service that is deleted",
        claims=the_dead_own_what_was_shared,
        seen=rules_hold_no_balancer,
        blind=True,
    ),
    "keep says nothing": Mistake("an opt-out is a tag like others", seen=keep_says_nothing),
    "taken over is ECS's still": Mistake("ECS's tag says nothing", seen=taken_over_is_ecs_still),
    "hosts are the endpoint": Mistake("a rule answers for nothing but its service", seen=hosts_are_the_endpoint),
    "listeners go along": Mistake("whoever has a listener on it has gone", seen=listeners_of_people_go_along),
}
