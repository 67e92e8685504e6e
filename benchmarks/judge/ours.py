"""Caretaker's judge over many runs at once.

The arithmetic is not written again: Numba compiles the code objects of `caretaker.releases.sequential`, `dispersion`
and `sample`. Only the loops over runs, minutes and looks are here, and tests/bench_judge/test_ours.py holds them to
`caretaker.releases.judge.judge` itself, look by look, under every disturbance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal, TypeAlias

import numba
import numpy as np
from caretaker.releases import checks, dispersion, sample, sequential
from caretaker.releases.counting import SMALL_GAP, Counted
from caretaker.releases.model import Rules, StreamName
from caretaker.releases.sample import RARER, low_rate, requests_to_find
from caretaker.releases.sequential import Bets, better_than, worse_than
from numpy.typing import NDArray

from benchmarks.judge.feed import NEVER, Calls, Floats, Ints, Series
from benchmarks.judge.streams import HORIZON, PAST, Runs, Shown

Bools: TypeAlias = NDArray[np.bool_]
HOUR = 60
TESTED: StreamName = "5xx"
RULES = Rules(bake=HOUR, patience=HOUR)
ALPHAS = (
    tuple(10.0**power for power in (-6, -5, -4, -3.5, -3, -2.5))
    + tuple(round(10 ** (step / 10 - 2), 4) for step in range(20))
    + (0.9, 0.95, 0.99)
)
"""Lines that are read off the same evidence, to compare with a rival at its own rate of false rollbacks."""


def _compiled(*modules: Any) -> dict[str, Any]:
    """The functions of these modules, compiled; they find each other, and nothing but their code is changed."""
    namespace: dict[str, Any] = {}
    for module in modules:
        namespace.update(vars(module))
    names = [
        n for n, f in namespace.items() if isinstance(f, FunctionType) and f.__module__ in {m.__name__ for m in modules}
    ]
    for name in names:
        namespace[name] = numba.njit(FunctionType(namespace[name].__code__, namespace, name))
    return namespace


_CODE = _compiled(sequential, dispersion, sample)
_paid, _null_price, _earned = _CODE["paid"], _CODE["null_price"], _CODE["earned"]
_log_mixture = _CODE["log_mixture"]
_entering, _log_total = _CODE["entering"], _CODE["log_total"]
_log_rarity, _acquittal = _CODE["log_rarity"], _CODE["acquittal"]
_zone_scatter, _rolling_units = _CODE["zone_scatter"], _CODE["rolling_units"]
_cautious_factor = _CODE["cautious_factor"]
LATE_EVERY = sequential.LATE_EVERY
REACH = 12
"""Minutes back in which a row can still arrive: longer than any lag and than the time to settle."""


@numba.njit
def _units(requests: Floats, errors: Floats, first: int, settle: int) -> Floats:
    """1/phi of every run and minute from zone counts of shape (runs, minutes, zones)."""
    runs, minutes, _ = requests.shape
    units = np.ones((runs, minutes - first))
    scatter = np.zeros(minutes)
    weight = np.zeros(minutes)
    for run in range(runs):
        for minute in range(minutes):
            scatter[minute], weight[minute] = _zone_scatter(requests[run, minute], errors[run, minute])
        for minute, unit in enumerate(_rolling_units(scatter, weight, first, settle)):
            units[run, minute] = unit
    return units


@numba.njit
def _add(stretch: Any, row: Floats, null: float, logs: Floats, excess: Floats) -> bool:
    """Adds to each bet of a stretch what one row gave it; says whether it gave anything."""
    tells = row[0] > 0 and row[2] > 0 and row[1] + row[3] > 0
    if tells:
        errors = (row[1] + row[3]) * row[4]
        left = _paid(stretch, row[0], row[2], errors, excess)
        after = _earned(left, row[1] * row[4], _null_price(row[0], row[2], errors, null), logs)
        for bet in range(len(after)):
            stretch[bet] = after[bet]
    return tells


@numba.njit
def _against(
    rows: Floats, done: Ints, early: Floats, partly: Bools, null: float, logs: Floats, excess: Floats, prior: Floats
) -> Floats:
    """Log of the evidence against each run's canary at every look.

    Rows have the shape (runs, minutes, 5): canary requests and errors, baseline requests and errors, 1/phi. A row
    counts from the look `done` on; where `partly`, its `early` form counts at the first look.
    """
    runs, minutes, _ = rows.shape
    path = np.zeros((runs, minutes))
    for run in range(runs):
        gained = [[0.0 for _ in prior]]
        entered = _entering(gained[0], 0)
        wealth = _total(entered, gained, prior)
        stale = False
        for look in range(1, minutes + 1):
            if (look - 1) // LATE_EVERY >= len(gained):
                entered = _entering(_sum(entered, gained[-1]), len(gained))
                gained.append([0.0 for _ in prior])
                stale = True
            for minute in range(max(0, look - REACH), look):
                stretch = minute // LATE_EVERY
                if done[run, minute] == look and _add(gained[stretch], rows[run, minute], null, logs, excess):
                    stale = True
                    if stretch + 1 < len(gained):
                        entered = _entered_again(gained, prior)
            if partly[run, look - 1]:
                kept = gained[-1]
                gained[-1] = kept.copy()
                _add(gained[-1], early[run, look - 1], null, logs, excess)
                path[run, look - 1] = _total(entered, gained, prior)
                gained[-1] = kept
                continue
            if stale:
                wealth = _total(entered, gained, prior)
                stale = False
            path[run, look - 1] = wealth
    return path


@numba.njit
def _sum(first: Any, second: Any) -> Any:
    return [one + other for one, other in zip(first, second)]


@numba.njit
def _total(entered: Any, gained: Any, prior: Floats) -> float:
    return _log_total(_sum(entered, gained[-1]), len(gained), prior)


@numba.njit
def _entered_again(gained: Any, prior: Floats) -> Any:
    """What lay on each bet as the running stretch began, after a minute of an earlier one has come in."""
    entered = _entering([0.0 for _ in prior], 0)
    for start in range(1, len(gained)):
        entered = _entering(_sum(entered, gained[start - 1]), start)
    return entered


@numba.njit
def _in_favour(
    rows: Floats,
    done: Ints,
    early: Floats,
    partly: Bools,
    look: int,
    null: float,
    logs: Floats,
    excess: Floats,
    prior: Floats,
    ignorable: float,
    parts: Floats,
) -> Floats:
    """Log of the evidence for each run's canary at one look."""
    result = np.zeros(len(rows))
    for run in range(len(rows)):
        gained = [0.0 for _ in prior]
        good = 0.0
        bad = 0.0
        for minute in range(look):
            row = early[run, minute] if minute == look - 1 and partly[run, minute] else rows[run, minute]
            shown = done[run, minute] <= look or (minute == look - 1 and partly[run, minute])
            if shown and row[0] > 0 and row[2] > 0:
                good += (row[0] - row[1]) * row[4]
                bad += row[1] * row[4]
                _add(gained, row, null, logs, excess)
        rare = _log_rarity(good + bad, bad, 1.0, ignorable, parts)
        result[run] = _acquittal(gained, prior, rare)
    return result


@dataclass(frozen=True)
class Rows:
    """One comparison of all runs, as `_against` takes it."""

    rows: Floats
    done: Ints
    early: Floats
    partly: Bools

    def against(self, bets: Bets) -> Floats:
        """Log of the evidence on these bets, shape (runs, looks)."""
        return _against(self.rows, self.done, self.early, self.partly, *_arrays(bets))

    def in_favour(self, bets: Bets, look: int, ignorable: float) -> Floats:
        """Log of the evidence for the canary at a look, shape (runs,)."""
        parts = np.array([part * ignorable for part in RARER])
        return _in_favour(self.rows, self.done, self.early, self.partly, look, *_arrays(bets), ignorable, parts)


def _arrays(bets: Bets) -> tuple[float, Floats, Floats, Floats]:
    return bets.null, np.array(bets.logs), np.array(bets.excess), np.array(bets.log_prior)


def _seen(series: Series) -> tuple[Floats, Floats]:
    """What a series is in the end and at its first look: 0 where the datapoint is lost."""
    there = series.arrival < NEVER
    return np.where(there, series.final, 0.0), np.where(there, series.first, 0.0)


def _pair(shown: Shown, stream: Counted) -> tuple[Floats, Floats, Floats, Floats, Ints]:
    """Requests and errors in the end and at the first look (0 where they are not known for sure), and the arrival."""
    if stream == "slow":
        (requests, early_requests), (errors, early_errors) = _seen(shown.timed), _seen(shown.errors["slow"])
        return requests, errors, early_requests, early_errors, shown.timed.arrival
    parts = (shown.good, shown.errors["5xx"], shown.errors["4xx"])
    counted = {"good": parts[0], "5xx": parts[1], "4xx": parts[2]}
    requests, early_requests = _seen(shown.requests)
    whole = requests == sum(_seen(part)[0] for part in parts)
    early_whole = early_requests == sum(_seen(part)[1] for part in parts)
    errors, early_errors = _seen(counted[stream])
    arrival = shown.requests.arrival
    for part in parts:
        arrival = np.maximum(arrival, np.where(_seen(part)[0] > 0, part.arrival, 0))
    return requests * whole, errors * whole, early_requests * early_whole, early_errors * early_whole, arrival


def stream_rows(runs: Runs, stream: StreamName, side: Literal["against", "in favour"] = "against") -> Rows:
    """The rows of one stream; minutes with a small gap count as `caretaker.releases.counting.Bound` has it."""
    units = _units(runs.zones.requests, runs.zones.counted(stream), PAST, RULES.settle)
    n_c, x_c, early_n_c, early_x_c, arrival_c = _pair(runs.canary, stream)
    n_b, x_b, early_n_b, early_x_b, arrival_b = _pair(runs.baseline, stream)
    rows = np.stack([n_c, x_c, n_b, x_b, units], axis=-1)
    early = np.stack([early_n_c, early_x_c, early_n_b, early_x_b, units], axis=-1)
    partly = np.any(rows != early, axis=-1)
    look = np.broadcast_to(np.arange(1, HORIZON + 1), partly.shape)
    done = look + partly if runs.cell.disturbance == "missing" else np.maximum(arrival_c, arrival_b)
    if stream != "slow":
        gaps = tuple(_gap(shown) for shown in (runs.canary, runs.baseline))
        bounded = gaps[0][1] & gaps[1][1] & ((gaps[0][0] > 0) | (gaps[1][0] > 0))
        asked = [_seen(shown.requests)[0] for shown in (runs.canary, runs.baseline)]
        wrong = [_seen(shown.errors[stream])[0] for shown in (runs.canary, runs.baseline)]
        wrong[side == "against"] += gaps[side == "against"][0]
        settled = np.stack([asked[0], wrong[0], asked[1], wrong[1], units], axis=-1)
        rows = np.where(bounded[..., None], settled, rows)
        done = np.where(bounded, look + RULES.settle, done)
    warm = RULES.streams[stream].warm_up
    rows[:, :warm, :4] = 0
    early[:, :warm, :4] = 0
    return Rows(rows, done, early, partly)


def _gap(shown: Shown) -> tuple[Floats, Bools]:
    """Requests without an answer by status, for good, and whether they are few enough to be bounded."""
    parts = (shown.good, shown.errors["5xx"], shown.errors["4xx"])
    requests = _seen(shown.requests)[0]
    gap = requests - sum(_seen(part)[0] for part in parts)
    return gap, (requests > 0) & (gap >= 0) & (gap <= SMALL_GAP * requests)


def _settled(*columns: Floats) -> Rows:
    """Rows that count once the metrics have arrived."""
    rows = np.stack(columns, axis=-1)
    done = np.broadcast_to(np.arange(1, HORIZON + 1) + RULES.settle, rows.shape[:2])
    return Rows(rows, done, rows, np.zeros(rows.shape[:2], dtype=bool))


def share_rows(runs: Runs) -> Rows:
    """The rows of the check of the canary's share of requests."""
    canary, baseline = _seen(runs.canary.requests)[0], _seen(runs.baseline.requests)[0]
    weight = np.full_like(canary, runs.cell.share)
    unit = np.minimum(1.0, checks.MINUTE_CAP / np.maximum(weight * (canary + baseline), 1e-9))
    return _settled(weight, canary, 1 - weight, baseline, unit)


def success_rows(runs: Runs) -> Rows:
    """The rows of the check of good answers; those that are not known count once the metrics have arrived."""
    unit = _units(runs.zones.requests, runs.zones.counted("good"), PAST, RULES.settle)
    n_c, _, early_n_c, _, arrival_c = _pair(runs.canary, "good")
    (asked_c, _), (good_c, early_good_c) = _seen(runs.canary.requests), _seen(runs.canary.good)
    (n_b, early_n_b), (good_b, early_good_b) = _seen(runs.baseline.requests), _seen(runs.baseline.good)
    known = (n_c == asked_c) & ((good_b > 0) | ~is_open(runs.baseline))
    unit = np.where(known, unit, np.minimum(unit, checks.MINUTE_CAP / np.maximum(asked_c, 1e-9)))
    rows = np.stack([asked_c, np.minimum(good_c, asked_c), n_b, np.minimum(good_b, n_b), unit], axis=-1)
    early_known = (early_good_b > 0) | (_pair(runs.baseline, "good")[2] > 0)
    early = np.stack([early_n_c * early_known, early_good_c, early_n_b, early_good_b, unit], axis=-1)
    arrival_b = np.maximum(runs.baseline.requests.arrival, runs.baseline.good.arrival * (good_b > 0))
    arrival_b = np.where(good_b > 0, arrival_b, _pair(runs.baseline, "good")[4])
    look = np.broadcast_to(np.arange(1, HORIZON + 1), n_c.shape)
    partly = np.any(rows != early, axis=-1)
    done = look + partly if runs.cell.disturbance == "missing" else np.maximum(arrival_c, arrival_b)
    return Rows(rows, np.where(known, done, look + RULES.settle), early, partly)


def is_open(shown: Shown) -> Bools:
    """Minutes in which a target group's answers never add up to its requests."""
    parts = (shown.good, shown.errors["5xx"], shown.errors["4xx"])
    requests = _seen(shown.requests)[0]
    return (requests > 0) & (requests != sum(_seen(part)[0] for part in parts))


@dataclass(frozen=True)
class Judged:
    """What the judge made of all runs of a cell.

    Attributes:
        against: log of the common evidence against the release at every look, shape (runs, HORIZON).
        alone: the same if the judge watches the stream under test alone, beside its checks: the capital of the other
            streams is put on it. Rivals watch one stream, so they are compared with this.
        promoted: whether it is promoted at the end of the hour, if it was not rolled back.
        announced: canary requests after which the cell's effect was to be found, by run; NaN if never.
        seen: canary requests that the stream under test had been shown with at every look, shape (runs, HORIZON).
    """

    against: Floats
    alone: Floats
    promoted: Bools
    announced: Floats
    seen: Floats

    def calls(self, alpha: float) -> Calls:
        """Rollbacks at this alpha, and promotions at the end of the hour."""
        return self._calls(self.against, alpha)

    def calls_alone(self, alpha: float) -> Calls:
        """The same if the stream under test is watched alone."""
        return self._calls(self.alone, alpha)

    def _calls(self, evidence: Floats, alpha: float) -> Calls:
        crossed = evidence[:, :HOUR] >= -math.log(alpha)
        rollback = np.where(crossed.any(1), crossed.argmax(1) + 1, 0)
        return Calls(rollback, np.where((rollback == 0) & self.promoted, HOUR, 0))


def judge_runs(runs: Runs) -> Judged:
    """The judge with its default rules and an hour's bake, on all runs."""
    checked = np.full(runs.served.shape, RULES.capital_connections + 1 - RULES.committed)
    for rows, capital, bets in (
        (success_rows(runs), RULES.capital_success, checks.FAILING),
        (share_rows(runs), RULES.capital_share, checks.TOO_FEW),
    ):
        checked += capital * _plain(rows.against(bets))
    streams = {name: stream_rows(runs, name) for name in RULES.streams}
    wealth = {name: _plain(rows.against(worse_than(RULES.streams[name].tolerated))) for name, rows in streams.items()}
    against = np.log(checked + sum(rule.capital * wealth[name] for name, rule in RULES.streams.items()))
    favour = [
        stream_rows(runs, name, "in favour").in_favour(better_than(rule.bad), HOUR, rule.ignorable)
        for name, rule in RULES.streams.items()
    ]
    promoted = np.min(favour, axis=0) >= -math.log(RULES.alpha_promote)
    promoted &= against[:, HOUR - 1] < -math.log(RULES.alpha) / 2
    return Judged(
        against,
        np.log(checked + sum(rule.capital for rule in RULES.streams.values()) * wealth[TESTED]),
        promoted & _no_hold(runs),
        _announced(runs),
        _seen_requests(streams[TESTED]),
    )


def _plain(logs: Floats) -> Floats:
    """The wealth itself; what is beyond counting counts as 1e300."""
    return np.exp(np.minimum(logs, 690.0))


def _no_hold(runs: Runs) -> Bools:
    """Runs of which no check stands in the way of a promotion after an hour."""
    settled = HOUR - RULES.settle
    both = ((_seen(runs.canary.requests)[0] > 0) & (_seen(runs.baseline.requests)[0] > 0))[:, :settled]
    left_out = (~(_gap(runs.canary)[1] & _gap(runs.baseline)[1])[:, :settled] & both).sum(1)
    accounts = left_out <= np.maximum(2, checks.MANY_LEFT_OUT * both.sum(1))
    share = share_rows(runs)
    rows = share.rows[:, :settled]
    many = Rows(rows, share.done[:, :settled], rows, share.partly[:, :settled])
    return accounts & (_static(many, checks.TOO_MANY) < -math.log(RULES.alpha))


def _static(rows: Rows, bets: Bets) -> Floats:
    """Log of capital that was spread once over the bets, after all rows."""
    return _mixtures(rows.rows, *_arrays(bets))


@numba.njit
def _mixtures(rows: Floats, null: float, logs: Floats, excess: Floats, prior: Floats) -> Floats:
    result = np.zeros(len(rows))
    for run in range(len(rows)):
        gained = [0.0 for _ in prior]
        for minute in range(rows.shape[1]):
            _add(gained, rows[run, minute], null, logs, excess)
        result[run] = _log_mixture(gained, prior)
    return result


def _seen_requests(rows: Rows) -> Floats:
    """Canary requests in the rows that count at each look, cumulated."""
    runs, minutes, _ = rows.rows.shape
    shown = np.zeros((runs, minutes + 1))
    where = np.minimum(rows.done, minutes + 1) - 1
    known = np.where((rows.rows[..., 2] > 0), rows.rows[..., 0], 0.0)
    for minute in range(minutes):
        np.add.at(shown, (np.arange(runs), where[:, minute]), known[:, minute])
    return shown[:, :minutes].cumsum(1)


def _announced(runs: Runs) -> Floats:
    """The sample that the judge would have named before the release, from each run's own past."""
    cell = runs.cell
    if cell.is_null:
        return np.full(len(runs.served), np.nan)
    past = runs.zones.requests[:, :PAST].sum((1, 2))
    errors = runs.zones.errors[TESTED][:, :PAST].sum((1, 2))
    base = two_digits(errors / past)
    phi = _cautious(runs.zones.requests[:, :PAST], runs.zones.errors[TESTED][:, :PAST])
    line = -math.log(RULES.alpha * RULES.streams[TESTED].capital)
    needs = np.full(len(base), np.nan)
    for rough in np.unique(base):
        rate = min(1.0, rough * cell.rate / cell.base) if cell.effect.endswith("x") else cell.rate
        need = requests_to_find(rate, rough, cell.share, 1.0, line) if rate > rough else None
        needs[base == rough] = np.nan if need is None else need
    if cell.effect.endswith("x"):
        low = [low_rate(*one) for one in zip(errors, past, phi)]
        needs *= np.where(errors > 0, errors / past / np.maximum(low, 1e-12), 1.0)
    return needs * phi


@numba.njit
def _cautious(requests: Floats, errors: Floats) -> Floats:
    """The burst factor that a promise assumes, from zone counts of shape (runs, minutes, zones)."""
    phi = np.ones(len(requests))
    for run in range(len(requests)):
        scatter, weight = 0.0, 0.0
        for minute in range(requests.shape[1]):
            one, other = _zone_scatter(requests[run, minute], errors[run, minute])
            scatter += one
            weight += other
        phi[run] = _cautious_factor(scatter, weight)
    return phi


def two_digits(rates: Floats) -> Floats:
    """Rates to two significant digits, as one would say them."""
    scale = 10.0 ** np.floor(np.log10(np.maximum(rates, 1e-12)) - 1)
    return np.where(rates > 0, np.round(rates / scale) * scale, 0.0)
