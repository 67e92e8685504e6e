"""The comparison with Express Mode's rule: what its worlds are made of, and how its figures are formed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.bench_releases import ALARM, WORLDS, Case, Met, job, key, percentile, results, row


def test_the_world_is_the_same_but_for_who_decides() -> None:
    spec = Case("release_watch_bad", "express", False).loaded().spec
    [service] = spec.services
    assert service.release is not None
    assert (service.release.strategy, service.release.canary_percent) == ("CANARY", 5)
    assert (service.release.canary_bake, service.release.bake) == (180, 180)
    assert (service.release.alarms, service.release.alarms_roll_back) == ([ALARM], True)
    assert spec.policy.defaults == {"releases": {"way": "off"}}
    assert spec.traffic is not None
    assert spec.traffic.behaviours[1].errors_5xx == 0.015
    assert [actor.call for actor in spec.actors] == ["ecs.RegisterTaskDefinition", "ecs.UpdateService"]


def test_what_caretaker_is_asked_for_becomes_a_deployment() -> None:
    spec = Case("release_drive_bad", "express", False).loaded().spec
    [service] = spec.services
    assert service.deployment_controller == "ECS"
    assert spec.events == []
    assert spec.actors[-1].call == "ecs.UpdateService"
    assert spec.actors[-1].params == {"cluster": "shop", "service": "web", "taskDefinition": "web:2"}


def test_an_express_service_keeps_its_own_rule() -> None:
    alone, watched = (Case("release_express_bad", who, False).loaded().spec for who in ("express", "caretaker"))
    assert alone.services == watched.services
    assert alone.actors == watched.actors
    assert alone.policy.defaults == {"releases": {"way": "off"}}


def test_a_good_revision_behaves_as_the_former() -> None:
    for who in ("caretaker", "express"):
        bad, good = (Case("release_watch_bad", who, good).loaded().spec for good in (False, True))
        assert bad.traffic is not None
        assert good.traffic is not None
        assert good.traffic.behaviours == bad.traffic.behaviours[:1]
        assert good.traffic.requests == bad.traffic.requests


def test_what_is_the_same_is_run_once() -> None:
    assert (
        Case("release_watch_slow", "express", False).content() == Case("release_gate_slow", "express", False).content()
    )
    contents = {
        Case("release_watch_bad", who, good).content() for who in ("caretaker", "express") for good in (False, True)
    }
    assert len(contents) == 4


def test_what_is_kept_is_not_run_again(tmp_path: Path) -> None:
    case = Case("release_watch_bad", "express", True)
    content, keep, met = case.content(), tmp_path / "kept", Met(True, True, 110.0, 14.0)
    keep.write_text(json.dumps({"key": key(content, 3), **asdict(met)}) + "\n", encoding="utf-8")
    assert results({content: case}, [3], keep) == {(content, 3): met}


def test_every_world_can_be_run_by_both() -> None:
    for world in WORLDS:
        assert Case(world, "caretaker", True).has_bad is (world not in ("release_watch_4xx", "release_watch_shared"))
        for who in ("caretaker", "express"):
            assert Case(world, who, True).loaded().spec.traffic is not None


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [
        ([7.0], 0.95, 7.0),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 0.95, 5.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_percentiles_of_few_values(values: list[float], part: float, expected: float) -> None:
    assert percentile(values, part) == expected


def test_twenty_values_leave_one_above_the_95th() -> None:
    assert percentile([float(value) for value in range(1, 21)], 0.95) == 19.0


def test_runs_that_kept_the_bad_revision_have_no_time() -> None:
    bad = [Met(True, True, 110.0, 14.0), Met(True, False, None, 900.0), Met(True, True, 170.0, 20.0)]
    good = [Met(False, False, None, 0.0), Met(False, True, None, 0.0)]
    shown = row("w", "express", bad, good).split()
    assert shown == ["w", "express", "2", "of", "3", "2m", "20s", "2m", "50s", "20", "1", "of", "2"]
    assert row("w", "caretaker", [], good).split() == ["w", "caretaker", "-", "-", "-", "-", "1", "of", "2"]


@pytest.mark.long
def test_express_rolls_back_what_its_rule_sees() -> None:
    found = job(Case("release_watch_bad", "express", False), 1)
    assert (found.bad, found.gone) == (True, True)
    assert found.seconds is not None
    assert 60 < found.seconds < 300
