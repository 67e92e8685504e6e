"""What a replacement of hosts knows and decides, as plain frozen data.

A `Survey` is one observation of everything that the decision needs; `Plan` is the decision. Both go to and from JSON
with `caretaker.hosts.plain`. The `from_*` constructors take the dicts of the AWS APIs as boto3 returns them and read
nothing else, so that a survey can be built from recorded responses.

Unknown is in use: what could not be read is None, or is named in `Survey.unknown`, and blocks what depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from caretaker.placement.model import NOTHING, Constraint, Resources, Strategy

Json = Mapping[str, Any]

SERVICE_PREFIX = "service:"
DEFAULT_PERCENTS = {"REPLICA": (100, 200), "DAEMON": (0, 100)}


def short(arn: str) -> str:
    """Last part of an ARN, for people: the task id, service name or instance id."""
    return arn.rsplit("/", 1)[-1]


def _moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


# --- container instances ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Host:
    """A container instance.

    Attributes:
        instance_id: EC2 instance id.
        arn: container instance ARN.
        status: ACTIVE, DRAINING, REGISTERING, DEREGISTERING, REGISTRATION_FAILED or INACTIVE.
        agent_connected: whether the ECS agent is connected.
        registered: what the instance registered with.
        remaining: what remains of it.
        attributes: attribute name to value ("" where an attribute has none).
        provider: capacity provider name, "" if none.
        running: tasks whose desired status is RUNNING and that run.
        pending: tasks that are PENDING.
        eni_tasks: `awsvpc` tasks on the host; None if they were not counted (then every task is taken for one).
        claimed_by: other work (its name) that has claimed this host, "" if nobody.
        version: ECS's version of the object.
    """

    instance_id: str
    arn: str
    status: str = "ACTIVE"
    agent_connected: bool = True
    registered: Resources = NOTHING
    remaining: Resources = NOTHING
    attributes: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    running: int = 0
    pending: int = 0
    eni_tasks: int | None = None
    claimed_by: str = ""
    version: int = 0

    @property
    def instance_type(self) -> str:
        """EC2 instance type, from the attribute that the agent registers."""
        return self.attributes.get("ecs.instance-type", "")

    @property
    def zone(self) -> str:
        """Availability zone, from the attribute that the agent registers."""
        return self.attributes.get("ecs.availability-zone", "")

    @classmethod
    def from_ecs(cls, data: Json, *, eni_tasks: int | None = None, claimed_by: str = "") -> Host:
        """From a member of `containerInstances` (ECS API: DescribeContainerInstances)."""
        return cls(
            instance_id=data.get("ec2InstanceId", ""),
            arn=data["containerInstanceArn"],
            status=data.get("status", ""),
            agent_connected=bool(data.get("agentConnected", False)),
            registered=resources_from_ecs(data.get("registeredResources", ())),
            remaining=resources_from_ecs(data.get("remainingResources", ())),
            attributes={item["name"]: item.get("value") or "" for item in data.get("attributes", ())},
            provider=data.get("capacityProviderName") or "",
            running=data.get("runningTasksCount", 0),
            pending=data.get("pendingTasksCount", 0),
            eni_tasks=eni_tasks,
            claimed_by=claimed_by,
            version=data.get("version", 0),
        )


def resources_from_ecs(items: Iterable[Json]) -> Resources:
    """From `registeredResources` or `remainingResources` (ECS API: `Resource`)."""
    by_name = {item["name"]: item for item in items}

    def names(name: str) -> tuple[str, ...]:
        return tuple(by_name.get(name, {}).get("stringSetValue") or ())

    return Resources(
        cpu=by_name.get("CPU", {}).get("integerValue", 0),
        memory=by_name.get("MEMORY", {}).get("integerValue", 0),
        tcp_ports=tuple(sorted(int(port) for port in names("PORTS"))),
        udp_ports=tuple(sorted(int(port) for port in names("PORTS_UDP"))),
        gpus=tuple(sorted(names("GPU"))),
    )


# --- tasks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """A task.

    Attributes:
        arn: task ARN.
        definition: ARN of its task definition revision.
        host_arn: container instance ARN.
        last_status: where it is in its life cycle.
        desired_status: RUNNING or STOPPED.
        health: HEALTHY, UNHEALTHY or UNKNOWN.
        group: `service:<name>`, or `family:<family>` or a name of the owner's for a standalone task.
        started_by: `ecs-svc/<deployment id>` for service tasks.
        provider: capacity provider that it was started with, "" if none.
        protected: whether task protection is in force; None if that could not be read (service tasks only).
        protected_until: when protection ends; None means not protected, or that AWS named no end.
        started_at: when it reached RUNNING.
        eni: whether an elastic network interface is attached to it.
        version: ECS's version of the object.
    """

    arn: str
    definition: str
    host_arn: str
    last_status: str = "RUNNING"
    desired_status: str = "RUNNING"
    health: str = "UNKNOWN"
    group: str = ""
    started_by: str = ""
    provider: str = ""
    protected: bool | None = False
    protected_until: datetime | None = None
    started_at: datetime | None = None
    eni: bool = False
    version: int = 0

    @property
    def service(self) -> str:
        """Name of its service, "" for a standalone task."""
        return self.group.removeprefix(SERVICE_PREFIX) if self.group.startswith(SERVICE_PREFIX) else ""

    @property
    def stopping(self) -> bool:
        """Whether it is on its way out (its desired status is STOPPED, whatever it still does)."""
        return self.desired_status == "STOPPED"

    @property
    def stopped(self) -> bool:
        """Whether it is gone."""
        return self.last_status == "STOPPED"

    @classmethod
    def from_ecs(cls, data: Json, protection: Json | None = None, *, protection_known: bool = True) -> Task:
        """From a member of `tasks` (ECS API: DescribeTasks) and of `protectedTasks` (ECS API: GetTaskProtection).

        Args:
            data: the task.
            protection: its entry of GetTaskProtection, None if it has none.
            protection_known: False if GetTaskProtection failed for it.
        """
        kinds = {item.get("type") for item in data.get("attachments", ()) if item.get("status") != "DELETED"}
        protected = bool(protection and protection.get("protectionEnabled"))
        return cls(
            arn=data["taskArn"],
            definition=data.get("taskDefinitionArn", ""),
            host_arn=data.get("containerInstanceArn", ""),
            last_status=data.get("lastStatus", ""),
            desired_status=data.get("desiredStatus", ""),
            health=data.get("healthStatus", "UNKNOWN"),
            group=data.get("group", ""),
            started_by=data.get("startedBy", ""),
            provider=data.get("capacityProviderName") or "",
            protected=protected if protection_known else None,
            protected_until=_moment(protection.get("expirationDate")) if protection and protected else None,
            started_at=_moment(data.get("startedAt")),
            eni="ElasticNetworkInterface" in kinds or "eni" in kinds,
            version=data.get("version", 0),
        )


# --- task definitions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Port:
    """A port mapping; `host` 0 is a dynamic port, in `host` and `awsvpc` mode the host port is the container's."""

    container: int
    host: int = 0
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a task definition. `memory` is the hard limit, `reservation` the soft one (MiB; None: not set)."""

    name: str
    cpu: int = 0
    memory: int | None = None
    reservation: int | None = None
    ports: tuple[Port, ...] = ()
    gpus: int = 0
    essential: bool = True
    health_check: bool = False
    stop_timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a task definition.

    Attributes:
        name: its name.
        kind: `host` (bind mount), `scratch` (bind mount without a path), `docker`, `efs`, `fsx`, `s3files` or `ebs`
            (configured at launch).
        detail: host path, Docker driver or file system id.
        scope: `task` or `shared` for Docker volumes.
    """

    name: str
    kind: str
    detail: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A task definition revision. `cpu` and `memory` are the task-level sizes, None where only containers have some."""

    arn: str
    network_mode: str = "bridge"
    cpu: int | None = None
    memory: int | None = None
    containers: tuple[Container, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    volumes: tuple[Volume, ...] = ()
    requires: tuple[tuple[str, str], ...] = ()

    @property
    def health_checked(self) -> bool:
        """Whether an essential container has a health check."""
        return any(item.health_check for item in self.containers if item.essential)

    @property
    def stop_timeout(self) -> int:
        """Seconds from SIGTERM to SIGKILL at the longest (default 30)."""
        return max((30 if item.stop_timeout is None else item.stop_timeout for item in self.containers), default=30)

    @classmethod
    def from_ecs(cls, data: Json) -> Definition:
        """From `taskDefinition` (ECS API: DescribeTaskDefinition)."""
        return cls(
            arn=data["taskDefinitionArn"],
            network_mode=data.get("networkMode") or "bridge",
            cpu=int(data["cpu"]) if data.get("cpu") else None,
            memory=int(data["memory"]) if data.get("memory") else None,
            containers=tuple(_container(item) for item in data.get("containerDefinitions", ())),
            constraints=constraints_from_ecs(data.get("placementConstraints", ())),
            volumes=tuple(_volume(item) for item in data.get("volumes", ())),
            requires=tuple(
                sorted((item["name"], item.get("value") or "") for item in data.get("requiresAttributes", ()))
            ),
        )


def _container(data: Json) -> Container:
    ports = (
        Port(item.get("containerPort", 0), item.get("hostPort", 0), item.get("protocol", "tcp"))
        for item in data.get("portMappings", ())
    )
    needs = data.get("resourceRequirements", ())
    return Container(
        name=data.get("name", ""),
        cpu=data.get("cpu", 0),
        memory=data.get("memory"),
        reservation=data.get("memoryReservation"),
        ports=tuple(ports),
        gpus=sum(int(item["value"]) for item in needs if item.get("type") == "GPU"),
        essential=data.get("essential", True),
        health_check=bool(data.get("healthCheck")),
        stop_timeout=data.get("stopTimeout"),
    )


def _volume(data: Json) -> Volume:
    name = data.get("name", "")
    if data.get("configuredAtLaunch"):
        return Volume(name, "ebs")
    if docker := data.get("dockerVolumeConfiguration"):
        return Volume(name, "docker", docker.get("driver") or "local", docker.get("scope") or "task")
    if efs := data.get("efsVolumeConfiguration"):
        return Volume(name, "efs", efs.get("fileSystemId", ""))
    if fsx := data.get("fsxWindowsFileServerVolumeConfiguration"):
        return Volume(name, "fsx", fsx.get("fileSystemId", ""))
    if files := data.get("s3filesVolumeConfiguration"):
        return Volume(name, "s3files", files.get("fileSystemArn", ""))
    path = (data.get("host") or {}).get("sourcePath")
    return Volume(name, "host", path) if path else Volume(name, "scratch")


def constraints_from_ecs(items: Iterable[Json]) -> tuple[Constraint, ...]:
    """From `placementConstraints` of a service or task definition."""
    return tuple(Constraint(item["type"], item.get("expression") or "") for item in items)


# --- services --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of a service (ECS API: `Deployment`), or a task set (then `rollout` is its stability status)."""

    id: str
    status: str = "PRIMARY"
    rollout: str = ""
    desired: int = 0
    running: int = 0
    pending: int = 0
    failed: int = 0
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Balancer:
    """A target group that a service registers its tasks with."""

    target_group: str
    container: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A service.

    Attributes:
        arn: service ARN.
        name: service name.
        status: ACTIVE, DRAINING or INACTIVE.
        desired: desired count.
        running: tasks that run.
        pending: tasks that are pending.
        healthy: tasks that run and are healthy by ECS's own rules, target health included; None if not counted.
        scheduling: REPLICA or DAEMON.
        controller: ECS, CODE_DEPLOY or EXTERNAL.
        configuration: the whole `deploymentConfiguration` as it is now.
        original: the whole `deploymentConfiguration` as its owner set it, where a surge of Caretaker's is in force now.
        surge_holders: work that holds the surge now.
        definition: ARN of the task definition that new tasks use.
        deployments: deployments, or task sets.
        constraints: placement constraints of the service.
        strategies: placement strategies of the service.
        balancers: its target groups.
        zone_rebalancing: whether ECS rebalances its tasks over availability zones on its own.
        subnets: subnets of an `awsvpc` service.
        providers: capacity providers of its strategy; () where it uses a launch type.
        volumes: volumes that ECS creates anew for every task (`volumeConfigurations`), by name.
    """

    arn: str
    name: str
    status: str = "ACTIVE"
    desired: int = 0
    running: int = 0
    pending: int = 0
    healthy: int | None = None
    scheduling: str = "REPLICA"
    controller: str = "ECS"
    configuration: Mapping[str, Any] = field(default_factory=dict)
    original: Mapping[str, Any] | None = None
    surge_holders: tuple[str, ...] = ()
    definition: str = ""
    deployments: tuple[Deployment, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    strategies: tuple[Strategy, ...] = ()
    balancers: tuple[Balancer, ...] = ()
    zone_rebalancing: bool = False
    subnets: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """Group of its tasks."""
        return SERVICE_PREFIX + self.name

    @property
    def percents(self) -> tuple[int, int]:
        """(minimumHealthyPercent, maximumPercent) in force, with ECS's defaults where unset.

        External and CODE_DEPLOY services on EC2 have the defaults, used only while an instance drains.
        """
        return percents_of(self.configuration, self.scheduling, self.controller)

    @property
    def in_progress(self) -> Deployment | None:
        """A deployment in progress, if there is one (ECS API: `rolloutState`; more than one deployment says so too)."""
        unfinished = [item for item in self.deployments if item.rollout not in ("", "COMPLETED", "STEADY_STATE")]
        if unfinished:
            return unfinished[0]
        return self.deployments[-1] if self.controller == "ECS" and len(self.deployments) > 1 else None

    @classmethod
    def from_ecs(
        cls,
        data: Json,
        *,
        healthy: int | None = None,
        original: Json | None = None,
        surge_holders: Sequence[str] = (),
    ) -> Service:
        """From a member of `services` (ECS API: DescribeServices).

        Args:
            data: the service.
            healthy: its healthy tasks, as counted by the caller.
            original: whole deployment configuration that a surge lease keeps, if one is in force.
            surge_holders: holders of that lease.
        """
        controller = (data.get("deploymentController") or {}).get("type") or "ECS"
        sets = data.get("taskSets", ()) if controller != "ECS" else ()
        network = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        deployments = [_deployment(item) for item in data.get("deployments", ())] + [_task_set(item) for item in sets]
        primary = next((item.definition for item in deployments if item.status == "PRIMARY"), "")
        return cls(
            arn=data["serviceArn"],
            name=data.get("serviceName") or short(data["serviceArn"]),
            status=data.get("status", ""),
            desired=data.get("desiredCount", 0),
            running=data.get("runningCount", 0),
            pending=data.get("pendingCount", 0),
            healthy=healthy,
            scheduling=data.get("schedulingStrategy") or "REPLICA",
            controller=controller,
            configuration=data.get("deploymentConfiguration") or {},
            original=original,
            surge_holders=tuple(sorted(surge_holders)),
            definition=data.get("taskDefinition") or primary,
            deployments=tuple(deployments),
            constraints=constraints_from_ecs(data.get("placementConstraints", ())),
            strategies=tuple(
                Strategy(item.get("type", ""), item.get("field") or "") for item in data.get("placementStrategy", ())
            ),
            balancers=_balancers(data),
            zone_rebalancing=data.get("availabilityZoneRebalancing") == "ENABLED",
            subnets=tuple(sorted(network.get("subnets") or ())),
            providers=tuple(sorted(item["capacityProvider"] for item in data.get("capacityProviderStrategy") or ())),
            volumes=_launch_volumes(data),
        )


def percents_of(configuration: Json, scheduling: str = "REPLICA", controller: str = "ECS") -> tuple[int, int]:
    """(minimumHealthyPercent, maximumPercent) of a deployment configuration, with ECS's defaults where unset."""
    least, most = DEFAULT_PERCENTS.get(scheduling, (100, 200))
    if controller != "ECS":
        return least, most
    minimum, maximum = configuration.get("minimumHealthyPercent"), configuration.get("maximumPercent")
    return (least if minimum is None else minimum), (most if maximum is None else maximum)


def _deployment(data: Json) -> Deployment:
    return Deployment(
        id=data.get("id", ""),
        status=data.get("status", ""),
        rollout=data.get("rolloutState") or "",
        desired=data.get("desiredCount", 0),
        running=data.get("runningCount", 0),
        pending=data.get("pendingCount", 0),
        failed=data.get("failedTasks", 0),
        definition=data.get("taskDefinition", ""),
    )


def _task_set(data: Json) -> Deployment:
    return Deployment(
        id=data.get("id", ""),
        status=data.get("status", ""),
        rollout=data.get("stabilityStatus") or "",
        desired=data.get("computedDesiredCount", 0),
        running=data.get("runningCount", 0),
        pending=data.get("pendingCount", 0),
        definition=data.get("taskDefinition", ""),
    )


def _balancers(data: Json) -> tuple[Balancer, ...]:
    own = list(data.get("loadBalancers", ()))
    for task_set in data.get("taskSets", ()):
        own += task_set.get("loadBalancers", ())
    found = {
        Balancer(item["targetGroupArn"], item.get("containerName", ""), item.get("containerPort", 0))
        for item in own
        if item.get("targetGroupArn")
    }
    return tuple(sorted(found, key=lambda item: (item.target_group, item.container, item.port)))


def _launch_volumes(data: Json) -> tuple[str, ...]:
    found = {
        volume.get("name", "")
        for deployment in data.get("deployments", ())
        for volume in deployment.get("volumeConfigurations") or ()
    }
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Target:
    """Health of one target (ELBv2 API: DescribeTargetHealth): `id` is an instance id or an IP address."""

    target_group: str
    id: str
    port: int
    state: str
    reason: str = ""

    @classmethod
    def from_elbv2(cls, target_group: str, data: Json) -> Target:
        """From a member of `TargetHealthDescriptions`."""
        target, health = data["Target"], data.get("TargetHealth") or {}
        return cls(
            target_group, target["Id"], target.get("Port", 0), health.get("State", ""), health.get("Reason") or ""
        )


# --- groups ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """An instance of a group (Auto Scaling API: `Instance`)."""

    instance_id: str
    zone: str
    instance_type: str = ""
    lifecycle: str = "InService"
    healthy: bool = True
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group that gives hosts to the cluster.

    Attributes:
        name: group name.
        minimum: MinSize.
        maximum: MaxSize.
        desired: DesiredCapacity.
        members: its instances.
        zones: its availability zones.
        suspended: suspended processes (`Launch`, `Terminate`, `AZRebalance` …).
        launch: `template`, `mixed` or `configuration`: what it launches with.
        instance_types: instance types that it may launch, the likeliest first.
        weighted: whether its capacity counts units instead of hosts.
        warm_pool: whether it has a warm pool.
        deleting: whether it is being deleted.
        provider: name of the capacity provider that wraps it, "" if none does.
        managed_termination_protection: whether the capacity provider owns scale-in protection.
    """

    name: str
    minimum: int
    maximum: int
    desired: int
    members: tuple[Member, ...] = ()
    zones: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()
    launch: str = "template"
    instance_types: tuple[str, ...] = ()
    weighted: bool = False
    warm_pool: bool = False
    deleting: bool = False
    provider: str = ""
    managed_termination_protection: bool = False

    @classmethod
    def from_autoscaling(cls, data: Json, provider: Json | None = None, template_type: str = "") -> Group:
        """From a member of `AutoScalingGroups` (Auto Scaling API: DescribeAutoScalingGroups).

        Args:
            data: the group.
            provider: the capacity provider that wraps it (ECS API: DescribeCapacityProviders), if one does.
            template_type: instance type of its launch template or configuration, "" if unknown.
        """
        wrapped = (provider or {}).get("autoScalingGroupProvider") or {}
        return cls(
            name=data["AutoScalingGroupName"],
            minimum=data["MinSize"],
            maximum=data["MaxSize"],
            desired=data["DesiredCapacity"],
            members=tuple(_member(item) for item in data.get("Instances", ())),
            zones=tuple(sorted(data.get("AvailabilityZones", ()))),
            suspended=tuple(sorted(item["ProcessName"] for item in data.get("SuspendedProcesses", ()))),
            launch=_launch_kind(data),
            instance_types=_types_of(data, template_type),
            weighted=any(item.get("WeightedCapacity") for item in _type_overrides(data)),
            warm_pool=bool(data.get("WarmPoolConfiguration")),
            deleting=bool(data.get("Status")),
            provider=(provider or {}).get("name", ""),
            managed_termination_protection=wrapped.get("managedTerminationProtection") == "ENABLED",
        )


def _member(data: Json) -> Member:
    return Member(
        instance_id=data["InstanceId"],
        zone=data.get("AvailabilityZone", ""),
        instance_type=data.get("InstanceType") or "",
        lifecycle=data.get("LifecycleState", ""),
        healthy=data.get("HealthStatus", "Healthy").upper() == "HEALTHY",
        protected=bool(data.get("ProtectedFromScaleIn")),
    )


def _launch_kind(data: Json) -> str:
    if data.get("MixedInstancesPolicy"):
        return "mixed"
    return "template" if data.get("LaunchTemplate") else "configuration"


def _type_overrides(data: Json) -> Sequence[Json]:
    return ((data.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}).get("Overrides") or ()


def _types_of(data: Json, template_type: str) -> tuple[str, ...]:
    named = [item["InstanceType"] for item in _type_overrides(data) if item.get("InstanceType")]
    if not named:
        seen = sorted(item["InstanceType"] for item in data.get("Instances", ()) if item.get("InstanceType"))
        named = [template_type] if template_type else seen
    return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An EC2 instance type: vCPUs, memory in MiB, most network interfaces, GPUs."""

    name: str
    vcpus: int
    memory: int
    enis: int
    gpus: int = 0

    @classmethod
    def from_ec2(cls, data: Json) -> InstanceType:
        """From a member of `InstanceTypes` (EC2 API: DescribeInstanceTypes)."""
        return cls(
            name=data["InstanceType"],
            vcpus=data["VCpuInfo"]["DefaultVCpus"],
            memory=data["MemoryInfo"]["SizeInMiB"],
            enis=(data.get("NetworkInfo") or {}).get("MaximumNetworkInterfaces", 0),
            gpus=sum(item.get("Count", 0) for item in (data.get("GpuInfo") or {}).get("Gpus", ())),
        )


# --- policy ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServicePolicy:
    """What a service's own policy says; None where it says nothing."""

    surge: bool | None = None
    standalone: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The owner's policy for hosts, all seconds; `services` holds the services' own, by service name."""

    mode: str = "observe"
    lead: int | None = None
    budget: int = 1
    surge: bool = True
    standalone: str = "wait"
    ready_timeout: int = 900
    drain_timeout: int = 3600
    retry_after: int = 900
    allow_shrink: bool = False
    services: Mapping[str, ServicePolicy] = field(default_factory=dict)

    def may_surge(self, service: str) -> bool:
        """Whether Caretaker may raise this service's percents."""
        own = self.services.get(service, ServicePolicy()).surge
        return self.surge if own is None else own

    def standalone_of(self, group: str) -> str:
        """What to do about a standalone task of this task group: `wait` or `block`."""
        own = self.services.get(group.removeprefix("family:"), ServicePolicy()).standalone
        return own or self.standalone


# --- the survey ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that could not be read: its kind (`service`, `task`, `definition`, `group`, `host` …), id, and why."""

    kind: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    """One observation of a cluster.

    Attributes:
        cluster: cluster ARN.
        at: when it was made.
        batch: EC2 instance ids of the hosts to be replaced, 1 to 10.
        hosts: every container instance of the cluster, those of the batch included.
        tasks: every task on the batch's hosts (all pages, both desired statuses), and, wherever they run, every task of
            the services that have a task on the batch (placement spreads over them) and of all daemon services.
        services: services of those tasks, and every daemon service of the cluster.
        definitions: the task definitions of the tasks and those that their services use now.
        groups: the Auto Scaling groups of the hosts and of the cluster's capacity providers.
        types: instance types of the hosts and of the groups.
        targets: health of the targets in the services' target groups.
        subnet_zones: subnet id to availability zone, for the subnets of `awsvpc` services.
        unknown: what could not be read.
        deadline: when the hosts go anyway, None if they do not.
    """

    cluster: str
    at: datetime
    batch: tuple[str, ...]
    hosts: tuple[Host, ...] = ()
    tasks: tuple[Task, ...] = ()
    services: tuple[Service, ...] = ()
    definitions: tuple[Definition, ...] = ()
    groups: tuple[Group, ...] = ()
    types: tuple[InstanceType, ...] = ()
    targets: tuple[Target, ...] = ()
    subnet_zones: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[Unknown, ...] = ()
    deadline: datetime | None = None


# --- the plan --------------------------------------------------------------------------------------------------------

# How a task leaves its host.
SCHEDULER = "scheduler"  # ECS starts a successor first, with the service's settings as they are
SURGE = "surge"  # ECS starts a successor first once the service's percents are raised
DAEMON = "daemon"  # it ends with its host
WAIT = "wait"  # it ends by itself, or its protection ends; Caretaker waits for that
STOPPING = "stopping"  # it is on its way out already
RESTART = "restart"  # it is still PENDING: draining stops it at once, and ECS starts it elsewhere
BLOCKED = "blocked"  # it cannot move: the whole batch stays


@dataclass(frozen=True, slots=True)
class Move:
    """How one task leaves its host, and why so.

    Attributes:
        task: task ARN.
        host: EC2 instance id of the host that it leaves.
        how: one of SCHEDULER, SURGE, DAEMON, WAIT, STOPPING, RESTART, BLOCKED.
        reason: in words that an operator can act on.
        service: name of its service, "" for a standalone task.
        to: EC2 instance id, or name of a new host (`new-1`), where the plan's simulation put its successor; "" if none.
            ECS decides by itself: this only shows that there is room.
        until: what is waited for, where there is a time.
    """

    task: str
    host: str
    how: str
    reason: str
    service: str = ""
    to: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One place to launch hosts: a group, and a zone if the call can choose one.

    Attributes:
        group: Auto Scaling group name.
        zone: availability zone; "" where only the group chooses (SetDesiredCapacity).
        method: `LaunchInstances` or `SetDesiredCapacity` (Auto Scaling API).
        instance_type: type that is expected.
        reason: why this place, or why only as an alternative.
    """

    group: str
    zone: str
    method: str
    instance_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Launch:
    """One host to launch: `option` is the first choice, `alternatives` are the next ones in order.

    Attributes:
        name: `new-1` …
        option: where to launch it.
        alternatives: where else, in order; every one can take the tasks that are meant for this host.
        tasks: how many tasks the simulation put on it (daemons not counted).
        reason: in words.
    """

    name: str
    option: Option
    alternatives: tuple[Option, ...] = ()
    tasks: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Surge:
    """Percents to raise while the hosts drain.

    Attributes:
        service_arn: service ARN.
        service: service name.
        minimum: minimumHealthyPercent to set.
        maximum: maximumPercent to set.
        configuration: whole deployment configuration to send.
        original: whole deployment configuration to restore.
        reason: in words.
    """

    service_arn: str
    service: str
    minimum: int
    maximum: int
    configuration: Mapping[str, Any]
    original: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """How a host of the batch is ended.

    Attributes:
        instance_id: EC2 instance id.
        group: its Auto Scaling group.
        decrement: whether to lower the group's desired capacity with it. True only with `shrink`, or if the plan
            launches a host in this group: then the caller must have seen the desired capacity rise, and ends the host
            without decrement otherwise.
        reason: in words.
        shrink: whether policy allows this group to be smaller afterwards, so that no rise is needed.
    """

    instance_id: str
    group: str
    decrement: bool
    reason: str
    shrink: bool = False


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What blocks the batch.

    Attributes:
        kind: `task`, `service`, `host`, `capacity` or `group`.
        id: ARN, instance id or name.
        reason: in words, with the fix.
        retry: whether it may pass by itself (a deployment in progress, a protection that ends).
    """

    kind: str
    id: str
    reason: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Baseline:
    """A service as it was when the plan was made: what the golden rule is held against.

    Attributes:
        service_arn: service ARN.
        service: service name.
        desired: desired count.
        healthy: healthy tasks, at most `desired`; None if not counted.
        deployment: id of its primary deployment.
    """

    service_arn: str
    service: str
    desired: int
    healthy: int | None = None
    deployment: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision for one batch.

    Attributes:
        cluster: cluster ARN.
        at: when it was made.
        batch: EC2 instance ids.
        decision: `go`, `blocked`, `planned` (policy says observe; obstacles may be named) or `nothing` (no host left).
        reason: one line.
        moves: every task on the batch's hosts, once each, ordered by host and task.
        launches: hosts to launch first.
        surges: percents to raise.
        ends: how the hosts are ended.
        obstacles: what blocks, if anything does.
        refused: places to launch that were refused, in words.
        notes: what else a person should know.
        baselines: the replica services that have a task to move.
        drained: hosts of the batch that somebody else had set to DRAINING: never to be reactivated.
        deadline: when the hosts go anyway.
        retry_at: for `blocked`: when to try again, None if that makes no sense.
    """

    cluster: str
    at: datetime
    batch: tuple[str, ...]
    decision: str
    reason: str
    moves: tuple[Move, ...] = ()
    launches: tuple[Launch, ...] = ()
    surges: tuple[Surge, ...] = ()
    ends: tuple[End, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    drained: tuple[str, ...] = ()
    deadline: datetime | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a second look says.

    Attributes:
        decision: `go`, `wait` (for something that passes by itself) or `stop` (undo).
        reason: in words.
        plan: for `go`, the plan brought up to date: moves and surges as of now, launches and ends as carried out.
        obstacles: for `wait` and `stop`, everything that is in the way.
        until: for `wait`, when to look again at the latest, if that is known.
    """

    decision: str
    reason: str
    plan: Plan | None = None
    obstacles: tuple[Obstacle, ...] = ()
    until: datetime | None = None
