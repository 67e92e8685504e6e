"""Whether the record of a deletion proves it, decided from the record alone.

Nothing here asks how the verdict was found: see `walk`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from caretaker.garbage import actions
from caretaker.garbage.graph import BadFact
from caretaker.garbage.model import Kind, Observation, Resource
from caretaker.garbage.proof import BadRecord, Proof, Record, digest, read
from caretaker.garbage.walk import Walk
from caretaker.runtime.clock import iso

_ECHOES = ("load_balancers", "certificates", "default_certificate", "addresses")


def check(record: Record) -> list[str]:
    """What is wrong with the record; empty if it proves the deletion."""
    try:
        proof = read(record)
    except BadRecord as error:
        return [f"the record cannot be read: {error}"]
    found = [] if record.get("digest") == digest(record) else ["digest: the record was changed after it was made"]
    found += _between(proof)
    try:
        for name, sight in (("first", proof.first), ("second", proof.second)):
            found += [f"{name} observation: {words}" for words in Walk(proof, sight).complaints()]
        if proof.act.target in proof.second.observation.resources:
            found += _act(proof)
    except BadFact as error:
        found.append(f"the record is not complete: {error}")
    return list(dict.fromkeys(found))


def _between(proof: Proof) -> Iterator[str]:
    """Two observations, apart, of the same VPC and the same resource."""
    first, second = proof.first.observation, proof.second.observation
    if first.id == second.id:
        yield f"id: both observations are {first.id}"
    if first.scope != second.scope:
        yield f"scope: {first.scope} and {second.scope} are two VPCs"
    for each in (first, second):
        if each.ended < each.began:
            yield f"ended: observation {each.id} ended before it began"
    if second.began - first.ended < proof.apart:
        yield f"began: the observations are {second.began - first.ended} apart, {proof.apart} is wanted"
    for sight in (proof.first, proof.second):
        if sight.judged < sight.observation.ended:
            yield f"judged: {iso(sight.judged)} is before observation {sight.observation.id} ended"
    before, after = first.resources.get(proof.act.target), second.resources.get(proof.act.target)
    if before is None or after is None:
        yield f"target: {proof.act.target} was not observed twice"
    elif _essence(before) != _essence(after):
        yield f"target: {proof.act.target} changed between the observations"


def _essence(resource: Resource) -> tuple[Any, ...]:
    facts = {name: value for name, value in resource.facts.items() if name not in _ECHOES}
    return resource.identity, resource.kind, dict(resource.tags or {}), facts


def _act(proof: Proof) -> Iterator[str]:
    """The call deletes the target, or removes a reference to it, and nothing else."""
    seen, act = proof.second.observation, proof.act
    target = seen.resources[act.target]
    if target.kind not in actions.RANK:
        yield f"act: a {target.kind} is never deleted by a call of its own"
        return
    allowed = [actions.deletion(target)]
    if target.kind is Kind.TASK_DEFINITION:
        allowed.append(actions.deregistration(target))
    if act.resource != act.target:
        allowed = list(_removals(seen, act.resource, act.target))
    if (act.action, dict(act.params)) not in [(action, dict(params)) for action, params in allowed]:
        yield f"act: {act.action} {dict(act.params)} is not what the record proves"
    for taken in act.takes:
        if not _goes_along(seen, taken, act.target):
            yield f"takes: {taken} does not go with {act.target}"


def _removals(seen: Observation, holder: str, target: str) -> Iterator[actions.Call]:
    for each in seen.references:
        if each.target != target or holder not in (each.source, each.part_of):
            continue
        if each.source_kind is Kind.SECURITY_GROUP_RULE:
            yield actions.revocation(each)
        elif each.via == "listed":
            yield actions.unlisting(holder, target)
        elif each.via == "default":
            others = [o.target for o in seen.references if o.source == holder and o.via == "listed"]
            yield from (actions.swap(holder, other) for other in others if other != target)


def _goes_along(seen: Observation, taken: str, target: str) -> bool:
    resource = seen.resources.get(taken)
    if resource is None:
        return False
    above = (resource.facts.get(name) for name in ("load_balancer", "policy", "listener"))
    return any(each == target or (each and _goes_along(seen, each, target)) for each in above)
