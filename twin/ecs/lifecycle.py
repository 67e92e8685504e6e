"""The life of a task, from PROVISIONING to STOPPED.

Source: Amazon ECS Developer Guide, "Amazon ECS task lifecycle"; ECS API: StopTask (SIGTERM, stopTimeout, SIGKILL),
Task (desiredStatus, stopCode).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from twin.ecs import placement
from twin.ecs.model import Host, LastStatus, Target, Task
from twin.ecs.options import Behaviour, TaskFault
from twin.errors import AwsError
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_ORDINARY = Behaviour()
_PULL_ERROR = "CannotPullContainerError: pull image manifest has been retried 5 time(s)"


class Lifecycle:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._fault_uses: dict[int, int] = {}

    # --- starting ----------------------------------------------------------------------------------------------------
    def place(self, task: Task, host: Host) -> None:
        """Give a PROVISIONING task its instance; from here on it goes its way by itself."""
        engine = self._engine
        task.host = host
        task.zone = host.zone
        task.capacity_provider = task.capacity_provider or None
        placement.occupy(host, task)
        refusal = self._interface(task, host)
        engine.store.placed(task)
        self._meet_faults(task)
        engine.events.task(task)
        engine.events.host(host)
        if refusal is not None:
            wait, failed = engine.options.provision_eni, refusal
            task.timer = engine.later(wait, lambda: engine.interfaces.refused(task, failed), f"ecs.task:{task.id}")
            return
        wait = engine.options.provision_eni if task.attachment else engine.options.provision
        self._agent_step(task, wait, self._pending)

    def _interface(self, task: Task, host: Host) -> AwsError | None:
        """Its own network interface, where the task is to have one; why EC2 refuses it."""
        if not task.definition.demand.eni:
            return None
        try:
            self._engine.interfaces.attach(task, host)
        except AwsError as error:
            return error
        return None

    def _meet_faults(self, task: Task) -> None:
        if not self._engine.kernel.settled:
            return
        for number, fault in enumerate(self._engine.options.task_faults):
            if not self._strikes(fault, task):
                continue
            uses = self._fault_uses.get(number, 0)
            if fault.kind == "start_fails" and (fault.times is None or uses < fault.times):
                task.start_fails = True
                self._fault_uses[number] = uses + 1
            elif fault.kind == "never_healthy":
                task.crashes = True
            elif fault.kind == "slow_pull":
                task.pull_factor = fault.factor

    def _strikes(self, fault: TaskFault, task: Task) -> bool:
        elapsed = self._engine.elapsed
        if elapsed < fault.after or (fault.until is not None and elapsed >= fault.until):
            return False
        if fault.service is not None and (task.service is None or task.service.name != fault.service):
            return False
        return fault.family is None or task.definition.family == fault.family

    def _agent_step(self, task: Task, seconds: float, step: Callable[[Task], None]) -> None:
        """What the agent does and reports after a while; the report waits while the agent is disconnected."""
        task.timer = self._engine.later(seconds, lambda: self._report(task, step), f"ecs.task:{task.id}")

    def _report(self, task: Task, step: Callable[[Task], None]) -> None:
        host = task.host
        if host is None or task.dead or task.last_status == "STOPPED":
            return
        if host.agent_connected:
            step(task)
        else:
            self._engine.hosts.hold(host, lambda: self._report(task, step))

    def _pending(self, task: Task) -> None:
        host = task.host
        if not task.wanted or host is None:
            return
        now = self._engine.kernel.clock.now()
        task.connectivity_at = now
        task.pull_started_at = now
        self._enter(task, "PENDING", "task.pending", "is pending")
        cached = host.images.issuperset(task.definition.images)
        options = self._engine.options
        wait = (options.pull_cached if cached else options.pull_first) * task.pull_factor
        self._agent_step(task, wait, self._pulled)

    def _pulled(self, task: Task) -> None:
        if not task.wanted or task.host is None:
            return
        if task.start_fails:
            task.container_reason = _PULL_ERROR
            self._engine.deployments.task_failed(task)
            self.stop(task, "TaskFailedToStart", _PULL_ERROR, None)
            return
        task.host.images.update(task.definition.images)
        task.pull_stopped_at = self._engine.kernel.clock.now()
        start = self._behaviour(task).start
        self._agent_step(task, self._engine.options.start if start is None else start, self._activating)

    def _activating(self, task: Task) -> None:
        if not task.wanted:
            return
        self._enter(task, "ACTIVATING")
        self._register_targets(task)
        self._agent_step(task, self._engine.options.activate, self._running)

    def _register_targets(self, task: Task) -> None:
        deployment, host = task.deployment, task.host
        if deployment is None or host is None:
            return
        elbv2 = self._engine.elbv2
        for balancer in deployment.revision.targets:
            target = self._target(task, host, balancer["targetGroupArn"], balancer)
            task.targets.append(target)
            key = target.key
            self._engine.targets[key] = task
            elbv2.register(*key, host.zone, lambda: answers(task))
            elbv2.on_change(*key, lambda *state: self._engine.health.target_changed(task, *state[:1]))

    def _target(self, task: Task, host: Host, group_arn: str, balancer: Mapping[str, object]) -> Target:
        port = int(str(balancer["containerPort"]))
        if task.attachment:
            return Target(group_arn, task.attachment["privateIPv4Address"], port)
        return Target(group_arn, host.instance_id, task.host_ports[(str(balancer["containerName"]), port, "tcp")])

    def _running(self, task: Task) -> None:
        if not task.wanted:
            return
        task.started_at = self._engine.kernel.clock.now()
        self._enter(task, "RUNNING", "task.running", "runs")
        if task.crashes and not task.targets and not task.definition.health_checks:
            self._agent_step(task, self._engine.options.crash_after, self._crash)
        run_for = self._behaviour(task).run_for
        if run_for is not None:
            end = f"ecs.job:{task.id}"
            self._engine.background(run_for, lambda: self._report(task, self._completed), end)
        self._engine.health.watch(task)
        self._engine.deployments.task_running(task)
        if task.service is not None:
            self._engine.scheduler.poke(task.service)

    def _behaviour(self, task: Task) -> Behaviour:
        return self._engine.options.behaviours.get(task.definition.family, _ORDINARY)

    def _completed(self, task: Task) -> None:
        if task.wanted:
            self.essential_container_exited(task, 0)

    def _crash(self, task: Task) -> None:
        if task.wanted:
            self.essential_container_exited(task, 1)

    # --- stopping ----------------------------------------------------------------------------------------------------
    def essential_container_exited(self, task: Task, exit_code: int) -> None:
        """The application ended by itself."""
        task.exit_code = exit_code
        task.execution_stopped_at = self._engine.kernel.clock.now()
        self._engine.deployments.task_failed(task)
        self.stop(task, "EssentialContainerExited", "Essential container in task exited", None)

    def stop(self, task: Task, code: str, reason: str, cause: Call | None) -> None:
        """ECS wants a task stopped: the desired status changes now, the task follows. `cause`: the call behind it."""
        if not task.wanted:
            return
        engine = self._engine
        was = task.last_status
        task.desired_status = "STOPPED"
        task.stop_code, task.stopped_reason, task.cause = code, reason, cause
        task.stopping_at = engine.kernel.clock.now()
        self._cancel(task)
        engine.store.unwanted(task)
        engine.health.refresh(task, cause)
        if task.host is None:
            self.finish(task)
            return
        if task.service is not None:
            placement.count_service(task.host, task.service.arn, -1)
        engine.events.task(task)
        self._note(task, "task.stopping", f"stops: {reason}")
        if task.dead:
            return
        started = was in ("ACTIVATING", "RUNNING")
        step = self._deactivate if started and task.targets else self._end_containers
        task.timer = engine.later(engine.options.agent_ack, lambda: step(task), f"ecs.task:{task.id}")

    def _deactivate(self, task: Task) -> None:
        self._enter(task, "DEACTIVATING")
        self.deregister_targets(task, lambda: self._end_containers(task))

    def deregister_targets(self, task: Task, done: Callable[[], None]) -> None:
        """Take a task out of its target groups; `done` is called after their deregistration delay."""
        targets, task.targets = task.targets, []
        task.deregistering = len(targets)

        def one_done(target: Target) -> None:
            if self._engine.targets.get(target.key) is task:
                del self._engine.targets[target.key]
            task.deregistering -= 1
            if task.deregistering == 0:
                done()

        for target in targets:
            self._engine.elbv2.deregister(*target.key, partial(one_done, target))

    def _end_containers(self, task: Task) -> None:
        self._report(task, self._terminate)

    def _terminate(self, task: Task) -> None:
        self._enter(task, "STOPPING")
        own, allowed = self._behaviour(task).stop, task.definition.stop_timeout
        needed = self._engine.options.stop_seconds if own is None else own
        if task.exit_code is None and task.pull_stopped_at is not None:
            task.exit_code = 137 if needed > allowed else 0
        wait = 0.0 if task.execution_stopped_at or task.pull_stopped_at is None else min(needed, allowed)
        self._agent_step(task, wait, self._deprovision)

    def _deprovision(self, task: Task) -> None:
        if task.started_at is not None and task.execution_stopped_at is None:
            task.execution_stopped_at = self._engine.kernel.clock.now()
        self._enter(task, "DEPROVISIONING")
        task.timer = self._engine.later(
            self._engine.options.deprovision, lambda: self.finish(task), f"ecs.task:{task.id}"
        )

    def finish(self, task: Task) -> None:
        """A task is STOPPED: its resources are free."""
        if task.last_status == "STOPPED":
            return
        engine = self._engine
        self._cancel(task)
        task.stopped_at = engine.kernel.clock.now()
        self._enter(task, "STOPPED", "task.stopped", f"stopped: {task.stopped_reason}")
        engine.store.stopped(task, engine.elapsed + engine.options.stopped_kept)
        self._leave(task)

    def orphan(self, task: Task, cause: Call) -> None:
        """ECS no longer accounts for a task (DeregisterContainerInstance with force); its containers run on."""
        if task.wanted:
            task.desired_status = "STOPPED"
            task.cause = cause
            task.stopped_reason = "Container instance deregistration forced by user"
            self._engine.store.unwanted(task)
            self._engine.health.refresh(task, cause)
            if task.host is not None and task.service is not None:
                placement.count_service(task.host, task.service.arn, -1)
        self._cancel(task)
        self.deregister_targets(task, lambda: None)
        task.last_status = "STOPPED"
        self._note(task, "task.stopped", "is orphaned: its container instance was deregistered")
        self._engine.store.forget(task)
        self._leave(task)

    def _leave(self, task: Task) -> None:
        engine = self._engine
        host, service = task.host, task.service
        engine.interfaces.detach(task)
        if host is not None:
            placement.release(host, task)
            engine.events.host(host)
            engine.hosts.task_left(host)
        if service is not None:
            service.tasks.pop(task.arn, None)
            engine.scheduler.poke(service)
        engine.scheduler.capacity_changed(task.cluster)

    def die(self, task: Task, cause: Call | None) -> None:
        """The instance under a task is gone; ECS does not know yet."""
        task.dead = True
        self._cancel(task)
        self._engine.health.refresh(task, cause)
        for target in task.targets:
            self._engine.elbv2.probe_changed(target.group_arn, target.target_id, target.port)

    # --- common ------------------------------------------------------------------------------------------------------
    def _cancel(self, task: Task) -> None:
        for timer in (task.timer, task.health_timer):
            if timer is not None:
                timer.cancel()
        task.timer = task.health_timer = None

    def _enter(self, task: Task, status: LastStatus, kind: str | None = None, words: str = "") -> None:
        task.last_status = status
        self._engine.events.task(task)
        if kind:
            self._note(task, kind, words)

    def _note(self, task: Task, kind: str, words: str) -> None:
        if not self._engine.kernel.settled:
            return
        name = task.service.name if task.service else task.group
        host = task.host if task.host and not task.host.fargate else None
        where = f" on {host.instance_id}" if host else ""
        self._engine.kernel.note(
            kind,
            f"{name}: task {task.id[:8]}{where} {words}",
            task=task.arn,
            service=task.service.arn if task.service else None,
            instance=host.instance_id if host else None,
        )


def answers(task: Task) -> bool:
    """Whether a task answers a load balancer's health check."""
    return not task.dead and not task.crashes and task.last_status in ("ACTIVATING", "RUNNING", "DEACTIVATING")
