"""Per task on the hosts that go: how it can leave, or exactly why not. Nothing is touched before all have a way.

ECS's rules behind it (ECS developer guide: "Draining Amazon ECS container instances"; ECS API:
UpdateContainerInstancesState, DeploymentConfiguration): a drained instance's RUNNING service tasks are replaced within
the service's limits, lower = ceil(desired x minimumHealthyPercent / 100) healthy tasks and
upper = floor(desired x maximumPercent / 100) tasks. With lower < desired the scheduler may stop a task before its
successor is healthy; with upper = desired it cannot start a successor first; with both, the drain never ends. PENDING
service tasks are stopped at once; tasks of no service are left alone. Raising the percents starts no deployment, and
ECS honours them for its rolling deployments only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from caretaker.hosts.capacity import item_for
from caretaker.hosts.model import (
    BLOCKED,
    DAEMON,
    RESTART,
    SCHEDULER,
    STOPPING,
    SURGE,
    WAIT,
    Baseline,
    Definition,
    Move,
    Obstacle,
    Policy,
    Service,
    Surge,
    Task,
    percents_of,
    short,
)
from caretaker.hosts.view import View
from caretaker.placement.model import Item

MOVING = (SCHEDULER, SURGE, RESTART)
NOT_YET_RUNNING = ("PROVISIONING", "PENDING")


def lower_limit(desired: int, minimum: int) -> int:
    """Healthy tasks below which ECS stops none: minimumHealthyPercent of desired, rounded up."""
    return -(-desired * minimum // 100)


def upper_limit(desired: int, maximum: int) -> int:
    """Tasks above which ECS starts none: maximumPercent of desired, rounded down."""
    return desired * maximum // 100


def least_maximum(desired: int, extra: int) -> int:
    """Least maximumPercent that lets `extra` (at least 1) tasks run beside `desired` (at least 1)."""
    return -(-(desired + extra) * 100 // desired)


def starts_first(desired: int, minimum: int, maximum: int) -> bool:
    """Whether ECS is bound to start a successor before it stops a task, and has room to."""
    return lower_limit(desired, minimum) >= desired and upper_limit(desired, maximum) > desired


@dataclass(frozen=True, slots=True)
class Preflight:
    """How everything moves: every task once, the percents to raise, what is in the way, and the tasks to place."""

    moves: tuple[Move, ...]
    surges: tuple[Surge, ...]
    obstacles: tuple[Obstacle, ...]
    notes: tuple[str, ...]
    items: tuple[Item, ...]
    baselines: tuple[Baseline, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """How the tasks of one service can move: `how` and words that end a sentence about the task."""

    how: str
    words: str
    retry: bool = False
    surge: Surge | None = None


def preflight(view: View, policy: Policy, now: datetime) -> Preflight:
    """Look at every task on the batch's hosts."""
    check = _Check(view, policy, now)
    for instance, task in view.leaving:
        check.look_at(instance, task)
    known = {task.arn for _, task in view.leaving}
    for unknown in view.survey.unknown:
        if unknown.kind == "task" and unknown.id not in known:
            check.block(unknown.id, "", "", f"task {short(unknown.id)} could not be read: {unknown.reason}", True)
    return check.result()


class _Check:
    """Collects the answers of one preflight."""

    def __init__(self, view: View, policy: Policy, now: datetime) -> None:
        self.view, self.policy, self.now = view, policy, now
        self.moves: list[Move] = []
        self.obstacles: list[Obstacle] = []
        self.notes: dict[str, None] = {}
        self.items: list[Item] = []
        self.baselines: dict[str, Baseline] = {}
        self.ways: dict[str, _Way] = {}
        self.to_move = self._count()

    def _count(self) -> dict[str, int]:
        """Running tasks that each service has on the batch."""
        found: dict[str, int] = {}
        for _, task in self.view.leaving:
            if task.service and not task.stopping and task.last_status not in (*NOT_YET_RUNNING, "STOPPED"):
                found[task.group] = found.get(task.group, 0) + 1
        return found

    def result(self) -> Preflight:
        """What was found, ordered."""
        surges = [way.surge for _, way in sorted(self.ways.items()) if way.surge is not None]
        used = {move.service for move in self.moves if move.how == SURGE}
        return Preflight(
            tuple(sorted(self.moves, key=lambda move: (move.host, move.task))),
            tuple(surge for surge in surges if surge.service in used),
            tuple(self.obstacles),
            tuple(self.notes),
            tuple(self.items),
            tuple(self.baselines[name] for name in sorted(self.baselines)),
        )

    def look_at(self, instance: str, task: Task) -> None:
        """One task."""
        name = f"task {short(task.arn)}" + (f" of service {task.service}" if task.service else "")
        if task.stopped:
            self.move(task, instance, STOPPING, f"{name} has stopped already")
        elif task.stopping:
            self.move(task, instance, STOPPING, f"{name} is {task.last_status} and stops already: only waited for")
        elif not task.service:
            self.standalone(instance, task)
        else:
            self.of_service(instance, task, name)

    def standalone(self, instance: str, task: Task) -> None:
        """A task of no service: draining leaves it alone."""
        name = f"standalone task {short(task.arn)} ({task.group or 'no group'})"
        if self.policy.standalone_of(task.group) == "block":
            fix = "let it end, stop it, or set hosts.standalone to wait"
            self.block(task.arn, instance, "", f"{name} runs on {instance} and policy says block: {fix}", True)
            return
        limit = f"it is waited for {self.policy.drain_timeout} s, then the host is put back"
        deadline = self.view.survey.deadline
        ends = f"; {instance} goes at {_time(deadline)} in any case" if deadline else ""
        self.move(task, instance, WAIT, f"{name} belongs to no service, so nothing restarts it: {limit}{ends}")

    def of_service(self, instance: str, task: Task, name: str) -> None:
        """A task of a service."""
        service = self.view.services.get(task.group)
        if service is None:
            why = self._why_unknown(task.service)
            self.block(task.arn, instance, task.service, f"{name}: the service could not be read ({why})", True)
            return
        if service.scheduling == "DAEMON":
            words = f"{name} is a daemon's: it stops last and ends with its host"
            self.move(task, instance, DAEMON, words, service.name)
            return
        self.baseline(service)
        definition = self.view.definition_for(service, task)
        if definition is None:
            which = short(task.definition if service.controller != "ECS" else service.definition)
            self.block(task.arn, instance, service.name, f"{name}: task definition {which} could not be read", True)
        elif task.last_status in NOT_YET_RUNNING and service.status == "ACTIVE" and _in_flux(service) is None:
            words = f"{name} is still {task.last_status}: draining stops it at once and ECS starts it elsewhere"
            self.move(task, instance, RESTART, words, service.name)
            self.place(service, definition, task)
        else:
            self.running(instance, task, service, definition, name)

    def running(self, instance: str, task: Task, service: Service, definition: Definition, name: str) -> None:
        """A running task of a replica service: its successor has to be healthy before it stops."""
        if reason := self._unshareable(service, definition):
            self.block(task.arn, instance, service.name, f"{name} {reason}", False)
            return
        if task.protected is not False:
            self.protected(instance, task, service, definition, name)
            return
        way = self._way(service)
        if way.how == BLOCKED:
            self.block(task.arn, instance, service.name, f"{name}: {way.words}", way.retry)
            return
        self.move(task, instance, way.how, f"{name}: {way.words}", service.name)
        if way.how in MOVING:
            self.place(service, definition, task)

    def protected(self, instance: str, task: Task, service: Service, definition: Definition, name: str) -> None:
        """A protected task: nothing says that protection holds against DRAINING, so the drain itself has to wait."""
        if task.protected is None:
            self.block(task.arn, instance, service.name, f"{name}: its task protection could not be read", True)
            return
        until, deadline = task.protected_until, self.view.survey.deadline
        fix = "end its protection (UpdateTaskProtection) once its work is done"
        if until is None or (deadline is not None and until >= deadline):
            late = "with no end that is known" if until is None else f"until {_time(until)}"
            against = f", {instance} goes at {_time(deadline)}" if deadline else ""
            self.block(task.arn, instance, service.name, f"{name} is protected {late}{against}: {fix}", until is None)
            return
        words = f"{name} is protected until {_time(until)}: nothing is drained before, or {fix}"
        self.moves.append(Move(task.arn, instance, WAIT, words, service.name, until=until))
        self.obstacles.append(Obstacle("task", task.arn, words, retry=True))
        self.place(service, definition, task)

    def _way(self, service: Service) -> _Way:
        if service.group not in self.ways:
            self.ways[service.group] = way_of(service, self.to_move.get(service.group, 1), self.policy)
        return self.ways[service.group]

    def _unshareable(self, service: Service, definition: Definition) -> str:
        """Volumes that a task and its successor cannot both have."""
        for volume in definition.volumes:
            if volume.kind == "docker" and volume.detail != "local":
                return (
                    f"uses Docker volume {volume.name} with driver {volume.detail}, which may attach to one host only: "
                    "its successor cannot start beside it; stop it by hand, or use a volume that hosts can share"
                )
            if volume.kind == "host":
                self.note(f"service {service.name} uses host path {volume.detail}: what is in it stays on the old host")
            if volume.kind == "docker" and volume.scope == "shared":
                self.note(f"service {service.name} keeps Docker volume {volume.name}: it stays on the old host")
            if volume.kind == "ebs":
                self.note(f"service {service.name}: EBS volume {volume.name} is created anew for the successor")
        return ""

    def _why_unknown(self, service: str) -> str:
        for unknown in self.view.survey.unknown:
            if unknown.kind == "service" and short(unknown.id) == service:
                return unknown.reason
        return "no answer from DescribeServices"

    def baseline(self, service: Service) -> None:
        """Keep what the golden rule is held against, and say what is already wrong."""
        healthy = None if service.healthy is None else min(service.healthy, service.desired)
        primary = next((item.id for item in service.deployments if item.status == "PRIMARY"), "")
        self.baselines[service.name] = Baseline(service.arn, service.name, service.desired, healthy, primary)
        if service.status == "ACTIVE" and service.running < service.desired:
            counts = f"{service.running} of {service.desired}"
            self.note(f"service {service.name} runs {counts} tasks: its scheduler may not be able to start more")
        if service.zone_rebalancing:
            self.note(f"service {service.name} has availabilityZoneRebalancing on: ECS may move tasks by itself")

    def note(self, words: str) -> None:
        """Something to know; said once."""
        self.notes[words] = None

    def place(self, service: Service, definition: Definition, task: Task) -> None:
        """Its successor needs a place."""
        self.items.append(item_for(self.view, service, definition, task.arn, task.provider))

    def move(self, task: Task, instance: str, how: str, reason: str, service: str = "") -> None:
        """A task that can leave."""
        self.moves.append(Move(task.arn, instance, how, reason, service or task.service))

    def block(self, task: str, instance: str, service: str, reason: str, retry: bool) -> None:
        """A task that cannot."""
        self.moves.append(Move(task, instance, BLOCKED, reason, service))
        self.obstacles.append(Obstacle("task", task, reason, retry))


def way_of(service: Service, to_move: int, policy: Policy) -> _Way:
    """How the running tasks of a replica service can move.

    Args:
        service: the service.
        to_move: how many of its tasks run on the hosts that go.
        policy: whether percents may be raised.
    """
    if service.status != "ACTIVE":
        return _Way(WAIT, f"its service is {service.status}, which stops all its tasks: only waited for")
    if service.desired == 0:
        return _Way(WAIT, "its service wants no tasks (desired count 0), so ECS stops it: only waited for")
    if flux := _in_flux(service):
        return flux
    owners = service.original if service.original is not None else service.configuration
    minimum, maximum = percents_of(owners, service.scheduling, service.controller)
    limits = (
        f"desired {service.desired}, minimumHealthyPercent {minimum} and maximumPercent {maximum} allow "
        f"{lower_limit(service.desired, minimum)} to {upper_limit(service.desired, maximum)} tasks"
    )
    if starts_first(service.desired, minimum, maximum):
        defaults = "" if service.controller == "ECS" else f" (the defaults, with controller {service.controller})"
        return _Way(SCHEDULER, f"{limits}{defaults}, so ECS starts its successor first")
    if refusal := _why_no_surge(service, policy):
        wanted = _room(service.desired, to_move, maximum)
        fix = f"set minimumHealthyPercent to 100 and maximumPercent to {wanted}"
        return _Way(BLOCKED, f"{limits}, so its successor cannot be sure to start first, and {refusal}: {fix}")
    return _surge(service, to_move, minimum, maximum, limits)


def _in_flux(service: Service) -> _Way | None:
    if service.controller == "CODE_DEPLOY" and len(service.deployments) > 1:
        return _Way(BLOCKED, "a CodeDeploy deployment is in progress (two task sets): tried again later", retry=True)
    deployment = service.in_progress
    if deployment is None:
        return None
    if deployment.rollout == "FAILED":
        words = f"its deployment {deployment.id} has FAILED, so ECS starts no more tasks: deploy a revision that works"
        return _Way(BLOCKED, words)
    state = deployment.rollout or deployment.status
    return _Way(BLOCKED, f"deployment {deployment.id} of its service is {state}: tried again later", retry=True)


def _why_no_surge(service: Service, policy: Policy) -> str:
    strategy = service.configuration.get("strategy") or "ROLLING"
    if service.controller != "ECS":
        return f"its controller {service.controller} takes no percents from Caretaker"
    if strategy != "ROLLING":
        return f"its deployment strategy is {strategy}, for which Caretaker changes no percents"
    if service.configuration.get("lifecycleHooks"):
        return "its deployments have lifecycle hooks, whose roles Caretaker may not pass on to ECS"
    if not policy.may_surge(service.name):
        return "policy forbids Caretaker to raise its percents (hosts.surge is false)"
    return ""


def _room(desired: int, to_move: int, maximum: int) -> int:
    """maximumPercent for all to start first at once: that costs nothing, since their places are planned together."""
    return max(maximum, least_maximum(desired, max(1, min(to_move, desired))))


def _surge(service: Service, to_move: int, minimum: int, maximum: int, limits: str) -> _Way:
    now_minimum, now_maximum = service.percents
    low = max(100, minimum, now_minimum)
    high = max(_room(service.desired, to_move, maximum), now_maximum)
    owners: Mapping[str, Any] = service.original if service.original is not None else service.configuration
    whole = {**service.configuration, "minimumHealthyPercent": low, "maximumPercent": high}
    changes = [
        f"{name} from {old} to {new}"
        for name, old, new in (("minimumHealthyPercent", minimum, low), ("maximumPercent", maximum, high))
        if old != new
    ]
    words = f"{limits}; with {' and '.join(changes)} ECS starts its successor first"
    held = f" (held already by {', '.join(service.surge_holders)})" if service.surge_holders else ""
    reason = f"service {service.name}: {words}; restored afterwards{held}"
    surge = Surge(service.arn, service.name, low, high, whole, dict(owners), reason)
    return _Way(SURGE, f"{words}; restored afterwards", surge=surge)


def protection_ends(moves: Sequence[Move]) -> datetime | None:
    """When the last protection ends that is waited for."""
    return max((move.until for move in moves if move.until is not None), default=None)


def retry_time(now: datetime, policy: Policy, until: datetime | None) -> datetime:
    """When to try a blocked batch again: when the protection ends, else after policy's pause."""
    pause = now + timedelta(seconds=policy.retry_after)
    return max(until, now + timedelta(seconds=60)) if until is not None else pause


def _time(moment: datetime | None) -> str:
    return "?" if moment is None else moment.isoformat(timespec="seconds")
