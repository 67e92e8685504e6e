"""The calls that delete a resource or remove a reference to it: operation and request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from caretaker.garbage.graph import fact
from caretaker.garbage.model import Kind, Reference, Resource

Params = Mapping[str, Any]
Call = tuple[str, Params]

_ELB = "elasticloadbalancing"
_SCALING = "application-autoscaling"


def deletion(resource: Resource) -> Call:
    """Operation and request that delete the resource.

    Raises:
        KeyError: of a kind that is never deleted by a call of its own.
        BadFact: the resource lacks a fact that the request needs.
    """
    return _DELETIONS[resource.kind](resource)


def _by_arn(operation: str, member: str) -> Callable[[Resource], Call]:
    return lambda resource: (operation, {member: resource.arn})


def group_id(arn: str) -> str:
    """`sg-…` of a security group's ARN."""
    return arn.rpartition("/")[2]


def _scaled(resource: Resource) -> dict[str, str]:
    return {
        "ServiceNamespace": "ecs",
        "ResourceId": fact(resource, "resource_id"),
        "ScalableDimension": fact(resource, "dimension"),
    }


_DELETIONS: dict[Kind, Callable[[Resource], Call]] = {
    Kind.RULE: _by_arn(f"{_ELB}:DeleteRule", "RuleArn"),
    Kind.TARGET_GROUP: _by_arn(f"{_ELB}:DeleteTargetGroup", "TargetGroupArn"),
    Kind.LOAD_BALANCER: _by_arn(f"{_ELB}:DeleteLoadBalancer", "LoadBalancerArn"),
    Kind.CERTIFICATE: _by_arn("acm:DeleteCertificate", "CertificateArn"),
    Kind.SECURITY_GROUP: lambda each: ("ec2:DeleteSecurityGroup", {"GroupId": group_id(each.arn)}),
    Kind.SCALING_POLICY: lambda each: (
        f"{_SCALING}:DeleteScalingPolicy",
        {"PolicyName": fact(each, "policy_name"), **_scaled(each)},
    ),
    Kind.SCALABLE_TARGET: lambda each: (f"{_SCALING}:DeregisterScalableTarget", _scaled(each)),
    Kind.ALARM: lambda each: ("cloudwatch:DeleteAlarms", {"AlarmNames": [each.name]}),
    Kind.LOG_GROUP: lambda each: ("logs:DeleteLogGroup", {"logGroupName": each.name}),
    Kind.TASK_DEFINITION: lambda each: ("ecs:DeleteTaskDefinitions", {"taskDefinitions": [each.arn]}),
    Kind.CLUSTER: _by_arn("ecs:DeleteCluster", "cluster"),
}

# The order among things that do not refer to each other: rules first, what loses data last.
RANK = {
    kind: rank
    for rank, kind in enumerate(
        (
            Kind.RULE,
            Kind.TARGET_GROUP,
            Kind.CERTIFICATE,
            Kind.SCALING_POLICY,
            Kind.ALARM,
            Kind.SCALABLE_TARGET,
            Kind.SECURITY_GROUP,
            Kind.LOAD_BALANCER,
            Kind.TASK_DEFINITION,
            Kind.LOG_GROUP,
            Kind.CLUSTER,
        )
    )
}


def deregistration(resource: Resource) -> Call:
    """A task definition must be inactive before it can be deleted (ECS API: DeleteTaskDefinitions)."""
    return "ecs:DeregisterTaskDefinition", {"taskDefinition": resource.arn}


def revocation(reference: Reference) -> Call:
    """Removes one rule of a security group."""
    way = "Egress" if reference.via == "egress" else "Ingress"
    request = {"GroupId": group_id(reference.part_of), "SecurityGroupRuleIds": [rule_id(reference.source)]}
    return f"ec2:RevokeSecurityGroup{way}", request


def rule_id(source: str) -> str:
    """`sgr-…` of a rule's id or ARN."""
    return source.rpartition("/")[2]


def unlisting(listener: str, certificate: str) -> Call:
    """Takes a certificate off the list of a listener."""
    request = {"ListenerArn": listener, "Certificates": [{"CertificateArn": certificate}]}
    return f"{_ELB}:RemoveListenerCertificates", request


def swap(listener: str, certificate: str) -> Call:
    """Makes a certificate the default of a listener (ELB API: ModifyListener takes exactly one)."""
    request = {"ListenerArn": listener, "Certificates": [{"CertificateArn": certificate}]}
    return f"{_ELB}:ModifyListener", request
