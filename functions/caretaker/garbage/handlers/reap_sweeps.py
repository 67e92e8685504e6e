"""Pick up sweeps whose execution ended without its own catch, and begin those that have to follow another.

`States.ALL` catches neither `States.Runtime` nor `States.DataLimitExceeded`, and a time-out or a stop of the execution
skips every catch (Step Functions developer guide: "Error names"). Executions are looked up by name, so lost and
repeated events make no difference: the schedule finds what no event told.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws import sns, stepfunctions
from caretaker.garbage import requests
from caretaker.garbage.record import PATIENCE, Records
from caretaker.garbage.requests import Wish
from caretaker.garbage.sweep import Entry, Sweep
from caretaker.runtime import clock, logging
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table
from caretaker.runtime.telling import subject

MAX_RESUMES = 20
REMIND = timedelta(days=1)
KEPT = timedelta(days=90)
RESUMED = re.compile(r"-resume-\d+$")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """For an execution status event: that sweep. For the schedule: all that is due."""
    settings = Settings.from_env()
    logging.bind()
    reaper = Reaper(Records(table(settings.table_name)), settings, clock.event_time(event))
    detail = event.get("detail") or {}
    if detail.get("executionArn"):
        return {"done": [reaper.look_after(RESUMED.sub("", detail["name"]), detail.get("input"))]}
    entries = reaper.records.list()
    done = [reaper.take(entry) for entry in entries if entry.due <= reaper.now]
    followed = [reaper.follow(vpc) for vpc in sorted({entry.vpc for entry in entries})]
    return {"done": done + [words for words in followed if words]}


class Reaper:
    """One run."""

    def __init__(self, records: Records, settings: Settings, now: datetime) -> None:
        self.records = records
        self.machine = settings.sweep_machine()
        self.topic = settings.topic_arn
        self.now = now

    def take(self, entry: Entry) -> str:
        """An entry of the index that is due."""
        if entry.kind != "past":
            return self.look_after(entry.id)
        if self.now - entry.due >= KEPT:
            self.records.forget(entry.id)
        return f"{entry.id}: past"

    def follow(self, vpc: str) -> str:
        """Begin the sweep that was asked for while the former one was open; empty if there is none."""
        ground = self.records.ground(vpc)
        if not ground.again or ground.sweep:
            return ""
        return requests.begin(self.records, self.machine, vpc, Wish("again", ground.again))

    def look_after(self, name: str, given: str | None = None) -> str:
        """A sweep that should be running: leave it if it is, else start what goes on with it.

        Args:
            given: input of an execution that ended, as its event tells it.
        """
        sweep = self.records.find(name)
        if sweep is None:
            return self._unopened(name, given)
        last = stepfunctions.describe(self.machine, name)
        for number in range(1, MAX_RESUMES + 1):
            if last is not None and last["status"] == "RUNNING":
                return self._alive(sweep, f"{last['name']} is running")
            if last is not None and last["status"] == "SUCCEEDED" and not sweep.open:
                # Where the function that closed it died before the index was told, it is now.
                self.records.close(sweep.id, sweep.outcome or "failed", sweep.reason, self.now)
                self.records.told(sweep.id, self.now)
                return f"{name}: told"
            following = stepfunctions.describe(self.machine, f"{name}-resume-{number}")
            if following is None:
                return self._start(sweep, number)
            last = following
        self._page(sweep)
        return self._alive(sweep, "given up", REMIND)

    def _unopened(self, name: str, given: str | None) -> str:
        """An execution that was cut short before it opened its sweep: begun anew, since nothing was done."""
        if not given:
            return f"{name}: not in the table"
        asked = json.loads(given)
        wish = Wish(asked["trigger"]["kind"], asked["trigger"]["text"], asked.get("mode"))
        return requests.begin(self.records, self.machine, asked["vpc"], wish)

    def _start(self, sweep: Sweep, number: int) -> str:
        name = f"{sweep.id}-resume-{number}"
        stepfunctions.start(self.machine, name, resume_input(sweep))
        logging.count("Reaped")
        return self._alive(sweep, f"{name} started")

    def _alive(self, sweep: Sweep, words: str, pause: timedelta = PATIENCE) -> str:
        if sweep.open:
            self.records.alive(sweep.id, self.now + pause)
        logging.logger().info(f"{sweep.id}: {words}")
        return f"{sweep.id}: {words}"

    def _page(self, sweep: Sweep) -> None:
        words = f"{MAX_RESUMES} executions could not end it; a person has to"
        logging.logger().error(f"{sweep.id}: {words}")
        text = f"Sweep {sweep.id} of {sweep.vpc}: {words}.\nHow it ended last: {sweep.reason}"
        sns.publish(self.topic, subject(f"Caretaker: {sweep.vpc} needs a person"), text)


def resume_input(sweep: Sweep) -> str:
    """Input of the execution that goes on with a sweep."""
    return json.dumps(
        {
            "id": sweep.id,
            "entry": "resume",
            "vpc": sweep.vpc,
            "generation": sweep.generation,
            "trigger": {"kind": sweep.trigger.kind, "text": sweep.trigger.text},
        },
        sort_keys=True,
    )
