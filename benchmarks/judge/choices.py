"""What the choices of the sequential test are worth, against the test as it is usually written.

    python -m benchmarks.judge.choices

prints, for releases that are bad from the start or turn bad after 40 minutes, how many are found within the hour and
after how many minutes (median, of those found), at a false-rollback rate of at most 1 %:

- textbook: 60 bets spaced evenly in log(rho) from 1.02 to 200 with shares that fall with 1 / sqrt(rho), all from the
  beginning, a line of its own for each of three streams (alpha / 3);
- its bets exchanged for the judge's 12;
- and with a part of the capital kept for later bets;
- and with the line of 5xx among streams that share one capital, of which it has 0.45: the judge's.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace

import numba
import numpy as np
from caretaker.releases.sequential import Bets, spread, worse_than

from benchmarks.judge.cells import Cell
from benchmarks.judge.feed import Floats
from benchmarks.judge.ours import HOUR, RULES, Rows, _add, _arrays, _log_mixture, stream_rows
from benchmarks.judge.streams import Runs, simulate

RUNS = 2_000
LATE = 40
CASES = ((300, 0.005, "5x"), (1_200, 0.005, "3x"), (6_000, 0.005, "1.5x"), (6_000, 0.005, "2x"), (60_000, 0.02, "1.2x"))
STREAMS = 3


def textbook() -> Bets:
    """The bets of the papers' mixture."""
    ratios = [1.02 * (200 / 1.02) ** (k / 59) for k in range(60)]
    return spread(1.0, ratios, [ratio**-0.5 for ratio in ratios])


@numba.njit
def _from_the_beginning(rows: Floats, null: float, logs: Floats, excess: Floats, prior: Floats) -> Floats:
    """Log of capital that was bet once, at every look."""
    path = np.zeros(rows.shape[:2])
    for run in range(len(rows)):
        stakes = [0.0 for _ in prior]
        for minute in range(rows.shape[1]):
            _add(stakes, rows[run, minute], null, logs, excess)
            path[run, minute] = _log_mixture(stakes, prior)
    return path


def turning_bad(good: Rows, bad: Rows) -> Rows:
    """A release that is good for `LATE` minutes."""
    rows = np.concatenate([good.rows[:, :LATE], bad.rows[:, LATE:]], axis=1)
    return replace(good, rows=rows, early=rows)


def found(evidence: Floats, line: float, since: int) -> str:
    """How many cross the line within the hour, and when after `since`."""
    crossed = evidence[:, :HOUR] >= line
    when = crossed.argmax(1)[crossed.any(1)] + 1 - since
    return f"{crossed.any(1).mean():.0%}, {np.median(when):.0f} min" if when.size else "0%"


def row(rows: Rows, since: int) -> list[str]:
    """The four tests on the same runs."""
    alone = -math.log(RULES.alpha / STREAMS)
    shared = -math.log(RULES.alpha * RULES.streams["5xx"].capital)
    ours = worse_than(1.0)
    later = rows.against(ours)
    return [
        found(_from_the_beginning(rows.rows, *_arrays(textbook())), alone, since),
        found(_from_the_beginning(rows.rows, *_arrays(ours)), alone, since),
        found(later, alone, since),
        found(later, shared, since),
    ]


def rows_of(cell: Cell) -> Rows:
    """The tested stream of a cell."""
    runs: Runs = simulate(cell, RUNS, seed=1)
    return stream_rows(runs, "5xx")


def main() -> int:
    """Prints the table."""
    lines: list[Sequence[str]] = []
    for rpm, base, effect in CASES:
        bad = rows_of(Cell(rpm, base, effect, 0.05, "independent"))
        good = rows_of(Cell(rpm, base, "none", 0.05, "independent"))
        lines.append((f"{rpm:,} rpm, {base:.1%}, {effect}", *row(bad, 0)))
        lines.append((f"the same from minute {LATE}", *row(turning_bad(good, bad), LATE)))
    print("| release | textbook | 12 bets | and later bets | and its line |")
    print("| --- | --- | --- | --- | --- |")
    for line in lines:
        print("| " + " | ".join(line) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
