"""Every moment at which a replacement can be cut short: it is carried through, or undone, and nothing is left behind.

`make test` tries a few moments; `pytest -m long tests/worlds/test_crashes.py` tries all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crash_stage import Stage, copied, failures, group, small
from strikes import Series, deaths, deaths_for_good, ends_at_states, stops_at_calls

from tests.points import Point

SAMPLE = {
    "HostsLaunchCapacity after autoscaling:LaunchInstances 1",
    "HostsDrainHosts after ecs:UpdateContainerInstancesState 1",
    "HostsEndHosts after autoscaling:TerminateInstanceInAutoScalingGroup 1",
}


def test_a_sample_of_moments() -> None:
    """One of each kind; the plain run first."""
    results = Stage(
        small(),
        deaths(lambda point: str(point) in SAMPLE),
        stops_at_calls(lambda point: str(point) == "HostsRaiseSurge before ecs:UpdateService 1", hang=60.0),
        ends_at_states("timed out", only="Publish outcome"),
    ).explore()
    assert failures(results) == []
    assert {ended.label: ended.outcomes for ended in results} == {
        "": ("replaced",),
        **{f"dies: {point}": ("replaced",) for point in SAMPLE},
        "stopped at: HostsRaiseSurge before ecs:UpdateService 1, which takes 60 s": ("undone",),
        "timed out 0 s after entering Publish outcome 1": ("replaced",),
    }


EAGER = {"name": "web", "desired_count": 2, "minimum_healthy_percent": 0, "maximum_percent": 200, "cpu": 700}


def test_percents_stay_raised_while_an_undo_cannot_end_the_drain() -> None:
    """Somebody stops the execution in the drain, and ECS throttles the undo's first looks at the hosts."""
    denied = {"kind": "api_error", "service": "ecs", "operation": "DescribeContainerInstances", "times": 12}
    document = stopped_in(
        "Wait for tasks", 25, services=[EAGER], faults=[{**denied, "function": "HostsUndoReplacement"}]
    )
    (ended,) = Stage(document).explore()
    assert (ended.outcomes, ended.broken) == (("undone",), ())


def stopped_in(state: str, after: int = 1, **changes: Any) -> dict[str, Any]:
    """A small world in which somebody stops the execution so many seconds after it entered a state."""
    when = {"machine": "ReplaceHost", "state": state, "after": after}
    params = {"executionArn": "{execution}"}
    stop = {"when": when, "as": "dora", "call": "stepfunctions.StopExecution", "params": params}
    return small(actors=[stop], **changes)


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product, so that an edit in the middle of a long series does not mix two versions of it."""
    return copied(tmp_path_factory.mktemp("deployed"))


HOSTS = Series(Stage, 5400.0)

WORLDS: dict[str, dict[str, Any]] = {
    "launch": small(),
    "desired": small(groups=group(instance_types=["m5.large"])),
    "not_raised": small(options={"autoscaling": {"launch_instances_raises_desired": False}}),
    "room": small(groups=group(desired_capacity=3, min_size=3)),
}
"""The group launches by LaunchInstances; by its desired capacity; needs it to be raised; or has room without."""


def writes(point: Point) -> bool:
    return point.changes and point.function.startswith("Hosts")


def acts(point: Point) -> bool:
    """Calls that change the fleet, not Caretaker's own table."""
    return writes(point) and point.service not in ("dynamodb", "stepfunctions")


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("service", ["dynamodb", "the others"])
def test_a_function_dies_at_any_call_that_changes_anything(deployed: Path, service: str) -> None:
    def chosen(point: Point) -> bool:
        own = point.service == "dynamodb"
        return point.changes and own is (service == "dynamodb") and point.function != "InboundSignal"

    for ended in HOSTS.held(small(), deaths(chosen), template=deployed):
        assert ended.outcomes == ("replaced",), str(ended)


@pytest.mark.long
@pytest.mark.moments
def test_a_function_dies_at_any_look(deployed: Path) -> None:
    """The first of each kind: for what stays behind, all looks between two calls that change anything are the same."""

    def chosen(point: Point) -> bool:
        looks = not point.changes and point.function != "InboundSignal"
        return looks and point.when == "before" and point.nth == 1

    for ended in HOSTS.held(small(), deaths(chosen), template=deployed):
        assert ended.outcomes == ("replaced",), str(ended)


@pytest.mark.long
@pytest.mark.moments
def test_the_signal_function_dies_at_any_call(deployed: Path) -> None:
    for ended in HOSTS.held(small(), deaths(lambda point: point.function == "InboundSignal"), template=deployed):
        assert ended.outcomes == ("replaced",), str(ended)


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("world", [name for name in WORLDS if name != "launch"])
def test_a_function_dies_at_any_act_in_other_groups(deployed: Path, world: str) -> None:
    for ended in HOSTS.held(WORLDS[world], deaths(acts), template=deployed):
        assert ended.outcomes == ("replaced",), str(ended)


@pytest.mark.long
@pytest.mark.moments
def test_a_function_dies_for_good(deployed: Path) -> None:
    """Each time that it comes to that call: then the work is undone, or finished by the reaper, if it can be."""
    undoing = ("HostsUndoReplacement", "HostsReleaseHosts", "HostsEndHosts", "HostsWaitForEnd", "HostsRestoreSettings")
    hopeless = (*undoing, "HostsReapReplacements")  # nobody picks up the reaper's own work but the reaper
    chosen = deaths_for_good(lambda point: writes(point) and point.function not in hopeless)
    for ended in HOSTS.held(small(), chosen, template=deployed)[1:]:
        assert set(ended.outcomes) <= {"undone", "replaced"}, str(ended)


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("hang", [0.0, 4.0, 60.0])
def test_the_execution_is_stopped_at_any_act(deployed: Path, hang: float) -> None:
    """The function that makes the call runs on; with `hang` its call takes effect in the middle of the clean-up."""

    def chosen(point: Point) -> bool:
        slots = point.function == "HostsTakeSlot" and point.changes
        return (acts(point) or slots) and (point.when == "before" or not hang)

    for ended in HOSTS.held(small(), stops_at_calls(chosen, hang=hang), template=deployed)[1:]:
        assert ended.outcomes == ("replaced",) if ended.returned else ("undone",), str(ended)


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("world", [name for name in WORLDS if name != "launch"])
def test_the_execution_is_stopped_at_any_act_in_other_groups(deployed: Path, world: str) -> None:
    HOSTS.held(
        WORLDS[world],
        stops_at_calls(lambda point: acts(point) and point.when == "before", hang=60.0),
        template=deployed,
    )


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("delay", [0.0, 1.0])
@pytest.mark.parametrize("how", ["stopped", "timed out"])
def test_the_execution_ends_in_any_state(deployed: Path, how: Any, delay: float) -> None:
    for ended in HOSTS.held(small(), ends_at_states(how, delay), template=deployed)[1:]:
        assert ended.outcomes[-1] in ("undone", "replaced"), str(ended)
        assert ended.outcomes[0] == "replaced" or not ended.returned, str(ended)


CLEANING = (
    "HostsReapReplacements",
    "HostsUndoReplacement",
    "HostsEndHosts",
    "HostsWaitForEnd",
    "HostsRestoreSettings",
    "HostsReleaseHosts",
)


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("state", ["Wait for hosts", "Wait for tasks", "Wait for end"])
def test_a_function_dies_while_it_undoes_or_finishes(deployed: Path, state: str) -> None:
    HOSTS.held(stopped_in(state), deaths(lambda point: point.changes and point.function in CLEANING), template=deployed)


@pytest.mark.long
@pytest.mark.moments
def test_the_clean_up_is_stopped_too(deployed: Path) -> None:
    """In any state, and at any act of the undo, which then takes effect in the middle of the next undo."""
    HOSTS.held(
        stopped_in("Wait for tasks"),
        ends_at_states("stopped", 1.0),
        stops_at_calls(lambda point: acts(point) and point.function == "HostsUndoReplacement", hang=30.0),
        template=deployed,
    )


@pytest.mark.long
@pytest.mark.moments
def test_a_batch_of_two_hosts_dies_at_any_act(deployed: Path) -> None:
    """The two pages of one notice name two of four hosts; the budget allows both at once."""
    document = small(
        policy={"defaults": {"hosts": {"mode": "act", "budget": 2}}},
        groups=group(
            desired_capacity=4, max_size=8, instances=[f"i-0a1b2c3d4e5f6000{number}" for number in range(1, 5)]
        ),
        maintenance=[],
        events=[{"file": f"../../events/health-ec2-stop-page{page}of2.json"} for page in (1, 2)],
    )
    for ended in HOSTS.held(document, deaths(acts), template=deployed):
        assert ended.outcomes == ("replaced",), str(ended)
