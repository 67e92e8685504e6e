"""What is a release, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from caretaker.releases import opening
from caretaker.releases.native import Native, Side
from caretaker.releases.record import Rejection
from caretaker.releases.report import event_of, message_of, question_of
from caretaker.runtime.policy import ReleasePolicy

NOW = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
ARN = "arn:aws:ecs:us-east-1:123456789012"
GATE = "arn:aws:lambda:us-east-1:123456789012:function:gate"
FOUND = Native(
    arn=f"{ARN}:service-deployment/shop/web/1",
    cluster=f"{ARN}:cluster/shop",
    service=f"{ARN}:service/shop/web",
    status="IN_PROGRESS",
    reason="",
    strategy="CANARY",
    target=f"{ARN}:service-revision/shop/web/2",
    sources=(f"{ARN}:service-revision/shop/web/1",),
    weight=0.0,
    first_share=0.05,
)
NEW = Side(FOUND.target, f"{ARN}:task-definition/web:2", "arn:b", ("arn:rule",))
OLD = Side(FOUND.sources[0], f"{ARN}:task-definition/web:1", "arn:a", ("arn:rule",))
POLICY = ReleasePolicy(mode="act")
EVENT: dict[str, Any] = {"id": "bake-release-0-1", "trigger": {"kind": "deployment", "text": "a deployment began"}}


@pytest.mark.parametrize(
    ("found", "policy", "words"),
    [
        (None, POLICY, "gone"),
        (FOUND, replace(POLICY, way="off"), "off"),
        (replace(FOUND, status="ROLLBACK_IN_PROGRESS", reason="alarm"), POLICY, "a rollback is no release: alarm"),
        (replace(FOUND, status="SUCCESSFUL"), POLICY, "SUCCESSFUL already"),
        (replace(FOUND, status="STOP_REQUESTED"), POLICY, "STOP_REQUESTED already"),
        (replace(FOUND, strategy="ROLLING"), POLICY, "rolling"),
        (replace(FOUND, sources=()), POLICY, "nothing to be compared with"),
    ],
)
def test_what_is_no_release_is_ignored_with_a_reason(found: Native | None, policy: ReleasePolicy, words: str) -> None:
    ignored = opening.no_release(found, policy)
    assert ignored is not None
    assert words in ignored.reason


def test_a_deployment_under_way_is_a_release() -> None:
    assert opening.no_release(FOUND, POLICY) is None
    assert opening.no_release(replace(FOUND, status="PENDING"), POLICY) is None


@pytest.mark.parametrize(
    "new", [replace(NEW, group=""), replace(NEW, group=OLD.group), replace(NEW, rules=(f"{ARN}:listener/net/n/1/2",))]
)
def test_revisions_need_target_groups_of_their_own(new: Side) -> None:
    assert opening.no_traffic(NEW, OLD) is None
    assert opening.no_traffic(new, OLD) is not None


def test_our_hook_on_the_service_makes_it_a_gate() -> None:
    hooked = replace(FOUND, hooks=(f"{GATE}:live",))
    assert opening.way_of(FOUND, POLICY, GATE) == "watch"
    assert opening.way_of(hooked, POLICY, GATE) == "gate"
    assert opening.way_of(hooked, POLICY, "") == "watch"
    assert opening.way_of(hooked, replace(POLICY, way="watch"), GATE) == "watch"
    assert opening.way_of(replace(FOUND, hooks=(f"{GATE}way",)), POLICY, GATE) == "watch"


def test_the_outcome_event_names_service_revision_verdict_evidence_and_what_was_done() -> None:
    release = opening.native_release(EVENT, FOUND, NEW, OLD, "arn:lb", POLICY, "watch", NOW)
    closed = replace(
        release, status="closed", outcome="rolled_back", reason="5xx", done=("StopServiceDeployment",), ended=NOW,
        verdict={"action": "roll back", "reason": "5xx", "words": ["5xx 9 of 90"]},
    )  # fmt: skip
    event = event_of(closed, "arn:execution")
    detail = event["detail"]
    assert event["detail_type"] == "Release Rolled Back"
    assert detail["service"] == FOUND.service
    assert detail["revision"] == FOUND.target
    assert detail["verdict"] == "roll back"
    assert detail["evidence"]["words"] == ["5xx 9 of 90"]
    assert detail["done"] == ["StopServiceDeployment"]
    message = message_of(closed)
    assert message is not None
    assert "5xx 9 of 90" in message["text"]
    assert len(message["subject"]) < 100
    assert message_of(replace(closed, outcome="promoted")) is None
    would = replace(closed, outcome="planned", reason="would be rolled back: 5xx")
    assert message_of(would) is not None


def test_a_plan_says_what_it_takes_and_that_the_revision_was_turned_down_before() -> None:
    release = opening.native_release(EVENT, FOUND, NEW, OLD, "arn:lb", POLICY, "watch", NOW)
    before = Rejection(NEW.task_definition, NOW, "bake-release-9-1", "4xx")
    plan = opening.plan_words(release, POLICY, ["980 requests"], before)
    assert any("980 requests" in line for line in plan)
    assert any("rolled back at 2026-10-05 10:00Z: 4xx" in line for line in plan)
    asked = question_of(replace(release, notes={"plan": plan}), "5xx", NOW)
    assert f"caretaker approve {release.id}" in asked["text"]
    assert "980 requests" in asked["text"]


@pytest.mark.parametrize(
    ("strategy", "percent", "gated"),
    [
        ("BLUE_GREEN", 100.0, 1),
        ("CANARY", 5.0, 2),
        ("LINEAR", 50.0, 2),
        ("LINEAR", 30.0, 4),
        ("LINEAR", 10.0, 10),
        ("LINEAR", 3.0, 34),
    ],
)
def test_each_share_that_the_gate_decides_about_is_a_phase(strategy: str, percent: float, gated: int) -> None:
    found = replace(FOUND, strategy=strategy, first_share=percent / 100)
    assert opening.phases_of(found, "gate") == gated
    assert opening.phases_of(found, "watch") == min(gated, 2)
