"""Start the new tasks of a driven release, all of them, in the idle target group."""

from __future__ import annotations

from typing import Any

from caretaker.releases import drive
from caretaker.releases.desk import open_desk


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Create the task set, or see whether it is ready by now. Run again until it answers `shift`.

    Raises:
        TasksNotReady: they took too long, or somebody has taken them away.
        NotDrivable, ServiceGone: the service is not as it was when the release was opened.
    """
    return drive.start(open_desk(event))
