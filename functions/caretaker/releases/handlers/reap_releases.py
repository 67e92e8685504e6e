"""Pick up releases whose execution ended without its own catch.

`States.ALL` catches neither `States.Runtime` nor `States.DataLimitExceeded`, and a time-out or a stop of the execution
skips every catch (Step Functions developer guide: "Error names"). Executions are looked up by name, so lost and
repeated events make no difference: the schedule finds what no event told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws import sns, stepfunctions
from caretaker.releases.record import LEASE, Entry, Records, Release
from caretaker.runtime import clock, logging
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table

MAX_RECOVERIES = 20
REMIND = timedelta(days=1)
KEPT = timedelta(days=90)
RECOVERY = re.compile(r"-undo-\d+$")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """For an execution status event: that release. For the schedule: all that is due."""
    settings = Settings.from_env()
    logging.bind()
    reaper = Reaper(Records(table(settings.table_name)), settings, clock.event_time(event))
    detail = event.get("detail") or {}
    if detail.get("executionArn"):
        return {"done": [reaper.look_after(RECOVERY.sub("", detail["name"]), detail.get("input"))]}
    return {"done": [reaper.take(entry) for entry in reaper.records.list() if entry.due <= reaper.now]}


class Reaper:
    """One run."""

    def __init__(self, records: Records, settings: Settings, now: datetime) -> None:
        self.records = records
        self.machine = settings.bake_machine()
        self.topic = settings.topic_arn
        self.now = now

    def take(self, entry: Entry) -> str:
        """An entry of the index that is due."""
        if entry.kind != "past":
            return self.look_after(entry.id)
        if self.now - entry.due >= KEPT:
            self.records.forget(entry.id)
        return f"{entry.id}: past"

    def look_after(self, name: str, given: str | None = None) -> str:
        """A release that should be running: leave it if it is, else start what ends it.

        Args:
            given: input of an execution that ended, as its event tells it.
        """
        release = self.records.find(name)
        if release is None:
            return self._unopened(name, given)
        last = stepfunctions.describe(self.machine, name)
        for number in range(1, MAX_RECOVERIES + 1):
            if last is not None and last["status"] == "RUNNING":
                return self._renewed(release, f"{last['name']} is running")
            if last is not None and last["status"] == "SUCCEEDED" and not release.open:
                # Where the function that closed it died before the index was told, it is now.
                self.records.close(release.id, release.outcome or "failed", release.reason, self.now)
                self.records.told(release.id, self.now)
                return f"{name}: told"
            following = stepfunctions.describe(self.machine, f"{name}-undo-{number}")
            if following is None:
                return self._start(release, number, last)
            last = following
        self._page(release)
        return self._renewed(release, "given up", REMIND)

    def _unopened(self, name: str, given: str | None) -> str:
        """An execution that was cut short before it opened its release: the same once more, since nothing was done."""
        if not given:
            return f"{name}: not in the table"
        text = json.dumps({**json.loads(given), "entry": "undo"}, sort_keys=True)
        for number in range(1, MAX_RECOVERIES + 1):
            if stepfunctions.describe(self.machine, f"{name}-undo-{number}") is None:
                stepfunctions.start(self.machine, f"{name}-undo-{number}", text)
                return f"{name}-undo-{number} started, since no release was opened"
        return f"{name}: {MAX_RECOVERIES} executions opened no release"

    def _start(self, release: Release, number: int, last: Mapping[str, Any] | None) -> str:
        name = f"{release.id}-undo-{number}"
        stepfunctions.start(self.machine, name, execution_input(release, failure_of(last)))
        logging.count("Reaped")
        return self._renewed(release, f"{name} started")

    def _renewed(self, release: Release, words: str, pause: timedelta = LEASE) -> str:
        if release.open:
            self.records.renew(release.id, self.now + pause)
        logging.logger().info(f"{release.id}: {words}")
        return f"{release.id}: {words}"

    def _page(self, release: Release) -> None:
        words = f"{MAX_RECOVERIES} executions could not end it; a person has to"
        logging.logger().error(f"{release.id}: {words}")
        text = f"Release {release.id} of {release.service}: {words}.\nHow it ended last: {release.reason}"
        sns.publish(self.topic, f"Caretaker: {release.name} needs a person", text)


def execution_input(release: Release, failure: Mapping[str, str]) -> str:
    """Input of the execution that ends a release."""
    return json.dumps(
        {
            "id": release.id,
            "entry": "undo",
            "way": release.way,
            "cluster": release.cluster,
            "service": release.service,
            "deployment": release.deployment,
            "revision": release.revision,
            "trigger": {"kind": release.trigger.kind, "text": release.trigger.text},
            "failure": failure,
        },
        sort_keys=True,
    )


def failure_of(execution: Mapping[str, Any] | None) -> dict[str, str]:
    """How an execution ended, as the undo's `failure`."""
    if execution is None:
        return {"Error": "ExecutionMissing", "Cause": "no execution of its name was found"}
    detail = ": ".join(str(execution[key]) for key in ("error", "cause") if execution.get(key))
    words = f"the execution {execution['name']} ended as {execution['status']}"
    return {"Error": "ExecutionEnded", "Cause": words + (f": {detail}" if detail else "")}
