"""Elastic Load Balancing version 2: load balancers, listeners, rules, target groups, targets.

Source: ELBv2 API reference. The operations are in elbv2_balancers.py, elbv2_listeners.py, elbv2_certificates.py,
elbv2_rules.py, elbv2_groups.py and elbv2_tags.py; where a rule's requests go is in routing.py, the life of targets in
targets.py. No request is simulated here: what makes traffic reads `shares` and the targets' states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twin.kernel.api import Api
from twin.neighbours.common import after
from twin.neighbours.elbv2_balancers import LoadBalancerOperations
from twin.neighbours.elbv2_groups import TargetGroupOperations
from twin.neighbours.elbv2_model import Listener, LoadBalancer, Rule
from twin.neighbours.elbv2_tags import TagOperations
from twin.neighbours.targets import Elbv2Options, Probe, TargetGroup

__all__ = ["Elbv2", "Elbv2Options", "Listener", "LoadBalancer", "RegisteredTarget", "Rule", "TargetGroup"]


@dataclass(frozen=True)
class RegisteredTarget:
    """A target of a group: `state` is initial, healthy, unhealthy, draining or unused, as DescribeTargetHealth says."""

    target_id: str
    port: int
    zone: str
    state: str


class Elbv2(LoadBalancerOperations, TargetGroupOperations, TagOperations, Api):
    """The ELBv2 API. Beside it, for ECS and Auto Scaling: `register`, `deregister`, `healthy`, `on_change`,
    `probe_changed`; for what makes traffic: `shares`, `weights`, `routed`, `default_rule`, `rules_of`, `rules_to`,
    `listeners_of`, `targets`."""

    service = "elbv2"

    def register(self, target_group_arn: str, target_id: str, port: int, zone: str, probe: Probe) -> None:
        """Register a target; `probe` says whether a health check would succeed now."""
        self._targets.register(self.group(target_group_arn), target_id, port, zone, probe)

    def deregister(
        self, target_group_arn: str, target_id: str, port: int, on_done: Callable[[], None] | None = None
    ) -> None:
        """Drain a target for the deregistration delay; then it is gone and `on_done` is called, which it also is (at
        once) for a target that is not registered."""
        found = self.target_groups.get(target_group_arn)
        target = found.targets.get((target_id, port)) if found else None
        if found and target:
            self._targets.deregister(found, target, on_done)
        elif on_done:
            after(self.kernel, 0, on_done, name=f"deregister:{target_id}:{port}")

    def healthy(self, target_group_arn: str, target_id: str, port: int) -> bool:
        """Whether the target is healthy in a group that a load balancer uses; not if the group was deleted."""
        group = self.target_groups.get(target_group_arn)
        target = group.targets.get((target_id, port)) if group else None
        return group is not None and target is not None and target.state == "healthy" and group.uses(target)

    def on_change(self, target_group_arn: str, target_id: str, port: int, callback: Callable[..., None]) -> None:
        """Call `callback(state)` when the target becomes `healthy` or `unhealthy`, and when a healthy one becomes
        `draining` or `initial` (its group left every rule), until it is gone."""
        self._targets.on_change((target_group_arn, target_id, port), callback)

    def probe_changed(self, target_group_arn: str, target_id: str, port: int) -> None:
        """Tell that the target's probe answers otherwise than before. A healthy target is not probed by itself."""
        group = self.target_groups.get(target_group_arn)
        target = group.targets.get((target_id, port)) if group else None
        if group and target:
            self._targets.probe_changed(group, target)

    def targets(self, target_group_arn: str) -> list[RegisteredTarget]:
        """The group's targets, oldest first; AwsError TargetGroupNotFound if there is no such group."""
        group = self.group(target_group_arn)
        return [
            RegisteredTarget(one.target_id, one.port, one.zone, one.state if group.uses(one) else "unused")
            for one in group.targets.values()
        ]
