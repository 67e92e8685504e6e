"""Roles and resource policies of a world, and what they allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin.errors import Unmodelled, WorldError
from twin.kernel import actions, policies
from twin.kernel.api import Caller
from twin.kernel.policies import Request, Statement

_LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
_XRAY = [
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:GetSamplingStatisticSummaries",
]
_MANAGED: Mapping[str, Sequence[str]] = {
    "service-role/AWSLambdaBasicExecutionRole": _LOGS,
    "service-role/AWSLambdaSQSQueueExecutionRole": [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        *_LOGS,
    ],
    "AWSXRayDaemonWriteAccess": _XRAY,
    "AWSXrayWriteOnlyAccess": _XRAY,
}
"""AWS managed policies: their actions, all on every resource. Source: AWS managed policy reference."""


MANAGED_POLICY_NAMES: Mapping[str, str] = {
    name.rpartition("/")[2]: f"arn:aws:iam::aws:policy/{name}" for name in sorted(_MANAGED)
}
"""ARNs of the managed policies that the twin holds, by name."""


@dataclass
class Role:
    """An IAM role: whom it trusts, and what its policies say."""

    arn: str
    name: str
    trust: list[Statement]
    identity: list[Statement] = field(default_factory=list)

    def trusts(self, principal: str) -> bool:
        request = Request("sts:AssumeRole", self.arn)
        return policies.service_verdict(self.trust, principal, request) == "allow"


class Iam:
    """Who may do what. Functions and machines are judged by their roles, AWS's services by the resource's policy."""

    def __init__(self, region: str, account: str) -> None:
        self.names = actions.Names(region, account)
        self.roles: dict[str, Role] = {}
        self._resource_policies: dict[str, list[Statement]] = {}

    def add_role(self, arn: str, name: str, trust_document: Mapping[str, Any]) -> Role:
        role = Role(arn, name, policies.parse(trust_document, f"role {name}, AssumeRolePolicyDocument"))
        self.roles[arn] = role
        return role

    def add_policy(self, role: Role, document: Mapping[str, Any], where: str) -> None:
        """Add an inline policy to a role."""
        role.identity += policies.parse(document, where)

    def add_managed_policy(self, role: Role, arn: str) -> None:
        """Add one of AWS's managed policies; `Unmodelled` for one whose text the twin does not hold."""
        name = arn.partition(":policy/")[2]
        if name not in _MANAGED:
            raise Unmodelled(f"role {role.name}: managed policy {arn}")
        document = {"Statement": {"Effect": "Allow", "Action": list(_MANAGED[name]), "Resource": "*"}}
        role.identity += policies.parse(document, arn)

    def add_resource_policy(self, resource: str, document: Mapping[str, Any], where: str) -> None:
        """Add to the policy of a queue, topic or function (by ARN)."""
        self._resource_policies.setdefault(resource, []).extend(policies.parse(document, where))

    def has_resource_policy(self, resource: str) -> bool:
        return resource in self._resource_policies

    def require_trust(self, role_arn: str, principal: str, where: str) -> None:
        """Refuse a deployment whose function or machine cannot assume its role."""
        role = self.roles.get(role_arn)
        if role is None:
            raise WorldError(f"{where}: role {role_arn} does not exist")
        if not role.trusts(principal):
            raise WorldError(f"{where}: role {role.name} does not let {principal} assume it")

    # --- judging -----------------------------------------------------------------------------------------------------
    def authorize(self, caller: Caller, service: str, operation: str, params: Mapping[str, Any]) -> str | None:
        """Why `caller` may not make this call, in AWS's words, or None when its role's policies allow it."""
        role = self.roles.get(caller.role_arn or "")
        if role is None:
            raise Unmodelled(f"{caller} has role {caller.role_arn}, which was never deployed")
        user = f"arn:aws:sts::{self.names.account}:assumed-role/{role.name}/{caller.name}"
        for request in actions.requests(service, operation, params, self.names):
            denied = self._denied(role, request, user)
            if denied:
                return denied
        return None

    def role_denied(self, role_arn: str, action: str, resource: str, principal: str) -> str | None:
        """Why AWS's service `principal`, having assumed the role, may not do `action`; None when it may."""
        role = self.roles.get(role_arn)
        if role is None or not role.trusts(principal):
            return f"{principal} cannot assume the role {role_arn}"
        return self._denied(role, Request(action, resource), f"{principal} as {role_arn}")

    def service_denied(self, principal: str, action: str, resource: str, source_arn: str) -> str | None:
        """Why AWS's service `principal`, on behalf of `source_arn`, may not do `action`; None when it may."""
        keys = {
            "aws:sourcearn": (source_arn,),
            "aws:sourceaccount": (self.names.account,),
            "aws:principalservicename": (principal,),
            "aws:securetransport": ("true",),
        }
        request = Request(action, resource, keys)
        verdict = policies.service_verdict(self._resource_policies.get(resource, []), principal, request)
        if verdict == "allow":
            return None
        why = "an explicit deny in" if verdict == "deny" else "no statement in"
        return f"{principal} is not authorized to perform: {action} on resource: {resource} because of {why} its policy"

    def _denied(self, role: Role, request: Request, user: str) -> str | None:
        verdict = policies.identity_verdict(role.identity, request)
        if verdict == "allow":
            return None
        text = f"User: {user} is not authorized to perform: {request.action} on resource: {request.resource}"
        if verdict == "deny":
            return f"{text} with an explicit deny in an identity-based policy"
        return f"{text} because no identity-based policy allows the {request.action} action"
