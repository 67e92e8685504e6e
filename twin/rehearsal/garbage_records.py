"""Caretaker's record of sweeps, read out of the deployed table: what it says that it did, and what proves it."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from twin.kernel.machines import Execution
from twin.rehearsal.stored import Item, Stored

if TYPE_CHECKING:
    from twin.world import World

MACHINE = "SweepExpress"


class SweepRecords:
    """The sweeps in the table of a world's stack."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stored = Stored(world)

    @property
    def ids(self) -> list[str]:
        """Of every sweep that an execution was started for, in order."""
        made = [each for each in self._world.machines.executions if each.machine == MACHINE]
        return list(dict.fromkeys(_sweep_of(each) for each in made))

    def find(self, sweep: str) -> Item | None:
        """The record of a sweep; None if none was opened."""
        return self._stored.get(f"SWEEP#{sweep}", "SWEEP")

    def acts(self, sweep: str) -> list[Item]:
        """Every act that was written down, in order; what is compressed in the table is plain here."""
        return [_act(item) for item in self._stored.query(f"SWEEP#{sweep}", "STEP#")]

    def last_outcomes(self) -> list[str]:
        """Outcome of the last sweep of each VPC that was not ignored; empty for one that has not ended."""
        last: dict[str, str] = {}
        for sweep in self.ids:
            record = self.find(sweep)
            if record is not None and record.get("outcome") != "ignored":
                last[str(record["vpc"])] = str(record.get("outcome") or "")
        return list(last.values())


def _sweep_of(execution: Execution) -> str:
    given = execution.input
    return str(given.get("id") or execution.name) if isinstance(given, dict) else execution.name


def _act(item: Item) -> dict[str, Any]:
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Any) -> Any:
    return json.loads(zlib.decompress(value)) if isinstance(value, bytes) else value
