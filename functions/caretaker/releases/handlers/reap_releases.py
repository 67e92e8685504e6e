"""Pick up releases whose execution ended without its own catch. How is in `runtime.reaper`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from caretaker.aws import stepfunctions
from caretaker.releases.record import Records, Release
from caretaker.runtime import clock, logging
from caretaker.runtime.reaper import MAX_RECOVERIES, Reaper
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """For an execution status event: that release. For the schedule: all that is due.

    Raises:
        AwsFailure: something could not be read or started.
        NotAllReaped: the same of some of what is due; the rest was looked after.
    """
    settings = Settings.from_env()
    logging.bind()
    records = Records(table(settings.table_name))
    reaper = ReleaseReaper(records, settings.bake_machine(), settings.topic_arn, clock.event_time(event))
    detail = event.get("detail") or {}
    if detail.get("executionArn"):
        return {"done": [reaper.ended(detail)]}
    done = reaper.due(records.index.entries())
    reaper.check()
    return {"done": done}


class ReleaseReaper(Reaper[Release]):
    """Ends what an execution left open."""

    suffix = "undo"

    def next_input(self, piece: Release, last: Mapping[str, Any] | None) -> str:
        return execution_input(piece, failure_of(last))

    def unopened(self, name: str, given: str) -> str:
        """The same once more, under the next name that is free."""
        text = json.dumps({**json.loads(given), "entry": "undo"}, sort_keys=True)
        for number in range(1, MAX_RECOVERIES + 1):
            if stepfunctions.describe(self.machine, f"{name}-undo-{number}") is None:
                stepfunctions.start(self.machine, f"{name}-undo-{number}", text)
                return f"{name}-undo-{number} started, since no release was opened"
        return f"{name}: {MAX_RECOVERIES} executions opened no release"

    def on_what(self, piece: Release) -> tuple[str, str]:
        return piece.name, piece.service


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
