"""Which references of the dead in shared things can be removed, so that they hold nothing.

A shared thing is only ever edited to remove a reference to the dead, and only where that reference is ECS's own:

- the egress rule of the shared load balancer's security group to a service's group. ECS makes one for each service, so
  where two name the same group, one is a person's, nobody can tell which, and both hold;
- a certificate in the list of a shared listener;
- a listener's default certificate, where another living service's certificate on that listener can take its place.

Nothing else is ever removed from anything: no rule of a person, no rule of another service's group.
"""

from __future__ import annotations

from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Kind, Life, Reference, Resource

MANAGED = "AmazonECSManaged"
"""ECS's tag on what it manages. Taking it off is AWS's documented way to stop Express Mode from managing a resource."""
OPT_OUT = "caretaker:keep"
"""A resource with this tag, whatever its value, is never deleted nor edited."""
STACK = "aws:cloudformation:stack-id"


def is_managed(resource: Resource) -> bool:
    """Whether ECS still manages it, by its tag."""
    return (resource.tags or {}).get(MANAGED, "").lower() == "true"


def is_loose(graph: Graph, reference: Reference) -> bool:
    """Whether the reference can be removed instead of holding what it refers to."""
    if reference.source_kind is Kind.SECURITY_GROUP_RULE:
        return _is_own_egress(graph, reference)
    if reference.source_kind is Kind.LISTENER and reference.via in ("listed", "default"):
        if not _is_certificate(graph, reference.target) or not editable(graph, reference.source):
            return False
        return reference.via == "listed" or successor(graph, reference.source, reference.target) is not None
    return False


def successor(graph: Graph, listener: str, certificate: str) -> str | None:
    """ARN of the certificate that can take another's place as the default of a listener: one of a living service, on
    that listener already; None if there is none."""
    listed = (each.target for each in graph.refers_to(listener) if each.via == "listed" and each.target != certificate)
    return min((arn for arn in listed if _lives(graph, arn)), default=None)


def editable(graph: Graph, arn: str) -> bool:
    """Whether a reference may be removed from it: made by ECS for all, still ECS's, and nobody said to keep it."""
    resource = graph.resources.get(arn)
    if resource is None or not graph.is_shared(arn):
        return False
    balancer = graph.resources.get(resource.facts.get("load_balancer", ""))
    return all(each.tags is not None and _open(graph, each) for each in (resource, balancer) if each is not None)


def _open(graph: Graph, resource: Resource) -> bool:
    tags = resource.tags or {}
    owned = any(each.source_kind is Kind.STACK for each in graph.referrers_of(resource.arn))
    return is_managed(resource) and OPT_OUT not in tags and STACK not in tags and not owned


def _is_own_egress(graph: Graph, reference: Reference) -> bool:
    group = reference.part_of
    if reference.via != "egress" or graph.is_shared(reference.target) or not editable(graph, group):
        return False
    alike = [e for e in graph.refers_to(group) if e.target == reference.target and e.via == "egress"]
    return len({each.source for each in alike}) == 1


def _is_certificate(graph: Graph, arn: str) -> bool:
    resource = graph.resources.get(arn)
    return resource is not None and resource.kind is Kind.CERTIFICATE


def _lives(graph: Graph, arn: str) -> bool:
    """Whether a living service has the certificate now."""
    owners = graph.observation.owners
    claims = graph.claims_of(arn) if _is_certificate(graph, arn) else ()
    return any(c.current and (owner := owners.get(c.owner)) is not None and owner.life is Life.ALIVE for c in claims)
