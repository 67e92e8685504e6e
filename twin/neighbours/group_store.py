"""Every security group and its rules, and which groups rules name."""

from __future__ import annotations

import hashlib
from random import Random

from twin.kernel.kernel import Kernel
from twin.neighbours.common import hex_id
from twin.neighbours.group_rules import GroupRule, SecurityGroup, Terms

DEFAULT = "default"
"""Name of a VPC's first group."""
_EVERYWHERE = Terms("-1", None, None, "CidrIp", "0.0.0.0/0")


class SecurityGroupStore:
    """Every security group and its rules, found by id, by name and by the group that a rule names.

    Attributes:
        groups: by id, oldest first.
        rules: by id, oldest first.
        default_vpcs: ids of the VPCs whose subnets are default subnets: there, revoking what is not there is no error.
        peerings: pairs of VPCs whose groups may name each other's.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.groups: dict[str, SecurityGroup] = {}
        self.rules: dict[str, GroupRule] = {}
        self.default_vpcs: set[str] = set()
        self.peerings: set[frozenset[str]] = set()
        self._named: dict[tuple[str, str], SecurityGroup] = {}
        self._references: dict[str, dict[str, GroupRule]] = {}
        self._ids: Random = kernel.rng("ec2/security-groups")
        self._made = 0

    def named(self, vpc_id: str, name: str) -> SecurityGroup | None:
        """The group of that name in the VPC (names are case-insensitive)."""
        return self._named.get((vpc_id, name.lower()))

    def has_vpc(self, vpc_id: str) -> bool:
        return (vpc_id, DEFAULT) in self._named

    def references_to(self, group_id: str) -> list[GroupRule]:
        """The rules that name the group, its own too; oldest first."""
        return list(self._references.get(group_id, {}).values())

    def reach(self, first: str, second: str) -> bool:
        """Whether groups of one VPC can be named in rules of the other."""
        return first == second or frozenset((first, second)) in self.peerings

    def peering(self, first: str, second: str) -> dict[str, str]:
        """The peering connection of two VPCs."""
        pair = sorted((first, second))
        digits = hashlib.sha256("/".join(pair).encode()).hexdigest()[:17]
        return {"VpcPeeringConnectionId": f"pcx-{digits}"}

    def _number(self) -> int:
        self._made += 1
        return self._made

    def add(
        self, vpc_id: str, name: str, description: str, tags: dict[str, str], group_id: str | None = None
    ) -> SecurityGroup:
        """A group that lets everything out and nothing in, as every new one does."""
        group = SecurityGroup(
            group_id or hex_id(self._ids, "sg-"), self._number(), name, description, vpc_id, dict(tags)
        )
        self.groups[group.group_id] = self._named[vpc_id, name.lower()] = group
        self.allow(group, True, _EVERYWHERE)
        return group

    def remove(self, group: SecurityGroup) -> None:
        for rule in list(group.rules.values()):
            self.revoke(rule)
        del self.groups[group.group_id], self._named[group.vpc_id, group.name.lower()]

    def allow(
        self,
        group: SecurityGroup,
        egress: bool,
        terms: Terms,
        description: str = "",
        tags: dict[str, str] | None = None,
    ) -> GroupRule:
        rule = GroupRule(
            hex_id(self._ids, "sgr-"), self._number(), group.group_id, egress, terms, description, dict(tags or {})
        )
        group.rules[rule.rule_id] = self.rules[rule.rule_id] = rule
        if rule.referenced:
            self._references.setdefault(rule.referenced, {})[rule.rule_id] = rule
        return rule

    def revoke(self, rule: GroupRule) -> None:
        del self.groups[rule.group_id].rules[rule.rule_id], self.rules[rule.rule_id]
        if rule.referenced:
            self._references[rule.referenced].pop(rule.rule_id)
