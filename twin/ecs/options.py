"""What a world may choose of the twin's ECS: delays, noise, faults, and what AWS's documents leave open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from twin.ecs.express.options import ExpressOptions

TaskFaultKind = Literal["start_fails", "never_healthy", "slow_pull"]
AgentFaultKind = Literal["never_registers", "never_connects", "disconnects"]


@dataclass(frozen=True)
class TaskFault:
    """Trouble that tasks meet which are started while it lasts; tasks that run already are left alone.

    Attributes:
        kind: `start_fails` (the image cannot be pulled: the task stops as `TaskFailedToStart`), `never_healthy` (the
            load balancer's probe and the container's health check fail; a task with neither exits after
            `EcsOptions.crash_after`) or `slow_pull` (pulling takes `factor` times as long).
        service: name of a service, or None.
        family: family of a task definition, or None; a fault that names neither strikes every task.
        times: for `start_fails`: how many starts fail; None: all.
        factor: for `slow_pull`.
        after, until: simulated seconds since the start of the world; until None: for ever.
    """

    kind: TaskFaultKind
    service: str | None = None
    family: str | None = None
    times: int | None = None
    factor: float = 10.0
    after: float = 0.0
    until: float | None = None


@dataclass(frozen=True)
class AgentFault:
    """Trouble of the container agent of one instance, or of every instance of a group that boots while it lasts.

    Attributes:
        kind: `never_registers` (no container instance appears), `never_connects` (it registers, but `agentConnected`
            stays false) or `disconnects` (from `after` on, for `seconds`).
        instance: EC2 instance id, or None.
        group: name of the Auto Scaling group, or None; a fault that names neither strikes every instance.
        seconds: for `disconnects`: how long; None: for ever.
        after, until: simulated seconds since the start of the world.
    """

    kind: AgentFaultKind
    instance: str | None = None
    group: str | None = None
    seconds: float | None = None
    after: float = 0.0
    until: float | None = None


@dataclass(frozen=True)
class HookFault:
    """Trouble with the calls of Lambda lifecycle hooks.

    Attributes:
        kind: `late` (the call is made `seconds` later) or `doubled` (it is made once more, with the same payload,
            `seconds` later; that answer is not minded).
        service: name of a service, or None: all.
        stage: a lifecycle stage, or None: all.
        times: how many calls it strikes; None: all.
        after, until: simulated seconds since the start of the world.
    """

    kind: Literal["late", "doubled"]
    service: str | None = None
    stage: str | None = None
    seconds: float = 1.0
    times: int | None = None
    after: float = 0.0
    until: float | None = None

    def strikes(self, service: str, stage: str, elapsed: float) -> bool:
        in_time = elapsed >= self.after and (self.until is None or elapsed < self.until)
        return in_time and self.service in (None, service) and self.stage in (None, stage)


@dataclass(frozen=True)
class Behaviour:
    """What the application in the containers of a family does, in simulated seconds; None: as `EcsOptions` says.

    Attributes:
        start: from pulled until the containers run.
        stop: what they need after SIGTERM.
        run_for: RUNNING time after which the application ends by itself (a batch job); None: it never does.
    """

    start: float | None = None
    stop: float | None = None
    run_for: float | None = None


@dataclass(frozen=True)
class EcsOptions:
    """Delays in simulated seconds, noise, faults, and the world's choice where AWS's documents are silent or disagree.

    Attributes:
        agent_register: from the boot of an instance until its agent registers it.
        scheduling: from a change until the service scheduler acts on it.
        provision: PROVISIONING of a task that needs no network interface of its own.
        provision_eni: PROVISIONING of an `awsvpc` task.
        pull_first, pull_cached: pulling images that the instance has not, or has.
        start: from pulled until the containers run.
        activate: ACTIVATING (registering in target groups).
        healthy_without_check: RUNNING time after which a task without any health check counts as healthy.
        agent_ack: from the decision to stop until the agent or load balancer begins (lastStatus still RUNNING).
        stop_seconds: what a container needs after SIGTERM (at most its stopTimeout is waited).
        deprovision: DEPROVISIONING.
        interface_release: from the end of an `awsvpc` task until its network interface is gone.
        crash_after: RUNNING time of a task that crashes (fault `never_healthy` without any check).
        deregister: from the end of an EC2 instance with a connected agent until ECS notices.
        placement_retry, placement_retry_most: first and longest pause between tries to place a task.
        start_retry, start_retry_most: the same between starts of tasks that keep failing (AWS: up to 15 minutes).
        rebalance_after: from steady state until an uneven spread over zones is noticed.
        stopped_kept: how long stopped tasks can be listed and described (AWS: at least an hour).
        memory_kept: share of an instance's memory that its system and agent keep.
        agent_flaps_per_hour: how often an agent disconnects and comes back in normal life.
        flap_seconds: shortest and longest time that such an agent is away.
        throttle: enforce ECS's API rates (ThrottlingException).
        protection_holds_draining: whether task protection keeps a task on a DRAINING instance. Unverified.
        deregister_force_stops_tasks: DeregisterContainerInstance with force stops the tasks (True; event page), or
            orphans them, so that ECS knows them no more (False; API reference).
        stopping_counts_to_maximum: tasks that stop count towards maximumPercent until they are STOPPED (API reference:
            "replacement tasks can't start until the draining tasks have stopped").
        partial_configuration_resets: members left out of UpdateService's deploymentConfiguration return to their
            defaults (True), or keep their values (False). Unverified.
        redrain_refused: setting a DRAINING instance to DRAINING is an error (True), or accepted (False). Unverified.
        both_percents_100_refused: CreateService and UpdateService refuse minimum and maximum both at 100. Unverified.
        stage_seconds: what each lifecycle stage of a native deployment takes besides its hooks and bake times.
        rollback_seconds: from the reason for a rollback until it begins.
        shift_tries, shift_retry: how often ECS tries to write a listener rule, and the seconds between.
        shift_hooks: hooks of the traffic shifts run `after` the weights have changed, or `before`. Unverified.
        rollback_hooks: in a rollback the hooks of both traffic shifts run `always`, or only of those that had `shifted`
            traffic. Unverified.
        rollback_hook_failure: a hook that fails in a rollback makes it ROLLBACK_FAILED (`fails`), or is `ignored`.
            Unverified.
        hook_id_per_call: each call of a hook that was IN_PROGRESS has another executionId (True), or the same (False).
            Unverified.
        alarm_poll: seconds between looks at the alarms of a deployment.
        alarm_bake: bake time of a rolling deployment with alarms that sets none (AWS: less than 5 minutes).
        alarm_rollback_sends_failed: SERVICE_DEPLOYMENT_FAILED is sent before the rollback of a native deployment by an
            alarm. Unverified.
        breaker_watches_native: the circuit breaker works for native deployments too (API reference: rolling only).
        first_in_alternate: the tasks of a native service's first revision are in the alternate target group.
            Unverified.
        express: of Express Mode, see there.
        behaviours: family of a task definition -> what its application does.
        task_faults, agent_faults, hook_faults: see there.
    """

    agent_register: float = 30.0
    scheduling: float = 1.0
    provision: float = 1.0
    provision_eni: float = 6.0
    pull_first: float = 25.0
    pull_cached: float = 2.0
    start: float = 3.0
    activate: float = 1.0
    healthy_without_check: float = 40.0
    agent_ack: float = 1.0
    stop_seconds: float = 5.0
    deprovision: float = 1.0
    interface_release: float = 30.0
    crash_after: float = 20.0
    deregister: float = 45.0
    placement_retry: float = 15.0
    placement_retry_most: float = 120.0
    start_retry: float = 10.0
    start_retry_most: float = 900.0
    rebalance_after: float = 60.0
    stopped_kept: float = 3600.0
    memory_kept: float = 0.0525
    agent_flaps_per_hour: float = 3.0
    flap_seconds: tuple[float, float] = (2.0, 20.0)
    throttle: bool = True
    protection_holds_draining: bool = False
    deregister_force_stops_tasks: bool = False
    stopping_counts_to_maximum: bool = True
    partial_configuration_resets: bool = True
    redrain_refused: bool = False
    both_percents_100_refused: bool = False
    stage_seconds: float = 5.0
    rollback_seconds: float = 5.0
    shift_tries: int = 3
    shift_retry: float = 10.0
    shift_hooks: Literal["after", "before"] = "after"
    rollback_hooks: Literal["always", "shifted"] = "always"
    rollback_hook_failure: Literal["fails", "ignored"] = "fails"
    hook_id_per_call: bool = False
    alarm_poll: float = 15.0
    alarm_bake: float = 180.0
    alarm_rollback_sends_failed: bool = False
    breaker_watches_native: bool = False
    first_in_alternate: bool = False
    express: ExpressOptions = field(default_factory=ExpressOptions)
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    task_faults: tuple[TaskFault, ...] = field(default=())
    agent_faults: tuple[AgentFault, ...] = field(default=())
    hook_faults: tuple[HookFault, ...] = field(default=())
