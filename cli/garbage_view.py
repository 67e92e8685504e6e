"""Verdicts on what Express Mode made, drawn for a terminal and for a log alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from cli.product import Judgement, Line, Owner, lines_of, monthly, savings_told, trees
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


def overview(vpc: str, judgement: Judgement) -> RenderableType:
    """Every service of a VPC with its resources, the dead first; then counts and what would be saved."""
    parts: list[RenderableType] = [Text.assemble(("VPC ", "bold"), (vpc, "bold cyan"))]
    for tree in trees(judgement.graph, judgement.verdicts):
        parts.append(Padding(branch(heading(tree.owner), tree.lines), (0, 0, 1, 2)))
    parts.append(Padding(Text.assemble(("Verdicts  ", "bold"), _counts(judgement)), (0, 0, 0, 2)))
    garbage = [each for each in judgement.verdicts.values() if each.word == "garbage"]
    saved = savings_told(monthly(garbage))
    parts += [Padding(Text(line, style="dim"), (0, 0, 0, 2)) for line in saved]
    unread = [each for each in judgement.graph.observation.readings if each.status != "whole"]
    for each in unread[:_MOST_UNREAD]:
        words = f"not read: {each.operation} {each.scope} was {each.status}: {each.reason}"
        parts.append(Padding(Text(words, style="yellow"), (0, 0, 0, 2)))
    if len(unread) > _MOST_UNREAD:
        parts.append(
            Padding(Text(f"… and {len(unread) - _MOST_UNREAD} more; see --json", style="yellow"), (0, 0, 0, 2))
        )
    return Group(*parts)


_MOST_UNREAD = 5


def heading(owner: Owner) -> Text:
    """A service, how it stands with it, and why that is known."""
    name = owner.identity.arn.partition(":service/")[2] or owner.identity.arn
    text = Text.assemble((name, "bold"), "  ", (str(owner.life), LIFE_STYLES[str(owner.life)]))
    text.append(f"  created {owner.identity.created}" if owner.identity.created else "", style="dim")
    text.append(f"  {owner.words}" if owner.words else "", style="dim")
    text.append("  a deployment is in flight" if owner.moving else "", style="yellow")
    return text


def why(judgement: Judgement, arn: str) -> RenderableType:
    """Who refers to a resource, and who to those, as a tree. WorldError if it was not read."""
    if arn not in judgement.graph.resources:
        raise WorldError(f"--why {arn}: it was not read")
    root, *rest = lines_of(arn, judgement.graph, judgement.verdicts)
    drawn = branch(_styled(root), rest)
    return drawn if rest else Group(drawn, Text("nobody refers to it", style="dim"))


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


def _counts(judgement: Judgement) -> Text:
    counts = Counter(str(each.word) for each in judgement.verdicts.values())
    text = Text()
    for word in WORD_STYLES:
        if counts[word]:
            text.append(f"{counts[word]} {word}  ", style=WORD_STYLES[word])
    return text
