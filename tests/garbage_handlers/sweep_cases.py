"""Acts, sweeps and verdicts for tests of what a sweep does about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from caretaker.garbage.acts import act_of
from caretaker.garbage.model import Identity, Kind, Life, Observation, Owner, Resource, Verdict, Word
from caretaker.garbage.plan import Ask, Step
from caretaker.garbage.sweep import Act, Sweep, sweep_id
from caretaker.runtime.journal import Trigger

NOW = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
VPC = "vpc-0a"
STEM = "arn:aws:ecs:us-east-1:123456789012:service/shop"
WEB, API = Identity(f"{STEM}/web", "2026-10-01"), Identity(f"{STEM}/api", "2026-10-01")
_LB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"


def after(**delta: float) -> datetime:
    return NOW + timedelta(**delta)


def resource(kind: Kind = Kind.RULE, name: str = "1", **facts: str) -> Resource:
    paths = {Kind.RULE: "listener-rule/app/x", Kind.LOAD_BALANCER: "loadbalancer/app", Kind.TARGET_GROUP: "targetgroup"}
    return Resource(Identity(f"{_LB}:{paths.get(kind, kind.value)}/{name}"), kind, VPC, name, {}, facts)


def step(kind: Kind = Kind.RULE, name: str = "1", **members: Any) -> Step:
    found = resource(kind, name)
    given = {"action": "elasticloadbalancing:DeleteRule", "params": {"RuleArn": found.arn}, "why": "nobody uses it"}
    return Step(**{**given, "resource": found, "target": found, "again": (Ask("x:Y", "z"),), **members})


def act(number: int = 1, kind: Kind = Kind.RULE, **fields: Any) -> Act:
    made = act_of(step(kind, str(number)), {"of": "it"})
    return Act(**{**vars(made), "number": number, **fields})


def sweep(**fields: Any) -> Sweep:
    given = {"id": sweep_id(VPC, 1), "vpc": VPC, "generation": 1, "opened": NOW}
    return Sweep(**{**given, "trigger": Trigger("deleted", "web was deleted"), **fields})


def verdict(word: Word, kind: Kind = Kind.RULE, *owners: Identity, name: str = "1") -> Verdict:
    return Verdict(resource(kind, name), word, "because", owners or (WEB,))


def seen(**lives: Life) -> Observation:
    owners = {Identity(f"{STEM}/{name}", "2026-10-01"): life for name, life in lives.items()}
    return Observation("1", NOW, NOW, VPC, owners={key: Owner(key, life) for key, life in owners.items()})
