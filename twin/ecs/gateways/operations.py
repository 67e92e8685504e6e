"""The operations on gateways.

Sources: ECS API: CreateGateway, ListGateways, DescribeGateway, DescribeGatewayResources (pages of at most 20, 10 by
default), ListGatewayRoutes, DescribeGatewayRoute, DeleteGateway; shapes Gateway, GatewaySummary, GatewayRoute.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twin.ecs.gateways.model import Balancer, Gateway, Route
from twin.ecs.operations.common import Operations, Params, invalid, page, tags_of
from twin.ecs.render import tag_list
from twin.ecs.store import Index
from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation

RESOURCES_PAGE, MOST_RESOURCES = 10, 20
MOST_NAMES = 10
_CREATE = ("name", "infrastructureRoleArn", "deletionProtection", "configuration", "tags", "propagateTags")
_KNOWN = ("scheme", "networkConfiguration")


class GatewayOperations(Operations):
    @operation("CreateGateway", _CREATE)
    def create_gateway(self, params: Params, call: Call) -> Params:
        """ACTIVE at once; its load balancers come with its first route."""
        gateways, kernel = self.engine.gateways, self.engine.kernel
        name = params["name"]
        if any(one.name == name for one in gateways.gateways.values()):
            raise AwsError("ClientException", f"A gateway with the name {name} already exists.")
        given = params["configuration"].get("hostSharedAlb")
        if given is None:
            raise invalid("Exactly one configuration must be specified.")
        for member in given:
            if member not in _KNOWN:
                raise Unmodelled(f"ecs:CreateGateway: configuration.hostSharedAlb.{member} is not modelled")
        arn = kernel.arn("ecs", f"gateway/{name}")
        gateways.gateways[arn] = Gateway(
            arn=arn,
            number=gateways.number(),
            name=name,
            infrastructure_role=params["infrastructureRoleArn"],
            deletion_protection=params.get("deletionProtection", True),
            configuration=dict(given),
            propagate_tags=params.get("propagateTags", "GATEWAY"),
            created_at=kernel.clock.now(),
            tags=tags_of(params),
        )
        return {"gatewayArn": arn, "name": name, "status": "ACTIVE"}

    @operation("ListGateways", ("names", "status", "maxResults", "nextToken"))
    def list_gateways(self, params: Params, call: Call) -> Params:
        names, states = params.get("names"), params.get("status")
        if names and len(names) > MOST_NAMES:
            raise invalid(f"names can have at most {MOST_NAMES} items.")
        kept = _index(one for one in self.engine.gateways.gateways.values() if not names or one.name in names)

        def keep(_one: Gateway) -> bool:
            return not states or "ACTIVE" in states

        found, token = page(kept, params, _summary, keep)
        return {"gateways": found, **token}

    @operation("DescribeGateway", ("gateway",))
    def describe_gateway(self, params: Params, call: Call) -> Params:
        return {"gateway": _shown(self._gateway(params["gateway"]))}

    @operation("DescribeGatewayResources", ("gateway", "maxResults", "nextToken"))
    def describe_gateway_resources(self, params: Params, call: Call) -> Params:
        gateway = self._gateway(params["gateway"])
        if params.get("maxResults", 1) > MOST_RESOURCES:
            raise invalid(f"maxResults must be between 1 and {MOST_RESOURCES}.")
        index: Index[_Numbered] = Index()
        for number, one in enumerate(gateway.balancers, 1):
            index.add(_Numbered(number, one))
        found, token = page(index, params, lambda item: _resources(item.balancer, gateway), size=RESOURCES_PAGE)
        resources = {"gatewayArn": gateway.arn, "resources": {"hostSharedAlb": found}}
        return {"gatewayResources": resources, **token}

    @operation(
        "ListGatewayRoutes",
        ("gateway", "cluster", "service", "serviceContainerPortName", "status", "maxResults", "nextToken"),
    )
    def list_gateway_routes(self, params: Params, call: Call) -> Params:
        gateway = self._gateway(params["gateway"]) if params.get("gateway") else None
        states, port = params.get("status"), params.get("serviceContainerPortName")

        def keep(route: Route) -> bool:
            kept = gateway in (None, route.gateway) and port in (None, route.port_name)
            kept = kept and (not states or "ACTIVE" in states)
            return kept and _named(params.get("cluster"), route.cluster_arn) and _named(params.get("service"), route)

        found, token = page(_index(self.engine.gateways.routes.values()), params, _route_summary, keep)
        return {"gatewayRoutes": found, **token}

    @operation("DescribeGatewayRoute", ("gatewayRouteArn",))
    def describe_gateway_route(self, params: Params, call: Call) -> Params:
        route = self.engine.gateways.routes.get(params["gatewayRouteArn"])
        if route is None:
            raise AwsError("ResourceNotFoundException", "The gateway route was not found.")
        return {"gatewayRoute": self._route(route)}

    @operation("DeleteGateway", ("gateway",))
    def delete_gateway(self, params: Params, call: Call) -> Params:
        gateway = self._gateway(params["gateway"])
        if gateway.deletion_protection:
            raise invalid("The gateway cannot be deleted because deletion protection is enabled.")
        if gateway.routes:
            raise invalid("The gateway cannot be deleted because clusters are associated with it.")
        del self.engine.gateways.gateways[gateway.arn]
        return {"gatewayArn": gateway.arn, "name": gateway.name, "status": "DELETED"}

    def _gateway(self, reference: str) -> Gateway:
        for one in self.engine.gateways.gateways.values():
            if reference in (one.arn, one.name):
                return one
        raise AwsError("GatewayNotFoundException", "The gateway was not found.")

    def _route(self, route: Route) -> Params:
        group = self.engine.kernel.arn("ec2", f"security-group/{route.balancer.group}")
        resources = {
            "acmCertificateArn": route.certificate,
            "loadBalancerArn": route.balancer.arn,
            "listenerArn": route.balancer.listener,
            "listenerRuleArn": route.rule,
            "loadBalancerSecurityGroups": [{"arn": group, "ruleArns": []}],
        }
        return {
            "gatewayRouteArn": route.arn,
            "serviceArn": route.service_arn,
            "serviceContainerPortName": route.port_name,
            "status": "ACTIVE",
            "serviceUrl": f"https://{route.host}",
            "resources": {"hostSharedAlb": [resources]},
        }


class _Numbered:
    def __init__(self, number: int, balancer: Balancer) -> None:
        self.number = number
        self.balancer = balancer


def _index(items: Iterable[Any]) -> Index[Any]:
    index: Index[Any] = Index()
    for item in items:
        index.add(item)
    return index


def _named(reference: str | None, found: str | Route) -> bool:
    """Whether a name or ARN means what was found; without one everything fits."""
    arn = found.service_arn if isinstance(found, Route) else found
    return reference is None or reference in (arn, arn.rpartition("/")[2])


def _summary(one: Gateway) -> Params:
    return {"gatewayArn": one.arn, "name": one.name, "status": "ACTIVE", "createdAt": one.created_at}


def _shown(one: Gateway) -> Params:
    shown = {
        "networkConfiguration": dict(one.configuration.get("networkConfiguration") or {}),
        "scheme": one.scheme,
        "port": 443,
        "protocol": "HTTPS",
        "maxAlbCount": 10,
        "currentAlbCount": len(one.balancers),
    }
    return {
        "gatewayArn": one.arn,
        "name": one.name,
        "status": "ACTIVE",
        "infrastructureRoleArn": one.infrastructure_role,
        "deletionProtection": one.deletion_protection,
        "configuration": {"hostSharedAlb": shown},
        "accessType": "PUBLIC" if one.scheme == "internet-facing" else "PRIVATE",
        "propagateTags": one.propagate_tags,
        "tags": tag_list(one.tags),
        "createdAt": one.created_at,
        "updatedAt": one.created_at,
    }


def _resources(balancer: Balancer, gateway: Gateway) -> Params:
    return {
        "loadBalancerArn": balancer.arn,
        "listenerArn": balancer.listener,
        "securityGroup": balancer.group,
        "gatewayRouteArns": [route.arn for route in gateway.routes if route.balancer is balancer],
    }


def _route_summary(one: Route) -> Params:
    return {
        "gatewayRouteArn": one.arn,
        "gatewayArn": one.gateway.arn,
        "clusterArn": one.cluster_arn,
        "serviceArn": one.service_arn,
        "serviceContainerPortName": one.port_name,
        "status": "ACTIVE",
    }
