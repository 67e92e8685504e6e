"""What CloudFormation does for a stack: it makes, changes and deletes Express services through the ECS API.

Source: CloudFormation resource type AWS::ECS::ExpressGatewayService (schema: properties, create-only ones, time-outs of
180 minutes to make and change, of 30 minutes to delete; the physical id is the service's ARN). How it waits is not
documented: it looks every 30 seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, Caller
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.stack_model import Owned, Stack

EXPRESS = "AWS::ECS::ExpressGatewayService"
AWS_CLOUDFORMATION = Caller("aws", "cloudformation")
LOOK = 30.0
CHANGE_LIMIT = 180 * 60.0
DELETE_LIMIT = 30 * 60.0
_PROPERTIES = (
    "Cluster",
    "Cpu",
    "ExecutionRoleArn",
    "HealthCheckPath",
    "InfrastructureRoleArn",
    "Memory",
    "NetworkConfiguration",
    "PrimaryContainer",
    "ScalingTarget",
    "ServiceName",
    "Tags",
    "TaskDefinitionArn",
    "TaskRoleArn",
)
_FIXED = ("Cluster", "InfrastructureRoleArn", "ServiceName", "Tags")
_FAILED = ("STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


class StackWork:
    def __init__(self, kernel: Kernel, gateway: Gateway) -> None:
        self._kernel = kernel
        self._gateway = gateway

    # --- whole stacks ------------------------------------------------------------------------------------------------
    def create(self, stack: Stack, cause: Call) -> None:
        """Make what it owns; what was made is deleted again if something cannot be made."""
        for owned in stack.resources:
            owned.become("CREATE_IN_PROGRESS", self._now())
        self._spawn(stack, lambda: self._create(stack, cause))

    def _create(self, stack: Stack, cause: Call) -> None:
        for owned in stack.resources:
            failed = self._made(owned, stack, cause)
            if failed:
                owned.become("CREATE_FAILED", self._now(), failed)
                self._end(
                    stack, "ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to create: [{owned.logical_id}]."
                )
                self._end(stack, "ROLLBACK_COMPLETE" if self._deleted_all(stack, cause) else "ROLLBACK_FAILED")
                return
            owned.become("CREATE_COMPLETE", self._now())
        self._end(stack, "CREATE_COMPLETE")

    def update(self, stack: Stack, changed: Sequence[Owned], properties: Mapping[str, Any], cause: Call) -> None:
        for owned in changed:
            fixed = [name for name in _FIXED if properties[owned.logical_id].get(name) != owned.properties.get(name)]
            if fixed:
                raise Unmodelled(f"cloudformation: {owned.logical_id}: another {fixed[0]} replaces the resource")
        stack.status = "UPDATE_IN_PROGRESS"
        self._spawn(stack, lambda: self._update(stack, changed, properties, cause))

    def _update(self, stack: Stack, changed: Sequence[Owned], properties: Mapping[str, Any], cause: Call) -> None:
        for owned in changed:
            owned.become("UPDATE_IN_PROGRESS", self._now())
            given = {name: value for name, value in properties[owned.logical_id].items() if name not in _FIXED}
            request = {**_request(given), "serviceArn": owned.physical_id}
            failed = self._refused("UpdateExpressGatewayService", request, cause) or self._not_deployed(owned, cause)
            if failed:
                owned.become("UPDATE_FAILED", self._now(), failed)
                self._end(stack, "UPDATE_ROLLBACK_COMPLETE", failed)
                return
            owned.properties = properties[owned.logical_id]
            owned.become("UPDATE_COMPLETE", self._now())
        self._end(stack, "UPDATE_COMPLETE")

    def delete(self, stack: Stack, cause: Call) -> None:
        stack.status = "DELETE_IN_PROGRESS"
        self._spawn(stack, lambda: self._delete(stack, cause))

    def _delete(self, stack: Stack, cause: Call) -> None:
        if self._deleted_all(stack, cause):
            self._end(stack, "DELETE_COMPLETE")
            return
        failed = [one.logical_id for one in stack.resources if one.status == "DELETE_FAILED"]
        self._end(stack, "DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}].")

    def _deleted_all(self, stack: Stack, cause: Call) -> bool:
        gone = [self._deleted(owned, cause) for owned in stack.resources]
        return all(gone)

    # --- one service -------------------------------------------------------------------------------------------------
    def _made(self, owned: Owned, stack: Stack, cause: Call) -> str | None:
        """Why it could not be made; None if it is there and its first deployment has ended well."""
        request = _request(owned.properties)
        names = {"stack-name": stack.name, "stack-id": stack.arn, "logical-id": owned.logical_id}
        tags = [{"key": f"aws:cloudformation:{name}", "value": value} for name, value in names.items()]
        tags += [{"key": key, "value": value} for key, value in stack.tags.items()]
        request["tags"] = [*request.get("tags", []), *tags]
        try:
            answer = self._call("CreateExpressGatewayService", request, cause)
        except AwsError as error:
            return f"{error.code}: {error.message}"
        owned.physical_id = answer["service"]["serviceArn"]
        return self._not_deployed(owned, cause)

    def _not_deployed(self, owned: Owned, cause: Call) -> str | None:
        """Wait for the newest deployment; why it did not end well."""
        cluster = str(owned.physical_id).split("/")[1]
        request = {"cluster": cluster, "service": owned.physical_id}

        def ended() -> str | None:
            found = self._call("ListServiceDeployments", request, cause)["serviceDeployments"]
            status = str(found[0]["status"]) if found else "PENDING"
            return status if status == "SUCCESSFUL" or status in _FAILED else None

        status = self._wait(CHANGE_LIMIT, ended)
        if status == "SUCCESSFUL":
            return None
        return f"The service deployment is {status}." if status else "Exceeded attempts to wait."

    def _deleted(self, owned: Owned, cause: Call) -> bool:
        """Delete what is there and wait until it is INACTIVE."""
        if owned.retained:
            owned.become("DELETE_SKIPPED", self._now())
            return True
        if not owned.there:
            return True
        owned.become("DELETE_IN_PROGRESS", self._now())
        request = {"serviceArn": owned.physical_id}
        refused = self._refused("DeleteExpressGatewayService", request, cause, "ServiceNotFound", "ServiceNotActive")

        def gone() -> str | None:
            try:
                found = self._call("DescribeExpressGatewayService", request, cause)["service"]["status"]
            except AwsError as error:
                if error.code == "ResourceNotFoundException":
                    return "INACTIVE"
                raise
            return "INACTIVE" if found["statusCode"] == "INACTIVE" else None

        if refused or not self._wait(DELETE_LIMIT, gone):
            owned.become("DELETE_FAILED", self._now(), refused or "Exceeded attempts to wait.")
            return False
        owned.become("DELETE_COMPLETE", self._now())
        return True

    # --- common ------------------------------------------------------------------------------------------------------
    def _refused(self, operation: str, request: Mapping[str, Any], cause: Call, *fine: str) -> str | None:
        """Make a call; why it is refused. `fine`: beginnings of error codes that do not matter."""
        try:
            self._call(operation, request, cause)
        except AwsError as error:
            return None if fine and error.code.startswith(fine) else f"{error.code}: {error.message}"
        return None

    def _call(self, operation: str, request: Mapping[str, Any], cause: Call) -> dict[str, Any]:
        return self._gateway.call("ecs", operation, request, AWS_CLOUDFORMATION, cause=cause)

    def _wait(self, limit: float, look: Callable[[], str | None]) -> str | None:
        """What `look` finds within `limit` seconds; no time passes while the world is being built."""
        for _ in range(int(limit // LOOK)):
            self._kernel.scheduler.sleep(self._kernel.delay(LOOK))
            found = look()
            if found is not None:
                return found
        return None

    def _spawn(self, stack: Stack, work: Callable[[], None]) -> None:
        self._kernel.scheduler.spawn(work, name=f"cloudformation:{stack.name}")

    def _end(self, stack: Stack, status: str, reason: str | None = None) -> None:
        stack.status, stack.reason = status, reason

    def _now(self) -> Any:
        return self._kernel.clock.now()


def _request(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A resource's properties in the words of the ECS API."""
    extra = sorted(set(properties) - set(_PROPERTIES))
    if extra:
        raise Unmodelled(f"cloudformation: property {extra[0]} of {EXPRESS} is not modelled")
    lowered: dict[str, Any] = _lowered(dict(properties))
    return lowered


def _lowered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {f"{name[0].lower()}{name[1:]}": _lowered(each) for name, each in value.items()}
    return [_lowered(each) for each in value] if isinstance(value, list) else value
