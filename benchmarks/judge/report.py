"""What was measured, in tables, and whether it keeps what is promised."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.judge.cells import DEAD, DISTURBANCES, Cell
from benchmarks.judge.measure import OURS, Duel, Figure, Group, Promise, lower_bound, upper_bound
from benchmarks.judge.rivals import RIVALS

LIMITS = {"independent": 0.015, "common-mode": 0.015, "lag": 0.015, "missing": 0.015, "bursts": 0.05}
"""What the corrected lower bound of the false rollbacks must not exceed, by disturbance."""
KEPT = 0.9
"""The share of runs that must be found within 1.2 times the announced sample."""
LABELS = {OURS: "this judge"} | {rival.name: rival.label for rival in RIVALS}


@dataclass(frozen=True)
class Statement:
    """One sentence of the result, and whether what was promised holds."""

    words: str
    holds: bool


@dataclass(frozen=True)
class Results:
    """Everything that was measured.

    Attributes:
        groups: a good release and its effects each.
        outages: cells with an outage at 3 canary requests a minute, with the runs found within 10 minutes, and all.
        look: the time of one look.
    """

    groups: Sequence[Group]
    outages: Sequence[tuple[Cell, int, int]]
    look: Statement

    @property
    def figures(self) -> list[Figure]:
        """Of every judge in every cell."""
        return [one for group in self.groups for one in group.figures]

    @property
    def duels(self) -> list[Duel]:
        """Of every rival in every cell where it detects at all."""
        return [one for group in self.groups for one in group.duels]

    @property
    def promises(self) -> list[Promise]:
        """Of every cell with an effect that shows."""
        return [one for group in self.groups for one in group.promises if one.cell.effect != DEAD]

    def of(self, judge: str) -> list[Figure]:
        """One judge's figures."""
        return [one for one in self.figures if one.judge == judge]


def statements(results: Results) -> list[Statement]:
    """Every promise, with its figure."""
    rollbacks, promotions = _false_rollbacks(results), _false_promotions(results)
    return [*rollbacks, _promises(results), _outages(results), *promotions, results.look]


def _false_rollbacks(results: Results) -> Iterator[Statement]:
    good = [one for one in results.of(OURS) if one.cell.is_null]
    for disturbance in DISTURBANCES:
        cells = [one for one in good if one.cell.disturbance == disturbance]
        if not cells:
            continue
        worst = max(cells, key=lambda one: one.rolled_back)
        bound = max(lower_bound(one.rollbacks, one.runs, len(good)) for one in cells)
        words = (
            f"false rollbacks, {disturbance}: {len(cells)} cells of {worst.runs:,} runs, worst {worst.rolled_back:.2%} "
            f"({worst.cell.name}), its corrected lower bound {bound:.2%}, limit {LIMITS[disturbance]:.1%}"
        )
        yield Statement(words, bound <= LIMITS[disturbance])


def _promises(results: Results) -> Statement:
    fitting = [one for one in results.promises if one.fits]
    if not fitting:
        return Statement("announced sample: no cell in which it fits in an hour", True)
    below = [one for one in fitting if one.share < KEPT]
    short = [one for one in below if upper_bound(one.kept, one.runs, len(fitting)) < KEPT]
    worst = min(fitting, key=lambda one: one.share)
    kept = f"{len(fitting) - len(below)} of {len(fitting)} cells at {KEPT:.0%} or more of their runs"
    kept += f" ({len(short)} below it beyond chance)"
    typical = median(one.share for one in fitting)
    words = (
        f"found within 1.2 times the announced sample, where that fits in an hour: {kept}, median {typical:.1%}, "
        f"worst {worst.share:.1%} ({worst.cell.name})"
    )
    return Statement(words, not short)


def _outages(results: Results) -> Statement:
    cell, found, runs = min(results.outages, key=lambda one: one[1] / one[2])
    bound = upper_bound(found, runs, len(results.outages))
    words = (
        f"outage found within 10 minutes at 3 canary requests a minute: {len(results.outages)} cells, "
        f"worst {found / runs:.2%} of {runs:,} runs ({cell.name}), its corrected upper bound {bound:.2%}, to be 99 %"
    )
    return Statement(words, bound >= 0.99)


def _false_promotions(results: Results) -> Iterator[Statement]:
    bad = [one for one in results.of(OURS) if one.cell.is_bad]
    for disturbance in DISTURBANCES:
        cells = [one for one in bad if one.cell.disturbance == disturbance]
        if not cells:
            continue
        worst = max(cells, key=lambda one: one.promoted)
        bound = max(lower_bound(one.promotions, one.runs, len(bad)) for one in cells)
        limit = 0.05 if disturbance == "bursts" else 0.01
        words = (
            f"bad releases promoted (3 times the base or more, and 0.25 % or more), {disturbance}: {len(cells)} cells, "
            f"worst {worst.promoted:.2%} ({worst.cell.name}), its corrected lower bound {bound:.2%}, limit {limit:.1%}"
        )
        yield Statement(words, bound <= limit)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _percent(values: Sequence[float]) -> str:
    return f"{median(values):.1%} / {max(values):.1%}" if values else "-"


def judges_table(results: Results) -> str:
    """Each judge: false rollbacks by disturbance, false promotions, inconclusive."""
    rows = []
    for name, label in LABELS.items():
        own = results.of(name)
        good = [one for one in own if one.cell.is_null]
        by = [[one.rolled_back for one in good if one.cell.disturbance == d] for d in DISTURBANCES]
        bad = [one.promoted for one in own if one.cell.is_bad]
        undecided = [one.inconclusive for one in own]
        rows.append(
            [
                label,
                *(_percent(values) for values in by),
                _percent(bad),
                f"{max(0.0, sum(undecided) / len(undecided)):.1%}",
            ]
        )
    return markdown(("judge", *DISTURBANCES, "bad promoted", "inconclusive (mean)"), rows)


def detection_table(results: Results) -> str:
    """Each judge: detection, time and users' errors by effect, over all cells of the effect."""
    every = dict.fromkeys(one.cell.effect for one in results.figures if not one.cell.is_null)
    rows = []
    for name, label in LABELS.items():
        cells = []
        for effect in every:
            own = [one for one in results.of(name) if one.cell.effect == effect]
            times = [one.median for one in own if not math.isnan(one.median)]
            late = [one.p95 for one in own if not math.isnan(one.p95)]
            when = f", {median(times):.0f} / {median(late):.0f} min" if times else ""
            cells.append(f"{sum(one.rolled_back for one in own) / len(own):.0%}{when}")
        rows.append([label, *cells])
    return markdown(("judge", *every), rows)


def duels_table(results: Results) -> str:
    """Each rival: in how many cells users got fewer errors with the judge than with it."""
    rows = []
    for rival in RIVALS:
        own = [one for one in results.duels if one.rival == rival.name]
        outcomes = Counter(one.outcome for one in own)
        wins = [one.errors_ours / one.errors_theirs for one in own if one.alpha is not None and one.errors_theirs > 0]
        ratio = f"{median(wins):.2f}" if wins else "-"
        counts = [str(outcomes[key]) for key in ("fewer", "equal", "more", "not comparable")]
        rows.append([rival.label, str(len(own)), *counts, ratio])
    header = (
        "rival",
        "cells where it detects",
        "fewer",
        "equal",
        "more",
        "not comparable",
        "errors, ours / theirs (median)",
    )
    return markdown(header, rows)


def lost_table(duels: Iterable[Duel]) -> str:
    """The cells in which a rival served fewer errors."""
    rows = [
        (
            LABELS[one.rival],
            one.cell.name,
            f"{one.false_theirs:.2%}",
            f"{one.false_ours:.2%}",
            f"{one.errors_theirs:,.1f}",
            f"{one.errors_ours:,.1f}",
        )
        for one in duels
    ]
    header = ("rival", "cell", "its false rollbacks", "ours", "its users' errors", "ours")
    return markdown(header, rows)


COLUMNS = (
    "rpm",
    "base",
    "effect",
    "share",
    "judge",
    "runs",
    "rolled_back",
    "promoted",
    "inconclusive",
    "minutes_median",
    "minutes_p95",
    "users_errors",
)


def write_grid(results: Results, folder: Path) -> None:
    """Every figure, one file for each disturbance."""
    for disturbance in DISTURBANCES:
        with (folder / f"grid-{disturbance}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(_grid_row(one) for one in results.figures if one.cell.disturbance == disturbance)


def _grid_row(one: Figure) -> list[str]:
    cell = one.cell
    case = [f"{cell.rpm:g}", f"{cell.base:g}", cell.effect, f"{cell.share:g}", one.judge, str(one.runs)]
    shares = [f"{value:.4f}" for value in (one.rolled_back, one.promoted, max(0.0, one.inconclusive))]
    times = ["" if math.isnan(value) else f"{value:g}" for value in (one.median, one.p95)]
    return [*case, *shares, *times, f"{one.errors:.4g}"]


def text(results: Results) -> str:
    """The whole result for a terminal."""
    said = "\n".join(f"{'holds ' if one.holds else 'FALLS SHORT '} {one.words}" for one in statements(results))
    lost = [one for one in results.duels if one.outcome == "more"]
    parts = [
        "False rollbacks of good releases (median / worst cell), bad releases promoted, inconclusive",
        judges_table(results),
        "Bad releases rolled back within the hour (mean of cells), median / p95 minutes",
        detection_table(results),
        "Errors that users got, at no more false rollbacks than the rival's, on the same runs",
        duels_table(results),
        f"{len(lost)} cells in which a rival served fewer errors{':' if lost else ''}",
        *([lost_table(lost)] if lost else []),
        said,
    ]
    return "\n\n".join(parts)
