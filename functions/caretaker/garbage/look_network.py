"""What EC2 tells: security groups, their rules in both directions, and the network interfaces that are in them.

Groups of all VPCs are read, since a rule may name a group of a peered VPC; no API asks for rules by the group that they
name (EC2 API: DescribeSecurityGroupRules).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from caretaker.aws import ec2
from caretaker.aws.listing import Page
from caretaker.garbage.look import Look, tags_of, yes
from caretaker.garbage.model import Identity, Kind, Reference, Resource
from caretaker.garbage.sheet import Sheet, Task

Json = Mapping[str, Any]

# How ECS describes the group that it makes for an Express service: no proof, since anybody can write it, and a
# service's name is given again; it tells a person where to look.
_OF_ECS = re.compile(r"Security group for ECS service: (arn:\S+:service/\S+)")
# How ELB describes the interfaces that it makes (Elastic Load Balancing User Guide: Application Load Balancers).
_OF_ELB = re.compile(r"ELB ((?:app|net|gwy)/[^/]+/[0-9a-f]+)")


def opening(vpc: str) -> Iterator[Task]:
    """What is read first."""
    yield Task("security groups", (vpc,))
    yield Task("security group rules", (vpc,))
    yield Task("network interfaces", (vpc,), {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]})


def _groups(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        if item.get("VpcId") != sheet.vpc:
            continue
        facts = {"group_id": item["GroupId"], "default": yes(item.get("GroupName") == "default")}
        if made := _OF_ECS.fullmatch(item.get("Description", "")):
            facts["made_for"] = made.group(1)
        tags = tags_of(item.get("Tags"))
        arn = item["SecurityGroupArn"]
        group = Resource(Identity(arn), Kind.SECURITY_GROUP, sheet.vpc, item["GroupName"], tags, facts)
        sheet.found(group, item["GroupId"])


def _rules(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        named, group = (item.get("ReferencedGroupInfo") or {}).get("GroupId", ""), item["GroupId"]
        if not named or named == group:
            continue  # a range of addresses; or the group itself, which goes with it
        way = "egress" if item.get("IsEgress") else "ingress"
        how = f"{way} rule of {group} names it ({_traffic(item)})"
        rule = item["SecurityGroupRuleId"]
        sheet.refer(Reference(rule, Kind.SECURITY_GROUP_RULE, named, how, part_of=group, via=way))


def _traffic(rule: Json) -> str:
    protocol = rule.get("IpProtocol", "-1")
    if protocol == "-1":
        return "all traffic"
    first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
    return f"{protocol} {first}" if first == last else f"{protocol} {first}-{last}"


def _interfaces(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        interface, text = item["NetworkInterfaceId"], item.get("Description", "")
        of_elb = _OF_ELB.fullmatch(text) if item.get("RequesterManaged") else None
        balancer = f"loadbalancer/{of_elb.group(1)}" if of_elb else ""
        how = f"is in it: {text or 'without a description'}, {item.get('Status', 'unknown')}"
        for group in item.get("Groups", ()):
            sheet.refer(Reference(interface, Kind.NETWORK_INTERFACE, group["GroupId"], how, part_of=balancer))
        address = (item.get("Association") or {}).get("PublicIp")
        if balancer and address:
            sheet.interfaces[interface] = [balancer, address]


LOOKS = {
    "security groups": Look(ec2.DESCRIBE_SECURITY_GROUPS, _groups),
    "security group rules": Look(ec2.DESCRIBE_SECURITY_GROUP_RULES, _rules),
    "network interfaces": Look(ec2.DESCRIBE_NETWORK_INTERFACES, _interfaces),
}
