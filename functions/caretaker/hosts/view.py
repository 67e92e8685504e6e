"""A survey with its indexes, and the little questions that preflight and capacity both ask of it."""

from __future__ import annotations

from functools import cached_property

from caretaker.hosts.model import Definition, Group, Host, InstanceType, Member, Service, Survey, Task


class View:
    """Lookups over one survey; nothing here decides."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.batch = frozenset(survey.batch)
        self.hosts = {host.instance_id: host for host in sorted(survey.hosts, key=lambda item: item.instance_id)}
        self.by_arn = {host.arn: host for host in survey.hosts}
        self.services = {service.group: service for service in survey.services}
        self.definitions = {definition.arn: definition for definition in survey.definitions}
        self.types = {kind.name: kind for kind in survey.types}
        self.groups = {group.name: group for group in sorted(survey.groups, key=lambda item: item.name)}

    @cached_property
    def memberships(self) -> dict[str, tuple[Group, Member]]:
        """Instance id to its group and membership."""
        return {member.instance_id: (group, member) for group in self.groups.values() for member in group.members}

    @cached_property
    def leaving(self) -> list[tuple[str, Task]]:
        """Tasks on the batch's hosts with the instance id of their host, ordered by host and task, once each."""
        found = {
            task.arn: (self.by_arn[task.host_arn].instance_id, task)
            for task in self.survey.tasks
            if task.host_arn in self.by_arn and self.by_arn[task.host_arn].instance_id in self.batch
        }
        return sorted(found.values(), key=lambda pair: (pair[0], pair[1].arn))

    @cached_property
    def daemons(self) -> list[Service]:
        """Daemon services that place a task on every host."""
        found = (item for item in self.survey.services if item.scheduling == "DAEMON" and item.status == "ACTIVE")
        return sorted(found, key=lambda item: item.name)

    def zone(self, host: Host) -> str:
        """Availability zone of a host: from its attribute, else from its group."""
        member = self.memberships.get(host.instance_id)
        return host.zone or (member[1].zone if member else "")

    def type_name(self, host: Host) -> str:
        """Instance type of a host: from its attribute, else from its group."""
        member = self.memberships.get(host.instance_id)
        return host.instance_type or (member[1].instance_type if member else "")

    def type_of(self, host: Host) -> InstanceType | None:
        """Its instance type, None if that was not surveyed."""
        return self.types.get(self.type_name(host))

    def hosts_of(self, group: Group) -> list[Host]:
        """Container instances that belong to a group, ordered by id."""
        ids = sorted(member.instance_id for member in group.members)
        return [self.hosts[instance] for instance in ids if instance in self.hosts]

    def definition_for(self, service: Service, task: Task | None = None) -> Definition | None:
        """What a new task of the service is made from: with task sets the task's definition, else the service's."""
        arn = service.definition
        if service.controller != "ECS" and task is not None:
            arn = task.definition
        return self.definitions.get(arn)
