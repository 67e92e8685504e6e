"""The envelope of an EventBridge event."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caretaker.inbound.model import BadEvent
from caretaker.runtime.clock import BadTime, parse

M = TypeVar("M", bound=BaseModel)


class Envelope(BaseModel):
    """Members that every event has. AWS may add others at any time."""

    model_config = ConfigDict(extra="ignore")

    id: str
    source: str = Field(min_length=1)
    detail_type: str = Field(alias="detail-type", min_length=1)
    account: str
    region: str
    time: str
    resources: list[str] = Field(default_factory=list)
    detail: dict[str, Any]

    @property
    def moment(self) -> datetime:
        """When the event was made."""
        try:
            return parse(self.time)
        except BadTime as error:
            raise BadEvent(str(error)) from None


def read(model: type[M], data: object, where: str) -> M:
    """Check `data` against a model; `BadEvent` names the field and the value."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        field = ".".join([where, *(str(part) for part in problem["loc"])]).strip(".")
        if problem["type"] == "missing":
            raise BadEvent(f"{field or 'event'}: missing") from None
        raise BadEvent(f"{field or 'event'}: {_brief(problem['input'])}: {problem['msg']}") from None


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
