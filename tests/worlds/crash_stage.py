"""One run of a world, and everything that can go wrong in it: at each moment of interest it forks (tests/forks.py)."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.forks import Forks
from twin.kernel.api import WORLD, Call
from twin.kernel.kernel import Entry
from twin.rehearsal.events import from_world
from twin.rehearsal.evidence import Snapshot
from twin.rehearsal.loading import world_of
from twin.rehearsal.observer import launched, snapshot
from twin.rehearsal.rehearsal import Rehearsal
from twin.world import PROJECT, World

HERE = Path(__file__).resolve().parent
OLD = "i-0a1b2c3d4e5f60001"
OTHER = "i-0a1b2c3d4e5f60002"

SMALL: dict[str, Any] = {
    "cluster": "small",
    "zones": ["us-east-1a", "us-east-1b"],
    "policy": {"defaults": {"hosts": {"mode": "act"}}},
    "groups": [
        {"name": "hosts", "desired_capacity": 2, "min_size": 1, "max_size": 4, "instances": [OLD, OTHER]},
    ],
    "services": [
        {"name": "agent", "scheduling_strategy": "DAEMON", "minimum_healthy_percent": 0, "cpu": 64, "memory": 128},
        {
            "name": "web",
            "desired_count": 2,
            "cpu": 700,
            "memory": 1024,
            "ports": [{"container": 8080}],
            "load_balancer": {"health_check_interval": 10, "healthy_threshold": 2, "deregistration_delay": 30},
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
    "events": [{"file": "../../events/health-ec2-retirement.json"}],
}
"""Two full hosts. A replacement launches one, moves a task behind a balancer, and one of a service that needs a surge.
"""


def small(**changes: Any) -> dict[str, Any]:
    """The small world's document with top-level fields replaced."""
    return {**copy.deepcopy(SMALL), **changes}


def copied(folder: Path) -> Path:
    """A copy of what is deployed, in an empty folder; its template. Nobody edits it while a long series runs on it."""
    for name in ("functions", "statemachines"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Path(shutil.copy(PROJECT / "template.yaml", folder))


def group(**changes: Any) -> list[dict[str, Any]]:
    """The small world's group with fields replaced."""
    return [{**copy.deepcopy(SMALL["groups"][0]), **changes}]


# --- what became of a run --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How one run ended.

    Attributes:
        label: what went wrong in it; "" for the plain run.
        outcomes: of every piece of work, in order.
        broken: laws and promises that do not hold, in words.
        returned: whether the point of no return was written when it went wrong.
    """

    label: str
    outcomes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    returned: bool = False

    def __str__(self) -> str:
        return f"{self.label}: {', '.join(self.outcomes)}: {'; '.join(self.broken) or 'all held'}"


Strike = Callable[["Stage"], None]


class Stage:
    """The small world (or another), run once, with forks.

    Args:
        document: the world.
        strikes: each is given the stage before the run, and arms itself.
        after: simulated seconds that a run goes on after it became quiet, for what schedules do.
        template: another template than the project's: a frozen or a mutilated copy of the product.
        alone: nobody else acts, so that everything has to be as before in the end, and work is replaced or undone.
    """

    def __init__(
        self,
        document: dict[str, Any],
        *strikes: Strike,
        after: float = 5400.0,
        template: Path | None = None,
        alone: bool = True,
    ) -> None:
        loaded = world_of(document, "crash", HERE)
        planned = from_world(loaded.spec, loaded.folder, loaded.where)
        self.rehearsal = Rehearsal(loaded, planned, template=template)
        self.strikes = strikes
        self.after = after
        self.alone = alone
        self.seen: list[str] = []
        self.returned = False
        self._forks: Forks[Ended] = Forks(lambda label, why: Ended(label, broken=(why,)))

    @property
    def world(self) -> World:
        return self.rehearsal.world

    @property
    def child(self) -> bool:
        """Whether something goes wrong in this process."""
        return self._forks.child

    @property
    def label(self) -> str:
        """What does; "" in the plain run."""
        return self._forks.label

    def explore(self) -> list[Ended]:
        """The plain run's end, then those of all forks, in order of their labels."""
        plain, others = self._forks.explore(self._run)
        return [plain, *sorted(others, key=lambda ended: ended.label)]

    def _run(self) -> Ended:
        with self.rehearsal:
            self._keep_watch()
            for strike in self.strikes:
                strike(self)
            self.rehearsal.run()
            # Schedules alone keep no world busy.
            self.world.kernel.scheduler.call_later(self.after, lambda: None, name="after")
            self.rehearsal.run()
            return self.judge()

    # --- forks -------------------------------------------------------------------------------------------------------
    def fork(self, label: str) -> bool:
        """True in a new process in which `label` shall go wrong, False in this one. Only the plain run forks."""
        struck = self._forks.fork(label)
        if struck:
            self.returned = past_return(self.world)
        return struck

    # --- while it runs -----------------------------------------------------------------------------------------------
    def _keep_watch(self) -> None:
        """What only shows in the middle of a run, and may be mended by its end (by a later attempt, say)."""

        def called(call: Call) -> None:
            if call.caller.name == "HostsDrainHosts" and call.operation == "UpdateContainerInstancesState":
                self.seen += [f"drained before launched host {name} was ready" for name in sorted(self._unready())]

        def noted(entry: Entry) -> None:
            if entry.kind != "execution.ended" or not self.alone:
                return
            execution = next(each for each in self.world.machines.executions if each.arn == entry.data["execution"])
            if (execution.output or {}).get("outcome") == "undone":
                after = snapshot(self.world)
                self.seen += [
                    f"just after its undo: {text}" for text in (*self._settings(after), *self._draining(after))
                ]

        self.world.kernel.calls.listeners.append(called)
        self.world.kernel.listeners.append(noted)

    def _unready(self) -> set[str]:
        hosts = self.world.ecs.store.hosts_by_instance
        new = launched(self.world, self.rehearsal.observer.before)
        return {name for name in new if name not in hosts or not hosts[name].agent_connected}

    # --- judging -----------------------------------------------------------------------------------------------------
    def judge(self) -> Ended:
        report = self.rehearsal.report(0.0)
        works: dict[str, tuple[str, str]] = {}
        for each in report.executions:
            works[each.work] = (str(each.outcome), str(each.reason))
        broken = [f"{law.name}: {law.worst} ({law.who}, {law.when})" for law in report.laws if law.held is False]
        broken += [f"{each.name} is {each.status} without outcome" for each in report.executions if not each.outcome]
        good = GOOD if self.alone else (*GOOD, "blocked", "ignored")
        broken += [f"{name}: outcome {outcome}" for name, (outcome, _) in works.items() if outcome not in good]
        broken += [f"{name}: {outcome} without a reason" for name, (outcome, reason) in works.items() if not reason]
        told = {event["detail"]["work"] for event in report.events}
        broken += [f"{name}: no outcome event" for name in works if name not in told]
        broken += [f"{count} messages in {name}" for name, count in report.dead_letters.items()]
        outcomes = tuple(outcome for outcome, _ in works.values())
        broken += [*self.seen, *left_in_table(self.world)]
        if self.alone:
            replaced = {host for each in report.executions if each.outcome == "replaced" for host in each.hosts}
            broken += self._fleet_differs(replaced)
        return Ended(self.label, outcomes, tuple(reason for _, reason in works.values()), tuple(broken), self.returned)

    def _fleet_differs(self, replaced: set[str]) -> Iterator[str]:
        """What is not as it was, but for one host in another's place where work was done; also where no law looks."""
        before, after = self.rehearsal.observer.before, snapshot(self.world)
        gone = {host for host in before.hosts if host not in after.hosts}
        if gone != replaced:
            yield f"replaced: {sorted(replaced)}, gone: {sorted(gone)}"
        surplus = surplus_of(self.world)
        for name, now in after.groups.items():
            was = int(str(before.groups[name].settings["DesiredCapacity"]))
            size = int(str(now.settings["DesiredCapacity"]))
            # A surplus host of one attempt may be what the next one moves the tasks to.
            most = was + len(surplus & set(now.protected))
            if not was <= size <= most or len(now.protected) != size:
                yield f"group {name} had {was} hosts, has {sorted(now.protected)} and wants {size}"
        yield from self._settings(after)
        yield from self._draining(after)
        for arn, service in before.services.items():
            healthy = self.world.ecs.healthy_count(arn)
            if healthy < service.desired:
                yield f"service {service.name}: {healthy} of {service.desired} healthy in the end"

    def _settings(self, after: Snapshot) -> Iterator[str]:
        before = self.rehearsal.observer.before
        for name, group in after.groups.items():
            was = before.groups[name]
            wrong = sorted(host for host, on in group.protected.items() if on != was.protected.get(host, False))
            if wrong:
                yield f"group {name}: protection of {wrong} is not as before"
            if group.settings["SuspendedProcesses"] != was.settings["SuspendedProcesses"]:
                yield f"group {name}: {group.settings['SuspendedProcesses']} suspended"
        for arn, service in before.services.items():
            changed = {key for key, value in service.settings.items() if after.services[arn].settings[key] != value}
            if changed:
                yield f"service {service.name}: {sorted(changed)} not as before"

    def _draining(self, after: Snapshot) -> Iterator[str]:
        """Hosts of the start that do not take tasks."""
        for name, host in after.hosts.items():
            if name in self.rehearsal.observer.before.hosts and host.status != "ACTIVE":
                yield f"host {name} is {host.status}"


GOOD = ("replaced", "undone")


def surplus_of(world: World) -> set[str]:
    """Launched hosts that a report says stay as surplus."""
    texts = [text for each in world.machines.executions for text in (each.output or {}).get("left_behind", ())]
    words = " ".join(texts)
    return {name for name in world.ec2.instances if name in words}


def items(world: World) -> list[dict[str, Any]]:
    """Everything in the table, in DynamoDB's own form."""
    name = world.deployment.outputs["TableName"]
    found: list[dict[str, Any]] = world.gateway.call("dynamodb", "Scan", {"TableName": name}, WORLD)["Items"]
    return found


def past_return(world: World) -> bool:
    """Whether any work has written its point of no return."""
    return any(item.get("point_of_no_return", {}).get("BOOL") for item in items(world))


def left_in_table(world: World) -> Iterator[str]:
    """What work that has ended must not leave: open entries, slots, leases, waits, claims, half done steps."""
    now = world.kernel.clock.now()
    for item in items(world):
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if pk == "OPEN" and item["kind"]["S"] != "retry":
            yield f"{sk} is still in the index as {item['kind']['S']}"
        if pk == "OPEN" and item["due"]["S"] < (now - timedelta(minutes=30)).isoformat():
            yield f"{sk} was due at {item['due']['S']} and is still in the index"
        if sk == "SLOTS" and item["holders"]["M"]:
            yield f"slots are still held: {sorted(item['holders']['M'])}"
        if sk == "SLOTS" and item["total"]["N"] != "0":
            yield f"slots add up to {item['total']['N']}"
        if sk == "SURGE" or pk.startswith(("WAIT#", "KEY#")):
            yield f"{pk} {sk} is left"
        if sk == "CLAIM" and item["status"]["S"] == "open":
            yield f"{pk} is still claimed"
        if sk == "WORK" and item["status"]["S"] != "closed":
            yield f"{pk} is not closed"


def failures(results: list[Ended]) -> list[str]:
    """Runs in which something is broken, in words."""
    return [str(ended) for ended in results if ended.broken]
