"""The lifecycle-hook operations of the Auto Scaling API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin.errors import AwsError
from twin.kernel.api import Call, operation
from twin.neighbours.fleet import Fleet
from twin.neighbours.groups import LAUNCHING, TERMINATING, Group, LifecycleHook, hook_view

_NAMES = ("LifecycleHookName", "AutoScalingGroupName")
_SETTINGS = ("LifecycleTransition", "NotificationMetadata", "HeartbeatTimeout", "DefaultResult")


class LifecycleOperations:
    """Hooks that notify an SNS topic or SQS queue are not modelled: their events on the bus are."""

    fleet: Fleet

    @operation("PutLifecycleHook", (*_NAMES, *_SETTINGS))
    def put_lifecycle_hook(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self.put_hook(self.fleet.group(params["AutoScalingGroupName"]), params)
        return {}

    def put_hook(self, group: Group, params: Mapping[str, Any]) -> LifecycleHook:
        """Make or change a hook; what is left out of a change stays."""
        name = params["LifecycleHookName"]
        old = group.hooks.get(name)
        transition = params.get("LifecycleTransition", old.transition if old else None)
        if transition is None:
            raise _invalid("LifecycleTransition is required for a new lifecycle hook")
        if transition not in (LAUNCHING, TERMINATING):
            raise _invalid(f"{transition} is not a valid lifecycle transition")
        hook = LifecycleHook(name, transition)
        hook.heartbeat = params.get("HeartbeatTimeout", old.heartbeat if old else hook.heartbeat)
        hook.default_result = params.get("DefaultResult", old.default_result if old else hook.default_result)
        hook.metadata = params.get("NotificationMetadata", old.metadata if old else None)
        if not 30 <= hook.heartbeat <= 7200:
            raise _invalid(f"Heartbeat timeout must be between 30 and 7200 seconds, not {hook.heartbeat}")
        _check_result(hook.default_result)
        if old is None and len(group.hooks) >= 50:
            raise AwsError("LimitExceeded", "An Auto Scaling group can have at most 50 lifecycle hooks")
        group.hooks[name] = hook
        return hook

    @operation("DescribeLifecycleHooks", ("AutoScalingGroupName", "LifecycleHookNames"))
    def describe_lifecycle_hooks(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.fleet.group(params["AutoScalingGroupName"])
        wanted = params.get("LifecycleHookNames") or list(group.hooks)
        return {"LifecycleHooks": [hook_view(group, group.hooks[name]) for name in wanted if name in group.hooks]}

    @operation("DeleteLifecycleHook", _NAMES)
    def delete_lifecycle_hook(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Actions under way are completed first: ABANDON for launching instances, CONTINUE for terminating ones."""
        group = self.fleet.group(params["AutoScalingGroupName"])
        hook = group.hooks.pop(params["LifecycleHookName"], None)
        if hook is None:
            raise _invalid(f"No Lifecycle Hook found with name {params['LifecycleHookName']}")
        result = "ABANDON" if hook.transition == LAUNCHING else "CONTINUE"
        for member in list(group.members.values()):
            action = member.actions.get(hook.name)
            if action:
                self.fleet.lifecycle.complete(group, member, action, result)
        return {}

    @operation("CompleteLifecycleAction", (*_NAMES, "LifecycleActionToken", "LifecycleActionResult", "InstanceId"))
    def complete_lifecycle_action(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.fleet.group(params["AutoScalingGroupName"])
        _check_result(params["LifecycleActionResult"])
        member, action = self.fleet.lifecycle.find(
            group, params["LifecycleHookName"], params.get("LifecycleActionToken"), params.get("InstanceId")
        )
        self.fleet.lifecycle.complete(group, member, action, params["LifecycleActionResult"])
        return {}

    @operation("RecordLifecycleActionHeartbeat", (*_NAMES, "LifecycleActionToken", "InstanceId"))
    def record_lifecycle_action_heartbeat(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.fleet.group(params["AutoScalingGroupName"])
        member, action = self.fleet.lifecycle.find(
            group, params["LifecycleHookName"], params.get("LifecycleActionToken"), params.get("InstanceId")
        )
        self.fleet.lifecycle.heartbeat(group, member, action)
        return {}


def _check_result(result: str) -> None:
    if result not in ("CONTINUE", "ABANDON"):
        raise _invalid(f"Lifecycle action result must be CONTINUE or ABANDON, not {result}")


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
