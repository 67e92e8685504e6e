"""ECS's API rates: a token bucket for each kind of action, one set of buckets for the account.

Source: Amazon ECS API Reference, "Request throttling for the Amazon ECS API": the bucket holds the burst, and is
refilled with the sustained rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from twin.errors import AwsError
from twin.kernel.api import Call
from twin.kernel.clock import Clock


@dataclass(frozen=True)
class Rate:
    burst: float
    sustained: float


RATES = {
    "cluster read": Rate(50, 20),
    "cluster modify": Rate(20, 1),
    "cluster resource read": Rate(100, 20),
    "cluster resource modify": Rate(100, 40),
    "service read": Rate(100, 20),
    "service modify": Rate(50, 5),
    "task protection": Rate(200, 80),
}
KINDS = {
    "ListClusters": "cluster read",
    "DescribeClusters": "cluster read",
    "DescribeCapacityProviders": "cluster read",
    "CreateCluster": "cluster modify",
    "PutClusterCapacityProviders": "cluster modify",
    "CreateCapacityProvider": "cluster modify",
    "ListContainerInstances": "cluster resource read",
    "DescribeContainerInstances": "cluster resource read",
    "ListTasks": "cluster resource read",
    "DescribeTasks": "cluster resource read",
    "ListAttributes": "cluster resource read",
    "UpdateContainerInstancesState": "cluster resource modify",
    "DeregisterContainerInstance": "cluster resource modify",
    "PutAttributes": "cluster resource modify",
    "DeleteAttributes": "cluster resource modify",
    "RunTask": "cluster resource modify",
    "StopTask": "cluster resource modify",
    "ListServices": "service read",
    "DescribeServices": "service read",
    "ListServiceDeployments": "service read",
    "CreateService": "service modify",
    "UpdateService": "service modify",
    "DeleteService": "service modify",
    "GetTaskProtection": "task protection",
    "UpdateTaskProtection": "task protection",
}
"""Operations that are not named here are not throttled by the twin."""


class Throttle:
    """Counts what functions, machines and operators call; AWS itself and the builder of the world go free."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._levels: dict[str, tuple[float, float]] = {}

    def check(self, call: Call) -> None:
        """Take a token for a call. Raises ThrottlingException when there is none."""
        kind = KINDS.get(call.operation)
        if kind is None or call.caller.kind in ("aws", "world"):
            return
        rate = RATES[kind]
        now = self.clock.elapsed
        level, at = self._levels.get(kind, (rate.burst, now))
        level = min(rate.burst, level + (now - at) * rate.sustained)
        if level < 1:
            self._levels[kind] = (level, now)
            raise AwsError("ThrottlingException", "Rate exceeded", 400)
        self._levels[kind] = (level - 1, now)
