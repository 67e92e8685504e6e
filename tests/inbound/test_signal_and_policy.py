"""The signal function and the check of policy."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from caretaker.aws.errors import AwsFailure
from caretaker.inbound.handlers import check_policy, signal
from caretaker.inbound.signals import keys
from caretaker.runtime import policy_source, waits
from inbound_stage import H1, NOW, Stage, changed, records, sample

TASK = "arn:aws:ecs:us-east-1:123456789012:task/shop/aaaa94f19a540ed8d9f7e1d2a5d00001"
HOST = "arn:aws:ecs:us-east-1:123456789012:container-instance/shop/d1d84798400f49f3b21cb61610c1e"
SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"
NEW = "INSTANCE#i-0a1b2c3d4e5f60007"


@pytest.mark.parametrize(
    ("event", "fired"),
    [
        (sample("ecs-task-stopped"), [TASK]),
        (sample("ecs-task-running"), [TASK, HOST]),
        (changed(sample("ecs-task-running"), detail={"lastStatus": "PENDING"}), []),
        (sample("ecs-container-instance-active"), [NEW]),
        (changed(sample("ecs-container-instance-active"), detail={"agentConnected": False}), []),
        (changed(sample("ecs-container-instance-active"), detail={"status": "DRAINING"}), []),
        (changed(sample("ecs-container-instance-active"), detail={"status": "REGISTRATION_FAILED"}), [NEW]),
        (sample("ecs-container-instance-inactive"), [f"INSTANCE#{H1}"]),
        (sample("ecs-service-steady-state"), [SERVICE]),
        (sample("ecs-deployment-completed"), [SERVICE]),
        (sample("ecs-deployment-failed"), [SERVICE]),
        (changed(sample("ecs-service-steady-state"), detail={"eventName": "SERVICE_TASK_PLACEMENT_FAILURE"}), []),
        (sample("health-ec2-retirement"), []),
        ({**sample("ecs-task-stopped"), "detail": None}, []),
        ({}, []),
    ],
)
def test_which_keys_an_event_fires(event: dict[str, Any], fired: list[str]) -> None:
    assert keys(event) == fired


def deliver(*events: Any) -> list[str]:
    answer = signal.handler(records(*events), None)
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def test_the_execution_that_waits_is_woken(stage: Stage) -> None:
    stage.machine.tokens = {"t"}
    waits.register(stage.table, "w", "Wait for tasks", "t", {TASK, SERVICE}, NOW)
    assert deliver(sample("ecs-task-stopped"), sample("ecs-task-stopped")) == []
    assert stage.machine.woken == []
    assert deliver(sample("ecs-service-steady-state")) == []
    assert stage.machine.woken == ["t"]


def test_an_event_for_nobody_costs_one_query(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    real = type(stage.table.client)._make_api_call

    def counting(self: Any, name: str, params: Any) -> Any:
        called.append(name)
        return real(self, name, params)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", counting)
    stopped = sample("ecs-task-stopped")
    assert deliver(stopped, stopped, stopped, sample("health-ec2-retirement")) == []
    assert called == ["Query"]


def test_what_could_not_be_told_comes_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_token: str) -> None:
        raise AwsFailure("SendTaskFailure", "ThrottlingException", "words")

    waits.register(stage.table, "w", "Wait for tasks", "t", {TASK}, NOW)
    stage.machine.tokens = {"t"}
    with monkeypatch.context() as patch:
        patch.setattr("caretaker.aws.stepfunctions.wake", broken)
        assert deliver(sample("ecs-task-stopped"), sample("ecs-service-steady-state"), "{") == ["m1", "m3"]
    assert deliver(sample("ecs-task-stopped")) == []
    assert stage.machine.woken == ["t"]


NAME = "/caretaker/policy/clusters/shop"


def put(name: str, text: str) -> None:
    boto3.client("ssm").put_parameter(Name=name, Value=text, Type="String", Overwrite=True)


def check(kind: str = "update", name: str = NAME) -> str:
    event = changed(sample(f"ssm-parameter-store-{kind}"), detail={"name": name})
    return check_policy.handler(event, None)["verdict"]


def test_a_good_document_is_kept_as_the_last_good_one(stage: Stage) -> None:
    put(NAME, '{"hosts": {"mode": "act"}}')
    assert check("create") == "accepted"
    assert policy_source.last_good(stage.table, NAME) == '{"hosts": {"mode": "act"}}'


def test_a_bad_document_is_refused_and_the_last_good_one_stays(
    stage: Stage, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(NAME, '{"hosts": {"mode": "act"}}')
    check()
    put(NAME, '{"hosts": {"mode": "acts"}}')
    assert check() == "refused"
    assert "hosts.mode: 'acts'" in lines[-1]
    assert "the last good document stays in force" in lines[-1]
    assert policy_source.last_good(stage.table, NAME) == '{"hosts": {"mode": "act"}}'
    metric = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if "PolicyRefused" in line)
    assert metric["PolicyRefused"] == [1.0]
    assert metric["service"] == "caretaker"
    assert metric["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Caretaker"


def test_a_deleted_document_is_forgotten(stage: Stage) -> None:
    put(NAME, '{"hosts": {"mode": "act"}}')
    check()
    boto3.client("ssm").delete_parameter(Name=NAME)
    assert check("delete") == "gone"
    assert policy_source.last_good(stage.table, NAME) is None


def test_a_late_event_of_a_deletion_does_not_forget_what_stands_there_now(stage: Stage) -> None:
    put(NAME, '{"hosts": {"mode": "act"}}')
    assert check("delete") == "accepted"


def test_a_parameter_that_nobody_reads_is_said_to_be_so(stage: Stage, lines: list[str]) -> None:
    assert check(name="/caretaker/policy/cluster/shop") == "refused"
    assert "not read by anybody" in lines[-1]
