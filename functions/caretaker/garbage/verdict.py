"""What is to become of each resource, and why.

A resource is garbage when its owners let go of it (see `standing`), every reading that could have shown a referrer is
whole (see `needs`), nothing keeps it (policy, tags, a stack, a protection), and whoever refers to it is garbage too.
The last makes it the greatest fixpoint: all candidates are taken for garbage, and whatever something else holds is
taken off until nothing changes. So circles of the dead (the load balancer's security group and a service's name each
other) are found, and what is held through ten others is held. Each reference is looked at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from functools import cached_property

from caretaker.garbage import words
from caretaker.garbage.detach import MANAGED, OPT_OUT, STACK, is_loose, is_managed
from caretaker.garbage.graph import Graph, fact
from caretaker.garbage.model import Kind, Observation, Reading, Reference, Resource, Verdict, Word
from caretaker.garbage.needs import NEEDS, Readings
from caretaker.garbage.standing import Keep, Owners, Say, short

REPORTED = (Kind.ROLE, Kind.REPOSITORY)
JUDGED = frozenset((*NEEDS, *REPORTED))
"""Kinds that get a verdict; the others only ever refer to something."""
# Kinds that ECS tags. Scaling policies cannot be tagged; task definitions and clusters get no tag of ECS.
_TAGGED = frozenset(
    {
        Kind.RULE,
        Kind.TARGET_GROUP,
        Kind.CERTIFICATE,
        Kind.SCALABLE_TARGET,
        Kind.ALARM,
        Kind.SECURITY_GROUP,
        Kind.LOAD_BALANCER,
        Kind.LISTENER,
        Kind.LOG_GROUP,
    }
)
_POLICY = {
    Kind.CERTIFICATE: "certificates",
    Kind.LOG_GROUP: "log_groups",
    Kind.TASK_DEFINITION: "task_definitions",
    Kind.CLUSTER: "clusters",
}
SERVED = ("listed", "default")
"""How a listener names the certificates by which it serves hosts."""
_WORKS_FOR_OTHERS = "somebody has given it other work than its service's"


class Wave(IntEnum):
    """Why something is not garbage; the strongest reason is told first."""

    USED = 0
    UNKNOWN = 1
    KEPT = 2


@dataclass(frozen=True)
class Bar:
    """Why a resource is no candidate, whoever refers to it."""

    wave: Wave
    word: Word
    words: str
    doubts: tuple[Reading, ...] = ()


@dataclass(frozen=True)
class Removal:
    """Why a candidate is not garbage: what holds it, and how strong the reason is."""

    wave: Wave
    holder: str


def verdicts(observation: Observation, keep: Keep, now: datetime) -> dict[str, Verdict]:
    """What is to become of each resource, by ARN in order.

    Raises:
        BadFact: a rule or listener does not tell where it lies.
    """
    return Judgement(observation, keep, now).verdicts


class Judgement:
    """One observation, judged.

    Attributes:
        graph: its references.
        readings: its readings.
        keep, now: the policy and time by which it is judged.
        garbage: ARNs of what is garbage.
    """

    def __init__(self, observation: Observation, keep: Keep, now: datetime) -> None:
        self.graph = Graph(observation)
        self.readings = Readings(self.graph)
        self.keep = keep
        self.now = now
        self._owners = Owners(self.graph, keep, now)
        resources = self.graph.resources
        judged = [a for a, r in resources.items() if r.kind in JUDGED and self.graph.whole_of(a) == a]
        self._bars = {arn: bar for arn in judged if (bar := self._bar(resources[arn])) is not None}
        candidates = [arn for arn in judged if arn not in self._bars]
        self._effective = {arn: self._holding(arn) for arn in candidates}
        self._removed = self._sweep_out()
        self.garbage = frozenset(arn for arn in candidates if arn not in self._removed)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """What is to become of each resource, by ARN in order."""
        given = {arn: self._verdict(r) for arn, r in sorted(self.graph.resources.items()) if r.kind in JUDGED}
        for arn, names in self._detached().items():
            given[arn] = replace(given[arn], detach=tuple(sorted(set(names))))
        return given

    # --- by itself ---------------------------------------------------------------------------------------------------

    def _bar(self, resource: Resource) -> Bar | None:
        standing = self._owners.standing(resource.arn)
        if standing.say is Say.USED:
            return Bar(Wave.USED, self._in_use(resource), standing.words)
        if standing.say is Say.NOBODY:
            # Whose it is nobody knows, so what it refers to is in use.
            return Bar(Wave.USED, Word.UNKNOWN, standing.words)
        if standing.say is Say.UNKNOWN:
            return Bar(Wave.UNKNOWN, Word.UNKNOWN, standing.words)
        if resource.kind in REPORTED:
            return Bar(Wave.KEPT, Word.REPORTED, f"{standing.words}; Caretaker never deletes a {resource.kind}")
        # What policy keeps anyway is not read as deeply as what it lets go: no doubt about it would say more.
        return (
            self._other_work(resource)
            or self._kept_by_kind(resource)
            or self._doubtful(resource)
            or self._kept(resource)
        )

    def _in_use(self, resource: Resource) -> Word:
        return Word.SHARED if self.graph.is_shared(resource.arn) else Word.IN_USE

    def _other_work(self, resource: Resource) -> Bar | None:
        """A rule or listener that somebody made do something else is in use, though nobody refers to it."""
        if resource.kind not in (Kind.RULE, Kind.LISTENER):
            return None
        expected = "forward" if resource.kind is Kind.RULE else "fixed-response"
        others = [each for each in fact(resource, "actions").split() if each not in (expected, "forward")]
        if others:
            return Bar(Wave.USED, self._in_use(resource), f"its actions are {', '.join(others)}: {_WORKS_FOR_OTHERS}")
        if hosts := words.strange_hosts(resource):
            return Bar(Wave.USED, self._in_use(resource), f"it answers for {', '.join(hosts)}: {_WORKS_FOR_OTHERS}")
        mine = set(self.graph.owners_of(resource.arn))
        for each in self.graph.refers_to(resource.arn):
            if each.via == "forward" and not mine.intersection(self.graph.owners_of(each.target)):
                target = words.named(each.target, self.graph.resources)
                return Bar(Wave.USED, self._in_use(resource), f"it forwards to {target}: {_WORKS_FOR_OTHERS}")
            if each.via in SERVED and not self.graph.claims_of(each.target):
                target = words.named(each.target, self.graph.resources)
                return Bar(Wave.USED, self._in_use(resource), f"it has {target}, which no Express service brought")
        return None

    def _doubtful(self, resource: Resource) -> Bar | None:
        parts = [self.graph.resources[part] for part in self.graph.parts_of.get(resource.arn, ()) if self._judged(part)]
        doubts = tuple(doubt for each in (resource, *parts) for doubt in self.readings.doubts(each))
        if not doubts:
            return None
        told = words.several([words.doubt(doubt) for doubt in doubts[:4]])
        if len(doubts) > 4:
            told = words.several([words.doubt(doubt) for doubt in doubts[:3]]) + f"; and {len(doubts) - 3} more"
        return Bar(Wave.UNKNOWN, Word.UNKNOWN, f"somebody may refer to it: {told}", doubts)

    def _judged(self, arn: str) -> bool:
        return arn in self.graph.resources and self.graph.resources[arn].kind in JUDGED

    def _kept(self, resource: Resource) -> Bar | None:
        for each in self._together(resource):
            tags = each.tags or {}
            whose = "it" if each.arn == resource.arn else words.named(each.arn, self.graph.resources)
            if OPT_OUT in tags:
                return Bar(Wave.KEPT, Word.KEPT, f"{whose} has the tag {OPT_OUT}")
            if STACK in tags:
                return Bar(
                    Wave.KEPT, Word.KEPT, f"{whose} belongs to the stack {tags[STACK]}: delete it with the stack"
                )
            if each.facts.get("protected") == "true":
                return Bar(Wave.KEPT, Word.KEPT, f"{whose} is protected against deletion: lift the protection yourself")
        if resource.kind in _TAGGED and not resource.facts.get("policy") and not is_managed(resource):
            taken = f"its tag {MANAGED} is not `true`: somebody has taken it over from ECS"
            return Bar(Wave.KEPT, Word.KEPT, taken)
        return self._kept_by_service(resource)

    def _together(self, resource: Resource) -> Iterable[Resource]:
        """What would go along with it, itself first; and what a scaling policy has in place of tags of its own."""
        yield resource
        yield from (
            self.graph.resources[part] for part in self.graph.parts_of.get(resource.arn, ()) if self._judged(part)
        )
        if resource.kind is Kind.SCALING_POLICY:
            targets = (self.graph.resources.get(each.target) for each in self.graph.refers_to(resource.arn))
            yield from (each for each in targets if each is not None and each.kind is Kind.SCALABLE_TARGET)

    def _kept_by_service(self, resource: Resource) -> Bar | None:
        for owner in self.graph.owners_of(resource.arn):
            if self.keep.of(owner.arn).keep:
                return Bar(Wave.KEPT, Word.KEPT, f"policy garbage.keep is set for service {short(owner.arn)}")
        return None

    def _kept_by_kind(self, resource: Resource) -> Bar | None:
        name = _POLICY.get(resource.kind)
        for owner in self.graph.owners_of(resource.arn):
            if name and getattr(self.keep.of(owner.arn), name) != "delete":
                return Bar(Wave.KEPT, Word.KEPT, f"policy garbage.{name} is `keep` for service {short(owner.arn)}")
        return None

    # --- by its referrers --------------------------------------------------------------------------------------------

    def _holding(self, arn: str) -> tuple[Reference, ...]:
        """The references that hold the resource as long as they are there."""
        return tuple(each for each in self.graph.referrers_of(arn) if not is_loose(self.graph, each))

    def _sweep_out(self) -> dict[str, Removal]:
        """Candidates that something holds which is not garbage, with the strongest reason for it."""
        held_by: dict[str, list[str]] = defaultdict(list)
        for arn, references in self._effective.items():
            for reference in references:
                held_by[self.graph.holder_of(reference)].append(arn)
        removed: dict[str, Removal] = {}
        for wave in Wave:
            left = [holder for holder in held_by if holder not in self._effective and self._wave(holder) is wave]
            while left:
                holder = left.pop()
                for arn in held_by.get(holder, ()):
                    if arn not in removed:
                        removed[arn] = Removal(wave, holder)
                        left.append(arn)
        return removed

    def _wave(self, holder: str) -> Wave:
        return self._bars[holder].wave if holder in self._bars else Wave.USED

    # --- in words ----------------------------------------------------------------------------------------------------

    def _verdict(self, resource: Resource) -> Verdict:
        whole = self.graph.whole_of(resource.arn)
        if whole != resource.arn:
            return self._of_part(resource, whole)
        referrers = self.graph.referrers_of(resource.arn)
        holding = tuple(e for e in self._holding(resource.arn) if self.graph.holder_of(e) not in self.garbage)
        bar = self._bars.get(resource.arn)
        word, reason = self._said(resource, bar, holding, referrers)
        owners = self.graph.owners_of(resource.arn)
        return Verdict(resource, word, reason, owners, referrers, holding, bar.doubts if bar else ())

    def _of_part(self, resource: Resource, whole: str) -> Verdict:
        """A part stands and falls with its whole."""
        owners = self.graph.owners_of(resource.arn)
        if not self._judged(whole):
            reason = f"it is a part of {words.short(whole)}, of which nothing is known"
            return Verdict(resource, Word.UNKNOWN, reason, owners)
        of = self._verdict(self.graph.resources[whole])
        reason = f"goes with {words.named(whole, self.graph.resources)}: {of.reason}"
        return Verdict(resource, of.word, reason, owners, of.referrers, of.holding, of.doubts)

    def _said(
        self, resource: Resource, bar: Bar | None, holding: tuple[Reference, ...], referrers: tuple[Reference, ...]
    ) -> tuple[Word, str]:
        if bar is not None and (not holding or (bar.wave is Wave.USED and bar.word is not Word.UNKNOWN)):
            return bar.word, bar.words
        if holding:
            return self._held(resource, bar, holding)
        left = self._owners.standing(resource.arn).words
        if referrers:
            told = words.several([words.told(each, self.graph.resources) for each in referrers])
            return Word.GARBAGE, f"{left}; only garbage refers to it, or what can be removed: {told}"
        return Word.GARBAGE, f"{left}; nobody refers to it"

    def _held(self, resource: Resource, bar: Bar | None, holding: tuple[Reference, ...]) -> tuple[Word, str]:
        used = [each for each in holding if self._strength(self.graph.holder_of(each)) is Wave.USED]
        told = words.several([words.told(each, self.graph.resources) for each in used or holding])
        if bar is not None and not used:
            return bar.word, bar.words
        why = self._why(resource.arn)
        told = f"{told}, which stays: {why}" if why else told
        if used:
            return self._in_use(resource), told
        return (Word.UNKNOWN if self._removed[resource.arn].wave is Wave.UNKNOWN else Word.KEPT), told

    def _strength(self, holder: str) -> Wave:
        return self._removed[holder].wave if holder in self._removed else self._wave(holder)

    def _why(self, arn: str) -> str:
        """Why what holds it stays, at the end of the chain: a load balancer stays with its listener, and the listener
        with the certificate that somebody has put there."""
        if (removal := self._removed.get(arn)) is None:
            return ""
        last = arn
        while (further := self._removed.get(removal.holder)) is not None:
            last, removal = removal.holder, further
        if (bar := self._bars.get(removal.holder)) is not None:
            whose = "" if last == arn else f"{words.named(removal.holder, self.graph.resources)}: "
            return f"{whose}{bar.words}"
        end = next(each for each in self._effective[last] if self.graph.holder_of(each) == removal.holder)
        return "" if last == arn else words.told(end, self.graph.resources)

    def _detached(self) -> Mapping[str, list[str]]:
        """By shared resource that stays: the references in it that go before what they name."""
        found: dict[str, list[str]] = defaultdict(list)
        for arn in sorted(self.garbage):
            for each in self.graph.referrers_of(arn):
                holder = self.graph.holder_of(each)
                if is_loose(self.graph, each) and holder not in self.garbage and holder in self.graph.resources:
                    found[holder].append(each.source if each.source_kind is Kind.SECURITY_GROUP_RULE else arn)
        return found
