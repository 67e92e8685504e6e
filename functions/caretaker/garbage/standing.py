"""How it stands with the services that the ledger names for a resource: do they allow that it goes?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from caretaker.garbage.detach import MANAGED, is_managed
from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Claim, Identity, Kind, Life, Observation, Owner
from caretaker.garbage.words import several
from caretaker.runtime.clock import BadTime, iso, parse
from caretaker.runtime.policy import GarbagePolicy


@dataclass(frozen=True)
class Keep:
    """What policy keeps.

    Attributes:
        default: for services without an entry.
        services: by service ARN.
    """

    default: GarbagePolicy = field(default_factory=GarbagePolicy)
    services: Mapping[str, GarbagePolicy] = field(default_factory=dict)

    def of(self, service: str) -> GarbagePolicy:
        """What holds for the service of this ARN."""
        return self.services.get(service, self.default)


class Say(StrEnum):
    """What the owners of a resource say."""

    LEFT = "left"
    USED = "used"
    UNKNOWN = "unknown"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Standing:
    """What the owners say, and why in words. Only LEFT allows a deletion."""

    say: Say
    words: str


# Addressed by the service's name: a service created again under that name finds and uses them, whether or not ECS
# tells so in its inventory.
_BY_NAME = (Kind.SCALABLE_TARGET, Kind.SCALING_POLICY)


PLACES = (Kind.LOAD_BALANCER, Kind.LISTENER, Kind.SECURITY_GROUP)
"""Kinds of what ECS shares among services: the next one may be placed on it."""


def newcomers(observation: Observation) -> tuple[str, ...]:
    """ARNs of services that may live and of which no load balancer is known, in order.

    ECS chooses a load balancer for a new service before anything shows it, and AWS deletes a load balancer without a
    look at its rules; so as long as a service has none, it may be about to get any.
    """
    placed = {each.owner for each in observation.references if each.owner and ":loadbalancer/" in each.target}
    owners = observation.owners.values()
    living = {each.identity.arn for each in owners if each.life in (Life.ALIVE, Life.UNKNOWN)}
    return tuple(sorted(living - placed))


def short(arn: str) -> str:
    """A service's `cluster/name` for people."""
    return arn.partition(":service/")[2] or arn


class Owners:
    """The services of an observation, asked about resources."""

    def __init__(self, graph: Graph, keep: Keep, now: datetime, *, mind_newcomers: bool = True) -> None:
        self._graph = graph
        self._keep = keep
        self._now = now
        self._owners = graph.observation.owners
        self._of_arn: dict[str, list[Owner]] = {}
        for owner in graph.observation.owners.values():
            self._of_arn.setdefault(owner.identity.arn, []).append(owner)
        self._said: dict[Identity, Standing] = {}
        self._newcomers = newcomers(graph.observation) if mind_newcomers else ()

    def standing(self, arn: str) -> Standing:
        """What the owners of the resource and of its parts say: LEFT only if all of them do."""
        if not self._graph.claims_of(arn):
            return self._unclaimed(arn)
        together = (arn, *self._graph.parts_of.get(arn, ()))
        claims = [each for part in together for each in self._graph.claims_of(part)]
        claims += [each for part in together for each in self._living_namesakes(part)]
        said = [self._of_claim(claim) for claim in claims]
        if self._newcomers and self._is_place(arn):
            names = several([short(each) for each in self._newcomers])
            said.append(Standing(Say.UNKNOWN, f"{names} may live and has no load balancer yet: it may be placed here"))
        say = min((each.say for each in said), key=lambda each: _ORDER[each])
        return Standing(say, several(list(dict.fromkeys(each.words for each in said if each.say is say))))

    def _is_place(self, arn: str) -> bool:
        return self._graph.is_shared(arn) and self._graph.resources[arn].kind in PLACES

    def _unclaimed(self, arn: str) -> Standing:
        others = self._graph.namesakes_of(arn)
        if others:
            known = ", ".join(sorted({each.resource.created or "an unknown time" for each in others}))
            return Standing(Say.NOBODY, f"the ledger knows one of this name that was created at {known}, not this one")
        words = "no Express service in the ledger made it: nobody knows whose it is"
        resource = self._graph.resources[arn]
        if is_managed(resource):
            words += f"; ECS made it, by its tag {MANAGED}"
        if made_for := resource.facts.get("made_for"):
            words += f", and {short(made_for)}, by its description"
        return Standing(Say.NOBODY, words)

    def _living_namesakes(self, arn: str) -> Sequence[Claim]:
        """Claims on an earlier or later resource of the ARN count as claims on this one unless their owner is dead."""
        others = self._graph.namesakes_of(arn)
        return [each for each in others if not self._dead(each.owner)]

    def _dead(self, identity: Identity) -> bool:
        owner = self._owners.get(identity)
        return owner is not None and owner.life is Life.DEAD

    def _of_claim(self, claim: Claim) -> Standing:
        owner = self._owners.get(claim.owner)
        if owner is None or owner.life is Life.UNKNOWN:
            why = owner.words if owner is not None else "it was not looked for"
            return Standing(Say.UNKNOWN, f"service {short(claim.owner.arn)} may live: {why or 'its state is unknown'}")
        if owner.life is Life.DRAINING:
            return Standing(
                Say.USED, f"service {short(claim.owner.arn)} is draining; ECS deletes what is its own first"
            )
        if owner.life is Life.ALIVE:
            return self._of_living(claim, owner)
        return self._again(claim) or self._of_dead(owner)

    def _of_living(self, claim: Claim, owner: Owner) -> Standing:
        name = short(claim.owner.arn)
        if claim.current:
            return Standing(Say.USED, f"service {name} lives and has it")
        if owner.moving:
            words = f"service {name} lives, and a deployment or rollback of it is in flight that may take it up again"
            return Standing(Say.USED, words)
        return Standing(Say.LEFT, f"service {name} lives, but no revision of it that is active or in flight has it")

    def _again(self, claim: Claim) -> Standing | None:
        """A service created again under the dead one's name may take over what it left."""
        for other in self._of_arn.get(claim.owner.arn, ()):
            if other.identity == claim.owner or other.life is Life.DEAD:
                continue
            words = f"a service of the same name was created again ({other.identity.created})"
            if other.life is not Life.ALIVE:
                return Standing(Say.UNKNOWN, f"{words} and its state is {other.life}: it may take this over")
            if other.moving:
                return Standing(Say.USED, f"{words} and is being deployed: it may take this over")
            if claim.kind in _BY_NAME:
                return Standing(Say.USED, f"{words}: this is addressed by its name")
        return None

    def _of_dead(self, owner: Owner) -> Standing:
        if owner.identity not in self._said:
            self._said[owner.identity] = self._death(owner)
        return self._said[owner.identity]

    def _death(self, owner: Owner) -> Standing:
        name = short(owner.identity.arn)
        try:
            since = parse(owner.since, "since")
        except BadTime:
            return Standing(Say.UNKNOWN, f"service {name} is gone, but nobody knows since when ({owner.since!r})")
        until = since + self._keep.of(owner.identity.arn).grace
        if until >= self._now:
            left = timedelta(seconds=round((until - self._now).total_seconds()))
            words = (
                f"service {name} is gone since {iso(since)}; ECS may still delete this until {iso(until)} ({left} left)"
            )
            return Standing(Say.USED, words)
        return Standing(Say.LEFT, f"service {name} is gone since {iso(since)}")


_ORDER = {Say.USED: 0, Say.UNKNOWN: 1, Say.NOBODY: 2, Say.LEFT: 3}
