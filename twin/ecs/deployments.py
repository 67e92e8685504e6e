"""Rolling deployments, the circuit breaker, and the pause between starts that keep failing.

Sources: ECS API: Deployment, DeploymentCircuitBreaker, ServiceDeploymentCircuitBreaker (threshold 0.5 x desired count,
at least 3, at most 200), ServiceDeployment; Amazon ECS Developer Guide, "Service throttle logic".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.ecs.deployment import Deployment, DeploymentStatus, Revision, Rollback
from twin.ecs.model import Service, Task, TaskDefinition
from twin.ecs.native import describe, revisions, settings
from twin.ecs.native.alarms import AlarmWatch
from twin.errors import Unmodelled
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

IMPAIRED_AFTER = 3
BREAKER = "ECS deployment circuit breaker: tasks failed to start."
ALARM = "ECS deployment failed: alarm detected."
STOPPED = "ECS deployment rolled back by a user request."
_BY = {BREAKER: "circuit breaker", ALARM: "alarms", STOPPED: "rollback request"}
"""Who asked for a rollback, in the reason of its event. Only the circuit breaker's words are documented."""


class Deployments:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, service: Service, definition: TaskDefinition, cause: Call | None) -> Deployment:
        """Make `definition`, with the service's present settings, its primary deployment. What was in progress is
        superseded."""
        if service.configuration.get("strategy", "ROLLING") != "ROLLING":
            return self._engine.releases.begin(service, definition, cause)
        if any("advancedConfiguration" in item for item in service.load_balancers):
            raise Unmodelled("ecs: a ROLLING deployment of a service with load balancers' advancedConfiguration")
        number = self._engine.new_number()
        revision = revisions.make(self._engine, service, definition, number, alternate=False)
        return self._roll(service, revision, number, cause, None)

    def new(self, service: Service, revision: Revision, number: str, cause: Call | None) -> Deployment:
        """The record of a deployment that starts now; the primary one until now is no longer that."""
        engine = self._engine
        now = engine.kernel.clock.now()
        path = f"{service.cluster.name}/{service.name}"
        deployment = Deployment(
            id=f"ecs-svc/{number}",
            arn=engine.kernel.arn("ecs", f"service-deployment/{path}/{engine.new_id()[:21]}"),
            revision=revision,
            service=service,
            cause=cause,
            created_at=now,
            updated_at=now,
            configuration=describe.configuration(service),
            sources=_sources(service, revision),
        )
        deployment.reason = f"ECS deployment {deployment.id} in progress."
        for old in service.deployments:
            if old.status == "PRIMARY":
                old.status = "ACTIVE"
                old.updated_at = now
        service.deployments.insert(0, deployment)
        service.unblock()
        service.steady = False
        return deployment

    def _roll(
        self, service: Service, revision: Revision, number: str, cause: Call | None, rollback_of: Deployment | None
    ) -> Deployment:
        engine = self._engine
        for old in service.deployments:
            if old.status == "PRIMARY" and old.deployment_status == "IN_PROGRESS":
                self.close(old, "STOPPED")
        deployment = self.new(service, revision, number, cause)
        deployment.started_at = deployment.created_at
        deployment.rollback_of = rollback_of
        if rollback_of is None:
            service.history.append(deployment)
        else:
            deployment.reason = (
                f"ECS deployment {_BY[rollback_of.reason]}: rolling back to deploymentId {deployment.id}."
            )
        if service.controller == "ECS":
            engine.events.deployment(deployment, "SERVICE_DEPLOYMENT_IN_PROGRESS")
            self.note(deployment, deployment.reason)
            self._watch(deployment)
        engine.scheduler.poke(service)
        return deployment

    def _watch(self, deployment: Deployment) -> None:
        """Watch the alarms of a rolling deployment; one that rolls back watches none."""
        if deployment.rollback_of is None and settings.has_alarms(deployment.configuration):
            watch = AlarmWatch(self._engine, deployment, lambda names: self._alarmed(deployment, names))
            deployment.alarms = watch
            watch.start()

    def close(self, deployment: Deployment, status: DeploymentStatus) -> None:
        """A service deployment comes to its end; its record keeps what it showed then."""
        now = self._engine.kernel.clock.now()
        deployment.deployment_status = status
        deployment.finished_at = deployment.updated_at = now
        if status == "STOPPED":
            deployment.stopped_at = now
        if deployment.alarms is not None:
            deployment.alarms.stop()
        deployment.record = describe.revision_summaries(deployment)

    def failed(self, service: Service) -> bool:
        """Whether the primary deployment has failed: it starts no task, and the ones before it are left alone."""
        return service.primary is not None and service.primary.rollout == "FAILED"

    def in_progress(self, service: Service) -> bool:
        return service.primary is not None and service.primary.rollout == "IN_PROGRESS"

    def check(self, service: Service) -> None:
        """Drop deployments that have no task left, and complete a rolling one when the service is steady."""
        left = {id(task.deployment) for task in service.tasks.values()}
        service.deployments = [each for each in service.deployments if self._stays(each, left)]
        primary = service.primary
        if primary is None or primary.native or service.controller == "EXTERNAL":
            return
        olds = any(task.wanted and task.deployment is not primary for task in service.tasks.values())
        if primary.rollout == "IN_PROGRESS" and service.steady and not olds:
            self._bake(primary)

    def _stays(self, deployment: Deployment, left: set[int]) -> bool:
        """Whether a deployment is still to be shown: the primary one, those with tasks, and what is kept at a share."""
        if deployment.task_set is not None:
            return not deployment.task_set.deleted or id(deployment) in left
        release = self._engine.releases.of(deployment.service)
        needed = release is not None and deployment in (release.green, release.blue) and deployment.share > 0
        return deployment.status == "PRIMARY" or id(deployment) in left or needed

    def _bake(self, deployment: Deployment) -> None:
        """Complete a rolling deployment, after its bake time (ECS API: bakeTimeInMinutes; with alarms there always is
        one; Developer Guide: "the default bake time is less than 5 minutes")."""
        wait = settings.bake_seconds(deployment.configuration)
        if deployment.alarms is not None and not wait:
            wait = self._engine.options.alarm_bake
        if not wait or not self._engine.kernel.settled or deployment.rollback_of is not None:
            self._complete(deployment)
        elif not deployment.baking:
            deployment.baking = True
            self._engine.later(wait, lambda: self._baked(deployment), f"ecs.bake:{deployment.id}")

    def _baked(self, deployment: Deployment) -> None:
        deployment.baking = False
        service = deployment.service
        if deployment is service.primary and deployment.rollout == "IN_PROGRESS" and service.status == "ACTIVE":
            self._complete(deployment)

    def _complete(self, deployment: Deployment) -> None:
        deployment.rollout = "COMPLETED"
        deployment.updated_at = self._engine.kernel.clock.now()
        deployment.reason = f"ECS deployment {deployment.id} completed."
        self.close(deployment, "SUCCESSFUL")
        if deployment.rollback_of is not None:
            self.close(deployment.rollback_of, "ROLLBACK_SUCCESSFUL")
        self.completed(deployment)

    def completed(self, deployment: Deployment) -> None:
        """A deployment has ended well: its revision is what later ones go back to."""
        service = deployment.service
        service.completed = deployment.revision
        if service.controller == "ECS":
            self._engine.events.deployment(deployment, "SERVICE_DEPLOYMENT_COMPLETED")
            self._engine.events.message(service, f"(deployment {deployment.id}) deployment completed.")
            self.note(deployment, deployment.reason)

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
        if deployment.failures < self.threshold(service):
            return
        if deployment.release is not None:
            if self._engine.options.breaker_watches_native:
                deployment.release.tripped(bool(breaker.get("rollback")))
            return
        self._fail(deployment, BREAKER, bool(breaker.get("rollback")))

    def _alarmed(self, deployment: Deployment, names: list[str]) -> None:
        """An alarm of a rolling deployment went into ALARM."""
        if deployment.rollout == "IN_PROGRESS" and deployment is deployment.service.primary:
            alarms = deployment.configuration["alarms"]
            self._fail(deployment, ALARM, bool(alarms.get("rollback")))

    def _fail(self, deployment: Deployment, reason: str, rolls_back: bool) -> None:
        service = deployment.service
        deployment.rollout = "FAILED"
        deployment.updated_at = self._engine.kernel.clock.now()
        deployment.reason = reason
        self._engine.events.deployment(deployment, "SERVICE_DEPLOYMENT_FAILED", "ERROR")
        self.note(deployment, deployment.reason)
        # the last completed deployment may be the one that fails now: there is nothing to go back to then
        if not rolls_back or service.completed is None or deployment.rollback_of is not None:
            self.close(deployment, "ROLLBACK_FAILED" if deployment.rollback_of else "STOPPED")
            return
        self._roll_back(deployment, service.completed, deployment.cause)

    def stop(self, deployment: Deployment, cause: Call) -> None:
        """StopServiceDeployment of a rolling deployment."""
        assert deployment.service.completed is not None
        deployment.rollout = "FAILED"
        deployment.reason = STOPPED
        deployment.deployment_status = "ROLLBACK_REQUESTED"
        self._roll_back(deployment, deployment.service.completed, cause)

    def _roll_back(self, deployment: Deployment, revision: Revision, cause: Call | None) -> None:
        deployment.deployment_status = "ROLLBACK_IN_PROGRESS"
        deployment.rollback = Rollback(deployment.reason, self._engine.kernel.clock.now(), revision)
        self._roll(deployment.service, revision, self._engine.new_number(), cause, deployment)

    def threshold(self, service: Service) -> float:
        """How many failures the circuit breaker takes."""
        configured = service.configuration.get("deploymentCircuitBreaker", {}).get("thresholdConfiguration")
        kind, value = (configured["type"], configured["value"]) if configured else ("BOUNDED_PERCENT", 50)
        if kind == "COUNT":
            return float(value)
        wanted = service.desired * value / 100
        return wanted if kind == "UNBOUNDED_PERCENT" else min(200.0, max(3.0, wanted))

    def note(self, deployment: Deployment, text: str) -> None:
        if self._engine.kernel.settled:
            name = deployment.service.name
            data = {"service": deployment.service.arn, "deployment": deployment.id, "rollout": deployment.rollout}
            self._engine.kernel.note("service.deployment", f"{name}: {text}", **data)


def _sources(service: Service, target: Revision) -> tuple[Revision, ...]:
    """The revisions that run beside the one that is being deployed."""
    running = {each.revision.arn: each.revision for each in service.deployments}
    return tuple(revision for arn, revision in running.items() if arn != target.arn)
