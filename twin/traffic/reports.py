"""What the nodes of an Application Load Balancer report to CloudWatch.

Source: Application Load Balancer guide, "CloudWatch metrics for your Application Load Balancer": names, dimensions,
reporting criteria; codes of targets have a target group, codes of the balancer itself have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from twin.kernel.metrics import Metric, Report, Sample, Spread
from twin.traffic.latency import Answers
from twin.traffic.model import Effect, TrafficOptions
from twin.traffic.samplers import binomial, poisson, shared_out

NAMESPACE = "AWS/ApplicationELB"
_ZEROS = ("RequestCount", *(f"HTTPCode_Target_{code}XX_Count" for code in (2, 3, 4, 5)))


def balancer_dimension(arn: str) -> str:
    """`app/name/id`, the final portion of a load balancer's ARN."""
    return arn.partition(":loadbalancer/")[2]


def group_dimension(arn: str) -> str:
    """`targetgroup/name/id`, the final portion of a target group's ARN."""
    return arn.rpartition(":")[2]


@lru_cache(maxsize=65_536)
def of_group(name: str, balancer: str, group: str, zone: str) -> tuple[Metric, ...]:
    """A target's metric under each of its sets of dimensions."""
    both = {"LoadBalancer": balancer_dimension(balancer), "TargetGroup": group_dimension(group)}
    return (
        Metric.of(NAMESPACE, name, both),
        Metric.of(NAMESPACE, name, {**both, "AvailabilityZone": zone}),
        *of_balancer(name, balancer, zone),
    )


@lru_cache(maxsize=16_384)
def of_balancer(name: str, balancer: str, zone: str) -> tuple[Metric, ...]:
    """The balancer's own metric under each of its sets of dimensions."""
    alone = {"LoadBalancer": balancer_dimension(balancer)}
    return (Metric.of(NAMESPACE, name, alone), Metric.of(NAMESPACE, name, {**alone, "AvailabilityZone": zone}))


@dataclass(frozen=True)
class Counts:
    """What became of the requests of some target group's targets: answers by the first digit of their code, and those
    that were not answered."""

    codes: Mapping[int, int]
    unanswered: int = 0

    @property
    def answers(self) -> int:
        return sum(self.codes.values())

    def by_node(self, rng: Random, zones: Sequence[str]) -> dict[str, Counts]:
        """By the zone of the balancer's node that the requests came through, which is any."""
        even = [1.0] * len(zones)
        codes = {code: shared_out(rng, number, even) for code, number in self.codes.items()}
        unanswered = shared_out(rng, self.unanswered, even)
        return {
            zone: Counts({code: parts[place] for code, parts in codes.items()}, unanswered[place])
            for place, zone in enumerate(zones)
        }


def drawn(rng: Random, effect: Effect, mean: float) -> Counts:
    """Draw what becomes of about `mean` requests."""
    if effect.dead != "no":
        return Counts({}, poisson(rng, mean))
    # The errors of a Poisson stream and its other answers are independent Poisson streams.
    fivexx, rest = _errors(rng, effect, mean), 1.0 - effect.errors_5xx
    others = poisson(rng, mean * rest)
    fourxx = binomial(rng, others, effect.errors_4xx / rest) if rest > 0 else 0
    threexx = binomial(rng, others - fourxx, effect.redirects)
    return Counts({2: others - fourxx - threexx, 3: threexx, 4: fourxx, 5: fivexx})


def of_targets(
    rng: Random, balancer: str, group: str, zone: str, effect: Effect, counts: Counts, options: TrafficOptions
) -> list[Report]:
    """What is reported of a target group's requests in one zone."""
    if effect.dead != "no":
        return _unanswered(balancer, group, zone, effect, counts.unanswered, options)
    reports: list[Report] = []
    for code, number in counts.codes.items():
        _add(reports, of_group(f"HTTPCode_Target_{code}XX_Count", balancer, group, zone), number)
    _add(reports, of_group("RequestCount", balancer, group, zone), counts.answers)
    if counts.answers:
        times = Answers(float(counts.answers), effect.latency, rng.getrandbits(63))
        reports += [(metric, times) for metric in of_group("TargetResponseTime", balancer, group, zone)]
    return reports


def _errors(rng: Random, effect: Effect, mean: float) -> int:
    """Errors of 5xx: independent of each other, or in bursts at a rate that keeps their mean."""
    expected = mean * effect.errors_5xx
    if effect.burst is None:
        return poisson(rng, expected)
    least, most = effect.burst
    bursts = poisson(rng, expected / ((least + most) / 2))
    return sum(rng.randint(least, most) for _ in range(bursts))


def _unanswered(
    balancer: str, group: str, zone: str, effect: Effect, count: int, options: TrafficOptions
) -> list[Report]:
    """A target that is dead shows nothing but refused connections; the clients get the balancer's own 502 or 504."""
    reports: list[Report] = []
    if effect.dead == "refuses":
        _add(reports, of_group("TargetConnectionErrorCount", balancer, group, zone), count)
    if options.count_unanswered:
        _add(reports, of_group("RequestCount", balancer, group, zone), count)
    return reports + turned_away(balancer, zone, 502 if effect.dead == "refuses" else 504, count)


def turned_away(balancer: str, zone: str, code: int, count: int) -> list[Report]:
    """Answers that the balancer itself gives: they have no target group."""
    reports: list[Report] = []
    for name in (f"HTTPCode_ELB_{code // 100}XX_Count", f"HTTPCode_ELB_{code}_Count"):
        _add(reports, of_balancer(name, balancer, zone), count)
    return reports


def zeros(balancer: str, group: str, zone: str) -> list[Report]:
    """What a group with registered targets reports even if it got no request."""
    nothing = Sample(0.0, 0.0, 0.0, 0.0)
    return [(metric, nothing) for name in _ZEROS for metric in of_group(name, balancer, group, zone)]


def hosts(name: str, balancer: str, group: str, zone: str, here: list[int], everywhere: list[int]) -> list[Report]:
    """HealthyHostCount and UnHealthyHostCount as a node saw them: its zone's targets, and the whole group's."""
    whole, zonal, *_ = of_group(name, balancer, group, zone)
    return [(whole, _gauge(everywhere)), (zonal, _gauge(here))]


def _gauge(seen: list[int]) -> Sample:
    return Sample(float(len(seen)), float(sum(seen)), float(min(seen)), float(max(seen)))


def _add(reports: list[Report], metrics: tuple[Metric, ...], count: int) -> None:
    """Counts are reported only when they are not zero."""
    if count > 0:
        sample: Sample | Spread = Sample.ones(count)
        reports += [(metric, sample) for metric in metrics]
