"""What is known of one release, as plain data, and how it is kept in the table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from caretaker.releases.weights import same
from caretaker.runtime.approval import Approval, approval_from
from caretaker.runtime.clock import optional, parse
from caretaker.runtime.journal import Trigger

Item = Mapping[str, Any]
Way = Literal["watch", "gate", "drive"]
Mode = Literal["observe", "approve", "act"]
Decision = Literal["promote", "roll_back", "hold"]
Outcome = Literal["promoted", "rolled_back", "inconclusive", "planned", "ignored", "failed"]


@dataclass(frozen=True)
class Release:
    """One release of one service.

    Attributes:
        id: execution name, `bake-release-<hash>-<attempt>`.
        way: `watch` beside a native deployment, `gate` as its hook, `drive` by shifting the weights itself.
        mode: `observe` changes nothing, `approve` asks first, `act` acts.
        cluster, service: ARNs.
        deployment: ARN of the service deployment, or id of the task set (drive).
        revision: ARN of the new service revision; empty for drive.
        task_definition, baseline_task_definition: ARNs of the new and of the running revision.
        baseline_revision: ARN of the running service revision; empty where there is none.
        balancer: ARN of the load balancer.
        rules: ARNs of the production listener rules (or listeners) whose weights shift.
        canary_group, baseline_group: ARNs of the target groups of the new and of the running revision.
        opened: when the release was opened.
        trigger: why.
        started: the first minute in which the canary was meant to have traffic; None before.
        weight: the share of requests that the canary is meant to have now, 0 to 1.
        weights_changed: when that share last changed.
        status: open or closed.
        decision, decision_reason: what was decided last, and why; None before.
        decision_weight: the share, 0 to 1, that the canary had then: a decision to go on or to hold is about that one.
        outcome, reason: what became of it.
        verdict: summary of the last look.
        approval: the question to a person; None if none was asked.
        looks: number of looks so far.
        done: what Caretaker changed, in words, in order.
        notes: facts that the way of working keeps between its functions.
    """

    id: str
    way: Way
    mode: Mode
    cluster: str
    service: str
    deployment: str
    revision: str
    task_definition: str
    opened: datetime
    trigger: Trigger
    baseline_task_definition: str = ""
    baseline_revision: str = ""
    balancer: str = ""
    rules: tuple[str, ...] = ()
    canary_group: str = ""
    baseline_group: str = ""
    started: datetime | None = None
    weight: float = 0.0
    weights_changed: datetime | None = None
    status: Literal["open", "closed"] = "open"
    decision: Decision | None = None
    decision_reason: str = ""
    decision_weight: float | None = None
    outcome: Outcome | None = None
    reason: str = ""
    verdict: Mapping[str, Any] = field(default_factory=dict)
    approval: Approval | None = None
    looks: int = 0
    done: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    ended: datetime | None = None

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.rsplit("/", 1)[-1]

    @property
    def open(self) -> bool:
        return self.status == "open"

    def decided(self, share: float | None) -> Decision | None:
        """The decision that holds while the canary has `share` of the requests; None if there is none.

        To roll back holds at any share.
        """
        if self.decision == "roll_back":
            return self.decision
        if share is None or self.decision_weight is None or not same(share, self.decision_weight):
            return None
        return self.decision


@dataclass(frozen=True)
class Look:
    """What one look came to.

    Attributes:
        number: from 1.
        action: the judge's: roll back, promote, continue, inconclusive.
        counts: per stream: canary errors and requests, baseline errors and requests, log evidence against and for.
        needs: what was still missing for a decision, in words.
    """

    number: int
    at: datetime
    action: str
    reason: str
    log_against: float
    counts: Mapping[str, Any]
    weight: float
    line: float = 0.0
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejection:
    """A revision that was rolled back."""

    task_definition: str
    at: datetime
    release: str
    reason: str


def release_id(deployment: str, revision: str, attempt: int = 1) -> str:
    """`bake-release-<16 hex>-<attempt>` of a deployment (or task set) and its revision (or task definition)."""
    digest = hashlib.sha256(f"{deployment},{revision}".encode()).hexdigest()[:16]
    return f"bake-release-{digest}-{attempt}"


_TIMES = ("opened", "started", "weights_changed", "ended")
FIELDS = tuple(Release.__dataclass_fields__)


def from_item(item: Item) -> Release:
    given = {name: item[name] for name in FIELDS if name in item}
    for name in _TIMES:
        given[name] = optional(given.get(name), name)
    for name in ("rules", "done"):
        given[name] = tuple(given.get(name, ()))
    given["trigger"] = Trigger(given["trigger"]["kind"], given["trigger"]["text"])
    given["weight"] = float(given.get("weight", 0))
    if given.get("decision_weight") is not None:
        given["decision_weight"] = float(given["decision_weight"])
    given["approval"] = approval_from(given.get("approval"))
    return Release(**given)


def look_from(item: Item) -> Look:
    given = {name: item[name] for name in Look.__dataclass_fields__ if name in item}
    return Look(**{**given, "at": parse(item["at"], "at"), "needs": tuple(item["needs"])})
