"""Lifecycle hooks of native releases: what functions are asked, what their answers do, and pauses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from native_stage import FUNCTION, HOOK_ROLE, OPERATOR, SUCCEEDED, Release

from twin.ecs import HookFault
from twin.ecs.native.settings import HOOK_STAGES
from twin.errors import AwsError
from twin.kernel.functions import Functions, FunctionSpec

EVERY = HOOK_STAGES[1:]
"""All but RECONCILE_SERVICE, which comes only when several deployments are under way."""
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}


def gated(*stages: str, strategy: str = "CANARY", more: dict[str, Any] | None = None, **options: Any) -> Release:
    world = Release(**options)
    return world.up(strategy, lifecycleHooks=[world.hook(*stages, **(more or {}))])


def of_stage(world: Release, stage: str) -> list[dict[str, Any]]:
    return [payload for _, payload in world.lambdas.asked if payload["lifecycleStage"] == stage]


def production(payload: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = payload["executionDetails"]["productionTrafficWeights"]
    return found


def test_hooks_are_asked_at_their_stages_and_at_every_step() -> None:
    world = gated(*EVERY, test_rule=True)
    world.release()
    world.run()
    assert world.latest.deployment_status == "SUCCESSFUL"
    assert world.lambdas.stages() == [
        *EVERY[:4],
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
    ]


def test_linear_deployments_ask_before_and_at_each_step() -> None:
    world = Release()
    hook = world.hook("PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")
    world.up("LINEAR", lifecycleHooks=[hook], linearConfiguration={"stepPercent": 25.0})
    green = world.release()
    world.run()
    told = [next(iter(production(payload).values())) for _, payload in world.lambdas.asked]
    assert told == [0, 25, 25, 50, 50, 75, 75, 100]
    assert all(next(iter(production(payload))) == green.revision.arn for _, payload in world.lambdas.asked)


def test_the_payload_is_that_of_the_documentation() -> None:
    world = gated(*EVERY, test_rule=True)
    blue, green = world.latest, world.release()
    world.run()
    new, old = green.revision.arn, blue.revision.arn
    for payload in of_stage(world, "PRE_SCALE_UP") + of_stage(world, "POST_PRODUCTION_TRAFFIC_SHIFT"):
        assert payload == {
            "executionId": payload["executionId"],
            "lifecycleStage": payload["lifecycleStage"],
            "resourceArn": green.arn,
            "executionDetails": {
                "serviceArn": world.service().arn,
                "targetServiceRevisionArn": new,
                "testTrafficWeights": {},
                "productionTrafficWeights": {},
            },
        }
    assert [len(part) for part in payload["executionId"].split("-")] == [8, 4, 4, 4, 12]
    (test,) = of_stage(world, "TEST_TRAFFIC_SHIFT")
    assert test["executionDetails"]["testTrafficWeights"] == {new: 100, old: 0}
    assert production(test) == {}
    assert [production(one) for one in of_stage(world, "PRE_PRODUCTION_TRAFFIC_SHIFT")] == [
        {new: 0, old: 100},
        {new: 5, old: 95},
    ]
    shifts = of_stage(world, "PRODUCTION_TRAFFIC_SHIFT")
    assert [production(one) for one in shifts] == [{new: 5, old: 95}, {new: 100, old: 0}]
    assert '": 5,' in json.dumps(shifts[0])
    assert len({payload["executionId"] for _, payload in world.lambdas.asked}) == len(world.lambdas.asked)


def test_functions_are_called_by_ecs_in_the_hooks_role() -> None:
    world = gated("PRE_SCALE_UP")
    world.release()
    world.run()
    (call,) = world.lambdas.calls
    assert (call.caller.kind, call.caller.name, call.caller.role_arn) == ("aws", "ecs", HOOK_ROLE)
    assert call.params["FunctionName"] == FUNCTION
    assert call.origin.operation == "UpdateService"


@pytest.mark.parametrize(("choice", "seen"), [("after", [5, 100]), ("before", [0, 5])])
def test_whether_the_shifts_hooks_run_before_the_weights_change_is_the_worlds_choice(
    choice: str, seen: list[int]
) -> None:
    world = gated("PRODUCTION_TRAFFIC_SHIFT", shift_hooks=choice)
    at_the_rule: list[int] = []

    def answer(payload: dict[str, Any]) -> Any:
        at_the_rule.append(world.weights()[1])
        return SUCCEEDED

    world.lambdas.answer = answer
    world.release()
    world.run()
    assert at_the_rule == seen
    assert [next(iter(production(payload).values())) for _, payload in world.lambdas.asked] == [5, 100]
    assert world.weights() == [0, 100]


# --- answers ---------------------------------------------------------------------------------------------------------
def test_in_progress_is_asked_again_after_30_seconds_or_the_delay_it_names() -> None:
    answers = iter([{"hookStatus": "IN_PROGRESS"}, {"hookStatus": "IN_PROGRESS", "callBackDelay": 90}, SUCCEEDED])
    world = gated("POST_SCALE_UP")
    world.lambdas.answer = lambda payload: next(answers)
    world.release()
    world.run()
    first, second, third = (at for at, _ in world.lambdas.asked)
    assert (second - first, third - second) == (30.0, 90.0)
    assert world.latest.deployment_status == "SUCCESSFUL"


@pytest.mark.parametrize("per_call", [False, True])
def test_whether_each_call_has_its_own_execution_id_is_the_worlds_choice(per_call: bool) -> None:
    answers = iter([{"hookStatus": "IN_PROGRESS"}, SUCCEEDED])
    world = gated("POST_SCALE_UP", hook_id_per_call=per_call)
    world.lambdas.answer = lambda payload: next(answers)
    world.release()
    world.run()
    assert len({payload["executionId"] for _, payload in world.lambdas.asked}) == (2 if per_call else 1)


def test_hook_details_last_within_one_hook_of_one_deployment() -> None:
    """Those of the configuration come with every call; what a function adds comes back to it in the next call only."""
    world = gated("POST_SCALE_UP", "PRE_PRODUCTION_TRAFFIC_SHIFT", more={"hookDetails": {"bucket": "b"}})
    seen: set[str] = set()

    def answer(payload: dict[str, Any]) -> Any:
        if payload["executionId"] in seen:
            return SUCCEEDED
        seen.add(payload["executionId"])
        return {"hookStatus": "IN_PROGRESS", "hookDetails": {"checked": payload["lifecycleStage"]}}

    world.lambdas.answer = answer
    for _ in range(2):
        world.release()
        world.run()
    details = [payload["hookDetails"] for _, payload in world.lambdas.asked]
    assert details[0::2] == [{"bucket": "b"}] * 6
    assert {json.dumps(one) for one in details[1::2]} == {
        '{"bucket": "b", "checked": "POST_SCALE_UP"}',
        '{"bucket": "b", "checked": "PRE_PRODUCTION_TRAFFIC_SHIFT"}',
    }


@pytest.mark.parametrize(
    "answer",
    [
        {"hookStatus": "FAILED"},
        {"hookStatus": "MAYBE"},
        {"status": "SUCCEEDED"},
        None,
        [],
        "SUCCEEDED",
        {"hookStatus": "IN_PROGRESS", "callBackDelay": "soon"},
        {"hookStatus": "IN_PROGRESS", "callBackDelay": -1},
        {"hookStatus": "IN_PROGRESS", "hookDetails": []},
        ValueError("no"),
    ],
)
def test_failed_an_invalid_answer_and_an_exception_roll_back(answer: Any) -> None:
    world = gated("PRE_PRODUCTION_TRAFFIC_SHIFT")
    world.lambdas.answer = lambda payload: answer
    green = world.release()
    world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert "hook failure at PRE_PRODUCTION_TRAFFIC_SHIFT" in str(green.rollback and green.rollback.reason)
    assert world.weights() == [100, 0]


@pytest.mark.parametrize("role", ["arn:aws:iam::123456789012:role/none", "weak"])
def test_a_role_that_may_not_invoke_rolls_back(role: str) -> None:
    world = Release()
    if role == "weak":
        role = HOOK_ROLE.replace("hooks", "weak")
        trust = {"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}
        world.gateway.iam.add_role(role, "weak", {"Statement": [trust]})
    world.up(lifecycleHooks=[{**world.hook("PRE_SCALE_UP"), "roleArn": role}])
    green = world.release()
    world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert world.lambdas.asked == []


def test_a_hook_that_never_decides_times_out_after_a_day_in_a_rollback() -> None:
    world = gated("POST_SCALE_UP")
    world.lambdas.answer = lambda payload: {"hookStatus": "IN_PROGRESS", "callBackDelay": 3600}
    green = world.release()
    world.until_stage("POST_SCALE_UP")
    began = world.kernel.clock.elapsed
    world.until(lambda: green.ended, 2 * 86_400)
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert world.kernel.clock.elapsed - began == pytest.approx(86_400, abs=120)


@pytest.mark.parametrize(("action", "status"), [("CONTINUE", "SUCCESSFUL"), ("ROLLBACK", "ROLLBACK_SUCCESSFUL")])
def test_a_time_out_of_its_own_and_what_it_does(action: str, status: str) -> None:
    more = {"timeoutConfiguration": {"timeoutInMinutes": 2, "action": action}}
    world = gated("POST_SCALE_UP", more=more)
    world.lambdas.answer = lambda payload: {"hookStatus": "IN_PROGRESS"}
    green = world.release()
    world.run()
    assert green.deployment_status == status
    assert len(world.lambdas.asked) == 4


def test_hooks_of_one_stage_run_at_once_and_all_must_succeed() -> None:
    world = Release()
    other = world.hook("POST_SCALE_UP", hookDetails={"slow": True})
    world.up(lifecycleHooks=[world.hook("POST_SCALE_UP"), other])

    def answer(payload: dict[str, Any]) -> Any:
        slow = payload.get("hookDetails", {}).get("slow")
        return {"hookStatus": "IN_PROGRESS", "hookDetails": {"slow": False}} if slow else SUCCEEDED

    world.lambdas.answer = answer
    green = world.release()
    world.until_stage("POST_SCALE_UP")
    world.run(10)
    shown = world.described()["lifecycleHookDetails"]
    assert sorted(one["status"] for one in shown) == ["IN_PROGRESS", "SUCCEEDED"]
    assert {one["targetArn"] for one in shown} == {FUNCTION}
    world.run()
    assert [at for at, _ in world.lambdas.asked[:2]] == [world.lambdas.asked[0][0]] * 2
    assert green.deployment_status == "SUCCESSFUL"


def test_one_hook_that_fails_ends_the_stage_and_the_other_is_asked_no_more() -> None:
    world = Release()
    other = world.hook("POST_SCALE_UP", hookDetails={"slow": True})
    world.up(lifecycleHooks=[world.hook("POST_SCALE_UP"), other])
    world.lambdas.answer = lambda payload: {"hookStatus": "IN_PROGRESS" if "hookDetails" in payload else "FAILED"}
    green = world.release()
    world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert len(world.lambdas.asked) == 2


# --- faults ----------------------------------------------------------------------------------------------------------
def test_a_doubled_call_has_the_same_payload_and_its_answer_is_not_minded() -> None:
    fault = HookFault("doubled", stage="PRE_PRODUCTION_TRAFFIC_SHIFT", seconds=3.0, times=1)
    world = gated("PRE_PRODUCTION_TRAFFIC_SHIFT", hook_faults=(fault,))
    answers = iter([SUCCEEDED, {"hookStatus": "FAILED"}, SUCCEEDED])
    world.lambdas.answer = lambda payload: next(answers)
    green = world.release()
    world.run()
    (first, one), (second, other), _ = world.lambdas.asked
    assert one == other
    assert second - first == 3.0
    assert green.deployment_status == "SUCCESSFUL"


def test_a_late_call_holds_the_stage_up() -> None:
    world = gated("POST_SCALE_UP", hook_faults=(HookFault("late", service="web", seconds=240.0),))
    world.release()
    began = world.until_stage("POST_SCALE_UP")
    world.run()
    assert world.lambdas.asked[0][0] - began == pytest.approx(245, abs=1)
    assert world.latest.deployment_status == "SUCCESSFUL"


def test_a_fault_strikes_its_service_stage_and_time_only() -> None:
    faults = (
        HookFault("late", service="other", seconds=60.0),
        HookFault("late", stage="PRE_SCALE_UP", seconds=60.0),
        HookFault("late", seconds=60.0, until=1.0),
        HookFault("late", seconds=60.0, after=1e6),
    )
    world = gated("POST_SCALE_UP", hook_faults=faults)
    world.release()
    began = world.until_stage("POST_SCALE_UP")
    world.run()
    assert world.lambdas.asked[0][0] - began == pytest.approx(5, abs=1)


# --- pauses ----------------------------------------------------------------------------------------------------------
def awaiting(world: Release) -> dict[str, Any]:
    world.until(lambda: any(one["status"] == "AWAITING_ACTION" for one in hooks(world)))
    return hooks(world)[0]


def hooks(world: Release) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.described().get("lifecycleHookDetails", [])
    return found


def carry_on(world: Release, hook_id: str, **action: str) -> None:
    world.call(
        "ContinueServiceDeployment",
        caller=OPERATOR,
        serviceDeploymentArn=world.latest.arn,
        hookId=hook_id,
        **action,
    )


def test_a_pause_waits_for_somebody_at_every_step_with_another_id() -> None:
    world = Release().up(lifecycleHooks=[PAUSE])
    green = world.release()
    ids = []
    for _ in range(2):
        hook = awaiting(world)
        world.run(600)
        assert hooks(world)[0] == hook
        ids.append(hook["hookId"])
        carry_on(world, hook["hookId"], action="CONTINUE")
        world.run(1)
    world.run()
    assert green.deployment_status == "SUCCESSFUL"
    assert ids[0] != ids[1]
    assert all(one.startswith("ecs-pause-") and len(one) == 53 for one in ids)


def test_the_events_of_a_pause_are_those_of_the_sample() -> None:
    world = Release().up(lifecycleHooks=[{**PAUSE, "timeoutConfiguration": {"timeoutInMinutes": 10}}])
    green = world.release()
    hook = awaiting(world)
    carry_on(world, hook["hookId"])
    (awaits, done) = world.bus.of("ECS Hook State Change", green.arn)
    assert list(awaits) == [
        "eventType",
        "eventName",
        "hookId",
        "hookType",
        "expiresAt",
        "lifecycleStage",
        "clusterArn",
        "serviceArn",
        "serviceDeploymentArn",
        "updatedAt",
    ]
    assert (awaits["eventName"], done["eventName"]) == ("HOOK_AWAITING_ACTION", "HOOK_SUCCEEDED")
    assert awaits["hookId"] == hook["hookId"]
    assert len(awaits["updatedAt"].partition(".")[2]) == len("000000000Z")
    assert awaits["lifecycleStage"] == "PRE_PRODUCTION_TRAFFIC_SHIFT"
    assert hook["expiresAt"].strftime("%Y-%m-%dT%H:%M:%SZ") == awaits["expiresAt"]


def test_a_pause_can_be_rolled_back_and_times_out_so_by_default() -> None:
    world = Release().up(lifecycleHooks=[PAUSE])
    green = world.release()
    carry_on(world, awaiting(world)["hookId"], action="ROLLBACK")
    world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert world.bus.of("ECS Hook State Change")[-1]["eventName"] == "HOOK_FAILED"
    after = world.release()
    world.run()
    assert after.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert world.bus.of("ECS Hook State Change")[-1]["eventName"] == "HOOK_TIMED_OUT"
    assert world.kernel.clock.elapsed > 86_400


def test_a_pause_beside_a_function_needs_both() -> None:
    world = Release()
    world.up(lifecycleHooks=[PAUSE, world.hook("PRE_PRODUCTION_TRAFFIC_SHIFT")])
    green = world.release()
    hook = awaiting(world)
    world.run(60)
    assert world.shifts() == []
    carry_on(world, hook["hookId"])
    world.run(30)
    assert len(world.shifts()) == 1
    assert not green.ended


def test_only_a_pause_that_waits_can_be_continued() -> None:
    world = Release().up(lifecycleHooks=[PAUSE])
    green = world.release()
    hook = awaiting(world)
    with pytest.raises(AwsError, match="ServiceDeploymentNotFoundException"):
        world.call("ContinueServiceDeployment", serviceDeploymentArn=green.arn[:-1], hookId=hook["hookId"])
    with pytest.raises(AwsError, match="InvalidParameterException"):
        carry_on(world, "ecs-pause-x")
    carry_on(world, hook["hookId"])
    with pytest.raises(AwsError, match="InvalidParameterException"):
        carry_on(world, hook["hookId"])


# --- a real function -------------------------------------------------------------------------------------------------
def test_a_real_function_decides_and_its_error_rolls_back(tmp_path: Path) -> None:
    (tmp_path / "gate.py").write_text(
        "def handler(event, context):\n"
        "    if event['lifecycleStage'] == 'POST_SCALE_UP':\n"
        "        raise ValueError('no')\n"
        "    return {'hookStatus': 'SUCCEEDED'}\n"
    )
    world = Release(functions=False)
    functions = Functions(world.kernel, world.gateway, tmp_path)
    functions.add(FunctionSpec("Gate", "gate", FUNCTION, "gate.handler", {}, None))
    world.up(lifecycleHooks=[world.hook("PRE_SCALE_UP", "POST_SCALE_UP")])
    with world.gateway.intercepted():
        green = world.release()
        world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert "ValueError" in str(green.rollback and green.rollback.reason)
    assert [run.error for run in functions.invocations] == [None, "ValueError"]
