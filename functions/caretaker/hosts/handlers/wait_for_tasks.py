"""Wait until the hosts are empty and every service that had tasks there is as healthy as before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from caretaker.hosts.desk import Desk, open_desk, still_wanted, the_plan, the_policy, wait
from caretaker.hosts.errors import DrainStuck, HostsChanged
from caretaker.hosts.model import Plan, Policy
from caretaker.hosts.progress import Left, Look, goals_of, services_short, tasks_left
from caretaker.hosts.survey import look_at_batch, with_health, with_services
from caretaker.runtime import claims, journal, logging
from caretaker.runtime.clock import iso, parse

STATE = "Wait for tasks"
SHOWN = 20


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer the state's token when all is done, else wait for events of tasks and services.

    Raises:
        DrainStuck: `drain_timeout` has passed; names each task that is left and why.
        HostsChanged: somebody set a host to ACTIVE again.
        Withdrawn: the notice no longer holds.
    """
    desk = open_desk(event)
    still_wanted(desk)
    plan = the_plan(desk)
    began = parse(desk.steps("drain")[0].intent["at"])

    def too_late(left: Sequence[Left]) -> Exception | None:
        return stuck(desk, plan, began, left)

    return wait(desk, STATE, event, lambda: left_to_drain(desk, plan, began), too_late, {"drained": True})


def left_to_drain(desk: Desk, plan: Plan, began: datetime) -> Sequence[Left]:
    """Tasks that are left on the hosts; when none is, services that lack successors.

    Once the deadline has passed and the drain's time is over, services that lack successors are noted and no longer
    waited for: empty hosts that were due to go by then can be put back no more, and to keep them helps nobody.
    """
    look = _look(desk, plan)
    tasks = tasks_left(plan.batch, _surveyed(plan), look)
    if tasks:
        return tasks
    goals = goals_of(plan)
    look = with_health(with_services(look, desk.work.cluster, sorted(goals), began), desk.work.cluster)
    short = services_short(goals, look)
    deadline = desk.work.deadline
    if short and deadline is not None and desk.now >= max(deadline, _limit(began, the_policy(desk))):
        step = desk.begin("short", {"services": [item.id for item in short[:SHOWN]]})
        journal.mark_undone(desk.table, step, "; ".join(str(item) for item in short[:SHOWN]))
        return ()
    return short


def _limit(began: datetime, policy: Policy) -> datetime:
    return began + timedelta(seconds=policy.drain_timeout)


def _look(desk: Desk, plan: Plan) -> Look:
    look = look_at_batch(plan, desk.now)
    back = sorted(name for name, host in look.hosts.items() if host.status == "ACTIVE")
    if back:
        raise HostsChanged(f"somebody set {', '.join(back)} to ACTIVE again while it was drained")
    return look


def _surveyed(plan: Plan) -> list[str]:
    return [move.task for move in plan.moves]


def stuck(desk: Desk, plan: Plan, began: datetime, left: Sequence[Left]) -> Exception | None:
    """The error when the drain's time is over; None before, and when giving up could only lose more.

    The hosts go at the deadline whatever Caretaker does. When no further attempt would fit in before it, going on with
    the drain is what loses the fewest tasks: the machine then waits on, until the hosts are empty or gone.
    """
    policy = the_policy(desk)
    limit = _limit(began, policy)
    if desk.now < limit:
        return None
    if not _another(desk, policy):
        logging.logger().warning("the drain goes on: no further attempt fits in before the deadline")
        return None
    services = sorted({*goals_of(plan)})
    look = with_services(_look(desk, plan), desk.work.cluster, services, began)
    words = [str(item) for item in tasks_left(plan.batch, _surveyed(plan), look) or left]
    more = f" (and {len(words) - SHOWN} more)" if len(words) > SHOWN else ""
    return DrainStuck(f"not drained by {iso(limit)}: {'; '.join(words[:SHOWN])}{more}")


def _another(desk: Desk, policy: Policy) -> bool:
    """Whether giving up now leaves time for another attempt; always, where there is no deadline."""
    deadline = desk.work.deadline
    if deadline is None:
        return True
    pause = timedelta(seconds=policy.retry_after)
    return claims.retry_at(desk.work.attempt, pause, desk.now, deadline) is not None
