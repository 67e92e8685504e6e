"""The CloudWatch API: metrics in, metrics out, alarms.

Source: CloudWatch API reference. Datapoints are `twin.kernel.metrics`, alarms `twin.kernel.alarms`; the operations
on alarms are in `twin.kernel.alarm_operations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel import alarm_shapes, metric_queries
from twin.kernel.alarm_operations import AlarmOperations, offset
from twin.kernel.alarms import Alarms
from twin.kernel.api import Api, Call, operation
from twin.kernel.metric_queries import Query
from twin.kernel.metrics import Metric, Sample
from twin.kernel.statistics import statistic

_DAY = 86_400
_MOST_STATISTICS = 1_440
_MOST_DATA = 1_000
_PAGE = 500
_MOST_DATAPOINTS = 100_800


@dataclass
class _Rest:
    """What of a GetMetricData answer has not been given out yet."""

    request: Any
    results: list[dict[str, Any]]


class CloudWatch(AlarmOperations, Api):
    """The API's operations on the world's alarms and on the store behind them."""

    def __init__(self, alarms: Alarms) -> None:
        super().__init__()
        self.service = "cloudwatch"
        self._alarms = alarms
        self._kernel = alarms.kernel
        self._store = alarms.store
        self._rests: dict[str, _Rest] = {}

    # --- metrics in --------------------------------------------------------------------------------------------------
    @operation("PutMetricData", ["Namespace", "MetricData"])
    def put_metric_data(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """CloudWatch API: PutMetricData at standard resolution; visible at once."""
        if params["Namespace"].startswith("AWS/"):
            raise AwsError("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.")
        if len(params["MetricData"]) > _MOST_DATA:
            raise AwsError("InvalidParameterValue", f"The collection MetricData must not have more than {_MOST_DATA}.")
        for datum in params["MetricData"]:
            metric = Metric.of(
                params["Namespace"], datum["MetricName"], metric_queries.dimensions_of(datum.get("Dimensions", ()))
            )
            at = self._stamp_of(datum)
            for sample in _samples(datum):
                self._alarms.record(metric, at, sample)
        return {}

    def _stamp_of(self, datum: Mapping[str, Any]) -> float:
        now = self._kernel.clock.time()
        if "Timestamp" not in datum:
            return now
        at = _seconds(datum["Timestamp"])
        if not now - 14 * _DAY <= at <= now + 2 * 3_600:
            raise AwsError(
                "InvalidParameterValue",
                "The parameter MetricData.member.Timestamp must be within two weeks before and two hours after now.",
            )
        return at

    # --- metrics out -------------------------------------------------------------------------------------------------
    @operation(
        "GetMetricData",
        ["MetricDataQueries", "StartTime", "EndTime", "NextToken", "ScanBy", "MaxDatapoints", "LabelOptions"],
    )
    def get_metric_data(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """CloudWatch API: GetMetricData. What has not arrived yet is not there; the open minute is, in part."""
        most = params.get("MaxDatapoints", _MOST_DATAPOINTS)
        if not 1 <= most <= _MOST_DATAPOINTS:
            raise _invalid(f"The parameter MaxDatapoints must be between 1 and {_MOST_DATAPOINTS}.")
        token, request = params.pop("NextToken", None), params
        if token is None:
            return self._page(_Rest(request, self._results(params)), most)
        rest = self._rests.get(token)
        if rest is None or rest.request != request:
            raise AwsError("InvalidNextToken", "The next token specified is invalid.")
        return self._page(rest, most)

    def _results(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        queries = metric_queries.parse(params["MetricDataQueries"])
        start, end = self._range(params)
        for query in queries:
            _check_aligned(query, start)
        newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        solved = metric_queries.solve(self._store, queries, start, end)
        return [
            {"Id": query.id, "Label": query.shown, "Points": sorted(solved[query.id].items(), reverse=newest_first)}
            for query in queries
            if query.returned
        ]

    def _range(self, params: Mapping[str, Any]) -> tuple[int, float]:
        start, end = _seconds(params["StartTime"]), _seconds(params["EndTime"])
        if start >= end:
            raise _invalid("The parameter StartTime must be less than the parameter EndTime.")
        return metric_queries.rounded_start(start, self._kernel.clock.time()), end

    def _page(self, rest: _Rest, most: int) -> dict[str, Any]:
        """Up to `most` datapoints; a result that goes on in the next page is PartialData."""
        shown: list[dict[str, Any]] = []
        left: list[dict[str, Any]] = []
        for result in rest.results:
            now, later = result["Points"][:most], result["Points"][most:]
            most -= len(now)
            if later:
                left.append({**result, "Points": later})
            if now or not later:
                shown.append(_result_view(result, now, complete=not later))
        answer: dict[str, Any] = {"MetricDataResults": shown, "Messages": []}
        if left:
            token = f"page-{len(self._rests) + 1}"
            self._rests[token] = _Rest(rest.request, left)
            answer["NextToken"] = token
        return answer

    @operation(
        "GetMetricStatistics",
        ["Namespace", "MetricName", "Dimensions", "StartTime", "EndTime", "Period", "Statistics", "ExtendedStatistics"],
    )
    def get_metric_statistics(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """CloudWatch API: GetMetricStatistics; at most 1,440 datapoints, in no order (here: of time)."""
        wanted, extended = params.get("Statistics", []), params.get("ExtendedStatistics", [])
        if bool(wanted) == bool(extended):
            raise AwsError("InvalidParameterCombination", "Either Statistics or ExtendedStatistics must be specified.")
        metric_queries.check_period(params["Period"])
        start, end = self._range(params)
        if (end - start) / params["Period"] > _MOST_STATISTICS:
            raise AwsError(
                "InvalidParameterCombination",
                f"You have requested up to {round((end - start) / params['Period'])} datapoints, which exceeds the "
                f"limit of {_MOST_STATISTICS}.",
            )
        dimensions = metric_queries.dimensions_of(params.get("Dimensions", ()))
        metric = Metric.of(params["Namespace"], params["MetricName"], dimensions)
        points = []
        for stamp, point in self._store.periods(metric, start, end, params["Period"]):
            shown: dict[str, Any] = {"Timestamp": _moment(stamp)}
            shown |= {name: value for name in wanted if (value := statistic(name)(point)) is not None}
            if extended:
                values = {name: value for name in extended if (value := statistic(name)(point)) is not None}
                shown["ExtendedStatistics"] = values
            points.append(shown)
        return {"Label": params["MetricName"], "Datapoints": points}

    @operation("ListMetrics", ["Namespace", "MetricName", "Dimensions", "NextToken", "RecentlyActive"])
    def list_metrics(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """CloudWatch API: ListMetrics, in pages of 500; new metrics appear late, old ones for two weeks."""
        now = self._kernel.clock.time()
        since = now - (3 * 3_600 if params.get("RecentlyActive") else 14 * _DAY)
        found = [
            metric
            for metric in self._store.known(now - self._alarms.options.listed_after, since)
            if _is_listed(metric, params)
        ]
        first = offset(params.get("NextToken"))
        shown = [_metric_view(metric) for metric in found[first : first + _PAGE]]
        return {"Metrics": shown} | ({"NextToken": str(first + _PAGE)} if len(found) > first + _PAGE else {})


def _samples(datum: Mapping[str, Any]) -> list[Sample]:
    """What a MetricDatum reports: one value, values with counts, or a statistic set."""
    known = {"MetricName", "Dimensions", "Value", "Unit", "Timestamp", "Values", "Counts", "StatisticValues"}
    extra = sorted(set(datum) - known)
    if datum.get("StorageResolution", 60) == 60:
        extra = [name for name in extra if name != "StorageResolution"]
    if extra:
        raise Unmodelled(f"cloudwatch:PutMetricData: member {extra[0]} of a datum")
    if sum(name in datum for name in ("Value", "Values", "StatisticValues")) != 1:
        raise AwsError("InvalidParameterCombination", "Exactly one of Value, Values and StatisticValues is needed.")
    if "StatisticValues" in datum:
        given = datum["StatisticValues"]
        return [Sample(given["SampleCount"], given["Sum"], given["Minimum"], given["Maximum"])]
    if "Value" in datum:
        return [Sample.single(float(datum["Value"]))]
    values = datum["Values"]
    counts = datum.get("Counts", [1.0] * len(values))
    if not 0 < len(values) == len(counts) <= 150:
        raise AwsError("InvalidParameterValue", "Values and Counts must have the same length, at most 150.")
    return [Sample(count, value * count, value, value) for value, count in zip(values, counts, strict=True)]


def _result_view(result: Mapping[str, Any], points: list[tuple[int, float]], *, complete: bool) -> dict[str, Any]:
    return {
        "Id": result["Id"],
        "Label": result["Label"],
        "Timestamps": [_moment(stamp) for stamp, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete" if complete else "PartialData",
    }


def _check_aligned(query: Query, start: int) -> None:
    if query.metric and start % query.period:
        shown = _moment(start).isoformat()
        raise Unmodelled(f"cloudwatch:GetMetricData: StartTime {shown} is no multiple of the period {query.period}")


def _is_listed(metric: Metric, params: Mapping[str, Any]) -> bool:
    if params.get("Namespace") not in (None, metric.namespace) or params.get("MetricName") not in (None, metric.name):
        return False
    own = dict(metric.dimensions)
    return all(
        item["Name"] in own and item.get("Value", own[item["Name"]]) == own[item["Name"]]
        for item in params.get("Dimensions", ())
    )


def _metric_view(metric: Metric) -> dict[str, Any]:
    return {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": alarm_shapes.dimensions(metric)}


def _seconds(moment: Any) -> float:
    """Epoch seconds of what SDKs and the AWS CLI take for a time. One without a zone counts as UTC."""
    if isinstance(moment, int | float):
        return float(moment)
    try:
        parsed = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    except ValueError:
        raise Unmodelled(f"cloudwatch: the time {moment!r}") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
