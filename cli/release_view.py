"""Releases drawn for a terminal and for a log alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.plot import bar, evidence_style, plot, sparkline
from cli.product import Look, Release, odds, times, to_one
from twin.rehearsal.durations import show

Pair = tuple[Release, Sequence[Look]]

OUTCOME_STYLES = {
    "promoted": "bold green",
    "rolled_back": "bold red",
    "inconclusive": "bold yellow",
    "planned": "bold cyan",
    "ignored": "cyan",
    "failed": "bold red",
}
LAST_LOOKS = 15


# --- many ------------------------------------------------------------------------------------------------------------
def overview(pairs: Sequence[Pair], *, past: int) -> RenderableType:
    """What runs, with its counts; then what has ended, with why."""
    running = [pair for pair in pairs if pair[0].open]
    ended = [release for release, _ in pairs if not release.open]
    lines: list[RenderableType] = [Text("Running", style="bold")]
    lines += [Padding(_running(*pair), (0, 0, 1, 2)) for pair in running]
    if not running:
        lines.append(Padding(Text("no release is baked now", style="dim"), (0, 0, 1, 2)))
    lines.append(Text("Past", style="bold"))
    lines += [Padding(_ended(release), (0, 0, 0, 2)) for release in ended[:past]]
    if len(ended) > past:
        lines.append(Padding(Text(f"… and {len(ended) - past} older ones", style="dim"), (0, 0, 0, 2)))
    if not ended:
        lines.append(Padding(Text("none in the last 90 days", style="dim"), (0, 0, 0, 2)))
    return Group(*lines)


def _running(release: Release, looks: Sequence[Look]) -> RenderableType:
    lines: list[RenderableType] = [heading(release), _progress(release, looks)]
    if looks:
        last = looks[-1]
        lines += [streams(last.counts), evidence(looks)]
        lines += [Text(f"needs: {words}", style="yellow") for words in last.needs[:3]]
    lines += _asked(release)
    return Group(*lines)


def heading(release: Release) -> Text:
    text = Text.assemble((release.name, "bold"), " ", _revisions(release))
    text.append(f"  {release.way}, {release.mode}", style="cyan")
    text.append(f"  {release.id}", style="dim")
    return text


def _revisions(release: Release) -> str:
    new, old = _short(release.task_definition), _short(release.baseline_task_definition)
    return f"{new} beside {old}" if old else new


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]


def _progress(release: Release, looks: Sequence[Look]) -> Text:
    """ "5 % of the traffic for 12m, 12 looks, the last at 2026-10-05 10:14Z: continue"."""
    if release.started is None or not looks:
        return Text(f"no traffic yet; opened {_moment(release.opened)}", style="dim")
    last = looks[-1]
    text = Text(f"{100 * release.weight:.3g} % of the traffic", style="bold")
    text.append(f" for {show((last.at - release.started).total_seconds())}", style="not bold")
    text.append(f", {last.number} look{'' if last.number == 1 else 's'}, the last at {_moment(last.at)}: ", "not bold")
    text.append(last.action, style=_action_style(last.action))
    return text


def _action_style(action: str) -> str:
    return {"roll back": "bold red", "promote": "bold green", "inconclusive": "bold yellow"}.get(action, "bold")


def _asked(release: Release) -> list[RenderableType]:
    approval = release.approval
    if approval is None:
        held = release.open and release.way == "gate" and release.decided(release.weight) == "hold"
        return [Text("held: caretaker approve promotes it, reject rolls it back", style="bold magenta")] if held else []
    if approval.answer:
        return [Text(f"{approval.answer} by {approval.by}" if approval.by else approval.answer, style="magenta")]
    until = f"waits for caretaker approve or reject until {_moment(approval.expires)}"
    return [Text(until, style="bold magenta")]


def _ended(release: Release) -> RenderableType:
    outcome = release.outcome or "closed"
    text = Text.assemble((f"{outcome:<12}", OUTCOME_STYLES.get(outcome, "bold red")), " ", (release.name, "bold"))
    text.append(f" {_short(release.task_definition)}  {release.way}", style="cyan")
    if release.ended is not None:
        text.append(f"  {_moment(release.ended)} after {_span(release.ended - release.opened)}", style="dim")
    text.append(f"  {release.id}", style="dim")
    return Group(text, Padding(Text(release.reason), (0, 0, 0, 13))) if release.reason else text


def _span(length: timedelta) -> str:
    return show(length.total_seconds())


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%MZ")


# --- evidence --------------------------------------------------------------------------------------------------------
def streams(counts: Mapping[str, Any]) -> RenderableType:
    """Errors of requests in both, and how much more likely the canary's are."""
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for name, stream in counts.items():
        mine = (int(stream["canary_errors"]), int(stream["canary_requests"]))
        theirs = (int(stream["baseline_errors"]), int(stream["baseline_requests"]))
        ratio = odds(*mine, *theirs)
        cells = (f"{mine[0]:,} of {mine[1]:,}", "against", f"{theirs[0]:,} of {theirs[1]:,}", times(ratio))
        table.add_row(Text(name, style="bold"), cells[0], Text(cells[1], style="dim"), cells[2], cells[3])
    return table


def evidence(looks: Sequence[Look]) -> Text:
    """How far the evidence has come, and how it came there."""
    last = looks[-1]
    text = Text("evidence against it ")
    text.append_text(bar(last.log_against, last.line))
    text.append(f" {to_one(last.log_against)}", style=evidence_style(last.log_against, last.line))
    text.append(f", the line is {to_one(last.line)}  ", style="dim")
    text.append_text(sparkline([look.log_against for look in looks], last.line))
    return text


# --- one -------------------------------------------------------------------------------------------------------------
def one(release: Release, looks: Sequence[Look]) -> RenderableType:
    """One release: what it is, where it stands, its evidence over time, its looks."""
    lines: list[RenderableType] = [heading(release)]
    if release.outcome:
        style = OUTCOME_STYLES.get(release.outcome, "bold red")
        lines.append(Text.assemble((release.outcome, style), f"  {release.reason}"))
    else:
        lines.append(_progress(release, looks))
    lines += _asked(release)
    lines.append(_facts(release))
    if looks:
        lines += [Text(), streams(looks[-1].counts), Text(), curve(looks), Text(), look_table(looks)]
        if release.open:
            lines += [Text(f"needs: {words}", style="yellow") for words in looks[-1].needs]
    lines += [Text(f"done: {words}", style="magenta") for words in release.done]
    return Group(*lines)


def _decision(release: Release) -> str:
    """The last decision, and about which share it was."""
    if not release.decision:
        return ""
    made_at = f" at {100 * release.decision_weight:.3g} %" if release.decision_weight else ""
    return f"{release.decision}{made_at}: {release.decision_reason}"


def _facts(release: Release) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    rows = [
        ("service", release.service),
        ("deployment", release.deployment),
        ("new", release.task_definition),
        ("running", release.baseline_task_definition),
        ("because", release.trigger.text),
        ("opened", _moment(release.opened)),
        ("ended", _moment(release.ended) if release.ended else ""),
        ("decision", _decision(release)),
    ]
    for name, value in rows:
        if value:
            table.add_row(Text(name, style="dim"), value)
    return Padding(table, (0, 0, 0, 2))


def curve(looks: Sequence[Look]) -> RenderableType:
    start = looks[0].at
    points = [((look.at - start).total_seconds() / 60, look.log_against) for look in looks]
    return Group(Text("evidence against it over time", style="bold"), *plot(points, looks[-1].line))


def look_table(looks: Sequence[Look]) -> RenderableType:
    """The last looks."""
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.add_column()
    shown = looks[-LAST_LOOKS:]
    for look in shown:
        against = Text(to_one(look.log_against), style=evidence_style(look.log_against, look.line))
        action = Text(look.action, style=_action_style(look.action))
        share = f"{100 * look.weight:.3g} %"
        table.add_row(Text(f"look {look.number}", style="dim"), _moment(look.at), share, against, action)
    return table
