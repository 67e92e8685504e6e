"""`caretaker gate`: the whole configuration is sent back, with nothing but the hook changed."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from caretaker.releases.record import Records, Release, release_id
from caretaker.runtime.journal import Trigger
from caretaker.runtime.table import Table

from cli.gate import STAGES, Gate, installed, is_ours, removed, same
from cli.main import run
from twin.errors import WorldError
from twin.kernel.api import WORLD, Caller
from twin.kernel.gateway import ApiFault
from twin.rehearsal.spec import WorldSpec
from twin.world import World

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
OPERATOR = Caller("operator", "olga")
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:gate:live"
GATE = Gate(FUNCTION, "arn:aws:iam::123456789012:role/hook")
OTHER = {
    "targetType": "AWS_LAMBDA",
    "hookTargetArn": FUNCTION.replace(":gate:", ":smoke:"),
    "roleArn": "arn:aws:iam::123456789012:role/other",
    "lifecycleStages": ["POST_SCALE_UP"],
    "hookDetails": {"bucket": "b"},
}
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}
WHOLE = {
    "strategy": "CANARY",
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "bakeTimeInMinutes": 7,
    "canaryConfiguration": {"canaryPercent": 2.5, "canaryBakeTimeInMinutes": 11},
    "alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True},
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    "lifecycleHooks": [OTHER, PAUSE],
}


# --- plain -----------------------------------------------------------------------------------------------------------
def test_the_gate_comes_to_the_other_hooks_and_goes_again() -> None:
    before = deepcopy(WHOLE)
    after = installed(WHOLE, GATE)
    assert before == WHOLE
    assert {name: value for name, value in after.items() if name != "lifecycleHooks"} == {
        name: value for name, value in WHOLE.items() if name != "lifecycleHooks"
    }
    assert after["lifecycleHooks"][:2] == [OTHER, PAUSE]
    assert after["lifecycleHooks"][2]["lifecycleStages"] == list(STAGES)
    assert same(removed(after, FUNCTION), WHOLE)


def test_a_gate_that_stands_is_not_doubled_and_keeps_what_its_owner_set() -> None:
    once = installed(WHOLE, GATE)
    assert same(installed(once, GATE), once)
    own = {"timeoutConfiguration": {"timeoutInMinutes": 90, "action": "ROLLBACK"}, "hookDetails": {"team": "web"}}
    version = {**once["lifecycleHooks"][2], **own, "hookTargetArn": FUNCTION.replace(":live", ":3")}
    by_hand = {**version, "lifecycleStages": ["PRODUCTION_TRAFFIC_SHIFT"]}
    again = installed({**WHOLE, "lifecycleHooks": [by_hand, OTHER, version]}, GATE)
    ours = [hook for hook in again["lifecycleHooks"] if is_ours(hook, FUNCTION)]
    assert ours == [{**once["lifecycleHooks"][2], **own}]
    assert again["lifecycleHooks"][0] == OTHER


def test_the_order_of_hooks_and_stages_and_a_default_do_not_matter() -> None:
    once = installed(WHOLE, GATE)
    turned = deepcopy(once)
    turned["lifecycleHooks"].reverse()
    turned["lifecycleHooks"][0]["lifecycleStages"].reverse()
    del turned["lifecycleHooks"][0]["targetType"]
    assert same(turned, once)
    assert not same(turned, WHOLE)
    assert same(removed({"strategy": "CANARY"}, FUNCTION), {"strategy": "CANARY"})


def test_there_is_room_for_ten_functions() -> None:
    with pytest.raises(WorldError, match="10 Lambda hooks"):
        installed({**WHOLE, "lifecycleHooks": [OTHER] * 10}, GATE)
    assert len(installed({**WHOLE, "lifecycleHooks": [*[OTHER] * 9, PAUSE]}, GATE)["lifecycleHooks"]) == 11


# --- at the twin -----------------------------------------------------------------------------------------------------
def world_of(strategy: str | None = "CANARY", **service: Any) -> WorldSpec:
    balanced = {"alternate_target_group": True, "rule": {"priority": 10, "path_pattern": ["/*"]}}
    released = {"release": {"strategy": strategy, "bake": "3m", "hooks": [{"stages": ["POST_SCALE_UP"]}]}}
    given = {
        "name": "orders",
        "desired_count": 2,
        "ports": [{"container": 80}],
        "load_balancer": balanced,
        **(released if strategy else {}),
        **service,
    }
    group = {"name": "hosts", "desired_capacity": 4, "instance_type": "m5.large"}
    return WorldSpec.model_validate({"cluster": "shop", "groups": [group], "services": [given]})


@pytest.fixture
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world to which the command line's own AWS calls go, as an operator's."""
    spec = getattr(request, "param", None) or world_of()
    with World(spec, start=START, seed=1) as built:
        key, secret = built.gateway.credentials(OPERATOR)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield built


def configuration(world: World) -> dict[str, Any]:
    ask = {"cluster": "shop", "services": ["orders"]}
    shown: dict[str, Any] = world.gateway.call("ecs", "DescribeServices", ask, WORLD)["services"][0]
    return shown["deploymentConfiguration"]


def updates(world: World) -> list[dict[str, Any]]:
    return [
        dict(call.params) for call in world.kernel.calls if call.operation == "UpdateService" and call.error is None
    ]


def gate(*arguments: str) -> int:
    return run(["gate", *arguments])


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert gate(*arguments) == 2
    text = capsys.readouterr().err
    assert text.startswith("caretaker: ")
    assert text.count("\n") == 1
    return text


def test_install_and_remove_change_the_hook_alone(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = configuration(world)
    assert gate("install", "orders", "--cluster", "shop") == 0
    outputs = world.deployment.outputs
    after = configuration(world)
    (hook,) = [one for one in after["lifecycleHooks"] if one["targetType"] == "AWS_LAMBDA"]
    assert (hook["hookTargetArn"], hook["roleArn"]) == (outputs["HookFunctionArn"], outputs["HookRoleArn"])
    assert hook["lifecycleStages"] == list(STAGES)
    sent = updates(world)[-1]
    assert sorted(sent) == ["cluster", "deploymentConfiguration", "service"]
    assert set(before) <= set(sent["deploymentConfiguration"])
    printed = capsys.readouterr().out
    assert "before  PAUSE at POST_SCALE_UP" in printed
    assert f"{outputs['HookFunctionArn']} at POST_PRODUCTION_TRAFFIC_SHIFT, PRE_PRODUCTION_TRAFFIC_SHIFT" in printed
    assert "the gate stands, from the next deployment on" in printed
    assert gate("remove", f"arn:aws:ecs:us-east-1:{world.kernel.account}:service/shop/orders") == 0
    assert configuration(world) == before
    assert "after   PAUSE at POST_SCALE_UP" in capsys.readouterr().out


def test_what_is_so_already_is_not_sent(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("remove", "orders", "--cluster", "shop") == 0
    assert "nothing to do: the gate is gone already" in capsys.readouterr().out
    assert updates(world) == []
    for _ in range(2):
        assert gate("install", "orders", "--cluster", "shop") == 0
    assert "nothing to do: the gate stands already" in capsys.readouterr().out
    assert len(updates(world)) == 1


def test_a_deployment_that_is_under_way_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    again = {"cluster": "shop", "service": "orders", "forceNewDeployment": True}
    world.gateway.call("ecs", "UpdateService", again, WORLD)
    world.run(60)
    assert gate("install", "orders", "--cluster", "shop") == 0
    assert "a deployment is under way: it goes on with the hooks that it began with" in capsys.readouterr().out


@pytest.mark.parametrize("world", [world_of(None, load_balancer={"port": 80})], indirect=True)
def test_a_rolling_service_is_refused_in_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert "orders: it is deployed ROLLING" in complaint(capsys, "install", "orders", "--cluster", "shop")
    assert gate("remove", "orders", "--cluster", "shop") == 0
    assert updates(world) == []


@pytest.mark.parametrize("world", [world_of(None, deployment_controller="EXTERNAL")], indirect=True)
def test_a_service_that_ecs_does_not_deploy_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert "its deployment controller is EXTERNAL" in complaint(capsys, "install", "orders", "--cluster", "shop")


def test_what_is_not_there_or_not_allowed_is_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no active service order in cluster shop" in complaint(capsys, "install", "order", "--cluster", "shop")
    assert "ClusterNotFoundException" in complaint(capsys, "install", "orders")
    assert "Stack with id other does not exist" in complaint(
        capsys, "remove", "orders", "--cluster", "shop", "--stack", "other"
    )
    world.gateway.api_faults.append(ApiFault("ecs", "UpdateService", "AccessDeniedException", "not you", times=None))
    assert "UpdateService: AccessDeniedException: not you" in complaint(
        capsys, "install", "orders", "--cluster", "shop"
    )


# --- a deployment that is held ---------------------------------------------------------------------------------------
def held(world: World, **fields: Any) -> tuple[Records, Release]:
    """A release that the gate holds, in the deployed table."""
    records = Records(Table(world.deployment.outputs["TableName"], world.gateway.client("dynamodb", WORLD)))
    arn = "arn:aws:ecs:us-east-1:123456789012"
    opened: dict[str, Any] = {
        "id": release_id("d1", "r1"),
        "way": "gate",
        "mode": "act",
        "cluster": f"{arn}:cluster/shop",
        "service": f"{arn}:service/shop/orders",
        "deployment": "d1",
        "revision": "r1",
        "task_definition": f"{arn}:task-definition/orders:2",
        "opened": START,
        "trigger": Trigger("hook", "words"),
    }
    release = records.open(Release(**{**opened, **fields}), START)
    return records, records.decide(release.id, "hold", "not enough evidence")


@pytest.mark.parametrize(("word", "decision"), [("approve", "promote"), ("reject", "roll_back")])
def test_a_person_decides_what_the_gate_holds(world: World, word: str, decision: str) -> None:
    records, release = held(world)
    assert run([word, release.id, "--by", "olga"]) == 0
    found = records.get(release.id)
    said = {"approve": "approved", "reject": "rejected"}[word]
    assert (found.decision, found.decision_reason) == (decision, f"{said} by olga: not enough evidence")


def test_what_the_gate_does_not_hold_is_not_decided_by_a_person(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    records, release = held(world, way="watch")
    assert run(["approve", release.id, "--by", "olga"]) == 2
    assert "asks for no approval" in capsys.readouterr().err
    assert records.get(release.id).decision == "hold"
