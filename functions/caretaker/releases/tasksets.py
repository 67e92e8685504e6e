"""Task sets of a service with external deployment controller: which one runs, where the new one goes, what it lacks.

Plain data in and out: the items are ECS's and ELB's own answers (ECS API: TaskSet; ELB API: TargetHealthDescription).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Described = Mapping[str, Any]
"""An item as the API answers it."""

FULL = 100.0
_COPIED = (
    "networkConfiguration",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "serviceRegistries",
)


def short(arn: str) -> str:
    """Last part of an ARN, for people."""
    return arn.rsplit("/", 1)[-1]


class NotDrivable(Exception):
    """The service is not one whose weights Caretaker could shift. `str()` says what stands in the way."""


@dataclass(frozen=True)
class TaskSet:
    """A task set.

    Attributes:
        group: ARN of its target group; empty without exactly one.
        desired, running: tasks.
        steady: ECS says STEADY_STATE.
        leaving: it is DRAINING: deleted, its last tasks are stopping.
    """

    arn: str
    task_definition: str
    group: str
    primary: bool
    leaving: bool
    external_id: str
    scale: float
    desired: int
    running: int
    steady: bool

    @property
    def id(self) -> str:
        return short(self.arn)


def task_set(item: Described) -> TaskSet:
    """A task set as DescribeTaskSets gives it."""
    groups = [str(each.get("targetGroupArn") or "") for each in item.get("loadBalancers") or ()]
    return TaskSet(
        arn=str(item["taskSetArn"]),
        task_definition=str(item["taskDefinition"]),
        group=groups[0] if len(groups) == 1 else "",
        primary=item["status"] == "PRIMARY",
        leaving=item["status"] == "DRAINING",
        external_id=str(item.get("externalId") or ""),
        scale=float((item.get("scale") or {}).get("value", 0.0)),
        desired=int(item.get("computedDesiredCount", 0)),
        running=int(item.get("runningCount", 0)),
        steady=item.get("stabilityStatus") == "STEADY_STATE",
    )


def primary(items: Iterable[Described]) -> Described:
    """The primary task set. Raises `NotDrivable` when it is missing or not behind exactly one target group."""
    found = next((item for item in items if item["status"] == "PRIMARY"), None)
    if found is None:
        raise NotDrivable("the service has no primary task set to compare with")
    if not task_set(found).group:
        raise NotDrivable(f"its primary task set {short(found['taskSetArn'])} is not behind exactly one target group")
    return found


def mine(items: Iterable[Described], release: str) -> TaskSet | None:
    """The task set that was created for a release; its external id is the release's."""
    return next((one for one in map(task_set, items) if one.external_id == release), None)


def request(running: Described, group: str, release: str) -> dict[str, Any]:
    """Members of CreateTaskSet for a release: everything as the running one has it, in another target group.

    It gets all the tasks that the service is meant to have, so that any share of the requests meets as many tasks as
    the running one has, and 100 % need no more start.
    """
    balancers = [{**each, "targetGroupArn": group} for each in running["loadBalancers"]]
    copied = {name: running[name] for name in _COPIED if running.get(name)}
    if copied.get("capacityProviderStrategy"):
        copied.pop("launchType", None)
    return {
        **copied,
        "loadBalancers": balancers,
        "scale": {"unit": "PERCENT", "value": FULL},
        "externalId": release,
    }


# --- where the weights are -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forward:
    """One listener rule (or default action) that forwards.

    Attributes:
        arn: of the rule; of the listener for its default action.
        balancer: ARN of the load balancer.
        weights: by target group ARN.
    """

    arn: str
    balancer: str
    weights: Mapping[str, int]

    def gives(self, group: str) -> bool:
        return self.weights.get(group, 0) > 0


@dataclass(frozen=True)
class Pair:
    """The two target groups between which a release's weights shift, and the rules that say so."""

    balancer: str
    baseline: str
    canary: str
    rules: tuple[str, ...]


def pair(group: str, forwards: Sequence[Forward], items: Iterable[Described]) -> Pair:
    """The rules that send requests to the running task set, and the idle target group beside it.

    Args:
        group: ARN of the primary task set's target group.
        forwards: every rule that names it.
        items: the service's task sets.

    Raises:
        NotDrivable: says which rule or which task set is in the way.
    """
    live = [each for each in forwards if each.gives(group)]
    if not live:
        raise NotDrivable(f"no listener rule gives target group {_name(group)} of the running tasks any weight")
    others = {tuple(sorted(set(each.weights) - {group})) for each in live}
    for each in live:
        if len(each.weights) != 2:
            raise NotDrivable(
                f"rule {short(each.arn)} forwards to {len(each.weights)} target groups; a release needs the running "
                "one and an idle one with weight 0 beside it"
            )
    if len(others) != 1:
        raise NotDrivable("the rules that send requests to the running tasks name different second target groups")
    idle = others.pop()[0]
    for each in live:
        if each.gives(idle):
            raise NotDrivable(f"rule {short(each.arn)} gives the idle target group {_name(idle)} weight already")
    balancer = _balancer(live)
    for one in map(task_set, items):
        if one.group == idle and not one.primary:
            state = "still drains" if one.leaving else "is there already"
            raise NotDrivable(f"task set {one.id} {state} in the idle target group {_name(idle)}")
    return Pair(balancer, group, idle, tuple(sorted(each.arn for each in live)))


def _balancer(live: Sequence[Forward]) -> str:
    """The one load balancer whose metrics tell the two sides apart."""
    balancers = {each.balancer for each in live}
    if len(balancers) != 1:
        raise NotDrivable("the rules belong to different load balancers, whose metrics do not add up")
    (balancer,) = balancers
    if "/net/" in balancer:
        raise NotDrivable("its load balancer is a Network Load Balancer, which counts no answers by their status")
    return balancer


# --- readiness -------------------------------------------------------------------------------------------------------


def not_ready(one: TaskSet, health: Sequence[Described]) -> list[str]:
    """What a task set still lacks before it may get requests, in words; empty when it lacks nothing."""
    lacks = []
    if one.leaving:
        lacks.append(f"task set {one.id} is DRAINING: somebody has deleted it")
    if not one.steady or one.running < one.desired:
        lacks.append(f"{one.running} of {one.desired} tasks of task set {one.id} run, or they are not steady yet")
    healthy = sum(_state(each) == "healthy" for each in health)
    if healthy < one.desired:
        lacks.append(
            f"{healthy} of {one.desired} targets are healthy in {_name(one.group)}{_reasons(health)}",
        )
    if not one.desired:
        lacks.append(f"task set {one.id} is meant to have no tasks")
    return lacks


def _reasons(health: Sequence[Described]) -> str:
    """Why targets are not healthy, as ELB says."""
    why = {
        str(each["TargetHealth"].get("Description") or each["TargetHealth"].get("Reason") or _state(each))
        for each in health
        if _state(each) not in ("healthy", "draining")
    }
    return f" ({'; '.join(sorted(why)[:3])})" if why else ""


def _state(described: Described) -> str:
    return str(described["TargetHealth"]["State"])


def _name(group: str) -> str:
    """`name` of a target group ARN."""
    return group.rpartition(":targetgroup/")[2].partition("/")[0] or group
