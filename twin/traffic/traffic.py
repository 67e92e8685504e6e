"""The traffic of a world: requests by the minute, sent through the balancers' rules to the targets behind them.

Every five seconds the engine looks where requests go at that moment (shares of the rule, healthy targets, what runs
behind them) and adds up means; every half minute it draws counts from these and sends each node's report on its way to
CloudWatch. No request is drawn by itself. All of it is background: it never keeps a world busy.

Sources: Application Load Balancer guide ("Routing", "Health checks": fail open; "Troubleshoot": HTTP 502, 503, 504).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from twin.errors import AwsError, Unmodelled
from twin.kernel.kernel import Kernel
from twin.kernel.metrics import MetricStore, Report
from twin.neighbours.elbv2 import Elbv2, LoadBalancer, RegisteredTarget
from twin.traffic import model, reports
from twin.traffic.model import Effect, TrafficOptions
from twin.traffic.samplers import poisson

LOOK = 5
"""Seconds between two looks at where requests go: what changes in between counts from the look before on."""
HOSTS = 15
"""Seconds between two counts of the healthy hosts; a multiple of LOOK, and a divisor of REPORT."""
REPORT = 30
"""Seconds between two reports of a node; a divisor of a minute, and a multiple of LOOK."""


class Tasks(Protocol):
    """What ECS says about the target of a task."""

    def task_definition_of_target(self, target_group_arn: str, target_id: str, port: int) -> str | None:
        """ARN of the task definition of the task that is behind a target; None if no task of ECS is."""
        ...


@dataclass(frozen=True)
class Sent:
    """Requests of one look at where they go; for observers.

    Attributes:
        at: simulated seconds since the start at which the time that was looked at begins.
        rule: ARN of the rule that they matched.
        definition: `family:revision` behind the targets; None if no task of ECS is.
        requests: how many, on average.
        load: requests a minute for each target.
        effect: how they are answered; None if the group has no target that could.
    """

    at: float
    rule: str
    group: str
    definition: str | None
    requests: float
    load: float
    effect: Effect | None


@dataclass
class _Tally:
    """What happened since the last report: mean numbers of requests, and the hosts that were seen.

    Attributes:
        answered: by (balancer, target group, zone of the targets, effect).
        refused: requests that met no target, by balancer.
        hosts: by (balancer, target group): for each look, healthy and unhealthy targets by zone.
    """

    answered: dict[tuple[str, str, str, Effect], float] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    hosts: dict[tuple[str, str], list[tuple[Mapping[str, int], Mapping[str, int]]]] = field(default_factory=dict)


class Traffic:
    """Makes the traffic that `spec` describes. `start()` once the fleet stands.

    Args:
        elbv2: the balancers; `shares` says where requests go.
        ecs: says which task definition is behind a target.
        store: where CloudWatch's datapoints are.

    Attributes:
        listeners: told where requests went, at every look.
    """

    def __init__(
        self,
        kernel: Kernel,
        elbv2: Elbv2,
        ecs: Tasks,
        store: MetricStore,
        spec: model.Traffic,
        options: TrafficOptions | None = None,
    ) -> None:
        self.kernel = kernel
        self.elbv2 = elbv2
        self.ecs = ecs
        self.store = store
        self.spec = spec
        self.options = options or TrafficOptions()
        self.listeners: list[Callable[[Sent], None]] = []
        self._lags = kernel.rng("traffic/lags")
        self._rngs: dict[str, Random] = {}
        self._tally = _Tally()
        self._looked = 0.0

    def start(self) -> None:
        """Make the traffic's past, as if the world had always been as it is now, and begin."""
        if not self.spec.requests:
            return
        clock = self.kernel.clock
        self._looked = clock.time()
        end = math.floor(clock.time() / 60) * 60
        for minute in range(end - int(self.spec.history // 60) * 60, end, 60):
            self._look(minute + 60.0, 60.0)
            self._report(minute, lag=False)
        self._wait()

    # --- the beat ----------------------------------------------------------------------------------------------------
    def _wait(self) -> None:
        clock = self.kernel.clock
        beat = round(clock.time() // LOOK) + 1
        delay = beat * LOOK - clock.time()
        if delay < 1e-6:
            beat, delay = beat + 1, delay + LOOK
        self.kernel.scheduler.call_later(delay, lambda: self._beat(beat), name="traffic", background=True)

    def _beat(self, beat: int) -> None:
        """`beat` counts looks since the epoch; the time of the one that ends now is looked at as it is now."""
        now = float(beat * LOOK)
        self._look(now, now - max(self._looked, now - LOOK))
        self._looked = now
        if now % REPORT == 0:
            self._report(now - REPORT, lag=True)
        self._wait()

    # --- where requests go -------------------------------------------------------------------------------------------
    def _look(self, end: float, length: float) -> None:
        """Add the requests of the `length` seconds until the epoch second `end`."""
        at = end - length
        balancers: dict[str, LoadBalancer] = {}
        elapsed = max(0.0, at - self.kernel.clock.start.timestamp())
        for requests in self.spec.requests:
            if not self._exists(requests.rule):
                continue
            rule = self.elbv2.routed(requests.rule)
            balancer = rule.listener.load_balancer
            if balancer.kind != "application":
                raise Unmodelled(f"traffic of {requests.name}: {balancer.name} is no Application Load Balancer")
            balancers[balancer.arn] = balancer
            rate = model.volume(self.spec, requests, elapsed, at)
            for group_arn, share in self.elbv2.shares(requests.rule).items():
                if share > 0:
                    self._send(balancer, rule.arn, group_arn, rate * share, length, elapsed)
        if end % HOSTS == 0:
            for balancer in balancers.values():
                self._count_hosts(balancer)

    def _exists(self, arn: str) -> bool:
        try:
            self.elbv2.routed(arn)
        except AwsError:
            return False
        return True

    def _send(
        self, balancer: LoadBalancer, rule_arn: str, group_arn: str, rate: float, length: float, elapsed: float
    ) -> None:
        """`rate` requests a minute to a target group, for `length` seconds."""
        mean = rate * length / 60
        targets = self._open_to(group_arn)
        if not targets:
            self._tally.refused[balancer.arn] = self._tally.refused.get(balancer.arn, 0.0) + mean
            self._tell(Sent(elapsed, rule_arn, group_arn, None, mean, 0.0, None))
            return
        counted: dict[tuple[str, str | None], int] = {}
        for target in targets:
            place = (target.zone or next(iter(balancer.zones)), self._definition(group_arn, target))
            counted[place] = counted.get(place, 0) + 1
        for (zone, definition), number in counted.items():
            load, part = rate / len(targets), mean * number / len(targets)
            effect = model.effect(self.spec, definition, elapsed, load)
            key = (balancer.arn, group_arn, zone, effect)
            self._tally.answered[key] = self._tally.answered.get(key, 0.0) + part
            self._tell(Sent(elapsed, rule_arn, group_arn, definition, part, load, effect))

    def _tell(self, sent: Sent) -> None:
        for listener in self.listeners:
            listener(sent)

    def _open_to(self, group_arn: str) -> Sequence[RegisteredTarget]:
        """The targets that get requests: the healthy ones, without any the unhealthy ones (fail open)."""
        if group_arn not in self.elbv2.target_groups:
            return []
        by_state: dict[str, list[RegisteredTarget]] = {}
        for target in self.elbv2.targets(group_arn):
            by_state.setdefault(target.state, []).append(target)
        if healthy := by_state.get("healthy"):
            return healthy
        if unhealthy := by_state.get("unhealthy"):
            return unhealthy
        return by_state.get("initial", []) if self.options.fail_open_to_initial else []

    def _definition(self, group_arn: str, target: RegisteredTarget) -> str | None:
        """`family:revision`."""
        arn = self.ecs.task_definition_of_target(group_arn, target.target_id, target.port)
        return arn.rpartition("/")[2] if arn else None

    def _count_hosts(self, balancer: LoadBalancer) -> None:
        for group in self.elbv2.target_groups.values():
            if balancer.arn not in group.load_balancers or not group.targets:
                continue
            healthy, unhealthy = dict.fromkeys(balancer.zones, 0), dict.fromkeys(balancer.zones, 0)
            known = False
            for target in self.elbv2.targets(group.arn):
                known = known or target.state != "draining"
                counts = {"healthy": healthy, "unhealthy": unhealthy}.get(target.state)
                zone = target.zone or next(iter(balancer.zones))
                if counts is not None and zone in counts:
                    counts[zone] += 1
            if known:
                self._tally.hosts.setdefault((balancer.arn, group.arn), []).append((healthy, unhealthy))

    # --- what is reported --------------------------------------------------------------------------------------------
    def _report(self, at: float, *, lag: bool) -> None:
        """Draw the counts of the time from the epoch second `at` on; each node's report goes its own way."""
        tally, self._tally = self._tally, _Tally()
        made: dict[tuple[str, str], list[Report]] = {}
        for (balancer, group, zone, effect), mean in tally.answered.items():
            rng = self._rng(group)
            counts = {zone: reports.drawn(rng, effect, mean)}
            if not self.options.zone_of_target:
                counts = counts[zone].by_node(rng, self._zones(balancer))
            for node, part in counts.items():
                batch = made.setdefault((balancer, node), [])
                batch += reports.of_targets(rng, balancer, group, node, effect, part, self.options)
        for balancer, mean in tally.refused.items():
            zones = self._zones(balancer)
            for zone in zones:
                count = poisson(self._rng(balancer), mean / len(zones))
                made.setdefault((balancer, zone), []).extend(reports.turned_away(balancer, zone, 503, count))
        for (balancer, group), seen in tally.hosts.items():
            self._report_hosts(made, balancer, group, seen)
        now = self.kernel.clock.time()
        for batch in made.values():
            visible = now
            if lag:
                visible += self.options.lag + self._lags.uniform(0.0, self.options.lag_jitter)
            self.store.send(at, batch, visible)

    def _report_hosts(
        self,
        made: dict[tuple[str, str], list[Report]],
        balancer: str,
        group: str,
        seen: Sequence[tuple[Mapping[str, int], Mapping[str, int]]],
    ) -> None:
        for zone in seen[0][0]:
            batch = made.setdefault((balancer, zone), [])
            for position, name in enumerate(("HealthyHostCount", "UnHealthyHostCount")):
                here = [look[position][zone] for look in seen]
                everywhere = [sum(look[position].values()) for look in seen]
                batch += reports.hosts(name, balancer, group, zone, here, everywhere)
            if self.options.report_zeros:
                batch += reports.zeros(balancer, group, zone)

    def _zones(self, balancer_arn: str) -> list[str]:
        """The zones of a balancer's nodes; none if it was deleted since the last look: nobody reports then."""
        balancer = self.elbv2.load_balancers.get(balancer_arn)
        return list(balancer.zones) if balancer else []

    def _rng(self, name: str) -> Random:
        """A generator of its own for each target group: what one of them gets moves no other's counts."""
        if name not in self._rngs:
            self._rngs[name] = self.kernel.rng(f"traffic/{name}")
        return self._rngs[name]
