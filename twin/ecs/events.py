"""ECS's events on the default bus, and the messages of a service.

Source: Amazon ECS Developer Guide, "Amazon ECS events": `detail.version` counts the changes of a task or container
instance; service actions and deployment state changes have none. While a world is being built nothing is sent.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from twin.ecs import render
from twin.ecs.deployment import Deployment
from twin.ecs.model import Host, Service, Task
from twin.kernel.clock import iso

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

SOURCE = "aws.ecs"


class Events:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kernel = engine.kernel
        self._ids = engine.kernel.rng("ecs/events")

    def task(self, task: Task) -> None:
        """A task changed: count its version up and say so."""
        task.version += 1
        task.updated_at = self._kernel.clock.now()
        if self._kernel.settled:
            self._send("ECS Task State Change", render.task_event(task), task.arn)

    def host(self, host: Host) -> None:
        """A container instance, or what is left of its resources, changed."""
        if host.fargate:
            return
        host.version += 1
        host.updated_at = self._kernel.clock.now()
        if self._kernel.settled:
            self._send("ECS Container Instance State Change", render.host_event(host), host.arn)

    def action(self, service: Service, name: str, kind: str = "INFO", **detail: Any) -> None:
        """An "ECS Service Action"; `kind` is INFO, WARN or ERROR."""
        if not self._kernel.settled:
            return
        created = iso(self._kernel.clock.now())
        body = {"eventType": kind, "eventName": name, "clusterArn": service.cluster.arn, **detail, "createdAt": created}
        self._send("ECS Service Action", body, service.arn)

    def deployment(self, deployment: Deployment, name: str, kind: str = "INFO", reason: str | None = None) -> None:
        """An "ECS Deployment State Change": it names neither service deployment nor revision. `reason`: another than
        the deployment's own."""
        if not self._kernel.settled:
            return
        body = {
            "eventType": kind,
            "eventName": name,
            "deploymentId": deployment.id,
            "updatedAt": iso(deployment.updated_at),
            "reason": deployment.reason if reason is None else reason,
        }
        self._send("ECS Deployment State Change", body, deployment.service.arn)

    def hook(self, deployment: Deployment, name: str, hook_id: str, stage: str, expires: datetime) -> None:
        """An "ECS Hook State Change"; its updatedAt has nine digits of a second."""
        service = deployment.service
        now = self._kernel.clock.now()
        body = {
            "eventType": "INFO",
            "eventName": name,
            "hookId": hook_id,
            "hookType": "PAUSE",
            "expiresAt": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycleStage": stage,
            "clusterArn": service.cluster.arn,
            "serviceArn": service.arn,
            "serviceDeploymentArn": deployment.arn,
            "updatedAt": now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z",
        }
        self._send("ECS Hook State Change", body, deployment.arn)

    def message(self, service: Service, text: str) -> None:
        """Add to the events that DescribeServices shows; the same text twice in a row is told once."""
        text = f"(service {service.name}) {text}"
        if service.messages and service.messages[-1][2] == text:
            return
        event_id = f"{self._ids.getrandbits(128):032x}"
        service.messages.append((self._kernel.clock.now(), event_id, text))
        del service.messages[: -render.MAX_MESSAGES]

    def _send(self, detail_type: str, detail: dict[str, Any], resource: str) -> None:
        self._engine.bus.emit(SOURCE, detail_type, detail, [resource])
