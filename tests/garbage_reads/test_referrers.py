"""Every kind of referrer shows in an observation, with words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from caretaker.garbage.model import Kind, Observation, Reference
from reads_stage import CLUSTER, LEAVING, OPERATOR, PRIVATE, PUBLIC, ROLE, Stage, into, staged

Find = Callable[[Observation], list[Reference]]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """`web` and `web-api` live; everything is read as of a service that may be dead."""
    with pytest.MonkeyPatch.context() as patch:
        stage = Stage(LEAVING)
        with staged(patch, stage):
            route(stage)
            stage.up("web", "web-api")
            stage.record("web", "web-api")
            stage.notes["web"] = parts(stage, "web")
            stage.notes["web-api"] = parts(stage, "web-api")
            stage.delete("web")
            stage.run(4_000)
            stage.record("web")
            yield stage


def route(stage: Stage) -> None:
    """An ordinary service behind a gateway."""
    container = {"name": "Main", "image": "plain:1", "memory": 128, "portMappings": [{"containerPort": 80}]}
    stage.call("ecs", "RegisterTaskDefinition", family="plain", networkMode="awsvpc", containerDefinitions=[container])
    network = {"awsvpcConfiguration": {"subnets": list(PRIVATE)}}
    stage.call(
        "ecs",
        "CreateService",
        cluster=CLUSTER,
        serviceName="routed",
        taskDefinition="plain",
        desiredCount=0,
        networkConfiguration=network,
    )
    made = stage.call(
        "ecs",
        "CreateGateway",
        name="front",
        infrastructureRoleArn=f"{ROLE}/infrastructure",
        configuration={
            "hostSharedAlb": {"scheme": "internet-facing", "networkConfiguration": {"subnets": list(PUBLIC)}}
        },
    )["gatewayArn"]
    engine = stage.ecs.engine
    engine.gateways.route(engine.gateways.gateways[made], engine.store.services[stage.arn("routed")])


def parts(stage: Stage, name: str) -> dict[str, str]:
    """ARNs of a service's resources, by what they are."""
    managed = stage.managed(name)
    (path,) = managed["ingressPaths"]
    shown = stage.call("ecs", "DescribeExpressGatewayService", serviceArn=stage.arn(name))["service"]
    scaling = managed["autoScaling"]
    return {
        "balancer": path["loadBalancer"]["arn"],
        "listener": path["listener"]["arn"],
        "balancer_group": path["loadBalancerSecurityGroups"][0]["arn"],
        "certificate": path["certificate"]["arn"],
        "rule": path["rule"]["arn"],
        "first": path["targetGroups"][0]["arn"],
        "second": path["targetGroups"][1]["arn"],
        "target": scaling["scalableTarget"]["arn"],
        "policy": scaling["applicationAutoScalingPolicies"][0]["arn"],
        "alarm": managed["metricAlarms"][0]["arn"],
        "group": managed["serviceSecurityGroups"][0]["arn"],
        "logs": managed["logGroups"][0]["arn"],
        "definition": shown["activeConfigurations"][0]["taskDefinitionArn"],
    }


def id_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def words(found: list[Reference], kind: Kind) -> list[str]:
    return sorted(each.how for each in found if each.source_kind is kind)


# --- users' own things on what a dead service has left ---------------------------------------------------------------


def test_rules_of_users_and_weight_0(stage: Stage) -> None:
    web = stage.notes["web"]
    made = stage.call(
        "elbv2",
        "CreateRule",
        OPERATOR,
        ListenerArn=web["listener"],
        Priority=77,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/old"]}}],
        Actions=[
            {
                "Type": "forward",
                "ForwardConfig": {
                    "TargetGroups": [
                        {"TargetGroupArn": stage.notes["web-api"]["first"], "Weight": 1},
                        {"TargetGroupArn": web["second"], "Weight": 0},
                    ]
                },
            }
        ],
    )["Rules"][0]["RuleArn"]
    seen = stage.observe()
    (found,) = [each for each in into(seen, web["second"]) if each.source == made]
    assert (found.source_kind, found.via, found.how) == (Kind.RULE, "forward", "rule 77 forwards to it with weight 0")
    facts = seen.resources[made].facts
    assert (facts["listener"], facts["priority"], facts["default"]) == (web["listener"], "77", "false")


def test_default_actions_of_listeners(stage: Stage) -> None:
    web = stage.notes["web"]
    made = stage.call(
        "elbv2",
        "CreateListener",
        OPERATOR,
        LoadBalancerArn=web["balancer"],
        Protocol="HTTP",
        Port=8080,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": web["first"]}],
    )["Listeners"][0]["ListenerArn"]
    seen = stage.observe()
    (found,) = [each for each in into(seen, web["first"]) if each.source == made]
    assert (found.source_kind, found.via) == (Kind.LISTENER, "forward")
    assert found.how.startswith("its default action forwards to it")
    assert seen.resources[made].facts["load_balancer"] == web["balancer"]


def test_certificates_of_listeners(stage: Stage) -> None:
    seen = stage.observe()
    by_via = {
        each.via: each
        for name in ("web", "web-api")
        for each in into(seen, stage.notes[name]["certificate"])
        if each.source_kind is Kind.LISTENER
    }
    assert sorted(by_via) == ["default", "listed"]
    in_use = [each for each in into(seen, stage.notes["web"]["certificate"]) if each.source_kind is Kind.LOAD_BALANCER]
    assert [each.source for each in in_use] == [stage.notes["web"]["balancer"]]


def test_targets_that_are_registered(stage: Stage) -> None:
    group = stage.notes["web"]["first"]
    target = {"Id": "10.0.9.9", "Port": 80}
    stage.call("elbv2", "RegisterTargets", OPERATOR, TargetGroupArn=group, Targets=[target])
    (found,) = [each for each in into(stage.observe(), group) if each.source == "10.0.9.9:80"]
    assert "is registered with it as a target" in found.how
    stage.call("elbv2", "DeregisterTargets", OPERATOR, TargetGroupArn=group, Targets=[target])
    stage.run(600)


def test_security_group_rules_in_both_directions(stage: Stage) -> None:
    web = stage.notes["web"]
    own = stage.call("ec2", "CreateSecurityGroup", OPERATOR, GroupName="own", Description="own", VpcId=stage.vpc)
    permissions = [
        {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5433, "UserIdGroupPairs": [{"GroupId": id_of(web["group"])}]}
    ]
    for operation in ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"):
        stage.call("ec2", operation, OPERATOR, GroupId=own["GroupId"], IpPermissions=permissions)
    seen = stage.observe()
    found = [each for each in into(seen, web["group"]) if each.part_of == own["SecurityGroupArn"]]
    assert sorted(each.via for each in found) == ["egress", "ingress"]
    assert {each.source_kind for each in found} == {Kind.SECURITY_GROUP_RULE}
    assert sorted(each.how for each in found) == [
        f"{way} rule of {own['GroupId']} names it (tcp 5432-5433)" for way in ("egress", "ingress")
    ]
    (ecs,) = [e for e in into(seen, web["group"]) if e.part_of == web["balancer_group"]]
    assert ecs.via == "egress"
    # A rule by which a group names itself holds nothing.
    assert not [each for each in into(seen, web["balancer_group"]) if each.part_of == web["balancer_group"]]


def test_network_interfaces(stage: Stage) -> None:
    web, api = stage.notes["web"], stage.notes["web-api"]
    made = stage.call(
        "ec2",
        "CreateNetworkInterface",
        OPERATOR,
        SubnetId=PRIVATE[0],
        Groups=[id_of(web["group"])],
        Description="a user's own",
    )["NetworkInterface"]["NetworkInterfaceId"]
    seen = stage.observe()
    assert [
        (each.source, each.how) for each in into(seen, web["group"]) if each.source_kind is Kind.NETWORK_INTERFACE
    ] == [(made, "is in it: a user's own, available")]
    of_task = [each for each in into(seen, api["group"]) if each.source_kind is Kind.NETWORK_INTERFACE]
    assert [each.owner for each in of_task] == [stage.arn("web-api")]
    of_elb = [each for each in into(seen, api["balancer_group"]) if each.source_kind is Kind.NETWORK_INTERFACE]
    assert {each.part_of for each in of_elb} == {api["balancer"]}
    assert len(of_elb) == 2


def test_ordinary_services(stage: Stage) -> None:
    web = stage.notes["web"]
    stage.call(
        "ecs",
        "CreateService",
        OPERATOR,
        cluster=CLUSTER,
        serviceName="plain",
        taskDefinition="plain",
        desiredCount=1,
        networkConfiguration={
            "awsvpcConfiguration": {"subnets": list(PRIVATE), "securityGroups": [id_of(web["group"])]}
        },
        deploymentConfiguration={
            "strategy": "BLUE_GREEN",
            "bakeTimeInMinutes": 1,
            "alarms": {"alarmNames": ["shop/web/RollbackAlarm"], "enable": True, "rollback": False},
        },
        loadBalancers=[
            {
                "targetGroupArn": web["first"],
                "containerName": "Main",
                "containerPort": 80,
                "advancedConfiguration": {
                    "alternateTargetGroupArn": web["second"],
                    "productionListenerRule": web["rule"],
                    "roleArn": f"{ROLE}/infrastructure",
                },
            }
        ],
    )
    stage.run(300)
    seen = stage.observe()
    plain = stage.arn("plain")
    by_target = {each.target: each for each in seen.references if each.source == plain}
    assert set(by_target) >= {
        web["first"],
        web["second"],
        web["rule"],
        web["group"],
        web["alarm"],
        stage.kernel.arn("ecs", "task-definition/plain:1"),
        f"{ROLE}/infrastructure",
    }
    assert by_target[web["second"]].how == "the service has it as alternate target group"
    assert {each.owner for each in by_target.values()} == {plain}


def test_tasks(stage: Stage) -> None:
    seen = stage.observe()
    tasks = [each for each in into(seen, stage.notes["web-api"]["definition"]) if each.source_kind is Kind.TASK]
    assert [(each.how, each.owner) for each in tasks] == [("a task runs it", stage.arn("web-api"))]


def test_alarms_of_users(stage: Stage) -> None:
    web = stage.notes["web"]
    stage.call(
        "cloudwatch",
        "PutCompositeAlarm",
        OPERATOR,
        AlarmName="page",
        AlarmRule='ALARM("shop/web/RollbackAlarm") OR ALARM("shop/web-api/RollbackAlarm")',
    )
    stage.call(
        "cloudwatch",
        "PutMetricAlarm",
        OPERATOR,
        AlarmName="own",
        Namespace="AWS/ApplicationELB",
        MetricName="HealthyHostCount",
        Dimensions=[
            {"Name": "TargetGroup", "Value": web["first"].rpartition(":")[2]},
            {"Name": "LoadBalancer", "Value": web["balancer"].partition(":loadbalancer/")[2]},
        ],
        Statistic="Minimum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
    )
    seen = stage.observe()
    assert words(into(seen, web["alarm"]), Kind.COMPOSITE_ALARM) == ["has it in its rule"]
    assert "watches its HealthyHostCount" in words(into(seen, web["first"]), Kind.ALARM)
    assert "watches its HealthyHostCount" in words(into(seen, web["balancer"]), Kind.ALARM)


def test_scaling(stage: Stage) -> None:
    web, api = stage.notes["web"], stage.notes["web-api"]
    where = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{CLUSTER}/web",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    stage.call(
        "application-autoscaling",
        "PutScheduledAction",
        OPERATOR,
        **where,
        ScheduledActionName="night",
        Schedule="cron(0 22 * * ? *)",
        ScalableTargetAction={"MinCapacity": 1},
    )
    seen = stage.observe()
    kinds = {
        each.kind: each for each in seen.resources.values() if each.facts.get("resource_id") == where["ResourceId"]
    }
    assert {Kind.SCALABLE_TARGET, Kind.SCALING_POLICY, Kind.SCHEDULED_ACTION} == set(kinds)
    assert kinds[Kind.SCALING_POLICY].facts["policy_name"] == "webAverageCPU"
    tracking = [each for each in seen.resources.values() if each.facts.get("policy") == web["policy"]]
    assert len(tracking) == 2
    assert words(into(seen, tracking[0].arn), Kind.SCALING_POLICY) == ["has it as its alarm"]
    assert [each.source for each in into(seen, web["policy"]) if each.source_kind is Kind.ALARM] == sorted(
        each.arn for each in tracking
    )
    assert api["policy"] in seen.resources


def test_filters_of_log_groups(stage: Stage) -> None:
    web = stage.notes["web"]
    name = web["logs"].partition(":log-group:")[2]
    stage.call(
        "logs",
        "PutMetricFilter",
        OPERATOR,
        logGroupName=name,
        filterName="errors",
        filterPattern="ERROR",
        metricTransformations=[{"metricName": "errors", "metricNamespace": "own", "metricValue": "1"}],
    )
    stage.call(
        "logs",
        "PutSubscriptionFilter",
        OPERATOR,
        logGroupName=name,
        filterName="ship",
        filterPattern="",
        destinationArn="arn:aws:lambda:us-east-1:123456789012:function:ship",
    )
    assert words(into(stage.observe(), web["logs"]), Kind.FILTER) == [
        "makes a metric of it",
        "sends it to arn:aws:lambda:us-east-1:123456789012:function:ship",
    ]


def test_stacks(stage: Stage) -> None:
    web = stage.notes["web"]
    stage.stacks.stand("own")
    owned = {
        "group": id_of(web["group"]),
        "first": web["first"],
        "alarm": "shop/web/RollbackAlarm",
        "target": f"service/{CLUSTER}/web|ecs:service:DesiredCount|ecs",
        "logs": web["logs"].partition(":log-group:")[2],
    }
    for name, physical in owned.items():
        stage.stacks.own("own", f"Its{name}", "AWS::Own::Thing", physical)
    seen = stage.observe()
    for name in owned:
        assert words(into(seen, web[name]), Kind.STACK) == [f"owns it as Its{name}"], name
    assert not words(into(seen, web["second"]), Kind.STACK)


def test_gateways(stage: Stage) -> None:
    (route,) = stage.ecs.engine.gateways.routes.values()
    seen = stage.observe()
    for target in (route.balancer.arn, route.balancer.listener):
        assert words(into(seen, target), Kind.GATEWAY) == ["is the gateway that it belongs to"]
        assert "is a route through it" in words(into(seen, target), Kind.GATEWAY_ROUTE)
    assert words(into(seen, route.certificate), Kind.GATEWAY_ROUTE) == ["has it as its certificate"]
    (by_rule,) = [each for each in into(seen, route.rule) if each.source_kind is Kind.GATEWAY_ROUTE]
    assert (by_rule.how, by_rule.owner) == ("is routed by it", stage.arn("routed"))
    group = stage.kernel.arn("ec2", f"security-group/{route.balancer.group}")
    assert words(into(seen, group), Kind.GATEWAY) == ["is the gateway that it belongs to"]


# --- revisions -------------------------------------------------------------------------------------------------------


def test_revisions_of_a_service_that_lives(stage: Stage) -> None:
    api = stage.notes["web-api"]
    seen = stage.observe()
    for name, arn in api.items():
        found = [each for each in into(seen, arn) if each.source_kind is Kind.SERVICE_REVISION]
        assert found, name
        assert {each.owner for each in found} == {stage.arn("web-api")}
    assert "the active revision has it (ACTIVE)" in words(into(seen, api["rule"]), Kind.SERVICE_REVISION)
    assert not [each for each in into(seen, stage.notes["web"]["rule"]) if each.owner == stage.arn("web")]


def test_revisions_of_a_deployment_in_flight(stage: Stage) -> None:
    stage.call(
        "ecs",
        "UpdateExpressGatewayService",
        OPERATOR,
        serviceArn=stage.arn("web-api"),
        primaryContainer={"image": "example.com/web:2"},
    )
    stage.run(30)
    seen = stage.observe()
    (owner,) = [each for each in seen.owners.values() if each.identity.arn == stage.arn("web-api")]
    assert owner.moving
    found = [each for each in into(seen, stage.notes["web-api"]["rule"]) if each.source_kind is Kind.SERVICE_REVISION]
    assert len({each.source for each in found}) == 2
    stage.run()
    owners = stage.observe().owners.values()
    assert not any(each.moving for each in owners)


# --- on a load balancer that nobody but the dead has -----------------------------------------------------------------


@pytest.fixture
def alone(stage: Stage) -> dict[str, str]:
    """The last sharer is gone."""
    if "gone" not in stage.notes:
        stage.notes["gone"] = {}
        stage.delete("web-api")
        stage.run(4_000)
        stage.record("web-api")
    return stage.notes["web-api"]


def test_web_acls(stage: Stage, alone: dict[str, str]) -> None:
    acl = stage.call(
        "wafv2",
        "CreateWebACL",
        OPERATOR,
        Name="shield",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "shield"},
    )["Summary"]["ARN"]
    stage.call("wafv2", "AssociateWebACL", OPERATOR, WebACLArn=acl, ResourceArn=alone["balancer"])
    found = [each for each in into(stage.observe(), alone["balancer"]) if each.source_kind is Kind.WEB_ACL]
    assert [(each.source, each.how) for each in found] == [(acl, "protects it")]


def test_record_sets(stage: Stage, alone: dict[str, str]) -> None:
    (balancer,) = stage.call("elbv2", "DescribeLoadBalancers", LoadBalancerArns=[alone["balancer"]])["LoadBalancers"]
    zone = stage.call("route53", "CreateHostedZone", OPERATOR, Name="example.com", CallerReference="1")["HostedZone"]
    name = balancer["DNSName"]
    alias = {"HostedZoneId": balancer["CanonicalHostedZoneId"], "EvaluateTargetHealth": False}
    records = [
        {"Name": "a.example.com", "Type": "A", "AliasTarget": {**alias, "DNSName": f"dualstack.{name.upper()}."}},
        {"Name": "c.example.com", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": name}]},
        {"Name": "d.example.com", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": f"x{name}"}]},
    ]
    changes = [{"Action": "CREATE", "ResourceRecordSet": each} for each in records]
    stage.call(
        "route53", "ChangeResourceRecordSets", OPERATOR, HostedZoneId=zone["Id"], ChangeBatch={"Changes": changes}
    )
    found = [each for each in into(stage.observe(), alone["balancer"]) if each.source_kind is Kind.RECORD_SET]
    assert sorted((each.source, each.how) for each in found) == [
        ("a.example.com. A", f"is an alias of it in {zone['Id']}"),
        ("c.example.com. CNAME", f"names it in {zone['Id']}"),
    ]


def test_what_protects_a_load_balancer(stage: Stage, alone: dict[str, str]) -> None:
    assert stage.observe().resources[alone["balancer"]].facts["protected"] == "false"
    attribute = {"Key": "deletion_protection.enabled", "Value": "true"}
    stage.call(
        "elbv2",
        "ModifyLoadBalancerAttributes",
        OPERATOR,
        LoadBalancerArn=alone["balancer"],
        Attributes=[attribute],
    )
    assert stage.observe().resources[alone["balancer"]].facts["protected"] == "true"


def test_tags_of_suspects(stage: Stage, alone: dict[str, str]) -> None:
    seen = stage.observe()
    stage.call(
        "elbv2", "AddTags", OPERATOR, ResourceArns=[alone["first"]], Tags=[{"Key": "caretaker:keep", "Value": ""}]
    )
    assert {name: seen.resources[alone[name]].tags is not None for name in alone if name != "definition"} == {
        name: name != "policy" for name in alone if name != "definition"
    }
    assert "caretaker:keep" in (stage.observe().resources[alone["first"]].tags or {})
