"""Systems Manager: a host that is not compliant with its patch baseline.

Source: Systems Manager user guide, "Monitoring Systems Manager events", Configuration Compliance. On an immutable host
a patch that is due means another host: the group's launch template names the image that has it. The notice names no
date, and it is the same notice as long as the host misses patches of the same baseline, however often it is scanned.
"""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from caretaker.inbound.envelope import Envelope, read
from caretaker.inbound.model import Nothing, Notice, Place, Reading

SOURCE = "aws.ssm"
DETAIL_TYPE = "Configuration Compliance State Change"

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")


class _Detail(BaseModel):
    model_config = ConfigDict(extra="ignore")

    resource: str = Field(alias="resource-id", min_length=1)
    status: str = Field(alias="compliance-status")
    kind: str = Field(alias="compliance-type")
    baseline: str = Field("", alias="patch-baseline-id")
    severity: str = ""


def readings(event: Envelope, place: Place, now: datetime) -> list[Reading]:
    """A notice for an instance whose patches are due. `now` is not needed: there is no date.

    Raises:
        BadEvent: a member is missing or cannot be read.
    """
    detail = read(_Detail, event.detail, "detail")
    if event.region != place.region:
        return [Nothing(f"compliance of {detail.resource}: in {event.region}, not {place.region}")]
    if (detail.kind, detail.status) != ("Patch", "non_compliant"):
        return [Nothing(f"compliance of {detail.resource}: {detail.kind} {detail.status} asks for nothing")]
    if not _INSTANCE.fullmatch(detail.resource):
        return [Nothing(f"compliance of {detail.resource}: no EC2 instance")]
    baseline = f" of baseline {detail.baseline}" if detail.baseline else ""
    severity = f" ({detail.severity})" if detail.severity else ""
    return [
        Notice(
            key=f"patch/{event.account}/{detail.resource}/{detail.baseline or 'default'}",
            instance=detail.resource,
            kind="patch",
            text=f"{detail.resource}: patches{baseline} are due{severity}",
            updated=event.moment,
        )
    ]
