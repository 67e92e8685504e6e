"""Measures how often the judge of a release is wrong, next to the rules that others publish.

    python -m benchmarks.judge                      a part of the grid, in a few minutes
    python -m benchmarks.judge --full --write docs/judge
    python -m benchmarks.judge --rpm 300 1200 --base .005 --effect 3x outage --share .05 --disturbance lag bursts

All judges see the same seeded streams. Exit 0: every promise holds; 1: one falls short; 2: bad input.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import pickle
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import cast

import numpy as np
from caretaker import releases

from benchmarks.judge import look, pages
from benchmarks.judge.cells import (
    BASES,
    DISTURBANCES,
    NULL,
    OUTAGE,
    REQUESTS,
    SHARES,
    Cell,
    Disturbance,
    effects,
    full_grid,
    quick_grid,
)
from benchmarks.judge.measure import Group, grouped, measure
from benchmarks.judge.ours import RULES, judge_runs
from benchmarks.judge.report import Results, Statement, statements, text
from benchmarks.judge.streams import simulate

CANARY_REQUESTS = 3.0
WITHIN = 10


def parser() -> argparse.ArgumentParser:
    """The command line."""
    own = argparse.ArgumentParser(
        prog="python -m benchmarks.judge", usage="%(prog)s [options]", description=(__doc__ or "").split("\n")[0]
    )
    own.add_argument("--full", action="store_true", help="the whole grid (about an hour on two cores)")
    own.add_argument("--null-runs", type=int, default=10_000, help="runs of each good release (default 10,000)")
    own.add_argument("--runs", type=int, default=400, help="runs of each bad release (default 400)")
    own.add_argument("--seed", type=int, default=1)
    own.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    own.add_argument("--write", type=Path, metavar="FOLDER", help="tables and plots for the docs")
    own.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep each group's figures here, to go on after a stop"
    )
    own.add_argument("--rpm", type=float, nargs="+", help="cells of your own: requests per minute of both arms")
    own.add_argument("--base", type=float, nargs="+", help="base rates, 0 to 1")
    own.add_argument("--effect", nargs="+", help="none, a ratio (3x), a rate (5%%), outage or dead")
    own.add_argument("--share", type=float, nargs="+", help="the canary's shares, 0 to 1")
    own.add_argument("--disturbance", nargs="+", help=", ".join(DISTURBANCES))
    return own


def chosen(options: argparse.Namespace) -> list[Cell]:
    """The cells that were asked for; what is not named of a grid of one's own takes every value of the full grid."""
    if not any((options.rpm, options.base, options.effect, options.share, options.disturbance)):
        return full_grid() if options.full else quick_grid()
    cells = []
    for rpm, base, share, disturbance in itertools.product(
        options.rpm or REQUESTS, options.base or BASES, options.share or SHARES, options.disturbance or DISTURBANCES
    ):
        cells.append(Cell(rpm, base, NULL, share, disturbance))
        cells += [Cell(rpm, base, effect, share, disturbance) for effect in options.effect or effects(base)]
    return list(dict.fromkeys(cells))


def outage(share: float, base: float, disturbance: Disturbance, runs: int, seed: int) -> tuple[Cell, int, int]:
    """An outage at 3 canary requests a minute: the runs that are found within 10 minutes."""
    cell = Cell(CANARY_REQUESTS / share, base, OUTAGE, share, disturbance)
    found = judge_runs(simulate(cell, runs, seed)).calls(RULES.alpha).rollback
    return cell, int(((found > 0) & (found <= WITHIN)).sum()), runs


def code() -> str:
    """A digest of the code that the figures depend on, so that none of older code are used again."""
    sources = sorted([*Path(__file__).parent.rglob("*.py"), *Path(releases.__file__).parent.glob("*.py")])
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def kept(folder: Path | None, null: Cell, effects: Sequence[Cell], sizes: tuple[int, int, int]) -> Group:
    """The group's figures: from `folder`, if a former run with the same arguments left them there, or measured now."""
    if folder is None:
        return measure(null, effects, *sizes)
    key = hashlib.sha256(repr((null, effects, sizes, RULES, code())).encode()).hexdigest()[:16]
    path = folder / f"{key}.pickle"
    if path.exists():
        return cast(Group, pickle.loads(path.read_bytes()))
    group = measure(null, effects, *sizes)
    folder.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_bytes(pickle.dumps(group))
    path.with_suffix(".new").rename(path)
    return group


def measured(cells: Sequence[Cell], options: argparse.Namespace) -> Results:
    """Everything, in several processes, with progress on standard error."""
    groups: list[Group] = []
    outages: list[tuple[Cell, int, int]] = []
    timed = Statement(*look.sentence())
    work = grouped(cells)
    with ProcessPoolExecutor(options.jobs) as pool:
        bases = BASES if options.full else (min(BASES), max(BASES))
        cases = itertools.product(SHARES, bases, DISTURBANCES)
        found = [pool.submit(outage, *case, 4_000 if options.full else 1_000, options.seed) for case in cases]
        sizes = (options.null_runs, options.runs, options.seed)
        futures = {
            pool.submit(kept, options.keep, null, effects, sizes): index for index, (null, effects) in enumerate(work)
        }
        done: dict[int, Group] = {}
        for future in as_completed(futures):
            done[futures[future]] = future.result()
            print(f"\r{len(done)} of {len(work)} groups of cells", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        groups = [done[index] for index in range(len(work))]
        outages = [one.result() for one in found]
    return Results(groups, outages, timed)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        cells = chosen(options)
        for name, least in (("null_runs", 1), ("runs", 1), ("jobs", 1), ("seed", 0)):
            if getattr(options, name) < least:
                raise ValueError(f"{name.replace('_', '-')} must be at least {least}, not {getattr(options, name)}")
        if options.write:
            pages.around(options.write)
    except ValueError as error:
        print(f"bad input: {error}", file=sys.stderr)
        return 2
    np.seterr(over="ignore")
    command = f"python -m benchmarks.judge {' '.join(arguments or sys.argv[1:])}"
    made = pages.made_by(command) if options.write else ""
    results = measured(cells, options)
    print(text(results))
    if options.write:
        pages.write(results, options.write, made)
    return 0 if all(one.holds for one in statements(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
