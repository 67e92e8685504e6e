"""What each judge does on the same runs: how often it is wrong, how fast it is, and what users get until then."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from benchmarks.judge.cells import Cell
from benchmarks.judge.feed import Calls, Floats
from benchmarks.judge.ours import ALPHAS, HOUR, RULES, Judged, judge_runs
from benchmarks.judge.rivals import RIVALS, Rival
from benchmarks.judge.streams import HORIZON, Runs, simulate

PART = 2_000
"""Runs that are simulated at once; a cell's runs are the same however many are asked for."""
RIVAL_PARTS = 1
"""Parts of a cell's runs that the rivals judge too; the judge itself judges all."""
OURS = "caretaker"
DETECTS = 0.05
"""A rival detects at all in a cell if it rolls back so much oftener than it does where the release is good."""


@dataclass(frozen=True)
class Figure:
    """What one judge did in one cell.

    Attributes:
        rollbacks, promotions: runs.
        median, p95: minutes to the rollback, over the runs that were rolled back; NaN if there are none.
        errors: 5xx that users got from the new revision in the hour, mean over runs.
    """

    cell: Cell
    judge: str
    runs: int
    rollbacks: int
    promotions: int
    median: float
    p95: float
    errors: float

    @property
    def rolled_back(self) -> float:
        """Share of runs."""
        return self.rollbacks / self.runs

    @property
    def promoted(self) -> float:
        """Share of runs."""
        return self.promotions / self.runs

    @property
    def inconclusive(self) -> float:
        """Share of runs that were neither rolled back nor promoted."""
        return 1 - self.rolled_back - self.promoted


@dataclass(frozen=True)
class Duel:
    """The judge against one rival in one cell, on the same runs, at no more false rollbacks than the rival has.

    Attributes:
        alpha: the judge's; the largest of `ALPHAS` at which it rolls back no more good releases than the rival does.
            None if there is none.
        false_ours, false_theirs: shares of good releases rolled back, on the same runs.
        errors_ours, errors_theirs: 5xx that users got, mean over runs.
        spread: standard error of the difference.
    """

    cell: Cell
    rival: str
    alpha: float | None
    false_ours: float
    false_theirs: float
    errors_ours: float
    errors_theirs: float
    spread: float

    @property
    def outcome(self) -> str:
        """`fewer`, `equal` (the same, or no difference beyond two standard errors), `more`, or `not comparable`."""
        if self.alpha is None:
            return "not comparable"
        difference = self.errors_ours - self.errors_theirs
        if abs(difference) <= 2 * self.spread or difference == 0:
            return "equal"
        return "fewer" if difference < 0 else "more"


@dataclass(frozen=True)
class Promise:
    """Whether the sample that was announced sufficed.

    Attributes:
        minutes: that the announced sample takes, median over runs.
        kept: share of runs that were rolled back within 1.2 times their announced sample.
        runs: how many.
    """

    cell: Cell
    minutes: float
    kept: int
    runs: int

    @property
    def fits(self) -> bool:
        """Whether the sample fits in an hour."""
        return self.minutes <= HOUR

    @property
    def share(self) -> float:
        """Share of promises kept."""
        return self.kept / self.runs


@dataclass
class Group:
    """One row of the grid's base: a good release, and every effect on it."""

    figures: list[Figure] = field(default_factory=list)
    duels: list[Duel] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)


@dataclass(frozen=True)
class Played:
    """Every judge's calls on some runs of a cell, and the users' errors that follow from them."""

    calls: dict[str, Calls]
    errors: dict[str, Floats]
    judged: Judged


def alpha_name(alpha: float) -> str:
    """The judge at another line, watching one stream as the rivals do."""
    return f"{OURS}@{alpha:g}"


def users_errors(runs: Runs, calls: Calls) -> Floats:
    """5xx from the new revision in the hour: none after a rollback, those of all traffic after a promotion."""
    minute = np.arange(1, HOUR + 1)
    rollback = np.where(calls.rollback > 0, calls.rollback, HORIZON)[:, None]
    full = np.where(calls.full > 0, calls.full, HORIZON)[:, None]
    served = np.where(minute > full, runs.served_full[:, :HOUR], runs.served[:, :HOUR])
    return np.where(minute <= rollback, served, 0.0).sum(1)


def play(runs: Runs, rivals: Iterable[Rival]) -> Played:
    """Lets every judge call every run."""
    judged = judge_runs(runs)
    calls = {OURS: judged.calls(RULES.alpha)}
    calls |= {alpha_name(alpha): judged.calls_alone(alpha) for alpha in ALPHAS}
    feed = runs.feed
    calls |= {rival.name: rival.judge(feed) for rival in rivals}
    return Played(calls, {name: users_errors(runs, call) for name, call in calls.items()}, judged)


def _parts(runs: int) -> list[int]:
    return [min(PART, runs - done) for done in range(0, runs, PART)]


def _joined(parts: Sequence[Played]) -> Played:
    calls, errors = {}, {}
    for name in parts[0].calls:
        own = [part for part in parts if name in part.calls]
        rollback = np.concatenate([part.calls[name].rollback for part in own])
        calls[name] = Calls(rollback, np.concatenate([part.calls[name].full for part in own]))
        errors[name] = np.concatenate([part.errors[name] for part in own])
    judged = Judged(*(np.concatenate([getattr(part.judged, f) for part in parts]) for f in Judged.__dataclass_fields__))
    return Played(calls, errors, judged)


def played_cell(cell: Cell, runs: int, seed: int, rivals: Sequence[Rival] = RIVALS) -> Played:
    """The judge on all runs, and the rivals on those of the first `RIVAL_PARTS` parts."""
    sizes = _parts(runs)
    return _joined(
        [
            play(simulate(cell, size, seed, part), rivals if part < RIVAL_PARTS else ())
            for part, size in enumerate(sizes)
        ]
    )


def figure(cell: Cell, name: str, played: Played) -> Figure:
    """One judge's figures."""
    calls = played.calls[name]
    looks = calls.rollback[calls.rollback > 0]
    median, p95 = np.quantile(looks, (0.5, 0.95)) if looks.size else (math.nan, math.nan)
    promotions = int(((calls.full > 0) & (calls.rollback == 0)).sum())
    mean = float(played.errors[name].mean())
    return Figure(cell, name, len(calls.rollback), looks.size, promotions, float(median), float(p95), mean)


def matched_alpha(null: Played, rival: str) -> tuple[float | None, float, float]:
    """The largest alpha with no more false rollbacks than the rival's on the same runs, and both shares."""
    theirs = null.calls[rival].rollback > 0
    best: tuple[float | None, float] = (None, math.nan)
    for alpha in ALPHAS:
        ours = (null.calls[alpha_name(alpha)].rollback[: theirs.size] > 0).mean()
        if ours <= theirs.mean():
            best = (alpha, float(ours))
    return best[0], best[1], float(theirs.mean())


def duel(cell: Cell, rival: str, null: Played, played: Played) -> Duel | None:
    """The judge against a rival that detects at all in this cell; None if it does not."""
    alpha, false_ours, false_theirs = matched_alpha(null, rival)
    theirs = played.errors[rival]
    if (played.calls[rival].rollback > 0).mean() < false_theirs + DETECTS:
        return None
    if alpha is None:
        return Duel(cell, rival, None, math.nan, false_theirs, math.nan, float(theirs.mean()), math.nan)
    ours = played.errors[alpha_name(alpha)][: theirs.size]
    spread = float((ours - theirs).std() / math.sqrt(theirs.size))
    return Duel(cell, rival, alpha, false_ours, false_theirs, float(ours.mean()), float(theirs.mean()), spread)


def promise(cell: Cell, judged: Judged) -> Promise:
    """Whether the runs were rolled back within 1.2 times the sample that was announced to each."""
    crossed = judged.against >= -math.log(RULES.alpha)
    when = np.where(crossed.any(1), crossed.argmax(1), HORIZON)
    enough = judged.seen >= 1.2 * np.nan_to_num(judged.announced, nan=np.inf)[:, None]
    limit = np.where(enough.any(1), enough.argmax(1), HORIZON - 1)
    minutes = judged.announced / (cell.rpm * cell.share)
    typical = float(np.median(np.nan_to_num(minutes, nan=np.inf)))
    return Promise(cell, typical, int((when <= limit).sum()), when.size)


def measure(null: Cell, effects: Sequence[Cell], null_runs: int, runs: int, seed: int) -> Group:
    """All figures of a good release and of the effects on it."""
    group = Group()
    names = [OURS, *(rival.name for rival in RIVALS)]
    good = played_cell(null, null_runs, seed)
    group.figures += [figure(null, name, good) for name in names]
    for cell in effects:
        played = played_cell(cell, runs, seed)
        group.figures += [figure(cell, name, played) for name in names]
        duels = (duel(cell, rival.name, good, played) for rival in RIVALS)
        group.duels += [one for one in duels if one is not None]
        group.promises.append(promise(cell, played.judged))
    return group


def lower_bound(hits: int, runs: int, cells: int) -> float:
    """Exact one-sided 95 % lower bound of a share (Clopper and Pearson), corrected for so many cells (Bonferroni)."""
    return float(stats.beta.ppf(0.05 / cells, hits, runs - hits + 1)) if hits else 0.0


def upper_bound(hits: int, runs: int, cells: int) -> float:
    """The exact one-sided 95 % upper bound of a share, corrected likewise."""
    return 1.0 - lower_bound(runs - hits, runs, cells)


def grouped(cells: Iterable[Cell]) -> list[tuple[Cell, list[Cell]]]:
    """Each good release of the grid with its effects."""
    groups: dict[Cell, list[Cell]] = {}
    for cell in cells:
        effects = groups.setdefault(replace(cell, effect="none"), [])
        if not cell.is_null:
            effects.append(cell)
    return list(groups.items())
