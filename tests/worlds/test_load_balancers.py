"""Load balancers of worlds: rules, alternate target groups, weights and stickiness as the file says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worlds.rehearsals import small
from twin.errors import WorldError
from twin.rehearsal.events import from_world
from twin.rehearsal.rehearsal import Rehearsal


def service(name: str, **load_balancer: Any) -> dict[str, Any]:
    return {"name": name, "desired_count": 1, "ports": [{"container": 80}], "load_balancer": load_balancer}


def test_services_are_reached_through_what_the_world_says() -> None:
    services = [
        service("plain"),
        service("canary", alternate_target_group=True, weights=[95, 5], stickiness="1h"),
        service("shop", listener="public", rule={"priority": 10, "path_pattern": ["/shop/*"]}),
        service(
            "cart",
            listener="public",
            rule={"priority": 5, "host_header": ["cart.example.com"]},
            alternate_target_group=True,
        ),
    ]
    shift = {
        "at": "+1m",
        "as": "paula",
        "call": "elbv2.ModifyRule",
        "params": {
            "RuleArn": "{rule:cart}",
            "Actions": [
                {
                    "Type": "forward",
                    "ForwardConfig": {
                        "TargetGroups": [
                            {"TargetGroupArn": "{target_group:cart}", "Weight": 90},
                            {"TargetGroupArn": "{alternate_target_group:cart}", "Weight": 10},
                        ]
                    },
                }
            ],
        },
    }
    loaded = small(services, actors=[shift], events=[], at_least="5m")
    with Rehearsal(loaded, from_world(loaded.spec, loaded.folder, loaded.where)) as rehearsal:
        world = rehearsal.world
        elbv2, found = world.elbv2, world.fleet.balanced
        plain, canary, shop, cart = (found[f"lab/{name}"] for name in ("plain", "canary", "shop", "cart"))
        assert plain.alternate is None
        assert elbv2.shares(plain.rule) == elbv2.shares(plain.listener) == {plain.target_group: 1.0}
        assert canary.alternate is not None
        assert elbv2.shares(canary.rule) == pytest.approx({canary.target_group: 0.95, canary.alternate: 0.05})
        assert elbv2.routed(canary.rule).course.routing.stickiness == 3600
        assert shop.listener == cart.listener != plain.listener
        assert [one.arn for one in elbv2.rules_of(shop.listener)][:2] == [cart.rule, shop.rule]
        assert elbv2.weights(shop.listener) == {}
        assert cart.alternate is not None
        assert elbv2.weights(cart.rule) == {cart.target_group: 100, cart.alternate: 0}
        rehearsal.run()
        assert elbv2.weights(cart.rule) == {cart.target_group: 90, cart.alternate: 10}
        (entry,) = [one for one in world.kernel.timeline if one.kind == "rule.weights"]
        assert entry.data["caller"] == "operator:paula"


@pytest.mark.parametrize(
    ("load_balancer", "words"),
    [
        ({"weights": [95, 5]}, "no alternate_target_group"),
        ({"alternate_target_group": True, "weights": [0, 0]}, "all 0"),
        ({"alternate_target_group": True, "weights": [1]}, "weights"),
        ({"listener": "public"}, "needs a rule"),
        ({"rule": {"priority": 1}}, "host_header, path_pattern or both"),
        ({"stickiness": "8d"}, "stickiness"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_built(load_balancer: dict[str, Any], words: str) -> None:
    with pytest.raises(WorldError, match=words):
        small([service("web", **load_balancer)])


def test_a_rule_holds_for_one_service() -> None:
    rule = {"priority": 1, "path_pattern": ["/"]}
    with pytest.raises(WorldError, match="a count"):
        small([{**service("web", rule=rule), "count": 2}])


def test_what_aws_refuses_names_the_service() -> None:
    rule = {"priority": 1, "path_pattern": ["/*"]}
    loaded = small([service(name, listener="public", rule=rule) for name in ("web", "api")], events=[])
    with (
        pytest.raises(WorldError, match=r"services\[1\] api: AWS refuses it: PriorityInUse"),
        Rehearsal(loaded, from_world(loaded.spec, loaded.folder, loaded.where)),
    ):
        pass


def test_a_world_of_one_zone_has_no_weights() -> None:
    loaded = small([service("web", alternate_target_group=True)], zones=["us-east-1a"], events=[])
    with (
        pytest.raises(WorldError, match="network load balancers are not modelled"),
        Rehearsal(loaded, from_world(loaded.spec, loaded.folder, loaded.where)),
    ):
        pass
