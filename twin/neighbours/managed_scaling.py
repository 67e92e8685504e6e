"""What ECS capacity providers do to Auto Scaling groups: managed scaling, termination protection, draining.

Sources: ECS developer guide ("Amazon ECS cluster auto scaling", "Managed instance draining") and ECS API
(ManagedScaling). The metric is CapacityProviderReservation = 100 M / N: M instances are needed by all tasks, N exist.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    """What ECS tells and does for a capacity provider."""

    def occupied(self, provider_name: str) -> Sequence[str]:
        """Ids of the EC2 instances on which a task runs or starts that is not a daemon's."""

    def instances_missing(self, provider_name: str) -> int:
        """How many instances, beyond the registered ones, the tasks that wait in PROVISIONING need."""

    def drain(self, instance_id: str, done: Callable[[], None]) -> None:
        """Managed draining: set the host DRAINING, and call `done` once no task but daemons' is left on it."""


@dataclass(frozen=True)
class _Datapoint:
    """CapacityProviderReservation at a moment: `needed` (M) of `present` (N) instances.

    Without instances the metric is 100 if nothing waits, 200 if something does (AWS containers blog on cluster auto
    scaling): as one needed, or two, of one.
    """

    at: float
    needed: int
    present: int

    @property
    def reservation(self) -> float:
        """Percent."""
        return 100.0 * self.needed / self.present

    def size(self, target: int) -> int:
        """The number of instances that brings the metric to `target` percent."""
        return -(-100 * self.needed // target)


@dataclass
class _Managed:
    provider: CapacityProvider
    demand: CapacityDemand
    group: Group
    low_since: float | None = None
    datapoints: deque[_Datapoint] = field(default_factory=deque)
    replaced: bool = False


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
        if former := self._managed.get(provider.name):
            former.replaced = True
        self._managed[provider.name] = one
        if provider.drains:
            hook = LifecycleHook(DRAINING_HOOK, TERMINATING, 3600, "CONTINUE")
            group.hooks[DRAINING_HOOK] = hook
        if provider.scaling or provider.protects:
            self._again(one)

    def _again(self, one: _Managed) -> None:
        self.kernel.scheduler.call_later(
            self.options.evaluation,
            lambda: self._evaluate(one),
            name=f"managed-scaling:{one.provider.name}",
            background=True,
        )

    def _evaluate(self, one: _Managed) -> None:
        if one.replaced or one.group.deleted:
            return
        occupied = set(one.demand.occupied(one.provider.name))
        if one.provider.protects:
            self._protect(one.group, occupied)
        if one.provider.scaling:
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
        now, target = self.kernel.clock.elapsed, one.provider.target
        one.datapoints.append(self._datapoint(one, occupied))
        point = self._newest(one, now - self.options.metric_delay)
        if point is None:
            return
        if point.reservation >= target:
            one.low_since = None
        elif one.low_since is None:
            one.low_since = now
        if not one.group.runs("AlarmNotification"):
            return
        if point.reservation > target:
            self._scale_out(one, point)
        # the alarm needs all datapoints of the period, the first included
        elif one.low_since is not None and now - one.low_since >= self.options.scale_in_after - self.options.evaluation:
            self._scale_in(one, point)

    def _datapoint(self, one: _Managed, occupied: set[str]) -> _Datapoint:
        """M and N now. An instance that warms up without a task is still on its way to the tasks that wait."""
        now, live = self.kernel.clock.elapsed, one.group.live
        missing = one.demand.instances_missing(one.provider.name)
        if not live:
            return _Datapoint(now, 2 if missing else 1, 1)
        if not missing:
            return _Datapoint(now, sum(member.instance_id in occupied for member in live), len(live))
        there = sum(member.instance_id in occupied or not self._warming(member, one.provider) for member in live)
        return _Datapoint(now, there + missing, len(live))

    @staticmethod
    def _newest(one: _Managed, until: float) -> _Datapoint | None:
        """The newest datapoint that CloudWatch has by now; older ones are dropped."""
        while len(one.datapoints) > 1 and one.datapoints[1].at <= until:
            one.datapoints.popleft()
        return one.datapoints[0] if one.datapoints and one.datapoints[0].at <= until else None

    def _scale_out(self, one: _Managed, point: _Datapoint) -> None:
        """To the size that the datapoint asks for; instances on their way or warming up count as there."""
        group, provider = one.group, one.provider
        wanted = point.size(provider.target) - group.desired
        if wanted > 0:
            step = max(provider.min_step, min(provider.max_step, wanted))
            self._set(one, min(group.maximum, group.desired + step))

    def _scale_in(self, one: _Managed, point: _Datapoint) -> None:
        group = one.group
        if not any(self._warming(member, one.provider) for member in group.live):
            self._set(one, max(group.minimum, min(group.desired, point.size(one.provider.target))))

    def _warming(self, member: Member, provider: CapacityProvider) -> bool:
        if member.in_service_at is None:
            return True
        return (self.kernel.clock.now() - member.in_service_at).total_seconds() < provider.warmup

    def _set(self, one: _Managed, desired: int) -> None:
        if desired != one.group.desired:
            text = f"a monitor alarm of capacity provider {one.provider.name}'s managed scaling was in state ALARM"
            self.fleet.set_desired(one.group, desired, text, None)

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
