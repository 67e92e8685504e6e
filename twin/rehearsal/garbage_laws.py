"""The laws of garbage, measured. As in `laws`, `held` is None where the run did not exercise one.

| law | held when |
| --- | --- |
| nothing_in_use_deleted | at each call by which Caretaker took something away, nobody used it: what ECS made for dead
|  | services alone, that no rule, interface, alarm, filter, record or service refers to; shared things lost nothing but
|  | references to the dead |
| every_deletion_proven | each such call was written down before it was made, with a proof of two observations |
| all_garbage_gone | after the last sweep of each VPC, if it ended as swept, nothing is left of what ECS made for dead
|  | services and nobody uses |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin.kernel.api import Call
from twin.rehearsal.garbage_observer import Taking
from twin.rehearsal.laws import iso
from twin.rehearsal.report import Law


@dataclass(frozen=True)
class GarbageEvidence:
    """All that these laws are judged on.

    Attributes:
        takings: calls by which Caretaker took something away.
        strange: other calls of its sweeps that changed what is not its own.
        acts: what its record says of each, in any order.
        outcomes: of the last sweep of each VPC.
        left: ARNs of the garbage that is left.
    """

    takings: Sequence[Taking]
    strange: Sequence[Call]
    acts: Sequence[Mapping[str, Any]]
    outcomes: Sequence[str]
    left: Sequence[str]


def judge(evidence: GarbageEvidence) -> list[Law]:
    """Every law, in the order of the table above."""
    return [law(evidence) for law in LAWS]


def nothing_in_use_deleted(evidence: GarbageEvidence) -> Law:
    name = "nothing_in_use_deleted"
    for call in evidence.strange:
        if call.error is None:
            return Law(name=name, held=False, worst=f"{call} is no deletion", when=iso(call.at), who=str(call))
    took = [taking for taking in evidence.takings if taking.took]
    for taking in took:
        if taking.users:
            call = taking.call
            text = f"{call.operation} of {_what(call)}: {taking.users[0]}"
            return Law(name=name, held=False, worst=text, when=iso(call.at), who=str(call))
    if not took:
        return Law(name=name, held=None)
    refused = len(evidence.takings) - len(took)
    return Law(name=name, held=True, worst=f"{len(took)} taken away, each used by nobody; {refused} refused by AWS")


def _what(call: Call) -> str:
    """What a call is about, short."""
    return ", ".join(str(value) for name, value in call.params.items() if "Service" not in name)[:200]


def every_deletion_proven(evidence: GarbageEvidence) -> Law:
    name = "every_deletion_proven"
    took = [taking.call for taking in evidence.takings if taking.took]
    if not took:
        return Law(name=name, held=None)
    for call in took:
        if words := _unproven(call, evidence.acts):
            return Law(name=name, held=False, worst=f"{call.operation} of {_what(call)}: {words}", when=iso(call.at))
    return Law(name=name, held=True, worst=f"{len(took)} calls, each with its proof in the record")


def _unproven(call: Call, acts: Sequence[Mapping[str, Any]]) -> str:
    same = [act for act in acts if str(act["action"]).endswith(f":{call.operation}") and act["params"] == call.params]
    if not same:
        return "the record has no such act"
    first = [str(act["first"]) for act in same if act.get("first")]
    if not first or min(first) > (iso(call.at) or ""):
        return "it was written down after it was made"
    proofs = [act["proof"] for act in same]
    proven = any(proof.get("first") and proof.get("second") for proof in proofs)
    return "" if proven else "its proof lacks an observation"


def all_garbage_gone(evidence: GarbageEvidence) -> Law:
    name = "all_garbage_gone"
    if not evidence.outcomes or any(outcome != "swept" for outcome in evidence.outcomes):
        return Law(name=name, held=None)
    if evidence.left:
        return Law(name=name, held=False, worst=f"{len(evidence.left)} left, such as {evidence.left[0]}")
    return Law(name=name, held=True, worst="nothing is left of what ECS made for dead services")


LAWS: tuple[Callable[[GarbageEvidence], Law], ...] = (nothing_in_use_deleted, every_deletion_proven, all_garbage_gone)
