"""How long users meet a bad release: Caretaker against the rule of Express Mode, in the same worlds.

    python benchmarks/bench_releases.py [WORLD…] [--seeds 5]

Each world of worlds/ is run with Caretaker as it stands there, and once more without: its service is released by ECS's
native canary with the settings of Express Mode (5 % for 3 minutes, then everything with 3 minutes of bake), and its
alarm is the rule of Express Mode (4xx + 5xx above 1 % of the requests in 2 of 3 minutes, here of the canary's target
group alone, which is its best case). Printed is simulated time from the first moment in which users met the worse
revision until its weight was 0, and how many of its answers were errors.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from twin.ecs.express.alarm import alarm
from twin.kernel.api import Caller
from twin.rehearsal.durations import show
from twin.rehearsal.events import from_world
from twin.rehearsal.exposures import Exposure
from twin.rehearsal.loading import LoadedWorld, load_world, world_of
from twin.rehearsal.reading import read_yaml
from twin.rehearsal.rehearsal import Rehearsal

ROOT = Path(__file__).resolve().parents[1]
WORLDS = ("release_watch_good", "release_watch_bad", "release_watch_slow", "release_watch_dead")
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


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    print(f"{options.seeds} seeds; from the first bad moment to weight 0, median and p95 of simulated time")
    print(f"{'world':<26}{'who':<11}{'rolled back':>12}{'median':>10}{'p95':>10}{'errors met':>12}")
    seeds = range(1, options.seeds + 1)
    # One process for each core: a world patches botocore, so that a process can be in one world only.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        found = {
            (name, who): [pool.submit(job, name, who, seed) for seed in seeds]
            for name in options.worlds
            for who in ("caretaker", "express")
        }
        for (name, who), jobs in found.items():
            print(row(name, who, [each.result() for each in jobs]), flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("worlds", nargs="*", default=list(WORLDS), metavar="WORLD", help="names in worlds/")
    parser.add_argument("--seeds", type=int, default=5)
    return parser.parse_args(arguments)


def job(name: str, who: str, seed: int) -> Met:
    """One run of one contender, by names: what another process can be asked for."""
    if who == "express":
        return run(express_world(name), seed, alarmed=True)
    return run(load_world(ROOT / "worlds" / f"{name}.yaml"), seed)


def express_world(name: str) -> LoadedWorld:
    """A world without Caretaker, whose service is released by the rule of Express Mode.

    A release that the world asks Caretaker for becomes UpdateService at the same moment.
    """
    path = ROOT / "worlds" / f"{name}.yaml"
    fields = _fields(path)
    service = {key: value for key, value in fields["services"][0].items() if key != "deployment_controller"}
    actors = list(fields.get("actors", ()))
    for event in fields.get("events", ()):
        detail = event["event"]["detail"]
        params = {key: detail[key] for key in ("cluster", "service", "taskDefinition")}
        actors.append({"at": event["at"], "as": "pipeline", "call": "ecs.UpdateService", "params": params})
    made = {
        **fields,
        "services": [{**service, "release": EXPRESS}],
        "actors": actors,
        "events": [],
        "policy": {"defaults": {"releases": {"way": "off"}}},
        "expect": None,
    }
    return world_of(made, str(path), path.parent, f"{name} by Express's rule")


def _fields(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = dict(read_yaml(path))
    base = data.pop("extends", None)
    return {**_fields(path.parent / base), **data} if base else data


def run(loaded: LoadedWorld, seed: int, *, alarmed: bool = False) -> Met:
    """One run, to its end."""
    planned = from_world(loaded.spec, loaded.folder, loaded.where)
    with Rehearsal(loaded, planned, seed=seed) as rehearsal:
        if alarmed:
            _put_alarm(rehearsal)
        rehearsal.run()
        return met(rehearsal.releases.exposures.seen)


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


def row(world: str, who: str, runs: Sequence[Met]) -> str:
    """One line of the table. Runs in which the bad revision kept its weight have no time: they are counted apart."""
    gone = f"{sum(each.gone for each in runs)} of {len(runs)}"
    times = sorted(each.seconds for each in runs if each.seconds is not None)
    median = show(statistics.median(times)) if times else "-"
    high = show(percentile(times, 0.95)) if times else "-"
    errors = f"{statistics.median(each.errors for each in runs):,.0f}" if any(each.bad for each in runs) else "-"
    return f"{world:<26}{who:<11}{gone:>12}{median:>10}{high:>10}{errors:>12}"


def percentile(ordered: Sequence[float], part: float) -> float:
    """Of few values: the smallest that at least `part` of them do not exceed."""
    return ordered[min(len(ordered) - 1, max(0, -int(-part * len(ordered) // 1) - 1))]


if __name__ == "__main__":
    main()
