"""What users met of a new revision, as the twin saw it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pytest
from release_stage import DEPLOY, REGISTER, actor, release_world, stop

from twin.rehearsal.actors import Actors
from twin.rehearsal.exposures import Exposure, Exposures, worse
from twin.traffic.latency import Latency
from twin.traffic.model import Effect
from twin.world import World

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    seen: list[Exposure]

    def at(self, moment: datetime | None) -> float:
        assert moment is not None
        return (moment - START).total_seconds()


def run(behaviour: dict[str, Any] | None, stop_at: float | None = None, **fields: Any) -> Run:
    spec = release_world(behaviour, **fields).spec
    with World(spec, start=START, seed=1) as world:
        exposures = Exposures(world)
        Actors(world)
        if stop_at is not None:
            world.kernel.scheduler.call_later(stop_at, lambda: stop(world), name="stop")
        assert world.run(3_600)
        return Run(exposures.seen)


@lru_cache(maxsize=1)
def good() -> Run:
    return run(None)


def test_a_good_release_is_one_exposure_that_never_is_bad() -> None:
    [exposure] = good().seen
    assert (exposure.canary.definition, exposure.baseline.definition) == ("shop:2", "shop:1")
    assert [share for _, share in exposure.shares] == [0.05, 1.0]
    assert (exposure.bad_at, exposure.zero_at, exposure.errors) == (None, None, 0.0)
    canary_minutes = (exposure.shares[1][0] - exposure.opened).total_seconds() / 60
    assert 10 <= canary_minutes < 12
    assert exposure.requests > 10 * 60


def test_a_bad_one_is_bad_from_the_behaviours_start_until_its_weight_is_zero() -> None:
    bad = run({"errors_5xx": 0.5, "after": "6m"}, stop_at=510)
    [exposure] = bad.seen
    assert bad.at(exposure.opened) < 360
    assert bad.at(exposure.bad_at) == 360
    assert 510 < bad.at(exposure.zero_at) < 540
    assert exposure.seconds_to_zero == bad.at(exposure.zero_at) - 360
    # 60 requests a minute, half of which are errors, for 2.5 to 3 minutes and what nodes still send after that
    assert 70 < exposure.errors < 110


def test_one_that_is_bad_from_its_start_is_bad_from_its_first_weight_on() -> None:
    bad = run({"dead": "refuses"}, stop_at=400)
    [exposure] = bad.seen
    assert exposure.bad_at == exposure.opened
    assert exposure.answered == 0
    assert exposure.errors == pytest.approx(exposure.requests)


def test_weights_that_are_reset_and_set_again_are_the_same_exposure() -> None:
    groups = [("{target_group:shop}", 100), ("{alternate_target_group:shop}", 0)]
    reset = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in groups]
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": reset}}]
    change = actor("+6m", "elbv2.ModifyRule", RuleArn="{rule:shop}", Actions=actions)
    [exposure] = run(None, actors=[REGISTER, DEPLOY, change]).seen
    assert [share for _, share in exposure.shares] == [0.05, 0.0, 1.0]
    assert exposure.zero_at is None


def test_the_next_release_is_another_exposure() -> None:
    again = actor("+30m", "ecs.UpdateService", cluster="fleet", service="shop", forceNewDeployment=True)
    first, second = run(None, actors=[REGISTER, DEPLOY, again]).seen
    assert second.opened > first.opened
    assert (second.canary_group, second.baseline_group) == (first.baseline_group, first.canary_group)
    assert second.bad_at is None


USUAL = Effect(errors_5xx=0.005, errors_4xx=0.02, latency=Latency.of(0.1, 0.5))


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        (USUAL, False),
        (Effect(0.0, 0.02, latency=USUAL.latency), False),
        (Effect(0.006, 0.02, latency=USUAL.latency), True),
        (Effect(0.005, 0.03, latency=USUAL.latency), True),
        (Effect(0.005, 0.02, latency=Latency.of(0.1, 0.8)), True),
        (Effect(0.005, 0.02, latency=USUAL.latency, burst=(3, 10)), False),
        (Effect(0.005, 0.02, latency=USUAL.latency, dead="times_out"), True),
    ],
)
def test_bad_is_what_is_worse_than_the_baseline(canary: Effect, expected: bool) -> None:
    assert worse(canary, USUAL) is expected


def test_what_kills_both_is_no_fault_of_the_canary() -> None:
    dead = Effect(dead="refuses")
    assert not worse(dead, dead)
