"""The weights of two target groups in a rule's actions: read, set, and compared, with everything else kept.

Writing a rule replaces its whole list of actions (ELBv2 API: ModifyRule, ModifyListener). So what is written is what
was read, with two weights changed: other actions, their order, and the stickiness, which is off once it is left out.
What could not be written back as it was is refused in words.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

Action = Mapping[str, Any]

MOST = 999
"""The largest weight (ELBv2 API: TargetGroupTuple)."""
NEAR = 0.0005
"""Shares that are this close are the same: weights are whole numbers up to 999, so a share is kept to about 1/999."""
_CONFIGS = {
    "forward": "ForwardConfig",
    "redirect": "RedirectConfig",
    "fixed-response": "FixedResponseConfig",
    "authenticate-oidc": "AuthenticateOidcConfig",
    "authenticate-cognito": "AuthenticateCognitoConfig",
    "jwt-validation": "JwtValidationConfig",
}


class CannotKeep(ValueError):
    """The actions cannot be written with other weights and be the same otherwise. `str()` says why."""


def same(one: float, other: float) -> bool:
    """Whether two shares are the same, as far as weights can tell."""
    return abs(one - other) <= NEAR


def weights_for(share: float) -> tuple[int, int]:
    """Weights of canary and baseline that give the canary this share, 0 to 1, to a tenth of a percent."""
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, not {share}")
    tenths = round(share * 1_000)
    if tenths % 10 == 0:
        return tenths // 10, 100 - tenths // 10
    return tenths, 1_000 - tenths


def intended_share(actions: Sequence[Action], canary: str, baseline: str) -> float | None:
    """The canary's share of what these actions forward to the two target groups, 0 to 1.

    None where they do not forward to these two alone, or give neither of them any weight.
    """
    weights = weights_of(actions)
    ours = {arn: weight for arn, weight in weights.items() if arn in (canary, baseline)}
    total = sum(ours.values())
    if not total or total < sum(weights.values()):
        return None
    return ours.get(canary, 0) / total


def weights_of(actions: Sequence[Action]) -> dict[str, int]:
    """Weight by target group of the forward action; empty without one."""
    forward = next((action for action in actions if action.get("Type") == "forward"), None)
    if forward is None:
        return {}
    groups = forward.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": forward["TargetGroupArn"]}]
    return {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}


def is_sticky(actions: Sequence[Action]) -> bool:
    """Whether sessions are held to a target group: then weights say little of where requests go."""
    return any(_stickiness(action).get("Enabled", False) for action in actions)


def _stickiness(action: Action) -> Mapping[str, Any]:
    found: Mapping[str, Any] = action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {})
    return found


def with_share(actions: Sequence[Action], canary: str, baseline: str, share: float) -> list[dict[str, Any]]:
    """The actions to write so that the canary gets `share`, everything else as it is.

    Raises:
        CannotKeep: an action of a kind that is not known, no forward action, one that goes to neither of the two
            target groups, or one that goes to others too.
    """
    if not any(action.get("Type") == "forward" for action in actions):
        raise CannotKeep("the rule has no forward action")
    return [_written(action, canary, baseline, share) for action in actions]


def _written(action: Action, canary: str, baseline: str, share: float) -> dict[str, Any]:
    kind = str(action.get("Type"))
    if kind == "forward":
        return _forward(action, canary, baseline, share)
    if kind not in _CONFIGS or _CONFIGS[kind] not in action:
        raise CannotKeep(f"the rule has an action of type {kind} that could not be written back as it is")
    kept = copy.deepcopy(dict(action))
    if kind == "authenticate-oidc":
        # The secret is never returned; without this it would be asked for (ELBv2 API: AuthenticateOidcActionConfig).
        kept["AuthenticateOidcConfig"].pop("ClientSecret", None)
        kept["AuthenticateOidcConfig"]["UseExistingClientSecret"] = True
    return kept


def _forward(action: Action, canary: str, baseline: str, share: float) -> dict[str, Any]:
    weights = weights_of([action])
    if canary == baseline or not {canary, baseline} & set(weights):
        raise CannotKeep(f"the rule forwards to neither {_name(canary)} nor {_name(baseline)}")
    others = sorted(_name(arn) for arn, weight in weights.items() if weight and arn not in (canary, baseline))
    if others:
        raise CannotKeep(f"the rule forwards to {', '.join(others)} too")
    to_canary, to_baseline = weights_for(share)
    weights |= {canary: to_canary, baseline: to_baseline}
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    config = {**copy.deepcopy(dict(action.get("ForwardConfig", {}))), "TargetGroups": groups}
    # TargetGroupArn beside the list is for one group alone, and refused otherwise.
    rest = {name: copy.deepcopy(value) for name, value in action.items() if name != "TargetGroupArn"}
    return {**rest, "ForwardConfig": config}


def difference(written: Sequence[Action], read: Sequence[Action]) -> str | None:
    """What was read back otherwise than it was written, in words; None if it is all the same."""
    ours, theirs = _in_order(written), _in_order(read)
    if [action["Type"] for action in ours] != [action["Type"] for action in theirs]:
        return f"actions are {_kinds(theirs)} where {_kinds(ours)} were written"
    for own, found in zip(ours, theirs, strict=True):
        if own["Type"] == "forward":
            if words := _forward_difference(own, found):
                return words
        elif _comparable(own) != _comparable(found):
            return f"the action {own['Type']} is another one than was written"
    return None


def _forward_difference(own: Action, found: Action) -> str | None:
    if weights_of([own]) != weights_of([found]):
        return f"weights are {told(weights_of([found]))} where {told(weights_of([own]))} were written"
    if _effective(_stickiness(own)) != _effective(_stickiness(found)):
        return f"stickiness is {dict(_stickiness(found))} where {dict(_stickiness(own))} was written"
    return None


def _effective(stickiness: Mapping[str, Any]) -> tuple[bool, int | None]:
    return bool(stickiness.get("Enabled", False)), stickiness.get("DurationSeconds")


def _in_order(actions: Sequence[Action]) -> list[Action]:
    return sorted(actions, key=lambda action: int(action.get("Order", 0)))


def _kinds(actions: Sequence[Action]) -> str:
    return ", ".join(str(action["Type"]) for action in actions)


def _comparable(action: Action) -> dict[str, Any]:
    """An action but for what is written and never returned."""
    kept = copy.deepcopy(dict(action))
    for name in ("ClientSecret", "UseExistingClientSecret"):
        kept.get("AuthenticateOidcConfig", {}).pop(name, None)
    return kept


def told(weights: Mapping[str, int]) -> str:
    """Weights in words."""
    return ", ".join(f"{_name(arn)} {weight}" for arn, weight in sorted(weights.items())) or "none"


def _name(group: str) -> str:
    """`name` of a target group's ARN (`…:targetgroup/name/id`)."""
    parts = group.split("/")
    return parts[1] if len(parts) > 1 else group
