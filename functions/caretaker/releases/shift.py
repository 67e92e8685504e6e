"""Weights in rules: read, compared with what should stand there, written, and read back.

Caretaker writes only where it finds what it left, or what it is about to write: what somebody else has set in between
is reported and left alone. AWS has no conditional write of rules; so reading and writing are close together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caretaker.aws import elbv2
from caretaker.releases import weights
from caretaker.releases.weights import same

_RULE, _LISTENER = ":listener-rule/", ":listener/"


class WeightsChanged(Exception):
    """Somebody else has changed the weights; nothing was written. `.readings` is what stands there."""

    def __init__(self, words: str, readings: Sequence[Reading]) -> None:
        super().__init__(words)
        self.readings = tuple(readings)


class WeightsNotKept(Exception):
    """What was read back is not what was written."""


class NoHealthyTarget(Exception):
    """The target group that is to get more requests has no healthy target; nothing was written."""


@dataclass(frozen=True)
class Reading:
    """One rule as it stands.

    Attributes:
        arn: of the rule, or of the listener whose default rule is meant.
        share: the canary's share, 0 to 1; None where the rule does not forward to the two target groups alone.
        sticky: whether it holds sessions to their target group.
        actions: as ELB returned them.
    """

    arn: str
    share: float | None
    sticky: bool
    actions: tuple[Mapping[str, Any], ...]

    @property
    def words(self) -> str:
        """The weights, for people."""
        return weights.told(weights.weights_of(self.actions))


@dataclass(frozen=True)
class Health:
    """The targets of a target group by state. Draining ones are not counted."""

    healthy: int
    unhealthy: int
    others: int

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.healthy} of {self.healthy + self.unhealthy + self.others} targets healthy"


@dataclass(frozen=True)
class Shifted:
    """What a shift came to.

    Attributes:
        before, after: the rules as they were read before and after.
        written: ARNs of those that were written; the others had these weights already.
        health: of the canary's target group afterwards.
    """

    before: tuple[Reading, ...]
    after: tuple[Reading, ...]
    written: tuple[str, ...]
    health: Health


def read(rules: Sequence[str], canary: str, baseline: str) -> tuple[Reading, ...]:
    """The rules as they stand, in the order given.

    Raises:
        Missing: one of them does not exist.
    """
    found = _actions_of(rules)
    return tuple(_reading(arn, found[arn], canary, baseline) for arn in rules)


def shares(readings: Sequence[Reading]) -> dict[str, float | None]:
    """The canary's share by rule."""
    return {reading.arn: reading.share for reading in readings}


def share_of(readings: Sequence[Reading]) -> float | None:
    """The share that all rules give the canary; None where they differ, or where there is none to speak of."""
    found = [reading.share for reading in readings]
    first = found[0] if found else None
    if first is None or any(share is None or not same(share, first) for share in found):
        return None
    return first


def sticky(readings: Sequence[Reading]) -> bool:
    """Whether a rule holds sessions to their target group."""
    return any(reading.sticky for reading in readings)


def health(group: str) -> Health:
    """How the targets of a target group are now."""
    states = [str(one["TargetHealth"]["State"]) for one in elbv2.describe_target_health(group)]
    healthy, unhealthy, draining = (states.count(name) for name in ("healthy", "unhealthy", "draining"))
    return Health(healthy, unhealthy, len(states) - healthy - unhealthy - draining)


def shift(
    rules: Sequence[str], canary: str, baseline: str, *, was: float, to: float, force: bool = False, ill: bool = False
) -> Shifted:
    """Set the canary's share in every rule from `was` to `to`, and read it back. Idempotent.

    Args:
        was: the share that Caretaker left there, 0 to 1. Rules that already say `to` are not written.
        force: write over what somebody else has set, too.
        ill: write even if the target group that gets more has no healthy target.

    Raises:
        WeightsChanged: a rule has neither share (unless `force`); none was written.
        NoHealthyTarget: unless `ill`; none was written.
        CannotKeep: a rule cannot be written with other weights and be the same otherwise; none was written.
        WeightsNotKept: a rule reads otherwise than it was written.
        Missing: a rule does not exist.
    """
    before = read(rules, canary, baseline)
    theirs = [one for one in before if one.share is None or not (same(one.share, was) or same(one.share, to))]
    if theirs and not force:
        words = "; ".join(f"{one.arn}: {one.words}" for one in theirs)
        raise WeightsChanged(f"weights are not the ones that Caretaker set ({was:.1%} for the canary): {words}", before)
    stale = [one for one in before if one.share is None or not same(one.share, to)]
    plans = {one.arn: weights.with_share(one.actions, canary, baseline, to) for one in stale}
    if stale and not ill:
        _check_health(canary if any((one.share or 0.0) < to for one in stale) else baseline)
    for arn, actions in plans.items():
        _write(arn, actions)
    after = _read_back(rules, canary, baseline, plans)
    return Shifted(before, after, tuple(plans), health(canary))


def write(arn: str, canary: str, baseline: str, share: float) -> Reading:
    """Set the canary's share in one rule, whatever stands there, and read it back. Returns it as it was read back.

    Raises:
        CannotKeep, WeightsNotKept, Missing: as `shift`.
    """
    (before,) = read([arn], canary, baseline)
    if before.share is not None and same(before.share, share):
        return before
    actions = weights.with_share(before.actions, canary, baseline, share)
    _write(arn, actions)
    (after,) = _read_back([arn], canary, baseline, {arn: actions})
    return after


def _check_health(group: str) -> None:
    seen = health(group)
    if not seen.healthy:
        raise NoHealthyTarget(f"{group}: {seen.words}")


def _read_back(
    rules: Sequence[str], canary: str, baseline: str, plans: Mapping[str, Sequence[weights.Action]]
) -> tuple[Reading, ...]:
    after = read(rules, canary, baseline)
    for one in after:
        wrong = weights.difference(plans[one.arn], one.actions) if one.arn in plans else None
        if wrong:
            raise WeightsNotKept(f"{one.arn}: {wrong}")
    return after


def _actions_of(arns: Sequence[str]) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """Actions by ARN. A listener stands for its default rule."""
    listeners = [arn for arn in arns if _LISTENER in arn]
    rules = [arn for arn in arns if _LISTENER not in arn]
    found: dict[str, tuple[Mapping[str, Any], ...]] = {}
    if listeners:
        found |= {one["ListenerArn"]: tuple(one["DefaultActions"]) for one in elbv2.describe_listeners(listeners)}
    if rules:
        found |= {one["RuleArn"]: tuple(one["Actions"]) for one in elbv2.describe_rules(rules)}
    return found


def _reading(arn: str, actions: tuple[Mapping[str, Any], ...], canary: str, baseline: str) -> Reading:
    return Reading(arn, weights.intended_share(actions, canary, baseline), weights.is_sticky(actions), actions)


def _write(arn: str, actions: Sequence[dict[str, Any]]) -> None:
    """ELB refuses to modify a default rule as a rule: it is the listener's default actions."""
    if _LISTENER in arn:
        elbv2.modify_listener(arn, actions)
        return
    if elbv2.describe_rules([arn])[0].get("IsDefault"):
        elbv2.modify_listener(arn.replace(_RULE, _LISTENER).rpartition("/")[0], actions)
        return
    elbv2.modify_rule(arn, actions)
