"""Where a task is started, which one is stopped, and why a task fits nowhere.

Sources: ECS API: CreateService, UpdateService (placement logic), PlacementStrategy, PlacementConstraint; Amazon ECS
Developer Guide: task placement, API failure reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Any

from twin.ecs.deployment import Deployment
from twin.ecs.model import MAX_HOST_PORTS, Constraint, Demand, Host, Service, Task, TaskDefinition
from twin.ecs.query import compile_expression
from twin.errors import AwsError

ZONE = "attribute:ecs.availability-zone"
MAX_STRATEGIES = 5
MAX_CONSTRAINTS = 10
_BALANCED: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("spread", ZONE),),
    (("spread", ZONE), ("spread", "instanceId")),
)
"""Strategies that come to the default: the zone with the fewest tasks, in it the instance with the fewest."""
_REASONS = ("RESOURCE:CPU", "RESOURCE:MEMORY", "RESOURCE:PORTS", "RESOURCE:ENI", "RESOURCE:GPU")


@dataclass(frozen=True)
class Request:
    """One task to be placed.

    Attributes:
        group: its task group, for `distinctInstance`.
        provider: only instances of this capacity provider, or None.
        zone: only instances in this zone, or None.
        subnets: for an `awsvpc` task: instances in these subnets only, or None.
    """

    definition: TaskDefinition
    group: str
    constraints: tuple[Constraint, ...]
    strategies: tuple[tuple[str, str], ...]
    service_arn: str | None = None
    provider: str | None = None
    zone: str | None = None
    subnets: frozenset[str] | None = None

    @property
    def demand(self) -> Demand:
        return self.definition.demand


@dataclass(frozen=True)
class Refusal:
    """Why a task fits on no instance: the reason of the closest one, with that instance; none if there is none."""

    reason: str
    host: Host | None = None


@dataclass
class Candidates:
    """The instances of a cluster that may take the tasks of one request, kept while several are placed in a row.

    Attributes:
        hosts: those that fit.
        refusal: why the closest of the others does not.
        placed: the instance of each task of the service or group; `zones` counts them.
        queues: for the default placement, per zone: (tasks of the service there, number, instance), fewest first.
    """

    request: Request
    hosts: list[Host]
    refusal: Refusal
    placed: list[Host]
    zones: Counter[str]
    queues: dict[str, list[tuple[float, int, Host]]] | None = None

    def refuse(self, host: Host, reason: str) -> None:
        """Keep the refusal of the instance that met the most: constraints are checked before resources."""
        if self.refusal.host is None or _rank(reason) > _rank(self.refusal.reason):
            self.refusal = Refusal(reason, host)


def _rank(reason: str) -> int:
    return 1 + _REASONS.index(reason) if reason in _REASONS else 0


def parse_constraints(items: Iterable[dict[str, Any]], limit: int = MAX_CONSTRAINTS) -> tuple[Constraint, ...]:
    """As an API request states them. Raises InvalidParameterException."""
    found: list[Constraint] = []
    for item in items:
        kind = item.get("type")
        expression = item.get("expression")
        if kind == "distinctInstance":
            if expression:
                raise AwsError("InvalidParameterException", "Expression is not allowed for distinctInstance.")
            found.append(Constraint("distinctInstance"))
        elif kind == "memberOf":
            if not expression:
                raise AwsError("InvalidParameterException", "Expression is required for memberOf.")
            found.append(Constraint("memberOf", expression, compile_expression(expression)))
        else:
            raise AwsError("InvalidParameterException", f"Unknown placement constraint type '{kind}'.")
    if len(found) > limit:
        raise AwsError("InvalidParameterException", f"Placement constraints can have at most {limit} items.")
    return tuple(found)


def parse_strategies(items: Iterable[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """As an API request states them; `host` is `instanceId`. Raises InvalidParameterException."""
    found: list[tuple[str, str]] = []
    for item in items:
        kind = item.get("type", "")
        given = item.get("field", "")
        name = "instanceId" if given == "host" else given
        if kind == "random":
            name = ""
        elif kind == "binpack" and name.lower() in ("cpu", "memory"):
            name = name.lower()
        elif kind != "spread" or not (name == "instanceId" or name.startswith("attribute:")):
            raise AwsError("InvalidParameterException", f"Placement strategy {kind!r} with field {given!r} is invalid.")
        found.append((kind, name))
    if len(found) > MAX_STRATEGIES:
        raise AwsError("InvalidParameterException", f"Placement strategies can have at most {MAX_STRATEGIES} items.")
    return tuple(found)


def refusal(host: Host, request: Request) -> str | None:
    """Why one instance cannot take the task now, in ECS's words; None if it can."""
    if not host.agent_connected:
        return "AGENT"
    return meets_constraints(host, request) or lacks(host, request.demand)


def meets_constraints(host: Host, request: Request) -> str | None:
    """None if the instance meets what does not depend on its free resources."""
    definition = request.definition
    if definition.architecture and host.attributes.get("ecs.cpu-architecture") != definition.architecture:
        return "ATTRIBUTE"
    if request.subnets is not None and host.subnet_id not in request.subnets:
        return "ATTRIBUTE"
    for constraint in request.constraints:
        if constraint.matches is None:
            if host.group_counts.get(request.group):
                return "DistinctInstance placement constraint unsatisfied."
        elif not constraint.matches(host):
            return "MemberOf placement constraint unsatisfied."
    return None


def lacks(host: Host, demand: Demand) -> str | None:
    """The first resource that an instance has too little of; None if the demand fits."""
    if host.free_cpu < demand.cpu:
        return "RESOURCE:CPU"
    if host.free_memory < demand.memory:
        return "RESOURCE:MEMORY"
    if demand.host_ports:
        taken = sum(len(ports) for ports in host.ports.values())
        if any(port in host.ports[protocol] for protocol, port in demand.host_ports):
            return "RESOURCE:PORTS"
        if taken + len(demand.host_ports) > MAX_HOST_PORTS:
            return "RESOURCE:PORTS"
    if demand.eni and host.free_enis < 1:
        return "RESOURCE:ENI"
    if demand.gpus > len(host.free_gpus):
        return "RESOURCE:GPU"
    return None


def candidates(hosts: Iterable[Host], request: Request, running: Iterable[Task]) -> Candidates:
    """The instances that can take the task. `running` are its group's tasks with desired status RUNNING."""
    placed = [task.host for task in running if task.host is not None]
    pool = Candidates(request, [], Refusal("EMPTY CAPACITY"), placed, Counter(host.zone for host in placed))
    for host in hosts:
        if host.status != "ACTIVE":
            continue
        if request.provider is not None and host.capacity_provider != request.provider:
            continue
        if request.zone is not None and host.zone != request.zone:
            continue
        reason = refusal(host, request)
        if reason is None:
            pool.hosts.append(host)
        else:
            pool.refuse(host, reason)
    if request.strategies in _BALANCED:
        pool.queues = {}
        counts = _group_counts(request)
        for host in pool.hosts:
            heappush(pool.queues.setdefault(host.zone, []), (counts(host), host.number, host))
    return pool


def choose(pool: Candidates, rng: Random) -> Host | None:
    """The instance that the strategies prefer; ties go to the instance registered first. None if none is left."""
    if pool.queues is not None:
        fronts = [(pool.zones[zone], *queue[0]) for zone, queue in pool.queues.items() if queue]
        return min(fronts)[3] if fronts else None
    keys = _keys(pool, rng)
    return min(pool.hosts, key=keys, default=None)


def took(pool: Candidates, host: Host) -> None:
    """Bring the pool up to date after a task was placed on `host`, the one chosen last."""
    pool.zones[host.zone] += 1
    pool.placed.append(host)
    reason = refusal(host, pool.request)
    if pool.queues is not None:
        heappop(pool.queues[host.zone])
        if reason is None:
            counts = _group_counts(pool.request)
            heappush(pool.queues[host.zone], (counts(host), host.number, host))
    elif reason is not None:
        pool.hosts.remove(host)
    if reason is not None:
        pool.refuse(host, reason)


def _keys(pool: Candidates, rng: Random) -> Callable[[Host], tuple[float, ...]]:
    parts = [_key(kind, name, pool, rng) for kind, name in pool.request.strategies]
    return lambda host: (*(part(host) for part in parts), host.number)


def _key(kind: str, name: str, pool: Candidates, rng: Random) -> Callable[[Host], float]:
    if kind == "random":
        return lambda host: rng.random()
    if kind == "binpack":
        return (lambda host: host.free_cpu) if name == "cpu" else (lambda host: host.free_memory)
    if name == "instanceId":
        return _group_counts(pool.request)
    if name == ZONE:
        return lambda host: pool.zones[host.zone]
    attribute = name.removeprefix("attribute:")
    sums = Counter(host.attributes.get(attribute) for host in pool.placed)
    return lambda host: sums[host.attributes.get(attribute)]


def _group_counts(request: Request) -> Callable[[Host], float]:
    service = request.service_arn
    if service is not None:
        return lambda host: host.service_counts.get(service, 0)
    return lambda host: host.group_counts.get(request.group, 0)


def stop_order(tasks: Iterable[Task], running: Iterable[Task]) -> list[Task]:
    """The order in which the scheduler stops some of a service's tasks.

    The zone with the most tasks of the service first, in it the instance with the most; counts follow each stop.
    """
    zones: Counter[str | None] = Counter(task.zone for task in running)
    hosts: Counter[int] = Counter(task.host.number for task in running if task.host)
    left = list(tasks)
    ordered: list[Task] = []
    while left:
        task = max(left, key=lambda each: (zones[each.zone], _on_host(hosts, each), each.number))
        left.remove(task)
        ordered.append(task)
        zones[task.zone] -= 1
        if task.host:
            hosts[task.host.number] -= 1
    return ordered


def _on_host(hosts: Counter[int], task: Task) -> int:
    return hosts[task.host.number] if task.host else 0


def request_for_service(
    service: Service,
    definition: TaskDefinition,
    provider: str | None = None,
    zone: str | None = None,
    deployment: Deployment | None = None,
) -> Request:
    given = service.raw.get("networkConfiguration")
    if deployment is not None and deployment.task_set is not None:
        given = deployment.revision.network  # task sets have a network of their own
    network = (given or {}).get("awsvpcConfiguration", {})
    subnets = frozenset(network.get("subnets", ())) if definition.network_mode == "awsvpc" else None
    return Request(
        definition,
        service.group,
        (*definition.constraints, *service.constraints),
        service.strategies,
        service.arn,
        provider,
        zone,
        subnets or None,
    )


def occupy(host: Host, task: Task) -> None:
    """Take a task's resources from its instance, and give its containers their host ports and GPUs."""
    definition = task.definition
    demand = definition.demand
    host.free_cpu -= demand.cpu
    host.free_memory -= demand.memory
    host.free_enis -= int(demand.eni)
    task.gpu_ids = tuple(host.free_gpus[: demand.gpus])
    del host.free_gpus[: demand.gpus]
    for protocol, port in demand.host_ports:
        host.ports[protocol].add(port)
    for mapping in definition.ports:
        port = mapping.host_port or mapping.container_port
        if definition.network_mode == "bridge" and not mapping.host_port:
            port = host.next_port
            host.next_port = host.next_port + 1 if host.next_port < 60999 else 32768
        task.host_ports[(mapping.container, mapping.container_port, mapping.protocol)] = port
    host.tasks[task.arn] = task
    host.group_counts[task.group] = host.group_counts.get(task.group, 0) + 1
    if task.service is not None:
        count_service(host, task.service.arn, 1)


def count_service(host: Host, service_arn: str, change: int) -> None:
    count = host.service_counts.get(service_arn, 0) + change
    if count:
        host.service_counts[service_arn] = count
    else:
        host.service_counts.pop(service_arn, None)


def release(host: Host, task: Task) -> None:
    """Give back what a task had; it has stopped."""
    demand = task.definition.demand
    host.free_cpu += demand.cpu
    host.free_memory += demand.memory
    host.free_enis += int(demand.eni)
    host.free_gpus = sorted([*host.free_gpus, *task.gpu_ids])
    for protocol, port in demand.host_ports:
        host.ports[protocol].discard(port)
    host.tasks.pop(task.arn, None)
    count = host.group_counts.get(task.group, 0) - 1
    if count > 0:
        host.group_counts[task.group] = count
    else:
        host.group_counts.pop(task.group, None)
