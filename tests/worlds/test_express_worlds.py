"""Worlds with an Express service that is released: what Express Mode does about it alone, and with Caretaker."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rehearsals import WORLDS, broken, mutations, outcomes, rehearsed, shipped

from twin.ecs.model import Service
from twin.errors import WorldError
from twin.rehearsal.actors import Actors
from twin.rehearsal.express_spec import ExpressChoices
from twin.rehearsal.loading import load_world, world_of
from twin.rehearsal.report import Report
from twin.rehearsal.spec import Options, PolicyDocuments, WorldSpec
from twin.world import World

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
OFF = PolicyDocuments(defaults={"releases": {"way": "off"}})


def spec(*services: dict[str, Any], **fields: Any) -> WorldSpec:
    return world_of({"groups": [], "services": list(services), **fields}, "express", Path(), "express").spec


def variant(name: str, **fields: Any) -> Report:
    """The report of a shipped world with other fields."""
    loaded = load_world(WORLDS / f"{name}.yaml")
    return rehearsed(replace(loaded, spec=loaded.spec.model_copy(update=fields)))


def back_at(report: Report) -> str:
    """When the new revision had no weight any more."""
    return next(entry.at for entry in report.timeline if ": 0 % of production traffic" in entry.text)


def run(given: WorldSpec, seconds: float = 1800) -> list[Service]:
    """The services of a world after a while."""
    with World(given, start=START, seed=given.seed) as world:
        Actors(world)
        world.kernel.scheduler.call_later(seconds, lambda: None, name="at least")
        world.run(seconds)
        return list(world.ecs.store.services.values())


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("release_express_good", "SUCCESSFUL"),
        ("release_express_bad", "ROLLBACK_SUCCESSFUL"),
        ("release_express_missed", "SUCCESSFUL"),
    ],
)
def test_express_mode_alone_sees_what_exceeds_one_percent(name: str, status: str) -> None:
    shipped = load_world(WORLDS / f"{name}.yaml").spec.model_copy(update={"policy": OFF})
    [service] = run(shipped)
    latest = service.history[-1]
    assert (latest.definition.arn.rpartition("/")[2], latest.deployment_status) == ("shop-web:2", status)


def test_a_good_release_is_watched_and_promoted() -> None:
    report = shipped("release_express_good")
    assert (report.verdict, outcomes(report), broken(report)) == ("ok", ["promoted"], [])
    assert mutations(report) == []


def test_a_bad_release_is_stopped_before_express_mode_sees_it() -> None:
    report = shipped("release_express_bad")
    assert (report.verdict, outcomes(report), broken(report)) == ("ok", ["rolled_back"], [])
    assert mutations(report) == ["ecs:StopServiceDeployment"]
    alone = variant("release_express_bad", policy=OFF, expect=[])
    assert back_at(report) < back_at(alone)


def test_what_express_mode_lets_pass_is_rolled_back() -> None:
    report = shipped("release_express_missed")
    assert (report.verdict, outcomes(report), broken(report)) == ("ok", ["rolled_back"], [])
    assert mutations(report) == ["ecs:StopServiceDeployment"]
    assert [event["detail-type"] for event in report.events] == ["Release Rolled Back"]


def test_it_makes_no_difference_whether_ecs_shows_the_load_balancers() -> None:
    options = Options(express=ExpressChoices(shows_load_balancers=True))
    report = variant("release_express_missed", options=options)
    assert (report.verdict, outcomes(report)) == ("ok", ["rolled_back"])


def test_copies_share_a_load_balancer_and_private_ones_have_their_own() -> None:
    inside = {"name": "inside", "express": {"public": False, "cpu": 256, "memory": 1024, "health_check_path": "/up"}}
    services = run(spec({"name": "web", "count": 3, "express": {"min_tasks": 2}}, inside, cluster="shop"), 1)
    assert [service.healthy for service in services] == [2, 2, 2, 1]
    balancers = [service.express.balancer for service in services if service.express]
    assert [one.scheme for one in balancers] == ["internet-facing"] * 3 + ["internal"]
    assert len({id(one) for one in balancers}) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"services": [{"name": "web", "express": {}, "desired_count": 2}]}, "has no desired_count"),
        ({"services": [{"name": "web", "express": {"min_tasks": 3, "max_tasks": 2}}]}, "above max_tasks"),
        ({"services": [{"name": "web", "express": {}}, {"name": "old"}]}, "groups: a world needs at least one"),
        ({"services": []}, "groups: a world needs at least one"),
        ({"services": [{"name": "web", "express": {"cpu": 256, "memory": 16384}}]}, "No Fargate configuration"),
        ({"services": [{"name": "web", "express": {}}], "zones": ["us-east-1a"]}, "two different Availability Zones"),
    ],
)
def test_worlds_that_cannot_be(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(WorldError, match=words):
        run(spec(**{"groups": [], **fields}), 1)
