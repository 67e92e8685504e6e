"""What was read, put together: names become ARNs, the ledger meets what ECS says, and the suspects are told apart.

Plain functions of a sheet; nothing here meets AWS.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from caretaker.garbage import express
from caretaker.garbage.model import Claim, Identity, Kind, Life, Observation, Owner, Read, Reference, Resource
from caretaker.garbage.sheet import Sheet

Json = Mapping[str, Any]

_BY_NAME = "ecs:DescribeServices"
_ALIVE_FIRST = ("ACTIVE", "DRAINING", "INACTIVE", "MISSING")
# Kinds that are reported and never looked up.
_REPORTED = (Kind.ROLE, Kind.REPOSITORY)


def observation(sheet: Sheet, name: str, began: datetime, ended: datetime) -> Observation:
    """The observation that the sheet comes to."""
    resources = _resources(sheet)
    references = list(_resolved(sheet))
    references += _unexplained(sheet, resources, references)
    return Observation(
        id=name,
        began=began,
        ended=ended,
        scope=sheet.vpc,
        resources=resources,
        references=tuple(sorted(dict.fromkeys(references))),
        readings=tuple(sorted(sheet.readings.values())),
        owners=owners(sheet),
        claims=tuple(sheet.claims),
    )


# --- services --------------------------------------------------------------------------------------------------------


def owners(sheet: Sheet) -> dict[Identity, Owner]:
    """Every Express service that is known, with how it stands: those of the ledger, and those that ECS lists."""
    found = {each.identity: _judged(sheet, each) for each in sheet.owners}
    for arn, known in sheet.services.items():
        if known.get("express") and known.get("created"):
            identity = Identity(arn, known["created"])
            if identity not in found and known.get("status") != "INACTIVE":
                found[identity] = _judged(sheet, Owner(identity, Life.UNKNOWN))
    return {identity: found[identity] for identity in sorted(found)}


def _judged(sheet: Sheet, owner: Owner) -> Owner:
    """How it stands with a service, by what ECS said in this observation, or what the ledger knows of its death.

    A death that is news is known since the last part was read, never since before ECS was asked.
    """
    life, words = _life(sheet, owner)
    moving = bool(sheet.services.get(owner.identity.arn, {}).get("moving")) and life is not Life.DEAD
    if life is Life.DEAD:
        return replace(owner, life=life, since=owner.since or sheet.at, moving=False, words=words)
    return replace(owner, life=life, since="", moving=moving, words=words)


def _life(sheet: Sheet, owner: Owner) -> tuple[Life, str]:
    arn, created = owner.identity.arn, owner.identity.created
    known = sheet.services.get(arn, {})
    if not known.get("told"):
        if owner.life is Life.DEAD:
            return Life.DEAD, owner.words
        reading = sheet.readings.get((_BY_NAME, arn)) or sheet.readings.get((_BY_NAME, express.cluster_of(arn)))
        why = reading.reason if reading and reading.status is not Read.WHOLE else "ECS was not asked about it"
        return Life.UNKNOWN, f"it could not be read: {why}"
    status = _status(known)
    if status == "MISSING":
        return Life.DEAD, "ECS does not know it any more"
    if status == "INACTIVE":
        return Life.DEAD, "ECS says that it is INACTIVE"
    # One ARN has one living service at a time, and only DescribeExpressGatewayService's creation time is the ledger's.
    now = known.get("created", "")
    if now and created and now > created:
        return Life.DEAD, f"ECS knows a later service of that name, created at {now}"
    if now != created:
        return Life.UNKNOWN, f"ECS knows a service of that name that was created at {now or 'an unknown time'}"
    if owner.life is Life.DEAD:
        return Life.UNKNOWN, f"the ledger knows it as dead ({owner.words}), and ECS says that it is {status}"
    if status == "ACTIVE":
        return Life.ALIVE, "ECS says that it is ACTIVE"
    if status == "DRAINING":
        return Life.DRAINING, "ECS says that it is DRAINING"
    return Life.UNKNOWN, f"ECS says that it is {status or 'in no state'}"


def _status(known: Json) -> str:
    """What ECS says; of two answers the one that is more alive, and one that nobody knows before all."""
    told = {str(known[name]) for name in ("status", "by_name") if known.get(name)}
    told |= {"MISSING"} if known.get("missing") else set()
    strange = sorted(told - set(_ALIVE_FIRST))
    return next(iter((*strange, *(each for each in _ALIVE_FIRST if each in told))), "")


# --- suspects --------------------------------------------------------------------------------------------------------


def suspects(sheet: Sheet) -> dict[str, Kind]:
    """Resources that may be garbage as far as their owners go, by ARN: what is asked about each alone is only asked
    about these."""
    known = owners(sheet)
    left: dict[str, bool] = {}
    kinds: dict[str, Kind] = {}
    for claim in sheet.claims:
        arn = claim.resource.arn
        owner = known.get(claim.owner)
        lets_go = owner is not None and (
            owner.life is Life.DEAD or (owner.life is Life.ALIVE and not owner.moving and not claim.current)
        )
        left[arn] = left.get(arn, True) and lets_go
        kinds[arn] = claim.kind
    found = {arn: kinds[arn] for arn, alone in left.items() if alone and kinds[arn] not in _REPORTED}
    # ECS's inventory does not name the alarms of a target tracking policy, which stand and fall with it.
    found |= {alarm: Kind.ALARM for alarm, policy in sheet.tracking.items() if policy in found}
    if not sheet.deep:
        found = {arn: kind for arn, kind in found.items() if kind not in (Kind.TASK_DEFINITION, Kind.CLUSTER)}
    return found


# --- resources and references ----------------------------------------------------------------------------------------


def _resources(sheet: Sheet) -> dict[str, Resource]:
    found = dict(sheet.resources)
    for claim in sheet.claims:
        if claim.resource.arn not in found and (claim.kind in _REPORTED or _unread(sheet, claim)):
            name = claim.resource.arn.rpartition("/")[2]
            found[claim.resource.arn] = Resource(claim.resource, claim.kind, name=name)
    addresses = _addresses(sheet)
    for arn, each in found.items():
        facts = dict(each.facts)
        if each.kind is Kind.LOAD_BALANCER:
            facts["addresses"] = " ".join(sorted(addresses.get(arn, ())))
        if each.kind is Kind.ALARM and arn in sheet.tracking:
            facts["policy"] = sheet.tracking[arn]
        found[arn] = replace(each, facts=facts, tags=sheet.tags.get(arn, each.tags))
    return {arn: found[arn] for arn in sorted(found)}


def _unread(sheet: Sheet, claim: Claim) -> bool:
    """A kind of resource that is not read unless policy may let it go: it is shown as far as the ledger knows it."""
    return claim.kind is Kind.TASK_DEFINITION and not sheet.deep


def _addresses(sheet: Sheet) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for known in sheet.interfaces.values():
        if len(known) == 2 and known[0] in sheet.names:
            found[sheet.names[known[0]]].append(known[1])
    return found


def _resolved(sheet: Sheet) -> Iterator[Reference]:
    """References with ARNs in place of names. What a name means that no reading showed is nothing in this VPC."""
    by_family: dict[str, list[str]] = defaultdict(list)
    for resource in sheet.resources.values():
        if resource.kind is Kind.TASK_DEFINITION:
            by_family[resource.arn.rpartition(":")[0]].append(resource.arn)
    for each in sheet.references:
        part_of = sheet.names.get(each.part_of, each.part_of)
        if not part_of.startswith("arn:"):
            part_of = each.part_of if each.source_kind is Kind.SECURITY_GROUP_RULE else ""
        owner = each.owner or next(iter(sheet.interfaces.get(each.source, [""])), "")
        owner = owner if owner.startswith("arn:") else ""
        target = sheet.names.get(each.target, each.target)
        # A task definition that is named without its revision stands for each of them.
        for arn in by_family.get(target, [target]):
            if arn.startswith("arn:"):
                yield replace(each, target=arn, part_of=part_of, owner=owner)


def _unexplained(sheet: Sheet, resources: Mapping[str, Resource], references: Iterable[Reference]) -> list[Reference]:
    """Load balancers that a target group names, although no rule and no listener forwards to it. Where not all of a
    load balancer's rules were read, that is the doubt, and says more."""
    forwarding: dict[str, set[str]] = defaultdict(set)
    for each in references:
        if each.via == "forward":
            forwarding[each.target].add(_balancer_of(resources, each.source))
    read = _read_whole(sheet, resources)
    found = []
    for arn, resource in resources.items():
        if resource.kind is Kind.TARGET_GROUP:
            named = set(resource.facts.get("load_balancers", "").split())
            for balancer in sorted(named - forwarding[arn]):
                if read.get(balancer, sheet.whole("elasticloadbalancing:DescribeLoadBalancers", "")):
                    how = "is named by it as its load balancer, though no rule that was read forwards to it"
                    found.append(Reference(balancer, Kind.LOAD_BALANCER, arn, how))
    return found


def _read_whole(sheet: Sheet, resources: Mapping[str, Resource]) -> dict[str, bool]:
    """Whether all rules of a load balancer were read, by the ARN of each that was found."""
    balancers = [each.arn for each in resources.values() if each.kind is Kind.LOAD_BALANCER]
    read = {arn: sheet.whole("elasticloadbalancing:DescribeListeners", arn) for arn in balancers}
    for each in resources.values():
        if each.kind is Kind.LISTENER and not sheet.whole("elasticloadbalancing:DescribeRules", each.arn):
            read[each.facts["load_balancer"]] = False
    return read


def _balancer_of(resources: Mapping[str, Resource], source: str) -> str:
    """The load balancer of a listener or rule; empty where it is not known."""
    resource = resources.get(source)
    if resource is None:
        return ""
    if resource.kind is Kind.RULE:
        resource = resources.get(resource.facts.get("listener", ""))
    return resource.facts.get("load_balancer", "") if resource else ""
