"""The comparison with Express Mode's rule: what its worlds are made of, and how its figures are formed."""

from __future__ import annotations

import pytest

from benchmarks.bench_releases import ALARM, Met, express_world, percentile, row, run


def test_the_world_is_the_same_but_for_who_decides() -> None:
    spec = express_world("release_watch_bad").spec
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
    spec = express_world("release_drive_bad").spec
    [service] = spec.services
    assert service.deployment_controller == "ECS"
    assert spec.events == []
    assert spec.actors[-1].call == "ecs.UpdateService"
    assert spec.actors[-1].params == {"cluster": "shop", "service": "web", "taskDefinition": "web:2"}


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
    runs = [Met(True, True, 110.0, 14.0), Met(True, False, None, 900.0), Met(True, True, 170.0, 20.0)]
    assert row("w", "express", runs).split() == ["w", "express", "2", "of", "3", "2m", "20s", "2m", "50s", "20"]
    good = [Met(False, False, None, 0.0)] * 2
    assert row("w", "caretaker", good).split() == ["w", "caretaker", "0", "of", "2", "-", "-", "-"]


@pytest.mark.long
def test_express_rolls_back_what_its_rule_sees() -> None:
    found = run(express_world("release_watch_bad"), 1, alarmed=True)
    assert (found.bad, found.gone) == (True, True)
    assert found.seconds is not None
    assert 60 < found.seconds < 300
