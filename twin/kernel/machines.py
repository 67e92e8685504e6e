"""Step Functions: standard workflows, run by moto's interpreter on simulated time, with the service's own rules.

Sources: Step Functions API reference and Developer Guide ("Service quotas", "Handling errors", "Service integration
patterns", "Automating Step Functions event delivery with EventBridge"); AWS Step Functions pricing page.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeFailure, CallbackOutcomeSuccess
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel import definitions, interpreter, virtual
from twin.kernel.api import Api, Call, Caller, operation
from twin.kernel.clock import iso
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.scheduler import Timer

_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_NAME_LOCK = 90 * 24 * 3600.0
_EVENT_DATA = 248 * 1024
_PAGE = 100
_MAX_PAGE = 1000


class Bus(Protocol):
    """Where status changes are published."""

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None: ...


@dataclass(frozen=True)
class MachineOptions:
    """Limits of the service.

    Attributes:
        history: events of one execution, after which it fails.
        start_delay: seconds from StartExecution to the first state.
    """

    history: int = 25_000
    start_delay: float = 0.0


@dataclass
class Machine:
    """A state machine with its published versions and aliases."""

    logical_id: str
    name: str
    arn: str
    definition: str
    role_arn: str
    created: datetime
    versions: list[int] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)

    @property
    def version_arns(self) -> list[str]:
        return [f"{self.arn}:{number}" for number in self.versions]


@dataclass(frozen=True)
class _Qualified:
    """A machine as somebody named it: itself, a version or an alias."""

    machine: Machine
    version: int | None = None
    alias: str | None = None

    @property
    def version_arn(self) -> str | None:
        return f"{self.machine.arn}:{self.version}" if self.version is not None else None

    @property
    def alias_arn(self) -> str | None:
        return f"{self.machine.arn}:{self.alias}" if self.alias is not None else None


class _Token:
    """A task that waits for its callback."""

    def __init__(self, run: Execution, value: str, notify: Callable[[], None]) -> None:
        self.value = value
        self.outcome: Any = None
        self.open = True
        self._notify = notify
        self._event = run.kernel.scheduler.event()

    def complete(self, outcome: Any) -> None:
        """Set the outcome; a token has one at most."""
        self.outcome = outcome
        self.open = False
        self._event.set()
        self._notify()

    def heartbeat(self) -> None:
        self._event.set()

    def changed(self, timeout: float | None) -> bool:
        changed = self._event.wait(timeout)
        self._event.clear()
        return changed

    def close(self) -> None:
        self.open = False


class Execution:
    """One execution.

    Attributes:
        machine: logical id of the state machine.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        input, output: JSON values; `output` None until it succeeded.
        transitions: as billed: one for each state entered, also within Parallel and Map, and one for each retry
            (pricing page: "each retry will be charged as an additional state transition").
    """

    def __init__(self, machines: Machines, target: _Qualified, name: str, input_text: str) -> None:
        machine = target.machine
        self.machines = machines
        self.kernel = machines.kernel
        self.target = target
        self.machine = machine.logical_id
        self.machine_arn = machine.arn
        self.version_arn = target.version_arn
        self.alias_arn = target.alias_arn
        self.role_arn = machine.role_arn
        self.definition = machine.definition
        self.name = name
        self.arn = machines.kernel.arn("states", f"execution:{machine.name}:{name}")
        self.input_text = input_text
        self.input: Any = json.loads(input_text)
        self.output: Any = None
        self.error: str | None = None
        self.cause: str | None = None
        self.status = "RUNNING"
        self.started = machines.kernel.clock.now()
        self.stopped: datetime | None = None
        self.transitions = 0
        self.state: str | None = None
        """The state entered last."""
        self._tokens: list[_Token] = []
        self._job: virtual.Job | None = None
        self._limit: Timer | None = None
        self._env: Any = None
        self._caller = Caller("machine", machine.logical_id, machine.role_arn, self.arn)

    def __repr__(self) -> str:
        return f"Execution({self.machine}, {self.name}, {self.status})"

    # --- what the interpreter asks -----------------------------------------------------------------------------------
    def client(self, service: str) -> Any:
        return self.machines.gateway.client(service, self._caller)

    def token(self, notify: Callable[[], None]) -> _Token:
        token = self.machines.issue_token(self, notify)
        self._tokens.append(token)
        return token

    def entered(self, state: str) -> None:
        self.transitions += 1
        self.state = state
        self.kernel.note(
            "state.entered",
            f"{self.machine}: {state}",
            machine=self.machine,
            execution=self.arn,
            name=self.name,
            state=state,
        )

    def retried(self, state: str) -> None:
        self.transitions += 1
        self.kernel.note(
            "state.retried",
            f"{self.machine}: {state} again",
            machine=self.machine,
            execution=self.arn,
            name=self.name,
            state=state,
        )

    def recorded(self, events: int) -> None:
        limit = self.machines.options.history
        if events >= limit - 1 and self.status == "RUNNING":
            cause = f"The execution reached the maximum number of history events ({limit})."
            failure = {"error": "States.Runtime", "cause": cause}
            self.close("FAILED", **failure)
            self._record(HistoryEventType.ExecutionFailed, executionFailedEventDetails=failure)
            raise virtual.Ended(self.name)

    # --- its life ----------------------------------------------------------------------------------------------------
    def start(self) -> None:
        context = {
            "Execution": {
                "Id": self.arn,
                "Input": self.input,
                "Name": self.name,
                "RoleArn": self.role_arn,
                "StartTime": iso(self.started),
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": self.machine_arn, "Name": self.target.machine.name},
        }
        account, region = self.kernel.account, self.kernel.region
        self._env = interpreter.environment(
            self, account=account, region=region, role_arn=self.role_arn, context=context
        )
        program = interpreter.parse(self.definition)
        limit = program.timeout_seconds.timeout_seconds if program.timeout_seconds else None
        if limit is not None:
            self._limit = self.kernel.scheduler.call_later(limit, self._time_out, name=f"limit:{self.name}")
        self._record(
            HistoryEventType.ExecutionStarted,
            executionStartedEventDetails={
                "input": self.input_text,
                "inputDetails": {"truncated": False},
                "roleArn": self.role_arn,
            },
        )
        surroundings = virtual.Surroundings(self.kernel, f"execution/{self.arn}")
        self._job = virtual.Job(surroundings, lambda: self._run(program), name=f"execution:{self.name}")

    def _run(self, program: Any) -> None:
        delay = self.kernel.delay(self.machines.options.start_delay)
        if delay > 0:
            self.kernel.scheduler.sleep(delay)
        interpreter.evaluate(program, self._env)
        state = self._env.program_state()
        if isinstance(state, ProgramEnded):
            self.close("SUCCEEDED", output=self._env.states.get_input())
        elif isinstance(state, ProgramError):
            failure = state.error or {}
            self.close("FAILED", error=failure.get("error"), cause=failure.get("cause"))
        else:
            raise RuntimeError(f"execution {self.name} ended in {type(state).__name__}")

    def _time_out(self) -> None:
        """The execution's own TimeoutSeconds: no catch of any state sees it."""
        if self.status == "RUNNING":
            self.close("TIMED_OUT", error="States.Timeout")

    def close(self, status: str, *, output: Any = None, error: str | None = None, cause: str | None = None) -> None:
        """End the execution and everything that it waits for; functions that it invoked run on."""
        self.status, self.output, self.error, self.cause = status, output, error, cause
        self.stopped = self.kernel.clock.now()
        if self._limit is not None:
            self._limit.cancel()
        for token in self._tokens:
            token.close()
        if status in ("TIMED_OUT", "ABORTED"):
            kind = HistoryEventType.ExecutionTimedOut if status == "TIMED_OUT" else HistoryEventType.ExecutionAborted
            details = {k: v for k, v in (("error", error), ("cause", cause)) if v is not None}
            member = "executionTimedOutEventDetails" if status == "TIMED_OUT" else "executionAbortedEventDetails"
            self._env.event_history_context.source_event_id = 0
            self._record(kind, **{member: details})
        if self._job is not None:
            self._job.end()
        self.machines.closed(self)

    def _record(self, kind: Any, **details: Any) -> None:
        self._env.event_manager.add_event(
            context=self._env.event_history_context,
            event_type=kind,
            event_details=EventDetails(**details),
            update_source_event_id=False,
        )

    @property
    def history(self) -> list[Mapping[str, Any]]:
        """Events as GetExecutionHistory has them, but for the time, which is text."""
        events: list[Mapping[str, Any]] = self._env.event_manager._history_event_list
        return events


class Machines(Api):
    """The Step Functions service of a world.

    Attributes:
        executions: all, in order of their start.
    """

    def __init__(self, kernel: Kernel, gateway: Gateway, bus: Bus, options: MachineOptions | None = None) -> None:
        super().__init__()
        self.service = "stepfunctions"
        self.kernel = kernel
        self.gateway = gateway
        self.bus = bus
        self.options = options or MachineOptions()
        self.executions: list[Execution] = []
        self._machines: dict[str, Machine] = {}
        self._by_arn: dict[str, Execution] = {}
        self._tokens: dict[str, _Token] = {}
        self._ids = kernel.rng("stepfunctions")
        interpreter.install()
        gateway.register(self)

    @property
    def running(self) -> list[Execution]:
        return [execution for execution in self.executions if execution.status == "RUNNING"]

    # --- deployment --------------------------------------------------------------------------------------------------
    def add(self, logical_id: str, name: str, definition: str, role_arn: str) -> Machine:
        """Create a state machine.

        Args:
            definition: Amazon States Language as JSON text, substitutions filled.

        Raises:
            WorldError: AWS would refuse the definition.
            Unmodelled: it uses what the twin does not model.
        """
        arn = self.kernel.arn("states", f"stateMachine:{name}")
        if arn in self._machines or not _NAME.fullmatch(name):
            raise WorldError(f"state machine {logical_id}: name {name!r} is taken or not allowed")
        definitions.check(logical_id, definition)
        try:
            interpreter.parse(definition)
        except Exception as error:
            raise WorldError(f"state machine {logical_id}: {error}") from error
        machine = Machine(logical_id, name, arn, definition, role_arn, self.kernel.clock.now())
        self._machines[arn] = machine
        return machine

    def publish_version(self, machine_arn: str) -> str:
        """Publish the machine as its next version; returns the version's ARN."""
        machine = self._machines[machine_arn]
        machine.versions.append(len(machine.versions) + 1)
        return machine.version_arns[-1]

    def add_alias(self, alias: str, version_arn: str) -> str:
        """Point an alias at a version; returns the alias's ARN."""
        arn, _, number = version_arn.rpartition(":")
        machine = self._machines.get(arn)
        if machine is None or not number.isdigit() or int(number) not in machine.versions:
            raise WorldError(f"alias {alias}: there is no state machine version {version_arn}")
        machine.aliases[alias] = int(number)
        return f"{arn}:{alias}"

    def machine(self, arn: str) -> Machine:
        """The machine behind an ARN of it, of a version or of an alias."""
        return self._qualified(arn).machine

    # --- executions --------------------------------------------------------------------------------------------------
    def issue_token(self, run: Execution, notify: Callable[[], None]) -> _Token:
        value = base64.b64encode(self._ids.randbytes(120)).decode()
        token = _Token(run, value, notify)
        self._tokens[value] = token
        return token

    def closed(self, execution: Execution) -> None:
        """Tell the world that an execution has ended."""
        text = f"{execution.machine}: {execution.name} {execution.status}"
        self.kernel.note(
            "execution.ended",
            f"{text}: {execution.error}" if execution.error else text,
            machine=execution.machine,
            execution=execution.arn,
            name=execution.name,
            status=execution.status,
        )
        self._publish(execution)

    def _publish(self, execution: Execution) -> None:
        """Status changes: Developer Guide, "Step Functions Execution Status Change" events."""
        output = _compact(execution.output) if execution.status == "SUCCEEDED" else None
        small = len(execution.input_text.encode()) + len((output or "").encode()) <= _EVENT_DATA
        detail = {
            "executionArn": execution.arn,
            "stateMachineArn": execution.machine_arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": _millis(execution.started),
            "stopDate": _millis(execution.stopped),
            "input": execution.input_text if small else None,
            "output": output if small else None,
            "stateMachineVersionArn": execution.version_arn,
            "stateMachineAliasArn": execution.alias_arn,
            "redriveCount": 0,
            "redriveDate": None,
            "redriveStatus": "NOT_REDRIVABLE",
            "redriveStatusReason": _redrive_reason(execution),
            "inputDetails": {"included": small},
            "outputDetails": {"included": small} if output is not None else None,
            "error": execution.error,
            "cause": execution.cause,
        }
        if execution.status in ("FAILED", "TIMED_OUT", "ABORTED"):
            detail |= {"redriveStatus": "REDRIVABLE", "redriveStatusReason": None}
        self.bus.emit("aws.states", "Step Functions Execution Status Change", detail, [execution.arn])

    def _qualified(self, arn: str) -> _Qualified:
        base, qualifier = arn, None
        if arn.count(":") == 7:
            base, _, qualifier = arn.rpartition(":")
        if not re.fullmatch(r"arn:aws:states:[a-z0-9-]+:\d{12}:stateMachine:[^:]+", base):
            raise AwsError("InvalidArn", f"Invalid Arn: '{arn}'")
        machine = self._machines.get(base)
        if machine is not None and qualifier is None:
            return _Qualified(machine)
        if machine is not None and qualifier in machine.aliases:
            return _Qualified(machine, machine.aliases[qualifier], qualifier)
        if machine is not None and qualifier and qualifier.isdigit() and int(qualifier) in machine.versions:
            return _Qualified(machine, int(qualifier))
        raise AwsError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")

    def _execution(self, arn: str) -> Execution:
        if not re.fullmatch(r"arn:aws:states:[a-z0-9-]+:\d{12}:execution:[^:]+:[^:]+", arn):
            raise AwsError("InvalidArn", f"Invalid Arn: '{arn}'")
        execution = self._by_arn.get(arn)
        if execution is None:
            raise AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return execution

    # --- API: executions ---------------------------------------------------------------------------------------------
    @operation("StartExecution", ["stateMachineArn", "name", "input"])
    def start_execution(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """API reference, StartExecution: idempotent for a running execution of the same name and input; a name that
        ended is locked for 90 days."""
        target = self._qualified(params["stateMachineArn"])
        text = params.get("input", "{}")
        _check_input(text)
        name = params.get("name") or self._uuid()
        if not _NAME.fullmatch(name):
            raise AwsError("InvalidName", f"Invalid Name: '{name}'")
        execution = Execution(self, target, name, text)
        former = self._by_arn.get(execution.arn)
        if former is not None and self._holds_name(former):
            if former.status == "RUNNING" and former.input == execution.input:
                return {"executionArn": former.arn, "startDate": former.started}
            raise AwsError("ExecutionAlreadyExists", f"Execution Already Exists: '{former.arn}'")
        self.executions.append(execution)
        self._by_arn[execution.arn] = execution
        self.kernel.note(
            "execution.started",
            f"{execution.machine}: {name}",
            machine=execution.machine,
            execution=execution.arn,
            name=name,
            call=call.number,
        )
        self._publish(execution)
        execution.start()
        return {"executionArn": execution.arn, "startDate": execution.started}

    def _holds_name(self, former: Execution) -> bool:
        if former.stopped is None:
            return True
        return (self.kernel.clock.now() - former.stopped).total_seconds() < _NAME_LOCK

    @operation("StopExecution", ["executionArn", "error", "cause"])
    def stop_execution(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """API reference, StopExecution. No catch of any state sees it; an execution that has ended stays as it is."""
        execution = self._execution(params["executionArn"])
        if execution.status == "RUNNING":
            execution.close("ABORTED", error=params.get("error"), cause=params.get("cause"))
        return {"stopDate": execution.stopped}

    @operation("DescribeExecution", ["executionArn"])
    def describe_execution(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        execution = self._execution(params["executionArn"])
        response = {
            "executionArn": execution.arn,
            "stateMachineArn": execution.machine_arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": execution.started,
            "input": execution.input_text,
            "inputDetails": {"included": True},
            "redriveCount": 0,
            "redriveStatus": "NOT_REDRIVABLE" if execution.status in ("RUNNING", "SUCCEEDED") else "REDRIVABLE",
        }
        if execution.status in ("RUNNING", "SUCCEEDED"):
            response["redriveStatusReason"] = _redrive_reason(execution)
        if execution.status == "SUCCEEDED":
            response |= {"output": _compact(execution.output), "outputDetails": {"included": True}}
        optional = {
            "stopDate": execution.stopped,
            "error": execution.error,
            "cause": execution.cause,
            "stateMachineVersionArn": execution.version_arn,
            "stateMachineAliasArn": execution.alias_arn,
        }
        return response | {name: value for name, value in optional.items() if value is not None}

    @operation("ListExecutions", ["stateMachineArn", "statusFilter", "maxResults", "nextToken"])
    def list_executions(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """API reference, ListExecutions: most recent first; of a version or alias, those that it started."""
        target = self._qualified(params["stateMachineArn"])
        found = [item for item in reversed(self.executions) if _started_by(item, target)]
        status = params.get("statusFilter")
        if status is not None:
            found = [item for item in found if item.status == status]
        page, token = self._page(found, params)
        response: dict[str, Any] = {"executions": [_listed(item) for item in page]}
        return response | ({"nextToken": token} if token else {})

    @operation(
        "GetExecutionHistory", ["executionArn", "maxResults", "reverseOrder", "nextToken", "includeExecutionData"]
    )
    def get_execution_history(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if not params.get("includeExecutionData", True):
            raise Unmodelled("stepfunctions:GetExecutionHistory: includeExecutionData=false")
        events = list(self._execution(params["executionArn"]).history)
        if params.get("reverseOrder"):
            events.reverse()
        page, token = self._page(events, params)
        response: dict[str, Any] = {"events": [_history_event(event) for event in page]}
        return response | ({"nextToken": token} if token else {})

    @operation("DescribeStateMachine", ["stateMachineArn"])
    def describe_state_machine(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        target = self._qualified(params["stateMachineArn"])
        if target.alias is not None:
            raise AwsError("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: alias'")
        machine = target.machine
        return {
            "stateMachineArn": target.version_arn or machine.arn,
            "name": machine.name,
            "status": "ACTIVE",
            "definition": machine.definition,
            "roleArn": machine.role_arn,
            "type": "STANDARD",
            "creationDate": machine.created,
        }

    def _page(self, items: list[Any], params: Mapping[str, Any]) -> tuple[list[Any], str | None]:
        size = params.get("maxResults") or _PAGE
        if not 0 < size <= _MAX_PAGE:
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: "
                f"Member must have value less than or equal to {_MAX_PAGE}",
            )
        token = params.get("nextToken")
        if token is not None and not token.isdigit():
            raise AwsError("InvalidToken", f"Invalid Token: '{token}'")
        start = int(token or 0)
        following = str(start + size) if start + size < len(items) else None
        return items[start : start + size], following

    # --- API: callbacks ----------------------------------------------------------------------------------------------
    @operation("SendTaskSuccess", ["taskToken", "output"])
    def send_task_success(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        token = self._token(params["taskToken"])
        output = params["output"]
        if not _is_json(output):
            raise AwsError("InvalidOutput", f"Invalid Output: '{output}'")
        _check_length("output", output)
        token.complete(CallbackOutcomeSuccess(callback_id=token.value, output=output))
        return {}

    @operation("SendTaskFailure", ["taskToken", "error", "cause"])
    def send_task_failure(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        token = self._token(params["taskToken"])
        token.complete(
            CallbackOutcomeFailure(callback_id=token.value, error=params.get("error"), cause=params.get("cause"))
        )
        return {}

    @operation("SendTaskHeartbeat", ["taskToken"])
    def send_task_heartbeat(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self._token(params["taskToken"]).heartbeat()
        return {}

    def _token(self, value: str) -> _Token:
        token = self._tokens.get(value)
        if token is None:
            raise AwsError("InvalidToken", "Invalid Token: 'Invalid token'")
        if not token.open:
            raise AwsError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        return token

    def _uuid(self) -> str:
        digits = f"{self._ids.getrandbits(128):032x}"
        return "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


def _check_input(text: str) -> None:
    if not _is_json(text):
        raise AwsError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{text}'")
    _check_length("input", text)


def _check_length(member: str, text: str) -> None:
    if len(text.encode()) > interpreter.MAX_STATE_BYTES:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length "
            f"less than or equal to {interpreter.MAX_STATE_BYTES}",
        )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _millis(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def _redrive_reason(execution: Execution) -> str:
    if execution.status == "RUNNING":
        return "Execution is RUNNING and cannot be redriven"
    return f"Execution is {execution.status} and cannot be redriven"


def _started_by(execution: Execution, target: _Qualified) -> bool:
    if execution.machine_arn != target.machine.arn:
        return False
    if target.alias is not None:
        return execution.alias_arn == target.alias_arn
    return target.version is None or execution.version_arn == target.version_arn


def _listed(execution: Execution) -> dict[str, Any]:
    item = {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.started,
        "redriveCount": 0,
    }
    optional = {
        "stopDate": execution.stopped,
        "stateMachineVersionArn": execution.version_arn,
        "stateMachineAliasArn": execution.alias_arn,
    }
    return item | {name: value for name, value in optional.items() if value is not None}


def _history_event(event: Mapping[str, Any]) -> dict[str, Any]:
    moment = datetime.fromisoformat(str(event["timestamp"]).replace("Z", "+00:00"))
    kind = event["type"]
    return {**event, "timestamp": moment, "type": getattr(kind, "value", kind)}
