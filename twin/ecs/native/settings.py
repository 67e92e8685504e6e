"""deploymentConfiguration and advancedConfiguration of native deployments: what the API takes, and what it means.

Sources: ECS API: DeploymentConfiguration, CanaryConfiguration, LinearConfiguration, DeploymentLifecycleHook,
DeploymentAlarms, AdvancedConfiguration; Amazon ECS Developer Guide, "Pause hooks" (at most 10 pause and 10 Lambda
hooks; no pause at the traffic shifts), "Lambda hooks" (timeouts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, get_args

from twin.ecs.operations.common import invalid
from twin.errors import Unmodelled

Params = Mapping[str, Any]
Strategy = Literal["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"]
STRATEGIES = ("ROLLING", "BLUE_GREEN", "LINEAR", "CANARY")
HookStage = Literal[
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
]
HOOK_STAGES: tuple[HookStage, ...] = get_args(HookStage)
SHIFTS = ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")
DAY = 1440
LONGEST_PAUSE = 20_160
MOST_HOOKS = 10
KEPT = (
    "deploymentCircuitBreaker",
    "strategy",
    "bakeTimeInMinutes",
    "alarms",
    "lifecycleHooks",
    "canaryConfiguration",
    "linearConfiguration",
)


@dataclass(frozen=True)
class Step:
    """One shift of production traffic: the new revision's percent, and how long it bakes before the next one."""

    percent: float
    bake: float


@dataclass(frozen=True)
class Hook:
    """A lifecycle hook. `function` and `role` are None for a PAUSE hook; `timeout` in seconds."""

    kind: Literal["AWS_LAMBDA", "PAUSE"]
    function: str | None
    role: str | None
    stages: tuple[str, ...]
    details: Mapping[str, Any]
    timeout: float
    timeout_action: Literal["ROLLBACK", "CONTINUE"]


def steps(configuration: Params) -> list[Step]:
    """The shifts of production traffic that a strategy makes."""
    strategy = configuration.get("strategy", "ROLLING")
    if strategy == "CANARY":
        canary = configuration.get("canaryConfiguration") or {}
        first = Step(float(canary.get("canaryPercent", 5.0)), 60.0 * canary.get("canaryBakeTimeInMinutes", 10))
        return [first, Step(100.0, 0.0)] if first.percent < 100 else [Step(100.0, 0.0)]
    if strategy == "LINEAR":
        linear = configuration.get("linearConfiguration") or {}
        tenths, bake = round(10 * linear.get("stepPercent", 10.0)), 60.0 * linear.get("stepBakeTimeInMinutes", 6)
        return [*(Step(at / 10, bake) for at in range(tenths, 1000, tenths)), Step(100.0, 0.0)]
    return [Step(100.0, 0.0)]


def hooks(configuration: Params) -> list[Hook]:
    """The lifecycle hooks, in the order in which they were given."""
    return [_hook(item) for item in configuration.get("lifecycleHooks") or ()]


def _hook(item: Params) -> Hook:
    limits = item.get("timeoutConfiguration") or {}
    return Hook(
        kind=item.get("targetType", "AWS_LAMBDA"),
        function=item.get("hookTargetArn"),
        role=item.get("roleArn"),
        stages=tuple(item["lifecycleStages"]),
        details=deepcopy(item.get("hookDetails") or {}),
        timeout=60.0 * limits.get("timeoutInMinutes", DAY),
        timeout_action=limits.get("action", "ROLLBACK"),
    )


def has_alarms(configuration: Params) -> bool:
    """Whether a deployment watches alarms."""
    return bool((configuration.get("alarms") or {}).get("enable"))


def bake_seconds(configuration: Params) -> float:
    """The time after all production traffic was shifted, or after a rolling deployment's tasks are healthy."""
    return 60.0 * (configuration.get("bakeTimeInMinutes") or 0)


def merged(before: Params, given: Params) -> dict[str, Any]:
    """What is kept of a deploymentConfiguration when another is given; settings of another strategy are dropped."""
    after = {**before, **{name: given[name] for name in KEPT if name in given}}
    for strategy, name in (("CANARY", "canaryConfiguration"), ("LINEAR", "linearConfiguration")):
        if after.get("strategy") != strategy and name not in given:
            after.pop(name, None)
    return {name: deepcopy(value) for name, value in after.items() if value is not None and value != [] and value != {}}


# --- what the API refuses --------------------------------------------------------------------------------------------
def check(given: Params, controller: str, scheduling: str) -> None:
    """Raise InvalidParameterException, or `Unmodelled`, for a deploymentConfiguration (its percents apart)."""
    for name, value in given.items():
        known = name in KEPT or name in ("maximumPercent", "minimumHealthyPercent")
        if not known and value not in (None, [], {}) and not _off(name, value):
            raise Unmodelled(f"ecs: deploymentConfiguration.{name}={value!r} is not modelled")
    strategy = given.get("strategy", "ROLLING")
    if strategy not in STRATEGIES:
        raise invalid(f"Invalid deployment strategy '{strategy}'.")
    if strategy != "ROLLING" and controller != "ECS":
        raise invalid(f"Deployment strategy {strategy} is only supported with the ECS deployment controller.")
    if strategy != "ROLLING" and scheduling == "DAEMON":
        raise Unmodelled(f"ecs: strategy {strategy} with the DAEMON scheduling strategy is not modelled")
    _check_times(given, strategy)
    _check_hooks(given.get("lifecycleHooks") or (), strategy)
    alarms = given.get("alarms") or {}
    if alarms.get("enable"):
        if controller != "ECS":
            raise invalid("Deployment alarms are only supported with the ECS deployment controller.")
        if not alarms.get("alarmNames"):
            raise invalid("Deployment alarms need at least one alarm name.")


def _off(name: str, value: Any) -> bool:
    return name == "earlySuccessCriteria" and not value.get("enable")


def _check_times(given: Params, strategy: str) -> None:
    bake = given.get("bakeTimeInMinutes")
    if strategy == "BLUE_GREEN" and bake is None:
        raise invalid("bakeTimeInMinutes must be specified with the BLUE_GREEN deployment strategy.")
    _within("bakeTimeInMinutes", bake, 0, DAY)
    canary, linear = given.get("canaryConfiguration"), given.get("linearConfiguration")
    if canary is not None and strategy != "CANARY":
        raise invalid("canaryConfiguration is only valid with the CANARY deployment strategy.")
    if linear is not None and strategy != "LINEAR":
        raise invalid("linearConfiguration is only valid with the LINEAR deployment strategy.")
    _percent("canaryPercent", (canary or {}).get("canaryPercent"), 0.1)
    _within("canaryBakeTimeInMinutes", (canary or {}).get("canaryBakeTimeInMinutes"), 0, DAY)
    _percent("stepPercent", (linear or {}).get("stepPercent"), 3.0)
    _within("stepBakeTimeInMinutes", (linear or {}).get("stepBakeTimeInMinutes"), 0, DAY)


def _within(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise invalid(f"{name} must be between {least:g} and {most:g}.")


def _percent(name: str, value: float | None, least: float) -> None:
    _within(name, value, least, 100.0)
    if value is not None and abs(value * 10 - round(value * 10)) > 1e-6:
        raise invalid(f"{name} must be a multiple of 0.1.")


def _check_hooks(items: Sequence[Params], strategy: str) -> None:
    if items and strategy == "ROLLING":
        raise Unmodelled("ecs: lifecycleHooks with the ROLLING strategy are not modelled")
    for kind in ("AWS_LAMBDA", "PAUSE"):
        if sum(item.get("targetType", "AWS_LAMBDA") == kind for item in items) > MOST_HOOKS:
            raise invalid(f"A service can have at most {MOST_HOOKS} {kind} lifecycle hooks.")
    for item in items:
        _check_hook(item)


def _check_hook(item: Params) -> None:
    kind = item.get("targetType", "AWS_LAMBDA")
    stages = item.get("lifecycleStages") or ()
    if not stages:
        raise invalid("lifecycleStages must be specified for a lifecycle hook.")
    for stage in stages:
        if stage not in HOOK_STAGES:
            raise invalid(f"Invalid lifecycle stage '{stage}'.")
        if kind == "PAUSE" and stage in SHIFTS:
            raise invalid(f"PAUSE hooks cannot be configured at the {stage} stage.")
    if kind == "PAUSE" and (item.get("hookTargetArn") or item.get("roleArn")):
        raise invalid("hookTargetArn and roleArn are not applicable for PAUSE hooks.")
    if kind == "AWS_LAMBDA" and not (item.get("hookTargetArn") and item.get("roleArn")):
        raise invalid("hookTargetArn and roleArn must be specified for AWS_LAMBDA hooks.")
    limits = item.get("timeoutConfiguration") or {}
    _within("timeoutInMinutes", limits.get("timeoutInMinutes"), 1, LONGEST_PAUSE if kind == "PAUSE" else DAY)


def check_balancers(balancers: Sequence[Params], strategy: str) -> None:
    """Raise InvalidParameterException for load balancers with which a strategy cannot shift traffic."""
    if strategy == "ROLLING":
        return
    if not balancers and strategy != "BLUE_GREEN":
        raise invalid(f"The {strategy} deployment strategy needs a load balancer, Service Connect or VPC Lattice.")
    for item in balancers:
        advanced = item.get("advancedConfiguration") or {}
        for member in ("alternateTargetGroupArn", "productionListenerRule", "roleArn"):
            if not advanced.get(member):
                raise invalid(f"advancedConfiguration.{member} must be specified with the {strategy} strategy.")
        if advanced["alternateTargetGroupArn"] == item["targetGroupArn"]:
            raise invalid("alternateTargetGroupArn must be another target group than targetGroupArn.")
        for member in ("productionListenerRule", "testListenerRule"):
            if advanced.get(member) and ":listener-rule/app/" not in advanced[member]:
                raise Unmodelled(f"ecs: {member}={advanced[member]!r} is no rule of an Application Load Balancer")
