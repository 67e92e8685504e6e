"""Names in the parameters of a world's calls, and what they stand for at the moment of the call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twin.ecs.express.model import Express, group_id
from twin.ecs.model import Service
from twin.errors import WorldError
from twin.kernel.api import WORLD

if TYPE_CHECKING:
    from twin.world import World

_OF_EXPRESS: Mapping[str, Callable[[Express], str | None]] = {
    "target_group": lambda one: one.target_groups[0].arn,
    "alternate_target_group": lambda one: one.target_groups[1].arn,
    "rule": lambda one: one.rule.arn,
    "listener": lambda one: one.balancer.listener.arn,
    "load_balancer": lambda one: one.balancer.load_balancer.arn,
    "certificate": lambda one: one.certificate.arn,
    "alarm": lambda one: str(one.alarm.arn).partition(":alarm:")[2],
    "log_group": lambda one: one.log_group.facts["logGroupName"],
    "endpoint": lambda one: one.endpoint,
    "security_group": lambda one: group_id(one.security_group),
    "load_balancer_security_group": lambda one: one.balancer.group_id,
}
"""What there is of an Express service: ARNs; the names of its alarm and log group; the ids of security groups."""

_KINDS = (
    "execution",
    "host",
    "task",
    "service",
    "service_deployment",
    "task_definition",
    "vpc",
    "subnet",
    "private_subnet",
    "dns_name",
    "own",
    *_OF_EXPRESS,
)
_PLACEHOLDER = re.compile(rf"\{{({'|'.join(sorted(_KINDS, key=len, reverse=True))})(?::([^{{}}]+))?\}}")
_BALANCED = {"alternate_target_group": "alternate"}


_LONG = 100
"""Characters; AWS's models refuse what is too short, and no ARN or id is."""


def standing_in(value: Any) -> Any:
    """The value with something as long as an ARN for each of its names, to be checked before anything is built."""
    if isinstance(value, dict):
        return {name: standing_in(each) for name, each in value.items()}
    if isinstance(value, list):
        return [standing_in(each) for each in value]
    return _PLACEHOLDER.sub(lambda match: match[0].ljust(_LONG, "-"), value) if isinstance(value, str) else value


class Placeholders:
    """
    Args:
        execution: ARN of the execution that is meant by `{execution}`.
    """

    def __init__(self, world: World, execution: Callable[[], str | None] = lambda: None) -> None:
        self._world = world
        self._execution = execution

    def filled(self, value: Any, field: str) -> Any:
        """The value with what its names stand for; WorldError naming `field` for what is nothing now."""
        if isinstance(value, dict):
            return {name: self.filled(each, f"{field}.{name}") for name, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each, f"{field}[{index}]") for index, each in enumerate(value)]
        if isinstance(value, str):
            return _PLACEHOLDER.sub(lambda match: self._looked_up(match[1], match[2] or "", field), value)
        return value

    def _looked_up(self, kind: str, name: str, field: str) -> str:
        look: dict[str, Callable[[str], str | None]] = {
            "execution": lambda _: self._execution(),
            "host": self._host,
            "task": self._task,
            "service": self._service_arn,
            "service_deployment": self._service_deployment,
            "task_definition": self._task_definition,
            "vpc": lambda name: self._world.fleet.vpcs.get(name or "default"),
            "subnet": lambda name: self._world.fleet.subnet_named(name, public=True),
            "private_subnet": lambda name: self._world.fleet.subnet_named(name, public=False),
            "dns_name": self._dns_name,
            "own": self._world.fleet.own.get,
        }
        found = look[kind](name) if kind in look else self._reached(name, kind)
        if not found:
            raise WorldError(f"{field}: {{{kind}{':' + name if name else ''}}} is nothing in this world at that time")
        return found

    def _host(self, name: str) -> str | None:
        host = self._world.ecs.store.hosts_by_instance.get(name)
        return host.arn if host else None

    def _task(self, name: str) -> str | None:
        service, _, number = name.partition(":")
        position = int(number) if number.isdigit() else 1
        found = [
            task.arn
            for each in self._world.ecs.store.services.values()
            if each.name == service
            for task in each.tasks.values()
            if task.last_status == "RUNNING" and task.desired_status == "RUNNING"
        ]
        return found[position - 1] if 0 < position <= len(found) else None

    # --- services ----------------------------------------------------------------------------------------------------
    def _service(self, name: str) -> Service | None:
        """By `name` or `cluster/name`."""
        services = self._world.ecs.store.services.values()
        return next((one for one in services if name in (one.name, f"{one.cluster.name}/{one.name}")), None)

    def _service_arn(self, name: str) -> str | None:
        service = self._service(name)
        return service.arn if service is not None else None

    def _service_deployment(self, name: str) -> str | None:
        """The ARN of the newest deployment of a service."""
        service = self._service(name)
        return service.history[-1].arn if service is not None and service.history else None

    def _task_definition(self, name: str) -> str | None:
        """The ARN of what a service's newest deployment runs."""
        service = self._service(name)
        return service.deployments[0].definition.arn if service is not None and service.deployments else None

    def _reached(self, name: str, kind: str) -> str | None:
        """One of the things that a service is reached through, or that ECS made for it."""
        service = self._service(name)
        if service is not None and service.express is not None:
            return _OF_EXPRESS[kind](service.express)
        balanced = self._world.fleet.balanced
        found = [one for key, one in balanced.items() if name in (key, key.partition("/")[2])]
        return getattr(found[0], _BALANCED.get(kind, kind), None) if found else None

    def _dns_name(self, name: str) -> str | None:
        """Of the load balancer that a service is reached through."""
        arn = self._reached(name, "load_balancer")
        if arn is None:
            return None
        found = self._world.gateway.call("elbv2", "DescribeLoadBalancers", {"LoadBalancerArns": [arn]}, WORLD)
        return str(found["LoadBalancers"][0]["DNSName"])
