"""Everything that ECS knows, with an index for each way in which the API lists it."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from twin.ecs.model import CapacityProvider, Cluster, Host, Service, Task, TaskDefinition
from twin.errors import AwsError


class Numbered(Protocol):
    @property
    def number(self) -> int: ...


T = TypeVar("T", bound=Numbered)


class Index(Generic[T]):
    """Things in order of their number; a page after any number costs no scan of what comes before it."""

    __slots__ = ("_items", "_numbers")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._items: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[T]:
        return (self._items[number] for number in list(self._numbers))

    def add(self, item: T) -> None:
        if item.number in self._items:
            return
        self._items[item.number] = item
        if not self._numbers or item.number > self._numbers[-1]:
            self._numbers.append(item.number)
        else:
            insort(self._numbers, item.number)

    def remove(self, item: T) -> None:
        if self._items.pop(item.number, None) is not None:
            del self._numbers[bisect_right(self._numbers, item.number) - 1]

    def after(self, number: int) -> Iterator[T]:
        """The items with a greater number, in order."""
        for position in range(bisect_right(self._numbers, number), len(self._numbers)):
            yield self._items[self._numbers[position]]


TaskKey = tuple[str, ...]
EMPTY: Index[Task] = Index()


class Store:
    """The state of ECS in one account and region. Only the engine changes it; API handlers read it in place."""

    def __init__(self) -> None:
        self.clusters: dict[str, Cluster] = {}
        self.providers: dict[str, CapacityProvider] = {}
        self.definitions: dict[str, list[TaskDefinition]] = {}
        self.hosts: dict[str, Host] = {}
        self.hosts_by_instance: dict[str, Host] = {}
        self.cluster_hosts: dict[str, Index[Host]] = {}
        self.services: dict[str, Service] = {}
        self.cluster_services: dict[str, Index[Service]] = {}
        self.tasks: dict[str, Task] = {}
        self._task_index: dict[TaskKey, Index[Task]] = {}
        self._stopped: deque[tuple[float, Task]] = deque()
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        return self._number

    # --- clusters ------------------------------------------------------------------------------------------------
    def add_cluster(self, cluster: Cluster) -> None:
        self.clusters[cluster.name] = cluster
        self.cluster_hosts[cluster.name] = Index()
        self.cluster_services[cluster.name] = Index()

    def remove_cluster(self, cluster: Cluster) -> None:
        """An empty cluster is gone."""
        del self.clusters[cluster.name]

    def find_cluster(self, reference: str | None) -> Cluster | None:
        """By name or ARN; None means `default`, as in the API."""
        cluster = self.clusters.get((reference or "default").rsplit("/", 1)[-1])
        if cluster and reference and reference.startswith("arn:") and cluster.arn != reference:
            return None
        return cluster

    def cluster(self, reference: str | None) -> Cluster:
        found = self.find_cluster(reference)
        if found is None:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return found

    # --- container instances -------------------------------------------------------------------------------------
    def add_host(self, host: Host) -> None:
        self.hosts[host.arn] = host
        self.hosts_by_instance[host.instance_id] = host
        self.cluster_hosts[host.cluster.name].add(host)

    def find_host(self, cluster: Cluster, reference: str) -> Host | None:
        """By container instance id or ARN, within the cluster."""
        return self.hosts.get(_qualified(cluster, "container-instance", reference))

    # --- services ------------------------------------------------------------------------------------------------
    def add_service(self, service: Service) -> None:
        self.services[service.arn] = service
        self.cluster_services[service.cluster.name].add(service)

    def remove_service(self, service: Service) -> None:
        self.cluster_services[service.cluster.name].remove(service)

    def find_service(self, cluster: Cluster, reference: str) -> Service | None:
        return self.services.get(_qualified(cluster, "service", reference))

    def services_of(self, cluster: Cluster) -> Iterator[Service]:
        """The services that are not INACTIVE, in order of creation."""
        return iter(self.cluster_services[cluster.name])

    # --- task definitions ----------------------------------------------------------------------------------------
    def find_definition(self, reference: str) -> TaskDefinition | None:
        """By ARN, `family:revision`, or `family` (its latest ACTIVE revision)."""
        name = reference.rsplit("/", 1)[-1]
        family, _, revision = name.partition(":")
        revisions = self.definitions.get(family, [])
        if not revision:
            active = [definition for definition in revisions if definition.status == "ACTIVE"]
            return active[-1] if active else None
        found = (one for one in revisions if str(one.revision) == revision and one.status != "DELETED")
        return next(found, None)

    # --- tasks ---------------------------------------------------------------------------------------------------
    def add_task(self, task: Task) -> None:
        self.tasks[task.arn] = task
        for key in self._keys(task):
            self._index(key).add(task)

    def placed(self, task: Task) -> None:
        """A task got its instance."""
        if task.host is not None:
            self._index(("host", task.host.arn, task.desired_status)).add(task)

    def unwanted(self, task: Task) -> None:
        """A task's desired status became STOPPED; call after it changed."""
        for key in self._keys(task):
            self._index((*key[:-1], "RUNNING")).remove(task)
            self._index(key).add(task)

    def stopped(self, task: Task, at: float) -> None:
        """A task is STOPPED: it can be listed and described until `at` (elapsed seconds)."""
        self._stopped.append((at, task))

    def forget(self, task: Task) -> None:
        """ECS no longer accounts for a task."""
        self.tasks.pop(task.arn, None)
        for key in self._keys(task):
            self._index(key).remove(task)

    def purge(self, elapsed: float) -> None:
        while self._stopped and self._stopped[0][0] <= elapsed:
            self.forget(self._stopped.popleft()[1])

    def task_index(self, *key: str) -> Index[Task]:
        """Keys: cluster|host|service + ARN, family|startedBy + cluster name + value; then the desired status."""
        return self._task_index.get(key, EMPTY)

    def find_task(self, cluster: Cluster, reference: str) -> Task | None:
        return self.tasks.get(_qualified(cluster, "task", reference))

    def _index(self, key: TaskKey) -> Index[Task]:
        index = self._task_index.get(key)
        if index is None:
            index = self._task_index[key] = Index()
        return index

    def _keys(self, task: Task) -> list[TaskKey]:
        status = task.desired_status
        keys: list[TaskKey] = [
            ("cluster", task.cluster.arn, status),
            ("family", task.cluster.name, task.definition.family, status),
        ]
        if task.host is not None:
            keys.append(("host", task.host.arn, status))
        if task.service is not None:
            keys.append(("service", task.service.arn, status))
        if task.started_by:
            keys.append(("startedBy", task.cluster.name, task.started_by, status))
        return keys


def _qualified(cluster: Cluster, kind: str, reference: str) -> str:
    """The ARN that an id, a short ARN (without cluster name) or a full ARN means within a cluster."""
    prefix = cluster.arn.rsplit(":", 1)[0]
    if reference.startswith("arn:"):
        stem, _, rest = reference.partition(f":{kind}/")
        if stem != prefix or not rest:
            return ""
        return reference if "/" in rest else f"{prefix}:{kind}/{cluster.name}/{rest}"
    return f"{prefix}:{kind}/{cluster.name}/{reference}"
