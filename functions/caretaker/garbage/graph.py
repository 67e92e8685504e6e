"""Who refers to whom, in one observation.

A reference is an edge from its referrer to what it refers to. Some edges are not told by any reference and are drawn
here, so that no reader of AWS can forget one:

- a rule lies in its listener, and a listener on its load balancer: a rule holds both;
- a listener goes with its load balancer and only with it, so the load balancer holds its listeners too;
- a rule whose host header names a domain of a certificate on its listener uses that certificate;
- a scaling policy and a scheduled action lie on their scalable target, which takes them along when it goes.

What is a *part* of something else (the default rule of a listener, the network interface that ELB made for a load
balancer, a rule of a security group, an alarm of a target tracking policy) stands and falls with its whole: whoever
refers to the part holds the whole, and what the part refers to is held by the whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from caretaker.garbage.model import Claim, Identity, Kind, Observation, Reference, Resource

_ON_SCALABLE_TARGET = (Kind.SCALING_POLICY, Kind.SCHEDULED_ACTION)


class BadFact(ValueError):
    """A resource lacks a fact without which nothing can be proven. `str()` names resource and fact."""


@dataclass(frozen=True)
class Balancers:
    """The load balancers of a VPC and their listeners, by ARN, in order."""

    balancers: tuple[str, ...]
    listeners: tuple[str, ...]


class Graph:
    """References of an observation, both ways, with parts counted as their wholes. Building it is linear.

    Attributes:
        observation: what it is drawn from.
        resources: by ARN.
        listeners_of: ARNs of a load balancer's listeners, by its ARN.
        rules_of: ARNs of a listener's rules except its default rule, by its ARN.
        parts_of: ARNs of the parts of a resource, by its ARN.
        balancer_targets: ARNs of the target groups whose targets are load balancers, in order.
    """

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        self.resources: Mapping[str, Resource] = observation.resources
        self.listeners_of: dict[str, list[str]] = defaultdict(list)
        self.rules_of: dict[str, list[str]] = defaultdict(list)
        self.parts_of: dict[str, list[str]] = defaultdict(list)
        self._whole: dict[str, str] = {}
        self._balancers: dict[str, Balancers] = {}
        self._into: dict[str, list[Reference]] = defaultdict(list)
        self._out_of: dict[str, list[Reference]] = defaultdict(list)
        self._claims: dict[str, list[Claim]] = defaultdict(list)
        self._place(observation.resources.values())
        for reference in self._every_reference():
            self._into[self.whole_of(reference.target)].append(reference)
            self._out_of[self.holder_of(reference)].append(reference)
        self._told: dict[str, dict[Reference, None]] = defaultdict(dict)
        for reference in observation.references:
            self._told[self.whole_of(reference.target)][reference] = None
        for claim in observation.claims:
            self._claims[claim.resource.arn].append(claim)
        groups = self._of(Kind.TARGET_GROUP)
        self.balancer_targets = tuple(sorted(g.arn for g in groups if g.facts.get("target_type") == "alb"))

    # --- asking ------------------------------------------------------------------------------------------------------

    def whole_of(self, arn: str) -> str:
        """What the resource is a part of; itself where it stands alone."""
        return self._whole.get(arn, arn)

    def holder_of(self, reference: Reference) -> str:
        """ARN or id of what would have to go for the reference to go."""
        return self.whole_of(reference.holder)

    def referrers_of(self, arn: str) -> tuple[Reference, ...]:
        """All references to the resource and its parts, except its own to itself."""
        whole = self.whole_of(arn)
        return tuple(each for each in self._into.get(whole, ()) if self.holder_of(each) != whole)

    def told_to(self, arn: str) -> tuple[Reference, ...]:
        """The references to the resource and its parts that were read, those of its own and those told twice too."""
        return tuple(self._told.get(self.whole_of(arn), ()))

    def is_told(self, reference: Reference) -> bool:
        """Whether the reference was read; the others follow from facts."""
        return reference in self._told.get(self.whole_of(reference.target), ())

    def refers_to(self, arn: str) -> tuple[Reference, ...]:
        """All references of the resource and its parts to others."""
        whole = self.whole_of(arn)
        return tuple(each for each in self._out_of.get(whole, ()) if self.whole_of(each.target) != whole)

    def claims_of(self, arn: str) -> tuple[Claim, ...]:
        """The ledger's entries that name this very resource: ARN and creation time."""
        resource = self.resources.get(arn)
        return tuple(each for each in self._claims.get(arn, ()) if resource and each.resource == resource.identity)

    def namesakes_of(self, arn: str) -> tuple[Claim, ...]:
        """The ledger's entries that name another resource of the same ARN: an earlier or a later one."""
        exact = self.claims_of(arn)
        return tuple(each for each in self._claims.get(arn, ()) if each not in exact)

    def owners_of(self, arn: str) -> tuple[Identity, ...]:
        """The services that the ledger names for the resource, each once, in order."""
        return tuple(sorted({claim.owner for claim in self.claims_of(arn)}))

    def is_shared(self, arn: str) -> bool:
        """Whether ECS made the resource for all services of a VPC and scheme."""
        return any(claim.shared for claim in self.claims_of(arn))

    def balancers_of(self, vpc: str) -> Balancers:
        """Where a target group of the VPC can be: a load balancer forwards only within its own VPC. What lies in no
        VPC, like a certificate, can be anywhere."""
        if vpc not in self._balancers:
            found = sorted(each.arn for each in self._of(Kind.LOAD_BALANCER) if not vpc or each.vpc in (vpc, ""))
            listeners = sorted(listener for balancer in found for listener in self.listeners_of.get(balancer, ()))
            self._balancers[vpc] = Balancers(tuple(found), tuple(listeners))
        return self._balancers[vpc]

    # --- drawing -----------------------------------------------------------------------------------------------------

    def _place(self, resources: Iterable[Resource]) -> None:
        """Which resource lies where, by the facts of rules and listeners and by alarms of scaling policies."""
        for resource in resources:
            if resource.kind is Kind.LISTENER:
                self.listeners_of[fact(resource, "load_balancer")].append(resource.arn)
            elif resource.kind is Kind.RULE:
                listener = fact(resource, "listener")
                if resource.facts.get("default") == "true":
                    self._join(resource.arn, listener)
                else:
                    self.rules_of[listener].append(resource.arn)
            elif resource.kind is Kind.ALARM and resource.facts.get("policy") in self.resources:
                self._join(resource.arn, resource.facts["policy"])
        for reference in self.observation.references:
            if reference.part_of and reference.source in self.resources:
                self._join(reference.source, reference.part_of)

    def _join(self, part: str, whole: str) -> None:
        if part not in self._whole:
            self._whole[part] = whole
            self.parts_of[whole].append(part)

    def _every_reference(self) -> Iterator[Reference]:
        explained = {
            (self.resources[each.source].facts.get("load_balancer"), each.target)
            for each in self.observation.references
            if each.source_kind is Kind.LISTENER and each.source in self.resources
        }
        for each in self.observation.references:
            # ACM names the load balancer where ELB names the listener: one reference, told twice.
            if each.source_kind is not Kind.LOAD_BALANCER or (each.source, each.target) not in explained:
                yield each
        yield from self._containment()
        yield from self._hosts()

    def _containment(self) -> Iterator[Reference]:
        for listener, rules in self.rules_of.items():
            for rule in rules:
                yield Reference(rule, Kind.RULE, listener, "is a rule of it")
        for balancer, listeners in self.listeners_of.items():
            for listener in listeners:
                yield Reference(listener, Kind.LISTENER, balancer, "is a listener of it")
                yield Reference(
                    balancer, Kind.LOAD_BALANCER, listener, "is its load balancer, with which alone it goes"
                )
        targets = {_scaled(each): each.arn for each in self._of(Kind.SCALABLE_TARGET)}
        for kind in _ON_SCALABLE_TARGET:
            for each in self._of(kind):
                if each.facts.get("resource_id") and _scaled(each) in targets:
                    yield Reference(each.arn, kind, targets[_scaled(each)], f"is a {kind} of it, deleted along with it")

    def _hosts(self) -> Iterator[Reference]:
        """Rules whose host header names a domain of a certificate on their listener."""
        served: dict[str, set[str]] = defaultdict(set)
        for each in self.observation.references:
            target = self.resources.get(each.target)
            if each.source_kind is Kind.LISTENER and target and target.kind is Kind.CERTIFICATE:
                served[each.source].add(each.target)
        for listener, certificates in served.items():
            names = [(name, arn) for arn in sorted(certificates) for name in _words(self.resources[arn], "names")]
            for rule in self.rules_of.get(listener, ()):
                hosts = _words(self.resources[rule], "hosts")
                for arn in sorted({arn for name, arn in names if any(_same_host(host, name) for host in hosts)}):
                    yield Reference(rule, Kind.RULE, arn, "asks in its host header for a domain of it")

    def _of(self, kind: Kind) -> list[Resource]:
        return [each for each in self.resources.values() if each.kind is kind]


def fact(resource: Resource, name: str) -> str:
    """A fact that must be there. Raises `BadFact`."""
    value = resource.facts.get(name)
    if not value:
        raise BadFact(f"{resource.kind} {resource.arn}: the fact `{name}` is missing")
    return value


def _scaled(resource: Resource) -> tuple[str, str]:
    return resource.facts.get("resource_id", ""), resource.facts.get("dimension", "")


def _words(resource: Resource, name: str) -> list[str]:
    return resource.facts.get(name, "").lower().split()


def _same_host(host: str, name: str) -> bool:
    """Whether a host header's value and a certificate's domain name can mean the same host; `*` and `?` in both."""
    if host == name:
        return True
    return (_pattern(host) and fnmatchcase(name, host)) or (_pattern(name) and fnmatchcase(host, name))


def _pattern(text: str) -> bool:
    return "*" in text or "?" in text
