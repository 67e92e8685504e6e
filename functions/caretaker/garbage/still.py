"""Whether a planned step may still be taken, from what was read again right before its call.

AWS refuses to delete a target group, a security group or a certificate that is in use, but not a load balancer, a rule,
a scalable target, an alarm or a log group. So the last look is taken for every step, and it asks for more than the
plan did: not that only garbage refers to the resource, but that nobody does any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from caretaker.garbage import words
from caretaker.garbage.detach import OPT_OUT, STACK, editable, is_loose, is_managed
from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Kind, Life, Observation, Read, Reference, Resource
from caretaker.garbage.needs import NEEDS, Readings, Scope
from caretaker.garbage.plan import Step, changed
from caretaker.garbage.standing import Keep, Owners, Say


class Halt(StrEnum):
    """What a stop means.

    GONE: the work is done, by whomever. WAIT: something of the sweep's own is still in the way and will go. SKIP: it is
    not to be done in this sweep.
    """

    GONE = "gone"
    WAIT = "wait"
    SKIP = "skip"


@dataclass(frozen=True)
class Stop:
    """Why a step is not taken now."""

    halt: Halt
    reason: str


def still(step: Step, live: Observation, keep: Keep, now: datetime) -> Stop | None:
    """Why the step must not be taken now; None if it may.

    Args:
        live: what was read right before: at least the readings of `step.again`, with all resources and references that
            they show, and the ledger's claims and owners of the VPC as they are now. A whole observation will do.
        now: the present time.
    """
    look = _Look(step, Graph(live), keep, now)
    return next(look.stops(), None)


class _Look:
    def __init__(self, step: Step, graph: Graph, keep: Keep, now: datetime) -> None:
        self._step = step
        self._graph = graph
        self._readings = Readings(graph)
        # Nobody is placed on a security group whose load balancer is gone, and AWS guards it; so that the other
        # services need not be read again for it.
        self._owners = Owners(graph, keep, now, mind_newcomers=step.kind is Kind.LOAD_BALANCER)

    def stops(self) -> Iterator[Stop]:
        """Every reason, the most telling first."""
        step = self._step
        yield from self._unread(step.target)
        if step.resource.arn != step.target.arn:
            yield from self._unread(step.resource)
        yield from self._unknown()
        yield from self._missing()
        yield from self._removed()
        yield from self._different(step.target)
        yield from self._claimed()
        yield from self._referred()

    def _unread(self, resource: Resource) -> Iterator[Stop]:
        there = self._graph.resources.get(resource.arn, resource)
        # Of what a whole listing does not show any more, nothing of its own can be read: it is gone.
        gone = resource.arn not in self._graph.resources and resource.kind is Kind.LOAD_BALANCER
        for need in NEEDS[resource.kind]:
            if need.again and not (gone and need.scope in (Scope.ITSELF, Scope.OWN_LISTENERS)):
                for doubt in self._readings.lacking(need, there):
                    yield Stop(Halt.SKIP, f"it could not be looked at again: {words.doubt(doubt)}")

    def _unknown(self) -> Iterator[Stop]:
        """Services that ECS would not tell of: one of their names may have been created again."""
        for each in self._graph.observation.readings:
            told = each.status is Read.WHOLE or each.operation != "ecs:DescribeServices"
            if each.scope in self._step.owners and not told:
                yield Stop(Halt.SKIP, f"its service could not be looked at again: {words.doubt(each)}")

    def _missing(self) -> Iterator[Stop]:
        for resource in (self._step.target, self._step.resource):
            if resource.arn not in self._graph.resources:
                yield Stop(
                    Halt.GONE, f"{resource.kind} {resource.name or words.short(resource.arn)} is not there any more"
                )

    def _removed(self) -> Iterator[Stop]:
        """Whether the reference that the step removes is there, alone, and may be removed."""
        if self._step.deletes or self._step.resource.arn == self._step.target.arn:
            return
        holder, target = self._step.resource.arn, self._step.target.arn
        there = [each for each in self._graph.referrers_of(target) if self._names(each, holder)]
        if not there:
            yield Stop(Halt.GONE, "the reference is not there any more")
        elif not self._may_edit(holder, there):
            told = words.told(there[0], self._graph.resources)
            yield Stop(Halt.SKIP, f"{told}: it is not known to be ECS's own any more")
        elif self._step.action.endswith(":ModifyListener"):
            yield from self._heir(holder)

    def _may_edit(self, holder: str, there: list[Reference]) -> bool:
        if "SecurityGroup" in self._step.action:
            # In garbage any rule may be revoked; in a shared thing only what is ECS's own.
            if (group := self._graph.resources.get(holder)) is None or self._kept(group) or not is_managed(group):
                return False
            return holder in self._step.after or all(is_loose(self._graph, each) for each in there)
        return editable(self._graph, holder)

    def _names(self, reference: Reference, holder: str) -> bool:
        if self._graph.holder_of(reference) != holder:
            return False
        action = self._step.action
        if "SecurityGroup" in action:
            ids = self._step.params["SecurityGroupRuleIds"]
            return reference.source.rpartition("/")[2] in ids
        return reference.via == ("default" if action.endswith(":ModifyListener") else "listed")

    def _heir(self, listener: str) -> Iterator[Stop]:
        """The certificate that takes the default's place: still on the listener, and of no service that is gone."""
        chosen = self._step.params["Certificates"][0]["CertificateArn"]
        listed = any(each.target == chosen and each.via == "listed" for each in self._graph.refers_to(listener))
        owners = self._graph.observation.owners
        lives = [owners[each].life for each in self._graph.owners_of(chosen) if each in owners]
        if not listed or not any(life in (Life.ALIVE, Life.UNKNOWN) for life in lives):
            yield Stop(Halt.SKIP, f"{words.short(chosen)} cannot take its place any more")

    def _different(self, target: Resource) -> Iterator[Stop]:
        live = self._graph.resources[target.arn]
        if self._step.action.endswith(":DeleteTaskDefinitions") and "status" in live.facts:
            # AWS deletes only what was deregistered before: the step before this one.
            target = replace(target, facts={**target.facts, "status": live.facts["status"]})
        if difference := changed(target, live):
            yield Stop(Halt.SKIP, f"it changed since it was observed: {difference}")
        if is_managed(target) and not is_managed(live):
            yield Stop(Halt.SKIP, "somebody has taken it over from ECS")
        for each in self._together(live):
            if self._kept(each):
                yield Stop(Halt.SKIP, f"{each.kind} {each.name} is kept by a tag, a stack or its protection")

    def _together(self, live: Resource) -> Iterator[Resource]:
        """What goes with it, itself first; and what a scaling policy has in place of tags of its own."""
        arns = [live.arn, *self._step.takes]
        arns += [part for arn in arns for part in self._graph.parts_of.get(arn, ())]
        found = [self._graph.resources[arn] for arn in dict.fromkeys(arns) if arn in self._graph.resources]
        if live.kind is Kind.SCALING_POLICY:
            targets = (self._graph.resources.get(each.target) for each in self._graph.refers_to(live.arn))
            found += [each for each in targets if each is not None and each.kind is Kind.SCALABLE_TARGET]
        yield from found

    def _kept(self, resource: Resource) -> bool:
        tags = resource.tags or {}
        return OPT_OUT in tags or STACK in tags or resource.facts.get("protected") == "true"

    def _claimed(self) -> Iterator[Stop]:
        standing = self._owners.standing(self._step.target.arn)
        if standing.say is not Say.LEFT:
            yield Stop(Halt.SKIP, standing.words)

    def _referred(self) -> Iterator[Stop]:
        """References that are left, from whatever does not go with it. Before a removal, those of garbage may be there
        as well."""
        step = self._step
        together = {step.target.arn, *step.takes}
        for arn in sorted(together):
            for each in self._graph.referrers_of(arn):
                holder = self._graph.holder_of(each)
                if holder in together or holder in step.beside:
                    continue
                ours = holder in step.after or each.source in step.after
                if ours and not step.deletes:
                    continue
                told = words.told(each, self._graph.resources)
                yield Stop(Halt.WAIT if ours else Halt.SKIP, told)
