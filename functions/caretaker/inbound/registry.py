"""Which module reads which event. An unknown kind is a no-op: AWS adds kinds, and rules may be wider than needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from caretaker.inbound import ecs_deployment, health, patch_compliance, release_requested, sweep_requested
from caretaker.inbound.envelope import Envelope, read
from caretaker.inbound.model import BadEvent, Nothing, Place, Reading

Reader = Callable[[Envelope, Place, datetime], list[Reading]]

READERS: Mapping[tuple[str, str], Reader] = {
    (health.SOURCE, health.DETAIL_TYPE): health.readings,
    (patch_compliance.SOURCE, patch_compliance.DETAIL_TYPE): patch_compliance.readings,
    (ecs_deployment.SOURCE, ecs_deployment.DETAIL_TYPE): ecs_deployment.readings,
}
# Events of the account's owner, who chooses their source.
OF_ANY_SOURCE: Mapping[str, Reader] = {
    release_requested.DETAIL_TYPE: release_requested.readings,
    sweep_requested.DETAIL_TYPE: sweep_requested.readings,
}


def read_event(body: str, place: Place, now: datetime) -> list[Reading]:
    """What an event's JSON text says.

    Raises:
        BadEvent: not JSON, no event, or a known kind with a member that cannot be read.
    """
    try:
        data = json.loads(body)
    except ValueError as error:
        raise BadEvent(f"event: not JSON: {error}") from None
    event = read(Envelope, data, "")
    reader = READERS.get((event.source, event.detail_type)) or OF_ANY_SOURCE.get(event.detail_type)
    if reader is None:
        return [Nothing(f"no reader for {event.source} {event.detail_type!r}")]
    return reader(event, place, now)
