"""Policy as plain data: what an owner allows. Reading and checking documents is `policy_source`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Generic, Literal, Self, TypeVar

Mode = Literal["observe", "act"]
Standalone = Literal["wait", "block"]
ReleaseMode = Literal["observe", "approve", "act"]
Way = Literal["auto", "watch", "gate", "drive", "off"]
OnInconclusive = Literal["hold", "extend", "raise", "roll_back"]
OnError = Literal["fail", "succeed"]
SweepMode = ReleaseMode
Disposal = Literal["keep", "delete"]


@dataclass(frozen=True)
class ServicePolicy:
    """What holds for one service.

    Attributes:
        surge: whether its percents may be raised while its tasks move.
        standalone: what to do about tasks that belong to no service: wait for their end, or block the work.
    """

    surge: bool = True
    standalone: Standalone = "wait"


@dataclass(frozen=True)
class HostPolicy:
    """What holds for the hosts of one cluster.

    Attributes:
        mode: `observe` plans and reports, `act` replaces.
        lead: how long before the notice's date the work starts; None means at once.
        budget: hosts of the cluster at work at once, 1 to 10.
        surge: whether a service's percents may be raised while its tasks move.
        standalone: tasks that belong to no service: wait for their end, or block.
        ready_timeout: how long a launched host may take to become ready.
        drain_timeout: how long the hosts may take to drain.
        retry_after: pause before the next attempt; doubled each time.
        allow_shrink: whether a group may end with fewer hosts than before.
        services: service name to what holds for it, where it has a policy of its own.
    """

    mode: Mode = "observe"
    lead: timedelta | None = None
    budget: int = 1
    surge: bool = True
    standalone: Standalone = "wait"
    ready_timeout: timedelta = timedelta(seconds=900)
    drain_timeout: timedelta = timedelta(seconds=3600)
    retry_after: timedelta = timedelta(seconds=900)
    allow_shrink: bool = False
    services: Mapping[str, ServicePolicy] = field(default_factory=dict)

    def service(self, name: str) -> ServicePolicy:
        """What holds for a service of the cluster."""
        return self.services.get(name, ServicePolicy(self.surge, self.standalone))


@dataclass(frozen=True)
class OnPush:
    """A push to an ECR repository that asks for a release.

    Attributes:
        repository: its name.
        tag: tags that count; `*` stands for any text, `?` for one character.
    """

    repository: str
    tag: str = "*"

    def fits(self, repository: str, tag: str) -> bool:
        """Whether a push of `tag` to `repository` is one."""
        return repository == self.repository and fnmatchcase(tag, self.tag)


P = TypeVar("P")


@dataclass(frozen=True)
class PerService(Generic[P]):
    """What holds for a cluster's services.

    Attributes:
        cluster: where a service has no policy of its own.
        services: service name to what holds for it.
    """

    cluster: P
    services: Mapping[str, P] = field(default_factory=dict)

    def service(self, name: str | None) -> P:
        """What holds for a service of the cluster (its name, not its ARN), or where there is no policy of its own."""
        return self.cluster if name is None else self.services.get(name, self.cluster)

    def having(self, name: str | None, policy: P) -> Self:
        """The policies with another one for a service; None: for all that have none of their own."""
        if name is None:
            return replace(self, cluster=policy)
        return replace(self, services={**self.services, name: policy})


@dataclass(frozen=True)
class ReleasePolicy:
    """What holds for the releases of one service.

    Attributes:
        mode: `observe` judges and reports, `approve` asks before it acts, `act` acts.
        way: how releases are accompanied; `auto` by what the service is, `off` not at all.
        steps: percents of the traffic, in order, of a release that Caretaker drives; the last one is 100.
        bake: minutes at a step before a promotion.
        patience: minutes at a step after which a release without enough evidence is inconclusive; at least `bake`.
        alpha: the most that good releases are rolled back on statistical evidence, 0 to 0.2.
        tolerated: ratio of the canary's error rate to the baseline's up to which it counts as good.
        bad: the ratio that a promotion must have ruled out.
        ignorable: the error rate below which no ratio matters to a promotion.
        slow_over: seconds from which on an answer is slow; None: the baseline's p99 before the release.
        on_inconclusive: wait for a person, go on looking, raise the canary's share, or roll back.
        on_error: what the gate answers once it could not do its work for `gate_limit`.
        approval_expires: how long an approval is waited for.
        gate_limit: how long the gate puts ECS off while it cannot do its work.
        ready_limit: how long the new tasks of a driven release may take until all are healthy.
        session_limit: how long sessions that are held to a side of a driven release keep its tasks, at most.
        discard: minutes at the start of a release in which slow answers do not count: tasks warm up. Errors count.
        by_zone: whether the Availability Zones of the stable target group tell how its errors burst; otherwise errors
            count as if they came in bursts.
        on_push: the ECR pushes that ask for a release of the service.
    """

    mode: ReleaseMode = "observe"
    way: Way = "auto"
    steps: tuple[float, ...] = (5, 25, 100)
    bake: int = 10
    patience: int = 60
    alpha: float = 0.01
    tolerated: float = 1.0
    bad: float = 3.0
    ignorable: float = 0.0025
    slow_over: float | None = None
    on_inconclusive: OnInconclusive = "hold"
    on_error: OnError = "fail"
    approval_expires: timedelta = timedelta(days=1)
    gate_limit: timedelta = timedelta(minutes=30)
    ready_limit: timedelta = timedelta(minutes=20)
    session_limit: timedelta = timedelta(minutes=30)
    discard: int = 2
    by_zone: bool = True
    on_push: OnPush | None = None


@dataclass(frozen=True)
class ReleasePolicies(PerService[ReleasePolicy]):
    """What holds for the releases of a cluster's services."""

    cluster: ReleasePolicy = field(default_factory=ReleasePolicy)


@dataclass(frozen=True)
class GarbagePolicy:
    """What holds for what an Express service leaves behind.

    Attributes:
        mode: `observe` proves and reports, `approve` asks before it deletes, `act` deletes.
        grace: how long a service has to be gone before anything of it counts as left behind: ECS itself deletes first.
        apart: at least so long between the two observations that a deletion needs.
        cap: the most that one sweep deletes, 1 to 500; the rest is the next one's.
        certificates, log_groups, task_definitions, clusters: whether these are deleted as well.
        approval_expires: how long an approval is waited for.
        keep: nothing of the service is ever deleted; a service's own document says so.
    """

    mode: SweepMode = "observe"
    grace: timedelta = timedelta(seconds=3600)
    apart: timedelta = timedelta(seconds=900)
    cap: int = 50
    certificates: Disposal = "delete"
    log_groups: Disposal = "keep"
    task_definitions: Disposal = "keep"
    clusters: Disposal = "keep"
    approval_expires: timedelta = timedelta(days=1)
    keep: bool = False


@dataclass(frozen=True)
class GarbagePolicies(PerService[GarbagePolicy]):
    """What holds for what the Express services of a cluster leave behind."""

    cluster: GarbagePolicy = field(default_factory=GarbagePolicy)


H = TypeVar("H", HostPolicy, ReleasePolicy, GarbagePolicy)

_DURATIONS = frozenset(
    {
        "lead",
        "ready_timeout",
        "drain_timeout",
        "retry_after",
        "approval_expires",
        "gate_limit",
        "ready_limit",
        "session_limit",
        "grace",
        "apart",
    }
)
MARGIN = 0.9
"""`tolerated` must be below this part of `bad`, or no sample tells the two apart."""


def overlay(policy: H, fields: Mapping[str, Any]) -> H:
    """`policy` with the given fields of a checked document in place of its own; durations are in seconds."""
    return replace(policy, **_read(fields))


def overlay_releases(policy: ReleasePolicy, fields: Mapping[str, Any]) -> ReleasePolicy:
    """The same for releases. Raises ValueError with field and value if the whole contradicts itself."""
    changed = overlay(policy, fields)
    if wrong := contradiction(vars(changed)):
        raise ValueError(wrong)
    return changed


def contradiction(fields: Mapping[str, Any]) -> str | None:
    """What does not go together in the given fields of `releases`: field, value and why; None if all does."""
    bake, patience = fields.get("bake"), fields.get("patience")
    if bake is not None and patience is not None and patience < bake:
        return f"patience: {patience}: must be at least bake ({bake})"
    tolerated, bad = fields.get("tolerated"), fields.get("bad")
    if tolerated is not None and bad is not None and not tolerated < MARGIN * bad:
        return f"tolerated: {tolerated:g}: must be below {MARGIN:g} times bad ({bad:g})"
    return None


def _read(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in fields.items()}


def _value(name: str, value: Any) -> Any:
    """A field's value as the policy holds it."""
    if value is None:
        return None
    if name in _DURATIONS:
        return timedelta(seconds=value)
    if name == "steps":
        return tuple(value)
    return OnPush(**value) if name == "on_push" else value


def overlay_service(policy: HostPolicy, name: str, fields: Mapping[str, Any]) -> HostPolicy:
    """`policy` with a service's own document in force for that service."""
    services = {**policy.services, name: replace(policy.service(name), **fields)}
    return replace(policy, services=services)
