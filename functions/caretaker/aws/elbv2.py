"""Elastic Load Balancing v2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from caretaker.aws import clients, rates
from caretaker.aws.errors import call
from caretaker.aws.listing import Listing
from caretaker.aws.paging import batches, pages

# ELB API reference: DescribeLoadBalancers takes 20 ARNs a call; the others name no limit, and get no more either.
_ARNS = 20
_PAGE = 400
_NEXT = (("Marker", "NextMarker"),)
_SIZE = {"PageSize": _PAGE}


def _listing(operation: str, method: str, key: str, *, paged: bool = True, batch: tuple[str, int] = ("", 0)) -> Listing:
    return Listing(
        f"elasticloadbalancing:{operation}",
        "elbv2",
        method,
        (key,),
        rates.ELB,
        tokens=_NEXT if paged else (),
        fixed=_SIZE if paged else {},
        batch=batch,
    )


DESCRIBE_LOAD_BALANCERS = _listing("DescribeLoadBalancers", "describe_load_balancers", "LoadBalancers")
DESCRIBE_LISTENERS = _listing("DescribeListeners", "describe_listeners", "Listeners")
DESCRIBE_RULES = _listing("DescribeRules", "describe_rules", "Rules")
DESCRIBE_LISTENER_CERTIFICATES = _listing(
    "DescribeListenerCertificates", "describe_listener_certificates", "Certificates"
)
DESCRIBE_TARGET_GROUPS = _listing("DescribeTargetGroups", "describe_target_groups", "TargetGroups")
DESCRIBE_TARGET_HEALTH = _listing(
    "DescribeTargetHealth", "describe_target_health", "TargetHealthDescriptions", paged=False
)
DESCRIBE_TAGS = _listing("DescribeTags", "describe_tags", "TagDescriptions", paged=False, batch=("ResourceArns", _ARNS))
DESCRIBE_LOAD_BALANCER_ATTRIBUTES = _listing(
    "DescribeLoadBalancerAttributes", "describe_load_balancer_attributes", "Attributes", paged=False
)


def describe_load_balancers(arns: Iterable[str]) -> list[dict[str, Any]]:
    """Load balancers by ARN. Raises `Missing` if one of them does not exist."""
    return _by_arn(clients.elbv2().describe_load_balancers, "LoadBalancerArns", arns, "LoadBalancers")


def describe_target_groups(arns: Iterable[str]) -> list[dict[str, Any]]:
    """Target groups by ARN; `LoadBalancerArns` says who forwards to them. Raises `Missing` if one does not exist."""
    return _by_arn(clients.elbv2().describe_target_groups, "TargetGroupArns", arns, "TargetGroups")


def describe_target_health(arn: str) -> list[dict[str, Any]]:
    """Health of every target that is registered with a target group, draining ones too."""
    answer = call(clients.elbv2().describe_target_health, TargetGroupArn=arn)
    return list(answer.get("TargetHealthDescriptions", []))


def describe_listeners(arns: Iterable[str]) -> list[dict[str, Any]]:
    """Listeners by ARN; their default rule's actions are `DefaultActions`. Raises `Missing` if one does not exist."""
    return _by_arn(clients.elbv2().describe_listeners, "ListenerArns", arns, "Listeners")


def listeners_of(balancer: str) -> list[dict[str, Any]]:
    """Every listener of a load balancer."""
    method = clients.elbv2().describe_listeners
    return pages(method, "Listeners", "Marker", "NextMarker", LoadBalancerArn=balancer, PageSize=_PAGE)


def describe_rules(arns: Iterable[str]) -> list[dict[str, Any]]:
    """Listener rules by ARN. Raises `Missing` if one does not exist."""
    return _by_arn(clients.elbv2().describe_rules, "RuleArns", arns, "Rules")


def rules_of(listener: str) -> list[dict[str, Any]]:
    """Every rule of a listener, its default rule too (`IsDefault`)."""
    method = clients.elbv2().describe_rules
    return pages(method, "Rules", "Marker", "NextMarker", ListenerArn=listener, PageSize=_PAGE)


def modify_rule(arn: str, actions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Replace the whole list of a rule's actions; conditions and priority stay. Returns the rule as ELB answers it.

    Default rules are refused: `modify_listener` changes theirs.
    """
    answer = call(clients.elbv2().modify_rule, RuleArn=arn, Actions=list(actions))
    return dict(answer["Rules"][0])


def modify_listener(arn: str, actions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Replace the whole list of a listener's default actions; everything else stays. Returns the listener."""
    answer = call(clients.elbv2().modify_listener, ListenerArn=arn, DefaultActions=list(actions))
    return dict(answer["Listeners"][0])


def _by_arn(method: Any, argument: str, arns: Iterable[str], key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for batch in batches(sorted(set(arns)), _ARNS):
        request: dict[str, Any] = {argument: list(batch)}
        found.extend(pages(method, key, "Marker", "NextMarker", **request))
    return found
