"""moto's interpreter of the Amazon States Language, made to run in a world and to fail as AWS does.

moto (which took it from LocalStack) interprets states, choices, maps, retries and catches. What is changed here, each
for a reason given below: where time, threads and chance come from; who makes the API calls; JSONata; the casing of SDK
integrations; what may be caught; time-outs and task tokens. The changes are attributes of moto's classes and modules
and can be taken back with `uninstall()`. They serve every world of the process: what runs finds its world through the
environment that moto hands around.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from botocore import xform_name
from botocore.model import ServiceModel
from moto.stepfunctions.parser.api import (
    EvaluationFailedEventDetails,
    HistoryEventType,
    StateMachineType,
    TaskFailedEventDetails,
    TaskSucceededEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.catch.catch_outcome import CatchOutcome
from moto.stepfunctions.parser.asl.component.common.error_name import error_equals_decl, states_error_name
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.query_language import QueryLanguageMode
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.common.timeouts import heartbeat, timeout
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.state import state as common_state
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.credentials import StateCredentials
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
    state_task_service_aws_sdk,
    state_task_service_callback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import seconds as wait_seconds
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import timestamp as wait_timestamp
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval import states as states_data
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext, EventManager
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from twin.errors import Unmodelled
from twin.kernel import query, virtual
from twin.kernel.clock import iso
from twin.kernel.kernel import Kernel
from twin.kernel.loaders import shared_loader

MAX_STATE_BYTES = 256 * 1024
"""Data of a state, of a task and of an execution (Step Functions Developer Guide, service quotas)."""


class Token(Protocol):
    """A task that waits for `SendTaskSuccess`, `SendTaskFailure` and `SendTaskHeartbeat`."""

    value: str
    outcome: Any

    def changed(self, timeout: float | None) -> bool:
        """Wait for an outcome or a heartbeat; False when `timeout` seconds passed without one."""

    def close(self) -> None:
        """The task waits no longer."""


class Run(Protocol):
    """What the interpreter asks of the execution that it interprets."""

    kernel: Kernel

    def client(self, service: str) -> Any:
        """A boto3 client in the name of the state machine's role."""

    def token(self, notify: Callable[[], None]) -> Token:
        """A new task token; `notify` is called when its outcome is known."""

    def entered(self, state: str) -> None: ...

    def retried(self, state: str) -> None: ...

    def recorded(self, events: int) -> None:
        """The history has grown to so many events."""


class Details(AWSExecutionDetails):  # type: ignore[misc]
    """moto hands this to every part of an execution: the way from there to its world."""

    def __init__(self, run: Run, account: str, region: str, role_arn: str) -> None:
        super().__init__(account=account, region=region, role_arn=role_arn)
        self.run = run


class RunCredentials(StateCredentials):  # type: ignore[misc]
    def __init__(self, run: Run, role_arn: str) -> None:
        super().__init__(role_arn=role_arn)
        self.run = run


def run_of(env: Any) -> Run:
    run: Run = env.aws_execution_details.run
    return run


@lru_cache(maxsize=256)
def parse(definition: str) -> Any:
    """The program of a definition. Parsing is slow and programs hold no state of executions, so each is kept."""
    return AmazonStateLanguageParser.parse(definition)[0]


def environment(run: Run, *, account: str, region: str, role_arn: str, context: dict[str, Any]) -> Any:
    """A fresh environment to evaluate a program in."""
    env = Environment(
        aws_execution_details=Details(run, account, region, role_arn),
        execution_type=StateMachineType.STANDARD,
        context=context,
        event_history_context=EventHistoryContext.of_program_start(),
        cloud_watch_logging_session=None,
        activity_store={},
    )
    env.event_manager.run = run
    return env


def evaluate(program: Any, env: Any) -> None:
    """Run a program to its end, in the present job. Time-outs of the whole execution are the caller's."""
    env.next_state_name = program.start_at.start_at_name
    program._eval_body(env)


# --- errors -----------------------------------------------------------------------------------------------------------
# Developer Guide, "Handling errors in Step Functions workflows": States.ALL cannot catch States.DataLimitExceeded and
# States.Runtime; States.TaskFailed matches any known error name except States.Timeout; States.Runtime always fails the
# execution. A missed heartbeat is reported as States.Timeout and may be caught by States.HeartbeatTimeout as well.
_TERMINAL = ("States.DataLimitExceeded", "States.Runtime")
_NEVER_CAUGHT = ("States.Runtime",)


def _matches(decl: Any, env: Any) -> None:
    error = env.stack.pop()
    name = error.error_name if error is not None else None
    listed = {item.error_name for item in decl.error_names}
    env.stack.append(_is_matched(name, listed, heartbeat_missed=getattr(error, "heartbeat_missed", False)))


def _is_matched(name: str | None, listed: set[str | None], *, heartbeat_missed: bool) -> bool:
    if name in _NEVER_CAUGHT:
        return False
    if name in listed or (heartbeat_missed and "States.HeartbeatTimeout" in listed):
        return True
    if name in _TERMINAL:
        return False
    return "States.ALL" in listed or ("States.TaskFailed" in listed and name != "States.Timeout")


def _error_name(error_name: str | None) -> Any:
    """moto refuses to pass on an error of a branch, an iteration or a callback whose name begins with `States.`."""
    if error_name is not None and error_name.startswith("States."):
        with contextlib.suppress(ValueError):
            return states_error_name.StatesErrorName.from_name(error_name)
    try:
        return CustomErrorName(error_name)
    except ValueError:  # AWS keeps the prefix for itself, but a worker may send it
        name = CustomErrorName(None)
        name.error_name = error_name
        return name


def _failure(env: Any, kind: Any, event_type: Any, **details: Any) -> Exception:
    failed: Exception = FailureEventException(
        failure_event=FailureEvent(
            env=env,
            error_name=states_error_name.StatesErrorName(typ=kind),
            event_type=event_type,
            event_details=EventDetails(**details),
        )
    )
    return failed


def _query_error(env: Any, cause: str) -> Exception:
    kind = StatesErrorNameType.StatesQueryEvaluationError
    details = EvaluationFailedEventDetails(error=kind.to_name(), cause=cause)
    failed = _failure(env, kind, HistoryEventType.EvaluationFailed, evaluationFailedEventDetails=details)
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=HistoryEventType.EvaluationFailed,
        event_details=EventDetails(
            evaluationFailedEventDetails=failed.get_evaluation_failed_event_details()  # type: ignore[attr-defined]
        ),
    )
    return failed


def _timed_out(state: Any, env: Any, ex: Exception) -> Any:
    """A time-out as moto reports it, with the missed heartbeat kept in mind."""
    if isinstance(ex, TimeoutError):
        failure = state._get_timed_out_failure_event(env)
        failure.error_name.heartbeat_missed = isinstance(ex, _heartbeat_error())
        return failure
    return ExecutionState._from_error(state, env=env, ex=ex)


def _heartbeat_error() -> type[Exception]:
    error: type[Exception] = state_task_service_callback.HeartbeatTimeoutError
    return error


# --- JSONata ----------------------------------------------------------------------------------------------------------
def _variables(env: Any) -> dict[str, Any]:
    store = env.variable_store
    return {**store._outer_scope, **store._inner_scope}


def _eval_jsonata(component: Any, env: Any) -> None:
    variables = {**_variables(env), "states": env.states._states_data}
    try:
        env.stack.append(query.evaluate(component.expression, variables))
    except query.QueryError as error:
        raise _query_error(env, str(error)) from error


def _eval_sampled_variable(component: Any, env: Any) -> None:
    variables = _variables(env)
    if component.query_language_mode == QueryLanguageMode.JSONata:
        variables["states"] = env.states._states_data
    try:
        env.stack.append(query.evaluate(component.expression, variables))
    except query.QueryError as error:
        raise _query_error(env, str(error)) from error


def _reset_states(states: Any, input_value: Any) -> None:
    """moto binds `$states.result` and `$states.errorOutput` to null where there are none; they do not exist there."""
    states._states_data["input"] = copy.deepcopy(input_value)
    states._states_data.pop("result", None)
    states._states_data.pop("errorOutput", None)


def _whole_seconds(field: str, least: int) -> Callable[[Any, Any], int]:
    def seconds(component: Any, env: Any) -> int:
        component.string_jsonata.eval(env=env)
        value = env.stack.pop()
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 99_999_999:
            expression = component.string_jsonata.expression
            raise _query_error(
                env,
                f"The JSONata expression '{expression}' specified for the field '{field}' returned an unexpected "
                f"result: {json.dumps(value)} is not a number of seconds.",
            )
        return value

    return seconds


# --- time -------------------------------------------------------------------------------------------------------------
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


def _moment(timestamp: str) -> datetime | None:
    """A timestamp of a Wait state: RFC 3339 with `T` and `Z` or an offset (Amazon States Language)."""
    if not isinstance(timestamp, str) or not _TIMESTAMP.fullmatch(timestamp):
        return None
    try:
        return datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return None


def _seconds_until(component: Any, env: Any) -> float:
    """moto drops fractions of seconds on both sides and so wakes up to a second too early."""
    component.string.eval(env=env)
    text = env.stack.pop()
    moment = _moment(text)
    if moment is None:
        raise FailureEventException(component._create_failure_event(env, text))
    return (moment - run_of(env).kernel.clock.now()).total_seconds()


def _wait(_component: Any, env: Any, wait_seconds: float) -> None:
    if wait_seconds > 0:
        run_of(env).kernel.scheduler.sleep(wait_seconds)


def _state_data(EnteredTime: str, Name: str) -> dict[str, Any]:  # noqa: N803 - as moto calls it
    return {"EnteredTime": iso(datetime.fromisoformat(EnteredTime)), "Name": Name}


# --- tasks ------------------------------------------------------------------------------------------------------------
def _credentials(state: Any, env: Any) -> RunCredentials:
    if state.credentials:
        raise Unmodelled(f"state {state.name!r}: Credentials of another role")
    return RunCredentials(run_of(env), env.aws_execution_details.role_arn)


def _client_for(region: str, service: str, state_credentials: RunCredentials) -> Any:
    run = state_credentials.run
    if region != run.kernel.region:
        raise Unmodelled(f"a task that calls {service} in region {region}")
    return run.client(service)


def _waits_for_token(state: Any) -> bool:
    condition = getattr(state.resource, "condition", None) if isinstance(state, StateTask) else None
    return bool(condition == "waitForTaskToken")


def _evaluate_with_timeout(state: Any, env: Any) -> None:
    """One attempt. Unlike moto's: a new task token for each attempt, a callback completes the task at once, and what
    an attempt that timed out still does no longer counts."""
    state.timeout.eval(env=env)
    limit = env.stack.pop()
    attempt = _Attempt(state, env)
    try:
        output = attempt.wait(None if state.timeout.is_default_value() else limit)
    finally:
        attempt.close()
    env.stack.append(output)
    if not state._is_language_query_jsonpath():
        env.states.set_result(output)
    if state.assign_decl:
        state.assign_decl.eval(env=env)
    if state.result_selector:
        state.result_selector.eval(env=env)
    if state.result_path:
        state.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


class _Attempt:
    """One evaluation of a Task, Parallel or Map state, in a job of its own."""

    def __init__(self, state: Any, env: Any) -> None:
        parent = virtual.present()
        if parent is None:
            raise RuntimeError(f"state {state.name!r} is evaluated outside of a job")
        self.state = state
        self.env = env
        self.outputs: list[Any] = []
        self.error: Exception | None = None
        self.ready = run_of(env).kernel.scheduler.event()
        self.token = self._new_token() if _waits_for_token(state) else None
        self.frame = env.open_frame()
        self.frame.states.reset(input_value=env.states.get_input())
        self.frame.stack = copy.deepcopy(env.stack)
        self.frame.twin_token = self.token
        self.job = virtual.Job(parent.surroundings, self._run, name=f"{parent.name}/{state.name}", parent=parent)

    def _new_token(self) -> Token:
        token = run_of(self.env).token(self.ready.set)
        self.env.states.context_object.context_object_data["Task"] = {"Token": token.value}
        return token

    def _run(self) -> None:
        try:
            self.state._eval_execution(self.frame)
            self.outputs.extend(self.frame.stack)
        except Exception as error:  # noqa: BLE001 - whatever failed is matched against Retry and Catch
            self.error = error
        self.ready.set()

    def wait(self, limit: float | None) -> Any:
        """The attempt's output. Raises what it failed with."""
        in_time = self.ready.wait(limit)
        if self.token is not None and self.token.outcome is not None and not self.outputs and self.error is None:
            return self._called_back()
        if self.error is not None:
            raise self.error
        if not in_time:
            raise timeout.EvalTimeoutError
        return self.outputs.pop()

    def _called_back(self) -> Any:
        """The outcome came while the called service was still at work, e.g. from within the invoked function."""
        self.job.end()
        assert self.token is not None
        output = _callback_output(self.token)
        self.state._verify_size_quota(env=self.frame, value=output)
        self.frame.event_manager.add_event(
            context=self.frame.event_history_context,
            event_type=HistoryEventType.TaskSucceeded,
            event_details=EventDetails(
                taskSucceededEventDetails=TaskSucceededEventDetails(
                    resource=self.state._get_sfn_resource(),
                    resourceType=self.state._get_sfn_resource_type(),
                    output=json.dumps(output),
                    outputDetails={"truncated": False},
                )
            ),
        )
        return output

    def close(self) -> None:
        if not self.job.done:
            self.job.end()
        if self.token is not None:
            self.token.close()
        self.frame.set_ended()
        self.env.close_frame(self.frame)


def _callback_output(token: Token) -> Any:
    outcome = token.outcome
    if isinstance(outcome, state_task_service_callback.CallbackOutcomeFailure):
        raise state_task_service_callback.CallbackOutcomeFailureError(callback_outcome_failure=outcome)
    return json.loads(outcome.output)


def _wait_for_token(
    state: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
) -> None:
    """Wait for the callback; the attempt's own time-out ends this job."""
    if not _waits_for_token(state):
        raise Unmodelled(f"state {state.name!r}: integration pattern {state.resource.condition}")
    env.stack.pop()
    token: Token = env.twin_token
    limit: float | None = None
    if state.heartbeat:
        state.heartbeat.eval(env=env)
        limit = env.stack.pop()
    while token.outcome is None:
        if not token.changed(limit):
            raise _heartbeat_error()
    env.stack.append(_callback_output(token))


def _eval_callback_state(state: Any, env: Any) -> None:
    """moto makes one token for all attempts; here each attempt makes its own."""
    super(state_task_service_callback.StateTaskServiceCallback, state)._eval_body(env=env)
    env.states.context_object.context_object_data.pop("Task", None)


def _failed_callback(state: Any, env: Any, ex: Any) -> Any:
    outcome = ex.callback_outcome_failure
    return FailureEvent(
        env=env,
        error_name=_error_name(outcome.error),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(
            taskFailedEventDetails=TaskFailedEventDetails(
                resourceType=state._get_sfn_resource_type(),
                resource=state._get_sfn_resource(),
                error=outcome.error,
                cause=outcome.cause,
            )
        ),
    )


def _checked_parameters(original: Callable[..., Any]) -> Callable[..., Any]:
    """States.DataLimitExceeded also when a task's input, after its Arguments, is larger than the quota."""

    def evaluate_parameters(state: Any, env: Any) -> Any:
        parameters = original(state, env=env)
        state._verify_size_quota(env=env, value=parameters)
        return parameters

    return evaluate_parameters


def _counted_retry(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_retry(state: Any, env: Any, failure_event: Any) -> Any:
        outcome = original(state, env=env, failure_event=failure_event)
        if outcome.name == "CanRetry":
            run_of(env).retried(state.name)
        return outcome

    return handle_retry


def _fits(value: Any) -> bool:
    """moto counts blanks and escapes that the service's own JSON has not."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    return len(text.encode()) <= MAX_STATE_BYTES


def _recorded_event(original: Callable[..., Any]) -> Callable[..., Any]:
    def add_event(
        manager: Any,
        context: Any,
        event_type: Any,
        event_details: Any = None,
        timestamp: Any = None,
        update_source_event_id: bool = True,
    ) -> Any:
        number = original(manager, context, event_type, event_details, timestamp, update_source_event_id)
        run = getattr(manager, "run", None)
        if run is not None:
            entered = (event_details or {}).get("stateEnteredEventDetails")
            if entered:
                run.entered(entered["name"])
            run.recorded(number)
        return number

    return add_event


def _set_next(original: Callable[..., Any]) -> Callable[..., Any]:
    """moto takes a Catch whose Next is the state itself for one that was not taken, and goes on to the state's Next."""

    def set_next(state: Any, env: Any) -> None:
        if not (env.stack and isinstance(env.stack[-1], CatchOutcome)):
            original(state, env)

    return set_next


def _choose(original: Callable[..., Any]) -> Callable[..., Any]:
    """moto reports a choice without a match as States.Runtime."""

    def evaluate_choice(state: Any, env: Any) -> None:
        try:
            original(state, env)
        except RuntimeError as error:
            kind = StatesErrorNameType.StatesNoChoiceMatched
            cause = f"No choice of the state '{state.name}' matched, and it has no Default."
            details = TaskFailedEventDetails(error=kind.to_name(), cause=cause)
            raise _failure(env, kind, HistoryEventType.TaskFailed, taskFailedEventDetails=details) from error

    return evaluate_choice


def _heap_key(component: Any) -> str:
    """moto draws a random name for each component that keeps something between attempts."""
    return str(id(component))


# --- SDK integrations -------------------------------------------------------------------------------------------------
# Developer Guide, "Learning to use AWS service SDK integrations": parameters and results are in PascalCase, whatever
# the service's own casing; the action is in camelCase. Errors are `<Service>.<Error>Exception`.
_BOTO_NAMES = {
    "sfn": "stepfunctions",
    "states": "stepfunctions",
    "eventbridge": "events",
    "elasticloadbalancingv2": "elbv2",
    "cloudwatchlogs": "logs",
}
_ERROR_PREFIXES = {
    "dynamodb": "DynamoDb",
    "sfn": "Sfn",
    "ecs": "Ecs",
    "ec2": "Ec2",
    "ssm": "Ssm",
    "sns": "Sns",
    "sqs": "Sqs",
    "iam": "Iam",
    "lambda": "Lambda",
    "autoscaling": "AutoScaling",
    "cloudwatch": "CloudWatch",
    "eventbridge": "EventBridge",
    "elasticloadbalancingv2": "ElasticLoadBalancingV2",
}


@lru_cache(maxsize=256)
def _operation(service: str, action: str) -> Any:
    model = ServiceModel(shared_loader().load_service_model(service, "service-2"), service_name=service)
    name = action[:1].upper() + action[1:]
    if name not in model.operation_names:
        raise Unmodelled(f"an integration with {service}:{action}, which botocore does not know")
    return model.operation_model(name)


def _action(state: Any, service_action_name: str | None = None) -> str:
    action = service_action_name or state.resource.api_action
    return xform_name(action[:1].upper() + action[1:])


def _shape_of(state: Any, boto_service_name: str | None, action: str | None) -> Any:
    service = state._get_boto_service_name(boto_service_name=boto_service_name)
    return _operation(service, action or state.resource.api_action)


def _normalise_parameters(
    state: Any, parameters: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    shape = _shape_of(state, boto_service_name, service_action_name).input_shape
    if shape is not None and isinstance(parameters, dict):
        state._to_boto_request(parameters, shape)


def _normalise_response(
    state: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    shape = _shape_of(state, boto_service_name, service_action_name).output_shape
    if shape is not None and isinstance(response, dict):
        response.pop("ResponseMetadata", None)
        state._from_boto_response(response, shape)
        response.update({name: _json_value(value) for name, value in response.items()})


def _json_value(value: Any) -> Any:
    """A response's value as JSON: times as text, blobs as the text that they hold."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name: _json_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    return value


# --- installing -------------------------------------------------------------------------------------------------------
def _silent(*_arguments: Any, **_named: Any) -> None:
    """moto prints the whole program for each failure of a task; failures are in the history."""


def _changes() -> list[tuple[Any, str, Any]]:
    callback_state = state_task_service_callback.StateTaskServiceCallback
    service_state = state_task_service.StateTaskService
    return [
        (error_equals_decl.ErrorEqualsDecl, "_eval_body", _matches),
        (branches_decl, "CustomErrorName", _error_name),
        (iteration_worker, "CustomErrorName", _error_name),
        (StateTask, "_from_error", _timed_out),
        (StateTask, "_eval_state_credentials", _credentials),
        (StateTask, "_eval_parameters", _checked_parameters(StateTask._eval_parameters)),
        (string_expression.StringJSONata, "_eval_body", _eval_jsonata),
        (string_expression.StringVariableSample, "_eval_body", _eval_sampled_variable),
        (states_data.States, "reset", _reset_states),
        (timeout.TimeoutSecondsJSONata, "_eval_seconds", _whole_seconds("TimeoutSeconds", 1)),
        (heartbeat.HeartbeatSecondsJSONata, "_eval_seconds", _whole_seconds("HeartbeatSeconds", 1)),
        (wait_seconds.SecondsJSONata, "_get_wait_seconds", _whole_seconds("Seconds", 0)),
        (wait_timestamp.Timestamp, "_get_wait_seconds", _seconds_until),
        (wait_timestamp.Timestamp, "_from_timestamp_string", staticmethod(_moment)),
        (WaitFunction, "_wait_interval", _wait),
        (common_state, "StateData", _state_data),
        (common_state.CommonStateField, "_set_next", _set_next(common_state.CommonStateField._set_next)),
        (StateChoice, "_eval_state", _choose(StateChoice._eval_state)),
        (ExecutionState, "_evaluate_with_timeout", _evaluate_with_timeout),
        (ExecutionState, "_handle_retry", _counted_retry(ExecutionState._handle_retry)),
        (callback_state, "_eval_integration_pattern", _wait_for_token),
        (callback_state, "_eval_body", _eval_callback_state),
        (callback_state, "_get_callback_outcome_failure_event", _failed_callback),
        (service_state, "_get_boto_service_action", _action),
        (service_state, "_normalise_parameters", _normalise_parameters),
        (service_state, "_normalise_response", _normalise_response),
        (service_state, "_SERVICE_NAME_SFN_TO_BOTO_OVERRIDES", _BOTO_NAMES),
        (state_task_service_aws_sdk, "_SERVICE_ERROR_NAMES", _ERROR_PREFIXES),
        (common_state, "is_within_size_quota", _fits),
        (state_task_service, "is_within_size_quota", _fits),
        (EventManager, "add_event", _recorded_event(EventManager.add_event)),
        (EvalComponent, "_log_failure_event_exception", _silent),
        (EvalComponent, "_log_exception", _silent),
        (EvalComponent, "heap_key", property(_heap_key)),
    ]


_PARSER = "moto.stepfunctions.parser."


class _Forgetful(list[Any]):
    """moto keeps each thread that it ever started."""

    def append(self, _item: Any) -> None:
        pass


_installed: contextlib.ExitStack | None = None


def install() -> None:
    """Make the changes, once per process."""
    global _installed  # noqa: PLW0603 - moto's classes are the process's
    if _installed is not None:
        return
    undo = contextlib.ExitStack()
    for owner, name, value in _changes():
        undo.callback(setattr, owner, name, owner.__dict__[name])
        setattr(owner, name, value)
    for name, module in sorted(sys.modules.items()):
        if not name.startswith(_PARSER):
            continue
        undo.push(virtual.stand_in(module, threads=True))
        for imported, value in (("boto_client_for", _client_for), ("TMP_THREADS", _Forgetful())):
            if imported in vars(module):
                undo.callback(setattr, module, imported, vars(module)[imported])
                setattr(module, imported, value)
    logger = logging.getLogger("moto.stepfunctions")
    undo.callback(logger.setLevel, logger.level)
    logger.setLevel(logging.CRITICAL)
    _installed = undo


def uninstall() -> None:
    """Give moto back as it was."""
    global _installed  # noqa: PLW0603 - as above
    if _installed is not None:
        _installed.close()
        _installed = None
