"""botocore inside of a world: its requests are answered here instead of by the network, and its time is simulated.

botocore still checks parameters, resolves endpoints, signs, and retries. Replaced are only the sending of a request
and its clocks, sleeps and random numbers. For the twin's own services the request's members are handed over as they
were given and the response as a dict, without a trip over the wire format; moto gets the signed HTTP request.
"""

from __future__ import annotations

import datetime as real_datetime
import random
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import patch

import botocore.auth
import botocore.client
import botocore.endpoint
import botocore.handlers
import botocore.retries.adaptive
import botocore.retries.standard
import botocore.retryhandler
import moto.core.utils
from botocore.awsrequest import AWSResponse
from botocore.model import OperationModel
from botocore.response import StreamingBody
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import MockRawResponse
from moto.core.model_instances import reset_model_data
from moto.core.models import botocore_stubber
from moto.core.serialize import BaseJSONSerializer
from moto.moto_api._internal import mock_random

from twin.errors import AwsError, Unmodelled
from twin.kernel import virtual
from twin.kernel.clock import Clock

_CLIENT: Any = botocore.client.BaseClient
_ENDPOINT: Any = botocore.endpoint.Endpoint
_ACCESS_KEY = re.compile(r"Credential=([^/]+)/")


@dataclass
class Http:
    """An answered request, as botocore's endpoint returns it: the HTTP response and what it was parsed to."""

    response: Any
    parsed: dict[str, Any]

    @classmethod
    def success(cls, response: dict[str, Any], model: OperationModel, request_id: str) -> Http:
        streaming = model.get_streaming_output()
        if streaming is not None:
            response = _with_stream(response, model)
        return cls(_Response(200), {**response, "ResponseMetadata": _metadata(200, request_id)})

    @classmethod
    def failure(cls, error: AwsError, request_id: str) -> Http:
        parsed = {
            **error.fields,
            "Error": {"Message": error.message, "Code": error.code},
            "ResponseMetadata": _metadata(error.status, request_id),
        }
        return cls(_Response(error.status), parsed)

    @property
    def error_code(self) -> str | None:
        if self.response.status_code < 300:
            return None
        return str(self.parsed.get("Error", {}).get("Code", self.response.status_code))


Answer = Callable[[OperationModel, Mapping[str, Any], str, str, Callable[[], Http]], Http]


@dataclass
class _Response:
    """What botocore's retry handlers and event hooks read of an HTTP response."""

    status_code: int
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    text: str = ""

    @property
    def raw(self) -> BytesIO:
        return BytesIO(self.content)


def _metadata(status: int, request_id: str) -> dict[str, Any]:
    return {
        "RequestId": request_id,
        "HTTPStatusCode": status,
        "HTTPHeaders": {"x-amzn-requestid": request_id},
        "RetryAttempts": 0,
    }


def _with_stream(response: dict[str, Any], model: OperationModel) -> dict[str, Any]:
    shape = model.output_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    if payload is None or not isinstance(response.get(payload), bytes):
        return response
    content = response[payload]
    return {**response, payload: StreamingBody(BytesIO(content), len(content))}


@dataclass
class Interception:
    """Puts a world's answers in place of botocore's network.

    Args:
        clock, rng, sleep: botocore's time and chance in the world.
        account: moto keeps its resources under this account.
        answer: called with (operation model, request members, access key, region, send-to-moto).
    """

    clock: Clock
    rng: random.Random
    sleep: Callable[[float], None]
    account: str
    answer: Answer
    _depth: int = 0
    _direct: int = 0
    _present: ClassVar[Interception | None] = None

    @property
    def is_active(self) -> bool:
        return self._depth > 0

    @contextmanager
    def active(self) -> Iterator[bool]:
        """Patch botocore (and moto's clock and chance) until the block ends. Gives whether it is the outermost."""
        if Interception._present not in (None, self):
            raise RuntimeError("another world is entered in this process; leave it first")
        if self._depth:
            self._depth += 1
            try:
                yield False
            finally:
                self._depth -= 1
            return
        with ExitStack() as stack:
            _forget_moto()
            mock_random.seed(self.rng.getrandbits(64))
            for change in self._patches():
                stack.enter_context(change)
            Interception._present = self
            self._depth = 1
            try:
                yield True
            finally:
                self._depth = 0
                Interception._present = None
                _forget_moto()

    @contextmanager
    def to_moto(self) -> Iterator[None]:
        """Within, requests go straight to moto: the gateway has dealt with them already."""
        self._direct += 1
        try:
            yield
        finally:
            self._direct -= 1

    def _patches(self) -> Iterator[Any]:
        """Everything of botocore and moto that would reach the network, the real clock or unseeded chance."""
        chance = _Chance(self.rng)
        yield patch.object(_CLIENT, "_convert_to_request_dict", self._converting())
        yield patch.object(_ENDPOINT, "_do_get_response", self._responding())
        yield patch.object(_ENDPOINT, "_send", self._sending())
        yield patch.object(botocore.endpoint, "time", SimpleNamespace(sleep=self.sleep))
        yield patch.object(botocore.endpoint, "uuid", chance)
        yield patch.object(botocore.handlers, "uuid", chance)
        yield patch.object(botocore.retryhandler, "random", self.rng)
        yield patch.object(botocore.endpoint, "get_current_datetime", self._now)
        yield patch.object(botocore.auth, "get_current_datetime", self._now)
        yield patch.object(botocore.retries.standard.RetryHandler.__init__, "__defaults__", (None, self.sleep))
        backoff = botocore.retries.standard.ExponentialBackoff.__init__
        yield patch.object(backoff, "__defaults__", (20, self.rng.random, None, None))
        yield patch.object(botocore.retries.adaptive, "register_retry_handler", _no_adaptive_mode)
        yield patch.object(moto.core.utils, "datetime", self._datetime_module())
        yield patch.object(BaseJSONSerializer, "_serialize_type_structure", _serialize_structure)

    def _now(self, remove_tzinfo: bool = True) -> real_datetime.datetime:
        now = self.clock.now()
        return now.replace(tzinfo=None) if remove_tzinfo else now

    def _datetime_module(self) -> ModuleType:
        """The module `datetime`, but for the present time."""
        clock = self.clock

        class SimulatedDatetime(real_datetime.datetime):
            @classmethod
            def now(cls, tz: real_datetime.tzinfo | None = None) -> SimulatedDatetime:
                return cls.fromtimestamp(clock.time(), tz or real_datetime.UTC)

        module = ModuleType("datetime")
        module.__dict__.update({k: v for k, v in vars(real_datetime).items() if not k.startswith("__")})
        module.datetime = SimulatedDatetime  # type: ignore[attr-defined]
        return module

    def _converting(self) -> Callable[..., Any]:
        original = _CLIENT._convert_to_request_dict

        def convert(
            client: Any, api_params: Any, operation_model: Any, endpoint_url: Any, context: Any = None, **rest: Any
        ) -> Any:
            request = original(client, api_params, operation_model, endpoint_url, context=context, **rest)
            request["context"]["twin_params"] = api_params
            return request

        return convert

    def _responding(self) -> Callable[..., Any]:
        original = _ENDPOINT._do_get_response

        def respond(endpoint: Any, request: Any, operation_model: OperationModel, context: dict[str, Any]) -> Any:
            def send() -> Http:
                request.headers["x-moto-account-id"] = self.account
                success, exception = original(endpoint, request, operation_model, context)
                if success is None:
                    raise exception
                return Http(*success)

            if self._direct:
                done = send()
            else:
                params, key = context["twin_params"], _access_key(request)
                with virtual.outside():  # the world's code sees nothing of the function's environment and streams
                    done = self.answer(operation_model, params, key, context["client_region"], send)
            return (done.response, done.parsed), None

        return respond

    def _sending(self) -> Callable[..., Any]:
        def send(_endpoint: Any, request: Any) -> AWSResponse:
            answer = botocore_stubber.process_request(request)
            if answer is None:
                raise Unmodelled(f"a request to {request.url}, which moto does not know")
            status, headers, body = answer
            return AWSResponse(request.url, status, headers, MockRawResponse(body))

        return send


_serialize_any_structure: Any = BaseJSONSerializer._serialize_type_structure


def _serialize_structure(serializer: Any, serialized: dict[str, Any], value: Any, shape: Any, key: str) -> None:
    """moto's, but for DynamoDB's attribute values, which are in wire form already unless they hold binary data.

    moto asks each value for each of an attribute's ten possible types under several spellings: 5 ms for a small item.
    """
    if shape.name == "AttributeValue" and _is_wire_form(value):
        serializer._default_serialize(serialized, value, shape, key)
    else:
        _serialize_any_structure(serializer, serialized, value, shape, key)


def _is_wire_form(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_wire_form, value.values()))
    if isinstance(value, list):
        return all(map(_is_wire_form, value))
    return isinstance(value, str | bool)


class _Chance:
    """Stands in for the module `uuid`: ids from the world's seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(int=self._rng.getrandbits(128), version=4)


def _access_key(request: Any) -> str:
    header = request.headers.get("Authorization", "")
    text = header.decode() if isinstance(header, bytes) else str(header)
    found = _ACCESS_KEY.search(text)
    if found is None:
        raise Unmodelled(f"an unsigned request to {request.url}")
    return found[1]


def _no_adaptive_mode(*_args: object, **_kwargs: object) -> None:
    raise Unmodelled("botocore's retry mode `adaptive`")


def _forget_moto() -> None:
    """Drop every resource that moto holds: a world begins and ends empty."""
    BackendDict.reset()
    reset_model_data()
