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
  so 16 bets serve every size of effect equally well, where 60 were needed.
- A part of the capital is kept back and bet afresh every `LATE_EVERY` minutes, so that a release that turns bad late is
  not protected by its good record. The moments are fixed beforehand, so the sum stays a supermartingale, in whatever
  order late minutes arrive.
- Several streams share one line by the mean of their wealths, which is valid for dependent streams too (Vovk & Wang,
  arXiv 1912.06116) and never crosses later than a line per stream (Bonferroni) would.

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
    """Bets that the canary's rate is more than `null` times the baseline's: 16 of them, from 1.2 to 200 times `null`.

    One twentieth stays in cash, so that a long good record costs little; more lies on small effects, which need the
    larger samples and so the smaller price.
    """
    low, high, count = 0.2, 199.0, 16
    steps = [low * (high / low) ** (k / (count - 1)) for k in range(count)]
    tilted = [step**-0.3 for step in steps]
    scale = 0.95 / sum(tilted)
    return spread(null, [null, *(null * (1.0 + step) for step in steps)], [0.05, *(scale * share for share in tilted)])


def better_than(null: float) -> Bets:
    """Bets that the canary's rate is less than `null` times the baseline's: the mirror, most of it on "as good as"."""
    ratios = (0.3, 0.6, 0.85, 1.0, 1.2, 1.5, 2.0)
    shares = (0.05, 0.1, 0.15, 0.35, 0.15, 0.12, 0.08)
    kept = [(ratio, share) for ratio, share in zip(ratios, shares, strict=True) if ratio < 0.9 * null]
    return spread(null, [ratio for ratio, _ in kept], [share for _, share in kept])


def gains(
    canary_requests: float,
    canary_errors: float,
    baseline_requests: float,
    baseline_errors: float,
    unit: float,
    null: float,
    logs: Sequence[float],
    excess: Sequence[float],
) -> list[float]:
    """The logarithm of what one minute multiplies each bet by; `unit` is 1/phi. Both arms must have had requests."""
    share = canary_requests / (canary_requests + baseline_requests)
    hits = canary_errors * unit
    errors = (canary_errors + baseline_errors) * unit
    base = math.log1p((null - 1.0) * share)
    return [hits * ratio - errors * (math.log1p(over * share) - base) for ratio, over in zip(logs, excess)]


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


def log_wealth(gained: Sequence[Sequence[float]], log_prior: Sequence[float]) -> float:
    """The logarithm of all capital: bets from the beginning, bets made later, and what is not bet yet.

    Args:
        gained: for each stretch of `LATE_EVERY` minutes since the start, what each bet gained in it (logarithms). The
            last stretch is the one that is running.
        log_prior: the shares of the bets.
    """
    totals = [0.0 for _ in log_prior]
    terms = [log_unspent(len(gained))]
    for start in range(len(gained) - 1, -1, -1):
        totals = [total + gain for total, gain in zip(totals, gained[start])]
        terms.append(log_capital(start) + log_mixture(totals, log_prior))
    return log_sum(terms)


def log_rarity(requests: float, errors: float, unit: float, rate: float, bets: Sequence[float]) -> list[float]:
    """What one minute multiplies bets on lower error rates by, against a rate of at least `rate` (logarithms).

    This looks at one arm alone: it is the way to acquit a canary where nobody has errors, so that no ratio can be told.
    """
    good = (requests - errors) * unit
    bad = errors * unit
    return [bad * math.log(bet / rate) + good * (math.log1p(-bet) - math.log1p(-rate)) for bet in bets]
