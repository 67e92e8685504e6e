"""The tables and plots of docs/judge.md, made from what was measured."""

from __future__ import annotations

import csv
import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.judge.cells import OUTAGE, Cell
from benchmarks.judge.measure import OURS, Duel
from benchmarks.judge.ours import judge_runs
from benchmarks.judge.report import (
    LABELS,
    Results,
    detection_table,
    duels_table,
    judges_table,
    markdown,
    statements,
    write_grid,
)
from benchmarks.judge.rivals import RIVALS
from benchmarks.judge.streams import simulate

BEGIN, END = "<!-- begin figures -->", "<!-- end figures -->"
SHORT = {OURS: "this judge", "kayenta": "Kayenta", "pipecd": "PipeCD", "fixed": "fixed-sample test"}
LOST_COLUMNS = (
    "rival",
    "rpm",
    "base",
    "effect",
    "share",
    "disturbance",
    "false_theirs",
    "false_ours",
    "alpha",
    "errors_theirs",
    "errors_ours",
)
ACCENT, PLAIN = "#c2410c", "#475569"


def around(folder: Path) -> tuple[str, str]:
    """The page beside `folder` (`<folder>.md`) before its figures and after them; ValueError if it has no place."""
    page = folder.with_suffix(".md")
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page} must be there, with the lines {BEGIN} and {END}")
    return before, after


def made_by(command: str) -> str:
    """What makes the figures; to be asked before they are made, since the tree may have gone on when they are."""
    commit = subprocess.run(("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=True).stdout
    return f"`{command}` at commit `{commit.strip()}`, begun on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def write(results: Results, folder: Path, made: str) -> None:
    """Writes the grid, the plots, and the tables between the marks of the page beside `folder` (`<folder>.md`)."""
    folder.mkdir(parents=True, exist_ok=True)
    write_grid(results, folder)
    _write_lost(results, folder)
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "judge", "font.size": 9, "axes.spines.top": False}):
        _false_rollbacks(results, folder / "false-rollbacks.svg")
        _detection(results, folder / "detection.svg")
        _errors(results, folder / "users-errors.svg")
        _evidence(folder / "evidence.svg")
    before, after = around(folder)
    page = folder.with_suffix(".md")
    page.write_text(f"{before}{BEGIN}\n\n{figures(results, made)}\n\n{END}{after}", encoding="utf-8")


def figures(results: Results, made: str) -> str:
    """All tables, with what made them."""
    said = [(one.words, "yes" if one.holds else "**no**") for one in statements(results)]
    parts = [
        f"Made by {made}.",
        "### What is promised",
        markdown(("figure", "holds"), said),
        "### How often each judge is wrong",
        "Good releases rolled back (median / worst cell), bad releases promoted (median / worst), inconclusive (mean).",
        judges_table(results),
        "### What is found, and when",
        "Releases rolled back within the hour (mean over cells), and the median and p95 minute (medians over cells).",
        detection_table(results),
        "### Errors that users got",
        "At no more false rollbacks than the rival has on the same good releases, and on the same runs.",
        duels_table(results),
        "### Where a rival served fewer errors",
        _lost_summary(results.duels),
    ]
    return "\n\n".join(parts)


def _lost(duels: Sequence[Duel]) -> list[Duel]:
    return [one for one in duels if one.outcome == "more"]


def _lost_summary(duels: Sequence[Duel]) -> str:
    """How many cells, by rival and effect; the list itself is a file beside."""
    lost = Counter((one.rival, one.cell.effect) for one in _lost(duels))
    every = list(dict.fromkeys(one.cell.effect for one in duels))
    rows = [
        [rival.label, *(str(lost[rival.name, effect] or "") for effect in every)]
        for rival in RIVALS
        if any(lost[rival.name, effect] for effect in every)
    ]
    return markdown(("rival", *every), rows) if rows else "In no cell."


def _write_lost(results: Results, folder: Path) -> None:
    """Every cell in which a rival served fewer errors."""
    with (folder / "rival-better.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LOST_COLUMNS)
        for one in _lost(results.duels):
            cell = one.cell
            case = (f"{cell.rpm:g}", f"{cell.base:g}", cell.effect, f"{cell.share:g}", cell.disturbance)
            wrong = (f"{one.false_theirs:.4f}", f"{one.false_ours:.4f}", f"{one.alpha:g}")
            writer.writerow((one.rival, *case, *wrong, f"{one.errors_theirs:.4g}", f"{one.errors_ours:.4g}"))


def _name(judge: str) -> str:
    return SHORT.get(judge, LABELS[judge].replace("CloudWatch alarm, ", "alarm ").replace("Express Mode", "Express"))


def _saved(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None}, dpi=160)
    plt.close(figure)


def _false_rollbacks(results: Results, path: Path) -> None:
    """Every good cell of every judge as a dot."""
    figure, axes = plt.subplots(figsize=(8, 4.6))
    rng = np.random.default_rng(1)
    for row, judge in enumerate(reversed(list(LABELS))):
        shares = np.array([one.rolled_back for one in results.of(judge) if one.cell.is_null])
        heights = row + rng.uniform(-0.28, 0.28, shares.size)
        axes.scatter(
            np.maximum(shares, 1e-4),
            heights,
            s=5,
            alpha=0.5,
            color=ACCENT if judge == OURS else PLAIN,
            lw=0,
            rasterized=True,
        )
    axes.axvline(0.01, color=ACCENT, lw=0.8, ls="--")
    axes.text(0.0105, len(LABELS) - 0.45, "1 %", color=ACCENT)
    axes.set_xscale("log")
    axes.set_xlim(8e-5, 1.3)
    axes.set_xticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["none", "0.1 %", "1 %", "10 %", "100 %"])
    axes.set_yticks(range(len(LABELS)), [_name(judge) for judge in reversed(list(LABELS))])
    axes.set_xlabel("good releases rolled back within an hour; each dot is a cell of the grid")
    _saved(figure, path)


def _detection(results: Results, path: Path) -> None:
    """Found within the hour by effect, one line a judge."""
    order = ("1.5x", "2x", "3x", "5x", "20x", OUTAGE)
    figure, axes = plt.subplots(figsize=(8, 4))
    shown = (OURS, "express", "alarm_2of3_1pct", "alarm_3of3_5pct", "kayenta", "pipecd", "fixed")
    for judge in shown:
        own = [[one.rolled_back for one in results.of(judge) if one.cell.effect == effect] for effect in order]
        means = [100 * float(np.mean(values)) if values else np.nan for values in own]
        style = {"color": ACCENT, "lw": 2.2, "zorder": 3} if judge == OURS else {"lw": 1.1}
        axes.plot(order, means, marker="o", ms=3, label=_name(judge), **style)
    axes.set_ylabel("found within an hour, % (mean of all cells)")
    axes.set_xlabel("effect on the error rate")
    axes.set_ylim(0, 102)
    axes.legend(frameon=False, fontsize=8)
    _saved(figure, path)


def _errors(results: Results, path: Path) -> None:
    """Errors that users got, ours over theirs, at no more false rollbacks."""
    figure, axes = plt.subplots(figsize=(8, 4.4))
    names = [rival.name for rival in RIVALS]
    rng = np.random.default_rng(2)
    for row, name in enumerate(reversed(names)):
        own = [one for one in results.duels if one.rival == name and one.alpha is not None]
        ratios = np.array([(one.errors_ours + 0.5) / (one.errors_theirs + 0.5) for one in own])
        heights = row + rng.uniform(-0.28, 0.28, ratios.size)
        colours = [ACCENT if one.outcome == "more" else PLAIN for one in own]
        axes.scatter(ratios, heights, s=5, alpha=0.5, lw=0, c=colours, rasterized=True)
    axes.axvline(1, color="black", lw=0.7)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), [_name(name) for name in reversed(names)])
    axes.set_xlabel("users' errors, ours / theirs, at no more false rollbacks; orange: theirs are fewer")
    _saved(figure, path)


def _evidence(path: Path) -> None:
    """What the evidence looks like, look by look, for a good and two bad releases."""
    figure, axes = plt.subplots(figsize=(8, 3.4))
    for effect, colour in (("none", PLAIN), ("3x", "#b45309"), ("5x", ACCENT)):
        against = judge_runs(simulate(Cell(1_200, 0.005, effect, 0.05, "independent"), 8, 1)).against[:, :60]
        for run, line in enumerate(against):
            label = {"none": "as good as the baseline"}.get(effect, f"{effect} its errors") if run == 0 else None
            axes.plot(range(1, 61), line / np.log(10), color=colour, lw=0.9, alpha=0.8, label=label)
    axes.axhline(2, color="black", lw=0.8, ls="--")
    axes.text(60.5, 2, "1 / alpha", va="center")
    axes.set_ylim(-1.5, 6)
    axes.set_yticks([-1, 0, 2, 4, 6], ["1 to 10", "even", "100 to 1", "10,000 to 1", "10⁶ to 1"])
    axes.set_xlabel("minute (1,200 requests a minute, 5 % to the canary, baseline 0.5 % errors)")
    axes.set_ylabel("evidence against")
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    _saved(figure, path)
