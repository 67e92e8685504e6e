"""What ECS made for which Express service, as the twin's ECS has written it down itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twin.ecs.express.model import Express, Ingress, Managed
from twin.ecs.model import Service


def path_of(service: Service) -> str:
    return f"{service.cluster.name}/{service.name}"


def over(service: Service) -> bool:
    return service.express is not None and service.express.deleted_at is not None


def ingresses(service: Service) -> list[Ingress]:
    express = service.express
    assert express is not None
    return list({id(one): one for one in (*express.ingresses.values(), express.ingress, *express.former)}.values())


def made(service: Service) -> Iterator[tuple[Ingress | None, Managed]]:
    """What ECS made for a service alone, with the ingress that it is a part of."""
    express = service.express
    assert express is not None
    for ingress in ingresses(service):
        yield from ((ingress, one) for one in ingress.own if one.arn is not None)
    for one in apart(express):
        if one.arn is not None:
            yield None, one


def apart(express: Express) -> list[Managed]:
    logs = [express.log_group] if express.own_log_group else []
    return [*logs, express.certificate, express.alarm, express.scalable_target, express.policy]


def needs(service: Service, ingress: Ingress | None) -> bool:
    """Whether a service needs what ECS made for it: it lives, and ECS has not done with that ingress."""
    return service.status != "INACTIVE" and not over(service) and not (ingress is not None and ingress.left)


def names_group(service: Service, group_id: str) -> bool:
    """Whether a service's settings name a security group, whether it has tasks or not."""
    express = service.express
    settings = [express.settings, *express.by_revision.values()] if express is not None else []
    if any(group_id in one.given_groups for one in settings):
        return True
    networks = [each.revision.network for each in service.deployments]
    return any(group_id in repr(one) for one in (*networks, service.raw.get("networkConfiguration")))


def definitions(service: Service) -> list[Any]:
    return [each.revision.definition for each in service.deployments]
