"""The Step Functions API: names, stops, time-outs, versions, lists and events."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from machine_stage import ROLE, SUCCEED, Stage, callback, staged, task

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel import interpreter
from twin.kernel.machines import MachineOptions

WAIT = {"Wait": {"Type": "Wait", "Seconds": 600, "Next": "Done"}, "Done": SUCCEED}
CATCH_ALL = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def deployed(stage: Stage, states: dict[str, Any] = WAIT, **top: Any) -> str:
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **top}
    return stage.machines.add("Machine", "machine", json.dumps(definition), ROLE).arn


def start(stage: Stage, arn: str, name: str = "one", input_: str = "{}") -> str:
    answer = stage.call("StartExecution", stateMachineArn=arn, name=name, input=input_)
    return str(answer["executionArn"])


def test_the_same_name_and_input_start_once_while_running(stage: Stage) -> None:
    arn = deployed(stage)
    assert start(stage, arn, input_='{"a": 1}') == start(stage, arn, input_='{"a":1}')
    assert len(stage.machines.executions) == 1
    with pytest.raises(AwsError, match="ExecutionAlreadyExists"):
        start(stage, arn, input_='{"a": 2}')


def test_a_closed_name_is_locked_for_90_days(stage: Stage) -> None:
    arn = deployed(stage)
    start(stage, arn)
    stage.kernel.scheduler.run()
    with pytest.raises(AwsError, match="ExecutionAlreadyExists"):
        start(stage, arn)
    stage.later(90 * 86_400 + 1, lambda: start(stage, arn))
    stage.kernel.scheduler.run()
    assert [item.status for item in stage.machines.executions] == ["SUCCEEDED", "SUCCEEDED"]


@pytest.mark.parametrize("name", ["x" * 81, "a b", "a:b", "a/b", ""])
def test_names_that_aws_refuses(stage: Stage, name: str) -> None:
    arn = deployed(stage)
    with pytest.raises(AwsError, match=r"InvalidName|ParamValidation"):
        start(stage, arn, name)


def test_input_must_be_json_and_fit(stage: Stage) -> None:
    arn = deployed(stage)
    with pytest.raises(AwsError, match="InvalidExecutionInput"):
        start(stage, arn, input_="{")
    with pytest.raises(AwsError, match="ValidationException"):
        start(stage, arn, input_=json.dumps("x" * 262_144))


@pytest.mark.parametrize(
    ("arn", "code"),
    [("nonsense", "InvalidArn"), ("arn:aws:states:eu-west-1:111122223333:stateMachine:no", "StateMachineDoesNotExist")],
)
def test_unknown_machines(stage: Stage, arn: str, code: str) -> None:
    with pytest.raises(AwsError, match=code):
        start(stage, arn)


def test_a_stopped_execution_skips_every_catch_and_waits_for_nothing(stage: Stage) -> None:
    tokens: list[str] = []
    stage.python.functions["ask"] = lambda payload: tokens.append(payload["token"])
    execution = stage.start({"Ask": callback("ask", TimeoutSeconds=5000, Next="Done", **CATCH_ALL), "Done": SUCCEED})
    stop = {"executionArn": execution.arn, "error": "Enough", "cause": "by hand"}
    stage.later(100, lambda: stage.call("StopExecution", **stop))
    stage.kernel.scheduler.run()
    assert (execution.status, execution.error, execution.cause) == ("ABORTED", "Enough", "by hand")
    assert stage.elapsed == 100
    assert stage.events_of(execution)[-1] == "ExecutionAborted"
    with pytest.raises(AwsError, match="TaskTimedOut"):
        stage.call("SendTaskSuccess", taskToken=tokens[0], output="{}")


def test_what_a_stopped_execution_invoked_runs_on(stage: Stage) -> None:
    finished: list[float] = []

    def slow(_payload: Any) -> None:
        stage.kernel.scheduler.spawn(
            lambda: (stage.kernel.scheduler.sleep(60), finished.append(stage.elapsed)), name="function"
        ).join()

    stage.python.functions["f"] = slow
    execution = stage.start({"Try": task("f", Next="Done", **CATCH_ALL), "Done": SUCCEED})
    stage.later(10, lambda: stage.call("StopExecution", executionArn=execution.arn))
    stage.kernel.scheduler.run()
    assert execution.status == "ABORTED"
    assert finished == [pytest.approx(60, abs=1)]


def test_the_executions_own_time_out_skips_every_catch(stage: Stage) -> None:
    execution = stage.run(
        {
            "Map": {
                "Type": "Parallel",
                "Branches": [{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 9000, "End": True}}}],
                "Next": "Done",
                **CATCH_ALL,
            },
            "Done": SUCCEED,
        },
        TimeoutSeconds=3600,
    )
    assert (execution.status, execution.error, stage.elapsed) == ("TIMED_OUT", "States.Timeout", 3600)
    assert stage.events_of(execution)[-1] == "ExecutionTimedOut"


def test_an_execution_in_time_leaves_no_timer_behind(stage: Stage) -> None:
    stage.run(WAIT, TimeoutSeconds=100_000)
    assert stage.elapsed == 600


def test_stopping_what_has_ended_changes_nothing(stage: Stage) -> None:
    execution = stage.run(WAIT)
    assert stage.call("StopExecution", executionArn=execution.arn) == {"stopDate": execution.stopped}
    assert execution.status == "SUCCEEDED"


def test_status_changes_are_published(stage: Stage) -> None:
    execution = stage.run(WAIT, {"work": "w"})
    kinds = {kind for kind, _detail in stage.bus.events}
    assert kinds == {"Step Functions Execution Status Change"}
    first, last = (detail for _kind, detail in stage.bus.events)
    assert (first["status"], last["status"]) == ("RUNNING", "SUCCEEDED")
    assert last["executionArn"] == execution.arn
    assert json.loads(last["input"]) == {"work": "w"}
    assert last["stopDate"] - last["startDate"] == 600_000
    assert first["stopDate"] is None


def test_versions_and_aliases_run_what_they_point_to(stage: Stage) -> None:
    arn = deployed(stage)
    version = stage.machines.publish_version(arn)
    alias = stage.machines.add_alias("live", version)
    started = start(stage, alias)
    described = stage.call("DescribeExecution", executionArn=started)
    assert started == "arn:aws:states:eu-west-1:111122223333:execution:machine:one"
    assert (described["stateMachineArn"], described["stateMachineAliasArn"]) == (arn, alias)
    assert described["stateMachineVersionArn"] == version
    assert len(stage.call("ListExecutions", stateMachineArn=alias)["executions"]) == 1
    start(stage, arn, "two")
    assert len(stage.call("ListExecutions", stateMachineArn=alias)["executions"]) == 1
    assert len(stage.call("ListExecutions", stateMachineArn=arn)["executions"]) == 2


def test_executions_are_listed_newest_first_in_pages(stage: Stage) -> None:
    arn = deployed(stage)
    for number in range(5):
        start(stage, arn, f"run-{number}")
    first = stage.call("ListExecutions", stateMachineArn=arn, maxResults=3, statusFilter="RUNNING")
    rest = stage.call("ListExecutions", stateMachineArn=arn, maxResults=3, nextToken=first["nextToken"])
    names = [item["name"] for item in first["executions"] + rest["executions"]]
    assert names == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    assert "nextToken" not in rest


def test_history_has_the_clocks_times(stage: Stage) -> None:
    execution = stage.run(WAIT)
    events = stage.call("GetExecutionHistory", executionArn=execution.arn, reverseOrder=True)["events"]
    assert events[0]["type"] == "ExecutionSucceeded"
    assert (events[0]["timestamp"] - execution.started).total_seconds() == 600


def test_responses_are_awss_shapes(stage: Stage) -> None:
    stage.gateway.validate_responses = True
    arn = deployed(stage)
    started = start(stage, arn)
    stage.kernel.scheduler.run()
    for name in ("DescribeExecution", "GetExecutionHistory", "StopExecution"):
        stage.call(name, executionArn=started)
    for name in ("ListExecutions", "DescribeStateMachine"):
        stage.call(name, stateMachineArn=arn)


def test_an_endless_execution_fails_at_the_historys_limit() -> None:
    with staged(options=MachineOptions(history=100)) as stage:
        states = {
            "A": {"Type": "Pass", "Next": "B"},
            "B": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "End"}], "Default": "A"},
            "End": SUCCEED,
        }
        execution = stage.run(states)
        assert execution.status == "FAILED"
        assert "maximum number of history events" in str(execution.cause)
        assert len(execution.history) == 100


def test_bogus_tokens_are_refused(stage: Stage) -> None:
    with pytest.raises(AwsError, match="InvalidToken"):
        stage.call("SendTaskSuccess", taskToken="bogus", output="{}")


def test_output_of_a_callback_must_be_json(stage: Stage) -> None:
    tokens: list[str] = []
    stage.python.functions["ask"] = lambda payload: tokens.append(payload["token"])
    stage.start({"Ask": callback("ask", TimeoutSeconds=50, Next="Done"), "Done": SUCCEED})
    refused: list[AwsError] = []

    def answer() -> None:
        with pytest.raises(AwsError, match="InvalidOutput") as info:
            stage.call("SendTaskSuccess", taskToken=tokens[0], output="{")
        refused.append(info.value)

    stage.later(5, answer)
    stage.kernel.scheduler.run()
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("states", "complaint"),
    [
        ({"A": {"Type": "Pass", "Next": "Nowhere"}}, "'Nowhere' is no state"),
        ({"A": {"Type": "Pass", "End": True}, "B": {"Type": "Pass", "End": True}}, "no state leads to 'B'"),
        ({"A": {"Type": "Pass"}}, "one of Next and End"),
        ({"A": callback("f", End=True) | {"Arguments": {"FunctionName": "f"}}}, "task token"),
        ({"A": {"Type": "Pass", "Output": "{% $x + %}", "End": True}}, "JSONata expression"),
        ({"A": {"Type": "Nonsense", "End": True}}, "state machine Machine"),
    ],
)
def test_definitions_that_aws_refuses(stage: Stage, states: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WorldError, match=complaint):
        deployed(stage, states)


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "End": True},
        {"Type": "Task", "Resource": "arn:aws:states:eu-west-1:111122223333:activity:a", "End": True},
        {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun", "End": True},
    ],
)
def test_what_is_not_modelled_fails_loudly(stage: Stage, state: dict[str, Any]) -> None:
    with pytest.raises(Unmodelled):
        deployed(stage, {"A": state})


def test_unmodelled_calls_of_a_machine_end_the_run(stage: Stage) -> None:
    state = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:listBuckets", "Next": "Done", **CATCH_ALL}
    with pytest.raises(Unmodelled, match="s3:ListBuckets"):
        stage.run({"A": state, "Done": SUCCEED})


def test_the_same_seed_gives_the_same_run() -> None:
    def timeline(seed: int) -> list[str]:
        with staged(seed) as stage:
            tokens: list[str] = []
            stage.python.functions["ask"] = lambda payload: tokens.append(payload["token"])
            retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30, "JitterStrategy": "FULL", "MaxAttempts": 3}]
            stage.run({"Ask": callback("ask", TimeoutSeconds=60, Retry=retry, End=True)})
            return [f"{entry.at} {entry.text}" for entry in stage.kernel.timeline] + tokens

    assert timeline(3) == timeline(3) != timeline(4)


def test_moto_is_given_back_as_it_was() -> None:
    from moto.stepfunctions.parser.asl.component.state.wait.wait_function import wait_function

    interpreter.install()
    assert wait_function.WaitFunction._wait_interval is interpreter._wait
    interpreter.uninstall()
    try:
        assert wait_function.WaitFunction._wait_interval is not interpreter._wait
        assert wait_function.time is sys.modules["time"]
    finally:
        interpreter.install()
