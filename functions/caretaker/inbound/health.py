"""AWS Health: scheduled changes of EC2 instances.

Source: AWS Health user guide, "AWS Health events Amazon EventBridge schema" and "Pagination of AWS Health events". What
the samples there teach: an entity is a bare id or an ARN; `affectedEntities` and `resources` may be missing; `page` and
`backupEvent` are text; a change that is months ahead may come as `open`; weekdays in dates are sometimes wrong; a copy
for the backup Region has another envelope. The key of the work is (account, event ARN, entity), so pages, copies and
later communications of one change are one notice.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import BaseModel, ConfigDict, Field

from caretaker.inbound.envelope import Envelope, read
from caretaker.inbound.model import BadEvent, Closed, Nothing, Notice, Place, Reading

SOURCE = "aws.health"
DETAIL_TYPE = "AWS Health Event"

_INSTANCE = re.compile(r"(?:arn:[^:]+:ec2:(?P<region>[^:]*):(?P<account>[^:]*):instance/)?(?P<id>i-[0-9a-f]{8,17})")

# What a code means for an instance. AWS publishes no complete list, so what is not named here is replaced too: every
# scheduled change of an instance stops, reboots or disturbs what runs on it. A code that must not lead to work gets an
# empty text.
MEANING = {
    "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED": "its hardware is retired",
    "AWS_EC2_INSTANCE_RETIREMENT_EXPEDITED": "its hardware is retired, sooner than announced",
    "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED": "its hardware is retired; EC2 stops it",
    "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_EXPEDITED": "its hardware is retired, sooner than announced; EC2 stops it",
    "AWS_EC2_INSTANCE_STOP_SCHEDULED": "EC2 stops it",
    "AWS_EC2_INSTANCE_TERMINATION_SCHEDULED": "EC2 terminates it",
    "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED": "EC2 reboots it",
    "AWS_EC2_INSTANCE_REBOOT_FLEXIBLE_MAINTENANCE_SCHEDULED": "EC2 reboots it",
    "AWS_EC2_SYSTEM_REBOOT_MAINTENANCE_SCHEDULED": "EC2 reboots its hardware",
    "AWS_EC2_INSTANCE_POWER_MAINTENANCE_SCHEDULED": "power maintenance of its hardware",
    "AWS_EC2_PERSISTENT_INSTANCE_POWER_MAINTENANCE_SCHEDULED": "power maintenance of its hardware",
    "AWS_EC2_INSTANCE_NETWORK_MAINTENANCE_SCHEDULED": "network maintenance of its hardware",
    "AWS_EC2_MAINTENANCE_SCHEDULED": "maintenance of its hardware",
}
_ANY = "a scheduled change of it"


class _Entity(BaseModel):
    model_config = ConfigDict(extra="ignore")

    value: str = Field(alias="entityValue")
    status: str = ""


class _Description(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: str = Field("", alias="latestDescription")


class _Detail(BaseModel):
    model_config = ConfigDict(extra="ignore")

    arn: str = Field(alias="eventArn", min_length=1)
    service: str
    code: str = Field(alias="eventTypeCode", min_length=1)
    category: str = Field(alias="eventTypeCategory")
    start: str | None = Field(None, alias="startTime")
    updated: str | None = Field(None, alias="lastUpdatedTime")
    status: str = Field("", alias="statusCode")
    region: str | None = Field(None, alias="eventRegion")
    account: str | None = Field(None, alias="affectedAccount")
    entities: list[_Entity] = Field(default_factory=list, alias="affectedEntities")
    description: list[_Description] = Field(default_factory=list, alias="eventDescription")

    @property
    def over(self) -> bool:
        """Whether the whole change is over or called off."""
        marks = ("[completed]", "[canceled]", "[cancelled]")
        return self.status == "closed" or any(
            entry.text.lower().lstrip().startswith(marks) for entry in self.description
        )


def readings(event: Envelope, place: Place, now: datetime) -> list[Reading]:
    """What a Health event says about instances of this account and region.

    A deadline is set only if the change lies ahead: what has begun cannot be waited for.

    Raises:
        BadEvent: a member is missing or cannot be read.
    """
    detail = read(_Detail, event.detail, "detail")
    other = _not_ours(event, detail, place)
    if other:
        return [Nothing(other)]
    entities = detail.entities or [_Entity(entityValue=value) for value in event.resources]
    if not entities:
        return [Nothing(f"{detail.code} {detail.arn}: names no entity")]
    return [_about(event, detail, entity, place, now) for entity in entities]


def _not_ours(event: Envelope, detail: _Detail, place: Place) -> str:
    """Why the event is none of ours, or nothing."""
    region = detail.region or event.region
    if (detail.service, detail.category) != ("EC2", "scheduledChange"):
        return f"{detail.code}: {detail.service} {detail.category} is no scheduled change of EC2"
    if region != place.region:
        return f"{detail.code} {detail.arn}: concerns {region}, not {place.region}"
    if detail.account and detail.account != event.account:
        return f"{detail.code} {detail.arn}: concerns account {detail.account}, not {event.account}"
    if MEANING.get(detail.code, _ANY) == "":
        return f"{detail.code} {detail.arn}: needs no replacement"
    return ""


def _about(event: Envelope, detail: _Detail, entity: _Entity, place: Place, now: datetime) -> Reading:
    found = _INSTANCE.fullmatch(entity.value)
    if found is None:
        return Nothing(f"{detail.code} {detail.arn}: entity {entity.value!r} is no instance")
    if (found["region"] or place.region) != place.region or (found["account"] or event.account) != event.account:
        return Nothing(f"{detail.code} {detail.arn}: entity {entity.value!r} is in another account or region")
    instance = found["id"]
    key = f"health/{event.account}/{detail.arn}/{instance}"
    updated = _date(detail.updated, "detail.lastUpdatedTime") or event.moment
    if detail.over or entity.status == "RESOLVED":
        state = "closed" if detail.over else "resolved for it"
        return Closed(key, instance, f"{detail.code} about {instance} is {state} ({detail.arn})", updated)
    start = _date(detail.start, "detail.startTime")
    when = f" at {start.isoformat()}" if start else ""
    text = f"{instance}: {MEANING.get(detail.code, _ANY)}{when} ({detail.code})"
    return Notice(key, instance, "health", text, updated, start if start and start > now else None)


def _date(text: str | None, field: str) -> datetime | None:
    """RFC 1123 as Health writes it ("Thu, 1 Nov 2018 22:00:00 GMT"), whatever weekday it names; ISO 8601 as well."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise BadEvent(f"{field}: {text!r} is not a date") from None
    # "-0000" and a missing zone give naive times; AWS Health writes GMT throughout.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
