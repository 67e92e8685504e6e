"""Builds what a service's native releases need, in the API's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twin.ecs.options import HookFault
from twin.errors import WorldError
from twin.kernel.template import Deployment
from twin.rehearsal.balancers import Balanced
from twin.rehearsal.release_spec import HookCallFault, Release, ReleaseHook


def configuration(release: Release, deployment: Deployment) -> dict[str, Any]:
    """deploymentConfiguration without the percents. WorldError for a function or role that the template has not."""
    made: dict[str, Any] = {"strategy": release.strategy, "bakeTimeInMinutes": round(release.bake / 60)}
    if release.strategy == "CANARY":
        made["canaryConfiguration"] = {
            "canaryPercent": release.canary_percent,
            "canaryBakeTimeInMinutes": round(release.canary_bake / 60),
        }
    if release.strategy == "LINEAR":
        made["linearConfiguration"] = {
            "stepPercent": release.step_percent,
            "stepBakeTimeInMinutes": round(release.step_bake / 60),
        }
    if release.alarms:
        alarms = {"alarmNames": list(release.alarms), "enable": True, "rollback": release.alarms_roll_back}
        made["alarms"] = alarms
    if release.hooks:
        made["lifecycleHooks"] = [_hook(hook, deployment) for hook in release.hooks]
    return made


def _hook(hook: ReleaseHook, deployment: Deployment) -> dict[str, Any]:
    limits = {"timeoutInMinutes": round(hook.timeout / 60), "action": hook.timeout_action}
    made: dict[str, Any] = {"lifecycleStages": list(hook.stages), "timeoutConfiguration": limits}
    if hook.function is None or hook.role is None:
        return {**made, "targetType": "PAUSE"}
    made |= {"targetType": "AWS_LAMBDA", "hookTargetArn": _arn(hook.function, deployment)}
    made["roleArn"] = _arn(hook.role, deployment)
    return {**made, "hookDetails": dict(hook.details)} if hook.details else made


def _arn(logical_id: str, deployment: Deployment) -> str:
    created = deployment.resources.get(logical_id)
    if created is None or not created.arn:
        raise WorldError(f"release.hooks: the template has no {logical_id}")
    return created.arn


def advanced(balanced: Balanced, account: str) -> dict[str, Any]:
    """advancedConfiguration of the service's load balancer."""
    return {
        "alternateTargetGroupArn": balanced.alternate,
        "productionListenerRule": balanced.rule,
        "roleArn": f"arn:aws:iam::{account}:role/ecsInfrastructureRoleForLoadBalancers",
    }


def hook_faults(faults: Sequence[object]) -> tuple[HookFault, ...]:
    """The faults of hook calls among a world's faults."""
    return tuple(
        HookFault(
            "late" if fault.kind == "hook_late" else "doubled",
            service=fault.service,
            stage=fault.stage,
            seconds=fault.delay,
            times=fault.times,
            after=fault.after,
            until=fault.until,
        )
        for fault in faults
        if isinstance(fault, HookCallFault)
    )
