"""Container instances: how they come, flap, drain and go.

Sources: ECS API: UpdateContainerInstancesState, DeregisterContainerInstance, ContainerInstance; Amazon ECS Developer
Guide, "Amazon ECS events" (the agent "disconnects and reconnects several times per hour").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twin.ecs.model import Host, HostStatus, Task
from twin.ecs.neighbours import Ec2Instance
from twin.ecs.options import AgentFault
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine


class Hosts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kernel = engine.kernel
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    # --- coming ------------------------------------------------------------------------------------------------------
    def booted(self, instance: Ec2Instance, cluster_name: str) -> None:
        """An instance is up: its agent registers after a while."""
        engine = self._engine
        name = f"ecs.agent:{instance.instance_id}"
        engine.later(engine.options.agent_register, lambda: self._register(instance, cluster_name), name)

    def _register(self, instance: Ec2Instance, cluster_name: str) -> None:
        engine = self._engine
        cluster = engine.store.find_cluster(cluster_name)
        known = engine.store.hosts_by_instance.get(instance.instance_id)
        if cluster is None or (known is not None and known.status != "INACTIVE"):
            return
        faults = [fault.kind for fault in self._faults(instance) if fault.kind != "disconnects"]
        if "never_registers" in faults:
            return
        now = self._kernel.clock.now()
        provider = self._provider(instance, cluster.capacity_providers)
        cpu = instance.vcpus * 1024
        memory = int(instance.memory_mib * (1 - engine.options.memory_kept))
        gpus = tuple(f"GPU-{instance.instance_id[2:]}-{number}" for number in range(instance.gpus))
        host = Host(
            number=engine.store.next_number(),
            arn=self._kernel.arn("ecs", f"container-instance/{cluster.name}/{engine.new_id()}"),
            cluster=cluster,
            machine=instance,
            instance_id=instance.instance_id,
            zone=instance.zone,
            subnet_id=instance.subnet_id,
            capacity_provider=provider,
            attributes=_attributes(instance),
            cpu=cpu,
            memory=memory,
            gpus=gpus,
            enis=instance.network_interfaces - 1,
            registered_at=now,
            updated_at=now,
            free_cpu=cpu,
            free_memory=memory,
            free_gpus=list(gpus),
            free_enis=instance.network_interfaces - 1,
            custom_attributes=set(instance.ecs_attributes),
        )
        engine.store.add_host(host)
        if "never_connects" in faults:
            host.agent_connected = host.may_connect = False
        engine.events.host(host)
        self._note(host, "host.registered", f"joins {cluster.name} in {host.zone}")
        for fault in self._faults(instance, later=True):
            if fault.kind == "disconnects":
                self._plan_disconnect(host, fault)
        self._plan_flap(host)
        self._available(host)

    def _faults(self, instance: Ec2Instance, later: bool = False) -> list[AgentFault]:
        elapsed = self._engine.elapsed
        return [
            fault
            for fault in self._engine.options.agent_faults
            if (fault.instance is None or fault.instance == instance.instance_id)
            and (fault.group is None or fault.group == instance.group_name)
            and (later or (self._kernel.settled and elapsed >= fault.after))
            and (fault.until is None or elapsed < fault.until)
        ]

    def _provider(self, instance: Ec2Instance, names: list[str]) -> str | None:
        for name in names:
            provider = self._engine.store.providers.get(name)
            if provider is not None and instance.group_name == provider.group_name:
                return name
        return None

    def find_provider(self, host: Host) -> None:
        """The cluster's capacity providers changed: the instance may belong to one now."""
        host.capacity_provider = self._provider(host.machine, host.cluster.capacity_providers)

    def attributes_changed(self, host: Host) -> None:
        """Constraints may hold or fail now."""
        self._available(host)

    def _available(self, host: Host) -> None:
        """An instance may take tasks now: daemons come, and what waited for room is tried again."""
        scheduler = self._engine.scheduler
        for service in self._engine.store.services_of(host.cluster):
            if service.strategy == "DAEMON":
                scheduler.poke(service)
        scheduler.capacity_changed(host.cluster)

    # --- the agent ---------------------------------------------------------------------------------------------------
    def _plan_flap(self, host: Host) -> None:
        rate = self._engine.options.agent_flaps_per_hour
        if rate <= 0 or not host.may_connect:
            return
        rng = self._kernel.rng(f"ecs/agent/{host.instance_id}/{host.version}")
        shortest, longest = self._engine.options.flap_seconds
        gap, away = rng.expovariate(rate / 3600), rng.uniform(shortest, longest)
        host.flap = self._engine.background(gap, lambda: self._flap(host, away), f"ecs.flap:{host.instance_id}")

    def _flap(self, host: Host, away: float) -> None:
        if not host.running or host.status == "INACTIVE" or not host.may_connect:
            return
        if host.agent_connected:
            self.disconnect(host)
            self._back_after(host, away, lambda: self.connect(host, flap=True))
        self._plan_flap(host)

    def _plan_disconnect(self, host: Host, fault: AgentFault) -> None:
        def strike() -> None:
            if not self._kernel.settled:
                # Nothing strikes while the fleet is built, which takes no time: at once afterwards.
                self._engine.background(0.001, strike, f"ecs.agent:{host.instance_id}")
                return
            host.may_connect = False
            self.disconnect(host)
            if fault.seconds is not None:
                self._back_after(host, fault.seconds, back)

        def back() -> None:
            host.may_connect = True
            self.connect(host)
            self._plan_flap(host)

        wait = max(0.0, fault.after - self._engine.elapsed)
        self._engine.background(wait, strike, f"ecs.agent:{host.instance_id}")

    def _back_after(self, host: Host, seconds: float, fn: Callable[[], None]) -> None:
        """The agent comes back in the background, unless a task comes to wait for it meanwhile."""
        host.back = (self._engine.elapsed + seconds, fn)
        self._engine.background(seconds, lambda: self._back(host), f"ecs.agent:{host.instance_id}")

    def _back(self, host: Host) -> None:
        # a sum of times may be off by a rounding error
        if host.back is not None and host.back[0] <= self._engine.elapsed + 1e-6:
            fn = host.back[1]
            host.back = None
            fn()

    def hold(self, host: Host, report: Callable[[], None]) -> None:
        """Keep what a disconnected agent has to report until it is back; then the world waits for it."""
        if host.back is not None and not host.held:
            wait = host.back[0] - self._engine.elapsed
            self._engine.later(wait, lambda: self._back(host), f"ecs.agent:{host.instance_id}")
        host.held.append(report)

    def disconnect(self, host: Host) -> None:
        """The agent loses its connection: nothing on the instance is reported or started until it is back."""
        if host.agent_connected and host.status != "INACTIVE":
            host.agent_connected = False
            self._engine.events.host(host)

    def connect(self, host: Host, *, flap: bool = False) -> None:
        """The agent is back, and reports what it held. After a mere flap nobody is woken who did not wait for it."""
        if host.agent_connected or not host.running or not host.may_connect or host.status == "INACTIVE":
            return
        host.agent_connected = True
        self._engine.events.host(host)
        held, host.held = host.held, []
        for report in held:
            report()
        if not flap:
            self._available(host)
            return
        host.cluster.epoch += 1
        for service in self._engine.store.services_of(host.cluster):
            if service.strategy == "DAEMON" and service.arn not in host.service_counts:
                self._engine.scheduler.poke(service)

    # --- draining ----------------------------------------------------------------------------------------------------
    def drain(self, host: Host, call: Call | None) -> None:
        """DRAINING: nothing new is placed here, and service tasks leave by their services' limits."""
        if host.status == "ACTIVE":
            self._set(host, "DRAINING", call, "host.draining", "drains")

    def activate(self, host: Host, call: Call | None) -> None:
        """ACTIVE again; what has left stays away."""
        if host.status == "DRAINING":
            self._set(host, "ACTIVE", call, "host.active", "is active again")
            self._available(host)

    def _set(self, host: Host, status: HostStatus, call: Call | None, kind: str, words: str) -> None:
        host.status = status
        host.drained_by = call if status == "DRAINING" else None
        self._engine.events.host(host)
        self._note(host, kind, words)
        scheduler = self._engine.scheduler
        for service in self._engine.store.services_of(host.cluster):
            if service.arn in host.service_counts or service.strategy == "DAEMON":
                if status == "ACTIVE":
                    service.excess_by = call
                scheduler.poke(service)

    def when_empty(self, host: Host, done: Callable[[], None]) -> None:
        """Call `done` once no task but daemons' is left, or the instance is gone."""
        self._waiting.setdefault(host.arn, []).append(done)
        self._check_empty(host)

    def _check_empty(self, host: Host) -> None:
        left = any(task.service is None or task.service.strategy == "REPLICA" for task in host.tasks.values())
        if host.arn in self._waiting and (not left or host.status == "INACTIVE"):
            for done in self._waiting.pop(host.arn):
                done()

    def task_left(self, host: Host) -> None:
        """A task of a host is STOPPED; on a draining one the daemons' turn may have come."""
        self._check_empty(host)
        if host.status == "DRAINING":
            for service in self._engine.store.services_of(host.cluster):
                if service.strategy == "DAEMON" and service.arn in host.service_counts:
                    self._engine.scheduler.poke(service)

    # --- going -------------------------------------------------------------------------------------------------------
    def deregister(self, host: Host, call: Call) -> None:
        """DeregisterContainerInstance, after its checks: INACTIVE, with its tasks stopped or orphaned."""
        host.status = "INACTIVE"
        host.agent_connected = False
        self._forget_timers(host)
        for task in list(host.tasks.values()):
            if self._engine.options.deregister_force_stops_tasks:
                self._end(task, "UserInitiated", "Container instance deregistration forced by user", call)
            else:
                self._engine.lifecycle.orphan(task, call)
        self._gone(host, "is deregistered")

    def instance_terminated(self, instance_id: str, cause: Call | None) -> None:
        """EC2 ends an instance: its tasks die now; ECS notices only if the agent was connected."""
        host = self._engine.store.hosts_by_instance.get(instance_id)
        if host is None or host.status == "INACTIVE":
            return
        noticed = host.agent_connected
        self._die(host, cause)
        if noticed:
            reason = f"Host EC2 (instance {instance_id}) terminated."
            name = f"ecs.deregister:{instance_id}"
            self._engine.later(self._engine.options.deregister, lambda: self._deregistered(host, reason, cause), name)

    def instance_stopped(self, instance_id: str) -> None:
        """EC2 stops an instance: its tasks end and become STOPPED; the container instance stays, disconnected."""
        host = self._engine.store.hosts_by_instance.get(instance_id)
        if host is None or host.status == "INACTIVE" or not host.running:
            return
        cause = host.machine.end_cause
        noticed = host.agent_connected
        self._die(host, cause)
        if noticed:
            reason = f"Host EC2 (instance {instance_id}) stopped."
            name = f"ecs.stopped:{instance_id}"
            self._engine.later(self._engine.options.deregister, lambda: self._end_all(host, reason, cause), name)

    def _die(self, host: Host, cause: Call | None) -> None:
        host.running = False
        host.may_connect = False
        self._forget_timers(host)
        self.disconnect(host)
        for task in list(host.tasks.values()):
            self._engine.lifecycle.die(task, cause)

    def _deregistered(self, host: Host, reason: str, cause: Call | None) -> None:
        if host.status == "INACTIVE":
            return
        host.status = "INACTIVE"
        self._end_all(host, reason, cause)
        self._gone(host, "is gone")

    def _end_all(self, host: Host, reason: str, cause: Call | None) -> None:
        for task in list(host.tasks.values()):
            self._end(task, "TerminationNotice", reason, cause)

    def _end(self, task: Task, code: str, reason: str, cause: Call | None) -> None:
        task.dead = True
        self._engine.lifecycle.stop(task, code, reason, cause)
        self._engine.lifecycle.deregister_targets(task, lambda: None)
        self._engine.lifecycle.finish(task)

    def _gone(self, host: Host, words: str) -> None:
        self._engine.events.host(host)
        self._note(host, "host.gone", words)
        self._check_empty(host)
        for service in self._engine.store.services_of(host.cluster):
            if service.strategy == "DAEMON":
                self._engine.scheduler.poke(service)

    def _forget_timers(self, host: Host) -> None:
        host.held = []
        if host.flap is not None:
            host.flap.cancel()

    def _note(self, host: Host, kind: str, words: str) -> None:
        if self._kernel.settled:
            text = f"{host.cluster.name}: host {host.instance_id} {words}"
            self._kernel.note(
                kind, text, instance=host.instance_id, container_instance=host.arn, cluster=host.cluster.arn
            )


def _attributes(instance: Ec2Instance) -> dict[str, str | None]:
    return {
        "ecs.availability-zone": instance.zone,
        "ecs.instance-type": instance.instance_type,
        "ecs.ami-id": instance.image_id,
        "ecs.os-type": "linux",
        "ecs.os-family": "LINUX",
        "ecs.cpu-architecture": instance.architecture,
        "ecs.subnet-id": instance.subnet_id,
        "ecs.capability.task-eni": None,
        "ecs.capability.execution-role-awslogs": None,
        "com.amazonaws.ecs.capability.docker-remote-api.1.44": None,
        "com.amazonaws.ecs.capability.logging-driver.awslogs": None,
        "com.amazonaws.ecs.capability.logging-driver.json-file": None,
        **instance.ecs_attributes,
    }
