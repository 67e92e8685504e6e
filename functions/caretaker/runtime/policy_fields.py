"""What a policy document may say: its sections and fields, with their ranges. One line for what is wrong."""

from __future__ import annotations

import itertools
import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from caretaker.runtime.policy import (
    Disposal,
    Mode,
    OnError,
    OnInconclusive,
    ReleaseMode,
    Standalone,
    SweepMode,
    Way,
    contradiction,
)

_DAY = 86_400
_MINUTES = 1_440

Seconds = Annotated[int, Field(strict=True, ge=0, le=365 * _DAY)]
Timeout = Annotated[int, Field(strict=True, ge=60, le=2 * _DAY)]
Minutes = Annotated[int, Field(strict=True, ge=1, le=_MINUTES)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class HostFields(_Strict):
    """`hosts` of the defaults and of a cluster; every field may be left out. See `HostPolicy` for their meaning."""

    mode: Mode = "observe"
    lead: Seconds | None = None
    budget: Annotated[int, Field(strict=True, ge=1, le=10)] = 1
    surge: bool = True
    standalone: Standalone = "wait"
    ready_timeout: Timeout = 900
    drain_timeout: Timeout = 3600
    retry_after: Timeout = 900
    allow_shrink: bool = False


class ServiceFields(_Strict):
    """`hosts` of a service."""

    surge: bool = True
    standalone: Standalone = "wait"


def _rising(steps: list[float]) -> list[float]:
    """Percents of traffic: rising, in tenths, the last of them everything."""
    if steps[-1] != 100:
        raise ValueError("the last step must be 100")
    if any(later <= earlier for earlier, later in itertools.pairwise(steps)):
        raise ValueError("every step must be above the one before")
    # Weights of a balancer go to 999: a tenth of a percent is 1 to 999.
    if any(abs(step * 10 - round(step * 10)) > 1e-9 for step in steps):
        raise ValueError("steps are percents with at most one decimal")
    return steps


Step = Annotated[float, Field(ge=0.1, le=100)]


class ReleaseFields(_Strict):
    """`releases` of the defaults and of a cluster. See `ReleasePolicy` for their meaning."""

    mode: ReleaseMode = "observe"
    way: Way = "auto"
    steps: Annotated[list[Step], Field(min_length=1, max_length=10), AfterValidator(_rising)] = [5, 25, 100]
    bake: Minutes = 10
    patience: Minutes = 60
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    tolerated: Annotated[float, Field(gt=0, le=20)] = 1.0
    bad: Annotated[float, Field(gt=1, le=100)] = 3.0
    ignorable: Annotated[float, Field(gt=0, le=0.5)] = 0.0025
    slow_over: Annotated[float, Field(gt=0, le=4_000)] | None = None
    on_inconclusive: OnInconclusive = "hold"
    on_error: OnError = "fail"
    approval_expires: Annotated[int, Field(strict=True, ge=60, le=7 * _DAY)] = _DAY
    gate_limit: Annotated[int, Field(strict=True, ge=60, le=_DAY)] = 1_800
    # Both are waited for in steps of a minute, and an execution's history holds 25,000 events.
    ready_limit: Annotated[int, Field(strict=True, ge=60, le=4 * 3_600)] = 1_200
    session_limit: Annotated[int, Field(strict=True, ge=0, le=12 * 3_600)] = 1_800
    discard: Annotated[int, Field(strict=True, ge=0, le=60)] = 2
    by_zone: Annotated[bool, Field(strict=True)] = True


class PushFields(_Strict):
    """`on_push` of a service: a push to this ECR repository under a tag that fits asks for a release."""

    repository: Annotated[str, Field(pattern=r"^[a-z0-9]+([._/-]+[a-z0-9]+)*$", max_length=256)]
    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.*?-]+$", max_length=128)] = "*"


class ServiceReleaseFields(ReleaseFields):
    """`releases` of a service: everything, and what is its own."""

    on_push: PushFields | None = None


class GarbageFields(_Strict):
    """`garbage` of the defaults and of a cluster. See `GarbagePolicy` for their meaning."""

    mode: SweepMode = "observe"
    # ECS goes on deleting for some minutes after it has said INACTIVE; less would race with it.
    grace: Annotated[int, Field(strict=True, ge=300, le=30 * _DAY)] = 3_600
    apart: Annotated[int, Field(strict=True, ge=60, le=_DAY)] = 900
    cap: Annotated[int, Field(strict=True, ge=1, le=500)] = 50
    certificates: Disposal = "delete"
    log_groups: Disposal = "keep"
    task_definitions: Disposal = "keep"
    clusters: Disposal = "keep"
    approval_expires: Annotated[int, Field(strict=True, ge=60, le=7 * _DAY)] = _DAY


class ServiceGarbageFields(_Strict):
    """`garbage` of a service: what its deletion may be followed by."""

    mode: SweepMode = "observe"
    keep: bool = False


class Document(_Strict):
    """A document of the defaults or of a cluster."""

    hosts: HostFields = HostFields()
    releases: ReleaseFields = ReleaseFields()
    garbage: GarbageFields = GarbageFields()


class ServiceDocument(_Strict):
    """A document of a service."""

    hosts: ServiceFields = ServiceFields()
    releases: ServiceReleaseFields = ServiceReleaseFields()
    garbage: ServiceGarbageFields = ServiceGarbageFields()


class BadPolicy(ValueError):
    """A document that is refused. `str()` is one line that names the parameter, the field and the value."""


Fields = dict[str, dict[str, Any]]
"""The fields that a document sets, by section."""


def check(path: str, name: str, text: str) -> Fields:
    """The fields that a document sets, checked: `hosts`, `releases` and `garbage`. Raises `BadPolicy`.

    Args:
        path: path of the policy parameters.
        name: the parameter's full name; it decides which fields there are.
    """
    model = ServiceDocument if name.startswith(f"{path}/services/") else Document
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise BadPolicy(f"{name}: not JSON: {error}") from None
    try:
        document: Document | ServiceDocument = model.model_validate(raw)
    except ValidationError as error:
        raise BadPolicy(f"{name}: {_first(error)}") from None
    hosts = document.hosts.model_dump(exclude_unset=True)
    releases = document.releases.model_dump(exclude_unset=True)
    if wrong := contradiction(releases):
        raise BadPolicy(f"{name}: releases.{wrong}")
    return {"hosts": hosts, "releases": releases, "garbage": document.garbage.model_dump(exclude_unset=True)}


def _first(error: ValidationError) -> str:
    """The first problem in one line, with field and value, and how many more there are."""
    problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"]) or "document"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {first['input']!r}: {first['msg']}{more}"
