"""Claims: which work a host belongs to. One item per host, `HOST#<instance id>` / `CLAIM`.

Work on a host is keyed on (instance, generation). The generation is raised only by a new notice, and only when the
former attempt is closed; the same notice again never raises it. Another attempt of the same generation is the reaper's
(`next_attempt`), or intake's when work that was only planned may now be done.

All claims of a batch, the work item and its entry in the reaper's index are written in one transaction, before the
execution is started with the work's name. Whoever finds an open claim may therefore start its execution again: the name
and the input are the same, so Step Functions starts nothing twice. A claim is never ended by time alone: when the lease
in the index is over, the reaper asks Step Functions what became of the execution.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from caretaker.aws.errors import ConditionFailed
from caretaker.runtime import journal
from caretaker.runtime.clock import iso, optional
from caretaker.runtime.journal import Outcome, Trigger, Work
from caretaker.runtime.policy import Mode
from caretaker.runtime.table import Item, Table, Write

Status = Literal["open"] | Outcome

_SK = "CLAIM"
# Open work is not questioned for this long after its claim, or after it was last seen alive.
LEASE = timedelta(minutes=10)
# Back-off between attempts: policy's retry_after, doubled each time, at most this.
MAX_BACKOFF = timedelta(hours=6)
# Attempts of one generation that has no deadline.
MAX_ATTEMPTS = 12


class ClaimLost(Exception):
    """A host was claimed by somebody else in between; read again and decide again."""


@dataclass(frozen=True)
class Claim:
    """A claim on a host.

    Attributes:
        instance: EC2 instance id.
        generation: counts notices that led to work, from 1.
        attempt: counts executions of this generation, from 1.
        status: `open`, or what became of the last attempt.
        work: name of the work that holds or held it.
        cluster: cluster ARN.
        notices: keys of the notices that this and former generations have dealt with.
        standing: those of them that this generation rests on; empty when all of them were closed.
        trigger: why.
        deadline, start_at: of the work.
    """

    instance: str
    generation: int
    attempt: int
    status: Status
    work: str
    cluster: str
    notices: frozenset[str]
    trigger: Trigger
    deadline: datetime | None = None
    start_at: datetime | None = None
    mode: Mode = "observe"
    standing: frozenset[str] = frozenset()

    @property
    def open(self) -> bool:
        return self.status == "open"


@dataclass(frozen=True)
class Wanted:
    """A host to claim, and the claim that was found when this was decided.

    Attributes:
        notices: keys of the notices that ask for it.
        found: the claim as it was read; None if there was none.
    """

    instance: str
    notices: frozenset[str]
    found: Claim | None = None

    @property
    def generation(self) -> int:
        """New notices raise the generation; the same ones again make another attempt of it."""
        if self.found is None:
            return 1
        return self.found.generation + (0 if self.again else 1)

    @property
    def attempt(self) -> int:
        return self.found.attempt + 1 if self.found is not None and self.again else 1

    @property
    def again(self) -> bool:
        """Whether every notice has been dealt with before."""
        return self.found is not None and self.notices <= self.found.notices


def _pk(instance: str) -> str:
    return f"HOST#{instance}"


def find(table: Table, instances: Iterable[str]) -> dict[str, Claim]:
    """The claims of those instances that have one."""
    found = table.get_many((_pk(instance), _SK) for instance in instances)
    return {claim.instance: claim for claim in map(_claim, found.values())}


def _claim(item: Item) -> Claim:
    return Claim(
        instance=item["pk"].removeprefix("HOST#"),
        generation=item["generation"],
        attempt=item["attempt"],
        status=item["status"],
        work=item["work"],
        cluster=item["cluster"],
        notices=item["notices"],
        trigger=Trigger(item["trigger"]["kind"], item["trigger"]["text"]),
        deadline=optional(item.get("deadline"), "deadline"),
        start_at=optional(item.get("start_at"), "start_at"),
        mode=item["mode"],
        standing=item.get("standing", frozenset()),
    )


def take(
    table: Table,
    wanted: Sequence[Wanted],
    *,
    cluster: str,
    mode: Mode,
    trigger: Trigger,
    deadline: datetime | None,
    start_at: datetime | None,
    now: datetime,
) -> Work:
    """Claim the hosts of one batch and open their work, all or nothing. The caller then starts the execution.

    All hosts of a batch begin a generation, or all make the same next attempt.

    Raises:
        ClaimLost: a claim is no longer as it was found. Nothing was written.
    """
    attempts = sorted({host.attempt for host in wanted})
    if len(attempts) != 1:
        raise ValueError(f"hosts: a batch of attempts {attempts}")
    work = Work(
        name=journal.work_name([(host.instance, host.generation) for host in wanted], attempts[0]),
        cluster=cluster,
        hosts=tuple(sorted(host.instance for host in wanted)),
        mode=mode,
        attempt=attempts[0],
        started=now,
        trigger=trigger,
        deadline=deadline,
        start_at=start_at,
    )
    work = replace(work, input=journal.execution_input(work))
    writes = [_claiming(host, work) for host in sorted(wanted, key=lambda host: host.instance)]
    try:
        table.transact([*writes, *journal.opening(work, now + LEASE)])
    except ConditionFailed as error:
        raise ClaimLost(f"{work.name}: {', '.join(work.hosts)}: claimed by somebody else meanwhile") from error
    return work


def _claiming(host: Wanted, work: Work) -> Write:
    known = host.found.notices if host.found else frozenset()
    item: Item = {
        "generation": host.generation,
        "attempt": work.attempt,
        "status": "open",
        "work": work.name,
        "cluster": work.cluster,
        "mode": work.mode,
        "notices": known | host.notices,
        "standing": host.notices,
        "trigger": {"kind": work.trigger.kind, "text": work.trigger.text},
        "deadline": iso(work.deadline) if work.deadline else None,
        "start_at": iso(work.start_at) if work.start_at else None,
        "claimed": iso(work.started),
    }
    if host.found is None:
        return Write("Put", (_pk(host.instance), _SK), item, condition="attribute_not_exists(#pk)")
    return Write("Put", (_pk(host.instance), _SK), item, condition=_UNCHANGED, values=_as_found(host.found))


_UNCHANGED = "#generation = :generation AND #attempt = :attempt AND #status = :status AND #status <> :open"


def _as_found(claim: Claim) -> dict[str, object]:
    return {
        ":generation": claim.generation,
        ":attempt": claim.attempt,
        ":status": claim.status,
        ":open": "open",
    }


def join(table: Table, claim: Claim, notices: frozenset[str], deadline: datetime | None) -> bool:
    """Note further notices on an open claim; a more urgent one lowers the deadline of the claim and of its work.

    Returns whether the deadline was lowered. The notices are noted last, so a redelivery after a crash repeats it all.

    Raises:
        ClaimLost: the claim was closed or changed hands meanwhile.
    """
    urgent = deadline is not None and journal.hasten(table, claim.work, deadline)
    text = iso(deadline) if deadline is not None else None
    lower = deadline is not None and (claim.deadline is None or deadline < claim.deadline)
    try:
        table.update(
            _pk(claim.instance),
            _SK,
            "ADD #notices :notices, #standing :notices" + (" SET #deadline = :deadline" if lower else ""),
            condition="#work = :work AND #status = :open",
            values={
                ":notices": notices,
                ":work": claim.work,
                ":open": "open",
                **({":deadline": text} if lower else {}),
            },
        )
    except ConditionFailed as error:
        raise ClaimLost(f"{claim.instance}: {claim.work} ended meanwhile") from error
    return urgent


def leave(table: Table, claim: Claim, notice: str, reason: str) -> bool:
    """Take a closed notice off an open claim. When no host of the work has one left, the work is noted as withdrawn.

    Returns whether the work was withdrawn.
    """
    try:
        table.update(
            _pk(claim.instance),
            _SK,
            "DELETE #standing :notice",
            condition="#work = :work AND #status = :open",
            values={":notice": {notice}, ":work": claim.work, ":open": "open"},
        )
    except ConditionFailed:
        return False  # the work ended meanwhile
    work = journal.find_work(table, claim.work)
    if work is None or any(other.standing for other in find(table, work.hosts).values() if other.work == work.name):
        return False
    return journal.withdraw(table, work.name, reason)


def close(
    table: Table, work: Work, outcome: Outcome, reason: str, now: datetime, retry_at: datetime | None = None
) -> Work:
    """Close the claims of the work with its outcome, then the work itself. Idempotent; the first outcome stays.

    A claim that the work does not hold any more is left alone.
    """
    for instance in work.hosts:
        try:
            table.update(
                _pk(instance),
                _SK,
                "SET #status = :outcome, #ended = :now",
                condition="#work = :work AND #status = :open",
                values={":outcome": outcome, ":now": iso(now), ":work": work.name, ":open": "open"},
            )
        except ConditionFailed:
            continue
    return journal.close_work(table, work.name, outcome, reason, retry_at, now)


def retry_at(attempt: int, retry_after: timedelta, now: datetime, deadline: datetime | None) -> datetime | None:
    """When an attempt that did not succeed is to be followed by another, with back-off.

    None when there is no sense in it: the next one would start at or after the deadline, or a generation without a
    deadline has used its attempts up. Then a person must be told.
    """
    if attempt >= MAX_ATTEMPTS and deadline is None:
        return None
    pause: timedelta = min(retry_after * 2 ** min(attempt - 1, 16), MAX_BACKOFF)
    due = now + pause
    return due if deadline is None or due < deadline else None


def next_attempt(table: Table, former: Work, mode: Mode, now: datetime) -> Work | None:
    """Claim the hosts of closed work for its next attempt. The caller then starts `.name` with `.input`.

    Takes the hosts whose claim still stands where the former attempt left it; a host that a new notice has taken on, or
    whose notices were all closed, is not part of it. The retry leaves the index. None when no host is left.

    Raises:
        ClaimLost: a claim changed in between; call again.
    """
    current = find(table, former.hosts)
    left = [
        Wanted(instance, current[instance].standing, current[instance])
        for instance in former.hosts
        if instance in current
        and current[instance].work == former.name
        and not current[instance].open
        and current[instance].standing
    ]
    taken: Work | None = None
    if left:
        taken = take(
            table,
            left,
            cluster=former.cluster,
            mode=mode,
            trigger=former.trigger,
            deadline=former.deadline,
            start_at=_start_again(former, now),
            now=now,
        )
    journal.drop_retry(table, former.name)
    return taken


def _start_again(former: Work, now: datetime) -> datetime | None:
    """An attempt that ended before its start does not bring the start forward; a more urgent notice since does."""
    given = optional(json.loads(former.input)["deadline"], "deadline")
    as_claimed = former.deadline == given
    return former.start_at if as_claimed and former.start_at is not None and former.start_at > now else None


def holders(table: Table, instances: Iterable[str]) -> Mapping[str, str]:
    """Instances under an open claim, and the work that holds them."""
    return {instance: claim.work for instance, claim in sorted(find(table, instances).items()) if claim.open}
