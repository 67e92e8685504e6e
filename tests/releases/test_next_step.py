"""What follows from a look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from caretaker.releases.model import Action, Verdict
from caretaker.releases.next_step import PATIENT, SOON, Sight, State, after, pause, unapproved
from caretaker.releases.release import Mode, Outcome, Release
from caretaker.runtime.approval import Answer, Approval
from caretaker.runtime.journal import Trigger
from caretaker.runtime.policy import ReleasePolicy

NOW = datetime(2026, 10, 5, 10, 0, 20, tzinfo=UTC)
ARN = "arn:aws:ecs:us-east-1:123456789012"
RELEASE = Release(
    id="bake-release-0123456789abcdef-1",
    way="watch",
    mode="act",
    cluster=f"{ARN}:cluster/shop",
    service=f"{ARN}:service/shop/web",
    deployment=f"{ARN}:service-deployment/shop/web/1",
    revision=f"{ARN}:service-revision/shop/web/2",
    task_definition=f"{ARN}:task-definition/web:2",
    opened=NOW,
    trigger=Trigger("deployment", "a deployment began"),
    started=NOW,
)
POLICY = ReleasePolicy(mode="act")


def verdict(action: Action, *needs: str) -> Verdict:
    return Verdict(action, f"because of {action}", 5, 5, 1.0, 4.6, "beside", (), (), needs)


BAD, GOOD, OPEN, UNSURE = (
    verdict(action) for action in (Action.ROLL_BACK, Action.PROMOTE, Action.CONTINUE, Action.INCONCLUSIVE)
)


def approval(answer: Answer | None) -> Approval:
    return Approval(NOW, NOW + timedelta(hours=1), "token", answer, "ann" if answer else "")


def test_looks_come_shortly_after_each_full_minute_and_more_rarely_after_an_hour() -> None:
    beside = Sight("beside", 0.05)
    assert pause(RELEASE, Sight("before"), NOW) == SOON
    assert pause(RELEASE, beside, NOW) == 45
    late = NOW.replace(second=55)
    assert pause(replace(RELEASE, started=late), beside, late) == 70
    assert pause(RELEASE, beside, NOW + timedelta(hours=1)) == PATIENT


@pytest.mark.parametrize(
    ("mode", "answer", "follows"),
    [
        ("act", None, "roll_back"),
        ("observe", None, "close"),
        ("approve", None, "ask"),
        ("approve", "approved", "roll_back"),
        ("approve", "rejected", "close"),
        ("approve", "expired", "close"),
    ],
)
def test_evidence_against_is_acted_on_only_as_far_as_the_owner_allows(
    mode: Mode, answer: Answer | None, follows: str
) -> None:
    asked = approval(answer) if mode == "approve" and answer else None
    step = after(replace(RELEASE, mode=mode, approval=asked), Sight("beside", 0.05), BAD, POLICY, NOW)
    assert step.next == follows
    assert "because of roll back" in step.reason
    assert step.outcome == ("planned" if follows == "close" else None)


def test_a_question_that_is_open_is_asked_by_the_execution_that_goes_on() -> None:
    waiting = replace(RELEASE, mode="approve", approval=approval(None))
    assert after(waiting, Sight("beside", 0.05), BAD, POLICY, NOW).next == "ask"
    assert "rejected by ann" in unapproved(replace(waiting, approval=approval("rejected")), "5xx").reason


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (GOOD, "promoted"),
        (OPEN, "inconclusive"),
        (UNSURE, "inconclusive"),
        (BAD, "inconclusive"),
        (None, "inconclusive"),
    ],
)
def test_a_deployment_that_ended_well_is_promoted_only_on_evidence(found: Verdict | None, outcome: Outcome) -> None:
    """No data is not health; and what is found too late is said, not hidden."""
    step = after(RELEASE, Sight("promoted", 1.0), found, POLICY, NOW)
    assert (step.next, step.outcome) == ("close", outcome)
    watched = after(replace(RELEASE, mode="observe"), Sight("promoted", 1.0), found, POLICY, NOW)
    assert (watched.outcome, outcome in watched.reason) == ("planned", True)


@pytest.mark.parametrize(
    ("state", "decided", "follows", "outcome"),
    [
        ("gone", False, "close", "ignored"),
        ("replaced", False, "close", "ignored"),
        ("going_back", False, "wait", None),
        ("rolled_back", False, "close", "rolled_back"),
        ("going_back", True, "roll_back", None),
        ("rolled_back", True, "roll_back", None),
        ("beside", True, "roll_back", None),
    ],
)
def test_what_somebody_else_ended_is_left_to_them(
    state: State, decided: bool, follows: str, outcome: Outcome | None
) -> None:
    release = replace(RELEASE, decision="roll_back", decision_reason="5xx") if decided else RELEASE
    step = after(release, Sight(state, 0.05, "words of ECS"), GOOD, POLICY, NOW)
    assert (step.next, step.outcome) == (follows, outcome)


def test_doubt_is_told_once_and_does_what_policy_says() -> None:
    beside = Sight("beside", 0.05)
    assert after(RELEASE, beside, UNSURE, POLICY, NOW).next == "tell"
    assert after(replace(RELEASE, notes={"told": "x"}), beside, UNSURE, POLICY, NOW).next == "wait"
    strict = replace(POLICY, on_inconclusive="roll_back")
    assert after(RELEASE, beside, UNSURE, strict, NOW).next == "roll_back"
    assert after(replace(RELEASE, mode="observe"), beside, UNSURE, strict, NOW).outcome == "planned"


def test_without_traffic_there_is_nothing_to_judge() -> None:
    assert after(RELEASE, Sight("before"), None, POLICY, NOW).next == "wait"
    assert after(RELEASE, Sight("beside", 0.05), OPEN, POLICY, NOW).next == "wait"
