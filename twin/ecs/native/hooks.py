"""Lifecycle hooks: Lambda functions that ECS asks, and pauses in which it waits for somebody.

Sources: Amazon ECS Developer Guide, "Lambda hooks" (payloads, answers, callBackDelay, hookDetails, timeouts), "Pause
hooks" (hookId, timeouts; hooks of one stage run in parallel and all must succeed), "Amazon ECS service deployment hook
state change events"; ECS API: DeploymentLifecycleHook, ContinueServiceDeployment.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from twin.ecs.native.interrupted import Interrupted
from twin.ecs.native.settings import Hook
from twin.errors import AwsError
from twin.kernel.api import Call, Caller

if TYPE_CHECKING:
    from twin.ecs.native.release import Release

Act = Callable[[], None]
HookStatus = Literal["AWAITING_ACTION", "IN_PROGRESS", "SUCCEEDED", "FAILED", "TIMED_OUT"]
CALL_BACK = 30.0
_PRINCIPAL = "ecs.amazonaws.com"


def run(it: Release, stage: str, weights: Mapping[str, float] | None = None) -> None:
    """Run the hooks of a stage to their end. `weights`: percent by revision, where the stage tells others than the
    present ones. Interrupted (rollback) when one fails."""
    if not it.engine.kernel.settled:
        return
    executions = [Execution(it, hook, stage, weights) for hook in it.hook_settings if stage in hook.stages]
    it.hooks = executions
    try:
        for execution in executions:
            execution.start()
        it.wait(None, lambda: any(one.failed for one in executions) or all(one.over for one in executions))
    finally:
        for execution in executions:
            execution.cancel()
    if it.going_back and it.engine.options.rollback_hook_failure == "ignored":
        return
    for execution in executions:
        if execution.failed:
            reason = f"Service deployment rolled back because of hook failure at {stage}: {execution.why}"
            raise Interrupted("rollback", reason, "lifecycle hook", execution.cause)


@dataclass(frozen=True)
class _Trouble:
    """Why a function gave no answer."""

    text: str


class Execution:
    """One hook at one stage.

    Attributes:
        id: hookId of a PAUSE hook and, for Lambda, executionId of its calls.
        failed: it demands a rollback; `why` says what happened.
        cause: the call that demanded it, if one did.
    """

    def __init__(self, it: Release, hook: Hook, stage: str, weights: Mapping[str, float] | None) -> None:
        self._it = it
        self._hook = hook
        self._stage = stage
        self._weights = weights
        self._details = dict(hook.details)
        self._timer = it.engine.kernel.scheduler.event()
        self._cancelled = False
        self._end = it.engine.elapsed + hook.timeout
        self._expires = it.engine.kernel.clock.now() + timedelta(seconds=hook.timeout)
        self.id = _hook_id(it, hook)
        self.status: HookStatus = "AWAITING_ACTION" if hook.kind == "PAUSE" else "IN_PROGRESS"
        self.failed = False
        self.why = ""
        self.cause: Call | None = None

    @property
    def over(self) -> bool:
        return self.status in ("SUCCEEDED", "FAILED", "TIMED_OUT")

    def start(self) -> None:
        work = self._pause if self._hook.kind == "PAUSE" else self._ask
        self._it.engine.kernel.scheduler.spawn(work, name=f"ecs.hook:{self._it.service_name}:{self._stage}")

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._cancelled = True
        self._timer.set()

    def shown(self) -> dict[str, Any]:
        """ECS API: DeploymentLifecycleHookDetail."""
        answer: dict[str, Any] = {
            "hookId": self.id,
            "targetType": self._hook.kind,
            "status": self.status,
            "expiresAt": self._expires,
            "timeoutAction": self._hook.timeout_action,
        }
        return {**answer, "targetArn": self._hook.function} if self._hook.function else answer

    # --- pauses ------------------------------------------------------------------------------------------------------
    def _pause(self) -> None:
        self._event("HOOK_AWAITING_ACTION")
        self._timer.wait(max(0.0, self._end - self._it.engine.elapsed))
        if not self.over and not self._cancelled:
            self._timed_out()
            self._event("HOOK_TIMED_OUT")

    def proceed(self, action: str, cause: Call) -> None:
        """ContinueServiceDeployment for a PAUSE hook that awaits it."""
        if action == "CONTINUE":
            self._finish("SUCCEEDED")
            self._event("HOOK_SUCCEEDED")
        else:
            self.cause = cause
            self._finish("FAILED", "ContinueServiceDeployment with action ROLLBACK")
            self._event("HOOK_FAILED")
        self._timer.set()

    def _event(self, name: str) -> None:
        self._it.engine.events.hook(self._it.green, name, self.id, self._stage, self._expires)
        self._note(name)

    def _note(self, status: str) -> None:
        it = self._it
        it.note("release.hook", f"{it.service_name}: hook at {self._stage}: {status}", stage=self._stage, status=status)

    # --- functions ---------------------------------------------------------------------------------------------------
    def _ask(self) -> None:
        """Call the function until it has decided."""
        engine = self._it.engine
        while not self._cancelled:
            answer = self._call()
            if self._cancelled:
                return
            status, delay = self._read(answer)
            self._note(status)
            if status != "IN_PROGRESS":
                self._finish("SUCCEEDED" if status == "SUCCEEDED" else "FAILED", status)
                return
            left = self._end - engine.elapsed
            self._timer.wait(max(0.0, min(delay, left)))
            if not self._cancelled and delay >= left:
                self._timed_out()
                return

    def _call(self) -> Any:
        """The function's answer, or why it could not be had."""
        engine = self._it.engine
        payload = self.payload()
        late, doubled = engine.releases.hook_faults(self._it.green.service, self._stage)
        if doubled is not None:
            engine.later(doubled, lambda: self._invoke(payload), f"ecs.hook:{self._it.service_name}:again")
        if late:
            self._timer.wait(late)
        return None if self._cancelled else self._invoke(payload)

    def _invoke(self, payload: dict[str, Any]) -> Any:
        engine, hook = self._it.engine, self._hook
        roles = engine.gateway.iam.roles
        role = roles.get(hook.role or "")
        if role is None or not role.trusts(_PRINCIPAL):
            return _Trouble(f"{_PRINCIPAL} cannot assume the role {hook.role}")
        request = {
            "FunctionName": hook.function,
            "InvocationType": "RequestResponse",
            "Payload": json.dumps(payload).encode(),
        }
        caller = Caller("aws", "ecs", hook.role)
        try:
            answer = engine.gateway.call("lambda", "Invoke", request, caller, cause=self._it.cause)
        except AwsError as error:
            return _Trouble(f"{error.code}: {error.message}")
        if answer.get("FunctionError"):
            return _Trouble(f"the function failed: {_text(answer)}")
        try:
            return json.loads(_text(answer))
        except ValueError:
            return _Trouble("the function's answer is no JSON")

    def payload(self) -> dict[str, Any]:
        """What the function is given. Source: "Lambda hooks", lifecycle payloads."""
        it = self._it
        production, test = self._traffic()
        body: dict[str, Any] = {
            "executionId": _execution_id(it) if it.engine.options.hook_id_per_call else self.id,
            "lifecycleStage": self._stage,
            "resourceArn": it.green.arn,
            "executionDetails": {
                "serviceArn": it.green.service.arn,
                "targetServiceRevisionArn": it.green.revision.arn,
                "testTrafficWeights": test,
                "productionTrafficWeights": production,
            },
        }
        return {**body, "hookDetails": dict(self._details)} if self._details else body

    def _traffic(self) -> tuple[dict[str, float], dict[str, float]]:
        """(production, test) weights: each stage tells only of the traffic that it is about."""
        given = _numbers(self._weights or {})
        if self._stage == "PRE_PRODUCTION_TRAFFIC_SHIFT":
            return _numbers(self._it.weights(self._it.shifted)), {}
        if self._stage == "PRODUCTION_TRAFFIC_SHIFT":
            return given, {}
        return {}, given

    def _read(self, answer: Any) -> tuple[str, float]:
        """(status, seconds to the next call); the status is a reason where the answer is not valid."""
        if isinstance(answer, _Trouble):
            return answer.text, 0.0
        status = answer.get("hookStatus") if isinstance(answer, dict) else None
        if status not in ("SUCCEEDED", "FAILED", "IN_PROGRESS"):
            return f"the answer has no valid hookStatus: {json.dumps(answer)[:200]}", 0.0
        delay, details = answer.get("callBackDelay", CALL_BACK), answer.get("hookDetails", {})
        if isinstance(delay, bool) or not isinstance(delay, int | float) or delay < 0 or not isinstance(details, dict):
            return f"the answer is not valid: {json.dumps(answer)[:200]}", 0.0
        if status == "IN_PROGRESS":
            self._details |= details
        return status, float(delay)

    # --- endings -----------------------------------------------------------------------------------------------------
    def _timed_out(self) -> None:
        self.status = "TIMED_OUT"
        self.failed = self._hook.timeout_action == "ROLLBACK"
        self.why = "the hook timed out"
        self._it.look()

    def _finish(self, status: HookStatus, why: str = "") -> None:
        self.status = status
        self.failed = status == "FAILED"
        self.why = why
        self._it.look()


def _text(answer: Mapping[str, Any]) -> str:
    body = answer.get("Payload", b"")
    read = body.read() if hasattr(body, "read") else body
    return read.decode() if isinstance(read, bytes) else str(read)


def _numbers(weights: Mapping[str, float]) -> dict[str, float]:
    """Whole percents are whole numbers in the payload."""
    return {arn: int(value) if value == int(value) else value for arn, value in weights.items()}


def _hook_id(it: Release, hook: Hook) -> str:
    if hook.kind == "PAUSE":
        digits = it.engine.releases.rng.getrandbits(256).to_bytes(32, "big")
        return "ecs-pause-" + urlsafe_b64encode(digits).decode().rstrip("=")
    return _execution_id(it)


def _execution_id(it: Release) -> str:
    digits = f"{it.engine.releases.rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
