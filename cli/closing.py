"""The closing table of a rehearsal, for a terminal and for a log alike."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.plot import sparkline
from twin.rehearsal.durations import show
from twin.rehearsal.report import Execution, Law, Plan, Release, Report, Sweep

VERDICT_STYLES = {"ok": "bold green", "violated": "bold red", "unexpected": "bold yellow", "unfinished": "bold yellow"}
OUTCOME_STYLES = {
    "replaced": "bold green",
    "planned": "bold cyan",
    "ignored": "cyan",
    "undone": "bold yellow",
    "blocked": "bold yellow",
    "failed": "bold red",
    "promoted": "bold green",
    "rolled_back": "bold yellow",
    "inconclusive": "bold yellow",
    "swept": "bold green",
    "kept": "bold yellow",
}
MOST_REMAINING = 12
MOST_MOVES = 60


def print_closing(console: Console, report: Report) -> None:
    untouched = {execution.name for execution in report.executions if execution.outcome in ("planned", "blocked")}
    for plan in report.plans:
        console.print(plan_table(plan, every_task=plan.execution in untouched))
    console.print(executions(report))
    if report.releases:
        console.print(releases(report))
    if report.sweeps:
        console.print(sweeps(report))
    console.print(laws(report))
    if report.services:
        console.print(services(report))
    console.print(figures(report))
    console.print(verdict(report))


def _section(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold"), Padding(body, (0, 0, 1, 2)))


def plan_table(plan: Plan, *, every_task: bool) -> RenderableType:
    """What the plan says: its steps; then, where nothing was done, each task."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column()
    shown = plan.moves[:MOST_MOVES] if every_task else []
    for move in shown:
        name = Text.assemble((move.service or "standalone", ""), (f" {move.task[:8]}", "dim"))
        table.add_row(name, move.how, move.reason)
    hidden = plan.omitted + len(plan.moves) - len(shown)
    if every_task and hidden:
        table.add_row(Text(f"… and {hidden} more", style="dim"), "", "")
    lines: list[RenderableType] = [Text(plan.summary, style="italic")]
    lines += [Padding(Text(f"- {step}"), (0, 0, 0, 2)) for step in plan.steps]
    lines += [Padding(Text(f"✗ {obstacle}", style="yellow"), (0, 0, 0, 2)) for obstacle in plan.obstacles]
    return _section(f"Plan of {plan.execution}", Group(*lines, table))


def executions(report: Report) -> RenderableType:
    if not report.executions:
        return _section("Executions", Text("none was started", style="yellow"))
    rows = [line for execution in report.executions for line in _execution(execution)]
    return _section("Executions", Group(*rows))


def _execution(execution: Execution) -> list[RenderableType]:
    outcome = execution.outcome or execution.status
    head = Text.assemble(
        (outcome, OUTCOME_STYLES.get(outcome, "bold red")),
        (f"  {execution.name}", ""),
        (f"  {execution.status}, {execution.state_transitions} transitions", "dim"),
    )
    lines: list[RenderableType] = [head]
    if execution.reason:
        lines.append(Padding(Text(execution.reason), (0, 0, 0, 2)))
    lines += [Padding(Text(f"left behind: {each}", style="yellow"), (0, 0, 0, 2)) for each in execution.left_behind]
    return lines


def releases(report: Report) -> RenderableType:
    """Each release: its verdict, how long users met a bad one, its evidence over time."""
    return _section("Releases", Group(*(line for each in report.releases for line in _release(each))))


def _release(release: Release) -> list[RenderableType]:
    outcome = release.outcome or "no outcome"
    head = Text.assemble((outcome, OUTCOME_STYLES.get(outcome, "bold red")), (f"  {release.service}", "bold"))
    head.append(f"  {release.revision} beside {release.baseline}" if release.baseline else f"  {release.revision}")
    head.append(f"  {release.way}, {release.mode}", style="cyan")
    lines: list[RenderableType] = [head, Padding(_met(release), (0, 0, 0, 2))]
    if release.evidence:
        last = release.evidence[-1]
        curve = Text(f"{release.looks} looks, evidence against it ", style="dim")
        curve.append_text(sparkline([look.log_against for look in release.evidence], last.line, width=60))
        lines.append(Padding(curve, (0, 0, 0, 2)))
    return lines


def _met(release: Release) -> Text:
    """What users met of it."""
    if release.first_bad_at is None:
        return Text(f"{release.canary_requests:,} requests came to it, and it was never worse than the former")
    text = Text(f"bad from {release.first_bad_at}, ")
    if release.seconds_to_zero is None:
        text.append("and still has weight", style="yellow")
    else:
        text.append(f"weights at 0 after {show(release.seconds_to_zero)}", style="bold")
    text.append(f"; users met {release.users_errors:,} errors in {release.canary_requests:,} requests")
    return text


def sweeps(report: Report) -> RenderableType:
    """Each sweep: what it took away, in order; what remains and why; what it saves."""
    return _section("Sweeps", Group(*(line for each in report.sweeps for line in _sweep(each))))


def _sweep(sweep: Sweep) -> list[RenderableType]:
    outcome = sweep.outcome or "no outcome"
    head = Text.assemble((outcome, OUTCOME_STYLES.get(outcome, "bold red")), (f"  {sweep.vpc}", "bold"))
    head.append(f"  {sweep.mode}", style="cyan")
    head.append(f"  {sweep.trigger}", style="dim")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="blue")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for taken in sweep.deleted:
        table.add_row(taken.at[11:19], taken.operation, Text(f"{taken.kind} {taken.name}"))
    lines: list[RenderableType] = [head, Padding(table, (0, 0, 0, 2))]
    shown = sweep.remains[:MOST_REMAINING]
    lines += [Padding(Text.assemble(("stays  ", "yellow"), line), (0, 0, 0, 2)) for line in shown]
    if len(sweep.remains) > len(shown):
        lines.append(Padding(Text(f"… and {len(sweep.remains) - len(shown)} more stay", style="dim"), (0, 0, 0, 2)))
    lines += [Padding(Text.assemble(("saves  ", "green"), line), (0, 0, 0, 2)) for line in sweep.savings]
    return lines


def laws(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for law in report.laws:
        if law.held is not None:
            table.add_row(_held(law), _named(law), _measured(law))
    rest = ", ".join(_named(law) for law in report.laws if law.held is None)
    note = Text(f"not exercised: {rest}", style="dim")
    return _section("Laws", Group(table, note) if rest else table)


def _named(law: Law) -> str:
    return law.name.replace("_", " ")


def _held(law: Law) -> Text:
    return Text("held", style="green") if law.held else Text("VIOLATED", style="bold red")


def _measured(law: Law) -> Text:
    text = Text(law.worst or "")
    if law.who:
        text.append(f"  {law.who}", style="dim")
    if law.when:
        text.append(f"  {law.when}", style="dim")
    return text


def services(report: Report) -> RenderableType:
    """Services that moved a task or lost health; the others are counted."""
    moved = [s for s in report.services if s.tasks_moved or s.lowest_healthy < (s.healthy_at_claim or s.desired)]
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    header = [Text(word, style="dim") for word in ("service", "desired", "healthy at claim", "lowest", "tasks moved")]
    table.add_row(*header)
    for service in moved:
        name = service.service + ("  daemon" if service.scheduling_strategy == "DAEMON" else "")
        at_claim = "-" if service.healthy_at_claim is None else str(service.healthy_at_claim)
        cells = (str(service.desired), at_claim, str(service.lowest_healthy), str(service.tasks_moved))
        table.add_row(name, *cells)
    still = len(report.services) - len(moved)
    note = Text(f"{still} services untouched" if moved else f"{still} services, none moved", style="dim")
    return _section("Services", Group(table, note) if moved else note)


def figures(report: Report) -> RenderableType:
    calls = sum(each.calls for each in report.aws_calls)
    words = [
        f"{show(report.simulated_seconds)} simulated in {report.wall_seconds:.1f} s",
        f"{report.state_transitions} state transitions",
        f"{report.lambda_invocations} invocations (and {report.signal_invocations} signals)",
        f"{calls} AWS calls",
        f"${report.cost_usd:.4f}",
    ]
    hosts = [f"{host.instance} {host.fate}" for host in report.hosts]
    lines = [Text(" · ".join(words))]
    if hosts:
        lines.append(Text("hosts: " + ", ".join(hosts[:6]) + (" …" if len(hosts) > 6 else "")))
    lines += [Text(f"alarm: {alarm}", style="yellow") for alarm in report.alarms]
    lines += [
        Text(f"dead-letter queue {name}: {n} messages", style="yellow") for name, n in report.dead_letters.items()
    ]
    return _section("Figures", Group(*lines))


def verdict(report: Report) -> RenderableType:
    lines = [Text.assemble(("verdict: ", "bold"), (report.verdict, VERDICT_STYLES[report.verdict]))]
    lines += [Text(f"  {line}", style="yellow") for line in report.unexpected]
    return Group(*lines)
