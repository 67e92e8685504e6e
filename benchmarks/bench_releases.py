"""How long users meet a bad release: Caretaker against the rule of Express Mode, in the same worlds.

    python -m benchmarks.bench_releases [WORLD…] [--seeds 5] [--keep FILE]

Each world of worlds/ is run with Caretaker as it stands there, and once more without: its service is released by ECS's
native canary with the settings of Express Mode (5 % for 3 minutes, then everything with 3 minutes of bake), and its
alarm is the rule of Express Mode (4xx + 5xx above 1 % of the requests in 2 of 3 minutes, here of the canary's target
group alone, which is its best case). An Express service keeps its own rule, with and without Caretaker.

Printed is simulated time from the first moment in which users met the worse revision until its weight was 0, and how
many of its answers were errors from then on (to the end of the run if it kept weight), the requests included that found
no target while its tasks ended. Beside that: how many releases of a revision as good as the former, in the same world,
were taken back. Requests are counted as they come in the twin, looked at every 5 seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from twin.ecs.express.alarm import alarm
from twin.kernel.api import Caller
from twin.rehearsal.durations import show
from twin.rehearsal.events import from_world
from twin.rehearsal.exposures import Exposure
from twin.rehearsal.loading import LoadedWorld, world_of
from twin.rehearsal.reading import read_yaml
from twin.rehearsal.rehearsal import Rehearsal

ROOT = Path(__file__).resolve().parents[1]
WAYS = {
    "watch": ("bad", "slow", "dead", "late", "4xx", "shared"),
    "gate": ("bad", "slow", "dead", "late"),
    "drive": ("bad", "slow", "dead", "late", "sticky"),
    "express": ("bad", "missed"),
}
WORLDS = tuple(f"release_{way}_{case}" for way, cases in WAYS.items() for case in cases)
CONTENDERS = ("caretaker", "express")
ALARM = "express-rollback"
EXPRESS = {
    "strategy": "CANARY",
    "canary_percent": 5,
    "canary_bake": "3m",
    "bake": "3m",
    "alarms": [ALARM],
    "alarms_roll_back": True,
}
OWNER = Caller("operator", "express")


@dataclass(frozen=True)
class Met:
    """What users met of the release of one run. `seconds`: None if it was never bad, or kept weight to the end."""

    bad: bool
    gone: bool
    seconds: float | None
    errors: float


@dataclass(frozen=True)
class Case:
    """One world as one contender gets it; `good`: its new revision is as good as the former."""

    world: str
    who: str
    good: bool

    def loaded(self) -> LoadedWorld:
        """The world, checked."""
        path = ROOT / "worlds" / f"{self.world}.yaml"
        fields = _fields(path)
        if self.good:
            fields = as_good(fields)
        if self.who == "express":
            fields = by_express(fields)
        return world_of(fields, str(path), path.parent, self.world)

    @property
    def has_bad(self) -> bool:
        """Whether some revision of the world answers worse than the others."""
        fields = _fields(ROOT / "worlds" / f"{self.world}.yaml")
        return any(_of_a_revision(each) for each in fields["traffic"]["behaviours"])

    def content(self) -> str:
        """The same for cases that are the same but for the names of their worlds."""
        return self.who + self.loaded().spec.model_dump_json(exclude={"name", "about", "expect"})


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    seeds = range(1, options.seeds + 1)
    cases = [Case(world, who, good) for good in (False, True) for world in options.worlds for who in CONTENDERS]
    needed = {case: case.content() for case in cases if case.good or case.has_bad}
    print(f"{options.seeds} seeds; from the first bad moment to weight 0, median and p95 of simulated time")
    print(HEADING, flush=True)
    found = results({content: case for case, content in needed.items()}, seeds, options.keep)
    for world in options.worlds:
        for who in CONTENDERS:
            sides = (needed.get(Case(world, who, good)) for good in (False, True))
            bad, good = ([found[content, seed] for seed in seeds] if content else [] for content in sides)
            print(row(world if who == CONTENDERS[0] else "", who, bad, good), flush=True)


def results(cases: Mapping[str, Case], seeds: Sequence[int], keep: Path | None) -> dict[tuple[str, int], Met]:
    """What every case, by its content, came to with every seed. What is kept is not run again."""
    known = _kept(keep)
    found = {(content, seed): known.get(key(content, seed)) for content in cases for seed in seeds}
    done = {each: met for each, met in found.items() if met is not None}
    # One process for each core: a world patches botocore, so that a process can be in one world only.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        # Every case once before any twice, so that what is kept of a run cut short says something of each.
        open_ = sorted((each for each in found if each not in done), key=lambda each: (cases[each[0]].good, each[1]))
        runs = {pool.submit(job, cases[content], seed): (content, seed) for content, seed in open_}
        for number, run in enumerate(as_completed(runs), start=1):
            content, seed = runs[run]
            done[content, seed] = run.result()
            if keep is not None:
                with keep.open("a", encoding="utf-8") as file:
                    print(json.dumps({"key": key(content, seed), **asdict(run.result())}), file=file)
            print(f"\r{number} of {len(runs)} runs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return done


def key(content: str, seed: int) -> str:
    """Names a run in the file of kept results."""
    return f"{hashlib.sha256(content.encode()).hexdigest()[:16]}-{seed}"


def _kept(keep: Path | None) -> dict[str, Met]:
    if keep is None or not keep.exists():
        return {}
    lines = [json.loads(line) for line in keep.read_text(encoding="utf-8").splitlines()]
    return {line.pop("key"): Met(**line) for line in lines}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("worlds", nargs="*", default=list(WORLDS), metavar="WORLD", help="names in worlds/")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="results are added to this file, and those in it are not run again")
    return parser.parse_args(arguments)


def job(case: Case, seed: int) -> Met:
    """One run of one case: what another process can be asked for."""
    loaded = case.loaded()
    planned = from_world(loaded.spec, loaded.folder, loaded.where)
    with Rehearsal(loaded, planned, seed=seed) as rehearsal:
        if case.who == "express" and not any(service.express for service in loaded.spec.services):
            _put_alarm(rehearsal)
        rehearsal.run()
        return met(rehearsal.releases.exposures.seen)


def as_good(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same world, whose new revision behaves as the former."""
    traffic = fields["traffic"]
    kept = [each for each in traffic["behaviours"] if not _of_a_revision(each)]
    return {**fields, "traffic": {**traffic, "behaviours": kept}, "expect": None}


def _of_a_revision(behaviour: Mapping[str, Any]) -> bool:
    return ":" in behaviour.get("task_definition", "*")


def by_express(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same world without Caretaker, whose service is released by the rule of Express Mode.

    A release that the world asks Caretaker for becomes UpdateService at the same moment.
    """
    without = {**fields, "policy": {"defaults": {"releases": {"way": "off"}}}, "events": [], "expect": None}
    service = {key: value for key, value in fields["services"][0].items() if key != "deployment_controller"}
    if "express" in service:
        return without
    actors = list(fields.get("actors", ()))
    for event in fields.get("events", ()):
        detail = event["event"]["detail"]
        params = {key: detail[key] for key in ("cluster", "service", "taskDefinition")}
        actors.append({"at": event["at"], "as": "pipeline", "call": "ecs.UpdateService", "params": params})
    return {**without, "services": [{**service, "release": EXPRESS}], "actors": actors}


def _fields(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = dict(read_yaml(path))
    base = data.pop("extends", None)
    return {**_fields(path.parent / base), **data} if base else data


def _put_alarm(rehearsal: Rehearsal) -> None:
    world = rehearsal.world
    [balanced] = world.fleet.balanced.values()
    assert balanced.alternate is not None
    members = alarm(ALARM, balanced.load_balancer, [balanced.alternate], "worst")
    members["Metrics"][-1]["Expression"] = "FILL(rate0, 0)"
    world.gateway.call("cloudwatch", "PutMetricAlarm", members, OWNER)


def met(seen: Sequence[Exposure]) -> Met:
    if not seen:
        return Met(False, True, None, 0.0)
    last = seen[-1]
    return Met(last.bad_at is not None, last.zero_at is not None, last.seconds_to_zero, last.errors)


HEADING = f"{'world':<24}{'who':<10}{'bad gone':>9}{'median':>10}{'p95':>10}{'errors met':>12}{'good gone':>11}"


def row(world: str, who: str, bad: Sequence[Met], good: Sequence[Met]) -> str:
    """One line of the table. Runs in which the bad revision kept its weight have no time: they are counted apart."""
    times = sorted(each.seconds for each in bad if each.seconds is not None)
    median = show(statistics.median(times)) if times else "-"
    high = show(percentile(times, 0.95)) if times else "-"
    errors = f"{statistics.median(each.errors for each in bad):,.0f}" if bad else "-"
    return f"{world:<24}{who:<10}{gone(bad):>9}{median:>10}{high:>10}{errors:>12}{gone(good):>11}"


def gone(runs: Iterable[Met]) -> str:
    """In how many runs the new revision was taken back."""
    ended = [each.gone for each in runs]
    return f"{sum(ended)} of {len(ended)}" if ended else "-"


def percentile(ordered: Sequence[float], part: float) -> float:
    """Of few values: the smallest that at least `part` of them do not exceed."""
    return ordered[min(len(ordered) - 1, max(0, -int(-part * len(ordered) // 1) - 1))]


if __name__ == "__main__":
    main()
