"""Rehearsals for tests: worlds small enough to run many of them."""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cli.answers import answering
from twin.kernel.kernel import Entry
from twin.rehearsal.events import from_world
from twin.rehearsal.loading import LoadedWorld, load_world, world_of
from twin.rehearsal.rehearsal import Rehearsal
from twin.rehearsal.report import Law, Report

ROOT = Path(__file__).resolve().parents[2]
WORLDS = ROOT / "worlds"
OLD = "i-0a1b2c3d4e5f60001"
OTHER = "i-0a1b2c3d4e5f60002"
NOTICE = {"file": "health-ec2-retirement.json"}
ACT = {"defaults": {"hosts": {"mode": "act"}}}


def rehearsed(loaded: LoadedWorld, *, seed: int | None = None, template: Path | None = None) -> Report:
    """The report of a world with its own events."""
    planned = from_world(loaded.spec, loaded.folder, loaded.where)
    with Rehearsal(loaded, planned, seed=seed, template=template, answering=answering) as rehearsal:
        rehearsal.run()
        return rehearsal.report(0.0)


@dataclass(frozen=True)
class Ran:
    """One of the worlds in worlds/ that has ended.

    Attributes:
        start: when its clock began.
        entries: what its timeline tells of releases and of states, in order.
        messages: to people, in order.
    """

    report: Report
    start: datetime
    entries: tuple[Entry, ...]
    messages: tuple[str, ...]


shelf: list[Path] = []
"""The folder in which all workers of this run of the tests keep what has run; conftest.py puts it there."""


@lru_cache(maxsize=8)
def ran(name: str) -> Ran:
    """One of the worlds in worlds/, run once for all tests: another worker that wants it meanwhile waits."""
    kept, lock = (shelf[0] / f"{name}.{kind}" for kind in ("ran", "lock"))
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(_run(name)))
        found: Ran = pickle.loads(kept.read_bytes())
        return found


def _run(name: str) -> Ran:
    loaded = load_world(WORLDS / f"{name}.yaml")
    planned = from_world(loaded.spec, loaded.folder, loaded.where)
    with Rehearsal(loaded, planned, answering=answering) as rehearsal:
        rehearsal.run()
        kernel = rehearsal.world.kernel
        entries = tuple(each for each in kernel.timeline if each.kind.startswith(("release.", "state.")))
        messages = tuple(each.body for each in rehearsal.world.topics.messages)
        return Ran(rehearsal.report(0.0), kernel.clock.start, entries, messages)


def shipped(name: str) -> Report:
    """The report of one of the worlds in worlds/."""
    return ran(name).report


def small(services: Iterable[Mapping[str, Any]], **fields: Any) -> LoadedWorld:
    """Two hosts, of which the first gets a retirement notice; services as given."""
    data: dict[str, Any] = {
        "cluster": "lab",
        "policy": ACT,
        "groups": [
            {"name": "hosts", "desired_capacity": 2, "min_size": 1, "max_size": 4, "instances": [OLD, OTHER]},
        ],
        "services": list(services),
        "events": [NOTICE],
    }
    return world_of({**data, **fields}, "small", ROOT / "events", "small")


def law(report: Report, name: str) -> Law:
    return next(each for each in report.laws if each.name == name)


def broken(report: Report) -> list[Law]:
    return [each for each in report.laws if each.held is False]


def outcomes(report: Report) -> list[str | None]:
    return [execution.outcome for execution in report.executions]


def mutations(report: Report) -> list[str]:
    """Calls of Caretaker's to services that are not its own, which change something."""
    own = ("dynamodb", "events", "sns", "sqs", "stepfunctions", "lambda", "ssm", "cloudwatch")
    return [
        f"{each.service}:{each.operation}"
        for each in report.aws_calls
        if each.caller.startswith(("function:", "machine:"))
        and each.service not in own
        and not each.operation.startswith(("Describe", "List", "Get"))
    ]
