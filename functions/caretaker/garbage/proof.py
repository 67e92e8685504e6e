"""What proves a deletion, complete in itself.

The record of a deletion holds, for both observations, the slice on which its verdict rests: the resource, whoever
refers to it, who claims these and how it stands with their services, and every reading that could have shown another
referrer.
From the record alone `check.check` decides again, by other means, and complains in words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from caretaker.garbage import plain, slices, words
from caretaker.garbage.model import Observation, Read, Reading
from caretaker.garbage.plan import Step
from caretaker.garbage.standing import Keep
from caretaker.garbage.verdict import Judgement
from caretaker.runtime.clock import iso, parse
from caretaker.runtime.policy import GarbagePolicy

VERSION = 1
_KINDS = ("certificates", "log_groups", "task_definitions", "clusters")
Record = Mapping[str, Any]


class BadRecord(ValueError):
    """A record is no proof. `str()` names the field."""


@dataclass(frozen=True)
class Act:
    """What was done on the strength of the proof.

    Attributes:
        action, params: the call.
        resource: ARN of what is deleted or edited.
        target: ARN of the garbage.
        takes: ARNs of what goes along with it.
        why: in words.
    """

    action: str
    params: Mapping[str, Any]
    resource: str
    target: str
    takes: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Sight:
    """One of the two observations, cut to what matters, and the time at which it was judged."""

    observation: Observation
    judged: datetime


@dataclass(frozen=True)
class Proof:
    """Why nobody uses what is deleted.

    Attributes:
        act: what it proves.
        first, second: the two observations.
        apart: what policy wants between them.
        policies: what policy said of the services that claim something in it, by ARN.
    """

    act: Act
    first: Sight
    second: Sight
    apart: timedelta
    policies: Mapping[str, GarbagePolicy]

    def plain(self) -> dict[str, Any]:
        """As JSON, with a digest of all of it."""
        record = {
            "version": VERSION,
            "act": {
                "action": self.act.action,
                "params": json.loads(json.dumps(self.act.params)),
                "resource": self.act.resource,
                "target": self.act.target,
                "takes": list(self.act.takes),
                "why": self.act.why,
            },
            "first": _sight(self.first),
            "second": _sight(self.second),
            "apart": self.apart.total_seconds(),
            "policies": {service: _policy(each) for service, each in sorted(self.policies.items())},
        }
        return {**record, "digest": digest(record)}


def prove(step: Step, first: Judgement, second: Judgement, apart: timedelta) -> Proof:
    """The proof of a step of the plan of these two judgements."""
    act = Act(step.action, step.params, step.resource.arn, step.target.arn, step.takes, step.why)
    sights = [Sight(slices.cut(judged, step.target.arn), judged.now) for judged in (first, second)]
    services = sorted({claim.owner.arn for sight in sights for claim in sight.observation.claims})
    return Proof(act, sights[0], sights[1], apart, {service: second.keep.of(service) for service in services})


def read(record: Record) -> Proof:
    """The proof of a record.

    Raises:
        BadRecord: it is none.
    """
    try:
        if record["version"] != VERSION:
            raise BadRecord(f"version: {record['version']!r} is not {VERSION}")
        act = record["act"]
        return Proof(
            Act(act["action"], act["params"], act["resource"], act["target"], tuple(act["takes"]), act["why"]),
            _sight_from(record["first"]),
            _sight_from(record["second"]),
            timedelta(seconds=record["apart"]),
            {service: _policy_from(each) for service, each in record["policies"].items()},
        )
    except BadRecord:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise BadRecord(f"{type(error).__name__}: {error}") from None


def keep_of(proof: Proof) -> Keep:
    """The policy by which it was judged."""
    return Keep(services=proof.policies)


def digest(record: Record) -> str:
    """SHA-256 of everything in the record but its digest."""
    body = {name: value for name, value in record.items() if name != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def told(proof: Proof) -> tuple[str, ...]:
    """The proof in lines for people: what was done, when it was looked at, what was read, who referred to it, who owned
    it."""
    resources = proof.second.observation.resources
    target = proof.act.target
    lines = [f"{proof.act.action} {words.named(proof.act.resource, resources)}: {proof.act.why}"]
    for name, sight in (("first", proof.first), ("second", proof.second)):
        seen = sight.observation
        whole = sum(1 for each in seen.readings if each.status is Read.WHOLE)
        lines.append(
            f"{name} observation {seen.id}, {iso(seen.began)} to {iso(seen.ended)}: {whole} of "
            f"{words.plural(len(seen.readings), 'reading')} whole"
        )
    referrers = [each for each in proof.second.observation.references if each.target == target]
    lines += [f"referrer, gone before it: {words.told(each, resources)}" for each in referrers] or ["referrers: none"]
    lines += [
        f"claimed by {each.owner.arn} ({each.owner.created}): {proof.second.observation.owners[each.owner].words}"
        for each in proof.second.observation.claims
        if each.resource.arn == target
    ]
    return tuple(lines)


# --- parts of the record ----------------------------------------------------------------------------------------------


def _sight(sight: Sight) -> dict[str, Any]:
    whole = plain.observation(sight.observation)
    return {**whole, "readings": _readings(sight.observation.readings), "judged": iso(sight.judged)}


def _sight_from(data: Record) -> Sight:
    readings = [_reading(each) for each in data["readings"]]
    observation = plain.observation_from({**data, "readings": readings})
    return Sight(observation, parse(data["judged"], "judged"))


def _readings(readings: Iterable[Reading]) -> list[list[Any]]:
    """Sorted so that the same ARN stands together: this compresses to a tenth."""
    ordered = sorted(readings, key=lambda each: (each.scope, each.operation, each.at))
    return [[each.operation, each.scope, each.status.value, each.at, each.items, each.reason] for each in ordered]


def _reading(data: list[Any]) -> dict[str, Any]:
    names = ("operation", "scope", "status", "at", "items", "reason")
    return dict(zip(names, data, strict=True))


def _policy(policy: GarbagePolicy) -> dict[str, Any]:
    kept = {name: getattr(policy, name) for name in _KINDS}
    return {"grace": policy.grace.total_seconds(), "keep": policy.keep, **kept}


def _policy_from(data: Record) -> GarbagePolicy:
    kept = {name: data[name] for name in _KINDS}
    return GarbagePolicy(grace=timedelta(seconds=data["grace"]), keep=data["keep"], **kept)
