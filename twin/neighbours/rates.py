"""API rates of the neighbours of ECS: token buckets for the account, as far as AWS publishes them.

Sources: Elastic Load Balancing user guide, "Request throttling" (Describe actions share a bucket); Amazon EC2 developer
guide, "Request throttling" (each action has its own; unfiltered and unpaginated listings a smaller one); AWS
Certificate Manager user guide, "Quotas"; AWS WAF developer guide, "Quotas"; Route 53 developer guide, "Quotas" (five
requests a second for the whole account); CloudWatch user guide and CloudWatch Logs user guide, "Quotas".
"""

from __future__ import annotations

from dataclasses import dataclass

from twin.errors import AwsError
from twin.kernel.api import Call
from twin.kernel.clock import Clock


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst` tokens into which `sustained` come each second."""

    burst: float
    sustained: float


def _even(rate: float) -> Rate:
    return Rate(rate, rate)


_ELB_DESCRIBE = Rate(40, 10)
_EC2_DESCRIBE = Rate(100, 20)
_EC2_UNFILTERED = Rate(50, 10)
_ROUTE53 = _even(5)
_BY_OPERATION = {
    ("acm", "DescribeCertificate"): _even(10),
    ("acm", "ListCertificates"): _even(8),
    ("acm", "ListTagsForCertificate"): _even(10),
    ("acm", "DeleteCertificate"): _even(10),
    ("cloudwatch", "DescribeAlarms"): _even(9),
    ("cloudwatch", "DeleteAlarms"): _even(3),
    ("logs", "DescribeLogGroups"): _even(10),
    ("logs", "DescribeMetricFilters"): _even(5),
    ("logs", "DescribeSubscriptionFilters"): _even(5),
    ("wafv2", "GetWebACLForResource"): _even(1),
}
_ERRORS = {
    "acm": "ThrottlingException",
    "cloudwatch": "Throttling",
    "ec2": "RequestLimitExceeded",
    "elbv2": "ThrottlingException",
    "logs": "ThrottlingException",
    "route53": "Throttling",
    "wafv2": "ThrottlingException",
}
_EC2_NARROWING = ("Filters", "MaxResults", "NextToken")


class Rates:
    """Counts what functions, machines and operators call; services of AWS have buckets of their own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._levels: dict[tuple[str, str], tuple[float, float]] = {}

    def check(self, call: Call) -> None:
        """Take a token for a call. AwsError in the service's own words when there is none."""
        if call.caller.kind in ("aws", "world"):
            return
        found = _bucket(call)
        if found is None:
            return
        key, rate = found
        now = self._clock.elapsed
        level, at = self._levels.get(key, (rate.burst, now))
        level = min(rate.burst, level + (now - at) * rate.sustained)
        # A millionth is what adding up fractions of tokens loses.
        short = level < 1 - 1e-6
        self._levels[key] = (level if short else level - 1, now)
        if short:
            text = "Request limit exceeded." if call.service == "ec2" else "Rate exceeded"
            raise AwsError(_ERRORS[call.service], text, 503 if call.service == "ec2" else 400)


def _bucket(call: Call) -> tuple[tuple[str, str], Rate] | None:
    """The bucket that a call takes from; None where no rate is published."""
    service, operation = call.service, call.operation
    if service == "route53":
        return (service, "*"), _ROUTE53
    if service == "elbv2" and operation.startswith("Describe"):
        return (service, "Describe"), _ELB_DESCRIBE
    if service == "ec2" and operation.startswith("Describe"):
        narrowed = any(member in _EC2_NARROWING or member.endswith("Ids") for member in call.params)
        return ((service, operation), _EC2_DESCRIBE) if narrowed else ((service, f"{operation}*"), _EC2_UNFILTERED)
    rate = _BY_OPERATION.get((service, operation))
    return ((service, operation), rate) if rate else None
