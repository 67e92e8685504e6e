"""Events that tell that what an Express service has may have changed. Pure.

Sources: Amazon ECS Developer Guide, "Amazon ECS events" (Create-, Update- and DeleteExpressGatewayService come as "AWS
API Call via CloudTrail") and "Amazon ECS service deployment state change events"; CloudTrail User Guide, "CloudTrail
record contents". CloudTrail's come best effort and more than once; no sample of them has been published, so the ARN is
taken from the answer or the request, wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from caretaker.runtime.clock import BadTime, iso, parse

Json = Mapping[str, Any]
Kind = Literal["created", "updated", "deleted", "deployed", "asked"]

_CALLS: Mapping[str, Kind] = {
    "CreateExpressGatewayService": "created",
    "UpdateExpressGatewayService": "updated",
    "DeleteExpressGatewayService": "deleted",
}
_SERVICE = re.compile(r"arn:[^:]+:ecs:[^:]+:\d{12}:service/[^/]+/[^/]+")


class BadCall(ValueError):
    """An event that says it is one of these and cannot be read. `str()` names the member."""


@dataclass(frozen=True)
class Answer:
    """What ECS answered to a creation. It outlives the service: of one that is gone before anybody could ask about it
    nothing else tells whose it was, where it lay and which revision it had. ARNs of what was made for it are not in it.

    Attributes:
        created: ISO 8601; when the service was created, to the second. CloudTrail writes times of answers as the
            service chooses, so it is the time of the call where the answer's own cannot be read.
        service: ECS API: ECSExpressGatewayService.
        subnets: as the request gave them; empty where it left them to ECS.
    """

    created: str
    service: Json
    subnets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """
    Attributes:
        service: its ARN.
        kind: what happened to it.
        key: the same for each delivery of the same event; empty where nothing is to be remembered.
        text: why, for people.
        answer: of a creation; None of everything else.
    """

    service: str
    kind: Kind
    key: str
    text: str
    answer: Answer | None = None


def read(event: Json) -> Change | None:
    """The change that an event, or the payload `{"service": ARN}`, tells of; None where it tells of none.

    Raises:
        BadCall: a member is missing or cannot be read.
    """
    if "service" in event and "detail-type" not in event:
        return Change(_arn(event["service"], "service"), "asked", "", "its inventory is asked for")
    if event.get("source") != "aws.ecs":
        return None
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise BadCall(f"detail: {detail!r} is no mapping")
    if event.get("detail-type") == "AWS API Call via CloudTrail":
        return _call(detail)
    if event.get("detail-type") == "ECS Deployment State Change":
        return _deployment(event, detail)
    return None


def _call(detail: Json) -> Change | None:
    kind = _CALLS.get(str(detail.get("eventName")))
    if kind is None or detail.get("errorCode"):
        return None
    answered = (detail.get("responseElements") or {}).get("service") or {}
    arn = answered.get("serviceArn") or (detail.get("requestParameters") or {}).get("serviceArn")
    event = detail.get("eventID")
    if not isinstance(event, str) or not event:
        raise BadCall(f"detail.eventID: {event!r} is no text")
    who = (detail.get("userIdentity") or {}).get("arn") or "somebody"
    return Change(
        _arn(arn, "detail.responseElements.service.serviceArn"),
        kind,
        event,
        f"{who} called {detail['eventName']}",
        _answer(detail, answered) if kind == "created" and answered else None,
    )


def _answer(detail: Json, service: Json) -> Answer:
    network = (detail.get("requestParameters") or {}).get("networkConfiguration") or {}
    created = _time(service.get("createdAt")) or _time(detail.get("eventTime"))
    if not created:
        raise BadCall(f"detail.eventTime: {detail.get('eventTime')!r} is no time")
    return Answer(created, service, tuple(network.get("subnets") or ()))


def _time(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return iso(datetime.fromtimestamp(value, UTC))
    try:
        return iso(parse(str(value)))
    except BadTime:
        return ""


def _deployment(event: Json, detail: Json) -> Change | None:
    arns = [arn for arn in event.get("resources") or () if isinstance(arn, str) and _SERVICE.fullmatch(arn)]
    if not arns:
        return None  # the old form of the ARN, which does not tell the cluster; Express services have none
    return Change(arns[0], "deployed", "", str(detail.get("reason") or detail.get("eventName") or "a deployment"))


def _arn(value: object, where: str) -> str:
    if not isinstance(value, str) or not _SERVICE.fullmatch(value):
        raise BadCall(f"{where}: {value!r} is no ARN of an ECS service")
    return value
