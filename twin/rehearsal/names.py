"""Whether the names that a world uses are defined in it: one problem in words, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from twin.rehearsal.express import families
from twin.rehearsal.reading import brief, nearest
from twin.rehearsal.release_spec import HookCallFault
from twin.rehearsal.spec import (
    AgentDisconnectsFault,
    AgentNeverConnectsFault,
    ApiErrorFault,
    InsufficientCapacityFault,
    LaunchFailsFault,
    Service,
    SlowPullFault,
    Task,
    TaskNeverHealthyFault,
    TaskStartFailsFault,
    WorldSpec,
)


def problems(spec: WorldSpec) -> Iterator[str]:
    """Every name used but not defined, or defined twice; each as `field: value reason`."""
    if not spec.groups and not (spec.services and all(service.express for service in spec.services)):
        yield "groups: a world needs at least one, unless all its services are Express services"
    yield from _twice("groups", "name", [group.name for group in spec.groups])
    yield from _twice("services", "name", service_keys(spec))
    yield from _twice("zones", "zone", spec.zones)
    yield from _twice("groups", "instance", [instance for group in spec.groups for instance in group.instances])
    yield from _zones(spec)
    yield from _owners(spec)
    yield from _tasks(spec)
    yield from _faults(spec)
    yield from _policy(spec)
    yield from _traffic(spec)
    yield from _account(spec)


def service_keys(spec: WorldSpec) -> list[str]:
    """`cluster/service` of every service, copies included."""
    return [f"{spec.cluster_of(service)}/{name}" for service in spec.services for name in service.names]


def provider_names(spec: WorldSpec) -> list[str]:
    return [group.capacity_provider.name or group.name for group in spec.groups if group.capacity_provider]


def instance_ids(spec: WorldSpec) -> list[str]:
    return [instance for group in spec.groups for instance in group.instances]


def _twice(field: str, what: str, names: Iterable[str]) -> Iterator[str]:
    for name, times in Counter(names).items():
        if times > 1:
            yield f"{field}: {what} {brief(name)} is given {times} times"


def _missing(field: str, value: str, known: Iterable[str], what: str) -> Iterator[str]:
    listed = list(known)
    if value not in listed:
        yield f"{field}: {brief(value)} is no {what} of this world{nearest(value, listed)}"


def _zones(spec: WorldSpec) -> Iterator[str]:
    for index, zone in enumerate(spec.zones):
        if not zone.startswith(spec.region):
            yield f"zones[{index}]: {brief(zone)} is not in the region {spec.region}"
    for index, group in enumerate(spec.groups):
        for place, zone in enumerate(group.zones):
            yield from _missing(f"groups[{index}].zones[{place}]", zone, spec.zones, "zone")


def _owners(spec: WorldSpec) -> Iterator[str]:
    hosted = {spec.cluster_of(group) for group in spec.groups}
    services = [(f"services[{i}]", each) for i, each in enumerate(spec.services)]
    owners: list[tuple[str, Service | Task]] = [(field, each) for field, each in services if not each.express]
    owners += [(f"tasks[{i}]", each) for i, each in enumerate(spec.tasks)]
    for field, owner in owners:
        yield from _missing(f"{field}.cluster", spec.cluster_of(owner), sorted(hosted), "cluster with a group")
    for index, service in enumerate(spec.services):
        for place, share in enumerate(service.capacity_provider_strategy):
            where = f"services[{index}].capacity_provider_strategy[{place}].capacity_provider"
            yield from _missing(where, share.capacity_provider, provider_names(spec), "capacity provider")


def _tasks(spec: WorldSpec) -> Iterator[str]:
    for index, task in enumerate(spec.tasks):
        if task.instance:
            yield from _missing(f"tasks[{index}].instance", task.instance, instance_ids(spec), "instance")
    for index, event in enumerate(spec.maintenance):
        yield from _missing(f"maintenance[{index}].instance", event.instance, instance_ids(spec), "instance")


def _faults(spec: WorldSpec) -> Iterator[str]:
    services = [name for service in spec.services for name in service.names]
    families = [task.family for task in spec.tasks]
    for index, fault in enumerate(spec.faults):
        field = f"faults[{index}]"
        if isinstance(fault, (TaskStartFailsFault, TaskNeverHealthyFault, SlowPullFault)) and fault.service:
            yield from _missing(f"{field}.service", fault.service, [*services, *families], "service")
        if isinstance(fault, HookCallFault) and fault.service:
            yield from _missing(f"{field}.service", fault.service, services, "service")
        if isinstance(fault, (AgentNeverConnectsFault, LaunchFailsFault)) and fault.group:
            yield from _missing(f"{field}.group", fault.group, [group.name for group in spec.groups], "group")
        if isinstance(fault, AgentDisconnectsFault):
            yield from _missing(f"{field}.instance", fault.instance, instance_ids(spec), "instance")
        if isinstance(fault, InsufficientCapacityFault) and fault.zone:
            yield from _missing(f"{field}.zone", fault.zone, spec.zones, "zone")
        if not isinstance(fault, ApiErrorFault) and getattr(fault, "until", None) is not None:
            yield from _backwards(field, fault.after, fault.until)  # type: ignore[union-attr]


def _backwards(field: str, after: float, until: float | None) -> Iterator[str]:
    if until is not None and until <= after:
        yield f"{field}.until: {until:g} is not later than after {after:g}"


def _traffic(spec: WorldSpec) -> Iterator[str]:
    if spec.traffic is None:
        return
    balanced = [
        f"{spec.cluster_of(service)}/{name}"
        for service in spec.services
        for name in service.names
        if service.load_balancer or service.express
    ]
    for index, requests in enumerate(spec.traffic.requests):
        key = f"{requests.cluster or spec.cluster}/{requests.service}"
        yield from _missing(f"traffic.requests[{index}].service", key, balanced, "service with a load_balancer")
    known = [family for service in spec.services for family in families(spec, service)]
    for index, behaviour in enumerate(spec.traffic.behaviours):
        field = f"traffic.behaviours[{index}]"
        family = behaviour.task_definition.partition(":")[0]
        if family != "*":
            yield from _missing(f"{field}.task_definition", family, known, "family of a service")
        yield from _backwards(field, behaviour.after, behaviour.until)
    for index, trouble in enumerate(spec.traffic.trouble):
        yield from _backwards(f"traffic.trouble[{index}]", trouble.after, trouble.until)


def _account(spec: WorldSpec) -> Iterator[str]:
    """VPCs, stacks, gateways, and what people made."""
    for what, given in (("vpcs", spec.vpcs), ("stacks", spec.stacks), ("gateways", spec.gateways)):
        yield from _twice(what, "name", [each if isinstance(each, str) else each.name for each in given])
    yield from _twice("own", "name", [each.name for each in spec.own if each.name])
    by_express = {name: service.express is not None for service in spec.services for name in service.names}
    of_stacks = [name for stack in spec.stacks for name in stack.services]
    yield from _twice("stacks", "service", of_stacks)
    for index, stack in enumerate(spec.stacks):
        known = [name for name, express in by_express.items() if express]
        for place, name in enumerate(stack.services):
            yield from _missing(f"stacks[{index}].services[{place}]", name, known, "Express service")
    for index, gateway in enumerate(spec.gateways):
        known = [name for name, express in by_express.items() if not express]
        for place, name in enumerate(gateway.services):
            yield from _missing(f"gateways[{index}].services[{place}]", name, known, "service beside Express Mode")
    for index, service in enumerate(spec.services):
        if service.express is not None and service.express.vpc is not None:
            yield from _missing(f"services[{index}].express.vpc", service.express.vpc, spec.vpcs, "VPC")


def _policy(spec: WorldSpec) -> Iterator[str]:
    for name in spec.policy.clusters:
        yield from _missing(f"policy.clusters.{name}", name, spec.clusters, "cluster")
    for key in spec.policy.services:
        yield from _missing(f"policy.services.{key}", key, service_keys(spec), "service (cluster/service)")
