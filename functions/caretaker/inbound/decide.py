"""What intake does about notices: plain functions of plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Literal

from caretaker.inbound.model import Notice
from caretaker.runtime.claims import Claim, Wanted
from caretaker.runtime.journal import Trigger
from caretaker.runtime.policy import HostPolicy, Mode

# Hosts of one piece of work: what one call of ecs:UpdateContainerInstancesState takes.
MAX_BATCH = 10
_MAX_TEXT = 1_000


@dataclass(frozen=True)
class Request:
    """Everything that asks for one host's replacement.

    Attributes:
        notices: in order of key.
        deadline: the nearest one.
    """

    instance: str
    notices: tuple[Notice, ...]

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(notice.key for notice in self.notices)

    @property
    def deadline(self) -> datetime | None:
        return min((notice.deadline for notice in self.notices if notice.deadline), default=None)

    @property
    def trigger(self) -> Trigger:
        """The most pressing notice gives the kind; the text names them all."""
        first = min(self.notices, key=lambda notice: (notice.deadline is None, notice.deadline or 0, notice.key))
        return Trigger(first.kind, "; ".join(notice.text for notice in self.notices))


@dataclass(frozen=True)
class Batch:
    """Hosts of one cluster that become one piece of work."""

    cluster: str
    mode: Mode
    hosts: tuple[Wanted, ...]
    trigger: Trigger
    deadline: datetime | None
    start_at: datetime | None


Step = Literal["join", "claim", "again", "repeated"]


def merge(notices: Iterable[Notice]) -> list[Request]:
    """One request per host, in order of instance id. Of copies of a notice the latest counts, then the most urgent."""
    latest: dict[tuple[str, str], Notice] = {}
    for notice in notices:
        known = latest.get((notice.instance, notice.key))
        if known is None or _weight(notice) > _weight(known):
            latest[notice.instance, notice.key] = notice
    ordered = [latest[key] for key in sorted(latest)]
    return [Request(instance, tuple(of_it)) for instance, of_it in groupby(ordered, key=lambda notice: notice.instance)]


def _weight(notice: Notice) -> tuple[datetime, float]:
    return notice.updated, -notice.deadline.timestamp() if notice.deadline else -math.inf


def step(request: Request, claim: Claim | None) -> Step:
    """What to do about a request, given the host's claim.

    - `join`: work is open; note the notices on it, and its deadline if it is nearer.
    - `claim`: nothing has dealt with these notices, and no work is open: a new generation.
    - `again`: only planned so far, under `observe`; another attempt if the owner now allows to act.
    - `repeated`: dealt with. A repeated notice never begins work anew; another attempt is the reaper's.
    """
    if claim is None:
        return "claim"
    if claim.open:
        return "join"
    if not request.keys <= claim.notices:
        return "claim"
    return "again" if claim.status == "planned" else "repeated"


def batches(
    cluster: str, policy: HostPolicy, requests: Sequence[Request], claims: Mapping[str, Claim], now: datetime
) -> list[Batch]:
    """Group requests of one cluster into work: the same deadline and attempt, at most the budget at once."""
    hosts = [(request, Wanted(request.instance, request.keys, claims.get(request.instance))) for request in requests]
    hosts = [(request, host) for request, host in hosts if not host.again or policy.mode == "act"]

    def together(entry: tuple[Request, Wanted]) -> tuple[str, int]:
        request, host = entry
        return (request.deadline.isoformat() if request.deadline else "", host.attempt)

    made: list[Batch] = []
    for _, group in groupby(sorted(hosts, key=lambda entry: (*together(entry), entry[0].instance)), key=together):
        members = list(group)
        size = min(MAX_BATCH, policy.budget)
        for start in range(0, len(members), size):
            made.append(_batch(cluster, policy, members[start : start + size], now))
    return made


def _batch(cluster: str, policy: HostPolicy, members: Sequence[tuple[Request, Wanted]], now: datetime) -> Batch:
    requests = [request for request, _ in members]
    deadline = requests[0].deadline
    text = "; ".join(request.trigger.text for request in requests)
    if len(text) > _MAX_TEXT:
        text = text[: _MAX_TEXT - 3] + "..."
    return Batch(
        cluster=cluster,
        mode=policy.mode,
        hosts=tuple(host for _, host in members),
        trigger=Trigger(requests[0].trigger.kind, text),
        deadline=deadline,
        start_at=start_at(deadline, policy, now),
    )


def start_at(deadline: datetime | None, policy: HostPolicy, now: datetime) -> datetime | None:
    """When work starts: policy's lead before its deadline; None means at once."""
    if deadline is None or policy.lead is None:
        return None
    moment = deadline - policy.lead
    return moment if moment > now else None
