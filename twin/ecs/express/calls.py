"""How ECS calls other services for an Express service: with the service's infrastructure role.

Source: AWS managed policy AmazonECSInfrastructureRoleforExpressGatewayServices (version of February 2026): what it
deletes must have the tag AmazonECSManaged=true, but for scaling policies; it may delete no log groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.ecs.express.model import TAGS, Express
from twin.ecs.model import Service
from twin.errors import AwsError
from twin.kernel.api import AWS_ECS, Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_PREFIXES = {"elbv2": "elasticloadbalancing"}


@dataclass(frozen=True)
class Job:
    """For whom something is made or deleted, and because of which call."""

    service: Service
    express: Express
    cause: Call | None


class RoleLacks(AwsError):
    """The infrastructure role may not do it, whatever the resource."""


class Calls:
    """Every method raises AwsError as the API that it calls does, and RoleLacks for what the role may not do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rng = engine.kernel.rng("ecs/express")

    def hex(self, digits: int) -> str:
        return f"{self._rng.getrandbits(4 * digits):0{digits}x}"

    def arn(self, service: str, resource: str) -> str:
        return self._engine.kernel.arn(service, resource)

    def __call__(self, api: str, operation: str, job: Job, **params: Any) -> dict[str, Any]:
        self._require_role(api, operation, job)
        given = {name: value for name, value in params.items() if value is not None}
        answer: dict[str, Any] = self._engine.gateway.call(api, operation, given, AWS_ECS, cause=job.cause)
        return answer

    def on_tagged(self, arn: str, api: str, operation: str, job: Job, **params: Any) -> dict[str, Any]:
        """A call that the role may make only while the resource has the tag of what ECS manages."""
        self._require_role(api, operation, job)
        tags = self._engine.gateway.iam.names.tag_sources.get(_action(api, operation).partition(":")[0])
        if tags is not None and TAGS.items() - tags(arn).items():
            raise AwsError("AccessDenied", self._words(api, operation, job, f" on resource: {arn}"))
        return self(api, operation, job, **params)

    def _require_role(self, api: str, operation: str, job: Job) -> None:
        if not self._engine.kernel.settled:
            return
        action, elapsed = _action(api, operation), self._engine.elapsed
        if any(fault.strikes(action, elapsed) for fault in self._engine.options.express.role_faults):
            raise RoleLacks("AccessDenied", self._words(api, operation, job))

    def _words(self, api: str, operation: str, job: Job, resource: str = "") -> str:
        role = job.express.infrastructure_role.rpartition("/")[2]
        user = f"arn:aws:sts::{self._engine.kernel.account}:assumed-role/{role}/ECSExpressGatewayService"
        action = _action(api, operation)
        why = f"because no identity-based policy allows the {action} action"
        return f"User: {user} is not authorized to perform: {action}{resource} {why}"


def _action(api: str, operation: str) -> str:
    return f"{_PREFIXES.get(api, api)}:{operation}"
