"""Where a rule's requests really go: weights, how long they take to arrive, and sessions that stick.

The model, which is deterministic and has a closed form:

- **Propagation.** A load balancer has many nodes. Each learns of a change of the rule after a time of its own, evenly
  spread between 0 and `propagation` seconds, the same for every change. So what all nodes do together is the mean, over
  the last `propagation` seconds, of what a balancer would do that learns at once. AWS names no time and no shape.
- **Without stickiness** a node that knows weights w sends a request to group i with probability w_i / sum(w).
- **With stickiness** a session's first request chooses by the weights of its moment and the cookie (AWSALBTG) holds the
  session to that group, whatever the weights become and whether or not the group has healthy targets. Sessions end at
  random, `session` seconds long on average, and new ones take their places. So the age of a request's pin has density
  exp(-a / session) / session, and the share of a group is the mean of its past weights under that density.
- **The cookie's duration** (DurationSeconds). If each answer renews the cookie, it outlasts the session and does not
  matter: a session is a run of requests with no gap longer than that. If answers do not renew it, no pin is older than
  the duration: the density is cut off there, and the session then chooses anew.
- A group that leaves the rule loses its sessions, which choose anew. Switching stickiness on pins everybody at once by
  the weights of that moment; switching it off frees everybody.

Sources: ELBv2 API (ForwardActionConfig, TargetGroupTuple, TargetGroupStickinessConfig); Application Load Balancer
guide, "Action types for listener rules" (target group stickiness; no failover between weighted target groups). Not
documented, so choices of the world: how long propagation takes, whether answers renew the cookie, how long sessions
are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twin.errors import Unmodelled

Weights = Mapping[str, float]
_EVER = -math.inf
_INSTANT = 0.001
"""Seconds of propagation below which it counts as none: a mean over less is no longer exact in floating point."""
_NOBODY: Weights = {}


@dataclass(frozen=True)
class Routing:
    """What a rule says: the weights by target group, and for how long sessions stick.

    Attributes:
        weights: as given, 0-999; empty if the rule forwards nowhere (redirect, fixed response).
        stickiness: DurationSeconds of enabled target group stickiness, else None.
    """

    weights: Mapping[str, int]
    stickiness: float | None = None

    def shares(self) -> Weights:
        """Shares of requests that nothing pins. `Unmodelled` if all weights are 0: what AWS does is not documented."""
        total = sum(self.weights.values())
        if self.weights and not total:
            raise Unmodelled(f"elbv2: a forward action whose weights are all 0 ({', '.join(self.weights)})")
        return {arn: weight / total for arn, weight in self.weights.items()}


@dataclass(frozen=True)
class Memory:
    """How long sessions stay pinned: the distribution of the age of a request's pin.

    Attributes:
        session: mean length of sessions, seconds; 0: every request is a session of its own.
        limit: greatest age, seconds; infinite when answers renew the cookie.
    """

    session: float
    limit: float = math.inf

    def younger(self, age: float) -> float:
        """Share of requests whose pin is younger than `age`."""
        if age <= 0:
            return 0.0
        if self.session <= 0 or age >= self.limit:
            return 1.0
        return math.expm1(-age / self.session) / self._whole

    def integral(self, age: float) -> float:
        """The integral of `younger` from 0 to `age`, seconds."""
        if age <= 0:
            return 0.0
        if self.session <= 0 or not self.limit:
            return age
        inner = min(age, self.limit)
        curve = -(inner + self.session * math.expm1(-inner / self.session)) / self._whole
        return curve + (age - inner)

    @property
    def _whole(self) -> float:
        return -1.0 if math.isinf(self.limit) else math.expm1(-self.limit / self.session)


@dataclass(frozen=True)
class _Epoch:
    """The time in which one configuration of the rule was the newest.

    Attributes:
        pins: (since when, shares by which sessions were pinned from then on), oldest first, as far as they still hold
            in this epoch; the last is this epoch's own. Empty without stickiness.
    """

    start: float
    routing: Routing
    shares: Weights
    pins: tuple[tuple[float, Weights], ...]


class Course:
    """The history of one rule's routing, in simulated seconds.

    Args:
        session: mean length of sessions, seconds.
        propagation: seconds until all nodes know a change.
        renewed: whether each answer renews the stickiness cookie.
    """

    def __init__(self, routing: Routing, *, propagation: float, session: float, renewed: bool) -> None:
        self.propagation = propagation if propagation >= _INSTANT else 0.0
        self.session = session
        self.renewed = renewed
        self._epochs: list[_Epoch] = []
        self.restart(routing)

    @property
    def routing(self) -> Routing:
        """What the rule says now, known to every node or not."""
        return self._epochs[-1].routing

    def restart(self, routing: Routing) -> None:
        """Forget the past: `routing` has always been in force."""
        shares = routing.shares()
        self._epochs = [_Epoch(_EVER, routing, shares, ((_EVER, shares),) if routing.stickiness else ())]

    def change(self, routing: Routing, now: float) -> None:
        """The rule says `routing` from `now` on."""
        shares = routing.shares()
        if routing.stickiness and self.routing.stickiness:
            kept = [(since, _chosen_anew(pinned, shares)) for since, pinned in self._epochs[-1].pins]
            pins = (*_recent(kept, now, self._memory(routing)), (now, shares))
        else:
            pins = ((_EVER, shares),) if routing.stickiness else ()
        self._epochs.append(_Epoch(now, routing, shares, pins))
        while len(self._epochs) > 1 and self._epochs[1].start <= now - self.propagation:
            del self._epochs[0]

    def shares(self, now: float) -> dict[str, float]:
        """The share of requests that each target group gets at `now`; a group of the rule that gets none has 0.

        They sum to 1, or to less while some nodes answer by themselves (redirect, fixed response).
        """
        found = dict.fromkeys(self.routing.weights, 0.0)
        ends = [epoch.start for epoch in self._epochs[1:]] + [math.inf]
        for epoch, end in zip(self._epochs, ends, strict=True):
            for arn, share in self._within(epoch, end, now).items():
                found[arn] = found.get(arn, 0.0) + share
        return {arn: max(0.0, share) for arn, share in found.items()}

    def _within(self, epoch: _Epoch, end: float, now: float) -> Weights:
        """What the nodes do whose newest configuration is the epoch's, as shares of all requests."""
        first, last = max(epoch.start, now - self.propagation), min(end, now)
        if self.propagation <= 0:
            return self._at(epoch, now) if epoch.start <= now < end else _NOBODY
        if last <= first:
            return _NOBODY
        part = (last - first) / self.propagation
        if not epoch.pins:
            return {arn: part * share for arn, share in epoch.shares.items()}
        memory = self._memory(epoch.routing)
        return _mean(epoch.pins, lambda since: _older(memory, since, first, last) / self.propagation, part)

    def _at(self, epoch: _Epoch, now: float) -> Weights:
        if not epoch.pins:
            return epoch.shares
        memory = self._memory(epoch.routing)
        return _mean(epoch.pins, lambda since: 1.0 - memory.younger(now - since), 1.0)

    def _memory(self, routing: Routing) -> Memory:
        return Memory(self.session, math.inf if self.renewed else routing.stickiness or 0.0)


def _mean(pins: Sequence[tuple[float, Weights]], older: Callable[[float], float], whole: float) -> dict[str, float]:
    """The shares of all pins together; `older(since)` is the part of `whole` that was pinned before `since`."""
    found: dict[str, float] = {}
    bounds = [0.0, *(older(since) for since, _ in pins[1:]), whole]
    for (_, pinned), lower, upper in zip(pins, bounds, bounds[1:], strict=False):
        for arn, share in pinned.items():
            found[arn] = found.get(arn, 0.0) + share * (upper - lower)
    return found


def _older(memory: Memory, since: float, first: float, last: float) -> float:
    """The integral from `first` to `last` of the share of requests that were pinned before `since`."""
    return (last - first) - (memory.integral(last - since) - memory.integral(first - since))


def _chosen_anew(pinned: Weights, shares: Weights) -> Weights:
    """`pinned` without the groups that have left the rule: their sessions choose by `shares`."""
    homeless = sum(share for arn, share in pinned.items() if arn not in shares)
    return {arn: pinned.get(arn, 0.0) + homeless * share for arn, share in shares.items()}


def _recent(pins: Sequence[tuple[float, Weights]], now: float, memory: Memory) -> list[tuple[float, Weights]]:
    """`pins` without those that fewer than one request in 10^12 is still held by."""
    first = 0
    while first + 1 < len(pins) and 1.0 - memory.younger(now - pins[first + 1][0]) < 1e-12:
        first += 1
    return list(pins[first:])
