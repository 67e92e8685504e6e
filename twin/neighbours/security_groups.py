"""Security groups, as the EC2 API knows them, and what holds them.

Source: EC2 API (CreateSecurityGroup, DescribeSecurityGroups, DescribeSecurityGroupRules,
AuthorizeSecurityGroupIngress/Egress, RevokeSecurityGroupIngress/Egress, DeleteSecurityGroup, "Error codes for the
Amazon EC2 API": DependencyViolation, CannotDelete, InvalidGroup.*, InvalidPermission.*); Amazon VPC user guide,
"Amazon VPC quotas" (2,500 groups a Region, 60 rules each way, 5 groups an interface).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twin.errors import AwsError, WorldError
from twin.kernel.api import Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import FilterValues, filtered, page, plain_values, tag_list
from twin.neighbours.ec2_requests import BAD_TOKEN, check_id, given_tags, limit
from twin.neighbours.group_rules import (
    GroupRule,
    SecurityGroup,
    Terms,
    permissions_view,
    read,
    revoked_view,
    rule_view,
)
from twin.neighbours.group_store import DEFAULT, SecurityGroupStore

GROUPS_PER_REGION = 2_500
RULES_EACH_WAY = 60


class SecurityGroupOperations:
    """The part of the EC2 API about security groups.

    Attributes:
        security_groups: the store.
        group_holders: functions from a group's id to words for what is associated with it, e.g. network interfaces.
    """

    kernel: Kernel
    security_groups: SecurityGroupStore
    group_holders: list[Callable[[str], Iterable[str]]]

    # --- for the world and for the twin's other services --------------------------------------------------------------
    def add_vpc(self, vpc_id: str, *, default: bool = False) -> None:
        """A VPC with its default security group; nothing happens if it is known."""
        store = self.security_groups
        if not store.has_vpc(vpc_id):
            group = store.add(vpc_id, DEFAULT, "default VPC security group", {})
            store.allow(group, False, Terms("-1", None, None, "GroupId", group.group_id))
        if default:
            store.default_vpcs.add(vpc_id)

    def peer(self, first: str, second: str) -> None:
        """An active peering connection of two VPCs: rules of one may name groups of the other."""
        for vpc_id in (first, second):
            if not self.security_groups.has_vpc(vpc_id):
                raise WorldError(f"peering: VPC {vpc_id!r} is not in the world")
        self.security_groups.peerings.add(frozenset((first, second)))

    def add_security_group(self, group_id: str, vpc_id: str, name: str, description: str = "world's") -> SecurityGroup:
        """A group whose id the world chooses. WorldError for one that is given twice."""
        if group_id in self.security_groups.groups or self.security_groups.named(vpc_id, name):
            raise WorldError(f"security group {group_id!r} ({name}) is given twice")
        self.add_vpc(vpc_id)
        return self.security_groups.add(vpc_id, name, description, {}, group_id)

    def default_group(self, vpc_id: str) -> SecurityGroup:
        """The default security group of a VPC of the world."""
        found = self.security_groups.named(vpc_id, DEFAULT)
        if found is None:
            raise WorldError(f"VPC {vpc_id!r} is not in the world")
        return found

    def security_group(self, group_id: str) -> SecurityGroup:
        """The group; AwsError as EC2 answers if there is none."""
        check_id(group_id, "sg")
        found = self.security_groups.groups.get(group_id)
        if found is None:
            raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        return found

    # --- groups -------------------------------------------------------------------------------------------------------
    @operation("CreateSecurityGroup", ("GroupName", "Description", "VpcId", "TagSpecifications"))
    def create_security_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        store, name = self.security_groups, params["GroupName"]
        vpc_id = params.get("VpcId") or next(iter(sorted(store.default_vpcs)), None)
        if vpc_id is None:
            raise AwsError("VPCIdNotSpecified", "No default VPC for this user")
        if not store.has_vpc(vpc_id):
            raise AwsError("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
        if not 1 <= len(name) <= 255 or name.startswith("sg-") or name.lower() == DEFAULT:
            raise AwsError("InvalidParameterValue", f"Invalid value '{name}' for groupName.")
        if not 1 <= len(params["Description"]) <= 255:
            raise AwsError("InvalidParameterValue", "Invalid value for groupDescription: at most 255 characters.")
        if store.named(vpc_id, name):
            raise AwsError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'")
        if len(store.groups) >= GROUPS_PER_REGION:
            raise AwsError("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
        group = store.add(vpc_id, name, params["Description"], given_tags(params, "security-group"))
        return {
            "GroupId": group.group_id,
            "SecurityGroupArn": self._group_arn(group.group_id),
            "Tags": tag_list(group.tags),
        }

    @operation("DescribeSecurityGroups", ("GroupIds", "Filters", "MaxResults", "NextToken"))
    def describe_security_groups(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        ids, most = params.get("GroupIds"), limit(params, None)
        found = [self.security_group(one) for one in dict.fromkeys(ids)] if ids else self._groups_for(params)
        found.sort(key=lambda one: one.number)
        found = filtered(
            found, params.get("Filters", []), self._group_filters(), lambda one: one.tags, "ec2:DescribeSecurityGroups"
        )
        shown, token = page(found, params.get("NextToken"), most, lambda one: one.number, BAD_TOKEN)
        return {"SecurityGroups": [self._group_view(one) for one in shown]} | ({"NextToken": token} if token else {})

    def _groups_for(self, params: Mapping[str, Any]) -> list[SecurityGroup]:
        """All that may meet the filters."""
        store, filters = self.security_groups, params.get("Filters", [])
        for prefix in ("ip-permission", "egress.ip-permission"):
            named = plain_values(filters, f"{prefix}.group-id")
            if named is not None:
                rules = [rule for one in named for rule in store.references_to(one)]
                return [store.groups[one] for one in dict.fromkeys(rule.group_id for rule in rules)]
        wanted = plain_values(filters, "group-id")
        if wanted is not None:
            return [store.groups[one] for one in wanted if one in store.groups]
        return list(store.groups.values())

    def _group_filters(self) -> dict[str, FilterValues[SecurityGroup]]:
        known: dict[str, FilterValues[SecurityGroup]] = {
            "description": lambda one: [one.description],
            "group-id": lambda one: [one.group_id],
            "group-name": lambda one: [one.name],
            "owner-id": lambda one: [self.kernel.account],
            "vpc-id": lambda one: [one.vpc_id],
        }
        for prefix, egress in (("ip-permission", False), ("egress.ip-permission", True)):
            known |= _rule_filters(prefix, egress)
        return known

    def _group_view(self, group: SecurityGroup) -> dict[str, Any]:
        owner = self.kernel.account
        return {
            "GroupId": group.group_id,
            "GroupName": group.name,
            "Description": group.description,
            "OwnerId": owner,
            "VpcId": group.vpc_id,
            "SecurityGroupArn": self._group_arn(group.group_id),
            "IpPermissions": permissions_view(group.of(False), owner, self._peer),
            "IpPermissionsEgress": permissions_view(group.of(True), owner, self._peer),
            "Tags": tag_list(group.tags),
        }

    @operation("DeleteSecurityGroup", ("GroupId",))
    def delete_security_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """DependencyViolation while an interface has it, or a rule of another group *of the same VPC* names it. Rules
        of groups in peered VPCs do not hold it: they become stale. Its own rules that name it do not either."""
        if "GroupId" not in params:
            raise AwsError("MissingParameter", "The request must contain the parameter groupName or groupId")
        group = self.security_group(params["GroupId"])
        if group.name == DEFAULT:
            raise AwsError(
                "CannotDelete",
                f'the specified group: "{group.group_id}" name: "{group.name}" cannot be deleted by a user',
            )
        store = self.security_groups
        named = any(
            rule.group_id != group.group_id and store.groups[rule.group_id].vpc_id == group.vpc_id
            for rule in store.references_to(group.group_id)
        )
        if named or any(words for holder in self.group_holders for words in holder(group.group_id)):
            raise AwsError("DependencyViolation", f"resource {group.group_id} has a dependent object")
        store.remove(group)
        return {"Return": True, "GroupId": group.group_id}

    # --- rules --------------------------------------------------------------------------------------------------------
    @operation("DescribeSecurityGroupRules", ("SecurityGroupRuleIds", "Filters", "MaxResults", "NextToken"))
    def describe_security_group_rules(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """No filter finds rules by the group that they name."""
        ids, most = params.get("SecurityGroupRuleIds"), limit(params, None)
        rules = self.security_groups.rules
        found = [self._rule(one) for one in dict.fromkeys(ids)] if ids else list(rules.values())
        found.sort(key=lambda one: one.number)
        known: dict[str, FilterValues[GroupRule]] = {
            "group-id": lambda one: [one.group_id],
            "security-group-rule-id": lambda one: [one.rule_id],
        }
        filters = params.get("Filters", [])
        found = filtered(found, filters, known, lambda one: one.tags, "ec2:DescribeSecurityGroupRules")
        shown, token = page(found, params.get("NextToken"), most, lambda one: one.number, BAD_TOKEN)
        views = [self._rule_view(one) for one in shown]
        return {"SecurityGroupRules": views} | ({"NextToken": token} if token else {})

    def _rule(self, rule_id: str) -> GroupRule:
        check_id(rule_id, "sgr")
        found = self.security_groups.rules.get(rule_id)
        if found is None:
            raise AwsError(
                "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule_id}' does not exist"
            )
        return found

    @operation("AuthorizeSecurityGroupIngress", ("GroupId", "IpPermissions", "TagSpecifications"))
    def authorize_security_group_ingress(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return self._authorize(params, egress=False)

    @operation("AuthorizeSecurityGroupEgress", ("GroupId", "IpPermissions", "TagSpecifications"))
    def authorize_security_group_egress(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return self._authorize(params, egress=True)

    def _authorize(self, params: dict[str, Any], *, egress: bool) -> dict[str, Any]:
        """All rules of the request, or none."""
        group, store = self.security_group(params["GroupId"]), self.security_groups
        wanted = read(params.get("IpPermissions", []), "ec2:AuthorizeSecurityGroup")
        tags = given_tags(params, "security-group-rule")
        present = {rule.terms for rule in group.of(egress)}
        for terms, _ in wanted:
            if terms.kind == "GroupId":
                self._check_peer(group, terms.peer)
            if terms in present:
                raise AwsError("InvalidPermission.Duplicate", f'the specified rule "{terms.words()}" already exists')
            present.add(terms)
        if len(present) > RULES_EACH_WAY:
            raise AwsError(
                "RulesPerSecurityGroupLimitExceeded",
                f"The maximum number of rules per security group has been reached: {RULES_EACH_WAY}",
            )
        rules = [store.allow(group, egress, terms, words, tags) for terms, words in wanted]
        return {"Return": True, "SecurityGroupRules": [self._rule_view(rule) for rule in rules]}

    def _check_peer(self, group: SecurityGroup, peer_id: str) -> None:
        peer = self.security_group(peer_id)
        if not self.security_groups.reach(group.vpc_id, peer.vpc_id):
            raise AwsError(
                "InvalidGroup.NotFound",
                f"You have specified two resources that belong to different networks: {peer_id}",
            )

    @operation("RevokeSecurityGroupIngress", ("GroupId", "IpPermissions", "SecurityGroupRuleIds"))
    def revoke_security_group_ingress(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return self._revoke(params, egress=False)

    @operation("RevokeSecurityGroupEgress", ("GroupId", "IpPermissions", "SecurityGroupRuleIds"))
    def revoke_security_group_egress(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return self._revoke(params, egress=True)

    def _revoke(self, params: dict[str, Any], *, egress: bool) -> dict[str, Any]:
        """All rules of the request, or none; only in a default VPC those that are there, and the others are told."""
        if "GroupId" not in params:
            raise AwsError("MissingParameter", "The request must contain the parameter groupName or groupId")
        group = self.security_group(params["GroupId"])
        ids, permissions = params.get("SecurityGroupRuleIds"), params.get("IpPermissions")
        if ids and permissions:
            raise AwsError(
                "InvalidParameterCombination",
                "The parameter ipPermissions cannot be used with the parameter securityGroupRuleIds",
            )
        if ids:
            rules = [self._rule_of(group, egress, one) for one in dict.fromkeys(ids)]
            unknown: list[dict[str, Any]] = []
        else:
            rules, unknown = self._matching(group, egress, permissions or [])
        for rule in rules:
            self.security_groups.revoke(rule)
        answer: dict[str, Any] = {"Return": True, "RevokedSecurityGroupRules": [revoked_view(rule) for rule in rules]}
        return answer | ({"UnknownIpPermissions": unknown} if unknown else {})

    def _rule_of(self, group: SecurityGroup, egress: bool, rule_id: str) -> GroupRule:
        rule = self._rule(rule_id)
        if rule.group_id != group.group_id or rule.egress != egress:
            raise AwsError(
                "InvalidSecurityGroupRuleId.NotFound",
                f"The security group rule ID '{rule_id}' does not exist in this security group",
            )
        return rule

    def _matching(
        self, group: SecurityGroup, egress: bool, permissions: list[dict[str, Any]]
    ) -> tuple[list[GroupRule], list[dict[str, Any]]]:
        present = {rule.terms: rule for rule in group.of(egress)}
        rules: dict[str, GroupRule] = {}
        unknown: list[dict[str, Any]] = []
        for permission in permissions:
            pairs = read([permission], "ec2:RevokeSecurityGroup")
            if all(terms in present for terms, _ in pairs):
                rules |= {present[terms].rule_id: present[terms] for terms, _ in pairs}
            elif group.vpc_id in self.security_groups.default_vpcs:
                unknown.append(permission)
            else:
                raise AwsError(
                    "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
                )
        if not permissions:
            read(permissions, "ec2:RevokeSecurityGroup")
        return list(rules.values()), unknown

    # --- shown --------------------------------------------------------------------------------------------------------
    def _group_arn(self, group_id: str) -> str:
        return self.kernel.arn("ec2", f"security-group/{group_id}")

    def _rule_view(self, rule: GroupRule) -> dict[str, Any]:
        arn = self.kernel.arn("ec2", f"security-group-rule/{rule.rule_id}")
        return rule_view(rule, self.kernel.account, arn, self._peer)

    def _peer(self, rule: GroupRule) -> Mapping[str, str]:
        store = self.security_groups
        named, own = store.groups.get(rule.referenced or ""), store.groups[rule.group_id].vpc_id
        if named is None or named.vpc_id == own:
            return {}
        return {"VpcId": named.vpc_id, "PeeringStatus": "active", **store.peering(own, named.vpc_id)}


def _rule_filters(prefix: str, egress: bool) -> dict[str, FilterValues[SecurityGroup]]:
    """Filters on a group's rules of one direction; each is met by any of the rules."""

    def peers(kind: str) -> FilterValues[SecurityGroup]:
        return lambda group: [rule.terms.peer for rule in group.of(egress) if rule.terms.kind == kind]

    return {
        f"{prefix}.cidr": peers("CidrIp"),
        f"{prefix}.ipv6-cidr": peers("CidrIpv6"),
        f"{prefix}.group-id": peers("GroupId"),
        f"{prefix}.protocol": lambda group: [rule.terms.protocol for rule in group.of(egress)],
        f"{prefix}.from-port": lambda group: [str(rule.terms.from_port) for rule in group.of(egress)],
        f"{prefix}.to-port": lambda group: [str(rule.terms.to_port) for rule in group.of(egress)],
    }
