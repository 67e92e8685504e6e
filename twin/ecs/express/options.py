"""What a world chooses about Express Mode: delays, and where AWS's documents are silent or disagree."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

Kind = Literal[
    "rule",
    "target_groups",
    "listener_certificate",
    "certificate",
    "alarm",
    "scaling",
    "security_group_rules",
    "security_group",
    "load_balancer",
    "load_balancer_security_group",
]
"""What an Express service's deletion deletes: `listener_certificate` is the entry in the listener's list of
certificates, `security_group_rules` are those between the load balancer's security group and the service's."""

EVERYTHING: tuple[Kind, ...] = get_args(Kind)
SHARED: tuple[Kind, ...] = ("load_balancer", "load_balancer_security_group")
"""What goes with the last service of a load balancer."""
OWN: tuple[Kind, ...] = tuple(kind for kind in EVERYTHING if kind not in SHARED)
"""What goes with its service."""

Staying = Literal["log_group", "task_definitions", "cluster"]
"""What stays by most reports; the role that AWS's policy describes may not even delete log groups."""

PARTS: tuple[Kind, ...] = ("listener_certificate", "security_group_rules")
"""References within things that others share; they have no status of their own."""


@dataclass(frozen=True)
class RoleFault:
    """The infrastructure role lacks a permission.

    Attributes:
        action: IAM action, with wildcards, such as `elasticloadbalancing:Delete*`.
        after, until: simulated seconds since the start between which it lacks it.
    """

    action: str
    after: float = 0.0
    until: float | None = None

    def strikes(self, action: str, elapsed: float) -> bool:
        during = elapsed >= self.after and (self.until is None or elapsed < self.until)
        return during and fnmatchcase(action, self.action)


@dataclass(frozen=True)
class ExpressOptions:
    """Times in simulated seconds.

    Attributes:
        step: what each resource takes to be made or deleted.
        load_balancer: the same for a new load balancer.
        retry: between tries to make or delete a resource that was refused.
        delete_tries: how often a refused deletion is tried before the resource is given up as FAILED. Not documented.
        defaults: CPU, memory and health check path that are not given are those of the API reference (`api`: 256, 512,
            /ping), or those of the Developer Guide (`guide`: 1024, 2048, /). They disagree.
        alarm: the rollback alarm compares the errors of both target groups with the requests of both (`sum`), or looks
            at the worse of the two target groups (`worst`). Its metrics are known, its expression is not documented.
        shows_load_balancers: DescribeServices and DescribeServiceRevisions show Express services' loadBalancers and
            resolvedConfiguration as of other services (True), or leave them to ecsManagedResources (False). Not
            documented; answers of AWS that people have published have none.
        partial_container_resets: members left out of UpdateExpressGatewayService's primaryContainer return to their
            defaults (True), or keep their values (False). Not documented.
        given_groups: security groups that a request gives are `beside` the one that ECS manages (reported), or
            `instead` of it. Not documented.
        existing_group: a security group that has the name of the one to be made and was made for the same service ARN
            is taken over (`adopted`), or is in the way (`refused`: FAILED until it is gone). Not documented.
        default_certificate: the certificate of a deleted service that is the listener's default one is replaced by that
            of another service (`swapped`), or stays there, and so stays (`left`). Not documented.
        reuses_balancers: new services are placed on a load balancer that was left behind. Not documented.
        leaves: what deletion leaves behind; reports of what AWS leaves disagree.
        failed_leaves: what the deletion of a service leaves behind beside that, if its creation never came to its end.
        update_leaves: what an update leaves behind of what it replaced.
        also_deletes: what deletion deletes of what stays by most reports.
        late: what deletion deletes only after the service is INACTIVE ("give ECS a few minutes").
        late_by: how much later.
        role_faults: permissions that the infrastructure role lacks: a service whose deletion needs them stays DRAINING.
        trail: the account has a trail, so that EventBridge gets "AWS API Call via CloudTrail".
        trail_delay: from a call until that event.
    """

    step: float = 15.0
    load_balancer: float = 600.0
    retry: float = 60.0
    delete_tries: int = 10
    defaults: Literal["api", "guide"] = "guide"
    alarm: Literal["sum", "worst"] = "sum"
    shows_load_balancers: bool = False
    partial_container_resets: bool = False
    given_groups: Literal["beside", "instead"] = "beside"
    existing_group: Literal["adopted", "refused"] = "adopted"
    default_certificate: Literal["swapped", "left"] = "swapped"
    reuses_balancers: bool = True
    leaves: tuple[Kind, ...] = ()
    failed_leaves: tuple[Kind, ...] = ()
    update_leaves: tuple[Kind, ...] = ()
    also_deletes: tuple[Staying, ...] = ()
    late: tuple[Kind, ...] = ()
    late_by: float = 300.0
    role_faults: tuple[RoleFault, ...] = ()
    trail: bool = True
    trail_delay: float = 5.0
