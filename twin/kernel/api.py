"""What every service of the twin is made of: callers, calls, operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

from twin.errors import Unmodelled

CallerKind = Literal["function", "machine", "operator", "aws", "world"]


@dataclass(frozen=True)
class Caller:
    """Who makes an API call.

    Attributes:
        kind: a Lambda function, a state machine, a person or their tool, AWS itself, or the builder of the world.
        name: logical id of the function or machine, the operator's name, or the AWS service (`ecs`, `autoscaling`, …).
        role_arn: the role whose policies are enforced; None for callers that the twin does not authorize.
        execution: ARN of the execution on whose behalf a machine calls, else None.
    """

    kind: CallerKind
    name: str
    role_arn: str | None = None
    execution: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


AWS_ECS = Caller("aws", "ecs")
AWS_EVENTS = Caller("aws", "events")
AWS_LAMBDA = Caller("aws", "lambda")
WORLD = Caller("world", "world")


@dataclass
class Call:
    """One API call as it was made: the record by which effects are traced to their cause.

    Attributes:
        number: position in the run, from 1.
        at: simulated time.
        service: botocore's service name, e.g. `ecs`.
        params: the request's members as botocore validated them.
        error: error code answered, None on success.
        cause: the call because of which AWS makes this one; None for calls that functions, machines and people make.
    """

    number: int
    at: datetime
    caller: Caller
    service: str
    operation: str
    params: Mapping[str, Any]
    error: str | None = None
    cause: Call | None = None

    @property
    def origin(self) -> Call:
        """The call at the start of the chain of causes: this one, unless AWS made it because of another."""
        return self.cause.origin if self.cause else self

    def __str__(self) -> str:
        return f"{self.service}:{self.operation} by {self.caller}"


Handler = Callable[[Any, dict[str, Any], Call], dict[str, Any]]
F = TypeVar("F", bound=Handler)


@dataclass(frozen=True)
class Operation:
    """A modelled API operation: its name on the wire and the request members that the twin models."""

    name: str
    accepts: frozenset[str]


def operation(name: str, accepts: Iterable[str] = ()) -> Callable[[F], F]:
    """Mark a method `(self, params, call) -> response` as an API operation.

    `accepts` names every top-level request member that is modelled; any other member that a caller sends raises
    `Unmodelled`. The response is a dict in botocore's shape (datetimes aware), built anew for each call.
    """

    def mark(method: F) -> F:
        method.twin_operation = Operation(name, frozenset(accepts))  # type: ignore[attr-defined]
        return method

    return mark


@dataclass
class Api:
    """Base of a service of the twin: finds its operations by their marks.

    Subclasses set `service` (botocore's name, e.g. `ecs`, `elbv2`) and define methods marked with `@operation`.
    """

    service: str = field(init=False, default="")

    def handlers(self) -> dict[str, tuple[Operation, Callable[[dict[str, Any], Call], dict[str, Any]]]]:
        found: dict[str, tuple[Operation, Callable[[dict[str, Any], Call], dict[str, Any]]]] = {}
        for attribute in dir(type(self)):
            mark = getattr(getattr(type(self), attribute), "twin_operation", None)
            if isinstance(mark, Operation):
                found[mark.name] = (mark, getattr(self, attribute))
        return found


def check_members(operation_: Operation, service: str, params: Mapping[str, Any]) -> None:
    """Raise `Unmodelled` for request members outside of what the operation models."""
    extra = sorted(set(params) - operation_.accepts)
    if extra:
        raise Unmodelled(f"{service}:{operation_.name}: request member {extra[0]}={params[extra[0]]!r} is not modelled")
