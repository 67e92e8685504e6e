"""Every moment at which a driven release can be cut short: its weights end on one side, never in between.

`make test` tries a few moments; `pytest -m long tests/worlds/test_driven_crashes.py` tries all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crash_stage import Ended, Point, copied, deaths, deaths_for_good, ends_at_states, stops_at_calls
from test_release_crashes import CONTAINER, ended, releases

BAD = {"errors_5xx": 0.5}
REQUEST = {
    "source": "lab.pipeline",
    "detail-type": "Release Requested",
    "detail": {"cluster": "lab", "service": "web", "taskDefinition": "web:2"},
}


def small(behaviour: dict[str, Any] | None = None) -> dict[str, Any]:
    """One service of two tasks with an external controller; `behaviour` of the new revision. Two steps, short bakes."""
    usual = {"errors_5xx": 0.002, "latency": {"median": 0.05, "p99": 0.2}}
    service = {
        "name": "web",
        "deployment_controller": "EXTERNAL",
        "desired_count": 2,
        "memory": 128,
        "ports": [{"container": 80}],
        "load_balancer": {
            "alternate_target_group": True,
            "health_check_interval": 5,
            "healthy_threshold": 2,
            "deregistration_delay": 5,
            "rule": {"priority": 10, "path_pattern": ["/*"]},
        },
    }
    register = {"family": "web", "networkMode": "bridge", "containerDefinitions": [CONTAINER]}
    return {
        "cluster": "lab",
        "policy": {"defaults": {"releases": {"mode": "act", "steps": [20, 100], "bake": 2, "patience": 20}}},
        "groups": [{"name": "hosts", "desired_capacity": 2}],
        "services": [service],
        "traffic": {
            "history": "15m",
            "requests": [{"service": "web", "per_minute": 24000}],
            "behaviours": [usual, *([{"task_definition": "web:2", **behaviour}] if behaviour else [])],
        },
        "actors": [{"at": "+10s", "call": "ecs.RegisterTaskDefinition", "params": register}],
        "events": [{"at": "+20s", "event": REQUEST}],
    }


SAMPLE = {
    "ReleasesStartTasks after ecs:CreateTaskSet 1",
    "ReleasesShiftWeights after elbv2:ModifyRule 1",
    "ReleasesRollBack after elbv2:ModifyRule 1",
}


def acts(point: Point) -> bool:
    """Calls that change the service or its weights."""
    return releases(point) and point.changes and point.service in ("ecs", "elbv2")


def test_a_sample_of_moments() -> None:
    """A function dies at each kind of act, and the execution is stopped just after the weights were shifted."""
    results = ended(
        small(BAD),
        deaths(lambda point: str(point) in SAMPLE),
        stops_at_calls(lambda point: str(point) == "ReleasesShiftWeights before elbv2:ModifyRule 1", hang=30.0),
    )
    assert {f"dies: {point}" for point in SAMPLE} <= {each.label for each in results}
    assert {each.outcomes for each in results} == {("rolled_back",)}


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product, so that an edit in the middle of a long series does not mix two versions of it."""
    return copied(tmp_path_factory.mktemp("deployed"))


def never_promoted(results: list[Ended]) -> None:
    for each in results:
        assert "promoted" not in each.outcomes, str(each)


@pytest.mark.long
def test_a_function_dies_at_any_call(deployed: Path) -> None:
    for each in ended(small(BAD), deaths(releases), template=deployed):
        assert each.outcomes == ("rolled_back",), str(each)


@pytest.mark.long
def test_a_good_release_survives_a_death_at_any_call_that_changes_anything(deployed: Path) -> None:
    for each in ended(small(), deaths(lambda point: releases(point) and point.changes), template=deployed):
        assert each.outcomes in (("promoted",), ("rolled_back",)), str(each)


@pytest.mark.long
def test_a_function_dies_for_good(deployed: Path) -> None:
    """Each time that it comes to that call, but for those that close a release or take it back: nobody else can."""
    hopeless = ("ReleasesCloseRelease", "ReleasesRollBack", "ReleasesOpenRelease", "InboundIntake")
    chosen = deaths_for_good(lambda point: acts(point) and point.function not in hopeless)
    never_promoted(ended(small(BAD), chosen, template=deployed))


@pytest.mark.long
@pytest.mark.parametrize("hang", [0.0, 60.0])
def test_the_execution_is_stopped_at_any_act(deployed: Path, hang: float) -> None:
    """The function that makes the call runs on; with `hang` its call takes effect in the middle of the way back."""
    for bad in (BAD, None):
        results = ended(small(bad), stops_at_calls(acts, hang=hang), template=deployed)
        if bad:
            never_promoted(results)


@pytest.mark.long
@pytest.mark.parametrize("how", ["stopped", "timed out"])
def test_the_execution_ends_in_any_state(deployed: Path, how: Any) -> None:
    never_promoted(ended(small(BAD), ends_at_states(how, 0.0), template=deployed))
