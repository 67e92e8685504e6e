"""What is garbage, decided another way: from each resource back along its referrers, until something that stays is met.

Nothing of the product but its data model is used: neither its graph, nor its table of readings. What a reading that is
not whole could have shown is written here from the side of the reading.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from caretaker.garbage.model import Identity, Kind, Life, Observation, Owner, Reference, Resource
from caretaker.runtime.policy import GarbagePolicy
from garbage_fleet import ELB, Fleet

K = Kind
DELETABLE = (
    K.RULE, K.TARGET_GROUP, K.CERTIFICATE, K.SCALABLE_TARGET, K.SCALING_POLICY, K.ALARM, K.SECURITY_GROUP,
    K.LOAD_BALANCER, K.LISTENER, K.LOG_GROUP, K.TASK_DEFINITION, K.CLUSTER,
)  # fmt: skip
_SHOWN_BY: dict[str, tuple[Kind, ...]] = {
    "ecs:ListTasks": (K.SECURITY_GROUP, K.LOG_GROUP, K.TASK_DEFINITION, K.CLUSTER),
    "ecs:DescribeTasks": (K.SECURITY_GROUP, K.LOG_GROUP, K.TASK_DEFINITION, K.CLUSTER),
    "ecs:ListTaskDefinitions": (K.LOG_GROUP,),
    "ecs:DescribeTaskDefinition": (K.LOG_GROUP,),
    "ecs:ListContainerInstances": (),
    **dict.fromkeys(
        (
            "events:ListEventBuses",
            "events:ListRules",
            "events:ListTargetsByRule",
            "scheduler:ListSchedules",
            "scheduler:GetSchedule",
        ),
        (K.TASK_DEFINITION, K.SECURITY_GROUP, K.CLUSTER),
    ),
    f"{ELB}:DescribeLoadBalancers": (K.TARGET_GROUP, K.CERTIFICATE, K.SECURITY_GROUP, K.LOAD_BALANCER),
    f"{ELB}:DescribeTargetGroups": (K.TARGET_GROUP, K.LOAD_BALANCER),
    f"{ELB}:DescribeListeners": (K.TARGET_GROUP, K.CERTIFICATE),
    f"{ELB}:DescribeRules": (K.TARGET_GROUP,),
    f"{ELB}:DescribeListenerCertificates": (K.CERTIFICATE,),
    "acm:ListCertificates": (K.CERTIFICATE,),
    "ec2:DescribeSecurityGroups": (K.SECURITY_GROUP,),
    "ec2:DescribeSecurityGroupRules": (K.SECURITY_GROUP,),
    "ec2:DescribeNetworkInterfaces": (K.SECURITY_GROUP,),
    "route53:ListHostedZones": (K.LOAD_BALANCER,),
    "route53:ListResourceRecordSets": (K.LOAD_BALANCER,),
    "cloudwatch:DescribeAlarms": (K.SCALABLE_TARGET, K.SCALING_POLICY, K.ALARM),
}
_SCALING = (K.SCALABLE_TARGET, K.SCALING_POLICY, K.ALARM)


class Oracle:
    def __init__(self, fleet: Fleet, seen: Observation, policy: Callable[[str], GarbagePolicy], now: datetime) -> None:
        self.fleet, self.seen, self.policy, self.now = fleet, seen, policy, now
        self.r = seen.resources
        blind = {*fleet.bad, *fleet.unread}
        self.blind = {arn: any(self.could_show(*each, r) for each in blind) for arn, r in self.r.items()}

    def garbage(self) -> set[str]:
        return {
            arn for arn, r in self.r.items() if self.home(arn) == arn and r.kind in DELETABLE and self.dead_end(arn)
        }

    def dead_end(self, arn: str) -> bool:
        """Nothing that stays is met on any way back from it."""
        seen, ways = set(), [arn]
        while ways:
            at = ways.pop()
            if at in seen:
                continue
            seen.add(at)
            if not self.may_go(at):
                return False
            ways += [self.home(e.part_of or e.source) for e in self.into(at) if not self.loose(e)]
        return True

    # --- what could have been shown ----------------------------------------------------------------------------------

    def could_show(self, operation: str, scope: str, r: Resource) -> bool:
        if r.kind not in DELETABLE or r.facts.get("default") == "true":
            return False
        if operation.startswith("application-autoscaling:"):
            return r.kind in _SCALING
        if r.kind in _SHOWN_BY.get(operation, ()):
            return True
        if operation in _SHOWN_BY or not operation.startswith("ecs:"):
            if self.home(r.arn) != r.arn:
                return False  # Application Auto Scaling's own alarm
            return r.arn == scope or self.lies_in(r, operation, scope)
        return True

    def lies_in(self, r: Resource, operation: str, scope: str) -> bool:
        if operation == f"{ELB}:DescribeRules":
            named = any(e.source == scope and e.target == r.arn for e in self.seen.references)
            on_it = scope in self.r and self.r[scope].facts["load_balancer"] == r.arn
            return r.facts.get("listener") == scope or on_it or (r.kind is K.CERTIFICATE and named)
        return operation == f"{ELB}:DescribeListeners" and r.facts.get("load_balancer") == scope

    # --- by itself ---------------------------------------------------------------------------------------------------

    def may_go(self, arn: str) -> bool:
        r = self.r.get(arn)
        if r is None or r.kind not in DELETABLE or not any(c.resource == r.identity for c in self.seen.claims):
            return False
        parts = [p for a, p in self.r.items() if self.home(a) == arn]
        return (
            all(self.owners_let_go(p) for p in parts)
            and not any(self.blind[p.arn] for p in parts)
            and not any(self.kept(p) for p in parts)
            and self.managed(r)
            and not self.works_for_others(r)
            and not (r.kind in (K.LOAD_BALANCER, K.LISTENER, K.SECURITY_GROUP) and self.shared(arn) and self.homeless())
        )

    def homeless(self) -> bool:
        """Some service that may live is on no load balancer yet."""
        for identity, owner in self.seen.owners.items():
            if owner.life in (Life.ALIVE, Life.UNKNOWN):
                its = [
                    self.r[e.target].kind
                    for e in self.seen.references
                    if e.owner == identity.arn and e.target in self.r
                ]
                if K.LOAD_BALANCER not in its:
                    return True
        return False

    def owners_let_go(self, r: Resource) -> bool:
        for c in self.seen.claims:
            if c.resource.arn == r.arn:
                owner = self.seen.owners.get(c.owner)
                if owner is None or owner.life in (Life.DRAINING, Life.UNKNOWN):
                    return False
                if owner.life is Life.ALIVE and (c.current or owner.moving):
                    return False
                if owner.life is Life.DEAD and c.resource == r.identity and not self.past_grace(owner, c.kind):
                    return False
        return True

    def past_grace(self, owner: Owner, kind: Kind) -> bool:
        again = [o for i, o in self.seen.owners.items() if i.arn == owner.identity.arn and o.life is not Life.DEAD]
        by_name = kind in (K.SCALABLE_TARGET, K.SCALING_POLICY)
        if any(by_name or other.moving or other.life is not Life.ALIVE for other in again):
            return False
        try:
            since = datetime.fromisoformat(owner.since)
        except ValueError:
            return False
        return since + self.policy(owner.identity.arn).grace < self.now

    def kept(self, r: Resource) -> bool:
        tags = dict(r.tags or {})
        if r.kind is K.SCALING_POLICY:
            for e in self.r.values():
                if e.kind is K.SCALABLE_TARGET and e.facts["resource_id"] == r.facts["resource_id"]:
                    tags |= dict(e.tags or {})
        if "caretaker:keep" in tags or "aws:cloudformation:stack-id" in tags or r.facts.get("protected") == "true":
            return True
        by = {K.LOG_GROUP: "log_groups", K.TASK_DEFINITION: "task_definitions", K.CERTIFICATE: "certificates"}
        for c in self.seen.claims:
            if c.resource == r.identity:
                policy = self.policy(c.owner.arn)
                if policy.keep or (r.kind in by and getattr(policy, by[r.kind]) == "keep"):
                    return True
        return False

    def managed(self, r: Resource) -> bool:
        if r.kind is K.SCALING_POLICY:
            return True
        if r.tags is None or (r.kind is K.LOAD_BALANCER and r.facts.get("protected") != "false"):
            return False
        free = r.kind in (K.TASK_DEFINITION, K.CLUSTER) or bool(r.facts.get("policy"))
        return free or r.tags.get("AmazonECSManaged") == "true"

    def works_for_others(self, r: Resource) -> bool:
        if r.kind not in (K.RULE, K.LISTENER):
            return False
        if set(r.facts["actions"].split()) - {"forward", "fixed-response" if r.kind is K.LISTENER else "forward"}:
            return True
        if any(not host.endswith(".on.aws") for host in r.facts.get("hosts", "").split()):
            return True
        mine = self.claimers(r.arn)
        out = [e for e in self.seen.references if e.via == "forward" and self.home(e.part_of or e.source) == r.arn]
        served = [e.target for e in self.seen.references if e.via in ("listed", "default") and e.source == r.arn]
        return any(not mine & self.claimers(e.target) for e in out) or not all(map(self.claimers, served))

    def claimers(self, arn: str) -> set[Identity]:
        return {c.owner for c in self.seen.claims if arn in self.r and c.resource == self.r[arn].identity}

    # --- who refers --------------------------------------------------------------------------------------------------

    def home(self, arn: str) -> str:
        r = self.r.get(arn)
        if r and r.facts.get("default") == "true":
            return r.facts["listener"]
        if r and r.kind is K.ALARM and r.facts.get("policy") in self.r:
            return r.facts["policy"]
        return arn

    def into(self, arn: str) -> list[Reference]:
        """References to it and its parts from anything else."""
        found = [e for e in self.seen.references if self.home(e.target) == arn]
        listeners = [(e.source, e.target) for e in found if e.source_kind is K.LISTENER]
        told = {(self.r[s].facts["load_balancer"], t) for s, t in listeners if s in self.r}
        found = [e for e in found if e.source_kind is not K.LOAD_BALANCER or (e.source, e.target) not in told]
        for r in self.r.values():
            if self.home(r.arn) != r.arn:
                continue
            above = {r.facts.get("listener"), r.facts.get("load_balancer")}
            scaled = r.kind is K.SCALING_POLICY and self.r[arn].kind is K.SCALABLE_TARGET
            if scaled and r.facts["resource_id"] == self.r[arn].facts["resource_id"]:
                above.add(arn)
            if r.kind is K.LOAD_BALANCER and self.r[arn].facts.get("load_balancer") == r.arn:
                above.add(arn)
            if r.kind is K.RULE and self.r[arn].kind is K.CERTIFICATE and self.serves(r, self.r[arn]):
                above.add(arn)
            if arn in above:
                found.append(Reference(r.arn, r.kind, arn, ""))
        return [e for e in found if self.home(e.part_of or e.source) != arn]

    def serves(self, rule: Resource, certificate: Resource) -> bool:
        on = any(e.source == rule.facts["listener"] and e.target == certificate.arn for e in self.seen.references)
        hosts = rule.facts.get("hosts", "").split()
        return on and (certificate.facts["names"] in hosts or "*" in hosts)

    def loose(self, e: Reference) -> bool:
        if e.source_kind is K.SECURITY_GROUP_RULE:
            same = {
                o.source for o in self.seen.references
                if (o.part_of, o.target, o.via) == (e.part_of, e.target, "egress")
            }  # fmt: skip
            return e.via == "egress" and len(same) == 1 and self.ours(e.part_of) and not self.shared(e.target)
        if e.source_kind is not K.LISTENER or self.r[e.target].kind is not K.CERTIFICATE or not self.ours(e.source):
            return False
        return e.via == "listed" or (e.via == "default" and bool(self.heirs(e)))

    def heirs(self, e: Reference) -> list[str]:
        listed = {o.target for o in self.seen.references if o.source == e.source and o.via == "listed"} - {e.target}
        living = {i for i, o in self.seen.owners.items() if o.life is Life.ALIVE}
        now = {c.resource.arn for c in self.seen.claims if c.current and c.owner in living and self.is_it(c.resource)}
        return sorted(a for a in listed & now if self.r[a].kind is K.CERTIFICATE)

    def is_it(self, identity: Identity) -> bool:
        return identity.arn in self.r and self.r[identity.arn].identity == identity

    def shared(self, arn: str) -> bool:
        return any(c.shared and c.resource.arn == arn and self.is_it(c.resource) for c in self.seen.claims)

    def ours(self, arn: str) -> bool:
        """Made by ECS for all, and left to ECS by everybody."""
        if arn not in self.r or not self.shared(arn):
            return False
        both = [self.r[arn], *(self.r[a] for a in [self.r[arn].facts.get("load_balancer")] if a in self.r)]
        stacks = {self.home(e.target) for e in self.seen.references if e.source_kind is K.STACK}
        taken = ("caretaker:keep", "aws:cloudformation:stack-id")
        return all(
            r.tags is not None
            and r.tags.get("AmazonECSManaged") == "true"
            and not any(tag in r.tags for tag in taken)
            and r.arn not in stacks
            for r in both
        )
