"""What EventBridge tells: rules and schedules that run tasks, now and then, so that nothing else shows what they use.

They name task definitions, clusters, and the security groups of the tasks to come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caretaker.aws import events
from caretaker.aws.listing import Page
from caretaker.garbage.look import Look
from caretaker.garbage.model import Kind, Read, Reference
from caretaker.garbage.sheet import Sheet, Task

Json = Mapping[str, Any]


def opening() -> Iterator[Task]:
    """What is read first."""
    yield Task("event buses")
    yield Task("schedules")


def _buses(sheet: Sheet, task: Task, page: Page) -> None:
    sheet.note(events.LIST_TARGETS_BY_RULE.operation, ("",), Read.WHOLE)
    for item in page.items:
        sheet.read(Task("event rules", params={"EventBusName": item["Name"]}))


def _rules(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        sheet.read(Task("rule targets", params={"EventBusName": task.params["EventBusName"], "Rule": item["Name"]}))


def _targets(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        source = f"rule {task.params['EventBusName']}/{task.params['Rule']}"
        _runs(sheet, source, item.get("Arn", ""), item.get("EcsParameters") or {})


def _runs(sheet: Sheet, source: str, cluster: str, parameters: Json) -> None:
    """A rule or schedule that runs tasks. One that names a family runs its newest revision, so it holds them all."""
    if not parameters:
        return
    definition = parameters.get("TaskDefinitionArn", "")
    network = (parameters.get("NetworkConfiguration") or {}).get("awsvpcConfiguration") or {}
    sheet.refer(
        Reference(source, Kind.OTHER, definition, "runs tasks of it"),
        Reference(source, Kind.OTHER, cluster, "runs tasks in it"),
        *(Reference(source, Kind.OTHER, group, "runs tasks in it") for group in network.get("SecurityGroups", ())),
    )


def _schedules(sheet: Sheet, task: Task, page: Page) -> None:
    sheet.note(events.GET_SCHEDULE.operation, ("",), Read.WHOLE)
    for item in page.items:
        sheet.read(Task("schedule", params={"GroupName": item["GroupName"], "Name": item["Name"]}))


def _schedule(sheet: Sheet, task: Task, page: Page) -> None:
    target = page.answer.get("Target") or {}
    source = f"schedule {task.params['GroupName']}/{task.params['Name']}"
    _runs(sheet, source, target.get("Arn", ""), target.get("EcsParameters") or {})


LOOKS = {
    "event buses": Look(events.LIST_EVENT_BUSES, _buses),
    "event rules": Look(events.LIST_RULES, _rules),
    "rule targets": Look(events.LIST_TARGETS_BY_RULE, _targets),
    "schedules": Look(events.LIST_SCHEDULES, _schedules),
    "schedule": Look(events.GET_SCHEDULE, _schedule),
}
