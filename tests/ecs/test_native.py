"""Native releases that go well: stages, target groups, weights, revisions, and what the API takes."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from native_stage import CLUSTER, FUNCTION, HOOK_ROLE, OPERATOR, Release

from twin.errors import AwsError, Unmodelled

STAGES = [
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
]


def stages(world: Release) -> list[str]:
    return [str(entry.data["stage"]) for entry in world.kernel.timeline if entry.kind == "release.stage"]


def test_a_canary_gets_its_percent_bakes_gets_all_and_the_old_tasks_go() -> None:
    world = Release().up(canaryConfiguration={"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10})
    blue, old = world.latest, set(world.service().tasks)
    green = world.release()
    assert green.deployment_status == "PENDING"
    world.run()
    assert green.deployment_status == "SUCCESSFUL"
    assert stages(world) == STAGES
    (first, canary), (second, everything) = world.shifts()
    assert (canary, everything) == ([95, 5], [0, 100])
    assert second - first == pytest.approx(600 + 2 * world.ecs.options.stage_seconds)
    assert not old & set(world.service().tasks)
    assert world.groups_of_tasks() == {green.definition.arn: [world.groups[1]]}
    assert world.lowest() == 2
    assert [one.deployment_status for one in (blue, green)] == ["SUCCESSFUL", "SUCCESSFUL"]
    assert world.told() == [
        ("SERVICE_DEPLOYMENT_IN_PROGRESS", f"ECS deployment {green.id} in progress."),
        ("SERVICE_DEPLOYMENT_COMPLETED", f"ECS deployment {green.id} completed."),
    ]


def test_the_new_tasks_are_whole_before_they_get_traffic_and_the_old_ones_stay_until_the_bake_is_over() -> None:
    world = Release().up(desired=3)
    green = world.release()
    world.until_stage("POST_SCALE_UP")
    assert world.weights() == [100, 0]
    assert [each.wanted for each in world.service().deployments] == [3, 3]
    assert world.healthy() == 6
    world.until_stage("BAKE_TIME")
    assert world.healthy() == 6
    began = world.kernel.clock.elapsed
    ended = world.until_stage("CLEAN_UP")
    assert ended - began == pytest.approx(300, abs=2)
    world.until(lambda: green.ended)
    assert world.healthy() == 3


def test_the_next_release_goes_back_to_the_first_target_group() -> None:
    world = Release().up()
    world.release()
    world.run()
    world.release()
    world.run()
    assert [weights for _, weights in world.shifts()] == [[95, 5], [0, 100], [5, 95], [100, 0]]
    assert world.groups_of_tasks() == {world.latest.definition.arn: [world.groups[0]]}


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (25.0, [[75, 25], [50, 50], [25, 75], [0, 100]]),
        (30.0, [[70, 30], [40, 60], [10, 90], [0, 100]]),
        (33.4, [[666, 334], [332, 668], [0, 100]]),
    ],
)
def test_linear_steps_are_equal_and_bake_but_for_the_last(percent: float, expected: list[list[int]]) -> None:
    world = Release().up("LINEAR", linearConfiguration={"stepPercent": percent, "stepBakeTimeInMinutes": 6})
    world.release()
    world.run()
    shifts = world.shifts()
    assert [weights for _, weights in shifts] == expected
    gaps = {round(later - before) for (before, _), (later, _) in itertools.pairwise(shifts)}
    assert gaps == {360 + 2 * round(world.ecs.options.stage_seconds)}
    entered = {entry.data["stage"]: entry.at for entry in world.kernel.timeline if entry.kind == "release.stage"}
    assert (entered["BAKE_TIME"] - world.kernel.clock.start).total_seconds() - shifts[-1][0] == pytest.approx(5)


def test_blue_green_shifts_all_at_once() -> None:
    world = Release().up("BLUE_GREEN")
    world.release()
    world.run()
    assert [weights for _, weights in world.shifts()] == [[0, 100]]


def test_a_tenth_of_a_percent_is_one_part_in_a_thousand() -> None:
    world = Release().up(canaryConfiguration={"canaryPercent": 0.1})
    world.release()
    world.until(lambda: bool(world.shifts()))
    assert world.weights() == [999, 1]
    shown = world.described()["targetServiceRevision"]
    assert shown["requestedProductionTrafficWeight"] == 0.1


def test_the_rules_other_actions_conditions_and_stickiness_stay() -> None:
    world = Release(https=True).up()
    sign_in = {
        "Issuer": "https://issuer.example",
        "AuthorizationEndpoint": "https://issuer.example/a",
        "TokenEndpoint": "https://issuer.example/t",
        "UserInfoEndpoint": "https://issuer.example/u",
        "ClientId": "shop",
        "ClientSecret": "secret",
    }
    rule = world.call("DescribeRules", "elbv2", RuleArns=[world.production])["Rules"][0]
    login = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": sign_in}
    actions = [login, {**rule["Actions"][0], "Order": 2}]
    before = world.call("ModifyRule", "elbv2", RuleArn=world.production, Actions=actions)["Rules"][0]
    world.release()
    world.run()
    after = world.call("DescribeRules", "elbv2", RuleArns=[world.production])["Rules"][0]
    assert after["Actions"][0] == before["Actions"][0]
    assert [action["Type"] for action in after["Actions"]] == ["authenticate-oidc", "forward"]
    sticky = after["Actions"][-1]["ForwardConfig"]["TargetGroupStickinessConfig"]
    assert (sticky["Enabled"], sticky["DurationSeconds"]) == (True, 60)
    assert after["Conditions"] == rule["Conditions"]


def test_a_default_rule_is_changed_by_its_listener() -> None:
    world = Release(default_rule=True).up()
    world.release()
    world.run()
    assert world.weights() == [0, 100]
    calls = {call.operation for call in world.kernel.calls if call.service == "elbv2" and call.caller.kind == "aws"}
    assert calls == {"DescribeRules", "ModifyListener"}


def test_test_traffic_goes_to_the_new_revision_first() -> None:
    world = Release(test_rule=True).up()
    world.release()
    world.until_stage("POST_TEST_TRAFFIC_SHIFT")
    assert (world.weights(world.test), world.weights()) == ([0, 100], [100, 0])
    shown = world.described()["targetServiceRevision"]
    assert shown["requestedTestTrafficWeight"] == 100.0
    assert shown["requestedProductionTrafficWeight"] == 0.0


def test_ecs_writes_what_it_intends_whatever_the_weights_are_now() -> None:
    world = Release().up()
    world.release()
    world.until(lambda: world.weights() == [95, 5])
    groups = [{"TargetGroupArn": world.groups[0], "Weight": 1}]
    reset = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
    world.call("ModifyRule", "elbv2", caller=OPERATOR, RuleArn=world.production, Actions=reset)
    assert world.described()["targetServiceRevision"]["requestedProductionTrafficWeight"] == 5.0
    world.run()
    assert world.weights() == [0, 100]


def test_every_shift_is_made_by_ecs_because_of_the_update() -> None:
    world = Release().up()
    world.release()
    world.run()
    calls = [call for call in world.kernel.calls if call.operation == "ModifyRule"][-2:]
    assert {str(call.caller) for call in calls} == {"aws:ecs"}
    assert {call.origin.operation for call in calls} == {"UpdateService"}
    losses = [loss for loss in world.ecs.losses if loss.cause]
    assert losses
    assert {loss.cause.operation for loss in losses if loss.cause} == {"UpdateService"}


def test_a_release_in_progress_and_its_revisions_through_boto3() -> None:
    world = Release().up()
    blue = world.latest
    green = world.release()
    world.until(lambda: bool(world.shifts()))
    with world.gateway.intercepted():
        client = world.gateway.client("ecs", OPERATOR)
        listed = client.list_service_deployments(cluster=CLUSTER, service="web", status=["IN_PROGRESS"])
        (one,) = listed["serviceDeployments"]
        assert one["targetServiceRevisionArn"] == green.revision.arn
        answer = client.describe_service_deployments(serviceDeploymentArns=[one["serviceDeploymentArn"], "arn:x"])
        assert answer["failures"] == [{"arn": "arn:x", "reason": "MISSING"}]
        shown = answer["serviceDeployments"][0]
        revisions = client.describe_service_revisions(serviceRevisionArns=[green.revision.arn, blue.revision.arn])
    assert (shown["status"], shown["lifecycleStage"]) == ("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT")
    target, (source,) = shown["targetServiceRevision"], shown["sourceServiceRevisions"]
    assert (target["arn"], source["arn"]) == (green.revision.arn, blue.revision.arn)
    weights = [one["requestedProductionTrafficWeight"] for one in (target, source)]
    assert weights == [5.0, 95.0]
    assert [(one["requestedTaskCount"], one["runningTaskCount"]) for one in (target, source)] == [(2, 2), (2, 2)]
    assert shown["deploymentConfiguration"]["strategy"] == "CANARY"
    new, old = revisions["serviceRevisions"]
    assert new["taskDefinition"] != old["taskDefinition"]
    assert [one["resolvedConfiguration"]["loadBalancers"][0]["targetGroupArn"] for one in (new, old)] == [
        world.groups[1],
        world.groups[0],
    ]
    assert new["containerImages"] == [{"containerName": "app", "image": "web:1"}]


def test_a_revision_never_changes() -> None:
    world = Release().up()
    arn = world.latest.revision.arn
    before = world.call("DescribeServiceRevisions", serviceRevisionArns=[arn])["serviceRevisions"]
    world.update(
        healthCheckGracePeriodSeconds=7, deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1}
    )
    world.release()
    world.run()
    assert world.call("DescribeServiceRevisions", serviceRevisionArns=[arn])["serviceRevisions"] == before


def test_the_service_shows_both_deployments_and_revisions_while_they_run() -> None:
    world = Release().up()
    world.release()
    world.until_stage("BAKE_TIME")
    shown = world.shown()
    assert [(one["status"], one["desiredCount"], one["runningCount"]) for one in shown["deployments"]] == [
        ("PRIMARY", 2, 2),
        ("ACTIVE", 2, 2),
    ]
    assert [one["requestedTaskCount"] for one in shown["currentServiceRevisions"]] == [2, 2]
    assert shown["currentServiceDeployment"] == world.latest.arn
    world.run()
    assert len(world.shown()["deployments"]) == 1


def test_targets_know_their_revision_and_task_definition_until_they_are_gone() -> None:
    world = Release().up()
    blue, green = world.latest, world.release()
    world.until_stage("BAKE_TIME")
    ecs = world.ecs
    for deployment, group in ((blue, world.groups[0]), (green, world.groups[1])):
        tasks = [task for task in world.wanted() if task.deployment is deployment]
        for target in [target for task in tasks for target in task.targets]:
            assert target.group_arn == group
            assert ecs.revision_of_target(*target.key) == deployment.revision.arn
            assert ecs.task_definition_of_target(*target.key) == deployment.definition.arn
    keys = [target.key for task in world.wanted() if task.deployment is blue for target in task.targets]
    world.until(lambda: green.ended)
    assert {ecs.revision_of_target(*key) for key in keys} == {None}
    assert ecs.task_definition_of_target(world.groups[0], "i-0", 1) is None


def test_scaling_in_the_middle_scales_both_revisions() -> None:
    world = Release().up()
    world.release()
    world.until_stage("PRODUCTION_TRAFFIC_SHIFT")
    world.update(desiredCount=3)
    world.run(120)
    assert [one["runningCount"] for one in world.shown()["deployments"]] == [3, 3]
    world.run()
    assert world.latest.deployment_status == "SUCCESSFUL"
    assert world.healthy() == 3


def test_a_drained_host_in_the_middle_costs_neither_revision_a_healthy_task() -> None:
    world = Release(hosts=6).up(desired=2)
    world.release()
    world.until_stage("BAKE_TIME")
    world.drain(world.host(0), world.host(1))
    lowest = [2, 2]
    for _ in range(60):
        world.run(2)
        for number, deployment in enumerate(world.service().deployments):
            tasks = [task for task in world.wanted() if task.deployment is deployment]
            lowest[number] = min(lowest[number], sum(task.healthy for task in tasks))
    assert lowest == [2, 2]
    world.run()
    assert world.latest.deployment_status == "SUCCESSFUL"


def test_a_service_that_rolled_until_now_is_released_next_to_its_tasks() -> None:
    world = Release()
    plain = {"targetGroupArn": world.groups[0], "containerName": "app", "containerPort": 80}
    world.serve(desired=2, loadBalancers=[plain])
    world.settle()
    old = set(world.service().tasks)
    native = {"strategy": "CANARY", "bakeTimeInMinutes": 1, "canaryConfiguration": {"canaryBakeTimeInMinutes": 1}}
    balancers = [{**plain, "advancedConfiguration": world.advanced}]
    world.release(deploymentConfiguration=native, loadBalancers=balancers)
    world.until_stage("PRODUCTION_TRAFFIC_SHIFT")
    assert old <= set(world.service().tasks)
    world.run()
    assert world.latest.deployment_status == "SUCCESSFUL"
    assert world.weights() == [0, 100]
    assert not old & set(world.service().tasks)


def test_a_service_without_load_balancer_can_be_blue_green() -> None:
    world = Release()
    world.serve(deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1})
    world.settle()
    world.release()
    world.run()
    assert world.latest.deployment_status == "SUCCESSFUL"
    assert world.shifts() == []


def test_in_which_target_group_the_first_revision_is_is_the_worlds_choice() -> None:
    weights = {chosen: Release(first_in_alternate=chosen).up().weights() for chosen in (False, True)}
    assert weights == {False: [100, 0], True: [0, 100]}


def test_a_created_service_in_a_settled_world_runs_its_hooks_too() -> None:
    world = Release()
    definition = world.define("web")
    world.settle()
    balancer = {
        "targetGroupArn": world.groups[0],
        "containerName": "app",
        "containerPort": 80,
        "advancedConfiguration": world.advanced,
    }
    configuration = {"strategy": "CANARY", "lifecycleHooks": [world.hook("POST_SCALE_UP")]}
    world.serve(definition=definition, loadBalancers=[balancer], deploymentConfiguration=configuration)
    world.run()
    assert world.lambdas.stages() == ["POST_SCALE_UP"]
    assert world.latest.deployment_status == "SUCCESSFUL"
    assert world.weights() == [100, 0]


def test_a_stage_ends_after_24_hours_in_a_rollback() -> None:
    world = Release(task_faults=()).up()
    world.define("big", cpu=100_000)
    green = world.release("big")
    world.run(24 * 3600 + 300)
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert "timed out" in str(green.rollback and green.rollback.reason)
    assert world.weights() == [100, 0]
    assert world.healthy() == 2


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"strategy": "BLUE_GREEN"}, "bakeTimeInMinutes"),
        ({"strategy": "CANARY", "bakeTimeInMinutes": 1441}, "bakeTimeInMinutes"),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.0}}, "canaryPercent"),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 5.05}}, "multiple of 0.1"),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryBakeTimeInMinutes": 1441}}, "canaryBakeTimeInMinutes"),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 2.9}}, "stepPercent"),
        ({"strategy": "LINEAR", "canaryConfiguration": {"canaryPercent": 5.0}}, "canaryConfiguration"),
        ({"strategy": "CANARY", "linearConfiguration": {"stepPercent": 5.0}}, "linearConfiguration"),
        ({"strategy": "CANARY", "lifecycleHooks": [{"lifecycleStages": ["PRE_SCALE_UP"]}]}, "hookTargetArn"),
        (
            {"strategy": "CANARY", "lifecycleHooks": [{"hookTargetArn": FUNCTION, "roleArn": HOOK_ROLE}]},
            "lifecycleStages",
        ),
        (
            {
                "strategy": "CANARY",
                "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["TEST_TRAFFIC_SHIFT"]}],
            },
            "PAUSE hooks",
        ),
        (
            {
                "strategy": "CANARY",
                "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"], "roleArn": HOOK_ROLE}],
            },
            "PAUSE hooks",
        ),
        (
            {
                "strategy": "CANARY",
                "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"]}] * 11,
            },
            "at most 10",
        ),
        ({"strategy": "CANARY", "alarms": {"alarmNames": [], "enable": True, "rollback": True}}, "alarm"),
    ],
)
def test_what_the_api_refuses_changes_nothing(configuration: dict[str, Any], words: str) -> None:
    world = Release().up()
    before = world.shown()
    with pytest.raises(AwsError, match=words) as error:
        world.update(deploymentConfiguration=configuration)
    assert error.value.code == "InvalidParameterException"
    assert world.shown() == before


@pytest.mark.parametrize("missing", ["alternateTargetGroupArn", "productionListenerRule", "roleArn"])
def test_a_native_strategy_needs_the_advanced_configuration(missing: str) -> None:
    world = Release()
    definition = world.define("web")
    advanced = {name: value for name, value in world.advanced.items() if name != missing}
    balancer = {
        "targetGroupArn": world.groups[0],
        "containerName": "app",
        "containerPort": 80,
        "advancedConfiguration": advanced,
    }
    with pytest.raises(AwsError, match=missing):
        world.serve(definition=definition, loadBalancers=[balancer], deploymentConfiguration={"strategy": "CANARY"})
    with pytest.raises(AwsError, match="needs a load balancer"):
        world.serve(definition=definition, deploymentConfiguration={"strategy": "LINEAR"})


def test_what_is_not_modelled_of_native_deployments_fails_loudly() -> None:
    world = Release().up()
    for configuration in (
        {"strategy": "ROLLING", "lifecycleHooks": [world.hook("PRE_SCALE_UP")]},
        {**world.configuration, "earlySuccessCriteria": {"enable": True}},
    ):
        with pytest.raises(Unmodelled):
            world.update(deploymentConfiguration=configuration)
    with pytest.raises(Unmodelled, match="ROLLING"):
        world.update(deploymentConfiguration={"strategy": "ROLLING"}, forceNewDeployment=True)


def test_hooks_are_shown_and_set_without_a_deployment() -> None:
    world = Release().up()
    hook = world.hook("PRE_PRODUCTION_TRAFFIC_SHIFT", hookDetails={"gate": "caretaker"})
    world.update(deploymentConfiguration={**world.configuration, "lifecycleHooks": [hook]})
    world.run()
    assert len(world.service().history) == 1
    shown = world.shown()["deploymentConfiguration"]
    assert shown["lifecycleHooks"] == [hook]
    assert shown["canaryConfiguration"] == world.configuration["canaryConfiguration"]
    world.update(deploymentConfiguration={**world.configuration, "lifecycleHooks": []})
    assert "lifecycleHooks" not in world.shown()["deploymentConfiguration"]


def test_the_same_world_releases_the_same_way() -> None:
    def history() -> str:
        world = Release(seed=7).up()
        world.release()
        world.run()
        return json.dumps([(entry.at, entry.text) for entry in world.kernel.timeline], default=str)

    assert history() == history()
