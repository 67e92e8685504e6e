"""What is known of the resources of Express services at one moment: resources, who refers to whom, and what was read.

Everything here is plain data; who reads AWS fills it, the graph and the verdicts only look at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of resources and of referrers, in AWS's words."""

    RULE = "listener rule"
    TARGET_GROUP = "target group"
    CERTIFICATE = "certificate"
    SCALABLE_TARGET = "scalable target"
    SCALING_POLICY = "scaling policy"
    ALARM = "alarm"
    SECURITY_GROUP = "security group"
    LOAD_BALANCER = "load balancer"
    LISTENER = "listener"
    LOG_GROUP = "log group"
    TASK_DEFINITION = "task definition"
    CLUSTER = "cluster"
    ROLE = "role"
    REPOSITORY = "repository"
    # Only ever referrers; Caretaker deletes none of them.
    SERVICE = "service"
    SERVICE_REVISION = "service revision"
    TASK = "task"
    NETWORK_INTERFACE = "network interface"
    SECURITY_GROUP_RULE = "security group rule"
    GATEWAY = "gateway"
    GATEWAY_ROUTE = "gateway route"
    STACK = "stack"
    COMPOSITE_ALARM = "composite alarm"
    SCHEDULED_ACTION = "scheduled action"
    WEB_ACL = "web ACL"
    RECORD_SET = "record set"
    FILTER = "log filter"
    OTHER = "other"


@dataclass(frozen=True, order=True)
class Identity:
    """A resource that is not mistaken for a later one of the same name.

    Attributes:
        arn: its ARN.
        created: ISO 8601, as AWS tells it; empty where AWS tells none and the ARN is never given twice (rules, target
            groups, listeners, load balancers, security groups, certificates have random ids).
    """

    arn: str
    created: str = ""


@dataclass(frozen=True)
class Resource:
    """A resource as one observation found it.

    Attributes:
        identity: ARN and creation time.
        kind: what it is.
        vpc: id of the VPC it lies in; empty where it has none.
        name: as people know it.
        tags: its tags; None when they were not read.
        facts: what a deletion must compare or needs, all texts; lists are separated by spaces. Yes is `true`.
            listener rule: `listener` (ARN), `priority`, `default`, `actions` (types: forward, redirect …), `hosts` (the
            values of its host header conditions; `*` for a regular expression);
            listener: `load_balancer` (ARN), `actions` (types of its default actions);
            load balancer: `protected` (deletion protection, `true` or `false`), `addresses` (public IPv4 addresses);
            target group: `target_type`; certificate: `names` (its domain names);
            scalable target: `resource_id`, `dimension`; scaling policy: these and `policy_name`;
            alarm: `metrics` (how many it watches), `policy` (ARN of the target tracking policy that made it);
            security group: `group_id`, `made_for` (ARN of the service in ECS's description);
            log group: `stored_bytes`, `protected`.
    """

    identity: Identity
    kind: Kind
    vpc: str = ""
    name: str = ""
    tags: Mapping[str, str] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return self.identity.arn


@dataclass(frozen=True, order=True)
class Reference:
    """One thing refers to another.

    Attributes:
        source: ARN or id of the referrer.
        source_kind: what the referrer is.
        target: ARN of what it refers to.
        how: in words for a person, e.g. `forwards to it with weight 0`.
        owner: ARN of the service on whose behalf the referrer exists, where that is known; else empty.
        part_of: ARN of the resource that the referrer is a part of and vanishes with: the group of a security group's
            rule, the load balancer of a network interface that ELB made; empty where it stands alone. Whoever asks
            whether a reference holds asks about `holder`.
        via: which way it refers, where a deletion must know: `egress` or `ingress` of a security group's rule,
            `default` or `listed` of a listener's certificate, `forward` of a rule's or listener's action; else empty.
    """

    source: str
    source_kind: Kind
    target: str
    how: str
    owner: str = ""
    part_of: str = ""
    via: str = ""

    @property
    def holder(self) -> str:
        return self.part_of or self.source


class Read(StrEnum):
    """How a read went."""

    WHOLE = "whole"
    FAILED = "failed"
    TRUNCATED = "truncated"
    DENIED = "denied"


@dataclass(frozen=True, order=True)
class Reading:
    """One listing that was read, to its last page or not.

    Attributes:
        operation: e.g. `elbv2:DescribeRules`.
        scope: what it was asked for: an ARN, `vpc-…`, a cluster's ARN; empty for all of the account and Region.
        status: WHOLE only when every page came.
        at: ISO 8601, when it began.
        items: how many it gave. Where each of them is asked about in turn (clusters, gateways, hosted zones), so many
            readings of the next operation must follow: a reading that gave nothing is told too.
        reason: AWS's words where it is not whole.
    """

    operation: str
    scope: str
    status: Read
    at: str
    items: int = 0
    reason: str = ""


class Life(StrEnum):
    """How it stands with a service, by ARN and creation time."""

    ALIVE = "alive"
    DRAINING = "draining"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Owner:
    """A service that the ledger knows.

    Attributes:
        identity: the service's ARN and its `createdAt`.
        life: DEAD only when ECS itself said INACTIVE, or does not know it any more, in a whole reading.
        since: ISO 8601; since when it is known to be dead; empty otherwise.
        moving: a deployment or rollback of it is in flight.
        words: why `life` is what it is.
    """

    identity: Identity
    life: Life
    since: str = ""
    moving: bool = False
    words: str = ""


@dataclass(frozen=True)
class Claim:
    """The ledger's entry that a resource was made by ECS for a service.

    Attributes:
        owner: the service.
        resource: the resource.
        kind: what it is.
        shared: ECS made it for all services of the VPC and scheme (load balancer, its listener and security group).
        revisions: ARNs of the service revisions whose inventory held it.
        current: one of those revisions was active or in flight when the service was last seen alive.
        seen: ISO 8601, when the ledger last saw it.
    """

    owner: Identity
    resource: Identity
    kind: Kind
    shared: bool = False
    revisions: tuple[str, ...] = ()
    current: bool = True
    seen: str = ""


@dataclass(frozen=True)
class Observation:
    """Everything that was read between `began` and `ended`.

    Attributes:
        id: name of the observation in the record.
        began, ended: aware times.
        scope: id of the VPC that was observed.
        resources: by ARN.
        references: all that were found, each once.
        readings: all that were made, whole or not.
        owners: services by ARN and creation time; two services of one ARN are two owners.
        claims: the ledger's entries at that time.
    """

    id: str
    began: datetime
    ended: datetime
    scope: str
    resources: Mapping[str, Resource] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    readings: tuple[Reading, ...] = ()
    owners: Mapping[Identity, Owner] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()


class Word(StrEnum):
    """What a verdict comes to."""

    GARBAGE = "garbage"
    IN_USE = "in use"
    SHARED = "shared"
    UNKNOWN = "unknown"
    KEPT = "kept"
    REPORTED = "reported"


@dataclass(frozen=True)
class Verdict:
    """What is to become of one resource, and why.

    Attributes:
        resource: the resource.
        word: GARBAGE: owned by a dead service and referred to by nobody but garbage. IN_USE: its service lives, or
            somebody refers to it. SHARED: the same of a shared thing. UNKNOWN: a read that could have shown a referrer
            was not whole, or nobody knows whose it is. KEPT: garbage that policy, a tag or a protection keeps.
            REPORTED: of a kind that is never deleted.
        reason: in words that an operator can act on.
        owners: the dead or living services that the ledger names for it.
        referrers: who refers to it, garbage or not.
        holding: those of them that hold it: not garbage themselves.
        doubts: the readings that make it unknown.
        detach: references of the dead in this shared thing that are to be removed (e.g. ids of security group rules).
    """

    resource: Resource
    word: Word
    reason: str
    owners: tuple[Identity, ...] = ()
    referrers: tuple[Reference, ...] = ()
    holding: tuple[Reference, ...] = ()
    doubts: tuple[Reading, ...] = ()
    detach: tuple[str, ...] = ()
