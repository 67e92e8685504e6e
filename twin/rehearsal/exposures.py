"""What users met of new revisions, as the twin saw it: since when, how much, how bad, and when it was over.

An exposure begins when a rule gives weight to a target group that had none, while another group serves. It is over when
that weight is 0 again. Whose tasks are behind a group tells a new release from the way back of the last one. None of
this is taken from what Caretaker says: the same measure holds for ECS's own rollbacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from twin.kernel.kernel import Entry
from twin.traffic import model
from twin.traffic.model import Effect
from twin.traffic.traffic import Sent

if TYPE_CHECKING:
    from twin.world import World

WORSE = 1.1
"""A canary is bad while one of its rates, or its p99, are above the baseline's by more than this factor."""
_LEAST = 1e-6


@dataclass(frozen=True)
class Behind:
    """What runs behind a target group: most of its targets, if there are several kinds.

    Attributes:
        service: ARN.
        revision: ARN of the service revision, or of the task set.
        definition: `family:revision`.
    """

    service: str
    revision: str
    definition: str


@dataclass
class Exposure:
    """What users met of one revision.

    Attributes:
        canary, baseline: the new revision and the one that served; what stands there when it begins.
        opened: when its weight was first above 0.
        shares: (when, share of the weights, 0 to 1) at every change.
        bad_at: when users first met it while it was worse than the baseline; None if that never was.
        zero_at: when its weight last fell to 0; None while it has some.
        requests, answered: about so many (expected numbers) came to it, and were answered.
        errors: about so many of its answers were errors, or did not come, from `bad_at` on.
    """

    rule: str
    canary_group: str
    baseline_group: str
    canary: Behind
    baseline: Behind
    opened: datetime
    shares: list[tuple[datetime, float]] = field(default_factory=list)
    bad_at: datetime | None = None
    zero_at: datetime | None = None
    requests: float = 0.0
    answered: float = 0.0
    errors: float = 0.0

    @property
    def share(self) -> float:
        """What the weights say now."""
        return self.shares[-1][1]

    @property
    def seconds_to_zero(self) -> float | None:
        """From the first bad moment until its weight was 0; None if it never was bad, or still has weight."""
        if self.bad_at is None or self.zero_at is None:
            return None
        return max(0.0, (self.zero_at - self.bad_at).total_seconds())


def together(found: Sequence[Exposure]) -> Exposure:
    """What users met of one revision through several rules; its share is that of the rule that had it first."""
    first = min(found, key=lambda each: each.opened)
    ends = [each.zero_at for each in found if each.zero_at is not None]
    return replace(
        first,
        bad_at=min((each.bad_at for each in found if each.bad_at is not None), default=None),
        zero_at=max(ends) if len(ends) == len(found) else None,
        requests=sum(each.requests for each in found),
        answered=sum(each.answered for each in found),
        errors=sum(each.errors for each in found),
    )


class Exposures:
    """Watches a settled world from its start on. `seen` holds every exposure, oldest first."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seen: list[Exposure] = []
        self._of_rule: dict[str, Exposure] = {}
        world.kernel.listeners.append(self._noted)
        if world.traffic is not None:
            world.traffic.listeners.append(self._sent)

    def of(self, service: str) -> list[Exposure]:
        """Those of one service, by ARN."""
        return [each for each in self.seen if each.canary.service == service]

    # --- weights -----------------------------------------------------------------------------------------------------
    def _noted(self, entry: Entry) -> None:
        if entry.kind != "rule.weights":
            return
        rule, before, after = str(entry.data["rule"]), _shares(entry.data["before"]), _shares(entry.data["after"])
        current = self._of_rule.get(rule)
        for group, share in after.items():
            if share > 0 and not before.get(group) and self._is_new(current, group):
                current = self._open(rule, group, before, entry.at) or current
        if current is not None:
            self._follow(current, after.get(current.canary_group, 0.0), entry.at)

    def _is_new(self, current: Exposure | None, group: str) -> bool:
        """Whether what gets weight is neither the present canary nor the revision that it goes back to."""
        if current is None:
            return True
        known = {current.canary_group: current.canary, current.baseline_group: current.baseline}
        was, now = known.get(group), self._behind(group)
        return was is None or (now is not None and now.revision != was.revision)

    def _open(self, rule: str, group: str, before: Mapping[str, float], at: datetime) -> Exposure | None:
        serving = max(before, key=lambda arn: before[arn], default="")
        canary, baseline = self._behind(group), self._behind(serving)
        if canary is None or baseline is None:
            return None
        made = Exposure(rule, group, serving, canary, baseline, at)
        self._of_rule[rule] = made
        self.seen.append(made)
        return made

    @staticmethod
    def _follow(exposure: Exposure, share: float, at: datetime) -> None:
        if exposure.shares and exposure.share == share:
            return
        exposure.shares.append((at, share))
        exposure.zero_at = at if share == 0 else None

    def _behind(self, group: str) -> Behind | None:
        """None for a group without tasks of ECS."""
        ecs = self._world.ecs
        if group not in self._world.elbv2.target_groups:
            return None
        found: Counter[Behind] = Counter()
        for target in self._world.elbv2.targets(group):
            place = (group, target.target_id, target.port)
            task, revision = ecs.task_of_target(*place), ecs.revision_of_target(*place)
            if task is not None and task.service is not None and revision is not None and target.state != "draining":
                found[Behind(task.service.arn, revision, task.definition.arn.rpartition("/")[2])] += 1
        return found.most_common(1)[0][0] if found else None

    # --- requests ----------------------------------------------------------------------------------------------------
    def _sent(self, sent: Sent) -> None:
        exposure = self._of_rule.get(sent.rule)
        if exposure is None or exposure.canary_group != sent.group:
            return
        if sent.definition not in (None, exposure.canary.definition):
            return
        exposure.requests += sent.requests
        exposure.answered += sent.requests * _answered(sent.effect)
        if self._is_bad(exposure, sent) and exposure.bad_at is None:
            start = self._world.kernel.clock.start
            exposure.bad_at = max(exposure.opened, start + timedelta(seconds=sent.at))
        if exposure.bad_at is not None:
            exposure.errors += sent.requests * _errors(sent.effect)

    def _is_bad(self, exposure: Exposure, sent: Sent) -> bool:
        if sent.effect is None:
            # Without weight these are the last requests of nodes that have not heard of it: no fault of the revision.
            return exposure.zero_at is None
        assert self._world.traffic is not None
        usual = model.effect(self._world.traffic.spec, exposure.baseline.definition, sent.at, sent.load)
        return worse(sent.effect, usual)


def worse(canary: Effect, baseline: Effect) -> bool:
    """Whether the canary is bad, measured by the baseline at the same time and load."""
    if canary.dead != "no":
        return baseline.dead == "no"
    pairs = (
        (canary.errors_5xx, baseline.errors_5xx),
        (canary.errors_4xx, baseline.errors_4xx),
        (canary.latency.p99, baseline.latency.p99),
    )
    return any(new > WORSE * usual + _LEAST for new, usual in pairs)


def _answered(effect: Effect | None) -> float:
    return 1.0 if effect is not None and effect.dead == "no" else 0.0


def _errors(effect: Effect | None) -> float:
    if effect is None or effect.dead != "no":
        return 1.0
    return effect.errors_5xx + effect.errors_4xx


def _shares(weights: Mapping[str, Any]) -> dict[str, float]:
    total = sum(weights.values())
    return {arn: weight / total for arn, weight in weights.items()} if total else {}
