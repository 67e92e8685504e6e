"""What a world file may say. docs/worlds.md describes every field; tests hold the two together.

Names are AWS's own words in snake case. Everything is strict: an unknown field, a wrong type or a name that nothing
defines is refused before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from twin.rehearsal.account_spec import Gateway, Own, Stack
from twin.rehearsal.actor_spec import Actor, Answer
from twin.rehearsal.express_spec import EXPRESS_FIELDS, Express, ExpressChoices
from twin.rehearsal.fields import (
    Between,
    Count,
    InstanceId,
    IsoMoment,
    Moment,
    Name,
    Positive,
    Probability,
    Seconds,
    Strict,
    Zone,
    pattern,
)
from twin.rehearsal.release_spec import HookCallFault, Release, ReleaseChoices
from twin.rehearsal.traffic_spec import CloudWatchChoices, TrafficChoices, TrafficSpec

Outcome = Literal[
    "replaced",
    "undone",
    "blocked",
    "planned",
    "ignored",
    "failed",
    "promoted",
    "rolled_back",
    "inconclusive",
    "swept",
    "kept",
]


# --- hosts -----------------------------------------------------------------------------------------------------------
class CapacityProvider(Strict):
    name: Name | None = None
    managed_scaling: bool = False
    target_capacity: Annotated[int, Field(ge=1, le=100)] = 100
    minimum_step: Annotated[int, Field(ge=1, le=10_000)] = 1
    maximum_step: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    instance_warmup: Seconds = 300.0
    managed_termination_protection: bool = False
    managed_draining: bool = False


class LifecycleHook(Strict):
    name: Name
    transition: Literal["launching", "terminating"]
    heartbeat_timeout: Seconds = 3_600.0
    default_result: Literal["CONTINUE", "ABANDON"] = "ABANDON"


class Group(Strict):
    name: Name
    cluster: Name | None = None
    instance_type: str = "m5.large"
    instance_types: list[str] = []
    zones: list[Zone] = []
    desired_capacity: Count = 1
    min_size: Count = 0
    max_size: Count | None = None
    instances: list[InstanceId] = []
    suspended_processes: list[str] = []
    protected_from_scale_in: bool = False
    health_check_grace_period: Seconds = 300.0
    lifecycle_hooks: list[LifecycleHook] = []
    capacity_provider: CapacityProvider | None = None
    attributes: dict[str, str] = {}

    @property
    def largest(self) -> int:
        """MaxSize; without one, room for a few more than desired."""
        return self.max_size if self.max_size is not None else self.desired_capacity + 4

    @model_validator(mode="after")
    def _sizes(self) -> Group:
        if self.min_size > self.desired_capacity:
            raise ValueError(f"has min_size {self.min_size} above desired_capacity {self.desired_capacity}")
        if self.largest < self.desired_capacity:
            raise ValueError(f"has max_size {self.max_size} below desired_capacity {self.desired_capacity}")
        if len(self.instances) > self.desired_capacity:
            raise ValueError(f"names {len(self.instances)} instances for a desired_capacity of {self.desired_capacity}")
        return self


# --- services and tasks ----------------------------------------------------------------------------------------------
class Port(Strict):
    container: Annotated[int, Field(ge=1, le=65_535)]
    host: Annotated[int, Field(ge=0, le=65_535)] = 0
    protocol: Literal["tcp", "udp"] = "tcp"


class ListenerRule(Strict):
    priority: Annotated[int, Field(ge=1, le=50_000)]
    host_header: list[str] = []
    path_pattern: list[str] = []

    @model_validator(mode="after")
    def _conditions(self) -> ListenerRule:
        if not self.host_header and not self.path_pattern:
            raise ValueError("needs host_header, path_pattern or both")
        return self


class LoadBalancer(Strict):
    """How a service is reached: target groups, and the rule that forwards to them."""

    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    health_check_interval: Annotated[int, Field(ge=5, le=300)] = 10
    healthy_threshold: Annotated[int, Field(ge=2, le=10)] = 2
    unhealthy_threshold: Annotated[int, Field(ge=2, le=10)] = 2
    deregistration_delay: Annotated[int, Field(ge=0, le=3_600)] = 60
    alternate_target_group: bool = False
    weights: Annotated[list[Annotated[int, Field(ge=0, le=999)]], Field(min_length=2, max_length=2)] = [100, 0]
    stickiness: Annotated[Seconds, Field(ge=1, le=604_800)] | None = None
    listener: Name | None = None
    rule: ListenerRule | None = None

    @model_validator(mode="after")
    def _forwards(self) -> LoadBalancer:
        if "weights" in self.model_fields_set and not self.alternate_target_group:
            raise ValueError("has weights but no alternate_target_group to share requests with")
        if not any(self.weights):
            raise ValueError("has weights that are all 0: what AWS does then is not documented")
        if self.listener and not self.rule:
            raise ValueError(f"shares the listener {self.listener}, so it needs a rule")
        return self


class HealthCheck(Strict):
    interval: Annotated[int, Field(ge=5, le=300)] = 10
    retries: Annotated[int, Field(ge=1, le=10)] = 3
    start_period: Annotated[int, Field(ge=0, le=300)] = 0


class Constraint(Strict):
    type: Literal["distinctInstance", "memberOf"]
    expression: str = ""

    @model_validator(mode="after")
    def _expression(self) -> Constraint:
        if (self.type == "memberOf") != bool(self.expression):
            raise ValueError("memberOf needs an expression, distinctInstance has none")
        return self


class Strategy(Strict):
    type: Literal["spread", "binpack", "random"]
    field: str = ""


class ProviderShare(Strict):
    capacity_provider: Name
    base: Count = 0
    weight: Annotated[int, Field(ge=0, le=1_000)] = 1


class Protection(Strict):
    tasks: Annotated[int, Field(ge=1, le=1_000)] = 1
    expires_in: Seconds = 7_200.0


class Demand(Strict):
    """What one task asks of its host."""

    cpu: Annotated[int, Field(ge=0, le=196_608)] = 256
    memory: Annotated[int, Field(ge=4, le=1_048_576)] = 256
    gpu: Annotated[int, Field(ge=0, le=16)] = 0
    network_mode: Literal["bridge", "awsvpc", "host", "none"] = "bridge"
    ports: list[Port] = []
    constraints: list[Constraint] = []
    strategies: list[Strategy] = []
    start_seconds: Seconds | None = None
    stop_seconds: Seconds | None = None
    stop_timeout: Annotated[int, Field(ge=1, le=86_400)] | None = None
    image: str | None = None


class Service(Demand):
    name: Name
    cluster: Name | None = None
    count: Annotated[int, Field(ge=1, le=1_000)] = 1
    scheduling_strategy: Literal["REPLICA", "DAEMON"] = "REPLICA"
    desired_count: Count = 1
    minimum_healthy_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    maximum_percent: Annotated[int, Field(ge=0, le=1_000)] | None = None
    load_balancer: LoadBalancer | None = None
    health_check: HealthCheck | None = None
    health_check_grace_period: Seconds = 0.0
    deployment_controller: Literal["ECS", "CODE_DEPLOY", "EXTERNAL"] = "ECS"
    release: Release | None = None
    express: Express | None = None
    capacity_provider_strategy: list[ProviderShare] = []
    availability_zone_rebalancing: bool = False
    circuit_breaker: bool = False
    protection: Protection | None = None

    @property
    def daemon(self) -> bool:
        return self.scheduling_strategy == "DAEMON"

    @property
    def names(self) -> list[str]:
        """The service's name, or with `count` one name for each copy."""
        if self.count == 1:
            return [self.name]
        width = max(2, len(str(self.count)))
        return [f"{self.name}-{number:0{width}d}" for number in range(1, self.count + 1)]

    @model_validator(mode="after")
    def _consistent(self) -> Service:
        foreign = sorted(self.model_fields_set - EXPRESS_FIELDS)
        if self.express and foreign:
            raise ValueError(f"is an Express service, which has no {foreign[0]}: see its express")
        if self.daemon and "desired_count" in self.model_fields_set:
            raise ValueError("is a DAEMON service: ECS sets its desired_count, leave it out")
        if self.load_balancer and self.network_mode in ("bridge", "host") and not self.ports:
            raise ValueError("has a load_balancer but no ports for it to reach")
        second = self.load_balancer is not None and self.load_balancer.alternate_target_group
        if self.release and self.release.strategy != "BLUE_GREEN" and not second:
            raise ValueError(f"has {self.release.strategy} releases but no load_balancer with alternate_target_group")
        if self.count > 1 and self.load_balancer and self.load_balancer.rule:
            raise ValueError("has a rule, which holds for one service, and a count")
        return self


class Task(Demand):
    """Standalone tasks: RunTask, no service."""

    family: Name
    cluster: Name | None = None
    count: Annotated[int, Field(ge=1, le=1_000)] = 1
    instance: InstanceId | None = None
    run_for: Seconds | None = None
    started_by: str = "world"


class Maintenance(Strict):
    """A scheduled event in DescribeInstanceStatus; what a retirement notice announces."""

    instance: InstanceId
    code: Literal["instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop"] = (
        "instance-retirement"
    )
    not_before: Moment
    description: str = "The instance is running on degraded hardware"


# --- faults ----------------------------------------------------------------------------------------------------------
class ApiErrorFault(Between):
    kind: Literal["api_error"]
    service: str
    operation: str
    code: str = "ThrottlingException"
    message: str = "Rate exceeded"
    function: str | None = None
    aws: Literal["ecs"] | None = None
    times: Annotated[int, Field(ge=1)] | None = 1

    @model_validator(mode="after")
    def _one_caller(self) -> ApiErrorFault:
        if self.function is not None and self.aws is not None:
            raise ValueError("strikes either a function or aws, not both")
        return self


class EndlessListingFault(Between):
    kind: Literal["endless_listing"]
    service: str
    operation: str
    function: str | None = None


class RoleLacksFault(Between):
    kind: Literal["role_lacks"]
    action: Annotated[str, pattern(r"[a-z0-9-]+:[A-Za-z0-9*?]+", "an IAM action such as ec2:DeleteSecurityGroup")]


class FunctionDiesFault(Strict):
    kind: Literal["function_dies"]
    function: str
    service: str
    operation: str
    when: Literal["before", "after"] = "after"
    nth: Annotated[int, Field(ge=1)] = 1


class InsufficientCapacityFault(Between):
    kind: Literal["insufficient_capacity"]
    zone: Zone | None = None
    instance_type: str | None = None
    left: Count = 0


class LaunchFailsFault(Between):
    kind: Literal["launch_fails"]
    group: Name | None = None
    times: Annotated[int, Field(ge=1)] | None = None


class TaskStartFailsFault(Between):
    kind: Literal["task_start_fails"]
    service: Name
    times: Annotated[int, Field(ge=1)] | None = None


class TaskNeverHealthyFault(Between):
    kind: Literal["task_never_healthy"]
    service: Name


class SlowPullFault(Between):
    kind: Literal["slow_pull"]
    service: Name | None = None
    factor: Annotated[float, Field(ge=1, le=1_000)] = 10.0


class AgentNeverConnectsFault(Between):
    kind: Literal["agent_never_connects", "agent_never_registers"]
    group: Name | None = None
    instance: InstanceId | None = None


class AgentDisconnectsFault(Between):
    kind: Literal["agent_disconnects"]
    instance: InstanceId


class EventFault(Between):
    kind: Literal["event_lost", "event_doubled", "event_late", "event_reordered"]
    detail_type: str | None = None
    probability: Probability = 1.0
    delay: Seconds = 60.0
    times: Annotated[int, Field(ge=1)] | None = None


Fault = Annotated[
    ApiErrorFault
    | EndlessListingFault
    | RoleLacksFault
    | FunctionDiesFault
    | InsufficientCapacityFault
    | LaunchFailsFault
    | TaskStartFailsFault
    | TaskNeverHealthyFault
    | SlowPullFault
    | AgentNeverConnectsFault
    | AgentDisconnectsFault
    | HookCallFault
    | EventFault,
    Field(discriminator="kind"),
]


# --- what happens ----------------------------------------------------------------------------------------------------
class EventEntry(Strict):
    """One event of the world's own: a file beside the world, or the event itself."""

    file: str | None = None
    event: dict[str, Any] | None = None
    at: Moment | None = None

    @model_validator(mode="after")
    def _one_source(self) -> EventEntry:
        if (self.file is None) == (self.event is None):
            raise ValueError("needs either file or event")
        return self


class Expectation(Strict):
    outcome: Outcome
    reason_contains: str | None = None


def _expectation(value: object) -> object:
    return {"outcome": value} if isinstance(value, str) else value


ExpectationOrWord = Annotated[Expectation, BeforeValidator(_expectation)]


def _expectations(value: object) -> object:
    return value if value is None or isinstance(value, list) else [value]


class PolicyDocuments(Strict):
    """SSM parameters as they stand before the start."""

    defaults: dict[str, Any] | None = None
    clusters: dict[str, dict[str, Any]] = {}
    services: dict[str, dict[str, Any]] = {}

    def documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name below the policy path, document)."""
        if self.defaults is not None:
            yield "defaults", self.defaults
        for name, document in self.clusters.items():
            yield f"clusters/{name}", document
        for name, document in self.services.items():
            yield f"services/{name}", document


class EcsChoices(ReleaseChoices):
    """Delays, noise and choices of the simulated ECS; what is left out keeps `EcsOptions`'s default."""

    agent_register: Seconds | None = None
    scheduling: Seconds | None = None
    provision: Seconds | None = None
    provision_eni: Seconds | None = None
    pull_first: Seconds | None = None
    pull_cached: Seconds | None = None
    start: Seconds | None = None
    activate: Seconds | None = None
    healthy_without_check: Seconds | None = None
    agent_ack: Seconds | None = None
    stop_seconds: Seconds | None = None
    deprovision: Seconds | None = None
    interface_release: Seconds | None = None
    crash_after: Seconds | None = None
    deregister: Seconds | None = None
    placement_retry: Positive | None = None
    placement_retry_most: Positive | None = None
    start_retry: Positive | None = None
    start_retry_most: Positive | None = None
    rebalance_after: Seconds | None = None
    stopped_kept: Seconds | None = None
    memory_kept: Probability | None = None
    agent_flaps_per_hour: Annotated[float, Field(ge=0, le=3_600)] | None = None
    throttle: bool | None = None
    protection_holds_draining: bool | None = None
    deregister_force_stops_tasks: bool | None = None
    stopping_counts_to_maximum: bool | None = None
    partial_configuration_resets: bool | None = None
    redrain_refused: bool | None = None
    both_percents_100_refused: bool | None = None


class Ec2Choices(Strict):
    """The same for EC2: `Ec2Options`."""

    pending: Seconds | None = None
    boot: Seconds | None = None
    shutdown: Seconds | None = None
    stop: Seconds | None = None
    initializing: Seconds | None = None
    terminated_visible: Seconds | None = None
    spot_warning: Seconds | None = None


class AutoScalingChoices(Strict):
    """The same for Auto Scaling: `AutoScalingOptions`."""

    reaction: Seconds | None = None
    health_check: Seconds | None = None
    acts_before_event: Seconds | None = None
    rebalance_after: Seconds | None = None
    retry: Positive | None = None
    retry_most: Positive | None = None
    launch_instances_raises_desired: bool | None = None
    launch_instances_respects_max: bool | None = None
    surplus_after: Seconds | None = None
    repeated_terminate_decrements: bool | None = None
    evaluation: Positive | None = None
    scale_in_after: Seconds | None = None
    metric_delay: Seconds | None = None


class Elbv2Choices(Strict):
    """The same for Elastic Load Balancing: `Elbv2Options`."""

    provisioning: Seconds | None = None
    initial_needs_threshold: bool | None = None
    propagation: Seconds | None = None
    session: Seconds | None = None
    interfaces_linger: Seconds | None = None
    cookie_renewed: bool | None = None


class AcmChoices(Strict):
    """The same for AWS Certificate Manager: `AcmOptions`."""

    issuance: Seconds | None = None
    in_use_linger: Seconds | None = None


class Options(Strict):
    """Delays of the simulated AWS, and what it does where its documents are silent or disagree."""

    api_latency: Seconds = 0.02
    ecs: EcsChoices = EcsChoices()
    express: ExpressChoices = ExpressChoices()
    ec2: Ec2Choices = Ec2Choices()
    autoscaling: AutoScalingChoices = AutoScalingChoices()
    elbv2: Elbv2Choices = Elbv2Choices()
    acm: AcmChoices = AcmChoices()
    cloudwatch: CloudWatchChoices = CloudWatchChoices()
    traffic: TrafficChoices = TrafficChoices()


# --- the whole -------------------------------------------------------------------------------------------------------
class WorldSpec(Strict):
    name: str = "world"
    about: str = ""
    region: Annotated[str, pattern(r"[a-z]{2}(?:-[a-z]+)+-\d", "a region such as us-east-1")] = "us-east-1"
    account: Annotated[str, pattern(r"\d{12}", "an account id of 12 digits")] = "123456789012"
    start: IsoMoment | None = None
    seed: Annotated[int, Field(ge=0, le=2**63)] = 1
    until: Seconds = 86_400.0
    at_least: Seconds = 0.0
    cluster: Name = "fleet"
    zones: Annotated[list[Zone], Field(min_length=1, max_length=6)] = ["us-east-1a", "us-east-1b"]
    vpcs: Annotated[list[Name], Field(max_length=20)] = []
    groups: list[Group]
    services: list[Service] = []
    tasks: list[Task] = []
    maintenance: list[Maintenance] = []
    traffic: TrafficSpec | None = None
    parameters: dict[str, str | int | float | bool] = {}
    policy: PolicyDocuments = PolicyDocuments()
    options: Options = Options()
    faults: list[Fault] = []
    stacks: list[Stack] = []
    gateways: list[Gateway] = []
    own: list[Own] = []
    actors: list[Actor] = []
    answers: list[Answer] = []
    events: list[EventEntry] = []
    expect: Annotated[list[ExpectationOrWord] | None, BeforeValidator(_expectations)] = None

    def cluster_of(self, owner: Group | Service | Task) -> str:
        return owner.cluster or self.cluster

    @property
    def clusters(self) -> list[str]:
        """Every cluster that is used, in the order of first mention."""
        used: dict[str, None] = {}
        owners: list[Group | Service | Task] = [*self.groups, *self.services, *self.tasks]
        for owner in owners:
            used.setdefault(self.cluster_of(owner))
        return list(used)
