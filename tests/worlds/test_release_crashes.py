"""Every moment at which the bake of a release can be cut short: it neither promotes nor leaves weights in between.

`make test` tries a few moments; `pytest -m long tests/worlds/test_release_crashes.py` tries all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crash_stage import Ended, Point, Stage, copied, deaths, deaths_for_good, ends_at_states, items, stops_at_calls

BAD = {"errors_5xx": 0.5}
CONTAINER = {
    "name": "web",
    "image": "example.com/web:2",
    "memory": 128,
    "essential": True,
    "portMappings": [{"containerPort": 80, "hostPort": 0}],
}


def small(behaviour: dict[str, Any] | None = None, mode: str = "act", **fields: Any) -> dict[str, Any]:
    """One service of two tasks, released by ECS's canary; `behaviour` of the new revision."""
    usual = {"errors_5xx": 0.002, "latency": {"median": 0.05, "p99": 0.2}}
    service = {
        "name": "web",
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
        "release": {"strategy": "CANARY", "canary_percent": 20, "canary_bake": "12m", "bake": "3m"},
    }
    register = {"family": "web", "networkMode": "bridge", "containerDefinitions": [CONTAINER]}
    update = {"cluster": "lab", "service": "web", "taskDefinition": "web:2"}
    return {
        "cluster": "lab",
        "policy": {"defaults": {"releases": {"mode": mode}}},
        "groups": [{"name": "hosts", "desired_capacity": 2}],
        "services": [service],
        "traffic": {
            "history": "15m",
            "requests": [{"service": "web", "per_minute": 1200}],
            "behaviours": [usual, *([{"task_definition": "web:2", **behaviour}] if behaviour else [])],
        },
        "actors": [
            {"at": "+10s", "call": "ecs.RegisterTaskDefinition", "params": register},
            {"at": "+20s", "call": "ecs.UpdateService", "params": update},
        ],
        **fields,
    }


class Bakes(Stage):
    """The same for releases: what has to hold in the end of every run."""

    def judge(self) -> Ended:
        report = self.rehearsal.report(0.0)
        broken = [f"{law.name}: {law.worst} ({law.who}, {law.when})" for law in report.laws if law.held is False]
        broken += [f"{each.name} is {each.status} without outcome" for each in report.executions if not each.outcome]
        broken += [f"{count} messages in {name}" for name, count in report.dead_letters.items()]
        outcomes = {each.work: (str(each.outcome), str(each.reason)) for each in report.executions}
        told = {event["detail"]["id"] for event in report.events}
        broken += [f"{name}: no outcome event" for name in outcomes if name not in told]
        broken += [*self._weights(), *self._left()]
        words = tuple(reason for _, reason in outcomes.values())
        return Ended(self.label, tuple(outcome for outcome, _ in outcomes.values()), words, tuple(broken))

    def _weights(self) -> Iterator[str]:
        """Weights in between."""
        for name, balanced in self.world.fleet.balanced.items():
            weights = sorted(self.world.elbv2.weights(balanced.rule).values())
            if weights != [0, 100]:
                yield f"{name}: weights {weights}"

    def _left(self) -> Iterator[str]:
        for item in items(self.world):
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            if pk == "RELEASES" and item["kind"]["S"] == "open":
                yield f"{sk} is still in the index as open"
            if sk == "RELEASE" and pk.startswith("SERVICE#") and item["release"]["S"]:
                yield f"{pk} is still claimed"

    def serves_old(self) -> bool:
        balanced = self.world.fleet.balanced["lab/web"]
        return self.world.elbv2.weights(balanced.rule)[balanced.target_group] == 100


SAMPLE = {
    "ReleasesOpenRelease after dynamodb:TransactWriteItems 1",
    "ReleasesRollBack before ecs:StopServiceDeployment 1",
    "ReleasesRollBack after ecs:StopServiceDeployment 1",
}


def releases(point: Point) -> bool:
    return point.function.startswith("Releases") or point.function == "InboundIntake"


def ended(document: dict[str, Any], *strikes: Any, template: Path | None = None) -> list[Ended]:
    results = Bakes(document, *strikes, after=1900.0, template=template).explore()
    print(f"{len(results) - 1} moments")
    assert [str(each) for each in results if each.broken] == []
    return results


def test_a_sample_of_moments() -> None:
    """One of each kind; the plain run first. The bad revision is rolled back in all of them."""
    results = ended(
        small(BAD),
        deaths(lambda point: str(point) in SAMPLE),
        ends_at_states("stopped", 0.0, only="Roll back"),
        ends_at_states("timed out", 0.0, only="Open release"),
    )
    assert {f"dies: {point}" for point in SAMPLE} <= {each.label for each in results}
    assert [each for each in results if each.label.startswith("stopped")]
    assert {each.outcomes for each in results} == {("rolled_back",)}


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product, so that an edit in the middle of a long series does not mix two versions of it."""
    return copied(tmp_path_factory.mktemp("deployed"))


@pytest.mark.long
def test_a_function_dies_at_any_call(deployed: Path) -> None:
    """Once: whoever invoked it invokes it again, and the bad revision goes back."""
    for each in ended(small(BAD), deaths(releases), template=deployed):
        assert each.outcomes == ("rolled_back",), str(each)


@pytest.mark.long
def test_a_good_release_survives_a_death_at_any_call_that_changes_anything(deployed: Path) -> None:
    for each in ended(small(), deaths(lambda point: releases(point) and point.changes), template=deployed):
        assert each.outcomes in (("promoted",), ("inconclusive",)), str(each)


@pytest.mark.long
def test_a_function_dies_for_good(deployed: Path) -> None:
    """Each time that it comes to that call: then nobody says that the release is good."""
    chosen = deaths_for_good(lambda point: releases(point) and point.function not in ("ReleasesCloseRelease",))
    for each in Bakes(small(BAD), chosen, after=1900.0, template=deployed).explore()[1:]:
        assert "promoted" not in each.outcomes, str(each)
        assert not [text for text in each.broken if "weights" in text], str(each)


@pytest.mark.long
@pytest.mark.parametrize("hang", [0.0, 60.0])
def test_the_execution_is_stopped_at_any_act(deployed: Path, hang: float) -> None:
    chosen = stops_at_calls(lambda point: point.function.startswith("Releases") and point.changes, hang=hang)
    for each in ended(small(BAD), chosen, template=deployed):
        assert each.outcomes == ("rolled_back",), str(each)


@pytest.mark.long
@pytest.mark.parametrize("how", ["stopped", "timed out"])
def test_the_execution_ends_in_any_state(deployed: Path, how: Any) -> None:
    for each in ended(small(BAD), ends_at_states(how, 1.0), template=deployed):
        assert each.outcomes == ("rolled_back",), str(each)
