"""Which IAM actions, on which resources and with which condition keys, an API call needs.

Source: Service Authorization Reference. A call that is in none of the tables (asks_*.py) raises `Unmodelled` for
callers with a role.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from twin.errors import Unmodelled
from twin.kernel import asks_data, asks_ecs, asks_network, asks_watching
from twin.kernel.asks import Ask, Derive, Names, Params, unscoped
from twin.kernel.policies import Request, Values

__all__ = ["TABLE", "Ask", "Names", "requests"]

PREFIXES = {"stepfunctions": "states", "elbv2": "elasticloadbalancing"}
"""How IAM calls a service where botocore calls it otherwise."""
TABLE: Mapping[tuple[str, str], Derive] = {
    (service, operation): derive
    for table in (asks_ecs.TABLE, asks_network.TABLE, asks_data.TABLE, asks_watching.TABLE)
    for service, row in table.items()
    for operation, derive in row.items()
}


def requests(service: str, operation: str, params: Params, names: Names) -> Iterator[Request]:
    """Every (action, resource) that the call must be allowed."""
    derive = TABLE.get((service, operation))
    if derive is None and operation.startswith("Describe") and service in ("ec2", "autoscaling", "elbv2"):
        derive = unscoped  # none of these services' Describe actions that callers with roles use has resource types
    if derive is None:
        raise Unmodelled(f"authorization of {service}:{operation}")
    prefix = PREFIXES.get(service, service)
    common = {"aws:requestedregion": (names.region,), "aws:securetransport": ("true",), **_given_tags(params)}
    for ask in derive(params, names):
        action = ask.action or f"{prefix}:{operation}"
        keys = {**common, **ask.keys}
        tags = names.tag_sources.get(action.partition(":")[0])
        yield Request(action, ask.resource, keys, tags, ask.absent)


def _given_tags(params: Params) -> Mapping[str, Values]:
    """`aws:RequestTag/…` and `aws:TagKeys` of the tags that come with a request, however its service writes them."""
    lists = [params.get("Tags"), params.get("tags"), params.get("TagList")]
    lists += [spec.get("Tags") for spec in params.get("TagSpecifications") or ()]
    pairs: list[tuple[str, str]] = []
    for one in lists:
        if isinstance(one, Mapping):
            pairs += [(str(key), str(value)) for key, value in one.items()]
        for tag in one if isinstance(one, list) else ():
            key = tag.get("Key", tag.get("key"))
            pairs.append((str(key), str(tag.get("Value", tag.get("value", "")))))
    if not pairs:
        return {}
    found: dict[str, Values] = {f"aws:requesttag/{key.lower()}": (value,) for key, value in pairs}
    return {**found, "aws:tagkeys": tuple(key for key, _ in pairs)}
