"""The way back: traffic first, tasks last.

Sources: Amazon ECS Developer Guide, "Lambda hooks" (lifecycle hooks during rollback: the hooks of
PRODUCTION_TRAFFIC_SHIFT and TEST_TRAFFIC_SHIFT run again; the new revision is still the target, with weight 0),
"Amazon ECS service deployment state change events" (a rollback sends IN_PROGRESS with another reason).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.ecs.deployment import Deployment, Rollback
from twin.ecs.native import hooks, stages
from twin.ecs.native.interrupted import Interrupted
from twin.ecs.pools import pool_of

if TYPE_CHECKING:
    from twin.ecs.native.release import Release


def roll_back(it: Release, why: Interrupted) -> None:
    """Give the traffic back to the old revision and end the new one. Raises Interrupted when something newer comes."""
    green, blue = it.green, it.blue
    green.rollout = "FAILED"
    green.reason = why.reason
    if blue is None:
        raise Interrupted("failed", why.reason)
    if why.by == "alarms" and it.engine.options.alarm_rollback_sends_failed:
        it.engine.events.deployment(green, "SERVICE_DEPLOYMENT_FAILED", "ERROR")
    try:
        _go_back(it, blue, why)
    except Interrupted as failed:
        if failed.ending != "rollback":
            raise
        it.set_status("ROLLBACK_FAILED", failed.reason)
        it.engine.deployments.close(green, "ROLLBACK_FAILED")
        return
    it.set_status("ROLLBACK_SUCCESSFUL")
    it.engine.deployments.close(green, "ROLLBACK_SUCCESSFUL")
    it.engine.deployments.completed(blue)


def _go_back(it: Release, blue: Deployment, why: Interrupted) -> None:
    engine = it.engine
    it.wait(engine.options.rollback_seconds)
    it.set_status("ROLLBACK_IN_PROGRESS")
    it.green.rollback = Rollback(why.reason, engine.kernel.clock.now(), blue.revision)
    _tell(it, blue, why)
    blue.ended_by = None
    if blue.share < 100:  # its tasks were being ended already: no traffic to it before they are back
        blue.share = 100.0
        engine.scheduler.poke(blue.service)
        it.wait_for_tasks(lambda: engine.scheduler.is_steady(pool_of(blue)), "the former tasks did not come back")
    if it.shifted or engine.options.rollback_hooks == "always":
        it.enter("PRODUCTION_TRAFFIC_SHIFT")
        stages.shifted(it, "PRODUCTION_TRAFFIC_SHIFT", 0.0)
    if it.test_shifted or engine.options.rollback_hooks == "always":
        it.enter("TEST_TRAFFIC_SHIFT")
        if engine.releases.shifts.has("testListenerRule", it.green.revision):
            stages.shifted(it, "TEST_TRAFFIC_SHIFT", 0.0)
        else:
            hooks.run(it, "TEST_TRAFFIC_SHIFT")
    _give_back(it, blue)
    it.enter("CLEAN_UP")
    stages.drain(it, it.green.revision.arn)


def _tell(it: Release, blue: Deployment, why: Interrupted) -> None:
    """The event of a rollback looks like that of a new deployment but for its reason."""
    reason = f"ECS deployment {why.by}: rolling back to deploymentId {blue.id}."
    blue.updated_at = it.engine.kernel.clock.now()
    it.engine.events.deployment(blue, "SERVICE_DEPLOYMENT_IN_PROGRESS", reason=reason)
    it.engine.events.message(blue.service, f"(deployment {it.green.id}) deployment failed: {why.reason}")
    it.engine.deployments.note(blue, reason)


def _give_back(it: Release, blue: Deployment) -> None:
    """The old deployment is the primary one again."""
    service = blue.service
    it.green.status, blue.status = "ACTIVE", "PRIMARY"
    service.deployments.remove(blue)
    service.deployments.insert(0, blue)
    service.unblock()
