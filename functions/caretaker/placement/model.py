"""What placement needs to know of a container instance and of a task, in plain frozen data.

Units follow ECS: cpu in CPU units (1,024 a vCPU), memory in MiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Resources:
    """Resources of a container instance: either what it registered with or what remains of it.

    Attributes:
        cpu: CPU units.
        memory: MiB.
        tcp_ports: host ports *in use* (ECS API: `PORTS` of `remainingResources` lists reserved and used ports).
        udp_ports: the same for `PORTS_UDP`.
        gpus: ids of the GPUs (registered or remaining).
    """

    cpu: int = 0
    memory: int = 0
    tcp_ports: tuple[int, ...] = ()
    udp_ports: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()


NOTHING = Resources()


@dataclass(frozen=True, slots=True)
class Constraint:
    """A placement constraint (ECS API: `PlacementConstraint`): `distinctInstance` or `memberOf` with its expression."""

    type: str
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Strategy:
    """One placement strategy (ECS API: `PlacementStrategy`): `random`, `spread` or `binpack`, with its field."""

    type: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One task that has to be placed.

    Attributes:
        key: what the answer is keyed by: the ARN of the task that it succeeds, or a name for a daemon's task.
        group: the task's group, `service:<name>` for service tasks; the unit of spread and `distinctInstance`.
        cpu: CPU units that ECS reserves for it.
        memory: MiB that ECS reserves for it.
        tcp_ports: fixed host ports.
        udp_ports: fixed host ports, UDP.
        gpus: number of GPUs.
        eni: whether it takes an elastic network interface of the host (network mode `awsvpc`).
        zones: availability zones of the subnets it may use (`awsvpc`), None where any zone will do.
        provider: capacity provider that the task is bound to, "" for any host.
        constraints: of the service and of the task definition, all of which must hold.
        strategies: in their order; none means spread over zones, then over instances.
        requires: attributes that the host must have (ECS API: `TaskDefinition.requiresAttributes`).
    """

    key: str
    group: str
    cpu: int = 0
    memory: int = 0
    tcp_ports: tuple[int, ...] = ()
    udp_ports: tuple[int, ...] = ()
    gpus: int = 0
    eni: bool = False
    zones: tuple[str, ...] | None = None
    provider: str = ""
    constraints: tuple[Constraint, ...] = ()
    strategies: tuple[Strategy, ...] = ()
    requires: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A container instance that may take tasks, as it is before anything moves.

    Attributes:
        id: EC2 instance id, or the name of a host that is yet to be launched (`new-1`).
        zone: availability zone.
        instance_type: EC2 instance type.
        provider: capacity provider name, "" if none.
        free: what remains.
        enis: interfaces that remain for `awsvpc` tasks; None where nobody knows, which takes none.
        attributes: attribute name to value ("" for an attribute without value), `ecs.*` ones included.
        groups: task group to the number of its tasks that run there and stay.
        zones: zones that a host to be launched may land in, where `zone` is only the likeliest; () where it is certain.
    """

    id: str
    zone: str
    instance_type: str = ""
    provider: str = ""
    free: Resources = NOTHING
    enis: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    zones: tuple[str, ...] = ()
