"""A small fleet on the twin, with everything that a replacement touches: a launch, a surge, a daemon, a balancer."""

from __future__ import annotations

import copy
import os
import pickle
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from twin.kernel.api import WORLD, Call, Caller
from twin.kernel.gateway import Death
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


# --- kill points -----------------------------------------------------------------------------------------------------

READS = ("Describe", "List", "Get", "Query", "BatchGet")


@dataclass(frozen=True)
class Point:
    """A moment at which a function dies: just before or just after its nth call of an operation.

    With `stop` somebody stops the execution right then, so that no retry comes and the reaper has to end the work.
    """

    function: str
    service: str
    operation: str
    nth: int
    when: Literal["before", "after"]
    stop: bool = False

    def __str__(self) -> str:
        return f"{self.function}-{self.when}-{self.operation}-{self.nth}" + ("-stop" if self.stop else "")


@dataclass(frozen=True)
class Ended:
    """What became of a run with a kill point.

    Attributes:
        outcomes: of all executions, in order.
        passed: whether the point of no return had been written when the function died.
        broken: laws that were broken, executions without outcome, and what the table still holds: in words.
        struck: whether the function really died.
    """

    outcomes: list[str]
    passed: bool
    broken: list[str]
    struck: bool


def points_of(calls: Iterable[Call], tables: bool) -> list[Point]:
    """Every kill point of a clean run at calls that change something, with those on the table or without."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found: list[Point] = []
    for call in calls:
        wanted = call.caller.kind == "function" and call.caller.name.startswith("Hosts")
        if not wanted or call.operation.startswith(READS) or (call.service == "dynamodb") is not tables:
            continue
        key = (call.caller.name, call.service, call.operation)
        seen[key] += 1
        for stop in (False, True):
            found += [Point(*key, seen[key], "before", stop), Point(*key, seen[key], "after", stop)]
    return found


class Killer:
    """The small world, built once; each run is a fork of it.

    Args:
        document: the world.
        template: the template to deploy, the project's own by default. Functions are imported anew in each run, so a
            long series runs on a copy that nobody edits meanwhile.
    """

    def __init__(self, document: dict[str, Any], template: Path | None = None) -> None:
        loaded = world_of(document, "small", HERE)
        planned = from_world(loaded.spec, loaded.folder, loaded.where)
        self.rehearsal = Rehearsal(loaded, planned, template=template)

    def __enter__(self) -> Killer:
        self.rehearsal.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.rehearsal.__exit__(None, None, None)

    def clean(self) -> list[Call]:
        """The calls of a run in which nobody dies."""
        return list(self._forked(self._clean))

    def run(self, point: Point) -> Ended:
        return Ended(**self._forked(partial(self._killed, point)))

    def _forked(self, work: Callable[[], Any]) -> Any:
        """The result of `work` in a child process, so that this world stays as it was built."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(reader)
                with os.fdopen(writer, "wb") as out:
                    pickle.dump(work(), out)
                code = 0
            except BaseException:  # noqa: BLE001 - the exit status tells the parent
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader, "rb") as source:
            data = source.read()
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"the run in process {child} failed")
        return pickle.loads(data)

    def _clean(self) -> list[Call]:
        self.rehearsal.run()
        return [replace(call, params={}) for call in self.rehearsal.world.kernel.calls]

    def _killed(self, point: Point) -> dict[str, Any]:
        world = self.rehearsal.world
        death = Death(point.function, point.service, point.operation, point.when, point.nth)
        world.gateway.deaths.append(death)
        passed: list[bool] = []
        struck = self._watch(world, point, passed)
        self.rehearsal.run()
        # What the reaper's schedule finds: work whose events told nothing.
        world.run(world.kernel.clock.elapsed + 3600)
        report = self.rehearsal.report(0.0)
        broken = [f"{law.name}: {law.worst}" for law in report.laws if law.held is False]
        broken += [f"{each.name} has no outcome" for each in report.executions if each.status == "RUNNING"]
        return {
            "outcomes": [str(each.outcome) for each in report.executions],
            "passed": bool(passed and passed[0]),
            "broken": broken + left_in_table(world),
            "struck": struck(),
        }

    def _watch(self, world: World, point: Point, passed: list[bool]) -> Callable[[], bool]:
        """Note the point of no return when the function dies, and stop the execution if the point says so."""
        deaths: list[str] = []

        def listen(entry: Entry) -> None:
            if deaths or entry.kind != "function.failed" or "Runtime.ExitError" not in entry.text:
                return
            deaths.append(entry.text)
            passed.append(any(item.get("point_of_no_return", {}).get("BOOL") for item in items(world)))
            if point.stop:
                world.kernel.scheduler.call_later(0.1, stop, name="stop")

        def stop() -> None:
            running = [each for each in world.machines.executions if each.status == "RUNNING"]
            for execution in running:
                params = {"executionArn": execution.arn, "error": "Stopped", "cause": "kill point"}
                world.gateway.call("stepfunctions", "StopExecution", params, Caller("operator", "dora"))

        world.kernel.listeners.append(listen)
        return lambda: bool(deaths)


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
