"""Deployments of a service, the revisions that they deploy, and task sets.

Sources: ECS API: Deployment, ServiceDeployment, ServiceRevision ("A service revision is immutable", Developer Guide),
TaskSet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.model import Service, Tags, TaskDefinition
    from twin.ecs.native.alarms import AlarmWatch
    from twin.ecs.native.release import Release

RolloutState = Literal["IN_PROGRESS", "COMPLETED", "FAILED"]
DeploymentStatus = Literal[
    "PENDING",
    "IN_PROGRESS",
    "SUCCESSFUL",
    "STOP_REQUESTED",
    "STOPPED",
    "ROLLBACK_REQUESTED",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_SUCCESSFUL",
    "ROLLBACK_FAILED",
]
FINAL: tuple[DeploymentStatus, ...] = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


@dataclass(frozen=True)
class Revision:
    """The workload configuration that a service deployment deploys.

    Attributes:
        load_balancers: as the service was given them.
        targets: where its tasks are registered, one item for each load balancer: targetGroupArn, containerName,
            containerPort.
    """

    arn: str
    service_arn: str
    cluster_arn: str
    definition: TaskDefinition
    launch_type: str | None
    capacity_strategy: tuple[Mapping[str, Any], ...]
    load_balancers: tuple[Mapping[str, Any], ...]
    targets: tuple[Mapping[str, Any], ...]
    network: Mapping[str, Any] | None
    created_at: datetime


@dataclass(frozen=True)
class Rollback:
    """ECS API: Rollback. `revision`: what is deployed instead."""

    reason: str
    started_at: datetime
    revision: Revision


@dataclass(slots=True)
class TaskSet:
    """What makes a deployment a task set. `deleted`: it is DRAINING."""

    arn: str
    external_id: str | None
    tags: Tags
    deleted: bool = False


@dataclass(slots=True)
class Blocked:
    """A placement that failed: the reason of the event, and what it needs to be worth another try."""

    reason: str
    epoch: int
    pause: float
    retry_at: float


@dataclass(slots=True, eq=False)
class Deployment:
    """A deployment: a set of tasks of one revision; also one service deployment (`arn`), which keeps its record; for
    the EXTERNAL controller a task set.

    Attributes:
        cause: the call that started it.
        native: deployed next to its predecessor (BLUE_GREEN, LINEAR, CANARY).
        release: what moves a native one on, while it does.
        share: percent of the desired count that it is to have, where deployments are side by side.
        ended_by: the call because of which its share fell.
        configuration: the service's deploymentConfiguration when it began.
        sources: the revisions that ran when it began.
        alarms: the watch of its alarms, if it has any.
        baking: a rolling one waits for its bake time to pass.
        record: what it showed of its revisions when it ended.
        blocked: why the last placement failed, at which capacity epoch, and when it is tried again.
        failures: starts and health checks that failed, as the circuit breaker counts them.
        streak: failed starts in a row, by which the pause between starts grows.
        not_before: simulated seconds before which no task is started.
    """

    id: str
    arn: str
    revision: Revision
    service: Service
    cause: Call | None
    created_at: datetime
    updated_at: datetime
    status: Literal["PRIMARY", "ACTIVE", "INACTIVE"] = "PRIMARY"
    rollout: RolloutState = "IN_PROGRESS"
    reason: str = ""
    rollback_of: Deployment | None = None
    deployment_status: DeploymentStatus = "IN_PROGRESS"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    native: bool = False
    release: Release | None = None
    share: float = 100.0
    ended_by: Call | None = None
    sources: tuple[Revision, ...] = ()
    rollback: Rollback | None = None
    alarms: AlarmWatch | None = None
    baking: bool = False
    record: dict[str, Any] = field(default_factory=dict)
    task_set: TaskSet | None = None
    blocked: Blocked | None = None
    failures: int = 0
    streak: int = 0
    not_before: float = 0.0

    @property
    def definition(self) -> TaskDefinition:
        return self.revision.definition

    @property
    def ended(self) -> bool:
        """Whether the service deployment has come to its end."""
        return self.deployment_status in FINAL

    @property
    def wanted(self) -> int:
        """How many tasks it is to have, where deployments are side by side: rounded up (ECS API: TaskSet,
        computedDesiredCount)."""
        # a share is a multiple of a thousandth of a percent at most: no float noise may round up
        return -(-self.service.desired * round(self.share * 1000) // 100_000)
