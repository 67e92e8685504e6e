"""Events that a rehearsal puts on its bus: raw EventBridge events from files or from the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from twin.errors import WorldError
from twin.rehearsal.durations import seconds
from twin.rehearsal.reading import brief, read_json
from twin.rehearsal.spec import WorldSpec


@dataclass(frozen=True)
class Planned:
    """An event, and when it is put: simulated seconds after the start, or a moment, or None for at once."""

    event: Mapping[str, Any]
    source: str
    delay: float = 0.0
    moment: datetime | None = None

    @property
    def time(self) -> datetime | None:
        given = self.event.get("time")
        return datetime.fromisoformat(given) if isinstance(given, str) else None

    def offset(self, start: datetime) -> float:
        """Seconds after `start` at which the event is put."""
        return self.delay if self.moment is None else (self.moment - start).total_seconds()


def from_argument(argument: str) -> list[Planned]:
    """The events that `FILE` or `FILE@+10m` on the command line names."""
    name, mark, tail = argument.rpartition("@+")
    if not mark:
        return _from_file(Path(argument), argument, 0.0, None)
    try:
        delay = seconds(tail)
    except ValueError as error:
        raise WorldError(f'{argument}: the delay "{tail}" {error}') from None
    return _from_file(Path(name), name, delay, None)


def from_world(spec: WorldSpec, folder: Path, where: str) -> list[Planned]:
    """The world's own events; file names are relative to the world file."""
    planned: list[Planned] = []
    for index, entry in enumerate(spec.events):
        delay, moment = moment_of(entry.at)
        if entry.event is not None:
            source = f"{where}: events[{index}].event"
            planned.append(Planned(_checked(entry.event, source), source, delay, moment))
        else:
            path = folder / str(entry.file)
            planned.extend(_from_file(path, str(path), delay, moment))
    return planned


def moment_of(at: str | None) -> tuple[float, datetime | None]:
    """(delay, absolute moment or None) of a checked `at`."""
    if at is None:
        return 0.0, None
    if at.startswith("+"):
        return float(at[1:]), None
    return 0.0, datetime.fromisoformat(at)


def start_of(planned: list[Planned], spec: WorldSpec) -> datetime:
    """When the clock starts: the first event's `time`, else the world's `start`, else a fixed day."""
    first = planned[0].time if planned else None
    return first or datetime.fromisoformat(spec.start or "2026-10-05T10:00:00+00:00")


def _from_file(path: Path, source: str, delay: float, moment: datetime | None) -> list[Planned]:
    data = read_json(path)
    if not isinstance(data, list):
        return [Planned(_checked(data, source), source, delay, moment)]
    if not data:
        raise WorldError(f"{source}: holds an empty list of events")
    return [
        Planned(_checked(event, f"{source}[{index}]"), f"{source}[{index}]", delay, moment)
        for index, event in enumerate(data)
    ]


def _checked(event: Any, source: str) -> Mapping[str, Any]:
    """`event`, if EventBridge could have delivered it."""
    if not isinstance(event, Mapping):
        raise WorldError(f"{source}: {brief(event)} is not an EventBridge event (a mapping)")
    for field, kind, meaning in (
        ("source", str, "text"),
        ("detail-type", str, "text"),
        ("detail", Mapping, "a mapping"),
    ):
        if field not in event:
            raise WorldError(f"{source}: {field}: is required in an EventBridge event")
        if not isinstance(event[field], kind):
            raise WorldError(f"{source}: {field}: {brief(event[field])} is not {meaning}")
    for field in ("id", "account", "region", "version"):
        if not isinstance(event.get(field, ""), str):
            raise WorldError(f"{source}: {field}: {brief(event[field])} is not text")
    resources = event.get("resources", [])
    if not isinstance(resources, list) or not all(isinstance(each, str) for each in resources):
        raise WorldError(f"{source}: resources: {brief(resources)} is not a list of texts")
    if "time" in event:
        _check_time(event["time"], source)
    return event


def _check_time(value: Any, source: str) -> None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise WorldError(f"{source}: time: {brief(value)} is not an ISO 8601 moment") from None
    if moment.tzinfo is None:
        raise WorldError(f"{source}: time: {brief(value)} has no time zone")
