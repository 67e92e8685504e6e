"""Small worlds in which a release is baked, one for each way of working; what has to hold however they are cut short.

There are as few looks as a verdict takes: each is some twenty calls, and each call a moment to die in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crash_stage import Ended, Stage, items
from strikes import Series

from tests.points import Point

BAD = {"errors_5xx": 0.5}
WAYS = ("watch", "gate", "drive")
USUAL = {"errors_5xx": 0.002, "latency": {"median": 0.05, "p99": 0.2}}
CONTAINER = {
    "name": "web",
    "image": "example.com/web:2",
    "memory": 128,
    "essential": True,
    "portMappings": [{"containerPort": 80, "hostPort": 0}],
}
SERVICE = {
    "name": "web",
    "desired_count": 2,
    "memory": 128,
    "ports": [{"container": 80}],
    "load_balancer": {
        "alternate_target_group": True,
        "health_check_interval": 5,
        "healthy_threshold": 2,
        "deregistration_delay": 5,
        "rule": {"priority": 10, "path_pattern": ["/*"]},
    },
}
CANARY = {"strategy": "CANARY", "canary_percent": 20, "canary_bake": "4m", "bake": "4m"}
HOOK = {
    "stages": ["PRE_PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"],
    "function": "ReleasesAnswerHookAliaslive",
    "role": "HookRole",
}
REGISTER = {
    "at": "+10s",
    "call": "ecs.RegisterTaskDefinition",
    "params": {"family": "web", "networkMode": "bridge", "containerDefinitions": [CONTAINER]},
}
UPDATE = {
    "at": "+20s",
    "call": "ecs.UpdateService",
    "params": {"cluster": "lab", "service": "web", "taskDefinition": "web:2"},
}
REQUEST = {
    "source": "lab.pipeline",
    "detail-type": "Release Requested",
    "detail": {"cluster": "lab", "service": "web", "taskDefinition": "web:2"},
}


def small(way: str, behaviour: dict[str, Any] | None = None, mode: str = "act", **fields: Any) -> dict[str, Any]:
    """One service of two tasks and its release. `behaviour`: of the new revision, beside the usual one."""
    make = {"watch": _watched, "gate": _gated, "drive": _driven}[way]
    policy, service, started = make()
    return {
        "cluster": "lab",
        "policy": {"defaults": {"releases": {"mode": mode, **policy}}},
        "groups": [{"name": "hosts", "desired_capacity": 2}],
        "services": [{**SERVICE, **service}],
        "traffic": {
            "history": "15m",
            "requests": [{"service": "web", "per_minute": 24000}],
            "behaviours": [USUAL, *([{"task_definition": "web:2", **behaviour}] if behaviour else [])],
        },
        **started,
        **fields,
    }


Parts = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
"""Fields of the policy, of the service and of the world: what a way of working needs."""


def _watched() -> Parts:
    return {}, {"release": CANARY}, {"actors": [REGISTER, UPDATE]}


def _gated() -> Parts:
    release = {**CANARY, "canary_bake": "1m", "bake": "1m", "hooks": [HOOK]}
    return {"bake": 2, "patience": 20}, {"release": release}, {"actors": [REGISTER, UPDATE]}


def _driven() -> Parts:
    """Two steps, short bakes."""
    policy = {"steps": [20, 100], "bake": 2, "patience": 20}
    asked = {"actors": [REGISTER], "events": [{"at": "+20s", "event": REQUEST}]}
    return policy, {"deployment_controller": "EXTERNAL"}, asked


# --- what became of it -----------------------------------------------------------------------------------------------


class Bakes(Stage):
    """The same for releases: what has to hold in the end of every run."""

    def judge(self) -> Ended:
        report = self.rehearsal.report(0.0)
        broken = [f"{law.name}: {law.worst} ({law.who}, {law.when})" for law in report.laws if law.held is False]
        broken += [f"{each.name} is {each.status} without outcome" for each in report.executions if not each.outcome]
        broken += [f"{count} messages in {name}" for name, count in report.dead_letters.items()]
        works = {each.work: (str(each.outcome), str(each.reason)) for each in report.executions}
        outcomes, reasons = (tuple(each[part] for each in works.values()) for part in (0, 1))
        told = {event["detail"]["id"] for event in report.events}
        broken += [f"{name}: no outcome event" for name in works if name not in told]
        broken += [*self._weights(outcomes), *self._left()]
        return Ended(self.label, outcomes, reasons, tuple(broken))

    def _weights(self, outcomes: tuple[str, ...]) -> Iterator[str]:
        """Weights in between, and weights that contradict the outcome."""
        balanced = self.world.fleet.balanced["lab/web"]
        weights = self.world.elbv2.weights(balanced.rule)
        old = weights[balanced.target_group]
        if sorted(weights.values()) != [0, 100]:
            yield f"weights {sorted(weights.values())}"
        if "promoted" in outcomes and old != 0:
            yield f"promoted, and the old revision has weight {old}"
        if "rolled_back" in outcomes and old != 100:
            yield f"rolled back, and the old revision has weight {old}"

    def _left(self) -> Iterator[str]:
        for item in items(self.world):
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            if pk == "RELEASES" and item["kind"]["S"] == "open":
                yield f"{sk} is still in the index as open"
            if sk == "RELEASE" and pk.startswith("SERVICE#") and item["release"]["S"]:
                yield f"{pk} is still claimed"


QUIET_AFTER = 1900.0
"""Simulated seconds after the last work: the reaper's schedule comes by, and what it starts ends."""


def releases(point: Point) -> bool:
    return point.function.startswith("Releases") or point.function == "InboundIntake"


def acts(point: Point) -> bool:
    """Calls that change the service or its weights."""
    return releases(point) and point.changes and point.service in ("ecs", "elbv2")


BAKES = Series(Bakes, QUIET_AFTER)
