"""A world's traffic, made of what its file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.errors import WorldError
from twin.rehearsal.traffic_spec import BehaviourSpec, RequestsSpec, TrafficSpec
from twin.traffic import model

if TYPE_CHECKING:
    from twin.world import World


def traffic_of(spec: TrafficSpec, world: World) -> model.Traffic:
    """The traffic on the fleet as it stands. WorldError for a service that no such balancer serves."""
    return model.Traffic(
        requests=[_requests(index, each, world) for index, each in enumerate(spec.requests)],
        behaviours=[_behaviour(each) for each in spec.behaviours],
        trouble=[
            model.Trouble(each.after, each.until, each.errors, each.latency, each.requests) for each in spec.trouble
        ],
        history=spec.history,
    )


def _requests(index: int, given: RequestsSpec, world: World) -> model.Requests:
    key = f"{given.cluster or world.spec.cluster}/{given.service}"
    balanced = world.fleet.balanced.get(key)
    if balanced is None:
        raise WorldError(f"traffic.requests[{index}].service: {key} is behind no load balancer")
    if world.elbv2.balancer(balanced.load_balancer).kind != "application":
        raise WorldError(
            f"traffic.requests[{index}].service: {key} is behind no Application Load Balancer: give two zones"
        )
    daily = model.Daily(given.daily.swing, given.daily.peak) if given.daily else None
    return model.Requests(key, balanced.rule, given.per_minute, daily)


def _behaviour(given: BehaviourSpec) -> model.Behaviour:
    return model.Behaviour(
        after=given.after,
        until=given.until,
        task_definition=given.task_definition,
        errors_5xx=given.errors_5xx,
        errors_4xx=given.errors_4xx,
        redirects=given.redirects,
        median=given.latency.median if given.latency else None,
        p99=given.latency.p99 if given.latency else None,
        burst=(given.burst[0], given.burst[1]) if given.burst else None,
        dead=given.dead,
        limit=given.limit,
    )
