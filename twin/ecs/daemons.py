"""Daemon services: one task on each ACTIVE instance that meets the constraints.

Sources: ECS API: CreateService (DAEMON; constraints are evaluated for running tasks too); Amazon ECS Developer Guide,
managed instance draining: daemon tasks are the last to stop, after all replica tasks of the instance have stopped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twin.ecs import placement
from twin.ecs.deployment import Deployment
from twin.ecs.model import Host, Service, Task
from twin.ecs.placement import Refusal, Request

if TYPE_CHECKING:
    from twin.ecs.engine import Engine


class Daemons:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def evaluate(self, service: Service) -> None:
        """Bring one daemon service in line with its instances."""
        deployment = service.primary
        if deployment is None:
            return
        by_host: dict[int, list[Task]] = {}
        for task in service.tasks.values():
            if task.host is not None:
                by_host.setdefault(task.host.number, []).append(task)
        request = _request(service, deployment)
        hosts = [host for host in self._engine.store.cluster_hosts[service.cluster.name] if self._of(service, host)]
        meets = {host.number: placement.meets_constraints(host, request) is None for host in hosts}
        self._follow(service, sum(host.status == "ACTIVE" and meets[host.number] for host in hosts))
        failed: Refusal | None = None
        for host in hosts:
            if host.status == "ACTIVE" and meets[host.number] and host.number not in by_host:
                failed = self._start(service, deployment, host) or failed
        room = sum(task.healthy for task in service.tasks.values() if task.wanted) - service.lower_limit
        for host in hosts:
            for task in by_host.get(host.number, ()):
                room -= self._review(service, host, task, meets[host.number], room)
        if failed is not None:
            self._engine.scheduler.report_blocked(service, failed)

    def _review(self, service: Service, host: Host, task: Task, meets: bool, room: int) -> int:
        """Stop a task that must go; a deployment stops healthy ones while the lower limit leaves room. 1 if so used."""
        kind = self._why_stop(service, host, task, meets)
        counts = kind == "deployment" and task.healthy
        if kind is None or (counts and room <= 0):
            return 0
        self._stop(service, host, task, kind)
        return int(counts)

    def _of(self, service: Service, host: Host) -> bool:
        if host.status == "INACTIVE":
            return False
        providers = {item["capacityProvider"] for item in service.capacity_strategy}
        return not providers or host.capacity_provider in providers

    def _follow(self, service: Service, count: int) -> None:
        if service.desired != count:
            service.desired = count
            self._engine.events.action(service, "SERVICE_DESIRED_COUNT_UPDATED", desiredCount=count)

    def _start(self, service: Service, deployment: Deployment, host: Host) -> Refusal | None:
        engine = self._engine
        if not host.agent_connected or deployment.rollout == "FAILED":
            return None
        if deployment.not_before > engine.elapsed:
            wait = deployment.not_before - engine.elapsed
            engine.background(wait, lambda: engine.scheduler.poke(service), f"ecs.retry:{service.name}")
            return None
        request = _request(service, deployment)
        reason = placement.refusal(host, request)
        if reason is not None:
            service.unblock()
            engine.background(
                engine.options.placement_retry_most,
                lambda: engine.scheduler.poke(service),
                f"ecs.retry:{service.name}",
            )
            return Refusal(reason, host)
        task = engine.scheduler.new_task(
            service.cluster,
            request,
            provider=host.capacity_provider if service.capacity_strategy else None,
            started_by=deployment.id,
            service=service,
            deployment=deployment,
        )
        engine.lifecycle.place(task, host)
        return None

    def _why_stop(self, service: Service, host: Host, task: Task, meets: bool) -> str | None:
        if not task.wanted:
            return None
        if host.status == "DRAINING":
            starting = task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING")
            return "draining" if starting or not self._replicas_left(host) else None
        if not meets:
            return "constraint"
        if task.failing:
            return "failing"
        if task.deployment is not service.primary and not self._engine.deployments.failed(service):
            return "deployment"
        return None

    def _replicas_left(self, host: Host) -> bool:
        return any(task.service is not None and task.service.strategy == "REPLICA" for task in host.tasks.values())

    def _stop(self, service: Service, host: Host, task: Task, kind: str) -> None:
        engine = self._engine
        deployment = task.deployment
        cause = None
        if kind == "draining":
            cause = host.drained_by
        elif kind == "deployment" and service.primary is not None:
            cause = service.primary.cause
        elif kind == "constraint":
            arns = [host.arn]
            name = "SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED"
            engine.events.action(service, name, "ERROR", containerInstanceArns=arns)
        elif kind == "failing":
            engine.deployments.task_failed(task)
        reason = f"Scaling activity initiated by (deployment {deployment.id if deployment else 'none'})"
        if kind == "failing":
            reason = "Task failed container health checks"
        engine.lifecycle.stop(task, "ServiceSchedulerInitiated", reason, cause)


def _request(service: Service, deployment: Deployment) -> Request:
    """One task per instance is what a daemon is: its own task must not count against it as `distinctInstance`."""
    request = placement.request_for_service(service, deployment.definition)
    return replace(request, constraints=tuple(each for each in request.constraints if each.matches is not None))
