"""Where a rule's requests go: shares sum to 1, arrive at the weights, and sticky sessions fade as modelled."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.neighbours.balancer_stage import NOT_FOUND, balanced, forward
from twin.errors import AwsError
from twin.neighbours.elbv2 import Elbv2Options
from twin.neighbours.routing import Course, Routing

STABLE = Routing({"blue": 100, "green": 0})
CANARY = Routing({"blue": 95, "green": 5})


def course(routing: Routing, *, propagation: float = 10.0, session: float = 600.0, renewed: bool = True) -> Course:
    return Course(routing, propagation=propagation, session=session, renewed=renewed)


def sticky(routing: Routing, seconds: float = 3600.0) -> Routing:
    return Routing(routing.weights, seconds)


# --- properties ------------------------------------------------------------------------------------------------------
weights = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 999), min_size=1).filter(lambda w: any(w.values()))
routings = st.builds(Routing, weights, st.none() | st.floats(1, 604_800))
changes = st.lists(st.tuples(st.floats(0, 5_000), routings), max_size=8)


def changed(made: Course, later: list[tuple[float, Routing]]) -> Iterator[float]:
    """Change the routing, each time so many seconds after the time before; the moments of the changes."""
    now = 0.0
    for pause, routing in later:
        now += pause
        made.change(routing, now)
        yield now


@given(routings, changes, st.floats(0, 300), st.floats(0, 5_000), st.booleans(), st.floats(0, 5_000))
def test_shares_sum_to_1_and_are_never_negative(
    first: Routing, later: list[tuple[float, Routing]], propagation: float, session: float, renewed: bool, wait: float
) -> None:
    made = course(first, propagation=propagation, session=session, renewed=renewed)
    now = 0.0
    for now in changed(made, later):
        assert math.isclose(sum(made.shares(now).values()), 1.0, abs_tol=1e-6)
    shares = made.shares(now + wait)
    assert math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6)
    assert all(share >= 0 for share in shares.values())
    assert set(made.routing.weights) <= set(shares)


@given(routings, changes, st.floats(0, 300), st.floats(0, 600), st.booleans())
def test_shares_arrive_at_the_weights(
    first: Routing, later: list[tuple[float, Routing]], propagation: float, session: float, renewed: bool
) -> None:
    made = course(first, propagation=propagation, session=session, renewed=renewed)
    now = max(changed(made, later), default=0.0)
    shares = made.shares(now + propagation + 40 * session + 1)
    for arn, share in made.routing.shares().items():
        assert math.isclose(shares[arn], share, abs_tol=1e-6)


@given(weights, weights, st.floats(1, 300), st.floats(0, 1))
def test_without_stickiness_a_change_arrives_evenly_over_the_propagation_time(
    before: dict[str, int], after: dict[str, int], propagation: float, part: float
) -> None:
    made = course(Routing(before), propagation=propagation)
    made.change(Routing(after), 100.0)
    old, new = Routing(before).shares(), Routing(after).shares()
    shares = made.shares(100.0 + part * propagation)
    for arn in sorted({*old, *new}):
        assert math.isclose(shares.get(arn, 0), (1 - part) * old.get(arn, 0) + part * new.get(arn, 0), abs_tol=1e-6)


@given(st.floats(1, 5_000), st.floats(0, 20_000), st.floats(0, 60))
def test_pinned_sessions_fade_with_the_length_of_sessions(session: float, waited: float, propagation: float) -> None:
    """5 % pinned to a canary that is taken back to 0: what is left of it only falls, and by exp(-t / session)."""
    made = course(sticky(CANARY), propagation=propagation, session=session)
    made.change(sticky(STABLE), 0.0)
    left = made.shares(waited)["green"]
    assert left <= 0.05 + 1e-9
    assert left >= made.shares(waited + 1)["green"] - 1e-9
    if waited >= propagation:
        assert 0.05 * math.exp(-waited / session) - 1e-9 <= left
        assert left <= 0.05 * math.exp(-(waited - propagation) / session) + 1e-9


# --- stickiness ------------------------------------------------------------------------------------------------------
def test_a_cookie_that_is_not_renewed_ends_after_its_duration() -> None:
    made = course(sticky(CANARY, 900), session=6_000, renewed=False)
    made.change(sticky(STABLE, 900), 0.0)
    assert made.shares(890)["green"] > 0
    assert made.shares(911)["green"] == 0
    assert course(sticky(CANARY, 900), session=6_000).shares(911)["green"] == pytest.approx(0.05)


def test_a_canary_fills_up_only_as_new_sessions_come() -> None:
    made = course(sticky(STABLE))
    made.change(sticky(CANARY), 0.0)
    assert made.shares(10)["green"] < 0.001
    assert made.shares(610)["green"] == pytest.approx(0.05 * (1 - math.exp(-1)), rel=0.02)


def test_switching_stickiness_on_pins_by_the_present_weights_and_off_frees_all() -> None:
    made = course(STABLE, propagation=0)
    made.change(CANARY, 0.0)
    made.change(sticky(CANARY), 10.0)
    assert made.shares(11)["green"] == pytest.approx(0.05)
    made.change(sticky(STABLE), 20.0)
    assert made.shares(21)["green"] > 0.049
    made.change(STABLE, 30.0)
    assert made.shares(30)["green"] == 0


def test_sessions_of_a_group_that_leaves_the_rule_choose_anew() -> None:
    made = course(Routing({"a": 1, "b": 1, "c": 2}, 3600.0), propagation=0)
    made.change(Routing({"a": 3, "c": 1}, 3600.0), 0.0)
    shares = made.shares(0.0)
    assert shares["a"] == pytest.approx(0.25 + 0.25 * 0.75)
    assert shares["c"] == pytest.approx(0.5 + 0.25 * 0.25)
    assert "b" not in shares


def test_a_change_that_overtakes_another_is_never_overshot() -> None:
    made = course(STABLE)
    made.change(CANARY, 0.0)
    made.change(STABLE, 5.0)
    assert [round(made.shares(at)["green"], 6) for at in (0, 2.5, 5, 10, 12.5, 15, 99)] == [
        0,
        0.0125,
        0.025,
        0.025,
        0.0125,
        0,
        0,
    ]


def test_the_closed_form_agrees_with_simulated_sessions() -> None:
    """Sessions one by one on nodes that learn late, against the closed form: the model is what the docstring says."""
    for renewed in (True, False):
        rng = random.Random(7)
        session, duration, propagation = 300.0, 400.0, 60.0
        story = [(-1e9, 0.0), (0.0, 0.5), (250.0, 0.1)]
        made = course(Routing({"a": 1, "b": 0}, duration), propagation=propagation, session=session, renewed=renewed)
        for at, share in story[1:]:
            made.change(Routing({"a": round(1000 * (1 - share)) - 1, "b": round(1000 * share)}, duration), at)
        for now in (30.0, 200.0, 280.0, 500.0):
            hits, tries = 0, 20_000
            for _ in range(tries):
                node = now - rng.uniform(0, propagation)
                age = rng.expovariate(1 / session)
                while not renewed and age >= duration:
                    age = rng.expovariate(1 / session)
                share = [each for at, each in story if at <= node - age][-1]
                hits += rng.random() < share
            assert made.shares(now)["b"] == pytest.approx(hits / tries, abs=0.012)


# --- through the API -------------------------------------------------------------------------------------------------
def test_a_world_chooses_how_long_a_change_takes_to_arrive() -> None:
    with balanced(Elbv2Options(propagation=40.0)) as world:
        blue, green = world.groups("blue", "green")
        rule = world.rule(forward({blue: 100, green: 0}))
        world.shift(rule, {blue: 90, green: 10})
        assert world.elbv2.shares(rule) == {blue: 0.9, green: 0.1}  # nothing takes time while the world is built
        world.stage.settle()
        world.shift(rule, {blue: 0, green: 100})
        assert world.elbv2.shares(rule)[green] == pytest.approx(0.1)
        world.stage.run(20)
        assert world.elbv2.shares(rule)[green] == pytest.approx(0.55)
        assert world.elbv2.weights(rule) == {blue: 0, green: 100}
        world.stage.run(20)
        assert world.elbv2.shares(rule) == {blue: 0.0, green: 1.0}


def test_a_listener_stands_for_its_default_rule_and_an_answer_of_its_own_has_no_shares() -> None:
    with balanced() as world:
        blue, green = world.groups("blue", "green")
        assert world.elbv2.shares(world.listener) == {}
        world.client.modify_listener(ListenerArn=world.listener, DefaultActions=[forward({blue: 3, green: 1})])
        assert world.elbv2.shares(world.listener) == {blue: 0.75, green: 0.25}
        assert world.elbv2.routed(world.listener) is world.elbv2.default_rule(world.listener)
        world.stage.settle()
        world.client.modify_listener(ListenerArn=world.listener, DefaultActions=[NOT_FOUND])
        world.stage.run(5)
        assert sum(world.elbv2.shares(world.listener).values()) == pytest.approx(0.5)
        for arn in (world.listener + "x", world.listener.replace(":listener/", ":listener-rule/") + "/x"):
            with pytest.raises(AwsError, match="NotFound"):
                world.elbv2.shares(arn)


def test_sticky_sessions_stay_though_the_group_has_weight_0_and_no_healthy_target() -> None:
    with balanced() as world:
        blue, green = world.groups("blue", "green")
        rule = world.rule(forward({blue: 50, green: 50}, sticky=3600))
        world.stage.settle()
        world.shift(rule, {blue: 100, green: 0})
        world.client.modify_rule(RuleArn=rule, Actions=[forward({blue: 100, green: 0}, sticky=3600)])
        world.stage.run(15)
        assert world.elbv2.shares(rule)[green] == 0  # the first change freed everybody: it said nothing of stickiness
        other = world.rule(forward({blue: 50, green: 50}, sticky=3600), priority=11)
        world.shift(other, {blue: 100, green: 0}, sticky=3600)
        world.stage.run(310)
        assert world.elbv2.shares(other)[green] == pytest.approx(0.5 * math.exp(-0.5), rel=0.02)
