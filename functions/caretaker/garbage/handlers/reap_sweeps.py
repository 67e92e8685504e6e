"""Pick up sweeps whose execution ended without its own catch, and begin those that have to follow another.

How is in `runtime.reaper`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from caretaker.aws.errors import AwsFailure
from caretaker.garbage import requests
from caretaker.garbage.record import Records
from caretaker.garbage.requests import Wish
from caretaker.garbage.sweep import Sweep
from caretaker.runtime import clock, logging
from caretaker.runtime.reaper import Reaper
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """For an execution status event: that sweep. For the schedule: all that is due.

    Raises:
        AwsFailure: something could not be read or started.
        NotAllReaped: the same of some of what is due; the rest was looked after.
    """
    settings = Settings.from_env()
    logging.bind()
    records, machine = Records(table(settings.table_name)), settings.sweep_machine()
    reaper = SweepReaper(records, machine, settings.topic_arn, clock.event_time(event))
    detail = event.get("detail") or {}
    if detail.get("executionArn"):
        return {"done": [reaper.ended(detail)]}
    entries = records.index.entries()
    done = reaper.due(entries)
    done += [words for vpc in sorted({entry.of for entry in entries}) if (words := reaper.follow(vpc))]
    reaper.check()
    return {"done": done}


class SweepReaper(Reaper[Sweep]):
    """Goes on with what an execution left open."""

    suffix = "resume"
    may_fail = (AwsFailure, requests.NoAttemptLeft)
    records: Records

    def follow(self, vpc: str) -> str:
        """Begin the sweep that was asked for while the former one was open; empty if there is none."""
        return self.tried(vpc, partial(self._follow, vpc))

    def _follow(self, vpc: str) -> str:
        ground = self.records.ground(vpc)
        if not ground.again or ground.sweep:
            return ""
        return requests.begin(self.records, self.machine, vpc, Wish("again", ground.again, ground.again_mode))

    def next_input(self, piece: Sweep, last: Mapping[str, Any] | None) -> str:
        return resume_input(piece)

    def unopened(self, name: str, given: str) -> str:
        asked = json.loads(given)
        wish = Wish(asked["trigger"]["kind"], asked["trigger"]["text"], asked.get("mode"))
        return requests.begin(self.records, self.machine, asked["vpc"], wish)

    def on_what(self, piece: Sweep) -> tuple[str, str]:
        return piece.vpc, piece.vpc


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
