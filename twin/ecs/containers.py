"""How a task's containers and network interface are shown, and what it runs on.

Sources: ECS API: Container, Attachment, NetworkInterface, NetworkBinding, Task (launchType, platformVersion).
"""

from __future__ import annotations

from typing import Any

from twin.ecs.fargate import PLATFORM
from twin.ecs.model import Task

Shown = dict[str, Any]


def place(each: Task) -> Shown:
    """Where a task is: on a container instance, or on Fargate, which shows none."""
    host = each.host
    if host is None:
        return {"launchType": "EC2"}
    architecture = host.attributes.get("ecs.cpu-architecture") or "x86_64"
    shown: Shown = {
        "availabilityZone": host.zone,
        "attributes": [{"name": "ecs.cpu-architecture", "value": architecture}],
    }
    if host.fargate:
        return {**shown, "launchType": "FARGATE", **PLATFORM}
    return {**shown, "containerInstanceArn": host.arn, "launchType": "EC2"}


def attachment(each: Task) -> Shown:
    eni = each.attachment or {}
    status = "DELETED" if each.last_status == "STOPPED" else "ATTACHED"
    if each.last_status == "PROVISIONING":
        status = "PRECREATED"
    names = ("subnetId", "networkInterfaceId", "macAddress", "privateDnsName", "privateIPv4Address")
    details = [{"name": name, "value": eni[name]} for name in names]
    return {"id": eni["id"], "type": "ElasticNetworkInterface", "status": status, "details": details}


_CONTAINER_STATUS = {
    "PROVISIONING": "PENDING",
    "PENDING": "PENDING",
    "ACTIVATING": "RUNNING",
    "RUNNING": "RUNNING",
    "DEACTIVATING": "RUNNING",
    "STOPPING": "RUNNING",
    "DEPROVISIONING": "STOPPED",
    "STOPPED": "STOPPED",
}


def container(each: Task, item: Shown, number: int) -> Shown:
    status = _CONTAINER_STATUS[each.last_status]
    started = each.pull_stopped_at is not None
    shown: Shown = {
        "containerArn": f"{each.arn.replace(':task/', ':container/')}/{each.container_ids[number]}",
        "taskArn": each.arn,
        "name": item["name"],
        "image": item["image"],
        "lastStatus": status,
        "healthStatus": each.container_health if item.get("healthCheck") else "UNKNOWN",
        "networkInterfaces": [],
        "cpu": str(item.get("cpu", 0)),
    }
    if "memory" in item:
        shown["memory"] = str(item["memory"])
    if "memoryReservation" in item:
        shown["memoryReservation"] = str(item["memoryReservation"])
    if started:
        shown["runtimeId"] = f"{each.id}-{number:010d}"
    if each.attachment and started:
        shown["networkInterfaces"] = [
            {"attachmentId": each.attachment["id"], "privateIpv4Address": each.attachment["privateIPv4Address"]}
        ]
    elif started:
        shown["networkBindings"] = _bindings(each, item["name"])
    if each.gpu_ids:
        shown["gpuIds"] = list(each.gpu_ids)
    if each.container_reason:
        shown["reason"] = each.container_reason
    if each.exit_code is not None and each.last_status in ("DEPROVISIONING", "STOPPED"):
        shown["exitCode"] = each.exit_code
    return shown


def _bindings(each: Task, container: str) -> list[Shown]:
    return [
        {"bindIP": "0.0.0.0", "containerPort": port, "hostPort": host_port, "protocol": protocol}
        for (name, port, protocol), host_port in each.host_ports.items()
        if name == container
    ]
