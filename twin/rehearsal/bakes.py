"""The releases that Caretaker baked in a rehearsal: its executions, its record, and what users met meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from twin.kernel.clock import iso
from twin.kernel.machines import Execution
from twin.rehearsal import report
from twin.rehearsal.exposures import Exposure, together
from twin.rehearsal.release_records import ReleaseRecords

if TYPE_CHECKING:
    from twin.world import World

MACHINE = "BakeRelease"
LOOKING = "Look"


@dataclass
class Bake:
    """One release and every execution that worked on it.

    Attributes:
        record: what Caretaker wrote of it; None if it never opened it.
        looks: what Caretaker wrote of its looks, in order.
        exposure: what users met of its revision; None if it never had weight.
        looked: whether one of its executions came to look at it.
    """

    id: str
    executions: list[Execution]
    record: Mapping[str, Any] | None = None
    looks: Sequence[Mapping[str, Any]] = ()
    exposure: Exposure | None = None
    looked: bool = False
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def started(self) -> datetime:
        return min(execution.started for execution in self.executions)

    @property
    def ended(self) -> datetime | None:
        """None while it runs."""
        ends = [execution.stopped for execution in self.executions]
        return max(end for end in ends if end) if all(ends) else None

    @property
    def outcome(self) -> str | None:
        """None while it runs, and when it ended without one."""
        found = (self.record or {}).get("outcome") or self.answer.get("outcome")
        return str(found) if found else None

    @property
    def reason(self) -> str:
        return str((self.record or {}).get("reason") or self.answer.get("reason") or "")

    @property
    def service(self) -> str:
        """ARN."""
        return str(self._given("service"))

    @property
    def deployment(self) -> str:
        return str(self._given("deployment"))

    @property
    def mode(self) -> str:
        return str(self._given("mode"))

    @property
    def way(self) -> str:
        return str(self._given("way"))

    def _given(self, name: str) -> Any:
        first = self.executions[0].input
        return (self.record or {}).get(name) or (first.get(name) if isinstance(first, Mapping) else None) or ""


def bakes(world: World, exposures: Sequence[Exposure], looked: Set[str]) -> list[Bake]:
    """Every release of the run, in the order of their first executions.

    Args:
        looked: ARNs of the executions that came to the state "Look".
    """
    records = ReleaseRecords(world)
    found: dict[str, list[Execution]] = {}
    for execution in world.machines.executions:
        if execution.machine == MACHINE:
            found.setdefault(release_of(execution), []).append(execution)
    made = []
    for name, executions in found.items():
        bake = Bake(name, executions, records.find(name), records.looks(name))
        bake.looked = any(execution.arn in looked for execution in executions)
        bake.answer = _answer(executions)
        bake.exposure = exposure_of(bake, exposures)
        made.append(bake)
    return made


def release_of(execution: Execution) -> str:
    given = execution.input
    return str(given.get("id") or execution.name) if isinstance(given, Mapping) else execution.name


def _answer(executions: Sequence[Execution]) -> Mapping[str, Any]:
    """What the last execution that answered said."""
    answers = [each.output for each in executions if each.status == "SUCCEEDED" and isinstance(each.output, Mapping)]
    return answers[-1] if answers else {}


def exposure_of(bake: Bake, exposures: Sequence[Exposure]) -> Exposure | None:
    """What users met of the release's revision: of each rule the last exposure of it that began before the release
    ended, all of them together."""
    record = bake.record
    if record is None:
        return None
    names = {str(record["revision"]), str(record["deployment"])} - {""}
    definition = str(record["task_definition"]).rpartition("/")[2]
    own = [each for each in exposures if each.canary.service == record["service"] and _open_in(each, bake)]
    exact = [each for each in own if any(each.canary.revision.endswith(name) for name in names)]
    alike = [each for each in own if each.canary.definition == definition]
    found = exact or alike
    return together(list({each.rule: each for each in found}.values())) if found else None


def _open_in(exposure: Exposure, bake: Bake) -> bool:
    began_in_time = bake.ended is None or exposure.opened <= bake.ended
    return began_in_time and (exposure.zero_at is None or exposure.zero_at >= bake.started)


# --- for the report --------------------------------------------------------------------------------------------------
def shown(bakes_: Sequence[Bake]) -> list[report.Release]:
    """Releases as the report has them: those that were opened, or ended with an outcome."""
    return [_shown(bake) for bake in bakes_ if bake.record is not None or bake.outcome not in (None, "ignored")]


def _shown(bake: Bake) -> report.Release:
    record, exposure = bake.record or {}, bake.exposure
    return report.Release(
        id=bake.id,
        service=_short(bake.service),
        cluster=_short(str(record.get("cluster") or "")),
        way=bake.way or None,
        mode=bake.mode or None,
        revision=_short(str(record.get("task_definition") or "")),
        baseline=_short(str(record.get("baseline_task_definition") or "")),
        outcome=bake.outcome,
        reason=bake.reason or None,
        started=_iso(bake.started) or "",
        ended=_iso(bake.ended),
        first_bad_at=_iso(exposure.bad_at) if exposure else None,
        weights_zero_at=_iso(exposure.zero_at) if exposure else None,
        seconds_to_zero=_rounded(exposure.seconds_to_zero) if exposure else None,
        canary_requests=round(exposure.requests) if exposure else 0,
        users_errors=round(exposure.errors) if exposure else 0,
        looks=len(bake.looks),
        evidence=[_point(look) for look in bake.looks],
        done=[str(each) for each in record.get("done", ())],
    )


def _point(look: Mapping[str, Any]) -> report.Evidence:
    return report.Evidence(
        at=str(look["at"]),
        action=str(look["action"]),
        share=float(look["weight"]),
        log_against=float(look["log_against"]),
        line=float(look["line"]),
        streams={str(name): report.Stream(**_counts(stream)) for name, stream in look["counts"].items()},
    )


def _counts(stream: Mapping[str, Any]) -> dict[str, int]:
    names = ("canary_errors", "canary_requests", "baseline_errors", "baseline_requests")
    return {name: int(stream[name]) for name in names}


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]


def _iso(moment: datetime | None) -> str | None:
    return iso(moment, "seconds") if moment else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
