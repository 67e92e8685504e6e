"""Express services that are scaled: by CPU, by memory, by requests for each target."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twin.kernel.api import WORLD
from twin.rehearsal.loading import world_of
from twin.world import World

START = datetime(2026, 10, 5, 10, tzinfo=UTC)
MINUTE = 60.0


def world(per_minute: float, trouble: list[dict[str, Any]] | None = None, **express: Any) -> World:
    data: dict[str, Any] = {
        "cluster": "shop",
        "groups": [],
        "services": [{"name": "web", "express": {"min_tasks": 2, "max_tasks": 6, **express}}],
        "traffic": {"requests": [{"service": "web", "per_minute": per_minute}], "trouble": trouble or []},
    }
    return World(world_of(data, "w.yaml", Path()).spec, start=START, seed=1)


def desired(built: World, minutes: float) -> int:
    """After so many minutes from now."""
    end = built.kernel.clock.elapsed + minutes * MINUTE
    built.kernel.scheduler.call_at(end, lambda: None, name="test")
    built.run(end)
    service = built.ecs.store.services[built.kernel.arn("ecs", "service/shop/web")]
    return service.desired


CPU = {"load": {"cpu_idle": 5.0, "cpu_per_request": 0.1}}
MEMORY = {"metric": "AVERAGE_MEMORY", "load": {"memory_idle": 20.0, "memory_per_request": 0.085}}
REQUESTS = {"metric": "REQUEST_COUNT_PER_TARGET", "target": 600}


@pytest.mark.parametrize("express", [CPU, MEMORY, REQUESTS])
def test_three_minutes_above_the_target_before_it_scales_out(express: dict[str, Any]) -> None:
    """2,000 requests a minute for two tasks: 105 % of CPU (at most 100), 105 % of memory, 1,000 for each target."""
    with world(2_000, **express) as built:
        assert desired(built, 3) == 2
        assert desired(built, 4) == 4
        service = built.ecs.store.services[built.kernel.arn("ecs", "service/shop/web")]
        built.run(built.kernel.clock.elapsed + 300)
        assert service.healthy >= 4
        made = [call for call in built.kernel.calls if call.operation == "UpdateService"]
        assert {call.caller.name for call in made} == {"application-autoscaling"}


def test_fifteen_minutes_well_below_the_target_before_it_scales_in() -> None:
    quiet = [{"after": 900.0, "requests": 0.05}]
    with world(2_000, quiet, **CPU) as built:
        assert desired(built, 14) == 4
        assert desired(built, 10) == 4
        assert desired(built, 20) == 2


def test_never_beyond_its_bounds_and_never_without_a_load() -> None:
    with world(40_000, **CPU) as built:
        assert desired(built, 60) == 6
    with world(40_000) as built:
        assert desired(built, 60) == 2


def test_a_scheduled_action_of_its_owner_moves_the_bounds() -> None:
    with world(100, **CPU) as built:
        target = {"ServiceNamespace": "ecs", "ResourceId": "service/shop/web"}
        action = {
            **target,
            "ScalableDimension": "ecs:service:DesiredCount",
            "ScheduledActionName": "morning",
            "Schedule": "at(2026-10-05T10:30:00)",
            "ScalableTargetAction": {"MinCapacity": 3},
        }
        built.gateway.call("application-autoscaling", "PutScheduledAction", action, WORLD)
        assert desired(built, 29) == 2
        assert desired(built, 5) == 3
