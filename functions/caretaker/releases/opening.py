"""What a release turns out to be when it is looked at for the first time: plain functions of plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from caretaker.releases.native import Native, Side
from caretaker.releases.record import Rejection, Release, Way
from caretaker.releases.weights import NEAR
from caretaker.runtime.journal import Trigger
from caretaker.runtime.policy import ReleasePolicy


@dataclass(frozen=True)
class Ignored:
    """A deployment that is none of ours. `reason`: why, for people."""

    reason: str


def way_of(found: Native, policy: ReleasePolicy, gate: str) -> Way:
    """How a native deployment is accompanied. A hook of ours on the service is the owner's word for the gate.

    Args:
        gate: ARN of the hook's function, without version; empty if there is none.
    """
    ours = bool(gate) and any(hook == gate or hook.startswith(f"{gate}:") for hook in found.hooks)
    return "gate" if ours and policy.way != "watch" else "watch"


def no_release(found: Native | None, policy: ReleasePolicy) -> Ignored | None:
    """Why a deployment is not baked, or None if it is."""
    if policy.way == "off":
        return Ignored("policy says off")
    if found is None:
        return Ignored("its deployment is gone")
    if found.going_back:
        return Ignored(f"a rollback is no release: {found.reason}")
    if found.over or found.status == "STOP_REQUESTED":
        return Ignored(f"its deployment is {found.status} already")
    if found.strategy == "ROLLING":
        return Ignored("a rolling deployment has no target group of its own to be judged by")
    if not found.sources:
        return Ignored("the first deployment of a service has nothing to be compared with")
    return None


def no_traffic(canary: Side, baseline: Side) -> Ignored | None:
    """Why the two revisions cannot be told apart by their traffic, or None if they can."""
    if not canary.group or not baseline.group:
        return Ignored("no load balancer tells the traffic of the two revisions apart")
    if canary.group == baseline.group:
        return Ignored("both revisions are in one target group; their traffic cannot be told apart")
    # ELB: ARNs of Network Load Balancers' listeners; those count connections, and no answers.
    if any("/net/" in rule for rule in (*canary.rules, *baseline.rules)):
        return Ignored("its load balancer is a Network Load Balancer, which counts no answers by their status")
    return None


def native_release(
    event: dict[str, Any],
    found: Native,
    canary: Side,
    baseline: Side,
    balancer: str,
    policy: ReleasePolicy,
    way: Way,
    now: datetime,
) -> Release:
    """The record of a native deployment."""
    trigger = event["trigger"]
    return Release(
        id=event["id"],
        way=way,
        mode=policy.mode,
        cluster=found.cluster,
        service=found.service,
        deployment=found.arn,
        revision=found.target,
        task_definition=canary.task_definition,
        opened=now,
        trigger=Trigger(trigger["kind"], trigger["text"]),
        baseline_task_definition=baseline.task_definition,
        baseline_revision=baseline.revision,
        balancer=balancer,
        rules=canary.rules,
        canary_group=canary.group,
        baseline_group=baseline.group,
        notes={"strategy": found.strategy, "phases": phases_of(found, way)},
    )


def phases_of(found: Native, way: Way) -> int:
    """How many phases of the deployment are judged apart: each share that the gate decides about, or the time beside
    the running revision and that with all traffic."""
    if found.strategy == "BLUE_GREEN":
        return 1
    return math.ceil(1 / found.first_share - NEAR) if way == "gate" and found.strategy == "LINEAR" else 2


def plan_words(release: Release, policy: ReleasePolicy, needs: Sequence[str], before: Rejection | None) -> list[str]:
    """What is going to be done, for people."""
    short = release.task_definition.rsplit("/", 1)[-1]
    old = release.baseline_task_definition.rsplit("/", 1)[-1]
    lines = [f"{release.name}: {short} is judged against {old}, way {release.way}, mode {release.mode}."]
    lines.append(
        {
            "watch": "On evidence against it its deployment is stopped, and ECS rolls it back; ECS promotes it.",
            "gate": "Its deployment is held at each shift of traffic until there is evidence for it or against it.",
            "drive": f"Its share of the traffic goes to {' %, '.join(f'{step:g}' for step in policy.steps)} %.",
        }[release.way]
    )
    if before is not None:
        lines.append(f"This revision was rolled back at {before.at:%Y-%m-%d %H:%M}Z: {before.reason}")
    return lines + [f"It takes: {need}" for need in needs]
