"""Trees for people: who refers to a resource, and what each service has.

A tree is a tuple of lines with their depth; who shows it draws the branches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from caretaker.garbage import words
from caretaker.garbage.graph import Graph
from caretaker.garbage.model import Claim, Identity, Kind, Life, Owner, Read, Reference, Verdict, Word
from caretaker.garbage.standing import short

MOST = 200
"""Lines of one tree; what is beyond is counted in its last line."""


GONE = "gone"
# What an event tells of a service that nobody could ask about, and what is never taken off the ledger.
_TOLD = frozenset({Kind.TASK_DEFINITION, Kind.ROLE, Kind.REPOSITORY, Kind.CLUSTER, Kind.LOG_GROUP})
_UNRECORDED = "the ledger knows of nothing else that ECS made for it: it is gone, or was never recorded"


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        depth: 0 for the root.
        text: in words.
        arn: ARN or id of what the line is about; empty for a remark.
        word: the verdict on it; None for what gets none.
        holds: it is why the line above is not garbage.
    """

    depth: int
    text: str
    arn: str = ""
    word: Word | None = None
    holds: bool = False


def lines(arn: str, graph: Graph, verdicts: Mapping[str, Verdict]) -> tuple[Line, ...]:
    """A resource, who refers to it, who refers to those, and so on. What was shown above is not opened again.

    Raises:
        KeyError: the resource was not observed.
    """
    resource = graph.resources[arn]
    verdict = verdicts.get(arn)
    said = f": {verdict.word}: {verdict.reason}" if verdict else ""
    root = Line(0, f"{words.named(arn, graph.resources)}{said}", resource.arn, verdict.word if verdict else None)
    found = [root]
    more = 0
    for line in _below(arn, 1, graph, verdicts, {graph.whole_of(arn)}):
        if len(found) < MOST:
            found.append(line)
        else:
            more += 1
    return (*found, Line(1, f"and {more} more")) if more else tuple(found)


def _below(arn: str, depth: int, graph: Graph, verdicts: Mapping[str, Verdict], above: set[str]) -> Iterator[Line]:
    """The referrers of a resource: those that hold it first."""
    verdict = verdicts.get(graph.whole_of(arn))
    holding = set(verdict.holding) if verdict else set()
    referrers = sorted(graph.referrers_of(arn), key=lambda each: (each not in holding, each))
    for each in referrers:
        holder = graph.holder_of(each)
        of = verdicts.get(holder)
        seen = holder in above
        text = words.told(each, graph.resources) + _owned(each) + (f" [{of.word}]" if of else "")
        yield Line(depth, f"{text} (shown above)" if seen else text, holder, of.word if of else None, each in holding)
        if not seen:
            above.add(holder)
            yield from _below(holder, depth + 1, graph, verdicts, above)


def _owned(reference: Reference) -> str:
    return f", for service {short(reference.owner)}" if reference.owner else ""


@dataclass(frozen=True)
class ServiceTree:
    """What the ledger names for one service.

    Attributes:
        owner: the service.
        lines: its resources, its own before the shared ones, each with its verdict.
    """

    owner: Owner
    lines: tuple[Line, ...]


def services(graph: Graph, verdicts: Mapping[str, Verdict]) -> tuple[ServiceTree, ...]:
    """Every service of the observation with its resources: the dead first, then by name."""
    of: dict[Identity, list[Line]] = defaultdict(list)
    for claim in sorted(graph.observation.claims, key=lambda each: (each.shared, each.kind, each.resource)):
        verdict = verdicts.get(claim.resource.arn)
        name = words.named(claim.resource.arn, graph.resources)
        arn, shared = claim.resource.arn, "shared " if claim.shared else ""
        if verdict is None or verdict.resource.identity != claim.resource:
            text = f"{shared}{claim.kind} {words.name_in(arn)}: {unseen(claim, graph)}"
            of[claim.owner].append(Line(1, text, arn))
            continue
        of[claim.owner].append(Line(1, f"{shared}{name}: {verdict.word}: {verdict.reason}", arn, verdict.word))
    known = graph.observation.owners
    recorded = {claim.owner for claim in graph.observation.claims if claim.kind not in _TOLD}
    for owner, it in known.items():
        if owner not in recorded and it.life is Life.DEAD:
            of[owner].append(Line(1, _UNRECORDED))
    found = [
        ServiceTree(known.get(owner, Owner(owner, Life.UNKNOWN)), tuple(of.get(owner, ())))
        for owner in sorted({*known, *of})
    ]
    return tuple(sorted(found, key=lambda tree: (tree.owner.life is not Life.DEAD, tree.owner.identity)))


def unseen(claim: Claim, graph: Graph) -> str:
    """Why a claimed resource got no verdict. It is gone only where nothing that was not read could have shown it."""
    seen = graph.observation
    if claim.resource.arn in graph.resources:
        return "another one of its name is there"
    owner = seen.owners.get(claim.owner)
    if claim.kind is Kind.LOG_GROUP and (owner is None or owner.life is not Life.DEAD):
        return "not looked at while its service lives"
    unread = [each for each in seen.readings if each.status is not Read.WHOLE]
    if unread:
        return f"gone, or among what could not be read ({words.plural(len(unread), 'reading')})"
    return GONE
