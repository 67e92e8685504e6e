"""What the twin saw, as plain data: the laws are judged on this and never on what the product says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from twin.kernel.api import Call

READS = ("Describe", "List", "Get", "BatchGet", "Query", "Scan", "Lookup")
OWN_SERVICES = frozenset({"dynamodb", "events", "sns", "sqs", "stepfunctions", "lambda", "ssm", "cloudwatch", "logs"})
"""Services of which Caretaker only touches its own resources; the roles of the template hold it to that."""


def ours(call: Call | None) -> bool:
    """Whether one of Caretaker's functions or machines made the call, or AWS made it because of theirs."""
    while call is not None:
        if call.caller.kind in ("function", "machine"):
            return True
        call = call.cause
    return False


def mutating(call: Call) -> bool:
    return not call.operation.startswith(READS) and call.error is None


# --- how the fleet stands at a moment --------------------------------------------------------------------------------
@dataclass(frozen=True)
class ServiceState:
    arn: str
    name: str
    cluster: str
    daemon: bool
    desired: int
    settings: Mapping[str, object]
    """`desiredCount`, `minimumHealthyPercent`, `maximumPercent`, `taskDefinition`, `availabilityZoneRebalancing`."""

    @property
    def key(self) -> str:
        return f"{self.cluster}/{self.name}"


@dataclass(frozen=True)
class GroupState:
    name: str
    settings: Mapping[str, object]
    """`MinSize`, `MaxSize`, `DesiredCapacity`, `SuspendedProcesses` (sorted names)."""
    protected: Mapping[str, bool]
    """instance id -> protected from scale-in"""

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True)
class HostState:
    instance: str
    arn: str
    cluster: str
    status: str
    tasks: int


@dataclass(frozen=True)
class Snapshot:
    services: Mapping[str, ServiceState]
    groups: Mapping[str, GroupState]
    hosts: Mapping[str, HostState]


# --- what happened ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Change:
    """A service's count of healthy tasks changed."""

    at: datetime
    service: str
    before: int
    healthy: int
    desired: int
    cause: Call | None


@dataclass
class Work:
    """One piece of work: an execution and those that cleaned up after it."""

    name: str
    cluster: str
    hosts: tuple[str, ...]
    mode: str
    claimed: datetime
    claimed_by: int
    """number of the StartExecution call: every call of the work has a higher one"""
    ended: datetime | None = None
    outcome: str | None = None
    reason: str | None = None
    surveyed: Mapping[str, str] = field(default_factory=dict)
    """task ARN -> service ARN or "", of every task that was alive on the hosts at the claim"""


@dataclass(frozen=True)
class HostEnd:
    """Caretaker asked for the end of a host, while these tasks were alive on it."""

    call: Call
    instance: str
    alive: tuple[str, ...]


@dataclass(frozen=True)
class Drained:
    """How many hosts of a cluster were draining at Caretaker's word, just after a call of its own."""

    call: Call
    cluster: str
    hosts: int
    budget: int


@dataclass(frozen=True)
class Evidence:
    """All that the laws are judged on.

    Attributes:
        healthy_before: healthy tasks per service ARN at the start.
        calls: those made after the start, in order.
        unfinished: executions that had not ended, in words.
        without_outcome: ended executions that have no outcome or no reason, in words.
    """

    before: Snapshot
    after: Snapshot
    healthy_before: Mapping[str, int]
    changes: Sequence[Change]
    calls: Sequence[Call]
    works: Sequence[Work]
    ends: Sequence[HostEnd]
    drained: Sequence[Drained]
    executions: int
    unfinished: Sequence[str]
    without_outcome: Sequence[str]
    launched: Mapping[str, str] = field(default_factory=dict)
    """instance id -> group, of every host that was launched after the start"""
    scaled: frozenset[str] = frozenset()
    """groups whose desired capacity AWS's managed scaling changed by itself: their size is its business"""
    may_shrink: frozenset[str] = frozenset()
    """groups that policy lets Caretaker leave smaller than they were (hosts.allow_shrink)"""

    def healthy_at(self, service: str, moment: datetime) -> int:
        """Healthy tasks of a service at a moment."""
        healthy = self.healthy_before.get(service, 0)
        for change in self.changes:
            if change.at > moment:
                break
            if change.service == service:
                healthy = change.healthy
        return healthy
