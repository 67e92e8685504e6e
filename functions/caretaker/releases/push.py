"""A pushed image becomes a task definition revision. Pure.

Source: Amazon ECR User Guide, "Amazon ECR events and EventBridge" (ECR Image Action); ECS API: RegisterTaskDefinition,
TaskDefinition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Described = Mapping[str, Any]

SOURCE = "aws.ecr"
DETAIL_TYPE = "ECR Image Action"
# Of a described task definition: what ECS fills in itself.
_ANSWERED = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
    }
)
_REGISTRY = re.compile(r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class BadPush(ValueError):
    """An event that says it is a push and cannot be read. `str()` names the member."""


@dataclass(frozen=True)
class Push:
    """An image that was pushed to ECR.

    Attributes:
        account, region: of the registry.
        repository: its name.
        tag: empty for an image without one.
        digest: `sha256:…`: what names this very image, whatever its tags become.
    """

    account: str
    region: str
    repository: str
    tag: str
    digest: str

    def __str__(self) -> str:
        return f"{self.repository}{':' + self.tag if self.tag else ''}@{self.digest[:19]}"


def read(event: Described) -> Push | None:
    """The push that an event tells of; None for other image actions and pushes that failed. Raises `BadPush`."""
    if (event.get("source"), event.get("detail-type")) != (SOURCE, DETAIL_TYPE):
        return None
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise BadPush(f"detail: {detail!r} is no mapping")
    if (detail.get("action-type"), detail.get("result")) != ("PUSH", "SUCCESS"):
        return None
    digest = _text(detail, "image-digest")
    if not _DIGEST.fullmatch(digest):
        raise BadPush(f"detail.image-digest: {digest!r} is no SHA-256 digest")
    return Push(
        account=_text(event, "account"),
        region=_text(event, "region"),
        repository=_text(detail, "repository-name"),
        tag=str(detail.get("image-tag") or ""),
        digest=digest,
    )


def _text(given: Described, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise BadPush(f"{name}: {value!r} is no text")
    return value


# --- images ----------------------------------------------------------------------------------------------------------


def repository_of(image: str) -> tuple[str, str, str] | None:
    """Account, region and repository of an image in ECR; None for images from elsewhere."""
    host, slash, path = image.partition("/")
    found = _REGISTRY.fullmatch(host)
    if not slash or found is None:
        return None
    return found["account"], found["region"], re.split(r"[:@]", path)[0]


def concerned(definition: Described, push: Push) -> list[str]:
    """Names of the containers that run an image of the pushed repository."""
    wanted = (push.account, push.region, push.repository)
    return [
        str(container["name"])
        for container in definition["containerDefinitions"]
        if repository_of(str(container.get("image", ""))) == wanted
    ]


def runs(definition: Described, push: Push) -> bool:
    """Whether every container of that repository runs this very image already."""
    names = concerned(definition, push)
    images = [str(each["image"]) for each in definition["containerDefinitions"] if each["name"] in names]
    return bool(images) and all(image.endswith(f"@{push.digest}") for image in images)


def revised(definition: Described, push: Push, tags: Sequence[Described] = ()) -> dict[str, Any]:
    """The request that registers a definition anew with the pushed image, named by its digest; all else as it is."""
    names = concerned(definition, push)
    containers = [
        {**each, "image": _with_digest(str(each["image"]), push.digest)} if each["name"] in names else dict(each)
        for each in definition["containerDefinitions"]
    ]
    kept = {name: value for name, value in definition.items() if name not in _ANSWERED}
    return {**kept, "containerDefinitions": containers, **({"tags": list(tags)} if tags else {})}


def _with_digest(image: str, digest: str) -> str:
    host, _, path = image.partition("/")
    return f"{host}/{re.split(r'[:@]', path)[0]}@{digest}"


def alike(one: Described, other: Described) -> bool:
    """Whether two definitions say the same, but for what ECS fills in itself."""
    return _said(one) == _said(other)


def _said(definition: Described) -> dict[str, Any]:
    return {name: value for name, value in definition.items() if name not in _ANSWERED and name != "tags"}
