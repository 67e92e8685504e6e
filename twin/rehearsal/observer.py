"""Gathers the evidence while a world runs: what was called, what fell, who was alive when a host was ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twin.kernel.api import WORLD, Call
from twin.kernel.kernel import Entry
from twin.rehearsal.evidence import (
    Change,
    Drained,
    Evidence,
    GroupState,
    HostEnd,
    HostState,
    ServiceState,
    Snapshot,
    Work,
    mutating,
    ours,
)
from twin.rehearsal.policies import hosts_policy
from twin.rehearsal.spec import WorldSpec

if TYPE_CHECKING:
    from twin.world import World

_ENDS = frozenset(
    {
        "autoscaling:TerminateInstanceInAutoScalingGroup",
        "ec2:TerminateInstances",
        "ec2:StopInstances",
        "autoscaling:DetachInstances",
    }
)


class Observer:
    """Watches a settled world from its start on.

    Args:
        world: the composed world.
        budget: cluster name -> hosts at once that policy allows.
    """

    def __init__(self, world: World, budget: Mapping[str, int]) -> None:
        self._world = world
        self._budget = budget
        self._kernel = world.kernel
        self.works: dict[str, Work] = {}
        self.changes: list[Change] = []
        self._ends: list[HostEnd] = []
        self._drained: list[Drained] = []
        self._scaled: set[str] = set()
        self._first_call = len(world.kernel.calls)
        self.before = snapshot(world)
        self.healthy_before = {arn: world.ecs.healthy_count(arn) for arn in self.before.services}
        self._healthy = dict(self.healthy_before)
        world.ecs.health_listeners.append(self._health_changed)
        world.gateway.completed.append(self._completed)
        world.kernel.calls.listeners.append(self._about_to)
        world.kernel.listeners.append(self._noted)

    # --- while it runs -----------------------------------------------------------------------------------------------
    def _health_changed(self, change: Any) -> None:
        before = self._healthy.get(change.service_arn, 0)
        self._healthy[change.service_arn] = change.healthy
        cause = change.cause
        self.changes.append(Change(change.at, change.service_arn, before, change.healthy, change.desired, cause))

    def _noted(self, entry: Entry) -> None:
        if entry.kind == "group.desired" and entry.data["cause"] is None:
            self._scaled.add(str(entry.data["group"]))

    def _about_to(self, call: Call) -> None:
        """Before a call takes effect: who is alive on the hosts that it ends?"""
        if f"{call.service}:{call.operation}" not in _ENDS or not ours(call):
            return
        single = call.params.get("InstanceId")
        for instance in [*call.params.get("InstanceIds", ()), *([single] if single else ())]:
            self._ends.append(HostEnd(call, instance, tuple(sorted(self._matter(instance)))))

    def _completed(self, call: Call, response: Mapping[str, Any]) -> None:
        if call.service == "stepfunctions" and call.operation == "StartExecution" and ours(call):
            self._started(call)
        elif call.operation == "UpdateContainerInstancesState" and ours(call):
            self._draining(call)

    def _started(self, call: Call) -> None:
        given = json.loads(call.params.get("input", "{}"))
        name = given.get("work")
        if not name or name in self.works:
            return
        hosts = tuple(given.get("hosts", ()))
        surveyed = {arn: owner for host in hosts for arn, owner in self.alive_on(host).items()}
        self.works[name] = Work(
            name=name,
            cluster=str(given.get("cluster", "")).rsplit("/", 1)[-1],
            hosts=hosts,
            mode=str(given.get("mode", "act")),
            claimed=call.at,
            claimed_by=call.number,
            surveyed=surveyed,
        )

    def _draining(self, call: Call) -> None:
        cluster = str(call.params.get("cluster", "default")).rsplit("/", 1)[-1]
        if call.params.get("status") != "DRAINING":
            return
        store = self._world.ecs.store
        hosts = [host for host in store.cluster_hosts.get(cluster, ()) if host.status == "DRAINING"]
        drained = sum(1 for host in hosts if host.drained_by is not None and ours(host.drained_by) and host.running)
        self._drained.append(Drained(call, cluster, drained, self._budget.get(cluster, 1)))

    def _matter(self, instance: str) -> list[str]:
        """Tasks alive on a host that have to be gone before its end: all on a host that is being replaced; on any other
        host (a launched one that an undo takes back) all but daemons, which follow their host.

        A host whose agent is disconnected never reports a task as STOPPED. There only tasks matter that ECS has not
        told to stop: the others have their healthy successors, which the golden rule watches, and end with the host.
        """
        store = self._world.ecs.store
        host = store.hosts_by_instance.get(instance)
        silent = host is not None and not host.agent_connected
        daemons_matter = not silent and any(instance in work.hosts for work in self.works.values())
        return [
            arn
            for arn, owner in self.alive_on(instance).items()
            if (daemons_matter or not owner or store.services[owner].strategy != "DAEMON")
            and not (silent and store.tasks[arn].desired_status == "STOPPED")
        ]

    def alive_on(self, instance: str) -> dict[str, str]:
        """task ARN -> service ARN or "" of every task on a host that is not STOPPED."""
        host = self._world.ecs.store.hosts_by_instance.get(instance)
        if host is None:
            return {}
        return {
            task.arn: task.service.arn if task.service else ""
            for task in host.tasks.values()
            if task.last_status != "STOPPED" and not task.dead
        }

    # --- afterwards --------------------------------------------------------------------------------------------------
    @property
    def calls(self) -> list[Call]:
        """Every call after the start, but for the looks of the rehearsal itself."""
        return [call for call in self._kernel.calls[self._first_call :] if call.caller != WORLD]

    def evidence(self, executions: int, unfinished: list[str], without_outcome: list[str]) -> Evidence:
        calls = self.calls
        return Evidence(
            before=self.before,
            after=snapshot(self._world),
            healthy_before=self.healthy_before,
            changes=self.changes,
            calls=calls,
            works=list(self.works.values()),
            ends=[end for end in self._ends if mutating(end.call)],
            drained=[each for each in self._drained if each.call.error is None],
            executions=executions,
            unfinished=unfinished,
            without_outcome=without_outcome,
            launched=launched(self._world, self.before),
            scaled=frozenset(self._scaled),
            may_shrink=shrinkable(self._world.spec),
        )


def shrinkable(spec: WorldSpec) -> frozenset[str]:
    """Groups whose cluster's policy lets them become smaller."""
    groups = ((group.name, spec.cluster_of(group)) for group in spec.groups)
    return frozenset(name for name, cluster in groups if hosts_policy(spec, cluster).get("allow_shrink"))


def launched(world: World, before: Snapshot) -> dict[str, str]:
    """instance id -> group of every instance that was launched after the start and still runs."""
    known = {host for group in before.groups.values() for host in group.protected}
    return {
        instance.instance_id: instance.group_name or ""
        for instance in world.ec2.instances.values()
        if instance.instance_id not in known and instance.alive
    }


# --- snapshots -------------------------------------------------------------------------------------------------------
def snapshot(world: World) -> Snapshot:
    """How the fleet stands now, read through the API."""
    return Snapshot(services=_services(world), groups=_groups(world), hosts=_hosts(world))


def _call(world: World, service: str, operation: str, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = world.gateway.call(service, operation, params, WORLD)
    return answer


def _paged(world: World, operation: str, member: str, **params: Any) -> list[str]:
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = _call(world, "ecs", operation, **params, **token)
        found += answer[member]
        if not answer.get("nextToken"):
            return found
        token = {"nextToken": answer["nextToken"]}


def _chunks(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _clusters(world: World) -> list[str]:
    """The world's clusters that are there still."""
    there = {arn.rpartition("/")[2] for arn in _paged(world, "ListClusters", "clusterArns")}
    return [each for each in world.spec.clusters if each in there]


def _services(world: World) -> dict[str, ServiceState]:
    found: dict[str, ServiceState] = {}
    for cluster in _clusters(world):
        for arns in _chunks(_paged(world, "ListServices", "serviceArns", cluster=cluster), 10):
            for service in _call(world, "ecs", "DescribeServices", cluster=cluster, services=arns)["services"]:
                found[service["serviceArn"]] = _service(service, cluster)
    return found


def _service(data: Mapping[str, Any], cluster: str) -> ServiceState:
    configuration = data.get("deploymentConfiguration", {})
    daemon = data.get("schedulingStrategy") == "DAEMON"
    settings: dict[str, object] = {
        "minimumHealthyPercent": configuration.get("minimumHealthyPercent"),
        "maximumPercent": configuration.get("maximumPercent"),
        "deploymentCircuitBreaker": configuration.get("deploymentCircuitBreaker"),
        "taskDefinition": data.get("taskDefinition"),
        "availabilityZoneRebalancing": data.get("availabilityZoneRebalancing"),
    }
    if not daemon:
        settings["desiredCount"] = data["desiredCount"]
    return ServiceState(
        arn=data["serviceArn"],
        name=data["serviceName"],
        cluster=cluster,
        daemon=daemon,
        desired=data["desiredCount"],
        settings=settings,
    )


def _groups(world: World) -> dict[str, GroupState]:
    names = [group.name for group in world.spec.groups]
    answer = _call(world, "autoscaling", "DescribeAutoScalingGroups", AutoScalingGroupNames=names, MaxRecords=100)
    return {
        group["AutoScalingGroupName"]: GroupState(
            name=group["AutoScalingGroupName"],
            settings={
                "MinSize": group["MinSize"],
                "MaxSize": group["MaxSize"],
                "DesiredCapacity": group["DesiredCapacity"],
                "SuspendedProcesses": sorted(each["ProcessName"] for each in group["SuspendedProcesses"]),
            },
            protected={each["InstanceId"]: each["ProtectedFromScaleIn"] for each in group["Instances"]},
        )
        for group in answer["AutoScalingGroups"]
    }


def _hosts(world: World) -> dict[str, HostState]:
    found: dict[str, HostState] = {}
    for cluster in _clusters(world):
        for arns in _chunks(_paged(world, "ListContainerInstances", "containerInstanceArns", cluster=cluster), 100):
            answer = _call(world, "ecs", "DescribeContainerInstances", cluster=cluster, containerInstances=arns)
            for host in answer["containerInstances"]:
                found[host["ec2InstanceId"]] = HostState(
                    instance=host["ec2InstanceId"],
                    arn=host["containerInstanceArn"],
                    cluster=cluster,
                    status=host["status"],
                    tasks=host["runningTasksCount"] + host["pendingTasksCount"],
                )
    return found
