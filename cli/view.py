"""The live view of a rehearsal: hosts with their tasks, the execution's way, and the last things that happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.frame import ExecutionRow, Frame, HostRow, Line, ReleaseRow, ServiceRow, TaskLook
from cli.plot import bar, evidence_style, plot, sparkline
from cli.product import to_one
from cli.sweep_tree import sweep_lines
from twin.rehearsal.durations import show

FRAMES_A_SECOND = 12.0

BLOCKS: dict[TaskLook, tuple[str, str]] = {
    "healthy": ("■", "green"),
    "unproven": ("◧", "yellow"),
    "starting": ("□", "cyan"),
    "stopping": ("▪", "red"),
    "standalone": ("●", "magenta"),
}
STATUS_STYLES = {"ACTIVE": "green", "DRAINING": "yellow", "REGISTERING": "cyan", "booting": "cyan"}
OUTCOME_STYLES = {
    "replaced": "bold green",
    "promoted": "bold green",
    "planned": "bold cyan",
    "undone": "bold yellow",
    "blocked": "bold yellow",
    "inconclusive": "bold yellow",
    "swept": "bold green",
    "kept": "bold yellow",
    "ignored": "cyan",
}
PLOT_FROM = 36
"""Lines of a terminal from which on there is room for the plot."""
PLOT_HEIGHT = 5


def clock(seconds: float) -> str:
    """`+0:12:34` since the start."""
    whole = int(seconds)
    return f"+{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


class LiveView:
    """Redraws at most FRAMES_A_SECOND times a second of wall time, whenever the simulated clock is about to jump."""

    def __init__(self, console: Console, frame: Callable[[], Frame]) -> None:
        self._console = console
        self._frame = frame
        self._last = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True, screen=False)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._last < 1 / FRAMES_A_SECOND:
            return
        self._last = now
        self._live.update(draw(self._frame(), self._console.height - 1), refresh=True)


def draw(frame: Frame, height: int = 30) -> RenderableType:
    """One frame, at most `height` lines high."""
    executions: list[RenderableType] = [execution_line(row) for row in frame.executions[-3:]]
    executions += release_lines(frame.releases, plotted=height >= PLOT_FROM)
    trees = sweep_lines(frame.leavings, max(8, height // 2)) if frame.leavings else []
    room = max(4, height - len(executions) - len(trees) - 8 - bool(trees))
    services = service_table(frame.services)
    host_room = max(3, min(len(frame.hosts), room - 4 - services.row_count))
    hosts = host_table(frame.hosts, host_room)
    left = max(3, room - min(len(frame.hosts), host_room) - services.row_count - 1)
    lines = event_lines(frame.lines, left)
    body: list[RenderableType] = [heading(frame), Text()]
    body += executions or [Text("no execution yet: waiting for an event", style="dim")]
    if trees:
        body += [Text(), *trees]
    if frame.hosts:
        body += [Text(), hosts]
    if frame.services:
        body += [Text(), services]
    body += [Text(), lines]
    return Panel(Group(*body), border_style="blue", padding=(0, 1), subtitle=legend(), subtitle_align="left")


def heading(frame: Frame) -> RenderableType:
    grid = Table.grid(expand=True)
    grid.add_column()
    grid.add_column(justify="right")
    title = Text.assemble(("caretaker rehearse", "bold"), ("  ", ""), (frame.world, "bold cyan"))
    moment = Text.assemble((clock(frame.elapsed), "bold"), (f"  {frame.now}  seed {frame.seed}", "dim"))
    grid.add_row(title, moment)
    return grid


def execution_line(row: ExecutionRow) -> Text:
    """Where an execution is: the states behind it faint, the present one bold with the time it has taken."""
    text = Text(no_wrap=True, overflow="ellipsis")
    if row.outcome:
        text.append(f"{row.outcome}", style=OUTCOME_STYLES.get(row.outcome, "bold red"))
    else:
        text.append("▶ ", style="bold blue")
        text.append(row.path[-1] if row.path else "starting", style="bold")
        text.append(f" {show(row.since)}", style="blue")
    text.append(f"  {row.name}", style="dim")
    text.append(f"  {row.mode}  {show(row.elapsed)}", style="dim")
    before = list(dict.fromkeys(row.path[:-1]))[-4:]
    if before and not row.outcome:
        text.append("  " + " → ".join(before), style="dim")
    return text


def release_lines(releases: Sequence[ReleaseRow], *, plotted: bool) -> list[RenderableType]:
    """The last two releases, one line each; under the last, while it runs, its counts and its evidence over time."""
    lines: list[RenderableType] = [release_line(row) for row in releases[-2:]]
    if releases and releases[-1].running and releases[-1].points:
        last = releases[-1]
        lines += count_lines(last)
        if last.need:
            need = Text.assemble(("  needs ", "bold"), last.need, style="yellow", no_wrap=True, overflow="ellipsis")
            lines.append(need)
        if plotted:
            lines += plot(last.points, last.line, width=40, height=PLOT_HEIGHT)
    return lines


def release_line(row: ReleaseRow) -> Text:
    """ "shop  gate, 5 %: continue  evidence against it ███░ 12 to 1, line 100 to 1 ▁▂▃"."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{row.service}  ", style="bold")
    text.append(f"{row.way}, ", style="cyan")
    text.append("no weight yet: " if row.share is None else f"{100 * row.share:.3g} %: ", style="bold")
    text.append(row.word, style=OUTCOME_STYLES.get(row.word, "bold blue" if row.running else "bold red"))
    if row.points:
        value = row.points[-1][1]
        text.append("  evidence against it ", style="dim")
        text.append_text(bar(value, row.line))
        text.append(f" {to_one(value)}", style=evidence_style(value, row.line))
        text.append(f", line {to_one(row.line)} ", style="dim")
        text.append_text(sparkline([against for _, against in row.points], row.line, width=12))
    return text


def count_lines(row: ReleaseRow) -> list[RenderableType]:
    """Errors of requests of the new revision and of the running one, a line for each stream."""
    names, news = max(len(each[0]) for each in row.counts), max(len(each[1]) for each in row.counts)
    return [
        Text.assemble((f"  {name:<{names}}", "bold"), f"  {mine:>{news}} ", (f"against {theirs}", "dim"))
        for name, mine, theirs in row.counts
    ]


def host_table(hosts: Sequence[HostRow], limit: int) -> Table:
    """The hosts of the work first, then the others, as many as there is room for."""
    ranked = sorted(range(len(hosts)), key=lambda index: (not hosts[index].role, index))
    shown = sorted(ranked[:limit])
    table = Table.grid(padding=(0, 1))
    for style in ("", "dim", "dim"):
        table.add_column(no_wrap=True, style=style)
    table.add_column(no_wrap=True, min_width=11)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for index in shown:
        table.add_row(*_host_cells(hosts[index]))
    if len(hosts) > len(shown):
        table.add_row(Text(f"… and {len(hosts) - len(shown)} more hosts", style="dim"), "", "", "", "")
    return table


def _host_cells(host: HostRow) -> tuple[RenderableType, ...]:
    mark = {"old": ("◀ ", "bold red"), "new": ("▶ ", "bold green"), "": ("  ", "")}[host.role]
    name = Text.assemble(mark, (host.instance, "bold" if host.role else ""))
    status = Text(host.status, style=STATUS_STYLES.get(host.status, "red"))
    if host.status in ("ACTIVE", "DRAINING") and not host.connected:
        status.append(" ✗agent", style="red")
    return name, host.zone, host.instance_type, status, blocks(host.tasks)


def blocks(tasks: Sequence[TaskLook]) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for look in tasks:
        glyph, style = BLOCKS[look]
        text.append(glyph, style=style)
    return text


def legend() -> Text:
    words: dict[TaskLook, str] = {
        "healthy": "healthy",
        "unproven": "running",
        "starting": "starting",
        "stopping": "stopping",
        "standalone": "standalone",
    }
    text = Text(" ")
    for look, word in words.items():
        glyph, style = BLOCKS[look]
        text.append(glyph, style=style)
        text.append(f" {word}  ", style="dim")
    return text


def service_table(services: Sequence[ServiceRow], columns: int = 4, rows: int = 4) -> Table:
    """Healthy of desired per service; those that have lost a task come first."""
    ranked = sorted(services, key=lambda row: (row.healthy >= row.desired, row.lowest >= row.desired, row.name))
    shown = ranked[: columns * rows]
    table = Table.grid(padding=(0, 2))
    for _ in range(columns):
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    cells = [_service_cell(row) for row in shown]
    height = -(-len(cells) // columns) if cells else 0
    for row in range(height):
        table.add_row(*(cells[i] if (i := row + column * height) < len(cells) else Text() for column in range(columns)))
    return table


def _service_cell(row: ServiceRow) -> Text:
    style = "green" if row.healthy >= row.desired else "yellow" if row.healthy else "red"
    return Text.assemble((f"{row.healthy}/{row.desired}", style), " ", (row.name, "" if not row.daemon else "dim"))


def event_lines(lines: Sequence[Line], limit: int) -> RenderableType:
    text = Text(no_wrap=True, overflow="ellipsis")
    shown = lines[-limit:]
    for number, line in enumerate(shown):
        if number:
            text.append("\n")
        text.append(f"{clock(line.at):>9} ", style="blue")
        text.append(line.text, style=style_of(line.kind))
    return Align(text, height=limit)


def style_of(kind: str) -> str:
    """How a kind of timeline entry is coloured."""
    if kind.startswith(("fault", "alarm", "warning", "death")):
        return "yellow"
    if kind.startswith(("execution", "outcome", "look")):
        return "bold"
    if kind.startswith(("actor", "operator")):
        return "magenta"
    return "" if kind.startswith(("host", "state", "plan")) else "dim"
