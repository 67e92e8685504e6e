"""`caretaker event`: the payload that a function receives for an event, as the deployed template delivers it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twin.errors import WorldError
from twin.kernel.queues import Queue
from twin.rehearsal.events import from_argument
from twin.rehearsal.reading import brief, nearest, read_json
from twin.rehearsal.spec import Group, WorldSpec
from twin.world import World

_START = datetime(2026, 10, 5, 10, 0, 0, tzinfo=UTC)


def payload_text(function: str, file: Path) -> str:
    """JSON text. Raises WorldError for an unknown function or a file that is no event."""
    spec = WorldSpec(groups=[Group(name="none", desired_capacity=0)])
    data = read_json(file)
    with World(spec, start=_START, seed=1) as world:
        known = [created.logical_id for created in world.deployment.of_type("AWS::Lambda::Function")]
        if function not in known:
            raise WorldError(f"FUNCTION: {brief(function)} is no function of the template{nearest(function, known)}")
        return json.dumps(_payload(world, function, file, data), indent=2, ensure_ascii=False)


def _payload(world: World, function: str, file: Path, data: Any) -> Any:
    queue = _queue_of(world, function)
    sources = _rules_to(world, queue.arn if queue is not None else None, function)
    if not sources:
        return data  # invoked by a state machine: whatever its state hands over
    events = [planned.event for planned in from_argument(str(file))]
    for event in events:
        if not any(rule.pattern is not None and rule.pattern.matches(event) for rule in sources):
            text = f"{event['source']}: {event['detail-type']}"
            print(f"caretaker: warning: no rule of the template sends {text} to {function}", file=sys.stderr)
    if queue is not None:
        return {"Records": _records(world, queue, events)}
    if len(events) != 1:
        raise WorldError(f"{file}: holds {len(events)} events, and {function} receives one at a time")
    return events[0]


def _queue_of(world: World, function: str) -> Queue | None:
    """The queue that an event source mapping reads for the function."""
    for mapping in world.queues.mappings:
        if world.functions.spec(mapping.function).logical_id == function:
            return mapping.queue
    return None


def _rules_to(world: World, queue_arn: str | None, function: str) -> list[Any]:
    """The rules that have the function, or the queue that it reads, among their targets."""

    def reaches(arn: str) -> bool:
        is_function = arn.split(":")[2] == "lambda"
        return arn == queue_arn or (is_function and world.functions.spec(arn).logical_id == function)

    return [rule for rule in world.bus.rules if any(reaches(target.arn) for target in rule.targets)]


def _records(world: World, queue: Queue, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    for event in events:
        body = json.dumps(event, separators=(",", ":"))
        world.queues.send(queue, body, sender="events.amazonaws.com")
    found: list[dict[str, Any]] = []
    for message in world.queues.receive(queue, len(events)):
        found.append(world.queues.record(queue, message))
    return found
