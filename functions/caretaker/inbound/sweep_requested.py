"""Somebody asks for a sweep of what Express Mode left behind: an event of any source that is not AWS's.

detail-type  Sweep Requested
detail       {"vpc": id} or {"service": ARN, or cluster/name}, and if less is to be done than policy allows: {"mode": …}
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from caretaker.inbound.envelope import Envelope, read
from caretaker.inbound.model import BadEvent, Nothing, Place, Reading, SweepAsked
from caretaker.runtime.policy import SweepMode

DETAIL_TYPE = "Sweep Requested"


class _Detail(BaseModel):
    model_config = ConfigDict(extra="ignore")

    vpc: str | None = Field(default=None, pattern=r"^vpc-[0-9a-f]+$")
    service: str | None = Field(default=None, pattern=r"^(arn:[^:]+:ecs:[^:]+:\d{12}:service/)?[^/:]+/[^/:]+$")
    mode: SweepMode | None = None


def readings(event: Envelope, place: Place, now: datetime) -> list[Reading]:
    """The VPC, or the service whose VPC, is to be swept.

    Raises:
        BadEvent: a member cannot be read, or neither or both of VPC and service are named.
    """
    if event.source.startswith("aws."):
        return [Nothing(f"{event.source}: AWS asks for no sweeps")]
    detail = read(_Detail, event.detail, "detail")
    if (detail.vpc is None) == (detail.service is None):
        raise BadEvent(f"detail: {event.detail!r}: names a vpc or a service, one of them")
    service = detail.service or ""
    if service and not service.startswith("arn:"):
        service = f"arn:{place.partition}:ecs:{event.region}:{event.account}:service/{service}"
    text = f"{event.source} asks for a sweep of {detail.vpc or service}"
    return [SweepAsked(detail.vpc or "", service, text, detail.mode)]
