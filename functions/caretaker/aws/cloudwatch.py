"""Amazon CloudWatch: metrics out, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from caretaker.aws import clients, rates
from caretaker.aws.errors import AwsFailure, Denied, Unavailable, call
from caretaker.aws.listing import Listing
from caretaker.aws.paging import MAX_PAGES, batches

# CloudWatch API reference, GetMetricData: the limit of MetricDataQueries.
_QUERIES = 500
_OPERATION = "GetMetricData"

# Without AlarmTypes only metric alarms are given (CloudWatch API: DescribeAlarms).
DESCRIBE_ALARMS = Listing(
    "cloudwatch:DescribeAlarms",
    "cloudwatch",
    "describe_alarms",
    ("MetricAlarms", "CompositeAlarms"),
    rates.CLOUDWATCH_ALARMS,
    tokens=(("NextToken", "NextToken"),),
    fixed={"MaxRecords": 100, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]},
)
LIST_TAGS_FOR_RESOURCE = Listing(
    "cloudwatch:ListTagsForResource", "cloudwatch", "list_tags_for_resource", ("Tags",), rates.CLOUDWATCH_ALARMS
)

Series = dict[datetime, float]
"""Values by the beginning of their period."""


@dataclass(frozen=True, slots=True)
class Query:
    """One statistic of one metric.

    Attributes:
        namespace: e.g. `AWS/ApplicationELB`.
        metric: its name.
        dimensions: name and value of each; all of those that the metric is published with.
        stat: as CloudWatch names it, e.g. `Sum`, `p99`, `PR(0.5:)`.
    """

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    stat: str


def get_metric_data(queries: Iterable[Query], start: datetime, end: datetime, period: int = 60) -> dict[Query, Series]:
    """What each query gives from `start` on, `end` excluded. A metric without datapoints has an empty series.

    Every page is read; a series of which CloudWatch gives only a part is an error, since a missing datapoint means
    something else here than one that was not read.

    Args:
        start, end: aware; `start` on a multiple of the period.
        period: seconds, 60 or a multiple of it.

    Raises:
        Throttled: CloudWatch's limits of calls or datapoints a second, after botocore's own retries.
        Denied: the role may not read metrics; also of a single metric.
        Unavailable: CloudWatch could not compute a series, or gave out only part of one.
        AwsFailure: anything else.
    """
    found: dict[Query, Series] = {}
    for batch in batches(list(dict.fromkeys(queries)), _QUERIES):
        found |= _of_batch(batch, start, end, period)
    return found


def _of_batch(queries: Sequence[Query], start: datetime, end: datetime, period: int) -> dict[Query, Series]:
    by_id = {f"q{number}": query for number, query in enumerate(queries)}
    series: dict[str, Series] = {name: {} for name in by_id}
    status: dict[str, str] = {}
    request = {
        "MetricDataQueries": [_asked(name, query, period) for name, query in by_id.items()],
        "StartTime": start,
        "EndTime": end,
        "ScanBy": "TimestampAscending",
    }
    for result in _results(request):
        series[result["Id"]].update(zip(result["Timestamps"], result["Values"], strict=True))
        # The last word counts: a series that goes on in the next page is PartialData until then.
        status[result["Id"]] = result.get("StatusCode", "Complete")
    for name, query in by_id.items():
        _check(query, status.get(name, "Complete"))
    return {query: series[name] for name, query in by_id.items()}


def _asked(name: str, query: Query, period: int) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in query.dimensions]
    metric = {"Namespace": query.namespace, "MetricName": query.metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": period, "Stat": query.stat}}


def _results(request: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The results of every page; one series may come in several of them."""
    token: str | None = None
    for _ in range(MAX_PAGES):
        answer = call(clients.cloudwatch().get_metric_data, **request, **({"NextToken": token} if token else {}))
        yield from answer.get("MetricDataResults", [])
        following = answer.get("NextToken")
        if not following:
            return
        if following == token:
            break
        token = following
    raise AwsFailure(_OPERATION, "EndlessListing", "the pages of metric data did not end")


def _check(query: Query, status: str) -> None:
    """CloudWatch API, MetricDataResult.StatusCode: Complete, PartialData, InternalError or Forbidden."""
    if status == "Complete":
        return
    kind = Denied if status == "Forbidden" else Unavailable
    raise kind(_OPERATION, status, f"{query.namespace} {query.metric} {query.stat}")
