"""What AWS answers, gathered into the model: the survey for the plan, and the smaller looks of the waiting states.

A read that fails because AWS is busy fails the function, and the state machine tries again. A read that is refused, or
whose object is not there, becomes an entry of `Survey.unknown`: unknown is in use, and the plan says what that blocks.
Nothing here decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from caretaker.aws import autoscaling, ec2, ecs, elbv2
from caretaker.aws.errors import Denied, Invalid, Missing, Unsupported
from caretaker.aws.paging import Found
from caretaker.hosts.health import healthy_tasks
from caretaker.hosts.model import (
    DAEMON,
    Definition,
    Group,
    Host,
    InstanceType,
    Plan,
    Service,
    Survey,
    Target,
    Task,
    Unknown,
    short,
)
from caretaker.hosts.progress import Look
from caretaker.runtime import claims, surges
from caretaker.runtime.table import Table

T = TypeVar("T")
Json = Mapping[str, Any]
LASTING = (Missing, Denied, Invalid, Unsupported)


@dataclass
class Gathering:
    """Reads of one survey: what could not be read collects in `unknown`."""

    cluster: str
    at: datetime
    unknown: list[Unknown] = field(default_factory=list)

    def read(self, kind: str, id_: str, read: Callable[[], T], otherwise: T) -> T:
        """What `read` gives; `otherwise`, with an entry in `unknown`, when AWS refuses it for good."""
        try:
            return read()
        except LASTING as error:
            self.unknown.append(Unknown(kind, id_, str(error)))
            return otherwise

    def known(self, kind: str, found: Found) -> list[dict[str, Any]]:
        """The items; every entry of `failures` goes to `unknown`."""
        self.unknown.extend(Unknown(kind, failure.arn, str(failure)) for failure in found.failures)
        return found.items


# --- the survey ------------------------------------------------------------------------------------------------------


def survey(
    table: Table, cluster: str, batch: Sequence[str], at: datetime, deadline: datetime | None, work: str
) -> Survey:
    """Everything that the plan needs, read now.

    Args:
        batch: EC2 instance ids of the hosts that go.
        at: the time to note.
        deadline: when the hosts go anyway.
        work: the present work; hosts under claims of other work are marked.
    """
    reads = Gathering(cluster, at)
    hosts = _hosts(reads, table, work)
    leaving = [host for host in hosts if host.instance_id in batch]
    on_batch = _tasks_of(reads, leaving)
    names = sorted({task.service for task in on_batch if task.service})
    daemons = ecs.list_services(cluster, scheduling="DAEMON") if leaving else []
    raw_services = _services(reads, names, daemons)
    elsewhere = _tasks_of_services(reads, raw_services)
    tasks = tuple({task.arn: task for task in (*elsewhere, *on_batch)}.values())
    definitions = _definitions(reads, raw_services, tasks)
    targets = _targets(reads, raw_services)
    groups = _groups(reads, hosts) if leaving else ()
    return Survey(
        cluster=cluster,
        at=at,
        batch=tuple(sorted(batch)),
        hosts=_with_interfaces(reads, hosts, definitions),
        tasks=tuple(sorted(tasks, key=lambda task: task.arn)),
        services=_counted(table, raw_services, tasks, definitions, targets, at),
        definitions=definitions,
        groups=groups,
        types=_types(reads, hosts, groups),
        targets=tuple(target for found in targets.values() for target in found or ()),
        subnet_zones=_subnet_zones(reads, raw_services),
        unknown=tuple(sorted(reads.unknown, key=lambda item: (item.kind, item.id))),
        deadline=deadline,
    )


def _hosts(reads: Gathering, table: Table, work: str) -> tuple[Host, ...]:
    arns = ecs.list_container_instances(reads.cluster)
    found = reads.known("host", ecs.describe_container_instances(reads.cluster, arns)) if arns else []
    claimed = claims.holders(table, [item["ec2InstanceId"] for item in found if item.get("ec2InstanceId")])
    others = {instance: name for instance, name in claimed.items() if name != work}
    hosts = (Host.from_ecs(item, claimed_by=others.get(item.get("ec2InstanceId", ""), "")) for item in found)
    return tuple(sorted(hosts, key=lambda host: host.instance_id))


def _tasks_of(reads: Gathering, hosts: Iterable[Host]) -> list[Task]:
    """Every task of the hosts that is not STOPPED: every page, both desired statuses, with its protection."""
    arns = sorted({arn for host in hosts for arn in ecs.list_all_tasks(reads.cluster, host.arn)})
    raw = _describe(reads, arns)
    alive = [item for item in raw if item.get("lastStatus") != "STOPPED"]
    # GetTaskProtection knows service tasks only, and refuses others.
    owned = [item["taskArn"] for item in alive if item.get("group", "").startswith("service:")]
    protection = _protection(reads, owned)
    return [
        Task.from_ecs(item, protection.get(item["taskArn"]), protection_known=item["taskArn"] in protection)
        if item["taskArn"] in owned
        else Task.from_ecs(item)
        for item in alive
    ]


def _with_interfaces(reads: Gathering, hosts: tuple[Host, ...], definitions: Iterable[Definition]) -> tuple[Host, ...]:
    """The hosts with their `awsvpc` tasks counted, where a task that needs a network interface may have to be placed.

    No API gives the interfaces that are free on a host, and only the whole cluster's tasks tell. They are not listed
    for the sake of tasks that need none. A task that could not be read leaves the hosts uncounted: every task is then
    taken for one with an interface.
    """
    if not any(definition.network_mode == "awsvpc" for definition in definitions):
        return hosts
    before = len(reads.unknown)
    tasks = [Task.from_ecs(item) for item in _describe(reads, ecs.list_tasks(reads.cluster))]
    if len(reads.unknown) > before:
        return hosts
    used = Counter(task.host_arn for task in tasks if task.eni)
    return tuple(replace(host, eni_tasks=used[host.arn]) for host in hosts)


def _describe(reads: Gathering, arns: Sequence[str]) -> list[dict[str, Any]]:
    if not arns:
        return []
    found = ecs.describe_tasks(reads.cluster, arns)
    # A task that ECS has forgotten between the two calls stopped more than an hour ago, or was never placed.
    reads.unknown.extend(Unknown("task", failure.arn, str(failure)) for failure in found.unreadable())
    return found.items


def _protection(reads: Gathering, arns: Sequence[str]) -> dict[str, Json]:
    """Protection by task ARN; a task that is absent could not be read."""
    if not arns:
        return {}
    try:
        found = ecs.get_task_protection(reads.cluster, arns)
    except LASTING:
        return {}
    unread = {failure.arn for failure in found.failures}
    given = {item["taskArn"]: item for item in found.items}
    return {arn: given.get(arn, {}) for arn in arns if arn not in unread}


def _services(reads: Gathering, names: Sequence[str], daemons: Sequence[str]) -> list[dict[str, Any]]:
    wanted = [*names, *(arn for arn in sorted(daemons) if short(arn) not in names)]
    found = reads.known("service", ecs.describe_services(reads.cluster, wanted)) if wanted else []
    return sorted(found, key=lambda item: str(item["serviceArn"]))


def _tasks_of_services(reads: Gathering, services: Iterable[Json]) -> list[Task]:
    """Tasks of services, wherever they run, whose desired status is RUNNING."""
    arns = [arn for item in services for arn in ecs.list_tasks(reads.cluster, service=item["serviceName"])]
    return [Task.from_ecs(item) for item in _describe(reads, arns) if item.get("lastStatus") != "STOPPED"]


def _definitions(reads: Gathering, services: Iterable[Json], tasks: Iterable[Task]) -> tuple[Definition, ...]:
    arns = {item["taskDefinition"] for item in services if item.get("taskDefinition")}
    arns |= {task.definition for task in tasks if task.definition}
    found = (reads.read("definition", arn, lambda arn=arn: _definition(arn), None) for arn in sorted(arns))  # type: ignore[misc]
    return tuple(item for item in found if item is not None)


def _definition(arn: str) -> Definition | None:
    return Definition.from_ecs(ecs.describe_task_definition(arn))


def _targets(reads: Gathering, services: Iterable[Json]) -> dict[str, tuple[Target, ...] | None]:
    """Targets by target group ARN; None where they could not be read."""
    arns = {balancer.target_group for item in services for balancer in Service.from_ecs(item).balancers}
    found: dict[str, tuple[Target, ...] | None] = {}
    for arn in sorted(arns):
        found[arn] = reads.read("target_group", arn, lambda arn=arn: _targets_of(arn), None)  # type: ignore[misc]
    return found


def _targets_of(arn: str) -> tuple[Target, ...] | None:
    return tuple(Target.from_elbv2(arn, item) for item in elbv2.describe_target_health(arn))


def _counted(
    table: Table,
    services: Iterable[Json],
    tasks: Sequence[Task],
    definitions: Iterable[Definition],
    targets: Mapping[str, tuple[Target, ...] | None],
    at: datetime,
) -> tuple[Service, ...]:
    """Services with their healthy tasks and the surge lease that is in force."""
    by_arn = {definition.arn: definition for definition in definitions}
    result: list[Service] = []
    for item in services:
        lease = surges.find(table, item["serviceArn"])
        service = Service.from_ecs(
            item,
            original=lease.original if lease else None,
            surge_holders=sorted(lease.holders) if lease else (),
        )
        mine = [targets.get(balancer.target_group) for balancer in service.balancers]
        known = [target for found in mine if found is not None for target in found]
        healthy = healthy_tasks(service, tasks, by_arn, known, at) if None not in mine else None
        result.append(replace(service, healthy=healthy))
    return tuple(result)


def _groups(reads: Gathering, hosts: Sequence[Host]) -> tuple[Group, ...]:
    """The groups of the cluster's hosts and of its capacity providers."""
    providers = _providers(reads)
    by_group = {_group_of(item): item for item in providers if _group_of(item)}
    members = autoscaling.describe_instances(host.instance_id for host in hosts if host.instance_id)
    names = {item["AutoScalingGroupName"] for item in members} | set(by_group)
    return tuple(
        Group.from_autoscaling(item, by_group.get(item["AutoScalingGroupName"]), _template_type(reads, item))
        for item in sorted(autoscaling.describe_groups(names), key=lambda item: str(item["AutoScalingGroupName"]))
    )


def _providers(reads: Gathering) -> list[dict[str, Any]]:
    clusters = reads.known("cluster", ecs.describe_clusters([reads.cluster]))
    names = sorted({name for item in clusters for name in item.get("capacityProviders", ())})
    return reads.known("provider", ecs.describe_capacity_providers(names)) if names else []


def _group_of(provider: Json) -> str:
    """Name of the group that a capacity provider wraps: its ARN may be an ARN or the name itself."""
    arn = (provider.get("autoScalingGroupProvider") or {}).get("autoScalingGroupArn", "")
    return short(str(arn))


def _template_type(reads: Gathering, group: Json) -> str:
    """Instance type of the group's launch template, "" where it has none or names none."""
    template = group.get("LaunchTemplate") or {}
    if not template.get("LaunchTemplateId"):
        return ""
    id_, version = template["LaunchTemplateId"], template.get("Version") or "$Default"
    data: dict[str, Any] = reads.read("template", id_, lambda: ec2.describe_launch_template(id_, version), {})
    return str(data.get("InstanceType") or "")


def _types(reads: Gathering, hosts: Iterable[Host], groups: Iterable[Group]) -> tuple[InstanceType, ...]:
    names = {host.instance_type for host in hosts} | {name for group in groups for name in group.instance_types}
    names.discard("")
    none: list[dict[str, Any]] = []
    found = reads.read("type", ",".join(sorted(names)), lambda: ec2.describe_instance_types(names), none)
    return tuple(sorted((InstanceType.from_ec2(item) for item in found), key=lambda kind: kind.name))


def _subnet_zones(reads: Gathering, services: Iterable[Json]) -> dict[str, str]:
    ids = {subnet for item in services for subnet in Service.from_ecs(item).subnets}
    none: list[dict[str, Any]] = []
    found = reads.read("subnet", ",".join(sorted(ids)), lambda: ec2.describe_subnets(ids), none)
    return dict(sorted((str(item["SubnetId"]), str(item["AvailabilityZone"])) for item in found))


# --- looks -----------------------------------------------------------------------------------------------------------


def hosts_now(cluster: str, instances: Sequence[str]) -> dict[str, Host]:
    """Container instances by EC2 instance id; one that is not registered (any more) is absent."""
    hosts = [Host.from_ecs(item) for item in ecs.find_container_instances(cluster, instances).items]
    return {host.instance_id: host for host in sorted(hosts, key=lambda host: host.instance_id)}


def look_at_hosts(cluster: str, instances: Sequence[str], at: datetime) -> Look:
    """The container instances of EC2 instances, and the instances themselves."""
    return Look(at=at, hosts=hosts_now(cluster, instances), instances=instance_states(instances))


def look_at_batch(plan: Plan, at: datetime) -> Look:
    """The hosts of a plan's batch, the tasks that were surveyed on them, and whatever else is on them now."""
    look = with_tasks(look_at_hosts(plan.cluster, plan.batch, at), plan.cluster, [move.task for move in plan.moves])
    return replace(look, daemons=frozenset(move.service for move in plan.moves if move.how == DAEMON))


def instance_states(instances: Sequence[str]) -> dict[str, str]:
    """EC2 instance state names by id; an instance that EC2 has forgotten is absent."""
    found = ec2.describe_instances(instances)
    return dict(sorted((str(item["InstanceId"]), str(item["State"]["Name"])) for item in found))


def new_hosts(cluster: str, look: Look) -> Survey:
    """A survey of the look's hosts alone, with the cluster's daemon services and their tasks there: are they ready?"""
    arns = ecs.list_services(cluster, scheduling="DAEMON")
    services = [Service.from_ecs(item) for item in (ecs.describe_services(cluster, arns).items if arns else [])]
    reads = Gathering(cluster, look.at)
    definitions = (
        reads.read("definition", arn, lambda arn=arn: _definition(arn), None)  # type: ignore[misc]
        for arn in _uses(services, ())
    )
    return Survey(
        cluster=cluster,
        at=look.at,
        batch=(),
        hosts=tuple(look.hosts.values()),
        tasks=_live_tasks(cluster, look.hosts.values())[0] if services else (),
        services=tuple(sorted(services, key=lambda service: service.name)),
        definitions=tuple(item for item in definitions if item is not None),
    )


def with_tasks(look: Look, cluster: str, surveyed: Iterable[str]) -> Look:
    """The look with the surveyed tasks as they are now, and whatever else is on its hosts."""
    tasks, stopping_at = _live_tasks(cluster, look.hosts.values(), surveyed)
    return replace(look, tasks=tasks, stopping_at=stopping_at)


def with_services(look: Look, cluster: str, arns: Sequence[str], since: datetime) -> Look:
    """The look with services, and what their events since then say of tasks that cannot be placed or started."""
    found = ecs.describe_services(cluster, arns).items if arns else []
    return replace(
        look,
        services=tuple(sorted(map(Service.from_ecs, found), key=lambda service: service.arn)),
        events={item["serviceName"]: text for item in found if (text := _trouble(item, since))},
    )


def with_health(look: Look, cluster: str) -> Look:
    """The look with all that the health of its services depends on: their tasks, definitions and targets."""
    arns = [arn for service in look.services for arn in ecs.list_tasks(cluster, service=service.name)]
    own = tuple(Task.from_ecs(item) for item in ecs.describe_tasks(cluster, arns).items) if arns else ()
    groups = sorted({balancer.target_group for service in look.services for balancer in service.balancers})
    tasks = {task.arn: task for task in (*look.tasks, *own)}
    return replace(
        look,
        tasks=tuple(tasks.values()),
        definitions={arn: Definition.from_ecs(ecs.describe_task_definition(arn)) for arn in _uses(look.services, own)},
        targets=tuple(Target.from_elbv2(arn, item) for arn in groups for item in elbv2.describe_target_health(arn)),
    )


def groups_now(names: Iterable[str]) -> dict[str, Group]:
    """Groups by name as they are now; one that does not exist is absent. Capacity providers are not looked up."""
    wanted = sorted(set(names))
    found = autoscaling.describe_groups(wanted) if wanted else []
    return {group.name: group for group in map(Group.from_autoscaling, found)}


def _live_tasks(
    cluster: str, hosts: Iterable[Host], more: Iterable[str] = ()
) -> tuple[tuple[Task, ...], dict[str, datetime]]:
    """Tasks on hosts (both desired statuses) and further ones by ARN, with the time when each was told to stop."""
    arns = {arn for host in hosts for arn in ecs.list_all_tasks(cluster, host.arn)} | set(more)
    found = ecs.describe_tasks(cluster, sorted(arns)).items if arns else []
    told = {item["taskArn"]: item["stoppingAt"] for item in found if item.get("stoppingAt")}
    return tuple(Task.from_ecs(item) for item in found), told


def _uses(services: Iterable[Service], tasks: Iterable[Task]) -> list[str]:
    return sorted({item.definition for item in services} | {item.definition for item in tasks} - {""})


def _trouble(service: Json, since: datetime) -> str:
    """The newest of a service's events that tells of trouble (ECS developer guide: "Service event messages")."""
    words = ("unable to", "was unable", "has started 1 tasks: (failed", "is unhealthy", "failed")
    for event in service.get("events", ()):
        text = str(event.get("message", ""))
        if event.get("createdAt", since) >= since and any(word in text for word in words):
            return text
    return ""
