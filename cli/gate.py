"""`caretaker gate install|remove`: attaches the hook to a service's deployments, or takes it off.

UpdateService takes a deploymentConfiguration as a whole (what is left out may be reset), so the whole one is read,
changed in `lifecycleHooks` only, sent, and read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from cli.account import Account
from twin.errors import WorldError

STAGES = ("PRE_PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT")
"""Before every step of the traffic, and after the last one. A rollback runs neither: nothing can hold it up."""
FUNCTION_OUTPUT, ROLE_OUTPUT = "HookFunctionArn", "HookRoleArn"
MOST_HOOKS = 10
_RUNNING = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")

Configuration = dict[str, Any]
Change = Callable[[Configuration], Configuration]


@dataclass(frozen=True)
class Gate:
    """The deployed hook: ARN of the function's alias, and of the role by which ECS invokes it."""

    function: str
    role: str


# --- plain -----------------------------------------------------------------------------------------------------------
def installed(configuration: Mapping[str, Any], gate: Gate) -> Configuration:
    """A deploymentConfiguration with the gate in it, once. Raises WorldError where it cannot stand."""
    strategy = configuration.get("strategy", "ROLLING")
    if strategy == "ROLLING":
        raise WorldError(
            "it is deployed ROLLING, which shifts no traffic in steps, so there is nothing to gate: "
            "choose the strategy CANARY, LINEAR or BLUE_GREEN first"
        )
    hooks = list(configuration.get("lifecycleHooks") or ())
    ours = [hook for hook in hooks if is_ours(hook, gate.function)]
    others = [hook for hook in hooks if hook not in ours]
    if sum(hook.get("targetType", "AWS_LAMBDA") == "AWS_LAMBDA" for hook in others) >= MOST_HOOKS:
        raise WorldError(f"it has {MOST_HOOKS} Lambda hooks already, as many as ECS allows")
    kept = {name: ours[0][name] for name in ("hookDetails", "timeoutConfiguration") if ours and name in ours[0]}
    made = {"targetType": "AWS_LAMBDA", "hookTargetArn": gate.function, "roleArn": gate.role}
    return {**configuration, "lifecycleHooks": [*others, {**made, "lifecycleStages": list(STAGES), **kept}]}


def removed(configuration: Mapping[str, Any], function: str) -> Configuration:
    """A deploymentConfiguration without the gate."""
    hooks = [hook for hook in configuration.get("lifecycleHooks") or () if not is_ours(hook, function)]
    return {**configuration, "lifecycleHooks": hooks}


def is_ours(hook: Mapping[str, Any], function: str) -> bool:
    """Whether a hook calls our function, whatever version or alias of it."""
    target = hook.get("hookTargetArn") or ""
    return bool(target) and target.split(":")[:7] == function.split(":")[:7]


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two configurations say the same."""
    return _comparable(one) == _comparable(other)


def _comparable(configuration: Mapping[str, Any]) -> dict[str, Any]:
    hooks = [
        {"targetType": "AWS_LAMBDA", **hook, "lifecycleStages": sorted(hook.get("lifecycleStages", ()))}
        for hook in configuration.get("lifecycleHooks") or ()
    ]
    return {**configuration, "lifecycleHooks": sorted(hooks, key=repr)}


def described(configuration: Mapping[str, Any]) -> list[str]:
    """The hooks of a configuration, a line each."""
    hooks = configuration.get("lifecycleHooks") or ()
    lines = [
        f"{hook.get('hookTargetArn') or 'PAUSE'} at {', '.join(sorted(hook.get('lifecycleStages', ())))}"
        for hook in hooks
    ]
    return lines or ["no hooks"]


# --- at the account --------------------------------------------------------------------------------------------------
def install(account: Account, stack: str, cluster: str | None, service: str) -> int:
    """Attach the gate. Returns the exit code; raises WorldError."""
    outputs = account.outputs(stack)
    gate = Gate(_output(outputs, stack, FUNCTION_OUTPUT), _output(outputs, stack, ROLE_OUTPUT))
    return _change(account, cluster, service, "the gate stands", lambda found: installed(found, gate))


def remove(account: Account, stack: str, cluster: str | None, service: str) -> int:
    """Take the gate off. Returns the exit code; raises WorldError."""
    function = _output(account.outputs(stack), stack, FUNCTION_OUTPUT)
    return _change(account, cluster, service, "the gate is gone", lambda found: removed(found, function))


def _output(outputs: Mapping[str, str], stack: str, name: str) -> str:
    found = outputs.get(name)
    if not found:
        raise WorldError(f"--stack: {stack} has no output {name}: it is not Caretaker, or older than the gate")
    return found


def _change(account: Account, cluster: str | None, service: str, done: str, change: Change) -> int:
    found = _service(account, cluster, service)
    name, where = found["serviceName"], found["clusterArn"].rpartition("/")[2]
    before: Configuration = found["deploymentConfiguration"]
    try:
        after = change(before)
    except WorldError as error:
        raise WorldError(f"{name}: {error}") from None
    typer.echo(f"{name} in {where}, strategy {before.get('strategy', 'ROLLING')}")
    if same(before, after):
        _show("hooks", before)
        typer.echo(f"nothing to do: {done} already")
        return 0
    _show("before", before)
    request = {"cluster": found["clusterArn"], "service": found["serviceArn"], "deploymentConfiguration": after}
    account.call("ecs", "update_service", **request)
    now = _service(account, found["clusterArn"], found["serviceArn"])["deploymentConfiguration"]
    _show("after", now)
    if not same(now, after):
        typer.echo("caretaker: the service's configuration is not as it was sent: look at it", err=True)
        return 1
    typer.echo(f"{done}, from the next deployment on")
    if _running(account, found):
        typer.echo("a deployment is under way: it goes on with the hooks that it began with")
    return 0


def _show(word: str, configuration: Mapping[str, Any]) -> None:
    for number, line in enumerate(described(configuration)):
        typer.echo(f"  {word if not number else '':<8}{line}")


def _service(account: Account, cluster: str | None, service: str) -> dict[str, Any]:
    """A service by name or ARN. WorldError if it is not there, or is deployed by somebody else than ECS."""
    if cluster is None and ":service/" in service:
        cluster = service.partition(":service/")[2].split("/")[0]
    request = {"services": [service], **({"cluster": cluster} if cluster else {})}
    answer = account.call("ecs", "describe_services", **request)
    found = [one for one in answer.get("services", []) if one.get("status") == "ACTIVE"]
    if not found:
        raise WorldError(f"no active service {service} in cluster {cluster or 'default'}")
    controller = (found[0].get("deploymentController") or {}).get("type", "ECS")
    if controller != "ECS":
        raise WorldError(f"{service}: its deployment controller is {controller}; only ECS's own calls hooks")
    return dict(found[0])


def _running(account: Account, service: Mapping[str, Any]) -> bool:
    request = {"cluster": service["clusterArn"], "service": service["serviceArn"], "status": list(_RUNNING)}
    return bool(account.call("ecs", "list_service_deployments", **request).get("serviceDeployments"))
