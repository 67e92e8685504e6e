"""What ECS tells of services, their revisions and tasks, and what these use.

Express services are asked about one by one, with every revision that is active or in a deployment or rollback that is
in flight; the resources of revisions that are neither are what an update may have left behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caretaker.aws import ecs
from caretaker.aws.listing import Page
from caretaker.garbage import express
from caretaker.garbage.look import Look, batched, when
from caretaker.garbage.model import Identity, Kind, Read, Reference, Resource
from caretaker.garbage.sheet import Sheet, Task

Json = Mapping[str, Any]

IN_FLIGHT = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")


def opening() -> Iterator[Task]:
    """What is read first."""
    yield Task("clusters")


def _clusters(sheet: Sheet, task: Task, page: Page) -> None:
    for arn in page.items:
        sheet.found(Resource(Identity(arn), Kind.CLUSTER, "", arn.rpartition("/")[2]))
        sheet.read(
            Task("services", (arn,), {"cluster": arn}),
            Task("express services", (arn,), {"cluster": arn, "resourceManagementType": "ECS"}),
            Task("tasks", (arn,), {"cluster": arn, "desiredStatus": "RUNNING"}),
            # Tasks that are being stopped still run.
            Task("tasks", (arn,), {"cluster": arn, "desiredStatus": "STOPPED"}),
        )


# --- services --------------------------------------------------------------------------------------------------------


def _services(sheet: Sheet, task: Task, page: Page) -> None:
    (cluster,) = task.scopes
    for arn in page.items:
        sheet.service(arn, cluster=cluster, listed=True)
    sheet.read(*batched("service details", ecs.DESCRIBE_SERVICES, page.items, cluster, cluster=cluster))


def _express_services(sheet: Sheet, task: Task, page: Page) -> None:
    (cluster,) = task.scopes
    for arn in page.items:
        sheet.service(arn, cluster=cluster, listed=True)
        sheet.read(*express_reads(arn))


def express_reads(arn: str) -> Iterator[Task]:
    """What is read of one Express service, beside its revisions."""
    yield Task("express service", (arn,), {"serviceArn": arn})
    yield deployments(arn)


def deployments(arn: str) -> Task:
    """The deployments and rollbacks of a service that are in flight."""
    params = {"cluster": express.cluster_of(arn), "service": arn, "status": list(IN_FLIGHT)}
    return Task("deployments", (arn,), params)


def _details(sheet: Sheet, task: Task, page: Page) -> None:
    """Services as DescribeServices shows them: of one of Express Mode hardly more than its status."""
    for item in page.items:
        arn = item["serviceArn"]
        sheet.service(arn, by_name=item.get("status", ""), told=True)
        if item.get("status") == "INACTIVE":
            continue
        sheet.refer(Reference(arn, Kind.SERVICE, item.get("clusterArn", ""), "is a service in it", owner=arn))
        if item.get("resourceManagementType") == "ECS":
            continue
        sheet.refer(*_of_service(arn, item))
        if len(item.get("deployments", ())) > 1 or item.get("currentServiceDeployment"):
            sheet.read(deployments(arn))
    for failure in page.failures:
        if failure.reason == "MISSING":
            sheet.service(_asked(task, failure.arn), missing=True, told=True)


def _asked(task: Task, named: str) -> str:
    """The service that was asked about, as it was asked: ECS may answer in another form."""
    return next((arn for arn in task.params["services"] if arn == named or arn.endswith(f"/{named}")), named)


def _of_service(arn: str, item: Json) -> Iterator[Reference]:
    """What an ordinary service, its deployments and its task sets use."""
    yield from _uses(arn, Kind.SERVICE, item, "the service", arn)
    yield Reference(arn, Kind.SERVICE, item.get("roleArn", ""), "has it as its role", owner=arn)
    alarms = (item.get("deploymentConfiguration") or {}).get("alarms") or {}
    for name in alarms.get("alarmNames", ()):
        yield Reference(arn, Kind.SERVICE, f"alarm:{name}", "watches it in its deployments", owner=arn)
    for each in (*item.get("deployments", ()), *item.get("taskSets", ())):
        what = "a task set of the service" if "taskSetArn" in each else "a deployment of the service"
        yield from _uses(arn, Kind.SERVICE, each, what, arn)


def _uses(source: str, kind: Kind, item: Json, who: str, owner: str) -> Iterator[Reference]:
    """Members that services, deployments, task sets and revisions have in common."""

    def refer(target: str, how: str) -> Reference:
        return Reference(source, kind, target, f"{who} {how}", owner=owner)

    yield refer(item.get("taskDefinition") or "", "runs it")
    network = (item.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    for group in network.get("securityGroups", ()):
        yield refer(group, "gives it to its tasks")
    for balancer in item.get("loadBalancers", ()):
        yield refer(balancer.get("targetGroupArn", ""), "registers its tasks with it")
        advanced = balancer.get("advancedConfiguration") or {}
        yield refer(advanced.get("alternateTargetGroupArn", ""), "has it as alternate target group")
        yield refer(advanced.get("productionListenerRule", ""), "shifts traffic by it")
        yield refer(advanced.get("testListenerRule", ""), "shifts test traffic by it")
        yield refer(advanced.get("roleArn", ""), "shifts traffic with it")
    for balancer in (item.get("resolvedConfiguration") or {}).get("loadBalancers", ()):
        yield refer(balancer.get("targetGroupArn", ""), "registers its tasks with it")
        yield refer(balancer.get("productionListenerRule", ""), "shifts traffic by it")


# --- Express services and revisions ----------------------------------------------------------------------------------


def _express(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item["serviceArn"]
        active = [each["serviceRevisionArn"] for each in express.configurations(item)]
        sheet.service(
            arn,
            express=True,
            told=True,
            status=(item.get("status") or {}).get("statusCode", ""),
            created=when(item.get("createdAt")),
            active=active,
        )
        role = item.get("infrastructureRoleArn", "")
        sheet.refer(Reference(arn, Kind.SERVICE, role, "has it as infrastructure role", owner=arn))
        for each in express.configurations(item):
            sheet.refer(*_of_configuration(arn, each))
        if item.get("currentDeployment"):
            sheet.service(arn, moving=True)


def _of_configuration(arn: str, item: Json) -> Iterator[Reference]:
    revision = item["serviceRevisionArn"]
    uses = {
        item.get("taskDefinitionArn", ""): "runs it",
        item.get("executionRoleArn", ""): "has it as execution role",
        item.get("taskRoleArn", ""): "has it as task role",
        express.log_group_name(item): "writes its logs to it",
        express.repository(item): "runs an image of it",
    }
    for group in (item.get("networkConfiguration") or {}).get("securityGroups", ()):
        uses[group] = "gives it to its tasks"
    for target, how in uses.items():
        yield Reference(revision, Kind.SERVICE_REVISION, target, f"the active revision {how}", owner=arn)


def _deployments(sheet: Sheet, task: Task, page: Page) -> None:
    (service,) = task.scopes
    arns = [item["serviceDeploymentArn"] for item in page.items]
    if arns:
        known = sheet.services.get(service, {}).get("deployments", [])
        sheet.service(service, moving=True, deployments=[*known, *arns])


def _deployment_details(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        service = item["serviceArn"]
        revisions = express.revisions_of(item)
        known = sheet.services.get(service, {}).get("flying", [])
        sheet.service(service, flying=sorted({*known, *revisions}))


def _revisions(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn, service = item["serviceRevisionArn"], item["serviceArn"]
        active = arn in sheet.services.get(service, {}).get("active", [])
        what = "the active revision" if active else "a revision of a deployment in flight"
        sheet.refer(*_uses(arn, Kind.SERVICE_REVISION, item, what, service))
        for each in express.managed(item):
            how = f"{what} has it ({each.status})"
            # What is deleted cannot be used; the revision may show it for a while.
            if each.status != "DELETED":
                sheet.refer(Reference(arn, Kind.SERVICE_REVISION, each.arn, how, owner=service))


# --- tasks -----------------------------------------------------------------------------------------------------------


def _tasks(sheet: Sheet, task: Task, page: Page) -> None:
    (cluster,) = task.scopes
    sheet.read(*batched("task details", ecs.DESCRIBE_TASKS, page.items, cluster, cluster=cluster))


def _task_details(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        if item.get("lastStatus") == "STOPPED":
            continue
        arn = item["taskArn"]
        group = item.get("group", "")
        owner = express.service_arn(arn, group.removeprefix("service:")) if group.startswith("service:") else ""
        for target, how in (
            (item.get("taskDefinitionArn", ""), "runs it"),
            (item.get("clusterArn", ""), "runs in it"),
            ((item.get("overrides") or {}).get("taskRoleArn", ""), "has it as task role"),
            ((item.get("overrides") or {}).get("executionRoleArn", ""), "has it as execution role"),
        ):
            sheet.refer(Reference(arn, Kind.TASK, target, f"a task {how}", owner=owner))
        for interface in _interfaces(item):
            sheet.interfaces[interface] = [owner]


def _interfaces(task: Json) -> Iterator[str]:
    for attachment in task.get("attachments", ()):
        for detail in attachment.get("details", ()):
            if detail.get("name") == "networkInterfaceId" and detail.get("value"):
                yield detail["value"]


# --- what follows ----------------------------------------------------------------------------------------------------


def of_the_ledger(sheet: Sheet) -> Iterator[Task]:
    """Services that the ledger knows and that are not listed: drained, or gone. ECS is asked about them by name."""
    by_cluster: dict[str, list[str]] = {}
    for owner in sheet.owners:
        arn = owner.identity.arn
        if not sheet.services.get(arn, {}).get("listed"):
            by_cluster.setdefault(express.cluster_of(arn), []).append(arn)
    for cluster, arns in sorted(by_cluster.items()):
        own = {arn: arn for arn in arns}
        yield from batched("service by name", ecs.DESCRIBE_SERVICES, sorted(own), own, cluster=cluster)


def of_the_draining(sheet: Sheet) -> Iterator[Task]:
    """Services that are not listed and not gone either are read as those that are."""
    for owner in sheet.owners:
        known = sheet.services.get(owner.identity.arn, {})
        if not known.get("listed") and known.get("by_name") in ("ACTIVE", "DRAINING"):
            yield from express_reads(owner.identity.arn)


def of_deployments(sheet: Sheet) -> Iterator[Task]:
    """The deployments in flight, by which their revisions are found."""
    scopes = {arn: service for service, known in sheet.services.items() for arn in known.get("deployments", ())}
    yield from batched("deployment details", ecs.DESCRIBE_SERVICE_DEPLOYMENTS, sorted(scopes), scopes)


def of_revisions(sheet: Sheet) -> Iterator[Task]:
    """The revisions of all services that are active or in flight."""
    scopes = {}
    for service, known in sheet.services.items():
        for arn in (*known.get("active", ()), *known.get("flying", ())):
            scopes[arn] = service
        if known.get("express"):
            sheet.note(ecs.DESCRIBE_SERVICE_REVISIONS.operation, (service,), Read.WHOLE)
    yield from batched("revisions", ecs.DESCRIBE_SERVICE_REVISIONS, sorted(scopes), scopes)


def _service_missing(sheet: Sheet, task: Task, page: Page) -> None:
    """A cluster that is gone has taken its services with it."""
    if not page.items and not page.failures:
        for arn in task.scopes:
            sheet.service(arn, missing=True, told=True)
        return
    _details(sheet, task, page)


LOOKS = {
    "clusters": Look(ecs.LIST_CLUSTERS, _clusters),
    "services": Look(ecs.LIST_SERVICES, _services),
    "express services": Look(ecs.LIST_SERVICES, _express_services),
    "service details": Look(ecs.DESCRIBE_SERVICES, _details),
    "service by name": Look(ecs.DESCRIBE_SERVICES, _service_missing, missing_is_none=True, skips=("MISSING",)),
    "express service": Look(ecs.DESCRIBE_EXPRESS_GATEWAY_SERVICE, _express),
    "deployments": Look(ecs.LIST_SERVICE_DEPLOYMENTS, _deployments),
    "deployment details": Look(ecs.DESCRIBE_SERVICE_DEPLOYMENTS, _deployment_details),
    "revisions": Look(ecs.DESCRIBE_SERVICE_REVISIONS, _revisions),
    "tasks": Look(ecs.LIST_TASKS, _tasks),
    # A task that ECS has forgotten between the two calls has stopped.
    "task details": Look(ecs.DESCRIBE_TASKS, _task_details, skips=("MISSING",)),
}
