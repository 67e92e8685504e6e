"""A world's policy documents: checked by the product's own code, read for the budget that a law is measured against."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from twin.errors import WorldError
from twin.rehearsal.spec import WorldSpec


def check_policy(spec: WorldSpec, where: str) -> None:
    """WorldError with the product's own words for a document that it would refuse."""
    from twin.world import PROJECT

    functions = str(PROJECT / "functions")
    if functions not in sys.path:
        sys.path.append(functions)
    from caretaker.runtime.policy_source import BadPolicy, check

    for name, document in spec.policy.documents():
        try:
            check("policy", f"policy/{name}", json.dumps(document))
        except BadPolicy as error:
            raise WorldError(f"{where}: {error}") from None


def budgets(spec: WorldSpec) -> dict[str, int]:
    """cluster name -> hosts at work at once."""
    return {cluster: int(hosts_policy(spec, cluster).get("budget", 1)) for cluster in spec.clusters}


def hosts_policy(spec: WorldSpec, cluster: str) -> Mapping[str, Any]:
    """What the documents say of a cluster's hosts, later ones over earlier ones."""
    merged: dict[str, Any] = {}
    for document in (spec.policy.defaults or {}, spec.policy.clusters.get(cluster, {})):
        merged |= document.get("hosts", {})
    return merged
