"""The EventBridge API's reads of rules and targets, and rules that people put beside the template's.

Source: EventBridge API (ListEventBuses, ListRules, ListTargetsByRule, PutRule, PutTargets). A rule that somebody put is
kept to be looked at; what it would do is not modelled, so that a run that reaches its time ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel import schedules
from twin.kernel.api import Call, operation
from twin.kernel.kernel import Kernel

if TYPE_CHECKING:
    from twin.kernel.bus import Rule

_PAGE = 100
DEFAULT_BUS = "default"


@dataclass
class ForeignRule:
    """Somebody's rule: as ListRules shows it, and its targets by id."""

    shown: dict[str, Any]
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)


class ForeignRules:
    """Operations on rules, for the default bus.

    Attributes:
        foreign: rules that were put through the API, by name.
    """

    kernel: Kernel
    foreign: dict[str, ForeignRule]
    _rules: dict[str, Rule]

    @operation("ListEventBuses", ["NamePrefix", "NextToken", "Limit"])
    def list_event_buses(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """The default bus: there is no other in the twin."""
        shown = {"Name": DEFAULT_BUS, "Arn": self.kernel.arn("events", f"event-bus/{DEFAULT_BUS}")}
        return {"EventBuses": [shown] if DEFAULT_BUS.startswith(params.get("NamePrefix", "")) else []}

    @operation("ListRules", ["NamePrefix", "EventBusName", "NextToken", "Limit"])
    def list_rules(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """The template's and those that were put, sorted by name, at most 100 a page."""
        self._check_bus(params)
        found = {name: self._view(rule) for name, rule in self._rules.items()}
        found |= {name: rule.shown for name, rule in self.foreign.items()}
        names = [name for name in sorted(found) if name.startswith(params.get("NamePrefix", ""))]
        return _page(names, params, "Rules", lambda name: deepcopy(found[name]))

    def _view(self, rule: Rule) -> dict[str, Any]:
        kind = {"EventPattern" if rule.pattern is not None else "ScheduleExpression": rule.text}
        state = "ENABLED" if rule.enabled else "DISABLED"
        return {"Name": rule.name, "Arn": rule.arn, "State": state, "EventBusName": DEFAULT_BUS, **kind}

    @operation("ListTargetsByRule", ["Rule", "EventBusName", "NextToken", "Limit"])
    def list_targets_by_rule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """At most 100 a page."""
        self._check_bus(params)
        targets = self._targets(params["Rule"])
        return _page(sorted(targets), params, "Targets", lambda name: deepcopy(targets[name]))

    def _targets(self, name: str) -> Mapping[str, dict[str, Any]]:
        if name in self.foreign:
            return self.foreign[name].targets
        if name not in self._rules:
            raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {DEFAULT_BUS}.")
        return {
            one.id: {"Id": one.id, "Arn": one.arn} | ({"RoleArn": one.role_arn} if one.role_arn else {})
            for one in self._rules[name].targets
        }

    @operation("PutRule", ["Name", "ScheduleExpression", "EventPattern", "State", "Description", "EventBusName"])
    def put_rule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self._check_bus(params)
        name, state = params["Name"], params.get("State", "ENABLED")
        if "EventPattern" in params and state == "ENABLED":
            raise Unmodelled(f"events:PutRule {name}: enabled rules with a pattern are the template's only")
        arn = self.kernel.arn("events", f"rule/{name}")
        shown = {"EventBusName": DEFAULT_BUS, "State": state, **params, "Arn": arn}
        if "ScheduleExpression" in params and state == "ENABLED":
            at_its_time(self.kernel, params["ScheduleExpression"], f"events: rule {name} (of no template)")
        self.foreign[name] = ForeignRule(shown, self.foreign[name].targets if name in self.foreign else {})
        return {"RuleArn": arn}

    @operation("PutTargets", ["Rule", "Targets", "EventBusName"])
    def put_targets(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self._check_bus(params)
        if params["Rule"] not in self.foreign:
            raise AwsError("ResourceNotFoundException", f"Rule {params['Rule']} does not exist on EventBus default.")
        self.foreign[params["Rule"]].targets |= {one["Id"]: dict(one) for one in params["Targets"]}
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def _check_bus(self, params: Mapping[str, Any]) -> None:
        bus = params.get("EventBusName", DEFAULT_BUS)
        if bus not in (DEFAULT_BUS, self.kernel.arn("events", f"event-bus/{DEFAULT_BUS}")):
            raise AwsError("ResourceNotFoundException", f"Event bus {bus} does not exist.")


def at_its_time(kernel: Kernel, expression: str, what: str) -> None:
    """End a run that reaches the next time of a schedule whose effect the twin does not model."""
    moment = next_time(expression, kernel.clock.now())
    if moment is None:
        return

    def reached() -> None:
        raise Unmodelled(f"{what} has reached its time")

    kernel.scheduler.call_at((moment - kernel.clock.start).total_seconds(), reached, name=what, background=True)


def next_time(expression: str, now: datetime) -> datetime | None:
    """When `at(…)`, `rate(…)` or `cron(…)` comes next; None for a time that is over. AwsError for what is none."""
    try:
        if expression.startswith("at(") and expression.endswith(")"):
            moment = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=now.tzinfo)
            return moment if moment > now else None
        return schedules.parse(expression).after(now)
    except (ValueError, WorldError) as error:
        raise AwsError("ValidationException", f"Invalid Schedule Expression {expression}: {error}") from None


def _page(
    names: list[str], params: Mapping[str, Any], member: str, view: Callable[[str], dict[str, Any]]
) -> dict[str, Any]:
    token, most = params.get("NextToken"), params.get("Limit", _PAGE)
    rest = [name for name in names if token is None or name > token]
    shown = rest[:most]
    return {member: [view(name) for name in shown]} | ({"NextToken": shown[-1]} if len(rest) > most else {})
