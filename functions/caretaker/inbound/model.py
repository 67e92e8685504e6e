"""What inbound modules make of events, and what intake decides, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from caretaker.runtime.policy import SweepMode


class BadEvent(ValueError):
    """An event that cannot be read. `str()` is one line that names the field and the value."""


@dataclass(frozen=True)
class Place:
    """Where the functions run: events of other regions are somebody else's."""

    region: str
    partition: str = "aws"


@dataclass(frozen=True)
class Notice:
    """A reason to replace one host.

    Attributes:
        key: the same for every delivery of the same notice about the same host, different for any other.
        instance: EC2 instance id.
        kind: `health` or `patch`.
        text: why, for people.
        updated: when the sender last changed the notice.
        deadline: when the sender will act on the host; None if it names no moment.
    """

    key: str
    instance: str
    kind: str
    text: str
    updated: datetime
    deadline: datetime | None = None


@dataclass(frozen=True)
class Closed:
    """A notice that holds no longer: over, called off, or resolved for this host.

    Attributes:
        key, instance: of the notice.
        text: why, for people.
        updated: when the sender closed it.
    """

    key: str
    instance: str
    text: str
    updated: datetime


@dataclass(frozen=True)
class Deploys:
    """A service is being deployed; whether that is a release, and which, is not said.

    Attributes:
        service, cluster: ARNs.
        text: why, for people.
    """

    service: str
    cluster: str
    text: str


@dataclass(frozen=True)
class Requested:
    """A release of a service that Caretaker drives is asked for.

    Attributes:
        service, cluster, task_definition: ARNs.
        key: the same for every delivery of the same request.
        text: why, for people.
    """

    service: str
    cluster: str
    task_definition: str
    key: str
    text: str


@dataclass(frozen=True)
class SweepAsked:
    """A sweep of what Express Mode left behind is asked for.

    Attributes:
        vpc: id of the VPC; empty where a service is named.
        service: ARN of a service, whose VPC is meant; else empty.
        text: why, for people.
        mode: what may be done at most; None: what policy allows.
    """

    vpc: str
    service: str
    text: str
    mode: SweepMode | None = None


@dataclass(frozen=True)
class Nothing:
    """An event, or a part of one, that asks for nothing.

    Attributes:
        reason: why, for the log.
    """

    reason: str


Reading = Notice | Closed | Deploys | Requested | SweepAsked | Nothing
