"""The door of the simulated AWS: every API call of a world goes through here, whoever makes it.

It knows who calls, authorizes functions and machines against their deployed roles, strikes with the world's faults,
spends the simulated time that a call takes, writes the record of calls, and hands the request to one of the twin's own
services or, for the few services it vouches for, to moto.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b32encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import OperationModel, ServiceModel

from twin.errors import AwsError, Unmodelled
from twin.kernel import loaders, shapes, virtual
from twin.kernel.api import Api, Call, Caller, Operation, check_members
from twin.kernel.endless import Endless
from twin.kernel.iam import Iam
from twin.kernel.intercept import Http, Interception
from twin.kernel.kernel import Kernel

MOTO_OPERATIONS: Mapping[str, frozenset[str]] = {
    "dynamodb": frozenset(
        {
            "BatchGetItem",
            "BatchWriteItem",
            "CreateTable",
            "DeleteItem",
            "DescribeContinuousBackups",
            "DescribeTable",
            "DescribeTimeToLive",
            "GetItem",
            "ListTables",
            "PutItem",
            "Query",
            "Scan",
            "TransactGetItems",
            "TransactWriteItems",
            "UpdateContinuousBackups",
            "UpdateItem",
            "UpdateTimeToLive",
        }
    ),
    "ssm": frozenset(
        {"DeleteParameter", "DeleteParameters", "GetParameter", "GetParameters", "GetParametersByPath", "PutParameter"}
    ),
}
"""Services that moto answers, and the operations of theirs that the twin vouches for."""

_DENIED = {
    "ec2": ("UnauthorizedOperation", 403),
    "autoscaling": ("AccessDenied", 403),
    "elbv2": ("AccessDenied", 403),
    "cloudwatch": ("AccessDenied", 403),
    "cloudformation": ("AccessDenied", 403),
    "iam": ("AccessDenied", 403),
    "route53": ("AccessDenied", 403),
    "sqs": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
}
_SERVER_FAULTS = ("InternalServer", "InternalFailure", "ServerException", "ServiceUnavailable", "InternalError")

_REGIONS = {"route53": "aws-global", "iam": "aws-global"}
"""Services without Regions, and what botocore says in place of one."""

_CLIENT_OPTIONS: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 1},
    "ignore_configured_endpoint_urls": True,
}

R = TypeVar("R")
Handler = Callable[[dict[str, Any], Call], dict[str, Any]]
Authorizer = Callable[[Caller, str, str, Mapping[str, Any]], str | None]
Completed = Callable[[Call, Mapping[str, Any]], None]


class FunctionDied(BaseException):
    """The function's process ends here, as when its runtime crashes or its memory runs out (a planned `Death`)."""


@dataclass
class ApiFault:
    """An error that AWS answers although the request is right: throttling, an outage, a denied read.

    Attributes:
        service, operation: botocore's names; operation `*` is every operation of the service.
        code, message: the error as AWS answers it.
        caller: name of the caller that is struck; None strikes every function, machine and operator, but not AWS
            itself and not the builder of the world.
        times: how often it strikes; None is always.
        after, until: simulated seconds since the start between which it strikes.
    """

    service: str
    operation: str
    code: str
    message: str = "Rate exceeded"
    caller: str | None = None
    times: int | None = 1
    after: float = 0.0
    until: float | None = None

    def strikes(self, call: Call, elapsed: float) -> bool:
        if self.times == 0 or elapsed < self.after or (self.until is not None and elapsed >= self.until):
            return False
        if self.service != call.service or self.operation not in ("*", call.operation):
            return False
        if self.caller is None:
            return call.caller.kind in ("function", "machine", "operator")
        return self.caller == call.caller.name

    @property
    def status(self) -> int:
        return 500 if self.code.startswith(_SERVER_FAULTS) else 400


@dataclass
class Death:
    """A function that dies just before or just after its nth call of an operation (`*`: of any)."""

    function: str
    service: str
    operation: str
    when: Literal["before", "after"]
    nth: int = 1
    seen: int = field(default=0, compare=False)

    def concerns(self, caller: Caller, service: str, operation: str) -> bool:
        return (
            caller.kind == "function"
            and caller.name == self.function
            and self.service in ("*", service)
            and self.operation in ("*", operation)
        )


@dataclass
class _Visit:
    """One request on its way through the gateway."""

    caller: Caller
    service: str
    operation: str
    params: Mapping[str, Any]
    cause: Call | None


class Gateway:
    """Dispatches API calls.

    Attributes:
        latency: simulated seconds that a call costs a function or a machine, half on the way in, half on the way out.
        api_faults, deaths, endless: the world's faults; they strike only in a settled world.
        iam: the world's roles and resource policies; the deployment fills it.
        authorizer: says why a caller with a role may not make a call, or None when it may; `iam` unless replaced.
        throttles: raise AwsError for a call that comes too fast; asked in a settled world.
        completed: told of every call that succeeded.
        validate_requests, validate_responses: check in-process requests and the own services' responses against AWS's
            models. Intercepted requests were checked by botocore.
    """

    def __init__(self, kernel: Kernel, *, latency: float = 0.02) -> None:
        self.kernel = kernel
        self.latency = latency
        self.api_faults: list[ApiFault] = []
        self.deaths: list[Death] = []
        self.endless: list[Endless] = []
        self.iam = Iam(kernel.region, kernel.account)
        self.authorizer: Authorizer = self.iam.authorize
        self.throttles: list[Callable[[Call], None]] = []
        self.completed: list[Completed] = []
        self.validate_requests = True
        self.validate_responses = False
        self._apis: dict[str, dict[str, tuple[Operation, Handler]]] = {}
        self._callers: dict[str, Caller] = {}
        self._clients: dict[tuple[str, Caller], Any] = {}
        self._session = _hermetic_session()
        self._models: dict[str, ServiceModel] = {}
        self._interception = Interception(
            clock=kernel.clock,
            rng=kernel.rng("botocore"),
            sleep=self.sleep,
            account=kernel.account,
            answer=self._answer,
        )

    # --- who serves, who calls ---------------------------------------------------------------------------------------
    def register(self, api: Api) -> None:
        """Make `api` answer its service's calls, in place of moto if moto would."""
        if not api.service or api.service in self._apis:
            raise ValueError(f"gateway: service {api.service!r} cannot be registered (empty or taken)")
        self._apis[api.service] = api.handlers()

    def credentials(self, caller: Caller) -> tuple[str, str]:
        """Access key and secret by which the calls of `caller` are known. The same caller has the same key."""
        digest = hashlib.sha256(repr((caller.kind, caller.name, caller.role_arn, caller.execution)).encode()).digest()
        key = "ASIA" + b32encode(digest)[:16].decode()
        self._callers[key] = caller
        return key, digest.hex()

    def caller_of(self, access_key: str) -> Caller:
        """The caller that owns `access_key`; `Unmodelled` for a key from outside of the world."""
        caller = self._callers.get(access_key)
        if caller is None:
            raise Unmodelled(f"an API call with access key {access_key!r}, which belongs to nobody in this world")
        return caller

    def client(self, service: str, caller: Caller) -> Any:
        """A boto3 client of `service` (botocore's name) for `caller`; it does not retry. Needs `intercepted()`."""
        found = self._clients.get((service, caller))
        if found is None:
            key, secret = self.credentials(caller)
            found = self._session.create_client(
                service,
                region_name=self.kernel.region,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                config=Config(**_CLIENT_OPTIONS),
            )
            self._clients[service, caller] = found
        return found

    @contextmanager
    def intercepted(self) -> Iterator[None]:
        """Within, botocore's calls of this process go to this gateway, and botocore lives in simulated time.

        May be entered again while it is entered; two worlds cannot be entered at the same time.
        """
        with self._interception.active() as outermost:
            try:
                yield
            finally:
                if outermost:
                    virtual.unwind_all(self.kernel)

    # --- calls -------------------------------------------------------------------------------------------------------
    def call(
        self, service: str, operation: str, params: Mapping[str, Any], caller: Caller, *, cause: Call | None = None
    ) -> dict[str, Any]:
        """Make an API call from within the process.

        Args:
            service: botocore's name, e.g. `ecs`, `stepfunctions`.
            operation: name on the wire, e.g. `UpdateService`.
            params: request members as boto3 takes them.
            cause: the call because of which AWS makes this one.

        Returns:
            The response in boto3's shape, without ResponseMetadata.

        Raises:
            AwsError: as AWS would answer; `ParamValidationError` for a request that no SDK would send.
            Unmodelled: an operation or member that the twin does not model.
        """
        if self.validate_requests and caller.kind != "aws":
            report = shapes.request_errors(self._operation_model(service, operation).input_shape, params)
            if report:
                raise AwsError("ParamValidationError", f"{service}:{operation}: {report}")
        visit = _Visit(caller, service, operation, params, cause)
        if service in self._apis:
            return self._travel_and_act(visit, self._act_own)
        self._check_moto(visit)
        if not self._interception.is_active:
            raise RuntimeError(f"gateway: {service}:{operation} is served by moto, which needs intercepted()")
        return self._travel_and_act(visit, self._act_moto)

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass for the present process; outside of a process there is no time to pass."""
        if seconds > 0 and self.kernel.scheduler.current is not None:
            self.kernel.scheduler.sleep(seconds)

    def _travel_and_act(self, visit: _Visit, act: Callable[[_Visit, Call], R]) -> R:
        slow = self.kernel.settled and visit.caller.kind in ("function", "machine")
        self._maybe_die(visit, "before")
        if slow:
            self.sleep(self.latency / 2)
        call = self._record(visit)
        try:
            self._refuse(call)
            response = act(visit, call)
        except AwsError as error:
            call.error = error.code
            if slow:
                self.sleep(self.latency / 2)
            raise
        if call.error is None and isinstance(response, Mapping):
            for listener in self.completed:
                listener(call, response)
        self._maybe_die(visit, "after")
        if slow:
            self.sleep(self.latency / 2)
        return response

    def _record(self, visit: _Visit) -> Call:
        calls = self.kernel.calls
        call = Call(
            number=len(calls) + 1,
            at=self.kernel.clock.now(),
            caller=visit.caller,
            service=visit.service,
            operation=visit.operation,
            params=_copied(visit.params),
            cause=visit.cause,
        )
        calls.append(call)
        return call

    def _maybe_die(self, visit: _Visit, when: Literal["before", "after"]) -> None:
        if not self.kernel.settled or visit.caller.kind != "function":
            return
        for death in self.deaths:
            if death.when == when and death.concerns(visit.caller, visit.service, visit.operation):
                death.seen += 1
                if death.seen == death.nth:
                    raise FunctionDied(f"{visit.caller.name} died {when} {visit.service}:{visit.operation}")

    def _refuse(self, call: Call) -> None:
        """Raise the error that a fault or a missing permission makes of this call."""
        if self.kernel.settled:
            elapsed = self.kernel.clock.elapsed
            for fault in self.api_faults:
                if fault.strikes(call, elapsed):
                    if fault.times is not None:
                        fault.times -= 1
                    raise AwsError(fault.code, fault.message, fault.status)
            for throttle in self.throttles:
                throttle(call)
        if call.caller.role_arn is None:
            return
        denied = self.authorizer(call.caller, call.service, call.operation, call.params)
        if denied:
            code, status = _DENIED.get(call.service, ("AccessDeniedException", 400))
            raise AwsError(code, denied, status)

    def _cut(self, call: Call) -> Endless | None:
        """The fault by which this listing does not end."""
        if not self.kernel.settled or not self.endless:
            return None
        return next((each for each in self.endless if each.strikes(call, self.kernel.clock.elapsed)), None)

    def _act_own(self, visit: _Visit, call: Call) -> dict[str, Any]:
        found = self._apis[visit.service].get(visit.operation)
        if found is None:
            raise Unmodelled(f"{visit.service}:{visit.operation} is not modelled")
        mark, handler = found
        cut = self._cut(call)
        params = cut.asked(visit.params) if cut else visit.params
        check_members(mark, visit.service, params)
        response = handler(_copied(params), call)
        if cut:
            response = cut.answered(response)
        if self.validate_responses:
            shape = self._operation_model(visit.service, visit.operation).output_shape
            errors = shapes.response_errors(shape, response)
            if errors:
                raise Unmodelled(f"{visit.service}:{visit.operation} answered what AWS cannot: {'; '.join(errors)}")
        return response

    def _act_moto(self, visit: _Visit, call: Call) -> dict[str, Any]:
        client = self.client(visit.service, visit.caller)
        try:
            with self._interception.to_moto():
                response: dict[str, Any] = client._make_api_call(visit.operation, dict(visit.params))
        except ClientError as error:
            raise _aws_error(error) from error
        response.pop("ResponseMetadata", None)
        return response

    def _check_moto(self, visit: _Visit) -> None:
        if visit.operation not in MOTO_OPERATIONS.get(visit.service, frozenset()):
            raise Unmodelled(f"{visit.service}:{visit.operation} is not modelled")

    # --- botocore's calls --------------------------------------------------------------------------------------------
    def _answer(
        self, model: OperationModel, params: Mapping[str, Any], access_key: str, region: str, send: Callable[[], Http]
    ) -> Http:
        """Answer a request that botocore was about to send; `send` puts it to moto."""
        service = model.service_model.service_name
        if region not in (self.kernel.region, _REGIONS.get(service)):
            raise Unmodelled(f"{service}:{model.name} in region {region}; the world has {self.kernel.region} only")
        visit = _Visit(self.caller_of(access_key), service, model.name, params, None)
        try:
            if service in self._apis:
                return Http.success(self._travel_and_act(visit, self._act_own), model, self._request_id())
            self._check_moto(visit)
            return self._travel_and_act(visit, lambda _visit, call: _sent(send, call))
        except AwsError as error:
            return Http.failure(error, self._request_id())

    def _request_id(self) -> str:
        return f"00000000-0000-4000-8000-{len(self.kernel.calls):012x}"

    def _operation_model(self, service: str, operation: str) -> OperationModel:
        model = self._models.get(service)
        if model is None:
            model = self._models[service] = self._session.get_service_model(service)
        if operation not in model.operation_names:
            raise AwsError("UnknownOperationException", f"{service} has no operation {operation}")
        return model.operation_model(operation)


def _sent(send: Callable[[], Http], call: Call) -> Http:
    answer = send()
    call.error = answer.error_code
    return answer


def _aws_error(error: ClientError) -> AwsError:
    detail = error.response["Error"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    fields = {k: v for k, v in error.response.items() if k not in ("Error", "ResponseMetadata", "message", "Message")}
    return AwsError(detail["Code"], detail["Message"], status, fields)


def _copied(value: Any) -> Any:
    """A copy of a request's plain data, so that neither the record nor a handler shares it with the caller."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return value


def _hermetic_session() -> botocore.session.Session:
    """A session that reads no profile and no configuration file of the machine it runs on."""
    hermetic = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    loaders.share()
    return botocore.session.Session(session_vars=hermetic)
