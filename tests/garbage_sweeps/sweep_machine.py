"""Runs the deployed text of sweep_express on the product's own functions, fast: one process, no Lambda, no moto.

The worlds run the same text on the real interpreter; here hundreds of sweeps are needed. What the text has that is not
read here raises an error.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonata.jsonata import Jsonata

from twin.kernel.api import Api, Call, operation
from twin.kernel.clock import iso
from twin.kernel.gateway import FunctionDied
from twin.kernel.kernel import Kernel

TEXT = Path(__file__).resolve().parents[2] / "statemachines" / "sweep_express.asl.yaml"
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:sweep:live"
_EXPRESSION = re.compile(r"\{%(.*)%\}", re.DOTALL)
_SENDS = ("events:putEvents", "sns:publish")


class Context:
    """Lambda's, with time enough."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"
    function_name = "sweep"

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


class SweepMachine(Api):
    """Answers StartExecution by running the machine as a process of the world.

    Attributes:
        outputs: what each execution came to, by name; None while it runs.
        functions: logical id -> handler.
    """

    service = "stepfunctions"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.outputs: dict[str, Any] = {}
        self.states: Mapping[str, Any] = _text()["States"]

    @operation("StartExecution", ("stateMachineArn", "name", "input"))
    def start_execution(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["name"]
        if name not in self.outputs:
            self.outputs[name] = None
            given = json.loads(params["input"])
            self.kernel.scheduler.spawn(lambda: self._run(name, given), name=name)
        return {"executionArn": f"{ARN}:{name}", "startDate": self.kernel.clock.now()}

    @property
    def open(self) -> bool:
        return None in self.outputs.values()

    def _run(self, name: str, given: Any) -> None:
        state, value = _text()["StartAt"], given
        while True:
            made = self.states[state]
            entered = {
                "context": {
                    "Execution": {"Input": given, "Name": name, "Id": f"{ARN}:{name}"},
                    "State": {"EnteredTime": iso(self.kernel.clock.now())},
                },
                "input": value,
            }
            if made["Type"] == "Succeed":
                self.outputs[name] = _worth(made["Output"], entered)
                return
            state, value = getattr(self, f"_{made['Type'].lower()}")(made, entered)

    def _choice(self, made: Mapping[str, Any], states: dict[str, Any]) -> tuple[str, Any]:
        for choice in made["Choices"]:
            if _worth(choice["Condition"], states):
                return choice["Next"], states["input"]
        return made["Default"], states["input"]

    def _wait(self, made: Mapping[str, Any], states: dict[str, Any]) -> tuple[str, Any]:
        self.kernel.scheduler.sleep(float(_worth(made["Seconds"], states)))
        return made["Next"], states["input"]

    def _pass(self, made: Mapping[str, Any], states: dict[str, Any]) -> tuple[str, Any]:
        return made["Next"], _worth(made["Output"], states)

    def _task(self, made: Mapping[str, Any], states: dict[str, Any]) -> tuple[str, Any]:
        if made["Resource"].endswith(_SENDS):
            return made["Next"], states["input"]
        if not made["Resource"].endswith("lambda:invoke"):
            raise NotImplementedError(made["Resource"])
        tried: dict[int, int] = {}
        while True:
            payload = json.loads(json.dumps(_worth(made["Arguments"]["Payload"], states)))
            answer, failed = _invoked(made["Arguments"]["FunctionName"], payload)
            if failed is None:
                return made["Next"], _worth(made["Output"], {**states, "result": {"Payload": answer}})
            if not self._again(made, _name(failed), tried):
                return _caught(made, states, failed)

    def _again(self, made: Mapping[str, Any], error: str, tried: dict[int, int]) -> bool:
        for number, retry in enumerate(made.get("Retry", ())):
            if error in retry["ErrorEquals"] or "States.ALL" in retry["ErrorEquals"]:
                times = tried[number] = tried.get(number, 0) + 1
                if times > retry.get("MaxAttempts", 3):
                    return False
                pause = retry.get("IntervalSeconds", 1) * retry.get("BackoffRate", 2.0) ** (times - 1)
                self.kernel.scheduler.sleep(min(pause, retry.get("MaxDelaySeconds", pause)))
                return True
        return False


def _invoked(placeholder: str, payload: Any) -> tuple[Any, BaseException | None]:
    """What a function answers, or the failure that the machine's text may catch.

    Lambda hands over any exception. Here only a death, and what the product raises by a class of its own, is handed
    over: any other exception is a mistake in the product, which ends the test.
    """
    try:
        return json.loads(json.dumps(handler(placeholder)(payload, Context()))), None
    except FunctionDied as error:
        return None, error
    except Exception as error:
        if not type(error).__module__.startswith("caretaker."):
            raise
        return None, error


def _name(error: BaseException) -> str:
    """As Step Functions is told: the class of the exception (its Developer Guide, "Handling error conditions")."""
    return "Runtime.ExitError" if isinstance(error, FunctionDied) else type(error).__name__


def _caught(made: Mapping[str, Any], states: dict[str, Any], error: BaseException) -> tuple[str, Any]:
    name = _name(error)
    output = {"Error": name, "Cause": str(error)}
    for catch in made.get("Catch", ()):
        if name in catch["ErrorEquals"] or "States.ALL" in catch["ErrorEquals"]:
            return catch["Next"], _worth(catch["Output"], {**states, "errorOutput": output})
    raise error


@lru_cache(maxsize=1)
def _text() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(TEXT.read_text())
    return found


@lru_cache(maxsize=64)
def handler(placeholder: str) -> Callable[[Any, Any], Any]:
    """`${GarbageOpenSweep}` -> the function of caretaker.garbage.handlers.open_sweep."""
    words = re.findall(r"[A-Z][a-z]*", placeholder)
    module = importlib.import_module(f"caretaker.garbage.handlers.{'_'.join(words[1:]).lower()}")
    found: Callable[[Any, Any], Any] = module.handler
    return found


@lru_cache(maxsize=256)
def _compiled(text: str) -> Jsonata:
    return Jsonata(text)


def _worth(value: Any, states: Mapping[str, Any]) -> Any:
    """A value of the machine's text, its expressions evaluated."""
    if isinstance(value, dict):
        return {key: _worth(each, states) for key, each in value.items()}
    if isinstance(value, list):
        return [_worth(each, states) for each in value]
    match = _EXPRESSION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return value
    expression = _compiled(match[1].strip())
    frame = expression.create_frame()
    frame.bind("states", dict(states))
    return expression.evaluate(None, frame)
