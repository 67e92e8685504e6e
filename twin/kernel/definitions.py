"""What Step Functions refuses in a definition when a state machine is created, and what the twin does not model.

Source: Amazon States Language specification; Step Functions Developer Guide ("States language", "Service quotas").
moto accepts a definition whose `Next` leads nowhere, and fails when it gets there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from twin.errors import Unmodelled, WorldError
from twin.kernel import query

_MAX_BYTES = 1024 * 1024
_INTEGRATIONS = ("lambda", "events", "sns", "sqs", "dynamodb", "aws-sdk", "states")
_TASK = re.compile(r"arn:aws:states:[a-z0-9-]*:(?:\d{12})?:([a-z0-9-]+):([A-Za-z0-9:]+?)(\.[a-zA-Z:0-9]+)?")
_FUNCTION = re.compile(r"arn:aws:lambda:.*")


def check(logical_id: str, definition: str) -> None:
    """Raise `WorldError` for what AWS refuses, `Unmodelled` for what the twin does not know."""
    if len(definition.encode()) > _MAX_BYTES:
        raise WorldError(f"state machine {logical_id}: the definition is larger than {_MAX_BYTES} bytes")
    try:
        parsed = json.loads(definition)
    except ValueError as error:
        raise WorldError(f"state machine {logical_id}: the definition is not JSON: {error}") from error
    names: list[str] = []
    for machine in _workflows(parsed):
        _check_workflow(logical_id, machine)
        names.extend(machine["States"])
    if parsed.get("QueryLanguage") == "JSONata":
        for expression in _expressions(parsed):
            try:
                query.check(expression)
            except query.QueryError as error:
                raise WorldError(f"state machine {logical_id}: {error}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WorldError(f"state machine {logical_id}: the state {twice[0]!r} exists twice")


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        yield value[2:-2].strip()
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from _expressions(item)


def _workflows(machine: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield machine
    for state in machine.get("States", {}).values():
        for inner in (*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")):
            if inner is not None:
                yield from _workflows(inner)


def _check_workflow(logical_id: str, machine: Mapping[str, Any]) -> None:
    states = machine.get("States")
    if not isinstance(states, Mapping) or not states:
        raise WorldError(f"state machine {logical_id}: no States")
    if machine.get("StartAt") not in states:
        raise WorldError(f"state machine {logical_id}: StartAt {machine.get('StartAt')!r} is no state")
    for name, state in states.items():
        where = f"state machine {logical_id}, state {name!r}"
        if len(name) > 80:
            raise WorldError(f"{where}: the name is longer than 80 characters")
        for target in _targets(state):
            if target not in states:
                raise WorldError(f"{where}: Next {target!r} is no state")
        _check_state(where, state)
    lost = sorted(set(states) - _reachable(machine))
    if lost:
        raise WorldError(f"state machine {logical_id}: no state leads to {lost[0]!r}")


def _targets(state: Mapping[str, Any]) -> Iterator[str]:
    for holder in (state, *state.get("Catch", ()), *state.get("Choices", ())):
        if "Next" in holder:
            yield holder["Next"]
    if "Default" in state:
        yield state["Default"]


def _reachable(machine: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    ahead = [machine["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(_targets(machine["States"][name]))
    return found


def _check_state(where: str, state: Mapping[str, Any]) -> None:
    kind = state.get("Type")
    if kind in ("Task", "Pass", "Wait", "Parallel", "Map") and ("Next" in state) == bool(state.get("End")):
        raise WorldError(f"{where}: one of Next and End is needed")
    if kind == "Task":
        _check_task(where, state)
    if kind == "Map" and state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
        raise Unmodelled(f"{where}: a distributed Map")
    for entry in (*state.get("Retry", ()), *state.get("Catch", ())):
        names = entry.get("ErrorEquals", [])
        if not names or ("States.ALL" in names and len(names) > 1):
            raise WorldError(f"{where}: ErrorEquals is empty, or holds States.ALL among others")


def _check_task(where: str, state: Mapping[str, Any]) -> None:
    resource = str(state.get("Resource"))
    if "Credentials" in state:
        raise Unmodelled(f"{where}: Credentials")
    if _FUNCTION.fullmatch(resource):
        return
    found = _TASK.fullmatch(resource)
    if found is None or found[1] not in _INTEGRATIONS:
        raise Unmodelled(f"{where}: Resource {resource}")
    if found[3] not in (None, ".waitForTaskToken"):
        raise Unmodelled(f"{where}: integration pattern {found[3]}")
    if found[3] and "Task.Token" not in json.dumps(state.get("Arguments", state.get("Parameters", ""))):
        raise WorldError(f"{where}: waits for a task token, but does not hand it on")
