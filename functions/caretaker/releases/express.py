"""The two target groups of an Express service, and which of them is the new revision's.

ECS need not show the load balancers of an Express service's revisions; it shows the resources that it manages for the
service: one listener rule, and two target groups that take turns (ECS API: ECSManagedResources). Which of the two a
revision is in is told by the weights that ECS has given them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Weights are written to a tenth of a percent.
_EXACT = 0.0005


@dataclass(frozen=True)
class Ingress:
    """What the requests of an Express service go through; ARNs."""

    rule: str
    groups: tuple[str, str]


def ingress(revision: Mapping[str, Any]) -> Ingress | None:
    """The ingress path of a service revision; None of a service that is no Express service, or not ready.

    Args:
        revision: as DescribeServiceRevisions shows it.
    """
    paths = (revision.get("ecsManagedResources") or {}).get("ingressPaths") or []
    if len(paths) != 1:
        return None
    rule = paths[0].get("rule", {}).get("arn")
    groups = [group["arn"] for group in paths[0].get("targetGroups", ()) if "arn" in group]
    return Ingress(rule, (groups[0], groups[1])) if rule and len(groups) == 2 else None


def told_apart(found: Ingress, weights: Mapping[str, int], asked: float) -> tuple[str, str] | None:
    """(the new revision's target group, the running one's); None where the weights are none that ECS asked for.

    Args:
        weights: of the rule, by target group.
        asked: the share of production traffic that ECS asked for the new revision, 0 to 1.
    """
    total = sum(weights.values())
    if not total or set(weights) != set(found.groups):
        return None
    one, other = found.groups
    fits = [abs(weights[group] / total - asked) <= _EXACT for group in found.groups]
    if fits[0] == fits[1]:
        return None  # neither, or both halves alike
    return (one, other) if fits[0] else (other, one)
