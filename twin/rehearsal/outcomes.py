"""Executions of the deployed machines as the report shows them, and whether they ended as the world expects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin.kernel.machines import Execution
from twin.rehearsal import report
from twin.rehearsal.evidence import Work
from twin.rehearsal.laws import iso
from twin.rehearsal.spec import Expectation, Outcome

_CLEANUP = re.compile(r"-(?:undo|finish|resume)-\d+$")
SWEEPS = "SweepExpress"


def work_of(execution: Execution) -> str:
    """The piece of work that an execution belongs to."""
    given = name_in(execution.input) if isinstance(execution.input, Mapping) else None
    return given or _CLEANUP.sub("", execution.name)


def name_in(given: Mapping[str, Any]) -> str | None:
    """The name of the work or release that a machine's input is about."""
    name = given.get("work") or given.get("id")
    return str(name) if name else None


def own_outcome(execution: Execution) -> Mapping[str, Any]:
    """What the execution itself answered; empty when it ended without."""
    output = execution.output
    return output if execution.status == "SUCCEEDED" and isinstance(output, Mapping) else {}


def shown(executions: Sequence[Execution]) -> list[report.Execution]:
    """Every execution, in order of start; one without an outcome of its own has that of the clean-up after it."""
    return [_shown(execution, _clean_up(execution, executions)) for execution in executions]


def _clean_up(execution: Execution, executions: Iterable[Execution]) -> Execution | None:
    """The execution that ended the same work later, when this one ended without an outcome."""
    if execution.status == "RUNNING" or own_outcome(execution).get("outcome"):
        return None
    work = work_of(execution)
    later = [each for each in executions if work_of(each) == work and each.started >= execution.started]
    ended = [each for each in later if each is not execution and own_outcome(each).get("outcome")]
    return ended[-1] if ended else None


def _shown(execution: Execution, clean_up: Execution | None) -> report.Execution:
    given = execution.input if isinstance(execution.input, Mapping) else {}
    answer = own_outcome(clean_up or execution)
    cluster = given.get("cluster")
    return report.Execution(
        machine=execution.machine,
        name=execution.name,
        status=execution.status,
        outcome=answer.get("outcome"),
        reason=_reason(execution, clean_up, answer),
        work=work_of(execution),
        mode=given.get("mode") or answer.get("mode"),
        cluster=str(cluster).rsplit("/", 1)[-1] if cluster else None,
        hosts=list(given.get("hosts", ())),
        started=iso(execution.started) or "",
        ended=iso(execution.stopped),
        state_transitions=execution.transitions,
        left_behind=[str(each) for each in answer.get("left_behind", ())],
    )


def _reason(execution: Execution, clean_up: Execution | None, answer: Mapping[str, Any]) -> str | None:
    if clean_up is not None:
        how = "stopped" if execution.status == "ABORTED" else execution.status.replace("_", " ").lower()
        return f"{how}, then ended by {clean_up.name}: {answer.get('reason')}"
    if answer.get("reason"):
        return str(answer["reason"])
    if execution.status in ("RUNNING", "SUCCEEDED"):
        return None
    return ": ".join(part for part in (execution.error, execution.cause) if part) or None


def finish(works: Mapping[str, Work], executions: Sequence[Execution]) -> None:
    """Write into each work how it ended."""
    for work in works.values():
        own = [execution for execution in executions if work_of(execution) == work.name]
        if not own or any(execution.status == "RUNNING" for execution in own):
            continue
        work.ended = max(execution.stopped for execution in own if execution.stopped)
        answers = [answer for execution in own if (answer := own_outcome(execution)).get("outcome")]
        if answers:
            work.mode = str(answers[-1].get("mode") or work.mode)
            work.outcome, work.reason = str(answers[-1]["outcome"]), str(answers[-1].get("reason") or "")


def lacking(executions: Sequence[report.Execution]) -> list[str]:
    """Ended executions that have no outcome or no reason, in words."""
    return [
        f"{execution.name} {execution.status} without {'an outcome' if not execution.outcome else 'a reason'}"
        for execution in executions
        if execution.status != "RUNNING" and not (execution.outcome and execution.reason)
    ]


@dataclass(frozen=True)
class Piece:
    """What a world's expectation is about: a piece of work on hosts, a release, or a sweep.

    Attributes:
        goal: the outcome that it is to have where the world expects nothing in particular.
    """

    name: str
    outcome: str | None
    reason: str
    goal: Outcome


def pieces(
    works: Sequence[Work], releases: Sequence[report.Release], executions: Sequence[report.Execution] = ()
) -> list[Piece]:
    """Works on hosts, then releases, then sweeps, each in order of start. Releases and sweeps that turned out to be
    none are left out: an event of a rollback, or one that comes twice; a VPC in which nothing is left."""
    found = [
        Piece(work.name, work.outcome, work.reason or "", "planned" if work.mode == "observe" else "replaced")
        for work in works
        if work.hosts
    ]
    return (
        found
        + [
            Piece(each.id, each.outcome, each.reason or "", "planned" if each.mode == "observe" else "promoted")
            for each in releases
            if each.outcome != "ignored"
        ]
        + _sweeps(executions)
    )


def _sweeps(executions: Sequence[report.Execution]) -> list[Piece]:
    """A sweep is one piece, however many executions went on with it: the last one's outcome is its own."""
    last = {each.work: each for each in executions if each.machine == SWEEPS}
    return [
        Piece(name, each.outcome, each.reason or "", "planned" if each.mode == "observe" else "swept")
        for name, each in last.items()
        if each.outcome != "ignored"
    ]


def unexpected(
    expected: Sequence[Expectation] | None, pieces_: Sequence[Piece], dead_letters: Mapping[str, int]
) -> list[str]:
    """How what was done differs from what was expected, in words."""
    if expected is None:
        wrong = [text for piece in pieces_ if (text := _differs(Expectation(outcome=piece.goal), piece))]
        return wrong + [f"{count} messages in the dead-letter queue {name}" for name, count in dead_letters.items()]
    if len(expected) == 1 and pieces_:
        return [text for piece in pieces_ if (text := _differs(expected[0], piece))]
    if len(expected) != len(pieces_):
        return [f"{len(pieces_)} pieces of work where {len(expected)} are expected"]
    return [text for wish, piece in zip(expected, pieces_, strict=True) if (text := _differs(wish, piece))]


def _differs(wish: Expectation, piece: Piece) -> str | None:
    if piece.outcome != wish.outcome:
        reason = f": {piece.reason}" if piece.reason else ""
        return f"{piece.name} is {piece.outcome or 'without outcome'} where {wish.outcome} is expected{reason}"
    part = wish.reason_contains
    if part is not None and part.lower() not in piece.reason.lower():
        return f'{piece.name}: its reason does not contain "{part}": {piece.reason}'
    return None


def plans(events: Iterable[Mapping[str, Any]]) -> list[report.Plan]:
    """The plans that outcome events carry, one per execution."""
    found: list[report.Plan] = []
    for event in events:
        plan = event["detail"].get("plan")
        if isinstance(plan, Mapping):
            found.append(_plan(str(event["detail"].get("work", "")), plan))
    return found


def _plan(execution: str, plan: Mapping[str, Any]) -> report.Plan:
    steps = [
        f"launch a {each['instance_type']} from {each['group']} in {each['zone']}: {each['reason']}"
        for each in plan.get("launches", ())
    ]
    steps += [
        f"set {str(each['service']).rsplit('/', 1)[-1]} to {each['minimum_healthy_percent']}/{each['maximum_percent']}"
        f" percent for a while: {each['reason']}"
        for each in plan.get("surges", ())
    ]
    steps += [f"end {each['host']}: {each['reason']}" for each in plan.get("ends", ())]
    steps += [str(note) for note in plan.get("notes", ())]
    return report.Plan(
        execution=execution,
        decision=str(plan.get("decision", "")),
        summary=str(plan.get("reason", "")),
        steps=steps,
        moves=[
            report.Move(
                task=str(each["task"]),
                service=each.get("service") or None,
                how=str(each["how"]),
                to=each.get("to") or None,
                reason=str(each.get("reason", "")),
            )
            for each in plan.get("tasks", ())
        ],
        obstacles=[f"{each['kind']} {each['id']}: {each['reason']}" for each in plan.get("obstacles", ())],
        omitted=int(plan.get("tasks_omitted", 0)),
    )
