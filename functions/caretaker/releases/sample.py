"""The sample that a verdict will need, said before the release starts.

Everything scales with one number: m, the errors that the canary is expected to have if it is as good as the baseline,
counted in bursts (divided by phi). m depends on the ratio that is to be found, on the share of requests and on the line
alone; the canary requests are phi * m / p_0 for a base rate p_0. A normal approximation gives
m = (z_(1-alpha) + z_(power))^2 / (4 (sqrt(rho) - 1)^2 (1 - s)), which is too small for a test that may stop at any
look; here m is the smallest at which the test's own evidence crosses its line with probability `POWER`, with Poisson
counts in both arms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from caretaker.releases.model import Rules, StreamName, StreamRule
from caretaker.releases.sequential import (
    FIRST_CAPITAL,
    Bets,
    better_than,
    earned,
    log_mixture,
    log_rarity,
    null_price,
    paid,
    worse_than,
)

POWER = 0.95
RARER = (0.02, 0.2, 0.5)
RARER_SHARES = (0.5, 0.3, 0.2)
_NORMAL = (-1.5932, -0.9674, -0.5895, -0.2822, 0.0, 0.2822, 0.5895, 0.9674, 1.5932)
_ENOUGH = 1e7


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is expected of a release's traffic.

    Attributes:
        requests_per_minute: of both arms together.
        share: the canary's, 0 to 1.
        base_rates: the baseline's error rate by stream.
        low_rates: as low as it may well be (`low_rate`), by stream; `base_rates` where it is not given.
        phi: the burst factor by stream; 1 where it is not given.
    """

    requests_per_minute: float
    share: float
    base_rates: Mapping[StreamName, float]
    phi: Mapping[StreamName, float]
    low_rates: Mapping[StreamName, float] = field(default_factory=dict)

    @property
    def canary_per_minute(self) -> float:
        """Canary requests in a minute."""
        return self.requests_per_minute * self.share


@dataclass(frozen=True, slots=True)
class Need:
    """What one finding will take.

    Attributes:
        stream: the stream.
        finding: "twice the errors", "a promotion" and so on.
        canary_requests: the sample; None if no sample is large enough.
        minutes: at the expected traffic; None without a sample, or without traffic.
    """

    stream: StreamName
    finding: str
    canary_requests: float | None
    minutes: float | None

    @property
    def words(self) -> str:
        """For people."""
        if self.canary_requests is None:
            return f"{self.stream}: {self.finding} cannot be told at this share"
        span = "without traffic so far" if self.minutes is None else _span(self.minutes)
        return f"{self.stream}: {self.finding} takes {self.canary_requests:,.0f} canary requests ({span})"


def _span(minutes: float) -> str:
    if minutes < 90:
        return f"{max(1, math.ceil(minutes))} min"
    if minutes < 72 * 60:
        return f"{minutes / 60:.1f} h"
    return f"{minutes / 1440:.0f} days"


def announce(traffic: Traffic, rules: Rules, ratios: tuple[float, ...] = (2.0, 3.0, 5.0)) -> tuple[Need, ...]:
    """What it will take to convict a release of each ratio in each stream, and to promote a good one."""
    if not 0 < traffic.share < 1:
        raise ValueError(f"share must be between 0 and 1, not {traffic.share:g}")
    needs = []
    for name, rule in rules.streams.items():
        base, phi = traffic.base_rates.get(name, 0.0), traffic.phi.get(name, 1.0)
        line = -math.log(rules.alpha * rule.capital)
        for ratio in ratios:
            if base > 0 and base * ratio < 1:
                sample = requests_to_convict(base, ratio, traffic.share, phi, line, rule.tolerated)
                low = traffic.low_rates.get(name, base)
                sample = sample * base / low if sample is not None else None
                needs.append(_need(name, f"{ratio:g} times the baseline's {base:.3%}", sample, traffic))
        outage = requests_to_convict(base, math.inf, traffic.share, phi, line, rule.tolerated)
        needs.append(_need(name, "an outage", outage, traffic))
        promotion = requests_to_acquit(base, traffic.share, phi, -math.log(rules.alpha_promote), rule)
        needs.append(_need(name, "a promotion", promotion, traffic))
    return tuple(needs)


def _need(name: StreamName, finding: str, sample: float | None, traffic: Traffic) -> Need:
    per_minute = traffic.canary_per_minute
    minutes = sample / per_minute if sample is not None and per_minute > 0 else None
    return Need(name, finding, sample, minutes)


def low_rate(errors: float, requests: float, phi: float) -> float:
    """The rate that is undercut with a probability of about a fifth; a sample for a ratio to the rate goes with 1/rate.

    At least a quarter of what was seen.
    """
    return max(errors / 4, errors - 0.84 * math.sqrt(errors * phi)) / requests if requests else 0.0


def requests_to_convict(
    base: float, ratio: float, share: float, phi: float, line: float, tolerated: float = 1.0
) -> float | None:
    """Canary requests after which errors at `ratio` times `base` are found with probability `POWER`.

    Args:
        base: the baseline's error rate, 0 to 1.
        ratio: of the canary's rate to it; the canary's rate is at most 1, so `math.inf` is an outage.
        share: the canary's share of requests, 0 to 1 exclusive.
        phi: burst factor.
        line: log of the evidence that convicts.
        tolerated: the ratio that counts as good.
    """
    rate = min(1.0, base * ratio) if base > 0 else 1.0
    if base > 0 and rate / base <= tolerated:
        return None
    return requests_to_find(rate, base, share, phi, line, tolerated)


def requests_to_find(
    rate: float, base: float, share: float, phi: float, line: float, tolerated: float = 1.0
) -> float | None:
    """Canary requests after which a canary's error rate of `rate` against `base` is found with probability `POWER`."""
    errors = _errors_to_convict(round(base / rate, 6), round(share, 4), round(line, 4), tolerated)
    return None if errors is None else phi * errors / rate


@lru_cache(maxsize=4096)
def _errors_to_convict(relative: float, share: float, line: float, tolerated: float) -> float | None:
    """Expected canary errors, in bursts, until it is convicted; `relative` is the baseline's rate over the canary's."""
    bets = worse_than(tolerated)
    baseline = relative * (1 - share) / share

    def crosses(canary_errors: float, baseline_errors: float) -> bool:
        gained = _gained(bets, share, canary_errors, baseline_errors)
        return math.log(FIRST_CAPITAL) + log_mixture(gained, bets.log_prior) >= line

    return _smallest(lambda errors: _power(errors, baseline * errors, crosses, above=True))


def requests_to_acquit(base: float, share: float, phi: float, line: float, rule: StreamRule) -> float | None:
    """Canary requests after which a stream as good as the baseline no longer stands in the way of a promotion."""
    bets = better_than(rule.bad)

    def power(requests: float) -> float:
        def crosses(canary_errors: float, baseline_errors: float) -> bool:
            return log_for(requests / phi, canary_errors, share, baseline_errors, bets, rule.ignorable) >= line

        mean = base * requests / phi
        return _power(mean, mean * (1 - share) / share, crosses, above=False)

    return _smallest(power, start=1.0)


def log_for(
    requests: float, canary_errors: float, share: float, baseline_errors: float, bets: Bets, ignorable: float
) -> float:
    """The evidence for a canary whose share never changed (log); counts are in bursts."""
    gained = _gained(bets, share, canary_errors, baseline_errors)
    rare = log_rarity(requests, min(canary_errors, requests), 1.0, ignorable, [part * ignorable for part in RARER])
    return acquittal(gained, bets.log_prior, rare)


def _gained(bets: Bets, share: float, canary_errors: float, baseline_errors: float) -> list[float]:
    errors = canary_errors + baseline_errors
    left = paid([0.0] * len(bets.logs), share, 1 - share, errors, bets.excess)
    return earned(left, canary_errors, null_price(share, 1 - share, errors, bets.null), bets.logs)


def acquittal(gained: Sequence[float], log_prior: Sequence[float], rare: Sequence[float]) -> float:
    """The evidence for a canary (log): the mean of two ways to show that it is not bad.

    A release is bad in a stream if its rate is `bad` times the baseline's *and* not ignorable. Where that holds, both
    the bets against the ratio and those against the rate are supermartingales, and so is their mean.
    """
    ratio = log_mixture(gained, log_prior)
    rate = log_mixture(rare, [math.log(part) for part in RARER_SHARES])
    top = max(ratio, rate)
    return top + math.log((math.exp(ratio - top) + math.exp(rate - top)) / 2)


def _smallest(power: Callable[[float], float], start: float = 0.5) -> float | None:
    """The smallest mean at which `power` reaches `POWER`, to 1 %; None if none does."""
    high = start
    while power(high) < POWER:
        high *= 2
        if high > _ENOUGH:
            return None
    low = high / 2
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        if power(middle) < POWER:
            low = middle
        else:
            high = middle
    return high


def _power(canary: float, baseline: float, crosses: Callable[[float, float], bool], *, above: bool) -> float:
    """The probability that Poisson counts with these means cross; `above`: by many canary errors, else by few."""
    total = 0.0
    for z in _NORMAL:
        # Ninths of the baseline's distribution (Wilson-Hilferty), each with the canary's errors that it takes.
        errors = (
            max(0.0, baseline * (1 - 1 / (9 * baseline) + z / (3 * math.sqrt(baseline))) ** 3)
            if baseline > 0.2
            else 0.0
        )
        total += _tail(canary, errors, crosses, above=above)
    return total / len(_NORMAL)


def _tail(mean: float, baseline: float, crosses: Callable[[float, float], bool], *, above: bool) -> float:
    low, high = 0, math.ceil(mean + 12 * math.sqrt(mean) + 60)
    if above:
        if not crosses(high, baseline):
            return 0.0
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if crosses(middle, baseline) else (middle + 1, high)
        return 1.0 - poisson_cdf(low - 1, mean)
    if not crosses(0, baseline):
        return 0.0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if crosses(middle, baseline) else (low, middle - 1)
    return poisson_cdf(low, mean)


def poisson_cdf(count: int, mean: float) -> float:
    """P(X <= count) of a Poisson variable; by Wilson and Hilferty's cube root for means above 200."""
    if count < 0:
        return 0.0
    if mean > 200:
        a = 1 - 1 / (9 * (count + 1))
        z = (3 * math.sqrt(count + 1)) * (a - (mean / (count + 1)) ** (1 / 3))
        return 0.5 * math.erfc(-z / math.sqrt(2))
    term = total = math.exp(-mean)
    for k in range(1, count + 1):
        term *= mean / k
        total += term
    return min(1.0, total)
