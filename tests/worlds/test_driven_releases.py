"""Releases that Caretaker drives: what the worlds of driven releases show beside their outcomes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rehearsals import broken, mutations, shipped

from twin.rehearsal.report import Report


def acts(report: Report, operation: str) -> int:
    return sum(each.calls for each in report.aws_calls if each.operation == operation and "function:" in each.caller)


def moments(report: Report, kind: str, part: str = "") -> list[datetime]:
    return [datetime.fromisoformat(each.at) for each in report.timeline if each.kind == kind and part in each.text]


def detail(report: Report, kind: str) -> dict[str, Any]:
    (event,) = [each for each in report.events if each["detail-type"] == kind]
    found: dict[str, Any] = event["detail"]
    return found


def test_a_good_release_goes_through_every_step_and_leaves_one_task_set() -> None:
    report = shipped("release_drive_good")
    assert (report.verdict, broken(report)) == ("ok", [])
    assert [part.split()[1] for part in detail(report, "Release Promoted")["done"][1:4]] == ["5.0%", "25.0%", "100.0%"]
    assert [acts(report, name) for name in ("CreateTaskSet", "UpdateServicePrimaryTaskSet", "DeleteTaskSet")] == [
        1,
        1,
        1,
    ]
    assert acts(report, "ModifyRule") == 3


def test_a_rollback_moves_the_weights_first_and_says_why() -> None:
    report = shipped("release_drive_bad")
    told = detail(report, "Release Rolled Back")
    assert [words.split(" at ")[0].split(" task")[0] for words in told["done"]][-2:] == [
        "took the weights back to the running",
        "deleted",
    ]
    assert told["task_definition"].endswith("web:2")
    assert told["verdict"] == "roll back"
    assert "5xx" in told["reason"]


def test_weights_that_somebody_else_has_set_are_not_written_over() -> None:
    for name, deleted in (("release_drive_reset", 1), ("release_drive_taken_over", 0)):
        report = shipped(name)
        assert (report.verdict, acts(report, "ModifyRule"), acts(report, "DeleteTaskSet")) == ("ok", 1, deleted), name


def test_the_tasks_of_pinned_sessions_outlive_their_weight() -> None:
    report = shipped("release_drive_sticky")
    (back,) = moments(report, "rule.weights", "by function:ReleasesRollBack")
    (ended_at,) = moments(report, "state.entered", "Close release")
    assert 5 * 60 < (ended_at - back).total_seconds() < 30 * 60


def test_a_second_release_is_refused_and_told_so() -> None:
    report = shipped("release_drive_two")
    assert "is not over" in detail(report, "Release Ignored")["reason"]
    assert acts(report, "CreateTaskSet") == 1


def test_observing_changes_nothing() -> None:
    assert mutations(shipped("release_drive_observe")) == []


def test_every_rule_shifts_and_every_rule_goes_back() -> None:
    report = shipped("release_drive_rules")
    assert (report.verdict, broken(report)) == ("ok", [])
    written = {each.text.split(" → ")[0].split(" of ")[0] for each in report.timeline if each.kind == "rule.weights"}
    assert written == {"rule 5", "rule 10"}
    assert acts(report, "ModifyRule") == 4
    [release] = report.releases
    assert release.canary_requests > 1_000
    assert release.weights_zero_at is not None


def test_a_default_action_is_written_as_the_listeners() -> None:
    report = shipped("release_drive_default")
    assert (report.verdict, broken(report)) == ("ok", [])
    assert (acts(report, "ModifyListener"), acts(report, "ModifyRule")) == (3, 0)


def test_a_question_that_nobody_answers_has_changed_nothing() -> None:
    report = shipped("release_drive_approve")
    assert (report.verdict, mutations(report)) == ("ok", [])
    assert detail(report, "Release Planned")["outcome"] == "planned"
