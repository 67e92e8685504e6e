"""What world files say of native releases becomes what the API was told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from twin.kernel.api import WORLD
from twin.rehearsal.spec import WorldSpec
from twin.world import World

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
RELEASE = {"strategy": "CANARY", "canary_bake": "2m", "bake": "1m", "hooks": [{"stages": ["POST_SCALE_UP"]}]}
BALANCED = {"alternate_target_group": True, "rule": {"priority": 10, "path_pattern": ["/*"]}}


def spec(**service: Any) -> WorldSpec:
    group = {"name": "web", "desired_capacity": 4, "instance_type": "m5.large"}
    given = {"name": "shop", "desired_count": 2, "ports": [{"container": 80}], "load_balancer": BALANCED, **service}
    return WorldSpec.model_validate({"groups": [group], "services": [given]})


def test_a_service_is_released_by_the_strategy_and_hooks_of_the_world() -> None:
    with World(spec(release=RELEASE), start=START, seed=1) as world:
        ask = {"cluster": "fleet", "services": ["shop"]}
        shown = world.gateway.call("ecs", "DescribeServices", ask, WORLD)["services"][0]
        configuration = shown["deploymentConfiguration"]
        assert configuration["strategy"] == "CANARY"
        assert configuration["bakeTimeInMinutes"] == 1
        assert configuration["canaryConfiguration"] == {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 2}
        assert configuration["lifecycleHooks"][0]["targetType"] == "PAUSE"
        balanced = world.fleet.balanced["fleet/shop"]
        advanced = shown["loadBalancers"][0]["advancedConfiguration"]
        assert advanced["alternateTargetGroupArn"] == balanced.alternate
        assert advanced["productionListenerRule"] == balanced.rule
        assert world.elbv2.weights(balanced.rule) == {balanced.target_group: 100, balanced.alternate: 0}
        update = {"cluster": "fleet", "service": "shop", "forceNewDeployment": True}
        world.gateway.call("ecs", "UpdateService", update, WORLD)
        world.run(600)
        deployment = world.gateway.call("ecs", "DescribeServices", ask, WORLD)["services"][0][
            "currentServiceDeployment"
        ]
        found = world.gateway.call("ecs", "DescribeServiceDeployments", {"serviceDeploymentArns": [deployment]}, WORLD)[
            "serviceDeployments"
        ][0]
        assert found["lifecycleHookDetails"][0]["status"] == "AWAITING_ACTION"
        hook = found["lifecycleHookDetails"][0]["hookId"]
        carry_on = {"serviceDeploymentArn": deployment, "hookId": hook, "action": "CONTINUE"}
        world.gateway.call("ecs", "ContinueServiceDeployment", carry_on, WORLD)
        world.run(2000)
        assert world.elbv2.weights(balanced.rule) == {balanced.target_group: 0, balanced.alternate: 100}


def test_an_external_service_starts_with_a_primary_task_set() -> None:
    with World(spec(deployment_controller="EXTERNAL"), start=START, seed=1) as world:
        ask = {"cluster": "fleet", "service": "shop"}
        (one,) = world.gateway.call("ecs", "DescribeTaskSets", ask, WORLD)["taskSets"]
        assert (one["status"], one["runningCount"], one["stabilityStatus"]) == ("PRIMARY", 2, "STEADY_STATE")


@pytest.mark.parametrize(
    "service",
    [
        {"release": {**RELEASE, "bake": "90s"}},
        {"release": {**RELEASE, "hooks": [{"stages": ["POST_SCALE_UP"], "function": "Gate"}]}},
        {"release": RELEASE, "load_balancer": {"port": 80}},
    ],
)
def test_releases_that_ecs_cannot_make_are_refused(service: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**service)
