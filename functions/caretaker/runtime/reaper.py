"""Picks up work of a register whose execution ended without its own catch.

`States.ALL` catches neither `States.Runtime` nor `States.DataLimitExceeded`, and a time-out or a stop of the execution
skips every catch (Step Functions developer guide: "Error names"). Executions are looked up by name, so lost and
repeated events make no difference: the schedule finds what no event told.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic

from caretaker.aws import sns, stepfunctions
from caretaker.aws.errors import AwsFailure
from caretaker.runtime import logging
from caretaker.runtime.index import Entry
from caretaker.runtime.register import P, Register
from caretaker.runtime.telling import subject

# Executions that try to end one piece of work, at most; after that only a person can.
MAX_RECOVERIES = 20
# Until then a person is reminded this often.
REMIND = timedelta(days=1)
# What is past stays on the index for so long.
KEPT = timedelta(days=90)


class NotAllReaped(Exception):
    """Some work could not be looked after; Lambda runs the function again. `str()` names it, and why."""


class Reaper(ABC, Generic[P]):
    """One run.

    Attributes:
        failed: what could not be looked after, and why.
        records: the work.
        machine: alias ARN of its state machine.
        topic: ARN of the topic that people read.
        now: when it runs.
        may_fail: what its acts may fail with.
        suffix: what the names of its executions have behind the work's id: `-<suffix>-<number>`.
    """

    suffix: str
    may_fail: tuple[type[Exception], ...] = (AwsFailure,)

    def __init__(self, records: Register[P], machine: str, topic: str, now: datetime) -> None:
        self.records = records
        self.machine = machine
        self.topic = topic
        self.now = now
        self.failed: list[str] = []

    @abstractmethod
    def next_input(self, piece: P, last: Mapping[str, Any] | None) -> str:
        """Input of the execution that goes on with a piece, or ends it.

        Args:
            last: the execution that ended last, as DescribeExecution tells it; None if there is none.
        """

    @abstractmethod
    def unopened(self, name: str, given: str) -> str:
        """Begin an execution anew that was cut short before it opened its work; nothing was done yet.

        Args:
            given: its input.
        """

    @abstractmethod
    def on_what(self, piece: P) -> tuple[str, str]:
        """What a piece works on, for a person: its name, and its name in full."""

    def ended(self, execution: Mapping[str, Any]) -> str:
        """Look after the work of an execution that ended: the detail of its event. In words, what was done."""
        name = re.sub(rf"-{self.suffix}-\d+$", "", execution["name"])
        return self._look_after(name, execution.get("input"))

    def due(self, entries: Iterable[Entry]) -> list[str]:
        """Look after all that is due of the index. In words, what was done."""
        due = [entry for entry in entries if entry.due <= self.now]
        return [words for entry in due if (words := self.tried(entry.id, partial(self._take, entry)))]

    def tried(self, name: str, act: Callable[[], str]) -> str:
        """Do something about one of many: where it fails, the others are still looked after. Empty if it fails."""
        try:
            return act()
        except self.may_fail as error:
            logging.logger().error(f"{name}: {error}")
            self.failed.append(f"{name}: {error}")
            return ""

    def check(self) -> None:
        """Raises NotAllReaped where anything failed."""
        if self.failed:
            raise NotAllReaped("; ".join(self.failed))

    def _take(self, entry: Entry) -> str:
        """An entry of the index that is due."""
        if entry.kind != "past":
            return self._look_after(entry.id)
        if self.now - entry.due >= KEPT:
            self.records.index.forget(entry.id)
        return f"{entry.id}: past"

    def _look_after(self, name: str, given: str | None = None) -> str:
        """A piece that should be running: leave it if it is, else start what goes on with it.

        Args:
            given: input of an execution that ended, as its event tells it.
        """
        piece = self.records.find(name)
        if piece is None:
            return self.unopened(name, given) if given else f"{name}: not in the table"
        last = stepfunctions.describe(self.machine, name)
        for number in range(1, MAX_RECOVERIES + 1):
            if last is not None and last["status"] == "RUNNING":
                return self._alive(piece, f"{last['name']} is running")
            if last is not None and last["status"] == "SUCCEEDED" and not piece.open:
                # Where the function that closed it died before the index was told, it is now.
                self.records.settle(piece, self.now)
                self.records.index.told(piece.id, self.now)
                return f"{name}: told"
            following = stepfunctions.describe(self.machine, f"{name}-{self.suffix}-{number}")
            if following is None:
                return self._start(piece, number, last)
            last = following
        self._page(piece)
        self.records.index.put_off(piece.id, self.now + REMIND)
        return f"{piece.id}: given up"

    def _start(self, piece: P, number: int, last: Mapping[str, Any] | None) -> str:
        name = f"{piece.id}-{self.suffix}-{number}"
        stepfunctions.start(self.machine, name, self.next_input(piece, last))
        logging.count("Reaped")
        return self._alive(piece, f"{name} started")

    def _alive(self, piece: P, words: str) -> str:
        if piece.open:
            self.records.index.alive(piece.id, self.now + self.records.form.patience)
        logging.logger().info(f"{piece.id}: {words}")
        return f"{piece.id}: {words}"

    def _page(self, piece: P) -> None:
        name, whole = self.on_what(piece)
        words = f"{MAX_RECOVERIES} executions could not end it; a person has to"
        logging.logger().error(f"{piece.id}: {words}")
        noun = self.records.form.noun.capitalize()
        text = f"{noun} {piece.id} of {whole}: {words}.\nHow it ended last: {piece.reason}"
        sns.publish(self.topic, subject(f"Caretaker: {name} needs a person"), text)
