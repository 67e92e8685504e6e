"""Shift the next share of the requests to the new tasks of a driven release."""

from __future__ import annotations

from typing import Any

from caretaker.releases import drive
from caretaker.releases.desk import open_desk


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Give the new tasks the share that the state before has named. Weights are read before and after.

    Raises:
        WeightsChanged: they are not the ones that Caretaker set; nothing was written.
        TasksNotReady: not all of the new tasks are healthy; nothing was written.
        Withdrawn: it is decided meanwhile that the release goes back.
    """
    return drive.shift_to(open_desk(event), float(event["share"]))
