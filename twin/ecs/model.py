"""The things that ECS knows: clusters, container instances, task definitions, services, deployments, tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.deployment import Deployment, Revision
    from twin.ecs.express.model import Express
    from twin.ecs.neighbours import Ec2Instance
    from twin.ecs.query import Expression
    from twin.kernel.scheduler import Timer

LastStatus = Literal[
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
]
HostStatus = Literal["ACTIVE", "DRAINING", "INACTIVE"]
ServiceStatus = Literal["ACTIVE", "DRAINING", "INACTIVE"]
Tags = dict[str, str]

AGENT_PORTS = ("22", "2375", "2376", "51678", "51679")
MAX_HOST_PORTS = 100
FIRST_DYNAMIC_PORT = 32768


@dataclass(slots=True, eq=False)
class Cluster:
    """A cluster. `epoch` counts changes of capacity, so that a placement that failed is not tried again for nothing."""

    name: str
    arn: str
    tags: Tags = field(default_factory=dict)
    settings: list[dict[str, str]] = field(default_factory=list)
    capacity_providers: list[str] = field(default_factory=list)
    default_strategy: list[dict[str, Any]] = field(default_factory=list)
    epoch: int = 0


@dataclass(slots=True, eq=False)
class CapacityProvider:
    name: str
    arn: str
    group_arn: str
    group_name: str
    provider: dict[str, Any]
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A placement constraint; `matches` is the compiled expression of a `memberOf`."""

    type: Literal["distinctInstance", "memberOf"]
    expression: str | None = None
    matches: Expression | None = None


@dataclass(frozen=True, slots=True)
class PortMapping:
    container: str
    container_port: int
    host_port: int
    protocol: Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a task takes of its instance. `host_ports` are the fixed ones, as (protocol, port)."""

    cpu: int
    memory: int
    gpus: int
    eni: bool
    host_ports: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A container's health check, in seconds; `retries` failures in a row make it UNHEALTHY."""

    interval: float
    timeout: float
    retries: int
    start_period: float

    @property
    def to_healthy(self) -> float:
        """Docker runs the first check one interval after the start."""
        return self.interval

    @property
    def to_unhealthy(self) -> float:
        return self.start_period + self.retries * (self.interval + self.timeout)


@dataclass(slots=True, eq=False)
class TaskDefinition:
    """A registered revision; `raw` with ECS's defaults filled in. A DELETED one keeps its number from being reused."""

    arn: str
    family: str
    revision: int
    raw: dict[str, Any]
    demand: Demand
    ports: tuple[PortMapping, ...]
    constraints: tuple[Constraint, ...]
    images: tuple[str, ...]
    health_checks: tuple[HealthCheck, ...]
    stop_timeout: float
    network_mode: str
    architecture: str | None
    registered_at: datetime
    status: Literal["ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS", "DELETED"] = "ACTIVE"
    deregistered_at: datetime | None = None
    tags: Tags = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Host:
    """A container instance, with what is left of its resources.

    `service_counts` counts the tasks with desired status RUNNING per service, `group_counts` every task that has not
    stopped per task group, `held` what the agent could not report yet because it is disconnected, `back` when (elapsed
    seconds) and how it comes back. `fargate`: what one task of launch type FARGATE runs on; no API shows it.
    """

    number: int
    arn: str
    cluster: Cluster
    machine: Ec2Instance
    instance_id: str
    zone: str
    subnet_id: str
    capacity_provider: str | None
    attributes: dict[str, str | None]
    cpu: int
    memory: int
    gpus: tuple[str, ...]
    enis: int
    registered_at: datetime
    updated_at: datetime
    status: HostStatus = "ACTIVE"
    agent_connected: bool = True
    running: bool = True
    may_connect: bool = True
    version: int = 0
    free_cpu: int = 0
    free_memory: int = 0
    free_gpus: list[str] = field(default_factory=list)
    free_enis: int = 0
    ports: dict[str, set[int]] = field(default_factory=lambda: {"tcp": set(), "udp": set()})
    next_port: int = FIRST_DYNAMIC_PORT
    images: set[str] = field(default_factory=set)
    tasks: dict[str, Task] = field(default_factory=dict)
    service_counts: dict[str, int] = field(default_factory=dict)
    group_counts: dict[str, int] = field(default_factory=dict)
    custom_attributes: set[str] = field(default_factory=set)
    tags: Tags = field(default_factory=dict)
    drained_by: Call | None = None
    held: list[Callable[[], None]] = field(default_factory=list)
    back: tuple[float, Callable[[], None]] | None = None
    flap: Timer | None = None
    fargate: bool = False

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[1]

    @property
    def may_take_tasks(self) -> bool:
        return self.status == "ACTIVE" and self.agent_connected


@dataclass(slots=True, eq=False)
class Target:
    """Where a task is registered: an instance and host port, or the task's own address and container port."""

    group_arn: str
    target_id: str
    port: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.group_arn, self.target_id, self.port


@dataclass(slots=True, eq=False)
class Service:
    """A service. `tasks` holds every task of it that is not STOPPED, by ARN, in order of creation.

    Attributes:
        healthy: tasks that truly serve: healthy for ECS, and not dead on an instance that is gone.
        configuration: `deploymentConfiguration` without the percents, as it was given.
        deployments: those that have tasks or are to have some; the primary one first. `history`: all, oldest first.
        completed: the last revision that was deployed successfully.
        excess_by: the call because of which there may be more tasks than desired.
        rebalance_zone: the zone in which an extra task is started to even out the spread.
        express: what makes it an Express service.
    """

    number: int
    name: str
    arn: str
    cluster: Cluster
    desired: int
    strategy: Literal["REPLICA", "DAEMON"]
    controller: Literal["ECS", "CODE_DEPLOY", "EXTERNAL"]
    az_rebalancing: Literal["ENABLED", "DISABLED"]
    launch_type: str | None
    created_at: datetime
    minimum: int = 100
    maximum: int = 200
    configuration: dict[str, Any] = field(default_factory=dict)
    load_balancers: list[dict[str, Any]] = field(default_factory=list)
    constraints: tuple[Constraint, ...] = ()
    strategies: tuple[tuple[str, str], ...] = ()
    raw: dict[str, Any] = field(default_factory=dict)
    grace: float = 0.0
    capacity_strategy: list[dict[str, Any]] = field(default_factory=list)
    status: ServiceStatus = "ACTIVE"
    tags: Tags = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    history: list[Deployment] = field(default_factory=list)
    completed: Revision | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    healthy: int = 0
    excess_by: Call | None = None
    steady: bool = False
    impaired: bool = False
    messages: list[tuple[datetime, str, str]] = field(default_factory=list)
    retry: Timer | None = None
    wake: Timer | None = None
    rebalance_zone: str | None = None
    rebalance_check: Timer | None = None
    express: Express | None = None

    @property
    def group(self) -> str:
        return f"service:{self.name}"

    @property
    def primary(self) -> Deployment | None:
        """The deployment that is to have the tasks; None for a service without a primary task set."""
        first = self.deployments[0] if self.deployments else None
        return first if first is not None and first.status == "PRIMARY" else None

    @property
    def side_by_side(self) -> bool:
        """Whether its deployments keep their tasks next to each other (native releases, task sets); a rolling one
        replaces them."""
        return self.controller == "EXTERNAL" or any(each.native for each in self.deployments)

    @property
    def blocked(self) -> bool:
        """Whether the last try to place a task of it failed."""
        return any(each.blocked is not None for each in self.deployments)

    def unblock(self) -> None:
        """What could not be placed is worth another try now."""
        for each in self.deployments:
            each.blocked = None

    @property
    def lower_limit(self) -> int:
        """Tasks that must stay RUNNING and healthy: ceil(desired x minimumHealthyPercent / 100)."""
        return -(-self.desired * self.minimum // 100)

    @property
    def upper_limit(self) -> int:
        """Tasks that may be RUNNING or PENDING: floor(desired x maximumPercent / 100)."""
        return self.desired * self.maximum // 100


@dataclass(slots=True, eq=False)
class Task:
    """A task.

    Attributes:
        number: order of creation in the world.
        healthy: what ECS's scheduler believes.
        failing: it failed its health checks and must be replaced.
        target_failed: a target group reports it unhealthy.
        dead: its instance is gone, though ECS may not know yet. `counted`: whether it is in `Service.healthy`.
        cause: the call because of which it is being stopped.
        crashes: it was struck by a fault and never becomes healthy.
        network: networkConfiguration of a task that belongs to no service.
    """

    number: int
    arn: str
    cluster: Cluster
    definition: TaskDefinition
    group: str
    created_at: datetime
    updated_at: datetime
    service: Service | None = None
    deployment: Deployment | None = None
    host: Host | None = None
    zone: str | None = None
    capacity_provider: str | None = None
    constraints: tuple[Constraint, ...] = ()
    strategies: tuple[tuple[str, str], ...] = ()
    started_by: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    last_status: LastStatus = "PROVISIONING"
    desired_status: Literal["RUNNING", "STOPPED"] = "RUNNING"
    version: int = 0
    connectivity_at: datetime | None = None
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    execution_stopped_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    container_reason: str | None = None
    exit_code: int | None = None
    container_health: Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"] = "UNKNOWN"
    settled_running: bool = False
    healthy: bool = False
    failing: bool = False
    target_failed: bool = False
    was_healthy: bool = False
    dead: bool = False
    counted: bool = False
    crashes: bool = False
    start_fails: bool = False
    pull_factor: float = 1.0
    cause: Call | None = None
    protected_until: datetime | None = None
    targets: list[Target] = field(default_factory=list)
    deregistering: int = 0
    host_ports: dict[tuple[str, int, str], int] = field(default_factory=dict)
    gpu_ids: tuple[str, ...] = ()
    attachment: dict[str, str] | None = None
    network: Mapping[str, Any] | None = None
    container_ids: tuple[str, ...] = ()
    tags: Tags = field(default_factory=dict)
    timer: Timer | None = None
    health_timer: Timer | None = None

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[1]

    @property
    def wanted(self) -> bool:
        """Desired status RUNNING: what ECS counts as running or to be running."""
        return self.desired_status == "RUNNING"

    @property
    def serves(self) -> bool:
        return self.healthy and not self.dead and self.wanted and self.last_status == "RUNNING"


@dataclass(frozen=True)
class HealthChange:
    """The number of healthy tasks of a service changed. `cause` is the API call behind it, None when there is none."""

    at: datetime
    service_arn: str
    healthy: int
    desired: int
    cause: Call | None


@dataclass(frozen=True)
class Loss:
    """A service lost a healthy task.

    Attributes:
        cause: the API call that led to it; None when no call did (a crash, a failed health check, ECS by itself).
        text: one line for people.
        desired: the service's desired count at that moment.
        scheduling_strategy: REPLICA or DAEMON; daemon services follow their hosts.
    """

    at: datetime
    service_arn: str
    task_arn: str
    healthy_before: int
    healthy_after: int
    cause: Call | None
    text: str
    desired: int
    scheduling_strategy: str
