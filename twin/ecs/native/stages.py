"""The lifecycle stages of a native deployment, in their order.

Source: Amazon ECS Developer Guide, "Amazon ECS blue/green service deployments workflow", "Amazon ECS canary
deployments", "Amazon ECS linear deployments" (lifecycle stages).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.ecs.native import hooks, settings
from twin.ecs.native.interrupted import Interrupted
from twin.ecs.native.settings import Step
from twin.ecs.pools import pool_of
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.native.release import Release


def run(it: Release) -> None:
    """From the first stage to the end. Raises Interrupted."""
    it.wait(it.engine.options.scheduling)
    _begin(it)
    if it.others:
        _reconcile(it)
    _stage(it, "PRE_SCALE_UP")
    _scale_up(it)
    _stage(it, "POST_SCALE_UP")
    _test_traffic(it)
    _stage(it, "POST_TEST_TRAFFIC_SHIFT")
    steps = it.steps if it.blue is not None else [Step(100.0, 0.0)]
    for number, step in enumerate(steps):
        _production_step(it, step, first=number == 0)
    _stage(it, "POST_PRODUCTION_TRAFFIC_SHIFT")
    it.enter("BAKE_TIME")
    it.wait(settings.bake_seconds(it.green.configuration))
    _clean_up(it)
    _succeed(it)


def _begin(it: Release) -> None:
    green = it.green
    green.started_at = it.engine.kernel.clock.now()
    it.set_status("IN_PROGRESS")
    it.engine.events.deployment(green, "SERVICE_DEPLOYMENT_IN_PROGRESS")
    it.engine.deployments.note(green, green.reason)


def _stage(it: Release, stage: str) -> None:
    """A stage in which nothing but its hooks happens."""
    it.enter(stage)
    it.wait(it.engine.options.stage_seconds)
    hooks.run(it, stage)


def _reconcile(it: Release) -> None:
    """More than one revision was ACTIVE when the deployment began: traffic goes back to the one that was deployed last
    with success, and the others end. What AWS does in this stage is not documented beyond its name."""
    _stage(it, "RECONCILE_SERVICE")
    if it.blue is not None:
        write(it, lambda: it.shift_production(0.0))
        if it.engine.releases.shifts.has("testListenerRule", it.green.revision):
            write(it, lambda: it.shift_test(0.0))
    for other in it.others:
        other.share, other.ended_by = 0.0, it.cause
    service = it.green.service
    it.wait_for_tasks(
        lambda: not any(task.deployment in it.others for task in service.tasks.values()),
        "the tasks of former deployments did not stop",
    )


def _scale_up(it: Release) -> None:
    it.enter("SCALE_UP")
    it.green.share = 100.0
    scheduler = it.engine.scheduler
    it.wait_for_tasks(lambda: scheduler.is_steady(pool_of(it.green)), "the new tasks did not become healthy")


def _test_traffic(it: Release) -> None:
    it.enter("TEST_TRAFFIC_SHIFT")
    it.wait(it.engine.options.stage_seconds)
    if not it.engine.releases.shifts.has("testListenerRule", it.green.revision):
        hooks.run(it, "TEST_TRAFFIC_SHIFT")
        return
    shifted(it, "TEST_TRAFFIC_SHIFT", 100.0)


def _production_step(it: Release, step: Step, *, first: bool) -> None:
    """PRE_PRODUCTION_TRAFFIC_SHIFT has hooks, but lifecycleStage never names it (ECS API:
    ServiceDeploymentLifecycleStage): the stage before it is shown."""
    it.wait(it.engine.options.stage_seconds)
    hooks.run(it, "PRE_PRODUCTION_TRAFFIC_SHIFT")
    if first:
        it.enter("PRODUCTION_TRAFFIC_SHIFT")
    it.wait(it.engine.options.stage_seconds)
    shifted(it, "PRODUCTION_TRAFFIC_SHIFT", step.percent)
    it.wait(step.bake)


def shifted(it: Release, stage: str, percent: float) -> None:
    """Write the weights of a shift and run its hooks, which are told the new weights; which comes first is the world's
    choice."""
    production = stage == "PRODUCTION_TRAFFIC_SHIFT"

    def change() -> None:
        it.shift_production(percent) if production else it.shift_test(percent)

    weights = it.weights(percent)
    if it.engine.options.shift_hooks == "before":
        hooks.run(it, stage, weights)
        write(it, change)
    else:
        write(it, change)
        hooks.run(it, stage, weights)


def write(it: Release, change: hooks.Act) -> None:
    """Change weights. Interrupted (rollback) when the load balancer's API refuses."""
    try:
        change()
    except AwsError as error:
        reason = f"Service deployment failed to shift traffic: {error.code}: {error.message}"
        raise Interrupted("rollback", reason, "traffic shift") from error


def _clean_up(it: Release) -> None:
    """The old revision's tasks end; ECS stops them as scale-in does, so that protected tasks hold it up."""
    it.enter("CLEAN_UP")
    if it.blue is None:
        return
    drain(it, it.blue.revision.arn)


def drain(it: Release, revision_arn: str) -> None:
    """End the tasks of a revision."""
    service = it.green.service
    for each in service.deployments:
        if each.revision.arn == revision_arn:
            each.share, each.ended_by = 0.0, it.cause
    it.wait_for_tasks(
        lambda: (
            not any(
                task.deployment is not None and task.deployment.revision.arn == revision_arn
                for task in service.tasks.values()
            )
        ),
        "the former tasks did not stop",
    )


def _succeed(it: Release) -> None:
    green = it.green
    green.rollout = "COMPLETED"
    green.reason = f"ECS deployment {green.id} completed."
    it.set_status("SUCCESSFUL")
    it.engine.deployments.close(green, "SUCCESSFUL")
    it.engine.deployments.completed(green)
