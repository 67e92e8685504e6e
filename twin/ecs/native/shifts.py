"""The weights of the listener rules, as ECS writes them.

Sources: Amazon ECS Developer Guide, "Application Load Balancer resources for blue/green, linear, and canary
deployments"; ELBv2 API: DescribeRules, ModifyRule (replaces the whole list of actions), ModifyListener (for default
rules). ECS writes what it intends and does not look at the weights that are there (aws/containers-roadmap issue 2853).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from twin.ecs.deployment import Deployment, Revision
from twin.ecs.native import revisions
from twin.kernel.api import AWS_ECS, Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

Action = dict[str, Any]


def weights(percent: float) -> tuple[int, int]:
    """Rule weights (0 to 999) of the new and the old target group for a percentage with one decimal."""
    tenths = round(percent * 10)
    if tenths % 10 == 0:
        return tenths // 10, 100 - tenths // 10
    return tenths, 1000 - tenths


class Shifts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def shift(self, member: str, green: Revision, blue: Revision | None, percent: float, cause: Call | None) -> None:
        """Send `percent` of a rule's traffic to the target groups of `green`, the rest to those of `blue`.

        `member` of advancedConfiguration names the rule. Raises AwsError as the ELBv2 API does.
        """
        for balancer, target, other in self._pairs(green, blue):
            rule = (balancer.get("advancedConfiguration") or {}).get(member)
            if rule is not None:
                new, old = weights(percent)
                self._write(rule, {target: new, other: old}, cause)

    def has(self, member: str, revision: Revision) -> bool:
        """Whether a load balancer of the revision names such a rule."""
        return any((item.get("advancedConfiguration") or {}).get(member) for item in revision.load_balancers)

    def _pairs(self, green: Revision, blue: Revision | None) -> list[tuple[Mapping[str, Any], str, str]]:
        """For each load balancer the target group of `green`, and the other one: that of `blue`, but for a service that
        has moved to another rule, which `blue` has nothing to do with."""
        mine, theirs = revisions.groups(green), revisions.groups(blue) if blue is not None else []
        before = {_production(balancer) for balancer in blue.load_balancers} if blue is not None else set()
        pairs: list[tuple[Mapping[str, Any], str, str]] = []
        for number, balancer in enumerate(green.load_balancers):
            both = [
                balancer["targetGroupArn"],
                (balancer.get("advancedConfiguration") or {})["alternateTargetGroupArn"],
            ]
            other = next((group for group in both if group != mine[number]), both[0])
            stays = number < len(theirs) and _production(balancer) in before
            pairs.append((balancer, mine[number], theirs[number] if stays else other))
        return pairs

    def _write(self, rule_arn: str, groups: Mapping[str, int], cause: Call | None) -> None:
        call = self._engine.gateway.call
        rule = call("elbv2", "DescribeRules", {"RuleArns": [rule_arn]}, AWS_ECS, cause=cause)["Rules"][0]
        actions = forwarding(rule["Actions"], groups)
        if rule.get("IsDefault"):
            listener = rule_arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]
            request = {"ListenerArn": listener, "DefaultActions": actions}
            call("elbv2", "ModifyListener", request, AWS_ECS, cause=cause)
        else:
            call("elbv2", "ModifyRule", {"RuleArn": rule_arn, "Actions": actions}, AWS_ECS, cause=cause)


def _production(balancer: Mapping[str, Any]) -> str | None:
    rule: str | None = (balancer.get("advancedConfiguration") or {}).get("productionListenerRule")
    return rule


def forwarding(actions: list[Action], groups: Mapping[str, int]) -> list[Action]:
    """A rule's actions with its forward action on these target groups; the others, their order and the forward
    action's stickiness are kept."""
    made: list[Action] = []
    for action in deepcopy(actions):
        if action["Type"] == "forward":
            config = action.pop("ForwardConfig", {})
            action.pop("TargetGroupArn", None)
            config["TargetGroups"] = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in groups.items()]
            action["ForwardConfig"] = config
        elif action["Type"] == "authenticate-oidc":  # its secret is never told; this keeps it (ELBv2 API)
            action["AuthenticateOidcConfig"]["UseExistingClientSecret"] = True
        made.append(action)
    return made


def shares(deployment: Deployment, blue: Revision | None, percent: float) -> dict[str, float]:
    """Percent by service revision ARN."""
    if blue is None:
        return {deployment.revision.arn: percent}
    return {deployment.revision.arn: percent, blue.arn: round(100.0 - percent, 1)}
