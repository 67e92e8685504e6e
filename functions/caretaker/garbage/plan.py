"""What is to be deleted, in which order, from two observations.

Only what is garbage in both, did not change in between, and is not referred to by anything that stays. Leaves go first:
whoever refers to a resource is deleted, or its reference removed, before the resource. A listener is never deleted by
itself, it goes with its load balancer, and an alarm of a target tracking policy goes with its policy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush
from typing import Any

from caretaker.garbage import actions, words
from caretaker.garbage.detach import is_loose, successor
from caretaker.garbage.model import Kind, Reference, Resource, Verdict
from caretaker.garbage.needs import NEEDS
from caretaker.garbage.verdict import Judgement

VOLATILE = frozenset({"load_balancers", "certificates", "default_certificate", "addresses"})
"""Facts that only repeat what references tell, and change with them; and a load balancer's addresses, which ELB changes
as it likes."""
_UNGUARDED_CIRCLE = (Kind.SCALING_POLICY, Kind.ALARM)
Allowed = Callable[[Verdict], bool]


@dataclass(frozen=True)
class Ask:
    """A reading that must be made again right before a step.

    Attributes:
        operation, scope: as of a `Reading`.
    """

    operation: str
    scope: str


@dataclass(frozen=True)
class Step:
    """One call.

    Attributes:
        action: e.g. `elasticloadbalancing:DeleteRule`.
        params: its request.
        resource: what is deleted, or the shared thing that is edited, as the second observation found it.
        target: the garbage because of which: `resource` itself, or what the removed reference names.
        why: in words.
        owners: ARNs of the services that left the target behind.
        deletes: whether it deletes; else it removes a reference, for the deletion that follows.
        takes: ARNs of what AWS deletes along with it.
        after: ARNs of the garbage that goes before it, and ARNs or ids of all that referred to it when it was planned;
            what is left of these is waited for.
        beside: ARNs of garbage that may still refer to it, since they refer to each other and AWS lets either go.
        again: what must be read again right before the call (see `still`).
    """

    action: str
    params: Mapping[str, Any]
    resource: Resource
    target: Resource
    why: str
    owners: tuple[str, ...] = ()
    deletes: bool = True
    takes: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    again: tuple[Ask, ...] = ()

    @property
    def kind(self) -> Kind:
        return self.resource.kind


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what of the garbage is not.

    Attributes:
        steps: in order.
        waiting: why garbage of the second observation is not in the steps, by ARN in order.
    """

    steps: tuple[Step, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)


def steps(
    first: Judgement, second: Judgement, apart: timedelta, cap: int, allowed: Allowed = lambda _: True
) -> tuple[Step, ...]:
    """The steps of `plan`."""
    return plan(first, second, apart, cap, allowed).steps


def plan(first: Judgement, second: Judgement, apart: timedelta, cap: int, allowed: Allowed = lambda _: True) -> Plan:
    """What is to be done about the garbage of two observations of the same VPC.

    Args:
        first: judged at the time when it ended.
        second: judged now.
        apart: at least so long from the end of the first to the beginning of the second.
        cap: the most deletions; removed references come on top, since each only goes with a deletion.
        allowed: whether the garbage of a verdict may be deleted now, e.g. by the mode of its service's policy.

    Raises:
        ValueError: the observations are of two VPCs, or `cap` is below 0.
    """
    if first.graph.observation.scope != second.graph.observation.scope:
        raise ValueError(f"scope: {first.graph.observation.scope} and {second.graph.observation.scope} are two VPCs")
    if cap < 0:
        raise ValueError(f"cap: {cap} is below 0")
    waiting = _unfit(first, second, apart, allowed)
    fit = _undisturbed(second, waiting)
    order = _Order(second, fit)
    made = list(order.steps())
    waiting.update(order.stuck)
    kept = _capped(made, cap)
    for step in made[len(kept) :]:
        if step.deletes:
            waiting[step.target.arn] = f"this sweep deletes at most {cap} (policy garbage.cap): the next one goes on"
    return Plan(tuple(kept), dict(sorted(waiting.items())))


# --- what is fit -----------------------------------------------------------------------------------------------------


def _unfit(first: Judgement, second: Judgement, apart: timedelta, allowed: Allowed) -> dict[str, str]:
    """Garbage of the second observation that is not to be deleted now, and why."""
    distance = second.graph.observation.began - first.graph.observation.ended
    before, after = first.verdicts, second.verdicts
    found: dict[str, str] = {}
    for arn in sorted(second.garbage):
        if distance < apart:
            found[arn] = f"the two observations are {distance} apart; policy garbage.apart is {apart}"
        elif arn not in before:
            found[arn] = "it was observed only once"
        elif arn not in first.garbage:
            found[arn] = f"the first observation says otherwise: {before[arn].word}: {before[arn].reason}"
        elif difference := changed(before[arn].resource, after[arn].resource):
            found[arn] = f"it changed between the observations: {difference}"
        elif not allowed(after[arn]):
            found[arn] = "it may not be deleted now by the mode of its service's policy"
    return found


def changed(before: Resource, after: Resource) -> str:
    """What is different between two sights of a resource, in words; empty if nothing that matters."""
    if before.identity != after.identity:
        return f"created {before.identity.created or 'at an unknown time'}, now {after.identity.created}"
    if before.tags != after.tags:
        return "its tags"
    names = sorted((set(before.facts) | set(after.facts)) - VOLATILE)
    different = [name for name in names if before.facts.get(name) != after.facts.get(name)]
    return ", ".join(f"{n}: {before.facts.get(n)} became {after.facts.get(n)}" for n in different)


def _undisturbed(judged: Judgement, waiting: dict[str, str]) -> frozenset[str]:
    """Garbage to which nothing refers that stays because it has to wait; the rest is noted as waiting."""
    graph = judged.graph
    left = sorted(waiting)
    while left:
        holder = left.pop()
        for each in graph.refers_to(holder):
            held = graph.whole_of(each.target)
            if held in judged.garbage and held not in waiting and not is_loose(graph, each):
                waiting[held] = f"{words.told(each, graph.resources)}, and that has to wait: {waiting[holder]}"
                left.append(held)
    return judged.garbage - set(waiting)


# --- in which order --------------------------------------------------------------------------------------------------


class _Order:
    """Garbage sorted leaf-first.

    Attributes:
        stuck: what refers to each other in a circle that cannot be broken, and why, once the steps are made.
    """

    def __init__(self, judged: Judgement, fit: frozenset[str]) -> None:
        self._judged = judged
        self._graph = judged.graph
        self._given = judged.verdicts
        self._units = dict.fromkeys(sorted({self._unit(arn) for arn in fit}))
        self._holds: dict[str, dict[str, list[Reference]]] = {unit: defaultdict(list) for unit in self._units}
        self._takes: dict[str, list[str]] = defaultdict(list)
        for arn in sorted(fit):
            self._place(arn)
        self.stuck: dict[str, str] = {}

    def _unit(self, arn: str) -> str:
        """What is deleted so that the resource goes."""
        whole = self._graph.whole_of(arn)
        resource = self._graph.resources.get(whole)
        return resource.facts["load_balancer"] if resource and resource.kind is Kind.LISTENER else whole

    def _place(self, arn: str) -> None:
        unit = self._unit(arn)
        if unit != arn:
            self._takes[unit].append(arn)
        self._takes[unit] += [part for part in self._graph.parts_of.get(arn, ()) if part in self._given]
        for each in self._graph.referrers_of(arn):
            holder = self._unit(self._graph.holder_of(each))
            if holder != unit and not is_loose(self._graph, each):
                self._holds[unit][holder].append(each)

    def steps(self) -> Iterator[Step]:
        """All steps, in order."""
        freed: dict[str, list[str]] = defaultdict(list)
        open_ends = {unit: set(holders) for unit, holders in self._holds.items()}
        for unit, holders in self._holds.items():
            for holder in holders:
                freed[holder].append(unit)
        ready: list[tuple[int, bool, str]] = []
        for unit in self._units:
            if not open_ends[unit]:
                heappush(ready, self._rank(unit))
        left = set(self._units)
        while left:
            if not ready and not self._break(left, open_ends, ready):
                break
            unit = heappop(ready)[2]
            left.discard(unit)
            yield from self._of(unit, left)
            for each in freed.get(unit, ()):
                before = len(open_ends[each])
                open_ends[each].discard(unit)
                if before and not open_ends[each] and each in left:
                    heappush(ready, self._rank(each))
        for unit in sorted(left):
            self.stuck[unit] = "it and other garbage refer to each other, and none of them can go first"

    def _rank(self, unit: str) -> tuple[int, bool, str]:
        resource = self._graph.resources[unit]
        return actions.RANK[resource.kind], self._graph.is_shared(unit), unit

    def _break(self, left: set[str], open_ends: dict[str, set[str]], ready: list[tuple[int, bool, str]]) -> bool:
        """Free one member of a circle: a security group whose rules in other garbage can be revoked, or what AWS lets
        go whoever refers to it. Whether there was one."""
        for unit in sorted(left, key=self._rank):
            remaining = [each for holder in open_ends[unit] for each in self._holds[unit][holder]]
            if self._is_breakable(unit, remaining):
                open_ends[unit].clear()
                heappush(ready, self._rank(unit))
                return True
        return False

    def _is_breakable(self, unit: str, remaining: list[Reference]) -> bool:
        kind = self._graph.resources[unit].kind
        if kind is Kind.SECURITY_GROUP:
            return all(each.source_kind is Kind.SECURITY_GROUP_RULE for each in remaining)
        return kind in _UNGUARDED_CIRCLE and all(each.source_kind in _UNGUARDED_CIRCLE for each in remaining)

    # --- the steps of one resource -----------------------------------------------------------------------------------

    def _of(self, unit: str, left: set[str]) -> Iterator[Step]:
        """References to be removed, then the deletion. `left` are those that are not deleted yet."""
        resource = self._graph.resources[unit]
        remaining = [each for holder, refs in sorted(self._holds[unit].items()) if holder in left for each in refs]
        for each in self._loose(unit):
            holder = self._unit(self._graph.holder_of(each))
            if holder in left or holder not in self._units:
                yield self._removal(resource, each)
        for each in sorted(remaining):
            if each.source_kind is Kind.SECURITY_GROUP_RULE:
                yield self._removal(resource, each)
        if resource.kind is Kind.TASK_DEFINITION and resource.facts.get("status") != "INACTIVE":
            why = "a task definition must be inactive before it can be deleted"
            yield self._step(actions.deregistration(resource), resource, resource, why, deletes=False)
        yield self._deletion(resource, [each for each in remaining if each.source_kind in _UNGUARDED_CIRCLE])

    def _loose(self, arn: str) -> list[Reference]:
        """What is removed first; a default certificate is swapped before it is taken off the list."""
        found = (each for each in self._graph.referrers_of(arn) if is_loose(self._graph, each))
        return sorted(found, key=lambda each: (each.via != "default", each))

    def _removal(self, target: Resource, reference: Reference) -> Step:
        graph = self._graph
        holder = graph.resources[graph.holder_of(reference)]
        naming = f"{words.told(reference, graph.resources)}, and that is left behind"
        if reference.source_kind is Kind.SECURITY_GROUP_RULE:
            return self._step(actions.revocation(reference), holder, target, naming, deletes=False)
        other = successor(graph, holder.arn, target.arn) if reference.via == "default" else None
        if other is None:
            return self._step(actions.unlisting(holder.arn, target.arn), holder, target, naming, deletes=False)
        why = f"{naming}: {words.named(other, graph.resources)} of a living service takes its place"
        return self._step(actions.swap(holder.arn, other), holder, target, why, deletes=False)

    def _deletion(self, resource: Resource, beside: Iterable[Reference]) -> Step:
        why = self._given[resource.arn].reason
        circle = tuple(sorted({self._graph.holder_of(each) for each in beside}))
        return self._step(actions.deletion(resource), resource, resource, why, deletes=True, beside=circle)

    def _step(
        self,
        call: actions.Call,
        resource: Resource,
        target: Resource,
        why: str,
        *,
        deletes: bool,
        beside: tuple[str, ...] = (),
    ) -> Step:
        owners = tuple(sorted({owner.arn for owner in self._judged.graph.owners_of(target.arn)}))
        return Step(
            action=call[0],
            params=call[1],
            resource=resource,
            target=target,
            why=why,
            owners=owners,
            deletes=deletes,
            takes=tuple(sorted(set(self._takes.get(target.arn, ())))) if deletes else (),
            after=tuple(sorted(set(self._before(target.arn)))),
            beside=beside,
            again=tuple(self._again(resource, target)),
        )

    def _before(self, arn: str) -> Iterator[str]:
        """What goes first: the garbage that refers to it, and each reference by itself. A network interface outlives
        its load balancer for minutes; ACM and ELB list a load balancer for a while that has let go of a certificate or
        target group."""
        together = (arn, *self._takes.get(arn, ()))
        yield from self._holds[arn]
        for part in together:
            known = (*self._graph.referrers_of(part), *self._graph.told_to(part))
            yield from (each.source for each in known if each.source not in together)
        yield from self._graph.resources[arn].facts.get("load_balancers", "").split()

    def _again(self, resource: Resource, target: Resource) -> Iterator[Ask]:
        for each in {resource.arn: resource, target.arn: target}.values():
            for need in NEEDS[each.kind]:
                if need.again:
                    for scope in self._judged.readings.scopes(need, each):
                        yield Ask(need.operation, scope)


def _capped(made: list[Step], cap: int) -> list[Step]:
    """As many steps from the beginning as hold `cap` deletions; removals whose deletion is cut off go too."""
    end = deletions = 0
    for number, step in enumerate(made, start=1):
        if step.deletes:
            if deletions == cap:
                break
            deletions, end = deletions + 1, number
    return made[:end]
