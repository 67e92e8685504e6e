"""One native deployment on its way: what it waits for, what interrupts it, how it ends.

Source: Amazon ECS Developer Guide, "View service history using Amazon ECS service deployments" (states), "Amazon ECS
blue/green service deployments workflow" (24 hours a stage).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twin.ecs.deployment import Deployment, DeploymentStatus
from twin.ecs.native import settings, stages
from twin.ecs.native.hooks import Execution
from twin.ecs.native.interrupted import Interrupted
from twin.ecs.native.rollback import roll_back
from twin.ecs.native.shifts import shares
from twin.errors import AwsError
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

STAGE_LIMIT = 24 * 3600.0


class Release:
    """A BLUE_GREEN, LINEAR or CANARY deployment that is under way.

    Attributes:
        green: the deployment of the new revision.
        blue: the deployment that serves until now; None for the first of a service.
        others: deployments besides the two, which RECONCILE_SERVICE ends.
        stage: lifecycleStage; None before the first.
        hooks: the hooks of the present stage, as they are shown.
        production, test: percent of the traffic by service revision ARN, as ECS asked for it.
        shifted: percent of production traffic that the new revision was last given.
        cause: the call because of which its acts are done: the one that started it, or that stopped it.
        going_back: a rollback has begun.
    """

    def __init__(self, engine: Engine, green: Deployment, blue: Deployment | None, others: list[Deployment]) -> None:
        self.engine = engine
        self.green = green
        self.blue = blue
        self.others = others
        self.stage: str | None = None
        self.hooks: list[Execution] = []
        self.steps = settings.steps(green.configuration)
        self.hook_settings = settings.hooks(green.configuration)
        self.shifted = 0.0
        self.test_shifted = 0.0
        self.production: dict[str, float] = self.weights(0.0) if blue is not None else {}
        self.test: dict[str, float] = {}
        self.cause = green.cause
        self.going_back = False
        self.done = False
        self._interrupt: Interrupted | None = None
        self._wake = engine.kernel.scheduler.event()

    @property
    def service_name(self) -> str:
        return self.green.service.name

    def weights(self, percent: float) -> dict[str, float]:
        """Percent by service revision ARN when the new revision gets `percent`."""
        return shares(self.green, self.blue.revision if self.blue is not None else None, percent)

    # --- going on ----------------------------------------------------------------------------------------------------
    def start(self) -> None:
        self.engine.kernel.scheduler.spawn(self._run, name=f"ecs.release:{self.service_name}")

    def _run(self) -> None:
        try:
            self._advance()
        except Interrupted as interrupted:
            self._stopped_by(interrupted)
        self.done = True
        self.engine.scheduler.poke(self.green.service)

    def _advance(self) -> None:
        try:
            stages.run(self)
        except Interrupted as interrupted:
            if interrupted.ending != "rollback":
                raise
            self.going_back = True
            self.cause = interrupted.cause or self.cause
            self._interrupt = None
            roll_back(self, interrupted)

    def _stopped_by(self, interrupted: Interrupted) -> None:
        """It ends where it is: the service is gone, a newer deployment takes over, or it failed without a rollback."""
        green = self.green
        if interrupted.ending == "failed":
            green.rollout = "FAILED"
            green.reason = interrupted.reason
            self.engine.events.deployment(green, "SERVICE_DEPLOYMENT_FAILED", "ERROR")
        self.set_status("ROLLBACK_FAILED" if self.going_back else "STOPPED", interrupted.reason)
        self.engine.deployments.close(green, green.deployment_status)

    # --- waiting -----------------------------------------------------------------------------------------------------
    def wait(self, seconds: float | None, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass: `seconds` (None: any time) or until something holds; True when it does.

        While the world is being built no time passes. Raises Interrupted.
        """
        scheduler, clock = self.engine.kernel.scheduler, self.engine.kernel.clock
        settled = self.engine.kernel.settled
        end = None if seconds is None else clock.elapsed + (seconds if settled else 0.0)
        while True:
            if self._interrupt is not None:
                raise self._interrupt
            if until is not None and until():
                return True
            left = None if end is None or (until is not None and not settled) else end - clock.elapsed
            if left is not None and left <= 0:
                return False
            assert scheduler.current is not None
            self._wake.clear()
            self._wake.wait(left)

    def wait_for_tasks(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until the tasks are as they are to be. Interrupted (rollback) when a stage's 24 hours are over."""
        self.engine.scheduler.poke(self.green.service)
        if not self.wait(STAGE_LIMIT, holds):
            raise Interrupted("rollback", f"Service deployment timed out: {what}.", "time-out")

    def look(self) -> None:
        """Something that it may wait for has changed."""
        self._wake.set()

    def interrupt(self, interrupted: Interrupted) -> None:
        """Stop what it does. A rollback that has begun is not begun again."""
        if self.done or (interrupted.ending in ("rollback", "failed") and self.going_back):
            return
        if self._interrupt is None or self._interrupt.ending in ("rollback", "failed"):
            self._interrupt = interrupted
            self._wake.set()

    # --- what interrupts it ------------------------------------------------------------------------------------------
    def alarmed(self, names: list[str]) -> None:
        """An alarm went into ALARM."""
        rolls_back = bool(self.green.configuration["alarms"].get("rollback"))
        reason = f"ECS deployment failed: alarm detected ({', '.join(names)})."
        self.interrupt(Interrupted("rollback" if rolls_back else "failed", reason, "alarms"))

    def tripped(self, rolls_back: bool) -> None:
        """The circuit breaker, in worlds where it watches native deployments."""
        reason = "ECS deployment circuit breaker: tasks failed to start."
        self.interrupt(Interrupted("rollback" if rolls_back else "failed", reason, "circuit breaker"))

    def stop(self, cause: Call) -> None:
        """StopServiceDeployment with ROLLBACK."""
        if not self.going_back and self._interrupt is None:
            reason = "Service deployment rolled back because of a user request."
            self.set_status("ROLLBACK_REQUESTED", reason)
            self.interrupt(Interrupted("rollback", reason, "rollback request", cause))

    def supersede(self, cause: Call | None) -> None:
        """A newer deployment of the service begins (Developer Guide: STOP_REQUESTED, "a user starts a new service
        deployment")."""
        reason = "Service deployment stopped because a newer one was started."
        if not self.going_back:
            self.set_status("STOP_REQUESTED", reason)
        self.interrupt(Interrupted("superseded", reason, cause=cause))

    # --- what it tells -----------------------------------------------------------------------------------------------
    def enter(self, stage: str) -> None:
        """The next lifecycle stage begins."""
        self.stage = stage
        self.hooks = []
        self.green.updated_at = self.engine.kernel.clock.now()
        self.note("release.stage", f"{self.service_name}: deployment is in {stage}", stage=stage)

    def set_status(self, status: DeploymentStatus, reason: str | None = None) -> None:
        self.green.deployment_status = status
        self.green.updated_at = self.engine.kernel.clock.now()
        if reason is not None:
            self.green.reason = reason
        self.note("release.status", f"{self.service_name}: deployment is {status}", status=status, reason=reason)

    def note(self, kind: str, text: str, **data: object) -> None:
        if self.engine.kernel.settled:
            green = self.green
            self.engine.kernel.note(
                kind,
                text,
                service=green.service.arn,
                deployment=green.arn,
                revision=green.revision.arn,
                rollback=self.going_back,
                **data,
            )

    # --- traffic -----------------------------------------------------------------------------------------------------
    def shift_production(self, percent: float) -> None:
        """Write the production rules. Raises AwsError."""
        self._shift("productionListenerRule", percent)
        self.shifted = percent
        self.production = self.weights(percent)
        text = f"{self.service_name}: {percent:g} % of production traffic to the new revision"
        self.note("release.weights", text, production=percent)

    def shift_test(self, percent: float) -> None:
        """Write the test rules. Raises AwsError."""
        self._shift("testListenerRule", percent)
        self.test_shifted = percent
        self.test = self.weights(percent)
        text = f"{self.service_name}: {percent:g} % of test traffic to the new revision"
        self.note("release.weights", text, test=percent)

    def _shift(self, member: str, percent: float) -> None:
        """Throttling and trouble of the load balancer's API are met with a few tries."""
        engine = self.engine
        blue = self.blue.revision if self.blue is not None else None
        for left in reversed(range(engine.options.shift_tries)):
            try:
                engine.releases.shifts.shift(member, self.green.revision, blue, percent, self.cause)
                return
            except AwsError:
                if not left:
                    raise
                self.wait(engine.options.shift_retry)
