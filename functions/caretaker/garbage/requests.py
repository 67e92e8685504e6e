"""Starts the executions that sweep VPCs.

The execution's name derives from the VPC and the number of its next sweep, so that events of one VPC, however many come
at once, start one sweep. What comes while a sweep is open is noted, and the next one begins when it is over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from caretaker.aws import stepfunctions
from caretaker.garbage.record import Records
from caretaker.garbage.sweep import Ground, sweep_id
from caretaker.runtime import logging
from caretaker.runtime.policy import SweepMode

# A name of an execution that has ended is locked for 90 days; another attempt has another name.
_ATTEMPTS = 50


class NoAttemptLeft(Exception):
    """Executions of a VPC's next sweep ended again and again before they opened it. `str()` names the last one."""


@dataclass(frozen=True)
class Wish:
    """Why a VPC is to be swept.

    Attributes:
        kind: `deleted`, `patrol`, `request`, `again`.
        text: in words.
        mode: what the one who asks allows at most; None: what policy does.
    """

    kind: str
    text: str
    mode: SweepMode | None = None


def begin(records: Records, machine: str, vpc: str, wish: Wish) -> str:
    """Start the next sweep of a VPC, or note on the open one that another has to follow. Returns what was done.

    Args:
        machine: alias ARN of sweep_express.

    Raises:
        AwsFailure: something could not be read or started.
        NoAttemptLeft: see there.
    """
    ground = records.ground(vpc)
    if ground.sweep and records.want(vpc, ground.sweep, wish.text, wish.mode):
        words = f"{ground.sweep} is open and will be followed by another"
    else:
        words = _start(machine, records.ground(vpc), wish)
    logging.logger().info(f"{vpc}: {words}", extra={"trigger": wish.text})
    return words


def _start(machine: str, ground: Ground, wish: Wish) -> str:
    name = ""
    for attempt in range(1, _ATTEMPTS + 1):
        name = sweep_id(ground.vpc, ground.generation + 1, attempt)
        if stepfunctions.start(machine, name, execution_input(name, ground, wish)):
            return f"{name} started"
        running = stepfunctions.describe(machine, name)
        if running is not None and running["status"] == "RUNNING":
            return f"{name} is being opened"
    raise NoAttemptLeft(f"{ground.vpc}: {_ATTEMPTS} executions ended before they opened a sweep, {name} last")


def execution_input(name: str, ground: Ground, wish: Wish) -> str:
    """The machine's input."""
    given: dict[str, Any] = {
        "id": name,
        "entry": "sweep",
        "vpc": ground.vpc,
        "generation": ground.generation + 1,
        "trigger": {"kind": wish.kind, "text": wish.text},
    }
    if wish.mode is not None:
        given["mode"] = wish.mode
    return json.dumps(given, sort_keys=True)
