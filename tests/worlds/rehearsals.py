"""Rehearsals for tests: worlds small enough to run many of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

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
    with Rehearsal(loaded, planned, seed=seed, template=template) as rehearsal:
        rehearsal.run()
        return rehearsal.report(0.0)


@lru_cache(maxsize=8)
def shipped(name: str, *, seed: int | None = None) -> Report:
    """The report of one of the worlds in worlds/."""
    return rehearsed(load_world(WORLDS / f"{name}.yaml"), seed=seed)


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
