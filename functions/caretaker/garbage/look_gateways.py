"""What ECS tells of gateways: load balancers that they share among ordinary services, and their routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caretaker.aws import ecs
from caretaker.aws.listing import Page
from caretaker.garbage.look import Look
from caretaker.garbage.model import Kind, Reference
from caretaker.garbage.sheet import Sheet, Task

Json = Mapping[str, Any]


def opening() -> Iterator[Task]:
    """What is read first."""
    yield Task("gateways")


def _gateways(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item["gatewayArn"]
        for look in ("gateway", "gateway resources", "gateway routes"):
            sheet.read(Task(look, (arn,), {"gateway": arn}))


def _gateway(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item["gatewayArn"]
        role = item.get("infrastructureRoleArn", "")
        sheet.refer(Reference(arn, Kind.GATEWAY, role, "has it as infrastructure role"))
        shared = (item.get("configuration") or {}).get("hostSharedAlb") or {}
        group = (shared.get("networkConfiguration") or {}).get("inboundSecurityGroup", "")
        sheet.refer(Reference(arn, Kind.GATEWAY, group, "gives it to its load balancers"))


def _resources(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item["gatewayArn"]
        for shared in (item.get("resources") or {}).get("hostSharedAlb", ()):
            for member in ("loadBalancerArn", "listenerArn", "securityGroup"):
                target = shared.get(member, "")
                sheet.refer(Reference(arn, Kind.GATEWAY, target, "is the gateway that it belongs to"))
                for route in shared.get("gatewayRouteArns", ()):
                    sheet.refer(Reference(route, Kind.GATEWAY_ROUTE, target, "is a route through it"))


def _routes(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item["gatewayRouteArn"]
        sheet.read(Task("gateway route", task.scopes, {"gatewayRouteArn": arn}))


def _route(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn, owner = item["gatewayRouteArn"], item.get("serviceArn", "")
        for shared in (item.get("resources") or {}).get("hostSharedAlb", ()):
            for target, how in _used(shared):
                sheet.refer(Reference(arn, Kind.GATEWAY_ROUTE, target, how, owner=owner))


def _used(shared: Json) -> Iterator[tuple[str, str]]:
    yield shared.get("acmCertificateArn", ""), "has it as its certificate"
    yield shared.get("loadBalancerArn", ""), "is a route through it"
    yield shared.get("listenerArn", ""), "is a route through it"
    yield shared.get("listenerRuleArn", ""), "is routed by it"
    yield shared.get("serviceSecurityGroupArn", ""), "reaches its tasks in it"
    for rule in shared.get("testListenerRuleArns", ()):
        yield rule, "routes test traffic by it"
    for group in shared.get("loadBalancerSecurityGroups", ()):
        yield group.get("arn", ""), "has a rule in it"


LOOKS = {
    "gateways": Look(ecs.LIST_GATEWAYS, _gateways),
    "gateway": Look(ecs.DESCRIBE_GATEWAY, _gateway),
    "gateway resources": Look(ecs.DESCRIBE_GATEWAY_RESOURCES, _resources),
    "gateway routes": Look(ecs.LIST_GATEWAY_ROUTES, _routes),
    "gateway route": Look(ecs.DESCRIBE_GATEWAY_ROUTE, _route),
}
