"""A small world in which garbage is swept; what has to hold however the sweep is cut short.

Two Express services share a load balancer; one of them is deleted, and ECS leaves everything behind that was its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crash_stage import Ended, Stage, Strike, items
from strikes import Choice, Point, deaths, last_calls

LEAVES = (
    "rule",
    "target_groups",
    "listener_certificate",
    "certificate",
    "alarm",
    "scaling",
    "security_group_rules",
    "security_group",
)
SHARED = ("load_balancer", "load_balancer_security_group")
QUIET_AFTER = 3700.0
"""Simulated seconds after the last work: the reaper's schedule comes by twice, and what it starts ends."""


def small(*sharers: str, leaves: tuple[str, ...] = LEAVES, **fields: Any) -> dict[str, Any]:
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
    return small(leaves=(*LEAVES, *SHARED), **fields)


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


def explored(document: dict[str, Any], *strikes: Strike, template: Path | None = None) -> list[Ended]:
    """The plain run's end and that of each fork, whatever is broken."""
    results = Sweeps(document, *strikes, after=QUIET_AFTER, template=template).explore()
    print(f"{len(results) - 1} moments")
    return results


def held(document: dict[str, Any], *strikes: Strike, template: Path | None = None) -> list[Ended]:
    """The same, where nothing may be broken."""
    results = explored(document, *strikes, template=template)
    assert [str(each) for each in results if each.broken] == []
    return results


def every_moment(document: dict[str, Any], choose: Choice, template: Path | None = None) -> Strike:
    """Die once, just before and just after each chosen call.

    What a function that dies just after a call leaves behind is what it leaves just before its next call. So the moment
    after a call is only tried where it is the last one of its invocation.
    """
    final = last_calls(Sweeps(document, after=QUIET_AFTER, template=template))
    return deaths(lambda point: choose(point) and (point.when == "before" or point in final))
