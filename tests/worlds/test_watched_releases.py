"""Native deployments that Caretaker watches: what it does in each world, and that it does nothing else."""

from __future__ import annotations

import pytest
from bake_crashes import BAD, small
from rehearsals import ROOT, mutations, rehearsed, shipped

from twin.rehearsal.loading import world_of
from twin.rehearsal.report import Report

STOPPED = [
    "release_watch_bad",
    "release_watch_slow",
    "release_watch_dead",
    "release_watch_late",
    "release_watch_silent",
]
LEFT_ALONE = [
    "release_watch_good",
    "release_watch_observe",
    "release_watch_reset",
    "release_watch_rollback",
    "release_watch_sticky",
    "release_watch_two",
]


def outcome_event(report: Report) -> dict[str, object]:
    return dict(report.events[-1]["detail"])


@pytest.mark.parametrize("name", STOPPED)
def test_a_bad_revision_is_stopped_once_and_nothing_else_is_changed(name: str) -> None:
    report = shipped(name)
    assert (report.verdict, report.unexpected) == ("ok", [])
    assert mutations(report) == ["ecs:StopServiceDeployment"]
    detail = outcome_event(report)
    assert detail["verdict"] == "roll back"
    assert [line for line in detail["done"] if "StopServiceDeployment(ROLLBACK)" in line]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_whatever_else_happens_is_left_to_ecs(name: str) -> None:
    report = shipped(name)
    assert (report.verdict, report.unexpected) == ("ok", [])
    assert mutations(report) == []


def test_a_rollbacks_own_events_start_no_bake() -> None:
    """Of Caretaker's own rollback and of somebody else's: one execution each."""
    for name in ("release_watch_bad", "release_watch_rollback"):
        assert len(shipped(name).executions) == 1


def test_an_outcome_says_what_a_pipeline_can_fail_on() -> None:
    detail = outcome_event(shipped("release_watch_bad"))
    assert str(detail["service"]).endswith("service/shop/web")
    assert str(detail["revision"]).startswith("arn:aws:ecs:us-east-1:123456789012:service-revision/shop/web/")
    assert str(detail["task_definition"]).endswith("web:2")
    assert str(detail["baseline_task_definition"]).endswith("web:1")
    assert detail["outcome"] == "rolled_back"
    assert detail["evidence"]
    assert any("canary requests" in str(line) for line in detail["plan"])  # type: ignore[attr-defined]


def test_too_little_traffic_names_the_sample_that_it_takes() -> None:
    report = shipped("release_watch_little")
    assert "canary requests" in str(report.executions[0].reason)


def test_a_revision_that_was_rolled_back_is_baked_again_when_a_person_deploys_it_again() -> None:
    document = small("watch", BAD)
    again = {**document["actors"][-1], "at": "+12m"}
    document["actors"].append({**again, "params": {**again["params"], "forceNewDeployment": True}})
    report = rehearsed(world_of(document, "again", ROOT / "events", "again"))
    assert [each.outcome for each in report.executions] == ["rolled_back", "rolled_back"]
    first, second = (event["detail"]["plan"] for event in report.events)
    assert not [line for line in first if "was rolled back at" in line]
    assert [line for line in second if "was rolled back at" in line]
