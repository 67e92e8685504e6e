"""What only matters where policy lets task definitions, log groups or clusters go: every active task definition, and
the container instances of a cluster.

An account may have thousands of task definitions, each of which is a call, so nobody else reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caretaker.aws import ecs
from caretaker.aws.listing import Page
from caretaker.garbage import express
from caretaker.garbage.look import Look, tags_of, when, yes
from caretaker.garbage.model import Identity, Kind, Read, Reference, Resource
from caretaker.garbage.sheet import Sheet, Task

Json = Mapping[str, Any]


def opening() -> Iterator[Task]:
    """What is read first."""
    yield Task("task definitions", params={"status": "ACTIVE"})


# --- task definitions ------------------------------------------------------------------------------------------------


def _definitions(sheet: Sheet, task: Task, page: Page) -> None:
    sheet.note(ecs.DESCRIBE_TASK_DEFINITION.operation, ("",), Read.WHOLE)
    sheet.read(*(definition(arn, "") for arn in page.items))


def definition(arn: str, scope: str) -> Task:
    """Read a task definition."""
    return Task("task definition", (scope,), {"taskDefinition": arn})


def _definition(sheet: Sheet, task: Task, page: Page) -> None:
    tags = tags_of(page.answer.get("tags"))
    for item in page.items:
        arn = item["taskDefinitionArn"]
        name = arn.rpartition("/")[2]
        facts = {"status": item.get("status", ""), "registered": when(item.get("registeredAt"))}
        sheet.found(Resource(Identity(arn), Kind.TASK_DEFINITION, "", name, tags, facts))
        for target, how in _uses(item):
            sheet.refer(Reference(arn, Kind.TASK_DEFINITION, target, how))


def _uses(item: Json) -> Iterator[tuple[str, str]]:
    yield item.get("taskRoleArn", ""), "has it as task role"
    yield item.get("executionRoleArn", ""), "has it as execution role"
    for container in item.get("containerDefinitions", ()):
        yield express.repository({"primaryContainer": container}), "runs an image of it"
        options = (container.get("logConfiguration") or {}).get("options") or {}
        for member in ("awslogs-group", "log_group_name"):
            name = options.get(member, "")
            yield f"log-group:{name}" if name else "", "writes its logs to it"


# --- clusters --------------------------------------------------------------------------------------------------------


def cluster(arn: str) -> Iterator[Task]:
    """Read what else is in a cluster, and its tags."""
    yield Task("container instances", (arn,), {"cluster": arn})
    yield Task("cluster", (arn,), {"clusters": [arn], "include": ["TAGS"]})


def _instances(sheet: Sheet, task: Task, page: Page) -> None:
    for arn in page.items:
        sheet.refer(Reference(arn, Kind.OTHER, task.scopes[0], "is a container instance in it"))


def _cluster(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        sheet.more(item["clusterArn"], tags_of(item.get("tags")), default=yes(item.get("clusterName") == "default"))


LOOKS = {
    "task definitions": Look(ecs.LIST_TASK_DEFINITIONS, _definitions),
    "task definition": Look(ecs.DESCRIBE_TASK_DEFINITION, _definition),
    "container instances": Look(ecs.LIST_CONTAINER_INSTANCES, _instances),
    "cluster": Look(ecs.DESCRIBE_CLUSTERS, _cluster),
}
