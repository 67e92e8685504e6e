"""All looks, and in which order an observation takes them.

A phase begins when everything of the former one was read, since it asks for what that showed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from caretaker.aws import elbv2
from caretaker.garbage import (
    conclude,
    look_balancers,
    look_deep,
    look_ecs,
    look_gateways,
    look_network,
    look_others,
    look_scaling,
    look_schedules,
)
from caretaker.garbage.look import Look, batched
from caretaker.garbage.model import Kind, Resource
from caretaker.garbage.sheet import Sheet, Task

LOOKS: Mapping[str, Look] = {
    **look_balancers.LOOKS,
    **look_deep.LOOKS,
    **look_ecs.LOOKS,
    **look_gateways.LOOKS,
    **look_network.LOOKS,
    **look_others.LOOKS,
    **look_scaling.LOOKS,
    **look_schedules.LOOKS,
}
# Kinds that have their tags from ELB.
_BALANCING = (Kind.LOAD_BALANCER, Kind.LISTENER, Kind.RULE, Kind.TARGET_GROUP)
# What may be shared, and edited while it lives.
_SHARED = (Kind.LOAD_BALANCER, Kind.LISTENER)


def _first(sheet: Sheet) -> Iterator[Task]:
    """All that needs no other answer. What users may change in between comes last, next to the verdict."""
    yield from look_ecs.opening()
    yield from look_gateways.opening()
    yield from look_others.opening()
    yield from look_schedules.opening()
    yield from look_scaling.opening()
    yield from look_balancers.opening()
    yield from look_network.opening(sheet.vpc)
    if sheet.deep:
        yield from look_deep.opening()


def _second(sheet: Sheet) -> Iterator[Task]:
    yield from look_ecs.of_the_ledger(sheet)


def _third(sheet: Sheet) -> Iterator[Task]:
    yield from look_ecs.of_the_draining(sheet)


def _fourth(sheet: Sheet) -> Iterator[Task]:
    yield from look_ecs.of_deployments(sheet)


def _fifth(sheet: Sheet) -> Iterator[Task]:
    yield from look_ecs.of_revisions(sheet)


def _last(sheet: Sheet) -> Iterator[Task]:
    """The suspects, and the tags of what nobody claims: ECS may have made it for a service that the ledger never
    saw."""
    suspects = conclude.suspects(sheet)
    claimed = {claim.resource.arn for claim in sheet.claims}
    tagged = [
        each.arn
        for each in sheet.resources.values()
        if each.kind in _BALANCING
        and each.facts.get("default") != "true"
        and (each.kind in _SHARED or each.arn in suspects or each.arn not in claimed)
    ]
    yield from batched("tags", elbv2.DESCRIBE_TAGS, sorted(tagged))
    for arn, kind in sorted(suspects.items()):
        resource = sheet.resources.get(arn)
        if kind is Kind.LOG_GROUP:
            yield from look_others.log_group(arn)
            yield look_others.stack(arn, arn.partition(":log-group:")[2])
        elif kind is Kind.TASK_DEFINITION:
            yield from _task_definition(sheet, arn, resource)
        elif resource is not None:
            yield from _details(resource)
            yield look_others.stack(arn, _physical(resource))


def _task_definition(sheet: Sheet, arn: str, resource: Resource | None) -> Iterator[Task]:
    if resource is None:  # every active one was read with the first; this one is not active, or none were read
        yield look_deep.definition(arn, arn)
    if sheet.deep:
        yield look_others.stack(arn, arn)


def _details(resource: Resource) -> Iterator[Task]:
    """What is asked about one resource alone."""
    arn = resource.arn
    if resource.kind is Kind.TARGET_GROUP:
        if resource.facts.get("target_type") != "alb":  # those were asked about at once
            yield look_balancers.target_health(arn)
    elif resource.kind is Kind.LOAD_BALANCER:
        yield Task("attributes", (arn,), {"LoadBalancerArn": arn})
        yield Task("web ACL", (arn,), {"ResourceArn": arn})
    elif resource.kind is Kind.CERTIFICATE:
        yield from look_others.certificate(arn)
    elif resource.kind is Kind.ALARM:
        yield Task("alarm tags", (arn,), {"ResourceARN": arn})
    elif resource.kind is Kind.SCALABLE_TARGET:
        yield Task("scalable target tags", (arn,), {"ResourceARN": arn})
    elif resource.kind is Kind.CLUSTER:
        yield from look_deep.cluster(arn)


def _physical(resource: Resource) -> str:
    """How CloudFormation names the resource: the `Ref` of its type (AWS CloudFormation Template Reference)."""
    facts = resource.facts
    if resource.kind is Kind.SECURITY_GROUP:
        return facts["group_id"]
    if resource.kind in (Kind.ALARM, Kind.CLUSTER):
        return resource.name
    if resource.kind is Kind.SCALABLE_TARGET:
        return f"{facts['resource_id']}|{facts['dimension']}|ecs"
    return resource.arn


PHASES = (_first, _second, _third, _fourth, _fifth, _last)
