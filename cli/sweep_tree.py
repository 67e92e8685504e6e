"""The tree of a service's resources while it is deleted and swept, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from cli.frame import LeavingRow, ThingRow

STATUS_STYLES = {
    "PROVISIONING": "cyan",
    "ACTIVE": "green",
    "DEPROVISIONING": "yellow",
    "DRAINING": "yellow",
    "FAILED": "bold red",
    "DELETED": "dim",
    "INACTIVE": "dim",
    "deleted": "dim",
    "left": "bold yellow",
    "shared": "green",
    "swept": "bold green",
    "kept": "bold yellow",
}
_MARKS = {"deleted": "✗", "left": "●", "shared": "◆"}
_LONGEST = 34
MOST = 2
"""Services whose trees are shown: the last ones that something is left of."""


def sweep_lines(leavings: Sequence[LeavingRow], room: int) -> list[Text]:
    """The trees of the services that something is left of, else of the last one; `room` lines at most."""
    open_ = [row for row in leavings if any(thing.status not in ("deleted", "shared") for thing in row.things)]
    shown = (open_ or list(leavings))[-MOST:]
    lines: list[Text] = []
    if len(leavings) > len(shown):
        lines.append(Text(f"{len(leavings) - len(shown)} more services are gone", style="dim"))
    for row in shown:
        each = max(3, (room - len(lines)) // max(1, len(shown)) - 1)
        lines += [heading(row), *things(row.things, each)]
    return lines


def heading(row: LeavingRow) -> Text:
    """ "shop/web  INACTIVE, swept: 10 of its things are deleted, 0 left, 3 shared"."""
    counts = {word: sum(1 for thing in row.things if thing.status == word) for word in ("deleted", "left", "shared")}
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(row.service, style="bold")
    text.append(f"  {row.life}", style=STATUS_STYLES.get(row.life, "bold"))
    if row.sweep:
        text.append("  ")
        text.append(row.sweep, style=STATUS_STYLES.get(row.sweep, "bold blue"))
    text.append(f"  {counts['deleted']} deleted, {counts['left']} left, {counts['shared']} shared", style="dim")
    return text


def things(rows: Sequence[ThingRow], limit: int) -> list[Text]:
    """A line for each resource; where there is no room for all, those that are there."""
    ranked = sorted(range(len(rows)), key=lambda place: (rows[place].status == "deleted", place))
    # One line less where one has to say how many more there are.
    most = limit if len(rows) <= limit else max(1, limit - 1)
    shown = [rows[place] for place in sorted(ranked[:most])]
    whole = len(shown) == len(rows)
    kinds, names = (max((len(word) for word in words), default=0) for words in zip(*map(_words, shown), strict=True))
    lines = [_line(row, kinds, names, last=whole and place + 1 == len(shown)) for place, row in enumerate(shown)]
    return lines if whole else [*lines, Text(f"  └─ … and {len(rows) - len(shown)} more", style="dim")]


def _line(row: ThingRow, kinds: int, names: int, *, last: bool) -> Text:
    style = STATUS_STYLES.get(row.status, "")
    kind, name = _words(row)
    text = Text("  └─ " if last else "  ├─ ", style="dim", no_wrap=True, overflow="ellipsis")
    text.append(f"{kind:<{kinds}}  ", style="default")
    text.append(f"{name:<{names}}  ", style="dim" if row.status == "deleted" else "default")
    text.append(f"{_MARKS.get(row.status, '○')} {row.status}", style=style)
    text.append(f"  {_why(row)}", style="dim")
    return text


def _words(row: ThingRow) -> tuple[str, str]:
    name = row.name if len(row.name) <= _LONGEST else f"{row.name[: _LONGEST - 1]}…"
    return row.kind, name


def _why(row: ThingRow) -> str:
    if row.holders:
        rest = f" and {len(row.holders) - 3} more" if len(row.holders) > 3 else ""
        return f"in use by {', '.join(row.holders[:3])}{rest}"
    return row.reason
