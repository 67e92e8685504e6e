"""What services use of their CPU and memory, and the requests that each target gets: what they are scaled by.

Sources: Amazon ECS Developer Guide, "Amazon ECS service utilization metrics" (AWS/ECS CPUUtilization and
MemoryUtilization by ClusterName and ServiceName, each minute); Application Load Balancer guide, "CloudWatch metrics"
(RequestCountPerTarget). How much a request costs is the world's word; nothing of it is random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from twin.kernel.kernel import Kernel
from twin.kernel.metrics import MINUTE, Metric, MetricStore, Report, Sample
from twin.traffic.model import TrafficOptions
from twin.traffic.reports import NAMESPACE, balancer_dimension, group_dimension
from twin.traffic.traffic import LOOK, Sent, Traffic

ECS = "AWS/ECS"


@dataclass(frozen=True)
class Load:
    """What a task of a service uses, in percent of what it may: when idle, and for each request a minute."""

    cpu_idle: float = 0.0
    cpu_per_request: float = 0.0
    memory_idle: float = 0.0
    memory_per_request: float = 0.0

    def cpu(self, requests: float) -> float:
        return min(100.0, self.cpu_idle + self.cpu_per_request * requests)

    def memory(self, requests: float) -> float:
        return min(100.0, self.memory_idle + self.memory_per_request * requests)


@dataclass(frozen=True)
class Loaded:
    """A service with a load.

    Attributes:
        running: how many tasks run now.
        groups: ARNs of the target groups that it is in.
    """

    cluster: str
    name: str
    running: int
    groups: Sequence[str]


class Usage:
    """Reports each minute, in the background.

    Args:
        services: those that are there now, with what they use.
        balancer_of: the load balancer of a target group, None for one without.
        traffic: where the requests come from; without it services are idle.
    """

    def __init__(
        self,
        kernel: Kernel,
        store: MetricStore,
        services: Callable[[], Iterable[tuple[Loaded, Load]]],
        balancer_of: Callable[[str], str | None],
        traffic: Traffic | None = None,
        options: TrafficOptions | None = None,
    ) -> None:
        self._kernel = kernel
        self._store = store
        self._services = services
        self._balancer_of = balancer_of
        self._options = options or TrafficOptions()
        self._requests: dict[str, float] = {}
        self._per_target: dict[str, float] = {}
        self._looked: dict[tuple[str, str], float] = {}
        if traffic is not None:
            traffic.listeners.append(self._sent)

    def start(self) -> None:
        """Report at the end of each minute from now on."""
        time = self._kernel.clock.time()
        delay = MINUTE - time % MINUTE
        self._kernel.scheduler.call_later(delay, self._minute, name="usage", background=True)

    def _sent(self, sent: Sent) -> None:
        self._requests[sent.group] = self._requests.get(sent.group, 0.0) + sent.requests
        if self._looked.get((sent.group, sent.rule)) != sent.at:  # a look is told once for each zone
            self._looked[sent.group, sent.rule] = sent.at
            self._per_target[sent.group] = self._per_target.get(sent.group, 0.0) + sent.load * LOOK / 60

    def _minute(self) -> None:
        now = self._kernel.clock.time()
        requests, self._requests = self._requests, {}
        per_target, self._per_target = self._per_target, {}
        reports = [*self._of_services(requests), *self._of_groups(per_target)]
        if reports:
            self._store.send(now - MINUTE, reports, now + self._options.lag)
        self.start()

    def _of_services(self, requests: Mapping[str, float]) -> Iterable[Report]:
        for service, load in self._services():
            if not service.running:
                continue
            each = sum(requests.get(group, 0.0) for group in service.groups) / service.running
            dimensions = {"ClusterName": service.cluster, "ServiceName": service.name}
            for name, value in (("CPUUtilization", load.cpu(each)), ("MemoryUtilization", load.memory(each))):
                count = float(service.running)
                yield Metric.of(ECS, name, dimensions), Sample(count, value * count, value, value)

    def _of_groups(self, per_target: Mapping[str, float]) -> Iterable[Report]:
        for group, value in per_target.items():
            balancer = self._balancer_of(group)
            if balancer is not None and value:
                dimensions = {"LoadBalancer": balancer_dimension(balancer), "TargetGroup": group_dimension(group)}
                yield Metric.of(NAMESPACE, "RequestCountPerTarget", dimensions), Sample.single(value)
