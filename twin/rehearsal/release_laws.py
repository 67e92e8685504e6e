"""The laws of releases, measured. As in `laws`, `held` is None where the run did not exercise one.

| law | held when |
| --- | --- |
| weights_before_tasks | no task that stopped because of Caretaker's work on a release was in a target group that a
|  | rule still gave weight, and each rule that it wrote was read before, and read back before anything else was done |
| no_data_is_not_health | each promoted release has a look that says so, with requests of the new revision in it, and
|  | the new revision did answer requests |
| rollback_starts_no_bake | no release was baked for a deployment that was going back, or had gone back |
| weights_settled | after every release that has ended, a revision has all the weight or none, but for what others set |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from twin.kernel.api import Call
from twin.rehearsal.bakes import Bake
from twin.rehearsal.laws import iso, short
from twin.rehearsal.release_observer import OURS, Move, TaskEnd, Turn, of_releases
from twin.rehearsal.report import Law

_WRITES = {"ModifyRule": "RuleArn", "ModifyListener": "ListenerArn"}
_READS = ("DescribeRules", "DescribeListeners")
_FAILING = "Roll back"
_ENDS_TASKS = frozenset({"DeleteTaskSet", "UpdateTaskSet", "StopTask", "DeleteService", "UpdateService"})


@dataclass(frozen=True)
class ReleaseEvidence:
    """All that these laws are judged on.

    Attributes:
        calls: those made after the start, in order.
        others: rules whose weights somebody else wrote last, by ARN.
    """

    bakes: Sequence[Bake]
    calls: Sequence[Call]
    ends: Sequence[TaskEnd]
    turns: Sequence[Turn]
    moves: Sequence[Move] = ()
    others: frozenset[str] = frozenset()


def judge(evidence: ReleaseEvidence) -> list[Law]:
    """Every law, in the order of the table above."""
    return [law(evidence) for law in LAWS]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


# --- weights before tasks --------------------------------------------------------------------------------------------
def weights_before_tasks(evidence: ReleaseEvidence) -> Law:
    name = "weights_before_tasks"
    writes = [call for call in evidence.calls if _is_write(call)]
    if not evidence.ends and not writes:
        return Law(name=name, held=None)
    heavy = [end for end in evidence.ends if end.weight > 0]
    if heavy:
        worst = max(heavy, key=lambda end: end.weight)
        text = f"task {short(worst.task)[:8]} stopped while its target group had weight {worst.weight}"
        return Law(name=name, held=False, worst=text, when=iso(worst.at), who=str(worst.cause))
    for call, words in _unread(evidence.calls, evidence.moves):
        return Law(name=name, held=False, worst=words, when=iso(call.at), who=str(call))
    text = f"{_count(len(evidence.ends), 'task')} stopped, all without weight; {_count(len(writes), 'write')} read back"
    return Law(name=name, held=True, worst=text)


def _is_write(call: Call) -> bool:
    """A function's own write of weights; what ECS writes because of it is ECS's business."""
    return call.operation in _WRITES and call.error is None and call.caller.kind == "function" and of_releases(call)


def _unread(calls: Sequence[Call], moves: Sequence[Move]) -> Iterator[tuple[Call, str]]:
    """Writes of rules that were not read before, or not read back before the next write, the next end of tasks, and
    the next state of the machine."""
    fresh: set[str] = set()
    written: dict[str, Call] = {}
    for call in _of_functions(calls):
        if call.operation in _READS:
            read = _read(call)
            fresh |= read
            for rule in sorted(read & set(written)):
                if state := _went_on(written[rule], call, moves):
                    yield written[rule], f"{short(rule)} was not read back before the state {state}"
            written = {rule: write for rule, write in written.items() if rule not in read}
        elif call.operation in _WRITES:
            rule = str(call.params[_WRITES[call.operation]])
            if rule in written:
                yield written[rule], f"{short(rule)} was written again without having been read back"
            if rule not in fresh:
                yield call, f"{short(rule)} was written without having been read"
            fresh.discard(rule)
            written[rule] = call
        elif call.operation in _ENDS_TASKS and written:
            rule, write = next(iter(written.items()))
            yield write, f"{short(rule)} was not read back before {call.operation}"
    for rule, write in written.items():
        yield write, f"{short(rule)} was never read back"


def _of_functions(calls: Sequence[Call]) -> Iterator[Call]:
    """Calls that functions of releases made themselves, with success."""
    return (call for call in calls if call.caller.kind == "function" and call.error is None and of_releases(call))


def _went_on(write: Call, read: Call, moves: Sequence[Move]) -> str | None:
    """The state that the machine went on to between a write and the read after it.

    None too if the function failed (which leads to "Roll back"), and where two executions were in its state at once:
    whose write it was cannot be told then.
    """
    at = state_of(write.caller.name)
    present: dict[str, str] = {}
    for move in moves:
        if move.number >= read.number:
            break
        if move.number < write.number:
            present[move.execution] = move.state
        elif [execution for execution, state in present.items() if state == at] == [move.execution]:
            return None if move.state in (at, _FAILING) else move.state
    return None


def state_of(function: str) -> str:
    """The state that invokes a function: `ReleasesShiftWeights` is called by "Shift weights"."""
    words = re.findall(r"[A-Z][a-z]*", function.removeprefix(OURS))
    return " ".join(words).capitalize()


def _read(call: Call) -> set[str]:
    """What a call shows: rules, and the listeners that they belong to (whose default rules have ARNs of their own)."""
    rules = [str(arn) for arn in call.params.get("RuleArns", ())]
    listeners = [str(arn) for arn in call.params.get("ListenerArns", ())]
    listeners += [str(call.params["ListenerArn"])] if "ListenerArn" in call.params else []
    of_rules = [arn.replace(":listener-rule/", ":listener/").rpartition("/")[0] for arn in rules]
    return {*rules, *listeners, *of_rules}


# --- no data is not health -------------------------------------------------------------------------------------------
def no_data_is_not_health(evidence: ReleaseEvidence) -> Law:
    name = "no_data_is_not_health"
    promoted = [bake for bake in evidence.bakes if bake.outcome == "promoted"]
    if not promoted:
        return Law(name=name, held=None)
    for bake in promoted:
        if words := _unproven(bake):
            return Law(name=name, held=False, worst=f"{bake.id} was promoted {words}", when=iso(bake.ended))
    worst = min(promoted, key=_requests)
    text = f"{_count(len(promoted), 'promotion')}; the least on {_count(_requests(worst), 'request')} of the canary"
    return Law(name=name, held=True, worst=text, when=iso(worst.ended), who=worst.id)


def _unproven(bake: Bake) -> str | None:
    """Why a promotion does not rest on evidence; None if it does."""
    saying_so = [look for look in bake.looks if look["action"] == "promote"]
    if not bake.looks:
        return "without a look"
    if not saying_so:
        return f"though none of {_count(len(bake.looks), 'look')} says so"
    if not any(int(stream["canary_requests"]) for stream in saying_so[-1]["counts"].values()):
        return "by a look that saw no request of the canary"
    if bake.exposure is None or bake.exposure.answered <= 0:
        return "though the canary answered no request"
    return None


def _requests(bake: Bake) -> int:
    """Canary requests that the last look which says promote had seen."""
    looks = [look for look in bake.looks if look["action"] == "promote"]
    return max((int(stream["canary_requests"]) for stream in looks[-1]["counts"].values()), default=0)


# --- a rollback starts no bake ---------------------------------------------------------------------------------------
def rollback_starts_no_bake(evidence: ReleaseEvidence) -> Law:
    name = "rollback_starts_no_bake"
    back = {turn.deployment for turn in evidence.turns if turn.back}
    if not back:
        return Law(name=name, held=None)
    for bake in evidence.bakes:
        turn = _last_turn(evidence.turns, bake)
        if turn is not None and turn.back and bake.looked and bake.outcome != "ignored":
            text = f"{bake.id} looked at {short(turn.deployment)}, which was {turn.status} when it began"
            return Law(name=name, held=False, worst=text, when=iso(bake.started), who=bake.executions[0].name)
    return Law(name=name, held=True, worst=f"{_count(len(back), 'deployment')} went back, and none was baked for it")


def _last_turn(turns: Sequence[Turn], bake: Bake) -> Turn | None:
    """How the last native deployment of the release's service stood when its first execution started."""
    before = [turn for turn in turns if turn.service == bake.service and turn.at <= bake.started]
    return before[-1] if before else None


# --- weights end somewhere -------------------------------------------------------------------------------------------
def weights_settled(evidence: ReleaseEvidence) -> Law:
    name = "weights_settled"
    ended = [bake for bake in _last_of_services(evidence.bakes) if bake.ended is not None and bake.exposure is not None]
    if not ended:
        return Law(name=name, held=None)
    for bake in ended:
        assert bake.exposure is not None
        if 0 < bake.exposure.share < 1 and bake.exposure.rule not in evidence.others:
            at, share = bake.exposure.shares[-1]
            text = f"{bake.id} ended as {bake.outcome} with {share:.1%} of the weight on the new revision"
            return Law(name=name, held=False, worst=text, when=iso(at), who=bake.id)
    return Law(name=name, held=True, worst=f"after {_count(len(ended), 'release')} all weight is on one revision")


def _last_of_services(bakes: Sequence[Bake]) -> list[Bake]:
    """The last release of each service that came to weights."""
    last = {bake.service: bake for bake in bakes if bake.exposure is not None and bake.outcome != "ignored"}
    return list(last.values())


LAWS: tuple[Callable[[ReleaseEvidence], Law], ...] = (
    weights_before_tasks,
    no_data_is_not_health,
    rollback_starts_no_bake,
    weights_settled,
)
