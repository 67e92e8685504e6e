"""Releases that are rolled back, stopped, superseded or deleted."""

from __future__ import annotations

from typing import Any

import pytest
from native_stage import CLUSTER, OPERATOR, SUCCEEDED, Release

from twin.ecs import TaskFault
from twin.ecs.deployment import Deployment
from twin.errors import AwsError, Unmodelled

ALARMS = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}
SHIFTS = ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


def at_five_percent(world: Release) -> Deployment:
    green = world.release()
    world.until(lambda: world.weights() == [95, 5])
    return green


def statuses(world: Release, deployment: Deployment) -> list[str]:
    """Every status that a deployment had since it began."""
    return [
        str(entry.data["status"])
        for entry in world.kernel.timeline
        if entry.kind == "release.status" and entry.data["deployment"] == deployment.arn
    ]


# --- by a call -------------------------------------------------------------------------------------------------------
def test_stop_service_deployment_gives_the_traffic_back_first_and_stops_tasks_last() -> None:
    world = Release().up()
    blue, old = world.latest, set(world.service().tasks)
    green = at_five_percent(world)
    world.stop(green)
    assert green.deployment_status == "ROLLBACK_REQUESTED"
    world.until(lambda: world.weights() == [100, 0])
    assert green.deployment_status == "ROLLBACK_IN_PROGRESS"
    assert len([task for task in world.wanted() if task.deployment is green]) == 2
    world.run()
    assert statuses(world, green)[-4:] == [
        "IN_PROGRESS",
        "ROLLBACK_REQUESTED",
        "ROLLBACK_IN_PROGRESS",
        "ROLLBACK_SUCCESSFUL",
    ]
    assert set(world.service().tasks) == old
    assert world.lowest() == 2
    shown = world.described(green)
    assert shown["rollback"]["serviceRevisionArn"] == blue.revision.arn
    assert shown["rollback"]["reason"] == "Service deployment rolled back because of a user request."
    assert shown["rollback"]["startedAt"] > shown["startedAt"]
    assert shown["targetServiceRevision"]["arn"] == green.revision.arn
    assert shown["targetServiceRevision"]["requestedProductionTrafficWeight"] == 0.0
    assert world.shown()["taskDefinition"] == blue.definition.arn
    assert [one["status"] for one in world.shown()["deployments"]] == ["PRIMARY"]


def test_stopping_is_answered_the_same_while_it_goes_back_and_refused_afterwards() -> None:
    world = Release().up()
    green = at_five_percent(world)
    world.stop(green)
    world.stop(green)
    world.run(8)
    assert green.deployment_status == "ROLLBACK_IN_PROGRESS"
    world.stop(green)
    world.run()
    with pytest.raises(AwsError, match="ConflictException"):
        world.stop(green)
    with pytest.raises(AwsError, match="ServiceDeploymentNotFoundException"):
        world.call("StopServiceDeployment", serviceDeploymentArn=green.arn + "x")
    assert [weights for _, weights in world.shifts()] == [[95, 5], [100, 0]]


def test_abort_is_refused_loudly() -> None:
    world = Release().up()
    green = at_five_percent(world)
    with pytest.raises(Unmodelled, match="ABORT"):
        world.call("StopServiceDeployment", serviceDeploymentArn=green.arn, stopType="ABORT")


def test_who_stopped_it_is_the_cause_of_what_follows() -> None:
    world = Release().up()
    green = at_five_percent(world)
    world.stop(green)
    world.run()
    call = next(call for call in reversed(world.kernel.calls) if call.operation == "ModifyRule")
    assert (call.origin.operation, call.origin.caller) == ("StopServiceDeployment", OPERATOR)
    causes = {loss.cause.operation for loss in world.ecs.losses if loss.cause}
    assert causes == {"StopServiceDeployment"}


@pytest.mark.parametrize("stage", ["PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP", "BAKE_TIME", "CLEAN_UP"])
def test_it_can_be_stopped_in_every_stage(stage: str) -> None:
    world = Release().up()
    blue = world.latest
    green = world.release()
    world.until_stage(stage)
    world.stop(green)
    world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert world.weights() == [100, 0]
    assert world.groups_of_tasks() == {blue.definition.arn: [world.groups[0]]}
    assert world.healthy() == 2


def test_tasks_that_end_already_come_back_before_the_traffic_does() -> None:
    world = Release().up()
    green = world.release()
    world.until_stage("CLEAN_UP")
    world.run(10)
    world.stop(green)
    world.until(lambda: world.weights() == [100, 0])
    assert sum(task.healthy and task.deployment is not green for task in world.wanted()) == 2
    assert world.lowest() == 2


# --- its hooks and events --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("test_rule", [False, True])
@pytest.mark.parametrize("order", ["after", "before"])
def test_the_hooks_of_the_shifts_run_again_with_the_new_revision_as_target_and_weight_0(
    test_rule: bool, order: str
) -> None:
    world = Release(test_rule=test_rule, shift_hooks=order)
    hook = world.hook("PRE_SCALE_UP", "POST_SCALE_UP", "PRE_PRODUCTION_TRAFFIC_SHIFT", *SHIFTS)
    world.up(lifecycleHooks=[hook])
    blue, green = world.latest, at_five_percent(world)
    world.run(60)
    before = len(world.lambdas.asked)
    world.stop(green)
    world.run()
    again = [payload for _, payload in world.lambdas.asked[before:]]
    assert [payload["lifecycleStage"] for payload in again] == ["PRODUCTION_TRAFFIC_SHIFT", "TEST_TRAFFIC_SHIFT"]
    for payload in again:
        assert payload["resourceArn"] == green.arn
        assert payload["executionDetails"]["targetServiceRevisionArn"] == green.revision.arn
    back = {green.revision.arn: 0, blue.revision.arn: 100}
    assert again[0]["executionDetails"]["productionTrafficWeights"] == back
    assert again[1]["executionDetails"]["testTrafficWeights"] == (back if test_rule else {})
    if world.test:
        assert world.weights(world.test) == [100, 0]


@pytest.mark.parametrize(("choice", "asked"), [("always", 2), ("shifted", 0)])
def test_whether_hooks_run_for_traffic_that_never_shifted_is_the_worlds_choice(choice: str, asked: int) -> None:
    world = Release(rollback_hooks=choice)
    world.up(lifecycleHooks=[world.hook(*SHIFTS)])
    green = world.release()
    world.until_stage("SCALE_UP")
    world.stop(green)
    world.run()
    assert len(world.lambdas.asked) == asked
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"


@pytest.mark.parametrize(("choice", "status"), [("fails", "ROLLBACK_FAILED"), ("ignored", "ROLLBACK_SUCCESSFUL")])
def test_what_a_hook_that_fails_in_a_rollback_does_is_the_worlds_choice(choice: str, status: str) -> None:
    world = Release(rollback_hook_failure=choice)
    world.up(lifecycleHooks=[world.hook("PRODUCTION_TRAFFIC_SHIFT")])
    green = world.release()

    def answer(payload: dict[str, Any]) -> Any:
        weight = payload["executionDetails"]["productionTrafficWeights"][green.revision.arn]
        return SUCCEEDED if weight else {"hookStatus": "FAILED"}

    world.lambdas.answer = answer
    world.until(lambda: world.weights() == [95, 5])
    world.stop(green)
    world.run()
    assert green.deployment_status == status
    assert world.weights() == [100, 0]


def test_the_events_of_a_rollback_are_those_of_a_release_but_for_the_reason() -> None:
    world = Release().up()
    blue, green = world.latest, at_five_percent(world)
    world.stop(green)
    world.run()
    began, goes_back, done = world.bus.of("ECS Deployment State Change")
    for event in (began, goes_back, done):
        assert list(event) == ["eventType", "eventName", "deploymentId", "updatedAt", "reason"]
    assert [one["eventName"] for one in (began, goes_back, done)] == [
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "SERVICE_DEPLOYMENT_COMPLETED",
    ]
    assert goes_back["deploymentId"] == blue.id
    assert goes_back["reason"].endswith(f"rolling back to deploymentId {blue.id}.")
    assert green.id not in str(goes_back)


def test_a_rollback_makes_no_revision_and_no_service_deployment() -> None:
    world = Release().up()
    blue, green = world.latest, at_five_percent(world)
    world.stop(green)
    world.run()
    listed = world.call("ListServiceDeployments", cluster=CLUSTER, service="web")["serviceDeployments"]
    assert [one["status"] for one in listed] == ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]
    revisions = [one["arn"] for one in world.shown()["currentServiceRevisions"]]
    assert revisions == [blue.revision.arn]
    after = world.release()
    world.run()
    assert after.deployment_status == "SUCCESSFUL"
    assert after.sources == (blue.revision,)


# --- by alarms -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sends", [False, True])
def test_an_alarm_rolls_back_and_whether_that_sends_failed_is_the_worlds_choice(sends: bool) -> None:
    world = Release(alarm_rollback_sends_failed=sends).up(**ALARMS)
    green = at_five_percent(world)
    world.alarms.states["errors"] = "ALARM"
    began = world.kernel.clock.elapsed
    world.until(lambda: world.weights() == [100, 0])
    assert world.kernel.clock.elapsed - began <= world.ecs.options.alarm_poll + world.ecs.options.rollback_seconds + 2
    world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert ("SERVICE_DEPLOYMENT_FAILED" in [name for name, _ in world.told()]) is sends
    shown = world.described(green)
    assert shown["alarms"] == {"status": "TRIGGERED", "alarmNames": ["errors"], "triggeredAlarmNames": ["errors"]}
    assert "alarm detected (errors)" in shown["rollback"]["reason"]


def test_an_alarm_that_is_in_alarm_at_the_start_is_ignored_for_the_whole_deployment() -> None:
    world = Release().up(**ALARMS)
    world.alarms.states["errors"] = "ALARM"
    green = at_five_percent(world)
    world.alarms.states["errors"] = "OK"
    world.run(60)
    world.alarms.states["errors"] = "ALARM"
    world.run()
    assert green.deployment_status == "SUCCESSFUL"
    assert world.described(green)["alarms"]["status"] == "DISABLED"


def test_an_alarm_without_rollback_leaves_everything_where_it_is() -> None:
    world = Release().up(alarms={**ALARMS["alarms"], "rollback": False})
    green = at_five_percent(world)
    world.alarms.states["errors"] = "ALARM"
    world.run()
    assert green.deployment_status == "STOPPED"
    assert world.weights() == [95, 5]
    assert world.healthy() == 4
    assert world.told()[-1][0] == "SERVICE_DEPLOYMENT_FAILED"


def test_alarms_are_watched_until_the_bake_is_over() -> None:
    world = Release().up(**ALARMS)
    green = world.release()
    world.until_stage("BAKE_TIME")
    world.alarms.states["errors"] = "ALARM"
    world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert [weights for _, weights in world.shifts()] == [[95, 5], [0, 100], [100, 0]]
    world.alarms.states["errors"] = "OK"
    after = world.release()
    world.run()
    world.alarms.states["errors"] = "ALARM"
    world.run(120)
    assert world.described(after)["alarms"]["status"] == "MONITORING_COMPLETE"


def test_a_rolling_deployment_bakes_with_its_alarms_and_rolls_back() -> None:
    world = Release()
    world.serve(desired=2, deploymentConfiguration=ALARMS)
    world.settle()
    blue = world.latest
    green = world.release()
    world.run()
    assert (green.deployment_status, green.reason.endswith("completed.")) == ("SUCCESSFUL", True)
    baked = green.finished_at
    assert baked is not None
    last = max(task.started_at for task in world.wanted() if task.started_at)
    assert (baked - last).total_seconds() >= world.ecs.options.alarm_bake
    bad = world.release()
    world.run(100)
    world.alarms.states["errors"] = "ALARM"
    world.run()
    assert bad.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert bad.rollback is not None
    assert bad.rollback.revision is green.revision
    assert [name for name, _ in world.told()][-3:] == [
        "SERVICE_DEPLOYMENT_FAILED",
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "SERVICE_DEPLOYMENT_COMPLETED",
    ]
    assert blue.revision is not green.revision


# --- by the circuit breaker ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("watches", [False, True])
def test_whether_the_circuit_breaker_minds_native_deployments_is_the_worlds_choice(watches: bool) -> None:
    world = Release(breaker_watches_native=watches, task_faults=(TaskFault("start_fails", family="bad"),))
    world.up(**BREAKER)
    world.define("bad")
    green = world.release("bad")
    world.run(1800)
    assert green.deployment_status == ("ROLLBACK_SUCCESSFUL" if watches else "IN_PROGRESS")
    shown = world.described(green)["deploymentCircuitBreaker"]
    assert shown["status"] == ("TRIGGERED" if watches else "DISABLED")
    assert shown["failureCount"] >= 3
    assert world.healthy() == 2


# --- rolling deployments ---------------------------------------------------------------------------------------------
def test_a_rolling_deployment_can_be_stopped_and_shows_its_revisions() -> None:
    world = Release()
    world.serve(desired=2)
    world.settle()
    blue = world.latest
    green = world.release()
    world.run(20)
    shown = world.described()
    assert [one["arn"] for one in shown["sourceServiceRevisions"]] == [blue.revision.arn]
    assert shown["targetServiceRevision"]["requestedTaskCount"] == 2
    assert "lifecycleStage" not in shown
    world.stop(green)
    assert green.deployment_status == "ROLLBACK_IN_PROGRESS"
    world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert world.described(green)["rollback"]["serviceRevisionArn"] == blue.revision.arn
    primary = world.service().primary
    assert primary is not None
    assert primary.revision is blue.revision
    assert world.lowest() == 2


def test_the_first_deployment_has_nothing_to_go_back_to() -> None:
    world = Release()
    definition = world.define("web")
    world.settle()
    world.serve(definition=definition)
    world.run(5)
    with pytest.raises(AwsError, match="ConflictException"):
        world.stop(world.latest)


# --- something newer -------------------------------------------------------------------------------------------------
def test_a_newer_release_stops_the_one_in_progress_and_reconciles() -> None:
    """Traffic goes back to the last good revision, the tasks of the superseded one end, and only then the new start."""
    world = Release()
    world.up(lifecycleHooks=[world.hook("RECONCILE_SERVICE", "PRE_SCALE_UP")])
    blue, first = world.latest, at_five_percent(world)
    second = world.release()
    assert first.deployment_status == "STOP_REQUESTED"
    world.until_stage("PRE_SCALE_UP")
    assert first.deployment_status == "STOPPED"
    assert world.weights() == [100, 0]
    assert {task.deployment for task in world.wanted()} == {blue}
    world.run()
    assert second.deployment_status == "SUCCESSFUL"
    assert world.lambdas.stages() == ["PRE_SCALE_UP", "RECONCILE_SERVICE", "PRE_SCALE_UP"]
    assert {one["arn"] for one in world.described(second)["sourceServiceRevisions"]} == {
        blue.revision.arn,
        first.revision.arn,
    }
    assert [weights for _, weights in world.shifts()] == [[95, 5], [100, 0], [95, 5], [0, 100]]
    assert world.lowest() == 2
    listed = world.call("ListServiceDeployments", cluster=CLUSTER, service="web")["serviceDeployments"]
    assert [one["status"] for one in listed] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]


def test_a_newer_release_in_a_rollback_takes_over_from_the_last_good_revision() -> None:
    world = Release().up()
    blue, first = world.latest, at_five_percent(world)
    world.stop(first)
    world.until(lambda: first.deployment_status == "ROLLBACK_IN_PROGRESS")
    second = world.release()
    world.run()
    assert first.deployment_status == "ROLLBACK_FAILED"
    assert second.deployment_status == "SUCCESSFUL"
    assert blue.revision in second.sources
    assert world.weights() == [0, 100]
    assert world.groups_of_tasks() == {second.definition.arn: [world.groups[1]]}


def test_a_forced_deployment_of_the_same_task_definition_is_a_release() -> None:
    world = Release().up()
    world.update(forceNewDeployment=True)
    world.run()
    first, second = world.service().history
    assert second.deployment_status == "SUCCESSFUL"
    assert first.revision.arn != second.revision.arn
    assert first.definition is second.definition


@pytest.mark.parametrize("stage", ["SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME"])
def test_a_service_deleted_in_the_middle_takes_its_deployments_with_it(stage: str) -> None:
    world = Release().up(lifecycleHooks=[])
    green = world.release()
    world.until_stage(stage)
    weights, told = world.weights(), len(world.told())
    world.call("DeleteService", cluster=CLUSTER, service="web", force=True)
    world.run()
    assert world.shown()["status"] == "INACTIVE"
    assert world.service().tasks == {}
    assert world.weights() == weights
    assert len(world.told()) == told
    answer = world.call("DescribeServiceDeployments", serviceDeploymentArns=[green.arn])
    assert answer["failures"] == [{"arn": green.arn, "reason": "MISSING"}]
    with pytest.raises(AwsError, match="ServiceDeploymentNotFoundException"):
        world.stop(green)


def test_a_service_deleted_while_a_hook_is_asked_asks_it_no_more() -> None:
    world = Release()
    world.up(lifecycleHooks=[world.hook("POST_SCALE_UP")])
    world.lambdas.answer = lambda payload: {"hookStatus": "IN_PROGRESS"}
    world.release()
    world.until_stage("POST_SCALE_UP")
    world.run(40)
    world.call("DeleteService", cluster=CLUSTER, service="web", force=True)
    asked = len(world.lambdas.asked)
    world.run()
    assert len(world.lambdas.asked) == asked


# --- load balancers that refuse --------------------------------------------------------------------------------------
def test_a_rule_that_is_gone_fails_the_release_and_its_rollback() -> None:
    world = Release().up()
    green = world.release()
    world.until_stage("POST_SCALE_UP")
    world.call("DeleteRule", "elbv2", RuleArn=world.production)
    world.run()
    assert green.deployment_status == "ROLLBACK_FAILED"
    assert "RuleNotFound" in green.reason
    assert world.healthy() == 4
