"""What ECS's lifecycle hook is answered: the gate of a native deployment. Pure.

Source: Amazon ECS Developer Guide, "Lambda hooks" (request, answer, callBackDelay, hookDetails, hooks in a rollback).

The gate stands at PRE_PRODUCTION_TRAFFIC_SHIFT, which comes before every step, and at POST_PRODUCTION_TRAFFIC_SHIFT,
where all traffic is on the new revision and the old tasks still run. The first step has nothing to be judged by: it is
let through at once. Every later one waits for the decision that the machine writes into the release's record, and that
is about the share which the new revision has then: none lets two steps through. Other stages are let through: a
rollback runs the hooks of the traffic shifts, and nothing may hold a rollback up.

An error, and a record in which nothing happens any more, hold the deployment for `Limits.gate`; then policy's
`on_error` decides. A request brings no time, so what was waited is counted in the seconds that ECS was asked to wait,
in `hookDetails`. Where these do not come back, the count stays low, and ECS's own time-out of the hook rolls back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from caretaker.releases.record import Decision, Release
    from caretaker.runtime.policy import ReleasePolicy

HookStatus = Literal["SUCCEEDED", "FAILED", "IN_PROGRESS"]
OnError = Literal["fail", "succeed"]

PRE, SHIFT, POST = (f"{part}PRODUCTION_TRAFFIC_SHIFT" for part in ("PRE_", "", "POST_"))
GATED = (PRE, POST)
"""The stages at which the gate stands: what `caretaker gate install` attaches the hook to."""
CALL_BACK = 30
"""Seconds until ECS asks again."""
QUIET = 900
"""Seconds for which an open release may show nothing new: three of the longest pauses between its looks."""
_OURS = "caretaker"
_LEFT_ALONE = ("planned", "ignored")
_ROLLS_BACK = ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


class BadRequest(ValueError):
    """The function was called with something else than a hook's request. `str()` names the member."""


@dataclass(frozen=True)
class Waited:
    """What hookDetails remember from call to call.

    Attributes:
        mark: how far the record was at the last call.
        seconds: waited since it last got further; never more than the time that has passed.
    """

    mark: str = ""
    seconds: int = 0


@dataclass(frozen=True)
class Request:
    """A hook's request.

    Attributes:
        stage: lifecycle stage.
        deployment, service, revision: ARNs of the service deployment, the service and the target service revision.
        weight: percent of production traffic of the target revision; None where the request does not tell.
        waited: what hookDetails remember.
    """

    stage: str
    deployment: str
    service: str
    revision: str
    weight: float | None
    waited: Waited = Waited()

    @property
    def cluster(self) -> str:
        """ARN of the service's cluster."""
        stem, _, path = self.service.partition(":service/")
        return f"{stem}:cluster/{path.split('/')[0]}"


@dataclass(frozen=True)
class Limits:
    """Policy for trouble: how many seconds it may last, and what is answered then."""

    gate: float
    on_error: OnError


@dataclass(frozen=True)
class Answer:
    """What ECS is told.

    Attributes:
        reason: why, for the log.
        waited: how far the record is, and what was waited since it got there.
        trouble: it is a wait that has to end: `Limits` apply. A wait for a person has not.
        least: seconds that it may last in any case.
        start: the machine has to be started for this deployment.
    """

    status: HookStatus
    reason: str
    waited: Waited = Waited()
    trouble: bool = False
    least: int = 0
    start: bool = False


# --- the request -----------------------------------------------------------------------------------------------------
def read(event: Mapping[str, Any]) -> Request:
    """A hook's request. Raises `BadRequest`."""
    given = event.get("executionDetails")
    inner: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    revision = _arn(inner, "targetServiceRevisionArn", ":service-revision/")
    return Request(
        stage=_text(event, "lifecycleStage"),
        deployment=_arn(event, "resourceArn", ":service-deployment/"),
        service=_arn(inner, "serviceArn", ":service/"),
        revision=revision,
        weight=_weight(inner.get("productionTrafficWeights"), revision),
        waited=waited(details(event)),
    )


def details(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """hookDetails as they came, the owner's own and ours; they may be absent."""
    given = event.get("hookDetails")
    return given if isinstance(given, Mapping) else {}


def waited(given: Mapping[str, Any]) -> Waited:
    """What we remember in hookDetails; anything else than what we wrote is forgotten."""
    ours = given.get(_OURS)
    if not isinstance(ours, Mapping):
        return Waited()
    mark, seconds = ours.get("mark"), ours.get("seconds")
    if not isinstance(mark, str) or isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        return Waited()
    return Waited(mark, int(seconds))


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name}: {value!r} is not what a hook's request has there")
    return value


def _arn(given: Mapping[str, Any], name: str, kind: str) -> str:
    value = _text(given, name)
    if kind not in value:
        raise BadRequest(f"{name}: {value!r} is no ARN with {kind}")
    return value


def _weight(weights: Any, revision: str) -> float | None:
    value = weights.get(revision) if isinstance(weights, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# --- the answer ------------------------------------------------------------------------------------------------------
def at_once(request: Request) -> Answer | None:
    """The answer to calls that no record matters for; None for the others."""
    if request.stage == SHIFT and request.weight == 0:
        # A rollback; or, should ECS tell weights that are still to change, the first step. Both go on.
        return Answer("SUCCEEDED", "the new revision is to have no traffic: a rollback, or before the first step")
    if request.stage not in (*GATED, SHIFT):
        return Answer("SUCCEEDED", f"the gate does not stand at {request.stage}")
    return None


def at_shift(deployment: Mapping[str, Any] | None, function: str) -> Answer | None:
    """The answer at PRODUCTION_TRAFFIC_SHIFT with traffic for the new revision; None: as at the gate.

    Args:
        deployment: ECS API: ServiceDeployment; None if it is gone.
        function: ARN by which this function was called.

    Whether the hook of a shift runs before or after its weights change, AWS does not say. Where the hook stands before
    the shifts too, it has let this step through already. Otherwise no shift is let through without a decision.
    """
    if deployment is None:
        return None
    if rolls_back(deployment):
        return Answer("SUCCEEDED", "the deployment is being rolled back")
    hooks = (deployment.get("deploymentConfiguration") or {}).get("lifecycleHooks") or ()
    if any(
        PRE in hook.get("lifecycleStages", ()) and same_function(hook.get("hookTargetArn"), function) for hook in hooks
    ):
        return Answer("SUCCEEDED", f"the gate stands at {PRE}")
    return None


def rolls_back(deployment: Mapping[str, Any]) -> bool:
    """Whether a service deployment is on its way back, or has gone it."""
    return deployment.get("status") in _ROLLS_BACK or bool((deployment.get("rollback") or {}).get("startedAt"))


def same_function(one: str | None, other: str) -> bool:
    """Whether two ARNs name the same function, whatever version or alias."""
    return one is not None and one.split(":")[:7] == other.split(":")[:7]


def at_gate(request: Request, release: Release | None) -> Answer:
    """The answer at the gate, from the record of this deployment's release."""
    first = request.stage == PRE and request.weight == 0
    if release is None:
        if first:
            return Answer("SUCCEEDED", "the first step has nothing to be judged by", start=True)
        return _wait(request, "none", "the release is not open yet", start=True)
    if (release.deployment, release.revision) != (request.deployment, request.revision):
        text = f"{release.id} is of {release.deployment} and {release.revision}"
        return _wait(request, "other", text)
    open_gate = _left_alone(release)
    if open_gate:
        return Answer("SUCCEEDED", open_gate)
    if release.decision == "roll_back" or release.outcome == "rolled_back":
        return Answer("FAILED", release.decision_reason or release.reason or "the release was rolled back")
    if first:
        return Answer("SUCCEEDED", "the first step has nothing to be judged by")
    decision = release.decided(_share(request, release))
    if decision == "promote":
        return Answer("SUCCEEDED", release.decision_reason or "promoted")
    return _undecided(request, release, decision)


def _share(request: Request, release: Release) -> float | None:
    """The share of traffic that a call asks to go on from, 0 to 1; None where nobody tells.

    POST_PRODUCTION_TRAFFIC_SHIFT comes with all of it and tells no weights; PRODUCTION_TRAFFIC_SHIFT tells new ones.
    """
    if request.stage == POST:
        return 1.0
    if request.stage == SHIFT:
        return release.weight
    return None if request.weight is None else request.weight / 100


def after(answer: Answer, execution: Mapping[str, Any] | None) -> Answer:
    """The answer where no release is open, from the execution that was to open one (API: DescribeExecution).

    What is no release is none of Caretaker's: no traffic to judge, nothing to compare it with, or policy says off.
    """
    if execution is None or execution.get("status") != "SUCCEEDED":
        return answer
    output = json.loads(execution.get("output") or "{}")
    if output.get("outcome") not in _LEFT_ALONE:
        return answer
    return Answer("SUCCEEDED", f"{output['outcome']}: {output.get('reason')}")


def _left_alone(release: Release) -> str:
    """Why Caretaker does nothing about this deployment; empty where it does."""
    if release.mode == "observe":
        return "policy observes only"
    if release.way != "gate":
        return f"policy has this release baked by {release.way}, not by the gate"
    if release.outcome in _LEFT_ALONE:
        return f"{release.outcome}: {release.reason}"
    answer = release.approval.answer if release.approval is not None else None
    if release.mode == "approve" and answer in ("expired", "rejected"):
        return f"the plan was not approved ({answer})"
    return ""


def _undecided(request: Request, release: Release, decision: Decision | None) -> Answer:
    asked = release.approval is not None and release.approval.answer is None
    if release.open and (decision == "hold" or asked):
        text = release.decision_reason if decision == "hold" else "the plan waits to be approved"
        return Answer("IN_PROGRESS", text, Waited("person"))
    mark = f"{release.status}/{release.looks}"
    if release.open:
        return replace(_wait(request, mark, f"undecided after {release.looks} looks"), least=QUIET)
    text = f"the release ended as {release.outcome} without a decision: {release.reason}"
    return _wait(request, mark, text)


def _wait(request: Request, mark: str, reason: str, *, start: bool = False) -> Answer:
    before = request.waited
    seconds = before.seconds if before.mark == mark else 0
    return Answer("IN_PROGRESS", reason, Waited(mark, seconds), trouble=True, start=start)


# --- trouble ---------------------------------------------------------------------------------------------------------
def failed(before: Waited, error: str) -> Answer:
    """The answer after an error. It does not show how far the record is, so what was waited counts on."""
    return Answer("IN_PROGRESS", error, before, trouble=True)


def limits(policy: ReleasePolicy) -> Limits:
    """Policy's word on trouble. Where it only observes, no deployment is held up."""
    if policy.mode == "observe" or policy.way not in ("auto", "gate"):
        return Limits(0, "succeed")
    return Limits(policy.gate_limit.total_seconds(), policy.on_error)


def bounded(answer: Answer, limits: Limits) -> Answer:
    """The answer, or once trouble has lasted for the limit what policy says."""
    if not answer.trouble or answer.waited.seconds < max(limits.gate, answer.least):
        return answer
    status: HookStatus = "SUCCEEDED" if limits.on_error == "succeed" else "FAILED"
    text = f"nothing new in {answer.waited.seconds} s; policy's on_error is {limits.on_error}: {answer.reason}"
    return Answer(status, text, trouble=True)


# --- what is given to others -----------------------------------------------------------------------------------------
def execution(request: Request, name: str) -> dict[str, Any]:
    """Input of the machine. The same for every call of one deployment, so that starting it again is no change."""
    return {
        "id": name,
        "entry": "bake",
        "way": "gate",
        "cluster": request.cluster,
        "service": request.service,
        "deployment": request.deployment,
        "revision": request.revision,
        "trigger": {"kind": "hook", "text": "ECS asked the gate before it shifted traffic"},
    }


def response(answer: Answer, given: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as ECS takes it. `given`: hookDetails as they came; the owner's own are kept."""
    if answer.status != "IN_PROGRESS":
        return {"hookStatus": answer.status}
    seconds = answer.waited.seconds + (CALL_BACK if answer.trouble else 0)
    ours = {"mark": answer.waited.mark, "seconds": seconds}
    return {"hookStatus": answer.status, "callBackDelay": CALL_BACK, "hookDetails": {**given, _OURS: ours}}
