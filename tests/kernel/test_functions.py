"""Functions in one process, but apart; on simulated time; failing as Lambda lets them fail."""

from __future__ import annotations

import json
import logging
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from machine_stage import OPERATOR, START, PutEvents

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel import virtual
from twin.kernel.api import Caller
from twin.kernel.functions import Functions, FunctionSpec, InvokeResult
from twin.kernel.gateway import Death, Gateway
from twin.kernel.kernel import Kernel

CODE = {
    "__init__.py": "",
    "count.py": "calls = 0\n",
    "logs.py": """
        from aws_lambda_powertools import Logger, Metrics
        logger = Logger()
        metrics = Metrics()
        """,
    "counts.py": """
        from app import count
        def handler(event, context):
            count.calls += 1
            return count.calls
        """,
    "sees.py": """
        import datetime, os, random, time, uuid
        from datetime import UTC
        def handler(event, context):
            before = time.time()
            time.sleep(event.get("sleep", 0))
            return {
                "slept": time.time() - before, "now": datetime.datetime.now(UTC).isoformat(),
                "naive": datetime.datetime.now().timestamp() - time.time(), "environment": dict(os.environ),
                "chance": [str(uuid.uuid4()), random.random()], "left": context.get_remaining_time_in_millis(),
                "request": context.aws_request_id, "arn": context.invoked_function_arn,
                "is_time": isinstance(datetime.datetime(2026, 1, 1), datetime.datetime),
            }
        """,
    "calls.py": """
        import boto3
        from app.logs import logger, metrics
        def put():
            client = boto3.client("events")
            client.put_events(Entries=[{"Source": "app", "DetailType": "d", "Detail": "{}"}])
        @logger.inject_lambda_context
        @metrics.log_metrics(capture_cold_start_metric=True)
        def handler(event, context):
            logger.append_keys(work=event.get("work"))
            logger.info("at work")
            metrics.add_metric("Put", "Count", 1)
            try:
                for _ in range(event.get("times", 1)):
                    put()
            finally:
                if event.get("tidy"):
                    put()
            return boto3.client("events").meta.region_name
        """,
    "fails.py": """
        class Odd(Exception): pass
        def handler(event, context):
            if event == "odd": raise Odd("so odd")
            if event == "exit": raise SystemExit(3)
            if event == "set": return {1, 2}
            if event == "big": return "x" * (6 * 1024 * 1024 + 200)
        """,
    "broken.py": "import nowhere_to_be_found\n",
    "empty.py": "",
}


class Lab:
    def __init__(self, root: Path, seed: int = 1) -> None:
        self.kernel = Kernel(START, seed=seed, region="eu-west-1", account="111122223333")
        self.gateway = Gateway(self.kernel)
        self.gateway.authorizer = lambda *_arguments: None
        self.functions = Functions(self.kernel, self.gateway, root)
        self.events = PutEvents()
        self.gateway.register(self.events)
        for module in CODE:
            self.add(Path(module).stem)
        self.kernel.settled = True

    def add(self, name: str, module: str | None = None, **fields: Any) -> None:
        environment = {"POWERTOOLS_SERVICE_NAME": "app", "POWERTOOLS_METRICS_NAMESPACE": "App", "OWN": name}
        arn = self.kernel.arn("lambda", f"function:{name}")
        role = f"arn:aws:iam::111122223333:role/{name}"
        handler = f"app.{module or name}.handler"
        self.functions.add(FunctionSpec(name.title(), name, arn, handler, environment, role, **fields))

    def invoke_all(self, *calls: tuple[str, Any]) -> list[InvokeResult]:
        """Invoke at the same time, and run the world."""
        results: dict[int, InvokeResult] = {}

        def one(number: int, name: str, payload: Any) -> None:
            results[number] = self.functions.invoke(name, payload, OPERATOR)

        for number, (name, payload) in enumerate(calls):
            self.kernel.scheduler.spawn(lambda n=number, f=name, p=payload: one(n, f, p), name="test")
        self.kernel.scheduler.run()
        return [results[number] for number in range(len(calls))]

    def invoke(self, name: str, payload: Any = None) -> InvokeResult:
        return self.invoke_all((name, {} if payload is None else payload))[0]

    def error(self, name: str, payload: Any = None) -> Mapping[str, Any]:
        error = self.invoke(name, payload).error
        assert error is not None
        return error


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    (folder / "app").mkdir()
    for name, text in CODE.items():
        (folder / "app" / name).write_text(textwrap.dedent(text))
    return folder


@pytest.fixture
def lab(root: Path) -> Iterator[Lab]:
    made = Lab(root)
    with made.gateway.intercepted():
        yield made


# --- apart ------------------------------------------------------------------------------------------------------------
def test_module_state_lives_as_long_as_the_environment(lab: Lab) -> None:
    lab.add("other", "counts")
    assert [lab.invoke(name).payload for name in ("counts", "counts", "other", "counts")] == [1, 2, 1, 3]


def test_invocations_at_the_same_time_have_environments_of_their_own(lab: Lab) -> None:
    lab.add("slow", "sees", timeout=60)
    results = lab.invoke_all(("slow", {"sleep": 10}), ("slow", {"sleep": 10}))
    streams = {result.payload["environment"]["AWS_LAMBDA_LOG_STREAM_NAME"] for result in results}
    assert len(streams) == 2
    assert lab.kernel.clock.elapsed == pytest.approx(10.4)


def test_idle_environments_end_after_a_while(lab: Lab) -> None:
    assert lab.invoke("counts").payload == 1
    lab.kernel.scheduler.call_later(3600, lambda: None, name="pause")
    lab.kernel.scheduler.run()
    assert lab.invoke("counts").payload == 1
    assert [run.cold for run in lab.functions.invocations] == [True, True]


def test_a_function_sees_lambdas_environment_and_nothing_of_this_machine(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_HERE", "1")
    seen = lab.invoke("sees").payload["environment"]
    assert "ONLY_HERE" not in seen
    assert "HOME" not in seen
    assert seen["OWN"] == "sees"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "sees"
    assert seen["AWS_REGION"] == "eu-west-1"


def test_nothing_of_a_function_stays_behind(lab: Lab) -> None:
    before = (os.environ, sys.stdout, logging.root, boto3.DEFAULT_SESSION, logging.Logger.manager, list(sys.meta_path))
    lab.invoke_all(("calls", {}), ("sees", {"sleep": 2}), ("fails", "exit"))
    after = (os.environ, sys.stdout, logging.root, boto3.DEFAULT_SESSION, logging.Logger.manager, list(sys.meta_path))
    assert before == after
    assert not [name for name in sys.modules if name == "app" or name.startswith("app.")]
    assert virtual.present() is None
    assert time.time() > START.timestamp()


def test_calls_carry_the_functions_name_and_role(lab: Lab) -> None:
    assert lab.invoke("calls").payload == "eu-west-1"
    [call] = [call for call in lab.kernel.calls if call.service == "events"]
    assert call.caller == Caller("function", "Calls", "arn:aws:iam::111122223333:role/calls")


def test_the_worlds_own_output_is_not_the_functions(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    def listener(entry: Any) -> None:
        print(f"note {entry.kind}")

    lab.kernel.listeners.append(listener)
    lab.gateway.completed.append(lambda *_call: print("called"))
    lab.invoke("calls")
    printed = capsys.readouterr().out.splitlines()
    assert "called" in printed
    assert "called" not in [line.text for line in lab.functions.logs]


# --- time and chance --------------------------------------------------------------------------------------------------
def test_time_is_simulated(lab: Lab) -> None:
    lab.add("slow", "sees", timeout=300)
    seen = lab.invoke("slow", {"sleep": 120}).payload
    assert seen["slept"] == pytest.approx(120)
    assert seen["now"] == "2026-03-01T12:02:00.400000+00:00"
    assert seen["naive"] == pytest.approx(0, abs=1e-5)
    assert seen["left"] == 180_000
    assert seen["is_time"]


def test_chance_comes_from_the_seed(root: Path) -> None:
    def drawn(seed: int) -> Any:
        lab = Lab(root, seed)
        with lab.gateway.intercepted():
            seen = lab.invoke("sees").payload
            return seen["chance"], seen["request"], seen["environment"]["AWS_LAMBDA_LOG_STREAM_NAME"]

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_cold_start_costs_time_and_is_billed(lab: Lab) -> None:
    lab.invoke("calls")
    lab.invoke("calls")
    cold, warm = lab.functions.invocations
    assert (cold.cold, cold.init, cold.billed_ms) == (True, 0.4, 420)
    assert (warm.cold, warm.init, warm.billed_ms) == (False, 0.0, 20)


def test_logs_and_metrics_bear_the_worlds_time(lab: Lab) -> None:
    lab.invoke("calls", {"work": "w-1"})
    [line] = [json.loads(line.text) for line in lab.functions.logs if "at work" in line.text]
    assert line["timestamp"].startswith("2026-03-01 12:00:00,400")
    assert line["work"] == "w-1"
    found = {(metric.namespace, metric.name): metric for metric in lab.functions.metrics}
    assert set(found) == {("App", "Put"), ("App", "ColdStart")}
    assert found["App", "Put"].value == 1
    assert found["App", "Put"].at == lab.functions.logs[0].at.replace(microsecond=420_000)


def test_keys_of_a_log_do_not_reach_other_functions(lab: Lab) -> None:
    lab.add("other", "calls")
    lab.invoke("calls", {"work": "w-1"})
    lab.invoke("other")
    [line] = [
        json.loads(line.text) for line in lab.functions.logs if line.function == "Other" and "at work" in line.text
    ]
    assert "w-1" not in str(line)
    assert line["cold_start"] is True


# --- errors -----------------------------------------------------------------------------------------------------------
def test_an_exception_is_answered_as_lambda_does(lab: Lab) -> None:
    error = lab.error("fails", "odd")
    assert (error["errorType"], error["errorMessage"]) == ("Odd", "so odd")
    assert 'File "/var/task/app/fails.py"' in error["stackTrace"][0]
    assert [run.error for run in lab.functions.invocations] == ["Odd"]


@pytest.mark.parametrize(
    ("name", "payload", "kind"),
    [
        ("broken", None, "Runtime.ImportModuleError"),
        ("empty", None, "Runtime.HandlerNotFound"),
        ("fails", "exit", "Runtime.ExitError"),
        ("fails", "set", "Runtime.MarshalError"),
        ("fails", "big", "Function.ResponseSizeTooLarge"),
    ],
)
def test_errors_of_the_runtime(lab: Lab, name: str, payload: Any, kind: str) -> None:
    assert lab.error(name, payload)["errorType"] == kind


def test_a_time_out_ends_the_function_in_simulated_time(lab: Lab) -> None:
    lab.add("slow", "sees", timeout=30)
    error = lab.error("slow", {"sleep": 1000})
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Task timed out after 30.00 seconds")
    assert lab.kernel.clock.elapsed == pytest.approx(30.4)
    lab.invoke("slow")
    assert [run.cold for run in lab.functions.invocations] == [True, True]


@pytest.mark.parametrize(("when", "calls"), [("before", 1), ("after", 2)])
def test_a_function_that_dies_does_nothing_more(lab: Lab, when: Any, calls: int) -> None:
    lab.gateway.deaths.append(Death("Calls", "events", "PutEvents", when, nth=2))
    error = lab.error("calls", {"times": 5, "tidy": True})
    assert error["errorType"] == "Runtime.ExitError"
    assert len(lab.events.entries) == calls
    assert lab.functions.metrics == []
    assert lab.invoke("calls").error is None
    assert [run.cold for run in lab.functions.invocations] == [True, True]


def test_what_is_not_modelled_ends_the_run(lab: Lab) -> None:
    lab.gateway._apis.pop("events")
    with pytest.raises(Unmodelled, match="events:PutEvents"):
        lab.invoke("calls")
    assert virtual.present() is None


# --- API --------------------------------------------------------------------------------------------------------------
def call(lab: Lab, **params: Any) -> dict[str, Any]:
    answers: list[dict[str, Any]] = []
    lab.kernel.scheduler.spawn(
        lambda: answers.append(lab.gateway.call("lambda", "Invoke", params, OPERATOR)), name="test"
    )
    lab.kernel.scheduler.run()
    return answers[0]


def test_versions_and_aliases(lab: Lab) -> None:
    version = lab.functions.publish_version(lab.kernel.arn("lambda", "function:sees"))
    alias = lab.functions.add_alias("live", version)
    assert version.endswith(":function:sees:1")
    for params in (
        {"FunctionName": alias},
        {"FunctionName": "sees:live"},
        {"FunctionName": "sees", "Qualifier": "live"},
    ):
        answer = call(lab, **params, Payload=b"{}")
        assert answer["ExecutedVersion"] == "1"
        seen = json.loads(answer["Payload"])
        assert seen["environment"]["AWS_LAMBDA_FUNCTION_VERSION"] == "1"
        assert seen["arn"].endswith("sees:live")
    with pytest.raises(WorldError, match="is not a version"):
        lab.functions.add_alias("next", lab.kernel.arn("lambda", "function:sees"))


@pytest.mark.parametrize("name", ["nothing", "sees:nothing", "arn:aws:lambda:eu-west-1:111122223333:function:sees:7"])
def test_unknown_functions(lab: Lab, name: str) -> None:
    with pytest.raises(AwsError, match="ResourceNotFoundException: Function not found: arn:aws:lambda"):
        call(lab, FunctionName=name, Payload=b"{}")


def test_requests_that_lambda_refuses(lab: Lab) -> None:
    with pytest.raises(AwsError, match="RequestTooLarge"):
        call(lab, FunctionName="counts", Payload=json.dumps("x" * (6 * 1024 * 1024)).encode())
    with pytest.raises(AwsError, match="InvalidRequestContent"):
        call(lab, FunctionName="counts", Payload=b"{")


def test_an_event_is_tried_three_times_and_then_given_up(lab: Lab) -> None:
    given_up: list[Any] = []
    lab.functions.configure("fails", dead_letter=lambda event, error: given_up.append((event, error["errorType"])))
    assert call(lab, FunctionName="fails", InvocationType="Event", Payload=b'"odd"')["StatusCode"] == 202
    starts = [(run.at - START).total_seconds() for run in lab.functions.invocations]
    assert starts == pytest.approx([0, 60.4, 180.4])
    assert len({run.request_id for run in lab.functions.invocations}) == 1
    assert given_up == [("odd", "Odd")]


def test_an_error_of_a_function_is_no_error_of_the_api(lab: Lab) -> None:
    answer = call(lab, FunctionName="fails", Payload=b'"odd"')
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(answer["Payload"])["errorType"] == "Odd"


def test_finished_runs_are_told(lab: Lab) -> None:
    told: list[tuple[str, str | None]] = []
    lab.functions.finished.append(lambda run: told.append((run.function, run.error)))
    lab.invoke("counts")
    lab.invoke("fails", "odd")
    assert told == [("Counts", None), ("Fails", "Odd")]
