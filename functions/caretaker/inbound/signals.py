"""Which keys an ECS event fires. Plain dicts in, keys out; see `caretaker.runtime.waits` for their meaning.

Versions (`detail.version`) are not compared: STOPPED is a task's last status, and a wake that comes from an old event
of a host or service costs one look, since only the waiter, who looks at ECS itself, says that its condition holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from caretaker.runtime.waits import instance_key

Event = Mapping[str, Any]

_SETTLED = frozenset({"SERVICE_STEADY_STATE", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"})


def keys(event: Event) -> list[str]:
    """The keys that an event fires; none for an event that nobody could wait for."""
    reader = _READERS.get((event.get("source"), event.get("detail-type")))
    detail = event.get("detail")
    if reader is None or not isinstance(detail, Mapping):
        return []
    return [key for key in reader(event, detail) if key]


def _task(_event: Event, detail: Event) -> list[str]:
    task = str(detail.get("taskArn", ""))
    status = detail.get("lastStatus")
    if status == "STOPPED":
        return [task]
    # Who waits for "some task on that host" (a daemon's, whose ARN nobody knows yet) waits for the host's ARN.
    return [task, str(detail.get("containerInstanceArn", ""))] if status == "RUNNING" else []


def _container_instance(_event: Event, detail: Event) -> list[str]:
    instance = str(detail.get("ec2InstanceId", ""))
    status = detail.get("status")
    ready = status == "ACTIVE" and detail.get("agentConnected") is True
    gone = status in ("INACTIVE", "REGISTRATION_FAILED")
    return [instance_key(instance)] if instance and (ready or gone) else []


def _service(event: Event, detail: Event) -> list[str]:
    """The service stands in `resources` alone: deployment events have no cluster and no name in their detail."""
    if detail.get("eventName") not in _SETTLED:
        return []
    return [str(arn) for arn in event.get("resources", []) if ":service/" in str(arn)]


_READERS: Mapping[tuple[Any, Any], Callable[[Event, Event], list[str]]] = {
    ("aws.ecs", "ECS Task State Change"): _task,
    ("aws.ecs", "ECS Container Instance State Change"): _container_instance,
    ("aws.ecs", "ECS Service Action"): _service,
    ("aws.ecs", "ECS Deployment State Change"): _service,
}
