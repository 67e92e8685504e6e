"""Lifecycle hooks: instances that wait before they come into service or before they end.

Source: Auto Scaling API (PutLifecycleHook, CompleteLifecycleAction, RecordLifecycleActionHeartbeat) and the user
guide's page on lifecycle hooks.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twin.errors import AwsError
from twin.kernel.kernel import Kernel
from twin.neighbours.common import Bus, emit, uuid
from twin.neighbours.groups import LAUNCHING, Group, LifecycleAction, LifecycleHook, Member


class Lifecycle:
    """Runs the lifecycle actions of all groups."""

    def __init__(self, kernel: Kernel, bus: Bus, ids: Random) -> None:
        self.kernel = kernel
        self.bus = bus
        self._ids = ids
        self.watchers: list[Callable[[Group, Member, LifecycleHook], None]] = []
        """Told of each action that begins; ECS's managed draining is one."""

    def wait(self, group: Group, member: Member, transition: str, then: Callable[[str], None]) -> bool:
        """Let `member` wait for the group's hooks of `transition`; `then(CONTINUE | ABANDON)` when they are through.

        False if there is nothing to wait for (no hook, or the world is still being built).
        """
        hooks = list(group.hooks_of(transition)) if self.kernel.settled else []
        if not hooks:
            return False
        member.lifecycle = "Pending:Wait" if transition == LAUNCHING else "Terminating:Wait"
        member.after_actions = then
        elapsed = self.kernel.clock.elapsed
        for hook in hooks:
            member.actions[hook.name] = LifecycleAction(uuid(self._ids), hook, elapsed + hook.global_timeout)
        for action in list(member.actions.values()):
            self._arm(group, member, action)
            self._announce(group, member, action)
        for hook in hooks:
            for watcher in self.watchers:
                watcher(group, member, hook)
        return True

    def complete(self, group: Group, member: Member, action: LifecycleAction, result: str) -> None:
        """End one action. ABANDON ends the others too; CONTINUE lets them go on."""
        del member.actions[action.hook.name]
        action.turn += 1
        if result == "ABANDON":
            for other in member.actions.values():
                other.turn += 1
            member.actions.clear()
        then = member.after_actions
        if not member.actions and then:
            member.after_actions = None
            then(result)

    def drop(self, member: Member) -> None:
        """Forget the actions of an instance that is gone."""
        for action in member.actions.values():
            action.turn += 1
        member.actions.clear()
        member.after_actions = None

    def heartbeat(self, group: Group, member: Member, action: LifecycleAction) -> None:
        """Begin the heartbeat time-out anew; the global time-out stays."""
        self._arm(group, member, action)

    def find(
        self, group: Group, hook_name: str, token: str | None, instance_id: str | None
    ) -> tuple[Member, LifecycleAction]:
        """The action that a caller means; AwsError if it is over or never was."""
        if hook_name not in group.hooks:
            raise AwsError(
                "ValidationError",
                f"No Lifecycle Hook found with name {hook_name} for AutoScaling group {group.name}",
            )
        if token is None and instance_id is None:
            raise AwsError("ValidationError", "Either a lifecycle action token or an instance ID must be specified.")
        for member in group.members.values():
            action = member.actions.get(hook_name)
            fits = instance_id in (None, member.instance_id)
            if action and fits and token in (None, action.token):
                return member, action
        what = f"token {token}" if token else f"instance ID {instance_id}"
        raise AwsError("ValidationError", f"No active Lifecycle Action found with {what}")

    def _arm(self, group: Group, member: Member, action: LifecycleAction) -> None:
        action.turn += 1
        turn = action.turn
        ends = min(self.kernel.clock.elapsed + action.hook.heartbeat, action.ends_at_most)
        self.kernel.scheduler.call_at(
            ends,
            lambda: self._expire(group, member, action) if turn == action.turn else None,
            name=f"hook:{action.hook.name}:{member.instance_id}",
        )

    def _expire(self, group: Group, member: Member, action: LifecycleAction) -> None:
        self.complete(group, member, action, action.hook.default_result)

    def _announce(self, group: Group, member: Member, action: LifecycleAction) -> None:
        launching = action.hook.transition == LAUNCHING
        detail = {
            "LifecycleActionToken": action.token,
            "AutoScalingGroupName": group.name,
            "LifecycleHookName": action.hook.name,
            "EC2InstanceId": member.instance_id,
            "LifecycleTransition": action.hook.transition,
            "Origin": "EC2" if launching else "AutoScalingGroup",
            "Destination": "AutoScalingGroup" if launching else "EC2",
        }
        if action.hook.metadata:
            detail["NotificationMetadata"] = action.hook.metadata
        kind = "launch" if launching else "terminate"
        emit(self.kernel, self.bus, "aws.autoscaling", f"EC2 Instance-{kind} Lifecycle Action", detail, [group.arn])
        self.kernel.note(
            f"instance.{kind}-hook",
            f"{member.instance_id} waits for hook {action.hook.name}",
            instance=member.instance_id,
            hook=action.hook.name,
            group=group.name,
        )
