"""Rules of listeners, as the ELBv2 API knows them, and where they send requests."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation
from twin.neighbours.common import tag_map
from twin.neighbours.elbv2_actions import checked_actions, routing_of
from twin.neighbours.elbv2_conditions import checked_conditions
from twin.neighbours.elbv2_model import (
    DEFAULT,
    LAST_PRIORITY,
    Actions,
    Balancing,
    Listener,
    LoadBalancer,
    Rule,
    chosen,
    invalid,
    ordered_page,
)
from twin.neighbours.routing import Course, Routing
from twin.neighbours.targets import TargetGroup

RULES_PER_BALANCER = 100
GROUPS_PER_BALANCER = 100
_COMPATIBLE = {"HTTP": ("HTTP", "HTTPS"), "HTTPS": ("HTTP", "HTTPS"), "TCP": ("TCP",), "TLS": ("TCP", "TLS")}


class RuleOperations(Balancing):
    """Operations on rules. Every change of weights or stickiness is noted as `rule.weights`, with who made it."""

    def shares(self, rule_or_listener_arn: str) -> Mapping[str, float]:
        """The share of requests that each target group of a rule gets at this moment.

        As twin/neighbours/routing.py models it: a change arrives gradually over `options.propagation` seconds, and with
        stickiness the sessions that are pinned to a group stay there, whatever its weight and the health of its
        targets. Which requests match the rule is not looked at.

        Args:
            rule_or_listener_arn: a listener stands for its default rule.

        Returns:
            Target group ARN to share, 0 for groups of the rule that get nothing. They sum to 1, but to less while (some
            of) the balancer's nodes answer by themselves: a rule that redirects or gives a fixed response has none.

        Raises:
            AwsError: RuleNotFound, ListenerNotFound.
        """
        rule = self.routed(rule_or_listener_arn)
        return rule.course.shares(self.kernel.clock.elapsed)

    def weights(self, rule_or_listener_arn: str) -> Mapping[str, int]:
        """The weights that the rule says now, known to all nodes or not. A listener stands for its default rule."""
        return dict(self.routed(rule_or_listener_arn).course.routing.weights)

    def routed(self, rule_or_listener_arn: str) -> Rule:
        """The rule of that ARN, or the default rule of the listener of that ARN."""
        if rule_or_listener_arn in self.rules:
            return self.rules[rule_or_listener_arn]
        if ":listener/" in rule_or_listener_arn:
            return self.default_rule(rule_or_listener_arn)
        return self.rule(rule_or_listener_arn)

    # --- operations --------------------------------------------------------------------------------------------------
    @operation("CreateRule", ("ListenerArn", "Conditions", "Priority", "Actions", "Tags"))
    def create_rule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        listener = self.listener(params["ListenerArn"])
        if listener.load_balancer.kind != "application":
            raise Unmodelled("elbv2: rules of network load balancers' listeners are not modelled")
        _check_priority(params["Priority"])
        priority = str(params["Priority"])
        rules = [one for one in self.rules.values() if one.listener.load_balancer is listener.load_balancer]
        if any(one.priority == priority and one.listener is listener for one in rules):
            raise AwsError("PriorityInUse", f"Priority '{priority}' is currently in use")
        if sum(not one.is_default for one in rules) >= RULES_PER_BALANCER:
            raise AwsError("TooManyRules", f"A load balancer can have at most {RULES_PER_BALANCER} rules")
        conditions = checked_conditions(params["Conditions"])
        actions = self._actions(listener, params["Actions"])
        rule = self._add_rule(listener, priority, conditions, actions, call)
        rule.tags = tag_map(params.get("Tags", []))
        return {"Rules": [rule_view(rule)]}

    @operation("DescribeRules", ("ListenerArn", "RuleArns", "Marker", "PageSize"))
    def describe_rules(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if ("ListenerArn" in params) == ("RuleArns" in params):
            raise invalid("You must specify either listener rule ARNs or a listener ARN")
        if "ListenerArn" in params:
            found = self.rules_of(params["ListenerArn"])
            return ordered_page(found, params, "Rules", rule_view, lambda one: one.place)
        found = chosen(self.rules.values(), params, {"RuleArns": lambda one: one.arn}, "RuleNotFound", "Rules")
        numbers = {one.arn: number for number, one in enumerate(found)}
        return ordered_page(found, params, "Rules", rule_view, lambda one: numbers[one.arn])

    @operation("ModifyRule", ("RuleArn", "Conditions", "Actions"))
    def modify_rule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """What is given replaces the whole list of conditions or actions; what is left out stays."""
        rule = self._own(params["RuleArn"], "modified")
        if not {"Conditions", "Actions"} & params.keys():
            raise invalid("Either conditions or actions must be specified")
        conditions = checked_conditions(params["Conditions"]) if "Conditions" in params else rule.conditions
        if "Actions" in params:
            self._set_actions(rule, self._actions(rule.listener, params["Actions"], rule.actions), call)
        rule.conditions = conditions
        return {"Rules": [rule_view(rule)]}

    @operation("SetRulePriorities", ("RulePriorities",))
    def set_rule_priorities(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        given = [(self._own(one["RuleArn"], "reordered"), one["Priority"]) for one in params["RulePriorities"]]
        for _, priority in given:
            _check_priority(priority)
        wanted = {rule.arn: str(priority) for rule, priority in given}
        if len(wanted) < len(given):
            raise invalid("A rule was provided multiple times")
        for rule, _ in given:
            others = [one for one in self.rules.values() if one.listener is rule.listener and one is not rule]
            if any(wanted.get(one.arn, one.priority) == wanted[rule.arn] for one in others):
                raise AwsError("PriorityInUse", f"Priority '{wanted[rule.arn]}' is currently in use")
        for rule, _ in given:
            rule.priority = wanted[rule.arn]
        return {"Rules": [rule_view(rule) for rule, _ in given]}

    @operation("DeleteRule", ("RuleArn",))
    def delete_rule(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self._remove_rule(self._own(params["RuleArn"], "deleted"), call)
        return {}

    def _own(self, arn: str, what: str) -> Rule:
        """A rule that is no default rule: those change with their listener only."""
        rule = self.rule(arn)
        if rule.is_default:
            raise AwsError("OperationNotPermitted", f"Default rule '{arn}' cannot be {what}")
        return rule

    # --- changing ----------------------------------------------------------------------------------------------------
    def _actions(
        self, listener: Listener, given: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]] = ()
    ) -> Actions:
        """`given`, checked for a rule of `listener`."""
        actions = checked_actions(given, listener.protocol, listener.load_balancer.kind, old)
        routing = routing_of(actions)
        routing.shares()
        groups = [self.group(arn) for arn in routing.weights]
        self._check_groups(listener, groups)
        return actions

    def _check_groups(self, listener: Listener, groups: Iterable[TargetGroup]) -> None:
        balancer = listener.load_balancer
        used = {one.arn for one in self.target_groups.values() if balancer.arn in one.load_balancers}
        for group in groups:
            if group.load_balancers and balancer.arn not in group.load_balancers:
                raise AwsError(
                    "TargetGroupAssociationLimit",
                    f"The following target groups cannot be associated with more than one load balancer: {group.arn}",
                )
            if group.settings["Protocol"] not in _COMPATIBLE[listener.protocol]:
                raise AwsError(
                    "IncompatibleProtocols",
                    f"Listener protocol '{listener.protocol}' is not supported with a target group with the protocol "
                    f"'{group.settings['Protocol']}'",
                )
            used.add(group.arn)
        if len(used) > GROUPS_PER_BALANCER:
            raise AwsError(
                "TooManyUniqueTargetGroupsPerLoadBalancer",
                f"A load balancer can have at most {GROUPS_PER_BALANCER} target groups",
            )

    def _add_rule(
        self, listener: Listener, priority: str, conditions: list[dict[str, Any]], actions: Actions, call: Call
    ) -> Rule:
        """A new rule. It holds at once: only changes of rules take time to arrive."""
        arn = listener.arn.replace(":listener/", ":listener-rule/") + "/" + self._hex()
        routing = routing_of(actions)
        course = Course(
            routing,
            propagation=self.options.propagation,
            session=self.options.session,
            renewed=self.options.cookie_renewed,
        )
        rule = Rule(arn, listener, priority, conditions, actions, course)
        self.rules[arn] = rule
        self._attach(listener.load_balancer, routing.weights)
        self._note(rule, Routing({}), routing, call)
        return rule

    def _set_actions(self, rule: Rule, actions: Actions, call: Call) -> None:
        before, after = rule.course.routing, routing_of(actions)
        rule.actions = actions
        if before == after:
            return
        if self.kernel.settled:
            rule.course.change(after, self.kernel.clock.elapsed)
        else:
            rule.course.restart(after)
        self._attach(rule.listener.load_balancer, after.weights)
        self._detach(before.weights)
        self._note(rule, before, after, call)

    def _remove_rule(self, rule: Rule, call: Call) -> None:
        routing = rule.course.routing
        del self.rules[rule.arn]
        self._detach(routing.weights)
        self._note(rule, routing, Routing({}), call)

    def _attach(self, balancer: LoadBalancer, arns: Iterable[str]) -> None:
        """Let the load balancer use the target groups; checks of their targets begin."""
        for group in [self.group(arn) for arn in arns]:
            if balancer.arn not in group.load_balancers:
                group.load_balancers.append(balancer.arn)
                group.zones |= set(balancer.zones)
                for target in group.targets.values():
                    self._targets.start(group, target)

    def _detach(self, arns: Iterable[str]) -> None:
        """Take the target groups that no rule refers to any more out of use; checks of their targets end."""
        for group in [self.group(arn) for arn in arns]:
            if not self.rules_to(group.arn):
                group.load_balancers.clear()
                group.zones.clear()
                self._targets.stop(group)

    def _note(self, rule: Rule, before: Routing, after: Routing, call: Call) -> None:
        """Tell when weights or stickiness change: from here observers measure how long a decision took."""
        if not self.kernel.settled or before == after:
            return
        name = "default rule" if rule.is_default else f"rule {rule.priority}"
        listener = rule.listener
        self.kernel.note(
            "rule.weights",
            f"{name} of {listener.load_balancer.name}:{listener.port}: {_words(before)} → {_words(after)} "
            f"by {call.caller}",
            rule=rule.arn,
            listener=listener.arn,
            before=dict(before.weights),
            after=dict(after.weights),
            stickiness_before=before.stickiness,
            stickiness_after=after.stickiness,
            caller=str(call.caller),
            origin=str(call.origin.caller),
            call=call.number,
        )


def rule_view(rule: Rule) -> dict[str, Any]:
    return {
        "RuleArn": rule.arn,
        "Priority": rule.priority,
        "Conditions": copy.deepcopy(rule.conditions),
        "Actions": copy.deepcopy(rule.actions),
        "IsDefault": rule.is_default,
    }


def _check_priority(priority: int) -> None:
    if not 1 <= priority <= LAST_PRIORITY:
        raise invalid(f"Priority must be between 1 and {LAST_PRIORITY}, not {priority}")


def _words(routing: Routing) -> str:
    if not routing.weights:
        return "nowhere"
    shown = ", ".join(f"{arn.split('/')[1]} {weight}" for arn, weight in routing.weights.items())
    return f"{shown} (sticky {routing.stickiness:g} s)" if routing.stickiness else shown


__all__ = ["DEFAULT", "GROUPS_PER_BALANCER", "RULES_PER_BALANCER", "RuleOperations", "rule_view"]
