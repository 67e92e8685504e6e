"""Caretaker's record of releases, read out of the deployed table: what it says that it saw and decided.

For views, for the report, and for the one law that asks whether a promotion has a record of evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.rehearsal.stored import Item, Stored

if TYPE_CHECKING:
    from twin.world import World


class ReleaseRecords:
    """The releases in the table of a world's stack."""

    def __init__(self, world: World) -> None:
        self._stored = Stored(world)

    def find(self, release: str) -> Item | None:
        """The record of a release; None if none was opened."""
        return self._stored.get(f"RELEASE#{release}", "RELEASE")

    def looks(self, release: str) -> list[Item]:
        """Every look at a release, in order."""
        return self._stored.query(f"RELEASE#{release}", "LOOK#")

    def last_look(self, release: str) -> Item | None:
        """The newest look at a release; None before the first."""
        return self._stored.last(f"RELEASE#{release}", "LOOK#")
