"""Verdicts on what Express Mode made, drawn for a terminal and for a log alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from cli.product import (
    GONE,
    Act,
    Judgement,
    Life,
    Line,
    Owner,
    Reading,
    Sweep,
    Verdict,
    lines_of,
    monthly,
    savings_told,
    short,
    trees,
    unowned,
)
from cli.sweep_words import acts_told, moment, standing
from twin.errors import WorldError

WORD_STYLES = {
    "garbage": "bold red",
    "in use": "green",
    "shared": "green",
    "unknown": "bold yellow",
    "kept": "cyan",
    "reported": "dim",
}
LIFE_STYLES = {"alive": "green", "draining": "yellow", "dead": "bold red", "unknown": "bold yellow"}
AT_REST = ("in use", "shared")
"""Of a service that lives these are as they should be, and only counted."""
_MOST_UNREAD = 5
_SHOWN_SWEEPS = 3


def overview(
    vpc: str, judgement: Judgement, sweeps: Sequence[tuple[Sweep, Sequence[Act]]] = (), *, every: bool = False
) -> RenderableType:
    """Every service of a VPC with its resources, the dead first; counts; what would be saved; its sweeps.

    Args:
        sweeps: of the VPC with their acts, the newest first.
        every: list what living services use, too.
    """
    parts: list[RenderableType] = [Text.assemble(("VPC ", "bold"), (vpc, "bold cyan"))]
    for tree in trees(judgement.graph, judgement.verdicts):
        lines = [_without_death(line, tree.owner) for line in tree.lines]
        parts.append(Padding(_service(tree.owner, lines, every=every), (0, 0, 1, 2)))
    parts.append(_line(Text.assemble(("Verdicts  ", "bold"), _counts(judgement))))
    parts += [_line(part) for part in _nobodys(judgement)]
    parts += [_line(Text(words, style="dim")) for words in _strangers(judgement)]
    parts += [_line(Text(words, style="dim")) for words in _saved(judgement)]
    parts += [_line(Text(words, style="yellow")) for words in unread(judgement.graph.observation.readings)]
    parts += _sweeps(sweeps)
    return Group(*parts)


def _line(text: Text, indent: int = 2) -> RenderableType:
    return Padding(text, (0, 0, 0, indent))


def _service(owner: Owner, lines: Sequence[Line], *, every: bool) -> Tree:
    """A service's branch; what a living one uses is one line, and what is gone."""
    living = owner.life is Life.ALIVE
    resting = [] if every or not living else [line for line in lines if line.word in AT_REST]
    gone = [] if every else [line for line in lines if line.word is None and line.text.endswith(f": {GONE}")]
    tree = branch(heading(owner), [line for line in lines if line not in resting and line not in gone])
    if gone:
        tree.add(Text(f"{len(gone)} gone (--all lists them)", style="dim"))
    if resting:
        counts = Counter(str(line.word) for line in resting)
        words = ", ".join(f"{counts[word]} {word}" for word in AT_REST if counts[word])
        tree.add(Text(f"{words} (--all lists them)", style="green"))
    return tree


def heading(owner: Owner) -> Text:
    """A service, how it stands with it, and why that is known."""
    name = owner.identity.arn.partition(":service/")[2] or owner.identity.arn
    text = Text.assemble((name, "bold"), "  ", (str(owner.life), LIFE_STYLES[str(owner.life)]))
    text.append(f" since {owner.since}" if owner.since else "", style="bold red")
    text.append(f"  created {owner.identity.created}" if owner.identity.created else "", style="dim")
    text.append(f"  {owner.words}" if owner.words else "", style="dim")
    text.append("  a deployment is in flight" if owner.moving else "", style="yellow")
    return text


def _without_death(line: Line, owner: Owner) -> Line:
    """The heading tells since when the service is gone; each line need not."""
    said = f"service {short(owner.identity.arn).removeprefix('service/')} is gone since {owner.since}; "
    return Line(line.depth, line.text.replace(said, ""), line.arn, line.word, line.holds)


def why(judgement: Judgement, arn: str) -> RenderableType:
    """Who refers to a resource, and who to those, as a tree. WorldError if it was not read."""
    if arn not in judgement.graph.resources:
        raise WorldError(f"--why {arn}: it was not read")
    root, *rest = lines_of(arn, judgement.graph, judgement.verdicts)
    drawn: list[RenderableType] = [branch(_styled(root), rest)]
    verdict = judgement.verdicts.get(arn)
    if not rest:
        drawn.append(Text("nobody refers to it, as far as could be read", style="dim"))
    drawn += [Text(words, style="yellow") for words in unread(verdict.doubts if verdict else ())]
    drawn.append(Text(arn, style="dim"))
    return Group(*drawn)


def branch(root: Text, lines: Iterable[Line]) -> Tree:
    """Lines with their depth as branches."""
    tree = Tree(root, guide_style="dim")
    open_ends: list[Tree] = [tree]
    for line in lines:
        parent = open_ends[min(line.depth, len(open_ends)) - 1]
        del open_ends[line.depth :]
        open_ends.append(parent.add(_styled(line)))
    return tree


def _styled(line: Line) -> Text:
    text = Text(line.text)
    if line.word is not None:
        for form in (f": {line.word}: ", f"[{line.word}]"):
            text.highlight_words([form], style=WORD_STYLES[str(line.word)])
    if line.holds:
        text.append("  ← holds it", style="bold green")
    return text


# --- counts ----------------------------------------------------------------------------------------------------------
def _strange(verdict: Verdict) -> bool:
    """Whether it is nobody's that the ledger knows: whatever else is in the VPC."""
    return verdict.word == "unknown" and not verdict.owners and not verdict.doubts


def _counts(judgement: Judgement) -> Text:
    counts = Counter(str(each.word) for each in judgement.verdicts.values() if not _strange(each))
    text = Text()
    for word in WORD_STYLES:
        if counts[word]:
            text.append(f"{counts[word]} {word}  ", style=WORD_STYLES[word])
    return text


def _strangers(judgement: Judgement) -> list[str]:
    nobodys = len(unowned(judgement.graph, judgement.verdicts))
    count = sum(1 for each in judgement.verdicts.values() if _strange(each)) - nobodys
    return [f"{count} other things were read that no Express service made: never touched (--json lists them)"] * (
        count > 0
    )


def _nobodys(judgement: Judgement) -> list[Text]:
    """What ECS made and no service has that the ledger knows: never deleted, and for a person to look at."""
    found = unowned(judgement.graph, judgement.verdicts)
    if not found:
        return []
    head = (
        f"{len(found)} things that ECS made and no service has (a creation that failed?): never touched, look at them"
    )
    lines = [f"  {each.resource.kind} {each.resource.name or each.resource.arn}: {each.reason}" for each in found]
    return [Text(head, style="bold yellow"), *(Text(line, style="yellow") for line in lines)]


def _saved(judgement: Judgement) -> list[str]:
    garbage = [each for each in judgement.verdicts.values() if each.word == "garbage"]
    saved = savings_told(monthly(garbage))
    if saved:
        return ["What deleting the garbage saves:", *(f"  {words}" for words in saved)]
    return ["What deleting the garbage saves: nothing that is paid for"] if garbage else []


def unread(readings: Iterable[Reading]) -> list[str]:
    """What was not read whole, by operation, and what whoever asks can do about it."""
    of: dict[tuple[str, str], list[Reading]] = {}
    for each in readings:
        if each.status != "whole":
            of.setdefault((each.operation, str(each.status)), []).append(each)
    lines = [_doubt(operation, status, each) for (operation, status), each in of.items()]
    rest = len(lines) - _MOST_UNREAD
    return lines[:_MOST_UNREAD] + ([f"… and {rest} more operations; see --json"] if rest > 0 else [])


def _doubt(operation: str, status: str, readings: Sequence[Reading]) -> str:
    scopes = [short(each.scope) for each in readings if each.scope]
    of = f" of {scopes[0]}" if scopes else ""
    of += f" and {len(scopes) - 1} more" if len(scopes) > 1 else ""
    reason = f": {readings[0].reason}" if readings[0].reason else ""
    todo = f"; grant {operation} to whoever asks" if status == "denied" else "; ask again"
    return f"not read, so unknown: {operation}{of} {'was ' if status != 'failed' else ''}{status}{reason}{todo}"


# --- sweeps ----------------------------------------------------------------------------------------------------------
def _sweeps(sweeps: Sequence[tuple[Sweep, Sequence[Act]]]) -> list[RenderableType]:
    if not sweeps:
        return [_line(Text("Sweeps  none in the last 90 days", style="bold"))]
    lines: list[RenderableType] = [_line(Text("Sweeps", style="bold"))]
    for sweep, acts in sweeps[:_SHOWN_SWEEPS]:
        head = Text.assemble((sweep.id, "cyan"), f"  {standing(sweep, acts)}")
        lines.append(_line(head, 4))
        lines.append(_line(Text(f"because {sweep.trigger.text}", style="dim"), 6))
        lines += [_line(Text(words), 6) for words in acts_told(acts)]
        if sweep.outcome not in (None, "swept") and sweep.remains:
            lines.append(_line(Text(f"remained when it ended, {moment(sweep.ended)}:", style="dim"), 6))
            lines += [_line(Text(words, style="dim"), 8) for words in sweep.remains]
    if len(sweeps) > _SHOWN_SWEEPS:
        lines.append(_line(Text(f"… and {len(sweeps) - _SHOWN_SWEEPS} older ones; see --json", style="dim"), 4))
    return lines
