"""Every call by which a sweep deletes something, or takes a reference out of something shared.

Sources: the API models of Elastic Load Balancing v2, ACM, Application Auto Scaling, CloudWatch, EC2, CloudWatch Logs
and Amazon ECS. Most of these calls have a guard of AWS's own; DeleteLoadBalancer, DeleteRule, DeregisterScalableTarget,
DeleteAlarms and DeleteLogGroup have none against use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from caretaker.aws import clients
from caretaker.aws.errors import AwsFailure, call
from caretaker.aws.paging import failures

# Operation as IAM names it: botocore's name of the service, and the method.
_CALLS: Mapping[str, tuple[str, str]] = {
    "elasticloadbalancing:DeleteRule": ("elbv2", "delete_rule"),
    "elasticloadbalancing:DeleteTargetGroup": ("elbv2", "delete_target_group"),
    "elasticloadbalancing:RemoveListenerCertificates": ("elbv2", "remove_listener_certificates"),
    "elasticloadbalancing:ModifyListener": ("elbv2", "modify_listener"),
    "elasticloadbalancing:DeleteLoadBalancer": ("elbv2", "delete_load_balancer"),
    "acm:DeleteCertificate": ("acm", "delete_certificate"),
    "application-autoscaling:DeleteScalingPolicy": ("application-autoscaling", "delete_scaling_policy"),
    "application-autoscaling:DeregisterScalableTarget": ("application-autoscaling", "deregister_scalable_target"),
    "cloudwatch:DeleteAlarms": ("cloudwatch", "delete_alarms"),
    "ec2:RevokeSecurityGroupEgress": ("ec2", "revoke_security_group_egress"),
    "ec2:RevokeSecurityGroupIngress": ("ec2", "revoke_security_group_ingress"),
    "ec2:DeleteSecurityGroup": ("ec2", "delete_security_group"),
    "logs:DeleteLogGroup": ("logs", "delete_log_group"),
    "ecs:DeregisterTaskDefinition": ("ecs", "deregister_task_definition"),
    "ecs:DeleteTaskDefinitions": ("ecs", "delete_task_definitions"),
    "ecs:DeleteCluster": ("ecs", "delete_cluster"),
}
ACTIONS = frozenset(_CALLS)


def remove(action: str, params: Mapping[str, Any]) -> str:
    """Make one of the calls. Returns what AWS answered, in brief.

    Args:
        action: the operation as IAM names it, one of `ACTIONS`.
        params: the request; it names one resource.

    Raises:
        AwsFailure: also where AWS says in an answer of success that it did not do it (`failures`, `Return`).
        ValueError: an action that is none of these.
    """
    if action not in _CALLS:
        raise ValueError(f"action: {action!r} is none of {', '.join(sorted(_CALLS))}")
    service, name = _CALLS[action]
    method: Callable[..., Any] = getattr(clients.client(service), name)
    answer = call(method, **params)
    operation = action.partition(":")[2]
    failed = failures(answer)
    if failed:
        raise AwsFailure(operation, failed[0].reason, str(failed[0]))
    if answer.get("UnknownIpPermissions") or answer.get("Return") is False:
        raise AwsFailure(operation, "NotRevoked", f"{dict(params)} was not done")
    return str(answer.get("ResponseMetadata", {}).get("RequestId", ""))
