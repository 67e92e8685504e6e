"""Target groups, and how their targets become healthy, unhealthy, draining, gone.

Nothing is polled while nothing changes: a target whose probe succeeds costs one timer until it is healthy, and none
after that. Only a target whose probe fails is looked at again each interval, in the background.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from twin.kernel.kernel import Kernel
from twin.neighbours.common import after

Probe = Callable[[], bool]
Key = tuple[str, str, int]
TargetState = Literal["initial", "healthy", "unhealthy", "draining"]


@dataclass
class Elbv2Options:
    """A world's choices. Times in simulated seconds.

    Attributes:
        provisioning: a new load balancer until it is `active`.
        initial_needs_threshold: whether a new target must pass HealthyThresholdCount checks (API reference), or one
            (Application Load Balancer guide: "it must pass one health check to be considered healthy").
        propagation: a change of a rule until all nodes of the load balancer act by it; gradual. Not documented.
        session: mean length of clients' sessions, which target group stickiness holds together.
        interfaces_linger: a deleted load balancer until its network interfaces are gone ("minutes", reports).
        cookie_renewed: whether each answer renews the stickiness cookie, so that a session that goes on never loses it;
            else it ends when DurationSeconds are over. Not documented.
    """

    provisioning: float = 120.0
    initial_needs_threshold: bool = True
    propagation: float = 10.0
    session: float = 600.0
    interfaces_linger: float = 180.0
    cookie_renewed: bool = True


@dataclass
class Target:
    """A registered target. `turn` rises with each change of mind, so that an older timer finds itself outdated."""

    target_id: str
    port: int
    zone: str
    probe: Probe
    state: TargetState = "initial"
    checked: bool = False
    failures: int = 0
    turn: int = 0
    done: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class TargetGroup:
    """A target group.

    Attributes:
        interval: seconds between health checks.
        zones: of the load balancers that use it; empty when none does.
    """

    arn: str
    name: str
    number: int
    settings: dict[str, Any]
    attributes: dict[str, str]
    load_balancers: list[str] = field(default_factory=list)
    zones: set[str] = field(default_factory=set)
    targets: dict[tuple[str, int], Target] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def interval(self) -> float:
        return float(self.settings["HealthCheckIntervalSeconds"])

    @property
    def deregistration_delay(self) -> float:
        return float(self.attributes["deregistration_delay.timeout_seconds"])

    def uses(self, target: Target) -> bool:
        """Whether traffic can reach the target: a load balancer uses the group, in the target's zone."""
        return bool(self.load_balancers) and (not target.zone or not self.zones or target.zone in self.zones)


class Targets:
    """The life of targets. `on_change` callbacks get one argument: the target's new state."""

    def __init__(self, kernel: Kernel, options: Elbv2Options) -> None:
        self.kernel = kernel
        self.options = options
        self._callbacks: dict[Key, list[Callable[..., None]]] = {}

    def on_change(self, key: Key, callback: Callable[..., None]) -> None:
        self._callbacks.setdefault(key, []).append(callback)

    def register(self, group: TargetGroup, target_id: str, port: int, zone: str, probe: Probe) -> Target:
        known = group.targets.get((target_id, port))
        if known and known.state != "draining":
            known.probe = probe
            return known
        if known:
            self._forget(group, known)
        target = Target(target_id, port, zone, probe)
        group.targets[target_id, port] = target
        self.start(group, target)
        return target

    def start(self, group: TargetGroup, target: Target) -> None:
        """Begin the health checks of a target that a load balancer uses."""
        if group.uses(target) and target.state == "initial" and not target.checked:
            target.checked = True
            checks = group.settings["HealthyThresholdCount"] if self.options.initial_needs_threshold else 1
            self._look(group, target, checks)

    def stop(self, group: TargetGroup) -> None:
        """End the health checks of a group that no load balancer uses any more; draining targets go on draining."""
        for target in list(group.targets.values()):
            if target.state != "draining":
                target.checked = False
                target.failures = 0
                self._enter(group, target, "initial")

    def drop(self, group: TargetGroup) -> None:
        """The group is deleted, and its targets are gone with it."""
        for target in list(group.targets.values()):
            self._forget(group, target)

    def deregister(self, group: TargetGroup, target: Target, on_done: Callable[[], None] | None) -> None:
        if on_done:
            target.done.append(on_done)
        if target.state == "draining":
            return
        idle = not group.uses(target)
        self._enter(group, target, "draining")
        delay = 0.0 if idle else group.deregistration_delay
        turn = target.turn
        after(
            self.kernel,
            delay,
            lambda: self._forget(group, target) if turn == target.turn else None,
            name=f"deregister:{target.target_id}:{target.port}",
        )

    def probe_changed(self, group: TargetGroup, target: Target) -> None:
        """The probe may answer otherwise than before: start counting checks towards the other state."""
        healthy = target.probe()
        if target.state == "healthy" and not healthy:
            self._count(group, target, group.settings["UnhealthyThresholdCount"], self._fail)
        elif target.state in ("unhealthy", "initial") and healthy and target.failures:
            target.failures = 0
            self._count(group, target, group.settings["HealthyThresholdCount"], self._pass)

    # --- counting checks ---------------------------------------------------------------------------------------------
    def _look(self, group: TargetGroup, target: Target, checks: int) -> None:
        """Count `checks` successes, or go on looking while the probe fails."""
        if target.probe():
            target.failures = 0
            self._count(group, target, checks, self._pass)
            return
        target.failures += 1
        if target.state == "initial" and target.failures >= group.settings["UnhealthyThresholdCount"]:
            self._enter(group, target, "unhealthy")
        self._look_again(group, target)

    def _count(
        self, group: TargetGroup, target: Target, checks: int, then: Callable[[TargetGroup, Target], None]
    ) -> None:
        target.turn += 1
        turn = target.turn
        after(
            self.kernel,
            checks * group.interval,
            lambda: then(group, target) if turn == target.turn else None,
            name=f"health:{target.target_id}:{target.port}",
        )

    def _look_again(self, group: TargetGroup, target: Target) -> None:
        target.turn += 1
        turn = target.turn
        self.kernel.scheduler.call_later(
            group.interval,
            lambda: (
                self._look(group, target, group.settings["HealthyThresholdCount"] - 1) if turn == target.turn else None
            ),
            name=f"probe:{target.target_id}:{target.port}",
            background=True,
        )

    def _pass(self, group: TargetGroup, target: Target) -> None:
        if target.probe():
            self._enter(group, target, "healthy")
        else:
            target.failures = 1
            self._look_again(group, target)

    def _fail(self, group: TargetGroup, target: Target) -> None:
        if not target.probe():
            target.failures = group.settings["UnhealthyThresholdCount"]
            self._enter(group, target, "unhealthy")
            self._look_again(group, target)

    def _enter(self, group: TargetGroup, target: Target, state: TargetState) -> None:
        was = target.state
        target.state = state
        target.turn += 1
        if self.kernel.settled:
            where = f"{target.target_id}:{target.port}"
            self.kernel.note(
                f"target.{state}", f"target {where} of {group.name} is {state}", target_group=group.arn, target=where
            )
        if "healthy" in (was, state) or state == "unhealthy":
            self._tell(group, target)

    def _forget(self, group: TargetGroup, target: Target) -> None:
        target.turn += 1
        group.targets.pop((target.target_id, target.port), None)
        self._callbacks.pop((group.arn, target.target_id, target.port), None)
        done, target.done = target.done, []
        for callback in done:
            callback()

    def _tell(self, group: TargetGroup, target: Target) -> None:
        for callback in list(self._callbacks.get((group.arn, target.target_id, target.port), ())):
            callback(target.state)


_SHOWN: dict[str, tuple[str, str]] = {
    "initial": ("Elb.InitialHealthChecking", "Initial health checks in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "draining": ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
}


def health_view(group: TargetGroup, target: Target) -> dict[str, Any]:
    """As DescribeTargetHealth shows it (ELBv2 API: TargetHealth)."""
    if not group.load_balancers:
        health = _unused("Target group is not configured to receive traffic from the load balancer")
    elif not group.uses(target):
        health = _unused("Target is in an Availability Zone that is not enabled for the load balancer")
    elif target.state == "healthy":
        health = {"State": "healthy"}
    else:
        reason, text = _SHOWN[target.state]
        if target.state == "initial" and not target.checked:
            reason, text = "Elb.RegistrationInProgress", "Target registration is in progress"
        health = {"State": target.state, "Reason": reason, "Description": text}
    shown: dict[str, Any] = {"Id": target.target_id, "Port": target.port}
    if target.zone and group.settings["TargetType"] == "ip":
        shown["AvailabilityZone"] = target.zone
    check_port = group.settings["HealthCheckPort"]
    return {
        "Target": shown,
        "HealthCheckPort": str(target.port) if check_port == "traffic-port" else check_port,
        "TargetHealth": health,
    }


def missing_view(target_id: str, port: int) -> dict[str, Any]:
    """A target that was asked for by name and is not registered."""
    text = "Target is not registered to the target group"
    health = {"State": "unused", "Reason": "Target.NotRegistered", "Description": text}
    return {"Target": {"Id": target_id, "Port": port}, "TargetHealth": health}


def _unused(text: str) -> dict[str, str]:
    return {"State": "unused", "Reason": "Target.NotInUse", "Description": text}
