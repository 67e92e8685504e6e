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
TAG_LIST = [{"Key": key, "Value": value} for key, value in TAGS.items()]


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


def group_id(managed: Managed) -> str:
    """The id of a security group, which is in its ARN."""
    return str(managed.arn).rpartition("/")[2]


@dataclass(eq=False)
class SharedBalancer:
    """An Application Load Balancer that Express services of one VPC and scheme share.

    Attributes:
        subnets: by zone; the first service's.
        services: ARNs of those placed on it.
        abandoned: its last service is gone, and it was left behind.
    """

    vpc_id: str
    scheme: Scheme
    subnets: Mapping[str, str]
    load_balancer: Managed
    security_group: Managed
    listener: Managed
    services: list[str] = field(default_factory=list)
    abandoned: bool = False

    @property
    def group_id(self) -> str:
        """Of its security group."""
        return group_id(self.security_group)

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
    """What a service revision has of an Express service beside its task definition.

    Attributes:
        own_group: its tasks are in the security group that ECS manages, beside those given.
    """

    health_check_path: str
    scaling: Scaling
    subnets: tuple[str, ...]
    given_groups: tuple[str, ...]
    own_group: bool
    created_at: datetime


@dataclass(eq=False)
class Ingress:
    """How requests come to a service on one load balancer; another VPC or scheme needs another.

    Attributes:
        placed: the service is counted among those on the load balancer.
        left: the service has another, and ECS has done with this one.
    """

    balancer: SharedBalancer
    rule: Managed
    target_groups: list[Managed]
    security_group: Managed
    placed: bool = True
    left: bool = False

    @property
    def own(self) -> list[Managed]:
        return [self.security_group, *self.target_groups, self.rule]

    def without_group(self, at: datetime) -> Ingress:
        """Part with the security group, which is in what is returned."""
        former = Ingress(self.balancer, Managed(at), [], self.security_group, placed=False, left=True)
        self.security_group = Managed(at)
        return former


@dataclass(frozen=True)
class Pending:
    """A deployment that begins when what it needs is there.

    Attributes:
        number: of the revision, which has been told already.
        cause: the call that asked for it.
    """

    number: str
    revision: Revision
    definition: TaskDefinition
    cause: Call


@dataclass(eq=False)
class Express:
    """What makes a service an Express service.

    Attributes:
        settings: the present ones, which the next revision gets.
        by_revision: those of each revision, by its ARN.
        ingress: the present one.
        ingresses: that of each revision, by its ARN.
        former: what updates have replaced and no revision has any more.
        pending: the deployment that waits for what it needs: the first, or one that moves the service.
        endpoint: host name of its one ingress path.
        own_log_group: ECS makes its log group; else it is the customer's.
        provisioning: what it needs is being made.
        waits: what wakes the making or deleting, while it waits for what may never come.
        deleting: DeleteExpressGatewayService was called.
        tearing_down: ECS deletes what it had.
        deleted_at: simulated seconds at which it had done so.
    """

    infrastructure_role: str
    settings: Settings
    endpoint: str
    ingress: Ingress
    certificate: Managed
    log_group: Managed
    alarm: Managed
    scalable_target: Managed
    policy: Managed
    updated_at: datetime
    own_log_group: bool = True
    pending: Pending | None = None
    by_revision: dict[str, Settings] = field(default_factory=dict)
    ingresses: dict[str, Ingress] = field(default_factory=dict)
    former: list[Ingress] = field(default_factory=list)
    provisioning: bool = True
    waits: Event | None = None
    deleting: bool = False
    tearing_down: bool = False
    deleted_at: float | None = None

    def remember(self, revision_arn: str, settings: Settings, ingress: Ingress) -> None:
        """What a new revision has."""
        self.by_revision[revision_arn] = settings
        self.ingresses[revision_arn] = ingress

    @property
    def balancer(self) -> SharedBalancer:
        return self.ingress.balancer

    @property
    def rule(self) -> Managed:
        return self.ingress.rule

    @property
    def target_groups(self) -> list[Managed]:
        return self.ingress.target_groups

    @property
    def security_group(self) -> Managed:
        return self.ingress.security_group

    @property
    def own(self) -> list[Managed]:
        """What is of this service alone."""
        shared_by_all = [self.alarm, self.scalable_target, self.policy]
        logs = [self.log_group] if self.own_log_group else []
        return [*logs, self.certificate, *self.ingress.own, *shared_by_all]

    @property
    def public(self) -> bool:
        return self.balancer.scheme == "internet-facing"
