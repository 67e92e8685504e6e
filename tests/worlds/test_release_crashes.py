"""Every moment at which the bake of a release can be cut short: it neither promotes nor leaves weights in between.

`make test` tries a few moments; `pytest -m long tests/worlds/test_release_crashes.py` tries all of them, in each way of
working.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bake_crashes import BAD, BAKES, WAYS, acts, releases, small
from crash_stage import Ended, copied
from strikes import deaths, deaths_for_good, ends_at_states, stops_at_calls

from tests.points import Point

WATCHED = {
    "ReleasesOpenRelease after dynamodb:TransactWriteItems 1",
    "ReleasesRollBack before ecs:StopServiceDeployment 1",
    "ReleasesRollBack after ecs:StopServiceDeployment 1",
}
DRIVEN = {
    "ReleasesStartTasks after ecs:CreateTaskSet 1",
    "ReleasesShiftWeights after elbv2:ModifyRule 1",
    "ReleasesRollBack after elbv2:ModifyRule 1",
}


def test_a_sample_of_moments_while_ecs_shifts() -> None:
    """One of each kind; the plain run first. The bad revision is rolled back in all of them."""
    results = BAKES.held(
        small("watch", BAD),
        deaths(lambda point: str(point) in WATCHED),
        ends_at_states("stopped", 0.0, only="Roll back"),
        ends_at_states("timed out", 0.0, only="Open release"),
    )
    assert {f"dies: {point}" for point in WATCHED} <= {each.label for each in results}
    assert [each for each in results if each.label.startswith("stopped")]
    assert {each.outcomes for each in results} == {("rolled_back",)}


def test_a_sample_of_moments_while_caretaker_shifts() -> None:
    """A function dies at each kind of act, and the execution is stopped just after the weights were shifted."""
    results = BAKES.held(
        small("drive", BAD),
        deaths(lambda point: str(point) in DRIVEN),
        stops_at_calls(lambda point: str(point) == "ReleasesShiftWeights before elbv2:ModifyRule 1", hang=30.0),
    )
    assert {f"dies: {point}" for point in DRIVEN} <= {each.label for each in results}
    assert {each.outcomes for each in results} == {("rolled_back",)}


# --- all of them -----------------------------------------------------------------------------------------------------

BEHAVIOURS: dict[str, dict[str, Any] | None] = {"bad": BAD, "good": None}
ways = pytest.mark.parametrize("way", WAYS)
behaviours = pytest.mark.parametrize("behaviour", list(BEHAVIOURS))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product, so that an edit in the middle of a long series does not mix two versions of it."""
    return copied(tmp_path_factory.mktemp("deployed"))


def never_promoted(results: list[Ended]) -> None:
    assert [str(each) for each in results if "promoted" in each.outcomes] == []


@pytest.mark.long
@pytest.mark.moments
@ways
def test_a_function_dies_at_any_call(deployed: Path, way: str) -> None:
    """Once: whoever invoked it invokes it again, and the bad revision goes back."""
    document = small(way, BAD)
    for each in BAKES.held(document, BAKES.every_moment(document, releases, deployed), template=deployed):
        assert each.outcomes == ("rolled_back",), str(each)


@pytest.mark.long
@pytest.mark.moments
@ways
def test_a_good_release_survives_a_death_at_any_call(deployed: Path, way: str) -> None:
    """Not so where ECS asks a hook: it does not ask again when the function has died, but rolls back.

    Of what every look reads alike the first time is tried; what it writes each time.
    """
    document = small(way)

    def chosen(point: Point) -> bool:
        again = point.function == "ReleasesLook" and not point.changes and point.nth > 1
        return releases(point) and not again

    for each in BAKES.held(document, BAKES.every_moment(document, chosen, deployed), template=deployed):
        hook = "ReleasesAnswerHook" in each.label
        assert each.outcomes == ("promoted",) or (hook and "promoted" not in each.outcomes), str(each)


@pytest.mark.long
@pytest.mark.moments
@ways
def test_a_function_dies_for_good(deployed: Path, way: str) -> None:
    """Each time that it comes to that call: then nobody says that the release is good, and no weights are in between.

    Not where Caretaker's own hand takes the weights back: nobody else can.
    """
    hopeless = ("ReleasesCloseRelease", *(("ReleasesRollBack",) if way == "drive" else ()))
    chosen = deaths_for_good(lambda point: releases(point) and point.function not in hopeless)
    results = BAKES.explored(small(way, BAD), chosen, template=deployed)
    never_promoted(results)
    assert [str(each) for each in results if [text for text in each.broken if "weight" in text]] == []


@pytest.mark.long
@pytest.mark.moments
@ways
@pytest.mark.parametrize("hang", [0.0, 60.0])
def test_the_execution_of_a_bad_release_is_stopped_at_any_write(deployed: Path, way: str, hang: float) -> None:
    """The function that makes the call runs on; with `hang` its call takes effect in the middle of the way back.

    A release that Caretaker would drive and that is stopped before it is opened has begun nothing: it ends as ignored.
    """

    def chosen(point: Point) -> bool:
        return point.function.startswith("Releases") and point.changes and (point.when == "before" or not hang)

    for each in BAKES.held(small(way, BAD), stops_at_calls(chosen, hang=hang), template=deployed):
        unopened = way == "drive" and each.label.startswith("stopped at: ReleasesOpenRelease before")
        assert each.outcomes == ("rolled_back",) or (unopened and each.outcomes == ("ignored",)), str(each)


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("hang", [0.0, 60.0])
def test_the_execution_of_a_good_release_is_stopped_at_any_act(deployed: Path, hang: float) -> None:
    """The service's weights end on one side, whichever."""
    BAKES.held(small("drive"), stops_at_calls(acts, hang=hang), template=deployed)


@pytest.mark.long
@pytest.mark.moments
@ways
@behaviours
@pytest.mark.parametrize("how", ["stopped", "timed out"])
def test_the_execution_ends_in_any_state(deployed: Path, way: str, behaviour: str, how: Any) -> None:
    results = BAKES.held(small(way, BEHAVIOURS[behaviour]), ends_at_states(how, 1.0), template=deployed)
    if behaviour == "bad":
        never_promoted(results)
