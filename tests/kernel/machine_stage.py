"""A small world for tests of state machines: plain Python functions in place of Lambda, and a bus that remembers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from twin.kernel.api import Api, Call, Caller, operation
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.machines import Execution, MachineOptions, Machines

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPERATOR = Caller("operator", "olga")
ROLE = "arn:aws:iam::111122223333:role/machine"


class FunctionError(Exception):
    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class Bus:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
        self.events.append((detail_type, detail))


class PythonLambda(Api):
    """`lambda:Invoke` on Python callables, in the caller's process."""

    def __init__(self) -> None:
        super().__init__()
        self.service = "lambda"
        self.functions: dict[str, Callable[[Any], Any]] = {}
        self.invoked: list[str] = []

    @operation("Invoke", ["FunctionName", "Payload", "InvocationType"])
    def invoke(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["FunctionName"]
        self.invoked.append(name)
        try:
            result = self.functions[name](json.loads(params["Payload"]))
        except FunctionError as error:
            payload = {"errorType": error.kind, "errorMessage": str(error)}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": json.dumps(payload).encode()}
        return {"StatusCode": 200, "ExecutedVersion": "1", "Payload": json.dumps(result).encode()}


class PutEvents(Api):
    def __init__(self) -> None:
        super().__init__()
        self.service = "events"
        self.entries: list[dict[str, Any]] = []

    @operation("PutEvents", ["Entries"])
    def put_events(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self.entries.extend(params["Entries"])
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]}


class Stage:
    def __init__(self, seed: int = 1, options: MachineOptions | None = None) -> None:
        self.kernel = Kernel(START, seed=seed, region="eu-west-1", account="111122223333")
        self.gateway = Gateway(self.kernel)
        self.gateway.authorizer = lambda *_arguments: None
        self.bus = Bus()
        self.machines = Machines(self.kernel, self.gateway, self.bus, options)
        self.python = PythonLambda()
        self.gateway.register(self.python)
        self.events = PutEvents()
        self.gateway.register(self.events)
        self.kernel.settled = True

    @property
    def elapsed(self) -> float:
        return self.kernel.clock.elapsed

    def call(self, operation_: str, **params: Any) -> dict[str, Any]:
        return self.gateway.call("stepfunctions", operation_, params, OPERATOR)

    def start(self, states: Mapping[str, Any], input_: Any = None, **top: Any) -> Execution:
        """Deploy a machine of these states (the first is the start) and start it, without running the world."""
        number = len(self.machines.executions) + 1
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **top}
        machine = self.machines.add(f"Machine{number}", f"machine-{number}", json.dumps(definition), ROLE)
        self.call("StartExecution", stateMachineArn=machine.arn, name="run", input=json.dumps(input_ or {}))
        return self.machines.executions[-1]

    def run(self, states: Mapping[str, Any], input_: Any = None, **top: Any) -> Execution:
        execution = self.start(states, input_, **top)
        self.kernel.scheduler.run()
        return execution

    def events_of(self, execution: Execution) -> list[str]:
        history = self.call("GetExecutionHistory", executionArn=execution.arn, maxResults=1000)
        return [event["type"] for event in history["events"]]

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        self.kernel.scheduler.call_later(seconds, act, name="test")


@contextmanager
def staged(seed: int = 1, options: MachineOptions | None = None) -> Iterator[Stage]:
    stage = Stage(seed, options)
    with stage.gateway.intercepted():
        yield stage


def task(name: str, **fields: Any) -> dict[str, Any]:
    """A Task that invokes a function with the state's input."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": name, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
        **fields,
    }


def callback(name: str, **fields: Any) -> dict[str, Any]:
    """A Task that invokes a function with a task token and waits for it."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": name, "Payload": {"token": "{% $states.context.Task.Token %}"}},
        **fields,
    }


SUCCEED = {"Type": "Succeed"}
