"""What API calls of Amazon ECS must be allowed.

Source: Service Authorization Reference, pages of Amazon ECS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twin.kernel.asks import ECS_KEYS, Ask, Derive, Names, Params, arn_in, arns_in, unscoped
from twin.kernel.policies import Values


def _cluster_name(params: Params) -> str:
    return str(params.get("cluster") or "default").rpartition("/")[2]


def _ecs_keys(params: Params, names: Names, **more: str) -> Mapping[str, Values]:
    keys = {"ecs:cluster": (names.arn("ecs", f"cluster/{_cluster_name(params)}"),)}
    return {**keys, **{f"ecs:{key.replace('_', '-')}": (value,) for key, value in more.items()}}


def _ecs_unscoped(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask("*", keys=_ecs_keys(params, names), absent=ECS_KEYS)]


def _ecs_cluster(params: Params, names: Names) -> Iterable[Ask]:
    clusters = params.get("clusters") or [_cluster_name(params)]
    return [Ask(names.named("ecs", "cluster", name), absent=ECS_KEYS) for name in clusters]


def _ecs_of_cluster(kind: str, member: str) -> Derive:
    """Resources of `kind`, given by id or ARN in `member` (one or a list), within the request's cluster."""

    def derive(params: Params, names: Names) -> Iterable[Ask]:
        given = params.get(member)
        for name in given if isinstance(given, list) else [given or "*"]:
            path = f"{kind}/{_cluster_name(params)}/{str(name).rpartition('/')[2]}"
            arn = name if name.startswith("arn:") and name.count("/") > 1 else names.arn("ecs", path)
            more = {"service": arn} if kind == "service" else {}
            yield Ask(arn, keys=_ecs_keys(params, names, **more), absent=ECS_KEYS)

    return derive


def _task_sets(params: Params, names: Names) -> Iterable[Ask]:
    """Task sets by id or ARN; without any, all of the service's."""
    given = params.get("taskSets") or [params.get("taskSet", "*")]
    service = str(params["service"]).rpartition("/")[2]
    for each in given:
        path = f"task-set/{_cluster_name(params)}/{service}/{each}"
        yield Ask(
            each if each.startswith("arn:") else names.arn("ecs", path),
            keys=_ecs_keys(params, names),
            absent=ECS_KEYS,
        )


def _register(params: Params, names: Names) -> Iterable[Ask]:
    """The family, and the roles that its tasks are given."""
    yield Ask(names.arn("ecs", f"task-definition/{params['family']}:*"), absent=ECS_KEYS)
    passed = {"iam:passedtoservice": ("ecs-tasks.amazonaws.com",)}
    for member in ("executionRoleArn", "taskRoleArn"):
        if params.get(member):
            yield Ask(
                params[member], action="iam:PassRole", keys=passed, absent=frozenset({"iam:associatedresourcearn"})
            )


def _gateway(params: Params, names: Names) -> Iterable[Ask]:
    """The gateway by name or ARN; without one, all of them."""
    yield Ask(names.named("ecs", "gateway", str(params.get("gateway") or "*")), absent=ECS_KEYS)


def _task_definitions(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(names.named("ecs", "task-definition", name), absent=ECS_KEYS) for name in params["taskDefinitions"]]


def _capacity_providers(params: Params, names: Names) -> Iterable[Ask]:
    """Without names it describes all: only a grant on all of them covers that."""
    return [Ask(names.named("ecs", "capacity-provider", name)) for name in params.get("capacityProviders") or ["*"]]


TABLE: Mapping[str, Mapping[str, Derive]] = {
    "ecs": {
        "ListClusters": unscoped,
        "ListServices": _ecs_unscoped,
        "DescribeTaskDefinition": unscoped,
        "DescribeClusters": _ecs_cluster,
        "ListContainerInstances": _ecs_cluster,
        "DeregisterContainerInstance": _ecs_cluster,
        "ListAttributes": _ecs_cluster,
        "DescribeContainerInstances": _ecs_of_cluster("container-instance", "containerInstances"),
        "UpdateContainerInstancesState": _ecs_of_cluster("container-instance", "containerInstances"),
        "ListTasks": _ecs_of_cluster("container-instance", "containerInstance"),
        "DescribeTasks": _ecs_of_cluster("task", "tasks"),
        "StopTask": _ecs_of_cluster("task", "task"),
        "GetTaskProtection": _ecs_of_cluster("task", "tasks"),
        "UpdateTaskProtection": _ecs_of_cluster("task", "tasks"),
        "DescribeServices": _ecs_of_cluster("service", "services"),
        "UpdateService": _ecs_of_cluster("service", "service"),
        "ListServiceDeployments": _ecs_of_cluster("service", "service"),
        "CreateTaskSet": _task_sets,
        "DescribeTaskSets": _task_sets,
        "UpdateTaskSet": _task_sets,
        "DeleteTaskSet": _task_sets,
        "UpdateServicePrimaryTaskSet": _ecs_of_cluster("service", "service"),
        "RegisterTaskDefinition": _register,
        "DescribeServiceDeployments": arns_in("serviceDeploymentArns"),
        "DescribeServiceRevisions": arns_in("serviceRevisionArns"),
        "StopServiceDeployment": arn_in("serviceDeploymentArn"),
        "ContinueServiceDeployment": arn_in("serviceDeploymentArn"),
        "DescribeCapacityProviders": _capacity_providers,
        "ListTagsForResource": arn_in("resourceArn"),
        "TagResource": arn_in("resourceArn"),
        **dict.fromkeys(
            [
                "DeleteExpressGatewayService",
                "DescribeExpressGatewayService",
                "UpdateExpressGatewayService",
            ],
            arn_in("serviceArn"),
        ),
        "ListGateways": lambda params, names: [Ask(names.arn("ecs", "gateway/*"), absent=ECS_KEYS)],
        "DescribeGateway": _gateway,
        "DescribeGatewayResources": _gateway,
        "ListGatewayRoutes": _gateway,
        "DescribeGatewayRoute": arn_in("gatewayRouteArn"),
        "ListTaskDefinitions": _ecs_unscoped,
        "DeregisterTaskDefinition": unscoped,
        "DeleteTaskDefinitions": _task_definitions,
        "DeleteCluster": _ecs_cluster,
    },
}
