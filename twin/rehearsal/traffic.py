"""A world's traffic, made of what its file says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from twin.errors import WorldError
from twin.rehearsal.traffic_spec import BehaviourSpec, RequestsSpec, TrafficSpec
from twin.traffic import model
from twin.traffic.model import TrafficOptions
from twin.traffic.usage import Load, Loaded, Usage

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


def usage_of(world: World) -> Usage:
    """What the world's Express services use, by their `load`."""
    spec, ecs, elbv2 = world.spec, world.ecs, world.elbv2
    loads = {
        f"{spec.cluster_of(service)}/{name}": Load(**service.express.load.model_dump())
        for service in spec.services
        if service.express is not None and service.express.load is not None
        for name in service.names
    }

    def services() -> Iterator[tuple[Loaded, Load]]:
        for each in ecs.store.services.values():
            load = loads.get(f"{each.cluster.name}/{each.name}")
            if load is not None and each.express is not None and each.status == "ACTIVE":
                groups = [str(group.arn) for group in each.express.target_groups]
                running = sum(task.last_status == "RUNNING" for task in each.tasks.values())
                yield Loaded(each.cluster.name, each.name, running, groups), load

    def balancer_of(group: str) -> str | None:
        found = elbv2.target_groups.get(group)
        return found.load_balancers[0] if found is not None and found.load_balancers else None

    options = TrafficOptions(
        **{name: value for name, value in spec.options.traffic.model_dump().items() if value is not None}
    )
    return Usage(world.kernel, world.alarms.store, services, balancer_of, world.traffic, options)


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
