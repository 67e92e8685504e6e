"""Amazon ECS: paged, batched to the documented limits, with every `failures` entry returned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from caretaker.aws import clients, rates
from caretaker.aws.errors import call
from caretaker.aws.listing import Listing, Rate
from caretaker.aws.paging import Found, batches, failures, gather, pages

# ECS API reference, the limit of each operation's list.
_DESCRIBE_CLUSTERS = 100
_DESCRIBE_INSTANCES = 100
_DESCRIBE_TASKS = 100
_DESCRIBE_SERVICES = 10
_UPDATE_INSTANCES = 10
_GET_PROTECTION = 100
_DESCRIBE_DEPLOYMENTS = 20
_DESCRIBE_REVISIONS = 20
_PAGE = 100
# Ids in one cluster query expression: far below any limit of its length.
_FILTER_IDS = 25
_GATEWAY_PAGE = 20


def _listing(
    operation: str,
    method: str,
    key: str,
    rate: Rate,
    *,
    page: int = 0,
    batch: tuple[str, int] = ("", 0),
) -> Listing:
    return Listing(
        f"ecs:{operation}",
        "ecs",
        method,
        (key,),
        rate,
        tokens=(("nextToken", "nextToken"),) if page else (),
        fixed={"maxResults": page} if page else {},
        batch=batch,
    )


LIST_CLUSTERS = _listing("ListClusters", "list_clusters", "clusterArns", rates.ECS_CLUSTERS, page=_PAGE)
LIST_SERVICES = _listing("ListServices", "list_services", "serviceArns", rates.ECS_SERVICES, page=_PAGE)
DESCRIBE_SERVICES = _listing(
    "DescribeServices",
    "describe_services",
    "services",
    rates.ECS_SERVICES,
    batch=("services", _DESCRIBE_SERVICES),
)
DESCRIBE_EXPRESS_GATEWAY_SERVICE = _listing(
    "DescribeExpressGatewayService", "describe_express_gateway_service", "service", rates.ECS_SERVICES
)
LIST_SERVICE_DEPLOYMENTS = _listing(
    "ListServiceDeployments", "list_service_deployments", "serviceDeployments", rates.ECS_SERVICES, page=_PAGE
)
DESCRIBE_SERVICE_DEPLOYMENTS = _listing(
    "DescribeServiceDeployments",
    "describe_service_deployments",
    "serviceDeployments",
    rates.ECS_SERVICES,
    batch=("serviceDeploymentArns", _DESCRIBE_DEPLOYMENTS),
)
DESCRIBE_SERVICE_REVISIONS = _listing(
    "DescribeServiceRevisions",
    "describe_service_revisions",
    "serviceRevisions",
    rates.ECS_SERVICES,
    batch=("serviceRevisionArns", _DESCRIBE_REVISIONS),
)
LIST_TASKS = _listing("ListTasks", "list_tasks", "taskArns", rates.ECS_TASKS, page=_PAGE)
DESCRIBE_TASKS = _listing("DescribeTasks", "describe_tasks", "tasks", rates.ECS_TASKS, batch=("tasks", _DESCRIBE_TASKS))
LIST_TASK_DEFINITIONS = _listing(
    "ListTaskDefinitions", "list_task_definitions", "taskDefinitionArns", rates.ECS_TASKS, page=_PAGE
)
DESCRIBE_TASK_DEFINITION = replace(
    _listing("DescribeTaskDefinition", "describe_task_definition", "taskDefinition", rates.ECS_TASKS),
    fixed={"include": ["TAGS"]},
)
LIST_CONTAINER_INSTANCES = _listing(
    "ListContainerInstances", "list_container_instances", "containerInstanceArns", rates.ECS_TASKS, page=_PAGE
)
DESCRIBE_CLUSTERS = _listing("DescribeClusters", "describe_clusters", "clusters", rates.ECS_CLUSTERS)
LIST_GATEWAYS = _listing("ListGateways", "list_gateways", "gateways", rates.ECS_SERVICES, page=_GATEWAY_PAGE)
DESCRIBE_GATEWAY = _listing("DescribeGateway", "describe_gateway", "gateway", rates.ECS_SERVICES)
DESCRIBE_GATEWAY_RESOURCES = _listing(
    "DescribeGatewayResources", "describe_gateway_resources", "gatewayResources", rates.ECS_SERVICES, page=_GATEWAY_PAGE
)
LIST_GATEWAY_ROUTES = _listing(
    "ListGatewayRoutes", "list_gateway_routes", "gatewayRoutes", rates.ECS_SERVICES, page=_GATEWAY_PAGE
)
DESCRIBE_GATEWAY_ROUTE = _listing("DescribeGatewayRoute", "describe_gateway_route", "gatewayRoute", rates.ECS_SERVICES)


def list_clusters() -> list[str]:
    """ARNs of all clusters of the account in this region."""
    return pages(clients.ecs().list_clusters, "clusterArns", maxResults=_PAGE)


def describe_clusters(clusters: Iterable[str], include: Sequence[str] = ()) -> Found:
    """Clusters; `include` as ECS names it (SETTINGS, STATISTICS, TAGS, …)."""
    return gather(
        clients.ecs().describe_clusters, "clusters", clusters, _DESCRIBE_CLUSTERS, "clusters", **_include(include)
    )


def list_container_instances(cluster: str, *, query: str | None = None, status: str | None = None) -> list[str]:
    """Container instance ARNs; without `status` all but INACTIVE ones. `query` is a cluster query expression."""
    return pages(
        clients.ecs().list_container_instances,
        "containerInstanceArns",
        cluster=cluster,
        maxResults=_PAGE,
        **_given(filter=query, status=status),
    )


def describe_container_instances(cluster: str, arns: Iterable[str], include: Sequence[str] = ()) -> Found:
    """Container instances by ARN or id."""
    return gather(
        clients.ecs().describe_container_instances,
        "containerInstances",
        arns,
        _DESCRIBE_INSTANCES,
        "containerInstances",
        cluster=cluster,
        **_include(include),
    )


def find_container_instances(cluster: str, instance_ids: Iterable[str]) -> Found:
    """The container instances of a cluster that run on these EC2 instances, registered ones only (not INACTIVE)."""
    arns: list[str] = []
    for batch in batches(sorted(set(instance_ids)), _FILTER_IDS):
        arns.extend(list_container_instances(cluster, query=instance_query(batch)))
    return describe_container_instances(cluster, arns) if arns else Found()


def instance_query(instance_ids: Sequence[str]) -> str:
    """Cluster query expression for EC2 instance ids (ECS developer guide: cluster query language)."""
    if len(instance_ids) == 1:
        return f"ec2InstanceId == {instance_ids[0]}"
    return f"ec2InstanceId in [{', '.join(instance_ids)}]"


def update_container_instances_state(cluster: str, arns: Iterable[str], status: str) -> Found:
    """Set container instances to ACTIVE or DRAINING. A failure of one does not stop the others."""
    return gather(
        clients.ecs().update_container_instances_state,
        "containerInstances",
        arns,
        _UPDATE_INSTANCES,
        "containerInstances",
        cluster=cluster,
        status=status,
    )


def deregister_container_instance(cluster: str, arn: str, *, force: bool = False) -> dict[str, Any]:
    """Deregister a container instance; `force` also when tasks run on it."""
    answer = call(clients.ecs().deregister_container_instance, cluster=cluster, containerInstance=arn, force=force)
    return dict(answer.get("containerInstance", {}))


def list_tasks(
    cluster: str,
    *,
    container_instance: str | None = None,
    service: str | None = None,
    family: str | None = None,
    started_by: str | None = None,
    desired_status: str | None = None,
) -> list[str]:
    """Task ARNs. Without `desired_status` only those whose desired status is RUNNING: tasks that are being stopped, and
    still serve, are under STOPPED (`list_all_tasks` gives both)."""
    return pages(
        clients.ecs().list_tasks,
        "taskArns",
        cluster=cluster,
        maxResults=_PAGE,
        **_given(
            containerInstance=container_instance,
            serviceName=service,
            family=family,
            startedBy=started_by,
            desiredStatus=desired_status,
        ),
    )


def list_all_tasks(cluster: str, container_instance: str) -> list[str]:
    """Every task ARN of a container instance that ECS still knows, of both desired statuses, sorted."""
    found: set[str] = set()
    for status in ("RUNNING", "STOPPED"):
        found.update(list_tasks(cluster, container_instance=container_instance, desired_status=status))
    return sorted(found)


def describe_tasks(cluster: str, arns: Iterable[str], include: Sequence[str] = ()) -> Found:
    """Tasks by ARN."""
    return gather(
        clients.ecs().describe_tasks, "tasks", arns, _DESCRIBE_TASKS, "tasks", cluster=cluster, **_include(include)
    )


def list_services(cluster: str, *, scheduling: str | None = None, launch_type: str | None = None) -> list[str]:
    """Service ARNs of a cluster."""
    return pages(
        clients.ecs().list_services,
        "serviceArns",
        cluster=cluster,
        maxResults=_PAGE,
        **_given(schedulingStrategy=scheduling, launchType=launch_type),
    )


def describe_services(cluster: str, services: Iterable[str], include: Sequence[str] = ()) -> Found:
    """Services by name or ARN."""
    return gather(
        clients.ecs().describe_services,
        "services",
        services,
        _DESCRIBE_SERVICES,
        "services",
        cluster=cluster,
        **_include(include),
    )


def express_services(cluster: str) -> list[str]:
    """ARNs of a cluster's Express services; those that are being deleted are not listed."""
    return pages(
        clients.ecs().list_services, "serviceArns", cluster=cluster, maxResults=_PAGE, resourceManagementType="ECS"
    )


def express_service(arn: str) -> dict[str, Any]:
    """An Express service. Raises `Missing` for one that ECS does not know (any more)."""
    method = clients.client("ecs").describe_express_gateway_service
    return dict(call(method, serviceArn=arn)["service"])


def update_service(cluster: str, service: str, **changes: Any) -> dict[str, Any]:
    """Change a service; `changes` in ECS's own members. Returns the service as ECS answers it."""
    answer = call(clients.ecs().update_service, cluster=cluster, service=service, **changes)
    return dict(answer.get("service", {}))


def list_service_deployments(
    cluster: str, service: str, *, statuses: Sequence[str] = (), created_after: datetime | None = None
) -> list[dict[str, Any]]:
    """Service deployments in brief (ARN, status, target revision), every page; rollbacks have no entry of their own.

    Args:
        service: its ARN, or its name.
        statuses: only these, as ECS names them (PENDING, IN_PROGRESS, …); without any, all.
        created_after: only those that were created later.
    """
    created = {"after": created_after} if created_after else None
    return pages(
        clients.ecs().list_service_deployments,
        "serviceDeployments",
        cluster=cluster,
        service=service,
        maxResults=_PAGE,
        **_given(status=list(statuses) or None, createdAt=created),
    )


def describe_service_deployments(arns: Iterable[str]) -> Found:
    """Service deployments by ARN; one that ECS does not know (any more) comes back as a failure."""
    method = clients.ecs().describe_service_deployments
    return gather(method, "serviceDeploymentArns", arns, _DESCRIBE_DEPLOYMENTS, "serviceDeployments")


def describe_service_revisions(arns: Iterable[str]) -> Found:
    """Service revisions by ARN: what a service was at one time, its task definition and load balancers among it."""
    method = clients.ecs().describe_service_revisions
    return gather(method, "serviceRevisionArns", arns, _DESCRIBE_REVISIONS, "serviceRevisions")


def stop_service_deployment(arn: str, stop_type: str = "ROLLBACK") -> None:
    """Stop a service deployment: `ROLLBACK` (also without a rollback of its own configured) or `ABORT`.

    Raises:
        Conflict: the deployment is over, or being stopped already.
    """
    call(clients.ecs().stop_service_deployment, serviceDeploymentArn=arn, stopType=stop_type)


def continue_service_deployment(arn: str, hook: str, action: str) -> None:
    """Answer the PAUSE hook `hook` at which a service deployment waits: `CONTINUE` or `ROLLBACK`."""
    call(clients.ecs().continue_service_deployment, serviceDeploymentArn=arn, hookId=hook, action=action)


def create_task_set(cluster: str, service: str, task_definition: str, token: str, **members: Any) -> dict[str, Any]:
    """Create a task set in a service with external deployment controller. Returns it.

    Args:
        token: client token, at most 36 characters: the same one creates nothing twice.
        members: further ones of ECS's request, e.g. `loadBalancers`, `scale`, `networkConfiguration`.
    """
    answer = call(
        clients.ecs().create_task_set,
        cluster=cluster,
        service=service,
        taskDefinition=task_definition,
        clientToken=token,
        **members,
    )
    return dict(answer["taskSet"])


def describe_task_sets(cluster: str, service: str, ids: Sequence[str] = (), include: Sequence[str] = ()) -> Found:
    """Task sets of a service, by id or ARN; without any, all of them."""
    request: dict[str, Any] = {"cluster": cluster, "service": service, **_given(taskSets=list(ids) or None)}
    answer = call(clients.ecs().describe_task_sets, **request, **_include(include))
    return Found(list(answer.get("taskSets", [])), failures(answer))


def update_task_set(cluster: str, service: str, task_set: str, percent: float) -> dict[str, Any]:
    """Scale a task set to `percent` of the service's desired count. Returns it."""
    scale = {"unit": "PERCENT", "value": percent}
    answer = call(clients.ecs().update_task_set, cluster=cluster, service=service, taskSet=task_set, scale=scale)
    return dict(answer["taskSet"])


def update_primary_task_set(cluster: str, service: str, task_set: str) -> dict[str, Any]:
    """Make a task set the service's primary one. Returns it."""
    method = clients.ecs().update_service_primary_task_set
    return dict(call(method, cluster=cluster, service=service, primaryTaskSet=task_set)["taskSet"])


def delete_task_set(cluster: str, service: str, task_set: str, *, force: bool = False) -> dict[str, Any]:
    """Delete a task set; `force` also when it is not scaled to nothing. Returns it.

    Raises:
        Missing: it is gone already.
    """
    method = clients.ecs().delete_task_set
    return dict(call(method, cluster=cluster, service=service, taskSet=task_set, force=force)["taskSet"])


def describe_task_definition(arn: str, include: Sequence[str] = ()) -> dict[str, Any]:
    """A task definition revision."""
    answer = call(clients.ecs().describe_task_definition, taskDefinition=arn, **_include(include))
    return dict(answer["taskDefinition"])


def described_with_tags(arn: str) -> dict[str, Any]:
    """A task definition revision and its tags: `taskDefinition` and `tags` as ECS answers them."""
    return call(clients.ecs().describe_task_definition, taskDefinition=arn, include=["TAGS"])


def register_task_definition(request: Mapping[str, Any]) -> dict[str, Any]:
    """Register a task definition revision. Returns it. Not idempotent: each call makes another revision."""
    return dict(call(clients.ecs().register_task_definition, **request)["taskDefinition"])


def get_task_protection(cluster: str, tasks: Iterable[str]) -> Found:
    """Protection of service tasks. Standalone tasks come back as failures (`TASK_NOT_VALID`)."""
    return gather(clients.ecs().get_task_protection, "tasks", tasks, _GET_PROTECTION, "protectedTasks", cluster=cluster)


def describe_capacity_providers(names: Iterable[str]) -> Found:
    """Capacity providers by name or ARN, every page."""
    wanted = sorted(set(names))
    found = Found()
    token: str | None = None
    while wanted:
        answer = call(clients.ecs().describe_capacity_providers, capacityProviders=wanted, **_given(nextToken=token))
        found.items.extend(answer.get("capacityProviders", []))
        found.failures.extend(failures(answer))
        token = answer.get("nextToken")
        if not token:
            break
    return found


def _include(include: Sequence[str]) -> Mapping[str, Any]:
    return {"include": list(include)} if include else {}


def _given(**params: Any) -> dict[str, Any]:
    """The parameters that are not None: boto3 refuses None."""
    return {name: value for name, value in params.items() if value is not None}
