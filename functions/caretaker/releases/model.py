"""What a release is judged by: minutes of traffic, what else is seen, what the owner allows, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

StreamName = Literal["5xx", "4xx", "slow"]
Basis = Literal["beside", "before"]


@dataclass(frozen=True, slots=True)
class Zone:
    """One Availability Zone's part of a target group in one minute: requests, and the bad ones of each stream."""

    requests: int
    errors_5xx: int = 0
    errors_4xx: int = 0
    timed: int = 0
    slow: int = 0

    @property
    def good(self) -> int:
        """Requests that were answered well."""
        return self.requests - self.errors_5xx - self.errors_4xx


@dataclass(frozen=True, slots=True)
class Arm:
    """One target group in one closed minute, as CloudWatch shows it (AWS/ApplicationELB, period 60 s).

    CloudWatch has these datapoints only when they are not zero, and late ones are not there yet: a count without a
    datapoint is 0 here, and `requests` alone tells "no datapoint" (None) from a number.

    Attributes:
        requests: RequestCount; None without a datapoint.
        good: HTTPCode_Target_2XX_Count and HTTPCode_Target_3XX_Count.
        errors_4xx, errors_5xx: HTTPCode_Target_4XX_Count, HTTPCode_Target_5XX_Count.
        timed: requests that were timed (SampleCount of TargetResponseTime).
        slow: those of `timed` that took longer than the line that the release is held to.
        connection_errors: TargetConnectionErrorCount.
        healthy, unhealthy: HealthyHostCount and UnHealthyHostCount (lowest and highest in the minute); None if unknown.
    """

    requests: int | None = None
    good: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    timed: int = 0
    slow: int = 0
    connection_errors: int = 0
    healthy: int | None = None
    unhealthy: int | None = None

    @property
    def gap(self) -> int:
        """Requests without an answer by status: late datapoints, or requests that no target answered."""
        return (self.requests or 0) - self.good - self.errors_4xx - self.errors_5xx

    @property
    def whole(self) -> bool:
        """Whether every answer is accounted for: the counts by status add up to the requests.

        This is the proof that a status without a datapoint is a zero and not late.
        """
        return self.requests is not None and self.good + self.errors_4xx + self.errors_5xx == self.requests


@dataclass(frozen=True, slots=True)
class Minute:
    """One closed minute of a release.

    Attributes:
        start: the beginning of the minute, aware, on a full minute.
        canary: the new revision's target group.
        baseline: the running revision's target group.
        weight: the share of requests that the weights intended for the canary, 0 to 1; None in a minute in which they
            were changed, or where nothing is intended.
        zones: the baseline by Availability Zone, for the burst factor.
        balancer_5xx: HTTPCode_ELB_5XX_Count of the whole load balancer.
    """

    start: datetime
    canary: Arm
    baseline: Arm
    weight: float | None = None
    zones: tuple[Zone, ...] = ()
    balancer_5xx: int = 0


@dataclass(frozen=True, slots=True)
class Signs:
    """What is seen beside the metrics.

    Attributes:
        stopped_tasks: tasks of the new revision that stopped without anybody having asked for it, since the start.
        stopped_why: words of ECS about them.
    """

    stopped_tasks: int = 0
    stopped_why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamRule:
    """What holds for one stream.

    Attributes:
        capital: its part of the capital, 0 to 1; it convicts at an evidence of 1 / (alpha * capital).
        tolerated: ratio of the canary's rate to the baseline's up to which the canary counts as good.
        bad: the ratio that a promotion must have ruled out.
        ignorable: the error rate below which no ratio matters to a promotion.
        warm_up: minutes of the release that this stream leaves out.
    """

    capital: float
    tolerated: float = 1.0
    bad: float = 3.0
    ignorable: float = 0.0025
    warm_up: int = 0

    def check(self, name: str) -> None:
        """ValueError names the stream and the field under which a promise would not hold."""
        if not 0 < self.capital <= 1:
            raise ValueError(f"{name}: capital must be above 0 and at most 1, not {self.capital:g}")
        if not self.bad > 1:
            raise ValueError(f"{name}: bad must be above 1, not {self.bad:g}")
        if not 0 < self.tolerated < 0.9 * self.bad:
            raise ValueError(f"{name}: tolerated ({self.tolerated:g}) must be well below bad ({self.bad:g})")
        if not 0 < self.ignorable < 1:
            raise ValueError(f"{name}: ignorable must be between 0 and 1, not {self.ignorable:g}")
        if self.warm_up < 0:
            raise ValueError(f"{name}: warm_up must not be negative, but is {self.warm_up}")


def _streams() -> dict[StreamName, StreamRule]:
    return {"5xx": StreamRule(0.45), "4xx": StreamRule(0.125), "slow": StreamRule(0.125, warm_up=2)}


@dataclass(frozen=True, slots=True)
class Rules:
    """How a release is judged.

    Attributes:
        alpha: the most that good releases are rolled back on statistical evidence, whatever the number of looks.
        alpha_promote: the most that releases with a bad stream are promoted.
        bake: minutes before a promotion.
        patience: minutes after which a release without enough evidence is inconclusive.
        settle: minutes after which metrics have arrived.
        streams: the streams that are judged, by name.
        capital_success, capital_connections, capital_share: parts of the capital for a canary that answers hardly
            anything well, for refused connections, and for the share of requests.
        fatal_stops: stopped tasks of the new revision that convict it.
        fatal_unhealthy: minutes in a row without any healthy target, or without any answer, that convict it.
        before_tolerated: factor on `tolerated` where the control is the time before.
    """

    alpha: float = 0.01
    alpha_promote: float = 0.01
    bake: int = 10
    patience: int = 60
    settle: int = 5
    streams: dict[StreamName, StreamRule] = field(default_factory=_streams)
    capital_success: float = 0.15
    capital_connections: float = 0.05
    capital_share: float = 0.1
    fatal_stops: int = 3
    fatal_unhealthy: int = 3
    before_tolerated: float = 1.5

    def __post_init__(self) -> None:
        """Refuses rules under which the error rates that are promised would not hold; ValueError names the field."""
        for name, value in (("alpha", self.alpha), ("alpha_promote", self.alpha_promote)):
            if not 0 < value < 1:
                raise ValueError(f"{name} must be between 0 and 1, not {value}")
        for names, least in (
            (("capital_success", "capital_connections", "capital_share", "settle"), 0),
            (("fatal_stops", "fatal_unhealthy", "before_tolerated"), 1),
        ):
            for name in names:
                if not getattr(self, name) >= least:  # not a number is not enough either
                    raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.committed > 1 + 1e-9:
            raise ValueError(f"the parts of the capital must not sum to more than 1, but to {self.committed:g}")
        if not 0 < self.bake <= self.patience:
            raise ValueError(f"bake must be between 1 and patience ({self.patience}), not {self.bake}")
        if not self.streams:
            raise ValueError("streams must name at least one stream")
        for name, rule in self.streams.items():
            rule.check(name)

    @property
    def committed(self) -> float:
        """The sum of all parts of the capital."""
        checks = self.capital_success + self.capital_connections + self.capital_share
        return checks + sum(rule.capital for rule in self.streams.values())


class Action(StrEnum):
    """What a look at a release comes to."""

    ROLL_BACK = "roll back"
    PROMOTE = "promote"
    CONTINUE = "continue"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class StreamFinding:
    """What one stream says.

    Attributes:
        canary_errors, canary_requests, baseline_errors, baseline_requests: counts of the minutes that were used.
        ratio: the canary's error rate over the baseline's; None where neither can be told.
        log_against: log of the evidence against the canary (the wealth of the bets that it is worse than tolerated).
        log_for: log of the evidence for it (the bets that it is better than bad).
        phi: the burst factor of the latest minute.
        words: the same for people.
    """

    name: StreamName
    canary_errors: int
    canary_requests: int
    baseline_errors: int
    baseline_requests: int
    ratio: float | None
    log_against: float
    log_for: float
    phi: float
    words: str


@dataclass(frozen=True, slots=True)
class Check:
    """What one side check says.

    Attributes:
        name: success, connections, accounts, share, unhealthy, stopped tasks, balancer 5xx or silence.
        effect: `none`; `hold` stands in the way of a promotion; `convict` rolls back by itself; `evidence` counts with
            its log_against in the common wealth.
        words: for people.
        log_against: log of its evidence against the canary, where it has one.
    """

    name: str
    effect: Literal["none", "hold", "convict", "evidence"]
    words: str
    log_against: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One look at a release.

    Attributes:
        action: what to do.
        reason: why, in words.
        look: closed minutes since the release's start.
        used: minutes in which both arms had requests and every answer is accounted for.
        log_against: log of the common evidence against the release; it is rolled back from `line` on.
        line: log of 1 / alpha.
        basis: `beside` if the baseline ran at the same time, `before` if it is the time before the release: weaker.
        streams, checks: the findings that it rests on.
        needs: what is still missing for a decision, in words.
    """

    action: Action
    reason: str
    look: int
    used: int
    log_against: float
    line: float
    basis: Basis
    streams: tuple[StreamFinding, ...]
    checks: tuple[Check, ...]
    needs: tuple[str, ...] = ()

    def stream(self, name: StreamName) -> StreamFinding:
        """The finding of one stream."""
        return next(finding for finding in self.streams if finding.name == name)
