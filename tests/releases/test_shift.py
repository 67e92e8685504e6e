"""Weights of real rules in the twin: read, written with everything else kept, and read back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from caretaker.aws import elbv2, errors
from caretaker.releases import shift
from caretaker.releases.shift import NoHealthyTarget, WeightsChanged, WeightsNotKept

from tests.neighbours.balancer_stage import Balanced, balanced, forward, path
from tests.releases.bake_stage import OPERATOR, as_operator
from twin.kernel.api import Call

OIDC = {
    "Issuer": "https://id.example.com",
    "AuthorizationEndpoint": "https://id.example.com/a",
    "TokenEndpoint": "https://id.example.com/t",
    "UserInfoEndpoint": "https://id.example.com/u",
    "ClientId": "shop",
}


class Two:
    """A rule, and a listener's default, that both forward to blue with all the weight; targets are healthy."""

    def __init__(self, world: Balanced) -> None:
        self.world = world
        self.blue, self.green, self.red = world.groups("blue", "green", "red")
        self.https = world.secure()
        sign_in = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {**OIDC, "ClientSecret": "s"}}
        routing = forward({self.blue: 100, self.green: 0}, 3_600, Order=2)
        self.rule = world.rule(sign_in, routing, ListenerArn=self.https, Conditions=[path("/shop/*")])
        self.listener = world.listen(8080, forward({self.blue: 1}))
        for group, host in ((self.blue, "10.0.0.1"), (self.green, "10.0.1.1")):
            world.elbv2.register(group, host, 80, "us-east-1a", lambda: True)
        world.stage.run(300)

    @property
    def rules(self) -> tuple[str, ...]:
        return (self.rule, self.listener)

    def to(self, share: float, was: float = 0.0, **how: Any) -> shift.Shifted:
        return shift.shift(self.rules, self.green, self.blue, was=was, to=share, **how)

    def shares(self) -> list[float | None]:
        return [reading.share for reading in shift.read(self.rules, self.green, self.blue)]

    def writes(self) -> list[str]:
        return [call.operation for call in self.world.stage.kernel.calls if call.operation.startswith("Modify")]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    with balanced() as world, as_operator(monkeypatch, world.stage.gateway):
        yield Two(world)


def test_rules_and_default_rules_get_the_share_and_keep_the_rest(two: Two) -> None:
    before = elbv2.describe_rules([two.rule])[0]
    done = two.to(0.05)
    assert two.shares() == [0.05, 0.05]
    assert done.written == two.rules
    assert done.health.words == "1 of 1 targets healthy"
    assert sorted(two.writes()) == ["ModifyListener", "ModifyRule"]
    after = elbv2.describe_rules([two.rule])[0]
    assert after["Conditions"] == before["Conditions"]
    assert [action["Type"] for action in after["Actions"]] == ["authenticate-oidc", "forward"]
    assert after["Actions"][0] == before["Actions"][0]
    sticky = after["Actions"][1]["ForwardConfig"]["TargetGroupStickinessConfig"]
    assert sticky == {"Enabled": True, "DurationSeconds": 3_600}
    assert shift.sticky(done.after)


def test_a_default_rule_is_written_as_its_listener(two: Two) -> None:
    default = next(rule["RuleArn"] for rule in elbv2.rules_of(two.listener) if rule["IsDefault"])
    shift.write(default, two.green, two.blue, 0.25)
    assert shift.share_of(shift.read([two.listener, default], two.green, two.blue)) == 0.25
    assert two.writes() == ["ModifyListener"]


def test_a_shift_that_is_done_is_not_written_again(two: Two) -> None:
    two.to(0.25)
    writes = two.writes()
    assert two.to(0.25, was=0.05).written == ()
    assert two.writes() == writes


def test_a_shift_that_died_halfway_is_completed(two: Two) -> None:
    shift.write(two.rule, two.green, two.blue, 0.25)
    assert shift.share_of(shift.read(two.rules, two.green, two.blue)) is None
    assert two.to(0.25).written == (two.listener,)
    assert two.shares() == [0.25, 0.25]


def test_what_somebody_else_set_is_reported_and_not_written_over(two: Two) -> None:
    two.to(0.05)
    two.world.client.modify_listener(ListenerArn=two.listener, DefaultActions=[forward({two.blue: 50, two.green: 50})])
    writes = two.writes()
    with pytest.raises(WeightsChanged, match=r"\(5\.0% for the canary\).*blue 50, green 50"):
        two.to(0.25, was=0.05)
    assert two.writes() == writes
    assert two.to(0.0, was=0.05, force=True).written == two.rules
    assert two.shares() == [0.0, 0.0]


def test_a_rule_that_forwards_elsewhere_too_is_theirs(two: Two) -> None:
    two.world.shift(two.rule, {two.blue: 50, two.red: 50})
    with pytest.raises(WeightsChanged, match="blue 50, red 50"):
        two.to(0.05)
    assert two.shares() == [None, 0.0]


def test_no_requests_are_sent_to_a_group_without_a_healthy_target(two: Two) -> None:
    two.world.elbv2.deregister(two.green, "10.0.1.1", 80, lambda: None)
    with pytest.raises(NoHealthyTarget, match="0 of 0 targets healthy"):
        two.to(0.05)
    assert two.writes() == []
    assert two.to(0.05, ill=True).health.healthy == 0


def test_a_write_that_somebody_undoes_at_once_is_noticed(two: Two) -> None:
    actions = [forward({two.blue: 100, two.green: 0})]
    calls, gateway = two.world.stage.kernel.calls, two.world.stage.gateway

    def undo(call: Call) -> None:
        if call.operation == "DescribeListeners" and "ModifyListener" in two.writes():
            calls.listeners.remove(undo)
            gateway.call("elbv2", "ModifyListener", {"ListenerArn": two.listener, "DefaultActions": actions}, OPERATOR)

    calls.listeners.append(undo)
    with pytest.raises(WeightsNotKept, match="weights are blue 100, green 0 where blue 95, green 5 were written"):
        two.to(0.05)


def test_a_rule_that_is_gone_is_an_error(two: Two) -> None:
    two.world.client.delete_rule(RuleArn=two.rule)
    with pytest.raises(errors.Missing, match="RuleNotFound"):
        two.to(0.05)
