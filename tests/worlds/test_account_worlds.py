"""What worlds have around their fleets: VPCs, stacks, gateways, and what people made themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twin.ecs.express.model import group_id
from twin.errors import WorldError
from twin.kernel.api import WORLD
from twin.rehearsal.actors import Actors
from twin.rehearsal.loading import world_of
from twin.world import World

SERVICES = [{"name": "web", "express": {}}, {"name": "api", "express": {}}]


@contextmanager
def built(services: list[dict[str, Any]] | None = None, **fields: Any) -> Iterator[World]:
    data = {"cluster": "shop", "groups": [], "services": services or SERVICES, **fields}
    loaded = world_of(data, "w.yaml", Path())
    with World(loaded.spec, start=datetime(2026, 10, 5, 10, tzinfo=UTC), seed=1) as world:
        yield world


def call(world: World, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
    return world.gateway.call(service, operation, params, WORLD)


def test_people_have_made_things_of_their_own_before_the_start() -> None:
    host = {"Field": "host-header", "HostHeaderConfig": {"Values": ["shop.example.com"]}}
    forward = {"Type": "forward", "TargetGroupArn": "{alternate_target_group:web}"}
    rule = {"ListenerArn": "{listener:web}", "Priority": 900, "Conditions": [host], "Actions": [forward]}
    permission = {"IpProtocol": "tcp", "FromPort": 9, "ToPort": 9}
    pair = {"UserIdGroupPairs": [{"GroupId": "{security_group:api}"}]}
    own = [
        {"as": "ann", "call": "elbv2.CreateRule", "params": rule, "name": "mine", "result": "Rules.0.RuleArn"},
        {
            "call": "elbv2.AddTags",
            "params": {"ResourceArns": ["{own:mine}"], "Tags": [{"Key": "team", "Value": "shop"}]},
        },
        {
            "call": "ec2.AuthorizeSecurityGroupIngress",
            "params": {"GroupId": "{security_group:web}", "IpPermissions": [permission | pair]},
        },
        {
            "call": "ec2.CreateNetworkInterface",
            "params": {"SubnetId": "{subnet:us-east-1a}", "Groups": ["{security_group:web}"]},
        },
    ]
    with built(own=own) as world:
        web = next(one for one in world.ecs.store.services.values() if one.name == "web")
        assert web.express is not None
        rules = call(world, "elbv2", "DescribeRules", ListenerArn=web.express.balancer.listener.arn)["Rules"]
        mine = next(one for one in rules if one["Priority"] == "900")
        assert mine["Actions"][0]["TargetGroupArn"] == web.express.target_groups[1].arn
        assert world.elbv2.tags_of(mine["RuleArn"]) == {"team": "shop"}
        made = next(one for one in world.kernel.calls if one.operation == "CreateRule" and one.caller.name == "ann")
        assert made.at == world.kernel.clock.start
        filters = [{"Name": "group-id", "Values": [group_id(web.express.security_group)]}]
        found = call(world, "ec2", "DescribeNetworkInterfaces", Filters=filters)["NetworkInterfaces"]
        assert sorted(one["RequesterManaged"] for one in found) == [False, True]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"call": "elbv2.DeleteRule", "params": {"RuleArn": "{rule:nobody}"}}, r"own\[0\].params.RuleArn: .* nothing"),
        ({"call": "elbv2.DeleteRule", "params": {"RuleArn": "arn:x"}}, r"own\[0\]: AWS refuses it: RuleNotFound"),
        (
            {"call": "ecs.CreateCluster", "params": {"clusterName": "x"}, "name": "it", "result": "cluster.0"},
            r"own\[0\].result: cluster.0 is not in the answer: there is no 0",
        ),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(own: dict[str, Any], words: str) -> None:
    with pytest.raises(WorldError, match=words), built(own=[own]):
        pass


def test_a_stack_makes_a_service_and_owns_another_thing() -> None:
    resources = [{"logical_id": "Logs", "type": "AWS::Logs::LogGroup", "id": "{log_group:api}"}]
    with built(stacks=[{"name": "front", "services": ["web"], "resources": resources}]) as world:
        arn = world.kernel.arn("ecs", "service/shop/web")
        assert world.ecs.healthy_count(arn) == 1
        assert world.fleet.balanced["shop/web"].rule
        owned = call(world, "cloudformation", "DescribeStackResources", PhysicalResourceId=arn)["StackResources"]
        assert [one["LogicalResourceId"] for one in owned] == ["Service1", "Logs"]
        api = world.ecs.store.services[world.kernel.arn("ecs", "service/shop/api")]
        assert api.express is not None
        name = api.express.log_group.facts["logGroupName"]
        again = call(world, "cloudformation", "DescribeStackResources", PhysicalResourceId=name)["StackResources"]
        assert again == owned


def test_a_gateway_has_a_load_balancer_that_only_its_own_api_tells_from_express_modes() -> None:
    groups = [{"name": "hosts", "cluster": "shop"}]
    services = [*SERVICES, {"name": "old"}, {"name": "older"}]
    with built(services, groups=groups, gateways=[{"name": "edge", "services": ["old", "older"]}]) as world:
        [gateway] = call(world, "ecs", "ListGateways")["gateways"]
        arn = gateway["gatewayArn"]
        shown = call(world, "ecs", "DescribeGateway", gateway="edge")["gateway"]
        assert (shown["deletionProtection"], shown["accessType"]) == (True, "PUBLIC")
        [found] = call(world, "ecs", "DescribeGatewayResources", gateway=arn)["gatewayResources"]["resources"][
            "hostSharedAlb"
        ]
        [balancer] = call(world, "elbv2", "DescribeLoadBalancers", LoadBalancerArns=[found["loadBalancerArn"]])[
            "LoadBalancers"
        ]
        assert balancer["LoadBalancerName"].startswith("ecs-express-gateway-alb-")
        assert world.elbv2.tags_of(balancer["LoadBalancerArn"]) == {"AmazonECSManaged": "true"}
        attributes = call(
            world, "elbv2", "DescribeLoadBalancerAttributes", LoadBalancerArn=balancer["LoadBalancerArn"]
        )["Attributes"]
        assert {"Key": "deletion_protection.enabled", "Value": "true"} in attributes
        routes = call(world, "ecs", "ListGatewayRoutes", service="older")["gatewayRoutes"]
        assert [route["serviceArn"].rpartition("/")[2] for route in routes] == ["older"]
        assert len(found["gatewayRouteArns"]) == 2
        route = call(world, "ecs", "DescribeGatewayRoute", gatewayRouteArn=routes[0]["gatewayRouteArn"])["gatewayRoute"]
        [resources] = route["resources"]["hostSharedAlb"]
        assert resources["loadBalancerArn"] == balancer["LoadBalancerArn"]
        certificates = call(world, "elbv2", "DescribeListenerCertificates", ListenerArn=found["listenerArn"])
        assert resources["acmCertificateArn"] in [one["CertificateArn"] for one in certificates["Certificates"]]


def test_services_in_another_vpc_have_a_load_balancer_there_and_can_be_moved() -> None:
    services = [*SERVICES, {"name": "far", "express": {"vpc": "second"}}]
    move = {
        "serviceArn": "{service:web}",
        "networkConfiguration": {"subnets": ["{subnet:second:us-east-1a}", "{subnet:second:us-east-1b}"]},
    }
    actors = [{"at": "+1m", "call": "ecs.UpdateExpressGatewayService", "params": move}]
    with built(services, vpcs=["second"], actors=actors) as world:
        found = {one.name: one.express for one in world.ecs.store.services.values()}
        far, web = found["far"], found["web"]
        assert far is not None
        assert web is not None
        assert far.balancer.vpc_id == world.fleet.vpcs["second"] != web.balancer.vpc_id
        assert len(world.elbv2.load_balancers) == 2
        Actors(world)
        world.run(3600)
        assert web.balancer is far.balancer
        assert world.ecs.healthy_count(world.kernel.arn("ecs", "service/shop/web")) == 1


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "role_lacks", "action": "elasticloadbalancing:DeleteRule"}, "DRAINING", "AccessDenied"),
    (
        {"kind": "api_error", "aws": "ecs", "service": "elbv2", "operation": "DeleteRule", "times": None},
        "INACTIVE",
        "ThrottlingException",
    ),
]


@pytest.mark.parametrize(("fault", "status", "reason"), FAULTS)
def test_what_goes_wrong_when_ecs_itself_deletes(fault: dict[str, Any], status: str, reason: str) -> None:
    delete = {"call": "ecs.DeleteExpressGatewayService", "params": {"serviceArn": "{service:web}"}}
    with built(faults=[fault], actors=[{"at": "+1m", **delete}]) as world:
        Actors(world)
        world.run(7200)
        web = next(one for one in world.ecs.store.services.values() if one.name == "web")
        assert web.express is not None
        assert (web.status, web.express.rule.status) == (status, "FAILED")
        assert reason in str(web.express.rule.reason)


def test_hundreds_of_services_are_one_entry() -> None:
    with built([{"name": "web", "count": 60, "express": {}}]) as world:
        assert len(world.elbv2.load_balancers) == 3
        assert {one.healthy for one in world.ecs.store.services.values()} == {1}
        assert not world.kernel.clock.elapsed
