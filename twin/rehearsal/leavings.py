"""What Express services that are deleted, or were, still have or have left: read from the twin's own state."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.ecs.express.model import Ingress, Managed
from twin.ecs.model import Service
from twin.kernel.api import Call
from twin.rehearsal.garbage_made import apart, ingresses, needs, over, path_of
from twin.rehearsal.garbage_truth import Truth

if TYPE_CHECKING:
    from twin.world import World

_ARN = re.compile(r"arn:aws:[^\s,]+")
_PARAMS = ("RuleArn", "TargetGroupArn", "LoadBalancerArn", "CertificateArn", "GroupId", "logGroupName", "ResourceId")
_ENDS = ("Delete", "Deregister")


@dataclass(frozen=True)
class Thing:
    """A resource of a service.

    Attributes:
        kind, name: for people.
        status: ECS's word while ECS has to do with it; `left` when ECS has done with it and it is there; `deleted`.
        reason: ECS's reason, who deleted it, or why it is no garbage.
        shared: ECS made it for all services of the VPC and scheme.
        holders: who has it besides, `cluster/name` of services first.
    """

    arn: str
    kind: str
    name: str
    status: str
    reason: str
    shared: bool
    holders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Leaving:
    """A service that ECS deletes or has deleted, or that an update has taken something from.

    Attributes:
        life: ECS's word for the service.
        done: ECS has deleted what it deletes.
    """

    service: str
    vpc: str
    life: str
    done: bool
    things: tuple[Thing, ...]


class Leavings:
    """Follows a world from its start on, to know who deleted what."""

    def __init__(self, world: World, truth: Truth) -> None:
        self._world = world
        self._truth = truth
        self._by: dict[str, str] = {}
        world.gateway.completed.append(self._completed)

    def _completed(self, call: Call, response: Any) -> None:
        if not call.operation.startswith(_ENDS):
            return
        who = "ECS" if call.caller.kind == "aws" else call.caller.name
        who = "Caretaker" if call.caller.kind == "function" else who
        for name in _PARAMS:
            if name in call.params:
                self._by[str(call.params[name])] = who
        for name in call.params.get("AlarmNames", ()):
            self._by[str(name)] = who

    def seen(self) -> list[Leaving]:
        """The services, in the order of their making."""
        found = []
        for service in self._truth.express:
            express = service.express
            assert express is not None
            replaced = [one for one in ingresses(service) if one.left]
            if express.deleting or over(service) or replaced:
                life = "INACTIVE" if over(service) else str(service.status)
                things = tuple(self._things(service, gone=express.deleting or over(service)))
                found.append(Leaving(path_of(service), express.balancer.vpc_id, life, over(service), things))
        return found

    def _things(self, service: Service, *, gone: bool) -> Iterator[Thing]:
        express = service.express
        assert express is not None
        for ingress in ingresses(service):
            if gone or ingress.left:
                yield self._own(service, ingress, "listener rule", ingress.rule)
                for group in ingress.target_groups:
                    yield self._own(service, ingress, "target group", group)
                yield self._own(service, ingress, "security group", ingress.security_group)
        if gone:
            kinds = {id(express.certificate): "certificate", id(express.log_group): "log group"}
            kinds |= {id(express.alarm): "alarm", id(express.scalable_target): "scalable target"}
            for one in apart(express):
                yield self._own(service, None, kinds.get(id(one), "scaling policy"), one)
        for ingress in ingresses(service):
            if gone or ingress.left:
                yield from self._shared(service, ingress)

    def _own(self, service: Service, ingress: Ingress | None, kind: str, one: Managed) -> Thing:
        express = service.express
        assert express is not None
        arn = str(one.arn or "")
        names = {"certificate": express.endpoint, "scalable target": f"service/{path_of(service)}"}
        name = names.get(kind) or name_of(arn)
        if not arn:
            return Thing("", kind, "never made", str(one.status), one.reason or "", False)
        if not self._there(arn, service):
            return Thing(arn, kind, name, "deleted", self._deleter(arn, service), False)
        if not over(service) and not (ingress is not None and ingress.left):
            return Thing(arn, kind, name, str(one.status), one.reason or "", False)
        why = self._held(arn)
        return Thing(arn, kind, name, "left", why, False, _others(why))

    def _shared(self, service: Service, ingress: Ingress) -> Iterator[Thing]:
        balancer = ingress.balancer
        users = tuple(
            path_of(other)
            for other in self._truth.express
            if any(one.balancer is balancer and needs(other, one) for one in ingresses(other)) and other is not service
        )
        pairs = (("load balancer", balancer.load_balancer), ("security group", balancer.security_group))
        for kind, one in pairs:
            arn = str(one.arn or "")
            if not arn:
                continue
            if not self._there(arn, service):
                yield Thing(arn, kind, name_of(arn), "deleted", self._deleter(arn, service), True)
            elif users:
                yield Thing(arn, kind, name_of(arn), "shared", "", True, users)
            elif not over(service):
                yield Thing(arn, kind, name_of(arn), str(one.status), one.reason or "", True)
            else:
                yield Thing(arn, kind, name_of(arn), "left", self._held(arn), True)

    # --- one resource ------------------------------------------------------------------------------------------------
    def _there(self, arn: str, service: Service) -> bool:
        account = self._world.account
        if ":log-group:" in arn:
            return any(account.logs.arn(name) == arn for name in account.logs.groups)
        if ":scalable-target/" in arn or ":scalingPolicy:" in arn:
            target = account.scaling.targets.get(f"service/{path_of(service)}")
            return target is not None and (
                target.arn == arn or any(each.arn == arn for each in target.policies.values())
            )
        return any(True for _ in self._truth.deletion(arn))

    def _held(self, arn: str) -> str:
        """Why it is no garbage; empty if it is."""
        call = next(iter(self._truth.deletion(arn)), None)
        why = next(iter(self._truth.why_not(*call)), "") if call is not None else ""
        return _ARN.sub(lambda found: name_of(found[0]), why)

    def _deleter(self, arn: str, service: Service) -> str:
        keys = (arn, name_of(arn), arn.rpartition(":alarm:")[2], f"service/{path_of(service)}")
        found = next((self._by[key] for key in keys if key in self._by), "")
        return f"by {found}" if found else ""


def _others(why: str) -> tuple[str, ...]:
    return (why,) if why else ()


_NAMES: tuple[tuple[str, Callable[[str], str]], ...] = (
    (":targetgroup/", lambda arn: arn.split("/")[-2]),
    (":loadbalancer/", lambda arn: arn.split("/")[-2]),
    (":alarm:", lambda arn: arn.partition(":alarm:")[2]),
    (":log-group:", lambda arn: arn.partition(":log-group:")[2]),
    (":scalingPolicy:", lambda arn: arn.rpartition("policyName/")[2]),
)


def name_of(arn: str) -> str:
    """What people call it."""
    for part, name in _NAMES:
        if part in arn:
            return name(arn)
    return arn.rpartition("/")[2]
