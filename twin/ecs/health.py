"""When a task counts as healthy, and the record of every loss.

Source: ECS API: DeploymentConfiguration (minimumHealthyPercent): with a load balancer, healthy in its target groups
and, if essential containers have health checks, also those; without one, the health checks, or else 40 seconds of
RUNNING. Service: healthCheckGracePeriodSeconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twin.ecs.model import HealthChange, Loss, Task
from twin.kernel.api import Call
from twin.kernel.scheduler import Timer

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_NO_VERDICT = ("initial", "draining", "unused", "unavailable")


class Health:
    """
    Attributes:
        losses: every fall of a service's count of healthy tasks since the world was built, in order.
        listeners: told of every change of such a count.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.losses: list[Loss] = []
        self.listeners: list[Callable[[HealthChange], None]] = []

    def watch(self, task: Task) -> None:
        """A task is RUNNING: its health checks begin."""
        checks = task.definition.health_checks
        if checks and task.crashes:
            wait = max(check.to_unhealthy for check in checks)
            task.health_timer = self._timer(task, wait, lambda: self._checked(task, healthy=False))
        elif checks:
            wait = max(check.to_healthy for check in checks)
            task.health_timer = self._timer(task, wait, lambda: self._checked(task, healthy=True))
        elif not task.targets and not task.crashes:
            wait = self._engine.options.healthy_without_check
            task.health_timer = self._timer(task, wait, lambda: self._lasted(task))
        self.evaluate(task)

    def _timer(self, task: Task, seconds: float, fn: Callable[[], None]) -> Timer:
        return self._engine.later(seconds, fn, f"ecs.health:{task.id}")

    def _checked(self, task: Task, *, healthy: bool) -> None:
        if task.dead or task.last_status != "RUNNING":
            return
        task.container_health = "HEALTHY" if healthy else "UNHEALTHY"
        self.evaluate(task)

    def _lasted(self, task: Task) -> None:
        task.settled_running = True
        self.evaluate(task)

    def target_changed(self, task: Task, state: object = None) -> None:
        """A load balancer changed its mind about a target of the task."""
        if not task.wanted or task.last_status == "STOPPED":
            return
        task.target_failed = state not in _NO_VERDICT and not self._targets_healthy(task)
        self.evaluate(task)

    def _targets_healthy(self, task: Task) -> bool:
        elbv2 = self._engine.elbv2
        return all(elbv2.healthy(target.group_arn, target.target_id, target.port) for target in task.targets)

    def evaluate(self, task: Task) -> None:
        """Bring ECS's view of a task's health up to date, and let the scheduler act on it."""
        if task.last_status != "RUNNING" or not task.wanted:
            return
        checks = task.definition.health_checks
        if task.targets or checks:
            healthy = (not checks or task.container_health == "HEALTHY") and self._targets_healthy(task)
        else:
            healthy = task.settled_running
        failing = task.container_health == "UNHEALTHY" or task.target_failed
        if failing and not self._grace_over(task):
            failing = False
        if (healthy, failing) == (task.healthy, task.failing):
            return
        task.healthy, task.failing = healthy, failing
        if healthy and not task.was_healthy:
            task.was_healthy = True
            self._note_healthy(task)
        self.refresh(task, None)
        if task.service is not None:
            self._engine.scheduler.poke(task.service)

    def _note_healthy(self, task: Task) -> None:
        self._engine.deployments.task_healthy(task)
        if self._engine.kernel.settled:
            name = task.service.name if task.service else task.group
            data = {"task": task.arn, "service": task.service.arn if task.service else None}
            self._engine.kernel.note("task.healthy", f"{name}: task {task.id[:8]} is healthy", **data)

    def _grace_over(self, task: Task) -> bool:
        service = task.service
        if service is None or task.started_at is None:
            return True
        age = (self._engine.kernel.clock.now() - task.started_at).total_seconds()
        if age >= service.grace:
            return True
        self._engine.later(service.grace - age, lambda: self.evaluate(task), f"ecs.grace:{task.id}")
        return False

    def refresh(self, task: Task, cause: Call | None) -> None:
        """Recount a task after anything about it changed; a fall is a loss, with the call that caused it."""
        service = task.service
        serves = task.serves
        if service is None or serves == task.counted:
            return
        task.counted = serves
        before = service.healthy
        service.healthy += 1 if serves else -1
        if not self._engine.kernel.settled:
            return
        now = self._engine.kernel.clock.now()
        cause = None if serves else cause or task.cause
        if not serves:
            by = f"because of {cause.origin}" if cause else "by no call"
            why = task.stopped_reason or ("its instance is gone" if task.dead else "it failed its health checks")
            text = f"{service.name}: {before} -> {service.healthy} healthy of {service.desired}: task {task.id[:8]}"
            self.losses.append(
                Loss(
                    now,
                    service.arn,
                    task.arn,
                    before,
                    service.healthy,
                    cause,
                    f"{text}: {why} ({by})",
                    service.desired,
                    service.strategy,
                )
            )
        change = HealthChange(now, service.arn, service.healthy, service.desired, cause)
        for listener in list(self.listeners):
            listener(change)
