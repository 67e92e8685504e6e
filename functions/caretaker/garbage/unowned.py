"""What ECS made, as far as anything tells, and no service in the ledger has: shown, never touched. Plain functions.

A creation that failed and was taken back before anybody could ask ECS about it leaves things whose owner is known to
nobody: its inventory died with it, and tags and names prove nothing. So these stay, and are named, for a person to look
at. What a service, a gateway or a task refers to is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from caretaker.garbage.detach import is_managed
from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Kind, Life, Reference, Resource, Verdict, Word

# Who refers to what it uses; a rule, an alarm or a security group may be as unowned as what it names.
_USERS = frozenset({Kind.SERVICE, Kind.SERVICE_REVISION, Kind.TASK, Kind.GATEWAY, Kind.GATEWAY_ROUTE})
# Domains that only AWS can prove to be its own: nobody else is given a certificate for them.
_DOMAIN = ".on.aws"


def unowned(graph: Graph, verdicts: Mapping[str, Verdict]) -> list[Verdict]:
    """The verdicts on these, by ARN."""
    named = frozenset(_named(graph))
    return [each for arn, each in sorted(verdicts.items()) if _is_unowned(graph, arn, each, named)]


def _is_unowned(graph: Graph, arn: str, verdict: Verdict, named: frozenset[str]) -> bool:
    if verdict.word is not Word.UNKNOWN or verdict.owners or graph.whole_of(arn) != arn:
        return False
    if any(_uses(each) for each in graph.referrers_of(arn)):
        return False
    resource = verdict.resource
    return is_managed(resource) or _by_domain(resource) or resource.name in named


def _uses(reference: Reference) -> bool:
    return bool(reference.owner) or reference.source_kind in _USERS


def _by_domain(resource: Resource) -> bool:
    names = resource.facts.get("names", "").split()
    return resource.kind is Kind.CERTIFICATE and bool(names) and all(name.endswith(_DOMAIN) for name in names)


def _named(graph: Graph) -> Iterator[str]:
    """Names that ECS gives to what has no tags that are read, for services that are gone."""
    for identity, owner in graph.observation.owners.items():
        if owner.life is not Life.ALIVE:
            path = identity.arn.partition(":service/")[2]
            yield f"service/{path}"
            yield f"{path}/RollbackAlarm"
