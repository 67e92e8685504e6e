"""ECS gateways: their API, and the load balancers that they keep."""

from __future__ import annotations

import pytest
from express_stage import INFRASTRUCTURE, PRIVATE, Stage

from twin.ecs.gateways.model import Gateway
from twin.errors import AwsError, Unmodelled

SHARED = {"hostSharedAlb": {}}


def gateway(stage: Stage, name: str = "edge", **params: object) -> Gateway:
    given = {"name": name, "infrastructureRoleArn": INFRASTRUCTURE, "configuration": SHARED, **params}
    arn = stage.call("CreateGateway", **given)["gatewayArn"]
    return stage.ecs.engine.gateways.gateways[arn]


def routed(services: int = 1, **params: object) -> tuple[Stage, Gateway]:
    """A gateway that so many ordinary services are reached through."""
    stage = Stage()
    container = {"name": "a", "image": "a", "memory": 64}
    stage.call("RegisterTaskDefinition", family="old", containerDefinitions=[container])
    made = gateway(stage, **params)
    for number in range(services):
        stage.call("CreateService", cluster="shop", serviceName=f"old-{number}", taskDefinition="old", desiredCount=0)
        stage.ecs.engine.gateways.route(made, stage.service(f"old-{number}"))
    stage.kernel.settled = True
    return stage, made


def test_it_makes_nothing_before_its_first_route() -> None:
    stage = Stage()
    made = gateway(stage)
    assert not stage.elbv2.load_balancers
    shown = stage.call("DescribeGateway", gateway="edge")["gateway"]
    assert (shown["status"], shown["deletionProtection"], shown["propagateTags"]) == ("ACTIVE", True, "GATEWAY")
    assert shown["configuration"]["hostSharedAlb"]["currentAlbCount"] == 0
    assert stage.call("DescribeGatewayResources", gateway=made.arn)["gatewayResources"]["resources"] == {
        "hostSharedAlb": []
    }


def test_its_balancer_is_protected_and_its_routes_say_what_they_have() -> None:
    stage, made = routed(3)
    [balancer] = made.balancers
    with pytest.raises(AwsError, match="deletion protection"):
        stage.call("DeleteLoadBalancer", "elbv2", LoadBalancerArn=balancer.arn)
    [found] = stage.call("DescribeGatewayResources", gateway="edge")["gatewayResources"]["resources"]["hostSharedAlb"]
    assert found["securityGroup"] == balancer.group
    assert found["gatewayRouteArns"] == [route.arn for route in made.routes]
    for route in made.routes:
        shown = stage.call("DescribeGatewayRoute", gatewayRouteArn=route.arn)["gatewayRoute"]
        [resources] = shown["resources"]["hostSharedAlb"]
        [rule] = stage.call("DescribeRules", "elbv2", RuleArns=[resources["listenerRuleArn"]])["Rules"]
        [host] = rule["Conditions"][0]["HostHeaderConfig"]["Values"]
        assert shown["serviceUrl"] == f"https://{host}"
        certificate = stage.call("DescribeCertificate", "acm", CertificateArn=resources["acmCertificateArn"])
        assert certificate["Certificate"]["InUseBy"] == [balancer.arn]


def test_lists_come_page_by_page_and_by_what_is_asked_for() -> None:
    stage, made = routed(3)
    gateway(stage, "other")
    assert [one["name"] for one in stage.call("ListGateways")["gateways"]] == ["edge", "other"]
    assert [one["name"] for one in stage.call("ListGateways", names=["other"])["gateways"]] == ["other"]
    assert stage.call("ListGateways", status=["UPDATE_FAILED"])["gateways"] == []
    page = stage.call("ListGatewayRoutes", gateway="edge", maxResults=2)
    rest = stage.call("ListGatewayRoutes", gateway="edge", maxResults=2, nextToken=page["nextToken"])
    arns = [one["gatewayRouteArn"] for one in page["gatewayRoutes"] + rest["gatewayRoutes"]]
    assert arns == [route.arn for route in made.routes]
    assert len(stage.call("ListGatewayRoutes", service="old-1")["gatewayRoutes"]) == 1
    assert stage.call("ListGatewayRoutes", gateway="other")["gatewayRoutes"] == []
    assert stage.call("ListGatewayRoutes", cluster="elsewhere")["gatewayRoutes"] == []


def test_it_is_deleted_without_protection_and_routes_only() -> None:
    stage, _ = routed(deletionProtection=False)
    with pytest.raises(AwsError, match="associated"):
        stage.call("DeleteGateway", gateway="edge")
    gateway(stage, "safe")
    with pytest.raises(AwsError, match="deletion protection"):
        stage.call("DeleteGateway", gateway="safe")
    gateway(stage, "free", deletionProtection=False)
    assert stage.call("DeleteGateway", gateway="free")["status"] == "DELETED"
    with pytest.raises(AwsError) as missing:
        stage.call("DescribeGateway", gateway="free")
    assert missing.value.code == "GatewayNotFoundException"


def test_an_internal_one_is_in_the_subnets_that_it_is_given() -> None:
    network = {"scheme": "internal", "networkConfiguration": {"subnets": list(PRIVATE)}}
    stage, made = routed(configuration={"hostSharedAlb": network})
    assert stage.call("DescribeGateway", gateway="edge")["gateway"]["accessType"] == "PRIVATE"
    [balancer] = stage.call("DescribeLoadBalancers", "elbv2", LoadBalancerArns=[made.balancers[0].arn])["LoadBalancers"]
    assert (balancer["Scheme"], [zone["SubnetId"] for zone in balancer["AvailabilityZones"]]) == (
        "internal",
        list(PRIVATE),
    )


def test_wrong_requests() -> None:
    stage = Stage()
    gateway(stage)
    with pytest.raises(AwsError, match="already exists"):
        gateway(stage)
    with pytest.raises(Unmodelled, match="maxAlbCount"):
        gateway(stage, "big", configuration={"hostSharedAlb": {"maxAlbCount": 3}})
    with pytest.raises(AwsError, match="between 1 and 20"):
        stage.call("DescribeGatewayResources", gateway="edge", maxResults=21)
    with pytest.raises(AwsError, match="route was not found"):
        stage.call("DescribeGatewayRoute", gatewayRouteArn="arn:aws:ecs:us-east-1:123456789012:gateway-route/x")
