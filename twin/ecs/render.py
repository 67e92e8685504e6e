"""How the API and the events show things. Every function builds its answer anew.

`moment` turns a time into what the caller wants: as it is for the API, ISO 8601 text for events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import datetime
from typing import Any

from twin.ecs.containers import attachment, container, place
from twin.ecs.deployment import Deployment
from twin.ecs.fargate import PLATFORM
from twin.ecs.model import (
    AGENT_PORTS,
    CapacityProvider,
    Cluster,
    Host,
    Service,
    Tags,
    Task,
    TaskDefinition,
)
from twin.ecs.native import revisions
from twin.ecs.native.describe import configuration
from twin.ecs.query import AGENT_VERSION
from twin.ecs.tasksets import shown as task_set
from twin.kernel.clock import iso

Shown = dict[str, Any]
Moment = Callable[[datetime], Any]
VERSION_INFO = {"agentVersion": AGENT_VERSION, "agentHash": "0f1e2d3c", "dockerVersion": "DockerVersion: 25.0.6"}
MAX_MESSAGES = 100


def as_is(moment: datetime) -> datetime:
    return moment


def tag_list(tags: Tags) -> list[Shown]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _integer(name: str, value: int, api: bool) -> Shown:
    if api:
        return {"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value}
    return {"name": name, "type": "INTEGER", "integerValue": value}


def _strings(name: str, values: Iterable[str], api: bool) -> Shown:
    shown: Shown = {"name": name, "type": "STRINGSET", "stringSetValue": list(values)}
    return {**shown, "doubleValue": 0.0, "longValue": 0, "integerValue": 0} if api else shown


def _resources(cpu: int, memory: int, tcp: Iterable[str], udp: Iterable[str], gpus: Iterable[str], api: bool) -> Any:
    shown = [
        _integer("CPU", cpu, api),
        _integer("MEMORY", memory, api),
        _strings("PORTS", tcp, api),
        _strings("PORTS_UDP", udp, api),
    ]
    ids = list(gpus)
    return [*shown, _strings("GPU", ids, api)]


def attributes(host: Host) -> list[Shown]:
    return [
        {"name": name, "value": value} if value is not None else {"name": name}
        for name, value in host.attributes.items()
    ]


def container_instance(host: Host, *, tags: bool = False, health: bool = False) -> Shown:
    """ECS API: ContainerInstance."""
    shown = _host(host, api=True)
    shown["registeredAt"] = host.registered_at
    if host.capacity_provider:
        shown["capacityProviderName"] = host.capacity_provider
    if tags:
        shown["tags"] = tag_list(host.tags)
    if health:
        status = "OK" if host.agent_connected else "INSUFFICIENT_DATA"
        detail = {
            "type": "CONTAINER_RUNTIME",
            "status": status,
            "lastUpdated": host.updated_at,
            "lastStatusChange": host.updated_at,
        }
        shown["healthStatus"] = {"overallStatus": status, "details": [detail]}
    return shown


def host_event(host: Host) -> Shown:
    """The detail of "ECS Container Instance State Change"."""
    shown = _host(host, api=False)
    return {
        "accountType": "standard",
        "clusterArn": host.cluster.arn,
        **shown,
        "registeredAt": iso(host.registered_at),
        "updatedAt": iso(host.updated_at),
    }


def _host(host: Host, api: bool) -> Shown:
    running = [task for task in host.tasks.values() if task.wanted]
    tcp = [*AGENT_PORTS, *(str(port) for port in sorted(host.ports["tcp"]))]
    udp = [str(port) for port in sorted(host.ports["udp"])]
    return {
        "containerInstanceArn": host.arn,
        "ec2InstanceId": host.instance_id,
        "version": host.version,
        "versionInfo": dict(VERSION_INFO),
        "remainingResources": _resources(host.free_cpu, host.free_memory, tcp, udp, host.free_gpus, api),
        "registeredResources": _resources(host.cpu, host.memory, AGENT_PORTS, (), host.gpus, api),
        "status": host.status,
        "agentConnected": host.agent_connected,
        "runningTasksCount": len(running),
        "pendingTasksCount": sum(task.last_status == "PENDING" for task in running),
        "attributes": attributes(host),
        "attachments": [],
    }


_TIMES = (
    ("connectivityAt", "connectivity_at"),
    ("pullStartedAt", "pull_started_at"),
    ("pullStoppedAt", "pull_stopped_at"),
    ("startedAt", "started_at"),
    ("stoppingAt", "stopping_at"),
    ("executionStoppedAt", "execution_stopped_at"),
    ("stoppedAt", "stopped_at"),
)


def task(each: Task, *, moment: Moment = as_is, tags: bool = False) -> Shown:
    """ECS API: Task."""
    definition = each.definition
    shown: Shown = {
        "attachments": [attachment(each)] if each.attachment else [],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "clusterArn": each.cluster.arn,
        "containers": [
            container(each, item, number) for number, item in enumerate(definition.raw["containerDefinitions"])
        ],
        "cpu": str(definition.demand.cpu),
        "createdAt": moment(each.created_at),
        "desiredStatus": each.desired_status,
        "enableExecuteCommand": False,
        "group": each.group,
        "healthStatus": each.container_health,
        "lastStatus": each.last_status,
        "memory": str(definition.demand.memory),
        "overrides": dict(each.overrides),
        "taskArn": each.arn,
        "taskDefinitionArn": definition.arn,
        "version": each.version,
    }
    shown |= place(each)
    if each.capacity_provider:
        shown["capacityProviderName"] = each.capacity_provider
    if each.connectivity_at:
        shown["connectivity"] = "CONNECTED"
    for name, attribute in _TIMES:
        value = getattr(each, attribute)
        if value is not None:
            shown[name] = moment(value)
    if each.started_by:
        shown["startedBy"] = each.started_by
    if each.stop_code:
        shown["stopCode"] = each.stop_code
    if each.stopped_reason:
        shown["stoppedReason"] = each.stopped_reason
    if tags:
        shown["tags"] = tag_list(each.tags)
    return shown


def task_event(each: Task) -> Shown:
    """The detail of "ECS Task State Change"."""
    shown = task(each, moment=iso)
    del shown["healthStatus"]
    shown["updatedAt"] = iso(each.updated_at)
    for item in shown["attachments"]:
        item["type"] = "eni"
    return shown


def definition(each: TaskDefinition) -> Shown:
    """ECS API: TaskDefinition."""
    gone = {"deregisteredAt": each.deregistered_at} if each.deregistered_at is not None else {}
    return {
        **deepcopy(each.raw),
        "taskDefinitionArn": each.arn,
        "revision": each.revision,
        "status": each.status,
        "registeredAt": each.registered_at,
        **gone,
    }


def cluster(
    each: Cluster,
    hosts: Iterable[Host],
    services: Iterable[Service],
    counts: tuple[int, int],
    status: str = "ACTIVE",
) -> Shown:
    """ECS API: Cluster. `counts`: tasks RUNNING and PENDING."""
    return {
        "clusterArn": each.arn,
        "clusterName": each.name,
        "status": status,
        "registeredContainerInstancesCount": sum(host.status in ("ACTIVE", "DRAINING") for host in hosts),
        "runningTasksCount": counts[0],
        "pendingTasksCount": counts[1],
        "activeServicesCount": sum(service.status == "ACTIVE" for service in services),
        "statistics": [],
        "tags": [],
        "settings": [dict(setting) for setting in each.settings],
        "capacityProviders": list(each.capacity_providers),
        "defaultCapacityProviderStrategy": [dict(item) for item in each.default_strategy],
    }


def capacity_provider(each: CapacityProvider, *, tags: bool = False) -> Shown:
    """ECS API: CapacityProvider."""
    provider = {**each.provider, "managedScaling": dict(each.provider["managedScaling"])}
    shown: Shown = {
        "capacityProviderArn": each.arn,
        "name": each.name,
        "status": "ACTIVE",
        "autoScalingGroupProvider": provider,
    }
    return {**shown, "tags": tag_list(each.tags)} if tags else shown


def counts(tasks: Iterable[Task]) -> tuple[int, int]:
    """Tasks that are RUNNING, and that are to be; tasks that ECS stops count in neither."""
    running = pending = 0
    for each in tasks:
        if each.wanted:
            running += each.last_status == "RUNNING"
            pending += each.last_status != "RUNNING"
    return running, pending


def deployment(each: Deployment) -> Shown:
    """ECS API: Deployment."""
    service = each.service
    running, pending = counts(task for task in service.tasks.values() if task.deployment is each)
    shown: Shown = {
        "id": each.id,
        "status": each.status,
        "taskDefinition": each.definition.arn,
        "desiredCount": _desired_of(each),
        "pendingCount": pending,
        "runningCount": running,
        "failedTasks": each.failures,
        "createdAt": each.created_at,
        "updatedAt": each.updated_at,
        "rolloutState": each.rollout,
        "rolloutStateReason": each.reason,
    }
    return {**shown, **_launch(service), **_network(service)}


def _desired_of(each: Deployment) -> int:
    if each.service.side_by_side:
        return each.wanted
    return each.service.desired if each.status == "PRIMARY" else 0


def _revisions(service: Service) -> list[Shown]:
    """ECS API: ServiceCurrentRevisionSummary."""
    found: dict[str, Shown] = {}
    for each in service.deployments:
        arn = each.revision.arn
        requested = _desired_of(each) + (found[arn]["requestedTaskCount"] if arn in found else 0)
        found[arn] = revisions.summary(service, each.revision, requested)
    return list(found.values())


def _launch(service: Service) -> Shown:
    if service.capacity_strategy:
        return {"capacityProviderStrategy": [dict(item) for item in service.capacity_strategy]}
    shown: Shown = {"launchType": service.launch_type}
    return {**shown, **PLATFORM} if service.launch_type == "FARGATE" else shown


def _network(service: Service) -> Shown:
    network = service.raw.get("networkConfiguration")
    return {"networkConfiguration": {"awsvpcConfiguration": dict(network["awsvpcConfiguration"])}} if network else {}


def service(each: Service, *, tags: bool = False) -> Shown:
    """ECS API: Service."""
    running, pending = counts(each.tasks.values())
    shown: Shown = {
        "serviceArn": each.arn,
        "serviceName": each.name,
        "clusterArn": each.cluster.arn,
        "loadBalancers": [dict(item) for item in each.load_balancers],
        "serviceRegistries": [dict(item) for item in each.raw.get("serviceRegistries", ())],
        "status": each.status,
        "desiredCount": each.desired,
        "runningCount": running,
        "pendingCount": pending,
        "deploymentConfiguration": configuration(each),
        "deployments": [],
        "events": [
            {"id": event_id, "createdAt": at, "message": message}
            for at, event_id, message in reversed(each.messages[-MAX_MESSAGES:])
        ],
        "createdAt": each.created_at,
        "placementConstraints": [dict(item) for item in each.raw.get("placementConstraints", ())],
        "placementStrategy": [dict(item) for item in each.raw.get("placementStrategy", ())],
        "schedulingStrategy": each.strategy,
        "enableECSManagedTags": bool(each.raw.get("enableECSManagedTags", False)),
        "propagateTags": each.raw.get("propagateTags", "NONE"),
        "enableExecuteCommand": bool(each.raw.get("enableExecuteCommand", False)),
        "availabilityZoneRebalancing": each.az_rebalancing,
        **_launch(each),
        **_network(each),
    }
    if each.primary is not None:
        shown["taskDefinition"] = each.primary.definition.arn
    if each.load_balancers or "healthCheckGracePeriodSeconds" in each.raw:
        shown["healthCheckGracePeriodSeconds"] = int(each.grace)
    if each.controller == "ECS":
        shown["deployments"] = [deployment(item) for item in each.deployments]
        shown["deploymentController"] = {"type": "ECS"}
        if each.history:
            shown["currentServiceDeployment"] = each.history[-1].arn
        shown["currentServiceRevisions"] = _revisions(each)
    else:
        shown["deploymentController"] = {"type": each.controller}
        shown["taskSets"] = [task_set(item) for item in each.deployments]
    if tags:
        shown["tags"] = tag_list(each.tags)
    return shown
