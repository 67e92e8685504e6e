"""Gathers a release's evidence from CloudWatch: every time the whole of it, so that what came late counts.

The names, dimensions and statistics are those of the Application Load Balancer guide ("CloudWatch metrics for your
Application Load Balancer"): figures of targets exist per target group and load balancer, for the baseline also per
zone; the balancer's own 5xx exist per load balancer only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws import cloudwatch, elbv2
from caretaker.aws.cloudwatch import Query
from caretaker.releases import shift
from caretaker.releases.dispersion import WINDOW
from caretaker.releases.minutes import Figure, Key, Points, Shift, floor, minutes_of, slow_line
from caretaker.releases.model import Minute
from caretaker.releases.release import Release
from caretaker.releases.weights import same
from caretaker.runtime.clock import iso, optional, parse

NAMESPACE = "AWS/ApplicationELB"
HISTORY = timedelta(minutes=WINDOW + 5)
"""How long before a release its evidence begins: the burst factor's window, and the time metrics take to come."""
_STRETCH = timedelta(minutes=5)
_TIME = "TargetResponseTime"

_FIGURES: Mapping[Figure, tuple[str, str]] = {
    "requests": ("RequestCount", "Sum"),
    "good_2xx": ("HTTPCode_Target_2XX_Count", "Sum"),
    "good_3xx": ("HTTPCode_Target_3XX_Count", "Sum"),
    "errors_4xx": ("HTTPCode_Target_4XX_Count", "Sum"),
    "errors_5xx": ("HTTPCode_Target_5XX_Count", "Sum"),
    "connection_errors": ("TargetConnectionErrorCount", "Sum"),
    "timed": (_TIME, "SampleCount"),
    "healthy": ("HealthyHostCount", "Minimum"),
    "unhealthy": ("UnHealthyHostCount", "Maximum"),
}
_OF_ZONE: tuple[Figure, ...] = ("requests", "errors_4xx", "errors_5xx", "timed")
_BALANCER_5XX = ("HTTPCode_ELB_5XX_Count", "Sum")


@dataclass(frozen=True)
class Evidence:
    """What CloudWatch knows of a release at one look.

    Attributes:
        minutes: the release's closed minutes, from its start on; none before it has started.
        history: the closed minutes before it.
        slow_over: seconds from which on an answer counted as slow; None if there is no line: then none does.
        doubt: why nothing is said of the share of requests that is intended now, in words; empty if it is said.
        shifts: the changes of weights up to now, for the next look (`plain_shifts` in the record's notes).
    """

    minutes: tuple[Minute, ...]
    history: tuple[Minute, ...]
    slow_over: float | None
    doubt: str = ""
    shifts: tuple[Shift, ...] = ()


def gather(
    release: Release, now: datetime, slow_over: float | None = None, *, by_zone: bool = True
) -> tuple[tuple[Minute, ...], tuple[Minute, ...]]:
    """The closed minutes of a release and those before it; see `collect`."""
    found = collect(release, now, slow_over, by_zone=by_zone)
    return found.minutes, found.history


def collect(release: Release, now: datetime, slow_over: float | None = None, *, by_zone: bool = True) -> Evidence:
    """All that is known of a release's traffic.

    The share of requests that was intended is told for the minutes in which the rules were seen to say the same as the
    record: where somebody else has set the weights, too few requests are no sign of a dead canary.

    Args:
        now: the time of the look; the minute in which it lies is not over and is left out.
        slow_over: the line in seconds; None: the baseline's p99 before the release, which no later look moves.
        by_zone: whether the baseline is read by zone too, for the burst factor.

    Raises:
        Missing: the load balancer or a rule is gone.
        AwsFailure: something could not be read; then nothing is known.
    """
    begin = floor(release.started or now)
    first, end = begin - HISTORY, floor(now)
    zones = _zones_of(release.balancer) if by_zone else []
    line = slow_over if slow_over is not None else _usual_p99(release, begin)
    points = _points(release, zones, line, first, end)
    history = minutes_of(points, first, begin, now, (), zones)
    if release.started is None:
        return Evidence((), history, line, "the canary is not meant to have requests yet")
    doubt = _doubt(release)
    shifts = _shifts(release, None if doubt else release.weight, now)
    return Evidence(minutes_of(points, begin, end, now, shifts, zones), history, line, doubt, shifts)


# --- weights ---------------------------------------------------------------------------------------------------------


def noted_shifts(release: Release) -> tuple[Shift, ...]:
    """The changes of weights that the record's notes hold."""
    return tuple(
        Shift(parse(after, "shifts"), parse(by, "shifts"), None if weight is None else float(weight))
        for after, by, weight in release.notes.get("shifts", ())
    )


def plain_shifts(shifts: Sequence[Shift]) -> list[list[Any]]:
    """Changes of weights as the record's notes hold them under `shifts`."""
    return [[iso(change.after), iso(change.by), change.weight] for change in shifts]


def _shifts(release: Release, weight: float | None, now: datetime) -> tuple[Shift, ...]:
    """What was noted, and the change to `weight` if that is new: it came between the last look and this one."""
    known = noted_shifts(release)
    if known and known[-1].weight == weight:
        return known
    looked = optional(release.verdict.get("at"), "verdict.at") or (known[-1].by if known else release.opened)
    by = now
    if weight is not None and release.weights_changed and (not known or release.weights_changed > known[-1].by):
        by = release.weights_changed
    return (*known, Shift(min(looked, by), by, weight))


def _doubt(release: Release) -> str:
    """Why the rules do not tell the canary's share: too few requests are no sign of a dead canary then."""
    if not release.rules:
        return "no rule is known that shares out the requests"
    readings = shift.read(release.rules, release.canary_group, release.baseline_group)
    if shift.sticky(readings):
        return "sessions are held to their target group, so that weights say little of where requests go"
    share = shift.share_of(readings)
    if share is None or not same(share, release.weight):
        words = "; ".join(reading.words for reading in readings)
        return f"the weights are {words} where the canary is meant to have {release.weight:.1%}"
    return ""


def _points(release: Release, zones: Sequence[str], line: float | None, first: datetime, end: datetime) -> Points:
    if first >= end:
        return {}
    asked = dict(_queries(release, zones, line))
    found = cloudwatch.get_metric_data(asked.values(), first, end)
    return {key: found[query] for key, query in asked.items()}


def _queries(release: Release, zones: Sequence[str], line: float | None) -> list[tuple[Key, Query]]:
    slow: dict[Figure, tuple[str, str]] = {"slow_percent": (_TIME, above(line))} if line is not None else {}
    balancer = balancer_dimension(release.balancer)
    made: list[tuple[Key, Query]] = [(Key("balancer", "errors_5xx"), _query(_BALANCER_5XX, balancer))]
    for of, group in (("canary", release.canary_group), ("baseline", release.baseline_group)):
        both = (*balancer, *group_dimension(group))
        made += [(Key(of, figure), _query(stat, both)) for figure, stat in {**_FIGURES, **slow}.items()]
    for zone in zones:
        place = (*balancer, *group_dimension(release.baseline_group), ("AvailabilityZone", zone))
        zonal = {figure: _FIGURES[figure] for figure in _OF_ZONE} | slow
        made += [(Key(zone, figure), _query(stat, place)) for figure, stat in zonal.items()]
    return made


def _query(stat: tuple[str, str], dimensions: tuple[tuple[str, str], ...]) -> Query:
    return Query(NAMESPACE, stat[0], dimensions, stat[1])


def above(line: float) -> str:
    """The statistic for the percentage of values above `line` seconds (CloudWatch statistics definitions: PR)."""
    return f"PR({line:.6f}".rstrip("0").rstrip(".") + ":)"


def _usual_p99(release: Release, begin: datetime) -> float | None:
    """The baseline's p99 in the history, over stretches that had ended early enough to have all their metrics."""
    end = begin - _STRETCH
    end -= timedelta(seconds=end.timestamp() % _STRETCH.total_seconds())
    dimensions = (*balancer_dimension(release.balancer), *group_dimension(release.baseline_group))
    p99, count = _query((_TIME, "p99"), dimensions), _query((_TIME, "SampleCount"), dimensions)
    first = end - timedelta(minutes=WINDOW)
    found = cloudwatch.get_metric_data([p99, count], first, end, int(_STRETCH.total_seconds()))
    return slow_line(found[p99], found[count])


def _zones_of(balancer: str) -> list[str]:
    """Names of the balancer's zones."""
    (found,) = elbv2.describe_load_balancers([balancer])
    return sorted(str(zone["ZoneName"]) for zone in found.get("AvailabilityZones", []))


def balancer_dimension(arn: str) -> tuple[tuple[str, str], ...]:
    """The final portion of a load balancer's ARN, `app/name/id`."""
    return (("LoadBalancer", arn.partition(":loadbalancer/")[2]),)


def group_dimension(arn: str) -> tuple[tuple[str, str], ...]:
    """The final portion of a target group's ARN, `targetgroup/name/id`."""
    return (("TargetGroup", arn.rpartition(":")[2]),)
