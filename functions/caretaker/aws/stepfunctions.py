"""Step Functions: starting executions and answering task tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from caretaker.aws import clients
from caretaker.aws.errors import AlreadyDone, Missing, call

LOOK_AGAIN = "LookAgain"


def execution_arn(machine_arn: str, name: str) -> str:
    """ARN of a Standard execution: of the machine's own ARN, whatever alias or version started it."""
    partition, region, account, machine = _parts(machine_arn)
    return f"arn:{partition}:states:{region}:{account}:execution:{machine}:{name}"


def _parts(machine_arn: str) -> tuple[str, str, str, str]:
    parts = machine_arn.split(":")
    if len(parts) < 7 or parts[5] != "stateMachine":
        raise ValueError(f"machine: {machine_arn!r} is not a state machine ARN")
    return parts[1], parts[3], parts[4], parts[6]


def start(machine_arn: str, name: str, text: str) -> bool:
    """Start an execution by name; starting it again is no change.

    With the name of a running execution and the same input Step Functions answers as if it had started it; with the
    name of a closed one it refuses for 90 days (API: StartExecution, ExecutionAlreadyExists). Both mean: it has been
    started. Returns False in the second case.
    """
    try:
        call(clients.stepfunctions().start_execution, stateMachineArn=machine_arn, name=name, input=text)
    except AlreadyDone:
        return False
    return True


def describe(machine_arn: str, name: str) -> dict[str, Any] | None:
    """DescribeExecution by name; None if no execution has it."""
    arn = execution_arn(machine_arn, name)
    try:
        return call(clients.stepfunctions().describe_execution, executionArn=arn)
    except Missing:
        return None


def succeed(token: str, output: Mapping[str, Any]) -> None:
    """Answer a task token. Raises `TokenGone` when its task waits no longer."""
    call(clients.stepfunctions().send_task_success, taskToken=token, output=json.dumps(output, sort_keys=True))


def wake(token: str) -> None:
    """Make a waiting state look again (its Catch of `LookAgain` enters it anew). Raises `TokenGone`."""
    call(
        clients.stepfunctions().send_task_failure,
        taskToken=token,
        error=LOOK_AGAIN,
        cause="something that the state waits for has happened",
    )
