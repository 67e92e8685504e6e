"""What `caretaker sweep --watch` shows, drawn for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from cli.garbage_view import WORD_STYLES
from cli.product import GONE
from cli.sweep_snapshot import DELETED, Item, Snapshot, held

_STYLES = {
    **WORD_STYLES,
    "ACTIVE": "green",
    "PROVISIONING": "cyan",
    "DEPROVISIONING": "yellow",
    "DRAINING": "yellow",
    "FAILED": "bold red",
    "INACTIVE": "bold red",
    "DELETED": "dim",
    DELETED: "dim",
    GONE: "dim",
}


def draw(snapshot: Snapshot) -> RenderableType:
    """The service, its own resources, what it shares and with whom, and how the sweep of its VPC stands."""
    root = Text.assemble((snapshot.service, "bold"), "  ", _status(snapshot.status))
    root.append(f" since {snapshot.since}" if snapshot.since else "", style="dim")
    root.append(f"  {snapshot.vpc}" if snapshot.vpc else "", style="cyan")
    tree = Tree(root, guide_style="dim")
    for title, items in (("its own", snapshot.own), ("shared or given", snapshot.others)):
        if items:
            branch = tree.add(Text(title, style="bold"))
            for item in items:
                branch.add(_item(item))
    parts: list[RenderableType] = [tree]
    if snapshot.judged:
        parts.append(Text(f"judged {snapshot.judged}, and again every minute", style="dim"))
    if snapshot.standing:
        parts.append(Text.assemble((snapshot.sweep, "cyan"), f"  {snapshot.standing}"))
    parts += [Text(note, style="yellow") for note in snapshot.notes]
    return Group(*parts)


def _item(item: Item) -> Text:
    text = Text.assemble((f"{item.label}  ", "" if item.there else "dim"), _status(item.status))
    text.append(f"  {item.reason}" if item.reason else "", style="dim")
    text.append(held(item), style="green" if item.holders else "dim")
    return text


def _status(status: str) -> tuple[str, str]:
    return status, _STYLES.get(status, "")
