"""One rehearsal from start to report."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from twin.errors import WorldError
from twin.kernel.api import Call
from twin.kernel.clock import iso
from twin.rehearsal import account, actors, bakes, garbage_laws, laws, outcomes, release_laws, sweeps
from twin.rehearsal import report as reports
from twin.rehearsal.costs import cost_usd
from twin.rehearsal.events import Planned, start_of
from twin.rehearsal.evidence import Evidence
from twin.rehearsal.garbage_laws import GarbageEvidence
from twin.rehearsal.garbage_observer import GarbageObserver
from twin.rehearsal.garbage_records import SweepRecords
from twin.rehearsal.loading import LoadedWorld
from twin.rehearsal.observer import Observer
from twin.rehearsal.policies import budgets, check_policy
from twin.rehearsal.release_laws import ReleaseEvidence
from twin.rehearsal.release_observer import ReleaseObserver
from twin.world import World

SIGNAL = "InboundSignal"
_SWEEP = 1200.0
"""Seconds in which a schedule of every 15 minutes comes by for certain."""
_INSTANCE = re.compile(r"\bi-(?:[0-9a-f]{17}|[0-9a-f]{8})\b")
_QUIET = ("log", "metric", "task.", "call", "target", "message")
"""Kinds of entries that the report's timeline leaves out: there are thousands of them."""


class Rehearsal:
    """A context manager: entering builds the world, `run` runs it, `report` judges it.

    Args:
        loaded: the world.
        planned: events to put; the clock starts at the time of the first.
        seed, until: override the world's own.
        template: the SAM template that is deployed.
        answering: how answers are given; a world that has some needs it.
    """

    def __init__(
        self,
        loaded: LoadedWorld,
        planned: Sequence[Planned],
        *,
        seed: int | None = None,
        until: float | None = None,
        template: Path | None = None,
        answering: actors.Answering | None = None,
    ) -> None:
        self.spec = loaded.spec
        self._answering = answering
        self._where = loaded.where
        self._planned = list(planned)
        self._until = self.spec.until if until is None else until
        self.seed = self.spec.seed if seed is None else seed
        actors.check(self.spec, loaded.where)
        account.check(self.spec, loaded.where)
        check_policy(self.spec, loaded.where)
        self.start = start_of(self._planned, self.spec)
        self.world = World(self.spec, start=self.start, seed=self.seed, template=template)
        self.quiet = False
        self.warnings: list[str] = []
        self.observer: Observer
        self.releases: ReleaseObserver
        self.garbage: GarbageObserver
        self._stack = ExitStack()

    def __enter__(self) -> Rehearsal:
        try:
            self._stack.enter_context(self.world)
            self.observer = Observer(self.world, budgets(self.spec))
            self.releases = ReleaseObserver(self.world)
            self.garbage = GarbageObserver(self.world)
            actors.Actors(self.world, self._answering)
            self._plan_events()
        except WorldError as error:
            self._stack.close()
            raise WorldError(f"{self._where}: {error}") from None
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _plan_events(self) -> None:
        for planned in self._planned:
            offset = planned.offset(self.start)
            if offset < 0:
                raise WorldError(f"{planned.source}: at: is before the start ({self.start.isoformat()})")
            self.world.kernel.scheduler.call_later(offset, partial(self._put, planned), name=f"event:{planned.source}")
            self._warn(planned)
        if self.spec.at_least:
            self.world.kernel.scheduler.call_later(self.spec.at_least, lambda: None, name="at least")

    def _put(self, planned: Planned) -> None:
        """Put an event, its envelope completed as EventBridge would."""
        event = dict(planned.event)
        kernel = self.world.kernel
        event.setdefault("version", "0")
        event.setdefault("id", f"{kernel.rng(f'event/{planned.source}').getrandbits(128):032x}")
        event.setdefault("account", kernel.account)
        event.setdefault("region", kernel.region)
        event.setdefault("time", iso(kernel.clock.now(), "seconds"))
        event.setdefault("resources", [])
        self.world.bus.put(event)

    def _warn(self, planned: Planned) -> None:
        named = sorted(set(_INSTANCE.findall(json.dumps(planned.event))))
        for instance in named:
            if instance not in self.world.ec2.instances:
                self.warnings.append(f"{planned.source}: names {instance}, which is not in the world {self.spec.name}")

    # --- running -----------------------------------------------------------------------------------------------------
    def run(self, tick: Callable[[], object] | None = None) -> None:
        """Run until nothing is open, or until the time is over.

        Work whose execution ended without an outcome is open still: when its event was lost too, only a schedule finds
        it, which by itself keeps no world busy.
        """
        self.quiet = self.world.run(self._until, tick=tick)
        if self.quiet and outcomes.lacking(outcomes.shown(self.world.machines.executions)):
            self.world.kernel.scheduler.call_later(_SWEEP, lambda: None, name="the reaper's sweep")
            self.quiet = self.world.run(self._until, tick=tick)

    # --- judging -----------------------------------------------------------------------------------------------------
    def report(self, wall_seconds: float) -> reports.Report:
        world = self.world
        executions = outcomes.shown(world.machines.executions)
        outcomes.finish(self.observer.works, world.machines.executions)
        unfinished = [f"{each.name} still runs" for each in executions if each.status == "RUNNING"]
        evidence = self.observer.evidence(len(executions), unfinished, outcomes.lacking(executions))
        calls = self.observer.calls
        baked = bakes.bakes(world, self.releases.exposures.seen, self.releases.looked)
        judged = [*laws.judge(evidence), *release_laws.judge(self._release_evidence(baked, calls))]
        judged += garbage_laws.judge(self._garbage_evidence())
        dead_letters = self._dead_letters()
        releases = bakes.shown(baked)
        unexpected = outcomes.unexpected(
            self.spec.expect, outcomes.pieces(evidence.works, releases, executions), dead_letters
        )
        signals = sum(1 for each in world.functions.invocations if each.function == SIGNAL)
        transitions = sum(execution.transitions for execution in world.machines.executions)
        return reports.Report(
            verdict=self._verdict(judged, unexpected, unfinished),
            world=self.spec.name,
            seed=self.seed,
            started=laws.iso(self.start) or "",
            ended=laws.iso(world.kernel.clock.now()) or "",
            unexpected=unexpected,
            laws=judged,
            executions=executions,
            plans=outcomes.plans(world.bus.published),
            services=self._services(evidence),
            releases=releases,
            sweeps=sweeps.shown(SweepRecords(world), self.garbage.takings),
            hosts=self._hosts(evidence),
            simulated_seconds=round(world.kernel.clock.elapsed, 3),
            wall_seconds=round(wall_seconds, 3),
            state_transitions=transitions,
            lambda_invocations=len(world.functions.invocations) - signals,
            signal_invocations=signals,
            aws_calls=_counted(calls),
            cost_usd=cost_usd(transitions, self._billed(), calls),
            dead_letters=dead_letters,
            alarms=[f"{name} at {laws.iso(at)}" for name, at, _, to in world.alarms.history if to == "ALARM"],
            events=world.bus.published,
            timeline=self._timeline(),
        )

    def _release_evidence(self, baked: Sequence[bakes.Bake], calls: Sequence[Call]) -> ReleaseEvidence:
        seen = self.releases
        return ReleaseEvidence(baked, calls, seen.ends, seen.turns, seen.moves, seen.written_by_others())

    def _garbage_evidence(self) -> GarbageEvidence:
        seen, records = self.garbage, SweepRecords(self.world)
        acts = [act for sweep in records.ids for act in records.acts(sweep)]
        return GarbageEvidence(seen.takings, seen.strange, acts, records.last_outcomes(), seen.truth.garbage())

    def _verdict(self, judged: Sequence[reports.Law], unexpected: list[str], unfinished: list[str]) -> reports.Verdict:
        if any(law.held is False for law in judged if law.name != "every_outcome" or not unfinished):
            return "violated"
        if not self.quiet or unfinished:
            return "unfinished"
        return "unexpected" if unexpected else "ok"

    def _services(self, evidence: Evidence) -> list[reports.Service]:
        moved = self._moved(evidence)
        states = {**evidence.before.services, **evidence.after.services}
        return [
            self._service(evidence, arn, moved.get(arn, 0))
            for arn in sorted(states, key=lambda arn: (states[arn].cluster, states[arn].name))
        ]

    def _service(self, evidence: Evidence, arn: str, moved: int) -> reports.Service:
        state = evidence.after.services.get(arn) or evidence.before.services[arn]
        claims = [work.claimed for work in evidence.works if work.cluster == state.cluster]
        since = min(claims) if claims else self.start
        at_claim = evidence.healthy_at(arn, since)
        later = [change.healthy for change in evidence.changes if change.service == arn and change.at > since]
        return reports.Service(
            service=state.name,
            cluster=state.cluster,
            scheduling_strategy="DAEMON" if state.daemon else "REPLICA",
            desired=state.desired,
            healthy_at_claim=at_claim if claims else None,
            lowest_healthy=min([at_claim, *later]),
            healthy=later[-1] if later else at_claim,
            tasks_moved=moved,
        )

    def _moved(self, evidence: Evidence) -> Counter[str]:
        """Of the tasks on claimed hosts, those that are there no more, by service."""
        counted: dict[str, str] = {}
        for work in evidence.works:
            alive = {task for host in work.hosts for task in self.observer.alive_on(host)}
            counted |= {task: owner for task, owner in work.surveyed.items() if task not in alive and owner}
        return Counter(counted.values())

    def _hosts(self, evidence: Evidence) -> list[reports.Host]:
        zones = {each.instance_id: each.zone for each in self.world.ec2.instances.values()}
        groups = {host: group.name for group in evidence.before.groups.values() for host in group.protected}
        ended = [
            reports.Host(instance=host, group=group, zone=zones.get(host), fate="ended")
            for host, group in groups.items()
            if host not in self.world.ec2.instances or not self.world.ec2.instances[host].alive
        ]
        new = [
            reports.Host(instance=host, group=group or None, zone=zones.get(host), fate="launched")
            for host, group in evidence.launched.items()
        ]
        return ended + new

    def _billed(self) -> list[tuple[int, int]]:
        functions = {
            created.logical_id: created.ref for created in self.world.deployment.of_type("AWS::Lambda::Function")
        }
        memory = {logical_id: self.world.functions.spec(name).memory for logical_id, name in functions.items()}
        return [(each.billed_ms, memory[each.function]) for each in self.world.functions.invocations]

    def _dead_letters(self) -> dict[str, int]:
        queues = self.world.queues.all
        dead = {queue.dead_letter_arn for queue in queues if queue.dead_letter_arn}
        return {
            self.world.deployment.logical(queue.arn) or queue.name: len(queue)
            for queue in queues
            if len(queue) and (queue.arn in dead or "DeadLetter" in (self.world.deployment.logical(queue.arn) or ""))
        }

    def _timeline(self) -> list[reports.TimelineEntry]:
        return [
            reports.TimelineEntry(at=entry.at.isoformat(timespec="milliseconds"), kind=entry.kind, text=entry.text)
            for entry in self.world.kernel.timeline
            if not entry.kind.startswith(_QUIET)
        ]


def _counted(calls: Sequence[Any]) -> list[reports.Calls]:
    counts: Counter[tuple[str, str, str]] = Counter()
    errors: Counter[tuple[str, str, str]] = Counter()
    for call in calls:
        key = (str(call.caller), call.service, call.operation)
        counts[key] += 1
        errors[key] += call.error is not None
    return [
        reports.Calls(caller=key[0], service=key[1], operation=key[2], calls=number, errors=errors[key])
        for key, number in sorted(counts.items())
    ]


def to_json(result: reports.Report) -> str:
    """As it is written to a file: keys in the model's order, one byte sequence for one result."""
    data: Mapping[str, Any] = result.model_dump(mode="json")
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
