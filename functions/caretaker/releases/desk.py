"""What every function of bake_release begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws import ecs
from caretaker.aws.errors import AwsFailure, Missing
from caretaker.releases import native
from caretaker.releases.model import Rules, Signs
from caretaker.releases.next_step import Sight
from caretaker.releases.record import Records, Release
from caretaker.releases.rules import rules_of
from caretaker.runtime import clock, logging
from caretaker.runtime.policy import ReleasePolicy
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table

# ECS API, Task.stopCode: ends that nobody asked for.
_FAILED = ("EssentialContainerExited", "TaskFailedToStart")
_UNHEALTHY = "health check"
_FEW = 3


@dataclass(frozen=True)
class Desk:
    """One invocation for one release.

    Attributes:
        now: when the machine entered the state that invokes this function.
        records: the table's releases.
        release: the release as it stands now.
    """

    now: datetime
    settings: Settings
    records: Records
    release: Release

    def policy(self) -> ReleasePolicy:
        """The owner's policy for the service as it is now. What was begun to observe stays so."""
        return policy_of(self.settings, self.records, self.release.cluster, self.release.name)


def open_desk(event: Mapping[str, Any]) -> Desk:
    """Read what every function needs; logs of the invocation carry the release's id."""
    settings, records = opened(event["id"])
    return Desk(clock.entered(event), settings, records, records.get(event["id"]))


def opened(release: str) -> tuple[Settings, Records]:
    """Settings and records, for the function that opens the release."""
    settings = Settings.from_env()
    logging.bind(release=release)
    return settings, Records(table(settings.table_name))


def policy_of(settings: Settings, records: Records, cluster: str, service: str) -> ReleasePolicy:
    """What holds for the releases of a service, by its name and its cluster's ARN."""
    # Reading documents needs pydantic, whose import costs as much as a client: only functions that read policy pay.
    from caretaker.runtime import policy_source

    name = cluster.rsplit("/", 1)[-1]
    loaded = policy_source.load(records.table, settings.policy_path, name, [service])
    return loaded.releases.service(service)


def rules_for(release: Release, policy: ReleasePolicy) -> Rules:
    """The judge's rules for a release. One that is only watched is promoted by ECS: its time is not ours to prolong."""
    rules = rules_of(policy)
    return replace(rules, bake=1) if release.way == "watch" else rules


# --- what is seen ----------------------------------------------------------------------------------------------------


def sight(release: Release) -> Sight:
    """How far a native deployment is.

    Raises:
        AwsFailure: ECS could not be read; nothing is known then.
    """
    found = native.describe(release.deployment)
    if found is None:
        return Sight("gone")
    if found.status == "SUCCESSFUL":
        return Sight("promoted", 1.0, found.reason)
    if found.status in ("STOPPED", "STOP_REQUESTED"):
        return Sight("replaced", found.weight, found.reason)
    if found.going_back:
        return Sight("rolled_back" if found.over else "going_back", found.weight, found.reason)
    if found.weight >= 1:
        return Sight("whole", found.weight)
    return Sight("beside" if found.weight > 0 else "before", found.weight)


def signs(release: Release) -> Signs:
    """Tasks of the new revision that stopped without anybody having asked for it.

    Raises:
        AwsFailure: they could not be read.
    """
    try:
        arns = ecs.list_tasks(release.cluster, service=release.name, desired_status="STOPPED")
    except Missing:
        return Signs()
    found = ecs.describe_tasks(release.cluster, arns)
    if found.unreadable():
        raise AwsFailure("DescribeTasks", found.unreadable()[0].reason, str(found.unreadable()[0]))
    stopped = [task for task in found.items if _failed(task, release)]
    why = sorted({str(task.get("stoppedReason", "")) for task in stopped} - {""})
    return Signs(len(stopped), tuple(why[:_FEW]))


def _failed(task: Mapping[str, Any], release: Release) -> bool:
    if task.get("taskDefinitionArn") != release.task_definition or task.get("lastStatus") != "STOPPED":
        return False
    stopped = task.get("stoppedAt")
    early = isinstance(stopped, datetime) and stopped < release.opened
    unhealthy = _UNHEALTHY in str(task.get("stoppedReason", "")).lower()
    return not early and (task.get("stopCode") in _FAILED or unhealthy)


# --- what is written of it -------------------------------------------------------------------------------------------


def minute_of(moment: datetime) -> datetime:
    """The full minute in which a moment lies."""
    return moment.replace(second=0, microsecond=0)


def noted(desk: Desk, seen: Sight) -> Release:
    """Write the share that the canary is meant to have, with the minute in which it first had any, and the whole.

    ECS tells no time of a shift: it happened between the last look and this one.
    """
    release = desk.release
    notes = {**release.notes, "seen": clock.iso(desk.now)}
    if seen.state not in ("beside", "whole") or seen.weight == release.weight:
        return desk.records.update(release.id, notes=notes)
    before = release.notes.get("seen") or clock.iso(release.opened)
    notes["shifts"] = [*release.notes.get("shifts", ()), [before, clock.iso(desk.now), seen.weight]]
    notes.pop("told", None)  # another share is another question
    fields: dict[str, Any] = {"weight": seen.weight, "weights_changed": desk.now}
    # The minute of a shift is of neither share; only before the first there is nothing to tell it from.
    begin = minute_of(desk.now) + timedelta(minutes=0 if release.started is None else 1)
    if release.started is None:
        fields["started"] = begin
    notes["begun"] = [*release.notes.get("begun", ()), clock.iso(begin)]
    if seen.state == "whole" and "whole" not in release.notes:
        notes["whole"] = clock.iso(begin)
    return desk.records.update(release.id, **fields, notes=notes)


def whole_of(release: Release) -> datetime | None:
    """The first minute in which the canary had all traffic; None before."""
    return clock.optional(release.notes.get("whole"), "whole")


def begun_of(release: Release, started: datetime) -> list[datetime]:
    """The first minutes of the phases that are judged apart, but for the one with all traffic.

    Where ECS's steps wait for the gate, each is one. Elsewhere nobody decides between them, and all that was seen
    beside the running revision counts together.
    """
    if release.way != "gate":
        return [started]
    return [clock.parse(str(begin), "begun") for begin in release.notes.get("begun", ())] or [started]
