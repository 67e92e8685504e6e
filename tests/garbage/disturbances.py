"""Random fleets: what persons, ECS, other services, the ledger and failing reads can do to one, each by itself harmless
to describe, in any number and order."""

from __future__ import annotations

from dataclasses import replace

from caretaker.garbage.model import Kind, Life, Read
from caretaker.runtime.clock import iso
from garbage_fleet import GONE, T0, VPC, Fleet
from hypothesis import strategies as st

LIVES = (Life.DEAD, Life.DEAD, Life.DEAD, Life.ALIVE, Life.ALIVE, Life.DRAINING, Life.UNKNOWN)
NAMES = ("web", "web-api", "web2", "shop", "cart")
_BAD = (Read.DENIED, Read.FAILED, Read.TRUNCATED)


@st.composite
def fleets(draw: st.DrawFn, most: int = 7) -> Fleet:
    """One or two load balancers with up to five services, and what happened to them."""
    fleet = Fleet()
    balancers = [fleet.balancer() for _ in range(draw(st.integers(1, 2)))]
    for name in NAMES[: draw(st.integers(1, 5))]:
        fleet.service(name, draw(st.sampled_from(balancers)), draw(st.sampled_from(LIVES)))
    for disturb in draw(st.lists(st.sampled_from(DISTURBANCES), max_size=most)):
        fleet.story.append(disturb.__name__)
        disturb(fleet, draw)
    return fleet


def _any(fleet: Fleet, draw: st.DrawFn, *kinds: Kind) -> str:
    """ARN of one of the resources, of these kinds if there are any."""
    found = [arn for arn, each in fleet.resources.items() if not kinds or each.kind in kinds]
    return draw(st.sampled_from(found or list(fleet.resources)))


def _somebody(fleet: Fleet, draw: st.DrawFn) -> None:
    """Something outside refers to a resource."""
    kind = draw(st.sampled_from((Kind.TASK, Kind.GATEWAY_ROUTE, Kind.SERVICE, Kind.WEB_ACL, Kind.STACK)))
    fleet.refer(f"their-{fleet.hex()}", kind, _any(fleet, draw), "uses it")


def _each_other(fleet: Fleet, draw: st.DrawFn) -> None:
    """One of the resources refers to another."""
    source = _any(fleet, draw)
    fleet.refer(source, fleet.resources[source].kind, _any(fleet, draw), "refers to it")


def _group_rule(fleet: Fleet, draw: st.DrawFn) -> None:
    """A rule of any group that names any group."""
    groups = (Kind.SECURITY_GROUP,)
    one, other = _any(fleet, draw, *groups), _any(fleet, draw, *groups)
    if one != other:
        fleet.allow(one, other, draw(st.sampled_from(("egress", "ingress"))))


def _own_group(fleet: Fleet, draw: st.DrawFn) -> None:
    """A group of a person's that names one of ECS's."""
    mine = fleet.security_group("mine")
    fleet.untag(mine)
    fleet.allow(mine, _any(fleet, draw, Kind.SECURITY_GROUP), "ingress")


def _own_rule(fleet: Fleet, draw: st.DrawFn) -> None:
    """A rule of a person's on a shared listener, perhaps to a service's target group or for its host."""
    listener = fleet.resources[_any(fleet, draw, Kind.LISTENER)]
    groups = [_any(fleet, draw, Kind.TARGET_GROUP)] if draw(st.booleans()) else []
    names = [each.facts["names"] for each in fleet.resources.values() if each.kind is Kind.CERTIFICATE]
    host = draw(st.sampled_from(["www.example.com", "*", *names]))
    arn = f"{listener.arn.replace(':listener/', ':listener-rule/')}/{fleet.hex()}"
    facts = {"listener": listener.arn, "priority": "7", "default": "false", "actions": "forward", "hosts": host}
    fleet.add(arn, Kind.RULE, vpc=VPC, **facts)
    for group in groups:
        fleet.refer(arn, Kind.RULE, group, "forwards to it", via="forward")


def _redirect(fleet: Fleet, draw: st.DrawFn) -> None:
    """Somebody gave a rule other work."""
    fleet.fact(_any(fleet, draw, Kind.RULE), actions="redirect")


def _forward(fleet: Fleet, draw: st.DrawFn) -> None:
    """Somebody had a rule or listener forward elsewhere."""
    source = _any(fleet, draw, Kind.RULE, Kind.LISTENER)
    group = _any(fleet, draw, Kind.TARGET_GROUP)
    if fleet.resources[group].kind is Kind.TARGET_GROUP:
        fleet.refer(source, fleet.resources[source].kind, group, "forwards to it", via="forward")


def _unread(fleet: Fleet, draw: st.DrawFn) -> None:
    """A reading fails, or is never made."""
    operation, scope, _ = draw(st.sampled_from(list(fleet.scopes())))
    if draw(st.booleans()):
        fleet.unread.add((operation, scope))
    else:
        fleet.bad[operation, scope] = draw(st.sampled_from(_BAD))


def _life(fleet: Fleet, draw: st.DrawFn) -> None:
    """It stands otherwise with a service."""
    identity = draw(st.sampled_from(sorted(fleet.owners)))
    life = draw(st.sampled_from(LIVES))
    since = draw(st.sampled_from((GONE, iso(T0), "", "yesterday"))) if life is Life.DEAD else ""
    fleet.owners[identity] = replace(fleet.owners[identity], life=life, since=since, moving=draw(st.booleans()))


def _claim(fleet: Fleet, draw: st.DrawFn) -> None:
    """The ledger has another entry: of any service, perhaps on an earlier resource of the name."""
    owner = draw(st.sampled_from(sorted(fleet.owners)))
    arn = _any(fleet, draw)
    fleet.claim(owner, arn, shared=draw(st.booleans()), current=draw(st.booleans()))
    if draw(st.booleans()):
        last = fleet.claims[-1]
        fleet.claims[-1] = replace(last, resource=replace(last.resource, created="2025-01-01T00:00:00.000Z"))


def _lost_claim(fleet: Fleet, draw: st.DrawFn) -> None:
    """An event was lost, and the ledger does not know of a resource."""
    if fleet.claims:
        fleet.claims.pop(draw(st.integers(0, len(fleet.claims) - 1)))


def _retire(fleet: Fleet, draw: st.DrawFn) -> None:
    """An update took a resource out of a service."""
    place = draw(st.integers(0, max(0, len(fleet.claims) - 1)))
    if fleet.claims:
        claim = fleet.claims[place] = replace(fleet.claims[place], current=False)
        fleet.references = [
            r for r in fleet.references if (r.source_kind, r.target) != (Kind.SERVICE_REVISION, claim.resource.arn)
        ]


def _again(fleet: Fleet, draw: st.DrawFn) -> None:
    """A service is created again under the same name."""
    identity = draw(st.sampled_from(sorted(fleet.owners)))
    name = identity.arn.rpartition("/")[2]
    later = fleet.owner(name, draw(st.sampled_from(LIVES)), "2026-02-02T00:00:00.000Z")
    fleet.owners[later] = replace(fleet.owners[later], moving=draw(st.booleans()))


def _tag(fleet: Fleet, draw: st.DrawFn) -> None:
    """Somebody keeps a resource, takes it over, or owns it by a stack; or its tags are not read."""
    arn = _any(fleet, draw)
    how = draw(st.sampled_from(("keep", "stack", "taken", "unread")))
    if how == "taken":
        fleet.untag(arn)
    elif how == "unread":
        fleet.resources[arn] = replace(fleet.resources[arn], tags=None)
    else:
        fleet.tag(arn, **{"caretaker__keep" if how == "keep" else "aws__cloudformation__stack-id": "x"})


def _protect(fleet: Fleet, draw: st.DrawFn) -> None:
    """Somebody protects a load balancer."""
    fleet.fact(_any(fleet, draw, Kind.LOAD_BALANCER), protected=draw(st.sampled_from(("true", ""))))


def _default_certificate(fleet: Fleet, draw: st.DrawFn) -> None:
    """A certificate is a listener's default, and perhaps in its list as well."""
    listener, certificate = _any(fleet, draw, Kind.LISTENER), _any(fleet, draw, Kind.CERTIFICATE)
    if draw(st.booleans()):
        fleet.references = [r for r in fleet.references if (r.source, r.target) != (listener, certificate)]
    fleet.refer(listener, Kind.LISTENER, certificate, "has it as default", via="default")


def _deleted(fleet: Fleet, draw: st.DrawFn) -> None:
    """ECS or a person deleted something already."""
    gone = _any(fleet, draw)
    if fleet.resources[gone].kind not in (Kind.LOAD_BALANCER, Kind.LISTENER):
        fleet.remove(gone)


DISTURBANCES = (
    _somebody, _each_other, _group_rule, _own_group, _own_rule, _redirect, _forward, _unread, _life, _claim,
    _lost_claim, _retire, _again, _tag, _protect, _default_certificate, _deleted,
)  # fmt: skip
ADDITIONS = (_somebody, _each_other, _own_group, _own_rule, _redirect, _unread, _protect)
"""Disturbances of which none can make anything garbage that was none."""
