"""Gateways and their routes.

Sources: ECS API: Gateway, ElbGatewayResources, GatewayRoute, GatewayRouteAlbResources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twin.ecs.model import Tags


@dataclass(eq=False)
class Balancer:
    """The load balancer of a gateway.

    Attributes:
        group: id of its security group.
    """

    arn: str
    listener: str
    group: str


@dataclass(eq=False)
class Route:
    """Brings requests to one service.

    Attributes:
        number: order of creation.
        host: host name by which the service is reached.
    """

    arn: str
    number: int
    gateway: Gateway
    cluster_arn: str
    service_arn: str
    port_name: str
    host: str
    balancer: Balancer
    certificate: str
    rule: str
    target_groups: tuple[str, ...]


@dataclass(eq=False)
class Gateway:
    """A gateway.

    Attributes:
        number: order of creation.
        configuration: hostSharedAlb, as it was given.
        balancers: made when the first route needs one.
    """

    arn: str
    number: int
    name: str
    infrastructure_role: str
    deletion_protection: bool
    configuration: Mapping[str, Any]
    propagate_tags: str
    created_at: datetime
    tags: Tags = field(default_factory=dict)
    balancers: list[Balancer] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)

    @property
    def scheme(self) -> str:
        return str(self.configuration.get("scheme", "internet-facing"))
