"""A small world in which garbage is swept; what has to hold however the sweep is cut short.

Two Express services share a load balancer; one of them is deleted, and ECS leaves everything behind that was its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crash_stage import Ended, Stage, items
from strikes import Series

from tests.points import Point
from twin.ecs.express.options import EVERYTHING, OWN

QUIET_AFTER = 3700.0
"""Simulated seconds after the last work: the reaper's schedule comes by twice, and what it starts ends."""


def small(*sharers: str, leaves: tuple[str, ...] = OWN, **fields: Any) -> dict[str, Any]:
    """Service `web` and its sharers. `web` is deleted after a minute; grace and apart are as short as policy allows."""
    return {
        "cluster": "shop",
        "policy": {"defaults": {"garbage": {"mode": "act", "grace": 300, "apart": 300}}},
        "groups": [],
        "services": [{"name": name, "express": {"cpu": 256, "memory": 512}} for name in ("web", *sharers)],
        "options": {"express": {"leaves": list(leaves), "default_certificate": "left"}},
        "actors": [
            {
                "at": "+1m",
                "as": "platform",
                "call": "ecs.DeleteExpressGatewayService",
                "params": {"serviceArn": "arn:aws:ecs:us-east-1:123456789012:service/shop/web"},
            }
        ],
        **fields,
    }


def shared(**fields: Any) -> dict[str, Any]:
    """Two sharers, of which one is deleted."""
    return small("api", **fields)


def last(**fields: Any) -> dict[str, Any]:
    """The only service is deleted, and its load balancer stays too."""
    return small(leaves=EVERYTHING, **fields)


# --- what became of it -----------------------------------------------------------------------------------------------


class Sweeps(Stage):
    """The same for sweeps: what has to hold in the end of every run."""

    def judge(self) -> Ended:
        report = self.rehearsal.report(0.0)
        broken = [f"{law.name}: {law.worst} ({law.who}, {law.when})" for law in report.laws if law.held is False]
        broken += [f"{count} messages in {name}" for name, count in report.dead_letters.items()]
        works = {each.work: (str(each.outcome), str(each.reason)) for each in report.executions}
        outcomes, reasons = (tuple(each[part] for each in works.values()) for part in (0, 1))
        told = {event["detail"]["id"] for event in report.events}
        broken += [f"{name}: no outcome event" for name, (outcome, _) in works.items() if name not in told]
        broken += [f"{arn} is left" for arn in self.rehearsal.garbage.truth.garbage()]
        broken += _left(self)
        return Ended(self.label, outcomes, reasons, tuple(broken))


def _left(stage: Stage) -> Iterator[str]:
    """What a sweep that has ended must not leave in the table: open entries, claims, locks, acts without an answer."""
    for item in items(stage.world):
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if pk == "SWEEPS" and item["kind"]["S"] != "past":
            yield f"{sk} is still in the index as {item['kind']['S']}"
        if pk.startswith("SWEEP#") and sk == "SWEEP" and item["status"]["S"] != "closed":
            yield f"{pk} is not closed"
        if pk.startswith("SWEEP#") and sk.startswith("STEP#") and item["status"]["S"] in ("planned", "intended"):
            yield f"{pk} {sk} is still {item['status']['S']}"
        if pk.startswith("VPC#") and sk == "SWEEP":
            yield from (f"{pk}: {name} is {item[name]}" for name in ("sweep", "holder") if item.get(name, {}).get("S"))


def sweeping(point: Point) -> bool:
    """Calls of the functions that sweep, and of what asks for a sweep."""
    return point.function.startswith("Garbage") or point.function.startswith("Inbound")


def acts(point: Point) -> bool:
    """Writes of the function that deletes: intents, deletions and answers."""
    return point.function == "GarbageDeleteNext" and point.changes


SWEEPS = Series(Sweeps, QUIET_AFTER)
