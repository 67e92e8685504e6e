"""How states run, wait, fail and are caught."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from machine_stage import SUCCEED, FunctionError, Stage, callback, staged, task

from twin.kernel.api import Api, Call, operation


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def failing(*kinds: str) -> Any:
    """A function that fails with these errors, one each time, and then answers."""
    left = list(kinds)

    def function(_payload: Any) -> Any:
        if left:
            raise FunctionError(left.pop(0), "told so")
        return {"fine": True}

    return function


def caught(*names: str) -> dict[str, Any]:
    return {"Catch": [{"ErrorEquals": list(names), "Next": "Caught", "Output": "{% $states.errorOutput %}"}]}


ENDS = {"Done": SUCCEED, "Caught": SUCCEED}


# --- time -------------------------------------------------------------------------------------------------------------
def test_wait_passes_simulated_time_only(stage: Stage) -> None:
    execution = stage.run({"Wait": {"Type": "Wait", "Seconds": 86_400, "Next": "Done"}, "Done": SUCCEED})
    assert execution.status == "SUCCEEDED"
    assert stage.elapsed == 86_400


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("2026-03-01T12:10:00Z", 600),
        ("2026-03-01T12:10:00.750Z", 600.75),
        ("2026-03-01T13:10:00+01:00", 600),
        ("2026-03-01T11:00:00Z", 0),
    ],
)
def test_wait_until_a_moment_never_ends_early(stage: Stage, timestamp: str, seconds: float) -> None:
    states = {
        "Wait": {"Type": "Wait", "Timestamp": "{% $states.input.until %}", "Next": "Done"},
        "Done": SUCCEED,
    }
    execution = stage.run(states, {"until": timestamp})
    assert execution.status == "SUCCEEDED"
    assert stage.elapsed == pytest.approx(seconds)


def test_wait_until_what_is_no_moment_fails(stage: Stage) -> None:
    execution = stage.run({"Wait": {"Type": "Wait", "Timestamp": "{% 'tomorrow' %}", "Next": "Done"}, "Done": SUCCEED})
    assert (execution.status, execution.error) == ("FAILED", "States.Runtime")


def test_entered_time_is_the_clocks_in_awss_form(stage: Stage) -> None:
    states = {
        "Wait": {"Type": "Wait", "Seconds": 90, "Next": "Look"},
        "Look": {
            "Type": "Pass",
            "Output": {
                "entered": "{% $states.context.State.EnteredTime %}",
                "started": "{% $states.context.Execution.StartTime %}",
                "now": "{% $now() %}",
            },
            "End": True,
        },
    }
    assert stage.run(states).output == {
        "entered": "2026-03-01T12:01:30.000Z",
        "started": "2026-03-01T12:00:00.000Z",
        "now": "2026-03-01T12:01:30.000Z",
    }


# --- errors -----------------------------------------------------------------------------------------------------------
def test_a_functions_error_type_is_the_errors_name_and_its_answer_the_cause(stage: Stage) -> None:
    stage.python.functions["f"] = failing("SlotBusy")
    execution = stage.run({"Try": task("f", Next="Done", **caught("SlotBusy")), **ENDS})
    assert execution.output["Error"] == "SlotBusy"
    assert json.loads(execution.output["Cause"]) == {"errorType": "SlotBusy", "errorMessage": "told so"}


@pytest.mark.parametrize(
    ("raised", "listed", "is_caught"),
    [
        ("Anything", "States.ALL", True),
        ("Anything", "States.TaskFailed", True),
        ("Anything", "Something", False),
        ("States.Timeout", "States.TaskFailed", False),
        ("States.Timeout", "States.ALL", True),
    ],
)
def test_what_a_catch_matches(stage: Stage, raised: str, listed: str, is_caught: bool) -> None:
    def function(_payload: Any) -> Any:
        if raised == "States.Timeout":
            stage.kernel.scheduler.sleep(100)
        raise FunctionError(raised)

    stage.python.functions["f"] = function
    state = task("f", Next="Caught", TimeoutSeconds=5, **caught(listed))
    execution = stage.run({"Try": state, "Caught": SUCCEED})
    assert execution.status == ("SUCCEEDED" if is_caught else "FAILED")
    found = execution.output["Error"] if is_caught else execution.error
    assert found == raised


@pytest.mark.parametrize("listed", ["States.ALL", "States.TaskFailed"])
def test_too_much_data_is_not_caught_by_wildcards(stage: Stage, listed: str) -> None:
    stage.python.functions["f"] = lambda _payload: "x" * (256 * 1024)
    execution = stage.run({"Try": task("f", Next="Done", **caught(listed)), **ENDS})
    assert (execution.status, execution.error) == ("FAILED", "States.DataLimitExceeded")


@pytest.mark.parametrize(("size", "status"), [(256 * 1024 - 2, "SUCCEEDED"), (256 * 1024 - 1, "FAILED")])
def test_state_data_is_limited_to_256_kib(stage: Stage, size: int, status: str) -> None:
    states = {"Big": {"Type": "Pass", "Output": f"{{% $pad('', {size}, 'x') %}}", "End": True}}
    execution = stage.run(states)
    assert execution.status == status


def test_arguments_larger_than_256_kib_fail_before_the_call(stage: Stage) -> None:
    stage.python.functions["f"] = lambda _payload: None
    arguments = {"FunctionName": "f", "Payload": "{% $pad('', 262144, 'x') %}"}
    execution = stage.run({"Try": {**task("f", Next="Done", **caught("States.ALL")), "Arguments": arguments}, **ENDS})
    assert execution.error == "States.DataLimitExceeded"
    assert stage.python.invoked == []


def test_runtime_errors_fail_the_execution_past_every_catch(stage: Stage) -> None:
    stage.python.functions["f"] = failing()
    arguments = {"FunctionName": "f", "Payload": {}, "Qualifier": 7}
    state = {**task("f", Next="Done", **caught("States.Runtime"))}
    state["Arguments"] = {"Payload": arguments}  # no FunctionName: the SDK refuses the request
    execution = stage.run({"Try": {**state, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]}, **ENDS})
    assert (execution.status, execution.error) == ("FAILED", "States.Runtime")


def test_a_failed_query_is_caught_by_name(stage: Stage) -> None:
    stage.python.functions["f"] = failing()
    state = task("f", Next="Done", **caught("States.QueryEvaluationError"))
    state["Arguments"] = {"FunctionName": "f", "Payload": "{% $states.input.nothing %}"}
    execution = stage.run({"Try": state, **ENDS})
    assert execution.output["Error"] == "States.QueryEvaluationError"
    assert "returned nothing" in execution.output["Cause"]


def test_a_failed_state_gives_error_and_cause(stage: Stage) -> None:
    execution = stage.run(
        {"No": {"Type": "Fail", "Error": "Undone", "Cause": "{% 'since ' & $states.input.why %}"}}, {"why": "x"}
    )
    assert (execution.status, execution.error, execution.cause) == ("FAILED", "Undone", "since x")


def test_no_choice_matched(stage: Stage) -> None:
    states = {"Choose": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "Done"}]}, "Done": SUCCEED}
    assert stage.run(states).error == "States.NoChoiceMatched"


# --- retries ----------------------------------------------------------------------------------------------------------
def test_retries_back_off_in_simulated_time_and_are_billed(stage: Stage) -> None:
    stage.gateway.latency = 0
    stage.python.functions["f"] = failing("Busy", "Busy", "Busy")
    retry = [
        {"ErrorEquals": ["Busy"], "IntervalSeconds": 10, "BackoffRate": 3, "MaxDelaySeconds": 50, "MaxAttempts": 3}
    ]
    execution = stage.run({"Try": task("f", Next="Done", Retry=retry), "Done": SUCCEED})
    assert execution.status == "SUCCEEDED"
    assert stage.elapsed == 10 + 30 + 50
    assert execution.transitions == 1 + 3 + 1


def test_retries_that_are_exhausted_leave_the_error_to_the_catch(stage: Stage) -> None:
    stage.python.functions["f"] = failing("Busy", "Busy", "Busy")
    retry = [{"ErrorEquals": ["Busy"], "MaxAttempts": 2}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 5}]
    execution = stage.run({"Try": task("f", Next="Done", Retry=retry, **caught("Busy")), **ENDS})
    assert execution.output["Error"] == "Busy"
    assert len(stage.python.invoked) == 3


def test_jitter_comes_from_the_seed() -> None:
    def elapsed(seed: int) -> float:
        with staged(seed) as stage:
            stage.python.functions["f"] = failing("Busy", "Busy")
            retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 100, "JitterStrategy": "FULL"}]
            stage.run({"Try": task("f", Next="Done", Retry=retry), "Done": SUCCEED})
            return stage.elapsed

    assert elapsed(1) == elapsed(1) != elapsed(2)


# --- task time-outs and callbacks -------------------------------------------------------------------------------------
@pytest.fixture
def tokens(stage: Stage) -> list[str]:
    found: list[str] = []
    stage.python.functions["ask"] = lambda payload: found.append(payload["token"])
    return found


def test_a_task_token_is_answered_from_outside(stage: Stage, tokens: list[str]) -> None:
    execution = stage.start({"Ask": callback("ask", TimeoutSeconds=600, Next="Done"), "Done": SUCCEED})
    stage.later(30, lambda: stage.call("SendTaskSuccess", taskToken=tokens[0], output='{"ready": true}'))
    stage.kernel.scheduler.run()
    assert execution.output == {"ready": True}
    assert stage.elapsed == 30


def test_a_failed_task_token_gives_its_error(stage: Stage, tokens: list[str]) -> None:
    execution = stage.start({"Ask": callback("ask", TimeoutSeconds=600, Next="Done", **caught("Lost")), **ENDS})
    stage.later(30, lambda: stage.call("SendTaskFailure", taskToken=tokens[0], error="Lost", cause="agent"))
    stage.kernel.scheduler.run()
    assert execution.output == {"Error": "Lost", "Cause": "agent"}


def test_a_wait_that_times_out_is_entered_again_with_another_token(stage: Stage, tokens: list[str]) -> None:
    again = {"Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Ask"}]}
    execution = stage.start({"Ask": callback("ask", TimeoutSeconds=120, Next="Done", **again), "Done": SUCCEED})
    stage.later(300, lambda: stage.call("SendTaskSuccess", taskToken=tokens[-1], output="1"))
    stage.kernel.scheduler.run()
    assert execution.output == 1
    assert execution.transitions == 4
    assert len(set(tokens)) == len(tokens) == 3


def test_each_attempt_has_its_own_token_and_the_old_one_is_dead(stage: Stage, tokens: list[str]) -> None:
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1}]
    execution = stage.start({"Ask": callback("ask", TimeoutSeconds=60, Next="Done", Retry=retry), "Done": SUCCEED})
    refused: list[str] = []

    def answer() -> None:
        for token in tokens:
            try:
                stage.call("SendTaskSuccess", taskToken=token, output="1")
            except Exception as error:  # noqa: BLE001 - whatever AWS answers is what is looked at
                refused.append(str(error))

    stage.later(90, answer)
    stage.kernel.scheduler.run()
    assert execution.status == "SUCCEEDED"
    assert refused == ["TaskTimedOut: Task Timed Out: 'Provided task does not exist anymore'"]


def test_a_function_may_answer_its_own_token_while_it_runs(stage: Stage) -> None:
    def function(payload: Any) -> None:
        stage.call("SendTaskSuccess", taskToken=payload["token"], output='"early"')
        stage.kernel.scheduler.sleep(40)

    stage.python.functions["ask"] = function
    execution = stage.run(
        {"Ask": callback("ask", TimeoutSeconds=600, HeartbeatSeconds=20, Next="Done"), "Done": SUCCEED}
    )
    assert execution.output == "early"
    assert execution.stopped is not None
    assert (execution.stopped - execution.started).total_seconds() < 1


def test_heartbeats_keep_a_task_alive_and_their_absence_ends_it(stage: Stage, tokens: list[str]) -> None:
    state = callback("ask", TimeoutSeconds=900, HeartbeatSeconds=60, Next="Done", **caught("States.HeartbeatTimeout"))
    execution = stage.start({"Ask": state, **ENDS})
    for seconds in (50, 100, 150):
        stage.later(seconds, lambda: stage.call("SendTaskHeartbeat", taskToken=tokens[0]))
    stage.kernel.scheduler.run()
    assert execution.output["Error"] == "States.Timeout"
    assert stage.elapsed == pytest.approx(210)


def test_a_time_out_may_be_computed(stage: Stage, tokens: list[str]) -> None:
    state = callback("ask", TimeoutSeconds="{% $states.input.limit * 2 %}", Next="Done", **caught("States.Timeout"))
    execution = stage.run({"Ask": state, **ENDS}, {"limit": 45})
    assert execution.output["Error"] == "States.Timeout"
    assert stage.elapsed == pytest.approx(90)


@pytest.mark.parametrize("limit", [0, -5, 1.5])
def test_a_computed_time_out_must_be_a_number_of_seconds(stage: Stage, tokens: list[str], limit: float) -> None:
    state = callback("ask", TimeoutSeconds="{% $states.input.limit %}", Next="Done")
    assert stage.run({"Ask": state, "Done": SUCCEED}, {"limit": limit}).error == "States.QueryEvaluationError"


def test_what_timed_out_no_longer_counts(stage: Stage) -> None:
    def slow(_payload: Any) -> int:
        stage.kernel.scheduler.sleep(50)
        return 1

    stage.python.functions["f"] = slow
    execution = stage.run({"Try": task("f", TimeoutSeconds=10, Next="Done", **caught("States.Timeout")), **ENDS})
    assert execution.status == "SUCCEEDED"
    assert "TaskSucceeded" not in stage.events_of(execution)


# --- parallel and map -------------------------------------------------------------------------------------------------
def test_branches_run_at_the_same_time_and_one_failure_ends_the_others(stage: Stage, tokens: list[str]) -> None:
    stage.python.functions["f"] = failing("Broken")
    wait = {"StartAt": "Ask", "States": {"Ask": callback("ask", End=True)}}
    fail = {
        "StartAt": "Pause",
        "States": {"Pause": {"Type": "Wait", "Seconds": 30, "Next": "Try"}, "Try": task("f", End=True)},
    }
    both = {"Type": "Parallel", "Branches": [wait, fail], "Next": "Done", **caught("Broken")}
    execution = stage.run({"Both": both, **ENDS})
    assert execution.output["Error"] == "Broken"
    assert stage.elapsed == pytest.approx(30, abs=1)
    with pytest.raises(Exception, match="TaskTimedOut"):
        stage.call("SendTaskSuccess", taskToken=tokens[0], output="1")


def test_a_time_out_in_a_branch_keeps_its_name(stage: Stage, tokens: list[str]) -> None:
    branch = {"StartAt": "Ask", "States": {"Ask": callback("ask", TimeoutSeconds=20, End=True)}}
    both = {"Type": "Parallel", "Branches": [branch], "Next": "Done", **caught("States.Timeout")}
    assert stage.run({"Both": both, **ENDS}).output["Error"] == "States.Timeout"


def test_a_map_keeps_the_order_of_its_items(stage: Stage) -> None:
    def function(payload: Any) -> Any:
        stage.kernel.scheduler.sleep(10 - payload)
        return payload * 2

    stage.python.functions["f"] = function
    each = {"StartAt": "Each", "States": {"Each": task("f", End=True)}}
    state = {"Type": "Map", "Items": "{% $states.input %}", "ItemProcessor": each, "End": True, "MaxConcurrency": 2}
    assert stage.run({"Map": state}, [1, 2, 3]).output == [2, 4, 6]


# --- data -------------------------------------------------------------------------------------------------------------
def test_variables_with_quotes_and_nulls_survive(stage: Stage) -> None:
    text = 'a "quoted" \\ line\nand $dollar'
    states = {
        "Keep": {"Type": "Pass", "Assign": {"text": "{% $states.input.text %}", "none": "{% null %}"}, "Next": "Give"},
        "Give": {"Type": "Pass", "Output": {"text": "{% $text %}", "none": "{% $none %}"}, "End": True},
    }
    assert stage.run(states, {"text": text}).output == {"text": text, "none": None}


def test_a_null_result_is_a_value(stage: Stage) -> None:
    stage.python.functions["f"] = lambda _payload: None
    execution = stage.run({"Try": task("f", End=True)})
    assert (execution.status, execution.output) == ("SUCCEEDED", None)


# --- integrations -----------------------------------------------------------------------------------------------------
class Ecs(Api):
    def __init__(self) -> None:
        super().__init__()
        self.service = "ecs"
        self.asked: dict[str, Any] = {}

    @operation("DescribeContainerInstances", ["cluster", "containerInstances", "include"])
    def describe(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self.asked = params
        if params["cluster"] == "none":
            from twin.errors import AwsError

            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        at = datetime.fromisoformat("2026-02-01T00:00:00+00:00")
        one = {"containerInstanceArn": "arn:c", "agentConnected": True, "registeredAt": at, "runningTasksCount": 2}
        return {"containerInstances": [one], "failures": []}


def describe(cluster: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ecs:describeContainerInstances",
        "Arguments": {"Cluster": cluster, "ContainerInstances": ["arn:c"]},
    }


def test_sdk_integrations_speak_pascal_case(stage: Stage) -> None:
    ecs = Ecs()
    stage.gateway.register(ecs)
    execution = stage.run({"Look": {**describe("web"), "End": True}})
    assert ecs.asked == {"cluster": "web", "containerInstances": ["arn:c"]}
    [host] = execution.output["ContainerInstances"]
    assert host == {
        "ContainerInstanceArn": "arn:c",
        "AgentConnected": True,
        "RegisteredAt": "2026-02-01T00:00:00.000Z",
        "RunningTasksCount": 2,
    }


def test_sdk_errors_carry_the_services_name(stage: Stage) -> None:
    stage.gateway.register(Ecs())
    execution = stage.run({"Look": {**describe("none"), "Next": "Done", **caught("States.TaskFailed")}, **ENDS})
    assert execution.output["Error"] == "Ecs.ClusterNotFoundException"
    assert execution.output["Cause"].startswith("Cluster not found. (Service: Ecs, Status Code: 400")


def test_put_events_names_machine_and_execution_as_resources(stage: Stage) -> None:
    entry = {"Source": "caretaker", "DetailType": "Done", "Detail": {"a": "{% $states.input.a %}"}}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Arguments": {"Entries": [entry]},
        "End": True,
    }
    execution = stage.run({"Publish": state}, {"a": 1})
    [sent] = stage.events.entries
    assert json.loads(sent["Detail"]) == {"a": 1}
    assert sent["Resources"] == [execution.machine_arn, execution.arn]
    assert execution.output == {"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]}


def test_calls_are_made_in_the_machines_name(stage: Stage) -> None:
    stage.python.functions["f"] = failing()
    execution = stage.run({"Try": task("f", End=True)})
    call = next(call for call in stage.kernel.calls if call.service == "lambda")
    assert (call.caller.kind, call.caller.name, call.caller.execution) == ("machine", "Machine1", execution.arn)


def test_thirty_transitions_take_a_fraction_of_a_second(stage: Stage) -> None:
    stage.python.functions["f"] = lambda payload: payload
    states: dict[str, Any] = {}
    for number in range(15):
        states[f"Do {number}"] = task("f", Next=f"If {number}", TimeoutSeconds=60)
        choice = {"Condition": "{% $states.input.stop %}", "Next": "Done"}
        states[f"If {number}"] = {"Type": "Choice", "Choices": [choice], "Default": f"Do {number + 1}"}
    states["Do 15"] = {"Type": "Pass", "Next": "Done"}
    execution = stage.start({**states, "Done": SUCCEED}, {"stop": False})
    before = time.process_time()
    stage.kernel.scheduler.run()
    assert execution.transitions == 32
    assert time.process_time() - before < 0.3
