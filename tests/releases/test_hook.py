"""What the gate answers, from a request and a record alone."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from caretaker.releases import hook
from caretaker.releases.hook import CALL_BACK, POST, PRE, SHIFT, Answer, BadRequest, Limits, Request, Waited
from caretaker.releases.record import Release, release_id
from caretaker.runtime.approval import Approval
from caretaker.runtime.journal import Trigger
from caretaker.runtime.policy import ReleasePolicy

ARN = "arn:aws:ecs:us-east-1:123456789012"
DEPLOYMENT = f"{ARN}:service-deployment/shop/orders/d1"
SERVICE = f"{ARN}:service/shop/orders"
NEW, OLD = f"{ARN}:service-revision/shop/orders/2", f"{ARN}:service-revision/shop/orders/1"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:gate:live"
NOW = datetime(2026, 10, 5, 10, tzinfo=UTC)
RELEASE = Release(
    id=release_id(DEPLOYMENT, NEW),
    way="gate",
    mode="act",
    cluster=f"{ARN}:cluster/shop",
    service=SERVICE,
    deployment=DEPLOYMENT,
    revision=NEW,
    task_definition=f"{ARN}:task-definition/orders:2",
    opened=NOW,
    trigger=Trigger("hook", "words"),
)
LIMITS = Limits(600, "fail")
SAMPLES = Path(__file__).resolve().parents[2] / "events" / "hooks"
NOTHING = Waited()


def event(stage: str = PRE, weight: float | None = 5, **more: Any) -> dict[str, Any]:
    """A request as the Developer Guide shows it."""
    weights = {} if weight is None else {NEW: weight, OLD: 100 - weight}
    inner = {
        "serviceArn": SERVICE,
        "targetServiceRevisionArn": NEW,
        "testTrafficWeights": {},
        "productionTrafficWeights": weights,
    }
    return {
        "executionId": "0e1a6f58-1c5a-4b0e-9f3f-0d7b3f4c9a11",
        "lifecycleStage": stage,
        "resourceArn": DEPLOYMENT,
        "executionDetails": inner,
        **more,
    }


def asked(stage: str = PRE, weight: float | None = 5, waited: Waited = NOTHING) -> Request:
    return replace(hook.read(event(stage, weight)), waited=waited)


def at_gate(release: Release | None, stage: str = PRE, weight: float | None = 5) -> Answer:
    return hook.at_gate(asked(stage, weight), release)


# --- the request -----------------------------------------------------------------------------------------------------
def test_a_request_is_read() -> None:
    request = hook.read(event(weight=5.5))
    assert request == Request(PRE, DEPLOYMENT, SERVICE, NEW, 5.5)
    assert request.cluster == f"{ARN}:cluster/shop"


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"Records": []},
        event(lifecycleStage=None),
        event(resourceArn=SERVICE),
        event(executionDetails=None),
        event(executionDetails={"serviceArn": SERVICE}),
        event(executionDetails=[]),
    ],
)
def test_what_is_no_request_is_told_by_its_member(broken: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"\w+: .*"):
        hook.read(broken)


@pytest.mark.parametrize("weights", [None, {}, {OLD: 100}, {NEW: "5"}, {NEW: True}, []])
def test_a_weight_that_is_not_told_is_not_0(weights: Any) -> None:
    given = event()
    given["executionDetails"]["productionTrafficWeights"] = weights
    assert hook.read(given).weight is None


@pytest.mark.parametrize(
    "details",
    [
        None,
        "text",
        {},
        {"caretaker": "text"},
        {"caretaker": {}},
        {"caretaker": {"mark": 1, "seconds": 1}},
        {"caretaker": {"mark": "open/1", "seconds": -1}},
        {"caretaker": {"mark": "open/1", "seconds": True}},
        {"caretaker": {"mark": "open/1"}},
    ],
)
def test_details_that_are_not_ours_are_forgotten(details: Any) -> None:
    assert hook.read(event(hookDetails=details)).waited == Waited()


def test_hook_details_may_be_absent() -> None:
    assert hook.read(event()).waited == Waited()
    assert hook.response(at_gate(RELEASE), hook.details(event()))["hookStatus"] == "IN_PROGRESS"


# --- stages ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "stage", ["RECONCILE_SERVICE", "PRE_SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "NEW_ONE"]
)
def test_stages_without_the_gate_are_let_through(stage: str) -> None:
    found = hook.at_once(asked(stage, None))
    assert found is not None
    assert (found.status, found.start) == ("SUCCEEDED", False)


def test_a_shift_to_nothing_is_let_through() -> None:
    """A rollback's call; the first step of a deployment, should ECS tell weights that are still to change."""
    found = hook.at_once(asked(SHIFT, 0))
    assert found is not None
    assert (found.status, found.start) == ("SUCCEEDED", False)


@pytest.mark.parametrize(
    ("stage", "weight"), [(PRE, 0), (PRE, 5), (POST, None), (SHIFT, 5), (SHIFT, 100), (SHIFT, None)]
)
def test_all_other_calls_need_more_than_the_request(stage: str, weight: float | None) -> None:
    assert hook.at_once(asked(stage, weight)) is None


def deployed(status: str = "IN_PROGRESS", *hooks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"status": status, "deploymentConfiguration": {"lifecycleHooks": list(hooks)}, **more}


@pytest.mark.parametrize(
    "status", ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"]
)
def test_a_rollback_is_known_by_the_deployments_status(status: str) -> None:
    found = hook.at_shift(deployed(status), FUNCTION)
    assert found is not None
    assert found.status == "SUCCEEDED"


def test_a_rollback_is_known_by_its_start() -> None:
    begun = deployed(rollback={"startedAt": NOW, "serviceRevisionArn": OLD})
    planned = deployed(rollback={"serviceRevisionArn": OLD})
    assert hook.at_shift(begun, FUNCTION) is not None
    assert hook.at_shift(planned, FUNCTION) is None


def test_a_shift_is_let_through_where_the_gate_stands_before_it() -> None:
    ours = {"hookTargetArn": FUNCTION.replace(":live", ":7"), "lifecycleStages": [PRE, SHIFT]}
    other = {"hookTargetArn": FUNCTION.replace(":gate:", ":other:"), "lifecycleStages": [PRE]}
    pause = {"targetType": "PAUSE", "lifecycleStages": [PRE]}
    late = {**ours, "lifecycleStages": [SHIFT, POST]}
    assert hook.at_shift(deployed("IN_PROGRESS", ours), FUNCTION) is not None
    for hooks in ((), (other,), (pause,), (late,)):
        assert hook.at_shift(deployed("IN_PROGRESS", *hooks), FUNCTION) is None
    assert hook.at_shift(None, FUNCTION) is None


# --- the gate --------------------------------------------------------------------------------------------------------
def test_the_first_step_is_let_through_at_once_and_starts_the_bake() -> None:
    found = at_gate(None, PRE, 0)
    assert (found.status, found.start) == ("SUCCEEDED", True)
    assert at_gate(RELEASE, PRE, 0) == replace(found, start=False)


@pytest.mark.parametrize(("stage", "weight"), [(PRE, 5), (PRE, None), (POST, None), (SHIFT, 100)])
def test_later_steps_without_a_record_wait_and_start_the_bake(stage: str, weight: float | None) -> None:
    found = at_gate(None, stage, weight)
    assert (found.status, found.start) == ("IN_PROGRESS", True)


@pytest.mark.parametrize(("stage", "weight"), [(PRE, 5), (PRE, 50), (POST, None)])
@pytest.mark.parametrize(
    ("decision", "status"),
    [("promote", "SUCCEEDED"), ("roll_back", "FAILED"), ("hold", "IN_PROGRESS"), (None, "IN_PROGRESS")],
)
def test_the_decision_is_the_answer(decision: Any, status: str, stage: str, weight: float | None) -> None:
    share = 1.0 if weight is None else weight / 100
    decided = replace(RELEASE, decision=decision, decision_reason="because", decision_weight=share)
    found = at_gate(decided, stage, weight)
    assert found.status == status
    assert not found.start
    if decision:
        assert found.reason == "because"


@pytest.mark.parametrize(("stage", "weight"), [(PRE, 5), (PRE, 25), (PRE, 50), (PRE, None), (POST, None)])
@pytest.mark.parametrize("decided_at", [None, 0.05, 0.25, 0.5, 1.0])
def test_a_decision_lets_one_step_through_and_no_other(
    stage: str, weight: float | None, decided_at: float | None
) -> None:
    """What was seen at 25 % says nothing of 50 %; only what convicts holds at any share."""
    asks = 1.0 if stage == POST else None if weight is None else weight / 100
    release = replace(RELEASE, decision="promote", decision_weight=decided_at, weight=0.25)
    assert (at_gate(release, stage, weight).status == "SUCCEEDED") == (asks is not None and asks == decided_at)
    held = replace(release, decision="hold")
    assert at_gate(held, stage, weight).trouble == (asks is None or asks != decided_at)
    assert at_gate(replace(release, decision="roll_back"), stage, weight).status == "FAILED"


def test_a_revision_that_was_turned_down_before_gets_no_traffic() -> None:
    turned_down = replace(RELEASE, decision="roll_back", decision_reason="rejected before")
    assert at_gate(turned_down, PRE, 0).status == "FAILED"


STATES = [
    replace(
        RELEASE,
        decision=decision,
        decision_weight=0.05,
        mode=mode,
        way=way,
        status=status,
        outcome=outcome,
        approval=approval,
        looks=looks,
    )
    for decision, mode, way, (status, outcome), approval, looks in itertools.product(
        (None, "promote", "roll_back", "hold"),
        ("observe", "approve", "act"),
        ("watch", "gate"),
        (
            ("open", None),
            *(("closed", one) for one in ("promoted", "rolled_back", "inconclusive", "planned", "ignored", "failed")),
        ),
        (
            None,
            *(Approval(NOW, NOW + timedelta(hours=1), "token", answer) for answer in (None, "approved", "expired")),
        ),
        (0, 3),
    )
]


def test_nothing_but_a_written_decision_of_this_very_release_promotes_what_caretaker_gates() -> None:
    for release in STATES:
        mine = release.mode != "observe" and release.way == "gate" and release.outcome not in ("planned", "ignored")
        expired = release.mode == "approve" and release.approval is not None and release.approval.answer == "expired"
        answer = at_gate(release)
        if mine and not expired:
            assert (answer.status == "SUCCEEDED") == (
                release.decision == "promote" and release.outcome != "rolled_back"
            )
        else:
            assert answer.status == "SUCCEEDED"
        for other in (replace(release, revision=OLD), replace(release, deployment=DEPLOYMENT + "2")):
            assert at_gate(other).status == "IN_PROGRESS"


def test_who_only_observes_holds_nobody_up() -> None:
    for decision in (None, "roll_back", "hold"):
        for stage, weight in ((PRE, 0.0), (PRE, 5.0), (POST, None)):
            observed = replace(RELEASE, mode="observe", decision=decision)
            assert at_gate(observed, stage, weight).status == "SUCCEEDED"


def test_a_plan_that_waits_for_approval_holds_the_gate() -> None:
    waits = replace(RELEASE, mode="approve", approval=Approval(NOW, NOW, "token"))
    assert at_gate(waits).status == "IN_PROGRESS"
    assert not at_gate(waits).trouble


# --- trouble ---------------------------------------------------------------------------------------------------------
def calls(release: Release | None, count: int, limits: Limits = LIMITS) -> list[str]:
    """The answers to call after call, as ECS asks them: each is given what the one before left."""
    details: dict[str, Any] = {"owner": "his"}
    statuses = []
    for _ in range(count):
        given = json.loads(json.dumps(event(hookDetails=details)))
        answer = hook.bounded(hook.at_gate(hook.read(given), release), limits)
        said = hook.response(answer, hook.details(given))
        statuses.append(said["hookStatus"])
        if said["hookStatus"] != "IN_PROGRESS":
            break
        assert said["callBackDelay"] == CALL_BACK
        details = said["hookDetails"]
        assert details["owner"] == "his"
    return statuses


@pytest.mark.parametrize(("on_error", "last"), [("fail", "FAILED"), ("succeed", "SUCCEEDED")])
@pytest.mark.parametrize("release", [None, replace(RELEASE, status="closed", outcome="failed")])
def test_a_record_in_which_nothing_happens_ends_by_policy_at_the_limit(release: Any, on_error: Any, last: str) -> None:
    statuses = calls(release, 100, Limits(600, on_error))
    assert statuses == ["IN_PROGRESS"] * (600 // CALL_BACK) + [last]


def test_an_open_release_may_be_quiet_between_its_looks() -> None:
    for gate in (60, 600, 900):
        assert calls(RELEASE, 100, Limits(gate, "fail")) == ["IN_PROGRESS"] * (900 // CALL_BACK) + ["FAILED"]
    assert calls(RELEASE, 100, Limits(1200, "fail")) == ["IN_PROGRESS"] * (1200 // CALL_BACK) + ["FAILED"]


def test_a_wait_for_a_person_does_not_end_by_itself() -> None:
    assert set(calls(replace(RELEASE, decision="hold", decision_weight=0.05), 100)) == {"IN_PROGRESS"}


def test_each_look_begins_the_count_anew() -> None:
    waited = Waited("open/4", 570)
    again = hook.at_gate(asked(waited=waited), replace(RELEASE, looks=4))
    further = hook.at_gate(asked(waited=waited), replace(RELEASE, looks=5))
    assert again.waited == Waited("open/4", 570)
    assert further.waited == Waited("open/5", 0)
    assert hook.bounded(further, Limits(60, "fail")).status == "IN_PROGRESS"


def test_errors_count_on_from_what_was_waited_and_bring_no_decision_forward() -> None:
    answer = hook.failed(Waited("open/4", 570), "Throttled: words")
    assert hook.bounded(answer, LIMITS).status == "IN_PROGRESS"
    said = hook.response(answer, {})
    assert said["hookDetails"] == {"caretaker": {"mark": "open/4", "seconds": 600}}
    after = hook.failed(hook.waited(said["hookDetails"]), "Throttled: words")
    assert hook.bounded(after, LIMITS).status == "FAILED"
    assert "Throttled: words" in hook.bounded(after, LIMITS).reason


def test_policy_that_does_not_act_is_no_reason_to_fail() -> None:
    assert hook.limits(ReleasePolicy(mode="observe")) == Limits(0, "succeed")
    assert hook.limits(ReleasePolicy(mode="act", way="off")) == Limits(0, "succeed")
    assert hook.limits(ReleasePolicy(mode="act")) == Limits(1800, "fail")
    own = ReleasePolicy(mode="approve", way="gate", gate_limit=timedelta(minutes=5), on_error="succeed")
    assert hook.limits(own) == Limits(300, "succeed")


def test_the_machines_input_is_the_same_for_every_call_of_a_deployment() -> None:
    one = hook.execution(asked(PRE, 0), RELEASE.id)
    other = hook.execution(asked(POST, None, Waited("open/1", 300)), RELEASE.id)
    assert one == other
    assert one["cluster"] == RELEASE.cluster


# --- what is no release ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("execution", "status"),
    [
        (None, "IN_PROGRESS"),
        ({"status": "RUNNING"}, "IN_PROGRESS"),
        ({"status": "FAILED"}, "IN_PROGRESS"),
        ({"status": "SUCCEEDED"}, "IN_PROGRESS"),
        ({"status": "SUCCEEDED", "output": '{"outcome": "failed"}'}, "IN_PROGRESS"),
        ({"status": "SUCCEEDED", "output": '{"outcome": "promoted"}'}, "IN_PROGRESS"),
        ({"status": "SUCCEEDED", "output": '{"outcome": "ignored", "reason": "policy says off"}'}, "SUCCEEDED"),
    ],
)
def test_what_came_to_no_release_is_let_through(execution: Any, status: str) -> None:
    assert hook.after(at_gate(None), execution).status == status


# --- the samples -----------------------------------------------------------------------------------------------------
def test_the_samples_are_what_they_say() -> None:
    found = {path.stem: json.loads(path.read_text()) for path in sorted(SAMPLES.glob("*.json"))}
    answers = {name: hook.at_once(hook.read(given)) or at_gate_of(given) for name, given in found.items()}
    assert {name: (answer.status, answer.start) for name, answer in answers.items()} == {
        "ecs-post-production-traffic-shift": ("IN_PROGRESS", True),
        "ecs-pre-production-traffic-shift-first": ("SUCCEEDED", True),
        "ecs-pre-production-traffic-shift-later": ("IN_PROGRESS", True),
        "ecs-production-traffic-shift-rollback": ("SUCCEEDED", False),
    }


def at_gate_of(given: dict[str, Any]) -> Answer:
    return hook.at_gate(hook.read(given), None)
