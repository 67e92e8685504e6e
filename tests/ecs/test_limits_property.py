"""For random services, percents and drains, the scheduler itself never breaks the lower or the upper limit."""

from __future__ import annotations

from math import ceil, floor

from ecs_world import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.ecs.model import HealthChange, Service

service = st.fixed_dictionaries(
    {
        "desired": st.integers(1, 6),
        "minimum": st.sampled_from([0, 25, 50, 75, 100]),
        "maximum": st.sampled_from([100, 125, 150, 200]),
        "balanced": st.booleans(),
    }
)
act = st.one_of(
    st.tuples(st.just("drain"), st.integers(0, 3)),
    st.tuples(st.just("activate"), st.integers(0, 3)),
    st.tuples(st.just("deploy"), st.integers(0, 2)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    services=st.lists(service, min_size=1, max_size=3),
    acts=st.lists(st.tuples(act, st.integers(1, 120)), min_size=1, max_size=6),
)
def test_the_scheduler_keeps_both_limits(
    services: list[dict[str, int]], acts: list[tuple[tuple[str, int], int]]
) -> None:
    world = World()
    for number, one in enumerate(services):
        world.serve(
            f"s{number}",
            one["desired"],
            (one["minimum"], one["maximum"]),
            bool(one["balanced"]),
            availabilityZoneRebalancing="ENABLED" if one["maximum"] > 100 else "DISABLED",
        )
    world.settle()
    wanted = {world.service(f"s{number}").arn: one for number, one in enumerate(services)}
    watch(world, wanted)
    for (kind, which), wait in acts:
        if kind == "drain":
            world.drain(world.host(which))
        elif kind == "activate":
            world.activate(world.host(which))
        else:
            world.update(f"s{which % len(services)}", forceNewDeployment=True)
        world.run(wait)
        check_upper(world, wanted)
    world.run()
    for number in range(4):
        world.activate(world.host(number))
    world.run(3600)
    for number, one in enumerate(services):
        assert world.healthy(f"s{number}") == one["desired"]


def watch(world: World, wanted: dict[str, dict[str, int]]) -> None:
    def check(change: HealthChange) -> None:
        one = wanted[change.service_arn]
        if change.cause is not None:
            assert change.healthy >= ceil(one["desired"] * one["minimum"] / 100)
        check_upper(world, wanted)

    world.ecs.health_listeners.append(check)


def check_upper(world: World, wanted: dict[str, dict[str, int]]) -> None:
    for arn, one in wanted.items():
        service: Service = world.ecs.store.services[arn]
        assert len(service.tasks) <= floor(one["desired"] * one["maximum"] / 100)
