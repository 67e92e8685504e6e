"""What a view of the running world shows, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TaskLook = Literal["healthy", "unproven", "starting", "stopping", "standalone"]
"""RUNNING and healthy; RUNNING but not yet healthy; before RUNNING; after; RUNNING without a service."""


@dataclass(frozen=True)
class HostRow:
    """A host. `role` marks those of the running work: `old` is being replaced, `new` was launched after the start."""

    instance: str
    zone: str
    instance_type: str
    status: str
    connected: bool
    tasks: tuple[TaskLook, ...]
    role: Literal["old", "new", ""] = ""


@dataclass(frozen=True)
class ServiceRow:
    name: str
    desired: int
    healthy: int
    lowest: int
    daemon: bool = False


@dataclass(frozen=True)
class ExecutionRow:
    """An execution; `path` holds the states it has entered, in order, the present one last."""

    name: str
    machine: str
    mode: str
    status: str
    path: tuple[str, ...]
    since: float
    """simulated seconds in the present state"""
    elapsed: float
    outcome: str | None = None


@dataclass(frozen=True)
class ReleaseRow:
    """A release that is baked, or was.

    Attributes:
        share: what the weights give the new revision now, 0 to 1; None before it had any.
        counts: per stream "errors of requests" of the new revision and of the running one.
        points: (minutes since the first look, log of the evidence against it).
        line: log of the threshold.
        word: the last look's, or the outcome.
        need: what a verdict still takes, in the last look's words; empty if nothing.
    """

    name: str
    service: str
    way: str
    share: float | None
    counts: tuple[tuple[str, str, str], ...]
    points: tuple[tuple[float, float], ...]
    line: float
    word: str
    running: bool
    need: str = ""


@dataclass(frozen=True)
class ThingRow:
    """A resource of a service that is deleted, or was.

    Attributes:
        status: ECS's word while ECS has to do with it; then `left`, `shared` or `deleted`.
        reason: ECS's reason, who deleted it, or what keeps it.
        shared: it was made for all services of the VPC and scheme.
        holders: `cluster/name` of the services that have it besides.
    """

    kind: str
    name: str
    status: str
    reason: str
    shared: bool = False
    holders: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeavingRow:
    """A service that is deleted, or from which an update has taken something, with its resources.

    Attributes:
        life: ECS's word for the service.
        sweep: how the last sweep of its VPC stands; empty if there was none.
    """

    service: str
    life: str
    sweep: str
    things: tuple[ThingRow, ...]


@dataclass(frozen=True)
class Line:
    """An entry of the timeline that people want to see, with simulated seconds since the start."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class Frame:
    world: str
    seed: int
    now: str
    elapsed: float
    hosts: tuple[HostRow, ...] = ()
    services: tuple[ServiceRow, ...] = ()
    executions: tuple[ExecutionRow, ...] = ()
    releases: tuple[ReleaseRow, ...] = ()
    leavings: tuple[LeavingRow, ...] = ()
    lines: tuple[Line, ...] = field(default=())
