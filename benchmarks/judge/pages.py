"""The tables and plots of docs/judge.md, made from what was measured."""

from __future__ import annotations

from pathlib import Path

from benchmarks.judge.report import Results, write_grid


def write(results: Results, folder: Path) -> None:
    """Writes the grid, the tables and the plots."""
    folder.mkdir(parents=True, exist_ok=True)
    write_grid(results, folder)
