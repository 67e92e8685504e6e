"""What people have put around a resource, or said of it: read from the twin's own state, for the judge of sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twin.world import World

KEEP = "caretaker:keep"
MANAGED = "AmazonECSManaged"
_TAGGED = ("elasticloadbalancing", "acm", "ec2", "cloudwatch", "logs")
"""Services whose resources of Express Mode carry ECS's tag as long as they are ECS's to delete."""


class People:
    """Of one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def wishes(self, arn: str) -> Iterator[str]:
        """Why somebody wants that a resource stays, though nothing refers to it. The resource is there."""
        api = arn.split(":")[2]
        look = self._world.gateway.iam.names.tag_sources.get(api)
        tags: Mapping[str, str] = look(arn) if look is not None else {}
        if KEEP in tags:
            yield f"it has the tag {KEEP}"
        if api in _TAGGED and MANAGED not in tags and not _of_auto_scaling(arn):
            yield f"somebody took the tag {MANAGED} off it"
        physical = {arn, arn.rpartition("/")[2], arn.rpartition(":")[2]}
        for stack in self._world.stacks.made.values():
            if stack.status != "DELETE_COMPLETE":
                owned = (one for one in stack.resources if one.there and one.physical_id in physical)
                yield from (f"stack {stack.name} owns it as {one.logical_id}" for one in owned)

    def before(self, balancer: Any) -> Iterator[str]:
        """What leads to a load balancer, or is on it."""
        account = self._world.account
        if balancer.attributes.get("deletion_protection.enabled") == "true":
            yield "it is protected against deletion"
        for acl in account.wafv2.acls.values():
            if balancer.arn in acl.resources:
                yield f"web ACL {acl.name} is on it"
        host = self._world.elbv2.dns_name(balancer).lower()
        for zone in account.route53.zones.values():
            for record in zone.records.values():
                if host in repr(record).lower():
                    yield f"record set {record['Name']} leads to it"

    def runs(self, name: str) -> Iterator[str]:
        """Rules and schedules that run tasks with a security group, a task definition or a cluster of this name."""
        for rule_name, rule in self._world.bus.foreign.items():
            if _said(rule.targets, name):
                yield f"rule {rule_name} runs tasks with it"
        for schedule_name, schedule in self._world.account.scheduler.schedules.items():
            if _said(schedule["Target"], name):
                yield f"schedule {schedule_name} runs tasks with it"


def _said(target: Any, name: str) -> bool:
    """Whether a target names it, as a whole or as the end of an ARN."""
    if isinstance(target, Mapping):
        return any(_said(each, name) for each in target.values())
    if isinstance(target, list | tuple):
        return any(_said(each, name) for each in target)
    text = str(target)
    family = name.rpartition(":")[0]
    return text == name or text.endswith(f"/{name}") or bool(family and text.endswith(f"/{family}"))


def _of_auto_scaling(arn: str) -> bool:
    """Alarms that Application Auto Scaling made for a policy have no tags of ECS's."""
    return ":alarm:TargetTracking-" in arn
