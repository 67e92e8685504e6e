"""Takes frames of a running rehearsal: reads the twin's own state, never the app's."""

from __future__ import annotations

from collections import deque
from typing import Any

from cli.frame import ExecutionRow, Frame, HostRow, Line, ServiceRow, TaskLook
from cli.looks import Looks, in_order
from cli.plain import Repeats, important
from cli.watch_releases import WatchReleases
from cli.watch_sweeps import WatchSweeps
from twin.kernel.kernel import Entry
from twin.rehearsal.rehearsal import Rehearsal

_KEPT = 40
"""Lines of the log, more than a terminal shows."""
_BEFORE = ("PROVISIONING", "PENDING", "ACTIVATING")
_ORDER: tuple[TaskLook, ...] = ("healthy", "standalone", "unproven", "starting", "stopping")


class Watch:
    """Follows one rehearsal from its start."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal
        self._world = rehearsal.world
        self._known = frozenset(self._world.ec2.instances)
        self._lines: deque[Line] = deque(maxlen=_KEPT)
        self._paths: dict[str, list[tuple[str, float]]] = {}
        self._repeats = Repeats()
        self._lowest: dict[str, int] = dict(rehearsal.observer.healthy_before)
        self._releases = WatchReleases(rehearsal)
        self._sweeps = WatchSweeps(rehearsal)
        self._looks = Looks(rehearsal)
        self._world.kernel.listeners.append(self._noted)
        self._world.ecs.health_listeners.append(self._health)

    def _noted(self, entry: Entry) -> None:
        elapsed = (entry.at - self._rehearsal.start).total_seconds()
        if entry.kind == "state.entered":
            path = self._paths.setdefault(str(entry.data["execution"]), [])
            if not path or path[-1][0] != entry.data["state"]:
                path.append((str(entry.data["state"]), elapsed))
        if important(entry) and not self._repeats.again(entry):
            self._lines.append(Line(elapsed, entry.kind, entry.text))

    def _health(self, change: Any) -> None:
        self._lowest[change.service_arn] = min(self._lowest.get(change.service_arn, 0), change.healthy)

    def frame(self) -> Frame:
        clock = self._world.kernel.clock
        if looks := self._looks.take():
            self._lines = deque(in_order([*self._lines, *looks]), maxlen=_KEPT)
        return Frame(
            world=self._rehearsal.spec.name,
            seed=self._rehearsal.seed,
            now=clock.now().strftime("%Y-%m-%d %H:%M:%SZ"),
            elapsed=clock.elapsed,
            hosts=self._hosts(),
            services=self._services(),
            executions=self._executions(clock.elapsed),
            releases=self._releases.rows(),
            leavings=self._sweeps.rows(),
            lines=tuple(self._lines),
        )

    # --- hosts -------------------------------------------------------------------------------------------------------
    def _hosts(self) -> tuple[HostRow, ...]:
        old = {host for work in self._rehearsal.observer.works.values() for host in work.hosts}
        rows = [self._host(instance, old) for instance in self._world.ec2.instances.values() if self._shown(instance)]
        return tuple(rows)

    def _shown(self, instance: Any) -> bool:
        return bool(instance.state != "terminated")

    def _host(self, instance: Any, old: set[str]) -> HostRow:
        host = self._world.ecs.store.hosts_by_instance.get(instance.instance_id)
        booting = instance.state in ("pending", "running")
        status = host.status if host and booting else "booting" if booting else instance.state
        looks = [_look(task) for task in host.tasks.values()] if host else []
        name = instance.instance_id
        return HostRow(
            instance=name,
            zone=instance.zone,
            instance_type=instance.instance_type,
            status=status,
            connected=host.agent_connected if host else False,
            tasks=tuple(sorted((look for look in looks if look), key=_ORDER.index)),
            role="old" if name in old else "new" if name not in self._known else "",
        )

    # --- services ----------------------------------------------------------------------------------------------------
    def _services(self) -> tuple[ServiceRow, ...]:
        return tuple(
            ServiceRow(
                name=service.name,
                desired=service.desired,
                healthy=service.healthy,
                lowest=self._lowest.get(service.arn, service.healthy),
                daemon=service.strategy == "DAEMON",
            )
            for service in self._world.ecs.store.services.values()
            if service.status == "ACTIVE"
        )

    # --- executions --------------------------------------------------------------------------------------------------
    def _executions(self, elapsed: float) -> tuple[ExecutionRow, ...]:
        return tuple(self._execution(each, elapsed) for each in self._world.machines.executions)

    def _execution(self, execution: Any, elapsed: float) -> ExecutionRow:
        path = self._paths.get(execution.arn, [])
        started = (execution.started - self._rehearsal.start).total_seconds()
        ended = (execution.stopped - self._rehearsal.start).total_seconds() if execution.stopped else elapsed
        output = execution.output if isinstance(execution.output, dict) else {}
        outcome = output.get("outcome") or execution.status
        return ExecutionRow(
            name=execution.name,
            machine=execution.machine,
            mode=str(execution.input.get("mode", "")) if isinstance(execution.input, dict) else "",
            status=execution.status,
            path=tuple(state for state, _ in path),
            since=elapsed - path[-1][1] if path else 0.0,
            elapsed=ended - started,
            outcome=None if execution.status == "RUNNING" else str(outcome),
        )


def _look(task: Any) -> TaskLook | None:
    if task.last_status == "STOPPED":
        return None
    if task.desired_status == "STOPPED":
        return "stopping"
    if task.last_status in _BEFORE:
        return "starting"
    if task.service is None:
        return "standalone"
    return "healthy" if task.healthy else "unproven"
