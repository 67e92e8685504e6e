"""Somebody asks for a release: a pipeline's own event, of any source that is not AWS's.

detail-type  Release Requested
detail       {"cluster": name or ARN, "service": name or ARN, "taskDefinition": family:revision or ARN}
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from caretaker.inbound.envelope import Envelope, read
from caretaker.inbound.model import Nothing, Place, Reading, Requested

DETAIL_TYPE = "Release Requested"


class _Detail(BaseModel):
    model_config = ConfigDict(extra="ignore")

    cluster: str = Field(min_length=1)
    service: str = Field(min_length=1)
    task_definition: str = Field(alias="taskDefinition", min_length=1)


def readings(event: Envelope, place: Place, now: datetime) -> list[Reading]:
    """The release that is asked for.

    Raises:
        BadEvent: a member is missing or cannot be read.
    """
    if event.source.startswith("aws."):
        return [Nothing(f"{event.source}: AWS asks for no releases")]
    detail = read(_Detail, event.detail, "detail")
    stem = f"arn:{place.partition}:ecs:{event.region}:{event.account}"
    cluster = detail.cluster if detail.cluster.startswith("arn:") else f"{stem}:cluster/{detail.cluster}"
    name = cluster.rsplit("/", 1)[-1]
    service = detail.service if detail.service.startswith("arn:") else f"{stem}:service/{name}/{detail.service}"
    definition = detail.task_definition
    if not definition.startswith("arn:"):
        definition = f"{stem}:task-definition/{definition}"
    text = f"{event.source} asks for {definition.rsplit('/', 1)[-1]}"
    return [Requested(service, cluster, definition, event.id, text)]
