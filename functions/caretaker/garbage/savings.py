"""What a sweep saves a month, and what it does not.

Prices are AWS's public ones for US East (N. Virginia), in US dollars, without free tiers, taxes and discounts; other
Regions differ by some tenths. A month has 730 hours, as in AWS's own calculator. Only what is really deleted counts: a
load balancer that one service less shares saves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from caretaker.garbage import words
from caretaker.garbage.model import Kind, Verdict, Word

HOURS = 730
LOAD_BALANCER_HOUR = 0.0225
"""An Application Load Balancer, without capacity units: nobody sends requests to garbage (ELB pricing)."""
PUBLIC_ADDRESS_HOUR = 0.005
"""A public IPv4 address in use (VPC pricing)."""
ALARM_METRIC = 0.10
"""A metric of a standard resolution alarm, a month (CloudWatch pricing)."""
LOG_GIGABYTE = 0.03
"""A GB of stored logs, a month, of the bytes that DescribeLogGroups tells: these are compressed already (CloudWatch
pricing)."""
GIGABYTE = 1024**3
ASSUMPTION = "list prices of US East (N. Virginia), 730 hours, no free tier"


@dataclass(frozen=True)
class Line:
    """What one resource costs a month.

    Attributes:
        arn: the resource.
        what: it, in words.
        dollars: saved a month; 0 for what costs nothing and for what stays.
        why: how it comes about.
    """

    arn: str
    what: str
    dollars: float
    why: str


def monthly(verdicts: Iterable[Verdict]) -> tuple[Line, ...]:
    """What is saved by deleting the garbage among the verdicts, the dearest first. What costs nothing has no line; a
    load balancer that stays has one that says so."""
    lines = [line for each in verdicts if (line := _line(each)) is not None]
    return tuple(sorted(lines, key=lambda line: (-line.dollars, line.arn)))


def total(lines: Iterable[Line]) -> float:
    """US dollars a month, to the cent."""
    return round(sum(line.dollars for line in lines), 2)


def told(lines: Iterable[Line]) -> tuple[str, ...]:
    """In words, with the assumptions."""
    lines = tuple(lines)
    texts = [f"{line.what}: ${line.dollars:.2f} a month ({line.why})" for line in lines]
    return (*texts, f"${total(lines):.2f} a month in all, by {ASSUMPTION}") if texts else ()


def _line(verdict: Verdict) -> Line | None:
    resource = verdict.resource
    what = f"{resource.kind} {resource.name or words.short(resource.arn)}"
    if verdict.word is not Word.GARBAGE:
        stays = resource.kind is Kind.LOAD_BALANCER and any(verdict.owners)
        return Line(resource.arn, what, 0.0, f"it stays: {verdict.word}: {verdict.reason}") if stays else None
    if resource.kind is Kind.LOAD_BALANCER:
        addresses = len(resource.facts.get("addresses", "").split())
        dollars = HOURS * (LOAD_BALANCER_HOUR + addresses * PUBLIC_ADDRESS_HOUR)
        why = f"{HOURS} hours at ${LOAD_BALANCER_HOUR}"
        why += f", {addresses} public IPv4 at ${PUBLIC_ADDRESS_HOUR} each" if addresses else ""
        return Line(resource.arn, what, dollars, why)
    if resource.kind is Kind.ALARM:
        metrics = int(resource.facts.get("metrics") or 1)
        return Line(
            resource.arn, what, metrics * ALARM_METRIC, f"{words.plural(metrics, 'metric')} at ${ALARM_METRIC:.2f}"
        )
    if resource.kind is Kind.LOG_GROUP:
        stored = int(resource.facts.get("stored_bytes") or 0)
        return Line(resource.arn, what, stored / GIGABYTE * LOG_GIGABYTE, f"{stored} bytes at ${LOG_GIGABYTE} a GB")
    return None
