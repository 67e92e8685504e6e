"""How many tasks of a service are healthy, by ECS's own rules.

ECS developer guide, "Service deployment": a task counts as healthy when it runs and, with a load balancer, its target
is healthy and any essential container with a health check is HEALTHY; without a load balancer, its containers' health
checks pass, or, if there are none, it has been RUNNING for 40 seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from caretaker.hosts.model import Definition, Service, Target, Task

UNCHECKED = timedelta(seconds=40)


def healthy_tasks(
    service: Service,
    tasks: Iterable[Task],
    definitions: Mapping[str, Definition],
    targets: Iterable[Target],
    at: datetime,
) -> int:
    """Tasks of the service that run and are healthy.

    Target groups are counted as a whole, since a task's address is not part of the survey: the answer is the smallest
    of the passing tasks and of the healthy targets of each target group. Too low is safe: it only makes Caretaker wait.

    Args:
        service: the service.
        tasks: tasks of any service; those of others are passed over.
        definitions: task definitions by ARN.
        targets: targets of any target group.
        at: when the tasks were read.
    """
    own = [item for item in tasks if item.group == service.group]
    passing = sum(passes(item, definitions.get(item.definition), bool(service.balancers), at) for item in own)
    if not service.balancers:
        return passing
    registered = Counter(item.target_group for item in service.balancers)
    healthy = Counter(item.target_group for item in targets if item.state == "healthy")
    return min(passing, *(healthy[group] // times for group, times in registered.items()))


def passes(task: Task, definition: Definition | None, balanced: bool, at: datetime) -> bool:
    """Whether a task runs and its containers pass. A task of an unknown definition passes only if ECS says HEALTHY."""
    if task.last_status != "RUNNING" or task.stopping:
        return False
    if definition is None or definition.health_checked or task.health == "UNHEALTHY":
        return task.health == "HEALTHY"
    return balanced or (task.started_at is not None and at - task.started_at >= UNCHECKED)
