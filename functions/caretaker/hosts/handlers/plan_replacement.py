"""Survey the hosts and decide how, or why not, each of their tasks can move."""

from __future__ import annotations

from typing import Any

from caretaker.hosts.desk import load_policy, open_desk, policy_names, save_plan, still_wanted
from caretaker.hosts.errors import AgentAway
from caretaker.hosts.model import Plan, Survey
from caretaker.hosts.plan import explain, make_plan, summarise
from caretaker.hosts.survey import survey
from caretaker.runtime import logging

OUTCOMES = {"blocked": "blocked", "planned": "planned", "nothing": "ignored"}

# An agent that flaps is back within seconds. So many tries of the machine's Retry are half a minute to a minute.
PATIENCE = 5


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make the plan, keep it and log it line by line. Changes nothing in AWS.

    Raises:
        AgentAway: a plan without a host's agent would be blocked; the machine looks again, for about a minute in all.
        Withdrawn: the notice no longer holds.
    """
    desk = open_desk(event)
    still_wanted(desk)
    work = desk.work
    seen = survey(desk.table, work.cluster, work.hosts, desk.now, work.deadline, work.name)
    policy = load_policy(desk, policy_names(seen))
    plan = make_plan(seen, policy, desk.now)
    if int(event.get("tries", 0)) < PATIENCE and only_agents_away(plan, seen):
        raise AgentAway(plan.obstacles[0].reason)
    save_plan(desk, seen, plan, policy)
    for line in explain(plan):
        logging.logger().info(line)
    return {**summarise(plan), "outcome": OUTCOMES.get(plan.decision)}


def only_agents_away(plan: Plan, seen: Survey) -> bool:
    """Whether nothing but disconnected agents of the hosts that go is in the way."""
    away = {host.instance_id for host in seen.hosts if host.instance_id in plan.batch and not host.agent_connected}
    return bool(plan.obstacles) and all(item.kind == "host" and item.id in away for item in plan.obstacles)
