"""Amazon ECS: a deployment of a service begins.

Source: Amazon ECS Developer Guide, "Amazon ECS service deployment state change events". What its samples teach: the
service stands in `resources` alone; neither service deployment nor revision is named; a rollback sends the same event,
and only its words differ. So the event says no more than where to look.
"""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from caretaker.inbound.envelope import Envelope, read
from caretaker.inbound.model import BadEvent, Deploys, Nothing, Place, Reading

SOURCE = "aws.ecs"
DETAIL_TYPE = "ECS Deployment State Change"
_SERVICE = re.compile(r"(arn:[^:]+:ecs:[^:]+:\d{12}):service/(?:([^/]+)/)?([^/]+)")


class _Detail(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(alias="eventName", min_length=1)
    reason: str = ""


def readings(event: Envelope, place: Place, now: datetime) -> list[Reading]:
    """The service whose deployment begins.

    Raises:
        BadEvent: no service is named.
    """
    detail = read(_Detail, event.detail, "detail")
    if detail.name != "SERVICE_DEPLOYMENT_IN_PROGRESS":
        return [Nothing(f"{detail.name}: no deployment begins")]
    found = [match for arn in event.resources if (match := _SERVICE.fullmatch(arn))]
    if not found:
        raise BadEvent(f"resources: {event.resources!r} names no service")
    stem, cluster, _ = found[0].groups()
    if cluster is None:
        return [Nothing(f"{found[0][0]}: an ARN of the old form, which does not tell the cluster")]
    return [Deploys(found[0][0], f"{stem}:cluster/{cluster}", detail.reason or "a deployment began")]
