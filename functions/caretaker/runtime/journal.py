"""The journal of work: the work item, its steps, its survey and plan, and the index of what is open.

Work is one replacement of one to ten hosts; its name is the execution's name. A step is written BEFORE the act (what we
are about to do, and what stood there before) and completed after it; an undo meets steps without a result and reads AWS
to learn what became of them.

    WORK#<work> / WORK            the work item
    WORK#<work> / STEP#<seq>      steps, in order
    WORK#<work> / SURVEY#<n>      large documents, compressed, in pieces
    OPEN / <work>                 what the reaper looks at: work that runs, whose outcome is being told, or that waits
                                  for its next attempt
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from caretaker.aws.errors import ConditionFailed
from caretaker.runtime.clock import iso, optional, parse
from caretaker.runtime.policy import Mode
from caretaker.runtime.table import Item, Table, Write

Outcome = Literal["replaced", "undone", "blocked", "planned", "ignored", "failed"]

_SK = "WORK"
# DynamoDB's limit is 400 KB an item, names included.
_PIECE = 350_000
_TRIES = 8
MAX_STEPS = 999
# An outcome is published within this long after its work was closed; then the reaper sees to it.
TOLD_WITHIN = timedelta(minutes=10)


class WorkMissing(Exception):
    """No such work in the table."""


class WorkClosed(Exception):
    """The work has ended; nothing may be done for it any more."""


class WorkUndoing(Exception):
    """The undo of the work has begun, so its hosts may not be ended."""


class WorkPassedReturn(Exception):
    """The work is past its point of no return: it is finished, never undone."""


class BlobBroken(Exception):
    """A stored document is incomplete: its writing was cut short."""


@dataclass(frozen=True)
class Trigger:
    """Why the work is done: `kind` is the inbound module's (`health`, `patch`), `text` is for people."""

    kind: str
    text: str


@dataclass(frozen=True)
class Work:
    """The work item.

    Attributes:
        name: execution name, `replace-host-<hash>-<attempt>`.
        cluster: cluster ARN.
        hosts: EC2 instance ids.
        mode: `observe` plans and changes nothing.
        attempt: 1 for the first.
        started: when it was claimed.
        deadline: the notice's date; lowered by a more urgent notice. None if there is none.
        start_at: when it may start; None means at once.
        trigger: why.
        status: open or closed.
        point_of_no_return: whether a host's end has begun.
        undoing: name of the execution that began its undo; empty if none did.
        withdrawn: why the notice no longer holds; empty if it does.
        outcome, reason: what became of it.
        retry_at: when the next attempt is due, of closed work.
        input: the execution's input as text, always the same for one name (Step Functions compares it byte for byte).
    """

    name: str
    cluster: str
    hosts: tuple[str, ...]
    mode: Mode
    attempt: int
    started: datetime
    trigger: Trigger
    deadline: datetime | None = None
    start_at: datetime | None = None
    status: Literal["open", "closed"] = "open"
    point_of_no_return: bool = False
    undoing: str = ""
    withdrawn: str = ""
    outcome: Outcome | None = None
    reason: str = ""
    retry_at: datetime | None = None
    input: str = ""


@dataclass(frozen=True)
class Step:
    """One step of work.

    Attributes:
        seq: its place, from 1.
        kind: launch, protect, suspend_rebalance, surge, drain, …
        key: tells steps of one kind apart (a group's name, a service's ARN).
        intent: what is about to be done, and what stood there before.
        result: what AWS answered; None while it is not known whether the act was done.
        undone: whether it was taken back.
        note: of a step that was taken back: what stayed behind nevertheless, in words.
    """

    work: str
    seq: int
    kind: str
    key: str
    intent: Mapping[str, Any]
    result: Mapping[str, Any] | None = None
    undone: bool = False
    note: str = ""


@dataclass(frozen=True)
class Open:
    """An entry of the reaper's index.

    Attributes:
        kind: `open` (work that runs or should), `closed` (work whose outcome may not have been told yet) or `retry`
            (closed work whose next attempt is due at `due`).
        due: before this nobody questions it: the lease of open work, the date of a retry.
    """

    work: str
    kind: Literal["open", "closed", "retry"]
    due: datetime


def work_name(hosts: Sequence[tuple[str, int]], attempt: int) -> str:
    """`replace-host-<16 hex>-<attempt>` of (instance id, generation) pairs; the same for the same set."""
    text = ",".join(f"{instance}:{generation}" for instance, generation in sorted(hosts))
    return f"replace-host-{hashlib.sha256(text.encode()).hexdigest()[:16]}-{attempt}"


def execution_input(work: Work, entry: Literal["replace", "undo", "finish"] = "replace") -> str:
    """The machine's input. For `replace` of stored work use `work.input`, which never changes."""
    return json.dumps(
        {
            "work": work.name,
            "entry": entry,
            "cluster": work.cluster,
            "hosts": list(work.hosts),
            "mode": work.mode,
            "start_at": iso(work.start_at) if work.start_at else None,
            "deadline": iso(work.deadline) if work.deadline else None,
            "trigger": {"kind": work.trigger.kind, "text": work.trigger.text},
        },
        sort_keys=True,
    )


# --- the work item ---------------------------------------------------------------------------------------------------


def _pk(work: str) -> str:
    return f"WORK#{work}"


def opening(work: Work, lease_until: datetime) -> list[Write]:
    """The writes that open work, for the transaction that claims its hosts."""
    item: Item = {
        "cluster": work.cluster,
        "hosts": list(work.hosts),
        "mode": work.mode,
        "attempt": work.attempt,
        "started": iso(work.started),
        "deadline": iso(work.deadline) if work.deadline else None,
        "start_at": iso(work.start_at) if work.start_at else None,
        "trigger": {"kind": work.trigger.kind, "text": work.trigger.text},
        "status": "open",
        "point_of_no_return": False,
        "input": execution_input(work),
    }
    new = "attribute_not_exists(#pk)"
    return [
        Write("Put", (_pk(work.name), _SK), item, condition=new),
        Write("Put", ("OPEN", work.name), {"kind": "open", "due": iso(lease_until)}),
    ]


def find_work(table: Table, work: str) -> Work | None:
    """The work item, None if there is none."""
    item = table.get(_pk(work), _SK)
    return _work(item) if item else None


def get_work(table: Table, work: str) -> Work:
    """The work item. Raises `WorkMissing`."""
    found = find_work(table, work)
    if found is None:
        raise WorkMissing(f"work: {work!r} is not in the table")
    return found


def _work(item: Item) -> Work:
    trigger = item["trigger"]
    return Work(
        name=item["pk"].removeprefix("WORK#"),
        cluster=item["cluster"],
        hosts=tuple(item["hosts"]),
        mode=item["mode"],
        attempt=item["attempt"],
        started=parse(item["started"], "started"),
        trigger=Trigger(trigger["kind"], trigger["text"]),
        deadline=optional(item.get("deadline"), "deadline"),
        start_at=optional(item.get("start_at"), "start_at"),
        status=item["status"],
        point_of_no_return=bool(item.get("point_of_no_return")),
        undoing=item.get("undoing", ""),
        withdrawn=item.get("withdrawn", ""),
        outcome=item.get("outcome"),
        reason=item.get("reason", ""),
        retry_at=optional(item.get("retry_at"), "retry_at"),
        input=item["input"],
    )


def pass_return(table: Table, work: str) -> None:
    """Write the point of no return, before the first host is ended. Writing it again is no change.

    Raises:
        WorkUndoing: the undo has begun; no host may be ended.
        WorkClosed: the work has ended.
    """
    try:
        table.update(
            _pk(work),
            _SK,
            "SET #point_of_no_return = :yes",
            condition="#status = :open AND attribute_not_exists(#undoing)",
            values={":yes": True, ":open": "open"},
        )
    except ConditionFailed:
        found = get_work(table, work)
        if found.status == "closed":
            raise WorkClosed(f"{work}: ended as {found.outcome}; its hosts stay") from None
        raise WorkUndoing(f"{work}: its undo has begun; its hosts stay") from None


def begin_undo(table: Table, work: str, execution: str) -> Work:
    """Say that the undo begins, in this execution. From here `pass_return` is refused. The first to say so stands.

    Raises:
        WorkPassedReturn: a host's end has begun, so the work is finished instead.
        WorkClosed: the work has ended.
    """
    try:
        item = table.update(
            _pk(work),
            _SK,
            "SET #undoing = if_not_exists(#undoing, :by)",
            condition="#status = :open AND #point_of_no_return = :no",
            values={":by": execution, ":no": False, ":open": "open"},
        )
    except ConditionFailed:
        found = get_work(table, work)
        if found.status == "closed":
            raise WorkClosed(f"{work}: ended as {found.outcome}") from None
        raise WorkPassedReturn(f"{work}: past its point of no return") from None
    return _work(item)


def hasten(table: Table, work: str, deadline: datetime) -> bool:
    """Lower the deadline of open work. False if it is closed or already that urgent."""
    try:
        table.update(
            _pk(work),
            _SK,
            "SET #deadline = :deadline",
            # Deadlines are ISO text in UTC and whole milliseconds, so text order is time order.
            condition="#status = :open AND (#deadline = :none OR #deadline > :deadline)",
            values={":deadline": iso(deadline), ":open": "open", ":none": None},
        )
    except ConditionFailed:
        return False
    return True


def withdraw(table: Table, work: str, reason: str) -> bool:
    """Note on open work that its notice no longer holds. False if it is closed."""
    try:
        table.update(
            _pk(work),
            _SK,
            "SET #withdrawn = :reason",
            condition="#status = :open",
            values={":reason": reason, ":open": "open"},
        )
    except ConditionFailed:
        return False
    return True


def close_work(
    table: Table, work: str, outcome: Outcome, reason: str, retry_at: datetime | None, now: datetime
) -> Work:
    """Close the work item. Idempotent; the first outcome stays.

    Its entry in the index becomes `retry` when another attempt is due, else `closed` until the reaper has seen that the
    outcome was told: the execution may end between the two. The claims are closed before (`claims.close`, which calls
    this).
    """
    try:
        item = table.update(
            _pk(work),
            _SK,
            "SET #status = :closed, #outcome = :outcome, #reason = :reason, #retry_at = :retry, #ended = :now",
            condition="#status = :open",
            values={
                ":closed": "closed",
                ":open": "open",
                ":outcome": outcome,
                ":reason": reason,
                ":retry": iso(retry_at) if retry_at else None,
                ":now": iso(now),
            },
        )
        closed = _work(item)
    except ConditionFailed:
        closed = get_work(table, work)
    kind, due = ("retry", closed.retry_at) if closed.retry_at else ("closed", now + TOLD_WITHIN)
    table.put({"pk": "OPEN", "sk": work, "kind": kind, "due": iso(due)})
    return closed


# --- the index -------------------------------------------------------------------------------------------------------


def open_work(table: Table) -> list[Open]:
    """All entries of the reaper's index, in order of name."""
    return [Open(item["sk"], item["kind"], parse(item["due"], "due")) for item in table.query("OPEN")]


def renew(table: Table, work: str, until: datetime) -> None:
    """Extend the lease of work that was seen to be alive, or whose outcome is being told."""
    values = {":until": iso(until), ":open": "open", ":closed": "closed"}
    try:
        table.update("OPEN", work, "SET #due = :until", condition="#kind IN (:open, :closed)", values=values)
    except ConditionFailed:
        return  # it ended in between


def told(table: Table, work: str) -> None:
    """Forget work whose outcome was told; a retry stays."""
    try:
        table.delete("OPEN", work, condition="#kind = :closed", values={":closed": "closed"})
    except ConditionFailed:
        return  # gone, or another attempt is due


def drop_retry(table: Table, work: str) -> None:
    """Forget that another attempt was due."""
    try:
        table.delete("OPEN", work, condition="#kind = :retry", values={":retry": "retry"})
    except ConditionFailed:
        return  # gone, or open again


# --- steps -----------------------------------------------------------------------------------------------------------


def steps(table: Table, work: str) -> list[Step]:
    """All steps, in the order in which they were begun."""
    return [_step(item) for item in table.query(_pk(work), "STEP#")]


def _step(item: Item) -> Step:
    return Step(
        work=item["pk"].removeprefix("WORK#"),
        seq=int(item["sk"].removeprefix("STEP#")),
        kind=item["kind"],
        key=item["key"],
        intent=item["intent"],
        result=item.get("result"),
        undone=bool(item.get("undone")),
        note=item.get("note", ""),
    )


def begin(table: Table, work: str, kind: str, intent: Mapping[str, Any], key: str = "") -> Step:
    """Write a step before its act. A step of the same kind and key that is not undone is returned as it stands.

    So a function that is run again finds what it was about to do the first time, with the originals of that time.

    Raises:
        WorkUndoing: the undo has begun; nothing new may be done.
        WorkClosed: the work has ended.
    """
    for _ in range(_TRIES):
        known = steps(table, work)
        for step in known:
            if (step.kind, step.key) == (kind, key) and not step.undone:
                return step
        seq = known[-1].seq + 1 if known else 1
        if seq > MAX_STEPS:
            raise WorkClosed(f"{work}: more than {MAX_STEPS} steps")
        item: Item = {"kind": kind, "key": key, "intent": dict(intent), "undone": False}
        try:
            table.transact(
                [
                    Write(
                        "ConditionCheck",
                        (_pk(work), _SK),
                        condition="#status = :open AND attribute_not_exists(#undoing)",
                        values={":open": "open"},
                    ),
                    Write("Put", (_pk(work), f"STEP#{seq:03}"), item, condition="attribute_not_exists(#pk)"),
                ]
            )
        except ConditionFailed as error:
            _may_act(table, work, error)
            continue
        return Step(work, seq, kind, key, dict(intent))
    raise WorkUndoing(f"{work}: step {kind} {key}: other steps are being written at the same time")


def _may_act(table: Table, work: str, error: ConditionFailed) -> None:
    """Raise if the work itself forbids another step; return if only the step's number was taken."""
    found = get_work(table, work)
    if found.status == "closed":
        raise WorkClosed(f"{work}: ended as {found.outcome}") from error
    if found.undoing:
        raise WorkUndoing(f"{work}: its undo has begun") from error


def complete(table: Table, step: Step, result: Mapping[str, Any]) -> Step:
    """Write what became of a step."""
    item = table.update(
        _pk(step.work),
        f"STEP#{step.seq:03}",
        "SET #result = :result",
        condition="attribute_exists(#pk)",
        values={":result": dict(result)},
    )
    return _step(item)


def mark_undone(table: Table, step: Step, note: str = "") -> None:
    """Note that a step was taken back, with words where something stayed behind."""
    table.update(
        _pk(step.work),
        f"STEP#{step.seq:03}",
        "SET #undone = :yes, #note = :note",
        condition="attribute_exists(#pk)",
        values={":yes": True, ":note": note},
    )


# --- large documents -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pieces:
    data: bytes
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.data).hexdigest()[:16])

    def items(self, work: str, name: str) -> list[Item]:
        count = max(1, -(-len(self.data) // _PIECE))
        return [
            {
                "pk": _pk(work),
                "sk": f"{name}#{index:03}",
                "of": count,
                "digest": self.digest,
                "data": self.data[index * _PIECE : (index + 1) * _PIECE],
            }
            for index in range(count)
        ]


def put_blob(table: Table, work: str, name: str, document: Any) -> None:
    """Store a large JSON document (`SURVEY`, `PLAN`, …) of the work, in place of the former one."""
    data = zlib.compress(json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), 6)
    for item in _Pieces(data).items(work, name):
        table.put(item)


def get_blob(table: Table, work: str, name: str) -> Any | None:
    """The document, None if none was stored. Raises `BlobBroken` when its writing was cut short."""
    items = table.query(_pk(work), f"{name}#")
    if not items:
        return None
    first = items[0]
    pieces = [item for item in items[: first["of"]] if item["digest"] == first["digest"]]
    data = b"".join(item["data"] for item in pieces)
    if len(pieces) != first["of"] or _Pieces(data).digest != first["digest"]:
        raise BlobBroken(f"{work}: {name}: {len(pieces)} of {first['of']} pieces; write it again")
    return json.loads(zlib.decompress(data))
