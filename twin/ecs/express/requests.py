"""What CreateExpressGatewayService and UpdateExpressGatewayService ask for: a task definition, and settings.

Sources: ECS API: CreateExpressGatewayService, UpdateExpressGatewayService, ExpressGatewayContainer,
ExpressGatewayScalingTarget; Amazon ECS Developer Guide, "Amazon ECS Express Mode services" (defaults).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from twin.ecs.express.model import Scaling, Settings
from twin.ecs.express.options import ExpressOptions
from twin.ecs.model import TaskDefinition
from twin.ecs.operations.common import invalid
from twin.errors import Unmodelled

Params = Mapping[str, Any]
MAIN = "Main"
PORT = 80
STREAM_PREFIX = "ecs"
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "api": {"cpu": "256", "memory": "512", "healthCheckPath": "/ping"},
    "guide": {"cpu": "1024", "memory": "2048", "healthCheckPath": "/"},
}
METRICS = ("AVERAGE_CPU", "AVERAGE_MEMORY", "REQUEST_COUNT_PER_TARGET")
_WORKLOAD = ("executionRoleArn", "taskRoleArn", "cpu", "memory", "cpuArchitecture")


def check_source(params: Params) -> None:
    """Either a task definition, or what makes one. InvalidParameterException for both, or neither."""
    given = [name for name in (*_WORKLOAD, "primaryContainer") if params.get(name)]
    if params.get("taskDefinitionArn"):
        if given:
            raise invalid(f"taskDefinitionArn cannot be specified together with {given[0]}.")
        return
    for name in ("primaryContainer", "executionRoleArn"):
        if not params.get(name):
            raise invalid(f"{name} must be specified when taskDefinitionArn is not specified.")


# --- the task definition ---------------------------------------------------------------------------------------------
def workload_of(definition: TaskDefinition) -> dict[str, Any]:
    """A task definition in Express Mode's words."""
    raw = definition.raw
    main = main_container(definition)
    container: dict[str, Any] = {"image": main["image"], "containerPort": main["portMappings"][0]["containerPort"]}
    logs = (main.get("logConfiguration") or {}).get("options") or {}
    if "awslogs-group" in logs:
        prefix = logs.get("awslogs-stream-prefix", STREAM_PREFIX)
        container["awsLogsConfiguration"] = {"logGroup": logs["awslogs-group"], "logStreamPrefix": prefix}
    for name in ("repositoryCredentials", "command", "environment", "secrets"):
        if main.get(name):
            container[name] = deepcopy(main[name])
    shown = {name: raw[name] for name in _WORKLOAD if raw.get(name)}
    shown["cpuArchitecture"] = (raw.get("runtimePlatform") or {}).get("cpuArchitecture", "X86_64")
    return {**shown, "primaryContainer": container}


def main_container(definition: TaskDefinition) -> dict[str, Any]:
    """The container that the load balancer reaches. InvalidParameterException for a task definition without one."""
    found = [item for item in definition.raw["containerDefinitions"] if item["name"] == MAIN]
    if not found or len(found[0]["portMappings"]) != 1 or "FARGATE" not in definition.raw["compatibilities"]:
        raise invalid(
            f"The task definition must have a container named {MAIN} with a single port mapping, for FARGATE."
        )
    main: dict[str, Any] = found[0]
    return main


def container_port(definition: TaskDefinition) -> int:
    """The port that the load balancer reaches."""
    return int(main_container(definition)["portMappings"][0]["containerPort"])


def log_group_of(definition: TaskDefinition) -> str:
    """The log group of the main container; empty without one."""
    options: dict[str, Any] = (main_container(definition).get("logConfiguration") or {}).get("options") or {}
    return str(options.get("awslogs-group", ""))


def task_definition(family: str, workload: Params, region: str) -> dict[str, Any]:
    """The members of RegisterTaskDefinition for a workload."""
    container = workload["primaryContainer"]
    logs = container["awsLogsConfiguration"]
    options = {
        "awslogs-group": logs["logGroup"],
        "awslogs-region": region,
        "awslogs-stream-prefix": logs["logStreamPrefix"],
    }
    port = {"containerPort": container.get("containerPort", PORT), "protocol": "tcp", "name": "main-port"}
    main = {
        "name": MAIN,
        "image": container["image"],
        "essential": True,
        "portMappings": [port],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
        "memory": int(workload["memory"]),
    }
    for name in ("repositoryCredentials", "command", "environment", "secrets"):
        if container.get(name):
            main[name] = deepcopy(container[name])
    made = {name: workload[name] for name in ("executionRoleArn", "taskRoleArn", "cpu", "memory") if name in workload}
    return {
        **made,
        "family": family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": workload["cpuArchitecture"]},
        "containerDefinitions": [main],
    }


def new_workload(params: Params, log_group: str, options: ExpressOptions) -> dict[str, Any]:
    """The workload of a new service, with the defaults."""
    defaults = DEFAULTS[options.defaults]
    base = {"cpu": defaults["cpu"], "memory": defaults["memory"], "cpuArchitecture": "X86_64"}
    return _merged(base, params, _logs(log_group))


def changed_workload(params: Params, before: Params, log_group: str, options: ExpressOptions) -> dict[str, Any]:
    """The workload of a service after an update."""
    container = before["primaryContainer"]
    return _merged(before, params, _logs(log_group) if options.partial_container_resets else container)


def _logs(log_group: str) -> dict[str, Any]:
    return {"awsLogsConfiguration": {"logGroup": log_group, "logStreamPrefix": STREAM_PREFIX}}


def _merged(base: Params, params: Params, container: Params) -> dict[str, Any]:
    given = {name: params[name] for name in _WORKLOAD if params.get(name)}
    merged = {**base, **given}
    if params.get("primaryContainer"):
        merged["primaryContainer"] = {**container, **params["primaryContainer"]}
    return merged


# --- settings --------------------------------------------------------------------------------------------------------
def settings(
    params: Params, subnets: tuple[str, ...], before: Settings | None, options: ExpressOptions, at: datetime
) -> Settings:
    """The settings beside the task definition; what is not given stays, or takes its default."""
    default = DEFAULTS[options.defaults]["healthCheckPath"]
    path = params.get("healthCheckPath") or (before.health_check_path if before else default)
    if not path.startswith("/"):
        # reported: such a service is accepted, and its target groups are then tried for ever
        raise Unmodelled(f"ecs: an Express service with healthCheckPath {path!r}, which does not begin with /")
    given = (params.get("networkConfiguration") or {}).get("securityGroups")
    groups = tuple(given) if given is not None else (before.given_groups if before else ())
    own = options.given_groups == "beside" or not groups
    scaling = _scaling(params.get("scalingTarget") or {}, before.scaling if before else Scaling())
    return Settings(path, scaling, subnets, groups, own, at)


def _scaling(given: Params, before: Scaling) -> Scaling:
    scaling = Scaling(
        given.get("minTaskCount", before.minimum),
        given.get("maxTaskCount", before.maximum),
        given.get("autoScalingMetric", before.metric),
        given.get("autoScalingTargetValue", before.target),
    )
    if scaling.metric not in METRICS:
        raise invalid(f"Invalid autoScalingMetric '{scaling.metric}'.")
    if not 0 <= scaling.minimum <= scaling.maximum:
        raise invalid("minTaskCount must not be greater than maxTaskCount.")
    if not scaling.minimum:
        raise Unmodelled("ecs: an Express service with minTaskCount 0")
    return scaling
