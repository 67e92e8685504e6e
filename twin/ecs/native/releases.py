"""Native deployments of all services: how they begin, and what the rest of ECS tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.ecs.deployment import Deployment
from twin.ecs.model import Service, TaskDefinition
from twin.ecs.native import revisions, settings
from twin.ecs.native.alarms import AlarmWatch
from twin.ecs.native.hooks import Execution
from twin.ecs.native.interrupted import Interrupted
from twin.ecs.native.release import Release
from twin.ecs.native.shifts import Shifts
from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine


class Releases:
    """
    Attributes:
        shifts: writes the listener rules.
        rng: of the ids of hooks.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._releases: dict[str, Release] = {}
        self._fault_uses: dict[int, int] = {}
        self.shifts = Shifts(engine)
        self.rng = engine.kernel.rng("ecs/hooks")

    def begin(
        self, service: Service, definition: TaskDefinition, cause: Call | None, number: str | None = None
    ) -> Deployment:
        """Start a BLUE_GREEN, LINEAR or CANARY deployment; one that is under way is stopped first. `number`: of its
        revision, if that has been told already."""
        engine = self._engine
        former = self.of(service)
        if former is not None:
            former.supersede(cause)
        elif any(not each.ended for each in service.deployments):
            raise Unmodelled("ecs: a native deployment while a rolling one is in progress")
        beside = list(service.deployments)
        blue = self._serving(service)
        number = number or engine.new_number()
        serving = blue.revision if blue is not None else None
        alternate = revisions.uses_alternate(service, serving, engine.options.first_in_alternate)
        revision = revisions.make(engine, service, definition, number, alternate=alternate)
        deployment = engine.deployments.new(service, revision, number, cause)
        deployment.native = True
        deployment.share = 0.0
        deployment.deployment_status = "PENDING"
        service.rebalance_zone = None
        service.history.append(deployment)
        release = Release(engine, deployment, blue, [each for each in beside if each is not blue])
        deployment.release = release
        self._releases[service.arn] = release
        if settings.has_alarms(deployment.configuration):
            deployment.alarms = AlarmWatch(engine, deployment, release.alarmed)
            deployment.alarms.start()
        release.start()
        return deployment

    def _serving(self, service: Service) -> Deployment | None:
        """The deployment that a rollback goes back to: of the last revision that was deployed with success, else the
        oldest that has tasks."""
        done = service.completed
        found = [each for each in service.deployments if done is not None and each.revision.arn == done.arn]
        if found:
            return found[0]
        return service.deployments[-1] if service.deployments else None

    def of(self, service: Service) -> Release | None:
        """The release of a service that is under way."""
        found = self._releases.get(service.arn)
        return found if found is not None and not found.done else None

    def running(self, service: Service) -> bool:
        return self.of(service) is not None

    # --- what others tell --------------------------------------------------------------------------------------------
    def tasks_changed(self, service: Service) -> None:
        """The scheduler has looked at a service."""
        release = self.of(service)
        if release is not None:
            release.look()

    def deleted(self, service: Service, cause: Call) -> None:
        """DeleteService: what is under way ends where it is; nobody tidies up the listener rules."""
        release = self.of(service)
        if release is not None:
            reason = "Service deployment stopped because the service was deleted."
            release.interrupt(Interrupted("deleted", reason, cause=cause))

    def gone(self, service: Service) -> None:
        """A deleted service is INACTIVE (Developer Guide: its service deployments and revisions are deleted)."""
        service.history.clear()
        self._releases.pop(service.arn, None)

    # --- calls -------------------------------------------------------------------------------------------------------
    def stop(self, deployment: Deployment, cause: Call) -> None:
        """StopServiceDeployment with ROLLBACK, of a deployment that has not ended. Raises AwsError."""
        target = deployment.service.completed
        if target is None and not deployment.rollback:
            message = "There is no successful service revision to roll back to."
            raise AwsError("ConflictException", message)
        if deployment.release is not None:
            deployment.release.stop(cause)
        elif deployment.deployment_status == "IN_PROGRESS":
            self._engine.deployments.stop(deployment, cause)

    def paused_at(self, deployment: Deployment, hook_id: str) -> Execution | None:
        """The PAUSE hook of a deployment that awaits an action."""
        hooks = deployment.release.hooks if deployment.release is not None else []
        return next((one for one in hooks if one.id == hook_id and one.status == "AWAITING_ACTION"), None)

    # --- faults ------------------------------------------------------------------------------------------------------
    def hook_faults(self, service: Service, stage: str) -> tuple[float, float | None]:
        """(seconds by which this call comes late, seconds after which it comes once more or None)."""
        late, again = 0.0, None
        elapsed = self._engine.elapsed
        for number, fault in enumerate(self._engine.options.hook_faults):
            uses = self._fault_uses.get(number, 0)
            if not fault.strikes(service.name, stage, elapsed) or (fault.times is not None and uses >= fault.times):
                continue
            self._fault_uses[number] = uses + 1
            if fault.kind == "late":
                late += fault.seconds
            else:
                again = fault.seconds
        return late, again
