"""Open a release: find out what it is, claim its service, and say what sample its verdict will take."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from caretaker.releases import drive_opening, evidence, native, opening
from caretaker.releases.desk import opened, policy_of, rules_for
from caretaker.releases.judge import expected_traffic
from caretaker.releases.opening import Ignored
from caretaker.releases.record import Records, Rejection, Release, ServiceBusy
from caretaker.releases.sample import announce
from caretaker.runtime import clock, logging
from caretaker.runtime.policy import ReleasePolicy

# A rejection counts for so long.
REMEMBERED = timedelta(days=90)
# A rollback's own events have other kinds; these triggers come from machines that know nothing of a rejection.
_BLIND = frozenset({"push"})


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What the release is, and what comes next: look, shift (drive), ask, or close where there is nothing to do.

    Raises:
        ServiceBusy: another release of the service is open, and its deployment is not over; run again.
    """
    settings, records = opened(event["id"])
    now = clock.entered(event)
    known = records.find(event["id"])
    if known is not None:
        return _next(known)
    policy = policy_of(settings, records, event["cluster"], event["service"].rsplit("/", 1)[-1])
    if event["way"] == "drive":
        return _requested(event, records, policy, now)
    found = native.describe(event["deployment"])
    ignored = opening.no_release(found, policy)
    if ignored is not None or found is None:
        return _ignored(ignored or Ignored("its deployment is gone"))
    canary, baseline = native.both(found)
    ignored = opening.no_traffic(canary, baseline)
    before = _rejection(records, found.service, canary.task_definition, now)
    if ignored is None and before is not None and event["trigger"]["kind"] in _BLIND:
        ignored = Ignored(f"this revision was rolled back at {clock.iso(before.at)}: {before.reason}")
    if ignored is not None:
        return _ignored(ignored)
    way = opening.way_of(found, policy, os.environ.get("GATE_ARN", ""))
    balancer = native.balancer_of(canary.group) or native.balancer_of(baseline.group)
    release = opening.native_release(event, found, canary, baseline, balancer, policy, way, now)
    release = _announced(release, policy, found.first_share, before, now)
    return _next(_claimed(records, release, now))


def _requested(event: dict[str, Any], records: Records, policy: ReleasePolicy, now: datetime) -> dict[str, Any]:
    """A release that somebody asked for, and that Caretaker carries out itself."""
    holder = records.holder(event["service"])
    if holder is not None:
        return _ignored(Ignored(_busy(holder)))
    release = drive_opening.requested(event, policy, now)
    if isinstance(release, Ignored):
        return _ignored(release)
    before = _rejection(records, release.service, release.task_definition, now)
    if before is not None and event["trigger"]["kind"] in _BLIND:
        return _ignored(Ignored(f"this revision was rolled back at {clock.iso(before.at)}: {before.reason}"))
    release = _announced(release, policy, policy.steps[0] / 100, before, now)
    try:
        release = records.open(release, now)
    except ServiceBusy as busy:
        return _ignored(Ignored(_busy(busy.holder)))
    return {**_next(release), "expires": int(policy.approval_expires.total_seconds())}


def _busy(holder: str) -> str:
    return f"release {holder} of the same service is not over; ask again when it is"


def _rejection(records: Records, service: str, task_definition: str, now: datetime) -> Rejection | None:
    found = records.rejected(service, task_definition)
    return found if found is not None and now - found.at < REMEMBERED else None


def _announced(
    release: Release, policy: ReleasePolicy, share: float, before: Rejection | None, now: datetime
) -> Release:
    """The release with its plan in words, the sample that it takes among them."""
    needs: list[str] = []
    if 0 < share < 1:
        _, history = evidence.gather(release, now, policy.slow_over, by_zone=policy.by_zone)
        rules = rules_for(release, policy)
        needs = [need.words for need in announce(expected_traffic(history, rules, share), rules)]
    plan = opening.plan_words(release, policy, needs, before)
    logging.logger().info(" ".join(plan))
    return replace(release, notes={**release.notes, "plan": plan})


def _claimed(records: Records, release: Release, now: datetime) -> Release:
    """Claim the service; from a release whose own deployment is over by now it is taken over."""
    try:
        return records.open(release, now)
    except ServiceBusy as busy:
        former = records.find(busy.holder)
        if former is None or former.way == "drive":
            raise
        other = native.describe(former.deployment)
        if other is not None and not other.over:
            raise
        return records.open(release, now, after=former.id)


def _next(release: Release) -> dict[str, Any]:
    if release.way == "drive" and release.open:
        return drive_opening.first_step(release)
    return {"next": "look" if release.open else "close", "outcome": release.outcome, "reason": release.reason}


def _ignored(why: Ignored) -> dict[str, Any]:
    logging.logger().info(f"no release: {why.reason}")
    return {"next": "close", "outcome": "ignored", "reason": why.reason}
