"""What is known of one sweep, as plain data, and how it is kept in the table."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from caretaker.runtime.approval import Approval, approval_from
from caretaker.runtime.clock import optional, parse
from caretaker.runtime.journal import Trigger
from caretaker.runtime.policy import SweepMode
from caretaker.runtime.register import plain_value

Item = Mapping[str, Any]
Outcome = Literal["swept", "kept", "planned", "ignored", "failed"]
Status = Literal["planned", "intended", "done", "gone", "refused", "skipped"]
OVER: frozenset[Status] = frozenset({"done", "gone", "refused", "skipped"})
"""Nothing more is done about a step in one of these."""


@dataclass(frozen=True)
class Sweep:
    """One sweep of one VPC.

    Attributes:
        id: execution name, `sweep-express-<hash>-<attempt>`.
        vpc: id of the VPC.
        generation: counter of the VPC's sweeps; with the VPC it gives the id.
        opened: when it was opened.
        trigger: why.
        mode: the most that policy allows for anything in it; `observe` where its trigger asked for that.
        status: open or closed.
        outcome, reason: what became of it.
        approval: the question to a person; None if none was asked.
        observations: ids of the observations that it made, in order.
        apart: seconds between the two observations, the largest of the policies of its clusters.
        cap: the most that it may delete, the smallest of the policies of its clusters.
        deletions: how many acts AWS has carried out.
        remains: what is left and why, in words.
        savings: what is saved, in words.
        counts: verdicts by word.
        plan: what is to be done, in words.
        notes: facts that its functions keep between invocations.
        ended: when it was closed.
    """

    id: str
    vpc: str
    generation: int
    opened: datetime
    trigger: Trigger
    mode: SweepMode = "act"
    status: Literal["open", "closed"] = "open"
    outcome: Outcome | None = None
    reason: str = ""
    approval: Approval | None = None
    observations: tuple[str, ...] = ()
    apart: int = 0
    cap: int = 0
    deletions: int = 0
    remains: tuple[str, ...] = ()
    savings: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    plan: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    ended: datetime | None = None

    @property
    def open(self) -> bool:
        return self.status == "open"


@dataclass(frozen=True)
class Act:
    """One act of a sweep: planned, written down as intended before its call, and what became of it.

    Attributes:
        number: from 1, in order of doing.
        action: the operation, e.g. `elasticloadbalancing:DeleteRule`.
        resource: ARN of the resource, or of the shared thing that is edited.
        created: its creation time, where AWS tells one.
        kind: what it is.
        params: the request.
        why: in words.
        proof: what proves that nobody uses it, complete in itself.
        step: the planned step with everything that has to be looked at again before it.
        live: what was read again right before the call, and when.
        status: planned, intended (the call may have been made), done, gone (it was not there any more), refused (AWS or
            its own look kept it), skipped (not to be done any more).
        reason: why it is refused or skipped; what AWS answered last.
        tries: calls so far.
        first, at: when it was first tried, when last.
        due: before this it is not tried again.
        answer: what AWS answered, in brief.
    """

    number: int
    action: str
    resource: str
    kind: str
    params: Mapping[str, Any]
    why: str
    proof: Mapping[str, Any]
    step: Mapping[str, Any] = field(default_factory=dict)
    live: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    status: Status = "planned"
    reason: str = ""
    tries: int = 0
    first: datetime | None = None
    at: datetime | None = None
    due: datetime | None = None
    answer: str = ""

    @property
    def key(self) -> str:
        """The same for the same act on the same resource in every plan."""
        # A digest: a question to a person holds those of all acts, in an item that may be 400 KB.
        what = f"{self.action} {self.resource} {json.dumps(self.params, sort_keys=True)}"
        return hashlib.sha256(what.encode()).hexdigest()[:32]

    @property
    def over(self) -> bool:
        return self.status in OVER


@dataclass(frozen=True)
class Ground:
    """A VPC as the sweeps know it.

    Attributes:
        generation: number of the latest sweep.
        sweep: id of the open sweep; empty if there is none.
        holder: name of the execution that holds the lock; empty if nobody does.
        lease: until when.
        changes: counter of what was created, updated or deleted in it; it may be behind, since events get lost.
        again: why it is to be swept again once the open sweep is over; empty if it is not.
        again_mode: what that one may do at most; None: what policy allows.
    """

    vpc: str
    generation: int = 0
    sweep: str = ""
    holder: str = ""
    lease: datetime | None = None
    changes: int = 0
    again: str = ""
    again_mode: SweepMode | None = None


def sweep_id(vpc: str, generation: int, attempt: int = 1) -> str:
    """`sweep-express-<16 hex>-<attempt>` of a VPC and the number of its sweep."""
    digest = hashlib.sha256(f"{vpc},{generation}".encode()).hexdigest()[:16]
    return f"sweep-express-{digest}-{attempt}"


# --- in the table ----------------------------------------------------------------------------------------------------

SWEEP_FIELDS = tuple(Sweep.__dataclass_fields__)
_PACKED = ("params", "step")
_SEALED = ("proof", "live")
ACT_FIELDS = tuple(name for name in Act.__dataclass_fields__ if name != "number")


def sweep_from(item: Item) -> Sweep:
    given = {name: item[name] for name in SWEEP_FIELDS if name in item}
    for name in ("observations", "remains", "savings", "plan"):
        given[name] = tuple(given.get(name, ()))
    given["opened"] = parse(given["opened"], "opened")
    given["ended"] = optional(given.get("ended"), "ended")
    given["trigger"] = Trigger(given["trigger"]["kind"], given["trigger"]["text"])
    given["approval"] = approval_from(given.get("approval"))
    return Sweep(**given)


class Sealed(Mapping[str, Any]):
    """A large document as the table holds it, opened only while somebody looks into it: the proofs of one sweep, opened
    all at once, would not fit into a function's memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __getitem__(self, name: str) -> Any:
        return _opened(self.data)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_opened(self.data))

    def __len__(self) -> int:
        return len(_opened(self.data))


@lru_cache(maxsize=2)
def _opened(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(zlib.decompress(data))
    return found


def sealed(document: Mapping[str, Any]) -> Sealed:
    """The document, compressed."""
    return document if isinstance(document, Sealed) else Sealed(_packed(document))


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), 6)


def act_value(name: str, value: Any) -> Any:
    """A field of an act as the table holds it: what expressions do not read is compressed."""
    if name in _SEALED:
        return sealed(value).data
    return _packed(value) if name in _PACKED else plain_value(value)


def act_item(act: Act) -> dict[str, Any]:
    return {name: act_value(name, getattr(act, name)) for name in ACT_FIELDS}


def act_from(item: Item) -> Act:
    given = {name: item[name] for name in ACT_FIELDS if name in item}
    for name in _PACKED:
        given[name] = json.loads(zlib.decompress(bytes(given[name])))
    for name in _SEALED:
        given[name] = Sealed(bytes(given[name]))
    for name in ("first", "at", "due"):
        given[name] = optional(given.get(name), name)
    return Act(number=int(str(item["sk"]).removeprefix("STEP#")), **given)


def ground_from(vpc: str, item: Item | None) -> Ground:
    found = item or {}
    return Ground(
        vpc,
        int(found.get("generation", 0)),
        found.get("sweep", ""),
        found.get("holder", ""),
        optional(found.get("lease"), "lease"),
        int(found.get("changes", 0)),
        found.get("again", ""),
        found.get("again_mode") or None,
    )
