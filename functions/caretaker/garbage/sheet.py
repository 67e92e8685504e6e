"""What one observation has read so far, and what it still has to read. Nothing here meets AWS or the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

from caretaker.garbage import plain
from caretaker.garbage.model import Claim, Owner, Read, Reading, Reference, Resource

Json = dict[str, Any]
K = TypeVar("K")
V = TypeVar("V")

# The worse comes later: of several calls of one reading the worst counts.
_ORDER = (Read.WHOLE, Read.TRUNCATED, Read.FAILED, Read.DENIED)


@dataclass(frozen=True)
class Task:
    """One page of one listing that is to be read.

    Attributes:
        look: name of the look, which knows the listing and what to make of it.
        scopes: of the readings that the page belongs to; several where one call asks about several things.
        params: the request.
        token: leads to the page; empty for the first.
        pages: how many were read before it.
        tries: how often AWS was too busy for it.
    """

    look: str
    scopes: tuple[str, ...] = ("",)
    params: Mapping[str, Any] = field(default_factory=dict)
    token: Mapping[str, Any] = field(default_factory=dict)
    pages: int = 0
    tries: int = 0

    def plain(self) -> Json:
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Task:
        return cls(**{**data, "scopes": tuple(data["scopes"])})


@dataclass
class Sheet:
    """
    Attributes:
        vpc: the VPC that is observed.
        began: ISO 8601; when the observation began.
        at: ISO 8601; when the present part is read.
        resources: by ARN.
        references: each once; `target` and `part_of` may be an alias (`names`).
        readings: by operation and scope.
        names: ARN of what is known by another name: ids of security groups, names of log groups and alarms, DNS names.
        services: what ECS says of services, by ARN.
        interfaces: by id of a network interface: the service whose task has it; or the alias of the load balancer
            that has it, and its public address.
        tags: of resources that are read apart from their tags, by ARN.
        tracking: ARN of the target tracking policy that made an alarm, by the alarm's ARN.
        owners, claims: what the ledger says.
        deep: read what proves that nobody uses a log group, a task definition or a cluster, too.
        tasks: what is to be read in this phase.
        phase: how far the observation is.
    """

    vpc: str
    began: str
    at: str
    resources: dict[str, Resource] = field(default_factory=dict)
    references: dict[Reference, None] = field(default_factory=dict)
    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    services: dict[str, Json] = field(default_factory=dict)
    interfaces: dict[str, list[str]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    tracking: dict[str, str] = field(default_factory=dict)
    owners: list[Owner] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    deep: bool = False
    tasks: list[Task] = field(default_factory=list)
    phase: int = 0

    # --- collecting --------------------------------------------------------------------------------------------------

    def found(self, resource: Resource, *aliases: str) -> None:
        """Note a resource; of one that is known already, facts are added and tags replaced where they were read."""
        known = self.resources.get(resource.arn)
        if known is not None:
            tags = known.tags if resource.tags is None else resource.tags
            resource = replace(
                resource,
                vpc=resource.vpc or known.vpc,
                name=resource.name or known.name,
                tags=tags,
                facts={**known.facts, **resource.facts},
            )
        self.resources[resource.arn] = resource
        for alias in aliases:
            self.names[alias] = resource.arn

    def more(self, arn: str, tags: Mapping[str, str] | None = None, **facts: str) -> None:
        """Add to what is known of a resource; nothing of one that is not known."""
        known = self.resources.get(arn)
        if known is not None:
            given = known.tags if tags is None else tags
            self.resources[arn] = replace(known, tags=given, facts={**known.facts, **facts})

    def refer(self, *references: Reference) -> None:
        """Note references; those without a target (a member that is absent or empty) say nothing."""
        for each in references:
            if each.target:
                self.references[each] = None

    def service(self, arn: str, **members: Any) -> None:
        """Add to what ECS says of a service."""
        self.services[arn] = {**self.services.get(arn, {}), **members}

    def read(self, *tasks: Task) -> None:
        """Have something read in this phase."""
        self.tasks.extend(tasks)

    def note(self, operation: str, scopes: Iterable[str], status: Read, items: int = 0, reason: str = "") -> None:
        """Note how a call went, in the readings that it belongs to: the worst status, all items."""
        for scope in scopes:
            known = self.readings.get((operation, scope))
            if known is None:
                self.readings[operation, scope] = Reading(operation, scope, status, self.at, items, reason)
                continue
            worse = _ORDER.index(status) > _ORDER.index(known.status)
            self.readings[operation, scope] = replace(
                known,
                status=status if worse else known.status,
                reason=reason if worse else known.reason,
                items=known.items + items,
            )

    def whole(self, operation: str, scope: str) -> bool:
        """Whether a reading was made, to its end."""
        found = self.readings.get((operation, scope))
        return found is not None and found.status is Read.WHOLE

    # --- being stored ------------------------------------------------------------------------------------------------

    def mark(self) -> Sheet:
        """As it is now, to be compared with what it becomes."""
        return replace(
            self,
            resources=dict(self.resources),
            references=dict(self.references),
            readings=dict(self.readings),
            names=dict(self.names),
            services=dict(self.services),
            interfaces=dict(self.interfaces),
            tags=dict(self.tags),
            tracking=dict(self.tracking),
            owners=list(self.owners),
        )

    def plain(self, since: Sheet | None = None) -> Json:
        """What is new or has changed since a `mark`, as JSON; all of it without one. Tasks are always all of them.

        Without the claims: they are many, never change, and are only asked for in the end. Nothing is ever taken off
        but tasks, and references and owners are only added, in order.
        """
        before = since or Sheet(self.vpc, self.began, self.at)
        return {
            "vpc": self.vpc,
            "began": self.began,
            "phase": self.phase,
            "resources": [plain.resource(each) for each in _new(self.resources, before.resources).values()],
            "references": [plain.reference(each) for each in islice(self.references, len(before.references), None)],
            "readings": [plain.reading(each) for each in _new(self.readings, before.readings).values()],
            "names": _new(self.names, before.names),
            "services": _new(self.services, before.services),
            "interfaces": _new(self.interfaces, before.interfaces),
            "tags": _new(self.tags, before.tags),
            "tracking": _new(self.tracking, before.tracking),
            "deep": self.deep,
            "owners": [plain.owner(each) for each in self.owners[len(before.owners) :]],
            "tasks": [each.plain() for each in self.tasks],
        }

    @classmethod
    def of(cls, parts: Sequence[Mapping[str, Any]], at: str) -> Sheet:
        """The sheet of what it was in the beginning and what was new in each part since, in order."""
        first, last = parts[0], parts[-1]
        sheet = cls(first["vpc"], first["began"], at, deep=first["deep"], phase=last["phase"])
        for data in parts:
            sheet._add(data)
        sheet.tasks = [Task.of(each) for each in last["tasks"]]
        return sheet

    def _add(self, data: Mapping[str, Any]) -> None:
        self.resources.update({each.arn: each for each in map(plain.resource_from, data["resources"])})
        self.references.update(dict.fromkeys(map(plain.reference_from, data["references"])))
        self.readings.update({(each.operation, each.scope): each for each in map(plain.reading_from, data["readings"])})
        self.names.update(data["names"])
        self.services.update(data["services"])
        self.interfaces.update(data["interfaces"])
        self.tags.update(data["tags"])
        self.tracking.update(data["tracking"])
        self.owners.extend(map(plain.owner_from, data["owners"]))


def _new(now: Mapping[K, V], before: Mapping[K, V]) -> dict[K, V]:
    return {key: value for key, value in now.items() if key not in before or before[key] != value}
