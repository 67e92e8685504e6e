"""The network interfaces of tasks in network mode `awsvpc`.

Sources: Amazon ECS Developer Guide, "Amazon ECS task networking options" (one interface for each task, which ECS makes,
attaches and deletes; only ECS may change it), "Task stopped error codes" (a task whose interface cannot be made stops).
Requester and description: published answers of AWS; how long an interface stays after its task: reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.ecs.model import Host, Task
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

REQUESTER = "578734482556"
"""The account by which ECS makes interfaces of Fargate tasks, as DescribeNetworkInterfaces shows it."""


class Interfaces:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def attach(self, task: Task, host: Host) -> None:
        """Give a task its interface. AwsError where EC2 refuses it."""
        address = host.machine.subnet.take_ip()
        number = int(task.id[:17], 16)
        identifier = f"{task.id[:8]}-{task.id[8:12]}-{task.id[12:16]}-{task.id[16:20]}-{task.id[20:]}"
        task.attachment = {
            "id": identifier,
            "subnetId": host.subnet_id,
            "networkInterfaceId": f"eni-{task.id[:17]}",
            "macAddress": "0e:" + ":".join(f"{(number >> shift) & 255:02x}" for shift in (32, 24, 16, 8, 0)),
            "privateDnsName": f"ip-{address.replace('.', '-')}.ec2.internal",
            "privateIPv4Address": address,
        }
        network = self._engine.network
        if network is not None:
            task.attachment["networkInterfaceId"] = network.add_interface(
                host.subnet_id,
                self._groups(task),
                self._engine.kernel.arn("ecs", f"attachment/{identifier}"),
                requester=REQUESTER,
                private_ip=address,
            )

    def _groups(self, task: Task) -> list[str]:
        revision = task.deployment.revision if task.deployment is not None else None
        network = revision.network if revision is not None else task.network
        groups: list[str] = ((network or {}).get("awsvpcConfiguration") or {}).get("securityGroups") or []
        return groups

    def refused(self, task: Task, error: AwsError) -> None:
        """A task without its interface cannot start."""
        words = f"Unexpected EC2 error while attempting to create a network interface: {error.code}: {error.message}"
        task.container_reason = words
        self._engine.deployments.task_failed(task)
        self._engine.lifecycle.stop(task, "TaskFailedToStart", words, None)

    def detach(self, task: Task) -> None:
        """A task has stopped: EC2 deletes its interface after a while."""
        engine, network = self._engine, self._engine.network
        if network is None or task.attachment is None:
            return
        identifier = task.attachment["networkInterfaceId"]
        if engine.kernel.settled:
            engine.background(
                engine.options.interface_release, lambda: network.remove_interface(identifier), f"eni:{identifier}"
            )
        else:
            network.remove_interface(identifier)
