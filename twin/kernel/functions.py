"""Lambda: functions that run in this process but apart, on simulated time.

Sources: AWS Lambda Developer Guide ("Lambda execution environments", "Defined runtime environment variables",
"Lambda quotas", "Asynchronous invocation", "Python handler errors"), Lambda API reference, Invoke.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twin.errors import AwsError, WorldError
from twin.kernel import virtual
from twin.kernel.api import Api, Call, Caller, operation
from twin.kernel.gateway import FunctionDied, Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.sandbox import Finder, Sandbox
from twin.kernel.scheduler import Timer

LATEST = "$LATEST"
_MAX_REQUEST = 6 * 1024 * 1024
_MAX_RESPONSE = 6 * 1024 * 1024 + 100
_MAX_ASYNC = 1024 * 1024
_NAME = re.compile(
    r"(?:arn:aws:lambda:[a-z0-9-]+:\d{12}:function:|\d{12}:function:)?(?P<name>[\w-]{1,64})(?::(?P<qualifier>[\w$-]+))?"
)
_FOREIGN_PATH = re.compile(r'File ".*/(site-packages|python3\.\d+)/')


@dataclass(frozen=True)
class FunctionOptions:
    """How the world's Lambda behaves where AWS promises nothing.

    Attributes:
        cold_start: seconds from the invocation to the handler's start in a new environment.
        warm_start: the same in an environment that is kept warm.
        keep_warm: seconds that an idle environment is kept.
        retry_delays: seconds before each retry of an asynchronous invocation (AWS: one, then two minutes).
    """

    cold_start: float = 0.4
    warm_start: float = 0.0
    keep_warm: float = 600.0
    retry_delays: tuple[float, ...] = (60.0, 120.0)


@dataclass(frozen=True)
class FunctionSpec:
    """A function as deployed.

    Attributes:
        handler: `package.module.function` below the code root.
        environment: the template's variables.
        timeout: seconds; memory: MB.
        retries: of asynchronous invocations (MaximumRetryAttempts, 0 to 2).
        dead_letter: given the event and the error of an asynchronous invocation that failed for good.
    """

    logical_id: str
    name: str
    arn: str
    handler: str
    environment: Mapping[str, str]
    role_arn: str | None
    timeout: float = 3.0
    memory: int = 128
    retries: int = 2
    dead_letter: Callable[[Any, Mapping[str, Any]], None] | None = None


@dataclass(frozen=True)
class InvokeResult:
    """What a synchronous invocation answers: the payload, or `error` with errorType, errorMessage, …"""

    payload: Any
    error: Mapping[str, Any] | None = None
    version: str = LATEST


@dataclass
class Invocation:
    """One run of a function.

    Attributes:
        function: logical id.
        cold: whether it ran in a new environment.
        seconds: from the handler's start to its end, in simulated time; init: of a cold start before it.
        billed_ms: as billed, initialization included, rounded up to the next millisecond.
        error: errorType of a run that failed.
    """

    function: str
    version: str
    request_id: str
    at: datetime
    caller: Caller
    cold: bool
    init: float = 0.0
    seconds: float = 0.0
    billed_ms: int = 0
    error: str | None = None
    finished: bool = False


@dataclass(frozen=True)
class Metric:
    """One value that a function wrote in CloudWatch's embedded metric format."""

    at: datetime
    function: str
    namespace: str
    name: str
    unit: str
    dimensions: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class LogLine:
    at: datetime
    function: str
    request_id: str
    text: str


@dataclass(frozen=True)
class LambdaContext:
    """The second argument of a handler. Source: Developer Guide, "Using the Lambda context object"."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    identity: None
    client_context: None
    remaining: Callable[[], float] = field(repr=False)

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(round(self.remaining() * 1000, 6)))


@dataclass
class _Function:
    spec: FunctionSpec
    versions: dict[str, FunctionSpec]
    aliases: dict[str, str] = field(default_factory=dict)


@dataclass
class _Environment:
    """An execution environment: a sandbox and what Lambda knows of it."""

    sandbox: Sandbox
    stream: str
    handler: Callable[[Any, Any], Any] | None = None
    idle_since: float = 0.0
    request_id: str = ""


class Functions(Api):
    """The Lambda service of a world.

    Args:
        code_root: the folder that Lambda would unpack (CodeUri).

    Attributes:
        invocations: every run, in order of its start.
        metrics, logs: what the functions wrote.
        finished: told of each run when it has ended.
    """

    def __init__(
        self, kernel: Kernel, gateway: Gateway, code_root: Path, options: FunctionOptions | None = None
    ) -> None:
        super().__init__()
        self.service = "lambda"
        self.kernel = kernel
        self.gateway = gateway
        self.options = options or FunctionOptions()
        self.invocations: list[Invocation] = []
        self.metrics: list[Metric] = []
        self.logs: list[LogLine] = []
        self.finished: list[Callable[[Invocation], None]] = []
        self._code_root = str(code_root)
        self._finder = Finder(code_root)
        self._functions: dict[str, _Function] = {}
        self._idle: dict[tuple[str, str], list[_Environment]] = {}
        self._environments = 0
        self._ids = kernel.rng("lambda")
        gateway.register(self)

    # --- deployment --------------------------------------------------------------------------------------------------
    def add(self, spec: FunctionSpec) -> None:
        """Create a function (its version is `$LATEST`)."""
        if spec.name in self._functions:
            raise WorldError(f"function {spec.logical_id}: name {spec.name!r} exists twice")
        if not 1 <= spec.timeout <= 900:
            raise WorldError(f"function {spec.logical_id}: Timeout {spec.timeout:g} is not 1 to 900 seconds")
        self._functions[spec.name] = _Function(spec, {LATEST: spec})

    def configure(self, name: str, **changes: Any) -> None:
        """Change fields of a function's `$LATEST`, e.g. `dead_letter`."""
        function = self._functions[name]
        function.spec = function.versions[LATEST] = replace(function.spec, **changes)

    def publish_version(self, function_arn: str) -> str:
        """Publish `$LATEST` as the next version; returns the version's ARN."""
        function = self._functions[self._resolve(function_arn)[0].name]
        number = str(len(function.versions))
        function.versions[number] = function.spec
        return f"{function.spec.arn}:{number}"

    def add_alias(self, alias: str, version_arn: str) -> str:
        """Point an alias at a version; returns the alias's ARN."""
        spec, version = self._resolve(version_arn)
        if version == LATEST or not version_arn.endswith(f":{version}"):
            raise WorldError(f"alias {alias}: {version_arn} is not a version")
        self._functions[spec.name].aliases[alias] = version
        return f"{spec.arn}:{alias}"

    def spec(self, name_or_arn: str) -> FunctionSpec:
        """The function behind a name or ARN, also of a version or alias."""
        return self._resolve(name_or_arn)[0]

    # --- invoking ----------------------------------------------------------------------------------------------------
    def invoke(self, name_or_arn: str, payload: Any, caller: Caller) -> InvokeResult:
        """Invoke and wait, in simulated time, for the answer. Only a process can.

        Raises:
            AwsError: ResourceNotFoundException, RequestTooLargeException.
        """
        spec, version = self._resolve(name_or_arn)
        text = json.dumps(payload)
        if len(text.encode()) > _MAX_REQUEST:
            raise AwsError("RequestTooLargeException", _too_large(text, _MAX_REQUEST), 413)
        run = _Run(self, spec, version, name_or_arn, text, caller, self._uuid())
        run.job.join()
        if run.result is None:
            raise RuntimeError(f"function {spec.logical_id} ended without a result")
        return run.result

    def invoke_async(self, name_or_arn: str, payload: Any, caller: Caller) -> None:
        """Put an event into the function's queue. It is run soon, and again after errors."""
        spec, version = self._resolve(name_or_arn)
        text = json.dumps(payload)
        if len(text.encode()) > _MAX_ASYNC:
            raise AwsError("RequestTooLargeException", _too_large(text, _MAX_ASYNC), 413)
        request_id = self._uuid()

        def attempts() -> None:
            error: Mapping[str, Any] | None = None
            for delay in (0.0, *self.options.retry_delays[: spec.retries]):
                if delay:
                    self.kernel.scheduler.sleep(delay)
                run = _Run(self, spec, version, name_or_arn, text, caller, request_id)
                run.job.join()
                error = run.result.error if run.result else None
                if error is None:
                    return
            self._discard(spec, text, error or {})

        self.kernel.scheduler.spawn(attempts, name=f"lambda:event:{spec.logical_id}")

    def _discard(self, spec: FunctionSpec, text: str, error: Mapping[str, Any]) -> None:
        self.kernel.note(
            "function.discarded", f"{spec.logical_id}: an event is given up", function=spec.logical_id, **error
        )
        if spec.dead_letter is not None:
            spec.dead_letter(json.loads(text), error)

    def _resolve(self, name_or_arn: str, qualifier: str | None = None) -> tuple[FunctionSpec, str]:
        found = _NAME.fullmatch(name_or_arn)
        function = self._functions.get(found["name"]) if found else None
        named = found["qualifier"] if found else None
        if named and qualifier and named != qualifier:
            message = "The derived qualifier from the function name does not match the specified qualifier."
            raise AwsError("InvalidParameterValueException", message)
        wanted = qualifier or named or LATEST
        if function is not None:
            version = function.aliases.get(wanted, wanted)
            if version in function.versions:
                return function.versions[version], version
        known = found["name"] if found else name_or_arn
        arn = self.kernel.arn("lambda", f"function:{known}")
        suffix = "" if wanted == LATEST else f":{wanted}"
        raise AwsError("ResourceNotFoundException", f"Function not found: {arn}{suffix}", 404)

    # --- API ---------------------------------------------------------------------------------------------------------
    @operation("Invoke", ["FunctionName", "Payload", "InvocationType", "Qualifier"])
    def invoke_api(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """API reference, Invoke. A function's error is no error of the API: it is told in FunctionError."""
        kind = params.get("InvocationType", "RequestResponse")
        name = params["FunctionName"]
        if "Qualifier" in params:
            self._resolve(name, params["Qualifier"])
            name = name if name.endswith(f":{params['Qualifier']}") else f"{name}:{params['Qualifier']}"
        payload = _parsed(params.get("Payload") or b"null")
        if kind == "Event":
            self.invoke_async(name, payload, call.caller)
            return {"StatusCode": 202, "Payload": b""}
        if kind == "DryRun":
            self._resolve(name)
            return {"StatusCode": 204, "Payload": b""}
        result = self.invoke(name, payload, call.caller)
        answer = {"StatusCode": 200, "ExecutedVersion": result.version}
        body = result.payload if result.error is None else dict(result.error)
        if result.error is not None:
            answer["FunctionError"] = "Unhandled"
        return {**answer, "Payload": json.dumps(body).encode()}

    # --- environments ------------------------------------------------------------------------------------------------
    def take_environment(self, spec: FunctionSpec, version: str) -> tuple[_Environment, bool]:
        """An idle environment of the version, the one that was used last, or a new one; and whether it is new."""
        idle = self._idle.setdefault((spec.name, version), [])
        now = self.kernel.clock.elapsed
        idle[:] = [found for found in idle if now - found.idle_since <= self.options.keep_warm]
        if idle:
            return idle.pop(), False
        self._environments += 1
        at = self.kernel.clock.now()
        stream = f"{at:%Y/%m/%d}/[{version}]{self._ids.getrandbits(128):032x}"
        environment: _Environment

        def line(text: str) -> None:
            self._printed(spec, environment, text)

        sandbox = Sandbox(
            self.kernel,
            f"lambda/{spec.logical_id}/{version}/{self._environments}",
            self._finder,
            self._variables(spec, version, stream),
            line,
        )
        environment = _Environment(sandbox, stream)
        return environment, True

    def give_back(self, spec: FunctionSpec, version: str, environment: _Environment) -> None:
        environment.idle_since = self.kernel.clock.elapsed
        self._idle[spec.name, version].append(environment)

    def _variables(self, spec: FunctionSpec, version: str, stream: str) -> dict[str, str]:
        key, secret = self.gateway.credentials(Caller("function", spec.logical_id, spec.role_arn))
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": "twin",
            "AWS_REGION": self.kernel.region,
            "AWS_DEFAULT_REGION": self.kernel.region,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": spec.name,
            "AWS_LAMBDA_FUNCTION_VERSION": version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "LAMBDA_TASK_ROOT": "/var/task",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            "_HANDLER": spec.handler,
            # Not Lambda's, but what its file system amounts to: no configuration of this machine, no X-Ray daemon.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "POWERTOOLS_TRACE_DISABLED": "true",
            **spec.environment,
        }

    def _printed(self, spec: FunctionSpec, environment: _Environment, text: str) -> None:
        if not text.strip() or _is_dying():
            return
        with virtual.outside():
            now = self.kernel.clock.now()
            self.logs.append(LogLine(now, spec.logical_id, environment.request_id, text))
            self.kernel.note("log", text, function=spec.logical_id, request_id=environment.request_id)
            self.metrics.extend(_embedded_metrics(text, spec.logical_id, now))

    def as_in_lambda(self, line: str) -> str:
        """A line of a stack trace with the paths that it would have in Lambda, not those of this machine."""
        return _FOREIGN_PATH.sub(r'File "/var/lang/lib/\1/', line.replace(self._code_root, "/var/task"))

    def note_finished(self, invocation: Invocation) -> None:
        for listener in self.finished:
            listener(invocation)

    def _uuid(self) -> str:
        digits = f"{self._ids.getrandbits(128):032x}"
        return "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


class _Run:
    """One invocation, in a job of its own: whoever waits for it may be ended, it runs on."""

    def __init__(
        self,
        functions: Functions,
        spec: FunctionSpec,
        version: str,
        named: str,
        event: str,
        caller: Caller,
        request_id: str,
    ) -> None:
        self.functions = functions
        self.kernel = functions.kernel
        self.spec = spec
        self.version = version
        self.event = event
        self.request_id = request_id
        self.result: InvokeResult | None = None
        self.environment, cold = functions.take_environment(spec, version)
        self.environment.request_id = request_id
        self.environment.sandbox.begin()
        self.invocation = Invocation(spec.logical_id, version, request_id, self.kernel.clock.now(), caller, cold)
        functions.invocations.append(self.invocation)
        qualifier = _qualifier(named)
        self._arn = f"{spec.arn}:{qualifier}" if qualifier else spec.arn
        self._deadline = math.inf
        self._timer: Timer | None = None
        self._timed_out = False
        self.job = virtual.Job(self.environment.sandbox, self._guarded, name=f"lambda:{spec.logical_id}")
        self.job.guard = _refuse_the_dead

    def _guarded(self) -> None:
        started = self.kernel.clock.elapsed
        failure = self._attempt()
        self._settle(started, failure)

    def _attempt(self) -> Mapping[str, Any] | None:
        """Run the handler; returns the error it ended with. Sets `result` when it answered."""
        try:
            handler = self._initialize()
            if isinstance(handler, Mapping):
                return handler
            return self._handle(handler)
        except FunctionDied:
            return self._exit_error()
        except virtual.Ended:
            if not self._timed_out:
                raise
            return self._time_out_error()
        except SystemExit as exit_:
            return self._exit_error(f"exit status {exit_.code or 0}")

    def _initialize(self) -> Callable[[Any, Any], Any] | Mapping[str, Any]:
        environment = self.environment
        options = self.functions.options
        delay = self.kernel.delay(options.cold_start if self.invocation.cold else options.warm_start)
        begun = self.kernel.clock.elapsed
        if environment.handler is None:
            try:
                environment.handler = environment.sandbox.load(self.spec.handler)
            except Exception as error:  # noqa: BLE001 - told to the caller, as Lambda does
                return self._import_error(error)
        if delay > 0:
            self.kernel.scheduler.sleep(delay)
        if self.invocation.cold:
            self.invocation.init = self.kernel.clock.elapsed - begun
        return environment.handler

    def _handle(self, handler: Callable[[Any, Any], Any]) -> Mapping[str, Any] | None:
        timeout = self.spec.timeout
        self._deadline = self.kernel.clock.elapsed + timeout
        self._timer = self.kernel.scheduler.call_later(timeout, self._expire, name=f"timeout:{self.spec.logical_id}")
        context = self._context()
        try:
            answer = handler(json.loads(self.event), context)
        except Exception as error:  # noqa: BLE001 - told to the caller, as Lambda does
            return self._handler_error(error)
        return self._answer(answer)

    def _answer(self, answer: Any) -> Mapping[str, Any] | None:
        try:
            text = json.dumps(answer)
        except (TypeError, ValueError) as error:
            return self._error("Runtime.MarshalError", f"Unable to marshal response: {error}", stack=[])
        if len(text.encode()) > _MAX_RESPONSE:
            return {
                "errorMessage": f"Response payload size exceeded maximum allowed payload size ({_MAX_RESPONSE} bytes).",
                "errorType": "Function.ResponseSizeTooLarge",
            }
        self.result = InvokeResult(json.loads(text), None, self.version)
        return None

    def _expire(self) -> None:
        if not self.job.done:
            self._timed_out = True
            self.job.end()

    def _settle(self, started: float, failure: Mapping[str, Any] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        sandbox = self.environment.sandbox
        sandbox.finish()
        invocation = self.invocation
        invocation.seconds = self.kernel.clock.elapsed - started - invocation.init
        invocation.billed_ms = max(1, math.ceil(round((self.kernel.clock.elapsed - started) * 1000, 6)))
        invocation.finished = True
        kind = None if failure is None else str(failure["errorType"])
        invocation.error = kind
        if failure is not None:
            self.result = InvokeResult(None, failure, self.version)
        alive = kind not in ("Runtime.ExitError", "Sandbox.Timedout") and self.environment.handler is not None
        with virtual.outside():
            if failure is not None:
                text = f"{self.spec.logical_id}: {kind}: {failure['errorMessage']}"
                self.kernel.note("function.failed", text, function=self.spec.logical_id, request_id=self.request_id)
            if alive:
                self.functions.give_back(self.spec, self.version, self.environment)
            self.functions.note_finished(invocation)

    def _context(self) -> LambdaContext:
        return LambdaContext(
            function_name=self.spec.name,
            function_version=self.version,
            invoked_function_arn=self._arn,
            memory_limit_in_mb=str(self.spec.memory),
            aws_request_id=self.request_id,
            log_group_name=f"/aws/lambda/{self.spec.name}",
            log_stream_name=self.environment.stream,
            identity=None,
            client_context=None,
            remaining=lambda: self._deadline - self.kernel.clock.elapsed,
        )

    # --- errors, in the words of Lambda's Python runtime -------------------------------------------------------------
    def _error(self, kind: str, message: str, stack: list[str]) -> Mapping[str, Any]:
        print(f"[ERROR] {kind}: {message}", *(line.rstrip("\n") for line in stack), sep="\n", file=sys.stdout)
        return {"errorMessage": message, "errorType": kind, "requestId": self.request_id, "stackTrace": stack}

    def _handler_error(self, error: Exception) -> Mapping[str, Any]:
        lines = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
        return self._error(type(error).__name__, str(error), [self.functions.as_in_lambda(line) for line in lines])

    def _import_error(self, error: Exception) -> Mapping[str, Any]:
        module, _, name = self.spec.handler.rpartition(".")
        if isinstance(error, ImportError):
            return self._error("Runtime.ImportModuleError", f"Unable to import module '{module}': {error}", [])
        if isinstance(error, SyntaxError):
            return self._error("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}", [])
        if isinstance(error, AttributeError) and name in str(error):
            return self._error("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module}'", [])
        return self._handler_error(error)

    def _exit_error(self, how: str = "signal: killed") -> Mapping[str, Any]:
        message = f"RequestId: {self.request_id} Error: Runtime exited with error: {how}"
        return {"errorType": "Runtime.ExitError", "errorMessage": message}

    def _time_out_error(self) -> Mapping[str, Any]:
        message = f"RequestId: {self.request_id} Error: Task timed out after {self.spec.timeout:.2f} seconds"
        return {"errorType": "Sandbox.Timedout", "errorMessage": message}


def _refuse_the_dead() -> None:
    """A process that has died makes no further call, not even from a `finally` on its way out."""
    if _is_dying():
        raise FunctionDied("a dead function")


def _is_dying() -> bool:
    """Whether the present code runs only because the end of its process is unwinding it."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, FunctionDied | virtual.Ended):
            return True
        error = error.__context__
    return False


def _qualifier(name_or_arn: str) -> str | None:
    found = _NAME.fullmatch(name_or_arn)
    return found["qualifier"] if found else None


def _parsed(payload: Any) -> Any:
    body = payload.read() if hasattr(payload, "read") else payload
    try:
        return json.loads(body)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise AwsError("InvalidRequestContentException", message) from error


def _too_large(text: str, limit: int) -> str:
    return f"{len(text.encode())} byte payload is too large for the Invoke limit of {limit} bytes"


def _embedded_metrics(text: str, function: str, now: datetime) -> Iterator[Metric]:
    """CloudWatch user guide, "Specification: Embedded metric format"."""
    if '"_aws"' not in text:
        return
    try:
        record = json.loads(text)
        meta = record["_aws"]
        at = datetime.fromtimestamp(meta["Timestamp"] / 1000, UTC)
        directives = meta["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return  # a log line that only mentions it
    for directive in directives:
        for names in directive["Dimensions"] or [[]]:
            dimensions = {name: str(record[name]) for name in names}
            for metric in directive["Metrics"]:
                values = record[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    yield Metric(
                        min(at, now),
                        function,
                        directive["Namespace"],
                        metric["Name"],
                        metric.get("Unit", "None"),
                        dimensions,
                        float(value),
                    )
