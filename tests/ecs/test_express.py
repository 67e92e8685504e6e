"""Express Mode: what a service is made of, what it shares, how it goes; through boto3 where the API is the point."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import CLUSTER, OPERATOR
from express_stage import EXECUTION, INFRASTRUCTURE, PRIVATE, PUBLIC, Stage

from twin.ecs.express.options import ExpressOptions, Kind
from twin.errors import AwsError
from twin.kernel.gateway import ApiFault

LATER = 2 * 3600


def path_of(stage: Stage, name: str = "web") -> dict[str, Any]:
    path: dict[str, Any] = stage.resources(name)["ingressPaths"][0]
    return path


def statuses(stage: Stage, name: str = "web") -> set[str]:
    """Of every managed resource of a service, the shared ones too."""
    express = stage.service(name).express
    assert express is not None
    balancer = express.balancer
    shared = [balancer.load_balancer, balancer.listener, balancer.security_group]
    return {managed.status for managed in [*express.own, *shared]}


# --- creating --------------------------------------------------------------------------------------------------------
def test_an_image_and_two_roles_are_enough() -> None:
    stage = Stage()
    stage.kernel.settled = True
    seen: dict[str, Any] = {}
    with stage.boto3():

        def ask() -> None:
            ecs = stage.client()
            made = ecs.create_express_gateway_service(
                infrastructureRoleArn=INFRASTRUCTURE,
                executionRoleArn=EXECUTION,
                primaryContainer={"image": "example.com/shop/front:7"},
            )["service"]
            seen["made"] = made
            arn = made["activeConfigurations"][0]["serviceRevisionArn"]
            seen["early"] = ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"][0]

        stage.kernel.scheduler.spawn(ask, name="operator")
        stage.run()
        [service] = stage.ecs.store.services.values()
        shown = stage.client().describe_express_gateway_service(serviceArn=service.arn)["service"]
    made = seen["made"]
    assert service.name.startswith("front-")
    assert made["cluster"] == shown["cluster"] == "default"
    assert made["status"] == {"statusCode": "ACTIVE"}
    early = seen["early"]["ecsManagedResources"]
    assert early["ingressPaths"][0]["loadBalancer"]["status"] == "PROVISIONING"
    assert "arn" not in early["ingressPaths"][0]["loadBalancer"]
    [configuration] = shown["activeConfigurations"]
    assert configuration["serviceRevisionArn"] == made["activeConfigurations"][0]["serviceRevisionArn"]
    assert (configuration["cpu"], configuration["memory"], configuration["healthCheckPath"]) == ("1024", "2048", "/")
    assert configuration["networkConfiguration"]["subnets"] == list(PUBLIC)
    assert configuration["scalingTarget"] == {
        "minTaskCount": 1,
        "maxTaskCount": 20,
        "autoScalingMetric": "AVERAGE_CPU",
        "autoScalingTargetValue": 60,
    }
    assert configuration["primaryContainer"]["containerPort"] == 80
    endpoint = configuration["ingressPaths"][0]["endpoint"]
    assert endpoint.startswith("fr-")
    assert endpoint.endswith(".ecs.us-east-1.on.aws")
    assert (service.healthy, service.history[-1].deployment_status) == (1, "SUCCESSFUL")


def test_what_is_left_out_is_as_the_world_chooses_since_the_documents_disagree() -> None:
    found = Stage(express=ExpressOptions(defaults="api")).up().described()["activeConfigurations"][0]
    assert (found["cpu"], found["memory"], found["healthCheckPath"]) == ("256", "512", "/ping")


def test_the_resources_are_real_ones() -> None:
    stage = Stage().up()
    assert statuses(stage) == {"ACTIVE"}
    path = path_of(stage)
    balancer = stage.call("DescribeLoadBalancers", "elbv2", LoadBalancerArns=[path["loadBalancer"]["arn"]])
    assert balancer["LoadBalancers"][0]["LoadBalancerName"].startswith("ecs-express-gateway-alb-")
    [listener] = stage.call("DescribeListeners", "elbv2", ListenerArns=[path["listener"]["arn"]])["Listeners"]
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert listener["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"] == "404"
    assert listener["Certificates"][0]["CertificateArn"] == path["certificate"]["arn"]
    [rule] = stage.call("DescribeRules", "elbv2", RuleArns=[path["rule"]["arn"]])["Rules"]
    assert rule["Conditions"][0]["HostHeaderConfig"]["Values"] == [path["endpoint"]]
    assert stage.weights() == [100, 0]
    groups = [group["arn"] for group in path["targetGroups"]]
    described = stage.call("DescribeTargetGroups", "elbv2", TargetGroupArns=groups)["TargetGroups"]
    assert all(group["TargetType"] == "ip" and group["HealthCheckPath"] == "/" for group in described)
    assert all(group["LoadBalancerArns"] == [path["loadBalancer"]["arn"]] for group in described)
    arns = [path[kind]["arn"] for kind in ("loadBalancer", "listener", "rule")] + groups
    tags = stage.call("DescribeTags", "elbv2", ResourceArns=arns)["TagDescriptions"]
    assert all({"Key": "AmazonECSManaged", "Value": "true"} in each["Tags"] for each in tags)
    [alarm] = stage.call("DescribeAlarms", "cloudwatch", AlarmNames=["shop/web/RollbackAlarm"])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (1.0, 3, 2)
    assert alarm["AlarmArn"] == stage.resources()["metricAlarms"][0]["arn"]


def test_tasks_run_on_fargate_in_the_services_subnets() -> None:
    stage = Stage().up(scalingTarget={"minTaskCount": 2})
    arns = stage.call("ListTasks", cluster=CLUSTER, serviceName="web")["taskArns"]
    tasks = stage.call("DescribeTasks", cluster=CLUSTER, tasks=arns)["tasks"]
    assert {task["launchType"] for task in tasks} == {"FARGATE"}
    assert sorted(task["availabilityZone"] for task in tasks) == ["us-east-1a", "us-east-1b"]
    assert not any("containerInstanceArn" in task for task in tasks)
    details = [{item["name"]: item["value"] for item in task["attachments"][0]["details"]} for task in tasks]
    assert sorted(each["subnetId"] for each in details) == list(PUBLIC)
    groups = [group["arn"] for group in path_of(stage)["targetGroups"]]
    health = [stage.call("DescribeTargetHealth", "elbv2", TargetGroupArn=arn) for arn in groups]
    found = [[one["Target"]["Id"] for one in each["TargetHealthDescriptions"]] for each in health]
    assert sorted(found[0]) == sorted(each["privateIPv4Address"] for each in details)
    assert found[1] == []
    assert stage.call("ListContainerInstances", cluster=CLUSTER)["containerInstanceArns"] == []
    assert stage.call("ListTasks", cluster=CLUSTER, launchType="FARGATE")["taskArns"] == arns
    assert stage.call("ListTasks", cluster=CLUSTER, launchType="EC2")["taskArns"] == []


def test_a_new_load_balancer_takes_minutes_and_a_second_service_waits_for_it_only() -> None:
    stage = Stage()
    stage.kernel.settled = True
    stage.create("web")
    stage.run(60)
    stage.create("api")
    stage.run(300)
    assert [path_of(stage, name)["targetGroups"][0]["status"] for name in ("web", "api")] == ["PROVISIONING"] * 2
    assert stage.call("ListServiceDeployments", cluster=CLUSTER, service="web")["serviceDeployments"] == []
    stage.run(LATER)
    assert statuses(stage, "web") == statuses(stage, "api") == {"ACTIVE"}
    assert path_of(stage, "web")["loadBalancer"] == path_of(stage, "api")["loadBalancer"]
    assert [stage.service(name).healthy for name in ("web", "api")] == [1, 1]


def test_what_is_refused_shows_as_failed_and_is_tried_again() -> None:
    stage = Stage()
    stage.kernel.settled = True
    words = "The maximum number of load balancers has been reached"
    stage.gateway.api_faults.append(ApiFault("elbv2", "CreateLoadBalancer", "TooManyLoadBalancers", words, "ecs", 2))
    stage.create("web")
    stage.create("api")
    stage.run(700)
    stage.delete("api")  # which waits for the load balancer
    balancer = path_of(stage)["loadBalancer"]
    assert (balancer["status"], balancer["statusReason"]) == ("FAILED", f"TooManyLoadBalancers: {words}")
    assert stage.service().tasks == {}
    stage.run(LATER)
    assert stage.service("api").status == "INACTIVE"
    assert statuses(stage) == {"ACTIVE"}
    assert stage.service().healthy == 1


# --- placement -------------------------------------------------------------------------------------------------------
def test_twenty_five_services_share_a_load_balancer_by_scheme() -> None:
    stage = Stage().up(*(f"s{number:02d}" for number in range(26)))
    found = [path_of(stage, f"s{number:02d}")["loadBalancer"]["arn"] for number in range(26)]
    assert len(set(found[:25])) == 1
    assert found[25] != found[0]
    stage.create("inside", networkConfiguration={"subnets": list(PRIVATE)})
    stage.run()
    inside = path_of(stage, "inside")
    assert inside["accessType"] == "PRIVATE"
    assert inside["loadBalancer"]["scheme"] == "internal"
    assert inside["loadBalancer"]["arn"] not in found
    rules = stage.call("DescribeRules", "elbv2", ListenerArn=path_of(stage, "s00")["listener"]["arn"])["Rules"]
    assert len(rules) == 26


def test_one_zone_is_not_enough() -> None:
    stage = Stage()
    with pytest.raises(AwsError, match="At least two subnets"):
        stage.create("web", networkConfiguration={"subnets": [PUBLIC[0]]})
    with pytest.raises(AwsError, match="No default VPC"):
        Stage(default=False).create("web")
    assert not stage.ecs.store.services


def test_later_services_must_be_in_the_zones_of_the_load_balancer_that_they_share() -> None:
    stage = Stage().up()
    stage.ec2.add_subnet("subnet-pc", "us-east-1c", public=True)
    with pytest.raises(AwsError, match="us-east-1c is not one of the load balancer that the service shares"):
        stage.create("api", networkConfiguration={"subnets": [PUBLIC[0], "subnet-pc"]})


# --- how other operations see it -------------------------------------------------------------------------------------
def test_the_service_is_ecs_managed() -> None:
    stage = Stage().up()
    with stage.boto3():
        ecs = stage.client()
        assert ecs.list_services(cluster=CLUSTER, resourceManagementType="CUSTOMER")["serviceArns"] == []
        [arn] = ecs.list_services(cluster=CLUSTER, resourceManagementType="ECS")["serviceArns"]
        [shown] = ecs.describe_services(cluster=CLUSTER, services=[arn])["services"]
        assert shown["resourceManagementType"] == "ECS"
        assert "taskDefinition" not in shown
        assert shown["loadBalancers"] == []
        assert shown["deploymentConfiguration"]["strategy"] == "CANARY"
        assert shown["deployments"][0]["taskDefinition"].endswith(":task-definition/shop-web:1")
        with pytest.raises(ClientError, match="use DeleteExpressGatewayService") as refused:
            ecs.delete_service(cluster=CLUSTER, service=arn, force=True)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
        with pytest.raises(ClientError, match="deploymentConfiguration cannot be updated"):
            ecs.update_service(cluster=CLUSTER, service=arn, deploymentConfiguration={"strategy": "ROLLING"})


@pytest.mark.parametrize("shows", [True, False])
def test_whether_load_balancers_are_shown_is_the_worlds_choice(shows: bool) -> None:
    stage = Stage(express=ExpressOptions(shows_load_balancers=shows)).up()
    revision = stage.revision(stage.described()["activeConfigurations"][0]["serviceRevisionArn"])
    [service] = stage.call("DescribeServices", cluster=CLUSTER, services=["web"])["services"]
    assert bool(revision["loadBalancers"]) is bool(service["loadBalancers"]) is shows
    assert ("resolvedConfiguration" in revision) is shows
    assert revision["launchType"] == "FARGATE"
    assert revision["ecsManagedResources"]["ingressPaths"][0]["rule"]["status"] == "ACTIVE"


def test_other_services_are_the_customers() -> None:
    stage = Stage()
    stage.call("RegisterTaskDefinition", family="old", containerDefinitions=[{"name": "a", "image": "a", "memory": 64}])
    stage.call("CreateService", cluster=CLUSTER, serviceName="old", taskDefinition="old", desiredCount=0)
    [shown] = stage.call("DescribeServices", cluster=CLUSTER, services=["old"])["services"]
    assert shown["resourceManagementType"] == "CUSTOMER"
    with pytest.raises(AwsError, match="not an Express service"):
        stage.call("DeleteExpressGatewayService", serviceArn=shown["serviceArn"])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"scalingTarget": {"minTaskCount": 5, "maxTaskCount": 2}}, "minTaskCount"),
        ({"cpu": "256", "memory": "8192"}, "No Fargate configuration"),
        ({"taskDefinitionArn": "shop-web:1", "cpu": "256"}, "together with"),
        ({"primaryContainer": None}, "primaryContainer must be specified"),
        ({"cluster": "nowhere"}, "Cluster not found"),
        ({"networkConfiguration": {"subnets": ["subnet-none", PUBLIC[0]]}}, "does not exist"),
    ],
)
def test_wrong_requests_are_refused_and_leave_nothing(params: dict[str, Any], words: str) -> None:
    stage = Stage()
    given: dict[str, Any] = {"infrastructureRoleArn": INFRASTRUCTURE, "cluster": CLUSTER, "serviceName": "web"}
    if "taskDefinitionArn" not in params:
        given |= {"executionRoleArn": EXECUTION, "primaryContainer": {"image": "example.com/web:1"}}
    with pytest.raises(AwsError, match=words):
        stage.call("CreateExpressGatewayService", **{k: v for k, v in (given | params).items() if v is not None})
    assert not stage.ecs.store.services
    assert not stage.ecs.engine.express.balancers.shared


def test_a_name_is_used_once() -> None:
    stage = Stage().up()
    with pytest.raises(AwsError, match="not idempotent"):
        stage.create("web")


# --- deleting --------------------------------------------------------------------------------------------------------
def test_deletion_drains_first_and_deletes_then() -> None:
    stage = Stage().up("web", "api")
    balancer = path_of(stage)["loadBalancer"]["arn"]
    arn = stage.described()["activeConfigurations"][0]["serviceRevisionArn"]
    assert stage.delete()["status"] == {"statusCode": "DRAINING"}
    stage.run(120)
    with stage.boto3():
        assert stage.client().describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"]
    assert stage.service().status == "DRAINING"
    stage.run(900)
    assert stage.service().status == "INACTIVE"
    with pytest.raises(AwsError, match="Cannot call DescribeServiceRevisions for a service that is INACTIVE"):
        stage.revision(arn)
    assert stage.described()["status"]["statusCode"] == "INACTIVE"
    stage.call("DescribeLoadBalancers", "elbv2", LoadBalancerArns=[balancer])  # `api` still is on it
    assert [name for name in stage.alarms.alarms if "web" in name] == []
    assert len(stage.elbv2.target_groups) == 2
    stage.delete("api")
    stage.run(LATER)
    assert not stage.elbv2.load_balancers
    assert not stage.elbv2.target_groups
    with pytest.raises(AwsError, match="Service not found"):
        stage.described("web")
    stage.create("web")
    stage.run(LATER)
    assert stage.service().healthy == 1


@pytest.mark.parametrize("kind", ["rule", "target_groups", "alarm", "load_balancer"])
def test_what_stays_behind_is_the_worlds_choice(kind: Kind) -> None:
    stage = Stage(express=ExpressOptions(leaves=(kind, "rule") if kind == "target_groups" else (kind,))).up()
    stage.delete()
    stage.run(LATER)
    assert stage.service().status == "INACTIVE"
    assert bool(stage.elbv2.load_balancers) is (kind == "load_balancer")
    assert bool(stage.elbv2.target_groups) is (kind in ("rule", "target_groups"))  # a rule keeps its groups in use
    assert bool(stage.alarms.alarms) is (kind == "alarm")
    express = stage.service().express
    assert express is not None
    assert express.rule.status == ("ACTIVE" if kind in ("rule", "target_groups") else "DELETED")


def test_what_others_use_is_not_deleted() -> None:
    stage = Stage().up()
    path = path_of(stage)
    group, listener = path["targetGroups"][0]["arn"], path["listener"]["arn"]
    host = {"Field": "host-header", "HostHeaderConfig": {"Values": ["shop.example.com"]}}
    forward = {"Type": "forward", "TargetGroupArn": group}
    stage.call("CreateRule", "elbv2", ListenerArn=listener, Priority=7, Conditions=[host], Actions=[forward])
    stage.delete()
    stage.run(LATER)
    express = stage.service().express
    assert express is not None
    assert [managed.status for managed in express.target_groups] == ["FAILED", "DELETED"]
    assert "ResourceInUse" in str(express.target_groups[0].reason)


def test_deletion_in_the_middle_of_creation() -> None:
    stage = Stage()
    stage.kernel.settled = True
    stage.create("web")
    stage.create("api")
    stage.run(300)
    stage.delete("web")
    stage.run(LATER)
    assert stage.service("web").status == "INACTIVE"
    assert (stage.service("api").healthy, statuses(stage, "api")) == (1, {"ACTIVE"})
    assert len(stage.elbv2.load_balancers) == 1


# --- CloudTrail ------------------------------------------------------------------------------------------------------
def test_cloudtrail_tells_of_what_changes() -> None:
    stage = Stage().up()
    arn = stage.service().arn
    stage.release()
    stage.described()
    with pytest.raises(AwsError):
        stage.call("DeleteExpressGatewayService", caller=OPERATOR, serviceArn=f"{arn}x")
    stage.run(30)
    updated, refused = stage.trail()
    assert updated["eventName"] == "UpdateExpressGatewayService"
    assert updated["requestParameters"]["serviceArn"] == arn
    assert updated["responseElements"]["service"]["targetConfiguration"]["taskDefinitionArn"].endswith("shop-web:2")
    assert updated["userIdentity"]["userName"] == OPERATOR.name
    assert "errorCode" not in updated
    assert (refused["errorCode"], refused["responseElements"]) == ("ServiceNotFoundException", None)
    assert updated["eventID"] != refused["eventID"]


def test_without_a_trail_nothing_is_told() -> None:
    stage = Stage(express=ExpressOptions(trail=False)).up()
    stage.release()
    stage.run(60)
    assert stage.trail() == []
