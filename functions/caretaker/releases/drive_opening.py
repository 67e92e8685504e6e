"""What a requested release turns out to be: whether Caretaker can drive it, between which sides, and by which plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from caretaker.aws import ecs
from caretaker.aws.errors import Invalid, Missing
from caretaker.releases import ground
from caretaker.releases.ground import ServiceGone
from caretaker.releases.opening import Ignored
from caretaker.releases.release import Release
from caretaker.releases.tasksets import NotDrivable, short
from caretaker.runtime.journal import Trigger
from caretaker.runtime.policy import ReleasePolicy


def requested(event: Mapping[str, Any], policy: ReleasePolicy, now: datetime) -> Release | Ignored:
    """The release that a request asks for, not yet in the record.

    Args:
        event: input of the machine; `revision` is the task definition, by ARN, family:revision or family.

    Raises:
        AwsFailure: something could not be read; nothing is known then.
    """
    if policy.way == "off":
        return Ignored("policy says off")
    try:
        wanted = str(ecs.describe_task_definition(event["revision"])["taskDefinitionArn"])
    except (Missing, Invalid):
        return Ignored(f"there is no task definition {short(event['revision'])}")
    try:
        found = ground.survey(event["cluster"], event["service"])
    except (NotDrivable, ServiceGone) as error:
        return Ignored(str(error))
    if wanted == found.task_definition:
        return Ignored(f"{short(wanted)} is what runs already")
    trigger = event["trigger"]
    return Release(
        id=event["id"],
        way="drive",
        mode=policy.mode,
        cluster=event["cluster"],
        service=event["service"],
        deployment="",
        revision="",
        task_definition=wanted,
        opened=now,
        trigger=Trigger(trigger["kind"], trigger["text"]),
        baseline_task_definition=found.task_definition,
        balancer=found.pair.balancer,
        rules=found.pair.rules,
        canary_group=found.pair.canary,
        baseline_group=found.pair.baseline,
        notes={
            "steps": list(policy.steps),
            "on_inconclusive": policy.on_inconclusive,
            "ready_limit": int(policy.ready_limit.total_seconds()),
            "session_limit": int(policy.session_limit.total_seconds()),
        },
    )


def first_step(release: Release) -> dict[str, Any]:
    """What comes after the opening: the plan alone, the question whether it may be done, or the new tasks."""
    plan = " ".join(str(line) for line in release.notes.get("plan", ()))
    if release.mode == "observe":
        return {"next": "close", "outcome": "planned", "reason": f"would be driven: {plan}"}
    if release.mode == "approve" and (release.approval is None or release.approval.answer is None):
        return {"next": "ask", "then": "start", "reason": plan}
    return {"next": "start", "reason": plan}
