"""Evidence over time in characters: a line of blocks for lists, a curve of braille dots with its threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

BLOCKS = "▁▂▃▄▅▆▇█"
_BRAILLE = 0x2800
# Bits of a braille cell, by row from the top, for its left and its right column (Unicode: Braille Patterns).
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

Point = tuple[float, float]
"""Minutes since the start, log of the evidence against the release."""


def evidence_style(value: float, line: float) -> str:
    """Green below half of the way to the line, yellow below the line, then red."""
    if value >= line > 0:
        return "bold red"
    return "yellow" if line > 0 and value >= line / 2 else "green"


def sparkline(values: Sequence[float], line: float, width: int = 24) -> Text:
    """The last `width` values as blocks; a full block is at the line or above it."""
    text = Text(no_wrap=True)
    for value in values[-width:]:
        part = min(1.0, max(0.0, value / line)) if line > 0 else 0.0
        text.append(BLOCKS[min(len(BLOCKS) - 1, int(part * len(BLOCKS)))], style=evidence_style(value, line))
    return text


def bar(value: float, line: float, width: int = 10) -> Text:
    """How much of the way to the line the evidence has gone."""
    part = min(1.0, max(0.0, value / line)) if line > 0 else 0.0
    full = round(part * width)
    return Text.assemble(("█" * full, evidence_style(value, line)), ("░" * (width - full), "dim"))


def plot(points: Sequence[Point], line: float, *, width: int = 56, height: int = 7) -> list[Text]:
    """The curve of `points` with the threshold `line`, axes labelled; `width` by `height` cells of two by four dots.

    Evidence below 1 to 1 is drawn at the bottom: it speaks for the release.
    """
    if not points:
        return [Text("no look yet", style="dim")]
    top = max(line * 1.15, max(value for _, value in points) * 1.02, 1e-9)
    first, last = points[0][0], points[-1][0]
    cells = _curve(points, first, last, top, width, height)
    line_row = _row(line, top, height * 4) // 4
    lines = []
    for row in range(height):
        text = Text(no_wrap=True)
        text.append(f"{_label(row, line_row, height, line):>15} ", style="dim")
        text.append("┤" if row in (line_row, height - 1) else "│", style="dim")
        for column in range(width):
            _cell(text, cells[row][column], row == line_row, row < line_row)
        lines.append(text)
    lines.append(_time_axis(first, last, width))
    return lines


def _curve(points: Sequence[Point], first: float, last: float, top: float, width: int, height: int) -> list[list[int]]:
    """Bits of each cell. Between two looks the evidence is drawn as a straight line."""
    columns, rows = width * 2, height * 4
    cells = [[0] * width for _ in range(height)]
    span = max(last - first, 1e-9)
    before: int | None = None
    for column in range(columns):
        at = first + span * column / max(columns - 1, 1)
        row = _row(_between(points, at), top, rows)
        low, high = (row, row) if before is None else (min(row, before), max(row, before))
        for each in range(low, high + 1):
            cells[each // 4][column // 2] |= _DOTS[each % 4][column % 2]
        before = row
        if len(points) == 1:
            break
    return cells


def _between(points: Sequence[Point], at: float) -> float:
    for (left, low), (right, high) in pairwise(points):
        if at <= right:
            return low if right <= left else low + (high - low) * max(0.0, at - left) / (right - left)
    return points[-1][1]


def _row(value: float, top: float, rows: int) -> int:
    """Row of dots from the top."""
    part = min(1.0, max(0.0, value / top))
    return min(rows - 1, round((1.0 - part) * (rows - 1)))


def _cell(text: Text, bits: int, on_line: bool, above: bool) -> None:
    if bits:
        text.append(chr(_BRAILLE + bits), style="bold red" if above or on_line else "cyan")
    elif on_line:
        text.append("┄", style="red")
    else:
        text.append(" ")


def _label(row: int, line_row: int, height: int, line: float) -> str:
    if row == line_row:
        return f"line {math.exp(line):,.0f} to 1"
    return "1 to 1" if row == height - 1 else ""


def _time_axis(first: float, last: float, width: int) -> Text:
    left, right = f"{first:.0f} min", f"{last:.0f} min of looks"
    gap = " " * max(1, width - len(left) - len(right))
    return Text(" " * 17 + (left + gap + right if last > first else left), style="dim", no_wrap=True)
