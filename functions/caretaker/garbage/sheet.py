"""What one observation has read so far, and what it still has to read. Nothing here meets AWS or the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from caretaker.garbage import plain
from caretaker.garbage.model import Claim, Owner, Read, Reading, Reference, Resource

Json = dict[str, Any]

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
        self.services.setdefault(arn, {}).update(members)

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

    def plain(self) -> Json:
        """As JSON, without the claims: they are many, never change, and are only asked for in the end."""
        return {
            "vpc": self.vpc,
            "began": self.began,
            "phase": self.phase,
            "resources": [plain.resource(each) for each in self.resources.values()],
            "references": [plain.reference(each) for each in self.references],
            "readings": [plain.reading(each) for each in self.readings.values()],
            "names": self.names,
            "services": self.services,
            "interfaces": self.interfaces,
            "tags": self.tags,
            "tracking": self.tracking,
            "deep": self.deep,
            "owners": [plain.owner(each) for each in self.owners],
            "tasks": [each.plain() for each in self.tasks],
        }

    @classmethod
    def of(cls, data: Mapping[str, Any], at: str) -> Sheet:
        resources = [plain.resource_from(each) for each in data["resources"]]
        readings = [plain.reading_from(each) for each in data["readings"]]
        return cls(
            vpc=data["vpc"],
            began=data["began"],
            at=at,
            resources={each.arn: each for each in resources},
            references=dict.fromkeys(plain.reference_from(each) for each in data["references"]),
            readings={(each.operation, each.scope): each for each in readings},
            names=dict(data["names"]),
            services=dict(data["services"]),
            interfaces=dict(data["interfaces"]),
            tags=dict(data["tags"]),
            tracking=dict(data["tracking"]),
            deep=data["deep"],
            owners=[plain.owner_from(each) for each in data["owners"]],
            tasks=[Task.of(each) for each in data["tasks"]],
            phase=data["phase"],
        )
