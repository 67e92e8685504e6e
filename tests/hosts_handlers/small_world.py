"""A small fleet on the twin, with everything that a replacement touches: a launch, a surge, a daemon, a balancer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin.kernel.api import WORLD, Call, Caller
from twin.kernel.kernel import Entry
from twin.rehearsal.events import from_world
from twin.rehearsal.loading import world_of
from twin.rehearsal.rehearsal import Rehearsal
from twin.rehearsal.report import Report
from twin.world import World

OLD = "i-0a1b2c3d4e5f60001"
HERE = Path(__file__).resolve().parent

SMALL: dict[str, Any] = {
    "name": "small",
    "cluster": "small",
    "zones": ["us-east-1a", "us-east-1b"],
    "policy": {"defaults": {"hosts": {"mode": "act"}}},
    "groups": [
        {
            "name": "small-hosts",
            "instance_type": "m5.large",
            "desired_capacity": 2,
            "min_size": 2,
            "max_size": 4,
            "instances": [OLD, "i-0a1b2c3d4e5f60002"],
        }
    ],
    "services": [
        {"name": "agent", "scheduling_strategy": "DAEMON", "minimum_healthy_percent": 0, "cpu": 64, "memory": 128},
        {
            "name": "web",
            "desired_count": 4,
            "minimum_healthy_percent": 100,
            "maximum_percent": 200,
            "cpu": 512,
            "memory": 1024,
            "ports": [{"container": 8080}],
            "load_balancer": {
                "port": 8080, "health_check_interval": 10, "healthy_threshold": 2, "deregistration_delay": 30,
            },
        },
        {
            "name": "both",
            "desired_count": 2,
            "minimum_healthy_percent": 100,
            "maximum_percent": 100,
            "cpu": 512,
            "memory": 512,
        },
    ],
    "maintenance": [{"instance": OLD, "code": "instance-retirement", "not_before": "2026-10-19T14:00:00Z"}],
    "events": [
        {
            "event": {
                "version": "0",
                "id": "5f0c2d9a-1b57-4f0e-9a53-3d1c5a7e6b01",
                "detail-type": "AWS Health Event",
                "source": "aws.health",
                "account": "123456789012",
                "time": "2026-10-05T10:00:12Z",
                "region": "us-east-1",
                "resources": [OLD],
                "detail": {
                    "eventArn": "arn:aws:health:us-east-1::event/EC2/"
                    "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED/1",
                    "service": "EC2",
                    "eventTypeCode": "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED",
                    "eventTypeCategory": "scheduledChange",
                    "eventScopeCode": "ACCOUNT_SPECIFIC",
                    "communicationId": "0f1e2d3c4b5a69788796a5b4c3d2e1f0-1",
                    "startTime": "Mon, 19 Oct 2026 14:00:00 GMT",
                    "endTime": "Mon, 19 Oct 2026 16:00:00 GMT",
                    "lastUpdatedTime": "Mon, 5 Oct 2026 10:00:00 GMT",
                    "statusCode": "upcoming",
                    "eventRegion": "us-east-1",
                    "eventDescription": [{"language": "en_US", "latestDescription": "The hardware is degrading."}],
                    "affectedEntities": [
                        {
                            "entityValue": OLD,
                            "lastUpdatedTime": "Mon, 5 Oct 2026 10:00:00 GMT",
                            "status": "PENDING",
                        }
                    ],
                    "affectedAccount": "123456789012",
                    "page": "1",
                    "totalPages": "1",
                    "backupEvent": "false",
                },
            }
        }
    ],
}  # fmt: skip


def small(**changes: Any) -> dict[str, Any]:
    """The small world's document, with top-level fields replaced."""
    return {**copy.deepcopy(SMALL), **changes}


Meddle = Callable[[World], None]


@dataclass
class Run:
    """A rehearsal that has ended: its report, and what is asked of the world at its end."""

    report: Report
    world: World
    left: list[str]
    group: dict[str, Any]
    hosts: dict[str, str]

    @property
    def outcomes(self) -> list[str | None]:
        return [each.outcome for each in self.report.executions]

    @property
    def reason(self) -> str:
        return str(self.report.executions[-1].reason)

    @property
    def broken(self) -> list[str]:
        """Laws that were broken, with who did it."""
        return [f"{law.name}: {law.worst} {law.who}" for law in self.report.laws if law.held is False]

    def calls(self, operation: str) -> list[Call]:
        """Successful calls of an operation by Caretaker."""
        kinds = ("function", "machine")
        return [
            call
            for call in self.world.kernel.calls
            if call.operation == operation and call.caller.kind in kinds and call.error is None
        ]

    @property
    def detail(self) -> dict[str, Any]:
        """Detail of the last outcome event."""
        detail: dict[str, Any] = self.report.events[-1]["detail"]
        return detail


def rehearse(document: dict[str, Any], meddle: Meddle | None = None) -> Run:
    """Run a world to its end; `meddle` may add listeners before it starts."""
    loaded = world_of(document, "small", HERE)
    rehearsal = Rehearsal(loaded, from_world(loaded.spec, loaded.folder, loaded.where))
    with rehearsal:
        if meddle:
            meddle(rehearsal.world)
        rehearsal.run()
        world = rehearsal.world
        (group,) = ask(world, "autoscaling", "DescribeAutoScalingGroups", {})["AutoScalingGroups"]
        hosts = {item["ec2InstanceId"]: item["status"] for item in hosts_of(world)}
        return Run(rehearsal.report(0.0), world, left_in_table(world), group, hosts)


def ask(world: World, service: str, operation: str, params: dict[str, Any], who: Caller = WORLD) -> dict[str, Any]:
    """A call by the world, or by somebody else."""
    answer: dict[str, Any] = world.gateway.call(service, operation, params, who)
    return answer


def hosts_of(world: World) -> list[dict[str, Any]]:
    """Container instances of the cluster."""
    arns = ask(world, "ecs", "ListContainerInstances", {"cluster": "small"})["containerInstanceArns"]
    found = ask(world, "ecs", "DescribeContainerInstances", {"cluster": "small", "containerInstances": arns})
    described: list[dict[str, Any]] = found["containerInstances"]
    return described


DORA = Caller("operator", "dora")


def when(state: str, act: Callable[[World], object], after: float = 0.0) -> Meddle:
    """Let somebody act once, when a state is first entered (and `after` seconds have passed)."""

    def meddle(world: World) -> None:
        done: list[str] = []

        def listen(entry: Entry) -> None:
            if entry.kind == "state.entered" and entry.data["state"] == state and not done:
                done.append(state)
                world.kernel.scheduler.call_later(after, lambda: act(world), name="meddle")

        world.kernel.listeners.append(listen)

    return meddle


def set_state(instance: str, status: str) -> Callable[[World], object]:
    """Somebody sets a host's state."""

    def act(world: World) -> object:
        arns = [item["containerInstanceArn"] for item in hosts_of(world) if item["ec2InstanceId"] == instance]
        params = {"cluster": "small", "containerInstances": arns, "status": status}
        return ask(world, "ecs", "UpdateContainerInstancesState", params, DORA)

    return act


def in_group(**changes: Any) -> list[dict[str, Any]]:
    """The small world's group with fields replaced."""
    return [{**copy.deepcopy(SMALL["groups"][0]), **changes}]


def items(world: World) -> list[dict[str, Any]]:
    """Everything in the table, in DynamoDB's own form."""
    name = world.deployment.outputs["TableName"]
    found: list[dict[str, Any]] = world.gateway.call("dynamodb", "Scan", {"TableName": name}, WORLD)["Items"]
    return found


def left_in_table(world: World) -> list[str]:
    """What work that has ended must not leave: open entries, slots, leases, waits, claims."""
    found = []
    for item in items(world):
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if pk == "OPEN" and item["kind"]["S"] == "open":
            found.append(f"{sk} is still in the index")
        if sk == "SLOTS" and item["holders"]["M"]:
            found.append(f"slots are still held: {sorted(item['holders']['M'])}")
        if sk == "SURGE" or pk.startswith("WAIT#"):
            found.append(f"{pk} {sk} is left")
        if sk == "CLAIM" and item["status"]["S"] == "open":
            found.append(f"{pk} is still claimed")
    return found
