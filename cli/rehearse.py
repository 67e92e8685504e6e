"""`caretaker rehearse`: reads what people gave, runs the rehearsal, shows it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console

from cli.answers import answering
from cli.closing import print_closing
from cli.looks import Looks
from cli.plain import PlainView
from cli.view import LiveView
from cli.watch import Watch
from twin.errors import WorldError
from twin.rehearsal.durations import seconds
from twin.rehearsal.events import Planned, from_argument, from_world
from twin.rehearsal.loading import load_world
from twin.rehearsal.reading import brief
from twin.rehearsal.rehearsal import Rehearsal, to_json
from twin.world import PROJECT

LOG_WIDTH = 110
"""Columns of the closing table where there is no terminal to ask."""


def rehearse(
    events: list[str], *, world: Path | None, seed: str | None, json_file: Path | None, until: str | None
) -> int:
    """Returns the exit code: 0 as expected with every law held, else 1. Raises WorldError on bad input."""
    started = time.perf_counter()
    seed_number, limit = _seed(seed), _until(until)
    if json_file is not None:
        _check_writable(json_file)
    loaded = load_world(world or PROJECT / "worlds" / "default.yaml")
    planned: list[Planned] = [each for argument in events for each in from_argument(argument)]
    if not events:
        planned = from_world(loaded.spec, loaded.folder, loaded.where)
    rehearsal = Rehearsal(loaded, planned, seed=seed_number, until=limit, answering=answering)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    with rehearsal:
        for warning in rehearsal.warnings:
            print(f"caretaker: warning: {warning}", file=sys.stderr)
        _run(rehearsal, console)
        result = rehearsal.report(time.perf_counter() - started)
    print_closing(console, result)
    if json_file is not None:
        _write(json_file, to_json(result))
    return result.exit_code


def _run(rehearsal: Rehearsal, console: Console) -> None:
    """Run it, live on a terminal and as lines elsewhere."""
    if console.is_terminal:
        watch = Watch(rehearsal)
        with LiveView(console, watch.frame) as view:
            rehearsal.run(view.tick)
    else:
        view_lines = PlainView(rehearsal.start, lambda line: console.print(line, markup=False, soft_wrap=True))
        looks = Looks(rehearsal)
        rehearsal.world.kernel.listeners.append(view_lines)
        try:
            rehearsal.run(lambda: view_lines.flush(looks.take()))
        finally:
            view_lines.flush()


def _seed(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise WorldError(f"--seed: {brief(text)} is not a whole number from 0 to 18 digits")
    return int(text)


def _until(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        limit = seconds(text)
    except ValueError as error:
        raise WorldError(f"--until: {brief(text)} {error}") from None
    if limit <= 0:
        raise WorldError(f"--until: {brief(text)} is no time at all")
    return limit


def _check_writable(path: Path) -> None:
    """Before minutes of work, not after."""
    if path.is_dir():
        raise WorldError(f"--json: {brief(str(path))} is a directory")
    if not path.parent.is_dir():
        raise WorldError(f"--json: the directory {brief(str(path.parent))} does not exist")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorldError(f"--json: {brief(str(path))} cannot be written: {error.strerror}") from None
