"""How fast the twin's ECS answers at 10,000 tasks on 1,000 hosts.

    python -m benchmarks.bench_ecs [--hosts N] [--tasks N]

prints, through boto3 clients in one process, the median of a DescribeTasks of 100 (target 5 ms) and of a ListTasks page
(target 2 ms), and what building the fleet and draining ten hosts of it cost.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from typing import Any

from twin.ecs import Ecs, EcsOptions
from twin.kernel.api import WORLD, Caller
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.neighbours.ec2 import Ec2, Launch
from twin.neighbours.elbv2 import Elbv2, Elbv2Options

DESCRIBE_TARGET_MS = 5.0
LIST_TARGET_MS = 2.0
PER_SERVICE = 100
OPERATOR = Caller("operator", "bench")


class NoBus:
    """Counts events; who listens to them is not what is measured."""

    def __init__(self) -> None:
        self.events = 0

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
        self.events += 1


@dataclass(frozen=True)
class Figures:
    """Milliseconds for calls, seconds for the rest."""

    tasks: int
    describe_tasks_ms: float
    list_tasks_ms: float
    describe_instances_ms: float
    build_s: float
    drain_s: float


def fleet(hosts: int, tasks: int) -> tuple[Kernel, Gateway, Ecs]:
    """A cluster of `hosts` instances in three zones that runs `tasks` tasks of services of 100."""
    kernel = Kernel(datetime(2026, 3, 1, tzinfo=UTC), seed=1, region="us-east-1", account="123456789012")
    gateway = Gateway(kernel)
    bus = NoBus()
    ec2, elbv2 = Ec2(kernel, bus), Elbv2(kernel, Elbv2Options())
    ecs = Ecs(kernel, bus, elbv2, EcsOptions(throttle=False))
    ec2.ecs = ecs
    for api in (ec2, elbv2, ecs):
        gateway.register(api)
    zones = "abc"
    for zone in zones:
        ec2.add_subnet(f"subnet-{zone}", f"us-east-1{zone}")
    gateway.call("ecs", "CreateCluster", {"clusterName": "bench"}, WORLD)
    for number in range(hosts):
        ec2.launch(Launch("m5.xlarge", f"subnet-{zones[number % 3]}", user_data="ECS_CLUSTER=bench"))
    kernel.scheduler.run()
    container = {"name": "app", "image": "app:1", "cpu": 64, "memory": 128, "portMappings": [{"containerPort": 80}]}
    gateway.call("ecs", "RegisterTaskDefinition", {"family": "app", "containerDefinitions": [container]}, WORLD)
    for number in range(0, tasks, PER_SERVICE):
        service = {"cluster": "bench", "serviceName": f"s{number}", "taskDefinition": "app"}
        count = min(PER_SERVICE, tasks - number)
        gateway.call("ecs", "CreateService", {**service, "desiredCount": count}, WORLD)
    kernel.scheduler.run()
    kernel.settled = True
    return kernel, gateway, ecs


def milliseconds(call: Callable[[], object], times: int = 50) -> float:
    spent = []
    for _ in range(times):
        begun = perf_counter()
        call()
        spent.append((perf_counter() - begun) * 1000)
    return median(spent)


def measure(hosts: int = 1000, tasks: int = 10_000) -> Figures:
    """Build the fleet, and time calls on it."""
    begun = perf_counter()
    kernel, gateway, ecs = fleet(hosts, tasks)
    build = perf_counter() - begun
    with gateway.intercepted():
        client = gateway.client("ecs", OPERATOR)
        pages = [client.list_tasks(cluster="bench")]
        while len(pages) < 50 and "nextToken" in pages[-1]:
            pages.append(client.list_tasks(cluster="bench", nextToken=pages[-1]["nextToken"]))
        token, arns = pages[-1 if "nextToken" in pages[-1] else 0].get("nextToken", ""), pages[-1]["taskArns"]
        instances = client.list_container_instances(cluster="bench")["containerInstanceArns"]
        page = {"nextToken": token} if token else {}
        listing = milliseconds(lambda: client.list_tasks(cluster="bench", **page))
        describing = milliseconds(lambda: client.describe_tasks(cluster="bench", tasks=arns))
        looking = milliseconds(
            lambda: client.describe_container_instances(cluster="bench", containerInstances=instances)
        )
        client.update_container_instances_state(cluster="bench", containerInstances=instances[:10], status="DRAINING")
        begun = perf_counter()
        kernel.scheduler.run()
    return Figures(len(ecs.store.tasks), describing, listing, looking, build, perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=10_000)
    given = parser.parse_args()
    figures = measure(given.hosts, given.tasks)
    print(f"{given.tasks} tasks on {given.hosts} hosts")
    print(f"  DescribeTasks of 100              {figures.describe_tasks_ms:8.2f} ms (target {DESCRIBE_TARGET_MS} ms)")
    print(f"  ListTasks, a page                 {figures.list_tasks_ms:8.2f} ms (target {LIST_TARGET_MS} ms)")
    print(f"  DescribeContainerInstances of 100 {figures.describe_instances_ms:8.2f} ms")
    print(f"  building the fleet                {figures.build_s:8.2f} s")
    print(f"  draining ten hosts                {figures.drain_s:8.2f} s")


if __name__ == "__main__":
    main()
