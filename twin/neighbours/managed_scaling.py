"""What ECS capacity providers do to Auto Scaling groups: managed scaling, termination protection, draining.

Sources: ECS developer guide ("Amazon ECS cluster auto scaling", "Managed instance draining") and ECS API
(ManagedScaling). The metric is CapacityProviderReservation = 100 M / N: M instances are needed by all tasks, N exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from twin.kernel.kernel import Kernel
from twin.neighbours.fleet import Fleet
from twin.neighbours.groups import TERMINATING, AutoScalingOptions, Group, LifecycleHook, Member

DRAINING_HOOK = "ecs-managed-draining-termination-hook"


@dataclass(frozen=True)
class CapacityProvider:
    """A capacity provider of ECS, as Auto Scaling sees it.

    Attributes:
        group_name: name or ARN of the group.
        scaling: managedScaling.status is ENABLED.
        target: targetCapacity, percent.
        min_step, max_step: minimumScalingStepSize and maximumScalingStepSize, of scale-out.
        warmup: instanceWarmupPeriod, seconds.
        protects: managedTerminationProtection is ENABLED.
        drains: managedDraining is ENABLED.
    """

    name: str
    group_name: str
    scaling: bool = True
    target: int = 100
    min_step: int = 1
    max_step: int = 10_000
    warmup: float = 300.0
    protects: bool = False
    drains: bool = False


class CapacityDemand(Protocol):
    """What ECS knows of a capacity provider's need."""

    def occupied(self, provider_name: str) -> Sequence[str]:
        """Ids of the EC2 instances that run or start a task which is not a daemon's."""

    def instances_missing(self, provider_name: str) -> int:
        """How many instances, beyond those that exist, the provider's waiting (PROVISIONING) tasks need."""

    def drain(self, instance_id: str, done: Callable[[], None]) -> None:
        """Managed draining: set the host DRAINING, and call `done` once no task but daemons' is left on it."""


@dataclass
class _Managed:
    provider: CapacityProvider
    demand: CapacityDemand
    group: Group
    low_since: float | None = None
    removed: bool = False


class ManagedScaling:
    """Evaluates each capacity provider once a period, in the background."""

    def __init__(self, kernel: Kernel, fleet: Fleet, options: AutoScalingOptions) -> None:
        self.kernel = kernel
        self.fleet = fleet
        self.options = options
        self._managed: dict[str, _Managed] = {}
        fleet.lifecycle.watchers.append(self._hook_begins)

    def add(self, group: Group, provider: CapacityProvider, demand: CapacityDemand) -> None:
        one = _Managed(provider, demand, group)
        self.remove(provider.name)
        self._managed[provider.name] = one
        if provider.drains:
            hook = LifecycleHook(DRAINING_HOOK, TERMINATING, 3600, "CONTINUE")
            group.hooks[DRAINING_HOOK] = hook
        if provider.scaling or provider.protects:
            self._again(one)

    def remove(self, provider_name: str) -> None:
        old = self._managed.pop(provider_name, None)
        if old:
            old.removed = True

    def _again(self, one: _Managed) -> None:
        self.kernel.scheduler.call_later(
            self.options.evaluation,
            lambda: self._evaluate(one),
            name=f"managed-scaling:{one.provider.name}",
            background=True,
        )

    def _evaluate(self, one: _Managed) -> None:
        if one.removed or one.group.deleted:
            return
        occupied = set(one.demand.occupied(one.provider.name))
        if one.provider.protects:
            self._protect(one.group, occupied)
        if one.provider.scaling and one.group.runs("AlarmNotification"):
            self._scale(one, occupied)
        self._again(one)

    def _protect(self, group: Group, occupied: set[str]) -> None:
        """Managed termination protection: hosts with tasks are protected from scale-in, empty ones are not."""
        changed = False
        for member in group.live:
            wanted = member.instance_id in occupied
            if member.lifecycle == "InService" and member.protected != wanted:
                member.protected = wanted
                changed = True
        if changed:
            self.fleet.protection_changed(group)

    def _scale(self, one: _Managed, occupied: set[str]) -> None:
        reservation = self._reservation(one, occupied)
        now = self.kernel.clock.elapsed
        if reservation >= one.provider.target:
            one.low_since = None
        if reservation > one.provider.target:
            self._scale_out(one, reservation)
        elif reservation < one.provider.target:
            one.low_since = now if one.low_since is None else one.low_since
            # the alarm needs all datapoints of the period, the first included
            if now - one.low_since >= self.options.scale_in_after - self.options.evaluation:
                self._scale_in(one, reservation)

    def _reservation(self, one: _Managed, occupied: set[str]) -> float:
        """CapacityProviderReservation. Without instances: 100 if nothing waits, 200 if something does."""
        present = len(one.group.live)
        missing = one.demand.instances_missing(one.provider.name)
        if present == 0:
            return 200.0 if missing else 100.0
        here = sum(member.instance_id in occupied for member in one.group.live)
        needed = present + missing if missing else here
        return needed / present * 100.0

    def _scale_out(self, one: _Managed, reservation: float) -> None:
        group, provider = one.group, one.provider
        warming = any(self._warming(member, provider) for member in group.live)
        if len(group.live) < group.desired or (warming and reservation <= 100.0):
            return  # what is on its way counts
        wanted = math.ceil(max(1, len(group.live)) * reservation / provider.target) - len(group.live)
        step = max(provider.min_step, min(provider.max_step, wanted))
        desired = min(group.maximum, group.desired + step)
        self._set(one, desired, f"in alarm state for managed scaling of capacity provider {provider.name}")

    def _warming(self, member: Member, provider: CapacityProvider) -> bool:
        if member.in_service_at is None:
            return True
        return (self.kernel.clock.now() - member.in_service_at).total_seconds() < provider.warmup

    def _scale_in(self, one: _Managed, reservation: float) -> None:
        group = one.group
        wanted = math.ceil(len(group.live) * reservation / one.provider.target)
        desired = max(group.minimum, min(group.desired, wanted))
        self._set(one, desired, f"in alarm state for managed scaling of capacity provider {one.provider.name}")

    def _set(self, one: _Managed, desired: int, text: str) -> None:
        if desired != one.group.desired:
            self.fleet.set_desired(one.group, desired, f"a monitor alarm was {text}", None)

    def _hook_begins(self, group: Group, member: Member, hook: LifecycleHook) -> None:
        """Managed draining answers its own hook when the host has drained."""
        one = next((one for one in self._managed.values() if one.group is group and one.provider.drains), None)
        if one is None or hook.name != DRAINING_HOOK:
            return

        def done() -> None:
            action = member.actions.get(DRAINING_HOOK)
            if action:
                self.fleet.lifecycle.complete(group, member, action, "CONTINUE")

        one.demand.drain(member.instance_id, done)
