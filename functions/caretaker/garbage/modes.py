"""What policy allows for each verdict, and what the sweep of a VPC with many clusters goes by. Plain functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from caretaker.garbage.model import Identity, Kind, Life, Observation, Verdict, Word
from caretaker.garbage.standing import short
from caretaker.runtime.policy import GarbagePolicy, SweepMode

RANK: Mapping[SweepMode, int] = {"observe": 0, "approve": 1, "act": 2}
# What costs most, or holds most of the others, is told first.
_TELLING = (
    Kind.LOAD_BALANCER,
    Kind.RULE,
    Kind.TARGET_GROUP,
    Kind.SECURITY_GROUP,
    Kind.LISTENER,
    Kind.CERTIFICATE,
    Kind.SCALABLE_TARGET,
    Kind.SCALING_POLICY,
    Kind.ALARM,
    Kind.LOG_GROUP,
    Kind.TASK_DEFINITION,
    Kind.CLUSTER,
)
_WEIGHT = {kind: place for place, kind in enumerate(_TELLING)}
# What loses data or is never deleted does not decide whether a sweep got to its end.
_BY_POLICY = frozenset({Kind.LOG_GROUP, Kind.TASK_DEFINITION, Kind.CLUSTER, Kind.ROLE, Kind.REPOSITORY})


def mode_of(verdict: Verdict, policies: Mapping[str, GarbagePolicy]) -> SweepMode:
    """What may be done about it: the least that the policies of its services allow."""
    modes = [policies[owner.arn].mode for owner in verdict.owners if owner.arn in policies]
    return min(modes, key=lambda mode: RANK[mode]) if len(modes) == len(verdict.owners) and modes else "observe"


def allowing(mode: SweepMode, policies: Mapping[str, GarbagePolicy]) -> Callable[[Verdict], bool]:
    """Whether a verdict's policies allow at least this."""
    return lambda verdict: RANK[mode_of(verdict, policies)] >= RANK[mode]


def apart(policies: Iterable[GarbagePolicy]) -> timedelta:
    """The longest time that a policy wants between two observations."""
    return max((policy.apart for policy in policies), default=GarbagePolicy().apart)


def cap(policies: Iterable[GarbagePolicy]) -> int:
    """The least that a policy lets one sweep delete."""
    return min((policy.cap for policy in policies), default=GarbagePolicy().cap)


def approval_expires(policies: Iterable[GarbagePolicy]) -> timedelta:
    """The shortest time that a policy gives a person for the answer."""
    return min((policy.approval_expires for policy in policies), default=GarbagePolicy().approval_expires)


# --- what remains ----------------------------------------------------------------------------------------------------


def left_by_the_dead(seen: Observation) -> frozenset[Identity]:
    """The services that are dead, or of which nothing is known."""
    return frozenset(key for key, owner in seen.owners.items() if owner.life in (Life.DEAD, Life.UNKNOWN))


def remaining(verdicts: Mapping[str, Verdict], seen: Observation, waiting: Mapping[str, str]) -> list[str]:
    """What services have left behind and what stays, with the reason, in words."""
    return [_told(each, waiting.get(arn, each.reason)) for arn, each in _left(verdicts, seen, waiting).items()]


def holding(verdicts: Mapping[str, Verdict], seen: Observation, waiting: Mapping[str, str]) -> int:
    """How much of it stays although it should go: not what living services have, nor what policy keeps, nor what is
    only ever reported."""
    living = had_by_the_living(seen)
    return sum(1 for each in _left(verdicts, seen, waiting).values() if not _at_rest(each, living))


def had_by_the_living(seen: Observation) -> frozenset[str]:
    """ARNs of what a living service has: one created again under a dead one's name has taken over what was left."""
    alive = {key for key, owner in seen.owners.items() if owner.life is Life.ALIVE}
    return frozenset(claim.resource.arn for claim in seen.claims if claim.current and claim.owner in alive)


def _left(verdicts: Mapping[str, Verdict], seen: Observation, waiting: Mapping[str, str]) -> dict[str, Verdict]:
    """What stays, the most telling first: what should go and cannot, then kind by kind."""
    dead, living = left_by_the_dead(seen), had_by_the_living(seen)
    retired = {claim.resource.arn for claim in seen.claims if not claim.current} - living
    found = {}
    for arn, each in verdicts.items():
        # Each release retires a task definition: what is at rest is no news while its service lives.
        theirs = (arn in retired and not _at_rest(each, living)) or bool(dead.intersection(each.owners))
        if arn in waiting or (theirs and each.word is not Word.GARBAGE):
            found[arn] = each
    return dict(sorted(found.items(), key=lambda item: _telling(item[1], living)))


def _telling(verdict: Verdict, living: frozenset[str]) -> tuple[bool, int]:
    return _at_rest(verdict, living), _WEIGHT.get(verdict.resource.kind, len(_WEIGHT))


def _at_rest(verdict: Verdict, living: frozenset[str]) -> bool:
    if verdict.word is Word.GARBAGE:
        return False
    if verdict.resource.arn in living:
        return True
    return verdict.word is Word.REPORTED or verdict.resource.kind in _BY_POLICY


def _told(verdict: Verdict, reason: str) -> str:
    resource = verdict.resource
    whose = ", ".join(short(owner.arn) for owner in verdict.owners)
    of = f" of {whose}" if whose else ""
    word = "garbage, not to be deleted now" if verdict.word is Word.GARBAGE else str(verdict.word)
    return f"{resource.kind} {resource.name or resource.arn}{of}: {word}: {reason}"


def counts(verdicts: Mapping[str, Verdict]) -> dict[str, int]:
    """How many verdicts there are of each word."""
    return dict(sorted(Counter(str(each.word) for each in verdicts.values()).items()))
