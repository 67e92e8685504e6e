"""The one clock of a world. Only the scheduler moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def iso(moment: datetime, timespec: str = "milliseconds") -> str:
    """ISO 8601 in UTC with `Z`, as AWS writes times in JSON: `2019-03-26T20:14:13.192Z`; envelopes have `seconds`."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


class Clock:
    """Simulated time. `now()` is an aware UTC datetime, `time()` the same as epoch seconds."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"clock: start {start!r} has no time zone")
        self._start = start.astimezone(UTC)
        self._elapsed = 0.0

    @property
    def elapsed(self) -> float:
        """Simulated seconds since the start."""
        return self._elapsed

    @property
    def start(self) -> datetime:
        return self._start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def time(self) -> float:
        return self._start.timestamp() + self._elapsed

    def advance_to(self, elapsed: float) -> None:
        """Move to `elapsed` seconds after the start; called by the scheduler alone."""
        if elapsed < self._elapsed:
            raise ValueError(f"clock: cannot go back from {self._elapsed} to {elapsed}")
        self._elapsed = elapsed
