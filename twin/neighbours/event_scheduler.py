"""EventBridge Scheduler: schedules, to be looked at. What one does is not modelled: a run that reaches its time ends.

Source: EventBridge Scheduler API (CreateSchedule, ListSchedules, GetSchedule, DeleteSchedule).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from twin.errors import AwsError
from twin.kernel.api import Api, Call, operation
from twin.kernel.foreign_rules import at_its_time
from twin.kernel.kernel import Kernel
from twin.neighbours.common import page_by_name

_PAGE = 100
_GROUP = "default"
_BAD_TOKEN = AwsError("ValidationException", "Invalid NextToken.")
_SUMMARY = ("Arn", "Name", "GroupName", "State", "CreationDate", "LastModificationDate")


class EventScheduler(Api):
    """Schedules of the group `default`, by name."""

    service = "scheduler"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.schedules: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, str | None] = {}

    @operation(
        "CreateSchedule",
        ("Name", "ScheduleExpression", "State", "Target", "FlexibleTimeWindow", "Description", "ClientToken"),
    )
    def create_schedule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name, token = params["Name"], params.pop("ClientToken", None)
        if name in self.schedules and token is not None and self._tokens.get(name) == token:
            return {"ScheduleArn": self.schedules[name]["Arn"]}
        if name in self.schedules:
            raise AwsError("ConflictException", f"Schedule {name} already exists.", 409)
        state = params.get("State", "ENABLED")
        if state == "ENABLED":
            at_its_time(self.kernel, params["ScheduleExpression"], f"scheduler: schedule {name}")
        now = self.kernel.clock.now()
        made = {
            "Arn": self.kernel.arn("scheduler", f"schedule/{_GROUP}/{name}"),
            "GroupName": _GROUP,
            "ScheduleExpressionTimezone": "UTC",
            "ActionAfterCompletion": "NONE",
            "CreationDate": now,
            "LastModificationDate": now,
        }
        self._tokens[name] = token
        self.schedules[name] = {**made, **params, "State": state}
        return {"ScheduleArn": made["Arn"]}

    @operation("ListSchedules", ("GroupName", "NamePrefix", "State", "NextToken", "MaxResults"))
    def list_schedules(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Sorted by name, at most 100 a page; of a schedule's target only its ARN."""
        if params.get("GroupName", _GROUP) != _GROUP:
            raise AwsError("ResourceNotFoundException", f"Schedule group {params['GroupName']} does not exist.", 404)
        found = [
            one
            for name, one in sorted(self.schedules.items())
            if name.startswith(params.get("NamePrefix", "")) and params.get("State") in (None, one["State"])
        ]
        most = params.get("MaxResults", _PAGE)
        shown, token = page_by_name(found, params.get("NextToken"), most, lambda one: str(one["Name"]), _BAD_TOKEN)
        views = [{key: one[key] for key in _SUMMARY} | {"Target": {"Arn": one["Target"]["Arn"]}} for one in shown]
        return {"Schedules": views} | ({"NextToken": token} if token else {})

    @operation("GetSchedule", ("Name", "GroupName"))
    def get_schedule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = self.schedules.get(params["Name"]) if params.get("GroupName", _GROUP) == _GROUP else None
        if found is None:
            raise AwsError("ResourceNotFoundException", f"Schedule {params['Name']} does not exist.", 404)
        return deepcopy(found)

    @operation("DeleteSchedule", ("Name", "GroupName", "ClientToken"))
    def delete_schedule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self.get_schedule(params, call)
        del self.schedules[params["Name"]]
        return {}
