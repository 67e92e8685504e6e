"""What a wait still waits for: plain functions of one look at AWS, with the reason for each thing that is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from caretaker.hosts.health import healthy_tasks
from caretaker.hosts.model import Definition, Group, Host, Plan, Service, Target, Task, short

# A task that was told to stop on a host whose agent is gone never reports STOPPED. It is taken for gone after the
# longest regular end: deregistration delay (default 300 s) and stopTimeout, with room.
SILENT_STOP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is not done yet, and why, in words.

    `id` is what an event about it would name: a task, service or container instance ARN, or an EC2 instance id.
    """

    id: str
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the hosts of a batch and what belongs to them.

    Attributes:
        at: when it was made.
        hosts: container instances, by EC2 instance id; one that ECS does not know (any more) is absent.
        instances: EC2 instance state name (`running` …) by instance id; one that EC2 does not know is absent.
        tasks: tasks of the hosts and of the services concerned, as they are now.
        stopping_at: when a task was told to stop, by ARN.
        services: the services concerned.
        definitions: task definitions by ARN.
        targets: targets of the services' target groups.
        events: newest event of a service that says why it cannot place or start tasks, by service name.
        daemons: names of daemon services.
    """

    at: datetime
    hosts: Mapping[str, Host] = field(default_factory=dict)
    instances: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    stopping_at: Mapping[str, datetime] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    events: Mapping[str, str] = field(default_factory=dict)
    daemons: frozenset[str] = frozenset()


# --- draining hosts --------------------------------------------------------------------------------------------------


def tasks_left(batch: Iterable[str], surveyed: Iterable[str], look: Look) -> tuple[Left, ...]:
    """Tasks that are left on the hosts.

    Args:
        batch: EC2 instance ids of the draining hosts.
        surveyed: ARNs of all tasks that were on the hosts before the drain.
        look: what there is now; its tasks hold the surveyed ones that ECS still knows and a fresh listing of the hosts.
    """
    hosts = {look.hosts[item].arn: look.hosts[item] for item in sorted(batch) if item in look.hosts}
    known = set(surveyed)
    # Of other tasks in the look (successors elsewhere) only those on the hosts matter here.
    tasks = [task for task in look.tasks if task.arn in known or task.host_arn in hosts]
    return tuple(_task_left(task, hosts, look) for task in tasks if not _ended(task, hosts, look))


def goals_of(plan: Plan) -> dict[str, int]:
    """Healthy tasks that each replica service has to keep, by ARN: what it had when the plan was made, at most desired.

    Where they could not be counted, its desired count.
    """
    return {
        item.service_arn: item.desired if item.healthy is None else min(item.healthy, item.desired)
        for item in plan.baselines
    }


def services_short(goals: Mapping[str, int], look: Look) -> tuple[Left, ...]:
    """Services with fewer healthy tasks than at the claim (never more than they want now)."""
    return tuple(
        Left(service.arn, text)
        for service in look.services
        if service.arn in goals and (text := _short_of(service, goals[service.arn], look))
    )


def _ended(task: Task, hosts: Mapping[str, Host], look: Look) -> bool:
    if task.stopped:
        return True
    host = hosts.get(task.host_arn)
    if host is None:
        return True  # ECS has forgotten the host, and with it what it knew of its tasks
    if look.instances.get(host.instance_id, "terminated") in ("terminated", "stopped"):
        return True
    if host.agent_connected:
        return False
    if task.service in look.daemons:
        return True  # ECS would stop it last, and never learns that the others have stopped; it ends with its host
    told = look.stopping_at.get(task.arn)
    return task.stopping and told is not None and look.at - told >= SILENT_STOP


def _task_left(task: Task, hosts: Mapping[str, Host], look: Look) -> Left:
    host = hosts[task.host_arn]
    whose = f"of service {task.service}" if task.service else "which belongs to no service"
    text = f"task {short(task.arn)} {whose} is {task.last_status} on host {host.instance_id}"
    return Left(task.arn, f"{text}: {_why_left(task, host, look)}")


def _why_left(task: Task, host: Host, look: Look) -> str:
    if task.stopping:
        silence = "" if host.agent_connected else ", and the host's agent is disconnected"
        return f"it was told to stop and has not yet{silence}"
    if not task.service:
        return "a standalone task is never stopped by a drain; it has to end by itself"
    if task.service in look.daemons:
        return "a daemon's task stops when all others have"
    if event := look.events.get(task.service):
        return f"ECS says: {event}"
    if task.protected:
        until = f" until {task.protected_until.isoformat()}" if task.protected_until else ""
        return f"it is protected{until}"
    return "ECS has not stopped it, its successor may not be healthy yet"


def _short_of(service: Service, goal: int, look: Look) -> str:
    wanted = min(goal, service.desired)
    healthy = healthy_tasks(service, look.tasks, look.definitions, look.targets, look.at)
    if healthy >= wanted:
        return ""
    event = look.events.get(service.name)
    why = f"; ECS says: {event}" if event else ""
    return f"service {service.name} has {healthy} healthy tasks of {wanted} needed{why}"


# --- ended hosts -----------------------------------------------------------------------------------------------------


def not_ended(batch: Iterable[str], look: Look) -> tuple[Left, ...]:
    """Which hosts are not terminated yet, or still registered with ECS."""
    left: list[Left] = []
    for instance in sorted(batch):
        state = look.instances.get(instance, "terminated")
        if state != "terminated":
            left.append(Left(instance, f"EC2 instance {instance} is {state}"))
        elif instance in look.hosts:
            left.append(Left(instance, f"host {instance} is terminated and still registered with ECS"))
    return tuple(left)


def groups_short(groups: Sequence[Group]) -> tuple[Left, ...]:
    """Groups with fewer instances in service than they want."""
    return tuple(
        Left(group.name, f"group {group.name} has {count} of {group.desired} instances in service")
        for group in groups
        if (count := in_service(group)) < group.desired
    )


def in_service(group: Group) -> int:
    return sum(member.lifecycle == "InService" for member in group.members)


def live(group: Group) -> int:
    """Instances that count towards the group's capacity: those on their way in and those in service."""
    return sum(member.lifecycle.startswith(("Pending", "InService")) for member in group.members)
