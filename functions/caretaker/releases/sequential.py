"""A comparison of two error rates that stays valid however often it is looked at.

In one minute the canary answers n_c requests, x_c of them badly, and the baseline n_b and x_b. Given the total
N = x_c + x_b, the canary's part is binomial with odds rho * n_c / n_b, where rho is the ratio of the two error rates; a
rate that both arms share, however it moves, cancels. A *bet* on rho_k against the null ratio rho_0 therefore multiplies
its stake in that minute by

    [rho_k / rho_0] ^ (x_c / phi)  *  [(1 + (rho_0 - 1) s) / (1 + (rho_k - 1) s)] ^ (N / phi),     s = n_c / (n_c + n_b)

whose mean is at most 1 while rho is on the null's side of rho_0 (phi = 1; larger phi, by Jensen, only lowers it).
Capital spread over many bets is then a non-negative supermartingale that starts at 1, and by Ville's inequality it
ever reaches 1/alpha with a probability of at most alpha: at every look, at any number of looks. (Lindon & Malek, arXiv
2011.03567; Lindon et al., arXiv 2205.14762; Robbins 1970 for the mixture.)

Three choices go beyond those papers; docs/decisions/0005 shows what each is worth.

- Bets are spaced evenly in log(rho - 1), not in log(rho): the sample that tells rho from 1 goes with 1 / (rho - 1)^2,
  so 12 bets serve every size of effect equally well, where 60 were needed.
- A part of the capital is kept back and bet afresh every `LATE_EVERY` minutes, so that a release that turns bad late is
  not protected by its good record. The moments are fixed beforehand, so the sum stays a supermartingale, in whatever
  order late minutes arrive.
- Several streams share one line by the mean of their wealths, which is valid for dependent streams too (Vovk & Wang,
  arXiv 1912.06116) and never crosses later than a line per stream (Bonferroni) would.

In logarithms a bet pays N / phi * log(1 + (rho_k - 1) s) in each minute, gets back what a bet on the null would have
paid, and wins log(rho_k / rho_0) for each x_c / phi.

Everything here takes and gives plain numbers and sequences of them, and nothing else: the benchmark compiles these very
functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LATE_EVERY = 10
FIRST_CAPITAL = 0.7


@dataclass(frozen=True, slots=True)
class Bets:
    """Capital spread over ratios of the canary's error rate to the baseline's.

    Attributes:
        null: rho_0, the ratio at which the null hypothesis ends.
        logs: log(rho_k / rho_0) of each bet.
        excess: rho_k - 1 of each bet.
        log_prior: log of the share of capital on each bet; the shares sum to 1.
    """

    null: float
    logs: tuple[float, ...]
    excess: tuple[float, ...]
    log_prior: tuple[float, ...]


def spread(null: float, ratios: Sequence[float], shares: Sequence[float]) -> Bets:
    """Bets on `ratios` against `null`; `shares` are made to sum to 1."""
    total = sum(shares)
    return Bets(
        null,
        tuple(math.log(ratio / null) for ratio in ratios),
        tuple(ratio - 1.0 for ratio in ratios),
        tuple(math.log(share / total) for share in shares),
    )


def worse_than(null: float) -> Bets:
    """Bets that the canary's rate is more than `null` times the baseline's: 12 of them, from 1.2 to 200 times `null`.

    One twentieth stays in cash, so that a long good record costs little; more lies on small effects, which need the
    larger samples and so the smaller price.
    """
    low, high, count = 0.2, 199.0, 12
    steps = [low * (high / low) ** (k / (count - 1)) for k in range(count)]
    tilted = [step**-0.3 for step in steps]
    scale = 0.95 / sum(tilted)
    return spread(null, [null, *(null * (1.0 + step) for step in steps)], [0.05, *(scale * share for share in tilted)])


def better_than(null: float) -> Bets:
    """Bets that the canary's rate is less than `null` times the baseline's: the mirror, most of it on "as good as"."""
    ratios = (0.4, 0.75, 1.0, 1.3, 1.8)
    shares = (0.1, 0.2, 0.4, 0.2, 0.1)
    kept = [(ratio, share) for ratio, share in zip(ratios, shares, strict=True) if ratio < 0.9 * null]
    return spread(null, [ratio for ratio, _ in kept], [share for _, share in kept])


def paid(
    stakes: Sequence[float],
    canary_requests: float,
    baseline_requests: float,
    errors: float,
    excess: Sequence[float],
) -> list[float]:
    """What is left on each bet (logarithms) after it has paid for one minute's errors of both arms, in units of phi.

    Both arms must have had requests. `earned` pays out what the canary's errors win.
    """
    share = canary_requests / (canary_requests + baseline_requests)
    return [stake - errors * math.log1p(over * share) for stake, over in zip(stakes, excess)]


def null_price(canary_requests: float, baseline_requests: float, errors: float, null: float) -> float:
    """What a bet on the null itself pays for one minute's errors."""
    return errors * math.log1p((null - 1.0) * canary_requests / (canary_requests + baseline_requests))


def earned(stakes: Sequence[float], hits: float, refund: float, logs: Sequence[float]) -> list[float]:
    """What lies on each bet after `hits` errors of the canary (in units of phi) have won, and the null price is back.

    Hits and refunds of many minutes may be paid out at once.
    """
    return [stake + refund + hits * ratio for stake, ratio in zip(stakes, logs)]


def log_capital(start: int) -> float:
    """The logarithm of the part of the capital that is bet from the `start`-th late moment on (0: the beginning)."""
    if start == 0:
        return math.log(FIRST_CAPITAL)
    return math.log((1.0 - FIRST_CAPITAL) / (start * (start + 1)))


def log_unspent(starts: int) -> float:
    """The logarithm of what is not bet yet after `starts` moments (at least 1)."""
    return math.log((1.0 - FIRST_CAPITAL) / starts)


def log_sum(terms: Sequence[float]) -> float:
    """log(sum(exp(term))), without overflow. Its terms must not be empty."""
    top = max(terms)
    return top + math.log(sum([math.exp(term - top) for term in terms]))


def log_mixture(totals: Sequence[float], log_prior: Sequence[float]) -> float:
    """The logarithm of capital that was spread once, each bet having gained `totals`."""
    return log_sum([total + share for total, share in zip(totals, log_prior)])


def log_add(first: float, second: float) -> float:
    """log(exp(first) + exp(second))."""
    return max(first, second) + math.log1p(math.exp(-abs(first - second)))


def entering(carried: Sequence[float], start: int) -> list[float]:
    """What lies on each bet as stretch `start` begins: what was carried there (logarithms), and fresh capital."""
    fresh = log_capital(start)
    if start == 0:
        return [fresh for _ in carried]
    return [log_add(old, fresh) for old in carried]


def log_total(carried: Sequence[float], starts: int, log_prior: Sequence[float]) -> float:
    """The logarithm of all capital after `starts` stretches: what lies on the bets, and what is not bet yet."""
    return log_add(log_mixture(carried, log_prior), log_unspent(starts))


def log_wealth(gained: Sequence[Sequence[float]], log_prior: Sequence[float]) -> float:
    """The logarithm of all capital: bets from the beginning, bets made later, and what is not bet yet.

    Args:
        gained: for each stretch of `LATE_EVERY` minutes since the start, what each bet gained in it (logarithms). The
            last stretch is the one that is running.
        log_prior: the shares of the bets.
    """
    carried = [0.0 for _ in log_prior]
    for start in range(len(gained)):
        carried = [before + gain for before, gain in zip(entering(carried, start), gained[start])]
    return log_total(carried, len(gained), log_prior)


def log_rarity(requests: float, errors: float, unit: float, rate: float, bets: Sequence[float]) -> list[float]:
    """What one minute multiplies bets on lower error rates by, against a rate of at least `rate` (logarithms).

    This looks at one arm alone: it is the way to acquit a canary where nobody has errors, so that no ratio can be told.
    """
    good = (requests - errors) * unit
    bad = errors * unit
    return [bad * math.log(bet / rate) + good * (math.log1p(-bet) - math.log1p(-rate)) for bet in bets]
