"""What ECS knows of an Express service: its configuration, and the resources that it manages for it.

Sources: ECS API: ECSManagedResources, ManagedIngressPath, ManagedResourceStatus, ExpressGatewayServiceConfiguration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from twin.ecs.deployment import Revision
from twin.ecs.model import TaskDefinition
from twin.kernel.api import Call
from twin.kernel.scheduler import Event

Status = Literal["PROVISIONING", "ACTIVE", "DEPROVISIONING", "DELETED", "FAILED"]
Scheme = Literal["internet-facing", "internal"]
TAGS = {"AmazonECSManaged": "true"}
"""The tag by which AWS's policy lets the infrastructure role change and delete a resource."""


@dataclass(eq=False)
class Managed:
    """A resource that ECS manages.

    Attributes:
        arn: None until it is made.
        facts: further members of its shape in the API.
    """

    updated_at: datetime
    facts: dict[str, Any] = field(default_factory=dict)
    arn: str | None = None
    status: Status = "PROVISIONING"
    reason: str | None = None

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"status": self.status, "updatedAt": self.updated_at, **self.facts}
        if self.arn is not None:
            shown["arn"] = self.arn
        return {**shown, "statusReason": self.reason} if self.reason else shown

    def become(self, status: Status, at: datetime, reason: str | None = None) -> None:
        self.status, self.updated_at, self.reason = status, at, reason


@dataclass(eq=False)
class SharedBalancer:
    """An Application Load Balancer that Express services of one VPC and scheme share.

    Attributes:
        subnets: by zone; the first service's.
        services: ARNs of those placed on it.
    """

    vpc_id: str
    scheme: Scheme
    subnets: Mapping[str, str]
    load_balancer: Managed
    security_group: Managed
    listener: Managed
    services: list[str] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        return self.listener.status == "ACTIVE"


@dataclass(frozen=True)
class Scaling:
    """ECS API: ExpressGatewayScalingTarget."""

    minimum: int = 1
    maximum: int = 20
    metric: str = "AVERAGE_CPU"
    target: int = 60

    def shown(self) -> dict[str, Any]:
        return {
            "minTaskCount": self.minimum,
            "maxTaskCount": self.maximum,
            "autoScalingMetric": self.metric,
            "autoScalingTargetValue": self.target,
        }


@dataclass(frozen=True)
class Settings:
    """What a service revision has of an Express service beside its task definition."""

    health_check_path: str
    scaling: Scaling
    subnets: tuple[str, ...]
    given_groups: tuple[str, ...]
    created_at: datetime


@dataclass(eq=False)
class Express:
    """What makes a service an Express service.

    Attributes:
        settings: the present ones, which the next revision gets.
        by_revision: those of each revision, by its ARN.
        first: (number, revision, task definition, call) of the first deployment, until what it needs is there.
        endpoint: host name of its one ingress path.
        provisioning: what it needs is being made.
        waits: what wakes the making, while it waits for what may never come.
        deleting: DeleteExpressGatewayService was called.
        tearing_down: ECS deletes what it had.
        deleted_at: simulated seconds at which it had done so.
    """

    infrastructure_role: str
    settings: Settings
    endpoint: str
    balancer: SharedBalancer
    rule: Managed
    target_groups: list[Managed]
    certificate: Managed
    security_group: Managed
    log_group: Managed
    alarm: Managed
    scalable_target: Managed
    policy: Managed
    updated_at: datetime
    first: tuple[str, Revision, TaskDefinition, Call] | None = None
    by_revision: dict[str, Settings] = field(default_factory=dict)
    provisioning: bool = True
    waits: Event | None = None
    deleting: bool = False
    tearing_down: bool = False
    deleted_at: float | None = None

    @property
    def own(self) -> list[Managed]:
        """What is of this service alone, in the order in which it is made."""
        return [
            self.log_group,
            self.certificate,
            self.security_group,
            *self.target_groups,
            self.rule,
            self.alarm,
            self.scalable_target,
            self.policy,
        ]

    @property
    def public(self) -> bool:
        return self.balancer.scheme == "internet-facing"
