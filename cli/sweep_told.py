"""What ECS itself tells of an Express service: while it does, its resources with their status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cli.product import IN_FLIGHT, Invalid, Managed, Missing, ecs, express, name_in, when
from cli.sweep_snapshot import Item


@dataclass(frozen=True)
class Told:
    """What ECS tells.

    Attributes:
        created: ISO 8601, when the service was created.
        revisions: ARNs of the revisions that were asked about.
        items: what it manages for them.
    """

    status: Literal["ACTIVE", "DRAINING"]
    created: str
    revisions: tuple[str, ...]
    items: tuple[Item, ...]


def told(arn: str, known: Iterable[str]) -> Told | None:
    """What ECS tells of a service; None once it is INACTIVE, or ECS does not know it.

    Args:
        known: revisions of it; while it is DRAINING, ECS may name none.
    """
    try:
        shown = ecs.express_service(arn)
        status = (shown.get("status") or {}).get("statusCode", "")
        if status not in ("ACTIVE", "DRAINING"):
            return None
        revisions = _revisions(arn, shown) or list(known)
        items = {each.arn: _item(each) for each in _managed(revisions)}
    except Missing:
        return None
    except Invalid as error:
        # ECS: "Cannot call DescribeServiceRevisions for a service that is INACTIVE": it became so in between.
        if "INACTIVE" not in error.message:
            raise
        return None
    return Told(status, when(shown.get("createdAt")), tuple(revisions), tuple(items.values()))


def _revisions(arn: str, shown: Mapping[str, Any]) -> list[str]:
    """The active revisions, and those that are being deployed."""
    active = [each["serviceRevisionArn"] for each in express.configurations(shown)]
    flying = ecs.list_service_deployments(express.cluster_of(arn), arn, statuses=IN_FLIGHT)
    return list(dict.fromkeys([*active, *filter(None, (each.get("targetServiceRevisionArn") for each in flying))]))


def _managed(revisions: list[str]) -> list[Managed]:
    if not revisions:
        return []
    return [each for revision in ecs.describe_service_revisions(revisions).items for each in express.managed(revision)]


def _item(managed: Managed) -> Item:
    status, reason = managed.status, managed.reason
    return Item(managed.arn, managed.kind, name_in(managed.arn), status, reason, managed.shared)
