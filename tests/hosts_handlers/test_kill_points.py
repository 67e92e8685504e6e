"""A function dies between two calls: whatever was done by then, the work comes to a lawful end.

Each point is tried twice: the state is retried, as Step Functions does; and the execution is stopped at that very
moment, so that the reaper has to end the work from the journal alone. Before the point of no return that end is the
undo, after it the finish.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_world import Ended, Killer, Point, points_of, small

from twin.world import PROJECT


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with Killer(small(), frozen(tmp_path_factory.mktemp("deployed"))) as world:
        yield world


def frozen(folder: Path) -> Path:
    """A copy of what is deployed: an edit in the middle of a long series would mix two versions of it."""
    for name in ("functions", "statemachines"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Path(shutil.copy(PROJECT / "template.yaml", folder))


def lawful(point: Point, ended: Ended) -> list[str]:
    """What is wrong with how a run ended."""
    found = list(ended.broken)
    if not ended.struck:
        found.append(f"{point}: the function did not die")
    wanted = ["replaced"] if ended.passed or not point.stop else ["replaced", "undone"]
    if ended.outcomes[-1] not in wanted:
        found.append(f"{point} ended as {ended.outcomes}, not as {' or '.join(wanted)}")
    return found


ACTS = [
    ("HostsLaunchCapacity", "autoscaling", "LaunchInstances"),
    ("HostsRaiseSurge", "ecs", "UpdateService"),
    ("HostsDrainHosts", "ecs", "UpdateContainerInstancesState"),
    ("HostsEndHosts", "autoscaling", "TerminateInstanceInAutoScalingGroup"),
]


@pytest.mark.parametrize("stop", [False, True], ids=["retried", "stopped"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act[0])
def test_a_function_dies_just_after_its_act(killer: Killer, act: tuple[str, str, str], stop: bool) -> None:
    point = Point(*act, nth=1, when="after", stop=stop)
    assert lawful(point, killer.run(point)) == []


@pytest.mark.long
@pytest.mark.parametrize("tables", [False, True], ids=["AWS", "table"])
def test_every_kill_point(killer: Killer, tables: bool) -> None:
    points = points_of(killer.clean(), tables)
    assert len(points) > 40
    found = {str(point): wrong for point in points if (wrong := lawful(point, killer.run(point)))}
    assert found == {}
