"""Pick up work whose execution ended without its own catch, and begin the next attempt of work that was undone.

`States.ALL` catches neither `States.Runtime` nor `States.DataLimitExceeded`, and a time-out or a stop of the execution
skips every catch (Step Functions developer guide: "Error names"). That can also happen after the work was closed and
before its outcome was published: then the work is ended once more, which changes nothing and tells of it. Executions
are looked up by name, so lost and repeated events make no difference: the schedule finds what no event told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from caretaker.aws import sns, stepfunctions
from caretaker.runtime import claims, clock, journal, logging
from caretaker.runtime.journal import Open, Work
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table, table

# Executions that try to end one piece of work, at most; after that only a person can.
MAX_RECOVERIES = 20
# Until then a person is reminded this often.
REMIND = timedelta(days=1)
RECOVERY = re.compile(r"-(undo|finish)-\d+$")
ERRORS = {"ABORTED": "ExecutionAborted", "TIMED_OUT": "ExecutionTimedOut", "FAILED": "ExecutionFailed"}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """For an execution status event: that work. For the schedule: all that is due."""
    settings = Settings.from_env()
    store = table(settings.table_name)
    now = clock.event_time(event)
    logging.bind()
    detail = event.get("detail") or {}
    reaper = Reaper(store, settings.machine(), settings.topic_arn, now)
    if detail.get("executionArn"):
        return {"done": [reaper.look_after(RECOVERY.sub("", detail["name"]))]}
    due = [entry for entry in journal.open_work(store) if entry.due <= now]
    return {"done": [reaper.take(entry) for entry in due]}


class Reaper:
    """One run."""

    def __init__(self, store: Table, machine: str, topic: str, now: datetime) -> None:
        self.store = store
        self.machine = machine
        self.topic = topic
        self.now = now

    def take(self, entry: Open) -> str:
        """An entry of the index that is due."""
        return self.try_again(entry.work) if entry.kind == "retry" else self.look_after(entry.work)

    def look_after(self, name: str) -> str:
        """Work that should be running: leave it if it is, else start what ends it."""
        work = journal.find_work(self.store, name)
        if work is None:
            return f"{name}: not in the table"
        if work.status == "closed":
            return self._untold(work) or f"{name}: closed"
        first = stepfunctions.describe(self.machine, name)
        if first is None:
            stepfunctions.start(self.machine, name, work.input)
            return self._renewed(name, "started")
        return self._recover(work, first)

    def _untold(self, work: Work) -> str:
        """See that the outcome of closed work is told. "" if it was: an execution that succeeds has published it."""
        last = stepfunctions.describe(self.machine, work.name)
        words = self._recover(work, last) if last is not None and last["status"] != "SUCCEEDED" else ""
        if not words:
            # Where the function that closed the work died before the index was told, it is now.
            journal.close_work(self.store, work.name, work.outcome or "failed", work.reason, work.retry_at, self.now)
            journal.told(self.store, work.name)
        return words

    def _recover(self, work: Work, last: Mapping[str, Any]) -> str:
        """Start the next undo or finish, unless one is running. "" for closed work that one of them has told of."""
        if last["status"] == "RUNNING":
            return self._renewed(work.name, f"{last['name']} is running")
        for number in range(1, MAX_RECOVERIES + 1):
            found = self._recovery(work, number)
            if found is None:
                return self._start(work, number, last)
            if found["status"] == "RUNNING":
                return self._renewed(work.name, f"{found['name']} is running")
            if found["status"] == "SUCCEEDED" and work.status == "closed":
                return ""
            last = found
        self._page(work, f"{MAX_RECOVERIES} executions could not end it; a person has to")
        return self._renewed(work.name, "given up", REMIND)

    def _recovery(self, work: Work, number: int) -> Mapping[str, Any] | None:
        """The work's execution of that number that undoes, finishes or tells; None if there is none."""
        for entry in ("undo", "finish"):
            found = stepfunctions.describe(self.machine, f"{work.name}-{entry}-{number}")
            if found is not None:
                return found
        return None

    def _start(self, work: Work, number: int, last: Mapping[str, Any]) -> str:
        entry: Literal["undo", "finish"] = "finish" if work.point_of_no_return else "undo"
        name = f"{work.name}-{entry}-{number}"
        text = json.dumps(
            {**json.loads(journal.execution_input(work, entry)), "failure": failure_of(last)}, sort_keys=True
        )
        stepfunctions.start(self.machine, name, text)
        logging.count("Reaped")
        return self._renewed(work.name, f"{name} started, since {last['name']} is {last['status']}")

    def _renewed(self, name: str, words: str, pause: timedelta = claims.LEASE) -> str:
        journal.renew(self.store, name, self.now + pause)
        logging.logger().info(f"{name}: {words}")
        return f"{name}: {words}"

    def _page(self, work: Work, words: str) -> None:
        logging.logger().error(f"{work.name}: {words}")
        text = (
            f"Work {work.name} on hosts {', '.join(work.hosts)} of cluster {work.cluster}: {words}.\n"
            f"Why the work was begun: {work.trigger.text}\nHow it ended last: {work.outcome}: {work.reason}"
        )
        sns.publish(self.topic, f"Caretaker: {work.hosts[0]} needs a person", text)

    def try_again(self, name: str) -> str:
        """Begin the next attempt of closed work, once its outcome is told."""
        former = journal.get_work(self.store, name)
        if words := self._untold(former):
            return words
        if former.deadline is not None and self.now >= former.deadline:
            self._page(former, "its deadline passed before it could be tried again")
            journal.drop_retry(self.store, name)
            return f"{name}: deadline passed"
        work = claims.next_attempt(self.store, former, former.mode, self.now)
        if work is None:
            return f"{name}: its hosts are in other work"
        stepfunctions.start(self.machine, work.name, work.input)
        return f"{name}: tried again as {work.name}"


def failure_of(execution: Mapping[str, Any]) -> dict[str, str]:
    """How an execution ended, as the undo's `failure`."""
    status = execution["status"]
    words = {
        "ABORTED": "the execution was stopped by a person",
        "TIMED_OUT": "the execution ran into its time-out",
        "FAILED": "the execution failed",
        "SUCCEEDED": "the execution ended without closing its work",
    }.get(status, f"the execution is {status}")
    detail = ": ".join(str(execution[key]) for key in ("error", "cause") if execution.get(key))
    return {"Error": ERRORS.get(status, "ExecutionEnded"), "Cause": words + (f": {detail}" if detail else "")}
