"""Amazon CloudWatch Logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from caretaker.aws import clients, rates
from caretaker.aws.listing import Listing
from caretaker.aws.paging import pages

_NEXT = (("nextToken", "nextToken"),)
_LIMIT = {"limit": 50}

DESCRIBE_LOG_GROUPS = Listing(
    "logs:DescribeLogGroups",
    "logs",
    "describe_log_groups",
    ("logGroups",),
    rates.LOGS_GROUPS,
    tokens=_NEXT,
    fixed=_LIMIT,
)
LIST_TAGS_FOR_RESOURCE = Listing(
    "logs:ListTagsForResource", "logs", "list_tags_for_resource", ("tags",), rates.LOGS_TAGS
)
DESCRIBE_SUBSCRIPTION_FILTERS = Listing(
    "logs:DescribeSubscriptionFilters",
    "logs",
    "describe_subscription_filters",
    ("subscriptionFilters",),
    rates.LOGS_SUBSCRIPTION_FILTERS,
    tokens=_NEXT,
    fixed=_LIMIT,
)
DESCRIBE_METRIC_FILTERS = Listing(
    "logs:DescribeMetricFilters",
    "logs",
    "describe_metric_filters",
    ("metricFilters",),
    rates.LOGS_METRIC_FILTERS,
    tokens=_NEXT,
    fixed=_LIMIT,
)


def log_group(name: str) -> dict[str, Any] | None:
    """The log group of exactly that name; None if there is none. Its ARN is `logGroupArn`, without `:*`."""
    found = pages(clients.client("logs").describe_log_groups, "logGroups", logGroupNamePrefix=name)
    return next((dict(item) for item in found if item.get("logGroupName") == name), None)


def created(group: dict[str, Any]) -> datetime:
    """When a log group was made."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(group["creationTime"]))
