"""What Express Mode leaves behind: by deletions, by updates, by creations that failed, and by the world's choice."""

from __future__ import annotations

from typing import Any

import pytest
from ecs_world import OPERATOR
from express_stage import PRIVATE, PUBLIC, Stage

from twin.ecs.express.model import Express, group_id
from twin.ecs.express.options import ExpressOptions, Kind, RoleFault, Staying
from twin.errors import AwsError
from twin.kernel.gateway import ApiFault

LATER = 2 * 3600
VPC = "vpc-0123456789abcdef0"


def express_of(stage: Stage, name: str = "web") -> Express:
    express = stage.service(name).express
    assert express is not None
    return express


def counts(stage: Stage) -> dict[str, int]:
    """How many things there are of each kind that ECS makes."""
    return {
        "rules": sum(not rule.is_default for rule in stage.elbv2.rules.values()),
        "target groups": len(stage.elbv2.target_groups),
        "balancers": len(stage.elbv2.load_balancers),
        "certificates": len(stage.call("ListCertificates", "acm")["CertificateSummaryList"]),
        "alarms": len(stage.alarms.alarms),
        "targets": len(stage.account.scaling.targets),
        "policies": sum(len(target.policies) for target in stage.account.scaling.targets.values()),
        "groups": len(stage.ec2.security_groups.groups) - 1,
        "interfaces": len(stage.ec2.interfaces.interfaces),
        "log groups": len(stage.call("DescribeLogGroups", "logs")["logGroups"]),
    }


WHOLE = {
    "rules": 1,
    "target groups": 2,
    "balancers": 1,
    "certificates": 1,
    "alarms": 3,
    "targets": 1,
    "policies": 1,
    "groups": 2,
    "interfaces": 3,
    "log groups": 1,
}


def gone(stage: Stage, name: str = "web") -> Stage:
    stage.delete(name)
    stage.run(LATER)
    return stage


# --- what there is ---------------------------------------------------------------------------------------------------
def test_every_resource_is_a_real_one_of_its_service() -> None:
    stage = Stage().up()
    assert counts(stage) == WHOLE
    managed = stage.resources()
    path = managed["ingressPaths"][0]
    [own] = managed["serviceSecurityGroups"]
    groups = stage.ec2.security_groups.groups
    service, balancer = own["arn"].rpartition("/")[2], path["loadBalancerSecurityGroups"][0]["arn"].rpartition("/")[2]
    assert groups[service].name == f"shop-web-{VPC}"
    assert groups[service].description == f"Security group for ECS service: {stage.service().arn}"
    assert groups[balancer].name.startswith("ecs-express-gateway-alb-sg-")
    assert stage.call("DescribeCertificate", "acm", CertificateArn=path["certificate"]["arn"])["Certificate"][
        "InUseBy"
    ] == [path["loadBalancer"]["arn"]]
    auto = managed["autoScaling"]
    [target] = stage.call("DescribeScalableTargets", "application-autoscaling", ServiceNamespace="ecs")[
        "ScalableTargets"
    ]
    assert target["ScalableTargetARN"] == auto["scalableTarget"]["arn"]
    [policy] = stage.call("DescribeScalingPolicies", "application-autoscaling", ServiceNamespace="ecs")[
        "ScalingPolicies"
    ]
    assert policy["PolicyARN"] == auto["applicationAutoScalingPolicies"][0]["arn"]
    assert policy["PolicyName"] == "webAverageCPU"
    [log_group] = stage.call("DescribeLogGroups", "logs")["logGroups"]
    assert log_group["logGroupName"] == managed["logGroups"][0]["logGroupName"]


def test_the_two_groups_refer_to_each_other_and_the_balancers_has_its_placeholder() -> None:
    stage = Stage().up("web", "api")
    express = express_of(stage)
    balancer = express.balancer.group_id
    rules = stage.call("DescribeSecurityGroupRules", "ec2")["SecurityGroupRules"]
    egress = [one for one in rules if one["GroupId"] == balancer and one["IsEgress"]]
    named = [one["ReferencedGroupInfo"]["GroupId"] for one in egress]
    assert sorted(named) == sorted(
        [balancer, *(group_id(express_of(stage, name).security_group) for name in ("web", "api"))]
    )
    assert "Placeholder rule" in [one.get("Description") for one in egress]
    [ingress] = [one for one in rules if one["GroupId"] == group_id(express.security_group) and not one["IsEgress"]]
    assert ingress["ReferencedGroupInfo"]["GroupId"] == balancer
    tasks = stage.call("DescribeNetworkInterfaces", "ec2")["NetworkInterfaces"]
    mine = [one for one in tasks if one["Groups"][0]["GroupId"] == group_id(express.security_group)]
    assert [one["RequesterManaged"] for one in mine] == [True]


def test_later_certificates_are_in_the_listeners_list() -> None:
    stage = Stage().up("web", "api")
    listener = express_of(stage).balancer.listener.arn
    shown = stage.call("DescribeListenerCertificates", "elbv2", ListenerArn=listener)["Certificates"]
    assert {one["CertificateArn"]: one["IsDefault"] for one in shown} == {
        express_of(stage).certificate.arn: True,
        express_of(stage, "api").certificate.arn: False,
    }


def test_a_customers_log_group_is_not_managed() -> None:
    logs = {"logGroup": "/shop/own", "logStreamPrefix": "x"}
    stage = Stage().up(primaryContainer={"image": "example.com/web:1", "awsLogsConfiguration": logs})
    assert stage.resources()["logGroups"] == []
    assert counts(stage)["log groups"] == 0


# --- deletion --------------------------------------------------------------------------------------------------------
def test_the_last_service_takes_all_with_it_but_logs_and_task_definitions() -> None:
    stage = gone(Stage().up())
    assert counts(stage) == {**dict.fromkeys(WHOLE, 0), "log groups": 1}
    assert stage.call("ListTaskDefinitions", familyPrefix="shop-web")["taskDefinitionArns"] != []
    assert stage.call("ListClusters")["clusterArns"] != []


def test_one_of_three_takes_its_own_alone_also_next_to_one_whose_name_begins_alike() -> None:
    stage = gone(Stage().up("web", "web-api", "api"))
    assert counts(stage) == {**{kind: 2 * number for kind, number in WHOLE.items()}, **SHARED, "log groups": 3}
    assert [stage.service(name).healthy for name in ("web-api", "api")] == [1, 1]
    listener = express_of(stage, "api").balancer.listener.arn
    shown = stage.call("DescribeListenerCertificates", "elbv2", ListenerArn=listener)["Certificates"]
    defaults = [one["CertificateArn"] for one in shown if one["IsDefault"]]
    assert defaults == [express_of(stage, "web-api").certificate.arn]  # web's was the default one


SHARED = {"balancers": 1, "groups": 3, "interfaces": 4, "certificates": 2}

OWN_LEFT: dict[Kind, dict[str, int]] = {
    "rule": {"rules": 1, "target groups": 2},
    "target_groups": {"target groups": 2},
    "alarm": {"alarms": 1},
    "scaling": {"targets": 1, "policies": 1, "alarms": 2},
    "security_group": {"groups": 1},
    "security_group_rules": {"groups": 1},
    "certificate": {"certificates": 1},
    "listener_certificate": {"certificates": 1},
}


@pytest.mark.parametrize("kind", list(OWN_LEFT))
def test_what_deletion_leaves_is_the_worlds_choice(kind: Kind) -> None:
    stage = gone(Stage(express=ExpressOptions(leaves=(kind,))).up("api", "web"))
    left = counts(stage)
    beside = {name: left[name] - number for name, number in WHOLE.items()}
    assert beside == {**dict.fromkeys(WHOLE, 0), "log groups": 1, **OWN_LEFT[kind]}
    assert stage.service().status == "INACTIVE"


@pytest.mark.parametrize("kind", ["load_balancer", "load_balancer_security_group"])
def test_what_is_shared_can_be_left_behind_too(kind: Kind) -> None:
    stage = gone(Stage(express=ExpressOptions(leaves=(kind,))).up())
    left = counts(stage)
    assert left["balancers"] == (kind == "load_balancer")
    assert left["groups"] == 1
    assert left["certificates"] == (kind == "load_balancer")  # it is the listener's default one
    assert left["interfaces"] == (2 if kind == "load_balancer" else 0)


@pytest.mark.parametrize("kind", ["log_group", "task_definitions", "cluster"])
def test_what_stays_by_most_reports_can_go_too(kind: Staying) -> None:
    stage = gone(Stage(express=ExpressOptions(also_deletes=(kind,))).up())
    assert counts(stage)["log groups"] == (kind != "log_group")
    assert bool(stage.call("ListTaskDefinitions")["taskDefinitionArns"]) is (kind != "task_definitions")
    assert bool(stage.call("ListClusters")["clusterArns"]) is (kind != "cluster")


def test_what_goes_late_goes_after_the_service_is_inactive() -> None:
    late = ExpressOptions(late=("target_groups", "security_group"), late_by=600.0)
    stage = Stage(express=late).up("web", "api")
    stage.delete()
    while stage.service().status != "INACTIVE":
        stage.run(30)
    assert counts(stage)["target groups"] == 4
    assert counts(stage)["groups"] == 3
    stage.run(LATER)
    assert (counts(stage)["target groups"], counts(stage)["groups"]) == (2, 2)


# --- trouble ---------------------------------------------------------------------------------------------------------
def test_a_resource_without_its_tag_is_ecss_no_more() -> None:
    stage = Stage().up("web", "api")
    express = express_of(stage)
    group = express.target_groups[0].arn
    stage.call("RemoveTags", "elbv2", caller=OPERATOR, ResourceArns=[group], TagKeys=["AmazonECSManaged"])
    gone(stage)
    assert stage.service().status == "INACTIVE"
    managed = express.target_groups[0]
    assert managed.status == "FAILED"
    assert f"elasticloadbalancing:DeleteTargetGroup on resource: {group}" in str(managed.reason)
    assert counts(stage)["target groups"] == 3


@pytest.mark.parametrize("action", ["ec2:DeleteSecurityGroup", "elasticloadbalancing:*", "acm:DeleteCertificate"])
def test_without_a_permission_of_its_role_the_service_stays_draining_until_it_has_it(action: str) -> None:
    stage = Stage(express=ExpressOptions(role_faults=(RoleFault(action, until=4 * 3600.0),))).up()
    stage.delete()
    stage.run(LATER)
    assert stage.service().status == "DRAINING"
    reasons = [str(one.reason) for one in express_of(stage).own if one.status == "FAILED"]
    assert any("ECSExpressGatewayService is not authorized to perform" in reason for reason in reasons)
    stage.run(4 * 3600)
    assert stage.service().status == "INACTIVE"
    assert counts(stage) == {**dict.fromkeys(WHOLE, 0), "log groups": 1}


def test_a_deletion_that_fails_for_a_while_is_tried_again_and_given_up_in_the_end() -> None:
    for times, left in ((3, 0), (None, 2)):
        stage = Stage().up()
        stage.gateway.api_faults.append(
            ApiFault("elbv2", "DeleteTargetGroup", "ServiceUnavailable", "later", "ecs", times)
        )
        gone(stage)
        assert (stage.service().status, counts(stage)["target groups"]) == ("INACTIVE", left)


def test_what_users_have_made_keeps_what_it_refers_to() -> None:
    stage = Stage().up("web", "api")
    mine = group_id(express_of(stage).security_group)
    other = stage.call("CreateSecurityGroup", "ec2", GroupName="own", Description="own", VpcId=VPC)["GroupId"]
    pair = [{"IpProtocol": "tcp", "FromPort": 5, "ToPort": 5, "UserIdGroupPairs": [{"GroupId": mine}]}]
    stage.call("AuthorizeSecurityGroupIngress", "ec2", caller=OPERATOR, GroupId=other, IpPermissions=pair)
    gone(stage)
    assert express_of(stage).security_group.status == "FAILED"
    assert "DependencyViolation" in str(express_of(stage).security_group.reason)
    assert stage.service().status == "INACTIVE"


def test_a_protected_load_balancer_stays_and_is_used_again() -> None:
    stage = Stage().up()
    balancer = express_of(stage).balancer
    protection = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    arn = balancer.load_balancer.arn
    stage.call("ModifyLoadBalancerAttributes", "elbv2", LoadBalancerArn=arn, Attributes=protection)
    gone(stage)
    assert balancer.load_balancer.status == "FAILED"
    assert "OperationNotPermitted" in str(balancer.load_balancer.reason)
    stage.create("api")
    stage.run(LATER)
    assert express_of(stage, "api").balancer is balancer
    assert stage.service("api").healthy == 1


def test_what_somebody_else_has_deleted_meanwhile_is_deleted() -> None:
    """As a sweep does that does not wait for ECS."""
    kinds: tuple[Kind, ...] = ("rule", "target_groups", "security_group_rules", "security_group", "alarm", "scaling")
    stage = Stage(express=ExpressOptions(late=kinds, late_by=1200.0)).up("web", "api")
    express = express_of(stage)
    stage.delete()
    while stage.service().status != "INACTIVE":
        stage.run(30)
    where = {"ServiceNamespace": "ecs", "ResourceId": "service/shop/web"}
    dimension = {"ScalableDimension": "ecs:service:DesiredCount"}
    stage.call("DeleteRule", "elbv2", RuleArn=express.rule.arn)
    for group in express.target_groups:
        stage.call("DeleteTargetGroup", "elbv2", TargetGroupArn=group.arn)
    stage.call("DeregisterScalableTarget", "application-autoscaling", **where, **dimension)
    stage.call("DeleteAlarms", "cloudwatch", AlarmNames=["shop/web/RollbackAlarm"])
    stage.run(LATER)
    assert [one.status for one in express.own if one is not express.log_group] == ["DELETED"] * 8
    assert stage.service("api").healthy == 1


def test_a_cluster_that_is_used_stays() -> None:
    stage = Stage(express=ExpressOptions(also_deletes=("cluster",))).up("web", "api")
    gone(stage)
    assert stage.service("api").healthy == 1
    refused = [entry.text for entry in stage.kernel.timeline if entry.kind == "express.refused"]
    assert ["ClusterContainsServicesException" in text for text in refused] == [True]


# --- left behind and used again --------------------------------------------------------------------------------------
@pytest.mark.parametrize("reuses", [True, False])
def test_whether_a_load_balancer_that_was_left_is_used_again_is_the_worlds_choice(reuses: bool) -> None:
    options = ExpressOptions(leaves=("load_balancer", "load_balancer_security_group"), reuses_balancers=reuses)
    stage = gone(Stage(express=options).up())
    stage.create("api")
    stage.run(LATER)
    assert counts(stage)["balancers"] == (1 if reuses else 2)
    assert stage.service("api").healthy == 1


def test_one_that_somebody_deleted_is_not_used_again() -> None:
    stage = gone(Stage(express=ExpressOptions(leaves=("load_balancer",))).up())
    [arn] = stage.elbv2.load_balancers
    stage.call("DeleteLoadBalancer", "elbv2", caller=OPERATOR, LoadBalancerArn=arn)
    stage.create("api")
    stage.run(LATER)
    assert stage.service("api").healthy == 1
    assert arn not in stage.elbv2.load_balancers


@pytest.mark.parametrize("existing", ["adopted", "refused"])
def test_a_service_created_again_meets_what_the_former_one_left_under_its_name(existing: Any) -> None:
    leaves: tuple[Kind, ...] = ("security_group", "alarm", "scaling")
    stage = gone(Stage(express=ExpressOptions(leaves=leaves, existing_group=existing)).up())
    former = express_of(stage)
    stage.create("web")
    stage.run(LATER)
    express = express_of(stage)
    assert express is not former
    if existing == "adopted":
        assert express.security_group.arn == former.security_group.arn
        assert express.alarm.arn == former.alarm.arn
        assert express.scalable_target.arn == former.scalable_target.arn
        assert stage.service().healthy == 1
    else:
        assert "InvalidGroup.Duplicate" in str(express.security_group.reason)


# --- creations that fail ---------------------------------------------------------------------------------------------
def test_a_failed_creation_is_deleted_but_for_what_the_world_leaves_of_it() -> None:
    options = ExpressOptions(failed_leaves=("security_group", "load_balancer_security_group", "certificate"))
    stage = Stage(express=options)
    stage.kernel.settled = True
    stage.gateway.api_faults.append(
        ApiFault("elbv2", "CreateLoadBalancer", "TooManyLoadBalancers", "no more", "ecs", None)
    )
    stage.create("web")
    stage.run(1800)
    assert express_of(stage).balancer.load_balancer.status == "FAILED"
    gone(stage)
    assert stage.service().status == "INACTIVE"
    assert counts(stage) == {**dict.fromkeys(WHOLE, 0), "groups": 2, "certificates": 1, "log groups": 1}


# --- updates ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("leaves", [True, False])
def test_groups_given_instead_of_ecss_own_leave_it_unused(leaves: bool) -> None:
    options = ExpressOptions(given_groups="instead", update_leaves=("security_group",) if leaves else ())
    stage = Stage(express=options).up()
    former = express_of(stage).security_group
    own = stage.call("CreateSecurityGroup", "ec2", GroupName="own", Description="own", VpcId=VPC)["GroupId"]
    old = stage.described()["activeConfigurations"][0]["serviceRevisionArn"]
    stage.release(networkConfiguration={"securityGroups": [own]})
    stage.run(300)
    assert stage.revision(old)["ecsManagedResources"]["serviceSecurityGroups"] != []
    assert stage.resources()["serviceSecurityGroups"] == []
    stage.run(LATER)
    assert stage.described()["activeConfigurations"][0]["networkConfiguration"]["securityGroups"] == [own]
    assert (group_id(former) in stage.ec2.security_groups.groups) is leaves
    stage.release("example.com/web:3", networkConfiguration={"securityGroups": []})
    stage.run(LATER)
    assert stage.service().healthy == 1
    assert stage.resources()["serviceSecurityGroups"][0]["status"] == "ACTIVE"


@pytest.mark.parametrize("leaves", [True, False])
def test_another_metric_has_another_policy(leaves: bool) -> None:
    stage = Stage(express=ExpressOptions(update_leaves=("scaling",) if leaves else ())).up()
    stage.release(scalingTarget={"autoScalingMetric": "AVERAGE_MEMORY", "maxTaskCount": 7})
    stage.run(LATER)
    [target] = stage.account.scaling.targets.values()
    names = ["webAverageCPU", "webAverageMemory"] if leaves else ["webAverageMemory"]
    assert (sorted(target.policies), target.maximum) == (names, 7)


@pytest.mark.parametrize("leaves", [True, False])
def test_a_service_that_moves_to_another_scheme_leaves_what_the_world_says(leaves: bool) -> None:
    kinds: tuple[Kind, ...] = ("rule", "target_groups", "security_group", "security_group_rules")
    stage = Stage(express=ExpressOptions(update_leaves=kinds if leaves else ())).up("web", "api")
    before = express_of(stage).ingress
    stage.release(networkConfiguration={"subnets": list(PRIVATE)})
    stage.run(300)
    assert len(stage.described()["activeConfigurations"]) == 2
    stage.run(LATER)
    after = express_of(stage).ingress
    assert after.balancer.scheme == "internal"
    assert stage.service().healthy == 1
    assert stage.weights() == [100, 0]
    rule = stage.elbv2.rules.get(str(before.rule.arn))
    assert (rule is not None) is leaves
    gone(stage)
    assert stage.service().status == "INACTIVE"
    assert (str(before.rule.arn) in stage.elbv2.rules) is leaves
    assert counts(stage)["balancers"] == 1
    assert stage.service("api").healthy == 1


def test_a_move_that_is_rolled_back_ends_where_it_began() -> None:
    stage = Stage().up("web", "api")
    before = express_of(stage).ingress
    stage.release(networkConfiguration={"subnets": list(PRIVATE)})
    while not stage.service().history[-1].native or stage.service().history[-1].ended:
        stage.run(60)
    stage.run(120)
    arn = stage.deployment()["serviceDeploymentArn"]
    stage.call("StopServiceDeployment", serviceDeploymentArn=arn, stopType="ROLLBACK")
    stage.run(LATER)
    assert express_of(stage).ingress is before
    assert counts(stage)["balancers"] == 1
    watched = str(stage.call("DescribeAlarms", "cloudwatch", AlarmNames=["shop/web/RollbackAlarm"])["MetricAlarms"])
    assert str(before.target_groups[0].arn).rpartition(":")[2] in watched
    assert stage.described()["activeConfigurations"][0]["networkConfiguration"]["subnets"] == list(PUBLIC)
    stage.release("example.com/web:3")
    stage.run(LATER)
    assert stage.service().healthy == 1


def test_a_service_whose_security_group_was_deleted_starts_no_task_any_more() -> None:
    """What a sweep that is wrong would do."""
    stage = Stage().up(scalingTarget={"minTaskCount": 2})
    group = group_id(express_of(stage).security_group)
    with pytest.raises(AwsError, match="has a dependent object"):
        stage.call("DeleteSecurityGroup", "ec2", caller=OPERATOR, GroupId=group)
    stage.ec2.security_groups.remove(stage.ec2.security_groups.groups[group])
    stage.call("StopTask", cluster="shop", task=next(iter(stage.service().tasks)))
    stage.run(600)
    assert stage.service().healthy == 1
    stopped = stage.call("ListTasks", cluster="shop", desiredStatus="STOPPED")["taskArns"]
    reasons = [one["stoppedReason"] for one in stage.call("DescribeTasks", cluster="shop", tasks=stopped)["tasks"]]
    assert any("InvalidGroup.NotFound" in reason for reason in reasons)
