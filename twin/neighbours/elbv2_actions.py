"""Actions of rules and listeners: checked as AWS checks them, and brought into the form in which AWS returns them.

Source: ELBv2 API (Action, ForwardActionConfig, TargetGroupTuple, TargetGroupStickinessConfig, RedirectActionConfig,
FixedResponseActionConfig, AuthenticateOidcActionConfig, AuthenticateCognitoActionConfig); Application Load Balancer
guide ("Action types for listener rules", "Quotas"). That a forward to one group is returned in both forms, and with
weight 1, and the defaults of redirects are observed answers, not documented.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.neighbours.common import only
from twin.neighbours.routing import Routing

GROUPS_PER_ACTION = 5
MOST_STICKINESS = 604_800
_CONFIGS = {
    "forward": "ForwardConfig",
    "redirect": "RedirectConfig",
    "fixed-response": "FixedResponseConfig",
    "authenticate-oidc": "AuthenticateOidcConfig",
    "authenticate-cognito": "AuthenticateCognitoConfig",
}
_ROUTING = ("forward", "redirect", "fixed-response")
_WEB_ONLY = ("redirect", "fixed-response", "authenticate-oidc", "authenticate-cognito")
_SIGN_IN: Mapping[str, Any] = {
    "SessionCookieName": "AWSELBAuthSessionCookie",
    "Scope": "openid",
    "SessionTimeout": 604_800,
    "OnUnauthenticatedRequest": "authenticate",
}
_REDIRECT: Mapping[str, str] = {
    "Protocol": "#{protocol}",
    "Port": "#{port}",
    "Host": "#{host}",
    "Path": "/#{path}",
    "Query": "#{query}",
}
_CONTENT_TYPES = ("text/plain", "text/css", "text/html", "application/javascript", "application/json")


def checked_actions(
    given: Sequence[Mapping[str, Any]], protocol: str, kind: str, old: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """`given` as AWS returns it: sorted by Order, defaults filled in, secrets left out.

    Args:
        protocol: the listener's.
        kind: of the load balancer, `application` or `network`.
        old: the actions that these replace: UseExistingClientSecret needs one with a secret among them.

    Raises:
        AwsError: ValidationError, InvalidLoadBalancerAction.
        Unmodelled: action types and members that the twin does not model, forwards whose weights are all 0.
    """
    if not given:
        raise _invalid("At least one action must be specified")
    shown = [_checked(action, protocol, kind, old) for action in given]
    if len(shown) > 1:
        orders = [action.get("Order") for action in shown]
        if None in orders or len(set(orders)) < len(orders):
            raise _invalid("An order that is unique must be specified for each action")
        shown.sort(key=lambda action: int(action["Order"]))
    routing = [action["Type"] in _ROUTING for action in shown]
    if sum(routing) != 1 or not routing[-1]:
        raise _bad_action(
            "A rule must have exactly one forward, redirect or fixed-response action, and it must be last"
        )
    if len(shown) > 2:
        raise _bad_action("A rule can have at most one authentication action")
    return shown


def routing_of(actions: Sequence[Mapping[str, Any]]) -> Routing:
    """What checked actions say of where requests go."""
    last = actions[-1]
    if last["Type"] != "forward":
        return Routing({})
    config = last["ForwardConfig"]
    sticky = config.get("TargetGroupStickinessConfig", {})
    weights = {one["TargetGroupArn"]: one.get("Weight", 1) for one in config["TargetGroups"]}
    return Routing(weights, float(sticky["DurationSeconds"]) if sticky.get("Enabled") else None)


def _checked(action: Mapping[str, Any], protocol: str, kind: str, old: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    name = action["Type"]
    if name not in _CONFIGS:
        raise Unmodelled(f"elbv2: action of Type {name!r} is not modelled")
    if kind != "application" and name in _WEB_ONLY:
        raise _bad_action(f"Actions of type '{name}' are not supported with a load balancer of type '{kind}'")
    config = _CONFIGS[name]
    allowed = {"Type", "Order", config, *(("TargetGroupArn",) if name == "forward" else ())}
    only(action, allowed, f"elbv2: action of Type {name!r}")
    order = action.get("Order")
    if order is not None and not 1 <= order <= 50_000:
        raise _invalid(f"The order of an action must be between 1 and 50000, not {order}")
    if name == "forward":
        return _forward(action, kind)
    if config not in action:
        raise _invalid(f"A '{config}' must be specified with an action of type '{name}'")
    values = copy.deepcopy(dict(action[config]))
    if name == "redirect":
        values = _redirect(values, protocol)
    elif name == "fixed-response":
        _check_fixed_response(values)
    else:
        values = _sign_in(name, values, protocol, old)
    return _shown(action, {config: values})


def _shown(action: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    order = {"Order": action["Order"]} if "Order" in action else {}
    return {"Type": action["Type"], **order, **more}


# --- forward ---------------------------------------------------------------------------------------------------------
def _forward(action: Mapping[str, Any], kind: str) -> dict[str, Any]:
    config = action.get("ForwardConfig", {})
    only(config, {"TargetGroups", "TargetGroupStickinessConfig"}, "elbv2: ForwardConfig")
    groups = list(config.get("TargetGroups", []))
    single = action.get("TargetGroupArn")
    if single and not groups:
        groups = [{"TargetGroupArn": single}]
    if not groups or any("TargetGroupArn" not in one for one in groups):
        raise _invalid("A target group ARN must be specified")
    arns = [one["TargetGroupArn"] for one in groups]
    if single and arns != [single]:
        raise _invalid("TargetGroupArn and ForwardConfig must name the same single target group")
    if len(set(arns)) < len(arns):
        raise _invalid("A target group cannot be specified more than once in an action")
    if len(arns) > GROUPS_PER_ACTION:
        raise _invalid(f"An action can only have '{GROUPS_PER_ACTION}' target groups")
    if kind == "network":
        return _network_forward(action, groups, config)
    forward = {
        "TargetGroups": [{"TargetGroupArn": one["TargetGroupArn"], "Weight": _weight(one, groups)} for one in groups],
        "TargetGroupStickinessConfig": _stickiness(config.get("TargetGroupStickinessConfig", {})),
    }
    top = {"TargetGroupArn": arns[0]} if len(arns) == 1 else {}
    return _shown(action, {**top, "ForwardConfig": forward})


def _network_forward(
    action: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], config: Mapping[str, Any]
) -> dict[str, Any]:
    if len(groups) > 1 or "TargetGroupStickinessConfig" in config or "Weight" in groups[0]:
        raise Unmodelled("elbv2: weighted and sticky target groups of network load balancers are not modelled")
    arn = groups[0]["TargetGroupArn"]
    return _shown(action, {"TargetGroupArn": arn, "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn}]}})


def _weight(group: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> int:
    """AWS refuses several groups of which one has no weight with the same words as a weight out of range."""
    weight = group.get("Weight", 1 if len(groups) == 1 else None)
    if weight is None or not 0 <= weight <= 999:
        raise _invalid("The weight for each target group must be between 0 and 999, inclusive")
    return int(weight)


def _stickiness(given: Mapping[str, Any]) -> dict[str, Any]:
    only(given, {"Enabled", "DurationSeconds"}, "elbv2: TargetGroupStickinessConfig")
    shown: dict[str, Any] = {"Enabled": bool(given.get("Enabled", False))}
    seconds = given.get("DurationSeconds")
    if seconds is None:
        if shown["Enabled"]:
            raise _invalid("DurationSeconds must be specified when target group stickiness is enabled")
        return shown
    if not 1 <= seconds <= MOST_STICKINESS:
        raise _invalid(f"DurationSeconds must be between 1 and {MOST_STICKINESS}, not {seconds}")
    return {**shown, "DurationSeconds": seconds}


# --- the others ------------------------------------------------------------------------------------------------------
def _redirect(values: Mapping[str, Any], protocol: str) -> dict[str, Any]:
    only(values, {*_REDIRECT, "StatusCode"}, "elbv2: RedirectConfig")
    if values["StatusCode"] not in ("HTTP_301", "HTTP_302"):
        raise _invalid(f"Redirect status code '{values['StatusCode']}' must be HTTP_301 or HTTP_302")
    shown = {**_REDIRECT, **values}
    if all(shown[part] == _REDIRECT[part] for part in ("Protocol", "Port", "Host", "Path")):
        raise _bad_action("The RedirectConfig is not valid because it creates a loop")
    if shown["Protocol"] not in ("HTTP", "HTTPS", "#{protocol}"):
        raise _invalid(f"Redirect protocol '{shown['Protocol']}' must be HTTP, HTTPS or #{{protocol}}")
    if (protocol, shown["Protocol"]) == ("HTTPS", "HTTP"):
        raise _bad_action("Redirects from HTTPS to HTTP are not allowed")
    return shown


def _check_fixed_response(values: Mapping[str, Any]) -> None:
    only(values, {"StatusCode", "ContentType", "MessageBody"}, "elbv2: FixedResponseConfig")
    code = values["StatusCode"]
    if not (len(code) == 3 and code.isdigit() and code[0] in "245"):
        raise _invalid(f"Fixed response status code '{code}' must be 2XX, 4XX or 5XX")
    if len(values.get("MessageBody", "")) > 1024:
        raise _invalid("The MessageBody of a fixed response can have at most 1024 characters")
    if values.get("ContentType", "text/plain") not in _CONTENT_TYPES:
        raise _bad_action(f"The ContentType must be one of: {', '.join(_CONTENT_TYPES)}")


def _sign_in(name: str, values: dict[str, Any], protocol: str, old: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if protocol != "HTTPS":
        raise _bad_action(f"Actions of type '{name}' are only supported on HTTPS listeners")
    if name == "authenticate-oidc":
        _check_secret(values, old)
    return {**_SIGN_IN, **values}


def _check_secret(values: dict[str, Any], old: Sequence[Mapping[str, Any]]) -> None:
    """Take the secret out of `values`: AWS never returns it, so who carries an action over must ask for the old one."""
    secret, kept = values.pop("ClientSecret", None), values.pop("UseExistingClientSecret", False)
    if secret and kept:
        raise _invalid("You cannot specify both a ClientSecret and UseExistingClientSecret")
    if not secret and not (kept and any(action["Type"] == "authenticate-oidc" for action in old)):
        raise _invalid("You must specify a ClientSecret")


def _invalid(text: str) -> AwsError:
    return AwsError("ValidationError", text)


def _bad_action(text: str) -> AwsError:
    return AwsError("InvalidLoadBalancerAction", text)
