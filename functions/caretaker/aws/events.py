"""Amazon EventBridge: rules of event buses, and EventBridge Scheduler."""

from __future__ import annotations

from caretaker.aws import rates
from caretaker.aws.listing import Listing

_NEXT = (("NextToken", "NextToken"),)

LIST_EVENT_BUSES = Listing(
    "events:ListEventBuses", "events", "list_event_buses", ("EventBuses",), rates.EVENTS, _NEXT, {"Limit": 100}
)
LIST_RULES = Listing("events:ListRules", "events", "list_rules", ("Rules",), rates.EVENTS, _NEXT, {"Limit": 100})
LIST_TARGETS_BY_RULE = Listing(
    "events:ListTargetsByRule", "events", "list_targets_by_rule", ("Targets",), rates.EVENTS, _NEXT, {"Limit": 100}
)
LIST_SCHEDULES = Listing(
    "scheduler:ListSchedules",
    "scheduler",
    "list_schedules",
    ("Schedules",),
    rates.SCHEDULER,
    _NEXT,
    {"MaxResults": 100},
)
GET_SCHEDULE = Listing("scheduler:GetSchedule", "scheduler", "get_schedule", ("Target",), rates.SCHEDULER)
