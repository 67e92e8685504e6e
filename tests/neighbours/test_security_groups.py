"""Security groups and network interfaces: what EC2 answers, and what holds a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.neighbours.stage import Stage
from twin.errors import AwsError, Unmodelled, WorldError

VPC = "vpc-0123456789abcdef0"
OTHER = "vpc-0000000000000000b"


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.ec2.add_subnet("subnet-b", "us-east-1a", OTHER)
    stage.settle()
    return stage


def refused(code: str, call: Callable[[], object], words: str = "") -> None:
    with pytest.raises(AwsError, match=words or code) as caught:
        call()
    assert caught.value.code == code


def made(stage: Stage, name: str, vpc: str = VPC, **tags: str) -> str:
    specs = [{"ResourceType": "security-group", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]
    answer = stage.call(
        "ec2", "CreateSecurityGroup", GroupName=name, Description=f"of {name}", VpcId=vpc, TagSpecifications=specs
    )
    return str(answer["GroupId"])


def to(group: str, port: int = 80) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": group}]}


def world(port: int = 80) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def let(stage: Stage, way: str, group: str, *permissions: dict[str, Any]) -> list[str]:
    answer = stage.call("ec2", f"AuthorizeSecurityGroup{way}", GroupId=group, IpPermissions=list(permissions))
    return [one["SecurityGroupRuleId"] for one in answer["SecurityGroupRules"]]


def delete(stage: Stage, group: str) -> None:
    stage.call("ec2", "DeleteSecurityGroup", GroupId=group)


def described(stage: Stage, **filters: str) -> list[str]:
    given = [{"Name": name.replace("_", "-").replace("--", "."), "Values": [value]} for name, value in filters.items()]
    found = stage.call("ec2", "DescribeSecurityGroups", Filters=given)["SecurityGroups"]
    return [one["GroupId"] for one in found]


def test_a_new_group_lets_everything_out_and_nothing_in(stage: Stage) -> None:
    group = made(stage, "web", AmazonECSManaged="true")
    (shown,) = stage.call("ec2", "DescribeSecurityGroups", GroupIds=[group])["SecurityGroups"]
    assert shown["IpPermissions"] == []
    assert [one["IpProtocol"] for one in shown["IpPermissionsEgress"]] == ["-1"]
    assert shown["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    assert shown["Tags"] == [{"Key": "AmazonECSManaged", "Value": "true"}]


def test_names_are_unique_in_their_vpc_whatever_their_case(stage: Stage) -> None:
    made(stage, "web")
    refused("InvalidGroup.Duplicate", lambda: made(stage, "WEB"))
    made(stage, "web", OTHER)
    refused("InvalidParameterValue", lambda: made(stage, "sg-web"))
    refused("InvalidVpcID.NotFound", lambda: made(stage, "web", "vpc-none"))


def test_a_group_that_an_interface_has_cannot_be_deleted(stage: Stage) -> None:
    group = made(stage, "web")
    interface = stage.ec2.add_interface("subnet-0", [group], "a task's", requester="ecs")
    refused("DependencyViolation", lambda: delete(stage, group), group)
    stage.ec2.remove_interface(interface)
    delete(stage, group)
    refused("InvalidGroup.NotFound", lambda: delete(stage, group))


def test_a_group_that_a_rule_of_another_names_cannot_be_deleted(stage: Stage) -> None:
    balancer, service = made(stage, "alb"), made(stage, "web")
    (out,) = let(stage, "Egress", balancer, to(service))
    let(stage, "Ingress", service, to(balancer))
    refused("DependencyViolation", lambda: delete(stage, balancer))
    refused("DependencyViolation", lambda: delete(stage, service))
    stage.call("ec2", "RevokeSecurityGroupEgress", GroupId=balancer, SecurityGroupRuleIds=[out])
    delete(stage, service)
    delete(stage, balancer)


def test_a_groups_own_rule_that_names_it_holds_nothing(stage: Stage) -> None:
    group = made(stage, "web")
    let(stage, "Egress", group, to(group))
    delete(stage, group)


def test_a_rule_in_a_peered_vpc_does_not_hold_a_group_and_becomes_stale(stage: Stage) -> None:
    group, theirs = made(stage, "web"), made(stage, "theirs", OTHER)
    refused("InvalidGroup.NotFound", lambda: let(stage, "Ingress", theirs, to(group)))
    stage.ec2.peer(VPC, OTHER)
    (rule,) = let(stage, "Ingress", theirs, to(group))
    (shown,) = stage.call("ec2", "DescribeSecurityGroupRules", SecurityGroupRuleIds=[rule])["SecurityGroupRules"]
    assert (shown["ReferencedGroupInfo"]["VpcId"], shown["ReferencedGroupInfo"]["PeeringStatus"]) == (VPC, "active")
    delete(stage, group)
    (shown,) = stage.call("ec2", "DescribeSecurityGroupRules", SecurityGroupRuleIds=[rule])["SecurityGroupRules"]
    assert shown["ReferencedGroupInfo"]["GroupId"] == group


def test_the_default_group_cannot_be_deleted(stage: Stage) -> None:
    refused("CannotDelete", lambda: delete(stage, stage.ec2.default_group(VPC).group_id))


def test_groups_are_found_by_whom_their_rules_name_in_both_directions(stage: Stage) -> None:
    balancer, service = made(stage, "alb"), made(stage, "web")
    let(stage, "Egress", balancer, to(service))
    let(stage, "Ingress", service, to(balancer))
    assert described(stage, ip_permission__group_id=balancer) == [service]
    assert described(stage, egress__ip_permission__group_id=service) == [balancer]
    assert described(stage, vpc_id=OTHER) == [stage.ec2.default_group(OTHER).group_id]
    assert described(stage, group_name="al*") == [balancer]


def test_rules_cannot_be_found_by_the_group_that_they_name(stage: Stage) -> None:
    group = made(stage, "web")
    filters = [{"Name": "referenced-group-info.group-id", "Values": [group]}]
    with pytest.raises(Unmodelled, match="referenced-group-info"):
        stage.call("ec2", "DescribeSecurityGroupRules", Filters=filters)
    found = stage.call("ec2", "DescribeSecurityGroupRules", Filters=[{"Name": "group-id", "Values": [group]}])
    (shown,) = found["SecurityGroupRules"]
    assert (shown["IsEgress"], shown["IpProtocol"], shown["FromPort"]) == (True, "-1", -1)


def test_a_rule_that_is_there_is_not_added_again_and_none_of_its_request_is(stage: Stage) -> None:
    group = made(stage, "web")
    let(stage, "Ingress", group, world())
    refused(
        "InvalidPermission.Duplicate", lambda: let(stage, "Ingress", group, world(81), world()), "TCP, from port: 80"
    )
    assert len(stage.ec2.security_group(group).of(egress=False)) == 1


def test_a_group_has_at_most_60_rules_each_way(stage: Stage) -> None:
    group = made(stage, "web")
    let(stage, "Ingress", group, *(world(port) for port in range(60)))
    refused("RulesPerSecurityGroupLimitExceeded", lambda: let(stage, "Ingress", group, world(60)))


def test_revoking_what_is_not_there_is_an_error_but_in_a_default_vpc(stage: Stage) -> None:
    group = made(stage, "web")

    def revoke() -> dict[str, Any]:
        return stage.call("ec2", "RevokeSecurityGroupIngress", GroupId=group, IpPermissions=[world()])

    refused("InvalidPermission.NotFound", revoke)
    stage.ec2.add_vpc(VPC, default=True)
    assert revoke()["UnknownIpPermissions"] == [world()]


def test_a_rule_is_revoked_by_its_properties_description_or_not(stage: Stage) -> None:
    group = made(stage, "web")
    described_rule = {**world(), "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}]}
    (rule,) = let(stage, "Ingress", group, described_rule)
    answer = stage.call("ec2", "RevokeSecurityGroupIngress", GroupId=group, IpPermissions=[world()])
    assert [one["SecurityGroupRuleId"] for one in answer["RevokedSecurityGroupRules"]] == [rule]


def test_a_rule_is_revoked_by_its_id_in_its_own_group_and_direction_only(stage: Stage) -> None:
    group, other = made(stage, "web"), made(stage, "api")
    (rule,) = let(stage, "Ingress", group, world())

    def revoke(way: str, where: str) -> None:
        stage.call("ec2", f"RevokeSecurityGroup{way}", GroupId=where, SecurityGroupRuleIds=[rule])

    refused("InvalidSecurityGroupRuleId.NotFound", lambda: revoke("Egress", group))
    refused("InvalidSecurityGroupRuleId.NotFound", lambda: revoke("Ingress", other))
    revoke("Ingress", group)
    refused("InvalidSecurityGroupRuleId.NotFound", lambda: revoke("Ingress", group))


def test_pages_have_5_to_1000_groups(stage: Stage) -> None:
    for number in range(7):
        made(stage, f"g{number}")
    refused("ParamValidationError", lambda: stage.call("ec2", "DescribeSecurityGroups", MaxResults=4))
    first = stage.call("ec2", "DescribeSecurityGroups", MaxResults=5)
    rest = stage.call("ec2", "DescribeSecurityGroups", MaxResults=5, NextToken=first["NextToken"])
    assert [len(first["SecurityGroups"]), len(rest["SecurityGroups"])] == [5, 4]
    assert "NextToken" not in rest


def test_groups_and_rules_have_tags(stage: Stage) -> None:
    group = made(stage, "web", AmazonECSManaged="true")
    assert described(stage, **{"tag:AmazonECSManaged": "true"}) == [group]
    stage.call("ec2", "DeleteTags", Resources=[group], Tags=[{"Key": "AmazonECSManaged"}])
    assert described(stage, **{"tag:AmazonECSManaged": "true"}) == []


# --- network interfaces ----------------------------------------------------------------------------------------------
def test_an_interface_of_a_user_is_deleted_when_it_is_not_in_use(stage: Stage) -> None:
    group = made(stage, "web")
    answer = stage.call("ec2", "CreateNetworkInterface", SubnetId="subnet-0", Groups=[group], Description="mine")
    interface = answer["NetworkInterface"]
    assert (interface["Status"], interface["RequesterManaged"]) == ("available", False)
    refused("DependencyViolation", lambda: delete(stage, group))
    stage.call("ec2", "DeleteNetworkInterface", NetworkInterfaceId=interface["NetworkInterfaceId"])
    delete(stage, group)


def test_an_interface_of_an_aws_service_is_not_for_users_to_change(stage: Stage) -> None:
    group = made(stage, "web")
    interface = stage.ec2.add_interface("subnet-0", [group], "ELB app/x", requester="amazon-elb")
    refused(
        "InvalidParameterValue",
        lambda: stage.call("ec2", "DeleteNetworkInterface", NetworkInterfaceId=interface),
        "currently in use",
    )
    other = made(stage, "api")
    change = {"NetworkInterfaceId": interface, "Groups": [other]}
    refused("AuthFailure", lambda: stage.call("ec2", "ModifyNetworkInterfaceAttribute", **change))


def test_interfaces_are_found_by_group_vpc_and_requester(stage: Stage) -> None:
    group = made(stage, "web")
    task = stage.ec2.add_interface("subnet-0", [group], "arn:aws:ecs:attachment/1", requester="ecs")
    stage.ec2.add_interface("subnet-b", [], "theirs")

    def found(name: str, value: str) -> list[str]:
        filters = [{"Name": name, "Values": [value]}]
        answer = stage.call("ec2", "DescribeNetworkInterfaces", Filters=filters)
        return [one["NetworkInterfaceId"] for one in answer["NetworkInterfaces"]]

    assert found("group-id", group) == [task]
    assert found("vpc-id", VPC) == [task]
    assert found("requester-managed", "true") == [task]
    assert found("description", "arn:aws:ecs:*") == [task]


def test_ids_and_pages_of_interfaces_exclude_each_other(stage: Stage) -> None:
    interface = stage.ec2.add_interface("subnet-0", [])
    refused(
        "InvalidParameterCombination",
        lambda: stage.call("ec2", "DescribeNetworkInterfaces", NetworkInterfaceIds=[interface], MaxResults=5),
    )
    refused(
        "InvalidNetworkInterfaceID.NotFound",
        lambda: stage.call("ec2", "DescribeNetworkInterfaces", NetworkInterfaceIds=["eni-00000000000000000"]),
    )


def test_an_interface_has_at_most_5_groups_of_its_own_vpc(stage: Stage) -> None:
    groups = [made(stage, f"g{number}") for number in range(6)]
    refused("SecurityGroupsPerInterfaceLimitExceeded", lambda: stage.ec2.add_interface("subnet-0", groups))
    refused("InvalidParameterValue", lambda: stage.ec2.add_interface("subnet-0", [made(stage, "x", OTHER)]))
    refused("InvalidGroup.NotFound", lambda: stage.ec2.add_interface("subnet-0", ["sg-00000000000000000"]))
    with pytest.raises(WorldError, match="subnet-none"):
        stage.ec2.add_interface("subnet-none", [])


def test_an_instance_has_an_interface_until_it_is_terminated(stage: Stage) -> None:
    stage.create_group(DesiredCapacity=1)
    stage.run(120)
    (interface,) = stage.call("ec2", "DescribeNetworkInterfaces")["NetworkInterfaces"]
    instance = interface["Attachment"]["InstanceId"]
    assert interface["Groups"] == [{"GroupId": stage.ec2.default_group(VPC).group_id, "GroupName": "default"}]
    stage.asg("UpdateAutoScalingGroup", DesiredCapacity=0)
    stage.call("ec2", "TerminateInstances", InstanceIds=[instance])
    stage.run(300)
    assert stage.call("ec2", "DescribeNetworkInterfaces")["NetworkInterfaces"] == []
