"""Releases of Express services: the fixed canary, its alarm, its two target groups, and what interferes."""

from __future__ import annotations

from typing import Any

import pytest
from ecs_world import CLUSTER, OPERATOR
from express_stage import EXECUTION, Stage

from twin.ecs.express.options import ExpressOptions
from twin.errors import AwsError, Unmodelled
from twin.traffic.model import Behaviour

MINUTE = 60.0
GOOD = Behaviour(errors_5xx=0.003, errors_4xx=0.001)
"""0.4 % of errors: below the 1 % at which Express Mode rolls back."""


def bad(errors: float = 0.02) -> Behaviour:
    return Behaviour(task_definition="shop-web:2", errors_5xx=errors, errors_4xx=0.001)


def released(*behaviours: Behaviour, per_minute: float = 3_000, seed: int = 1, **options: Any) -> Stage:
    """A release of web:2, ten minutes after the start, run to its end."""
    stage = Stage(seed, ExpressOptions(**options)).up(scalingTarget={"minTaskCount": 2})
    stage.traffic(per_minute, *behaviours)
    stage.run(600)
    stage.release()
    stage.run(3600)
    return stage


def test_five_percent_for_three_minutes_then_all_for_three() -> None:
    stage = released(GOOD)
    shown = stage.deployment()
    assert shown["status"] == "SUCCESSFUL"
    assert shown["deploymentConfiguration"]["strategy"] == "CANARY"
    assert shown["deploymentConfiguration"]["canaryConfiguration"] == {
        "canaryPercent": 5.0,
        "canaryBakeTimeInMinutes": 3,
    }
    (first, canary), (second, whole) = stage.shifts()
    assert (canary, whole) == ([5, 95], [100, 0])
    assert 3 * MINUTE <= second - first <= 3 * MINUTE + 15
    bake = next(entry.at for entry in stage.kernel.timeline if "BAKE_TIME" in entry.text)
    clean = next(entry.at for entry in stage.kernel.timeline if "CLEAN_UP" in entry.text)
    assert (clean - bake).total_seconds() == 3 * MINUTE
    assert stage.weights() == [0, 100]
    assert {task.definition.arn.rpartition("/")[2] for task in stage.service().tasks.values()} == {"shop-web:2"}


def test_both_revisions_are_active_while_it_lasts_and_target_groups_take_turns() -> None:
    stage = Stage().up()
    before = stage.resources()
    target = stage.release()["targetConfiguration"]
    assert target["taskDefinitionArn"].endswith("shop-web:2")
    assert target["primaryContainer"]["image"] == "example.com/web:2"
    stage.run(300)
    active = stage.described()["activeConfigurations"]
    assert [each["taskDefinitionArn"].rpartition(":")[2] for each in active] == ["2", "1"]
    assert stage.described()["currentDeployment"] == stage.deployment()["serviceDeploymentArn"]
    stage.run(3600)
    assert [stage.weights(), len(stage.described()["activeConfigurations"])] == [[0, 100], 1]
    stage.release("example.com/web:3")
    stage.run(3600)
    assert stage.weights() == [100, 0]
    after = stage.resources()
    assert [group["arn"] for group in after["ingressPaths"][0]["targetGroups"]] == [
        group["arn"] for group in before["ingressPaths"][0]["targetGroups"]
    ]
    assert after["ingressPaths"][0]["rule"]["arn"] == before["ingressPaths"][0]["rule"]["arn"]


def test_errors_times_five_are_rolled_back_by_expresss_own_alarm() -> None:
    stage = released(GOOD, bad())
    shown = stage.deployment()
    assert shown["status"] == "ROLLBACK_SUCCESSFUL"
    assert shown["alarms"]["triggeredAlarmNames"] == ["shop/web/RollbackAlarm"]
    assert stage.weights() == [100, 0]
    assert [weights for _, weights in stage.shifts()] == [[5, 95], [100, 0], [0, 100]]
    reasons = [one["reason"] for one in stage.bus.of("ECS Deployment State Change")]
    assert any("rolling back to deploymentId" in reason for reason in reasons)
    assert {task.definition.arn.rpartition("/")[2] for task in stage.service().tasks.values()} == {"shop-web:1"}
    [configuration] = stage.described()["activeConfigurations"]
    assert configuration["primaryContainer"]["image"] == "example.com/web:1"


def test_below_one_percent_nothing_is_seen_however_much_worse_it_is() -> None:
    stage = released(Behaviour(errors_5xx=0.001), bad(0.005), per_minute=6_000)
    assert stage.deployment()["status"] == "SUCCESSFUL"
    assert not [state for _, _, _, state in stage.alarms.history if state == "ALARM"]


def test_whether_the_canary_is_looked_at_alone_is_the_worlds_choice() -> None:
    """3 % of errors in 5 % of the requests: 0.5 % of all together with the others', but 3 % of the canary's."""
    hidden, seen = (released(GOOD, bad(0.03), per_minute=12_000, alarm=how) for how in ("sum", "worst"))
    assert [weights for _, weights in hidden.shifts()] == [[5, 95], [100, 0], [0, 100]]
    assert [weights for _, weights in seen.shifts()] == [[5, 95], [0, 100]]
    assert [stage.deployment()["status"] for stage in (hidden, seen)] == ["ROLLBACK_SUCCESSFUL"] * 2


def test_an_alarm_that_fires_already_is_minded_by_nobody() -> None:
    stage = released(Behaviour(errors_5xx=0.02), Behaviour(task_definition="shop-web:2", errors_5xx=0.2))
    assert (stage.deployment()["status"], stage.deployment()["alarms"]["status"]) == ("SUCCESSFUL", "DISABLED")


def test_a_plain_update_is_a_release_too_and_the_service_stays_managed() -> None:
    stage = Stage().up()
    stage.release()
    stage.run(3600)
    stage.call("UpdateService", caller=OPERATOR, cluster=CLUSTER, service="web", taskDefinition="shop-web:1")
    stage.run(3600)
    assert [weights for _, weights in stage.shifts()] == [[5, 95], [100, 0]] * 2
    [configuration] = stage.described()["activeConfigurations"]
    assert configuration["primaryContainer"]["image"] == "example.com/web:1"
    assert stage.resources()["metricAlarms"][0]["status"] == "ACTIVE"


def test_a_newer_release_takes_over() -> None:
    stage = Stage().up()
    stage.release()
    stage.run(400)
    stage.release("example.com/web:3")
    stage.run(7200)
    statuses = [each.deployment_status for each in stage.service().history]
    assert statuses == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]
    assert stage.described()["activeConfigurations"][0]["primaryContainer"]["image"] == "example.com/web:3"


def test_a_person_can_roll_it_back() -> None:
    stage = Stage().up()
    stage.release()
    stage.run(300)
    arn = stage.deployment()["serviceDeploymentArn"]
    stage.call("StopServiceDeployment", caller=OPERATOR, serviceDeploymentArn=arn, stopType="ROLLBACK")
    stage.run(3600)
    assert stage.deployment()["status"] == "ROLLBACK_SUCCESSFUL"
    assert stage.weights() == [100, 0]


def test_deletion_in_the_middle_of_a_release() -> None:
    stage = Stage().up()
    stage.release()
    stage.run(300)
    stage.delete()
    stage.run(7200)
    assert stage.service().status == "INACTIVE"
    assert not stage.elbv2.load_balancers


def test_what_users_changed_by_hand_survives_releases_and_deletions_of_others() -> None:
    stage = Stage().up("web", "api")
    express = stage.service().express
    assert express is not None
    rule, listener = express.rule.arn, express.balancer.listener.arn
    hosts = [express.endpoint, "shop.example.com"]
    condition = {"Field": "host-header", "HostHeaderConfig": {"Values": hosts}}
    stage.call("ModifyRule", "elbv2", caller=OPERATOR, RuleArn=rule, Conditions=[condition])
    own = stage.call("RequestCertificate", "acm", caller=OPERATOR, DomainName="shop.example.com")["CertificateArn"]
    stage.run(60)
    added = [{"CertificateArn": own}]
    stage.call("AddListenerCertificates", "elbv2", caller=OPERATOR, ListenerArn=listener, Certificates=added)
    stage.release()
    stage.run(3600)
    stage.delete("api")
    stage.run(7200)
    [shown] = stage.call("DescribeRules", "elbv2", RuleArns=[rule])["Rules"]
    assert shown["Conditions"][0]["HostHeaderConfig"]["Values"] == hosts
    listed = stage.call("DescribeListenerCertificates", "elbv2", ListenerArn=listener)["Certificates"]
    assert own in [one["CertificateArn"] for one in listed]
    assert (stage.service().healthy, stage.service("api").status) == (1, "INACTIVE")


# --- what an update changes ------------------------------------------------------------------------------------------
def test_only_what_is_given_changes() -> None:
    given = {"image": "example.com/web:1", "environment": [{"name": "MODE", "value": "fast"}], "containerPort": 8080}
    stage = Stage().up(primaryContainer=given, cpu="512", memory="1024", healthCheckPath="/health")
    target = stage.release(healthCheckPath="/ready", memory="2048")["targetConfiguration"]
    assert target["primaryContainer"]["environment"] == given["environment"]
    assert target["primaryContainer"]["containerPort"] == 8080
    assert (target["cpu"], target["memory"], target["healthCheckPath"]) == ("512", "2048", "/ready")
    paths = [group["healthCheckPath"] for group in stage.resources()["ingressPaths"][0]["targetGroups"]]
    assert paths == ["/health", "/ready"]


def test_whether_a_container_is_replaced_whole_is_the_worlds_choice() -> None:
    given = {"image": "example.com/web:1", "environment": [{"name": "MODE", "value": "fast"}]}
    stage = Stage(express=ExpressOptions(partial_container_resets=True)).up(primaryContainer=given)
    assert "environment" not in stage.release()["targetConfiguration"]["primaryContainer"]


def test_scaling_is_part_of_the_configuration_and_raises_the_desired_count() -> None:
    stage = Stage().up()
    scaling = {"minTaskCount": 3, "autoScalingMetric": "REQUEST_COUNT_PER_TARGET", "autoScalingTargetValue": 500}
    target = stage.release(scalingTarget=scaling)["targetConfiguration"]
    assert target["scalingTarget"] == {**scaling, "maxTaskCount": 20}
    auto = stage.resources()["autoScaling"]
    assert auto["scalableTarget"]["minCapacity"] == 3
    assert auto["applicationAutoScalingPolicies"][0]["targetValue"] == 500.0
    stage.run(3600)
    assert stage.service().healthy == 3


def test_a_task_definition_of_ones_own() -> None:
    stage = Stage()
    main = {"name": "Main", "image": "own:1", "portMappings": [{"containerPort": 90, "name": "http"}], "memory": 512}
    sidecar = {"name": "log", "image": "log:1", "memory": 128}
    family = {"family": "own", "networkMode": "awsvpc", "cpu": "512", "memory": "1024", "executionRoleArn": EXECUTION}
    members = {**family, "requiresCompatibilities": ["FARGATE"]}
    stage.call("RegisterTaskDefinition", containerDefinitions=[main, sidecar], **members)
    stage.up(taskDefinitionArn="own:1")
    [configuration] = stage.described()["activeConfigurations"]
    assert (configuration["cpu"], configuration["primaryContainer"]["containerPort"]) == ("512", 90)
    stage.call("RegisterTaskDefinition", containerDefinitions=[{**main, "name": "other"}], **members)
    arn = stage.service().arn
    with pytest.raises(AwsError, match="container named Main"):
        stage.call("UpdateExpressGatewayService", serviceArn=arn, taskDefinitionArn="own:2")


def test_what_is_not_modelled_fails_loudly() -> None:
    stage = Stage().up()
    with pytest.raises(Unmodelled, match="containerPort"):
        stage.release(primaryContainer={"image": "example.com/web:2", "containerPort": 81})
    with pytest.raises(Unmodelled, match="healthCheckPath"):
        stage.release(healthCheckPath="HTTP:80/ping")
    new = Stage()
    new.create("web")
    new.kernel.settled = True
    with pytest.raises(Unmodelled, match="first deployment"):
        new.release()
