"""What an API call must be allowed: resources, actions, condition keys; and how requests name resources.

Source: Service Authorization Reference. The tables are in asks_*.py, `actions` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twin.kernel.policies import Values

Params = Mapping[str, Any]
Tags = Callable[[str], Mapping[str, str]]
ECS_KEYS = frozenset({"ecs:cluster", "ecs:service", "ecs:container-instances", "ecs:task-definition"})


@dataclass
class Names:
    """How names in requests become ARNs.

    Attributes:
        tag_sources: by IAM prefix (`ecs`, `ec2`, `autoscaling`, …), a function from a resource's ARN to its tags.
        partition_keys: name of the partition key of each DynamoDB table.
        group_of_instance: the Auto Scaling group that an instance belongs to.
        target_of_resource: ARN of the scalable target of a resource (`service/<cluster>/<service>`).
    """

    region: str
    account: str
    tag_sources: dict[str, Tags] = field(default_factory=dict)
    partition_keys: dict[str, str] = field(default_factory=dict)
    group_of_instance: Callable[[str], str | None] = lambda _instance: None
    target_of_resource: Callable[[str], str | None] = lambda _resource: None

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def named(self, service: str, kind: str, name: str) -> str:
        return name if name.startswith("arn:") else self.arn(service, f"{kind}/{name}")


@dataclass(frozen=True)
class Ask:
    """What a call needs, before the condition keys common to all calls are added."""

    resource: str
    action: str | None = None
    keys: Mapping[str, Values] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


Derive = Callable[[Params, Names], Iterable[Ask]]


def unscoped(_params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask("*")]


def arn_in(member: str) -> Derive:
    return lambda params, names: [Ask(params[member], absent=ECS_KEYS)]


def arns_in(member: str) -> Derive:
    return lambda params, names: [Ask(arn, absent=ECS_KEYS) for arn in params[member]]
