"""Rules, actions and conditions of load balancers, through a boto3 client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.neighbours.balancer_stage import NOT_FOUND, Balanced, balanced, forward, path, refused
from twin.errors import Unmodelled
from twin.kernel.api import AWS_ECS, Caller

TRUST = {"Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}
OIDC = {
    "Issuer": "https://id.example.com",
    "AuthorizationEndpoint": "https://id.example.com/auth",
    "TokenEndpoint": "https://id.example.com/token",
    "UserInfoEndpoint": "https://id.example.com/user",
    "ClientId": "app",
}


@pytest.fixture
def world() -> Iterator[Balanced]:
    with balanced() as made:
        yield made


# --- forward ---------------------------------------------------------------------------------------------------------
def test_a_forward_to_one_group_is_returned_in_both_forms(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    short = world.create_rule({"Type": "forward", "TargetGroupArn": blue})
    long = world.create_rule(forward({green: 7}), priority=11)
    off = {"Enabled": False}
    assert short["Actions"] == [
        {
            "Type": "forward",
            "TargetGroupArn": blue,
            "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": blue, "Weight": 1}],
                "TargetGroupStickinessConfig": off,
            },
        }
    ]
    assert long["Actions"][0]["TargetGroupArn"] == green
    both = {**forward({green: 7}), "TargetGroupArn": green}
    assert world.create_rule(both, priority=12)["Actions"] == long["Actions"]
    refused("ValidationError", lambda: world.rule({**both, "TargetGroupArn": blue}, priority=13), "same single")


def test_a_weighted_forward_keeps_weights_and_stickiness_and_has_no_short_form(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    (action,) = world.create_rule(forward({blue: 95, green: 5}, sticky=3600))["Actions"]
    assert "TargetGroupArn" not in action
    assert action["ForwardConfig"] == {
        "TargetGroups": [{"TargetGroupArn": blue, "Weight": 95}, {"TargetGroupArn": green, "Weight": 5}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 3600},
    }


def test_weights_stickiness_and_number_of_groups_are_checked(world: Balanced) -> None:
    groups = world.groups(*(f"g{number}" for number in range(6)))
    blue, green = groups[:2]
    words = "The weight for each target group must be between 0 and 999, inclusive"
    missing = {"TargetGroups": [{"TargetGroupArn": blue, "Weight": 1}, {"TargetGroupArn": green}]}
    for action in (forward({blue: 1000, green: 1}), {"Type": "forward", "ForwardConfig": missing}):
        refused("ValidationError", lambda action=action: world.rule(action), words)
    refused("ValidationError", lambda: world.rule(forward(dict.fromkeys(groups, 1))), "'5' target groups")
    world.rule(forward(dict.fromkeys(groups[:5], 1)))
    refused("ValidationError", lambda: world.rule(forward({blue: 1}, sticky=604_801), priority=11), "604800")
    unsure = forward({blue: 1})
    unsure["ForwardConfig"]["TargetGroupStickinessConfig"] = {"Enabled": True}
    refused("ValidationError", lambda: world.rule(unsure, priority=11), "DurationSeconds")
    refused("TargetGroupNotFound", lambda: world.rule(forward({blue[:-1] + "x": 1}), priority=11))


def test_weights_that_are_all_0_are_refused_loudly_for_nothing_says_what_aws_does(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    with pytest.raises(Unmodelled, match="weights are all 0"):
        world.stage.call(
            "elbv2",
            "CreateRule",
            ListenerArn=world.listener,
            Priority=1,
            Conditions=[path("/x")],
            Actions=[forward({blue: 0, green: 0})],
        )


def test_modifying_replaces_the_whole_list_of_actions(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    rule = world.rule(forward({blue: 95, green: 5}, sticky=60))
    world.shift(rule, {blue: 100, green: 0})
    (action,) = world.described(rule)["Actions"]
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": False}
    assert world.described(rule)["Conditions"][0]["Values"] == ["/api/*"]
    world.client.modify_rule(RuleArn=rule, Conditions=[path("/new")])
    assert world.described(rule)["Actions"] == [action]
    refused("ValidationError", lambda: world.client.modify_rule(RuleArn=rule), "Either conditions or actions")


def test_what_is_read_can_be_written_back(world: Balanced) -> None:
    world.listener = world.secure()
    blue, green = world.groups("blue", "green")
    cognito = {"UserPoolArn": "arn:pool", "UserPoolClientId": "app", "UserPoolDomain": "example"}
    rule = world.rule(
        {"Type": "authenticate-cognito", "AuthenticateCognitoConfig": cognito, "Order": 1},
        forward({blue: 95, green: 5}, sticky=60, Order=2),
        Conditions=[path("/a", "/b"), {"Field": "host-header", "Values": ["*.example.com"]}],
    )
    shown = world.described(rule)
    world.client.modify_rule(RuleArn=rule, Actions=shown["Actions"], Conditions=shown["Conditions"])
    assert world.described(rule) == shown


# --- other actions ---------------------------------------------------------------------------------------------------
def test_actions_are_kept_in_order_with_their_defaults(world: Balanced) -> None:
    world.listener = world.secure()
    blue = world.group("blue")
    sign_in = {"Type": "authenticate-oidc", "Order": 5, "AuthenticateOidcConfig": {**OIDC, "ClientSecret": "s"}}
    actions = world.create_rule(forward({blue: 1}, Order=9), sign_in)["Actions"]
    assert [(one["Type"], one["Order"]) for one in actions] == [("authenticate-oidc", 5), ("forward", 9)]
    assert actions[0]["AuthenticateOidcConfig"] == {
        **OIDC,
        "SessionCookieName": "AWSELBAuthSessionCookie",
        "Scope": "openid",
        "SessionTimeout": 604_800,
        "OnUnauthenticatedRequest": "authenticate",
    }
    to_https = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}
    (redirect,) = world.create_rule(to_https, priority=11)["Actions"]
    assert redirect["RedirectConfig"]["Host"] == "#{host}"
    assert redirect["RedirectConfig"]["Path"] == "/#{path}"


def test_a_client_secret_is_never_returned_and_must_be_kept_by_name(world: Balanced) -> None:
    """Who carries an OIDC action over without UseExistingClientSecret is refused, not left with a broken sign-in."""
    world.listener = world.secure()
    blue, green = world.groups("blue", "green")
    sign_in = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": dict(OIDC)}
    refused("ValidationError", lambda: world.rule(sign_in, forward({blue: 1}, Order=2)), "ClientSecret")
    secret = {**sign_in, "AuthenticateOidcConfig": {**OIDC, "ClientSecret": "s"}}
    rule = world.rule(secret, forward({blue: 1}, Order=2))
    shown = world.described(rule)["Actions"]
    assert "ClientSecret" not in shown[0]["AuthenticateOidcConfig"]
    shift = forward({blue: 95, green: 5}, Order=2)
    refused("ValidationError", lambda: world.client.modify_rule(RuleArn=rule, Actions=[shown[0], shift]), "Secret")
    shown[0]["AuthenticateOidcConfig"]["UseExistingClientSecret"] = True
    world.client.modify_rule(RuleArn=rule, Actions=[shown[0], shift])
    assert world.elbv2.weights(rule) == {blue: 95, green: 5}


def test_what_aws_refuses_of_actions(world: Balanced) -> None:
    blue = world.group("blue")
    sign_in = {"Type": "authenticate-oidc", "AuthenticateOidcConfig": {**OIDC, "ClientSecret": "s"}, "Order": 1}
    loop = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}}
    teapot = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "image/png"}}
    bad = "InvalidLoadBalancerAction"
    refused(bad, lambda: world.rule(sign_in, forward({blue: 1}, Order=2)), "HTTPS")
    refused(bad, lambda: world.rule(loop), "loop")
    refused(bad, lambda: world.rule(teapot), "ContentType")
    refused(bad, lambda: world.rule(forward({blue: 1}, Order=1), {**NOT_FOUND, "Order": 2}), "exactly one")
    refused("ValidationError", lambda: world.rule(forward({blue: 1}), NOT_FOUND), "order")
    refused("ValidationError", world.rule, "At least one action")
    tcp = world.group("tcp", Protocol="TCP")
    refused("IncompatibleProtocols", lambda: world.rule(forward({tcp: 1})))


# --- conditions ------------------------------------------------------------------------------------------------------
def test_conditions_of_every_kind_are_kept_in_the_form_aws_returns(world: Balanced) -> None:
    blue = world.group("blue")
    given: list[dict[str, Any]] = [
        {"Field": "host-header", "Values": ["www.example.com"]},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Canary", "Values": ["1"]}},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2"}]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}},
    ]
    shown = world.create_rule(forward({blue: 1}), Conditions=given)["Conditions"]
    assert shown == [{**given[0], "HostHeaderConfig": {"Values": ["www.example.com"]}}, *given[1:]]


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ([], "must be specified"),
        ([path("/1", "/2", "/3", "/4", "/5", "/6")], "A rule can only have '5' condition values"),
        ([path("/a*/b*"), {"Field": "host-header", "Values": ["*.a?.b?.*.com"]}], "wildcards"),
        ([path("/a"), path("/b")], "one 'path-pattern'"),
        ([{"Field": "path-pattern", "Values": ["/a", "/b"]}], "too many values"),
        ([{**path("/a"), "Values": ["/b"]}], "both Values"),
        ([path("/" + "a" * 128)], "too long"),
        ([{"Field": "source-ip", "Values": ["10.0.0.0/8"]}], "not compatible"),
        ([{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.1"]}}], "CIDR"),
        ([{"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["get"]}}], "A-Z"),
        ([{"Field": "colour", "Values": ["red"]}], "must be one of"),
    ],
)
def test_what_aws_refuses_of_conditions(world: Balanced, conditions: list[dict[str, Any]], words: str) -> None:
    blue = world.group("blue")
    refused("ValidationError", lambda: world.rule(forward({blue: 1}), Conditions=conditions), words)


# --- rules -----------------------------------------------------------------------------------------------------------
def test_rules_come_by_priority_the_default_rule_last_and_in_pages(world: Balanced) -> None:
    blue = world.group("blue")
    arns = {priority: world.rule(forward({blue: 1}), priority=priority) for priority in (30, 10, 20)}
    first = world.client.describe_rules(ListenerArn=world.listener, PageSize=2)
    rest = world.client.describe_rules(ListenerArn=world.listener, PageSize=2, Marker=first["NextMarker"])
    shown = first["Rules"] + rest["Rules"]
    assert [one["Priority"] for one in shown] == ["10", "20", "30", "default"]
    assert [one["IsDefault"] for one in shown] == [False, False, False, True]
    assert "NextMarker" not in rest
    assert world.elbv2.default_rule(world.listener).arn == shown[-1]["RuleArn"]
    one = world.client.describe_rules(RuleArns=[arns[20]])["Rules"]
    assert [each["RuleArn"] for each in one] == [arns[20]]
    refused("RuleNotFound", lambda: world.client.describe_rules(RuleArns=[arns[20] + "x"]))
    refused("ValidationError", world.client.describe_rules)


def test_priorities_are_unique_and_can_be_swapped(world: Balanced) -> None:
    blue = world.group("blue")
    first, second = (world.rule(forward({blue: 1}), priority=priority) for priority in (1, 2))
    refused("PriorityInUse", lambda: world.rule(forward({blue: 1}), priority=2))
    refused("ValidationError", lambda: world.rule(forward({blue: 1}), priority=50_001))

    def order(**priorities: int) -> None:
        names = {"first": first, "second": second}
        given = [{"RuleArn": names[name], "Priority": priority} for name, priority in priorities.items()]
        world.client.set_rule_priorities(RulePriorities=given)

    refused("PriorityInUse", lambda: order(first=2))
    refused("PriorityInUse", lambda: order(first=7, second=7))
    order(first=2, second=1)
    assert [one.arn for one in world.elbv2.rules_of(world.listener)][:2] == [second, first]


def test_a_default_rule_changes_with_its_listener_only(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    default = world.elbv2.default_rule(world.listener).arn
    refused("OperationNotPermitted", lambda: world.shift(default, {blue: 1}))
    refused("OperationNotPermitted", lambda: world.client.delete_rule(RuleArn=default))
    given = [{"RuleArn": default, "Priority": 1}]
    refused("OperationNotPermitted", lambda: world.client.set_rule_priorities(RulePriorities=given))
    changed = world.client.modify_listener(ListenerArn=world.listener, DefaultActions=[forward({blue: 9, green: 1})])
    assert changed["Listeners"][0]["DefaultActions"] == world.described(default)["Actions"]
    assert world.elbv2.weights(default) == world.elbv2.weights(world.listener) == {blue: 9, green: 1}


def test_a_load_balancer_has_at_most_100_rules_and_100_target_groups(world: Balanced) -> None:
    groups = world.groups(*(f"g{number}" for number in range(101)))
    other = world.listen(81, NOT_FOUND)
    for number in range(100):
        listener = (world.listener, other)[number % 2]
        world.rule(forward({groups[number]: 1}), priority=number + 1, ListenerArn=listener)
    refused("TooManyRules", lambda: world.rule(forward({groups[0]: 1}), priority=500))
    rule = world.elbv2.rules_of(other)[0].arn
    full = "TooManyUniqueTargetGroupsPerLoadBalancer"
    refused(full, lambda: world.shift(rule, {groups[1]: 1, groups[100]: 1}))


# --- who uses a target group -----------------------------------------------------------------------------------------
def test_a_group_is_in_use_while_any_rule_names_it_with_weight_0_too(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    rule = world.rule(forward({blue: 100, green: 0}))
    assert world.used_by(green) == [world.balancer]
    refused("ResourceInUse", lambda: world.client.delete_target_group(TargetGroupArn=green), "in use by a listener")
    world.shift(rule, {blue: 100})
    assert world.used_by(green) == []
    world.client.delete_target_group(TargetGroupArn=green)
    world.client.delete_target_group(TargetGroupArn=green)
    refused("TargetGroupNotFound", lambda: world.used_by(green))
    world.client.delete_rule(RuleArn=rule)
    assert world.used_by(blue) == []


def test_a_group_belongs_to_one_load_balancer_until_no_rule_names_it(world: Balanced) -> None:
    blue = world.group("blue")
    world.rule(forward({blue: 1}))
    other = world.client.create_load_balancer(Name="other", Subnets=["subnet-0", "subnet-1"])["LoadBalancers"][0]
    given = {"LoadBalancerArn": other["LoadBalancerArn"], "Protocol": "HTTP", "Port": 80}
    create = world.client.create_listener
    refused("TargetGroupAssociationLimit", lambda: create(DefaultActions=[forward({blue: 1})], **given))
    world.client.delete_listener(ListenerArn=world.listener)
    create(DefaultActions=[forward({blue: 1})], **given)
    assert world.used_by(blue) == [other["LoadBalancerArn"]]


def test_targets_of_a_group_that_leaves_every_rule_are_unused_and_start_over_when_it_comes_back(
    world: Balanced,
) -> None:
    blue, green = world.groups("blue", "green")
    rule = world.rule(forward({blue: 1, green: 1}))
    heard: list[str] = []
    world.elbv2.register(green, "10.0.0.9", 80, "us-east-1a", lambda: True)
    world.elbv2.on_change(green, "10.0.0.9", 80, heard.append)
    world.stage.settle()
    assert [one.state for one in world.elbv2.targets(green)] == ["healthy"]
    world.shift(rule, {blue: 1})
    assert [one.state for one in world.elbv2.targets(green)] == ["unused"]
    assert not world.elbv2.healthy(green, "10.0.0.9", 80)
    world.shift(rule, {blue: 1, green: 0})
    assert [one.state for one in world.elbv2.targets(green)] == ["initial"]
    world.stage.run(151)
    assert [one.state for one in world.elbv2.targets(green)] == ["healthy"]
    assert heard == ["initial", "healthy"]


def test_deregistering_goes_on_when_the_group_is_deleted(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    rule = world.rule(forward({blue: 1, green: 0}))
    world.elbv2.register(green, "10.0.0.9", 80, "us-east-1a", lambda: True)
    world.stage.settle()
    done: list[bool] = []
    world.elbv2.deregister(green, "10.0.0.9", 80, lambda: done.append(True))
    world.shift(rule, {blue: 1})
    assert not done
    world.client.delete_target_group(TargetGroupArn=green)
    assert done == [True]
    assert not world.elbv2.healthy(green, "10.0.0.9", 80)


# --- who changed what ------------------------------------------------------------------------------------------------
def test_each_change_of_weights_is_on_the_timeline_with_who_made_it(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    rule = world.rule(forward({blue: 100, green: 0}))
    world.stage.settle()
    world.stage.run(60)
    world.shift(rule, {blue: 95, green: 5})
    world.client.modify_rule(RuleArn=rule, Conditions=[path("/other")])
    asked = world.stage.kernel.calls[-1]
    actions = [forward({blue: 100, green: 0})]
    world.stage.gateway.call("elbv2", "ModifyRule", {"RuleArn": rule, "Actions": actions}, AWS_ECS, cause=asked)
    first, second = [one for one in world.stage.kernel.timeline if one.kind == "rule.weights"]
    assert first.data["before"] == {blue: 100, green: 0}
    assert first.data["after"] == {blue: 95, green: 5}
    assert (first.data["rule"], first.data["caller"], first.data["origin"]) == (rule, "operator:olga", "operator:olga")
    assert first.text == "rule 10 of front:80: blue 100, green 0 → blue 95, green 5 by operator:olga"
    assert (second.data["caller"], second.data["origin"]) == ("aws:ecs", "operator:olga")
    assert second.data["call"] == len(world.stage.kernel.calls)


def test_a_function_needs_permission_for_the_rule_it_changes(world: Balanced) -> None:
    blue, green = world.groups("blue", "green")
    rule = world.rule(forward({blue: 100, green: 0}))
    other = world.rule(forward({blue: 1}), priority=11)
    arn = "arn:aws:iam::123456789012:role/shifter"
    iam = world.stage.gateway.iam
    iam.names.tag_sources["elasticloadbalancing"] = world.elbv2.tags_of
    statement = {
        "Effect": "Allow",
        "Action": "elasticloadbalancing:ModifyRule",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/release": "canary"}},
    }
    iam.add_policy(iam.add_role(arn, "shifter", TRUST), {"Statement": statement}, "test")
    shifter = world.client_of(Caller("function", "Shifter", arn))
    world.client.add_tags(ResourceArns=[rule], Tags=[{"Key": "release", "Value": "canary"}])
    shifter.modify_rule(RuleArn=rule, Actions=[forward({blue: 95, green: 5})])
    refused("AccessDenied", lambda: shifter.modify_rule(RuleArn=other, Actions=[forward({blue: 1})]))
    refused("AccessDenied", lambda: shifter.describe_rules(RuleArns=[rule]))
