"""Rolling deployments, the circuit breaker, and the pause between starts that keep failing.

Sources: ECS API: Deployment, DeploymentCircuitBreaker, ServiceDeploymentCircuitBreaker (threshold 0.5 x desired count,
at least 3, at most 200), ServiceDeployment; Amazon ECS Developer Guide, "Service throttle logic".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.ecs.model import Deployment, Service, Task, TaskDefinition
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

IMPAIRED_AFTER = 3


class Deployments:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, service: Service, definition: TaskDefinition, cause: Call | None) -> Deployment:
        """Make `definition` the service's primary deployment. What was in progress is superseded."""
        return self._begin(service, definition, cause, None)

    def _begin(
        self, service: Service, definition: TaskDefinition, cause: Call | None, rollback_of: Deployment | None
    ) -> Deployment:
        engine = self._engine
        now = engine.kernel.clock.now()
        for old in service.deployments:
            if old.status == "PRIMARY":
                old.status = "ACTIVE"
                old.updated_at = now
                if old.deployment_status == "IN_PROGRESS":
                    self._close(old, "STOPPED")
        number = engine.new_number()
        path = f"{service.cluster.name}/{service.name}"
        deployment = Deployment(
            id=f"ecs-svc/{number}",
            arn=engine.kernel.arn("ecs", f"service-deployment/{path}/{engine.new_id()[:21]}"),
            revision_arn=engine.kernel.arn("ecs", f"service-revision/{path}/{number}"),
            service=service,
            definition=definition,
            cause=cause,
            created_at=now,
            updated_at=now,
            rollback_of=rollback_of,
        )
        deployment.reason = f"ECS deployment {deployment.id} in progress."
        if rollback_of is not None:
            deployment.reason = f"ECS deployment circuit breaker: rolling back to deploymentId {deployment.id}."
        service.deployments.insert(0, deployment)
        if rollback_of is None:
            service.history.append(deployment)
        service.blocked = None
        service.steady = False
        if service.controller == "ECS":
            engine.events.deployment(deployment, "SERVICE_DEPLOYMENT_IN_PROGRESS")
            self._note(deployment, deployment.reason)
        engine.scheduler.poke(service)
        return deployment

    def _close(self, deployment: Deployment, status: str) -> None:
        deployment.deployment_status = status
        deployment.finished_at = self._engine.kernel.clock.now()

    def failed(self, service: Service) -> bool:
        """Whether the primary deployment has failed: it starts no task, and the ones before it are left alone."""
        return service.primary is not None and service.primary.rollout == "FAILED"

    def in_progress(self, service: Service) -> bool:
        return service.primary is not None and service.primary.rollout == "IN_PROGRESS"

    def check(self, service: Service) -> None:
        """Drop deployments that have no task left, and complete the primary one when the service is steady."""
        primary = service.primary
        if primary is None:
            return
        left = {id(task.deployment) for task in service.tasks.values()}
        service.deployments = [each for each in service.deployments if each is primary or id(each) in left]
        olds = any(task.wanted and task.deployment is not primary for task in service.tasks.values())
        if primary.rollout == "IN_PROGRESS" and service.steady and not olds:
            self._complete(primary)

    def _complete(self, deployment: Deployment) -> None:
        service = deployment.service
        deployment.rollout = "COMPLETED"
        deployment.updated_at = self._engine.kernel.clock.now()
        deployment.reason = f"ECS deployment {deployment.id} completed."
        self._close(deployment, "SUCCESSFUL")
        if deployment.rollback_of is not None:
            self._close(deployment.rollback_of, "ROLLBACK_SUCCESSFUL")
        service.completed = deployment.definition
        if service.controller == "ECS":
            self._engine.events.deployment(deployment, "SERVICE_DEPLOYMENT_COMPLETED")
            self._engine.events.message(service, f"(deployment {deployment.id}) deployment completed.")
            self._note(deployment, deployment.reason)

    # --- failing tasks -----------------------------------------------------------------------------------------------
    def task_running(self, task: Task) -> None:
        deployment = task.deployment
        if deployment is not None and not task.crashes:
            deployment.streak = 0
            deployment.not_before = 0.0
            deployment.service.impaired = False

    def task_healthy(self, task: Task) -> None:
        """A task that becomes healthy sets the count of failures back (resetOnHealthyTask, by default)."""
        deployment = task.deployment
        if deployment is None:
            return
        breaker = deployment.service.configuration.get("deploymentCircuitBreaker", {})
        if breaker.get("resetOnHealthyTask", True):
            deployment.failures = 0

    def task_failed(self, task: Task) -> None:
        """A task did not start, or ended or failed its checks before it was ever healthy."""
        deployment = task.deployment
        if deployment is None or task.was_healthy:
            return
        deployment.failures += 1
        deployment.streak += 1
        options = self._engine.options
        pause = min(options.start_retry_most, options.start_retry * 2 ** (deployment.streak - 1))
        deployment.not_before = self._engine.elapsed + pause
        service = deployment.service
        if deployment.streak >= IMPAIRED_AFTER and not service.impaired:
            service.impaired = True
            self._engine.events.action(service, "SERVICE_TASK_START_IMPAIRED", "WARN")
            self._engine.events.message(service, "is unable to consistently start tasks successfully.")
        self._trip(deployment)

    def _trip(self, deployment: Deployment) -> None:
        """The circuit breaker."""
        service = deployment.service
        breaker = service.configuration.get("deploymentCircuitBreaker", {})
        if not breaker.get("enable") or deployment.rollout != "IN_PROGRESS" or deployment is not service.primary:
            return
        if deployment.failures < self._threshold(service):
            return
        deployment.rollout = "FAILED"
        deployment.updated_at = self._engine.kernel.clock.now()
        deployment.reason = "ECS deployment circuit breaker: tasks failed to start."
        self._engine.events.deployment(deployment, "SERVICE_DEPLOYMENT_FAILED", "ERROR")
        self._note(deployment, deployment.reason)
        target = service.completed
        # the last completed deployment may be the one that fails now: there is nothing to go back to then
        if not breaker.get("rollback") or target is None or deployment.rollback_of is not None:
            self._close(deployment, "ROLLBACK_FAILED" if deployment.rollback_of else "STOPPED")
            return
        deployment.deployment_status = "ROLLBACK_IN_PROGRESS"
        self._begin(service, target, deployment.cause, deployment)

    def _threshold(self, service: Service) -> float:
        configured = service.configuration.get("deploymentCircuitBreaker", {}).get("thresholdConfiguration")
        kind, value = (configured["type"], configured["value"]) if configured else ("BOUNDED_PERCENT", 50)
        if kind == "COUNT":
            return float(value)
        wanted = service.desired * value / 100
        return wanted if kind == "UNBOUNDED_PERCENT" else min(200.0, max(3.0, wanted))

    def _note(self, deployment: Deployment, text: str) -> None:
        if self._engine.kernel.settled:
            name = deployment.service.name
            data = {"service": deployment.service.arn, "deployment": deployment.id, "rollout": deployment.rollout}
            self._engine.kernel.note("service.deployment", f"{name}: {text}", **data)
