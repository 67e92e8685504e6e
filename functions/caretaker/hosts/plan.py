"""The plan of one replacement, made before anything is touched, and the second look before the drain.

Pure: a survey, a policy and the time in; a decision with its reasons out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from caretaker.hosts.capacity import Market, belongs, board_of, market_of, why_leaving, why_no_launch
from caretaker.hosts.model import (
    BLOCKED,
    Confirmation,
    End,
    Group,
    Host,
    Launch,
    Move,
    Obstacle,
    Option,
    Plan,
    Policy,
    Survey,
    Unknown,
    short,
)
from caretaker.hosts.preflight import Preflight, preflight, protection_ends, retry_time
from caretaker.hosts.view import View
from caretaker.placement.choose import Choice, Offer, choose
from caretaker.placement.model import Item

GONE = ("INACTIVE", "DEREGISTERING", "REGISTRATION_FAILED")
COMING = ("Pending", "Pending:Wait", "Pending:Proceed")
# Unknown things without which less room is seen than there is, which is safe; what a task needs blocks that task.
HARMLESS = ("group", "type", "subnet", "template", "provider", "cluster", "definition")
SUMMARY_LINES = 10
NAMED = 20  # what else is in the way is named up to this many times in one line


def make_plan(survey: Survey, policy: Policy, now: datetime) -> Plan:
    """Decide how the batch is replaced.

    Args:
        survey: fresh observation.
        policy: the owner's policy for this cluster.
        now: time of the decision, aware.
    """
    view = View(survey)
    present = tuple(instance for instance in sorted(view.batch) if _present(view, instance))
    plan = Plan(survey.cluster, now, tuple(sorted(view.batch)), "nothing", "", deadline=survey.deadline)
    if not present:
        unread = _unknown(view)
        if unread:
            return _blocked(replace(plan, obstacles=tuple(unread)), policy)
        return replace(plan, reason="none of the hosts is an instance of the cluster any more")
    flight = preflight(view, policy, now)
    room = _find_room(view, flight.items, may_launch=True)
    ends, end_obstacles = _ends(view, policy, present, room.launches)
    obstacles = [*_unknown(view), *_hosts(view, present), *flight.obstacles, *room.obstacles, *end_obstacles]
    plan = replace(
        plan,
        moves=_placed(flight.moves, room.choice),
        launches=room.launches,
        surges=flight.surges,
        ends=ends,
        obstacles=tuple(obstacles),
        refused=room.market.refused,
        notes=(*_notes(view, policy, present), *room.notes, *flight.notes),
        baselines=flight.baselines,
        drained=tuple(instance for instance in present if view.hosts[instance].status == "DRAINING"),
    )
    return _decided(plan, policy)


def _present(view: View, instance: str) -> bool:
    host = view.hosts.get(instance)
    return host is not None and host.status not in GONE


def _decided(plan: Plan, policy: Policy) -> Plan:
    if policy.mode == "observe":
        stuck = f"; it would be blocked: {_obstacles_in_short(plan.obstacles, plan.moves)}" if plan.obstacles else ""
        return replace(plan, decision="planned", reason=f"policy says observe: {_in_short(plan)}{stuck}")
    return _blocked(plan, policy) if plan.obstacles else replace(plan, decision="go", reason=_in_short(plan))


def _blocked(plan: Plan, policy: Policy) -> Plan:
    passing = all(item.retry for item in plan.obstacles)
    again = retry_time(plan.at, policy, protection_ends(plan.moves)) if passing else None
    if again is not None and plan.deadline is not None and again >= plan.deadline:
        again = None
    return replace(plan, decision="blocked", reason=_obstacles_in_short(plan.obstacles, plan.moves), retry_at=again)


def _obstacles_in_short(obstacles: Sequence[Obstacle], moves: Sequence[Move]) -> str:
    """The first obstacle in full, and what else is in the way by name."""
    services = {move.task: move.service for move in moves}

    def name(item: Obstacle) -> str:
        service = services.get(item.id, "")
        return f"service {service}" if service else f"{item.kind} {short(item.id)}"

    first, rest = obstacles[0], obstacles[1:]
    names = [other for other in dict.fromkeys(map(name, rest)) if other != name(first)]
    if not names:
        return first.reason + (f" (and {len(rest)} more like it)" if rest else "")
    shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return f"{first.reason}; also in the way: {shown}"


def _in_short(plan: Plan) -> str:
    counts: dict[str, int] = {}
    for move in plan.moves:
        counts[move.how] = counts.get(move.how, 0) + 1
    tasks = ", ".join(f"{counts[how]} {how}" for how in sorted(counts)) or "no tasks"
    roomless = any(item.kind == "capacity" for item in plan.obstacles)
    hosts = "no room for all" if roomless else "the hosts that stay have room"
    hosts = f"{len(plan.launches)} to launch first" if plan.launches else hosts
    return f"{len(plan.batch)} host{'s' if len(plan.batch) > 1 else ''}, {tasks}; {hosts}"


def _placed(moves: Sequence[Move], choice: Choice) -> tuple[Move, ...]:
    """The moves with their places; a task without one is blocked."""

    def settled(move: Move) -> Move:
        if move.task in choice.placed:
            return replace(move, to=choice.placed[move.task])
        if move.task not in choice.unplaced or move.how == BLOCKED:
            return move
        words = f"task {short(move.task)} of service {move.service} has no place to go: {choice.unplaced[move.task]}"
        return replace(move, how=BLOCKED, reason=words)

    return tuple(settled(move) for move in moves)


# --- what is in the way ----------------------------------------------------------------------------------------------


def _unknown(view: View) -> list[Obstacle]:
    """What could not be read and may matter; unread tasks block by themselves."""
    found = []
    for unknown in view.survey.unknown:
        if unknown.kind != "task" and not _harmless(view, unknown):
            words = f"{unknown.kind} {short(unknown.id)} could not be read: {unknown.reason}"
            found.append(Obstacle(unknown.kind, unknown.id, words, retry=True))
    for service in view.daemons:
        if view.definition_for(service) is None:
            words = f"task definition of daemon {service.name} could not be read: nobody knows what it takes on a host"
            found.append(Obstacle("service", service.arn, words, retry=True))
    return found


def _harmless(view: View, unknown: Unknown) -> bool:
    """A host that could not be read may be one of the batch, as long as one of those is missing."""
    if unknown.kind == "host":
        return unknown.id not in view.batch and view.batch <= set(view.hosts)
    return unknown.kind in HARMLESS


def _hosts(view: View, present: Sequence[str]) -> list[Obstacle]:
    """What is wrong with the hosts that go."""
    found = []
    for instance in present:
        host = view.hosts[instance]
        if not host.agent_connected:
            words = f"the agent of {instance} is disconnected: its tasks would never be seen to stop; tried again later"
            found.append(Obstacle("host", instance, words, retry=True))
        if host.claimed_by:
            words = f"{instance} is claimed by {host.claimed_by}: tried again later"
            found.append(Obstacle("host", instance, words, retry=True))
        if host.status not in ("ACTIVE", "DRAINING"):
            found.append(Obstacle("host", instance, f"{instance} is {host.status}: tried again later", retry=True))
        found += _membership(view, instance)
    return found


def _membership(view: View, instance: str) -> list[Obstacle]:
    group, member = view.memberships.get(instance, (None, None))
    if group is None or member is None:
        words = f"{instance} is in no Auto Scaling group that could be read, so nothing starts one in its place"
        return [Obstacle("host", instance, f"{words}: replace it by hand")]
    if member.lifecycle in COMING:
        return [Obstacle("host", instance, f"{instance} is still {member.lifecycle} in {group.name}", retry=True)]
    if member.lifecycle != "InService":
        words = f"group {group.name} has {instance} in {member.lifecycle}: somebody else takes it out already"
        return [Obstacle("host", instance, words)]
    return []


def _notes(view: View, policy: Policy, present: Sequence[str]) -> list[str]:
    found = [f"{name} is gone already" for name in sorted(view.batch - set(present))]
    for instance in present:
        if view.hosts[instance].status == "DRAINING":
            found.append(f"{instance} was set to DRAINING by somebody else: Caretaker will not reactivate it")
        _, member = view.memberships.get(instance, (None, None))
        if member is not None and member.protected:
            found.append(f"{instance} is protected from scale-in, which does not hold against its replacement")
    for host in view.hosts.values():
        if host.instance_id not in view.batch and host.status == "ACTIVE" and (reason := why_leaving(view, host)):
            found.append(f"{host.instance_id} is not counted on: {reason}")
    for unknown in view.survey.unknown:
        if _harmless(view, unknown):
            found.append(f"{unknown.kind} {short(unknown.id)} could not be read: {unknown.reason}")
    deadline = view.survey.deadline
    needed = policy.ready_timeout + policy.drain_timeout
    if deadline is not None and (deadline - view.survey.at).total_seconds() < needed:
        found.append(f"the hosts go at {deadline.isoformat(timespec='seconds')}, sooner than the time-outs allow for")
    return found


# --- room ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Room:
    """Where the tasks go."""

    choice: Choice
    market: Market
    launches: tuple[Launch, ...]
    obstacles: tuple[Obstacle, ...]
    notes: tuple[str, ...]


def _find_room(view: View, items: Sequence[Item], *, may_launch: bool) -> _Room:
    staying = [host for host in view.hosts.values() if not why_leaving(view, host)]
    rivals = sorted({host.claimed_by for host in view.hosts.values() if host.claimed_by})
    market = market_of(view)
    board = board_of(view, [] if rivals and may_launch else staying)
    homes = market.homes if may_launch else ()
    choice = choose(items, board, homes, market.room, most=len(view.batch) + 2)
    notes = []
    if rivals and items:
        notes.append(f"{', '.join(rivals)} moves tasks in this cluster too: room on the hosts that stay is left to it")
    if choice.tight:
        notes.append("the tasks fit in the likely orders of placement, but not in every one")
    if (surplus := len(choice.launches) - len(view.batch)) > 0:
        notes.append(f"{surplus} more hosts are launched than go, since the tasks need them: surplus afterwards")
    owners = {item.key: item.group.removeprefix("service:") for item in items}
    obstacles = _no_room(choice, market, owners, may_launch=may_launch, retry=bool(rivals))
    return _Room(choice, market, _launches(choice, rivals), obstacles, tuple(notes))


def _launches(choice: Choice, rivals: Sequence[str]) -> tuple[Launch, ...]:
    why = "room on the hosts that stay is left to other work" if rivals else choice.unhoused
    return tuple(
        Launch(
            chosen.name,
            _option(chosen.offer),
            tuple(map(_option, chosen.alternatives)),
            len(chosen.tasks),
            f"{chosen.offer.reason}, for {len(chosen.tasks)} task{'' if len(chosen.tasks) == 1 else 's'}: {why}",
        )
        for chosen in choice.launches
    )


def _option(offer: Offer) -> Option:
    return Option(offer.group, offer.zone, offer.method, offer.instance_type, offer.reason)


def _no_room(
    choice: Choice, market: Market, owners: Mapping[str, str], *, may_launch: bool, retry: bool
) -> tuple[Obstacle, ...]:
    """One obstacle for each reason that leaves tasks without a place."""
    tasks: dict[str, list[str]] = {}
    for task, reason in choice.unplaced.items():
        tasks.setdefault(reason, []).append(task)
    found = []
    for reason, names in sorted(tasks.items(), key=lambda pair: pair[1]):
        whose = ", ".join(dict.fromkeys(owners[name] for name in names))
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        services = "services" if len({owners[name] for name in names}) > 1 else "service"
        words = "; ".join([reason, *(market.refused if may_launch else ())])
        find = "find" if more else "finds"
        words = f"task {short(names[0])}{more} of {services} {whose} {find} no room: {words}"
        found.append(Obstacle("capacity", names[0], words, retry))
    return tuple(found)


# --- the end ---------------------------------------------------------------------------------------------------------


def _ends(
    view: View, policy: Policy, present: Sequence[str], launches: Sequence[Launch]
) -> tuple[tuple[End, ...], list[Obstacle]]:
    """How each host is ended: with decrement for each host launched in its group, else the group starts one instead."""
    launched: dict[str, int] = {}
    for launch in launches:
        launched[launch.option.group] = launched.get(launch.option.group, 0) + 1
    shrunk: dict[str, int] = {}
    ends: list[End] = []
    obstacles: list[Obstacle] = []
    for instance in present:
        group, _ = view.memberships.get(instance, (None, None))
        if group is None:
            continue
        if launched.get(group.name, 0):
            launched[group.name] -= 1
            words = f"{group.name} gets a host first; ending {instance} takes its desired capacity back"
            ends.append(End(instance, group.name, True, words))
            continue
        end, obstacle = _end_without_launch(group, instance, policy, shrunk.get(group.name, 0))
        shrunk[group.name] = shrunk.get(group.name, 0) + end.shrink
        ends.append(end)
        obstacles += [obstacle] if obstacle else []
    return tuple(ends), obstacles


def _end_without_launch(group: Group, instance: str, policy: Policy, shrunk: int) -> tuple[End, Obstacle | None]:
    after = group.desired - shrunk - 1
    if policy.allow_shrink and after >= group.minimum:
        words = f"nothing is launched in {group.name} and policy lets it shrink: its desired capacity falls to {after}"
        return End(instance, group.name, True, words, shrink=True), None
    words = f"nothing is launched in {group.name}: it starts a host in place of {instance} by itself"
    end = End(instance, group.name, False, words)
    if group.deleting or "Launch" in group.suspended:
        reason = f"{why_no_launch(group)}, or it would start no host in place of {instance}"
        fix = " (hosts.allow_shrink would accept that)" if not policy.allow_shrink and after >= group.minimum else ""
        return end, Obstacle("group", group.name, reason + fix)
    return end, None


# --- the second look -------------------------------------------------------------------------------------------------


def confirm(plan: Plan, survey: Survey, new_hosts: Sequence[str], now: datetime, policy: Policy) -> Confirmation:
    """Look again, once the launched hosts are there and before anything is drained.

    Args:
        plan: the plan that is being carried out.
        survey: fresh observation of the same batch.
        new_hosts: EC2 instance ids that were launched for it.
        now: time of the decision, aware.
        policy: the owner's policy as it is now.

    Returns:
        `go` with the plan as it is now: new tasks have their moves, services that changed their surges, and everything
        has a place on hosts that really exist. `wait` if all that is in the way may pass by itself, `stop` otherwise.
    """
    view = View(survey)
    present = tuple(instance for instance in sorted(view.batch) if _present(view, instance))
    if policy.mode == "observe":
        return Confirmation("stop", "policy says observe now")
    if not present and not survey.unknown:
        return Confirmation("stop", "the hosts to be replaced are gone: somebody else ended them")
    flight = preflight(view, policy, now)
    room = _find_room(view, flight.items, may_launch=False)
    ready = [item for name in sorted(set(new_hosts)) for item in why_not_ready(view, name)]
    obstacles = [*ready, *_unknown(view), *_hosts(view, present), *flight.obstacles]
    if not ready:
        obstacles += room.obstacles
    if obstacles:
        return _not_now(obstacles, flight)
    changes = _changes(plan, flight)
    notes = (*plan.notes, *_notes(view, policy, present), *room.notes, *flight.notes, *changes)
    fresh = replace(
        plan,
        at=now,
        moves=_placed(flight.moves, room.choice),
        surges=flight.surges,
        ends=tuple(end for end in plan.ends if end.instance_id in present),
        notes=tuple(dict.fromkeys(notes)),
        drained=tuple(instance for instance in present if view.hosts[instance].status == "DRAINING"),
        deadline=survey.deadline,
    )
    words = "; ".join(changes) if changes else "nothing changed"
    return Confirmation("go", f"{len(set(new_hosts))} new hosts are ready, {words}", fresh)


def _not_now(obstacles: Sequence[Obstacle], flight: Preflight) -> Confirmation:
    final = [item for item in obstacles if not item.retry]
    reason = _obstacles_in_short([*final, *(item for item in obstacles if item.retry)], flight.moves)
    until = None if final else protection_ends(flight.moves)
    return Confirmation("stop" if final else "wait", reason, None, tuple(obstacles), until)


def why_not_ready(view: View, instance: str) -> list[Obstacle]:
    """Why a launched host is not ready yet: registered, ACTIVE, agent connected, every daemon's task RUNNING on it."""
    host = view.hosts.get(instance)
    if host is None:
        return [Obstacle("host", instance, f"new host {instance} has not registered with the cluster", retry=True)]
    if host.status != "ACTIVE":
        somebody = ": somebody else drains it" if host.status == "DRAINING" else ""
        words = f"new host {instance} is {host.status}{somebody}"
        return [Obstacle("host", instance, words, retry=host.status == "REGISTERING")]
    if not host.agent_connected:
        return [Obstacle("host", instance, f"the agent of new host {instance} is not connected", retry=True)]
    return _missing_daemons(view, host)


def _missing_daemons(view: View, host: Host) -> list[Obstacle]:
    running = {
        task.group
        for task in view.survey.tasks
        if task.host_arn == host.arn and task.last_status == "RUNNING" and not task.stopping
    }
    found = []
    for service in view.daemons:
        if service.group not in running and belongs(service, view.definition_for(service), host):
            words = f"daemon {service.name} does not run on new host {host.instance_id} yet"
            found.append(Obstacle("service", service.arn, words, retry=True))
    return found


def _changes(plan: Plan, flight: Preflight) -> tuple[str, ...]:
    """What is different from the plan, in words."""
    before = {move.task for move in plan.moves}
    new = [move for move in flight.moves if move.task not in before]
    gone = before - {move.task for move in flight.moves}
    found = [f"task {short(move.task)} is new on {move.host}: {move.how}" for move in new]
    if gone:
        found.append(f"{len(gone)} task{'s' if len(gone) > 1 else ''} left the hosts meanwhile")
    wanted = {item.service: item.desired for item in plan.baselines}
    for item in flight.baselines:
        if wanted.get(item.service, item.desired) != item.desired:
            found.append(f"service {item.service} now wants {item.desired} tasks instead of {wanted[item.service]}")
    return tuple(found)


# --- for people ------------------------------------------------------------------------------------------------------


def explain(plan: Plan) -> list[str]:
    """The plan for people: the decision, a line for each launch, task, surge and end, what is in the way, and notes."""
    lines = [f"{plan.decision}: {plan.reason}"]
    for launch in plan.launches:
        where = f"{launch.option.group}, {launch.option.zone or 'any zone'}"
        others = ", ".join(f"{item.group} {item.zone}".strip() for item in launch.alternatives)
        lines.append(f"launch {launch.name} in {where}: {launch.reason}" + (f"; else {others}" if others else ""))
    for move in plan.moves:
        to = f" -> {move.to}" if move.to else ""
        lines.append(f"{move.host} {move.how}{to}: {move.reason}")
    lines += [f"surge {surge.reason}" for surge in plan.surges]
    for end in plan.ends:
        lines.append(f"end {end.instance_id} {'with' if end.decrement else 'without'} decrement: {end.reason}")
    lines += [f"blocked by {item.kind} {short(item.id)}: {item.reason}" for item in plan.obstacles]
    lines += [f"refused: {words}" for words in plan.refused]
    return lines + [f"note: {words}" for words in plan.notes]


def summarise(plan: Plan) -> dict[str, Any]:
    """The plan in little, for the state of an execution and for events: counts and the first lines of each kind."""
    counts: dict[str, int] = {}
    for move in plan.moves:
        counts[move.how] = counts.get(move.how, 0) + 1
    return {
        "decision": plan.decision,
        "reason": plan.reason[:1000],
        "hosts": list(plan.batch),
        "tasks": {how: counts[how] for how in sorted(counts)},
        "launches": [
            {"name": item.name, "group": item.option.group, "zone": item.option.zone, "method": item.option.method}
            for item in plan.launches
        ],
        "surges": [
            {"service": item.service, "minimum": item.minimum, "maximum": item.maximum}
            for item in plan.surges[:SUMMARY_LINES]
        ],
        "ends": [{"host": item.instance_id, "decrement": item.decrement} for item in plan.ends],
        "obstacles": [item.reason[:500] for item in plan.obstacles[:SUMMARY_LINES]],
        "retry_at": plan.retry_at.isoformat() if plan.retry_at else None,
    }
