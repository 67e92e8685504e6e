"""The part of an observation on which one deletion rests.

A slice is an observation itself, small enough to be kept with the deletion: the resource, everything through which it
could be held (its referrers, their referrers, and so on, all of them garbage), what they lie in, who claims them, and
the readings that could have shown another referrer. Whoever judges the slice alone comes to the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from caretaker.garbage.detach import is_loose
from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Claim, Identity, Kind, Life, Observation, Owner, Reading, Reference, Resource
from caretaker.garbage.standing import PLACES
from caretaker.garbage.verdict import Judgement

_OUTLINE = ("load_balancer", "protocol", "target_type")


def members(judged: Judgement, arn: str) -> tuple[str, ...]:
    """The garbage through which the resource could be held, itself included: closed under `is referred to by`."""
    graph, found, left = judged.graph, {arn}, [arn]
    while left:
        for each in graph.referrers_of(left.pop()):
            holder = graph.holder_of(each)
            if holder not in found and holder in judged.garbage and not is_loose(graph, each):
                found.add(holder)
                left.append(holder)
    return tuple(sorted(found))


def cut(judged: Judgement, arn: str) -> Observation:
    """The slice of the observation for one resource."""
    graph = judged.graph
    inside = members(judged, arn)
    edges = tuple(dict.fromkeys(_edges(graph, inside)))
    told = {each for each in edges if graph.is_told(each)} | set(_placed(graph, inside))
    whole = {*inside, *_parts(graph, inside), *_ends(graph, edges)}
    resources = {each: graph.resources[each] for each in sorted(whole) if each in graph.resources}
    claims = tuple(sorted(_claims(graph, resources), key=lambda each: (each.resource, each.owner)))
    for each in sorted(_frame(graph, inside) - whole):
        resources[each] = _outline(graph.resources[each])
    return replace(
        graph.observation,
        resources=resources,
        references=tuple(sorted(told)),
        readings=tuple(sorted(set(_readings(judged, inside)))),
        owners=_owners(graph, claims),
        claims=claims,
    )


def _parts(graph: Graph, arns: Iterable[str]) -> Iterator[str]:
    for arn in arns:
        yield from graph.parts_of.get(arn, ())


def _edges(graph: Graph, inside: tuple[str, ...]) -> Iterator[Reference]:
    """All to the members, what their rules and listeners forward to, what their scaling policies lie on, and what tells
    whether a reference may be removed."""
    for arn in inside:
        yield from graph.told_to(arn)
        yield from graph.referrers_of(arn)
        scales = graph.resources[arn].kind is Kind.SCALING_POLICY
        yield from (each for each in graph.refers_to(arn) if scales or each.via == "forward")
        for each in graph.referrers_of(arn):
            holder = graph.holder_of(each)
            if each.via == "default":
                yield from (one for one in graph.refers_to(holder) if one.via == "listed")
            if each.via in ("default", "listed", "egress"):
                yield from (one for one in graph.referrers_of(holder) if one.source_kind is Kind.STACK)
                yield from _of_stack_of_balancer(graph, holder)


def _placed(graph: Graph, inside: tuple[str, ...]) -> Iterator[Reference]:
    """For each service one reference to its load balancer, where it matters that it has one."""
    if not any(graph.is_shared(arn) and graph.resources[arn].kind in PLACES for arn in inside):
        return
    seen: set[str] = set()
    for each in sorted(graph.observation.references):
        if each.owner and each.owner not in seen and ":loadbalancer/" in each.target:
            seen.add(each.owner)
            yield each


def _of_stack_of_balancer(graph: Graph, holder: str) -> Iterator[Reference]:
    resource = graph.resources.get(holder)
    if resource is not None and resource.kind is Kind.LISTENER:
        above = graph.referrers_of(resource.facts["load_balancer"])
        yield from (one for one in above if one.source_kind is Kind.STACK)


def _ends(graph: Graph, edges: Iterable[Reference]) -> Iterator[str]:
    """Resources at both ends, and what they lie in."""
    for each in edges:
        for arn in (each.source, each.target, each.part_of):
            resource = graph.resources.get(arn)
            if resource is not None:
                yield from _within(graph, resource)


def _within(graph: Graph, resource: Resource) -> Iterator[str]:
    yield resource.arn
    for name in ("listener", "load_balancer"):
        above = graph.resources.get(resource.facts.get(name, ""))
        if above is not None:
            yield from _within(graph, above)


def _frame(graph: Graph, inside: tuple[str, ...]) -> set[str]:
    """Load balancers and listeners of the VPCs, of each of which something had to be read."""
    vpcs = sorted({graph.resources[arn].vpc for arn in inside})
    found = {arn for vpc in vpcs for arn in (*graph.balancers_of(vpc).balancers, *graph.balancers_of(vpc).listeners)}
    return found | set(graph.balancer_targets)


def _outline(resource: Resource) -> Resource:
    """No more than that it is there and where."""
    facts = {name: resource.facts[name] for name in _OUTLINE if name in resource.facts}
    return Resource(resource.identity, resource.kind, resource.vpc, facts=facts)


def _claims(graph: Graph, resources: Iterable[str]) -> Iterator[Claim]:
    for arn in resources:
        yield from (*graph.claims_of(arn), *graph.namesakes_of(arn))


def _owners(graph: Graph, claims: Iterable[Claim]) -> dict[Identity, Owner]:
    """Those that claim something, their namesakes, and all of which revisions had to be read."""
    claiming = {claim.owner.arn for claim in claims}
    known = graph.observation.owners
    return {i: known[i] for i in sorted(known) if i.arn in claiming or known[i].life is not Life.DEAD}


def _readings(judged: Judgement, inside: tuple[str, ...]) -> Iterator[Reading]:
    for arn in (*inside, *_parts(judged.graph, inside)):
        if arn in judged.graph.resources:
            yield from judged.readings.used(judged.graph.resources[arn])
