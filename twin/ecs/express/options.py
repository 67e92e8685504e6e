"""What a world chooses about Express Mode: delays, and where AWS's documents are silent or disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "rule",
    "target_groups",
    "certificate",
    "alarm",
    "scaling",
    "security_group",
    "load_balancer",
    "load_balancer_security_group",
]
"""What an Express service's deletion deletes; log groups and task definitions always stay."""


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
        leaves: what deletion leaves behind; reports of what AWS leaves disagree.
        trail: the account has a trail, so that EventBridge gets "AWS API Call via CloudTrail".
        trail_delay: from a call until that event.
    """

    step: float = 15.0
    load_balancer: float = 600.0
    retry: float = 60.0
    delete_tries: int = 3
    defaults: Literal["api", "guide"] = "guide"
    alarm: Literal["sum", "worst"] = "sum"
    shows_load_balancers: bool = False
    partial_container_resets: bool = False
    leaves: tuple[Kind, ...] = ()
    trail: bool = True
    trail_delay: float = 5.0
