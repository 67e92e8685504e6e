"""Load balancers, listeners, their attributes and tags, through a boto3 client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.neighbours.balancer_stage import NOT_FOUND, Balanced, balanced, forward, refused


@pytest.fixture
def world() -> Iterator[Balanced]:
    with balanced() as made:
        yield made


def test_deletion_protection_is_all_that_keeps_a_load_balancer(world: Balanced) -> None:
    """Not even rules in use do; deleting again succeeds."""
    blue = world.group("blue")
    rule = world.rule(forward({blue: 1}))
    key = "deletion_protection.enabled"
    on, off = ([{"Key": key, "Value": value}] for value in ("true", "false"))
    world.client.modify_load_balancer_attributes(LoadBalancerArn=world.balancer, Attributes=on)
    shown = world.client.describe_load_balancer_attributes(LoadBalancerArn=world.balancer)["Attributes"]
    assert on[0] in shown
    delete = world.client.delete_load_balancer
    refused("OperationNotPermitted", lambda: delete(LoadBalancerArn=world.balancer), "deletion protection")
    world.client.modify_load_balancer_attributes(LoadBalancerArn=world.balancer, Attributes=off)
    delete(LoadBalancerArn=world.balancer)
    delete(LoadBalancerArn=world.balancer)
    refused("RuleNotFound", lambda: world.described(rule))
    refused("ListenerNotFound", lambda: world.client.describe_listeners(ListenerArns=[world.listener]))
    assert world.used_by(blue) == []


def test_attributes_are_checked(world: Balanced) -> None:
    change = world.client.modify_load_balancer_attributes
    for key, value in (
        ("colour", "red"),
        ("deletion_protection.enabled", "yes"),
        ("idle_timeout.timeout_seconds", "0"),
    ):
        given = [{"Key": key, "Value": value}]
        refused("ValidationError", lambda given=given: change(LoadBalancerArn=world.balancer, Attributes=given))


def test_load_balancers_are_found_by_name_and_arn_and_paged(world: Balanced) -> None:
    for name in ("a", "b"):
        world.client.create_load_balancer(Name=name, Subnets=["subnet-0", "subnet-1"])
    pages = world.client.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2})
    assert [[one["LoadBalancerName"] for one in page["LoadBalancers"]] for page in pages] == [["front", "a"], ["b"]]
    (found,) = world.client.describe_load_balancers(Names=["front"])["LoadBalancers"]
    assert found["LoadBalancerArn"] == world.balancer
    refused("LoadBalancerNotFound", lambda: world.client.describe_load_balancers(LoadBalancerArns=["arn:x"]))


def test_https_listeners_have_one_certificate_and_a_policy(world: Balanced) -> None:
    secure = world.secure()
    (shown,) = world.client.describe_listeners(ListenerArns=[secure])["Listeners"]
    assert shown["Certificates"] == [{"CertificateArn": "arn:aws:acm:x"}]
    assert shown["SslPolicy"] == "ELBSecurityPolicy-2016-08"
    refused("CertificateNotFound", lambda: world.listen(444, NOT_FOUND, Protocol="HTTPS"))
    refused("ValidationError", lambda: world.listen(444, NOT_FOUND, SslPolicy="x"), "HTTP listeners")
    refused("ValidationError", lambda: world.listen(444, NOT_FOUND, Protocol="TCP"), "HTTP, HTTPS")
    world.client.modify_listener(ListenerArn=secure, Certificates=[{"CertificateArn": "arn:aws:acm:y"}])
    (shown,) = world.client.describe_listeners(ListenerArns=[secure])["Listeners"]
    assert shown["Certificates"] == [{"CertificateArn": "arn:aws:acm:y"}]
    assert shown["DefaultActions"] == [NOT_FOUND]
    world.client.modify_listener(ListenerArn=secure, Protocol="HTTP")
    (shown,) = world.client.describe_listeners(ListenerArns=[secure])["Listeners"]
    assert "Certificates" not in shown
    assert "SslPolicy" not in shown


def test_ports_are_unique_and_same_settings_succeed(world: Balanced) -> None:
    assert world.listen(80, NOT_FOUND) == world.listener
    other = world.listen(81, NOT_FOUND)
    refused("DuplicateListener", lambda: world.client.modify_listener(ListenerArn=other, Port=80))
    world.client.modify_listener(ListenerArn=other, Port=82)
    assert [one.port for one in world.elbv2.listeners_of(world.balancer)] == [80, 82]


def test_a_load_balancer_has_at_most_50_listeners(world: Balanced) -> None:
    for port in range(81, 130):
        world.listen(port, NOT_FOUND)
    refused("TooManyListeners", lambda: world.listen(130, NOT_FOUND))


def test_health_checks_of_a_target_group_can_be_changed(world: Balanced) -> None:
    blue = world.group("blue")
    change = world.client.modify_target_group
    (shown,) = change(TargetGroupArn=blue, HealthCheckPath="/ready", HealthCheckIntervalSeconds=10)["TargetGroups"]
    assert (shown["HealthCheckPath"], shown["HealthCheckIntervalSeconds"], shown["HealthyThresholdCount"]) == (
        "/ready",
        10,
        5,
    )
    refused("ValidationError", lambda: change(TargetGroupArn=blue, HealthCheckTimeoutSeconds=10), "timeout")
    refused("InvalidConfigurationRequest", lambda: change(TargetGroupArn=blue, HealthCheckEnabled=False))


def test_tags_of_everything(world: Balanced) -> None:
    blue = world.group("blue", Tags=[{"Key": "made", "Value": "here"}])
    rule = world.rule(forward({blue: 1}), Tags=[{"Key": "made", "Value": "here"}])
    arns = [world.balancer, world.listener, rule, blue]
    client = world.client
    client.add_tags(ResourceArns=arns, Tags=[{"Key": "owner", "Value": "shop"}])
    client.add_tags(ResourceArns=[rule], Tags=[{"Key": "owner", "Value": "cart"}])
    client.remove_tags(ResourceArns=[blue], TagKeys=["owner", "nothing"])
    shown = {one["ResourceArn"]: one["Tags"] for one in client.describe_tags(ResourceArns=arns)["TagDescriptions"]}
    assert shown[world.balancer] == shown[world.listener] == [{"Key": "owner", "Value": "shop"}]
    assert shown[rule] == [{"Key": "made", "Value": "here"}, {"Key": "owner", "Value": "cart"}]
    assert shown[blue] == [{"Key": "made", "Value": "here"}]
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    refused("DuplicateTagKeys", lambda: client.add_tags(ResourceArns=[rule], Tags=twice))
    many = [{"Key": f"k{number}", "Value": ""} for number in range(49)]
    refused("TooManyTags", lambda: client.add_tags(ResourceArns=[rule], Tags=many))
    refused("RuleNotFound", lambda: client.describe_tags(ResourceArns=[rule + "x"]))
    refused("ValidationError", lambda: client.describe_tags(ResourceArns=[rule] * 21))
