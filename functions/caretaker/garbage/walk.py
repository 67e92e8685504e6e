"""One observation of a record, walked from the deleted resource to whoever refers to it, and on to who refers to those.

The verdict takes everything for garbage and strikes out what is held; this wants of each one on its way that it may go.
The two agree on the table of needed readings and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from caretaker.garbage.graph import fact
from caretaker.garbage.model import Claim, Kind, Life, Owner, Read, Reference, Resource
from caretaker.garbage.needs import NEEDS, TAGS, WITHOUT, Need, Scope
from caretaker.garbage.proof import Proof, Sight
from caretaker.runtime.clock import BadTime, parse

_UNTAGGED = (Kind.SCALING_POLICY, Kind.TASK_DEFINITION, Kind.CLUSTER)
_BY_POLICY = {
    Kind.CERTIFICATE: "certificates",
    Kind.LOG_GROUP: "log_groups",
    Kind.TASK_DEFINITION: "task_definitions",
    Kind.CLUSTER: "clusters",
}


class Walk:
    """One observation, walked from the target to everything through which it could be held."""

    def __init__(self, proof: Proof, sight: Sight) -> None:
        self._proof = proof
        self._seen = sight.observation
        self._judged = sight.judged
        self._resources = sight.observation.resources

    def complaints(self) -> Iterator[str]:
        """Everything that is not as a deletion needs it."""
        queue = [self._proof.act.target]
        for arn in queue:
            resource = self._resources.get(arn)
            if resource is None:
                yield f"{arn} is referred to through it, and the record does not know it"
                continue
            together = [resource, *self._parts(arn)]
            yield from self._mine(resource, together)
            for each in together:
                yield from self._reading(each)
                yield from self._kept(each)
            for reference, holder in self._referrers([each.arn for each in together]):
                if holder in queue or self._removable(reference, resource):
                    continue
                queue.append(holder)
                if holder not in self._resources or self._resources[holder].kind not in NEEDS:
                    yield f"{reference.source_kind} {reference.source} refers to {arn}: {reference.how}"

    # --- whose it is -------------------------------------------------------------------------------------------------

    def _mine(self, resource: Resource, together: list[Resource]) -> Iterator[str]:
        exact = [claim for claim in self._seen.claims if claim.resource == resource.identity]
        if not exact:
            yield f"{resource.arn}: no claim names it as created at {resource.identity.created or 'no known time'}"
        arns = {each.arn for each in together}
        for claim in self._seen.claims:
            if claim.resource.arn in arns:
                known = any(claim.resource == each.identity for each in together)
                yield from self._owner(claim, known)
        yield from self._other_work(resource, exact)
        if resource.kind in (Kind.LOAD_BALANCER, Kind.LISTENER, Kind.SECURITY_GROUP) and self._shared(resource):
            for owner in self._seen.owners.values():
                if owner.life in (Life.ALIVE, Life.UNKNOWN) and not self._has_balancer(owner.identity.arn):
                    yield f"{resource.arn}: {owner.identity.arn} may be placed on it, which has no load balancer yet"

    def _has_balancer(self, service: str) -> bool:
        return any(each.owner == service and ":loadbalancer/" in each.target for each in self._seen.references)

    def _owner(self, claim: Claim, known: bool) -> Iterator[str]:
        owner = self._seen.owners.get(claim.owner)
        whose = f"{claim.resource.arn} is claimed by {claim.owner.arn} ({claim.owner.created})"
        if owner is None:
            yield f"{whose}, of which nothing is known"
        elif owner.life is Life.ALIVE and (claim.current or owner.moving):
            yield f"{whose}, which lives"
        elif owner.life in (Life.DRAINING, Life.UNKNOWN):
            yield f"{whose}, which is {owner.life}"
        elif owner.life is Life.DEAD and known:
            yield from self._death(owner, whose)
            yield from self._again(owner, claim.kind, whose)

    def _death(self, owner: Owner, whose: str) -> Iterator[str]:
        policy = self._proof.policies.get(owner.identity.arn)
        if policy is None:
            yield f"{whose}, and no policy of it is recorded"
            return
        try:
            since = parse(owner.since, "since")
        except BadTime as error:
            yield f"{whose}: {error}"
            return
        if self._judged - since <= policy.grace:
            yield f"{whose}, which is gone since {owner.since} only"

    def _again(self, owner: Owner, kind: Kind, whose: str) -> Iterator[str]:
        for other in self._seen.owners.values():
            if other.identity.arn != owner.identity.arn or other.life is Life.DEAD or other.identity == owner.identity:
                continue
            settled = other.life is Life.ALIVE and not other.moving
            if not settled or kind in (Kind.SCALABLE_TARGET, Kind.SCALING_POLICY):
                yield f"{whose}, and a service of its name ({other.identity.created}) may have taken it over"

    def _other_work(self, resource: Resource, claims: list[Claim]) -> Iterator[str]:
        if resource.kind not in (Kind.RULE, Kind.LISTENER):
            return
        usual = {"forward"} if resource.kind is Kind.RULE else {"forward", "fixed-response"}
        given = resource.facts.get("actions", "").split()
        if not given or set(given) - usual:
            yield f"{resource.arn}: its actions are {given}"
        strange = [host for host in resource.facts.get("hosts", "").split() if not host.endswith(".on.aws")]
        if strange:
            yield f"{resource.arn} answers for {strange}"
        owners = {claim.owner for claim in claims}
        for each in self._seen.references:
            if each.via == "forward" and self._whole(each.part_of or each.source) == resource.arn:
                group = self._resources.get(each.target)
                own = group and any(c.resource == group.identity and c.owner in owners for c in self._seen.claims)
                if not own:
                    yield f"{resource.arn} forwards to {each.target}, which is not its service's"
            if each.via in ("listed", "default") and each.source == resource.arn:
                served = self._resources.get(each.target)
                if not served or not any(c.resource == served.identity for c in self._seen.claims):
                    yield f"{resource.arn} has {each.target}, which no Express service brought"

    # --- what keeps it -----------------------------------------------------------------------------------------------

    def _kept(self, resource: Resource) -> Iterator[str]:
        tags = dict(resource.tags or {})
        if resource.kind is Kind.SCALING_POLICY:
            for each in self._resources.values():
                if each.kind is Kind.SCALABLE_TARGET and _same_scaling(each, resource):
                    tags |= dict(each.tags or {})
        for tag in ("caretaker:keep", "aws:cloudformation:stack-id"):
            if tag in tags:
                yield f"{resource.arn} has the tag {tag}"
        untagged = resource.kind in _UNTAGGED or "policy" in resource.facts or resource.facts.get("default") == "true"
        if not untagged and tags.get("AmazonECSManaged", "").lower() != "true":
            yield f"{resource.arn} is not managed by ECS any more"
        if resource.facts.get("protected") == "true":
            yield f"{resource.arn} is protected against deletion"
        yield from self._kept_by_policy(resource)

    def _kept_by_policy(self, resource: Resource) -> Iterator[str]:
        name = _BY_POLICY.get(resource.kind)
        for claim in self._seen.claims:
            policy = self._proof.policies.get(claim.owner.arn)
            if claim.resource == resource.identity and (policy is None or policy.keep):
                yield f"{resource.arn}: policy keeps what {claim.owner.arn} leaves"
            elif claim.resource == resource.identity and name and getattr(policy, name) != "delete":
                yield f"{resource.arn}: policy keeps {name} of {claim.owner.arn}"

    # --- what was read -----------------------------------------------------------------------------------------------

    def _reading(self, resource: Resource) -> Iterator[str]:
        """Every needed reading is there and whole; and tags and protection were read."""
        is_part = self._whole(resource.arn) != resource.arn
        if resource.kind in TAGS and resource.tags is None and not is_part:
            yield f"{resource.arn}: its tags were not read"
        if resource.kind is Kind.LOAD_BALANCER and resource.facts.get("protected") != "false":
            yield f"{resource.arn}: nothing says that it is not protected"
        if resource.facts.get("default") == "true" and resource.kind is Kind.RULE:
            return
        for need in NEEDS.get(resource.kind, ()):
            if is_part and need.scope is Scope.ITSELF:
                continue
            scopes = [s for s in self._scopes(need, resource) if not need.after or self._items(need.after, s)]
            for scope in scopes:
                made = [r for r in self._seen.readings if r.operation == need.operation and r.scope == scope]
                if not made and need.scope is Scope.VPC:
                    made = [r for r in self._seen.readings if r.operation == need.operation and not r.scope]
                if not made or any(r.status is not Read.WHOLE for r in made):
                    yield f"{resource.arn}: {need.operation} of {scope or 'the account'} was not read whole"
            if need.scope is Scope.EACH and not need.after and len(scopes) < self._items(need.each, ""):
                yield f"{resource.arn}: {need.operation} was read for {len(scopes)} items, {need.each} gave more"

    def _items(self, operation: str, scope: str) -> int:
        return max((r.items for r in self._seen.readings if (r.operation, r.scope) == (operation, scope)), default=0)

    def _scopes(self, need: Need, resource: Resource) -> list[str]:
        fixed = {
            Scope.ACCOUNT: "",
            Scope.ITSELF: resource.arn,
            Scope.VPC: resource.vpc,
            Scope.ITS_LISTENER: resource.facts.get("listener", ""),
            Scope.ITS_BALANCER: resource.facts.get("load_balancer", ""),
        }
        if need.scope in fixed:
            return [fixed[need.scope]]
        if need.scope is Scope.SERVICES:
            living = {o.identity.arn for o in self._seen.owners.values() if o.life is not Life.DEAD}
            dead = {owner.arn for owner in self._seen.owners} - living
            return sorted(living | {r.scope for r in self._seen.readings if r.operation == need.operation} - dead)
        if need.scope is Scope.EACH:
            operation = need.after or need.operation
            return sorted({r.scope for r in self._seen.readings if r.operation == operation})
        return sorted(each.arn for each in self._resources.values() if self._is_asked(each, need, resource))

    def _is_asked(self, each: Resource, need: Need, resource: Resource) -> bool:
        """Whether the needed operation is asked about this load balancer, listener or target group."""
        if need.scope is Scope.BALANCER_TARGETS:
            return each.kind is Kind.TARGET_GROUP and each.facts.get("target_type") == "alb"
        if need.scope is Scope.BALANCERS:
            return each.kind is Kind.LOAD_BALANCER and _can_reach(each, resource)
        if each.kind is not Kind.LISTENER:
            return False
        if need.scope is Scope.NAMING_LISTENERS:
            return any(r.source == each.arn and r.target == resource.arn for r in self._seen.references)
        if each.facts.get("protocol") in WITHOUT[need.operation]:
            return False
        balancer = each.facts.get("load_balancer", "")
        if need.scope is Scope.OWN_LISTENERS:
            return balancer == resource.arn
        return balancer in self._resources and _can_reach(self._resources[balancer], resource)

    # --- who refers to it --------------------------------------------------------------------------------------------

    def _whole(self, arn: str) -> str:
        """What something goes with."""
        resource = self._resources.get(arn)
        if resource is None:
            return arn
        if resource.kind is Kind.RULE and resource.facts.get("default") == "true":
            return fact(resource, "listener")
        if resource.kind is Kind.ALARM and resource.facts.get("policy") in self._resources:
            return resource.facts["policy"]
        return next((r.part_of for r in self._seen.references if r.source == arn and r.part_of), arn)

    def _parts(self, arn: str) -> list[Resource]:
        return [each for each in self._resources.values() if each.arn != arn and self._whole(each.arn) == arn]

    def _referrers(self, arns: list[str]) -> Iterator[tuple[Reference, str]]:
        told = [r for r in self._seen.references if r.target in arns and not self._said_twice(r)]
        for reference in (*told, *self._lying_in(arns[0])):
            holder = self._whole(reference.part_of or reference.source)
            if holder != arns[0]:
                yield reference, holder

    def _said_twice(self, reference: Reference) -> bool:
        """ACM names the load balancer of a listener that names the certificate itself."""
        if reference.source_kind is not Kind.LOAD_BALANCER:
            return False
        listeners = (r.source for r in self._seen.references if r.target == reference.target)
        known = (self._resources[each] for each in listeners if each in self._resources)
        return any(e.kind is Kind.LISTENER and e.facts.get("load_balancer") == reference.source for e in known)

    def _lying_in(self, arn: str) -> Iterator[Reference]:
        there = self._resources[arn]
        for each in self._resources.values():
            rule = each.kind is Kind.RULE and each.facts.get("default") != "true"
            if each.kind is Kind.LISTENER and each.facts.get("load_balancer") == arn:
                yield Reference(each.arn, each.kind, arn, "is a listener of it")
            elif rule and each.facts.get("listener") == arn:
                yield Reference(each.arn, each.kind, arn, "is a rule of it")
            elif rule and there.kind is Kind.CERTIFICATE and self._asks_for(each, there):
                yield Reference(each.arn, each.kind, arn, "asks in its host header for a domain of it")
            elif there.kind is Kind.SCALABLE_TARGET and _same_scaling(each, there) and each.arn != arn:
                yield Reference(each.arn, each.kind, arn, "is on it")
        if there.kind is Kind.LISTENER:
            yield Reference(fact(there, "load_balancer"), Kind.LOAD_BALANCER, arn, "is its load balancer")

    def _asks_for(self, rule: Resource, certificate: Resource) -> bool:
        listener = rule.facts.get("listener")
        if not any(r.source == listener and r.target == certificate.arn for r in self._seen.references):
            return False
        hosts, names = (
            each.lower().split() for each in (rule.facts.get("hosts", ""), certificate.facts.get("names", ""))
        )
        return any(fnmatchcase(a, b) or fnmatchcase(b, a) for a in hosts for b in names)

    # --- what may be removed -----------------------------------------------------------------------------------------

    def _removable(self, reference: Reference, target: Resource) -> bool:
        """A reference to the dead in a shared thing of ECS's, told in the record."""
        if reference.source_kind is Kind.SECURITY_GROUP_RULE and reference.via == "egress":
            same = {
                r.source
                for r in self._seen.references
                if r.part_of == reference.part_of and r.target == target.arn and r.via == "egress"
            }
            return len(same) == 1 and self._is_shared_by_ecs(reference.part_of) and not self._shared(target)
        if reference.source_kind is not Kind.LISTENER or target.kind is not Kind.CERTIFICATE:
            return False
        if not self._is_shared_by_ecs(reference.source):
            return False
        return reference.via == "listed" or (reference.via == "default" and self._has_heir(reference))

    def _has_heir(self, reference: Reference) -> bool:
        for each in self._seen.references:
            if each.source == reference.source and each.via == "listed" and each.target != reference.target:
                heir = self._resources.get(each.target)
                claims = (c for c in self._seen.claims if heir and c.resource == heir.identity and c.current)
                owners = (self._seen.owners.get(c.owner) for c in claims)
                if heir and heir.kind is Kind.CERTIFICATE and any(o and o.life is Life.ALIVE for o in owners):
                    return True
        return False

    def _shared(self, resource: Resource) -> bool:
        return any(c.resource == resource.identity and c.shared for c in self._seen.claims)

    def _is_shared_by_ecs(self, arn: str) -> bool:
        resource = self._resources.get(arn)
        if resource is None or not self._shared(resource):
            return False
        above = self._resources.get(resource.facts.get("load_balancer", ""))
        for each in [resource] + ([above] if above else []):
            tags = each.tags or {}
            stack = any(r.target == each.arn and r.source_kind is Kind.STACK for r in self._seen.references)
            if tags.get("AmazonECSManaged", "").lower() != "true" or stack:
                return False
            if "caretaker:keep" in tags or "aws:cloudformation:stack-id" in tags:
                return False
        return True


def _can_reach(balancer: Resource, resource: Resource) -> bool:
    """A load balancer serves only its own VPC; what lies in no VPC can be anywhere."""
    return not resource.vpc or balancer.vpc in (resource.vpc, "")


def _same_scaling(each: Resource, other: Resource) -> bool:
    kinds = (Kind.SCALING_POLICY, Kind.SCHEDULED_ACTION, Kind.SCALABLE_TARGET)
    facts = [(one.facts.get("resource_id"), one.facts.get("dimension", "")) for one in (each, other)]
    return each.kind in kinds and bool(facts[0][0]) and facts[0] == facts[1]
