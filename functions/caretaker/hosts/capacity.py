"""What placement works on, made from a survey: tasks to place, hosts that stay, hosts that could be launched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from caretaker.hosts.model import Container, Definition, Group, Host, InstanceType, Service
from caretaker.hosts.view import View
from caretaker.placement.choose import Offer
from caretaker.placement.fit import ZONE, Board
from caretaker.placement.model import Candidate, Item, Resources

LAUNCH = "LaunchInstances"
SET_DESIRED = "SetDesiredCapacity"
# What Bottlerocket, the agent and the kernel keep of a host's memory when no host of the type shows it: a tenth, and at
# least 200 MiB. Measured hosts keep 4 to 10 %, so this errs on the side of one host more.
RESERVE_PERCENT, RESERVE_LEAST = 10, 200
LIVE = ("InService", "Pending", "Pending:Wait", "Pending:Proceed")
CAPABILITIES = ("com.amazonaws.ecs.capability.", "ecs.capability.", "ecs.os-", "ecs.cpu-architecture")


# --- tasks -----------------------------------------------------------------------------------------------------------


def item_for(view: View, service: Service, definition: Definition, key: str, provider: str = "") -> Item:
    """The task that ECS starts for a service, as placement sees it."""
    tcp, udp = _fixed_ports(definition)
    awsvpc = definition.network_mode == "awsvpc"
    zones = {view.survey.subnet_zones[name] for name in service.subnets if name in view.survey.subnet_zones}
    cpu, memory = demand(definition)
    return Item(
        key=key,
        group=service.group,
        cpu=cpu,
        memory=memory,
        tcp_ports=tcp,
        udp_ports=udp,
        gpus=sum(container.gpus for container in definition.containers),
        eni=awsvpc,
        zones=tuple(sorted(zones)) if awsvpc else None,
        provider=provider if service.providers else "",
        constraints=service.constraints + definition.constraints,
        strategies=service.strategies,
        requires=definition.requires,
    )


def demand(definition: Definition) -> tuple[int, int]:
    """(CPU units, MiB) that ECS reserves on EC2: the task's size if given, else the sum of the containers'.

    Of a container, memoryReservation counts if given, else memory (ECS API: `ContainerDefinition.memoryReservation`).
    """
    cpu = definition.cpu if definition.cpu is not None else sum(item.cpu for item in definition.containers)
    memory = definition.memory if definition.memory is not None else sum(map(_memory, definition.containers))
    return cpu, memory


def _memory(container: Container) -> int:
    return container.reservation if container.reservation is not None else container.memory or 0


def _fixed_ports(definition: Definition) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Host ports that a task claims: none in awsvpc mode, the containers' own in host mode, else the fixed ones."""
    if definition.network_mode == "awsvpc":
        return (), ()
    found: dict[str, set[int]] = {"tcp": set(), "udp": set()}
    for container in definition.containers:
        for port in container.ports:
            number = port.host or (port.container if definition.network_mode == "host" else 0)
            if number:
                found.setdefault(port.protocol, set()).add(number)
    return tuple(sorted(found["tcp"])), tuple(sorted(found["udp"]))


# --- hosts that stay -------------------------------------------------------------------------------------------------


def why_leaving(view: View, host: Host) -> str:
    """Why a host cannot be counted on to stay and take tasks, "" if it can."""
    if host.instance_id in view.batch:
        return "it is one of those that go"
    if not host.instance_id:
        return "it is no EC2 instance"
    if host.status != "ACTIVE":
        return f"it is {host.status}"
    if not host.agent_connected:
        return "its agent is disconnected"
    if host.claimed_by:
        return f"{host.claimed_by} is replacing it"
    group, member = view.memberships.get(host.instance_id, (None, None))
    if member is not None and member.lifecycle not in LIVE:
        return f"its group has it in {member.lifecycle}"
    if member is not None and not member.healthy:
        return "its group holds it for unhealthy and will replace it"
    return "its group is being deleted" if group is not None and group.deleting else ""


def board_of(view: View, staying: Iterable[Host]) -> Board:
    """The hosts that stay, with what runs there of the surveyed services."""
    placed: dict[str, dict[str, int]] = {}
    leaving: dict[str, dict[str, int]] = {}
    for task in view.survey.tasks:
        host = view.by_arn.get(task.host_arn)
        if host is None or task.stopped:  # one that is told to stop still has its place
            continue
        if host.instance_id in view.batch:
            by_zone = leaving.setdefault(task.group, {})
            by_zone[view.zone(host)] = by_zone.get(view.zone(host), 0) + 1
        else:
            groups = placed.setdefault(host.instance_id, {})
            groups[task.group] = groups.get(task.group, 0) + 1
    known = frozenset(view.services)
    candidates = (_candidate(view, host, placed.get(host.instance_id, {})) for host in staying)
    return Board(candidates, known, leaving)


def _candidate(view: View, host: Host, groups: dict[str, int]) -> Candidate:
    kind = view.type_of(host)
    used = host.running + host.pending if host.eni_tasks is None else host.eni_tasks
    return Candidate(
        id=host.instance_id,
        zone=view.zone(host),
        instance_type=view.type_name(host),
        provider=host.provider,
        free=host.remaining,
        enis=None if kind is None else max(0, _task_enis(kind) - used),
        attributes=host.attributes,
        groups=groups,
    )


def _task_enis(kind: InstanceType) -> int:
    """Interfaces for tasks: all but the host's own. Trunking gives more; how many no API says, so it is not counted."""
    return max(0, kind.enis - 1)


# --- hosts that could be launched ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Market:
    """Where hosts can be launched.

    Attributes:
        homes: per host of the batch, its offers in the order of preference.
        room: per group, how many hosts it may still launch.
        refused: per group that can launch none, why and what would help.
    """

    homes: tuple[tuple[Offer, ...], ...]
    room: dict[str, int]
    refused: tuple[str, ...]


def market_of(view: View) -> Market:
    """Every place to launch a host, ordered for each host of the batch."""
    refused = {name: reason for name, group in view.groups.items() if (reason := why_no_launch(group))}
    open_groups = [group for name, group in view.groups.items() if name not in refused]
    offers = {group.name: _offers(view, group) for group in open_groups}
    for group in open_groups:
        if not offers[group.name]:
            refused[group.name] = _unknown_type(group)
    zones = _Zones(view)
    homes = tuple(_home(view, instance, offers, zones) for instance in sorted(view.batch))
    room = {group.name: group.maximum - _size(group) for group in open_groups}
    return Market(homes, room, tuple(refused[name] for name in sorted(refused)))


def why_no_launch(group: Group) -> str:
    """Why a group can launch no host now, with the fix; "" if it can."""
    if group.deleting:
        return f"group {group.name} is being deleted"
    if "Launch" in group.suspended:
        return f"group {group.name} has its process Launch suspended: resume it"
    if group.weighted:
        return (
            f"group {group.name} counts its capacity in weighted units, so the number of hosts is not known: "
            "use weights of 1"
        )
    if _size(group) >= group.maximum:
        return f"group {group.name} is at its maximum of {group.maximum}: raise MaxSize to {_size(group) + 1}"
    return ""


def _size(group: Group) -> int:
    """Hosts that the group has or is about to have."""
    return max(group.desired, sum(1 for member in group.members if member.lifecycle in LIVE))


def _unknown_type(group: Group) -> str:
    types = ", ".join(group.instance_types) or "an unknown type"
    return f"group {group.name} launches {types}, whose size could not be read: nobody can say what fits on it"


def _offers(view: View, group: Group) -> list[Offer]:
    """One offer a zone, or one for the whole group where the call cannot choose the zone."""
    by_call = _why_no_call(group)
    zones = _zones_by_need(group)
    if not zones:
        return []
    if by_call:
        host = _new_host(view, group, zones[0], zones if len(zones) > 1 else ())
        reason = f"group {group.name}: {by_call}, so {SET_DESIRED} is used and the group chooses the zone"
        return [] if host is None else [Offer(group.name, "", SET_DESIRED, host.instance_type, host, reason)]
    found: list[Offer] = []
    for zone in zones:
        host = _new_host(view, group, zone, ())
        if host is not None:
            found.append(Offer(group.name, zone, LAUNCH, host.instance_type, host, f"group {group.name} in {zone}"))
    return found


def _why_no_call(group: Group) -> str:
    """Why LaunchInstances cannot be used (Auto Scaling user guide: "Launch instances synchronously")."""
    if group.warm_pool:
        return "it has a warm pool, which LaunchInstances does not work with"
    if group.launch == "mixed":
        return "it has a mixed instances policy, which LaunchInstances may not work with"
    return (
        "" if group.launch == "template" else "it has a launch configuration, LaunchInstances needs a launch template"
    )


def _zones_by_need(group: Group) -> tuple[str, ...]:
    """Its zones, that with the fewest hosts first, as Auto Scaling balances them."""
    count = _hosts_by_zone(group)
    return tuple(sorted(count, key=lambda zone: (count[zone], zone)))


def _hosts_by_zone(group: Group) -> dict[str, int]:
    count = dict.fromkeys(group.zones, 0)
    for member in group.members:
        if member.zone in count and member.lifecycle in LIVE:
            count[member.zone] += 1
    return count


def _new_host(view: View, group: Group, zone: str, zones: tuple[str, ...]) -> Candidate | None:
    """What a new host of the group would be like: the least of all types that it may launch, daemons taken off."""
    types = [view.types.get(name) for name in group.instance_types]
    if not types or None in types:
        return None
    sizes = [_size_of(view, kind) for kind in types if kind is not None]
    enis = [_task_enis(kind) for kind in types if kind is not None]
    type_names = group.instance_types
    attributes = _attributes(view, group)
    if len(type_names) == 1:
        attributes["ecs.instance-type"] = type_names[0]
    if not zones:
        attributes[ZONE] = zone
    host = Candidate(
        id=f"new-in-{group.name}",
        zone=zone,
        instance_type=type_names[0],
        provider=group.provider,
        free=Resources(
            cpu=min(size.cpu for size in sizes),
            memory=min(size.memory for size in sizes),
            tcp_ports=tuple(sorted({port for size in sizes for port in size.tcp_ports})),
            udp_ports=tuple(sorted({port for size in sizes for port in size.udp_ports})),
            gpus=min((size.gpus for size in sizes), key=len),
        ),
        enis=min(enis),
        attributes=attributes,
        zones=zones,
    )
    return _with_daemons(view, host)


def _size_of(view: View, kind: InstanceType) -> Resources:
    """What a host of this type registers: as the least of those that are there, else computed with a reserve."""
    alike = [host.registered for host in view.hosts.values() if view.type_name(host) == kind.name]
    alike = [item for item in alike if item.cpu and item.memory]
    if alike:
        least = min(alike, key=lambda item: (item.memory, item.cpu))
        return replace(least, cpu=min(item.cpu for item in alike), gpus=min((item.gpus for item in alike), key=len))
    reserve = max(RESERVE_LEAST, kind.memory * RESERVE_PERCENT // 100)
    gpus = tuple(f"gpu-{number}" for number in range(kind.gpus))
    return Resources(kind.vcpus * 1024, max(0, kind.memory - reserve), (22, 2375, 2376, 51678, 51679), (), gpus)


def _attributes(view: View, group: Group) -> dict[str, str]:
    """Attributes that a new host will have: what all hosts of the group share, else the cluster's capabilities."""
    own = view.hosts_of(group)
    hosts = own or list(view.hosts.values())
    shared = set.intersection(*(set(host.attributes.items()) for host in hosts)) if hosts else set()
    found = {name: value for name, value in shared if name not in (ZONE, "ecs.instance-type", "ecs.subnet-id")}
    if own:
        return found
    return {name: value for name, value in found.items() if name.startswith(CAPABILITIES)}


def _with_daemons(view: View, host: Candidate) -> Candidate:
    """The host after its daemon tasks, which ECS places first, have taken their share."""
    for service in view.daemons:
        definition = view.definition_for(service)
        if definition is None:
            continue
        item = item_for(view, service, definition, service.name)
        if Board([host]).unsuitable(replace(item, key=""), host):
            continue
        host = _minus(host, item)
    return host


def belongs(service: Service, definition: Definition | None, host: Host) -> bool:
    """Whether a daemon service wants a task on a host: a matter of its constraints alone, not of the room there.

    A daemon whose task definition is not known belongs everywhere.
    """
    if definition is None:
        return True
    kind = Item(
        "", service.group, constraints=service.constraints + definition.constraints, requires=definition.requires
    )
    place = Candidate(host.instance_id, host.zone, host.instance_type, attributes=host.attributes)
    return not Board([]).unsuitable(kind, place)


def _minus(host: Candidate, item: Item) -> Candidate:
    free = host.free
    left = Resources(
        cpu=free.cpu - item.cpu,
        memory=free.memory - item.memory,
        tcp_ports=tuple(sorted({*free.tcp_ports, *item.tcp_ports})),
        udp_ports=tuple(sorted({*free.udp_ports, *item.udp_ports})),
        gpus=free.gpus[: len(free.gpus) - item.gpus],
    )
    enis = host.enis if host.enis is None else host.enis - item.eni
    return replace(host, free=left, enis=enis, groups={**host.groups, item.group: 1})


class _Zones:
    """Hosts per zone of each group that rebalances its zones, as they will be with each choice for the batch so far."""

    def __init__(self, view: View) -> None:
        self.with_old: dict[str, dict[str, int]] = {}
        self.without: dict[str, dict[str, int]] = {}
        for group in view.groups.values():
            if "AZRebalance" not in group.suspended:
                count = _hosts_by_zone(group)
                self.with_old[group.name], self.without[group.name] = dict(count), dict(count)

    def leaves(self, group: str, zone: str) -> None:
        """A host of the batch goes."""
        if zone in self.without.get(group, {}):
            self.without[group][zone] -= 1

    def comes(self, group: str, zone: str) -> None:
        """A host is launched."""
        for counts in (self.with_old, self.without):
            if zone in counts.get(group, {}):
                counts[group][zone] += 1

    def uneven(self, group: str, zone: str) -> int:
        """By how much zones would differ too much, while the old host is still there and once it is gone.

        Auto Scaling ends hosts of the fullest zone that nobody has drained as soon as zones differ by two. That must
        not happen either when the work is undone and the launched host stays, since it carries tasks by then.
        """
        worst = 0
        for counts in (self.with_old, self.without):
            found = dict(counts.get(group, {}))
            if zone in found:
                found[zone] += 1
                worst = max(worst, max(found.values()) - min(found.values()) - 1)
        return worst


def _home(view: View, instance: str, offers: dict[str, list[Offer]], zones: _Zones) -> tuple[Offer, ...]:
    """Offers for one host that goes: its group and zone, its group's other zones, other groups (its zone first).

    Where a host more in its zone would have the group rebalance, another zone of its group comes first.
    """
    group, member = view.memberships.get(instance, (None, None))
    host = view.hosts.get(instance)
    zone = (view.zone(host) if host else "") or (member.zone if member else "")
    own = group.name if group else ""
    zones.leaves(own, zone)

    def rank(offer: Offer) -> tuple[bool, int, bool]:
        return (offer.group != own, zones.uneven(offer.group, offer.zone), offer.zone not in (zone, ""))

    every: Sequence[Offer] = [offer for name in sorted(offers) for offer in offers[name]]
    ranked = sorted(every, key=rank)
    if ranked:
        zones.comes(ranked[0].group, ranked[0].zone)
    return tuple(_why_here(offer, own, zone, instance) for offer in ranked)


def _why_here(offer: Offer, own: str, zone: str, instance: str) -> Offer:
    if offer.group != own:
        place = f"{offer.reason}: another group of the cluster that can take the tasks"
    elif offer.zone == zone:
        place = f"{offer.reason}: group and zone of {instance}"
    elif offer.zone:
        place = f"{offer.reason}: group of {instance}, another zone"
    else:
        place = offer.reason
    return replace(offer, reason=place)
