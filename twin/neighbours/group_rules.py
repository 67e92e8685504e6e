"""Security groups and their rules as data: read from IpPermissions, and shown as the EC2 API shows them.

Source: EC2 API (SecurityGroup, SecurityGroupRule, IpPermission, UserIdGroupPair); VPC user guide, "Security group
rules".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.neighbours.common import only, tag_list

_NUMBERS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
_RANGES = (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"))


@dataclass(frozen=True, order=True)
class Terms:
    """What a rule allows: protocol, ports (ICMP: type and code; None for all protocols), and one peer.

    Attributes:
        kind: of the peer: `CidrIp`, `CidrIpv6` or `GroupId`.
        peer: its address range, or the id of the security group.
    """

    protocol: str
    from_port: int | None
    to_port: int | None
    kind: str
    peer: str

    def words(self) -> str:
        """As EC2 names a rule in its errors."""
        ports = "ALL" if self.protocol == "-1" else self.protocol.upper()
        if self.from_port is not None:
            ports += f", from port: {self.from_port}, to port: {self.to_port}"
        return f"peer: {self.peer}, {ports}, ALLOW"


@dataclass
class GroupRule:
    """One rule of a security group."""

    rule_id: str
    number: int
    group_id: str
    egress: bool
    terms: Terms
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def referenced(self) -> str | None:
        """The id of the security group that it names."""
        return self.terms.peer if self.terms.kind == "GroupId" else None


@dataclass
class SecurityGroup:
    """A security group. `rules` by id, oldest first; `number` is its place in the order of creation."""

    group_id: str
    number: int
    name: str
    description: str
    vpc_id: str
    tags: dict[str, str] = field(default_factory=dict)
    rules: dict[str, GroupRule] = field(default_factory=dict)

    def of(self, egress: bool) -> list[GroupRule]:
        return [rule for rule in self.rules.values() if rule.egress == egress]


# --- in --------------------------------------------------------------------------------------------------------------
def read(permissions: Iterable[Mapping[str, Any]], where: str) -> list[tuple[Terms, str]]:
    """The rules that IpPermissions stand for, one for each peer, with their descriptions."""
    found = [pair for permission in permissions for pair in _read_one(permission, where)]
    if not found:
        raise AwsError("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
    return found


def _read_one(permission: Mapping[str, Any], where: str) -> Iterator[tuple[Terms, str]]:
    allowed = {"IpProtocol", "FromPort", "ToPort", "UserIdGroupPairs", "IpRanges", "Ipv6Ranges", "PrefixListIds"}
    only(permission, allowed, f"{where}.IpPermissions")
    if permission.get("PrefixListIds"):
        raise Unmodelled(f"{where}: prefix lists are not modelled")
    protocol, first, last = _ports(permission)
    for member, value in _RANGES:
        for one in permission.get(member, []):
            yield Terms(protocol, first, last, value, one[value]), one.get("Description", "")
    for pair in permission.get("UserIdGroupPairs", []):
        only(pair, {"GroupId", "UserId", "Description", "VpcId", "PeeringStatus"}, f"{where}.UserIdGroupPairs")
        if "GroupId" not in pair:
            raise AwsError("MissingParameter", "The request must contain the parameter groupId")
        yield Terms(protocol, first, last, "GroupId", pair["GroupId"]), pair.get("Description", "")


def _ports(permission: Mapping[str, Any]) -> tuple[str, int | None, int | None]:
    given = str(permission.get("IpProtocol", ""))
    protocol = _NUMBERS.get(given.lower(), given.lower())
    if protocol == "-1":
        return protocol, None, None
    if protocol not in ("tcp", "udp", "icmp", "icmpv6"):
        raise Unmodelled(f"ec2: security group rules of protocol {given!r} are not modelled")
    first, last = permission.get("FromPort"), permission.get("ToPort")
    if first is None or last is None:
        raise AwsError(
            "InvalidParameterValue", f"Invalid value 'Must specify both from and to ports with {protocol.upper()}.'"
        )
    if protocol in ("tcp", "udp") and not 0 <= first <= last <= 65_535:
        raise AwsError("InvalidParameterValue", f"Invalid value '{first}-{last}' for portRange.")
    return protocol, first, last


# --- out -------------------------------------------------------------------------------------------------------------
Peer = Callable[[GroupRule], Mapping[str, str]]
"""What is shown of a group that a rule names, beside its id and its owner: of a peered VPC's, VPC and peering."""


def permissions_view(rules: Iterable[GroupRule], owner: str, peer: Peer) -> list[dict[str, Any]]:
    """Rules in the form of IpPermissions: those of the same protocol and ports together."""
    found: dict[tuple[str, int | None, int | None], dict[str, Any]] = {}
    for rule in rules:
        terms = rule.terms
        shown = found.get((terms.protocol, terms.from_port, terms.to_port))
        if shown is None:
            shown = {"IpProtocol": terms.protocol, "UserIdGroupPairs": [], "IpRanges": [], "Ipv6Ranges": []}
            shown["PrefixListIds"] = []
            if terms.from_port is not None:
                shown |= {"FromPort": terms.from_port, "ToPort": terms.to_port}
            found[terms.protocol, terms.from_port, terms.to_port] = shown
        text = {"Description": rule.description} if rule.description else {}
        if terms.kind == "GroupId":
            shown["UserIdGroupPairs"].append({"GroupId": terms.peer, "UserId": owner, **peer(rule), **text})
        else:
            shown["IpRanges" if terms.kind == "CidrIp" else "Ipv6Ranges"].append({terms.kind: terms.peer, **text})
    return list(found.values())


def rule_view(rule: GroupRule, owner: str, arn: str, peer: Peer) -> dict[str, Any]:
    """As DescribeSecurityGroupRules shows it."""
    shown = _rule_members(rule)
    shown |= {"GroupOwnerId": owner, "SecurityGroupRuleArn": arn, "Tags": tag_list(rule.tags)}
    if rule.referenced:
        shown["ReferencedGroupInfo"] = {"GroupId": rule.referenced, "UserId": owner, **peer(rule)}
    return shown


def revoked_view(rule: GroupRule) -> dict[str, Any]:
    """As the answer to a revocation shows it."""
    shown = _rule_members(rule)
    if rule.referenced:
        shown["ReferencedGroupId"] = rule.referenced
    return shown


def _rule_members(rule: GroupRule) -> dict[str, Any]:
    terms = rule.terms
    shown: dict[str, Any] = {
        "SecurityGroupRuleId": rule.rule_id,
        "GroupId": rule.group_id,
        "IsEgress": rule.egress,
        "IpProtocol": terms.protocol,
        "FromPort": -1 if terms.from_port is None else terms.from_port,
        "ToPort": -1 if terms.to_port is None else terms.to_port,
    }
    if terms.kind != "GroupId":
        shown["CidrIpv4" if terms.kind == "CidrIp" else "CidrIpv6"] = terms.peer
    if rule.description:
        shown["Description"] = rule.description
    return shown
