"""Structured log lines and metrics, in CloudWatch's formats. Made on first use: importing reads no environment."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric


@lru_cache(maxsize=1)
def logger() -> Logger:
    """The function's logger: JSON lines with service and level (Powertools reads POWERTOOLS_SERVICE_NAME)."""
    return Logger(utc=True)


def bind(**keys: Any) -> None:
    """Begin an invocation: only `keys` are on each further line, nothing of an earlier invocation."""
    logger().clear_state()
    logger().append_keys(**keys)


def count(name: str, value: float = 1, **dimensions: str) -> None:
    """One metric data point in CloudWatch's embedded metric format, printed at once.

    Alarms read metrics without further dimensions than the service; give dimensions only for people's graphs.
    """
    with single_metric(name=name, unit=MetricUnit.Count, value=value) as metric:
        for key, text in sorted(dimensions.items()):
            metric.add_dimension(key, text)
