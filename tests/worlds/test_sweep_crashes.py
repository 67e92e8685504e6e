"""Moments at which a sweep is cut short on Lambda and the interpreter of Step Functions: nothing in use is deleted, and
the next run finishes the work.

`pytest -m long tests/worlds/test_sweep_crashes.py` tries every write, every act and every state. That a function dies
at any call, reads too, is in tests/garbage_sweeps/test_sweep_deaths.py, many times faster.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crash_stage import Ended, copied
from strikes import deaths, deaths_for_good, ends_at_states, stops_at_calls
from sweep_crashes import SWEEPS, acts, last, shared, sweeping

from tests.points import Point

TELLING = {
    "GarbageDeleteNext before elbv2:DeleteRule 1",
    "GarbageDeleteNext after elbv2:DeleteRule 1",
    "GarbageDeleteNext after dynamodb:TransactWriteItems 3",
    "GarbageDeleteNext after ec2:RevokeSecurityGroupEgress 1",
    "GarbageConfirmSweep after dynamodb:BatchWriteItem 1",
    "GarbageCloseSweep after dynamodb:UpdateItem 1",
}


def swept(results: list[Ended]) -> None:
    """In the end; where the predecessor's deletions were still vanishing, by the sweep that follows."""
    assert {each.outcomes for each in results} <= {("swept",), ("kept", "swept")}


@pytest.mark.long  # test_sweep_deaths.py has a quick sample
def test_a_sample_of_moments() -> None:
    """Around a deletion, with its intent written and without its answer, under the lock, and half closed."""
    results = SWEEPS.held(
        shared(),
        deaths(lambda point: str(point) in TELLING),
        stops_at_calls(lambda point: str(point) == "GarbageDeleteNext before elbv2:DeleteTargetGroup 1", hang=60.0),
        ends_at_states("timed out", 0.0, only="Delete next"),
    )
    labels = {each.label for each in results}
    assert {f"dies: {point}" for point in TELLING} <= labels
    assert [label for label in labels if label.startswith("stopped")]
    assert [label for label in labels if label.startswith("timed out")]
    swept(results)


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product, so that an edit in the middle of a long series does not mix two versions of it."""
    return copied(tmp_path_factory.mktemp("deployed"))


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("world", [shared, last])
def test_a_function_dies_at_any_write(deployed: Path, world: Callable[[], dict[str, Any]]) -> None:
    chosen = deaths(lambda point: sweeping(point) and point.changes)
    swept(SWEEPS.held(world(), chosen, template=deployed))


@pytest.mark.long
@pytest.mark.moments
def test_a_function_dies_for_good(deployed: Path) -> None:
    """Each time that it comes to that call: what is left is left, and nothing in use is deleted."""
    results = SWEEPS.explored(
        last(), deaths_for_good(lambda point: sweeping(point) and point.changes), template=deployed
    )
    assert [str(each) for each in results if any("in_use" in text or "proven" in text for text in each.broken)] == []


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("hang", [0.0, 60.0])
def test_the_execution_is_stopped_at_any_act(deployed: Path, hang: float) -> None:
    """The function that makes the call runs on; with `hang` its call takes effect in the middle of the next run."""

    def chosen(point: Point) -> bool:
        return acts(point) and (point.when == "before" or not hang)

    swept(SWEEPS.held(last(), stops_at_calls(chosen, hang=hang), template=deployed))


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("how", ["stopped", "timed out"])
def test_the_execution_ends_in_any_state(deployed: Path, how: Any) -> None:
    swept(SWEEPS.held(shared(), ends_at_states(how, 1.0), template=deployed))
